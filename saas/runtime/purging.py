"""Purging records for good: by those whose role may, after an export of what goes, with the count confirmed, noted in the audit log.

What is purged is not deleted: no automation runs, nothing lies in the recycle bin, and the history tells nothing of it any more. What was
closed with it (settlements, entries of a ledger) is never purged for itself, only together with what it belongs to.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from saas.db import system_transaction, tenant_transaction
from saas.errors import Conflict, FieldProblem, InvalidInput, PermissionDenied
from saas.i18n import gettext, lazy, ngettext, pick
from saas.metadata.config import Entity, Relation
from saas.runtime import jobs, permissions, rollups
from saas.runtime.acts import Act
from saas.runtime.context import Context
from saas.runtime.portal import follow, roles_of
from saas.runtime.records import entity_of, load, update
from saas.runtime.removed import destroy_records
from saas.runtime.rows import Projection, Row
from saas.runtime.sql import RecordScope, Statement, field_sql
from saas.runtime.transfer.exports import start_export
from saas.runtime.worker import run_for
from saas.tenants import record_audit

KIND = "purge_records"
BATCH = 200
INLINE_SECONDS = 2.0  # so long the answer waits: little is gone at once
MOST_COUNTED = 10_000  # of each entity, before somebody deletes or purges
PAGE = 5_000  # records found or destroyed by one statement
# What tells of a record and may only be added to by the app's role.
_TOLD = {
    "record_event": ("record_id",), "approval_event": ("record_id",), "message": ("record_id",), "notice_seen": ("record_id",), "automation_log": ("record_id",), "review_item": ("record_id",),
    "twin_pair": ("one_id", "other_id"), "twin_dismissed": ("one_id", "other_id"), "record_trace": ("loser_id", "survivor_id"), "record_merge": ("survivor_id",),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Below:
    """Records of an entity that go together with another one; without an entity: those of entities the person may not read."""

    entity: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class PurgePlan:
    """What would go: `live` records and those in the recycle bin (`deleted`), and what goes with them. `export`: the job that writes the live
    ones into a file first."""

    live: int
    deleted: int
    below: tuple[Below, ...]
    export: jobs.JobInfo

    @property
    def count(self) -> int:
        return self.live + self.deleted


def may_purge(ctx: Context, entity_key: str) -> bool:
    entity = ctx.config.entities.get(entity_key)
    return entity is not None and not entity.defn.append_only and permissions.may(ctx, "purge", entity_key) and permissions.may(ctx, "export", entity_key)


def _require(ctx: Context, entity_key: str) -> Entity:
    entity = entity_of(ctx, entity_key)
    permissions.require_active(ctx)
    permissions.require(ctx, "purge", entity_key)
    permissions.require(ctx, "export", entity_key)
    if entity.defn.append_only or entity.defn.read_only:
        raise PermissionDenied(lazy("These records can be added but never changed."), right="purge", entity=entity_key)
    return entity


# ---- what would go ----------------------------------------------------------------------------------------------------------------


async def plan(ctx: Context, entity_key: str, *, before: date | None = None) -> PurgePlan:
    """Count what would go, and begin to export it. `before`: only what was made before that day, where the company is.
    Errors: PermissionDenied, NotFound, Conflict (others still refer to it)."""
    entity = _require(ctx, entity_key)
    asked = _Asked(entity, before)
    seal = await _seal(ctx, asked)
    async with tenant_transaction(ctx.tenant_id) as conn:
        ids = await _ids(conn, ctx, asked, limit=MOST_COUNTED)
        going = await _closure(conn, ctx, entity, ids)
        await _refuse_referred(conn, ctx, asked, going)
    filter_ = {"field": "created_at", "op": "lt", "value": _moment(ctx, before).isoformat()} if before else None
    export = await start_export(ctx, entity_key, filter=filter_, sealed=seal.text)
    return PurgePlan(seal.live, seal.deleted, _below(ctx, entity, ids, going), export)


async def begin(ctx: Context, entity_key: str, *, export_id: UUID | None, count: int, before: date | None = None) -> jobs.JobInfo:
    """Purge what the finished export shows. Errors: PermissionDenied, NotFound, InvalidInput (no export), Conflict (not finished, or something
    is otherwise than when it was planned)."""
    entity = _require(ctx, entity_key)
    if export_id is None:
        raise InvalidInput([FieldProblem("export", "required", lazy("Export the records first."))])
    export = await jobs.get_job(ctx, export_id)
    if export.kind != "export_records" or export.created_by != ctx.user_id or export.payload.get("entity") != entity_key or "sealed" not in export.payload:
        raise InvalidInput([FieldProblem("export", "unknown", lazy("This is no export of these records."))])
    if export.status != "done":
        raise Conflict(lazy("The export is not finished yet."), reason="not_exported")
    seal = await _seal(ctx, _Asked(entity, before))
    if count != seal.live + seal.deleted:
        raise Conflict(lazy("There are %(count)s records, which is not the number you confirmed.", count=seal.live + seal.deleted), reason="count")
    if seal.text != export.payload["sealed"] or (export.result or {}).get("rows") != seal.exported:
        raise Conflict(lazy("Records were changed after the export. Export them again."), reason="changed")
    # What is made or changed from now on was neither exported nor confirmed: the job, and whoever tries it again, leaves it.
    cutoff = seal.last.isoformat() if seal.last else None
    payload = {"entity": entity_key, "before": before.isoformat() if before else None, "cutoff": cutoff, "count": count, "label": entity.defn.plural, "export": str(export_id)}
    async with tenant_transaction(ctx.tenant_id) as conn:
        await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('purge:' || $1::uuid::text, 0))", ctx.tenant_id)
        running = await conn.fetchval("SELECT true FROM job WHERE tenant_id = $1 AND kind = $2 AND payload ->> 'entity' = $3 AND status IN ('queued', 'running', 'paused')", ctx.tenant_id, KIND, entity_key)
        if running:
            raise Conflict(lazy("These records are being purged already."), reason="running")
        job_id = await jobs.enqueue(conn, ctx, KIND, payload, total=count)
        data = {"count": count, "export": str((export.result or {}).get("name", "")), **({"before": before.isoformat()} if before else {})}
        await record_audit(conn, ctx.tenant_id, "records.purged", actor_id=ctx.user_id, target=entity_key, request_id=ctx.request_id, data=data)
    return await run_for(ctx, job_id, INLINE_SECONDS)


def _moment(ctx: Context, day: date) -> datetime:
    return datetime.combine(day, time(), ctx.zone)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which records go: those made before a day, and neither made nor changed after the cutoff."""

    entity: Entity
    before: date | None
    cutoff: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Seal:
    """What the records are like just now. `exported`: rows that an export has, also of what waits for a decision; `last`: the last moment one
    was made or changed."""

    text: str
    live: int
    deleted: int
    exported: int
    last: datetime | None


