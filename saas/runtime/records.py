"""Writing records: create, update, delete, restore. Called by the door, by pipelines and by actions; nothing else writes rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from saas.db import Write, write_together
from saas.errors import Conflict, InvalidInput, NotFound, PermissionDenied, StaleVersion
from saas.i18n import lazy, ngettext, pick
from saas.metadata.config import Entity, Relation
from saas.metadata.kinds import field_types
from saas.runtime import (
    events,
    ledgers,
    numbers,
    permissions,
    pricing,
    quota,
    ranks,
    rollups,
    search,
    segments,
    twins,
    uniques,
)
from saas.runtime.acts import Act, Happening
from saas.runtime.automations import dispatch
from saas.runtime.context import Context
from saas.runtime.env import prepare
from saas.runtime.pools import holding
from saas.runtime.portal import follow, refuse_outside, stamp
from saas.runtime.present import Names, NamesBeside, can_flags
from saas.runtime.recent import Recent
from saas.runtime.rows import Encoded, Projection, Row, encode
from saas.runtime.sql import RecordScope, Statement, children_sql, field_sql
from saas.runtime.validate import EMPTY, Draft, check, defaults, forget_unreadable, lay, take, take_links
from saas.tenants import new_id

_KEPT = 64  # statements by person and entity, a configuration; some 6 KB each


def entity_of(ctx: Context, key: str) -> Entity:
    entity = ctx.config.entities.get(key)
    if entity is None:
        raise NotFound(lazy("There is nothing called “%(key)s” here.", key=key))
    return entity


async def load(conn: Any, ctx: Context, entity: Entity, record_id: UUID, *, lock: bool = False, deleted: bool = False) -> Row:
    """A record the person may read, with the flags of what they may do. Raises NotFound also for what they may not see."""
    row = await find(conn, ctx, entity, record_id, lock=lock, deleted=deleted)
    if row is None:
        raise NotFound(lazy("This record does not exist, or you may not see it."))
    return row


async def find(conn: Any, ctx: Context, entity: Entity, record_id: UUID, *, lock: bool = False, deleted: bool = False, names: Names | None = None) -> Row | None:
    """`load`, but None for what there is not, or what they may not see. `names` are filled with the names of what the record links to."""
    asked = _asking(ctx, entity, lock=lock, deleted=deleted, named=names is not None)
    found = await conn.fetchrow(asked.sql, record_id, *asked.params)
    if found is None:
        return None
    row = asked.projection.row(found)
    if names is not None and asked.beside is not None:
        await asked.beside.fill(conn, ctx, names, row, found[len(asked.projection.items) :])
    return row


@dataclass(frozen=True, slots=True)
class _Asking:
    """The statement that finds a record by its id, the first parameter, for one person."""

    sql: str
    params: tuple[Any, ...]
    projection: Projection
    beside: NamesBeside | None


def _asking(ctx: Context, entity: Entity, *, lock: bool, deleted: bool, named: bool) -> _Asking:
    """Depends on nothing but the configuration, the person and their tenant, unless a rule asks what time it is; not kept for those
    who look through somebody else's eyes."""

    def make() -> tuple[_Asking, bool]:
        statement = Statement(ctx)
        scope = RecordScope(statement, entity, "t")
        id_ = scope.param(None, "uuid")
        projection = Projection(scope)
        readable = permissions.right_sql("read", scope)
        can_flags(ctx, scope, projection.flag)
        beside = NamesBeside(ctx, scope) if named else None
        sql, *params = statement.finish(
            f"SELECT {projection.sql}{beside.sql if beside else ''} FROM record t WHERE t.entity_id = {entity.number} AND t.id = {id_} "
            f"AND t.deleted_at IS {'NOT ' if deleted else ''}NULL AND {readable}{' FOR UPDATE OF t' if lock else ''}"
        )
        return _Asking(sql, tuple(params[1:]), projection, beside), ctx.viewer is None and not statement.is_of_moment

    kept = ctx.config.cached("records.asking", lambda: Recent(_KEPT))
    return kept.get((entity.key, ctx.tenant_id, ctx.tenant.time_zone, ctx.user, ctx.key, ctx.elevated, ctx.form, ctx.origin == "sample", ctx.viewer is None, lock, deleted, named), make)


async def is_live(conn: Any, entity: Entity, record_id: UUID) -> bool:
    """Whether there is such a record and it is not deleted, whoever asks."""
    return bool(await conn.fetchval(f"SELECT deleted_at IS NULL FROM record WHERE entity_id = {entity.number} AND id = $1", record_id))


def refuse_stale(row: Row, version: int | None) -> None:
    if version is not None and version != row.version:
        raise StaleVersion(current=row.version, yours=version)


