"""What a form needs to know: per field whether it shows, is required, may be changed; defaults of a new record; and what
pickers offer. The same rules the door enforces when the form is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from babel.dates import format_date

from saas.db import tenant_transaction
from saas.errors import NotFound
from saas.i18n import gettext
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef, OptionDef
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.env import prepare
from saas.runtime.present import title_sql, title_text
from saas.runtime.records import entity_of, load, may_own
from saas.runtime.rows import Row, decode
from saas.runtime.search import rarest, search_condition, visible_condition
from saas.runtime.sql import RecordScope, Statement, field_sql, storage_of
from saas.runtime.validate import Draft, candidate_conditions, defaults, forget_unreadable, lay
from saas.tenants import new_id


@dataclass(frozen=True, slots=True)
class FieldState:
    """How one field stands on the form. `access` is hidden, masked, read or write; read also covers computed and frozen fields."""

    access: str
    visible: bool
    required: bool


@dataclass(frozen=True, slots=True)
class FormState:
    """`values` are the JSON values to show (defaults for a new record, then what was stored, then what was typed); those that the
    person may not see are empty."""

    fields: dict[str, FieldState]
    values: dict[str, Any]
    version: int | None
    record_id: UUID | None = None  # None: a new record


async def form_state(ctx: Context, entity_key: str, *, record_id: UUID | None = None, typed: Mapping[str, Any] | None = None) -> FormState:
    """State of the create form (no `record_id`) or edit form, with `typed` values laid over. Errors: NotFound."""
    entity = entity_of(ctx, entity_key)
    async with tenant_transaction(ctx.tenant_id) as conn:
        if record_id is None:
            old, row = None, Row(id=new_id(ctx.now), entity=entity.key, version=0, created_at=ctx.now, updated_at=ctx.now)
            row.created_by = ctx.user_id
            row.owner = ctx.user_id if may_own(ctx, entity) else None
            access = permissions.static_access(ctx, entity)
        else:
            old = await load(conn, ctx, entity, record_id)
            row, access = old.copy(), permissions.access(ctx, entity, old.holds)
        lay(ctx, entity, row, typed or {})
        await forget_unreadable(conn, ctx, entity, row, old)
        if old is None:
            if entity.pipeline:
                row.state = row.values[entity.pipeline.field] = entity.pipeline.initial
            await defaults(conn, ctx, Draft(entity, row, None, access))
        env = await prepare(conn, ctx, entity, row, _conditions(entity), old=old)
        states = {}
        for declared in entity.fields.values():
            computed = field_types.get(declared.type).computed or declared.type == "pipeline" or declared.read_only
            locked = declared.set_once and old is not None and old.get(declared.key) not in (None, "", [])
            level = access.get(declared.key, "hidden")
            closed = old is not None and old.frozen is not None and declared.key not in old.frozen
            if level == "write" and (closed or computed or locked or (declared.read_only_if and env.holds(declared.read_only_if))):
                level = "read"
            required = declared.required or bool(declared.required_if and env.holds(declared.required_if))
            states[declared.key] = FieldState(level, env.holds(declared.visible_if), required)
        shown = {key for key in entity.fields if access.get(key, "hidden") in ("read", "write") or key in (typed or {})}
        values = {key: row.get(key) if key in shown else None for key in entity.fields}
        return FormState(states, values, old.version if old else None, record_id)


async def may_create(ctx: Context, entity_key: str, values: Mapping[str, Any]) -> bool:
    """Whether a new record with these values is allowed and would not be frozen at once: what "New" below a parent asks."""
    entity = entity_of(ctx, entity_key)
    conditions, editable = permissions.create_conditions(ctx, entity.key), entity.defn.editable_if
    if not permissions.may(ctx, "create", entity.key):
        return False
    if conditions is None and editable is None:
        return True
    async with tenant_transaction(ctx.tenant_id) as conn:
        row = Row(id=new_id(ctx.now), entity=entity.key, version=0, created_at=ctx.now, updated_at=ctx.now)
        row.created_by = ctx.user_id
        row.owner = ctx.user_id if may_own(ctx, entity) else None
        lay(ctx, entity, row, values)
        if entity.pipeline:
            row.state = row.values[entity.pipeline.field] = entity.pipeline.initial
        env = await prepare(conn, ctx, entity, row, [*(conditions or ()), editable])
    return env.holds(editable) and (conditions is None or any(env.holds(c) for c in conditions))


def _conditions(entity: Entity) -> list[str | None]:
    return [text for f in entity.declared.values() for text in (f.visible_if, f.required_if, f.read_only_if)]


def filter_options(ctx: Context, target: Entity, key: str) -> list[OptionDef]:
    """What a picker's filter by a choice of the records on offer can be set to: options, or stages."""
    return [o for o in ctx.config.options(target.key, key) if o.active]


