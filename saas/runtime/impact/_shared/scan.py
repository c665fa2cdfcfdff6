"""Counting checks: one pass over each entity's records, in runs, until the time is up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from saas.metadata.config import Entity
from saas.runtime.impact._shared.future import Future, Reading
from saas.runtime.impact._shared.model import SAMPLES, Check, Impact
from saas.runtime.impact._shared.survey import Lens, OutOfTime, Survey, live
from saas.runtime.permissions import any_of

log = structlog.get_logger(__name__)
MOST_COUNTED, MOST_JUDGED = 50_000, 2_000  # records in one run: counted by PostgreSQL, looked at one by one
AT_A_TIME = 250  # records judged before others may go on
# What a value that nobody foresaw may lead to.
_UNANSWERED = (asyncpg.DataError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError)


@dataclass(slots=True)
class _Tally:
    check: Check
    count: int = 0
    ids: list[UUID] = field(default_factory=list)
    failed: bool = False


async def scan(survey: Survey, entity: Entity, checks: Sequence[Check]) -> list[Impact]:
    """The impacts of all checks about one entity; those that found nothing are left out, unless time ran out. What PostgreSQL can
    count comes first: it is quick."""
    tallies = [_Tally(c) for c in checks]
    counted, judged = [t for t in tallies if t.check.judge is None], [t for t in tallies if t.check.judge is not None]
    found = await _pass(survey, entity, counted, _count, MOST_COUNTED) if counted else []
    if judged:
        future = Future(survey, entity.key)
        found += await _pass(survey, entity, judged, lambda *run: _judge(future, *run), MOST_JUDGED)
    return found


async def _pass(survey: Survey, entity: Entity, tallies: list[_Tally], look: Callable[..., Awaitable[None]], most: int) -> list[Impact]:
    """Once over the records, as far as the time goes."""
    looked_at, total, done = 0, -1, False  # -1: not even that is known
    try:
        total = await survey.total(entity)
        async for low, high, number in survey.runs(entity, most=most):
            await look(survey, entity, tallies, low, high)
            looked_at += number
        done = True
    except OutOfTime:
        pass
    found = []
    for tally in tallies:
        if tally.count or tally.failed or (total != 0 and not done):
            samples = await survey.samples_in_time(entity, tally.ids, tally.check.show)
            found.append(tally.check.impact(tally.count, looked_at=0 if tally.failed else looked_at, total=max(0, total), done=done and not tally.failed, samples=samples))
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
            _give_up(asked, error)
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


def _give_up(tallies: Sequence[_Tally], error: Exception) -> None:
    """The report says that these could not be looked at; the rest of it stands."""
    for tally in tallies:
        tally.failed = True
        log.warning("impact.failed", code=tally.check.code, path=tally.check.path, kind=type(error).__name__)


# ---- one by one ---------------------------------------------------------------------------------------------------------


async def _judge(future: Future, survey: Survey, entity: Entity, tallies: Sequence[_Tally], low: UUID | None, high: UUID | None) -> None:
    lens = Lens(survey, entity.key)
    reading = future.reading(lens, {key for t in tallies for key in t.check.reads})
    chosen = [f"coalesce({t.check.where(lens)}, false)" if t.check.where else "true" for t in tallies]
    some = "" if "true" in chosen else f" AND ({any_of(chosen)})"
    sql = f"SELECT {reading.sql}, {lens.readable()}, {', '.join(chosen)} FROM record t WHERE {_range(lens, low, high)}{some} ORDER BY t.id"
    found = await survey.rows(*lens.statement.finish(sql))
    for start in range(0, len(found), AT_A_TIME):
        part, asked = found[start : start + AT_A_TIME], [(n, t) for n, t in enumerate(tallies) if not t.failed]
        try:
            judged = await survey.within(lambda conn, part=part, asked=asked: _judged(conn, reading, asked, part))
        except _UNANSWERED as error:
            _give_up([t for _, t in asked], error)
            return
        for tally, one, readable in judged:
            tally.count += 1
            if readable and len(tally.ids) < SAMPLES:
                tally.ids.append(one)
        await asyncio.sleep(0)


async def _judged(conn: Any, reading: Reading, tallies: Sequence[tuple[int, _Tally]], part: Sequence[Any]) -> list[tuple[_Tally, UUID, bool]]:
    """Which checks hold for which records, and whether they may be shown; all of the part or, when the time is up, none."""
    found = []
    for row, one in zip(part, await reading.take(conn, part), strict=True):
        for number, tally in tallies:
            if row[reading.width + 1 + number] and await tally.check.judge(one):
                found.append((tally, one.id, row[reading.width]))
    return found
