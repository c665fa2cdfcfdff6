"""Plan and usage.

Who: an administrator who read that something is nearly full, or whose colleague was just refused; sometimes one who compares plans
before the budget is made. What next: they tidy up, or follow the way to more: to the page where people pay, or to whoever runs this
installation.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get

from saas.errors import PermissionDenied
from saas.i18n import gettext as _
from saas.i18n import ngettext
from saas.runtime import permissions, usage
from saas.ui import formats
from saas.ui import plan_views as views
from saas.ui.banners import Banner, banner
from saas.ui.guards import Ask, signed_in
from saas.ui.pages.settings import show_settings
from saas.ui.settings_views import PAGES
from saas.ui.views import Choice, Link


def _payment_page() -> str:
    return next((f"/settings/{part}" for _group, pages in PAGES for part, *_rest in pages if part == views.PAYMENT), "")


@get(views.PAGE)
async def plan(request: Request) -> Response[Any]:
    ask = await signed_in(request)
    if not permissions.is_admin(ask.ctx):
        raise PermissionDenied()
    ctx = ask.ctx
    async with ask.work() as conn:
        lines = await usage.lines(conn, ctx.tenant_id, ctx.tenant.limits)
        days = await usage.days(conn, ctx.tenant_id)
    shown = request.query_params.get("chart", "")
    shown = shown if shown in views.CHARTS else "records"
    names, columns = views.plans(ctx, lines)
    ends = ctx.tenant.trial_ends_at
    return await show_settings(
        ask, "plan", "plan", facts=views.facts(ctx, formats.full(ctx, ends) if ends is not None and ends > ctx.real_now else ""), bars=views.bars(lines),
        chart=views.chart(days, shown, ctx), table=views.rows(days, shown), charts=[Choice(key, str(name), key == shown) for key, name in views.CHARTS.items()],
        limits=names, plans=columns, payment=_payment_page(),
    )  # fmt: skip


# ---- above every page ----------------------------------------------------------------------------------------------------


@banner(30)
def standing(ask: Ask) -> Banner | None:
    """What the workspace's state means for everybody; where there is a page for payments, it speaks of those itself."""
    tenant, more = ask.ctx.tenant, views.way_to_more(ask.ctx)
    late = {
        "past_due": ("warning", _("A payment for this workspace is overdue."), ""),
        "read_only": ("danger", _("This workspace is read-only."), _("Reading and export are possible, changes are not.")),
    }  # fmt: skip
    words = {"suspended": ("danger", _("This workspace is suspended."), _("Reading and export are possible, changes are not.")), **late}
    if tenant.status not in words or (_payment_page() and ask.session.tenant.status_cause == "billing"):
        return None
    kind, text, note = words[tenant.status]
    return Banner("standing", kind, f"{text} {tenant.status_reason}".strip(), note=note, link=more)


@banner(60)
def trial(ask: Ask) -> Banner | None:
    """How long the trial goes on, for administrators."""
    left, page = views.days_left(ask.ctx, ask.ctx.tenant.trial_ends_at), _payment_page()
    if left is None or not permissions.is_admin(ask.ctx):
        return None
    text = ngettext("%(count)s day of the trial is left.", "%(count)s days of the trial are left.", left)
    link = Link(_("Choose a plan"), page) if page else views.way_to_more(ask.ctx)
    return Banner("trial", "warning" if left <= 3 else "info", text, link=link)


router = Router("", route_handlers=[plan])
