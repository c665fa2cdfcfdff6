"""Taking sample data out again, through the one door: into the recycle bin, so that it can be brought back.

What people changed or made themselves stays, and so does every sample record that something of theirs refers to, directly or through
others: nothing of theirs ever loses a link or its parent. Sample people who never signed in and are responsible for nothing that stays
become inactive.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import AppError, Conflict, InvalidInput, NotFound, PermissionDenied, PlanLimitReached
from saas.i18n import lazy
from saas.metadata.config import Entity, Relation
from saas.runtime import jobs, permissions
from saas.runtime import operations as ops
from saas.runtime.context import Context
from saas.runtime.door import execute
from saas.runtime.sample_data import KIND as LOADING
from saas.runtime.sample_data import begin_loading
from saas.runtime.sql import field_sql, storage_of
from saas.tenants import record_audit, update_user

KIND = "clear_sample"
BATCH = 50
# By a person, since it came. What clearing and bringing back leave in the history is no change, nor that a link ($4: [[field, number of the
# entity it leads to], …]) was emptied because what it led to was deleted in the same act: nobody touched this record.
_CHANGED = """
SELECT s.record_id, EXISTS (
    SELECT 1 FROM record_event e WHERE e.tenant_id = s.tenant_id AND e.entity_id = s.entity_id AND e.record_id = s.record_id
    AND e.at > $3 AND e.origin <> 'sample' AND e.actor_id IS NOT NULL AND e.kind NOT IN ('deleted', 'restored')
    AND NOT (e.kind = 'updated' AND NOT EXISTS (
        SELECT 1 FROM jsonb_each(e.changes) c WHERE NOT (jsonb_typeof(c.value -> 1) = 'null' AND EXISTS (
            SELECT 1 FROM jsonb_to_recordset($4::jsonb) AS l (field text, number int) JOIN record_event d ON d.tenant_id = e.tenant_id AND d.entity_id = l.number
            AND d.record_id::text = c.value ->> 0 AND d.at = e.at AND d.operation_id = e.operation_id AND d.kind = 'deleted' WHERE l.field = c.key))))) AS is_changed
FROM sample_record s JOIN record r ON r.tenant_id = s.tenant_id AND r.entity_id = s.entity_id AND r.id = s.record_id AND r.deleted_at IS NULL
WHERE s.tenant_id = $1 AND s.entity_id = $2
"""


@dataclass(slots=True)
class Clearing:
    """What clearing would do, per entity in the order in which it is done: ids that go, how many stay because somebody `changed` them or
    because something that stays is `linked` to them; `own`: people's own records that refer to sample data, which stay as they are."""

    goes: dict[str, list[UUID]] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    linked: dict[str, int] = field(default_factory=dict)
    own: dict[str, int] = field(default_factory=dict)
    people: list[UUID] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(len(ids) for ids in self.goes.values())


@dataclass(frozen=True, slots=True)
class State:
    """How a tenant stands with its sample data. `loading`, `clearing`: jobs under way; `cleared`: the last clearing that can be undone;
    `is_there`: records that came as sample data and are not deleted; `was_there`: it has had any."""

    is_there: bool
    was_there: bool
    loading: jobs.JobInfo | None = None
    clearing: jobs.JobInfo | None = None
    cleared: jobs.JobInfo | None = None


def require_admin(ctx: Context) -> None:
    """Errors: PermissionDenied."""
    if not permissions.is_admin(ctx):
        raise PermissionDenied(lazy("Only an administrator can do this."))


async def state_of(ctx: Context) -> State:
    """For pages of administrators."""
    require_admin(ctx)
    async with tenant_transaction(ctx.tenant_id) as conn:
        row = await conn.fetchrow(
            "SELECT EXISTS (SELECT 1 FROM sample_record s JOIN record r ON r.tenant_id = s.tenant_id AND r.entity_id = s.entity_id AND r.id = s.record_id "
            "AND r.deleted_at IS NULL WHERE s.tenant_id = $1) AS is_there, EXISTS (SELECT 1 FROM sample_record WHERE tenant_id = $1) AS was_there",
            ctx.tenant_id,
        )  # fmt: skip
        newest = {
            r["kind"]: r["id"]
            for r in await conn.fetch("SELECT DISTINCT ON (kind) kind, id FROM job WHERE tenant_id = $1 AND kind = ANY($2::text[]) ORDER BY kind, created_at DESC", ctx.tenant_id, [LOADING, KIND])
        }
    found = {kind: await jobs.get_job(ctx, job_id) for kind, job_id in newest.items()}
    loading, last = found.get(LOADING), found.get(KIND)
    result = (last.result or {}) if last else {}
    undone = last is not None and bool(last.payload.get("undo"))
    undoable = bool(result.get("left") or result.get("people")) if undone else bool(result.get("gone"))  # also what an undoing had to leave
    return State(
        row["is_there"], row["was_there"], loading if loading and loading.status != "done" else None, last if last and not last.is_over else None,
        last if last and last.status == "done" and undoable else None,
    )  # fmt: skip


