"""Moving a tenant's clock forward, step by step: what is due at each moment in between runs as if that moment had come, in order.

What goes by the clock is registered in saas.runtime.timers. The clock only goes forward, and back to real time at once. Sessions, tokens,
rate limits, leases of jobs, limits and billing go by the real clock (docs/clock.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import BadRequest, Conflict, PermissionDenied
from saas.i18n import lazy
from saas.runtime import jobs, permissions, timers
from saas.runtime.context import Context
from saas.runtime.contexts import system_context
from saas.runtime.timers import Ran
from saas.tenants import clock as stored
from saas.tenants.features import require_feature
from saas.tenants.tenants import forget_host

KIND = "move_clock"
MOST_YEARS = 5
STEPS = 8000  # of one move; moments nearer to each other than that are one step
KEPT_LINES = 300
# What these leave half done is told apart by the time at which records were written.
REWRITING = ("backfill", "backfill_sweep", "purge", "purge_records", "bulk_edit", "load_sample", "clear_sample")


# ---- asking --------------------------------------------------------------------------------------------------------------------


def require_clock(ctx: Context) -> None:
    """Administrators as themselves, where the operator allows it. Errors: PermissionDenied."""
    if ctx.user is not None:
        if ctx.viewer is not None or ctx.support is not None or not permissions.is_admin(ctx):
            raise PermissionDenied(lazy("Only administrators may move the clock."), reason="admin")
        require_feature(ctx.tenant, stored.FEATURE)


async def begin_move(ctx: Context, to: datetime) -> UUID:
    """Have the clock moved to this moment (aware) in the background; returns the job. Errors: PermissionDenied, BadRequest for a moment
    that is not ahead or too far, Conflict while it is moving or records are being rewritten."""
    require_clock(ctx)
    permissions.require_active(ctx)
    now = ctx.replace(fixed_now=None).now
    if to <= now:
        raise BadRequest(lazy("The clock only goes forward. Choose a moment that is still to come."), field="to")
    offset = round((to - datetime.now(UTC)).total_seconds())
    if offset > MOST_YEARS * 366 * 86400:
        raise BadRequest(lazy("The clock can be at most %(count)s years ahead.", count=MOST_YEARS), field="to")
    async with tenant_transaction(ctx.tenant_id) as conn:
        await _require_quiet(conn, ctx)
        job_id = await jobs.enqueue(conn, ctx, KIND, {"from": now.isoformat(), "offset": offset}, total=100)
        await stored.note(conn, ctx.tenant_id, "clock.moved", actor_id=ctx.user_id, request_id=ctx.request_id, before=now.isoformat(timespec="minutes"), after=to.isoformat(timespec="minutes"))
    jobs.ring()
    return job_id


async def reset(ctx: Context) -> None:
    """Back to real time; also where moving is no longer allowed. What was noted as done at moments that have not really come yet is
    forgotten, except what happens only once ever. Errors: PermissionDenied, Conflict."""
    if ctx.user is not None and not (permissions.is_admin(ctx) and ctx.viewer is None and ctx.support is None):
        raise PermissionDenied(lazy("Only administrators may move the clock."), reason="admin")
    permissions.require_active(ctx)
    async with tenant_transaction(ctx.tenant_id) as conn:
        await _require_quiet(conn, ctx)
        before = await stored.set_offset(conn, ctx.tenant_id, 0)
        if before:
            await conn.execute(
                "DELETE FROM schedule_run WHERE tenant_id = $1 AND ran_at > $2 AND period <> 'ever' AND period NOT LIKE 'date %'", ctx.tenant_id, datetime.now(UTC)
            )
            await stored.note(conn, ctx.tenant_id, "clock.reset", actor_id=ctx.user_id, request_id=ctx.request_id)
    forget_host(ctx.tenant.slug)


async def _require_quiet(conn: Any, ctx: Context) -> None:
    await conn.execute("SELECT 1 FROM tenant WHERE id = $1 FOR NO KEY UPDATE", ctx.tenant_id)  # one after the other
    found = await conn.fetchval(
        "SELECT kind FROM job WHERE tenant_id = $1 AND kind = ANY($2::text[]) AND status IN ('queued', 'running', 'paused') ORDER BY kind = $3 DESC LIMIT 1",
        ctx.tenant_id, [KIND, *REWRITING], KIND,
    )  # fmt: skip
    if found == KIND:
        raise Conflict(lazy("The clock is being moved. Wait until it has arrived, or stop it."), reason="moving")
    if found:
        raise Conflict(lazy("Records are being changed in the background. Wait until that is over."), reason="rewriting")


# ---- moving --------------------------------------------------------------------------------------------------------------------


async def move_in_job(job: jobs.JobRun) -> dict[str, Any]:
    """The work of the job: goes on from where it was interrupted. Its result: the moments `from` and `to`, how many `steps`, what `ran`
    (those that did something), how much was `done` and `failed`."""
    require_clock(job.ctx)
    tenant_id = job.ctx.tenant_id
    start, offset = datetime.fromisoformat(job.payload["from"]), int(job.payload["offset"])
    state: dict[str, Any] = {"from": start.isoformat(), "at": start.isoformat(), "steps": 0, "ran": [], "done": 0, "failed": 0, **job.state}

    while True:
        target = datetime.now(UTC) + timedelta(seconds=offset)
        # Also after an interruption: whatever was not finished at this moment is finished before the clock goes on.
        ctx = await system_context(tenant_id, origin="schedule", at=datetime.fromisoformat(state["at"]))
        _keep(state, await timers.run_all(ctx))
        if "to" in state:
            forget_host(ctx.tenant.slug)
            return state
        step = await _next_step(ctx, start, target)
        if step is None:
            state["to"] = target.isoformat()
        await _stand_at(job, state, offset if step is None else _ahead(step), step or target, start, target)


async def _next_step(ctx: Context, start: datetime, target: datetime) -> datetime | None:
    """The next moment at which something is due; None when the target is next."""
    found = await timers.next_moment(ctx, target)
    if found is None:
        return None
    step = max(found, ctx.now + (target - start) / STEPS)
    return step if step < target else None


def _ahead(moment: datetime) -> int:
    return round((moment - datetime.now(UTC)).total_seconds())


async def _stand_at(job: jobs.JobRun, state: dict[str, Any], offset: int, moment: datetime, start: datetime, target: datetime) -> None:
    """Everybody's clock shows this moment from here on."""
    state["at"], state["steps"] = moment.isoformat(), state["steps"] + 1
    done = round(100 * (moment - start) / (target - start)) if target > start else 100
    async with tenant_transaction(job.ctx.tenant_id) as conn:
        await stored.set_offset(conn, job.ctx.tenant_id, offset)
        await job.checkpoint(conn, done=min(done, 100), total=100, state=state)


def _keep(state: dict[str, Any], ran: Sequence[Ran]) -> None:
    for one in ran:
        state["done"], state["failed"] = state["done"] + one.done, state["failed"] + one.failed
        if (one.done or one.failed) and len(state["ran"]) < KEPT_LINES:
            state["ran"].append(one.to_json())


__all__ = ["KIND", "begin_move", "move_in_job", "require_clock", "reset"]
