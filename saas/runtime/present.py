"""From rows to Records: what one person may see of them, with names of refs, users and departments read in one batch per
link column."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from saas.i18n import pick
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime import operations as ops
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.rows import Row, decode
from saas.runtime.sql import RecordScope, Statement, field_sql, storage_of

UNREADABLE = "···"


class Names:
    """Display names of users, departments and records, filled in batches."""

    def __init__(self) -> None:
        self.users: dict[str, str] = {}
        self.departments: dict[str, str] = {}
        self.records: dict[tuple[str, str], str] = {}

    def of(self, field: FieldDef, item: str) -> str | None:
        """The name of what one id in a field's value is the id of; None where the field holds no such ids."""
        holds = field_types.get(field.type).holds
        if holds == "record":
            return self.records.get((field.options["to"], item), "")
        return {"user": self.users, "dept": self.departments}[holds].get(item, "") if holds in ("user", "dept") else None


async def names_for(conn: Any, ctx: Context, pairs: Iterable[tuple[FieldDef, Any]]) -> Names:
    """Resolve the ids found in (field, JSON value) pairs: one query for people and departments, one per target entity."""
    users: set[str] = set()
    departments: set[str] = set()
    records: dict[str, set[str]] = {}
    for field, value in pairs:
        if value in (None, "", []):
            continue
        kind = field_types.get(field.type)
        ids = value if kind.many else [value]
        if kind.holds == "user":
            users.update(ids)
        elif kind.holds == "dept":
            departments.update(ids)
        elif kind.holds == "record":
            records.setdefault(field.options["to"], set()).update(ids)
    names = Names()
    if users or departments:
        found = await conn.fetch(
            "SELECT true, id, name FROM app_user WHERE tenant_id = $1 AND id = ANY($2::uuid[]) "
            "UNION ALL SELECT false, id, name::text FROM department WHERE tenant_id = $1 AND id = ANY($3::uuid[])",
            ctx.tenant_id, [UUID(u) for u in users], [UUID(d) for d in departments],
        )  # fmt: skip
        names.users = {str(r[1]): r[2] for r in found if r[0]}
        names.departments = {str(r[1]): pick(json.loads(r[2]), ctx.locale) for r in found if not r[0]}
    for entity_key, ids in records.items():
        target = ctx.config.entities.get(entity_key)
        if target is not None:
            titles = await titles_of(conn, ctx, target, [UUID(i) for i in ids])
            names.records.update({(entity_key, str(i)): t for i, t in titles.items()})
    return names


async def titles_of(conn: Any, ctx: Context, entity: Entity, ids: Sequence[UUID]) -> dict[UUID, str]:
    """{id: title} of records; those the reader may not see are named `UNREADABLE`."""
    statement = Statement(ctx)
    scope = RecordScope(statement, entity, "t")
    readable = permissions.right_sql("read", scope)
    title = title_sql(scope)
    found = await conn.fetch(
        *statement.finish(
            f"SELECT t.id, {title}, {readable} FROM record t WHERE t.entity_id = {entity.number} AND t.id = ANY({scope.param(list(ids), 'uuid[]')})"
        )
    )
    return {r[0]: (title_text(ctx, entity, r[1]) or str(r[0])[:8]) if r[2] else UNREADABLE for r in found}


def title_sql(scope: RecordScope) -> str:
    field = scope.entity.fields[scope.entity.defn.title]
    if field.type == "formula":
        return scope.path((field.key,))[0]
    return field_sql(scope.config, scope.entity, field, scope.alias)


def title_text(ctx: Context, entity: Entity, stored: Any) -> str:
    """The displayed title for what `title_sql` gave; "" where the person may not see titles of this entity."""
    key = entity.defn.title
    level = permissions.static_access(ctx, entity)[key]
    if stored is None or level == "hidden":
        return ""
    field = entity.fields[key]
    value = decode(ctx.config, entity, field, storage_of(ctx.config, field), stored)
    text = "" if value is None else field_types.get(field.type).display(field, value, ctx.config, ctx.locale)
    return permissions.masked(text, permissions.mask_of(ctx, entity, key)) if text and level == "masked" else text


def display_text(ctx: Context, entity: Entity, field: FieldDef, value: Any, names: Names) -> str:
    return "" if value in (None, "", []) else column_text(ctx, field, names)(value)


def column_text(ctx: Context, field: FieldDef, names: Names) -> Callable[[Any], str]:
    """Says a field's values, never empty ones; the same text is made once."""
    kind, config, locale = field_types.get(field.type), ctx.config, ctx.locale
    if kind.holds in ("record", "user", "dept"):
        if kind.many:
            return lambda value: ", ".join(names.of(field, item) or "" for item in value)
        return lambda value: names.of(field, value) or ""
    if field.type == "pipeline":
        stages = {s.key: pick(s.label, locale) for s in config.pipelines[field.options["pipeline"]].stages}
        return lambda value: stages.get(value, str(value))
    made: dict[str, str] = {}

    def text(value: Any) -> str:
        if not isinstance(value, str):
            return kind.display(field, value, config, locale)
        found = made.get(value)
        if found is None:
            found = made[value] = kind.display(field, value, config, locale)
        return found

    return text