async def preview(ctx: Context) -> Clearing:
    """What clearing would do now. Errors: PermissionDenied."""
    require_admin(ctx)
    async with tenant_transaction(ctx.tenant_id) as conn:
        return await _plan(conn, ctx)


async def begin_clearing(ctx: Context) -> UUID:
    """Start the job. Errors: PermissionDenied, Conflict (something is under way)."""
    return await _begin(ctx, {})


async def begin_undoing(ctx: Context) -> UUID:
    """Bring back what the last clearing took. Errors: PermissionDenied, Conflict."""
    state = await state_of(ctx)
    if state.cleared is None:
        raise Conflict(lazy("There is nothing to bring back."))
    result = state.cleared.result or {}
    return await _begin(ctx, {"undo": result["begun"], "people": result.get("people", [])})


async def begin_filling(ctx: Context) -> UUID:
    """Put in the pack's sample data, once in a workspace's life. Errors: PermissionDenied, Conflict (it had some already)."""
    permissions.require_active(ctx)
    async with tenant_transaction(ctx.tenant_id) as conn:
        await _lock(conn, ctx)  # two clicks must not fill twice
        state = await state_of(ctx)
        if state.was_there or state.loading is not None or state.clearing is not None:
            raise Conflict(lazy("This workspace has had its sample data already."))
        job_id = await begin_loading(conn, ctx, ctx.config.bundle.pack.key)
    jobs.ring()
    return job_id


async def _lock(conn: Any, ctx: Context) -> None:
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('sample:' || $1::text, 0))", str(ctx.tenant_id))


async def _begin(ctx: Context, payload: Mapping[str, Any]) -> UUID:
    permissions.require_active(ctx)
    async with tenant_transaction(ctx.tenant_id) as conn:
        await _lock(conn, ctx)
        state = await state_of(ctx)
        if state.clearing is not None or (state.loading is not None and not state.loading.is_over):
            raise Conflict(lazy("Sample data is being filled in or cleared at this moment. Please wait until that is over."))
        job_id = await jobs.enqueue(conn, ctx, KIND, dict(payload))
    jobs.ring()
    return job_id


# ---- what would go -------------------------------------------------------------------------------------------------------------


async def _plan(conn: Any, ctx: Context) -> Clearing:
    going: dict[str, set[UUID]] = {}
    found = Clearing()
    since = await conn.fetchval("SELECT min(loaded_at) FROM sample_record WHERE tenant_id = $1", ctx.tenant_id)
    if since is None:
        return found
    for entity in _children_first(ctx):
        rows = await conn.fetch(_CHANGED, ctx.tenant_id, entity.number, since, json.dumps(_emptied(ctx, entity)))  # the moment spares looking into older months
        if rows:
            going[entity.key] = {r["record_id"] for r in rows if not r["is_changed"]}
            if changed := sum(r["is_changed"] for r in rows):
                found.changed[entity.key] = changed
    links = await _links(conn, ctx, going)
    own: dict[str, set[UUID]] = defaultdict(set)
    linked: dict[str, int] = defaultdict(int)
    again = True
    while again:  # what stays keeps what it refers to, which then stays as well
        again = False
        for relation, pairs in links:
            for child, parent in pairs:
                if parent in going.get(relation.parent, ()) and child not in going.get(relation.child, ()):
                    going[relation.parent].discard(parent)
                    linked[relation.parent] += 1
                    again = True
    samples = {r["record_id"] for r in await conn.fetch("SELECT record_id FROM sample_record WHERE tenant_id = $1", ctx.tenant_id)}
    for relation, pairs in links:
        own[relation.child] |= {child for child, _parent in pairs if child not in samples}
    found.goes = {key: sorted(ids) for key, ids in going.items() if ids}
    found.linked, found.own = dict(linked), {key: len(ids) for key, ids in own.items() if ids}
    found.people = await _idle_people(conn, ctx, {i for ids in going.values() for i in ids})
    return found


def _emptied(ctx: Context, entity: Entity) -> list[dict[str, Any]]:
    """The links of an entity that are emptied when what they lead to is deleted."""
    return [
        {"field": f.key, "number": ctx.config.entity(f.options["to"]).number}
        for f in entity.declared.values() if f.type == "ref" and f.options.get("on_delete") == "set_null" and f.options.get("to") in ctx.config.entities
    ]  # fmt: skip