def in_approval(entity: Entity, row: Row) -> Conflict:
    """What whoever would change a record is told while an approval of it runs."""
    return Conflict(lazy("This record waits for an approval and cannot be changed until it is decided."), reason="in_approval", entity=entity.key, id=str(row.id))


def wholes(ctx: Context, entity: Entity) -> dict[str, Entity]:
    """{link field: entity} of what the entity's records live inside of: an order line's order."""
    return {f.key: ctx.config.entity(f.options["to"]) for f in entity.declared.values() if f.options.get("detail") and f.options.get("to") in ctx.config.entities}


def closable(ctx: Context, entity: Entity) -> bool:
    """Whether the entity's records live inside of records, at whatever depth, that approvals close."""

    def make() -> bool:
        found, todo = {entity.key}, [entity]
        while todo:
            for whole in wholes(ctx, todo.pop()).values():
                if any(a.entity == whole.key for a in ctx.config.bundle.approvals):
                    return True
                if whole.key not in found:
                    found.add(whole.key)
                    todo.append(whole)
        return False

    return ctx.config.cached(("records.closable", entity.key), make)


async def refuse_in_closed(act: Act, entity: Entity, *rows: Row | None) -> None:
    """What lives inside a record is closed together with it, and so is what lives inside of that. Where approvals are defined the record is
    locked, so that none begins meanwhile."""
    if not closable(act.ctx, entity):  # one question less for each line where nobody ever approves
        return
    for key, whole in wholes(act.ctx, entity).items():
        await _refuse_closed(act, whole, {UUID(str(v)) for row in rows if row is not None and (v := row.get(key))}, ())


async def _refuse_closed(act: Act, whole: Entity, ids: set[UUID], below: tuple[str, ...]) -> None:
    """`below`: entities that were looked at on the way up; of a ring each is looked at once."""
    ctx = act.ctx
    if not ids:
        return
    above = {k: e for k, e in wholes(ctx, whole).items() if e.key not in (*below, whole.key) and closable(ctx, whole)}
    lock = " FOR NO KEY UPDATE OF t" if any(a.entity == whole.key for a in ctx.config.bundle.approvals) else ""
    links = "".join(f", {field_sql(ctx.config, whole, whole.fields[key], 't')}" for key in above)
    found = await act.conn.fetch(f"SELECT t.id, t.frozen{links} FROM record t WHERE t.entity_id = {whole.number} AND t.id = ANY($1::uuid[]) ORDER BY t.id{lock}", sorted(ids))
    closed = next((r["id"] for r in found if r["frozen"] is not None), None)
    if closed is not None:
        raise Conflict(lazy("The record this belongs to waits for an approval and cannot be changed until it is decided."), reason="in_approval", entity=whole.key, id=str(closed))
    for place, upper in enumerate(above.values(), 2):
        await _refuse_closed(act, upper, {UUID(str(r[place])) for r in found if r[place]}, (*below, whole.key))


# ---- create ------------------------------------------------------------------------------------------------------------


async def create(
    act: Act, entity: Entity, values: Mapping[str, Any], *, confirm_duplicates: bool = False, reason: str = "", record_id: UUID | None = None
) -> Row:
    ctx = act.ctx
    permissions.require(ctx, "create", entity.key)
    row = Row(id=record_id or new_id(ctx.now), entity=entity.key, version=0, created_at=ctx.now, updated_at=ctx.now)
    row.created_by = row.updated_by = ctx.user_id
    draft = Draft(entity, row, None, await _access_to_new(act, entity, row, values))
    take(ctx, draft, values)
    await take_links(act.conn, ctx, draft)
    default_owner(ctx, draft, values)
    if entity.pipeline:
        row.state = row.values[entity.pipeline.field] = entity.pipeline.initial
        row.state_since = ctx.now
    await defaults(act.conn, ctx, draft)
    await segments.keep(act.conn, ctx, draft)
    await stamp(act, draft)
    await require_may_create(act, entity, row)
    await dispatch(act, Happening("before_save", entity, row, None, frozenset(draft.changed)), draft)
    await pricing.price_line(act, draft)
    await ledgers.prepare_entry(act, draft)
    await check(act.conn, ctx, draft, held=act.held)
    if draft.problems:
        raise InvalidInput(draft.problems)
    await refuse_in_closed(act, entity, row)
    if entity.pipeline and (stage := await ledgers.first_stage(act, entity, row)):
        row.state = row.values[entity.pipeline.field] = stage
    confirmation = twins.Confirmation(confirm_duplicates, reason)
    told = await twins.look_for_duplicates(act.conn, ctx, entity, row, draft.changed, confirmation, is_new=True)
    act.warnings += told.warnings
    await holding.refuse(act, entity, row, None)
    await uniques.claim(act.conn, ctx, entity, row, None)
    await numbers.number(act.conn, ctx, entity, row)
    row.department = await _department(act, entity, row)
    row.version = 1
    row.values.update(rollups.of_nothing(ctx, entity))
    changes = first_values(entity, row)
    history = events.appended(ctx, entity, row, "created", events.with_reason(changes, reason if told.warnings else ""))
    accounts = await ledgers.opened(act, entity, row)
    tokens = search.indexed(ctx, entity, row, twins.tokens(ctx.config, entity, row), fresh=True)
    await quota.write(act.conn, ctx, "records", 1, [*_inserted(ctx, entity, row), *holding.touches(ctx, entity, row), history, *tokens])
    await rollups.refresh_parents(act.conn, ctx, entity, row, None, None)
    act.held.add((entity.key, row.id))
    await twins.let_wait(act.conn, ctx, entity, row.id, told.reviews)
    await refuse_outside(act, entity, row.id)
    await follow(act, entity, row)
    act.effect("create", entity.key, row.id)
    await ledgers.closed(act, accounts)
    await dispatch(act, Happening("create", entity, row, None, frozenset(changes)))
    return row


