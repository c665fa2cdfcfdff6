"""Records change hands by somebody's decision: one or many, with records below them, in a job that can be taken back.

Each record goes through `pools.moves.assign` under the rights of who asks, with what was chosen below it, all of it or nothing. Of the
records below only those go along that belonged to the same person: what colleagues keep there stays theirs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import AppError, BadRequest, Conflict, FieldProblem, InvalidInput, NotFound, PermissionDenied
from saas.i18n import LOCALES, lazy, ngettext, pick, use_locale
from saas.metadata.config import Entity, Relation
from saas.runtime import jobs, permissions
from saas.runtime.acts import Act
from saas.runtime.bulk import BATCH, MAX_REPORTED, MOST, list_ids
from saas.runtime.context import Context
from saas.runtime.notifications import Notice, deliver
from saas.runtime.pools.moves import assign, release
from saas.runtime.records import entity_of, load, update
from saas.runtime.sql import RecordScope, Statement, children_sql
from saas.runtime.worker import run_for
from saas.tenants import find_user, new_id

KIND = "transfer_records"
INLINE_SECONDS = 2.0  # so long the page waits; what is left goes on in the background


@dataclass(frozen=True, slots=True)
class Below:
    """A list of records below the chosen ones. `count`: those that belong to the same people and may be given away."""

    key: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Preview:
    """`asked` records were chosen, `count` of them the person may give away."""

    asked: int
    count: int
    below: tuple[Below, ...]


def relations_below(ctx: Context, entity: Entity) -> list[Relation]:
    """Lists of records that have owners of their own and can go along."""
    return [r for r in entity.children.values() if not r.many and ctx.config.entity(r.child).defn.owned and permissions.may(ctx, "update", r.child)]


async def preview(ctx: Context, entity_key: str, **asked: Any) -> Preview:
    """What would change hands. `asked`: ids, or filter, view and q of a list. Errors: PermissionDenied, BadRequest."""
    entity = _entity(ctx, entity_key)
    ids = await _ids(ctx, entity, **asked)
    async with tenant_transaction(ctx.tenant_id) as conn:
        statement = Statement(ctx)
        scope = RecordScope(statement, entity, "t")
        chosen = f"t.entity_id = {entity.number} AND t.deleted_at IS NULL AND t.id = ANY({scope.param(ids, 'uuid[]')}) AND {permissions.right_sql('update', scope)}"
        count = await conn.fetchval(*statement.finish(f"SELECT count(*) FROM record t WHERE {chosen}"))
        below = []
        for relation in relations_below(ctx, entity):
            child = ctx.config.entity(relation.child)
            inner = RecordScope(statement, child, "c")
            sql = (
                f"SELECT count(*) FROM record c JOIN record t ON {children_sql(ctx.config, relation, child, 'c', 't.id')} WHERE {chosen} AND c.entity_id = {child.number} "
                f"AND c.deleted_at IS NULL AND c.owner_id = t.owner_id AND {permissions.right_sql('update', inner)}"
            )
            below.append(Below(relation.key, pick(relation.label, ctx.locale), await conn.fetchval(*statement.finish(sql))))
    return Preview(len(ids), count, tuple(below))


async def hand_over(ctx: Context, entity_key: str, to: UUID, *, children: Sequence[str] = (), **asked: Any) -> jobs.JobInfo:
    """Give the records, and those of `children` below them, to a person; the job that does it. Errors: PermissionDenied, BadRequest, InvalidInput."""
    permissions.require_active(ctx)
    entity = _entity(ctx, entity_key)
    known = {r.key for r in relations_below(ctx, entity)}
    if unknown := [key for key in children if key not in known]:
        raise BadRequest(lazy("There is no list called “%(key)s” here.", key=unknown[0]), field="children")
    await _active(ctx, to)
    ids = await _ids(ctx, entity, **asked)
    async with tenant_transaction(ctx.tenant_id) as conn:
        payload = {"entity": entity.key, "to": str(to), "children": list(children), "ids": [str(i) for i in ids], "operation": str(new_id(ctx.now))}
        job_id = await jobs.enqueue(conn, ctx, KIND, payload, total=len(ids))
    return await run_for(ctx, job_id, INLINE_SECONDS)


async def take_back(ctx: Context, job_id: UUID) -> jobs.JobInfo:
    """Undo such a job: what still belongs to who got it goes back to whom it was taken from. Only who did it, and once.
    Errors: NotFound, PermissionDenied, Conflict."""
    permissions.require_active(ctx)
    info = await jobs.get_job(ctx, job_id)
    if info.created_by != ctx.user_id:
        raise PermissionDenied(lazy("Only who gave the records away can take them back."))
    if info.kind != KIND or "undo" in info.payload:
        raise NotFound(lazy("This is nothing that can be taken back."))
    if not info.is_over:
        raise Conflict(lazy("Records are still changing hands. Please wait until that is over."))
    moved = (info.result or {}).get("moved") or []
    async with tenant_transaction(ctx.tenant_id) as conn:
        await conn.execute("SELECT 1 FROM job WHERE tenant_id = $1 AND id = $2 FOR UPDATE", ctx.tenant_id, job_id)  # of two who ask at once one comes second
        if await conn.fetchval("SELECT true FROM job WHERE tenant_id = $1 AND kind = $2 AND payload ->> 'undo' = $3 LIMIT 1", ctx.tenant_id, KIND, str(job_id)):
            raise Conflict(lazy("These records have been taken back already."), reason="undone")
        payload = {"entity": info.payload["entity"], "undo": str(job_id), "moved": moved, "to": info.payload["to"], "operation": str(new_id(ctx.now))}
        undo_id = await jobs.enqueue(conn, ctx, KIND, payload, total=len(moved))
    return await run_for(ctx, undo_id, INLINE_SECONDS)


def _entity(ctx: Context, key: str) -> Entity:
    entity = entity_of(ctx, key)
    if not entity.defn.owned:
        raise BadRequest(lazy("Records of this kind have no owner."), field="entity")
    permissions.require(ctx, "update", key)
    return entity


async def _ids(ctx: Context, entity: Entity, *, ids: Iterable[UUID] | None = None, filter: Any = None, view: str | None = None, q: str | None = None) -> list[UUID]:
    found = list(dict.fromkeys(ids)) if ids is not None else await list_ids(ctx, entity.key, filter=filter, view=view, q=q)
    if len(found) > MOST:
        raise BadRequest(lazy("At most %(count)s records at once; narrow the list down.", count=MOST))
    if len(found) > 1:
        permissions.require(ctx, "bulk", entity.key)
    if not found:
        raise BadRequest(lazy("There is nothing to give away."), field="ids")
    return found


async def _active(ctx: Context, person: UUID) -> None:
    try:
        status = (await find_user(ctx.tenant_id, user_id=person))["status"]
    except NotFound:
        status = "unknown"
    if status != "active":
        raise InvalidInput([FieldProblem("owner", "unknown_user", lazy("Choose an active person who takes over."), "/owner")])


# ---- the work ------------------------------------------------------------------------------------------------------------


async def work(job: jobs.JobRun) -> dict[str, Any]:
    """Batch by batch; what is done is remembered with the batch, so it can be interrupted."""
    # One id for the whole operation, so that the history shows what belongs together.
    ctx = job.ctx.replace(origin="bulk", operation_id=UUID(job.payload["operation"]))
    undo = "undo" in job.payload
    todo: list[Any] = list(job.payload["moved"]) if undo else list(job.payload["ids"])
    state = dict(job.state) or {"done": 0, "failed_count": 0, "failed": [], "moved": [], "next": 0}
    while state["next"] < len(todo):
        following = {**state, "failed": list(state["failed"]), "moved": list(state["moved"])}
        async with tenant_transaction(ctx.tenant_id) as conn:
            for item in todo[state["next"] : state["next"] + BATCH]:
                await _one(conn, ctx, job.payload, item, following)
            following["next"] = min(state["next"] + BATCH, len(todo))
            await job.checkpoint(conn, done=following["next"], total=len(todo), state=following)
        state = following
    await _tell(ctx, job.payload, state["moved"])
    return state


async def _one(conn: Any, ctx: Context, payload: Mapping[str, Any], item: Any, state: dict[str, Any]) -> None:
    entity_key, record_id = (item[0], item[1]) if isinstance(item, list) else (payload["entity"], item)
    try:
        async with conn.transaction():
            act = Act(conn, ctx, quiet=True)
            if isinstance(item, list):
                moved = await _back(act, item, UUID(payload["to"]))
            else:
                moved = await _forth(act, ctx.config.entity(entity_key), UUID(record_id), UUID(payload["to"]), payload["children"])
        state["moved"] += moved
        state["done"] += 1 if moved else 0
    except AppError as error:
        state["failed_count"] += 1
        if len(state["failed"]) < MAX_REPORTED:
            reason = " ".join(str(p.message) for p in error.problems) if isinstance(error, InvalidInput) else str(error.message)
            state["failed"].append({"id": record_id, "title": await _title(conn, ctx, entity_key, record_id), "message": reason or str(error.message)})


async def _title(conn: Any, ctx: Context, entity_key: str, record_id: str) -> str:
    entity = ctx.config.entities.get(entity_key)
    try:
        row = await load(conn, ctx, entity, UUID(record_id)) if entity else None
    except NotFound:
        row = None
    return str(row.get(entity.defn.title) or "") if row and entity else record_id[:8]


async def _forth(act: Act, entity: Entity, record_id: UUID, to: UUID, children: Sequence[str]) -> list[list[str]]:
    """[[entity, id, owner before], …] of what changed hands."""
    row = await load(act.conn, act.ctx, entity, record_id, lock=True)
    before = row.owner
    moved = []
    if before != to:
        await assign(act, entity, record_id, to)
        moved.append([entity.key, str(record_id), str(before or "")])
    for key in children if before else ():
        relation = entity.children[key]
        child = act.ctx.config.entity(relation.child)
        statement = Statement(act.ctx)
        link = children_sql(act.ctx.config, relation, child, "c", statement.param(record_id, "uuid"))
        sql = f"SELECT c.id FROM record c WHERE c.entity_id = {child.number} AND c.deleted_at IS NULL AND {link} AND c.owner_id = {statement.param(before, 'uuid')} ORDER BY c.id"
        for found in await act.conn.fetch(*statement.finish(sql)):
            await assign(act, child, found["id"], to)
            moved.append([child.key, str(found["id"]), str(before)])
    return moved


async def _back(act: Act, item: Sequence[str], to: UUID) -> list[list[str]]:
    """What nobody gave on meanwhile goes back."""
    entity, before = act.ctx.config.entities.get(item[0]), UUID(item[2]) if item[2] else None
    if entity is None:
        return []
    row = await load(act.conn, act.ctx, entity, UUID(item[1]), lock=True)
    if row.owner != to:
        raise Conflict(lazy("Somebody else has it now."))
    if before is not None:
        await assign(act, entity, row.id, before)
    elif entity.defn.pools:
        await release(act, entity, row.id)
    else:
        await update(act, entity, row.id, {"owner": None})
    return [[entity.key, item[1], str(to)]]


async def _tell(ctx: Context, payload: Mapping[str, Any], moved: Sequence[Sequence[str]]) -> None:
    """Who got or lost records hears of it once, not record by record."""
    undo = "undo" in payload
    got = Counter(item[2] for item in payload["moved"] if item[2]) if undo else Counter({payload["to"]: len(moved)})
    lost = Counter({payload["to"]: len(moved)}) if undo else Counter(item[2] for item in moved if item[2])
    async with tenant_transaction(ctx.tenant_id) as conn:
        for people, gained in ((got, True), (lost, False)):
            for person, count in people.items():
                if moved and count and UUID(person) != ctx.user_id:
                    await deliver(conn, ctx, [UUID(person)], Notice(_titles(count, gained=gained), {}, None, None, KIND))


def _titles(count: int, *, gained: bool) -> dict[str, str]:
    found = {}
    for locale in LOCALES:
        with use_locale(locale):
            found[locale] = (
                ngettext("%(count)s record was given to you", "%(count)s records were given to you", count)
                if gained
                else ngettext("%(count)s of your records was given to somebody else", "%(count)s of your records were given to somebody else", count)
            )
    return found
