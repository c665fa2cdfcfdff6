"""Taking a merge back: the losers return, with what belonged to them, unless what happened since forbids it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.errors import Conflict, NotFound, PermissionDenied
from saas.i18n import lazy, listed, ngettext, pick
from saas.metadata.config import Entity
from saas.runtime import events, permissions, portal, quota, ranks, records, rollups, uniques
from saas.runtime.acts import Act
from saas.runtime.context import Context
from saas.runtime.env import read_row
from saas.runtime.merging.doing import MOST_CHILDREN, note
from saas.runtime.merging.traces import survivor_of
from saas.runtime.records import Rewrite
from saas.runtime.rows import Projection, Row
from saas.runtime.sql import RecordScope, Statement
from saas.tenants import record_audit


@dataclass(frozen=True, slots=True)
class PastMerge:
    """`titles`: what the losers were called; `changed`: fields of the survivor that the merge set; `moved`: how many records followed."""

    id: UUID
    survivor: UUID
    losers: tuple[UUID, ...]
    titles: tuple[str, ...]
    at: datetime
    by: str
    undo_until: datetime
    undone_at: datetime | None
    changed: tuple[str, ...]
    moved: int

    def may_be_undone(self, now: datetime) -> bool:
        return self.undone_at is None and now < self.undo_until


async def past_merge(conn: Any, ctx: Context, entity: Entity, merge_id: UUID) -> PastMerge:
    """A merge whose survivor the person may see. Errors: NotFound."""
    row = await _stored(conn, ctx, entity, merge_id)
    survivor = await survivor_of(conn, ctx, entity, row["survivor_id"]) or row["survivor_id"]
    await records.load(conn, ctx, entity, survivor)
    detail = json.loads(row["detail"])
    named = permissions.static_access(ctx, entity).get(entity.defn.title) in ("read", "write")
    access = permissions.static_access(ctx, entity)
    return PastMerge(
        row["id"], row["survivor_id"], tuple(UUID(i) for i in detail["losers"]), tuple(detail["titles"].get(i, "") if named else i[:8] for i in detail["losers"]), row["merged_at"],
        await conn.fetchval("SELECT name FROM app_user WHERE tenant_id = $1 AND id = $2", ctx.tenant_id, row["merged_by"]) or "", row["undo_until"], row["undone_at"], tuple(k for k in detail["values"] if access.get(k, "hidden") != "hidden"), len(detail["links"]),
    )  # fmt: skip


async def _stored(conn: Any, ctx: Context, entity: Entity, merge_id: UUID, *, lock: bool = False) -> Any:
    sql = "SELECT * FROM record_merge WHERE tenant_id = $1 AND id = $2 AND entity_id = $3" + (" FOR UPDATE" if lock else "")
    row = await conn.fetchrow(sql, ctx.tenant_id, merge_id, entity.number)
    if row is None:
        raise NotFound(lazy("There is no such merge."))
    return row


async def undo(act: Act, entity: Entity, merge_id: UUID, *, patient: bool = False) -> UUID:
    """Take a merge back; the survivor's id. What was changed since and cannot be told apart is left as it is, with a warning.

    Errors: NotFound, PermissionDenied, Conflict with `reason`: undone, too_late, merged_again, gone, changed (with `fields`), taken; many: too many records to wait for, a job can do it.
    """
    ctx, conn = act.ctx, act.conn
    permissions.require(ctx, "merge", entity.key)
    stored = await _stored(conn, ctx, entity, merge_id, lock=True)
    detail, survivor_id = json.loads(stored["detail"]), stored["survivor_id"]
    loser_ids = [UUID(i) for i in detail["losers"]]
    await records.lock_many(conn, entity.number, [survivor_id, *loser_ids])
    if stored["undone_at"] is not None:
        raise Conflict(lazy("This merge was undone already."), reason="undone")
    if await survivor_of(conn, ctx, entity, survivor_id) is not None:
        raise Conflict(lazy("The record was itself merged into another one since. Undo that first."), reason="merged_again")
    if len(detail["links"]) > MOST_CHILDREN and not patient:
        raise Conflict(lazy("More than %(most)s records belong to these; that is too many to merge at once.", most=MOST_CHILDREN), reason="many")
    survivor = await records.load(conn, ctx, entity, survivor_id)
    if not survivor.holds["update"]:
        raise PermissionDenied(lazy("Your role does not allow this for this record."), right="update", entity=entity.key)
    if survivor.frozen is not None:
        raise records.in_approval(entity, survivor)
    if not ctx.now < stored["undo_until"]:
        raise Conflict(lazy("The time in which this merge could be undone is over."), reason="too_late")
    losers = [row for i in loser_ids if (row := await read_row(conn, ctx.replace(elevated=True), entity, i)) is not None and row.deleted_at is not None]
    if len(losers) < len(loser_ids):
        raise Conflict(lazy("One of the merged records is not there any more."), reason="gone")
    await records.refuse_in_closed(act, entity, survivor, *losers)
    _refuse_changed(ctx, entity, survivor, detail["values"])
    inner = act.under(elevated=True)
    if detail["files"]:
        await _give_files_back(inner, detail["files"])
    values = {key: before for key, (before, _after) in detail["values"].items() if key in entity.fields}
    await conn.execute("DELETE FROM record_trace WHERE tenant_id = $1 AND entity_id = $2 AND merge_id = $3", ctx.tenant_id, entity.number, merge_id)
    if values:
        survivor = await records.update(inner, entity, survivor_id, values, confirm_duplicates=True)
    await _bring_back(inner, entity, losers, merge_id)
    for row in losers:
        await portal.follow(inner, entity, row)
    left = await _lead_back(inner, detail["links"])
    await _give_around_back(inner, entity, survivor_id, detail)
    if left:
        act.warnings.append(ngettext("%(count)s record was changed since and stays where it is.", "%(count)s records were changed since and stay where they are.", left))
    await note(inner, entity, survivor, "unmerged", merge_id)
    await conn.execute("UPDATE record_merge SET undone_at = $3, undone_by = $4 WHERE tenant_id = $1 AND id = $2", ctx.tenant_id, merge_id, ctx.now, ctx.user_id)
    await record_audit(conn, ctx.tenant_id, "records.unmerged", actor_id=ctx.user_id, target=f"{entity.key}/{survivor_id}", request_id=ctx.request_id, data={"merge": str(merge_id)})
    act.effect("unmerge", entity.key, survivor_id)
    return survivor_id


def _refuse_changed(ctx: Context, entity: Entity, survivor: Row, values: Mapping[str, Any]) -> None:
    """A field that the merge set and somebody changed since: taking it back would lose that."""
    changed = [key for key, (_before, after) in values.items() if key in entity.fields and survivor.get(key) != after]
    if changed:
        access = permissions.access(ctx, entity, survivor.holds)
        named = [key for key in changed if access.get(key, "hidden") != "hidden"]
        fields = listed(pick(entity.fields[key].label, ctx.locale) for key in named)
        raise Conflict(lazy("These fields were changed since the merge, so it cannot be undone: %(fields)s.", fields=fields or "···"), reason="changed", fields=named)


async def _give_files_back(act: Act, files: Mapping[str, str]) -> None:
    await act.conn.executemany(
        "UPDATE file SET record_id = $3 WHERE tenant_id = $1 AND id = $2", [(act.ctx.tenant_id, UUID(file), UUID(loser)) for file, loser in files.items()]
    )


async def _give_around_back(act: Act, entity: Entity, survivor_id: UUID, detail: Mapping[str, Any]) -> None:
    """Shares that came with the losers end at the survivor; messages are about the losers again."""
    tenant = act.ctx.tenant_id
    await act.conn.execute(
        "DELETE FROM record_share WHERE tenant_id = $1 AND entity_id = $2 AND record_id = $3 AND subject = ANY($4::text[])", tenant, entity.number, survivor_id, detail.get("shares") or []
    )
    await act.conn.executemany(
        "UPDATE message SET record_id = $3 WHERE tenant_id = $1 AND id = $2 AND record_id = $4",
        [(tenant, UUID(message), UUID(loser), survivor_id) for message, loser in (detail.get("messages") or {}).items()],
    )


async def _bring_back(act: Act, entity: Entity, losers: Sequence[Row], merge_id: UUID) -> None:
    ctx = act.ctx
    ids = [row.id for row in losers]
    ranks.wrote(entity, None)
    await act.conn.execute(f"UPDATE record SET deleted_at = NULL, deleted_by = NULL, version = version + 1 WHERE entity_id = {entity.number} AND id = ANY($1::uuid[])", ids)
    if await uniques.sync(act.conn, ctx, entity, ids, entity.defn.unique):
        raise Conflict(lazy("Another record took a value meanwhile that only one may have, so the merged record cannot come back."), reason="taken")
    writes = []
    for row in losers:
        row.deleted_at, row.version = None, row.version + 1
        writes.append(events.appended(ctx, entity, row, "restored", {events.MERGE: (None, str(merge_id))}))
    await quota.write(act.conn, ctx, "records", len(losers), writes)
    for row in losers:
        await rollups.refresh_parents(act.conn, ctx, entity, row, None, None)


async def _lead_back(act: Act, links: Sequence[Mapping[str, Any]]) -> int:
    """Records that followed return; how many were changed since and stay."""
    left = 0
    by_place: dict[tuple[str, str], dict[UUID, Mapping[str, Any]]] = {}
    for link in links:
        by_place.setdefault((link["entity"], link["field"]), {})[UUID(link["id"])] = link
    for (entity_key, key), wanted in by_place.items():
        child = act.ctx.config.entities.get(entity_key)
        if child is None or key not in child.fields:
            left += len(wanted)
            continue
        await records.lock_many(act.conn, child.number, list(wanted))
        statement = Statement(act.ctx)
        scope = RecordScope(statement, child, "t")
        projection = Projection(scope, {key})
        sql = f"SELECT {projection.sql} FROM record t WHERE t.entity_id = {child.number} AND t.id = ANY({scope.param(list(wanted), 'uuid[]')})"
        rows = projection.rows(await act.conn.fetch(*statement.finish(sql)))
        same = [row for row in rows if _equal(row.get(key), wanted[row.id]["after"])]
        left += len(wanted) - len(same)
        if await records.follow_configuration(act.conn, act.ctx, child, [Rewrite(row, {key: wanted[row.id]["before"]}) for row in same]):
            raise Conflict(lazy("Another record took a value meanwhile that only one may have, so the merged record cannot come back."), reason="taken")
    return left


def _equal(one: Any, other: Any) -> bool:
    return set(one) == set(other) if isinstance(one, list) and isinstance(other, list) else one == other
