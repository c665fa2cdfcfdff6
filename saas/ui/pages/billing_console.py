"""The operator's page of money.

Who: the operator, on Monday morning, when a report says that something differed, when a customer says "I have paid", or when an invoice was
sent by hand. What next: they record the payment, give a customer a week more, try an event again, or write to the customer.
"""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from babel.numbers import get_currency_precision
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.db import system_transaction
from saas.errors import AppError, Conflict, FieldProblem, InvalidInput
from saas.i18n import gettext as _
from saas.i18n import lazy, pick
from saas.runtime import billing
from saas.tenants import catalogue, find_tenant, record_operator_audit
from saas.tenants.billing import hears_events, invoices, is_configured, reconcile, webhooks
from saas.ui import billing_views as views
from saas.ui.console import Console, opened
from saas.ui.guards import whole_number
from saas.ui.pages.settings import moment_of
from saas.ui.views import Toast

_AMOUNT = re.compile(r"(?P<whole>[0-9]{1,13}|[0-9]{1,3}(,[0-9]{3}){1,4})([.](?P<part>[0-9]+))?\Z")
CURRENCIES = ("USD", "EUR", "CNY")
EVENT_STATES = {"waiting": (lazy("waiting"), "blue"), "applied": (lazy("applied"), "green"), "ignored": (lazy("ignored"), "gray"), "unknown": (lazy("unknown customer"), "yellow"), "failed": (lazy("failed"), "red")}
DRIFT = {
    "plan": lazy("plan"), "limits": lazy("limits"), "invoices": lazy("invoices"), "gone": lazy("customer or workspace is gone"), "stranger": lazy("subscription of nobody"), "second": lazy("second subscription"),
    "failed": lazy("could not be compared"), "status": lazy("status"), "seats": lazy("seats"), "subscription_id": lazy("subscription"), "plan_key": lazy("plan"), "period_end": lazy("end of the period"),
    "cancel_at": lazy("cancelled for"), "ended_at": lazy("ended"), "unpaid_since": lazy("unpaid since"), "trial_end": lazy("end of the trial"), "email": lazy("e-mail"), "tax_ids": lazy("tax ids"),
    "currency": lazy("currency"), "extra_runs": lazy("extra automation runs"), "trial_used": lazy("trial used"), "second_subscription": lazy("second subscription"),
}  # fmt: skip
PAGE = 50


@get("/billing")
async def overview(request: Request) -> Response[Any]:
    """Who pays what, what differed at night, and what the provider told."""
    desk = await opened(request)
    rows = [_row(desk, row) for row in await invoices.list_accounts()]
    rows.sort(key=lambda row: (not row["step"], not row["open"], row["name"].lower()))
    reports = [_report(desk, report) for report in await reconcile.list_reports(limit=5)]
    counts = await webhooks.count_events()
    return desk.page("operator/billing.html", "billing", rows=rows, reports=reports, counts=[(state, str(EVENT_STATES[state][0]), count) for state, count in counts.items()], online=is_configured(), hears=hears_events())


def _row(desk: Console, row: dict[str, Any]) -> dict[str, Any]:
    live = row["is_live"]
    text, color = views.STEPS.get(row["step"] or "") or (views.SUBSCRIPTION_STATES.get(row["status"] or "none") if live or row["paid_until"] is None else (_("invoiced by hand"), "blue")) or (row["status"], "gray")
    seats = row["paid_limits"].get("seats")
    return {
        "slug": row["slug"], "name": row["name"], "plan": views.plan_name(row["tenant_plan"]), "people": row["people"], "seats": "–" if seats is None else seats, "state": str(text), "color": color,
        "step": row["step"] or "", "open": row["open_invoices"], "until": (row["paid_until"].isoformat() if row["paid_until"] else "") if not live else f"{row['period_end']:%Y-%m-%d}" if row["period_end"] else "",
        "closed_by_operator": row["tenant_status"] != "active" and row["status_cause"] == "operator", "leaving": bool(row["cancel_at"]) and live,
        "trial": f"{row['trial_ends_at']:%Y-%m-%d}" if row["trial_ends_at"] else "",
    }  # fmt: skip


def _report(desk: Console, report: dict[str, Any]) -> dict[str, Any]:
    drift = [{**line, "what": str(DRIFT.get(line["what"], line["what"]))} for line in report["drift"]]
    return {"at": desk.moment(report["at"]), "examined": report["examined"], "drift": drift, "error": report["error"]}


@post("/billing/reconcile", status_code=200)
async def compare(request: Request) -> Response[Any]:
    desk = await opened(request, change=True)
    try:
        report = await billing.compare()
    except Conflict as error:
        return desk.redirect("/billing", Toast(str(error.message), "error"))
    await _note(desk, "billing.reconciled", data={"examined": report.examined, "drift": len(report.drift)})
    return desk.redirect("/billing", Toast(_("Customers compared: %(count)s. Differences: %(drift)s.", count=report.examined, drift=len(report.drift))))


