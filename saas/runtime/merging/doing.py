"""Merging: the losers go to where nobody looks, what belonged to them belongs to the survivor, and it is written down how to go back.

The survivor is changed like any record: rules, history, automations on changing it. Records that only follow it (children, lists that named a
loser) are written as what a change of configuration makes of records is: history, search, unique values and rollups follow, also of frozen,
append-only and deleted ones; rules and automations are not asked, for the customer of an order is the same as before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from saas.errors import BadRequest, Conflict, PermissionDenied
from saas.i18n import lazy, pick
from saas.metadata.config import Entity, Relation
from saas.runtime import events, permissions, portal, quota, ranks, records, rollups
from saas.runtime.acts import Act
from saas.runtime.merging.choosing import Choice, compare
from saas.runtime.present import title_sql, title_text
from saas.runtime.records import Rewrite
from saas.runtime.rows import Projection, Row
from saas.runtime.sql import RecordScope, Statement, children_sql
from saas.tenants import new_id, record_audit

MOST_RECORDS = 5
MOST_CHILDREN = 5000  # led to the survivor while somebody waits
MOST_IN_JOB = 200_000  # in the background


@dataclass(frozen=True, slots=True)
class MergedRecords:
    """`moved`: how many records follow the survivor now."""

    id: UUID
    survivor: UUID
    moved: int


@dataclass(slots=True)
class _Detail:
    """What undoing needs. `values`: {field: [before, after]} of the survivor; `links`: what was led to it; `files`: {file: its loser}."""

    losers: list[str]
    titles: dict[str, str]
    values: dict[str, list[Any]] = field(default_factory=dict)
    links: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    shares: list[str] = field(default_factory=list)  # with whom the survivor is shared because a loser was
    messages: dict[str, str] = field(default_factory=dict)  # {message: its loser}

    def to_json(self) -> str:
        return json.dumps({"losers": self.losers, "titles": self.titles, "values": self.values, "links": self.links, "files": self.files, "shares": self.shares, "messages": self.messages}, ensure_ascii=False)


async def merge(
    act: Act, entity: Entity, survivor_id: UUID, loser_ids: Sequence[UUID], choices: Mapping[str, Choice] | None = None, *, winner: str | None = None, versions: Mapping[UUID, int] | None = None,
    patient: bool = False,
) -> MergedRecords:  # fmt: skip
    """Merge records into the survivor, in the caller's transaction. `patient`: a job does it, and may lead many more records to the survivor.

    Errors: BadRequest (none, too many, or itself), NotFound, PermissionDenied (the right to merge, changing each of them), StaleVersion,
    InvalidInput, Conflict (children that would then be equal; `reason` many: too many to wait for, a job can do it).
    """
    ctx = act.ctx
    losers_wanted = list(dict.fromkeys(loser_ids))
    if not losers_wanted or survivor_id in losers_wanted or len(losers_wanted) >= MOST_RECORDS:
        raise BadRequest(lazy("Choose two to %(most)s different records.", most=MOST_RECORDS), field="losers")
    permissions.require(ctx, "merge", entity.key)
    survivor, losers = await read_for_merge(act, entity, survivor_id, losers_wanted, lock=True)
    for row in (survivor, *losers):
        records.refuse_stale(row, (versions or {}).get(row.id))
        if row.frozen is not None:
            raise records.in_approval(entity, row)
    await records.refuse_in_closed(act, entity, survivor, *losers)
    chosen = compare(ctx, entity, survivor, losers, choices, winner)
    titles = await _titles(act, entity, [row.id for row in losers])
    detail = _Detail([str(row.id) for row in losers], {str(i): t for i, t in titles.items()})
    inner = act.under(elevated=True)
    merge_id = new_id(ctx.now)
    await _archive(inner, entity, survivor, losers, merge_id)
    most = MOST_IN_JOB if patient else MOST_CHILDREN
    moved = await _lead_to(inner, entity, survivor, losers, detail, most)
    await _take_around(inner, entity, survivor, losers, detail, most)
    values = {c.field.key: c.value for c in chosen if c.value != survivor.get(c.field.key)}
    await _take_files(inner, entity, values, survivor, losers, detail)
    after = await records.update(inner, entity, survivor.id, values, confirm_duplicates=True) if values else survivor
    for row in losers:  # the account of one that is gone closes, unless the survivor took it over
        await portal.follow(inner, entity, row)
    detail.values = {key: [survivor.get(key), after.get(key)] for key in values if survivor.get(key) != after.get(key)}
    await note(inner, entity, after, "merged", merge_id)
    await _keep(act, entity, survivor, merge_id, detail)
    act.effect("merge", entity.key, survivor.id)
    return MergedRecords(merge_id, survivor.id, moved)


async def read_for_merge(act: Act, entity: Entity, survivor_id: UUID, loser_ids: Sequence[UUID], *, lock: bool = False) -> tuple[Row, list[Row]]:
    """The records, each of which the person may change. Errors: NotFound, PermissionDenied."""
    if lock:
        await records.lock_many(act.conn, entity.number, [survivor_id, *loser_ids])
    found = []
    for record_id in (survivor_id, *loser_ids):
        row = await records.load(act.conn, act.ctx, entity, record_id)
        if not row.holds["update"] and not act.ctx.unrestricted:
            raise PermissionDenied(lazy("You may not change every one of these records, so you may not merge them."), right="update", entity=entity.key)
        found.append(row)
    return found[0], found[1:]


async def _titles(act: Act, entity: Entity, ids: Sequence[UUID]) -> dict[UUID, str]:
    statement = Statement(act.ctx.replace(elevated=True))
    scope = RecordScope(statement, entity, "t")
    sql = f"SELECT t.id, {title_sql(scope)} FROM record t WHERE t.entity_id = {entity.number} AND t.id = ANY({scope.param(list(ids), 'uuid[]')})"
    return {r[0]: title_text(act.ctx.replace(elevated=True), entity, r[1]) for r in await act.conn.fetch(*statement.finish(sql))}


async def _archive(act: Act, entity: Entity, survivor: Row, losers: Sequence[Row], merge_id: UUID) -> None:
    """The losers are deleted in a way of their own: their unique values are free, their ids lead on."""
    ctx, ids = act.ctx, [row.id for row in losers]
    ranks.wrote(entity, None)
    await act.conn.execute("DELETE FROM unique_value WHERE tenant_id = $1 AND entity_id = $2 AND record_id = ANY($3::uuid[])", ctx.tenant_id, entity.number, ids)
    await act.conn.execute(
        f"UPDATE record SET deleted_at = $2, deleted_by = $3, version = version + 1 WHERE entity_id = {entity.number} AND id = ANY($1::uuid[])", ids, ctx.now, ctx.user_id
    )
    writes = []
    for row in losers:
        gone = row.copy()
        gone.version += 1
        writes.append(events.appended(ctx, entity, gone, "merged_away", {events.MERGE: (None, str(merge_id))}))
    await quota.write(act.conn, ctx, "records", -len(losers), writes)
    await act.conn.executemany(
        "INSERT INTO record_trace (tenant_id, entity_id, loser_id, survivor_id, merge_id) VALUES ($1, $2, $3, $4, $5)",
        [(ctx.tenant_id, entity.number, row.id, survivor.id, merge_id) for row in losers],
    )
    for row in losers:
        act.held.discard((entity.key, row.id))
        await rollups.refresh_parents(act.conn, ctx, entity, row, None, None)


async def _lead_to(act: Act, entity: Entity, survivor: Row, losers: Sequence[Row], detail: _Detail, most: int) -> int:
    """Every record that names a loser names the survivor."""
    moved = 0
    mine = {survivor.id, *(row.id for row in losers)}
    for relation in entity.children.values():
        child = act.ctx.config.entity(relation.child)
        # Links among the merged records themselves are part of the survivor's values.
        skip = mine if child.key == entity.key else set()
        rewrites: list[Rewrite] = []
        for row in await _naming(act, relation, child, [loser.id for loser in losers], most):
            if row.id not in skip:
                rewrites.append(Rewrite(row, {relation.field: _renamed(row.get(relation.field), survivor, losers)}))
        if not rewrites:
            continue
        moved += len(rewrites)
        if moved > most:
            raise Conflict(lazy("More than %(most)s records belong to these; that is too many to merge at once.", most=most), reason="many")
        detail.links += [{"entity": child.key, "field": relation.field, "id": str(r.row.id), "before": r.row.get(relation.field), "after": r.values[relation.field]} for r in rewrites]
        if await records.follow_configuration(act.conn, act.ctx, child, rewrites):
            raise Conflict(
                lazy("Records in “%(label)s” of both would then be the same, which a rule forbids. Change or merge those first.", label=pick(child.defn.plural)),
                reason="children", entity=child.key,
            )  # fmt: skip
    return moved


async def _naming(act: Act, relation: Relation, child: Entity, loser_ids: Sequence[UUID], most: int) -> list[Row]:
    """Records that name one of the losers, deleted ones too: brought back, they shall not name one that is gone."""
    statement = Statement(act.ctx)
    scope = RecordScope(statement, child, "t")
    projection = Projection(scope, {relation.field})
    links = " OR ".join(children_sql(act.ctx.config, relation, child, "t", scope.param(loser, "uuid")) for loser in loser_ids)
    sql = f"SELECT {projection.sql} FROM record t WHERE t.entity_id = {child.number} AND ({links}) ORDER BY t.id LIMIT {most + 1} FOR UPDATE OF t"
    return projection.rows(await act.conn.fetch(*statement.finish(sql)))


def _renamed(value: Any, survivor: Row, losers: Sequence[Row]) -> Any:
    gone, stays = {str(row.id) for row in losers}, str(survivor.id)
    if isinstance(value, list):
        return list(dict.fromkeys(stays if item in gone else item for item in value))
    return stays if value in gone else value


async def _take_files(act: Act, entity: Entity, values: Mapping[str, Any], survivor: Row, losers: Sequence[Row], detail: _Detail) -> None:
    """Files that the survivor takes over belong to it before it is checked whether they do."""
    for key in values:
        if entity.fields[key].type not in ("file", "image"):
            continue
        taken = {item: str(row.id) for row in losers for item in row.get(key) or () if item in (values[key] or ())}
        if taken:
            await act.conn.execute(
                "UPDATE file SET record_id = $3, field_key = $4 WHERE tenant_id = $1 AND id = ANY($2::uuid[])", act.ctx.tenant_id, [UUID(i) for i in taken], survivor.id, key
            )
            detail.files |= taken


async def _take_around(act: Act, entity: Entity, survivor: Row, losers: Sequence[Row], detail: _Detail, most: int) -> None:
    """With whom a loser was shared sees the survivor; what was written about a loser is about the survivor."""
    ctx, ids = act.ctx, [row.id for row in losers]
    shared = await act.conn.fetch(
        "INSERT INTO record_share (tenant_id, entity_id, record_id, user_id, department_id, role_key, level, part, until, created_at, created_by) "
        "SELECT DISTINCT ON (subject) tenant_id, entity_id, $4, user_id, department_id, role_key, level, part, until, created_at, created_by FROM record_share "
        "WHERE tenant_id = $1 AND entity_id = $2 AND record_id = ANY($3::uuid[]) ORDER BY subject, level DESC ON CONFLICT DO NOTHING RETURNING subject",
        ctx.tenant_id, entity.number, ids, survivor.id,
    )  # fmt: skip
    detail.shares = [row["subject"] for row in shared]
    sql = "SELECT id, record_id FROM message WHERE tenant_id = $1 AND entity_id = $2 AND record_id = ANY($3::uuid[]) LIMIT $4"
    detail.messages = {str(row["id"]): str(row["record_id"]) for row in await act.conn.fetch(sql, ctx.tenant_id, entity.number, ids, most)}
    await act.conn.execute("UPDATE message SET record_id = $3 WHERE tenant_id = $1 AND id = ANY($2::uuid[])", ctx.tenant_id, [UUID(i) for i in detail.messages], survivor.id)


async def note(act: Act, entity: Entity, row: Row, kind: str, merge_id: UUID) -> None:
    """An event of its own on the record that stays, with a version of its own."""
    row.version = await act.conn.fetchval(f"UPDATE record SET version = version + 1 WHERE entity_id = {entity.number} AND id = $1 RETURNING version", row.id)
    sql, args = events.appended(act.ctx, entity, row, kind, {events.MERGE: (None, str(merge_id))})
    await act.conn.execute(sql, *args)


async def _keep(act: Act, entity: Entity, survivor: Row, merge_id: UUID, detail: _Detail) -> None:
    ctx = act.ctx
    until = ctx.now + timedelta(days=entity.defn.merge.undo_days)
    await act.conn.execute(
        "INSERT INTO record_merge (tenant_id, id, entity_id, survivor_id, merged_at, merged_by, undo_until, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb)",
        ctx.tenant_id, merge_id, entity.number, survivor.id, ctx.now, ctx.user_id, until, detail.to_json(),
    )  # fmt: skip
    data = {"merge": str(merge_id), "losers": detail.losers, "records_led": len(detail.links)}
    await record_audit(act.conn, ctx.tenant_id, "records.merged", actor_id=ctx.user_id, target=f"{entity.key}/{survivor.id}", request_id=ctx.request_id, data=data)
