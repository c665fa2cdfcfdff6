"""Rollups: stored on the parent, recomputed in the transaction that changes a child, so always consistent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from saas.metadata import expressions as ex
from saas.metadata.config import Entity, Relation
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime import ranks
from saas.runtime.context import Context
from saas.runtime.rows import Row, encode, expr_value
from saas.runtime.sql import RecordScope, Statement, expr_type

MAX_DEPTH = 5


def relations_with_rollups(ctx: Context, child: str) -> list[tuple[Entity, Relation, list[FieldDef]]]:
    """Parents of an entity that keep rollups over it."""

    def make() -> list[tuple[Entity, Relation, list[FieldDef]]]:
        found = []
        for parent in ctx.config.entities.values():
            for relation in parent.children.values():
                fields = [f for f in parent.declared.values() if f.type == "rollup" and f.options["of"] == relation.key]
                if relation.child == child and fields:
                    found.append((parent, relation, fields))
        return found

    return ctx.config.cached(("rollups", child), make)


async def refresh_parents(
    conn: Any, ctx: Context, child: Entity, row: Row, old: Row | None, changed: set[str] | None, depth: int = 0
) -> None:
    """Recompute the rollups of the record's parents, old and new. `changed` None: the record appeared or vanished."""
    if depth >= MAX_DEPTH:
        return
    for parent, relation, fields in relations_with_rollups(ctx, child.key):
        if changed is not None and not any(_concerned(ctx, child, f, relation, changed) for f in fields):
            continue
        ids: set[str] = set()
        for version in (row, old):
            value = version.get(relation.field) if version else None
            ids.update(value if isinstance(value, list) else [value] if value else [])
        for parent_id in sorted(ids):
            await refresh(conn, ctx, parent, UUID(parent_id), fields, depth)


def _concerned(ctx: Context, child: Entity, rollup: FieldDef, relation: Relation, changed: set[str]) -> bool:
    names = {relation.field, rollup.options.get("field")}
    if rollup.options.get("where"):
        needs = ex.needs(ex.parse(rollup.options["where"]))
        names |= {path[0] for path in needs.paths}
        if needs.children:
            return True
    if any(name in child.fields and child.fields[name].type == "formula" for name in names):
        return True
    return bool(names & changed) or (
        child.pipeline is not None and child.pipeline.field in changed and bool(rollup.options.get("where"))
    )


async def refresh(conn: Any, ctx: Context, entity: Entity, record_id: UUID, fields: Iterable[FieldDef], depth: int = 0) -> None:
    """Recompute rollup fields of one record and store those that changed."""
    fields = list(fields)
    statement = Statement(ctx)
    scope = RecordScope(statement, entity, "t")
    parts = [ex.to_sql(rollup_node(f), scope) for f in fields]
    # Locked first, computed after: two children of one parent changed at once would else both miss the other's change.
    await conn.execute(f"SELECT 1 FROM record t WHERE t.entity_id = {entity.number} AND t.id = $1 FOR NO KEY UPDATE", record_id)
    stored = [scope.value_sql(f) for f in fields]
    found = await conn.fetchrow(
        *statement.finish(
            f"SELECT {', '.join([*parts, *stored])} FROM record t WHERE t.entity_id = {entity.number} AND t.id = {scope.param(record_id, 'uuid')}"
        )
    )
    if found is None:
        return
    values = {}
    for position, declared in enumerate(fields):
        fresh, kept = found[position], found[len(fields) + position]
        if fresh != kept:
            kind = expr_type(ctx.config, declared)
            values[declared.key] = (
                None if fresh is None else field_types.get("rollup").from_expr(declared, expr_value(kind, fresh), ctx.config)
            )
    if values:
        await store(conn, ctx, entity, record_id, values)
        row = Row(id=record_id, entity=entity.key, version=1)
        for _, relation, above in relations_with_rollups(ctx, entity.key):
            if any(_concerned(ctx, entity, f, relation, set(values)) for f in above):
                link = scope.value_sql(entity.fields[relation.field])
                value = await conn.fetchval(f"SELECT {link} FROM record t WHERE t.entity_id = {entity.number} AND t.id = $1", record_id)
                row.values[relation.field] = json.loads(value) if isinstance(value, str) else str(value) if value else None
        if row.values:
            await refresh_parents(conn, ctx, entity, row, None, set(values), depth + 1)