def first_values(entity: Entity, row: Row) -> dict[str, tuple[Any, Any]]:
    """What the history says of a new record."""
    changes = {
        k: (None, v)
        for k, v in row.values.items()
        if v not in (None, "", []) and entity.fields[k].type not in ("formula", "rollup")
    }
    if row.owner:
        changes["owner"] = (None, str(row.owner))
    return changes


def default_owner(ctx: Context, draft: Draft, values: Mapping[str, Any]) -> None:
    if "owner" not in values and may_own(ctx, draft.entity):
        draft.row.owner = ctx.user_id


def may_own(ctx: Context, entity: Entity) -> bool:
    """Whether a new record belongs to whoever makes it, if nobody says otherwise. Support is nobody of the tenant's."""
    roles = entity.defn.owner_roles
    return entity.defn.owned and ctx.user is not None and ctx.support is None and (not roles or bool(set(roles) & set(ctx.user.role_keys)))


async def _access_to_new(act: Act, entity: Entity, row: Row, values: Mapping[str, Any]) -> dict[str, str]:
    """Field rights on a record that does not exist yet: their conditions are asked of the values it is to have."""
    conditions = permissions.conditions(act.ctx, entity)
    if not conditions:
        return permissions.static_access(act.ctx, entity)
    planned = row.copy()
    planned.owner = act.ctx.user_id if entity.defn.owned and act.ctx.support is None else None
    if entity.pipeline:
        planned.state = planned.values[entity.pipeline.field] = entity.pipeline.initial
    lay(act.ctx, entity, planned, values)
    await forget_unreadable(act.conn, act.ctx, entity, planned, None)
    env = await prepare(act.conn, act.ctx, entity, planned, conditions)
    return permissions.access(act.ctx, entity, {c: env.holds(c) for c in conditions})


async def require_may_create(act: Act, entity: Entity, row: Row) -> None:
    """Whether a record with these values may be made. Errors: PermissionDenied."""
    conditions = permissions.create_conditions(act.ctx, entity.key)
    if conditions is None:
        return
    env = await prepare(act.conn, act.ctx, entity, row, conditions)
    if not any(env.holds(c) for c in conditions):
        raise PermissionDenied(lazy("Your role does not allow creating this here."), right="create", entity=entity.key)


async def _department(act: Act, entity: Entity, row: Row) -> UUID | None:
    """The department a record belongs to: its owner's, or its creator's where it is not owned."""
    user = act.ctx.user
    person = row.owner if entity.defn.owned else row.created_by
    if person is None and entity.defn.pools:  # what lies in a pool lies with the department it came from
        if row.version:
            return row.department
        person = row.created_by
    if person is None:
        return None
    if user is not None and person == user.id:
        return user.department_id
    return await act.conn.fetchval(
        "SELECT department_id FROM user_department WHERE tenant_id = $1 AND user_id = $2 ORDER BY is_primary DESC LIMIT 1",
        act.ctx.tenant_id,
        person,
    )


def _inserted(ctx: Context, entity: Entity, row: Row) -> list[Write]:
    encoded = encode(ctx.config, entity, row.values)
    ranks.wrote(entity, None)
    columns = {
        "tenant_id": (ctx.tenant_id, "uuid"), "entity_id": (entity.number, "int4"), **{k: v for k, v in columns_of(row, encoded).items() if v[0] is not None},
    }  # fmt: skip
    places = ", ".join(f"${i}::{pg}" for i, (_, pg) in enumerate(columns.values(), 1))
    writes: list[Write] = [(f"INSERT INTO record ({', '.join(columns)}) VALUES ({places})", tuple(v for v, _ in columns.values()))]
    writes += [*_links(ctx, entity, row.id, encoded, fresh=True), *_attached(ctx, entity, row, entity.declared)]
    return [*writes, *_entered_stage(ctx, entity, row)]


