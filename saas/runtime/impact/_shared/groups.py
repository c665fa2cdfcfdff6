"""Records with equal values: groups of two and more, as hard and soft rules compare them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from saas.metadata.config import Entity
from saas.runtime.impact._shared.conditions import question
from saas.runtime.impact._shared.future import Future
from saas.runtime.impact._shared.model import SAMPLES
from saas.runtime.impact._shared.survey import Lens, OutOfTime, Survey, live
from saas.runtime.uniques import unique_key

MOST, AT_A_TIME = 20_000, 500


@dataclass(slots=True)
class Groups:
    """`records` stand in `groups` groups of equal ones; `ids` are some of them, group by group."""

    records: int = 0
    groups: int = 0
    looked_at: int = 0
    total: int = 0
    done: bool = False
    exact: bool = True
    ids: list[UUID] = field(default_factory=list)


@dataclass(slots=True)
class _Found:
    """A value that occurs more than once: how often, and in which records that may be shown."""

    count: int = 1
    ids: list[UUID] = field(default_factory=list)


async def equal_records(survey: Survey, entity: Entity, fields: Sequence[str], when: str | None = None) -> Groups:
    """Groups of the entity's records with equal values in all `fields`, as they will be, among those for which `when` holds."""
    asked, result = question(survey, entity.key, (when,), fields), Groups()
    result.exact = asked.exact
    found: dict[bytes, UUID | _Found | None] = {}
    try:
        result.total = await survey.total(survey.before.entity(entity.key))
        future = Future(survey, entity.key)
        async for low, high, number in survey.runs(entity, most=MOST):
            await _run(survey, entity, future, fields, when, asked.judged, (low, high), found)
            result.looked_at += number
        result.done = True
    except OutOfTime:
        pass
    groups = [g for g in found.values() if isinstance(g, _Found)]
    result.groups, result.records = len(groups), sum(g.count for g in groups)
    for group in groups:
        result.ids += group.ids[: max(0, SAMPLES - len(result.ids))]
    return result


async def _run(
    survey: Survey, entity: Entity, future: Future, fields: Sequence[str], when: str | None, judged: bool, bounds: tuple[UUID | None, UUID | None],
    found: dict[bytes, UUID | _Found | None],
) -> None:  # fmt: skip
    lens = Lens(survey, entity.key)
    reading = future.reading(lens, {*fields, *(question(survey, entity.key, (when,)).reads if when and judged else ())})
    where = [live(entity), *(f"t.id {sign} {lens.statement.param(b, 'uuid')}" for sign, b in zip((">", "<="), bounds, strict=True) if b is not None)]
    if when and not judged:
        where.append(lens.holds(when))
    where += [lens.is_filled(f) for f in fields if f not in future.touched]
    sql = f"SELECT {reading.sql}, {lens.readable()} FROM record t WHERE {' AND '.join(where)} ORDER BY t.id"
    rows = await survey.rows(*lens.statement.finish(sql))
    for start in range(0, len(rows), AT_A_TIME):
        part = rows[start : start + AT_A_TIME]
        for row, seen in zip(part, await survey.within(lambda conn, part=part: reading.take(conn, part)), strict=True):
            key = unique_key(seen.row, tuple(fields))
            if key is not None and (not judged or await seen.holds(when)):
                _note(found, bytes.fromhex(key)[:16], seen.id if row[reading.width] else None)
        await asyncio.sleep(0)


def _note(found: dict[bytes, UUID | _Found | None], key: bytes, record: UUID | None) -> None:
    """Most values occur once: only from the second on is more than an id kept."""
    if key not in found:
        found[key] = record
        return
    group = found[key]
    if not isinstance(group, _Found):
        group = found[key] = _Found(ids=[group] if group else [])
    group.count += 1
    if record is not None and len(group.ids) < SAMPLES:
        group.ids.append(record)
