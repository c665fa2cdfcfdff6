"""Runs of automations that go on: when a wait is over, when a step is tried again, when somebody lets a failed run go on.

Each action has a transaction of its own here, and the place of the next one is written in it: a worker that is killed loses nothing
and does nothing twice. A run keeps the steps it began with. When it goes on, the automation must still be there and switched on, and
under a new revision its steps are checked against it: what does not fit any more ends with the reason instead of doing half of it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from saas.db import cells, system_transaction, tenant_transaction
from saas.errors import AppError, Conflict, Unavailable
from saas.i18n import use_locale
from saas.metadata.config import Config
from saas.metadata.models import ActionDef, AutomationDef
from saas.metadata.step_checks import check_steps
from saas.runtime import jobs, runs, timers
from saas.runtime.acts import Act, ActionRun
from saas.runtime.context import Context
from saas.runtime.contexts import context_for_user, system_context
from saas.runtime.env import read_row
from saas.runtime.said import written
from saas.runtime.steps import Pause, Walk, pause_before, step_at, words
from saas.tenants import new_id
from saas.tenants.tenants import WRITABLE

log = structlog.get_logger(__name__)
KIND = "automation_run"
AT_ONCE = 200  # runs of a tenant that are woken together
ATTEMPTS = 4  # at once, of a step that met another writer
PUT_OFF_SECONDS = (5.0, 15.0, 60.0, 300.0, 900.0, 900.0, 900.0)  # until it is tried again after these; then the run has failed
CLOSED_SECONDS = 900.0  # until a run looks again whether its workspace may be written
GOES_ON = "goes on"  # not a status: there is more to do at once

# The tenants with runs that are due by their own clocks, found by stepping through the index from one to the next.
_DUE = """
WITH RECURSIVE tenants AS (
    (SELECT l.tenant_id FROM automation_log l WHERE l.status = 'waiting' ORDER BY l.tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT l.tenant_id FROM automation_log l WHERE l.status = 'waiting' AND l.tenant_id > w.tenant_id ORDER BY l.tenant_id LIMIT 1) FROM tenants w WHERE w.tenant_id IS NOT NULL
)
SELECT t.id FROM tenants w JOIN tenant t ON t.id = w.tenant_id AND t.cell = '' AND t.status = ANY($1::text[]) AND t.delete_after IS NULL
WHERE EXISTS (SELECT 1 FROM automation_log l WHERE l.tenant_id = t.id AND l.status = 'waiting' AND l.due_at <= now() + make_interval(secs => t.clock_offset_seconds))
"""


async def wake_due() -> int:
    """Let every run whose wait is over go on, in all tenants, each as a job of its own; returns how many. Called by the worker."""
    woken = 0
    for cell in cells():
        try:
            async with system_transaction("claim_jobs", cell=cell) as conn:
                due = [row["id"] for row in await conn.fetch(_DUE, list(WRITABLE))]
        except Unavailable:
            if len(cells()) == 1:
                raise
            continue
        for tenant_id in due:
            try:
                woken += len(await wake(await system_context(tenant_id)))
            except Unavailable:
                log.warning("runs wait for a database", tenant=str(tenant_id))
    if woken:
        jobs.ring()
    return woken


async def wake(ctx: Context) -> list[UUID]:
    """Put a job for each run of the tenant that is due by the context's clock."""
    async with tenant_transaction(ctx.tenant_id) as conn:
        found = await conn.fetch(
            "UPDATE automation_log SET status = 'queued', due_at = NULL WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM automation_log "
            f"WHERE tenant_id = $1 AND status = 'waiting' AND due_at <= $2 ORDER BY due_at LIMIT {AT_ONCE} FOR UPDATE SKIP LOCKED) RETURNING id",
            ctx.tenant_id, ctx.now,
        )  # fmt: skip
        for row in found:
            await jobs.enqueue(conn, ctx.replace(support=None, user=None), KIND, {"run": str(row["id"])})
    return [row["id"] for row in found]


