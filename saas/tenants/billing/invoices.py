"""Invoices that the operator writes by hand, and how long a company has paid: for those who pay by bank transfer, and for installations
without a payment provider. The operator's acts, each in the tenant's audit log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from saas.db import cells, system_transaction
from saas.errors import Conflict, FieldProblem, InvalidInput, NotFound
from saas.i18n import lazy
from saas.tenants.audit import record_audit
from saas.tenants.billing import store
from saas.tenants.ids import new_id
from saas.tenants.plans import check_plan
from saas.tenants.tenants import SUBSCRIBED, TenantRow, forget_host

MOST_MINOR = 10**13


async def set_terms(tenant: TenantRow, *, plan_key: str, seats: int | None, paid_until: date | None, grace_until: datetime | None) -> None:
    """The operator's words on a company without a subscription: plan, seats (None: those of the plan), until when it has paid, and until
    when nothing is closed though it has not; a trial is over by that. With a subscription only the last two count. Errors: InvalidInput, NotFound."""
    check_plan(plan_key)
    if seats is not None and not 1 <= seats <= 1_000_000:
        raise InvalidInput([FieldProblem("seats", "invalid", lazy("Seats are a whole number from 1, or empty for those of the plan."))])
    async with system_transaction("billing", of=tenant.id) as conn:
        account = await store.lock_account(conn, tenant.id)
        await conn.execute("UPDATE billing_account SET paid_until = $2, grace_until = $3 WHERE tenant_id = $1", tenant.id, paid_until, grace_until)
        if not account.is_live:
            limits = json.dumps({} if seats is None else {"seats": seats})
            if await conn.fetchval("UPDATE tenant SET plan_key = $2, paid_limits = $3::jsonb, trial_ends_at = NULL WHERE id = $1 RETURNING true", tenant.id, plan_key, limits) is None:
                raise NotFound()
        await record_audit(conn, tenant.id, "billing.terms_changed", target=tenant.slug, data={"plan": plan_key, "seats": seats, "paid_until": paid_until, "by": "operator"})
    forget_host(tenant.slug)


async def record_invoice(tenant: TenantRow, *, number: str, currency: str, amount: int, issued: datetime, due: datetime, note: str = "") -> str:
    """A bill that was sent by other means; `amount` in minor units. Returns its id. Errors: InvalidInput, Conflict (the number is taken)."""
    problems = []
    if not number.strip() or len(number) > 60:
        problems.append(FieldProblem("number", "required", lazy("Give the number of the invoice, 60 characters at most.")))
    if not 0 < amount <= MOST_MINOR:
        problems.append(FieldProblem("amount", "invalid", lazy("Give the amount, more than zero.")))
    if due < issued:
        problems.append(FieldProblem("due", "invalid", lazy("It cannot be due before it was issued.")))
    if problems:
        raise InvalidInput(problems)
    invoice_id = str(new_id())
    async with system_transaction("billing", of=tenant.id) as conn:
        await store.lock_account(conn, tenant.id)
        if await conn.fetchval("SELECT true FROM billing_invoice WHERE tenant_id = $1 AND source = 'manual' AND number = $2", tenant.id, number.strip()):
            raise Conflict(lazy("There is an invoice with this number already."))
        await conn.execute(
            "INSERT INTO billing_invoice (tenant_id, id, source, number, status, currency, amount_due, issued_at, due_at, note) VALUES ($1, $2, 'manual', $3, 'open', $4, $5, $6, $7, $8)",
            tenant.id, invoice_id, number.strip(), currency, amount, issued, due, note.strip()[:500],
        )  # fmt: skip
        await record_audit(conn, tenant.id, "billing.invoice_recorded", target=number.strip(), data={"by": "operator"})
    return invoice_id


async def settle_invoice(tenant: TenantRow, invoice_id: str, status: str) -> None:
    """Mark a recorded invoice as "paid" or "void", or as "open" again. Errors: NotFound, ValueError."""
    if status not in ("paid", "void", "open"):
        raise ValueError(status)
    async with system_transaction("billing", of=tenant.id) as conn:
        number = await conn.fetchval(
            "UPDATE billing_invoice SET status = $3, paid_at = CASE WHEN $3 = 'paid' THEN now() END, amount_paid = CASE WHEN $3 = 'paid' THEN amount_due ELSE 0 END "
            "WHERE tenant_id = $1 AND id = $2 AND source = 'manual' RETURNING number",
            tenant.id, invoice_id, status,
        )  # fmt: skip
        if number is None:
            raise NotFound()
        await record_audit(conn, tenant.id, f"billing.invoice_{status}", target=number, data={"by": "operator"})


async def list_accounts() -> list[dict[str, Any]]:
    """Every tenant with what is known of its contract and the sum of its open invoices, of all databases; by name."""
    found: list[dict[str, Any]] = []
    for cell in cells():
        async with system_transaction("billing", cell=cell) as conn:
            rows = await conn.fetch(
                "SELECT t.id, t.slug, t.name, t.plan_key AS tenant_plan, t.status AS tenant_status, t.status_cause, t.paid_limits, t.trial_ends_at, a.*, "
                "(SELECT count(*) FROM app_user u WHERE u.tenant_id = t.id AND u.status = 'active') AS people, "
                "(SELECT count(*) FROM billing_invoice i WHERE i.tenant_id = t.id AND i.status = 'open') AS open_invoices "
                "FROM tenant t LEFT JOIN billing_account a ON a.tenant_id = t.id WHERE t.cell = '' ORDER BY lower(t.name), t.slug"
            )
        found += [_row(row) for row in rows]
    return found


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**dict(row), "paid_limits": json.loads(row["paid_limits"]), "is_live": (row["status"] or "") in SUBSCRIBED}


async def read_terms(tenant_id: UUID) -> tuple[store.Account, list[dict[str, Any]]]:
    """A tenant's account and invoices, for the operator."""
    async with system_transaction("billing", of=tenant_id) as conn:
        return await store.read_account(conn, tenant_id), await store.list_invoices(conn, tenant_id)


__all__ = ["list_accounts", "read_terms", "record_invoice", "set_terms", "settle_invoice"]
