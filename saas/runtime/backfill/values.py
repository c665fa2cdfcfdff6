"""Values of records before and after: where they were, where they are, what a value of one type is as another."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg

from saas.metadata import expressions as ex
from saas.metadata import slots
from saas.metadata.config import Config, Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.backfill.running import Run
from saas.runtime.context import Context
from saas.runtime.present import display_text, names_for
from saas.runtime.rows import Projection, Row, expr_value
from saas.runtime.sql import PG_TYPES, RecordScope, Statement, field_sql, storage_of
from saas.runtime.validate import EMPTY


def at_place(config: Config, entity_key: str, key: str, place: str) -> Config:
    """The configuration with the field's values in that place, whatever was done with places since."""
    entity = config.entity(entity_key)
    columns = {**entity.columns, **{k: f"{slots.IN_DOCUMENT}{name}" for k, name in entity.places.items()}}
    columns.pop(key, None)
    if place not in ("state", "none"):
        columns[key] = place
    return Config(
        config.bundle, revision=config.revision, numbers={e.key: e.number for e in config.entities.values()},
        columns={**{e.key: {**e.columns, **{k: f"{slots.IN_DOCUMENT}{name}" for k, name in e.places.items()}} for e in config.entities.values()}, entity_key: columns},
        currency=config.currency, country=config.country, time_zone=config.time_zone,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Side:
    """A field under one configuration: how its values are read."""

    ctx: Context
    entity: Entity
    field: FieldDef

    @classmethod
    def of(cls, ctx: Context, config: Config, entity_key: str, key: str) -> Side:
        entity = config.entity(entity_key)
        return cls(ctx.replace(config=config), entity, entity.fields[key])

    async def rows(self, conn: Any, ids: Sequence[UUID], *more: str) -> dict[UUID, Row]:
        return await rows_of(conn, self.ctx, self.entity, ids, [self.field.key, *more])

    async def texts(self, conn: Any, rows: Mapping[UUID, Row]) -> dict[UUID, str]:
        """The values as people read them, with the names of what they link to."""
        names = await names_for(conn, self.ctx, [(self.field, row.get(self.field.key)) for row in rows.values()])
        found = {}
        for record_id, row in rows.items():
            try:
                found[record_id] = display_text(self.ctx, self.entity, self.field, row.get(self.field.key), names)
            except (ValueError, TypeError, KeyError, ArithmeticError, AttributeError):  # an old value that its own type does not understand
                found[record_id] = str(row.get(self.field.key))
        return found


async def rows_of(conn: Any, ctx: Context, entity: Entity, ids: Sequence[UUID], keys: Iterable[str]) -> dict[UUID, Row]:
    """Some fields of records, whoever asks, deleted ones too."""
    statement = Statement(ctx)
    scope = RecordScope(statement, entity, "t")
    projection = Projection(scope, [k for k in keys if k in entity.declared])
    sql = f"SELECT {projection.sql} FROM record t WHERE t.entity_id = {entity.number} AND t.id = ANY({scope.param(list(ids), 'uuid[]')}) ORDER BY t.id"
    return {row.id: row for row in map(projection.row, await conn.fetch(*statement.finish(sql)))}


def converted(to: Side, source: Side, value: Any, text: str) -> Any:
    """The value as one of the other side; None where it is lost."""
    if value in EMPTY:
        return None
    _, was = field_types.get(source.field.type).result_of(source.field, source.ctx.config)
    found = field_types.get(to.field.type).convert(to.field, was, value, text, to.ctx.config)
    return None if found in EMPTY else found


async def owns(run: Run, conn: Any, place: str, shape: str) -> bool:
    """Whether the place still holds this field's values, and no other's: somebody may have purged it, and it was given away."""
    if place in ("state", "none"):
        return True
    row = await conn.fetchrow(
        "SELECT field_key, shape FROM field_column WHERE tenant_id = $1 AND entity_id = $2 AND column_name = $3", run.ctx.tenant_id, run.step.number, place
    )
    return row is not None and row["field_key"].partition(slots.RETIRED)[0] == run.step.field and row["shape"] in ("", shape)


def empty_sql(scope: RecordScope, key: str) -> str:
    """SQL condition: there is no value. Never null."""
    declared = scope.entity.fields[key]
    sql = field_sql(scope.config, scope.entity, declared, scope.alias)
    if declared.system or storage_of(scope.config, declared) in (*PG_TYPES, "links"):
        return f"({sql} IS NULL)"
    return f"(coalesce({sql}, 'null') IN ('null', '\"\"', '[]'))"


# ---- expressions over many records ---------------------------------------------------------------------------------------


async def evaluate(conn: Any, ctx: Context, entity: Entity, ids: Sequence[UUID], texts: Sequence[str]) -> tuple[dict[UUID, list[Any]], list[UUID]]:
    """{record: values of the expressions}, and the records for which they cannot be computed."""
    try:
        async with conn.transaction():
            return await _evaluate(conn, ctx, entity, ids, texts), []
    except asyncpg.DataError:
        if len(ids) == 1:
            return {}, list(ids)
    found: dict[UUID, list[Any]] = {}
    failed: list[UUID] = []
    middle = len(ids) // 2
    for part in (ids[:middle], ids[middle:]):
        values, broken = await evaluate(conn, ctx, entity, part, texts)
        found.update(values)
        failed += broken
    return found, failed


async def _evaluate(conn: Any, ctx: Context, entity: Entity, ids: Sequence[UUID], texts: Sequence[str]) -> dict[UUID, list[Any]]:
    statement = Statement(ctx)
    scope = RecordScope(statement, entity, "t")
    nodes = [ex.parse(text) for text in texts]
    kinds = [ex.check(node, ctx.config, entity.key) for node in nodes]
    parts = ", ".join(ex.to_sql(node, scope) for node in nodes)
    rows = await conn.fetch(
        *statement.finish(f"SELECT t.id, {parts} FROM record t WHERE t.entity_id = {entity.number} AND t.id = ANY({scope.param(list(ids), 'uuid[]')})")
    )
    return {row[0]: [_python(kind, value) for kind, value in zip(kinds, row[1:], strict=True)] for row in rows}


def _python(kind: str, value: Any) -> Any:
    """What PostgreSQL computed, as the expression's Python value."""
    if kind == "list" and isinstance(value, str):
        return json.loads(value)
    if isinstance(value, Decimal):
        return value
    if kind == "any" and isinstance(value, UUID):
        return str(value)
    if kind == "any" and isinstance(value, datetime):
        return value
    return expr_value(kind, value)