def _children_first(ctx: Context) -> list[Entity]:
    """What is deleted first stands first. Where entities refer to each other in a ring their order does not matter: what cannot go yet
    is tried again."""
    order: list[Entity] = []
    seen: set[str] = set()

    def visit(entity: Entity) -> None:
        if entity.key in seen:
            return
        seen.add(entity.key)
        for relation in entity.children.values():
            if not relation.many:
                visit(ctx.config.entity(relation.child))
        order.append(entity)

    for entity in ctx.config.entities.values():
        visit(entity)
    return order


async def _links(conn: Any, ctx: Context, going: Mapping[str, set[UUID]]) -> list[tuple[Relation, list[tuple[UUID, UUID]]]]:
    """Pairs (child, parent) of living records whose parent is among those that might go."""
    found = []
    for entity in ctx.config.entities.values():
        for relation in entity.children.values():
            ids = going.get(relation.parent)
            if not ids:
                continue
            child = ctx.config.entity(relation.child)
            declared = child.fields[relation.field]
            if relation.many and storage_of(ctx.config, declared) == "links":
                sql = (
                    "SELECT k.from_id AS child, k.to_id AS parent FROM record_link k JOIN record t ON t.tenant_id = k.tenant_id AND t.entity_id = k.entity_id AND t.id = k.from_id "
                    "AND t.deleted_at IS NULL WHERE k.tenant_id = $1 AND k.entity_id = $2 AND k.field_key = $4 AND k.to_id = ANY($3::uuid[])"
                )
                rows = await conn.fetch(sql, ctx.tenant_id, child.number, list(ids), child.place(declared.key))
            elif relation.many:
                value = field_sql(ctx.config, child, declared, "t")
                sql = f"SELECT t.id AS child, p.id::uuid AS parent FROM record t, jsonb_array_elements_text({value}) AS p (id) WHERE t.tenant_id = $1 AND t.entity_id = $2 AND t.deleted_at IS NULL AND p.id::uuid = ANY($3::uuid[])"
                rows = await conn.fetch(sql, ctx.tenant_id, child.number, list(ids))
            else:
                value = field_sql(ctx.config, child, declared, "t")
                sql = f"SELECT t.id AS child, ({value})::uuid AS parent FROM record t WHERE t.tenant_id = $1 AND t.entity_id = $2 AND t.deleted_at IS NULL AND ({value})::uuid = ANY($3::uuid[])"
                rows = await conn.fetch(sql, ctx.tenant_id, child.number, list(ids))
            if rows:
                found.append((relation, [(r["child"], r["parent"]) for r in rows]))
    return found


async def _idle_people(conn: Any, ctx: Context, going: set[UUID]) -> list[UUID]:
    """Active sample people who never signed in, own nothing that stays, and lead nobody who stays."""
    rows = await conn.fetch(
        "SELECT u.id FROM app_user u WHERE u.tenant_id = $1 AND u.sample_key IS NOT NULL AND u.status = 'active' AND u.last_login_at IS NULL "
        "AND NOT EXISTS (SELECT 1 FROM record r WHERE r.tenant_id = $1 AND r.owner_id = u.id AND r.deleted_at IS NULL AND NOT r.id = ANY($2::uuid[])) "
        "AND NOT EXISTS (SELECT 1 FROM app_user m WHERE m.tenant_id = $1 AND m.superior_id = u.id AND m.status = 'active' AND m.sample_key IS NULL) ORDER BY u.id",
        ctx.tenant_id, list(going),
    )  # fmt: skip
    return [r["id"] for r in rows]


# ---- the work --------------------------------------------------------------------------------------------------------------------


async def clear_in_job(job: jobs.JobRun) -> dict[str, Any]:
    """The work of the job, as the administrator who asked for it; goes on where it was interrupted."""
    require_admin(job.ctx)
    ctx = job.ctx.replace(elevated=True, origin="bulk")
    state = {"begun": ctx.now.isoformat(), "gone": {}, "kept": 0, "people": [], **job.state}
    if job.payload.get("undo"):
        return await _undo(job, ctx, datetime.fromisoformat(job.payload["undo"]), [UUID(i) for i in job.payload.get("people", [])], state)
    async with tenant_transaction(ctx.tenant_id) as conn:
        plan = await _plan(conn, ctx)
    before = sum(state["gone"].values())
    waiting = [(key, i) for key, ids in plan.goes.items() for i in ids]
    total = before + len(waiting)
    begun = datetime.fromisoformat(state["begun"])
    while waiting:
        left: list[tuple[str, UUID]] = []
        for start in range(0, len(waiting), BATCH):
            async with tenant_transaction(ctx.tenant_id) as conn:
                gone, again = await _delete(conn, ctx, waiting[start : start + BATCH], begun)
                left += again
                for key, ids in gone.items():
                    state["gone"][key] = state["gone"].get(key, 0) + len(ids)
                await job.checkpoint(conn, done=sum(state["gone"].values()), total=total, state=state)
        if len(left) == len(waiting):  # nothing moves any more: what is left is held by something that is not ours
            state["kept"] = len(left)
            break
        waiting = left
    async with tenant_transaction(ctx.tenant_id) as conn:
        for user_id in plan.people:
            await update_user(ctx.tenant_id, user_id, {"status": "inactive"}, actor_id=ctx.user_id)
            state["people"].append(str(user_id))
        await record_audit(conn, ctx.tenant_id, "sample.cleared", actor_id=ctx.user_id, data={"count": sum(state["gone"].values())})
        await job.checkpoint(conn, done=total, total=total, state=state)
    return state


