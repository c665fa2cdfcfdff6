"""Automations that begin when a date of a record is reached, or is so far away or past.

Each pass looks at the records whose moment has come since the last one, and at those written since then: a date that is changed counts
anew. Which value of the date a record was done for is noted in the transaction that does it (`schedule_run`, period "date …"), so that
passes may overlap, run twice at once and be killed. A rule begins with the moments after it was first seen switched on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import structlog

from saas.db import tenant_transaction
from saas.errors import AppError, Unavailable
from saas.i18n import use_locale
from saas.metadata.config import Entity
from saas.metadata.models import AutomationDef
from saas.runtime import automations, quota, ranks, runs, timers
from saas.runtime.acts import Act, Happening
from saas.runtime.context import Context
from saas.runtime.env import read_row
from saas.runtime.query import Query
from saas.runtime.sample_data import is_loading
from saas.runtime.schedules import BATCH, ScheduleReport, write_log
from saas.tenants import new_id

log = structlog.get_logger(__name__)

TRIGGER = "date_reached"
NOBODY = UUID(int=0)
OVERLAP = timedelta(minutes=15)  # a record may become visible so long after the time it was written at


def log_key(automation_key: str) -> str:
    """Under which a rule's runs are noted beside those of schedules."""
    return f"date:{automation_key}"


@dataclass(frozen=True, slots=True)
class Rule:
    """`clock`: the time of the day for dates without one."""

    automation: AutomationDef
    entity: Entity
    field: str
    has_time: bool
    days: int
    hours: int
    clock: time

    @property
    def key(self) -> str:
        return log_key(self.automation.key)

    @property
    def mark(self) -> str:
        """Changes with what decides when it is due."""
        said = [self.entity.key, self.field, self.days, self.hours, self.clock.isoformat()]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]

    def moment(self, value: date | datetime, ctx: Context) -> datetime:
        """When it is due for this value of the field (UTC)."""
        if isinstance(value, datetime) and self.has_time:
            return value.astimezone(UTC) + timedelta(days=self.days, hours=self.hours)
        day = value.astimezone(UTC).date() if isinstance(value, datetime) else value
        local = datetime.combine(day + timedelta(days=self.days), self.clock, ctx.zone)
        return local.astimezone(UTC) + timedelta(hours=self.hours)

    def latest(self, at: datetime, ctx: Context) -> str:
        """The latest value of the field for which it is due at this moment, as a filter writes it."""
        if self.has_time:
            return (at.astimezone(UTC) - timedelta(days=self.days, hours=self.hours)).isoformat()
        local = (at - timedelta(hours=self.hours)).astimezone(ctx.zone)
        day = local.date() - timedelta(days=self.days + 1)
        while self.moment(day + timedelta(days=1), ctx) <= at:
            day += timedelta(days=1)
        return day.isoformat()


def rules(ctx: Context, *, active: bool = True) -> list[Rule]:
    """The rules of the configuration, in their order."""
    found = []
    for automation in ctx.config.bundle.automations:
        if automation.on.trigger != TRIGGER or (active and not automation.active):
            continue
        entity, options = ctx.config.entity(automation.entity), automation.on.options
        field = entity.fields[str(options["date"])]
        kind = field.options.get("returns") if field.type == "formula" else field.type
        clock = time.fromisoformat(str(options.get("at") or "00:00"))
        found.append(Rule(automation, entity, field.key, kind == "datetime", int(options.get("days") or 0), int(options.get("hours") or 0), clock))
    return found


# ---- which records ---------------------------------------------------------------------------------------------------------


def within(rule: Rule, ctx: Context, since: datetime, until: datetime) -> dict[str, Any]:
    """The filter of records that become due after `since` and not after `until`."""
    return {"and": [{"field": rule.field, "op": "gt", "value": rule.latest(since, ctx)}, {"field": rule.field, "op": "lte", "value": rule.latest(until, ctx)}]}


class _Search:
    """Records that are due and not done for the present value of their date."""

    def __init__(self, rule: Rule, ctx: Context, since: datetime, last: datetime | None) -> None:
        self.query = query = Query(ctx, rule.entity)
        query.filter(within(rule, ctx, since, ctx.now), trusted=True)
        self.period = _period_sql(query, rule)
        if last is not None and last > since:
            query.filter({"or": [{"field": rule.field, "op": "gt", "value": rule.latest(last, ctx)}, {"field": "updated_at", "op": "gte", "value": (last - OVERLAP).isoformat()}]}, trusted=True)
        key = query.statement.param(rule.key, "text")
        query.where.append(f"NOT EXISTS (SELECT 1 FROM schedule_run s WHERE s.tenant_id = t.tenant_id AND s.schedule_key = {key} AND s.record_id = t.id AND s.period = {self.period})")

    async def ids(self, conn: Any, after: UUID | None, limit: int) -> list[UUID]:
        query = self.query
        more = f" AND t.id > {query.statement.param(after, 'uuid')}" if after is not None else ""
        return [row[0] for row in await conn.fetch(*query.statement.finish(f"SELECT t.id {query.sql}{more} ORDER BY t.id LIMIT {limit}"))]

    async def period_of(self, conn: Any, record_id: UUID) -> str | None:
        """What a record is noted under, if it is due now; it is locked."""
        one = self.query.statement.param(record_id, "uuid")
        return await conn.fetchval(*self.query.statement.finish(f"SELECT {self.period} {self.query.sql} AND t.id = {one}"))


