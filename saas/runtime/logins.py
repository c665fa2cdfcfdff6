"""What happens by itself when somebody signs in: a job, so that signing in neither waits for it nor fails with it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.log import get_logger
from saas.runtime import jobs
from saas.runtime.acts import Act, Happening
from saas.runtime.automations import run_automation
from saas.runtime.context import Context
from saas.runtime.contexts import context_for_user
from saas.runtime.env import read_row
from saas.runtime.query import Query
from saas.tenants import new_id

log = get_logger(__name__)
KIND = "login_rules"
MOST = 100


async def signed_in(tenant_id: UUID, user_id: UUID) -> None:
    """Somebody has just signed in: their rules run in the background, if there are any."""
    try:
        await _begin(tenant_id, user_id)
    except Exception:  # nobody is kept out for it
        log.exception("login.rules_failed")


async def _begin(tenant_id: UUID, user_id: UUID) -> None:
    ctx = await context_for_user(tenant_id, user_id)
    if not any(a.active and a.on.trigger == "login" for a in ctx.config.bundle.automations) or not ctx.tenant.is_writable or ctx.tenant.delete_after is not None:
        return
    async with tenant_transaction(tenant_id) as conn:
        await jobs.enqueue(conn, ctx, KIND, {"user": str(user_id)})
    jobs.ring()


async def run(ctx: Context) -> int:
    """Run the rules for the context's person; returns how many runs. One record's failure is in the log and keeps no other back."""
    done = 0
    for automation in ctx.config.bundle.automations:
        if not automation.active or automation.on.trigger != "login" or ctx.user is None:
            continue
        entity = ctx.config.entity(automation.entity)
        for record_id in await _records(ctx, automation):
            now = ctx.now
            inner = ctx.replace(fixed_now=now, operation_id=new_id(now))
            async with tenant_transaction(ctx.tenant_id) as conn:
                row = await read_row(conn, inner, entity, record_id, lock=True)
                if row is not None and row.deleted_at is None:
                    done += await run_automation(Act(conn, inner), automation, Happening("login", entity, row))
    return done


async def _records(ctx: Context, automation: Any) -> list[UUID]:
    entity = ctx.config.entity(automation.entity)
    async with tenant_transaction(ctx.tenant_id) as conn:
        query = Query(ctx.replace(elevated=True), entity)
        query.filter({"field": automation.on.options["person"], "op": "eq", "value": str(ctx.user_id)}, trusted=True)
        return [r[0] for r in await conn.fetch(*query.statement.finish(f"SELECT t.id {query.sql} ORDER BY t.created_at DESC LIMIT {MOST}"))]