def _which(ctx: Context, asked: _Asked) -> tuple[RecordScope, str]:
    """What the person may read and export, also in the recycle bin."""
    scope = RecordScope(Statement(ctx), asked.entity, "t")
    parts = [f"t.entity_id = {asked.entity.number}", permissions.right_sql("read", scope), permissions.right_sql("export", scope)]
    if asked.before is not None:
        parts.append(f"t.created_at < {scope.param(_moment(ctx, asked.before), 'timestamptz')}")
    if asked.cutoff is not None:
        cutoff = scope.param(asked.cutoff, "timestamptz")
        parts.append(f"t.created_at <= {cutoff} AND t.updated_at <= {cutoff}")
    return scope, " AND ".join(f"({p})" for p in parts)


async def _seal(ctx: Context, asked: _Asked) -> _Seal:
    scope, which = _which(ctx, asked)
    free = "t.frozen IS NULL"  # what waits for a decision stays
    async with tenant_transaction(ctx.tenant_id) as conn:
        sql = (
            f"SELECT count(*) FILTER (WHERE {free} AND t.deleted_at IS NULL), count(*) FILTER (WHERE {free} AND t.deleted_at IS NOT NULL), count(*) FILTER (WHERE t.deleted_at IS NULL), "
            f"max(greatest(t.created_at, t.updated_at)) FILTER (WHERE {free}), coalesce(sum(t.version), 0), max(t.id::text) FROM record t WHERE {which}"
        )
        row = await conn.fetchrow(*scope.statement.finish(sql))
    text = f"{asked.entity.key}|{asked.before}|{'|'.join(str(v) for v in row)}"
    return _Seal(hashlib.sha256(text.encode()).hexdigest(), row[0], row[1], row[2], row[3])