async def present(
    conn: Any, ctx: Context, entity: Entity, rows: Sequence[Row], fields: Iterable[str] | None = None
) -> list[ops.Record]:
    """Rows as the person may see them. `fields`: which declared and system fields the caller shows (None: all)."""
    wanted = entity.fields if fields is None else [k for k in fields if k in entity.fields]
    visible = [permissions.access(ctx, entity, row.holds) for row in rows]
    defs = [entity.fields[k] for k in wanted]
    linked = [f for f in defs if field_types.get(f.type).holds]
    names = await names_for(
        conn, ctx, ((f, row.get(f.key)) for f in linked for row, access in zip(rows, visible, strict=True) if access[f.key] != "hidden")
    )
    shown: list[tuple[dict[str, Any], dict[str, str]]] = [({}, {}) for _ in rows]
    for field in defs:  # column by column: what a field needs is looked up once, not once a cell
        key, read = field.key, column_text(ctx, field, names)
        mask = permissions.mask_of(ctx, entity, key) if any(access[key] == "masked" for access in visible) else ""
        for row, access, (values, display) in zip(rows, visible, shown, strict=True):
            level = access[key]
            if level == "hidden":
                continue
            value = row.get(key) if field.system else row.values.get(key)
            empty = value is None or value == "" or value == []
            text = "" if empty else read(value)
            if level == "masked" and not empty:
                value = text = permissions.masked(text, mask)
            if not field.system:
                values[key] = value
            display[key] = text
    return [_record(ctx, entity, row, *about, access) for row, about, access in zip(rows, shown, visible, strict=True)]


def _record(
    ctx: Context, entity: Entity, row: Row, values: Mapping[str, Any], display: dict[str, str], access: Mapping[str, str]
) -> ops.Record:
    title_key = entity.defn.title
    if access.get(title_key) == "hidden":
        title = ""
    elif title_key in display:
        title = display[title_key]
    else:
        value = row.get(title_key)
        field = entity.fields[title_key]
        title = "" if value is None else field_types.get(field.type).display(field, value, ctx.config, ctx.locale)
        if access.get(title_key) == "masked" and title:
            title = permissions.masked(title, permissions.mask_of(ctx, entity, title_key))

    def open_(key: str, value: Any) -> Any:
        """What stands beside the values is kept back with the field it belongs to."""
        return value if access.get(key) not in ("hidden", "masked") else None

    stage = entity.pipeline.field if entity.pipeline else ""
    return ops.Record(
        id=row.id, entity=entity.key, version=row.version, created_at=row.created_at, created_by=open_("created_by", row.created_by),
        updated_at=row.updated_at, updated_by=open_("updated_by", row.updated_by), owner=open_("owner", row.owner),
        department=open_("department", row.department), state=open_(stage, row.state), deleted_at=row.deleted_at, values=dict(values),
        display=display, title=title or str(row.id)[:8], state_since=open_(stage, row.state_since),
    )  # fmt: skip


def can_flags(ctx: Context, scope: RecordScope, flag: Any) -> None:
    """Add to a projection what is needed to say what the person may do with each record: flags update, delete, transition keys
    (`t:key`) and the conditions of field rights."""
    entity, defn = scope.entity, scope.entity.defn
    plain = RecordScope(scope.statement, entity, scope.alias)
    update = permissions.right_sql("update", plain) if permissions.may(ctx, "update", entity.key) else "false"
    delete = permissions.right_sql("delete", plain) if permissions.may(ctx, "delete", entity.key) else "false"
    frozen = "false" if (defn.read_only or defn.append_only) and not ctx.unrestricted else "true"
    flag("update", permissions.all_of(update, frozen, _condition(ctx, plain, defn.editable_if)))
    flag("delete", permissions.all_of(delete, frozen, _condition(ctx, plain, defn.deletable_if)))
    flag("rights:update", update)
    if entity.pipeline:
        for transition in entity.pipeline.transitions:
            verdict = permissions.transition_roles(ctx, entity.pipeline, transition)
            if verdict is False:
                continue
            base = "true" if verdict else update
            flag(f"t:{transition.key}", permissions.all_of(base, _condition(ctx, plain, transition.allow_if)))
    for condition in permissions.conditions(ctx, entity):
        flag(condition, _condition(ctx, plain, condition))


def _condition(ctx: Context, scope: RecordScope, text: str | None) -> str:
    if not text or ctx.unrestricted:
        return "true"
    return ex.to_where(ex.parse(text), scope)


def offers(ctx: Context, entity: Entity, row: Row) -> tuple[ops.TransitionOffer, ...]:
    """The transitions the person may start from the row's stage, by the flags of `can_flags`."""
    pipeline = entity.pipeline
    if pipeline is None or row.deleted_at is not None:
        return ()
    found = []
    for transition in pipeline.transitions:
        if row.state not in transition.sources and "*" not in transition.sources:
            continue
        if not row.holds.get(f"t:{transition.key}"):
            continue
        missing = tuple(k for k in transition.require if row.get(k) in (None, "", []))
        found.append(
            ops.TransitionOffer(
                key=transition.key,
                label=pick(transition.label, ctx.locale),
                to=transition.to,
                style=transition.style,
                confirm=pick(transition.confirm, ctx.locale),
                missing=missing,
                ask=tuple(k for k in transition.ask if k not in missing),
            )
        )
    return tuple(found)


def can(ctx: Context, entity: Entity, row: Row) -> ops.Can:
    live = row.deleted_at is None
    return ops.Can(
        update=live and row.holds.get("update", False),
        delete=live and row.holds.get("delete", False),
        transitions=offers(ctx, entity, row),
    )


__all__ = ["Names", "can", "can_flags", "display_text", "names_for", "offers", "present", "title_sql", "titles_of"]
