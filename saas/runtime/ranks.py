"""The place of a record among all of its kind, for rank() and ntile(), by the values as they are stored, whoever asks: it is the
configuration's own question.

Every place asks all records. Who goes through many records says so by `batch`: then what they ask is found for all of them at once,
as long as nothing is written meanwhile that it depends on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.runtime.context import Context
from saas.runtime.sql import RecordScope, Statement

Wanted = tuple[str, str | None]  # field, and the field that must be equal
Place = tuple[int, int] | None  # the place, and of how many; None for a record without a value
STORED = ("owner", "department", "created_at", "created_by")  # system fields whose changes are told by `wrote`


@dataclass(slots=True)
class _Batch:
    entity: str
    ids: frozenset[UUID]
    found: dict[Wanted, dict[UUID, Place]] = field(default_factory=dict)
    written: set[tuple[str, str | None]] = field(default_factory=set)  # (entity, field; None: records came or went)


_batch: ContextVar[_Batch | None] = ContextVar("ranks_batch", default=None)


@contextmanager
def batch(entity: Entity, ids: Iterable[UUID]) -> Iterator[None]:
    """Inside, places of these records are found together."""
    token = _batch.set(_Batch(entity.key, frozenset(ids)))
    try:
        yield
    finally:
        _batch.reset(token)


def wrote(entity: Entity, keys: Iterable[str] | None) -> None:
    """These fields of some records changed; None: records came or went. What was written stays noted also when it is taken back."""
    if (now := _batch.get()) is not None:
        now.written.update([(entity.key, None)] if keys is None else ((entity.key, key) for key in keys))


async def place_of(conn: Any, ctx: Context, entity: Entity, record_id: UUID, wanted: Wanted, looks_at: frozenset[str] | None) -> Place:
    """`looks_at`: the stored fields of the entity that the answer depends on; None where it depends on other records, too."""
    now = _batch.get()
    # Of one record alone it is cheaper to count those above it than to sort all.
    if now is not None and len(now.ids) > 1 and now.entity == entity.key and record_id in now.ids and _holds(now, entity, looks_at):
        if wanted not in now.found:
            now.found[wanted] = await _places(conn, ctx, entity, now.ids, wanted)
        if record_id in now.found[wanted]:
            return now.found[wanted][record_id]
    return await _place(conn, ctx, entity, record_id, wanted)


def _holds(now: _Batch, entity: Entity, looks_at: frozenset[str] | None) -> bool:
    if looks_at is None or any(key not in entity.declared and key not in STORED for key in looks_at):
        return False
    return now.written.isdisjoint([(entity.key, None), *((entity.key, key) for key in looks_at)])


async def _places(conn: Any, ctx: Context, entity: Entity, ids: Iterable[UUID], wanted: Wanted) -> dict[UUID, Place]:
    statement = Statement(ctx)
    scope = RecordScope(statement, entity, "t")
    key, among = wanted
    value = ex.to_sql(ex.Path((key,)), scope)
    group = ", ".join([f"({value}) IS NULL", *([ex.to_sql(ex.Path((among,)), scope)] if among else [])])
    places = (
        f"SELECT t.id, ({value}) IS NULL AS is_empty, rank() OVER (PARTITION BY {group} ORDER BY {value} DESC) AS place, count(*) OVER (PARTITION BY {group}) AS total "
        f"FROM record t WHERE t.entity_id = {entity.number} AND t.deleted_at IS NULL"
    )
    found = await conn.fetch(*statement.finish(f"SELECT p.* FROM ({places}) p WHERE p.id = ANY({scope.param(list(ids), 'uuid[]')})"))
    return {row["id"]: None if row["is_empty"] else (row["place"], row["total"]) for row in found}


async def _place(conn: Any, ctx: Context, entity: Entity, record_id: UUID, wanted: Wanted) -> Place:
    statement = Statement(ctx)
    mine, others = RecordScope(statement, entity, "t"), RecordScope(statement, entity, "o")
    key, among = wanted
    value, other = (ex.to_sql(ex.Path((key,)), scope) for scope in (mine, others))
    group = " IS NOT DISTINCT FROM ".join(ex.to_sql(ex.Path((among,)), scope) for scope in (others, mine)) if among else "true"
    counted = f"SELECT 1 + count(*) FILTER (WHERE {other} > {value}) AS place, count(*) AS total FROM record o WHERE o.entity_id = {entity.number} AND o.deleted_at IS NULL AND {other} IS NOT NULL AND {group}"
    found = await conn.fetchrow(
        *statement.finish(f"SELECT p.place, p.total FROM record t CROSS JOIN LATERAL ({counted}) p WHERE t.entity_id = {entity.number} AND t.id = {mine.param(record_id, 'uuid')} AND {value} IS NOT NULL")
    )
    return (found["place"], max(found["total"], 1)) if found is not None else None
