"""Scheduled rules: which are due at a moment of the tenant's clock, and running them over their records, each record in its own
transaction, at most once per record and period however often it is run."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from cronsim import CronSim, CronSimError

from saas.db import tenant_transaction
from saas.errors import AppError, Unavailable
from saas.i18n import use_locale
from saas.metadata.config import Entity
from saas.metadata.models import ScheduleDef
from saas.runtime import quota, ranks, timers
from saas.runtime.acts import Act, ActionRun
from saas.runtime.approvals.reminding import remind
from saas.runtime.automations import run_actions
from saas.runtime.context import Context
from saas.runtime.env import read_row
from saas.runtime.query import Query
from saas.runtime.sample_data import is_loading
from saas.tenants import new_id

log = structlog.get_logger(__name__)

BATCH = 200
PERIOD_FORMATS = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m", "year": "%Y", "ever": "ever"}


@dataclass(slots=True)
class ScheduleReport:
    """What one run of one schedule did."""

    schedule: str
    matched: int = 0
    done: int = 0
    skipped: int = 0
    failed: int = 0
    effects: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)


def last_tick(cron: str, at: datetime) -> datetime | None:
    """The latest moment not after `at` (aware, in the tenant's zone) at which the cron expression fires; None if none in a year."""
    try:
        found = next(CronSim(cron, (at.astimezone(UTC) + timedelta(minutes=1)).astimezone(at.tzinfo), reverse=True))
    except StopIteration:
        return None
    # Backwards, the first pass of an hour that happens twice is overlooked; forwards nothing is.
    for later in CronSim(cron, found):
        if later.astimezone(UTC) > at.astimezone(UTC):
            break
        found = later
    return found


def next_ticks(cron: str, at: datetime, count: int = 3) -> list[datetime]:
    """The next moments after `at` (aware, in the tenant's zone) at which the cron expression fires; none for what is no cron expression."""
    try:
        if len(cron.split()) != 5:
            return []
        return list(itertools.islice(CronSim(cron, at), count))
    except CronSimError:
        return []


async def run_due(ctx: Context, *, again: bool = False) -> list[ScheduleReport]:
    """Run every active schedule whose latest tick (by the context's clock) has not been run yet. `ctx` is the system's.

    `again`: also those that have: records that match only now are done, those done in this period are not."""
    reports = []
    await remind(ctx)
    for schedule in ctx.config.schedules:
        if not schedule.active:
            continue
        tick = _tick_of(ctx, schedule)
        if tick is not None and (again or not await _is_finished(ctx, schedule, tick)):
            report = await _run_tick(ctx, schedule, tick)
            if report is None:
                return reports
            reports.append(report)
    return reports


async def _run_tick(ctx: Context, schedule: ScheduleDef, tick: datetime) -> ScheduleReport | None:
    """Run it and note that; None while sample data is put in: rules would act on half of a story."""
    if await is_loading(ctx):
        return None
    with use_locale(ctx.locale):  # what is noted in the log is read by the company's people
        report = await run_schedule(ctx, schedule, tick)
    await _finish(ctx, schedule, tick)
    return report


# A tick is noted when all its records have been gone through, so a worker that dies on the way leaves the rest to the next one.
# Two workers at once do no harm: each record is claimed in the transaction that does its actions.


def _tick_period(tick: datetime) -> str:
    return f"tick {tick.isoformat()}"


async def _is_finished(ctx: Context, schedule: ScheduleDef, tick: datetime) -> bool:
    async with tenant_transaction(ctx.tenant_id) as conn:
        return bool(
            await conn.fetchval(
                "SELECT true FROM schedule_run WHERE tenant_id = $1 AND schedule_key = $2 AND record_id = $3 AND period = $4",
                ctx.tenant_id, schedule.key, UUID(int=0), _tick_period(tick),
            )
        )


async def _finish(ctx: Context, schedule: ScheduleDef, tick: datetime) -> None:
    async with tenant_transaction(ctx.tenant_id) as conn:
        await conn.execute(
            "INSERT INTO schedule_run (tenant_id, schedule_key, record_id, period, ran_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            ctx.tenant_id, schedule.key, UUID(int=0), _tick_period(tick), ctx.now,
        )  # fmt: skip


async def run_schedule(ctx: Context, schedule: ScheduleDef, tick: datetime | None = None) -> ScheduleReport:
    """Run one schedule now, over all records that match at this moment."""
    ctx = ctx.replace(origin="schedule", elevated=True, fixed_now=ctx.now)
    entity = ctx.config.entity(schedule.entity)
    report = ScheduleReport(schedule.key)
    period = period_of(ctx, schedule, tick)
    after: UUID | None = None
    while True:
        ids = await _matching(ctx, entity, schedule, after)
        with ranks.batch(entity, ids):
            for record_id in ids:
                report.matched += 1
                await _run_one(ctx, entity, schedule, record_id, period, report)
        if len(ids) < BATCH:
            break
        after = ids[-1]
    await write_log(ctx, report)
    return report


def period_of(ctx: Context, schedule: ScheduleDef, tick: datetime | None) -> str:
    """What a record is done at most once in, by `once_per`."""
    if schedule.once_per == "run":
        return f"run {(tick or ctx.now).isoformat()}"
    # Of the tick, not of the moment: what a worker that was away catches up on after midnight belongs to the day before.
    return (tick or ctx.now).astimezone(ctx.zone).strftime(PERIOD_FORMATS[schedule.once_per])


async def _matching(ctx: Context, entity: Entity, schedule: ScheduleDef, after: UUID | None) -> list[UUID]:
    async with tenant_transaction(ctx.tenant_id) as conn:
        query = Query(ctx, entity)
        query.filter(schedule.where, trusted=True)
        if after is not None:
            query.where.append(f"t.id > {query.statement.param(after, 'uuid')}")
        found = await conn.fetch(*query.statement.finish(f"SELECT t.id {query.sql} ORDER BY t.id LIMIT {BATCH}"))
        return [r[0] for r in found]


async def _run_one(
    ctx: Context, entity: Entity, schedule: ScheduleDef, record_id: UUID, period: str, report: ScheduleReport
) -> None:
    try:
        quota.refuse_full(ctx, "automation_runs")
        async with tenant_transaction(ctx.tenant_id) as conn:
            first = await conn.fetchval(
                "INSERT INTO schedule_run (tenant_id, schedule_key, record_id, period, ran_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING true",
                ctx.tenant_id, schedule.key, record_id, period, ctx.now,
            )  # fmt: skip
            row = await read_row(conn, ctx, entity, record_id, lock=True) if first else None
            if row is None or row.deleted_at is not None or not await _still_matches(conn, ctx, entity, schedule, record_id):
                report.skipped += 1
                return
            act = Act(conn, ctx.replace(operation_id=new_id(ctx.now)))
            await run_actions(ActionRun(act, entity, row), schedule.do)
            await quota.write(conn, ctx, "automation_runs", 1, [])
            report.done += 1
            report.effects += act.effects
    except Unavailable:
        raise
    except Exception as error:
        # One record that cannot be processed must not stop the others; the log names it.
        report.failed += 1
        report.errors.append({"id": str(record_id), "error": str(error.message if isinstance(error, AppError) else error)[:500]})
        if not isinstance(error, AppError):
            log.exception("scheduled action failed", schedule=schedule.key, record=str(record_id))


async def _still_matches(conn: Any, ctx: Context, entity: Entity, schedule: ScheduleDef, record_id: UUID) -> bool:
    """Whether the condition holds now that the record is locked: what was done for others may have changed it."""
    query = Query(ctx, entity)
    query.filter(schedule.where, trusted=True)
    query.where.append(f"t.id = {query.statement.param(record_id, 'uuid')}")
    return bool(await conn.fetchval(*query.statement.finish(f"SELECT true {query.sql}")))


async def run_by_hand(ctx: Context, key: str) -> ScheduleReport | None:
    """Run one active schedule now, whatever its times; None when there is no such one. `ctx` is the system's."""
    for schedule in ctx.config.bundle.schedules:
        if schedule.key == key and schedule.active:
            with use_locale(ctx.locale):
                return await run_schedule(ctx, schedule)
    return None


def as_ran(ctx: Context, report: ScheduleReport) -> timers.Ran:
    return timers.Ran("schedule", report.schedule, ctx.now, report.matched, report.done, report.failed, [e["error"] for e in report.errors])


async def write_log(ctx: Context, report: ScheduleReport) -> None:
    """Keep what a run did, for the timetable."""
    detail = {"skipped": report.skipped, "effects": report.effects[:200], "errors": report.errors[:50]}
    async with tenant_transaction(ctx.tenant_id) as conn:
        await conn.execute(
            "INSERT INTO schedule_log (tenant_id, id, schedule_key, at, matched, done, failed, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb)",
            ctx.tenant_id, new_id(ctx.now), report.schedule, ctx.now, report.matched, report.done, report.failed, json.dumps(detail, ensure_ascii=False),
        )  # fmt: skip


# ---- by the clock -------------------------------------------------------------------------------------------------------


def _tick_of(ctx: Context, schedule: ScheduleDef) -> datetime | None:
    return last_tick(schedule.cron, ctx.now.astimezone(ctx.zone).replace(microsecond=0))


async def _due(ctx: Context) -> list[tuple[ScheduleDef, datetime]]:
    """Active schedules whose latest tick has not been run. One that is seen for the first time, or again after it was switched off,
    begins with its next tick: what was before is not made up for."""
    every = ctx.config.schedules
    active = [(s, tick) for s in every if s.active and (tick := _tick_of(ctx, s)) is not None]
    if not every:
        return []
    async with tenant_transaction(ctx.tenant_id) as conn:
        off = [s.key for s in every if not s.active]
        if off:
            await conn.execute("DELETE FROM schedule_run WHERE tenant_id = $1 AND record_id = $2 AND schedule_key = ANY($3::text[])", ctx.tenant_id, UUID(int=0), off)
        found = await conn.fetch(
            "SELECT EXISTS (SELECT 1 FROM schedule_run r WHERE r.tenant_id = $1 AND r.schedule_key = k.key AND r.record_id = $2) AS known, "
            "EXISTS (SELECT 1 FROM schedule_run r WHERE r.tenant_id = $1 AND r.schedule_key = k.key AND r.record_id = $2 AND r.period = k.period) AS done "
            "FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS k (key, period, place) ORDER BY k.place",
            ctx.tenant_id, UUID(int=0), [s.key for s, _tick in active], [_tick_period(tick) for _s, tick in active],
        )  # fmt: skip
    for (schedule, tick), row in zip(active, found, strict=True):
        if not row["known"]:
            await _finish(ctx, schedule, tick)
    return [pair for pair, row in zip(active, found, strict=True) if row["known"] and not row["done"]]


async def _is_due(ctx: Context) -> bool:
    return bool(await _due(ctx))


async def _run_timed(ctx: Context) -> list[timers.Ran]:
    ran = []
    for schedule, tick in await _due(ctx):
        report = await _run_tick(ctx, schedule, tick)
        if report is None:
            break
        ran.append(as_ran(ctx, report))
    return ran


async def _next_moment(ctx: Context, until: datetime) -> datetime | None:
    found = [tick for schedule in ctx.config.schedules if schedule.active for tick in next_ticks(schedule.cron, ctx.now.astimezone(ctx.zone), 1)]
    return min((tick.astimezone(UTC) for tick in found if tick <= until), default=None)


timers.register("schedules", timers.Timer(_is_due, _run_timed, _next_moment))