# ---- pickers -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choice:
    id: str
    label: str
    detail: str = ""


async def choices(
    ctx: Context, entity_key: str, field_key: str, *, q: str = "", values: Mapping[str, Any] | None = None, record_id: UUID | None = None, limit: int = 20,
    narrow: Mapping[str, str] | None = None,
) -> list[Choice]:
    """What a picker of a field that holds records, people or departments offers for the text typed so far; `values` are those of the form and
    `record_id` the record it edits (for candidate filters that look at it); `narrow`: values of the filters its `picker` has. Errors: NotFound for a field the person may not see."""
    entity = entity_of(ctx, entity_key)
    declared = entity.fields.get(field_key)
    known = any(permissions.may(ctx, right, entity_key) for right in ("read", "create", "update"))
    if declared is None or not known or permissions.static_access(ctx, entity).get(field_key) == "hidden":
        raise NotFound()
    narrowed = {k: v for k, v in (narrow or {}).items() if v and k in (declared.options.get("picker") or ())}
    async with tenant_transaction(ctx.tenant_id) as conn:
        holds = field_types.get(declared.type).holds
        if holds == "user":
            return await _people(conn, ctx, declared, q, limit, narrowed)
        if holds == "dept":
            return await _departments(conn, ctx, q, limit)
        if holds == "record":
            return await _records(conn, ctx, entity, declared, q, Row(id=record_id or new_id(), entity=entity.key, version=0), values or {}, limit, narrowed)
    raise NotFound()


async def _people(conn: Any, ctx: Context, declared: FieldDef, q: str, limit: int, narrowed: Mapping[str, str]) -> list[Choice]:
    """Each word of `q` is part of the person's name, address, title, or of the name of a department they stand in. `narrowed`: a
    department (and those below it), a role."""
    roles = list(declared.options.get("roles") or ())
    found = await conn.fetch(
        "SELECT u.id, u.name, CASE WHEN $2 = '' AND $10 THEN u.title ELSE concat_ws(' · ', nullif(u.title, ''), d.names) END, "
        "(SELECT max(a.last_day) FROM approval_deputy a WHERE a.tenant_id = u.tenant_id AND a.user_id = u.id AND $7::date BETWEEN a.first_day AND a.last_day) FROM app_user u LEFT JOIN LATERAL ("
        " SELECT string_agg(coalesce(p.name->>$6, p.name->>'en', p.key), ', ' ORDER BY s.is_primary DESC, p.key) AS names FROM user_department s"
        " JOIN department p ON p.tenant_id = s.tenant_id AND p.id = s.department_id WHERE s.tenant_id = u.tenant_id AND s.user_id = u.id) d ON true "
        "WHERE u.tenant_id = $1 AND u.status = 'active' "
        "AND NOT EXISTS (SELECT 1 FROM regexp_split_to_table(lower($2), '\\s+') w WHERE strpos(lower(concat_ws(' ', u.name, u.email, u.title, d.names)), w) = 0) "
        "AND ($3::text[] = '{}' OR EXISTS (SELECT 1 FROM user_role r WHERE r.tenant_id = u.tenant_id AND r.user_id = u.id AND r.role_key = ANY($3))) "
        "AND ($5::uuid IS NULL OR u.id = $5) "
        "AND ($8 = '' OR EXISTS (SELECT 1 FROM user_department s WHERE s.tenant_id = u.tenant_id AND s.user_id = u.id AND s.department_id IN ("
        " WITH RECURSIVE below AS (SELECT b.id FROM department b WHERE b.tenant_id = $1 AND b.id::text = $8"
        "  UNION SELECT c.id FROM department c JOIN below b ON c.parent_id = b.id WHERE c.tenant_id = $1) SELECT id FROM below))) "
        "AND ($9 = '' OR EXISTS (SELECT 1 FROM user_role r WHERE r.tenant_id = u.tenant_id AND r.user_id = u.id AND r.role_key = $9)) "
        "ORDER BY u.name, u.id LIMIT $4",
        ctx.tenant_id, q.strip(), roles, limit, ctx.user_id if permissions.is_outsider(ctx) else None, ctx.locale, ctx.today, narrowed.get("dept", ""), narrowed.get("role", ""), not declared.options.get("picker"),
    )  # fmt: skip
    return [Choice(str(r[0]), r[1], " · ".join(filter(None, (r[2], _away(ctx, r[3]))))) for r in found]


