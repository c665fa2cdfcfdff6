"""What runs by itself at set times, for administrators: when next, what came of it last, which records would match, and running it now."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import Conflict, NotFound, PermissionDenied
from saas.i18n import lazy
from saas.metadata.models import AutomationDef, ScheduleDef
from saas.runtime import date_rules, jobs, permissions, schedules, timers
from saas.runtime import operations as ops
from saas.runtime.context import Context
from saas.runtime.door import execute

RIGHT = "config"
NEXT = 5
RUNS = 20
SHOWN = 20


@dataclass(frozen=True, slots=True)
class LastRun:
    """`effects`: [{action, entity, id}], at most 200; `errors`: [{id, error}], at most 50."""

    at: datetime
    matched: int
    done: int
    failed: int
    skipped: int
    effects: Sequence[Mapping[str, Any]]
    errors: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A schedule, or an automation that waits for a date, of the published configuration. `key` names it in addresses; `next`: moments
    (UTC), none while it is switched off."""

    key: str
    definition: ScheduleDef | AutomationDef
    next: Sequence[datetime]
    last: LastRun | None

    @property
    def schedule(self) -> ScheduleDef | None:
        return self.definition if isinstance(self.definition, ScheduleDef) else None


@dataclass(frozen=True, slots=True)
class Preview:
    """Records that match at a moment and that the asker may read: the first ones, with their titles; how many at least (`more`: there are
    more than `count`); ids of those already done in the period that then runs. None readable: `closed`."""

    records: Sequence[ops.Record]
    count: int
    more: bool
    done: frozenset[UUID]
    closed: bool = False


def _require(ctx: Context) -> None:
    permissions.require_setting(ctx, RIGHT)


async def entries(ctx: Context) -> list[Entry]:
    """All of them, schedules first, in their order. Errors: PermissionDenied."""
    _require(ctx)
    found = [*((s.key, s) for s in ctx.config.bundle.schedules), *((rule.key, rule.automation) for rule in date_rules.rules(ctx, active=False))]
    async with tenant_transaction(ctx.tenant_id) as conn:
        rows = await conn.fetch(
            "SELECT l.* FROM unnest($2::text[]) k (key) CROSS JOIN LATERAL (SELECT * FROM schedule_log WHERE tenant_id = $1 AND schedule_key = k.key ORDER BY at DESC LIMIT 1) l",
            ctx.tenant_id, [key for key, _ in found],
        )  # fmt: skip
    last = {row["schedule_key"]: _run(row) for row in rows}
    return [Entry(key, definition, await _next(ctx, key, definition), last.get(key)) for key, definition in found]


async def entry(ctx: Context, key: str) -> tuple[Entry, list[LastRun]]:
    """One of them and its latest runs, newest first. Errors: PermissionDenied, NotFound."""
    _require(ctx)
    definition = _find(ctx, key)
    async with tenant_transaction(ctx.tenant_id) as conn:
        rows = await conn.fetch("SELECT * FROM schedule_log WHERE tenant_id = $1 AND schedule_key = $2 ORDER BY at DESC, id DESC LIMIT $3", ctx.tenant_id, key, RUNS)
    runs = [_run(row) for row in rows]
    return Entry(key, definition, await _next(ctx, key, definition), runs[0] if runs else None), runs


def _find(ctx: Context, key: str) -> ScheduleDef | AutomationDef:
    for schedule in ctx.config.bundle.schedules:
        if schedule.key == key:
            return schedule
    return _rule(ctx, key).automation


def _rule(ctx: Context, key: str) -> date_rules.Rule:
    for rule in date_rules.rules(ctx, active=False):
        if rule.key == key:
            return rule
    raise NotFound(lazy("There is no such schedule."))


async def _next(ctx: Context, key: str, definition: ScheduleDef | AutomationDef) -> list[datetime]:
    if not definition.active:
        return []
    if isinstance(definition, ScheduleDef):
        return [tick.astimezone(UTC) for tick in schedules.next_ticks(definition.cron, ctx.now.astimezone(ctx.zone), NEXT)]
    try:
        return await date_rules.upcoming(ctx, _rule(ctx, key), NEXT)
    except PermissionDenied:
        return []


def _run(row: Any) -> LastRun:
    detail = json.loads(row["detail"])
    return LastRun(row["at"], row["matched"], row["done"], row["failed"], detail.get("skipped", 0), detail.get("effects", []), detail.get("errors", []))


async def preview(ctx: Context, key: str, at: datetime | None = None) -> Preview:
    """What would match now, or as if the clock stood `at`. Nothing is changed. Errors: PermissionDenied, NotFound."""
    _require(ctx)
    definition = _find(ctx, key)
    then = ctx.replace(fixed_now=at) if at is not None else ctx
    if isinstance(definition, ScheduleDef):
        within: Any = definition.where
    else:
        rule = _rule(ctx, key)
        bounds = date_rules.within(rule, then, ctx.now if at is not None else await date_rules.since_of(ctx, rule), then.now)
        within = {"and": [bounds, {"expr": definition.condition}]} if definition.condition else bounds
    try:
        page = await execute(then, ops.List(entity=definition.entity, within=within, fields=[], limit=SHOWN, count="capped"))
    except PermissionDenied:
        return Preview((), 0, False, frozenset(), closed=True)
    return Preview(page.records, page.count.value if page.count else len(page.records), bool(page.count and not page.count.exact), await _done(then, key, definition, [r.id for r in page.records], at))


async def _done(ctx: Context, key: str, definition: ScheduleDef | AutomationDef, ids: list[UUID], at: datetime | None) -> frozenset[UUID]:
    """Those that were done already in the same period, or for the present value of their date."""
    async with tenant_transaction(ctx.tenant_id) as conn:
        if not isinstance(definition, ScheduleDef):
            return frozenset(await date_rules.done_of(conn, ctx, _rule(ctx, key), ids))
        rows = await conn.fetch(
            "SELECT record_id FROM schedule_run WHERE tenant_id = $1 AND schedule_key = $2 AND record_id = ANY($3::uuid[]) AND period = $4", ctx.tenant_id, key, ids, schedules.period_of(ctx, definition, at)
        )
    return frozenset(row["record_id"] for row in rows)


async def run_now(ctx: Context, key: str) -> UUID:
    """Have it run once, now, over what matches now; returns the job. Records done in this period already are not done again.
    Errors: PermissionDenied, NotFound, Conflict for one that is switched off."""
    _require(ctx)
    permissions.require_active(ctx)
    if ctx.viewer is not None:
        raise PermissionDenied()
    definition = _find(ctx, key)
    if not definition.active:
        raise Conflict(lazy("This schedule is switched off."))
    payload = {"only": key} if isinstance(definition, ScheduleDef) else {"only_rule": definition.key}
    async with tenant_transaction(ctx.tenant_id) as conn:
        job_id = await jobs.enqueue(conn, ctx, timers.JOB, payload, priority=jobs.WAITED_FOR)
    jobs.ring()
    return job_id


__all__ = ["Entry", "LastRun", "Preview", "entries", "entry", "preview", "run_now"]
