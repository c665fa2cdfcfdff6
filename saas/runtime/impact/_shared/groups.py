"""Records with equal values: groups of two and more, as hard and soft rules compare them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from saas.metadata.config import Entity
from saas.runtime.impact._shared.conditions import question
from saas.runtime.impact._shared.future import Future, Reading
from saas.runtime.impact._shared.model import SAMPLES
from saas.runtime.impact._shared.survey import Lens, OutOfTime, Survey, live
from saas.runtime.rows import decode
from saas.runtime.sql import PG_TYPES, field_sql, storage_of
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
    if not judged and not set(fields) & future.touched and _are_columns(survey, entity, fields):
        await _run_plain(survey, entity, lens, fields, when, bounds, found)
        return
    reading = future.reading(lens, {*fields, *(question(survey, entity.key, (when,)).reads if when and judged else ())})
    where = [live(entity), *(f"t.id {sign} {lens.statement.param(b, 'uuid')}" for sign, b in zip((">", "<="), bounds, strict=True) if b is not None)]
    if when and not judged:
        where.append(lens.holds(when))
    where += [lens.is_filled(f) for f in fields if f not in future.touched]
    sql = f"SELECT {reading.sql}, {lens.readable()} FROM record t WHERE {' AND '.join(where)} ORDER BY t.id"
    rows = await survey.rows(*lens.statement.finish(sql))
    for start in range(0, len(rows), AT_A_TIME):
        part = rows[start : start + AT_A_TIME]
        for key, record in await survey.within(lambda conn, part=part: _keys(conn, reading, fields, when if judged else None, part)):
            _note(found, key, record)
        await asyncio.sleep(0)


async def _keys(conn: Any, reading: Reading, fields: Sequence[str], when: str | None, part: Sequence[Any]) -> list[tuple[bytes, UUID | None]]:
    found = []
    for row, seen in zip(part, await reading.take(conn, part), strict=True):
        key = unique_key(seen.row, tuple(fields))
        if key is not None and await seen.holds(when):
            found.append((bytes.fromhex(key)[:16], seen.id if row[reading.width] else None))
    return found


def _are_columns(survey: Survey, entity: Entity, fields: Sequence[str]) -> bool:
    return all(f in entity.declared and storage_of(survey.after, entity.declared[f]) in PG_TYPES for f in fields)


async def _run_plain(
    survey: Survey, entity: Entity, lens: Lens, fields: Sequence[str], when: str | None, bounds: tuple[UUID | None, UUID | None],
    found: dict[bytes, UUID | _Found | None],
) -> None:  # fmt: skip
    """The usual case, several times as fast: nothing but the values themselves is read."""
    declared = [entity.declared[f] for f in fields]
    kinds = [(f.key, f, storage_of(survey.after, f)) for f in declared]
    where = [live(entity), *(f"t.id {sign} {lens.statement.param(b, 'uuid')}" for sign, b in zip((">", "<="), bounds, strict=True) if b is not None)]
    where += [lens.is_filled(f) for f in fields] + ([lens.holds(when)] if when else [])
    columns = ", ".join(field_sql(survey.after, entity, f, "t") for f in declared)
    rows = await survey.rows(*lens.statement.finish(f"SELECT t.id, {lens.readable()}, {columns} FROM record t WHERE {' AND '.join(where)} ORDER BY t.id"))
    for start in range(0, len(rows), AT_A_TIME):
        for row in rows[start : start + AT_A_TIME]:
            values = {key: decode(survey.after, entity, f, storage, row[place]) for place, (key, f, storage) in enumerate(kinds, 2)}
            key = unique_key(values, tuple(fields))
            if key is not None:
                _note(found, bytes.fromhex(key)[:16], row[0] if row[1] else None)
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