# The columns of a record that are no fields, but for its tenant, entity and document: their types, and where a Row has them.
OWN_COLUMNS = {
    "id": "uuid", "version": "int4", "owner_id": "uuid", "department_id": "uuid", "state": "text", "state_since": "timestamptz",
    "created_at": "timestamptz", "created_by": "uuid", "updated_at": "timestamptz", "updated_by": "uuid",
}  # fmt: skip
ATTRIBUTES = {"owner_id": "owner", "department_id": "department"}


def columns_of(row: Row, encoded: Encoded) -> dict[str, tuple[Any, str]]:
    """{column: (value, type)} of a new record, but for its tenant and entity."""
    return {
        **{column: (getattr(row, ATTRIBUTES.get(column, column)), pg) for column, pg in OWN_COLUMNS.items()},
        "doc": (json.dumps({k: v for k, v in encoded.doc.items() if v is not None}, ensure_ascii=False), "jsonb"),
        **encoded.columns,
    }


def _entered_stage(ctx: Context, entity: Entity, row: Row) -> list[Write]:
    """The stage the record is in from now on, if it has any."""
    if row.state is None:
        return []
    sql = "INSERT INTO stage_history (tenant_id, entity_id, record_id, id, stage, entered_at, user_id) VALUES ($1, $2, $3, $4, $5, $6, $7)"
    return [(sql, (ctx.tenant_id, entity.number, row.id, new_id(ctx.now), row.state, ctx.now, ctx.user_id))]


def changed_stage(ctx: Context, entity: Entity, row: Row) -> list[Write]:
    """The record leaves the stage it was in and enters the one it is in now."""
    left = "UPDATE stage_history SET left_at = $4 WHERE tenant_id = $1 AND entity_id = $2 AND record_id = $3 AND left_at IS NULL"
    return [(left, (ctx.tenant_id, entity.number, row.id, ctx.now)), *_entered_stage(ctx, entity, row)]


def _links(ctx: Context, entity: Entity, record_id: UUID, encoded: Encoded, *, fresh: bool) -> list[Write]:
    writes: list[Write] = []
    for key, ids in encoded.links.items():
        args = (ctx.tenant_id, entity.number, key, record_id, ids)
        if not fresh:
            writes.append((
                "DELETE FROM record_link WHERE tenant_id = $1 AND entity_id = $2 AND field_key = $3 AND from_id = $4 AND NOT to_id = ANY($5::uuid[])", args,
            ))  # fmt: skip
        if ids:
            writes.append((
                "INSERT INTO record_link (tenant_id, entity_id, field_key, from_id, to_id) SELECT $1, $2, $3, $4, unnest($5::uuid[]) ON CONFLICT DO NOTHING", args,
            ))  # fmt: skip
    return writes


def _attached(ctx: Context, entity: Entity, row: Row, keys: Iterable[str]) -> list[Write]:
    """Files belong to the record that names them."""
    homes = {UUID(i): key for key in keys if key in entity.declared and entity.declared[key].type in ("file", "image") for i in row.values.get(key) or ()}
    if not homes:
        return []
    sql = (
        "UPDATE file f SET entity_key = $2, record_id = $3, field_key = g.key FROM unnest($4::uuid[], $5::text[]) AS g (id, key) "
        "WHERE f.tenant_id = $1 AND f.id = g.id"
    )
    return [(sql, (ctx.tenant_id, entity.key, row.id, list(homes), list(homes.values())))]


# ---- update ------------------------------------------------------------------------------------------------------------


async def update(
    act: Act,
    entity: Entity,
    record_id: UUID,
    values: Mapping[str, Any],
    *,
    version: int | None = None,
    confirm_duplicates: bool = False,
    reason: str = "",
) -> Row:
    """Errors: NotFound, PermissionDenied, StaleVersion, InvalidInput, DuplicateFound."""
    row = await update_if_there(act, entity, record_id, values, version=version, confirm_duplicates=confirm_duplicates, reason=reason)
    if row is None:
        raise NotFound(lazy("This record does not exist, or you may not see it."))
    return row