async def run_due(ctx: Context) -> int:
    """Go on with everything that is due by the context's clock, here and now, in its order; returns how many runs. Each stays due until it
    waits again or is over: if this process dies, somebody else goes on with it."""
    count = 0
    while True:
        async with tenant_transaction(ctx.tenant_id) as conn:
            sql = f"SELECT id FROM automation_log WHERE tenant_id = $1 AND status = 'waiting' AND due_at <= $2 ORDER BY due_at, id LIMIT {AT_ONCE}"
            found = [row["id"] for row in await conn.fetch(sql, ctx.tenant_id, ctx.now)]
        for run_id in found:
            try:
                await go_on(ctx, run_id, here=True)
            except Unavailable:
                raise
            except Exception as error:  # one run keeps no other back
                if isinstance(error, Conflict) and error.is_contention and await _put_off(ctx, run_id, here=True) is not None:
                    continue
                log.exception("automation.crashed", run=str(run_id))
                async with tenant_transaction(ctx.tenant_id) as conn:
                    await runs.give_up(conn, ctx.tenant_id, run_id, "failed", words(error) if isinstance(error, AppError) else runs.CRASHED, due=ctx.now)
        count += len(found)
        if not found:
            return count


async def go_on(ctx: Context, run_id: UUID, *, here: bool = False) -> str:
    """Do the run's remaining steps, up to its end or the next wait, by the context's clock; its status then. It has a job that does so,
    or is done `here`: then it stays due meanwhile, and is left to a job that takes it up."""
    while True:
        status = await _next(ctx, run_id, here)
        if status != GOES_ON:
            return status


async def _next(ctx: Context, run_id: UUID, here: bool) -> str:
    """One action of the run, with its place, in one transaction."""
    for attempt in range(ATTEMPTS):
        try:
            return await _one(ctx, run_id, here)
        except Conflict as error:
            if not error.is_contention or attempt == ATTEMPTS - 1:
                raise
            await asyncio.sleep(0.05 * 3**attempt)
    raise AssertionError("unreachable")


async def _put_off(ctx: Context, run_id: UUID, *, here: bool) -> float | None:
    """Others have what the run's step needs, which is no fault of the run: the seconds until it is tried again. None when it was put off
    often enough. One that is gone on with `here` is due then."""
    async with tenant_transaction(ctx.tenant_id) as conn:
        times = await conn.fetchval("SELECT coalesce((state->>'put_off')::int, 0) FROM automation_log WHERE tenant_id = $1 AND id = $2", ctx.tenant_id, run_id)
        if times is None or times >= len(PUT_OFF_SECONDS):
            return None
        seconds = PUT_OFF_SECONDS[times]
        await conn.execute(
            "UPDATE automation_log SET state = jsonb_set(state, '{put_off}', to_jsonb($3::int)), due_at = CASE WHEN $4 THEN $5::timestamptz ELSE due_at END WHERE tenant_id = $1 AND id = $2 AND state IS NOT NULL",
            ctx.tenant_id, run_id, times + 1, here, ctx.now + timedelta(seconds=seconds),
        )  # fmt: skip
        return seconds


class _Failed(Exception):
    """A step failed; its transaction must be rolled back before that is written down."""

    def __init__(self, place: list[Any], told: list[dict[str, Any]], error: Exception) -> None:
        super().__init__(str(error))
        self.place, self.told, self.error = place, told, error


async def _one(ctx: Context, run_id: UUID, here: bool) -> str:
    """Errors: Unavailable, and Conflict where it met another writer, whatever step that befell: nothing is written down then."""
    begun = time.perf_counter()
    try:
        async with tenant_transaction(ctx.tenant_id) as conn:
            row = await _take(conn, ctx, run_id, here)
            return row if isinstance(row, str) else await _walk(conn, ctx, row, begun, here)
    except _Failed as failed:
        return await _failed(ctx, run_id, failed, begun, here)


_READ = "id, automation_key, entity_id, record_id, status, revision, actor_id, steps, state, detail, due_at"


async def _take(conn: Any, ctx: Context, run_id: UUID, here: bool) -> Any:
    """The locked row of a run that is to go on; else its status. The record is locked first, as by everybody who changes it: they wake or
    stop its runs afterwards."""
    about = await conn.fetchrow("SELECT entity_id, record_id FROM automation_log WHERE tenant_id = $1 AND id = $2", ctx.tenant_id, run_id)
    if about is None:
        return "stopped"
    await conn.execute(f"SELECT 1 FROM record WHERE entity_id = {int(about['entity_id'])} AND id = $1 FOR UPDATE", about["record_id"])
    row = await conn.fetchrow(f"SELECT {_READ} FROM automation_log WHERE tenant_id = $1 AND id = $2 FOR UPDATE", ctx.tenant_id, run_id)
    is_due = row is not None and (row["status"] == "waiting" and row["due_at"] <= ctx.now if here else row["status"] == "queued")
    return row if is_due else row["status"] if row is not None else "stopped"


