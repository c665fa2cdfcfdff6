"""Segments of records and people: who belongs where, and that nobody writes across the border."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import FieldProblem, InvalidInput
from saas.i18n import lazy, pick
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.present import titles_of
from saas.runtime.segment_sql import isolates
from saas.runtime.sql import Statement
from saas.runtime.validate import Draft
from saas.tenants import find_user, list_departments, record_audit

NOBODY = UUID(int=0)
MOST = 500  # segments to choose from


async def segments_of(conn: Any, ctx: Context, user_id: UUID) -> set[str]:
    """The segments of a person: keys of options, ids of records or departments."""
    rows = await conn.fetch("SELECT option_key, record_id FROM user_segment WHERE tenant_id = $1 AND user_id = $2", ctx.tenant_id, user_id)
    return {r["option_key"] or str(r["record_id"]) for r in rows}


async def keep(conn: Any, ctx: Context, draft: Draft) -> None:
    """A new record comes into its maker's segment if they have one; what is written stays inside those of who writes, and its owner's."""
    entity, key = draft.entity, draft.entity.defn.segment_field
    if key is None or (draft.old is not None and key not in draft.changed and "owner" not in draft.changed):
        return
    if isolates(ctx, entity) and ctx.user_id is not None and (draft.old is None or key in draft.changed):
        mine = await segments_of(conn, ctx, ctx.user_id)
        if draft.old is None and not draft.row.get(key) and len(mine) == 1:
            draft.row.values[key] = next(iter(mine))
            draft.changed.add(key)
        elif str(draft.row.get(key) or "") not in mine:
            draft.problem(key, "other_segment", lazy("This is outside of your segment."))
            return
    if not ctx.unrestricted and "owner" in draft.changed and draft.row.owner is not None and not await fits(conn, ctx, entity, draft.row.get(key), draft.row.owner):
        draft.problem("owner", "other_segment", lazy("This person does not belong to the record's segment."))


async def fits(conn: Any, ctx: Context, entity: Entity, segment: Any, person: UUID) -> bool:
    """Whether a person would see a record of that segment: it is one of theirs, or they cross the borders."""
    if entity.defn.segment_field is None:
        return True
    roles = {r["role_key"] for r in await conn.fetch("SELECT role_key FROM user_role WHERE tenant_id = $1 AND user_id = $2", ctx.tenant_id, person)}
    if any(role.admin or role.key in entity.defn.segment_roles for key in roles if (role := ctx.config.roles.get(key)) is not None):
        return True
    return bool(segment) and str(segment) in await segments_of(conn, ctx, person)


# ---- who belongs where ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Segment:
    """`value` is an option's key or an id."""

    value: str
    label: str


async def choices(ctx: Context) -> list[Segment]:
    """The segments there are, of all entities that have any. Errors: PermissionDenied."""
    permissions.require_setting(ctx, "users")
    found: dict[str, str] = {}
    for entity in ctx.config.entities.values():
        field = entity.fields.get(entity.defn.segment_field or "")
        if field is None:
            continue
        holds = field_types.get(field.type).holds
        if holds == "dept":
            found.update({str(d["id"]): pick(d["name"], ctx.locale) for d in await list_departments(ctx.tenant_id)})
        elif holds == "record":
            found.update(await _records(ctx, ctx.config.entity(field.options["to"])))
        else:
            found.update({o.key: pick(o.label, ctx.locale) for o in ctx.config.options(entity.key, field.key)})
    return [Segment(value, label) for value, label in found.items()]


async def _records(ctx: Context, entity: Entity) -> dict[str, str]:
    statement = Statement(ctx)
    sql = f"SELECT t.id FROM record t WHERE t.entity_id = {entity.number} AND t.deleted_at IS NULL ORDER BY t.created_at LIMIT {MOST}"
    async with tenant_transaction(ctx.tenant_id) as conn:
        ids = [r[0] for r in await conn.fetch(*statement.finish(sql))]
        return {str(i): title for i, title in (await titles_of(conn, ctx, entity, ids)).items()}


async def show(ctx: Context, user_id: UUID) -> set[str]:
    """Errors: PermissionDenied, NotFound."""
    permissions.require_setting(ctx, "users")
    await find_user(ctx.tenant_id, user_id=user_id)
    async with tenant_transaction(ctx.tenant_id) as conn:
        return await segments_of(conn, ctx, user_id)


async def put(ctx: Context, user_id: UUID, values: Sequence[str]) -> None:
    """Say to which segments a person belongs, all of them. Errors: PermissionDenied, NotFound, InvalidInput."""
    permissions.require_setting(ctx, "users")
    permissions.require_active(ctx)
    person = await find_user(ctx.tenant_id, user_id=user_id)
    known = ctx.config.roles
    if any(not permissions.may_give(ctx, known[key]) for key in person["role_keys"] if key in known):
        permissions.require_setting(ctx, "*")
    offered = {s.value for s in await choices(ctx)}
    if unknown := [v for v in values if v not in offered]:
        raise InvalidInput([FieldProblem("segments", "unknown", lazy("There is no segment “%(key)s”.", key=unknown[0]), "/segments")])
    async with tenant_transaction(ctx.tenant_id) as conn:
        before = await segments_of(conn, ctx, user_id)
        await conn.execute("DELETE FROM user_segment WHERE tenant_id = $1 AND user_id = $2", ctx.tenant_id, user_id)
        for value in dict.fromkeys(values):
            option, record = _places(value)
            await conn.execute("INSERT INTO user_segment (tenant_id, user_id, option_key, record_id) VALUES ($1, $2, $3, $4)", ctx.tenant_id, user_id, option, record)
        await record_audit(conn, ctx.tenant_id, "user.segments", actor_id=ctx.user_id, target=str(user_id), data={"before": sorted(before), "after": sorted(set(values))})


def _places(value: str) -> tuple[str, UUID]:
    try:
        return "", UUID(value)
    except ValueError:
        return value, NOBODY
