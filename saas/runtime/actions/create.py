"""Create a record; with `unless_exists`, link one that has equal values in these fields instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy
from saas.metadata.config import Entity
from saas.metadata.kinds import ActionType, action_types, field_types
from saas.runtime.actions.set import VALUES
from saas.runtime.acts import ActionRun
from saas.runtime.records import create
from saas.runtime.rows import Projection, Row
from saas.runtime.sql import PG_TYPES, RecordScope, Statement, field_sql, storage_of


@action_types.register
class Create(ActionType):
    key = "create"
    label = lazy("Create a record")
    options_schema = {
        "type": "object",
        "properties": {
            "entity": {"type": "string", "maxLength": 48, "title": "Kind of record"},
            "values": VALUES,
            "unless_exists": {
                "type": "array",
                "items": {"type": "string"},
                "maxItems": 5,
                "title": "Link instead when equal in",
            },
        },
        "required": ["entity", "values"],
        "additionalProperties": False,
    }

    def expressions(self, options: Mapping[str, Any]) -> list[tuple[str, str, str | None, str | None]]:
        return [(f"values.{key}", text, None, None) for key, text in options["values"].items()]

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        entity = run.ctx.config.entity(options["entity"])
        values = await run.values(options["values"], entity)
        if options.get("unless_exists"):
            existing = await _existing(run, entity, {key: values.get(key) for key in options["unless_exists"]})
            if existing is not None:
                run.act.effect("link", entity.key, existing.id)
                run.remember(options.get("as"), entity, existing)
                return
        row = await create(run.act, entity, {k: v for k, v in values.items() if v is not None}, confirm_duplicates=True)
        run.remember(options.get("as"), entity, row)


async def _existing(run: ActionRun, entity: Entity, values: Mapping[str, Any]) -> Row | None:
    if any(v in (None, "", []) for v in values.values()):
        return None
    statement = Statement(run.ctx)
    scope = RecordScope(statement, entity, "t")
    projection = Projection(scope)
    where = [f"t.entity_id = {entity.number}", "t.deleted_at IS NULL"]
    for key, value in values.items():
        declared = entity.fields[key]
        kind, storage = field_types.get(declared.type), storage_of(run.ctx.config, declared)
        stored = kind.to_column(declared, kind.normalise(declared, value, run.ctx.config), run.ctx.config)
        where.append(f"{field_sql(run.ctx.config, entity, declared, 't')} = {scope.param(stored, PG_TYPES[storage])}")
    found = await run.act.conn.fetchrow(
        *statement.finish(
            f"SELECT {projection.sql} FROM record t WHERE {' AND '.join(where)} ORDER BY t.created_at, t.id LIMIT 1"  # noqa: S608  compiled
        )
    )
    return projection.row(found) if found else None
