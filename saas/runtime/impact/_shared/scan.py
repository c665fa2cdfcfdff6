"""Counting checks: one pass over each entity's records, in runs, until the time is up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import structlog

from saas.metadata.config import Entity
from saas.runtime.impact._shared.future import Future
from saas.runtime.impact._shared.model import SAMPLES, Check, Impact
from saas.runtime.impact._shared.survey import Lens, OutOfTime, Survey, live
from saas.runtime.permissions import any_of

log = structlog.get_logger(__name__)
MOST_COUNTED, MOST_JUDGED = 50_000, 2_000  # records in one run: counted by PostgreSQL, looked at one by one
AT_A_TIME = 250  # records judged before others may go on


@dataclass(slots=True)
class _Tally:
    check: Check
    count: int = 0
    ids: list[UUID] = field(default_factory=list)
    failed: bool = False


async def scan(survey: Survey, entity: Entity, checks: Sequence[Check]) -> list[Impact]:
    """The impacts of all checks about one entity; those that found nothing are left out, unless time ran out."""
    tallies = [_Tally(c) for c in checks]
    looked_at, total, done = 0, 0, False
    try:
        total = await survey.total(entity)
        counted = [t for t in tallies if t.check.judge is None]
        judged = [t for t in tallies if t.check.judge is not None]
        future = Future(survey, entity.key) if judged else None
        async for low, high, number in survey.runs(entity, most=MOST_JUDGED if judged else MOST_COUNTED):
            if counted:
                await _count(survey, entity, counted, low, high)
            if future is not None:
                await _judge(survey, entity, future, judged, low, high)
            looked_at += number
        done = True
    except OutOfTime:
        pass
    found = []
    for tally in tallies:
        if tally.count or not (done or tally.failed) or tally.failed:
            samples = await survey.samples_in_time(entity, tally.ids, tally.check.show)
            found.append(tally.check.impact(tally.count, looked_at=0 if tally.failed else looked_at, total=total, done=done and not tally.failed, samples=samples))
    return found


def _range(lens: Lens, low: UUID | None, high: UUID | None) -> str:
    parts = [live(lens.before.entity)]
    if low is not None:
        parts.append(f"t.id > {lens.statement.param(low, 'uuid')}")
    if high is not None:
        parts.append(f"t.id <= {lens.statement.param(high, 'uuid')}")
    return " AND ".join(parts)


# ---- in SQL -------------------------------------------------------------------------------------------------------------


async def _count(survey: Survey, entity: Entity, tallies: list[_Tally], low: UUID | None, high: UUID | None) -> None:
    asked = [t for t in tallies if not t.failed]
    try:
        await _count_together(survey, entity, asked, low, high)
    except (asyncpg.DataError, asyncpg.PostgresSyntaxError, asyncpg.DatatypeMismatchError) as error:
        if len(asked) == 1:  # a value somewhere that the planned rule cannot be computed of: the others go on
            asked[0].failed = True
            log.warning("impact.failed", code=asked[0].check.code, path=asked[0].check.path, error=str(error))
            return
        for tally in asked:
            await _count(survey, entity, [tally], low, high)


async def _count_together(survey: Survey, entity: Entity, tallies: Sequence[_Tally], low: UUID | None, high: UUID | None) -> None:
    lens = Lens(survey, entity.key)
    asked, shown = [], []
    for number, tally in enumerate(tallies):
        asked.append(f"({tally.check.where(lens)}) AS c{number}")
        shown.append(f"count(*) FILTER (WHERE q.c{number})")
        missing = SAMPLES - len(tally.ids)
        if missing > 0:
            shown.append(f"(array_agg(q.id ORDER BY q.id) FILTER (WHERE q.c{number} AND q.seen))[1:{missing}]")
        else:
            shown.append("NULL")
    inner = f"SELECT t.id, ({lens.readable()}) AS seen, {', '.join(asked)} FROM record t WHERE {_range(lens, low, high)} OFFSET 0"
    [row] = await survey.rows(*lens.statement.finish(f"SELECT {', '.join(shown)} FROM ({inner}) q"))
    for number, tally in enumerate(tallies):
        tally.count += row[2 * number]
        tally.ids += row[2 * number + 1] or ()


# ---- one by one ---------------------------------------------------------------------------------------------------------


async def _judge(survey: Survey, entity: Entity, future: Future, tallies: Sequence[_Tally], low: UUID | None, high: UUID | None) -> None:
    lens = Lens(survey, entity.key)
    reading = future.reading(lens, {key for t in tallies for key in t.check.reads})
    chosen = [f"coalesce({t.check.where(lens)}, false)" if t.check.where else "true" for t in tallies]
    some = "" if "true" in chosen else f" AND ({any_of(chosen)})"
    sql = f"SELECT {reading.sql}, {lens.readable()}, {', '.join(chosen)} FROM record t WHERE {_range(lens, low, high)}{some} ORDER BY t.id"
    found = await survey.rows(*lens.statement.finish(sql))
    for start in range(0, len(found), AT_A_TIME):
        part = found[start : start + AT_A_TIME]
        seen = await survey.within(lambda conn, part=part: reading.take(conn, part))
        for row, one in zip(part, seen, strict=True):
            for number, tally in enumerate(tallies):
                if row[reading.width + 1 + number] and await tally.check.judge(one):
                    tally.count += 1
                    if row[reading.width] and len(tally.ids) < SAMPLES:
                        tally.ids.append(one.id)
        await asyncio.sleep(0)

