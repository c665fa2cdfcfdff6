"""Subscription and invoices.

Who: an administrator whose trial ends, who needs two more seats on Monday morning, whom accounting asks for an invoice, or whose workspace
is closed for want of a payment. What next: they pay on the provider's page and come back here, or they close the tab because nothing is due.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from litestar import Request, Response, Router, get, post

from saas.db import tenant_transaction
from saas.errors import AppError, Conflict, InvalidInput, PaymentRefused, UpstreamFailed
from saas.i18n import gettext as _
from saas.runtime import billing
from saas.tenants import get_tenant, meters
from saas.tenants.billing import catalogue, is_configured, store
from saas.ui import billing_views as views
from saas.ui.banners import Banner, banner
from saas.ui.guards import Ask, signed_in, whole_number
from saas.ui.pages.settings import show_settings
from saas.ui.views import Link, Toast

HERE = "/settings/billing"


async def _open(request: Request) -> Ask:
    ask = await signed_in(request)
    billing.require_payer(ask.ctx)
    return ask


@get(HERE)
async def overview(request: Request) -> Response[Any]:
    ask = await _open(request)
    return await _page(ask, returned="returned" in request.query_params and is_configured())


async def _page(ask: Ask, *, status: int = 200, plan: str = "", seats: str = "", errors: dict[str, str] | None = None, returned: bool = False) -> Response[Any]:
    tenant = await get_tenant(ask.ctx.tenant_id)
    async with ask.work() as conn:
        account = await store.read_account(conn, tenant.id)
        people = await conn.fetchval(meters.SEATS, tenant.id)
        rows = await store.list_invoices(conn, tenant.id)
    currency = account.currency or tenant.currency
    chosen = plan or (account.plan_key if account.is_live else tenant.plan_key)
    if chosen not in catalogue.sold():
        chosen = next(iter(catalogue.sold()), "")
    return await show_settings(
        ask, "billing", "billing", status=status, online=is_configured(), facts=views.facts(ask.ctx, account, tenant, people), cards=views.plan_cards(tenant, account, currency, chosen),
        seats=seats or str(account.seats if account.is_live else max(people, 1)), invoices=views.invoices(ask.ctx, rows), extra=views.extra(account, tenant), errors=defaultdict(str, errors or {}), returned=returned,
        headers=views.policy(),
    )  # fmt: skip


async def _choice(ask: Ask) -> tuple[str, str]:
    form = await ask.form()
    return str(form.get("plan") or ""), str(form.get("seats") or "").strip()


@post(f"{HERE}/subscribe", status_code=200)
async def subscribe(request: Request) -> Response[Any]:
    ask = await _open(request)
    plan, seats = await _choice(ask)
    try:
        return ask.redirect(await billing.subscribe(ask.ctx, plan, whole_number(seats) or 0))
    except InvalidInput as error:
        return await _refused(ask, error, plan, seats)
    except (Conflict, UpstreamFailed) as error:
        return _back(ask, error)


@post(f"{HERE}/change", status_code=200)
async def change(request: Request) -> Response[Any]:
    """Another plan or number of seats, from now on."""
    ask = await _open(request)
    plan, seats = await _choice(ask)
    try:
        await billing.change(ask.ctx, plan, whole_number(seats) or 0)
    except InvalidInput as error:
        return await _refused(ask, error, plan, seats)
    except (Conflict, UpstreamFailed, PaymentRefused) as error:
        return _back(ask, error)
    return ask.redirect(HERE, Toast(_("The subscription was changed.")))


@post(f"{HERE}/cost", status_code=200)
async def cost(request: Request) -> Response[Any]:
    """What the change that is being chosen costs, in words."""
    ask = await _open(request)
    plan, seats = await _choice(ask)
    try:
        text = views.cost(await billing.cost_of_change(ask.ctx, plan, whole_number(seats) or 0))
    except InvalidInput as error:
        text = " ".join(str(problem.message) for problem in error.problems)  # type: ignore[union-attr]
    except (Conflict, UpstreamFailed) as error:
        text = str(error.message)
    return ask.fragment("settings/_billing_cost.html", text=text)


async def _refused(ask: Ask, error: InvalidInput, plan: str, seats: str) -> Response[Any]:
    errors = {problem.field: str(problem.message) for problem in error.problems}  # type: ignore[union-attr]
    return await _page(ask, status=422, plan=plan, seats=seats, errors=errors)


def _back(ask: Ask, error: AppError) -> Response[Any]:
    return ask.redirect(HERE, Toast(str(error.message), "error"))


@post(f"{HERE}/extra", status_code=200)
async def set_extra(request: Request) -> Response[Any]:
    ask = await _open(request)
    try:
        await billing.set_extra(ask.ctx, whole_number(str((await ask.form()).get("most") or "")) or 0)
    except InvalidInput as error:
        return _back(ask, error)
    except (Conflict, UpstreamFailed, PaymentRefused) as error:
        return _back(ask, error)
    return ask.redirect(HERE, Toast(_("Saved.")))


@post(f"{HERE}/portal", status_code=200)
async def portal(request: Request) -> Response[Any]:
    """On to the provider's pages for cards, addresses and tax ids."""
    ask = await _open(request)
    try:
        return ask.redirect(await billing.portal(ask.ctx))
    except (Conflict, UpstreamFailed) as error:
        return _back(ask, error)


