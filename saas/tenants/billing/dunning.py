"""When a payment is overdue: announced, then read-only, then suspended, one step at a time, each with a message; and back at once when it
is paid. Driven by the clock from what is stored, so that it may run as often as it likes.

    ""          -> past_due     a payment failed, or an invoice is past its due date
    past_due    -> read_only    billing_grace_days after that was announced
    read_only   -> suspended    billing_read_only_days after that was announced
    any         -> ""           paid, or nothing is owed any more

A step follows the announcement of the one before, not the calendar: nobody is closed out unannounced because our worker was away. What the
operator set (`status_cause`) stays as it is; behind it no step is taken, and afterwards they begin with the first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from saas.db import cells, current_database, system_transaction
from saas.errors import InvalidInput, NotFound, Unavailable
from saas.i18n import LOCALES, pick, use_locale
from saas.log import get_logger
from saas.tenants.audit import record_audit
from saas.tenants.billing import store
from saas.tenants.billing.apply import AFTER
from saas.tenants.billing.snapshot import LIVE
from saas.tenants.links import address_of
from saas.tenants.mail import compose, queue_mail
from saas.tenants.plans import catalogue
from saas.tenants.tenants import TenantRow, forget_host, get_tenant

log = get_logger(__name__)
STATUS = {"": "active", "past_due": "past_due", "read_only": "read_only", "suspended": "suspended"}
TRIAL_NOTICE = timedelta(days=3)
_LIVE = ", ".join(f"'{status}'" for status in LIVE)


@dataclass(frozen=True, slots=True)
class Reader:
    """Who is told: an administrator of the tenant."""

    email: str
    name: str
    locale: str


Readers = Callable[[UUID], Awaitable[Sequence[Reader]]]


def overdue_since(account: store.Account, manual: Sequence[datetime], now: datetime) -> datetime | None:
    """Since when something should have been paid; `manual` are the due dates of open recorded invoices."""
    moments = [account.unpaid_since] if account.unpaid_since else []
    moments += [due for due in manual if due <= now]
    if account.paid_until is not None and not account.is_live:
        end = datetime.combine(account.paid_until + timedelta(days=1), time(), UTC)
        moments += [end] if end <= now else []
    return min(moments, default=None)


def next_step(account: store.Account, since: datetime | None, now: datetime, *, grace_days: int, read_only_days: int) -> str:
    """At most one step from where the account is."""
    if since is None:
        return ""
    if not account.step or account.step_at is None:
        return "past_due"
    if account.grace_until is not None and account.grace_until > now:
        return "past_due"  # the operator gives time
    if account.step == "past_due" and now >= account.step_at + timedelta(days=grace_days):
        return "read_only"
    if account.step == "read_only" and now >= account.step_at + timedelta(days=read_only_days):
        return "suspended"
    return account.step


async def settle(tenant_id: UUID, readers: Readers, *, now: datetime | None = None) -> str:
    """Bring one tenant to its step; returns it. Safe at any time. Errors: NotFound."""
    now = now or datetime.now(UTC)
    tenant = await get_tenant(tenant_id)
    people = await readers(tenant_id)
    async with system_transaction("billing", of=tenant_id) as conn:
        account = await store.lock_account(conn, tenant_id)
        is_closed = await _is_closed_by_operator(conn, tenant_id)
        # What the operator closed does not open or close by this, and takes no step unannounced: it begins anew once it is open.
        step = "" if is_closed else next_step(account, overdue_since(account, await _manual(conn, tenant_id), now), now, **_days())
        changed = await _set_status(conn, tenant, STATUS[step])
        if step != account.step:
            await conn.execute("UPDATE billing_account SET step = $2, step_at = $3 WHERE tenant_id = $1", tenant_id, step, now if step else None)
            was_paid = not step and not is_closed and await _was_paid(conn, tenant_id, account, now)
            if step or was_paid:
                await record_audit(conn, tenant_id, f"billing.{step or 'paid'}", target=tenant.slug)
            if was_paid or (step and not (step == "past_due" and account.step)):  # the operator gave time: no news for the company
                await _announce(conn, tenant, people, f"billing_{step or 'paid'}", _ends(step, now))
        changed = await _end_trial(conn, tenant, account, people, now) or changed
    if changed:
        forget_host(tenant.slug)
    return step


def _days() -> dict[str, int]:
    settings = current_database().settings
    return {"grace_days": settings.billing_grace_days, "read_only_days": settings.billing_read_only_days}


def _ends(step: str, now: datetime) -> dict[str, Any]:
    """When the next step follows, for the message."""
    days = {"past_due": _days()["grace_days"], "read_only": _days()["read_only_days"]}.get(step)
    return {"until": now + timedelta(days=days)} if days else {}


async def _manual(conn: Any, tenant_id: UUID) -> list[datetime]:
    rows = await conn.fetch("SELECT due_at FROM billing_invoice WHERE tenant_id = $1 AND source = 'manual' AND status = 'open' AND due_at IS NOT NULL", tenant_id)
    return [row["due_at"] for row in rows]


async def _was_paid(conn: Any, tenant_id: UUID, account: store.Account, now: datetime) -> bool:
    """Whether nothing is overdue any more because a payment arrived, and not because an invoice was voided or a subscription ended unpaid."""
    if not account.is_live and account.paid_until is not None and account.paid_until >= now.date():
        return True
    newest = await conn.fetchval(
        "SELECT status FROM billing_invoice WHERE tenant_id = $1 AND NOT (source = 'manual' AND status = 'open') ORDER BY issued_at DESC, id DESC LIMIT 1", tenant_id
    )
    return bool(newest == "paid")


async def _set_status(conn: Any, tenant: TenantRow, status: str) -> bool:
    """Unless the operator closed the tenant."""
    done = await conn.fetchval(
        "UPDATE tenant SET status = $2, status_cause = 'billing', status_reason = '' WHERE id = $1 AND status <> $2 AND (status = 'active' OR status_cause = 'billing') RETURNING true", tenant.id, status
    )
    return bool(done)


async def _is_closed_by_operator(conn: Any, tenant_id: UUID) -> bool:
    return bool(await conn.fetchval("SELECT status <> 'active' AND status_cause <> 'billing' FROM tenant WHERE id = $1", tenant_id))


async def _end_trial(conn: Any, tenant: TenantRow, account: store.Account, people: Sequence[Reader], now: datetime) -> bool:
    """A trial without a subscription is announced before it ends, and then the tenant goes on with the free plan."""
    ends = await conn.fetchval("SELECT trial_ends_at FROM tenant WHERE id = $1", tenant.id)
    if ends is None or account.is_live or account.paid_until is not None:
        return False
    values = {"until": ends, "plan": tenant.plan_key}
    if ends <= now:
        await conn.execute("UPDATE tenant SET plan_key = $2, paid_limits = '{}', trial_ends_at = NULL WHERE id = $1", tenant.id, AFTER)
        await conn.execute("UPDATE billing_account SET trial_told = $2 WHERE tenant_id = $1", tenant.id, ends)
        await record_audit(conn, tenant.id, "billing.trial_over", target=tenant.slug, data={"plan": AFTER})
        await _announce(conn, tenant, people, "trial_over", values)
        return True
    if ends <= now + TRIAL_NOTICE and account.trial_told != ends:
        await conn.execute("UPDATE billing_account SET trial_told = $2 WHERE tenant_id = $1", tenant.id, ends)
        await _announce(conn, tenant, people, "trial_soon", values)
    return False


async def _announce(conn: Any, tenant: TenantRow, people: Sequence[Reader], kind: str, values: dict[str, Any]) -> None:
    url = address_of(tenant, "/settings/billing")
    for person in people:
        locale = person.locale if person.locale in LOCALES else tenant.locale
        shown = {"until": "", **values, "name": person.name, "url": url}
        with use_locale(locale):
            shown["plan"] = pick(catalogue()[AFTER].label)
        try:
            await queue_mail(conn, tenant.id, compose(kind, tenant, locale, shown), person.email, name=person.name)
        except InvalidInput:  # an address that nothing can be sent to
            log.warning("billing.not_told", tenant_id=str(tenant.id), kind=kind)
    log.info("billing.announced", tenant_id=str(tenant.id), kind=kind, people=len(people))


_DUE = f"""
SELECT t.id FROM tenant t LEFT JOIN billing_account a ON a.tenant_id = t.id
WHERE t.cell = '' AND t.config_revision > 0 AND (
    a.step <> '' OR a.unpaid_since IS NOT NULL OR (a.paid_until < ($1::timestamptz AT TIME ZONE 'UTC')::date AND a.status NOT IN ({_LIVE}))
    OR (t.status <> 'active' AND t.status_cause = 'billing')
    OR EXISTS (SELECT 1 FROM billing_invoice i WHERE i.tenant_id = t.id AND i.source = 'manual' AND i.status = 'open' AND i.due_at <= $1::timestamptz)
    OR (t.trial_ends_at <= $1::timestamptz + interval '3 days' AND coalesce(a.status NOT IN ({_LIVE}), true))
)"""  # noqa: S608  constants of this file


async def run(readers: Readers, *, now: datetime | None = None) -> dict[UUID, str]:
    """Every tenant that owes something, or did, or whose trial ends: {tenant: step}. By the worker, every few minutes."""
    moment = now or datetime.now(UTC)
    steps: dict[UUID, str] = {}
    for cell in cells():
        try:
            async with system_transaction("billing", cell=cell) as conn:
                due = [row["id"] for row in await conn.fetch(_DUE, moment)]
        except Unavailable:
            continue
        for tenant_id in due:
            try:
                steps[tenant_id] = await settle(tenant_id, readers, now=now)
            except (NotFound, Unavailable):
                continue
            except Exception:  # one tenant's trouble is nobody else's
                log.exception("billing.dunning_failed", tenant_id=str(tenant_id))
    return steps
