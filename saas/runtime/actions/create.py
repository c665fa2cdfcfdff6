"""Create a record; with `unless_exists`, link one that has equal values in these fields instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.config import Entity
from saas.metadata.kinds import ActionType, action_types, field_types
from saas.runtime.actions.set import VALUES
from saas.runtime.acts import ActionRun
from saas.runtime.records import create
from saas.runtime.rows import Projection, Row
from saas.runtime.sql import PG_TYPES, RecordScope, Statement, field_sql, storage_of
from saas.runtime.uniques import comparable, unique_key


@action_types.register
class Create(ActionType):
    key = "create"
    label = lazy("Create a record")
    icon = "plus"
    makes_record = True
    formulas = {"values": None}
    options_schema = {
        "type": "object",
        "description": N_("Makes a new record, with values taken from this one."),
        "properties": {
            "entity": {"type": "string", "maxLength": 48, "title": N_("Kind of record"), "x-control": "entity"},
            "values": VALUES,
            "unless_exists": {
                "type": "array",
                "items": {"type": "string"},
                "maxItems": 5,
                "title": N_("Not if there is one already"),
                "description": N_("A record that is equal in the ticked fields is used instead of making a second one."),
                "x-control": "any_fields",
            },
        },
        "required": ["entity", "values"],
        "additionalProperties": False,
    }

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        entity = run.ctx.config.entity(options["entity"])
        values = await run.values(options["values"], entity)
        if options.get("unless_exists"):
            existing = await equal_record(run, entity, {key: values.get(key) for key in options["unless_exists"]})
            if existing is not None:
                run.act.effect("link", entity.key, existing.id)
                run.remember(options.get("as"), entity, existing)
                return
        row = await create(run.act, entity, {k: v for k, v in values.items() if v is not None}, confirm_duplicates=True)
        run.remember(options.get("as"), entity, row)


async def equal_record(run: ActionRun, entity: Entity, values: Mapping[str, Any]) -> Row | None:
    """The oldest record with equal values, text compared as unique rules do: without case, width and space."""
    if any(v in (None, "", []) for v in values.values()):
        return None
    ctx = run.ctx
    statement = Statement(ctx)
    scope = RecordScope(statement, entity, "t")
    projection = Projection(scope)
    where = [f"t.entity_id = {entity.number}", "t.deleted_at IS NULL"]
    wanted = Row(id=run.row.id, entity=entity.key, version=0)
    for key, value in values.items():
        declared = entity.fields[key]
        wanted.values[key] = field_types.get(declared.type).normalise(declared, value, ctx.config)
    rule = next((u for u in entity.defn.unique if set(u.fields) == set(values) and not u.when), None)
    if rule is not None:
        where.append(
            f"t.id = (SELECT u.record_id FROM unique_value u WHERE u.tenant_id = {scope.param(ctx.tenant_id, 'uuid')} AND u.entity_id = {entity.number} "
            f"AND u.rule_key = {scope.param(rule.key, 'text')} AND u.value = {scope.param(unique_key(wanted, rule.fields, loose=rule.loose), 'text')})"
        )
    else:
        where += [_equal(scope, entity, key, wanted.values[key]) for key in values]
    found = await run.act.conn.fetchrow(
        *statement.finish(f"SELECT {projection.sql} FROM record t WHERE {' AND '.join(where)} ORDER BY t.created_at, t.id LIMIT 1")
    )
    return projection.row(found) if found else None


def _equal(scope: RecordScope, entity: Entity, key: str, value: Any) -> str:
    declared = entity.fields[key]
    storage = storage_of(scope.config, declared)
    column = field_sql(scope.config, entity, declared, scope.alias)
    if storage == "text":
        return f"lower(regexp_replace({column}, '\\s', '', 'g')) = {scope.param(comparable(value), 'text')}"
    stored = field_types.get(declared.type).to_column(declared, value, scope.config)
    return f"{column} = {scope.param(stored, PG_TYPES[storage])}"