async def update_if_there(
    act: Act, entity: Entity, record_id: UUID, values: Mapping[str, Any], *, version: int | None = None, confirm_duplicates: bool = False, reason: str = ""
) -> Row | None:
    """`update`, but None for a record that there is not, that was deleted, or that the person may not see."""
    ctx = act.ctx
    old = await find(act.conn, ctx, entity, record_id, lock=True)
    if old is None:
        return None
    act.held.add((entity.key, record_id))
    if not old.holds["update"]:
        raise PermissionDenied(_why_not(ctx, entity, old, "update"), right="update", entity=entity.key)
    if entity.defn.append_only and set(values) - {"owner"}:  # also what the configuration orders
        raise PermissionDenied(_why_not(ctx, entity, old, "update"), right="update", entity=entity.key)
    refuse_stale(old, version)
    draft = Draft(entity, old.copy(), old, permissions.access(ctx, entity, old.holds))
    take(ctx, draft, values)
    await take_links(act.conn, ctx, draft)
    return await save(act, draft, confirm_duplicates=confirm_duplicates, reason=reason)


def _why_not(ctx: Context, entity: Entity, row: Row, right: str) -> Any:
    if entity.defn.read_only:
        return lazy("These records come from another system and cannot be changed here.")
    if entity.defn.append_only:
        return lazy("These records can be added but never changed.")
    if right == "update" and row.holds.get("rights:update"):
        return lazy("This record is closed and cannot be changed any more.")
    return lazy("Your role does not allow this for this record.")


async def save(act: Act, draft: Draft, *, confirm_duplicates: bool = False, reason: str = "", transition: str | None = None) -> Row:
    """Check and write a draft of an existing record, with all that follows from it."""
    ctx, entity, row, old = act.ctx, draft.entity, draft.row, draft.old
    await segments.keep(act.conn, ctx, draft)
    if draft.changed or transition:
        await dispatch(act, Happening("before_save", entity, row, old, frozenset(draft.changed)), draft)
    await pricing.price_line(act, draft)
    await check(act.conn, ctx, draft, held=act.held)
    if draft.problems:
        raise InvalidInput(draft.problems)
    changes = {k: (old.get(k), row.get(k)) for k in sorted(draft.changed) if old.get(k) != row.get(k)}
    if not changes and transition is None:
        return old
    if old.frozen is not None and (transition is not None or not set(changes) <= set(old.frozen)):
        raise in_approval(entity, old)
    await refuse_in_closed(act, entity, old, row)
    # A transition cannot be asked to confirm: a rule that only warns must not end it.
    confirmation = twins.Confirmation(confirm_duplicates, reason, unasked=transition is not None)
    told = await twins.look_for_duplicates(act.conn, ctx, entity, row, set(changes), confirmation, is_new=False)
    act.warnings += told.warnings
    await holding.refuse(act, entity, row, old)
    await uniques.claim(act.conn, ctx, entity, row, old)
    if row.owner != old.owner:
        row.department = await _department(act, entity, row)
    row.version, row.updated_at, row.updated_by = old.version + 1, ctx.now, ctx.user_id
    history = events.with_reason(changes, reason if told.warnings else "")
    kind = "transition" if transition else act.deed or "updated"
    writes = [*_updated(ctx, entity, row, set(changes), holding.touched_sql(act, entity, row, old, transition)), events.appended(ctx, entity, row, kind, history, transition)]
    writes += await holding.noted(act, entity, row, old)
    if row.state != old.state:
        writes += changed_stage(ctx, entity, row)
    accounts = await ledgers.opened(act, entity, row)
    if set(changes) & search_keys(ctx, entity):
        writes += search.indexed(ctx, entity, row, twins.tokens(ctx.config, entity, row), fresh=False)
    await write_together(act.conn, writes)
    await refuse_outside(act, entity, row.id)
    await follow(act, entity, row, old)
    await rollups.refresh_parents(act.conn, ctx, entity, row, old, set(changes))
    if act.heads is None:
        await reprice(act, entity, row, old, frozenset(changes))
    else:
        act.heads.append((entity, row, old, frozenset(changes)))
    await holding.tell(act, entity, row, old)
    act.deed = ""
    await ledgers.closed(act, accounts)
    await ledgers.party_changed(act, entity, row, old)
    await twins.let_wait(act.conn, ctx, entity, row.id, told.reviews)
    if not transition:
        act.effect("update", entity.key, row.id)
        await dispatch(act, Happening("update", entity, row, old, frozenset(changes)))
    return row


async def reprice(act: Act, entity: Entity, row: Row, old: Row, changed: frozenset[str]) -> None:
    """Lines that live inside a record cost what it says now. Closed ones keep their prices; one that somebody set stays and is measured anew."""
    for (lines, link), keys in pricing.looked_at(act.ctx, entity.key).items():
        if old.frozen is not None or not keys & changed:
            continue
        inner, relation = act.under(elevated=True), next(r for r in entity.children.values() if (r.child, r.field) == (lines, link))
        for record_id in await children_of(act.conn, act.ctx, relation, row):
            line = await find(act.conn, inner.ctx, act.ctx.config.entity(lines), record_id, lock=True)
            if line is not None and line.holds["update"]:
                await update(inner, act.ctx.config.entity(lines), record_id, {})