@get("/billing/events")
async def events(request: Request) -> Response[Any]:
    desk = await opened(request)
    state = request.query_params.get("state", "")
    found = await webhooks.list_events(limit=PAGE, state=state if state in EVENT_STATES else "", before=moment_of(request.query_params.get("before", "")))
    rows = [
        {
            "id": e["id"], "kind": e["kind"], "customer": e["customer_id"], "slug": e["slug"], "at": desk.moment(e["received_at"]), "state": str(EVENT_STATES[e["state"]][0]), "color": EVENT_STATES[e["state"]][1],
            "attempts": e["attempts"], "error": e["error"], "can_retry": bool(e["customer_id"]) and e["state"] not in ("waiting", "applied"), "raw_state": e["state"],
        }
        for e in found
    ]  # fmt: skip
    next_url = f"/billing/events?state={state}&before={found[-1]['received_at'].isoformat().replace('+00:00', 'Z')}" if len(found) == PAGE else ""
    return desk.page("operator/billing_events.html", "billing", rows=rows, next_url=next_url, state=state, states=[("", _("all")), *((key, str(text)) for key, (text, _color) in EVENT_STATES.items())])


@post("/billing/events/{event_id:str}/retry", status_code=200)
async def retry(request: Request, event_id: FromPath[str]) -> Response[Any]:
    desk = await opened(request, change=True)
    await webhooks.retry(event_id)
    await _note(desk, "billing.event_retried", data={"event": event_id})
    return desk.redirect("/billing/events", Toast(_("The event is tried again in a moment.")))


# ---- one customer ---------------------------------------------------------------------------------------------------------------


@get("/billing/workspaces/{slug:str}")
async def account(request: Request, slug: FromPath[str]) -> Response[Any]:
    return await _account(await opened(request), slug)


async def _account(desk: Console, slug: str, *, status: int = 200, errors: dict[str, str] | None = None, typed: dict[str, str] | None = None) -> Response[Any]:
    tenant = await find_tenant(slug)
    found, rows = await invoices.read_terms(tenant.id)
    text, color = views.STEPS.get(found.step) or views.SUBSCRIPTION_STATES.get(found.status) or (found.status, "gray")
    shown = [
        {
            "id": r["id"], "number": r["number"] or r["id"], "source": r["source"], "at": f"{r['issued_at']:%Y-%m-%d}", "due": f"{r['due_at']:%Y-%m-%d}" if r["due_at"] else "", "amount": views.money(r["amount_due"], r["currency"]),
            "status": str(views.INVOICE_STATES.get(r["status"], (r["status"], ""))[0]), "color": views.INVOICE_STATES.get(r["status"], ("", "gray"))[1], "raw": r["status"], "note": r["note"], "url": r["page_url"],
        }
        for r in rows
    ]  # fmt: skip
    today = datetime.now(UTC).date()
    terms = {
        "plan": tenant.plan_key, "seats": str(tenant.paid_limits.get("seats") or ""), "paid_until": found.paid_until.isoformat() if found.paid_until else "",
        "grace_until": f"{found.grace_until:%Y-%m-%d}" if found.grace_until else "", "number": "", "amount": "", "currency": tenant.currency, "issued": today.isoformat(),
        "due": (today + timedelta(days=14)).isoformat(), "note": "",
    }  # fmt: skip
    return desk.page(
        "operator/billing_account.html", "billing", status=status, tenant=tenant, account=found, state=str(text), color=color, invoices=shown, terms={**terms, **(typed or {})}, errors=defaultdict(str, errors or {}),
        plans=[(key, pick(plan.label)) for key, plan in catalogue().items()], currencies=sorted({*CURRENCIES, tenant.currency}), live=found.is_live, period=f"{found.period_end:%Y-%m-%d}" if found.period_end else "",
        closed_by_operator=tenant.status != "active" and not found.step,
    )  # fmt: skip


@post("/billing/workspaces/{slug:str}", status_code=200)
async def set_terms(request: Request, slug: FromPath[str]) -> Response[Any]:
    desk = await opened(request, change=True)
    tenant = await find_tenant(slug)
    typed = await _typed(request, "plan", "seats", "paid_until", "grace_until")
    problems: list[FieldProblem] = []
    seats = whole_number(typed["seats"])
    if typed["seats"] and seats is None:
        problems.append(FieldProblem("seats", "invalid", lazy("Seats are a whole number from 1, or empty for those of the plan.")))
    paid, grace = (_date(typed, name, problems) for name in ("paid_until", "grace_until"))
    try:
        if problems:
            raise InvalidInput(problems)
        await invoices.set_terms(tenant, plan_key=typed["plan"] or tenant.plan_key, seats=seats, paid_until=paid, grace_until=_end_of(grace))
    except InvalidInput as error:
        return await _account(desk, slug, status=422, errors=_errors(error), typed=typed)
    await billing.settle(tenant.id)
    await _note(desk, "billing.terms_changed", slug, typed)
    return desk.redirect(f"/billing/workspaces/{slug}", Toast(_("Saved.")))