@post(f"{HERE}/cancel", status_code=200)
async def cancel(request: Request) -> Response[Any]:
    ask = await _open(request)
    try:
        await billing.cancel(ask.ctx)
    except (Conflict, UpstreamFailed) as error:
        return _back(ask, error)
    return ask.redirect(HERE, Toast(_("The subscription ends with what is paid. Until then nothing changes, and you can take this back.")))


@post(f"{HERE}/resume", status_code=200)
async def resume(request: Request) -> Response[Any]:
    ask = await _open(request)
    try:
        await billing.resume(ask.ctx)
    except (Conflict, UpstreamFailed) as error:
        return _back(ask, error)
    return ask.redirect(HERE, Toast(_("The subscription goes on.")))


@post(f"{HERE}/refresh", status_code=200)
async def refresh(request: Request) -> Response[Any]:
    """Ask the provider how things stand, for whoever comes back from its pages before its event does."""
    ask = await _open(request)
    try:
        await billing.refresh(ask.ctx.tenant_id)
    except AppError as error:
        return _back(ask, error)
    async with tenant_transaction(ask.ctx.tenant_id) as conn:
        account = await store.read_account(conn, ask.ctx.tenant_id)
    message = _("Up to date.") if not account.is_live else _("Thank you. The plan is %(plan)s, with %(seats)s seats.", plan=views.plan_name(account.plan_key), seats=account.seats)
    return ask.redirect(HERE, Toast(message))


# ---- above every page -----------------------------------------------------------------------------------------------------------


@banner(30)
def payment(ask: Ask) -> Banner | None:
    """A payment is overdue, and what that means now. Who can do something about it is led there."""
    tenant = ask.session.tenant
    if tenant.status_cause != "billing":
        return None
    status = tenant.status
    texts = {
        "past_due": ("warning", _("A payment for this workspace is overdue."), ""),
        "read_only": ("danger", _("This workspace is read-only because a payment is overdue."), _("Reading and export are possible.")),
        "suspended": ("danger", _("This workspace is suspended because a payment is overdue."), _("Reading and export are possible.")),
    }  # fmt: skip
    if status not in texts:
        return None
    kind, text, note = texts[status]
    link = Link(_("See the invoices"), HERE) if billing.may_pay(ask.ctx) else None
    return Banner("payment", kind, text, note=note, link=link)


router = Router("", route_handlers=[overview, subscribe, change, cost, set_extra, portal, cancel, resume, refresh])