async def _ids(conn: Any, ctx: Context, asked: _Asked, *, limit: int, among: Iterable[UUID] | None = None, lock: bool = False) -> list[UUID]:
    scope, which = _which(ctx, asked)
    if among is not None:
        which += f" AND t.id = ANY({scope.param(list(among), 'uuid[]')})"
    sql = f"SELECT t.id FROM record t WHERE {which} AND t.frozen IS NULL ORDER BY t.id LIMIT {limit}" + (" FOR UPDATE OF t" if lock else "")
    return [r[0] for r in await conn.fetch(*scope.statement.finish(sql))]


# ---- what goes along ----------------------------------------------------------------------------------------------------------------


async def below_one(ctx: Context, entity_key: str, record_id: UUID) -> tuple[Below, ...]:
    """The living records that are deleted together with this one, for those who may delete it. Errors: NotFound, PermissionDenied."""
    entity = entity_of(ctx, entity_key)
    async with tenant_transaction(ctx.tenant_id) as conn:
        row = await load(conn, ctx, entity, record_id)
        if not row.holds["delete"]:
            raise PermissionDenied(lazy("Your role does not allow this for this record."), right="delete", entity=entity.key)
        return _below(ctx, entity, [row.id], await _closure(conn, ctx, entity, [row.id], living=True, most=MOST_COUNTED))


def _below(ctx: Context, entity: Entity, ids: Sequence[UUID], going: Mapping[str, set[UUID]]) -> tuple[Below, ...]:
    """What goes along, by entity. Of what the person may not read, only that there is something."""
    counts = {key: len(each - set(ids)) if key == entity.key else len(each) for key, each in going.items()}
    named = [Below(key, pick(ctx.config.entity(key).defn.plural, ctx.locale), n) for key, n in counts.items() if n and permissions.may(ctx, "read", key)]
    others = sum(n for key, n in counts.items() if not permissions.may(ctx, "read", key))
    return (*named, Below("", gettext("Other records"), others)) if others else tuple(named)


async def _closure(conn: Any, ctx: Context, entity: Entity, ids: Iterable[UUID], *, living: bool = False, most: int | None = None) -> dict[str, set[UUID]]:
    """Records and everything that goes along with them, on every level, by entity. `most`: so many of each are enough to know."""
    found: dict[str, set[UUID]] = {entity.key: set(ids)}
    level: list[tuple[Entity, set[UUID]]] = [(entity, found[entity.key])]
    while level:
        following: list[tuple[Entity, set[UUID]]] = []
        for parent, parents in level:
            for relation in _cascading(parent):
                known, new = found.setdefault(relation.child, set()), set[UUID]()
                async for page in _children(conn, ctx, relation, parents, living=living):
                    new.update(i for i in page if i not in known)
                    if most is not None and len(known) + len(new) >= most:
                        break
                known |= new
                if new:
                    following.append((ctx.config.entity(relation.child), new))
        level = following
    return found


def _cascading(entity: Entity) -> list[Relation]:
    return [r for r in entity.children.values() if r.on_delete == "cascade" and not r.many]


