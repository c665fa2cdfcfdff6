"""Whom a record goes to by itself: those who already know the customer, those who can do it, in turn or by how much they have.

Only active people who are not away today, may own such a record and hold fewer than they may are asked. Taking turns counts in one row that is locked until
the transaction ends, so that two records at the same moment go to two people, and a record that is not written after all uses up no turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from saas.errors import Conflict
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.runtime import segments
from saas.runtime.acts import ActionRun
from saas.runtime.notifications import people_with_role
from saas.runtime.pools import holding
from saas.runtime.rows import Row
from saas.runtime.sql import RecordScope, Statement, field_sql, held_sql

TURN = "~turn"  # no field is called that


async def people_of(run: ActionRun, texts: Sequence[str]) -> list[UUID]:
    """The people that a list of roles and expressions names, in its order."""
    found: dict[UUID, None] = {}
    for text in texts:
        if text.startswith("role:"):
            found.update(dict.fromkeys(await people_with_role(run.act.conn, run.ctx, text[5:].strip())))
            continue
        value = (await run.env(text)).evaluate(text)
        found.update({UUID(str(v)): None for v in (value if isinstance(value, list) else [value]) if v})
    return list(found)


async def choose(run: ActionRun, entity: Entity, row: Row, options: Mapping[str, Any]) -> UUID | None:
    """The person a record goes to; None where nobody can take it."""
    candidates = await _able(run, entity, await people_of(run, options["to"]))
    return await _chosen(run, entity, row, options, candidates)


async def first_of(run: ActionRun, entity: Entity, row: Row, texts: Sequence[str]) -> UUID | None:
    """The first of these people who can take it."""
    return await _chosen(run, entity, row, {"by": "first"}, await _able(run, entity, await people_of(run, texts)))


async def _chosen(run: ActionRun, entity: Entity, row: Row, options: Mapping[str, Any], candidates: list[UUID]) -> UUID | None:
    if options.get("skill") and candidates:
        candidates = await _skilled(run, options, candidates)
    if options.get("sticky"):
        known = (await run.env(options["sticky"])).evaluate(options["sticky"])
        if known and UUID(str(known)) in candidates and await _has_room(run, entity, row, UUID(str(known))):
            return UUID(str(known))
    by = options.get("by", "round_robin")
    if by == "least_load":
        candidates = await _by_load(run, entity, candidates, options.get("load_if"))
    elif by == "round_robin" and candidates:
        turn = await _turn(run, entity, options)
        ordered = sorted(candidates)
        candidates = ordered[turn % len(ordered) :] + ordered[: turn % len(ordered)]
    for person in candidates:
        if await _has_room(run, entity, row, person):
            return person
    return None


async def _able(run: ActionRun, entity: Entity, people: Sequence[UUID]) -> list[UUID]:
    """Those who can sign in, are there today, and may own such a record."""
    roles = entity.defn.owner_roles
    found = await run.act.conn.fetch(
        "SELECT u.id FROM app_user u WHERE u.tenant_id = $1 AND u.id = ANY($2::uuid[]) AND u.status = 'active' AND ($3::text[] = '{}' OR EXISTS "
        "(SELECT 1 FROM user_role r WHERE r.tenant_id = u.tenant_id AND r.user_id = u.id AND r.role_key = ANY($3::text[]))) "
        "AND NOT EXISTS (SELECT 1 FROM approval_deputy d WHERE d.tenant_id = u.tenant_id AND d.user_id = u.id AND $4::date BETWEEN d.first_day AND d.last_day)",
        run.ctx.tenant_id, list(people), list(roles), run.ctx.today,
    )  # fmt: skip
    able = {r["id"] for r in found}
    return [p for p in people if p in able]


async def _skilled(run: ActionRun, options: Mapping[str, Any], candidates: Sequence[UUID]) -> list[UUID]:
    """Those of whom a record says that they have what this one needs."""
    wanted = (await run.env(options["skill"])).evaluate(options["skill"])
    if wanted is None or wanted == []:
        return list(candidates)
    about = run.ctx.config.entity(options["skill_entity"])
    person, skill = about.fields[options["skill_person"]], about.fields[options["skill_field"]]
    statement = Statement(run.ctx)
    column = field_sql(run.ctx.config, about, person, "t")
    needs = [held_sql(run.ctx.config, about, skill, "t", statement.param(str(v), "text")) for v in (wanted if isinstance(wanted, list) else [wanted])]
    sql = f"SELECT DISTINCT {column} FROM record t WHERE t.entity_id = {about.number} AND t.deleted_at IS NULL AND {column} = ANY({statement.param(list(candidates), 'uuid[]')}) AND {' AND '.join(needs)}"
    found = {r[0] for r in await run.act.conn.fetch(*statement.finish(sql))}
    return [p for p in candidates if p in found]


async def _by_load(run: ActionRun, entity: Entity, candidates: Sequence[UUID], counts: str | None) -> list[UUID]:
    """Who has least comes first; of those who have the same, who was asked first."""
    if not candidates:
        return []
    # Two records at the same moment must not both see the same person as the one with least.
    await run.act.conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"load:{run.ctx.tenant_id}:{entity.number}")
    statement = Statement(run.ctx)
    scope = RecordScope(statement, entity, "t")
    condition = ex.to_where(ex.parse(counts), scope) if counts else "true"
    sql = (
        f"SELECT t.owner_id, count(*) FROM record t WHERE t.entity_id = {entity.number} AND t.deleted_at IS NULL AND t.owner_id = ANY({scope.param(list(candidates), 'uuid[]')}) "
        f"AND {condition} GROUP BY 1"
    )
    load = dict(await run.act.conn.fetch(*statement.finish(sql)))
    return sorted(candidates, key=lambda p: (load.get(p, 0), candidates.index(p)))


async def _turn(run: ActionRun, entity: Entity, options: Mapping[str, Any]) -> int:
    """Whose turn it is, counted from 0."""
    queue = str(options.get("queue") or (run.ctx.running[-1] if run.ctx.running else ""))
    return await run.act.conn.fetchval(
        "INSERT INTO counter (tenant_id, entity_id, field_key, period, value) VALUES ($1, $2, $3, $4, 1) "
        "ON CONFLICT (tenant_id, entity_id, field_key, period) DO UPDATE SET value = counter.value + 1 RETURNING value - 1",
        run.ctx.tenant_id, entity.number, TURN, queue,
    )  # fmt: skip


async def _has_room(run: ActionRun, entity: Entity, row: Row, person: UUID) -> bool:
    if not await segments.fits(run.act.conn, run.ctx, entity, row.get(entity.defn.segment_field or ""), person):
        return False
    pool = await holding.home(run.act, entity, row)
    if pool is None or row.owner == person:
        return True
    try:
        await holding.refuse_more(run.act, entity, pool, person)
    except Conflict:
        return False
    return True
