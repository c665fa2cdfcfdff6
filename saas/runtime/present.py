"""From rows to Records: what one person may see of them, with names of refs, users and departments read in one batch per
link column."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saas.i18n import pick
from saas.metadata import expressions as ex
from saas.metadata.config import Config, Entity
from saas.metadata.kinds import FieldType, field_types
from saas.metadata.models import FieldDef
from saas.runtime import operations as ops
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.pools import rights as pools
from saas.runtime.recent import Recent
from saas.runtime.rows import Row, decode
from saas.runtime.sql import RecordScope, Statement, field_sql, storage_of

UNREADABLE = "···"
KEPT_BACK = ("hidden", "masked")
REMEMBERED = 64  # texts of a field: its options, yes and no
CHOICES = 64  # of fields, that lists show: kept, for each configuration
BESIDE = ("created_by", "updated_by", "owner", "department")


def _is_named(field: FieldDef) -> bool:
    """Its value is ids of what has a name elsewhere."""
    return field_types.get(field.type).holds in ("record", "user", "dept")


class Names:
    """Display names of users, departments and records, filled in batches."""

    def __init__(self) -> None:
        self.users: dict[str, str] = {}
        self.departments: dict[str, str] = {}
        self.records: dict[tuple[str, str], str] = {}

    def take(self, others: Names) -> None:
        self.users |= others.users
        self.departments |= others.departments
        self.records |= others.records

    def of(self, field: FieldDef, item: str) -> str | None:
        """The name of what one id in a field's value is the id of; None where the field holds no such ids."""
        holds = field_types.get(field.type).holds
        if holds == "record":
            return self.records.get((field.options["to"], item), "")
        return {"user": self.users, "dept": self.departments}[holds].get(item, "") if holds in ("user", "dept") else None


class NamesBeside:
    """The names of what one record links to, read beside it by the same statement (`sql` continues its select list): those of single
    links to people, departments and records whose titles are texts. `fill` reads what else there is in a statement of its own."""

    def __init__(self, ctx: Context, scope: RecordScope) -> None:
        # As on a record for which no limit of a field holds; what is hidden on the one that is read is not shown by `present`.
        access = permissions.access(ctx, scope.entity, dict.fromkeys(permissions.conditions(ctx, scope.entity), False))
        linked = [f for f in scope.entity.fields.values() if _is_named(f) and access.get(f.key, "hidden") != "hidden"]
        columns = [(field, self._column(scope, field)) for field in linked]
        self.beside = [field for field, column in columns if column]
        self.others = [field for field, column in columns if not column]
        self.sql = "".join(f", {column}" for _, column in columns if column)

    def _column(self, scope: RecordScope, field: FieldDef) -> str | None:
        kind = field_types.get(field.type)
        if kind.many:
            return None
        alias, id_ = scope.statement.alias(), field_sql(scope.config, scope.entity, field, scope.alias)
        if kind.holds in ("user", "dept"):
            table = {"user": "app_user", "dept": "department"}[kind.holds]
            return f"(SELECT {alias}.name::text FROM {table} {alias} WHERE {alias}.tenant_id = {scope.alias}.tenant_id AND {alias}.id = {id_})"
        target = scope.config.entities.get(field.options["to"])
        if target is None or storage_of(scope.config, target.fields[target.defn.title]) != "text":
            return None
        inner = RecordScope(scope.statement, target, alias)
        readable = permissions.right_sql("read", inner)
        return f"(SELECT ARRAY[{title_sql(inner)}, ({readable})::text] FROM record {alias} WHERE {alias}.entity_id = {target.number} AND {alias}.id = {id_})"

    async def fill(self, conn: Any, ctx: Context, names: Names, row: Row, found: Sequence[Any]) -> None:
        others = [(field, value) for field in self.others if (value := row.get(field.key))]
        if others:
            names.take(await names_for(conn, ctx, others))
        for field, name in zip(self.beside, found, strict=True):
            id_, holds = row.get(field.key), field_types.get(field.type).holds
            if name is None or id_ is None:
                continue
            if holds == "user":
                names.users[id_] = name
            elif holds == "dept":
                names.departments[id_] = pick(json.loads(name), ctx.locale)
            else:
                title, readable = name
                target = ctx.config.entity(field.options["to"])
                names.records[(target.key, id_)] = _title(ctx, target, id_, title, readable == "true")