def _updated(ctx: Context, entity: Entity, row: Row, changed: set[str], touched: str = "") -> list[Write]:
    encoded = encode(ctx.config, entity, {k: row.values.get(k) for k in changed if k in entity.declared})
    ranks.wrote(entity, [*changed, "department"] if "owner" in changed else changed)
    columns: dict[str, tuple[Any, str]] = {
        "version": (row.version, "int4"), "updated_at": (row.updated_at, "timestamptz"), "updated_by": (row.updated_by, "uuid"),
        "owner_id": (row.owner, "uuid"), "department_id": (row.department, "uuid"), "state": (row.state, "text"),
        "state_since": (row.state_since, "timestamptz"), **encoded.columns,
    }  # fmt: skip
    params: list[Any] = [row.id]
    sets = []
    for column, (value, pg) in columns.items():
        params.append(value)
        sets.append(f"{column} = ${len(params)}::{pg}")
    if touched == "now":
        row.touched_at = row.updated_at
        sets.append(f"touched_at = ${list(columns).index('updated_at') + 2}::timestamptz")
    elif touched:  # until it is worked on, the day of its last change before counts
        sets.append("touched_at = coalesce(touched_at, updated_at)")
    if encoded.doc:
        params.append(json.dumps(encoded.doc, ensure_ascii=False))
        sets.append(f"doc = jsonb_strip_nulls(doc || ${len(params)}::jsonb)")
    main = (f"UPDATE record SET {', '.join(sets)} WHERE entity_id = {entity.number} AND id = $1", tuple(params))
    return [main, *_links(ctx, entity, row.id, encoded, fresh=False), *_attached(ctx, entity, row, sorted(changed))]


# ---- delete and restore ------------------------------------------------------------------------------------------------


async def delete(act: Act, entity: Entity, record_id: UUID, *, version: int | None = None, along: bool = False) -> Row:
    """Soft delete, with what each relation says should happen to the children. `along`: with what it belongs to, so that also records
    go that are never deleted for themselves."""
    ctx = act.ctx
    row = await load(act.conn, ctx, entity, record_id, lock=True)
    if not row.holds["delete"] or (entity.defn.append_only and not along):
        raise PermissionDenied(_why_not(ctx, entity, row, "delete"), right="delete", entity=entity.key)
    refuse_stale(row, version)
    if row.frozen is not None:
        raise in_approval(entity, row)
    await refuse_in_closed(act, entity, row)
    for relation in entity.children.values():
        if relation.on_delete == "restrict" and not relation.many:
            await _refuse_children(act, relation, row)
    await act.conn.execute(
        f"UPDATE record SET deleted_at = $2, deleted_by = $3, version = version + 1 WHERE entity_id = {entity.number} AND id = $1",
        row.id, ctx.now, ctx.user_id,
    )  # fmt: skip
    act.held.discard((entity.key, row.id))
    ranks.wrote(entity, None)
    row.version, row.deleted_at = row.version + 1, ctx.now
    # After the record itself, so that records which point at each other in a ring end somewhere.
    for relation in entity.children.values():
        if relation.on_delete in ("cascade", "set_null") and not relation.many:
            await _leave_children(act, relation, row)
    await uniques.claim(act.conn, ctx, entity, None, row)
    await quota.write(act.conn, ctx, "records", -1, [events.appended(ctx, entity, row, "deleted", {})])
    await rollups.refresh_parents(act.conn, ctx, entity, row, None, None)
    await follow(act, entity, row)
    act.effect("delete", entity.key, row.id)
    await dispatch(act, Happening("delete", entity, row))
    return row


async def children_of(conn: Any, ctx: Context, relation: Relation, row: Row, extra: str = "", deleted_at: Any = None) -> list[UUID]:
    """Ids of the record's living children; with `deleted_at` those that were deleted at that moment."""
    child = ctx.config.entity(relation.child)
    statement = Statement(ctx)
    link = children_sql(ctx.config, relation, child, "t", statement.param(row.id, "uuid"))
    when = f"= {statement.param(deleted_at, 'timestamptz')}" if deleted_at else "IS NULL"
    sql = f"SELECT t.id FROM record t WHERE t.entity_id = {child.number} AND t.deleted_at {when} AND {link} ORDER BY t.id {extra}"
    return [r[0] for r in await conn.fetch(*statement.finish(sql))]


