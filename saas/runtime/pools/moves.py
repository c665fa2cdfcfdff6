"""Claiming, assigning and giving back: each one act under the record's lock, with the stage change that goes along.

However many people claim at once, a record goes to one of them, and nobody gets past a limit: the record is locked first, then the
person's own queue, and both are looked at again under lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saas.errors import Conflict, FieldProblem, InvalidInput, NotFound, PermissionDenied
from saas.i18n import lazy
from saas.metadata.config import Entity
from saas.metadata.models import PoolDef
from saas.runtime import permissions, segments
from saas.runtime.acts import Act
from saas.runtime.context import Context
from saas.runtime.pipelines import move_record
from saas.runtime.pools import holding
from saas.runtime.pools.rights import (
    amount,
    asked_of,
    assigns,
    by_right,
    claims,
    inside_sql,
    name_of,
    named,
    releases,
    sees,
    sources_of,
)
from saas.runtime.records import find, load, update
from saas.runtime.rows import Row
from saas.runtime.sql import RecordScope, Statement
from saas.runtime.validate import Draft, take


def pool_of(entity: Entity, row: Row) -> PoolDef | None:
    """The pool a record lies in now, by the flags it was read with."""
    return next((pool for pool in entity.defn.pools if row.holds.get(f"pool:{pool.key}")), None)


def _not_there() -> Conflict:
    """The same for a record there is not, for one somebody else has, and for one the person may not see."""
    return Conflict(lazy("This record cannot be claimed any more: somebody was faster, or it never could be."), reason="taken")


def _may_claim(ctx: Context, entity: Entity, pool: PoolDef) -> bool:
    return claims(ctx, pool, may_update=permissions.may(ctx, "update", entity.key))


def _require_claim(ctx: Context, entity: Entity, pool: PoolDef) -> None:
    if not _may_claim(ctx, entity, pool):
        raise PermissionDenied(lazy("Your role may not claim records of “%(pool)s”.", pool=named(pool)), right="claim", entity=entity.key)


async def claim(act: Act, entity: Entity, record_id: UUID) -> Row:
    """Give a record of the pool to the person who asks. Errors: PermissionDenied, Conflict (taken, cooling, claims_per_day, max_held), InvalidInput."""
    seen = await find(act.conn, act.ctx, entity, record_id)
    pool = pool_of(entity, seen) if seen else None
    if pool is None:
        raise _not_there()
    _require_claim(act.ctx, entity, pool)
    # Whoever waits here for somebody faster finds the record as it is then: owned, and so perhaps not theirs to see.
    row = await find(act.conn, act.ctx, entity, record_id, lock=True)
    if row is None or pool_of(entity, row) is not pool:
        raise _not_there()
    return await _claim(act, entity, pool, row)


async def claim_next(act: Act, entity: Entity, pool_key: str | None = None) -> Row:
    """Give the person the record that has lain in the pool longest, of those that nobody is claiming at this moment and that they did not
    give up themselves a while ago. Without a pool: of the first that has any. Errors: NotFound (no such pool), PermissionDenied, Conflict
    (empty, claims_per_day, max_held)."""
    open_pools = pools_of(act.ctx, entity, pool_key)
    mine = [pool for pool in open_pools if _may_claim(act.ctx, entity, pool)]
    for pool in mine:
        if (row := await _next(act, entity, pool)) is not None:
            return await _claim(act, entity, pool, row)
    _require_claim(act.ctx, entity, mine[0] if mine else open_pools[0])
    text = lazy("There is nothing to claim in “%(pool)s” now.", pool=named(mine[0])) if len(mine) == 1 else lazy("There is nothing to claim now.")
    raise Conflict(text, reason="empty")


async def _next(act: Act, entity: Entity, pool: PoolDef) -> Row | None:
    ctx = act.ctx
    statement = Statement(ctx)
    scope = RecordScope(statement, entity, "t")
    readable = permissions.right_sql("read", scope)
    sql = (
        f"SELECT t.id FROM record t WHERE t.tenant_id = {scope.param(ctx.tenant_id, 'uuid')} AND t.entity_id = {entity.number} AND t.deleted_at IS NULL AND {inside_sql(scope, pool)} "
        f"AND {readable}{_not_cooling(ctx, entity, pool, scope)} ORDER BY t.created_at, t.id LIMIT 1 FOR UPDATE OF t SKIP LOCKED"
    )
    found = await act.conn.fetchval(*statement.finish(sql))
    return await find(act.conn, ctx, entity, found, lock=True) if found else None


def _not_cooling(ctx: Context, entity: Entity, pool: PoolDef, scope: RecordScope) -> str:
    days = amount(ctx, pool.cooldown_days)
    if not days:
        return ""
    return (
        f" AND NOT EXISTS (SELECT 1 FROM ownership_event e WHERE e.tenant_id = t.tenant_id AND e.entity_id = {entity.number} AND e.record_id = t.id "
        f"AND e.user_id = {scope.param(ctx.user_id, 'uuid')} AND e.kind = ANY({scope.param(list(holding.GIVEN_UP), 'text[]')}) "
        f"AND e.at > {scope.param(ctx.now, 'timestamptz')} - make_interval(days => {int(days)}))"
    )


async def _claim(act: Act, entity: Entity, pool: PoolDef, row: Row) -> Row:
    assert act.ctx.user_id is not None
    await holding.refuse_claim(act, entity, pool, row.id)
    return await _give(act, entity, row, act.ctx.user_id, "claimed", pool.claim_transition)


async def assign(act: Act, entity: Entity, record_id: UUID, person: UUID) -> Row:
    """Give a record, of a pool or somebody's, to a person. Errors: NotFound, PermissionDenied, Conflict (max_held), InvalidInput (who cannot own it)."""
    row = await load(act.conn, act.ctx, entity, record_id, lock=True)
    inside = pool_of(entity, row)
    pool = inside or await holding.home(act, entity, row)
    may_update = by_right(row.holds)
    if not (assigns(act.ctx, pool, may_update=may_update) if pool else may_update or act.ctx.unrestricted):
        raise PermissionDenied(lazy("Your role may not give this record to somebody."), right="assign", entity=entity.key)
    if not await segments.fits(act.conn, act.ctx, entity, row.get(entity.defn.segment_field or ""), person):
        raise InvalidInput([FieldProblem("owner", "other_segment", lazy("This person does not belong to the record's segment."), "/owner")])
    if pool is not None and person != row.owner:
        await holding.refuse_more(act, entity, pool, person)
    return await _give(act, entity, row, person, "assigned", inside.claim_transition if inside else None)