async def ready(conn: Any, ctx: Context, run_id: UUID) -> tuple[ActionRun, tuple[ActionDef, ...], dict[str, Any]] | str:
    """A run as it would go on now: with its steps and its state; or why it cannot."""
    row = await conn.fetchrow(f"SELECT {_READ} FROM automation_log WHERE tenant_id = $1 AND id = $2", ctx.tenant_id, run_id)
    return await _ready(conn, ctx, row) if row is not None else runs.RECORD_GONE


async def _ready(conn: Any, ctx: Context, row: Any) -> tuple[ActionRun, tuple[ActionDef, ...], dict[str, Any]] | str:
    state = json.loads(row["state"]) if row["state"] else None
    automation = next((a for a in ctx.config.bundle.automations if a.key == row["automation_key"]), None)
    entity = next((e for e in ctx.config.entities.values() if e.number == row["entity_id"]), None)
    if state is None or automation is None or not automation.active or entity is None:
        return runs.SWITCHED_OFF
    if row["revision"] != ctx.config.revision and not _fits(ctx.config, automation, row["revision"], state):
        return runs.CHANGED
    record = await read_row(conn, ctx, entity, row["record_id"], lock=True)
    if record is None or (record.deleted_at is not None and not state["deleted"]):
        return runs.RECORD_GONE
    return await _run(conn, ctx, row, state, entity, record, automation), runs.steps_in(state), state


async def _walk(conn: Any, ctx: Context, row: Any, begun: float, here: bool) -> str:
    found = await _ready(conn, ctx, row)
    if isinstance(found, str):
        return await _end(conn, ctx, row, "stopped", error=found)
    run, steps, state = found
    walk = Walk(start=state["place"], began=runs.moment(state["began"]), attempt=state["attempt"], one=True, may_pause=True)
    try:
        pause = await walk.through(run, steps)
    except Unavailable:
        raise
    except Exception as error:
        raise _Failed(_place_of(walk, state), walk.told, error) from error
    return await _kept(conn, ctx, row, state, run, walk, pause, begun, here)


async def _run(conn: Any, ctx: Context, row: Any, state: Mapping[str, Any], entity: Any, record: Any, automation: AutomationDef) -> ActionRun:
    """As the person who caused it, as far as they are still there; no right is asked."""
    mine = ctx
    if row["actor_id"] is not None:
        person = await _person(ctx, row["actor_id"])
        mine = person if person is not None else ctx
    now = ctx.now
    mine = mine.replace(origin="automation", elevated=True, depth=state["depth"], running=tuple(state["running"]), fixed_now=now, operation_id=new_id(now), locale=ctx.locale)
    run = ActionRun(Act(conn, mine), entity, record, runs.old_row(entity, record.id, state), None, await runs.results_from(conn, mine, state), row["id"], automation.key)
    run.act.held.add((entity.key, record.id))
    return run


async def _person(ctx: Context, user_id: UUID) -> Context | None:
    try:
        found = await context_for_user(ctx.tenant_id, user_id)
    except AppError:
        return None
    return ctx.replace(user=found.user)


def _place_of(walk: Walk, state: Mapping[str, Any]) -> list[Any]:
    """Where it failed: the step last told of, on the level that can be gone on from."""
    told = next((t["at"] for t in reversed(walk.told) if "error" in t), None)
    if told is None:
        return state["place"]
    place: list[Any] = []
    for part in told:
        if isinstance(part, str) and part not in ("then", "else"):
            break  # inside a loop: it is done as a whole
        place.append(part)
    return place


def _fits(config: Config, automation: AutomationDef, revision: int, state: Mapping[str, Any]) -> bool:
    """Whether steps of an older revision still mean something under this one; worked out once for a configuration."""

    def check() -> bool:
        return not check_steps(config, automation, runs.steps_in(state))

    return config.cached(("resuming.fits", automation.key, revision), check)


async def _kept(conn: Any, ctx: Context, row: Any, state: dict[str, Any], run: ActionRun, walk: Walk, pause: Pause | None, begun: float, here: bool) -> str:
    """Where the run stands now, in the transaction of what was done."""
    told = [*json.loads(row["steps"]), *walk.told]
    detail = json.loads(row["detail"])
    detail["effects"] = [*detail.get("effects", ()), *run.act.effects][-20:]
    if pause is None or pause.ends:
        return await _end(conn, ctx, row, "done" if pause is None else "stopped", error=None if pause is None else runs.ENDED_WAITING, told=told, detail=detail, begun=begun)
    later = {**state, **runs.place_of(pause), "put_off": 0, "results": {**state["results"], **runs.results_of(run)}}
    status, due = ("waiting", pause.due) if pause.due is not None else ("waiting", ctx.now) if here else ("queued", None)
    await conn.execute(
        "UPDATE automation_log SET status = $3, due_at = $4, watches = $5, state = $6::jsonb, steps = $7::jsonb, detail = $8::jsonb, error = NULL, work_us = work_us + $9 WHERE tenant_id = $1 AND id = $2",
        ctx.tenant_id, row["id"], status, due, pause.watches, written(later), written(told[-300:]), written(detail), _spent(begun),
    )  # fmt: skip
    return GOES_ON if pause.due is None else "waiting"