async def _refuse_children(act: Act, relation: Relation, row: Row) -> None:
    count = len(await children_of(act.conn, act.ctx, relation, row, "LIMIT 1000"))
    if count:
        child = act.ctx.config.entity(relation.child)
        raise Conflict(
            ngettext("%(count)s record in “%(label)s” still belongs to this one. Delete or move it first.",
                     "%(count)s records in “%(label)s” still belong to this one. Delete or move them first.", count, label=pick(child.defn.plural)),
            reason="children", entity=child.key,
        )  # fmt: skip


async def _leave_children(act: Act, relation: Relation, row: Row) -> None:
    child = act.ctx.config.entity(relation.child)
    inner = act.under(elevated=True)
    for child_id in await children_of(act.conn, act.ctx, relation, row):
        if relation.on_delete == "cascade":
            if await is_live(act.conn, child, child_id):  # another way down may have deleted it already
                await delete(inner, child, child_id, along=True)
        elif not child.defn.append_only:  # what is never changed keeps the name of what is gone
            await update(inner, child, child_id, {relation.field: None})


async def restore(act: Act, entity: Entity, record_id: UUID) -> Row:
    """Bring a deleted record back, with the children that were deleted in the same act."""
    ctx = act.ctx
    row = await load(act.conn, ctx, entity, record_id, lock=True, deleted=True)
    if not row.holds["delete"]:
        raise PermissionDenied(_why_not(ctx, entity, row, "delete"), right="delete", entity=entity.key)
    await refuse_in_closed(act, entity, row)
    await act.conn.execute(
        f"UPDATE record SET deleted_at = NULL, deleted_by = NULL, version = version + 1 WHERE entity_id = {entity.number} AND id = $1",
        row.id,
    )
    ranks.wrote(entity, None)
    deleted_at, row.deleted_at, row.version = row.deleted_at, None, row.version + 1
    await uniques.claim(act.conn, ctx, entity, row, None)
    await quota.write(act.conn, ctx, "records", 1, [events.appended(ctx, entity, row, "restored", {})])
    await rollups.refresh_parents(act.conn, ctx, entity, row, None, None)
    inner = act.under(elevated=True)
    for relation in entity.children.values():
        if relation.on_delete == "cascade" and not relation.many:
            child = ctx.config.entity(relation.child)
            for child_id in await children_of(act.conn, ctx, relation, row, deleted_at=deleted_at):
                if not await is_live(act.conn, child, child_id):
                    await restore(inner, child, child_id)
    await follow(act, entity, row)
    act.effect("restore", entity.key, row.id)
    await dispatch(act, Happening("restore", entity, row))
    return row


# ---- what the configuration makes of existing records --------------------------------------------------------------------


@dataclass(slots=True)
class Rewrite:
    """A record under lock, with the old values of what changes, and its new values. `told`: values the history names as the old
    ones, where they were written in another way."""

    row: Row
    values: Mapping[str, Any]
    told: Mapping[str, Any] = field(default_factory=dict)
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)


async def lock_many(conn: Any, number: int, ids: Sequence[UUID]) -> None:
    """Lock records of one entity in the order of their ids, deleted ones too."""
    await conn.execute(f"SELECT 1 FROM record t WHERE t.entity_id = {number} AND t.id = ANY($1::uuid[]) ORDER BY t.id FOR UPDATE", list(ids))


async def follow_configuration(conn: Any, ctx: Context, entity: Entity, rewrites: Iterable[Rewrite]) -> list[uniques.Collision]:
    """Write values that follow from a change of the configuration, into records that are locked, deleted ones too.

    No right is asked, no rule checked, no automation run, nobody notified, and the time and person of the last change stay those
    of the last person. The version grows, the history names `ctx`, and claims, tokens and rollups follow. Where a unique value
    is taken the record keeps the value without a claim; such records are returned.
    """
    changed = [r for r in rewrites if _compare(r)]
    if not changed:
        return []
    keys = {key for r in changed for key in r.changes}
    ids = sorted(r.row.id for r in changed)
    for r in changed:
        r.row.version += 1
    await _write_many(conn, ctx, entity, changed)
    history = [(r.row, {k: (r.told.get(k, old), new) for k, (old, new) in r.changes.items()}) for r in changed]
    await events.append_many(conn, ctx, entity, history)
    collisions = await uniques.sync(conn, ctx, entity, ids, uniques.rules_about(ctx, entity, keys))
    if keys & search_keys(ctx, entity):
        await reindex(conn, ctx, entity, ids)
    before = {key: [UUID(v) for r in changed if key in r.changes for v in _ids_in(r.changes[key][0])] for key in keys if field_types.get(entity.fields[key].type).holds == "record"}
    await rollups.refresh_above(conn, ctx, entity, ids, keys, also=before)
    return collisions