def _away(ctx: Context, until: date | None) -> str:
    """Whoever gives somebody a record sees that they are not there; nobody outside is told."""
    if until is None or permissions.is_outsider(ctx):
        return ""
    return gettext("away until %(day)s", day=format_date(until, format="medium", locale=ctx.locale))


async def _departments(conn: Any, ctx: Context, q: str, limit: int) -> list[Choice]:
    found = await conn.fetch(
        "SELECT d.id, coalesce(d.name->>$2, d.name->>'en', d.key) AS label FROM department d WHERE d.tenant_id = $1 "
        "AND ($3 = '' OR strpos(lower(d.name::text), lower($3)) > 0) ORDER BY d.position, label LIMIT $4",
        ctx.tenant_id, ctx.locale, q.strip(), limit,
    )  # fmt: skip
    return [Choice(str(r[0]), r[1]) for r in found]


async def _records(conn: Any, ctx: Context, entity: Entity, declared: FieldDef, q: str, row: Row, values: Mapping[str, Any], limit: int, narrowed: Mapping[str, str]) -> list[Choice]:
    target = ctx.config.entity(declared.options["to"])
    statement = Statement(ctx)
    lay(ctx, entity, row, values)
    scope = RecordScope(statement, target, "t", new={"entity": entity, "id": row.id, "values": row.values})
    where = candidate_conditions(scope, declared)
    if condition := search_condition(scope, q, await rarest(conn, ctx, target, q)):
        where.append(condition)
        if visible := visible_condition(RecordScope(statement, target, "t", guard=permissions.guard(ctx)), q):
            where.append(visible)
    access = permissions.static_access(ctx, target)
    for key, value in narrowed.items():
        if access.get(key) not in ("read", "write") or value not in {o.key for o in filter_options(ctx, target, key)}:
            return []
        where.append(ex.to_where(ex.parse(f"{key} == '{value}'"), scope))
    subtitle = target.fields.get(target.defn.subtitle or "")
    shown = subtitle is not None and subtitle.type != "formula" and not field_types.get(subtitle.type).holds and access.get(subtitle.key) in ("read", "write")
    detail = field_sql(ctx.config, target, subtitle, "t") if shown else "NULL"
    sql = f"SELECT t.id, {title_sql(scope)}, {detail} FROM record t WHERE {' AND '.join(where)} ORDER BY t.updated_at DESC, t.id LIMIT {scope.param(limit, 'int8')}"
    found = await conn.fetch(*statement.finish(sql))
    result = []
    for item in found:
        value = decode(ctx.config, target, subtitle, storage_of(ctx.config, subtitle), item[2]) if shown else None
        text = field_types.get(subtitle.type).display(subtitle, value, ctx.config, ctx.locale) if value not in (None, "", []) else ""
        result.append(Choice(str(item[0]), title_text(ctx, target, item[1]) or str(item[0])[:8], text))
    return result
