"""Rollups: stored on the parent, recomputed in the transaction that changes a child, so always consistent."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from uuid import UUID

from saas.metadata import expressions as ex
from saas.metadata.config import Entity, Relation
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
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


def of_nothing(ctx: Context, entity: Entity) -> dict[str, Any]:
    """The rollup values of a record that has no children yet."""

    def make() -> dict[str, Any]:
        fields = [f for f in entity.declared.values() if f.type == "rollup" and f.options["fn"] in ("count", "sum")]
        return {f.key: field_types.get("rollup").from_expr(f, Decimal(0), ctx.config) for f in fields}

    return ctx.config.cached(("rollups.nothing", entity.key), make)


def rollup_node(declared: FieldDef) -> Any:
    """The aggregate a rollup stands for, as an expression."""
    options = declared.options
    where = f" where {options['where']}" if options.get("where") else ""
    target = f"{options['of']}.{options['field']}" if options.get("field") and options["fn"] != "count" else options["of"]
    return ex.parse(f"{options['fn']}({target}{where})")


async def store(conn: Any, ctx: Context, entity: Entity, record_id: UUID, values: dict[str, Any]) -> None:
    encoded = encode(ctx.config, entity, values)
    params: list[Any] = [record_id]
    sets = []
    for column, (value, pg) in encoded.columns.items():
        params.append(value)
        sets.append(f"{column} = ${len(params)}::{pg}")
    if encoded.doc:
        params.append(json.dumps(encoded.doc))
        sets.append(f"doc = doc || ${len(params)}::jsonb")
    await conn.execute(f"UPDATE record SET {', '.join(sets)} WHERE entity_id = {entity.number} AND id = $1", *params)