async def release(
    act: Act, entity: Entity, record_id: UUID, *, deed: str = "released", key: str | None = None, values: Mapping[str, Any] | None = None
) -> tuple[Row, PoolDef]:
    """Put a record back into its pool: nobody owns it then. `key`: only if that is its pool; `values`: of fields in `asked_of`. Errors:
    NotFound, PermissionDenied, Conflict, InvalidInput."""
    row = await load(act.conn, act.ctx, entity, record_id, lock=True)
    pool = await holding.home(act, entity, row)
    if pool is None or (key is not None and pool.key != key):
        raise Conflict(lazy("There is no pool that this record belongs to."), reason="no_pool")
    if row.owner is None:
        raise Conflict(lazy("Nobody holds this record."), reason="not_held")
    if not releases(act.ctx, pool, may_update=by_right(row.holds)):
        raise PermissionDenied(lazy("Your role may not put this record back into “%(pool)s”.", pool=named(pool)), right="release", entity=entity.key)
    foreign = [FieldProblem(name, "forbidden", lazy("This field cannot be set here."), f"/{name}") for name in values or () if name not in asked_of(entity, pool)]
    if foreign:
        raise InvalidInput(foreign)
    if values:  # the change itself asks for no right, so what a stage change would not take from this person is refused here
        draft = Draft(entity, row.copy(), row, permissions.access(act.ctx, entity, row.holds))
        take(act.ctx, draft, values, also=asked_of(entity, pool))
        if draft.problems:
            raise InvalidInput(draft.problems)
    return await _give(act, entity, row, None, deed, pool.release_transition, values), pool


async def _give(act: Act, entity: Entity, row: Row, person: UUID | None, deed: str, transition: str | None, said: Mapping[str, Any] | None = None) -> Row:
    """The configuration orders what goes along, so no right to it is asked; the person who acts stays named."""
    inner = act.under(elevated=True)
    inner.deed = deed
    values = {**(said or {}), "owner": str(person) if person else None}
    sources = sources_of(entity, transition)
    if transition and (sources is None or row.state in sources or person is None):
        return (await move_record(inner, entity, row.id, transition, values))[0]
    return await update(inner, entity, row.id, values)


# ---- what people look at -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """How somebody stands to a pool. None where there is no limit."""

    key: str
    label: str
    may_claim: bool
    held: int
    most: int | None
    claimed_today: int
    per_day: int | None


def pools_of(ctx: Context, entity: Entity, key: str | None = None) -> list[PoolDef]:
    """The pools the person sees, or the one named, never none. Errors: NotFound."""
    found = [pool for pool in entity.defn.pools if sees(ctx, pool) or permissions.is_admin(ctx)]
    if key is not None:
        found = [pool for pool in found if pool.key == key]
    if not found or not permissions.may(ctx, "read", entity.key):
        raise NotFound(lazy("There is no such pool here."))
    return found


async def standings(conn: Any, ctx: Context, entity: Entity) -> list[Standing]:
    """The pools a person sees, with what they hold and may still claim."""
    permissions.require(ctx, "read", entity.key)
    found = []
    for pool in entity.defn.pools:
        if ctx.user_id is None or not (sees(ctx, pool) or permissions.is_admin(ctx)):
            continue
        held = await holding.held(conn, ctx, entity, pool, ctx.user_id)
        today = await holding.claimed_today(conn, ctx, entity, pool, ctx.user_id)
        found.append(
            Standing(pool.key, name_of(pool, ctx.locale), _may_claim(ctx, entity, pool), held, amount(ctx, pool.max_held), today, amount(ctx, pool.claims_per_day))
        )
    return found