async def refresh_many(conn: Any, ctx: Context, entity: Entity, ids: Iterable[UUID], fields: Iterable[FieldDef], depth: int = 0) -> int:
    """`refresh` for many records of one entity at once; returns how many changed."""
    wanted, fields = sorted(set(ids)), list(fields)
    if not wanted or not fields or depth >= MAX_DEPTH:
        return 0
    await conn.execute(f"SELECT 1 FROM record t WHERE t.entity_id = {entity.number} AND t.id = ANY($1::uuid[]) ORDER BY t.id FOR NO KEY UPDATE", wanted)
    statement = Statement(ctx)
    scope = RecordScope(statement, entity, "t")
    parts = [*(ex.to_sql(rollup_node(f), scope) for f in fields), *(scope.value_sql(f) for f in fields)]
    found = await conn.fetch(
        *statement.finish(
            f"SELECT t.id, {', '.join(parts)} FROM record t WHERE t.entity_id = {entity.number} AND t.id = ANY({scope.param(wanted, 'uuid[]')}) ORDER BY t.id"
        )
    )
    changed: dict[UUID, dict[str, Any]] = {}
    keys: set[str] = set()
    for item in found:
        fresh, kept = item[1 : len(fields) + 1], item[len(fields) + 1 :]
        if tuple(fresh) == tuple(kept):
            continue
        kind = field_types.get("rollup")
        changed[item[0]] = {
            f.key: None if value is None else kind.from_expr(f, expr_value(expr_type(ctx.config, f), value), ctx.config)
            for f, value in zip(fields, fresh, strict=True)
        }
        keys |= {f.key for f, new, old in zip(fields, fresh, kept, strict=True) if new != old}
    if changed:
        await _store_many(conn, ctx, entity, changed)
        await refresh_above(conn, ctx, entity, list(changed), keys, depth=depth + 1)
    return len(changed)


async def refresh_above(
    conn: Any, ctx: Context, child: Entity, ids: Sequence[UUID], changed: set[str], *, also: Mapping[str, Iterable[UUID]] | None = None, depth: int = 0
) -> None:
    """Recompute the rollups over `changed` fields of the parents that these records have; `also`: further parents by link field,
    those they had before."""
    for parent, relation, fields in relations_with_rollups(ctx, child.key):
        concerned = [f for f in fields if _concerned(ctx, child, f, relation, changed)]
        if not concerned:
            continue
        scope = RecordScope(Statement(ctx), child, "t")
        link = scope.value_sql(child.fields[relation.field])
        rows = await conn.fetch(f"SELECT {link} FROM record t WHERE t.entity_id = {child.number} AND t.id = ANY($1::uuid[])", list(ids))
        parents = {UUID(str(v)) for row in rows if row[0] for v in (json.loads(row[0]) if isinstance(row[0], str) else [row[0]])}
        await refresh_many(conn, ctx, parent, parents | set((also or {}).get(relation.field, ())), concerned, depth)


def of_nothing(ctx: Context, entity: Entity) -> dict[str, Any]:
    """The rollup values of a record that has no children yet."""

    def make() -> dict[str, Any]:
        fields = [f for f in entity.declared.values() if f.type == "rollup" and f.options["fn"] in ("count", "sum")]
        return {f.key: field_types.get("rollup").from_expr(f, Decimal(0), ctx.config) for f in fields}

    return ctx.config.cached(("rollups.nothing", entity.key), make)


def rollup_text(declared: FieldDef) -> str:
    """The aggregate a rollup stands for, as people would write it."""
    options = declared.options
    where = f" where {options['where']}" if options.get("where") else ""
    target = f"{options['of']}.{options['field']}" if options.get("field") and options["fn"] != "count" else options["of"]
    return f"{options['fn']}({target}{where})"


def rollup_node(declared: FieldDef) -> Any:
    """The aggregate a rollup stands for, as an expression."""
    return ex.parse(rollup_text(declared))


async def store(conn: Any, ctx: Context, entity: Entity, record_id: UUID, values: dict[str, Any]) -> None:
    await _store_many(conn, ctx, entity, {record_id: values})


async def _store_many(conn: Any, ctx: Context, entity: Entity, values: Mapping[UUID, Mapping[str, Any]]) -> None:
    """Write rollups of several records, the same fields of each."""
    ranks.wrote(entity, {key for own in values.values() for key in own})
    rows, sets = [], []
    for record_id, own in values.items():
        encoded = encode(ctx.config, entity, own)
        sets = [f"{column} = ${place}::{pg}" for place, (column, (_, pg)) in enumerate(encoded.columns.items(), 2)]
        row = [record_id, *(value for value, _ in encoded.columns.values())]
        if encoded.doc:
            row.append(json.dumps(encoded.doc))
            sets.append(f"doc = doc || ${len(row)}::jsonb")
        rows.append(row)
    await conn.executemany(f"UPDATE record SET {', '.join(sets)} WHERE entity_id = {entity.number} AND id = $1", rows)