async def names_for(conn: Any, ctx: Context, pairs: Iterable[tuple[FieldDef, Any]]) -> Names:
    """Resolve the ids found in (field, JSON value) pairs, in one query; entities whose titles are no texts have one of their own."""
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
    names, statement = Names(), Statement(ctx)
    parts: list[str] = []
    texts: list[Entity] = []
    if users:
        parts.append(f"SELECT -2, id, name, true FROM app_user WHERE {_these(statement, ctx, users)}")
    if departments:
        parts.append(f"SELECT -1, id, name::text, true FROM department WHERE {_these(statement, ctx, departments)}")
    for entity_key, ids in records.items():
        target = ctx.config.entities.get(entity_key)
        if target is None:
            continue
        uuids = [UUID(i) for i in ids]
        if storage_of(ctx.config, target.fields[target.defn.title]) == "text":
            parts.append(_titles_sql(ctx, statement, target, uuids, f"{len(texts)}, "))
            texts.append(target)
        else:
            names.records.update({(entity_key, str(i)): t for i, t in (await titles_of(conn, ctx, target, uuids)).items()})
    for kind, id_, name, readable in await conn.fetch(*statement.finish(" UNION ALL ".join(parts))) if parts else ():
        if kind == -2:
            names.users[str(id_)] = name
        elif kind == -1:
            names.departments[str(id_)] = pick(json.loads(name), ctx.locale)
        else:
            names.records[(texts[kind].key, str(id_))] = _title(ctx, texts[kind], id_, name, readable)
    return names


def _these(statement: Statement, ctx: Context, ids: Iterable[str]) -> str:
    return f"tenant_id = {statement.param(ctx.tenant_id, 'uuid')} AND id = ANY({statement.param([UUID(i) for i in ids], 'uuid[]')})"


def _titles_sql(ctx: Context, statement: Statement, entity: Entity, ids: Sequence[UUID], first: str = "") -> str:
    scope = RecordScope(statement, entity, "t")
    columns = f"{first}t.id, {title_sql(scope)}, {permissions.right_sql('read', scope)}"
    return f"SELECT {columns} FROM record t WHERE t.entity_id = {entity.number} AND t.id = ANY({scope.param(list(ids), 'uuid[]')})"


def _title(ctx: Context, entity: Entity, id_: UUID | str, stored: Any, readable: bool) -> str:
    return (title_text(ctx, entity, stored) or str(id_)[:8]) if readable else UNREADABLE


async def titles_of(conn: Any, ctx: Context, entity: Entity, ids: Sequence[UUID]) -> dict[UUID, str]:
    """{id: title} of records; those the reader may not see are named `UNREADABLE`."""
    statement = Statement(ctx)
    found = await conn.fetch(*statement.finish(_titles_sql(ctx, statement, entity, ids)))
    return {r[0]: _title(ctx, entity, *r) for r in found}


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
    if value in (None, "", []):
        return ""
    return _linked_text(field, names)(value) if _is_named(field) else _plain_text(ctx.config, ctx.locale, field)(value)


def _linked_text(field: FieldDef, names: Names) -> Callable[[Any], str]:
    if field_types.get(field.type).many:
        return lambda value: ", ".join(names.of(field, item) or "" for item in value)
    return lambda value: names.of(field, value) or ""


def _plain_text(config: Config, locale: str, field: FieldDef) -> Callable[[Any], str]:
    """Of fields whose values say themselves; the texts of a few are remembered."""
    kind = field_types.get(field.type)
    if field.type == "pipeline":
        stages = {s.key: pick(s.label, locale) for s in config.pipelines[field.options["pipeline"]].stages}
        return lambda value: stages.get(value, str(value))
    if type(kind).display is FieldType.display:
        return lambda value: value if isinstance(value, str) else str(value)
    made: dict[str | bool, str] = {}

    def text(value: Any) -> str:
        if not isinstance(value, str | bool):
            return kind.display(field, value, config, locale)
        found = made.get(value)
        if found is None:
            found = kind.display(field, value, config, locale)
            if len(made) < REMEMBERED:
                made[value] = found
        return found

    return text