@post("/billing/workspaces/{slug:str}/invoices", status_code=200)
async def record(request: Request, slug: FromPath[str]) -> Response[Any]:
    desk = await opened(request, change=True)
    tenant = await find_tenant(slug)
    typed = await _typed(request, "number", "amount", "currency", "issued", "due", "note")
    problems: list[FieldProblem] = []
    issued, due = (_date(typed, name, problems) for name in ("issued", "due"))
    for name, value in (("issued", issued), ("due", due)):
        if value is None and not any(p.field == name for p in problems):
            problems.append(FieldProblem(name, "required", lazy("Give a date.")))
    if typed["currency"] not in {*CURRENCIES, tenant.currency}:
        problems.append(FieldProblem("currency", "unknown", lazy("Choose a currency.")))
    minor = minor_of(typed["amount"], get_currency_precision(typed["currency"]))
    try:
        if problems or issued is None or due is None:
            raise InvalidInput(problems)
        await invoices.record_invoice(tenant, number=typed["number"], currency=typed["currency"], amount=minor, issued=_start_of(issued), due=_end_of(due) or _start_of(due), note=typed["note"])
    except InvalidInput as error:
        return await _account(desk, slug, status=422, errors=_errors(error), typed=typed)
    except Conflict as error:
        return await _account(desk, slug, status=409, errors={"number": str(error.message)}, typed=typed)
    await billing.settle(tenant.id)
    await _note(desk, "billing.invoice_recorded", slug, {"number": typed["number"]})
    return desk.redirect(f"/billing/workspaces/{slug}", Toast(_("The invoice was recorded.")))


@post("/billing/workspaces/{slug:str}/invoices/{invoice_id:str}", status_code=200)
async def settle(request: Request, slug: FromPath[str], invoice_id: FromPath[str]) -> Response[Any]:
    """A recorded invoice is paid, cancelled, or open after all; what follows for the workspace follows at once."""
    desk = await opened(request, change=True)
    tenant = await find_tenant(slug)
    status = str((await request.form()).get("status") or "")
    if status not in ("paid", "void", "open"):
        raise InvalidInput([FieldProblem("status", "unknown", lazy("Unknown status"))])
    await invoices.settle_invoice(tenant, invoice_id, status)
    await billing.settle(tenant.id)
    await _note(desk, f"billing.invoice_{status}", slug, {"invoice": invoice_id})
    return desk.redirect(f"/billing/workspaces/{slug}", Toast(_("Saved.")))


@post("/billing/workspaces/{slug:str}/refresh", status_code=200)
async def refresh(request: Request, slug: FromPath[str]) -> Response[Any]:
    desk = await opened(request, change=True)
    tenant = await find_tenant(slug)
    try:
        await billing.refresh(tenant.id)
    except AppError as error:
        return desk.redirect(f"/billing/workspaces/{slug}", Toast(str(error.message), "error"))
    return desk.redirect(f"/billing/workspaces/{slug}", Toast(_("Up to date.")))


def minor_of(text: str, places: int) -> int:
    """An amount in minor units; 0 for what is none. A comma stands between thousands only: "1,50" may mean two things."""
    match = _AMOUNT.match(text)
    if match is None or len(match["part"] or "") > places:
        return 0
    return int(match["whole"].replace(",", "") + (match["part"] or "").ljust(places, "0"))


async def _typed(request: Request, *names: str) -> dict[str, str]:
    form = await request.form()
    return {name: str(form.get(name) or "").strip() for name in names}


def _date(typed: dict[str, str], name: str, problems: list[FieldProblem]) -> date | None:
    if not typed[name]:
        return None
    try:
        found = date.fromisoformat(typed[name])
        if not 2000 <= found.year < 2200:
            raise ValueError
    except ValueError:
        problems.append(FieldProblem(name, "invalid", lazy("Give a date such as 2026-12-31.")))
        return None
    return found


def _start_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _end_of(day: date | None) -> datetime | None:
    return datetime.combine(day, time(23, 59, 59), UTC) if day else None


def _errors(error: InvalidInput) -> dict[str, str]:
    return {problem.field: str(problem.message) for problem in error.problems}  # type: ignore[union-attr]


async def _note(desk: Console, kind: str, tenant: str = "", data: dict[str, Any] | None = None) -> None:
    async with system_transaction("operator_console") as conn:
        await record_operator_audit(conn, kind, operator_id=desk.operator.id, tenant=tenant, ip=desk.ip, data=data)


router = Router("", route_handlers=[overview, compare, events, retry, account, set_terms, record, settle, refresh])