async def _failed(ctx: Context, run_id: UUID, failed: _Failed, begun: float, here: bool) -> str:
    """After the rollback: try the step again later, or give the run up where it stands."""
    if not isinstance(failed.error, AppError):
        log.error("automation.crashed", run=str(run_id), exc_info=failed.error)
    async with tenant_transaction(ctx.tenant_id) as conn:
        row = await _take(conn, ctx, run_id, here)
        if isinstance(row, str):
            return row
        state = json.loads(row["state"])
        step = step_at(runs.steps_in(state), failed.place)
        attempt = state["attempt"] if failed.place == state["place"] else 0
        error = words(failed.error) if isinstance(failed.error, AppError) else runs.CRASHED
        told = [*json.loads(row["steps"]), *[t for t in failed.told if "error" in t]]
        again = step is not None and step.retry is not None and attempt < step.retry["times"]
        later = {**state, "place": failed.place, "began": None, "attempt": attempt + 1 if again else 0}
        await conn.execute(
            "UPDATE automation_log SET status = $3, due_at = $4, state = $5::jsonb, steps = $6::jsonb, error = $7, ended_at = $8, work_us = work_us + $9, watches = false WHERE tenant_id = $1 AND id = $2",
            ctx.tenant_id, run_id, "waiting" if again else "failed", ctx.now + pause_before(step, attempt) if again and step is not None else None, written(later), written(told[-300:]), error,
            None if again else ctx.now, _spent(begun),
        )  # fmt: skip
    return "waiting" if again else "failed"


async def _end(
    conn: Any, ctx: Context, row: Any, status: str, *, error: str | None = None, told: list[Any] | None = None, detail: Any = None, begun: float | None = None
) -> str:
    await conn.execute(
        "UPDATE automation_log SET status = $3, error = $4, ended_at = $5, state = NULL, due_at = NULL, watches = false, steps = coalesce($6::jsonb, steps), detail = coalesce($7::jsonb, detail), "
        "work_us = work_us + $8 WHERE tenant_id = $1 AND id = $2",
        ctx.tenant_id, row["id"], status, error, ctx.now, written(told[-300:]) if told is not None else None, written(detail) if detail is not None else None, _spent(begun) if begun else 0,
    )  # fmt: skip
    return status


def _spent(begun: float) -> int:
    return round((time.perf_counter() - begun) * 1_000_000)


async def run_job(ctx: Context, run_id: UUID) -> Mapping[str, Any]:
    """The job that goes on with one run; in a workspace in which nothing may be changed at present it waits."""
    if not ctx.tenant.is_writable or ctx.tenant.delete_after is not None:
        raise jobs.JobWaits(CLOSED_SECONDS)
    with use_locale(ctx.locale):
        try:
            return {"run": str(run_id), "status": await go_on(ctx, run_id)}
        except Conflict as error:
            seconds = await _put_off(ctx, run_id, here=False) if error.is_contention else None
            if seconds is None:
                raise
            raise jobs.JobWaits(seconds) from error


# ---- the tenant's clock ---------------------------------------------------------------------------------------------------


async def _is_due(ctx: Context) -> bool:
    async with tenant_transaction(ctx.tenant_id) as conn:
        sql = "SELECT EXISTS (SELECT 1 FROM automation_log WHERE tenant_id = $1 AND status = 'waiting' AND due_at <= $2)"
        return bool(await conn.fetchval(sql, ctx.tenant_id, ctx.now))


async def _run_timed(ctx: Context) -> list[timers.Ran]:
    with use_locale(ctx.locale):
        count = await run_due(ctx)
    return [timers.Ran("automation", "", ctx.now, count, count)] if count else []


async def _next_moment(ctx: Context, until: datetime) -> datetime | None:
    async with tenant_transaction(ctx.tenant_id) as conn:
        return await conn.fetchval("SELECT min(due_at) FROM automation_log WHERE tenant_id = $1 AND status = 'waiting' AND due_at > $2 AND due_at <= $3", ctx.tenant_id, ctx.now, until)


timers.register("automations", timers.Timer(_is_due, _run_timed, _next_moment))