async def present(
    conn: Any, ctx: Context, entity: Entity, rows: Sequence[Row], fields: Iterable[str] | None = None, spoken: Iterable[str] | None = None, names: Names | None = None
) -> list[ops.Record]:
    """Rows as the person may see them. `fields`: which declared and system fields the caller shows (None: all); `spoken`: which of
    them in words, too (None: all), besides those that are masked; `names` of what they link to, where these are known already."""
    columns = _columns(ctx, entity, None if fields is None else tuple(fields))
    visible = permissions.accesses(ctx, entity, [row.holds for row in rows])
    distinct = list({id(access): access for access in visible}.values())  # mostly one for all
    said = None if spoken is None else set(spoken)
    if names is None:
        linked = [c for c in columns if c.read is None and (said is None or c.key in said)]
        shown_links = ((c.field, row.get(c.key)) for c in linked for row, access in zip(rows, visible, strict=True) if access[c.key] != "hidden")
        names = await names_for(conn, ctx, shown_links)
    shown: list[tuple[dict[str, Any], dict[str, str]]] = [({}, {}) for _ in rows]
    pairs = list(zip(rows, shown, strict=True))
    for column in columns:  # column by column: what a field needs is looked up once, not once a cell
        key, is_declared = column.key, column.is_declared
        levels = {access[key] for access in distinct}
        if levels == {"hidden"}:
            continue
        is_open = levels.isdisjoint(KEPT_BACK)
        if is_open and said is not None and key not in said:
            if is_declared:
                for row, (values, _) in pairs:
                    values[key] = row.values.get(key)
            continue
        read = column.read or _linked_text(column.field, names)
        if is_open:
            for row, (values, display) in pairs:
                if is_declared:
                    values[key] = value = row.values.get(key)
                else:
                    value = row.get(key)
                display[key] = "" if value is None or value == "" or value == [] else read(value)
            continue
        mask = permissions.mask_of(ctx, entity, key)
        for (row, (values, display)), access in zip(pairs, visible, strict=True):
            if access[key] == "hidden":
                continue
            value = row.get(key)
            empty = value is None or value == "" or value == []
            text = "" if empty or (said is not None and key not in said and access[key] != "masked") else read(value)
            if access[key] == "masked" and not empty:
                value = text = permissions.masked(text, mask)
            if is_declared:
                values[key] = value
            display[key] = text
    return [_record(ctx, entity, row, *about, access) for (row, about), access in zip(pairs, visible, strict=True)]


@dataclass(frozen=True, slots=True)
class _Column:
    """A field in one language. `read` says its values, never empty ones; None where they are ids, which need names."""

    key: str
    field: FieldDef
    is_declared: bool
    read: Callable[[Any], str] | None


def _columns(ctx: Context, entity: Entity, fields: tuple[str, ...] | None) -> list[_Column]:
    def make() -> list[_Column]:
        found = [entity.fields[key] for key in (entity.fields if fields is None else fields) if key in entity.fields]
        return [_Column(f.key, f, not f.system, None if _is_named(f) else _plain_text(ctx.config, ctx.locale, f)) for f in found]

    kept = ctx.config.cached("present.columns", lambda: Recent(CHOICES))
    return kept.get((entity.key, fields, ctx.locale), lambda: (make(), True))


