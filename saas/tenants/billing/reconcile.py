"""Once a night: is everything here as the payment provider has it? What is not is listed and repaired; the report is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.db import system_transaction, tenant_transaction
from saas.errors import AppError, NotFound, UpstreamFailed
from saas.log import get_logger
from saas.tenants.billing import apply, checkout, client, store
from saas.tenants.billing.catalogue import MARK
from saas.tenants.billing.snapshot import State, fetch, state_of
from saas.tenants.billing.webhooks import After
from saas.tenants.ids import new_id
from saas.tenants.tenants import get_tenant

log = get_logger(__name__)
NIGHT_HOURS = 20  # after so long a report is due again
_COMPARED = (
    "subscription_id", "status", "plan_key", "currency", "seats", "extra_runs", "period_end", "trial_end", "cancel_at", "ended_at", "unpaid_since", "trial_used",
    "second_subscription", "email", "tax_ids",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference. `what`: the name of a value, or one of invoices, plan, seats, gone, stranger, failed, second."""

    slug: str
    what: str
    here: str
    there: str
    repaired: bool = True


@dataclass(slots=True)
class Report:
    examined: int = 0
    drift: list[Drift] = field(default_factory=list)
    error: str = ""


async def reconcile(after: After) -> Report:
    """Compare and repair everything; the report is stored. `after` is called for each tenant. Errors: Conflict without a provider."""
    report = Report()
    known = await store.all_customers()
    try:
        for customer_id, (tenant_id, slug) in known.items():
            report.examined += 1
            try:
                report.drift += await _one_or_gone(tenant_id, slug, customer_id, after)
            except client.NotThere:
                report.drift.append(Drift(slug, "gone", customer_id, "", repaired=False))
            except UpstreamFailed:  # the provider is in trouble: the others would only wait as long, one by one
                report.drift.append(Drift(slug, "failed", customer_id, "", repaired=False))
                raise
            except AppError as error:
                report.drift.append(Drift(slug, "failed", str(error.message), "", repaired=False))
        report.drift += await _strangers(known)
    except AppError as error:  # what was found so far is worth keeping
        report.error = str(error.message)
    await _keep(report)
    log.info("billing.reconciled", examined=report.examined, drift=len(report.drift), error=report.error)
    return report


async def _one_or_gone(tenant_id: UUID, slug: str, customer_id: str, after: After) -> list[Drift]:
    try:
        found = await _one(tenant_id, slug, customer_id)
        await after(tenant_id)
    except NotFound:
        async with system_transaction("billing") as conn:  # the home directory has every tenant, wherever its rows are
            is_there = await conn.fetchval("SELECT true FROM tenant WHERE id = $1", tenant_id)
        if is_there:
            return [Drift(slug, "failed", customer_id, "", repaired=False)]
        return await _gone(customer_id, slug)
    return found


async def _one(tenant_id: UUID, slug: str, customer_id: str) -> list[Drift]:
    tenant = await get_tenant(tenant_id)
    number = await store.next_fetch(tenant_id)
    state = state_of(await fetch(customer_id))
    async with tenant_transaction(tenant_id) as conn:
        account = await store.read_account(conn, tenant_id)
        bills = {row["id"]: (row["status"], row["amount_due"], row["amount_paid"]) for row in await store.list_invoices(conn, tenant_id, limit=100_000) if row["source"] == "stripe"}
    found = [Drift(slug, name, _text(getattr(account, name)), _text(getattr(state, name))) for name in _COMPARED if _differs(account, state, name)]
    theirs = {bill.id: (bill.status, bill.amount_due, bill.amount_paid) for bill in state.bills}
    if bills != theirs:
        changed = sorted(id for id in bills.keys() | theirs.keys() if bills.get(id) != theirs.get(id))
        found.append(Drift(slug, "invoices", f"{len(bills)}", f"{len(theirs)}: {', '.join(changed)[:200]}"))
    if state.is_live and not found:
        wanted = apply.paid_limits(state) if state.plan_key in apply.catalogue() else {}
        if tenant.plan_key != state.plan_key:
            found.append(Drift(slug, "plan", tenant.plan_key, state.plan_key))
        elif dict(tenant.paid_limits) != wanted:
            found.append(Drift(slug, "limits", json.dumps(dict(tenant.paid_limits)), json.dumps(wanted)))
    if state.second_subscription:
        found.append(Drift(slug, "second", state.subscription_id, customer_id, repaired=False))
    await apply.write(tenant_id, state, number)
    return found


def _differs(account: store.Account, state: State, name: str) -> bool:
    here, there = getattr(account, name), getattr(state, name)
    return list(here) != list(there) if name == "tax_ids" else here != there


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return ", ".join(value) if isinstance(value, (list, tuple)) else str(value if value is not None else "")


async def _gone(customer_id: str, slug: str) -> list[Drift]:
    """Nobody pays for a workspace that is no more."""
    ended = await checkout.end_now(customer_id)
    async with system_transaction("billing") as conn:
        await conn.execute("DELETE FROM stripe_customer WHERE customer_id = $1", customer_id)
    return [Drift(slug, "gone", "", sub) for sub in ended]


async def _strangers(known: Mapping[str, Any]) -> list[Drift]:
    """Running subscriptions that we sold, to customers we do not know."""
    found = []
    for sub in await client.every("subscriptions"):
        if (sub.get("metadata") or {}).get("app") == MARK and sub["customer"] not in known:
            found.append(Drift("", "stranger", "", f"{sub['id']} ({sub['customer']})", repaired=False))
    return found


async def _keep(report: Report) -> None:
    drift = [{name: getattr(line, name) for name in Drift.__slots__} for line in report.drift]
    async with system_transaction("billing") as conn:
        await conn.execute("INSERT INTO billing_report (id, examined, drift, error) VALUES ($1, $2, $3::jsonb, $4)", new_id(), report.examined, json.dumps(drift), report.error[:500])


async def list_reports(*, limit: int = 10) -> list[dict[str, Any]]:
    """Newest first."""
    async with system_transaction("billing") as conn:
        rows = await conn.fetch("SELECT id, at, examined, drift, error FROM billing_report ORDER BY at DESC LIMIT $1", limit)
    return [{**dict(row), "drift": json.loads(row["drift"])} for row in rows]


async def is_due() -> bool:
    async with system_transaction("billing") as conn:
        return not await conn.fetchval("SELECT EXISTS (SELECT 1 FROM billing_report WHERE at > now() - make_interval(hours => $1))", NIGHT_HOURS)
