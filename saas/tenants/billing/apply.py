"""From the provider to the tenant: fetch what is, write it down, and let the plan, the seats and the trial follow.

Whoever calls this twice, late or at the same time gets the same result: an event only says that something may have changed.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from saas.db import system_transaction
from saas.log import get_logger
from saas.tenants.audit import record_audit
from saas.tenants.billing import extras, store
from saas.tenants.billing.catalogue import RUNS
from saas.tenants.billing.snapshot import State, fetch, state_of
from saas.tenants.plans import Limits, catalogue
from saas.tenants.tenants import forget_host

log = get_logger(__name__)
AFTER = "free"  # the plan of a company whose subscription or trial has ended: what is there stays, only more of it is refused


async def refresh(tenant_id: UUID, customer_id: str) -> State:
    """Errors: as `snapshot.fetch`."""
    number = await store.next_fetch(tenant_id)
    state = state_of(await fetch(customer_id))
    await write(tenant_id, state, number)
    return state


async def write(tenant_id: UUID, state: State, number: int) -> bool:
    """Put a fetched state down, and let the tenant follow it; False when a later fetch was faster."""
    slug = None
    async with system_transaction("billing", of=tenant_id) as conn:
        before = await store.lock_account(conn, tenant_id)
        if not await store.write_state(conn, tenant_id, state, number):
            return False
        today = datetime.now(UTC).date()
        if state.extra_runs < before.extra_runs and before.plan_key in catalogue():  # switched off, or fewer: what was used today is owed
            await extras.note(conn, tenant_id, before, today + timedelta(days=1))
        if state.extra_runs and not before.extra_runs:
            await extras.begin(conn, tenant_id, today)
        if state.is_live and not before.is_live:  # from here the subscription says what is paid; a transfer of long ago does not count at its end
            await conn.execute("UPDATE billing_account SET paid_until = NULL WHERE tenant_id = $1", tenant_id)
        slug = await follow(conn, tenant_id, before, state)
    if slug:
        forget_host(slug)
    return True


async def follow(conn: Any, tenant_id: UUID, before: store.Account, state: State) -> str | None:
    """The tenant's plan, seats and trial follow a running subscription, and its end once; the slug when something changed. Without a
    subscription they are the operator's."""
    if state.is_live and state.plan_key in catalogue():
        wanted = (state.plan_key, paid_limits(state), state.trial_end if state.status == "trialing" else None)
    elif state.ended_at and not state.is_live and (before.subscription_id, before.is_live) != (state.subscription_id, False):
        wanted = (AFTER, {}, None)
    else:
        if state.is_live:
            log.error("billing.unknown_plan", tenant_id=str(tenant_id), subscription=state.subscription_id, plan=state.plan_key)
        return None
    row = await conn.fetchrow(
        "UPDATE tenant t SET plan_key = $2, paid_limits = $3::jsonb, trial_ends_at = $4 FROM tenant o WHERE t.id = $1 AND o.id = t.id "
        "AND (t.plan_key, t.paid_limits, t.trial_ends_at) IS DISTINCT FROM ($2, $3::jsonb, $4::timestamptz) RETURNING t.slug, o.plan_key AS old_plan",
        tenant_id, wanted[0], json.dumps(wanted[1]), wanted[2],
    )  # fmt: skip
    if row is None:
        return None
    await record_audit(conn, tenant_id, "billing.followed", target=row["slug"], data={"plan": wanted[0], "seats": wanted[1].get("seats"), "status": state.status})
    return row["slug"]


def paid_limits(state: State) -> dict[str, Any]:
    """Seats are those paid for; automation runs those of the plan and the extra ones that are paid by use."""
    limits: Limits = catalogue()[state.plan_key].limits
    found: dict[str, Any] = {"seats": state.seats}
    if state.extra_runs and limits.automation_runs is not None:
        found[RUNS.meter] = limits.automation_runs + state.extra_runs
    return found