async def _withdraw(conn: Any, ctx: Context, key: str, record_id: UUID) -> None:
    """An approval that runs closes its record, also to the broom. It is no change of people: what is brought back is sample data as before."""
    flow = await conn.fetchval(
        "SELECT id FROM approval_flow WHERE tenant_id = $1 AND entity_id = $2 AND record_id = $3 AND ended_at IS NULL", ctx.tenant_id, ctx.config.entity(key).number, record_id
    )  # fmt: skip
    if flow is not None:
        await execute(ctx.replace(origin="sample"), ops.ActOnApproval(entity=key, id=record_id, flow=flow, act="withdraw"))


async def _delete(conn: Any, ctx: Context, records: Sequence[tuple[str, UUID]], begun: datetime) -> tuple[dict[str, list[UUID]], list[tuple[str, UUID]]]:
    """What is gone, and what others still hold; a record that went with another one counts as gone."""
    gone: dict[str, list[UUID]] = defaultdict(list)
    left = []
    for key, record_id in records:
        try:
            await _withdraw(conn, ctx, key, record_id)
            await execute(ctx, ops.Delete(entity=key, id=record_id, along=True))
        except NotFound:
            pass
        except AppError:
            left.append((key, record_id))
            continue
        gone[key].append(record_id)
    for key, ids in gone.items():
        await conn.execute(
            "UPDATE sample_record SET cleared_at = $4 WHERE tenant_id = $1 AND entity_id = $2 AND record_id = ANY($3::uuid[])", ctx.tenant_id, ctx.config.entity(key).number, ids, begun
        )  # fmt: skip
    return gone, left


async def _undo(job: jobs.JobRun, ctx: Context, at: datetime, people: Sequence[UUID], state: dict[str, Any]) -> dict[str, Any]:
    order = [e for e in reversed(_children_first(ctx))]
    rows: list[tuple[str, UUID]] = []
    async with tenant_transaction(ctx.tenant_id) as conn:
        for entity in order:
            found = await conn.fetch(
                "SELECT s.record_id FROM sample_record s JOIN record r ON r.tenant_id = s.tenant_id AND r.entity_id = s.entity_id AND r.id = s.record_id AND r.deleted_at IS NOT NULL "
                "WHERE s.tenant_id = $1 AND s.entity_id = $2 AND s.cleared_at = $3",
                ctx.tenant_id, entity.number, at,
            )  # fmt: skip
            rows += [(entity.key, r["record_id"]) for r in found]
    done, left, still = job.state.get("done", 0), 0, []
    total = done + len(rows)
    for start in range(0, len(rows), BATCH):
        async with tenant_transaction(ctx.tenant_id) as conn:
            for key, record_id in rows[start : start + BATCH]:
                try:
                    async with conn.transaction():  # a savepoint: what cannot come back undoes nothing else
                        await execute(ctx, ops.Restore(entity=key, id=record_id))
                except NotFound:  # back already with its parent
                    pass
                except (Conflict, InvalidInput, PermissionDenied, PlanLimitReached):  # its number or name was taken meanwhile, or it is held
                    left += 1
                    continue
                await conn.execute(
                    "UPDATE sample_record SET cleared_at = NULL WHERE tenant_id = $1 AND entity_id = $2 AND record_id = $3", ctx.tenant_id, ctx.config.entity(key).number, record_id
                )  # fmt: skip
                done += 1
            await job.checkpoint(conn, done=done, total=total, state={**state, "done": done})
    async with tenant_transaction(ctx.tenant_id) as conn:
        for user_id in people:  # after the records: a person without a seat keeps nothing else from coming back
            try:
                async with conn.transaction():
                    await update_user(ctx.tenant_id, user_id, {"status": "active"}, actor_id=ctx.user_id)
            except NotFound:
                continue
            except PlanLimitReached:
                still.append(str(user_id))
        await record_audit(conn, ctx.tenant_id, "sample.restored", actor_id=ctx.user_id, data={"count": done, "left": left + len(still)})
    return {**state, "done": done, "left": left, "people": still, "begun": at.isoformat()}
