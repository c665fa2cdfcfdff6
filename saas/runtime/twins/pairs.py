"""Pairs of records that were found alike: written when one is saved all the same and by the search over all records, read as groups."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from saas.errors import BadRequest
from saas.i18n import lazy
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.runtime import jobs, permissions
from saas.runtime import operations as ops
from saas.runtime.context import Context
from saas.runtime.present import present
from saas.runtime.rows import Projection
from saas.runtime.sql import RecordScope, Statement
from saas.runtime.twins.rules import own_rules

MOST_PAIRS = 2000  # looked at for one page
GROUP = 20  # records named of one group
MOST_DISMISSED = 20

Pair = tuple[UUID, UUID, str, int]  # two records, rule, percent


@dataclass(frozen=True, slots=True)
class TwinGroup:
    """Records of which each is like another. `rules` are the keys of those that found them, `score` the least percentage."""

    records: list[ops.Record]
    rules: tuple[str, ...]
    score: int


async def keep_pairs(conn: Any, ctx: Context, entity: Entity, pairs: Iterable[Pair]) -> None:
    rows = sorted({(min(a, b), max(a, b), rule, score) for a, b, rule, score in pairs if a != b})
    if rows:
        await conn.execute(
            "INSERT INTO twin_pair (tenant_id, entity_id, one_id, other_id, rule_key, score, found_at) SELECT $1, $2, a, b, r, s, $3 "
            "FROM unnest($4::uuid[], $5::uuid[], $6::text[], $7::int[]) AS n (a, b, r, s) ON CONFLICT (tenant_id, entity_id, one_id, other_id, rule_key) DO UPDATE SET score = excluded.score",
            ctx.tenant_id, entity.number, ctx.now, *(list(column) for column in zip(*rows, strict=True)),
        )  # fmt: skip


def not_dismissed_sql(entity: Entity, tenant: str, one: str, other: str) -> str:
    """SQL condition: nobody said that these two are not the same."""
    # Both ways round: a restored archive gives new ids, of which another may be the smaller.
    pairs = " OR ".join(f"(d.one_id = {a} AND d.other_id = {b})" for a, b in ((one, other), (other, one)))
    return f"NOT EXISTS (SELECT 1 FROM twin_dismissed d WHERE d.tenant_id = {tenant} AND d.entity_id = {entity.number} AND ({pairs}))"


async def twin_groups(conn: Any, ctx: Context, entity: Entity, *, rule: str | None = None, mine: bool = False, limit: int = 50) -> tuple[list[TwinGroup], bool]:
    """Groups of records that may be the same and that the person may all see, the most alike first; and whether there are more.
    `mine`: only groups with a record of theirs. Needs the right to merge. Errors: PermissionDenied."""
    permissions.require(ctx, "merge", entity.key)
    known = {r.key for r, matcher in own_rules(ctx.config, entity) if matcher.target == entity.key}
    statement = Statement(ctx)
    one, other = RecordScope(statement, entity, "a"), RecordScope(statement, entity, "b")
    tenant = one.param(ctx.tenant_id, "uuid")
    where = [f"p.tenant_id = {tenant}", f"p.entity_id = {entity.number}", not_dismissed_sql(entity, tenant, "p.one_id", "p.other_id"), f"p.rule_key = ANY({one.param(sorted(known & {rule} if rule else known), 'text[]')})"]
    for scope in (one, other):
        where += [f"{scope.alias}.entity_id = {entity.number}", f"{scope.alias}.deleted_at IS NULL", permissions.right_sql("read", scope)]
    found = await conn.fetch(
        *statement.finish(
            "SELECT p.one_id, p.other_id, p.rule_key, p.score FROM twin_pair p JOIN record a ON a.id = p.one_id JOIN record b ON b.id = p.other_id "
            f"WHERE {' AND '.join(where)} ORDER BY p.score DESC, p.one_id, p.other_id LIMIT {MOST_PAIRS + 1}"
        )
    )
    joined = _joined([tuple(r) for r in found[:MOST_PAIRS]])
    records = await _records(conn, ctx, entity, [i for ids, _, _ in joined for i in ids])
    groups = []
    for ids, rules, score in joined:
        members = [records[i] for i in ids if i in records]
        if len(members) > 1 and (not mine or any(m.owner == ctx.user_id for m in members)):
            groups.append(TwinGroup(members, rules, score))
    return groups[:limit], len(groups) > limit or len(found) > MOST_PAIRS


def _joined(pairs: Sequence[Pair]) -> list[tuple[list[UUID], tuple[str, ...], int]]:
    """Pairs that share a record are one group, in the order of their first pair."""
    root: dict[UUID, UUID] = {}

    def top(i: UUID) -> UUID:
        while root.setdefault(i, i) != i:
            i = root[i]
        return i

    for a, b, _, _ in pairs:
        root[top(b)] = top(a)
    groups: dict[UUID, tuple[dict[UUID, None], dict[str, None], list[int]]] = {}
    for a, b, rule, score in pairs:
        ids, rules, scores = groups.setdefault(top(a), ({}, {}, []))
        ids.update({a: None, b: None})
        rules[rule] = None
        scores.append(score)
    return [(list(ids)[:GROUP], tuple(rules), min(scores)) for ids, rules, scores in groups.values()]


async def _records(conn: Any, ctx: Context, entity: Entity, ids: Sequence[UUID]) -> dict[UUID, ops.Record]:
    statement = Statement(ctx)
    scope = RecordScope(statement, entity, "t")
    compared = [part.own for _, matcher in own_rules(ctx.config, entity) for part in matcher.parts]
    keys = list(dict.fromkeys([entity.defn.title, *compared, *(["owner"] if entity.defn.owned else []), "updated_at"]))
    projection = Projection(scope, keys)
    for condition in permissions.conditions(ctx, entity):
        projection.flag(condition, ex.to_where(ex.parse(condition), scope))
    sql = f"SELECT {projection.sql} FROM record t WHERE t.entity_id = {entity.number} AND t.id = ANY({scope.param(list(set(ids)), 'uuid[]')}) AND {permissions.right_sql('read', scope)}"
    rows = projection.rows(await conn.fetch(*statement.finish(sql)))
    return {record.id: record for record in await present(conn, ctx, entity, rows, keys)}


async def dismiss(conn: Any, ctx: Context, entity: Entity, ids: Sequence[UUID]) -> None:
    """Say that these records, all of which the person may see, are not the same. Errors: PermissionDenied, BadRequest."""
    permissions.require(ctx, "merge", entity.key)
    permissions.require_active(ctx)
    chosen = sorted(set(ids))
    if not 2 <= len(chosen) <= MOST_DISMISSED or len(await _records(conn, ctx, entity, chosen)) < len(chosen):
        raise BadRequest(lazy("Choose two to %(most)s different records.", most=MOST_DISMISSED), field="ids")
    pairs = [(a, b) for place, a in enumerate(chosen) for b in chosen[place + 1 :]]
    await conn.execute(
        "INSERT INTO twin_dismissed (tenant_id, entity_id, one_id, other_id, dismissed_at, dismissed_by) SELECT $1, $2, a, b, $3, $4 "
        "FROM unnest($5::uuid[], $6::uuid[]) AS n (a, b) ON CONFLICT DO NOTHING",
        ctx.tenant_id, entity.number, ctx.now, ctx.user_id, [a for a, _ in pairs], [b for _, b in pairs],
    )  # fmt: skip


KIND = "find_twins"


async def start_search(conn: Any, ctx: Context, entity: Entity) -> UUID | None:
    """The job that looks through all records, unless one does already. Errors: PermissionDenied."""
    permissions.require(ctx, "merge", entity.key)
    permissions.require_active(ctx)
    return None if await _is_under_way(conn, ctx, entity) else await jobs.enqueue(conn, ctx, KIND, _payload(ctx, entity))


async def search_at_night(conn: Any, ctx: Context, entity: Entity, night: date) -> bool:
    """Put in the search of this night, once: among what was changed since the last one under the same rules, or among all where there was none."""
    if not any(matcher.target == entity.key for _, matcher in own_rules(ctx.config, entity)) or await _is_under_way(conn, ctx, entity):
        return False
    mine = "FROM job WHERE tenant_id = $1 AND kind = $2 AND payload ->> 'entity' = $3"
    if await conn.fetchval(f"SELECT true {mine} AND payload ->> 'night' = $4 LIMIT 1", ctx.tenant_id, KIND, entity.key, night.isoformat()):
        return False
    payload = {**_payload(ctx, entity), "night": night.isoformat()}
    since = await conn.fetchval(
        f"SELECT payload ->> 'at' {mine} AND status = 'done' AND payload ->> 'rules' = $4 ORDER BY created_at DESC LIMIT 1", ctx.tenant_id, KIND, entity.key, payload["rules"]
    )
    await jobs.enqueue(conn, ctx, KIND, payload | ({"since": since} if since else {}), priority=jobs.SCHEDULED)
    return True


async def _is_under_way(conn: Any, ctx: Context, entity: Entity) -> bool:
    sql = "SELECT true FROM job WHERE tenant_id = $1 AND kind = $2 AND payload ->> 'entity' = $3 AND status IN ('queued', 'running') LIMIT 1"
    return bool(await conn.fetchval(sql, ctx.tenant_id, KIND, entity.key))


def _payload(ctx: Context, entity: Entity) -> dict[str, str]:
    """`at`: up to when, by the tenant's clock, the search knows all changes; `rules`: under which it looked."""
    rules = hashlib.sha256(repr(entity.defn.duplicates).encode()).hexdigest()[:24]
    return {"entity": entity.key, "at": ctx.now.isoformat(), "rules": rules}


async def forget_pairs(conn: Any, ctx: Context, entity: Entity, ids: Sequence[UUID]) -> None:
    """Of records that are looked at anew: what they were like before no longer counts."""
    await conn.execute(
        "DELETE FROM twin_pair WHERE tenant_id = $1 AND entity_id = $2 AND (one_id = ANY($3::uuid[]) OR other_id = ANY($3::uuid[]))", ctx.tenant_id, entity.number, list(ids)
    )