async def _children(conn: Any, ctx: Context, relation: Relation, ids: Iterable[UUID], *, living: bool) -> AsyncIterator[list[UUID]]:
    """The records that name one of these, page by page until there is none left."""
    child = ctx.config.entity(relation.child)
    link = field_sql(ctx.config, child, child.fields[relation.field], "t")
    alive = "AND t.deleted_at IS NULL" if living else ""
    sql = f"SELECT t.id FROM record t WHERE t.entity_id = {child.number} {alive} AND {link} = ANY($1::uuid[]) AND ($2::uuid IS NULL OR t.id > $2) ORDER BY t.id LIMIT {PAGE}"
    wanted, last = list(ids), None
    while page := [r[0] for r in await conn.fetch(sql, wanted, last)]:
        yield page
        if len(page) < PAGE:
            return
        last = page[-1]


async def _refuse_referred(conn: Any, ctx: Context, asked: _Asked, going: Mapping[str, set[UUID]]) -> None:
    """Records that must not be without these, or without what goes along. Raises Conflict."""
    for key, ids in going.items():
        for relation in ctx.config.entity(key).children.values():
            if relation.on_delete not in ("restrict", "keep") or relation.many or not ids:
                continue
            count = 0
            async for page in _children(conn, ctx, relation, ids, living=True):
                rest = set(page) - going.get(relation.child, set())
                if rest and relation.child == asked.entity.key:  # its turn comes
                    rest -= set(await _ids(conn, ctx, asked, limit=PAGE, among=rest))
                count += len(rest)
            if count:
                label = pick(ctx.config.entity(relation.child).defn.plural, ctx.locale)
                raise Conflict(
                    ngettext("%(count)s record in “%(label)s” still refers to these. Delete or purge it first.", "%(count)s records in “%(label)s” still refer to these. Delete or purge them first.", count, label=label),
                    reason="children", entity=relation.child,
                )  # fmt: skip


# ---- purging --------------------------------------------------------------------------------------------------------------------------


async def run(job: jobs.JobRun) -> Mapping[str, Any]:
    """The job: batch by batch, each in a transaction of its own, until nothing that it is about is left."""
    ctx = job.ctx
    entity = _require(ctx, job.payload["entity"])
    before = date.fromisoformat(job.payload["before"]) if job.payload["before"] else None
    asked = _Asked(entity, before, datetime.fromisoformat(job.payload["cutoff"])) if job.payload["cutoff"] else None
    state = dict(job.state) or {"done": 0, "told": {}}
    while True:
        for number, gone in state["told"].items():  # destroyed, and still told of: also after an interruption
            await _forget(ctx, int(number), [UUID(i) for i in gone])
        async with tenant_transaction(ctx.tenant_id) as conn:
            left = min(BATCH, job.payload["count"] - state["done"])  # never more than was confirmed
            ids = await _ids(conn, ctx, asked, limit=left, lock=True) if asked is not None and left > 0 else []
            going: dict[str, set[UUID]] = {}
            if ids and asked is not None:
                going = await _closure(conn, ctx, entity, ids)
                await _refuse_referred(conn, ctx, asked, going)
                await _purge(conn, ctx, asked, going)
            state = {"done": state["done"] + len(ids), "told": {str(ctx.config.entity(key).number): [str(i) for i in each] for key, each in going.items() if each}}
            await job.checkpoint(conn, done=state["done"], state=state)
        if not ids:
            return {"done": state["done"]}


async def _purge(conn: Any, ctx: Context, asked: _Asked, going: Mapping[str, set[UUID]]) -> None:
    """Destroy records and what belongs to them; others that named them name nothing then, and who was one of them comes in no more."""
    act = Act(conn, ctx.replace(elevated=True, fixed_now=ctx.now))
    for key, ids in going.items():
        await _unname(act, asked, ctx.config.entity(key), ids, going)
    entities = [(ctx.config.entity(key), sorted(ids)) for key, ids in going.items() if ids]
    parents = [found for entity, ids in entities for found in await _parents(conn, ctx, entity, ids)]
    people = [(entity, row) for entity, ids in entities for row in await _people(conn, ctx, entity, ids)]
    for entity, ids in entities:
        for start in range(0, len(ids), PAGE):
            some = ids[start : start + PAGE]
            await conn.execute("DELETE FROM record_link WHERE tenant_id = $1 AND to_id = ANY($2::uuid[])", ctx.tenant_id, some)
            await destroy_records(conn, ctx, entity.number, some)
    for parent, fields, above in parents:
        await rollups.refresh_many(conn, ctx, parent, above - going.get(parent.key, set()), fields)
    for entity, row in people:
        await follow(act, entity, row)


