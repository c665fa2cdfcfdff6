"""Loading facts: rows that change the record with the same key, or make it. The key is a unique rule of the entity, so loading the same
rows again changes nothing, and two loads at once meet in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from saas.errors import AppError, BadRequest, FieldProblem, InvalidInput
from saas.i18n import lazy
from saas.metadata.config import Entity
from saas.metadata.models import UniqueDef
from saas.runtime import permissions
from saas.runtime.acts import Act
from saas.runtime.context import Context
from saas.runtime.creating import let_others
from saas.runtime.records import create, update
from saas.runtime.rows import Row
from saas.runtime.uniques import unique_key
from saas.runtime.validate import lay
from saas.tenants import new_id

MOST = 1000  # rows a request


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a row: created, changed or same."""

    id: UUID
    status: str


async def upsert_many(conn: Any, ctx: Context, entity: Entity, rule_key: str, rows: Sequence[Mapping[str, Any]]) -> list[Loaded | AppError]:
    """Each row stands or falls alone, in order. Errors: BadRequest (no such rule, too many rows), PermissionDenied."""
    rule = next((u for u in entity.defn.unique if u.key == rule_key and u.when is None), None)
    if rule is None:
        raise BadRequest(lazy("There is no unique rule “%(key)s” here that holds for all records.", key=rule_key), field="by")
    if len(rows) > MOST:
        raise BadRequest(lazy("At most %(most)s rows fit in one request.", most=MOST), field="rows")
    permissions.require(ctx, "create", entity.key)
    found: list[Loaded | AppError] = []
    for place, values in enumerate(rows):
        at = ctx.now + timedelta(microseconds=place)
        own = ctx.replace(fixed_now=at, operation_id=new_id(at))
        try:
            found.append(await _one(conn, own, entity, rule, values))
        except AppError as error:
            found.append(error)
        await let_others(place)
    return found


async def _one(conn: Any, ctx: Context, entity: Entity, rule: UniqueDef, values: Mapping[str, Any]) -> Loaded:
    planned = Row(id=new_id(ctx.now), entity=entity.key, version=0)
    lay(ctx, entity, planned, {k: values.get(k) for k in rule.fields})
    key = unique_key(planned, rule.fields, loose=rule.loose)
    if key is None:
        missing = [k for k in rule.fields if planned.get(k) in (None, "", [])]
        raise InvalidInput([FieldProblem(k, "required", lazy("This field is required."), f"/{k}") for k in missing])
    there = await _holder(conn, ctx, entity, rule, key)
    if there is None:
        try:
            async with conn.transaction():
                return Loaded((await create(Act(conn, ctx), entity, values, confirm_duplicates=True)).id, "created")
        except InvalidInput:
            there = await _holder(conn, ctx, entity, rule, key)  # made by another load at this moment
            if there is None:
                raise
    async with conn.transaction():
        act = Act(conn, ctx)
        row = await update(act, entity, there, {k: v for k, v in values.items() if k not in rule.fields}, confirm_duplicates=True)
        return Loaded(there, "changed" if row.updated_at == ctx.now and any(e["id"] == str(there) for e in act.effects) else "same")


async def _holder(conn: Any, ctx: Context, entity: Entity, rule: UniqueDef, key: str) -> UUID | None:
    return await conn.fetchval(
        "SELECT record_id FROM unique_value WHERE tenant_id = $1 AND entity_id = $2 AND rule_key = $3 AND value = $4", ctx.tenant_id, entity.number, rule.key, key
    )