async def write_quietly(conn: Any, ctx: Context, entity: Entity, rewrites: Iterable[Rewrite]) -> None:
    """Write values nobody sees: of a field that is not in the configuration, or no longer written that way."""
    changed = [r for r in rewrites if _compare(r)]
    if changed:
        await _write_many(conn, ctx, entity, changed)


def _compare(rewrite: Rewrite) -> bool:
    old = {key: rewrite.row.get(key) for key in rewrite.values}
    rewrite.changes = {k: (old[k], v) for k, v in rewrite.values.items() if old[k] != v and not (old[k] in EMPTY and v in EMPTY)}
    return bool(rewrite.changes)


def _ids_in(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value] if value else []


def search_keys(ctx: Context, entity: Entity) -> set[str]:
    """Fields whose values stand in the search index, as words or as tokens of the duplicate rules."""
    return {*search.searched(entity), *twins.fields_looked_at(ctx.config, entity)}


async def reindex(conn: Any, ctx: Context, entity: Entity, ids: Sequence[UUID]) -> None:
    """Make the tokens of locked records anew."""
    statement = Statement(ctx)
    scope = RecordScope(statement, entity, "t")
    projection = Projection(scope, search_keys(ctx, entity))
    sql = f"SELECT {projection.sql} FROM record t WHERE t.entity_id = {entity.number} AND t.id = ANY({scope.param(list(ids), 'uuid[]')})"
    rows = projection.rows(await conn.fetch(*statement.finish(sql)))
    wanted = {row.id: search.tokens(search.searchable_text(ctx, entity, row)) | twins.tokens(ctx.config, entity, row) for row in rows}
    await search.index_many(conn, ctx, entity, wanted)


async def _write_many(conn: Any, ctx: Context, entity: Entity, changed: Sequence[Rewrite]) -> None:
    """Rows and links. Rows that change the same columns are sent together."""
    ranks.wrote(entity, {"department", *(key for r in changed for key in r.changes)})
    batches: dict[str, list[list[Any]]] = {}
    links: list[tuple[UUID, Encoded]] = []
    stage = entity.pipeline.field if entity.pipeline else None
    for r in changed:
        encoded = encode(ctx.config, entity, {k: new for k, (_, new) in r.changes.items() if k in entity.declared})
        columns: dict[str, tuple[Any, str]] = {"version": (r.row.version, "int4"), **encoded.columns}
        if stage in r.changes:
            columns |= {"state": (r.changes[stage][1], "text"), "state_since": (ctx.now, "timestamptz")}
        if "owner" in r.changes:
            owner = r.changes["owner"][1]
            columns |= {"owner_id": (UUID(owner) if owner else None, "uuid")}
        params, sets = [r.row.id], []
        for column, (value, pg) in columns.items():
            params.append(value)
            sets.append(f"{column} = ${len(params)}::{pg}")
        if encoded.doc:
            params.append(json.dumps(encoded.doc, ensure_ascii=False))
            sets.append(f"doc = jsonb_strip_nulls(doc || ${len(params)}::jsonb)")
        batches.setdefault(", ".join(sets), []).append(params)
        if encoded.links:
            links.append((r.row.id, encoded))
    for sets, rows in batches.items():
        await conn.executemany(f"UPDATE record SET {sets} WHERE entity_id = {entity.number} AND id = $1", rows)
    for record_id, encoded in links:
        await write_together(conn, _links(ctx, entity, record_id, encoded, fresh=False))
    if stage and (moved := [r for r in changed if stage in r.changes]):
        await _enter_stages(conn, ctx, entity, [(r.row.id, r.changes[stage][1]) for r in moved])
    if owned := [r.row.id for r in changed if "owner" in r.changes]:
        await conn.execute(
            "UPDATE record t SET department_id = (SELECT d.department_id FROM user_department d WHERE d.tenant_id = t.tenant_id AND d.user_id = t.owner_id "
            f"ORDER BY d.is_primary DESC LIMIT 1) WHERE t.entity_id = {entity.number} AND t.id = ANY($1::uuid[])",
            owned,
        )


async def _enter_stages(conn: Any, ctx: Context, entity: Entity, moves: Sequence[tuple[UUID, str | None]]) -> None:
    await conn.execute(
        "UPDATE stage_history SET left_at = $4 WHERE tenant_id = $1 AND entity_id = $2 AND record_id = ANY($3::uuid[]) AND left_at IS NULL",
        ctx.tenant_id, entity.number, [record_id for record_id, _ in moves], ctx.now,
    )  # fmt: skip
    await conn.executemany(
        "INSERT INTO stage_history (tenant_id, entity_id, record_id, id, stage, entered_at, user_id) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [(ctx.tenant_id, entity.number, record_id, new_id(ctx.now), stage, ctx.now, ctx.user_id) for record_id, stage in moves if stage],
    )