def _period_sql(query: Query, rule: Rule) -> str:
    sql, _kind = query.scope.path((rule.field,))
    return f"'date ' || to_char(({sql})::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"


# ---- passes --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pass:
    """Since when the rule counts, and up to when everything was looked at (None: not under this definition)."""

    since: datetime
    last: datetime | None


async def _passes(ctx: Context, found: Sequence[Rule]) -> list[_Pass | None]:
    """None for a rule that is seen for the first time: it is noted, and begins now. Rules that are off are forgotten."""
    off = [rule.key for rule in rules(ctx, active=False) if not rule.automation.active]
    async with tenant_transaction(ctx.tenant_id) as conn:
        if off:
            await conn.execute("DELETE FROM schedule_run WHERE tenant_id = $1 AND record_id = $2 AND schedule_key = ANY($3::text[])", ctx.tenant_id, NOBODY, off)
        rows = await conn.fetch("SELECT schedule_key, period, ran_at FROM schedule_run WHERE tenant_id = $1 AND record_id = $2 AND schedule_key = ANY($3::text[])", ctx.tenant_id, NOBODY, [r.key for r in found])
        known = {(row["schedule_key"], row["period"]): row["ran_at"] for row in rows}
        passes: list[_Pass | None] = []
        for rule in found:
            since = known.get((rule.key, "date since"))
            if since is None or since > ctx.now:  # never seen, or seen by a clock that was put back
                await _note(conn, ctx, rule, "date since")
                await _note(conn, ctx, rule, f"date pass {rule.mark}")
                passes.append(None)
            else:
                last = known.get((rule.key, f"date pass {rule.mark}"))
                passes.append(_Pass(since, last if last is None or last <= ctx.now else None))
    return passes


async def _note(conn: Any, ctx: Context, rule: Rule, period: str) -> None:
    await conn.execute(
        "INSERT INTO schedule_run (tenant_id, schedule_key, record_id, period, ran_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant_id, schedule_key, record_id, period) DO UPDATE SET ran_at = $5",
        ctx.tenant_id, rule.key, NOBODY, period, ctx.now,
    )  # fmt: skip


async def _is_due(ctx: Context) -> bool:
    found = rules(ctx)
    if not found:
        return False
    fixed = ctx.replace(fixed_now=ctx.now)
    for rule, known in zip(found, await _passes(fixed, found), strict=True):
        if known is not None:
            async with tenant_transaction(ctx.tenant_id) as conn:
                if await _Search(rule, fixed, known.since, known.last).ids(conn, None, 1):
                    return True
    return False


async def _run_timed(ctx: Context) -> list[timers.Ran]:
    found, ran = rules(ctx), []
    if not found or await is_loading(ctx):
        return []
    ctx = ctx.replace(origin="schedule", fixed_now=ctx.now)
    for rule, known in zip(found, await _passes(ctx, found), strict=True):
        if known is not None:
            report = await run_rule(ctx, rule, known.since, known.last)
            async with tenant_transaction(ctx.tenant_id) as conn:
                await _note(conn, ctx, rule, f"date pass {rule.mark}")
            if report.matched:
                ran.append(as_ran(ctx, rule, report))
    return ran


def as_ran(ctx: Context, rule: Rule, report: ScheduleReport) -> timers.Ran:
    return timers.Ran("automation", rule.automation.key, ctx.now, report.matched, report.done, report.failed, [e["error"] for e in report.errors])


async def run_by_hand(ctx: Context, automation_key: str) -> timers.Ran | None:
    """One pass of one rule over everything since it counts, also what failed before; None for one that is not there or off."""
    ctx = ctx.replace(origin="schedule", fixed_now=ctx.now)
    for rule in rules(ctx):
        if rule.automation.key == automation_key:
            [known] = await _passes(ctx, [rule])
            return as_ran(ctx, rule, await run_rule(ctx, rule, known.since if known else ctx.now, None))
    return None


