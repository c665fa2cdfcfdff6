"""The rows of billing: a tenant's account and invoices, and which customer of the provider it is. Written by the system's role only."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any
from uuid import UUID

from saas.db import system_transaction, tenant_transaction
from saas.errors import NotFound
from saas.tenants.billing.snapshot import Contract, State

_ACCOUNT = (
    "customer_id, subscription_id, status, plan_key, currency, seats, extra_runs, period_start, period_end, trial_end, cancel_at, ended_at, unpaid_since, trial_used, "
    "second_subscription, email, tax_ids, fetched_at, paid_until, grace_until, step, step_at, trial_told"
)
# Only for a tenant that is there and stays: of one that was deleted nothing may come back.
_MAKE = "INSERT INTO billing_account (tenant_id) SELECT id FROM tenant WHERE id = $1 FOR KEY SHARE ON CONFLICT DO NOTHING"
_INVOICE = "id, source, number, status, currency, amount_due, amount_paid, issued_at, due_at, paid_at, page_url, pdf_url, note"


@dataclass(frozen=True, slots=True)
class Account(Contract):
    """The contract as we know it, fetched at `fetched_at`. `paid_until`, `grace_until`: the operator's words. `step`: what was announced
    to the company ("", past_due, read_only, suspended), at `step_at`."""

    fetched_at: datetime | None = None
    paid_until: date | None = None
    grace_until: datetime | None = None
    step: str = ""
    step_at: datetime | None = None
    trial_told: datetime | None = None


def account_of(row: Any) -> Account:
    if row is None:
        return Account()
    return Account(**{**{each.name: row[each.name] for each in fields(Account)}, "tax_ids": json.loads(row["tax_ids"])})


async def read_account(conn: Any, tenant_id: UUID) -> Account:
    """In any transaction that sees the tenant; an empty one for a tenant that never paid."""
    return account_of(await conn.fetchrow(f"SELECT {_ACCOUNT} FROM billing_account WHERE tenant_id = $1", tenant_id))  # noqa: S608  constants of this file


async def lock_account(conn: Any, tenant_id: UUID) -> Account:
    """The same, made if need be and held until the transaction of the system's role ends. Errors: NotFound for a tenant that is gone."""
    await conn.execute(_MAKE, tenant_id)
    row = await conn.fetchrow(f"SELECT {_ACCOUNT} FROM billing_account WHERE tenant_id = $1 FOR UPDATE", tenant_id)  # noqa: S608  constants of this file
    if row is None:
        raise NotFound()
    return account_of(row)


async def get_account(tenant_id: UUID) -> Account:
    async with tenant_transaction(tenant_id) as conn:
        return await read_account(conn, tenant_id)


async def list_invoices(conn: Any, tenant_id: UUID, *, limit: int = 100) -> list[dict[str, Any]]:
    """Newest first."""
    rows = await conn.fetch(f"SELECT {_INVOICE} FROM billing_invoice WHERE tenant_id = $1 ORDER BY issued_at DESC, id DESC LIMIT $2", tenant_id, limit)  # noqa: S608  constants of this file
    return [dict(row) for row in rows]


# ---- which customer -------------------------------------------------------------------------------------------------------------


async def owner_of(customer_id: str) -> UUID | None:
    """The tenant that is this customer; None for nobody of ours."""
    async with system_transaction("billing") as conn:
        return await conn.fetchval("SELECT owner_id FROM stripe_customer WHERE customer_id = $1", customer_id)


async def customer_of(tenant_id: UUID) -> str:
    """The tenant's customer, "" for none."""
    async with system_transaction("billing") as conn:
        return await conn.fetchval("SELECT customer_id FROM stripe_customer WHERE owner_id = $1 ORDER BY created_at LIMIT 1", tenant_id) or ""


async def keep_customer(tenant_id: UUID, slug: str, customer_id: str) -> str:
    """Remember who it is; returns the one that was remembered first."""
    async with system_transaction("billing") as conn:
        await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('billing:' || $1::uuid::text, 0))", tenant_id)
        known = await conn.fetchval("SELECT customer_id FROM stripe_customer WHERE owner_id = $1 ORDER BY created_at LIMIT 1", tenant_id)
        if known is None:
            await conn.execute("INSERT INTO stripe_customer (customer_id, owner_id, slug) VALUES ($1, $2, $3)", customer_id, tenant_id, slug)
    return known or customer_id


async def forget_customer(customer_id: str) -> None:
    """The provider has it no more."""
    async with system_transaction("billing") as conn:
        await conn.execute("DELETE FROM stripe_customer WHERE customer_id = $1", customer_id)


async def all_customers() -> dict[str, tuple[UUID, str]]:
    """{customer: (tenant, slug when it became one)}."""
    async with system_transaction("billing") as conn:
        return {row["customer_id"]: (row["owner_id"], row["slug"]) for row in await conn.fetch("SELECT customer_id, owner_id, slug FROM stripe_customer ORDER BY created_at")}


# ---- what was fetched -----------------------------------------------------------------------------------------------------------


async def next_fetch(tenant_id: UUID) -> int:
    """A number for a fetch that begins now: only the newest may be applied. Errors: NotFound for a tenant that is gone."""
    async with system_transaction("billing", of=tenant_id) as conn:
        await conn.execute(_MAKE, tenant_id)
        number = await conn.fetchval("UPDATE billing_account SET asked = asked + 1 WHERE tenant_id = $1 RETURNING asked", tenant_id)
    if number is None:
        raise NotFound()
    return number


async def write_state(conn: Any, tenant_id: UUID, state: State, number: int) -> bool:
    """Put a fetched state into the account and its invoices; False when a later fetch was faster."""
    columns = {**state.columns(), "tax_ids": json.dumps(list(state.tax_ids))}
    changes = ", ".join(f"{name} = ${place}" for place, name in enumerate(columns, 3))
    done = await conn.fetchval(
        f"UPDATE billing_account SET applied = $2, fetched_at = now(), {changes} WHERE tenant_id = $1 AND applied < $2 RETURNING true",  # noqa: S608  columns of our own
        tenant_id, number, *columns.values(),
    )  # fmt: skip
    if not done:
        return False
    await conn.execute("DELETE FROM billing_invoice WHERE tenant_id = $1 AND source = 'stripe' AND id <> ALL($2::text[])", tenant_id, [bill.id for bill in state.bills])
    await conn.executemany(
        "INSERT INTO billing_invoice (tenant_id, id, number, status, currency, amount_due, amount_paid, issued_at, due_at, paid_at, page_url, pdf_url) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (tenant_id, id) DO UPDATE SET number = excluded.number, status = excluded.status, "
        "currency = excluded.currency, amount_due = excluded.amount_due, amount_paid = excluded.amount_paid, issued_at = excluded.issued_at, due_at = excluded.due_at, "
        "paid_at = excluded.paid_at, page_url = excluded.page_url, pdf_url = excluded.pdf_url",
        [(tenant_id, b.id, b.number, b.status, b.currency, b.amount_due, b.amount_paid, b.issued_at, b.due_at, b.paid_at, b.page_url, b.pdf_url) for b in state.bills],
    )
    return True
