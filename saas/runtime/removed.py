"""What the configuration no longer has while its values are still there: removing hides first. To see it, to bring it back, and to
purge it for good, which is an act of its own, counted, confirmed and audited.

Purging destroys the values, their files, numbers and claims, and what the history tells of them; the history itself stays where
the field is still used under another type. A purged place is given to others only when nothing is left in it, and a field or
entity that comes back later comes back empty.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from saas.db import system_transaction, tenant_transaction
from saas.errors import Conflict, FieldProblem, InvalidInput, NotFound
from saas.i18n import lazy, pick
from saas.metadata import edits, slots
from saas.metadata.kinds import field_types
from saas.runtime import backfill, jobs, permissions, quota
from saas.runtime.context import Context
from saas.runtime.jobs import JobRun
from saas.tenants import record_audit

Kind = Literal["field", "values", "entity"]
KIND = "purge"
CAP = 10_000
BATCH = 500
SHOWN = 300
LOOK_BACK = 300  # revisions in which a definition is looked for; what is older can be purged, but not brought back by its name
PURGED = "~purged"  # shape of a place that is being emptied: no field takes it up again
# Requests that began before the removal may still write; only then is a place really nobody's.
SETTLED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Removed:
    """`kind`: a field that is gone; values that a field had before its type changed, also of one that is gone; an entity with its records. `last` is the last
    revision that had it, None where no kept revision knows it. `count` is exact below CAP."""

    id: str
    kind: Kind
    entity: str
    number: int
    label: Mapping[str, str]
    entity_label: Mapping[str, str]
    field: str | None = None
    type: str = ""
    place: str = ""
    last: int | None = None
    removed_at: datetime | None = None
    count: int = 0

    @property
    def is_exact(self) -> bool:
        return self.count < CAP

    @property
    def since(self) -> int | None:
        return self.last + 1 if self.last else None

    @property
    def can_restore(self) -> bool:
        return self.last is not None


@dataclass(frozen=True, slots=True)
class Definition:
    """A part of a bundle, to be put at its path."""

    path: str
    raw: Mapping[str, Any]


# ---- finding -------------------------------------------------------------------------------------------------------------


async def removed(ctx: Context) -> list[Removed]:
    """Everything that is hidden and has values, fields that are gone also without: entities, then fields by entity.
    Errors: PermissionDenied."""
    permissions.require_setting(ctx, "config")
    async with tenant_transaction(ctx.tenant_id) as conn:
        return await _find(conn, ctx)


async def find(ctx: Context, item_id: str) -> Removed:
    """One of them. Errors: PermissionDenied, NotFound."""
    found = next((item for item in await removed(ctx) if item.id == item_id), None)
    if found is None:
        raise NotFound(lazy("There is nothing left of this, or it is in use again."))
    return found


async def _find(conn: Any, ctx: Context) -> list[Removed]:
    known = await _last_known(conn, ctx)
    numbers = {r["key"]: r["id"] for r in await conn.fetch("SELECT key, id FROM entity WHERE tenant_id = $1 AND position('~' IN key) = 0", ctx.tenant_id)}
    rows = await conn.fetch(
        "SELECT entity_id, field_key, column_name, shape, retired_at FROM field_column WHERE tenant_id = $1 ORDER BY entity_id, field_key", ctx.tenant_id
    )
    entities = [item for key, number in numbers.items() if key not in ctx.config.entities if (item := await _entity(conn, ctx, key, number, known))]
    fields: list[Removed] = []
    for key in ctx.config.entities:
        number = numbers.get(key)
        if number is not None:
            fields += await _fields(conn, ctx, key, number, [r for r in rows if r["entity_id"] == number], known)
    return [*entities, *fields[:SHOWN]]


@dataclass(frozen=True, slots=True)
class _Known:
    """The last revision that had each entity, and each field as each type."""

    entities: Mapping[str, int]
    fields: Mapping[tuple[str, str, str], int]  # entity, field, shape -> revision

    def last(self, entity: str, field: str, shape: str) -> tuple[str, int] | None:
        """(shape, revision) of a field; of the type it had last where its shape is not known."""
        found = [(s, number) for (e, f, s), number in self.fields.items() if (e, f) == (entity, field) and shape in ("", s)]
        return max(found, key=lambda pair: pair[1], default=None)


async def _last_known(conn: Any, ctx: Context) -> _Known:
    rows = await conn.fetch(
        "SELECT e ->> 'key' AS entity, f ->> 'key' AS field, f ->> 'type' AS type, f ->> 'to' AS target, f ->> 'currency' AS currency, max(r.number) AS number "
        "FROM config_revision r CROSS JOIN jsonb_array_elements(r.bundle -> 'entities') e CROSS JOIN jsonb_array_elements(e -> 'fields') f "
        "WHERE r.tenant_id = $1 AND r.number > $2 GROUP BY 1, 2, 3, 4, 5",
        ctx.tenant_id, ctx.config.revision - LOOK_BACK,
    )  # fmt: skip
    entities: dict[str, int] = {}
    fields: dict[tuple[str, str, str], int] = {}
    for entity, field, type_, target, currency, number in rows:
        options = {"to": target, "currency": currency}
        shape = ":".join([type_, *(f"{name}={options[name]}" for name in slots.READ_BY if options.get(name))])
        fields[entity, field, shape] = number
        entities[entity] = max(number, entities.get(entity, 0))
    return _Known(entities, fields)


async def _entity(conn: Any, ctx: Context, key: str, number: int, known: _Known) -> Removed | None:
    count = await conn.fetchval(f"SELECT count(*) FROM (SELECT 1 FROM record WHERE entity_id = {number} LIMIT {CAP}) r")
    last = known.entities.get(key)
    if not count:
        return None
    raw = await _raw(conn, ctx, last, f"entities[{key}]") if last else {}
    gone = await conn.fetchval("SELECT created_at FROM config_revision WHERE tenant_id = $1 AND number = $2", ctx.tenant_id, (last or 0) + 1)
    label = raw.get("plural") or {"en": key}
    return Removed(key, "entity", key, number, label, label, last=last, removed_at=gone, count=count)


async def _fields(conn: Any, ctx: Context, entity: str, number: int, rows: list[Any], known: _Known) -> list[Removed]:
    found = []
    live = ctx.config.entities[entity].declared
    seen = {r["field_key"].partition(slots.RETIRED)[0] for r in rows}
    for row in rows:
        key = row["field_key"].partition(slots.RETIRED)[0]
        if row["retired_at"] is None or row["shape"] == PURGED:
            continue
        kind: Kind = "field" if row["field_key"] == key else "values"
        item = await _field(conn, ctx, entity, number, key, row["column_name"], row["shape"], row["retired_at"], known, kind)
        if item.count or (key not in live and row["field_key"] == key):
            found.append(item)
    # What went before places were kept for everything lies in the document or among the links under its own key.
    for key in sorted({f for e, f, _ in known.fields if e == entity} - set(live) - seen):
        shape = (known.last(entity, key, "") or ("", 0))[0]
        kind = field_types.find(shape.partition(":")[0])
        storage = kind.storage if kind else "doc"
        if storage in ("none", "state"):
            continue
        place = (slots.IN_LINKS if storage == "links" else slots.IN_DOCUMENT) + key
        item = await _field(conn, ctx, entity, number, key, place, shape, None, known, "field")
        if item.count:
            found.append(item)
    return found


async def _field(
    conn: Any, ctx: Context, entity: str, number: int, key: str, place: str, shape: str, retired_at: Any, known: _Known, kind: Kind
) -> Removed:  # fmt: skip
    last = known.last(entity, key, shape)
    defn = ctx.config.entities[entity].defn
    raw = await _raw(conn, ctx, last[1], f"entities[{entity}].fields[{key}]") if last else {}
    type_ = (shape or (last[0] if last else "")).partition(":")[0]
    count = await conn.fetchval(*_count_sql(ctx, number, place))
    return Removed(
        f"{entity}.{key}@{place}", kind, entity, number, raw.get("label") or {"en": key}, defn.plural, key, type_, place, last[1] if last else None, retired_at, count
    )  # fmt: skip


def _count_sql(ctx: Context, number: int, place: str) -> list[Any]:
    """How many values lie in a place, up to CAP."""
    where, name = _filled(place)
    if place.startswith(slots.IN_LINKS):
        inner = f"SELECT DISTINCT from_id FROM record_link WHERE tenant_id = $1 AND entity_id = {number} AND field_key = $2"
        return [f"SELECT count(*) FROM ({inner} LIMIT {CAP}) v", ctx.tenant_id, name]
    inner = f"SELECT 1 FROM record WHERE entity_id = {number} AND {where}"
    return [f"SELECT count(*) FROM ({inner} LIMIT {CAP}) v", *([name] if name else [])]


def _filled(place: str) -> tuple[str, str]:
    """(condition on `record`, the key it takes as $1 or "")."""
    if ":" in place:
        return "coalesce(doc -> $1, 'null') <> 'null'", place.partition(":")[2]
    return f"{place} IS NOT NULL", ""


async def _raw(conn: Any, ctx: Context, revision: int, path: str) -> Mapping[str, Any]:
    """The definition at a path of a revision; only its entity is read."""
    entity = edits.steps_of(path)[1][0]
    text = await conn.fetchval(
        "SELECT e FROM config_revision r CROSS JOIN jsonb_array_elements(r.bundle -> 'entities') e WHERE r.tenant_id = $1 AND r.number = $2 AND e ->> 'key' = $3",
        ctx.tenant_id, revision, entity,
    )  # fmt: skip
    return edits.find({"entities": [json.loads(text)]}, path) or {} if text else {}


# ---- bringing back -------------------------------------------------------------------------------------------------------


async def restore(ctx: Context, item: Removed, raw: Mapping[str, Any]) -> list[Definition]:
    """What must be put into the bundle `raw` (a draft) to bring it back: the definition as it last was, and the option lists and the
    pipeline it needs that are gone, too. Errors: PermissionDenied, NotFound when no revision knows it."""
    permissions.require_setting(ctx, "config")
    if item.last is None:
        raise NotFound(lazy("No revision that is kept has this definition."))
    async with tenant_transaction(ctx.tenant_id) as conn:
        text = await conn.fetchval("SELECT bundle FROM config_revision WHERE tenant_id = $1 AND number = $2", ctx.tenant_id, item.last)
    before = json.loads(text)
    path = f"entities[{item.entity}]" + (f".fields[{item.field}]" if item.field else "")
    definition = edits.find(before, path)
    fields = [definition] if item.field else definition["fields"]
    needed = [f"option_sets[{f['set']}]" for f in fields if f.get("set")] + [f"pipelines[{f['pipeline']}]" for f in fields if f.get("pipeline")]
    missing = [p for p in dict.fromkeys(needed) if edits.find(raw, p) is None and edits.find(before, p) is not None]
    return [Definition(path, definition), *(Definition(p, edits.find(before, p)) for p in missing)]


# ---- purging -------------------------------------------------------------------------------------------------------------


async def purge(ctx: Context, item: Removed, *, typed: str) -> UUID:
    """Destroy the values, in the background. `typed` is the name the person typed to confirm. Returns the job.

    Errors: PermissionDenied; InvalidInput when the name is another; Conflict while records still follow a change, or when it was
    removed only a moment ago; NotFound when it is in use again.
    """
    permissions.require_setting(ctx, "config")
    permissions.require_active(ctx)
    if typed.strip() not in {pick(item.label, ctx.locale), *item.label.values()}:
        raise InvalidInput([FieldProblem("name", "wrong_name", lazy("Type the name exactly as it stands above."))])
    async with tenant_transaction(ctx.tenant_id) as conn:
        # Nobody publishes meanwhile, so it cannot come into use between looking and marking.
        live = await conn.fetchval("SELECT config_revision FROM tenant WHERE id = $1 FOR NO KEY UPDATE", ctx.tenant_id)
        if live != ctx.config.revision:
            raise Conflict(lazy("Somebody published in the meantime. Look again what is removed."))
        if not await _is_hidden(conn, ctx, item):
            raise NotFound(lazy("There is nothing left of this, or it is in use again."))
        await _refuse_early(conn, ctx, item)
        await _mark(conn, ctx, item)
        payload = {"item": _to_json(item), "locale": ctx.locale}
        job_id = await jobs.enqueue(conn, ctx, KIND, payload)
        facts = {"kind": item.kind, "entity": item.entity, "field": item.field, "name": pick(item.label, "en"), "count": item.count, "exact": item.is_exact, "job": str(job_id)}
        await record_audit(conn, ctx.tenant_id, "config.purged", actor_id=ctx.user_id, target=item.id, request_id=ctx.request_id, data=facts)
    return job_id


async def _is_hidden(conn: Any, ctx: Context, item: Removed) -> bool:
    """Whether it is still there and still not in use; marks of a purge count as gone."""
    if item.kind == "entity":
        there = await conn.fetchval("SELECT true FROM entity WHERE tenant_id = $1 AND id = $2 AND key = $3", ctx.tenant_id, item.number, item.entity)
        return bool(there) and item.entity not in ctx.config.entities
    row = await conn.fetchrow(
        "SELECT retired_at, shape FROM field_column WHERE tenant_id = $1 AND entity_id = $2 AND column_name = $3", ctx.tenant_id, item.number, item.place
    )
    if row is None:
        unused = ":" in item.place and item.field not in ctx.config.entities[item.entity].declared
        return unused and bool(await conn.fetchval(*_count_sql(ctx, item.number, item.place)))
    return row["retired_at"] is not None and row["shape"] != PURGED


async def _refuse_early(conn: Any, ctx: Context, item: Removed) -> None:
    if await conn.fetchval(
        "SELECT EXISTS (SELECT 1 FROM job WHERE tenant_id = $1 AND kind = $2 AND status IN ('queued', 'running', 'paused'))", ctx.tenant_id, backfill.KIND
    ):
        raise Conflict(lazy("Records are still following a change of the configuration. Wait until that is over."))
    older = "SELECT EXISTS (SELECT 1 FROM job WHERE tenant_id = $1 AND kind <> $2 AND status = 'running' AND created_at < $3)"
    if item.removed_at is not None and await conn.fetchval(older, ctx.tenant_id, KIND, item.removed_at):
        raise Conflict(lazy("Work that began before this was removed is still going on. Wait until it is over."))
    if item.removed_at is not None and await conn.fetchval("SELECT $1::timestamptz > now() - make_interval(secs => $2)", item.removed_at, SETTLED_SECONDS):
        raise Conflict(lazy("This was removed only a moment ago, and somebody may still be working with it. Try again in a minute."))


async def _mark(conn: Any, ctx: Context, item: Removed) -> None:
    """From now on nothing finds it: a revision that is taken back finds an empty place, or an entity without records."""
    if item.kind == "entity":
        await conn.execute("UPDATE entity SET key = key || '~' || id WHERE tenant_id = $1 AND id = $2", ctx.tenant_id, item.number)
        return
    marked = await conn.execute(
        "UPDATE field_column SET shape = $4, field_key = split_part(field_key, '~', 1) || '~' || column_name WHERE tenant_id = $1 AND entity_id = $2 AND column_name = $3",
        ctx.tenant_id, item.number, item.place, PURGED,
    )  # fmt: skip
    if marked.endswith(" 0"):
        await conn.execute(
            "INSERT INTO field_column (tenant_id, entity_id, field_key, column_name, storage, shape, retired_at) VALUES ($1, $2, $3, $4, 'doc', $5, now())",
            ctx.tenant_id, item.number, f"{item.field}{slots.RETIRED}{item.place}", item.place, PURGED,
        )  # fmt: skip


def _to_json(item: Removed) -> dict[str, Any]:
    return {
        "kind": item.kind, "entity": item.entity, "number": item.number, "field": item.field, "place": item.place, "label": dict(item.label),
        "entity_label": dict(item.entity_label), "count": item.count,
    }  # fmt: skip


async def run_purge(job: JobRun) -> Mapping[str, Any]:
    """The job: first what the history tells, then batch by batch until nothing is left; what was destroyed is counted."""
    item, ctx = job.payload["item"], job.ctx
    state = dict(job.state) or {"done": 0}
    work = _purge_records if item["kind"] == "entity" else _purge_links if item["place"].startswith(slots.IN_LINKS) else _purge_values
    while not state.get("forgotten"):
        state = await _forget_history(job, item, state)
    more = True
    while more:
        async with tenant_transaction(ctx.tenant_id) as conn:
            # Neither a publication nor a batch of records that follow one works with the place meanwhile.
            await conn.fetchval("SELECT config_revision FROM tenant WHERE id = $1 FOR NO KEY UPDATE", ctx.tenant_id)
            following = dict(state)
            more = await work(conn, ctx, item, following)
            if not more:
                await _finish(conn, ctx, item)
            await job.checkpoint(conn, done=following["done"], total=max(following["done"], item["count"]), state=following)
        state = following
    return state


async def _purge_values(conn: Any, ctx: Context, item: Mapping[str, Any], state: dict[str, Any]) -> bool:
    where, name = _filled(item["place"])
    limit = f"ORDER BY id LIMIT {BATCH} FOR UPDATE"
    rows = await conn.fetch(f"SELECT id{', doc -> $1 AS old' if name else ''} FROM record WHERE entity_id = {item['number']} AND {where} {limit}", *([name] if name else []))
    if not rows:
        return False
    ids = [row["id"] for row in rows]
    if name:
        await _forget_files(conn, ctx, item, ids, [json.loads(row["old"]) for row in rows])
        await conn.execute(f"UPDATE record SET doc = doc - $2::text WHERE entity_id = {item['number']} AND id = ANY($1::uuid[])", ids, name)
    else:
        await conn.execute(f"UPDATE record SET {item['place']} = NULL WHERE entity_id = {item['number']} AND id = ANY($1::uuid[])", ids)
    state["done"] += len(ids)
    return True


async def _forget_files(conn: Any, ctx: Context, item: Mapping[str, Any], ids: list[UUID], values: list[Any]) -> None:
    """Files that nothing else of the same records holds; housekeeping removes their contents."""
    held = {v for value in values if isinstance(value, list) for v in value if isinstance(v, str)}
    if not held:
        return
    gone = await conn.fetch(
        "UPDATE file f SET record_id = NULL, deleted_at = now() WHERE f.tenant_id = $1 AND f.id::text = ANY($2::text[]) AND f.record_id = ANY($3::uuid[]) AND f.deleted_at IS NULL "
        f"AND NOT EXISTS (SELECT 1 FROM record r, jsonb_each(r.doc - $4::text) d WHERE r.entity_id = {item['number']} AND r.id = f.record_id "
        "AND jsonb_typeof(d.value) = 'array' AND d.value ? f.id::text) RETURNING f.size_bytes",
        ctx.tenant_id, sorted(held), ids, item["place"].partition(":")[2],
    )  # fmt: skip
    await quota.write(conn, ctx, "storage", -sum(row["size_bytes"] for row in gone), [])


async def _purge_links(conn: Any, ctx: Context, item: Mapping[str, Any], state: dict[str, Any]) -> bool:
    args = (ctx.tenant_id, item["number"], item["place"].partition(":")[2])
    where = "WHERE tenant_id = $1 AND entity_id = $2 AND field_key = $3"
    rows = await conn.fetch(f"SELECT DISTINCT from_id FROM record_link {where} ORDER BY from_id LIMIT {BATCH}", *args)
    await conn.execute(f"DELETE FROM record_link {where} AND from_id = ANY($4::uuid[])", *args, [row[0] for row in rows])
    state["done"] += len(rows)
    return bool(rows)


_AROUND = {
    "record_link": "from_id", "unique_value": "record_id", "search_token": "record_id", "stage_history": "record_id", "sample_record": "record_id",
    "ownership_event": "record_id", "record_share": "record_id",
}  # fmt: skip


async def _purge_records(conn: Any, ctx: Context, item: Mapping[str, Any], state: dict[str, Any]) -> bool:
    rows = await conn.fetch(f"SELECT id FROM record WHERE entity_id = {item['number']} ORDER BY id LIMIT {BATCH} FOR UPDATE")
    ids = [row["id"] for row in rows]
    await destroy_records(conn, ctx, item["number"], ids)
    state["done"] += len(ids)
    return bool(rows)


async def destroy_records(conn: Any, ctx: Context, number: int, ids: Sequence[UUID]) -> None:
    """Rows of records with their values, claims, links, tokens, files and approvals; not what the history tells of them."""
    ids = list(ids)
    for table, column in _AROUND.items():
        await conn.execute(f"DELETE FROM {table} WHERE tenant_id = $1 AND entity_id = {number} AND {column} = ANY($2::uuid[])", ctx.tenant_id, ids)
    flows = [r[0] for r in await conn.fetch("DELETE FROM approval_flow WHERE tenant_id = $1 AND entity_id = $2 AND record_id = ANY($3::uuid[]) RETURNING id", ctx.tenant_id, number, ids)]
    tasks = [r[0] for r in await conn.fetch("DELETE FROM approval_task WHERE tenant_id = $1 AND flow_id = ANY($2::uuid[]) RETURNING id", ctx.tenant_id, flows)]
    await conn.execute("DELETE FROM approval_person WHERE tenant_id = $1 AND task_id = ANY($2::uuid[])", ctx.tenant_id, tasks)
    for table in ("notification", "schedule_run"):
        await conn.execute(f"DELETE FROM {table} WHERE tenant_id = $1 AND record_id = ANY($2::uuid[])", ctx.tenant_id, ids)
    files = await conn.fetch(
        "UPDATE file SET record_id = NULL, deleted_at = now() WHERE tenant_id = $1 AND record_id = ANY($2::uuid[]) AND deleted_at IS NULL RETURNING size_bytes", ctx.tenant_id, ids
    )
    gone = await conn.fetch(f"DELETE FROM record WHERE entity_id = {number} AND id = ANY($1::uuid[]) RETURNING deleted_at IS NULL AS live", ids)
    await quota.write(conn, ctx, "storage", -sum(row["size_bytes"] for row in files), [])
    await quota.write(conn, ctx, "records", -sum(row["live"] for row in gone), [])


async def _forget_history(job: JobRun, item: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """What the history of some records tells of it. People's own role may only append to the history, so this takes the system's."""
    ctx, number, after = job.ctx, item["number"], state.get("after")
    async with tenant_transaction(ctx.tenant_id) as conn:
        used = await _is_used(conn, ctx, item)
        rows = await conn.fetch(
            f"SELECT id FROM record WHERE entity_id = {number} AND ($1::uuid IS NULL OR id > $1) ORDER BY id LIMIT {BATCH}", UUID(after) if after else None
        )
    ids = [row["id"] for row in rows]
    if ids and not used:
        args = (ctx.tenant_id, number, ids)
        async with system_transaction("purge", of=ctx.tenant_id) as conn:
            if item["kind"] == "entity":
                for table in ("record_event", "approval_event"):
                    await conn.execute(f"DELETE FROM {table} WHERE tenant_id = $1 AND entity_id = $2 AND record_id = ANY($3::uuid[])", *args)
            else:
                await conn.execute(
                    "UPDATE record_event SET changes = changes - $4::text WHERE tenant_id = $1 AND entity_id = $2 AND record_id = ANY($3::uuid[]) AND changes ? $4",
                    *args, item["field"],
                )  # fmt: skip
    following = {**state, "after": str(ids[-1])} if ids and not used else {**state, "forgotten": True}
    async with tenant_transaction(ctx.tenant_id) as conn:
        await job.checkpoint(conn, done=following["done"], total=item["count"], state=following)
    return following


async def _is_used(conn: Any, ctx: Context, item: Mapping[str, Any]) -> bool:
    """Whether a field of this name is there, in use or hidden: the history is also its."""
    if item["kind"] == "entity":
        return False
    return await conn.fetchval(
        "SELECT EXISTS (SELECT 1 FROM field_column WHERE tenant_id = $1 AND entity_id = $2 AND split_part(field_key, '~', 1) = $3 AND shape <> $4)",
        ctx.tenant_id, item["number"], item["field"], PURGED,
    )  # fmt: skip


async def _finish(conn: Any, ctx: Context, item: Mapping[str, Any]) -> None:
    """Nothing is left: the place is free, the entity's number is nobody's."""
    number = item["number"]
    if item["kind"] == "entity":
        for table in ("field_column", "counter", "unique_value", "record_merge", "record_trace", "twin_pair", "twin_dismissed", "review_item"):
            await conn.execute(f"DELETE FROM {table} WHERE tenant_id = $1 AND entity_id = $2", ctx.tenant_id, number)
        await conn.execute("DELETE FROM saved_view WHERE tenant_id = $1 AND entity_key = $2 AND NOT EXISTS (SELECT 1 FROM entity WHERE tenant_id = $1 AND key = $2)", ctx.tenant_id, item["entity"])
        await conn.execute("DELETE FROM entity WHERE tenant_id = $1 AND id = $2", ctx.tenant_id, number)
        return
    if not await _is_used(conn, ctx, item):
        await conn.execute("DELETE FROM counter WHERE tenant_id = $1 AND entity_id = $2 AND field_key = $3", ctx.tenant_id, number, item["field"])
        await conn.execute("UPDATE record_merge SET detail = detail #- ARRAY['values', $3::text] WHERE tenant_id = $1 AND entity_id = $2", ctx.tenant_id, number, item["field"])
    await conn.execute("DELETE FROM field_column WHERE tenant_id = $1 AND entity_id = $2 AND column_name = $3 AND shape = $4", ctx.tenant_id, number, item["place"], PURGED)