async def since_of(ctx: Context, rule: Rule) -> datetime:
    """Since when a rule counts; now for one that no pass has seen."""
    async with tenant_transaction(ctx.tenant_id) as conn:
        found = await conn.fetchval("SELECT ran_at FROM schedule_run WHERE tenant_id = $1 AND record_id = $2 AND schedule_key = $3 AND period = 'date since'", ctx.tenant_id, NOBODY, rule.key)
    return found or ctx.now


async def run_rule(ctx: Context, rule: Rule, since: datetime, last: datetime | None) -> ScheduleReport:
    """One pass. `last`: up to which moment everything was looked at before. `ctx` is the system's, its clock fixed."""
    report = ScheduleReport(rule.key)
    after: UUID | None = None
    with use_locale(ctx.locale):
        while True:
            async with tenant_transaction(ctx.tenant_id) as conn:
                ids = await _Search(rule, ctx, since, last).ids(conn, after, BATCH)
            with ranks.batch(rule.entity, ids):
                for record_id in ids:
                    report.matched += 1
                    await _run_one(ctx, rule, since, record_id, report)
            if len(ids) < BATCH:
                break
            after = ids[-1]
    if report.matched:
        await write_log(ctx, report)
    return report


async def _run_one(ctx: Context, rule: Rule, since: datetime, record_id: UUID, report: ScheduleReport) -> None:
    ctx = ctx.replace(operation_id=new_id(ctx.now))
    try:
        quota.refuse_full(ctx, "automation_runs")
        async with tenant_transaction(ctx.tenant_id) as conn:
            row = await read_row(conn, ctx, rule.entity, record_id, lock=True)
            period = await _Search(rule, ctx, since, None).period_of(conn, record_id) if row is not None else None
            first = period is not None and await conn.fetchval(
                "INSERT INTO schedule_run (tenant_id, schedule_key, record_id, period, ran_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING true",
                ctx.tenant_id, rule.key, record_id, period, ctx.now,
            )  # fmt: skip
            act = Act(conn, ctx)
            if row is None or not first or not await automations.run_automation(act, rule.automation, Happening(TRIGGER, rule.entity, row)):
                report.skipped += 1
                return
            report.done += 1
            report.effects += act.effects
    except Unavailable:
        raise
    except Exception as error:
        # One record that cannot be processed must not stop the others; the logs name it.
        await runs.keep_undone(ctx, error)
        report.failed += 1
        report.errors.append({"id": str(record_id), "error": str(error.message if isinstance(error, AppError) else error)[:500]})
        if not isinstance(error, AppError):
            log.exception("date rule failed", automation=rule.automation.key, record=str(record_id))


# ---- what comes next -----------------------------------------------------------------------------------------------------------


async def upcoming(ctx: Context, rule: Rule, count: int, until: datetime | None = None) -> list[datetime]:
    """The next moments (UTC) after `ctx.now` at which it is due for some record that `ctx` may read."""
    query = Query(ctx, rule.entity)
    bounds: list[Any] = [{"field": rule.field, "op": "gt", "value": rule.latest(ctx.now, ctx)}]
    if until is not None:
        bounds.append({"field": rule.field, "op": "lte", "value": rule.latest(until, ctx)})
    query.filter({"and": bounds}, trusted=True)
    sql, _kind = query.scope.path((rule.field,))
    async with tenant_transaction(ctx.tenant_id) as conn:
        rows = await conn.fetch(*query.statement.finish(f"SELECT DISTINCT ({sql})::timestamptz AS value {query.sql} ORDER BY 1 LIMIT {int(count)}"))
    return [rule.moment(row["value"], ctx) for row in rows]


async def done_of(conn: Any, ctx: Context, rule: Rule, ids: Sequence[UUID]) -> list[UUID]:
    """Those of the records that it was done for, with the value their date has now."""
    query = Query(ctx, rule.entity)
    some, key = query.statement.param(list(ids), "uuid[]"), query.statement.param(rule.key, "text")
    query.where.append(f"t.id = ANY({some}) AND EXISTS (SELECT 1 FROM schedule_run s WHERE s.tenant_id = t.tenant_id AND s.schedule_key = {key} AND s.record_id = t.id AND s.period = {_period_sql(query, rule)})")
    return [row[0] for row in await conn.fetch(*query.statement.finish(f"SELECT t.id {query.sql}"))]


async def _next_moment(ctx: Context, until: datetime) -> datetime | None:
    found = [moment for rule in rules(ctx) for moment in await upcoming(ctx, rule, 1, until)]
    return min(found, default=None)


timers.register("date_rules", timers.Timer(_is_due, _run_timed, _next_moment))

__all__ = ["Rule", "as_ran", "done_of", "log_key", "rules", "run_by_hand", "run_rule", "since_of", "upcoming", "within"]