def _record(
    ctx: Context, entity: Entity, row: Row, values: dict[str, Any], display: dict[str, str], access: Mapping[str, str]
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

    record = ops.Record(
        id=row.id, entity=entity.key, version=row.version, created_at=row.created_at, created_by=row.created_by, updated_at=row.updated_at,
        updated_by=row.updated_by, owner=row.owner, department=row.department, state=row.state, deleted_at=row.deleted_at, values=values,
        display=display, title=title or str(row.id)[:8], state_since=row.state_since, in_approval=row.frozen is not None,
    )  # fmt: skip
    for name in BESIDE:  # what stands beside the values is kept back with the field it belongs to
        if access.get(name) in KEPT_BACK:
            setattr(record, name, None)
    if entity.pipeline and access.get(entity.pipeline.field) in KEPT_BACK:
        record.state = record.state_since = None
    return record


def can_flags(ctx: Context, scope: RecordScope, flag: Any) -> None:
    """Add to a projection what is needed to say what the person may do with each record: flags update, delete, transition keys
    (`t:key`) and the conditions of field rights."""
    entity, defn = scope.entity, scope.entity.defn
    plain = RecordScope(scope.statement, entity, scope.alias)
    update = permissions.right_sql("update", plain) if permissions.may(ctx, "update", entity.key) else "false"
    change = permissions.right_sql("update", plain) if permissions.may_change(ctx, entity.key) else "false"
    delete = permissions.right_sql("delete", plain) if permissions.may(ctx, "delete", entity.key) else "false"
    frozen = "false" if (defn.read_only or defn.append_only) and not ctx.unrestricted else "true"
    flag("update", permissions.all_of(update, frozen, _condition(ctx, plain, defn.editable_if)))
    flag("delete", permissions.all_of(delete, frozen, _condition(ctx, plain, defn.deletable_if)))
    flag("rights:update", update)
    if defn.sharing:
        own = permissions.right_sql("update", plain, shares=False) if permissions.may(ctx, "update", entity.key) else "false"
        flag("own:update", own)
    for pool in defn.pools:
        flag(f"pool:{pool.key}", pools.inside_sql(plain, pool))
        flag(f"home:{pool.key}", pools.home_sql(plain, pool))
    if entity.pipeline:
        for stage in entity.pipeline.stages:
            if stage.condition:
                flag(f"s:{stage.key}", ex.to_where(ex.parse(stage.condition), plain))
        for transition in entity.pipeline.transitions:
            verdict = permissions.transition_roles(ctx, entity.pipeline, transition)
            if verdict is False:
                continue
            base = "true" if verdict else change
            flag(f"t:{transition.key}", permissions.all_of(base, _condition(ctx, plain, transition.allow_if)))
        for key, texts in guarded(ctx.config, entity).items():
            flag(f"g:{key}", permissions.any_of(ex.to_where(ex.parse(text), plain) if text else "true" for text in texts))
    for condition in permissions.conditions(ctx, entity):
        flag(condition, _condition(ctx, plain, condition))


def guarded(config: Config, entity: Entity) -> dict[str, list[str | None]]:
    """Transitions that wait for an approval, with the conditions under which they do."""
    found: dict[str, list[str | None]] = {}
    for approval in config.approvals(entity.key):
        for key in approval.start.guards:
            found.setdefault(key, []).append(approval.start.condition)
    return found


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
        if not row.holds.get(f"t:{transition.key}") or row.holds.get(f"g:{transition.key}"):
            continue
        if transition.to != row.state and row.holds.get(f"s:{transition.to}") is False:
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
    live = row.deleted_at is None and permissions.is_open(ctx)
    return ops.Can(
        **(_pooled(ctx, entity, row) if live and entity.defn.pools and row.frozen is None else {}),
        update=live and row.holds.get("update", False) and row.frozen != [],
        delete=live and row.holds.get("delete", False) and row.frozen is None,
        transitions=offers(ctx, entity, row) if permissions.is_open(ctx) and row.frozen is None else (),
        share=live and entity.defn.sharing and row.holds.get("own:update", False),
        away=tuple(s.key for s in entity.pipeline.stages if row.holds.get(f"s:{s.key}") is False) if entity.pipeline else (),
    )


def _pooled(ctx: Context, entity: Entity, row: Row) -> dict[str, Any]:
    """What a person may do with a record as to pools, by the flags of `can_flags`."""
    inside = next((p for p in entity.defn.pools if row.holds.get(f"pool:{p.key}")), None)
    home = next((p for p in entity.defn.pools if row.holds.get(f"home:{p.key}")), None)
    may_update = pools.by_right(row.holds)
    found: dict[str, Any] = {"pool": inside.key if inside else None}
    if inside is not None:
        found["claim"] = pools.claims(ctx, inside, may_update=permissions.may(ctx, "update", entity.key))
    elif home is not None and row.owner is not None:
        sources = pools.sources_of(entity, home.release_transition)
        found["release"] = pools.releases(ctx, home, may_update=may_update) and (sources is None or row.state in sources)
        found["home"] = home.key
    if (pool := inside or home) is not None:
        found["assign"] = pools.assigns(ctx, pool, may_update=may_update) and not entity.defn.read_only
    return found


__all__ = ["Names", "can", "can_flags", "display_text", "names_for", "offers", "present", "title_sql", "titles_of"]