async def _unname(act: Act, asked: _Asked, entity: Entity, ids: set[UUID], going: Mapping[str, set[UUID]]) -> None:
    for relation in entity.children.values():
        child = act.ctx.config.entity(relation.child)
        if relation.many or relation.on_delete != "set_null" or child.defn.append_only or not ids:
            continue
        async for page in _children(act.conn, act.ctx, relation, ids, living=True):
            rest = set(page) - going.get(child.key, set())
            # What goes in a later batch must not look as if somebody had changed it meanwhile.
            soon = set(await _ids(act.conn, act.ctx.replace(elevated=False), asked, limit=PAGE, among=rest)) if rest and child.key == asked.entity.key else set()
            for child_id in sorted(rest):
                inner = act.under(fixed_now=asked.cutoff) if child_id in soon else act
                await update(inner, child, child_id, {relation.field: None}, confirm_duplicates=True)


async def _people(conn: Any, ctx: Context, entity: Entity, ids: Sequence[UUID]) -> list[Row]:
    """Of an entity whose records are people outside: what says whose accounts they are."""
    links = {role.portal.link for role in roles_of(ctx.config, entity.key) if role.portal is not None}
    if not links:
        return []
    scope = RecordScope(Statement(ctx.replace(elevated=True)), entity, "t")
    projection = Projection(scope, links)
    sql = f"SELECT {projection.sql} FROM record t WHERE t.entity_id = {entity.number} AND t.id = ANY({scope.param(list(ids), 'uuid[]')})"
    return projection.rows(await conn.fetch(*scope.statement.finish(sql)))


async def _parents(conn: Any, ctx: Context, entity: Entity, ids: Sequence[UUID]) -> list[tuple[Entity, Any, set[UUID]]]:
    """Whose rollups look at these records."""
    found = []
    for parent, relation, fields in rollups.relations_with_rollups(ctx, entity.key):
        link = field_sql(ctx.config, entity, entity.fields[relation.field], "t")
        rows = await conn.fetch(f"SELECT DISTINCT {link} FROM record t WHERE t.entity_id = {entity.number} AND t.id = ANY($1::uuid[]) AND {link} IS NOT NULL", list(ids))
        if rows and not relation.many:
            found.append((parent, fields, {UUID(str(r[0])) for r in rows}))
    return found


async def _forget(ctx: Context, number: int, ids: Sequence[UUID]) -> None:
    """What tells of them, in a transaction of the system's: the app's own role may only append to most of it."""
    async with system_transaction("purge", of=ctx.tenant_id) as conn:
        for table, columns in _TOLD.items():
            for column in columns:
                await conn.execute(f"DELETE FROM {table} WHERE tenant_id = $1 AND entity_id = $2 AND {column} = ANY($3::uuid[])", ctx.tenant_id, number, list(ids))
        # What was to be told outside, or has been: it repeats what the record said.
        await conn.execute("DELETE FROM exchange WHERE tenant_id = $1 AND record_id = ANY($2::uuid[])", ctx.tenant_id, list(ids))
        told = "payload ->> 'record' = ANY($2::text[]) OR origin ->> 'record' = ANY($2::text[])"
        await conn.execute(f"DELETE FROM outbox WHERE tenant_id = $1 AND ({told})", ctx.tenant_id, [str(i) for i in ids])


__all__ = ["KIND", "Below", "PurgePlan", "begin", "below_one", "may_purge", "plan", "run"]
