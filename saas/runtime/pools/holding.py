"""What every change of an owner passes through, whoever makes it and by whichever way: limits, who held what, what counts as work.

Called by saas.runtime.records with the record under lock. A person's row of limits is guarded by an advisory lock that is taken after
the record's, always in this order.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from saas.db import Write
from saas.errors import Conflict, FieldProblem, InvalidInput, PermissionDenied
from saas.i18n import LOCALES, gettext, lazy, ngettext, pick, use_locale
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.models import PoolDef
from saas.runtime.acts import Act
from saas.runtime.context import Context
from saas.runtime.env import prepare
from saas.runtime.notifications import Notice, deliver
from saas.runtime.pools.rights import amount, assigns, claims, home_sql, name_of, named, releases, sources_of
from saas.runtime.rows import Row
from saas.runtime.sql import RecordScope, Statement
from saas.tenants import new_id

GIVEN_UP = ("released", "recycled", "lost")
TOUCHING = ("page", "api", "import", "bulk")  # whose acts are work on a record; what the configuration does by itself is not


# ---- before it is written ------------------------------------------------------------------------------------------------


async def refuse(act: Act, entity: Entity, row: Row, old: Row | None) -> None:
    """Whether the record may change hands like this by a plain edit. What `moves` does was looked at there, what the configuration
    orders is not asked. Errors: PermissionDenied, InvalidInput, Conflict."""
    ctx = act.ctx
    before = old.owner if old else None
    if not entity.defn.pools or row.owner == before or ctx.unrestricted or act.deed:
        return
    pool = await home(act, entity, old or row)
    if pool is None:
        return
    if old is not None and row.owner is None:
        if _moves(entity, old, pool.release_transition):
            raise _by_button(lazy("Use “Put into %(pool)s” for that: its stage changes as well.", pool=named(pool)))
        if not releases(ctx, pool, may_update=True):
            raise PermissionDenied(lazy("Your role may not put records back into “%(pool)s”.", pool=named(pool)))
    elif old is not None and before is None:
        if _moves(entity, old, pool.claim_transition):
            raise _by_button(lazy("Use “Claim” or “Assign” for that: its stage changes as well."))
        if row.owner == ctx.user_id and not claims(ctx, pool, may_update=True):
            raise PermissionDenied(lazy("Your role may not claim records of “%(pool)s”.", pool=named(pool)))
        if row.owner != ctx.user_id and not assigns(ctx, pool, may_update=True):
            raise PermissionDenied(lazy("Your role may not assign records of “%(pool)s”.", pool=named(pool)))
        if row.owner == ctx.user_id:
            await refuse_claim(act, entity, pool, row.id)
            return
    if row.owner is not None:
        await refuse_more(act, entity, pool, row.owner)


def _moves(entity: Entity, row: Row, transition: str | None) -> bool:
    sources = sources_of(entity, transition)
    return bool(transition) and (sources is None or row.state in sources)


def _by_button(message: Any) -> InvalidInput:
    return InvalidInput([FieldProblem("owner", "by_button", message, "/owner")])


async def home(act: Act, entity: Entity, row: Row) -> PoolDef | None:
    """The pool a record belongs to, owned or not."""
    pools = entity.defn.pools
    if not any(pool.when for pool in pools):
        return pools[0] if pools else None
    env = await prepare(act.conn, act.ctx, entity, row, [pool.when for pool in pools])
    return next((pool for pool in pools if not pool.when or env.holds(pool.when)), None)


async def refuse_claim(act: Act, entity: Entity, pool: PoolDef, record_id: UUID) -> None:
    """Whether the person may take this record now: cooling period, claims a day, records held. Errors: Conflict."""
    ctx, person = act.ctx, act.ctx.user_id
    assert person is not None
    await _queue_up(act, entity, person)
    if days := amount(ctx, pool.cooldown_days):
        last = await act.conn.fetchval(
            "SELECT max(at) FROM ownership_event WHERE tenant_id = $1 AND entity_id = $2 AND record_id = $3 AND user_id = $4 AND kind = ANY($5::text[])",
            ctx.tenant_id, entity.number, record_id, person, list(GIVEN_UP),
        )  # fmt: skip
        if last is not None and last + timedelta(days=days) > ctx.now:
            left = -((ctx.now - last - timedelta(days=days)) // timedelta(days=1))
            raise Conflict(
                ngettext("You gave this record up; you can claim it again in %(count)s day.", "You gave this record up; you can claim it again in %(count)s days.", left),
                reason="cooling", days=left,
            )  # fmt: skip
    if most := amount(ctx, pool.claims_per_day):
        count = await claimed_today(act.conn, ctx, entity, pool, person)
        if count >= most:
            raise Conflict(ngettext("You may claim %(count)s record a day.", "You may claim %(count)s records a day.", most), reason="claims_per_day", most=most)
    await refuse_more(act, entity, pool, person)


async def refuse_more(act: Act, entity: Entity, pool: PoolDef, person: UUID) -> None:
    """Whether somebody may hold one record more. Errors: Conflict."""
    most = amount(act.ctx, pool.max_held)
    if most is None:
        return
    await _queue_up(act, entity, person)
    if await held(act.conn, act.ctx, entity, pool, person) < most:
        return
    if person == act.ctx.user_id:
        message = ngettext("You hold %(count)s record, which is the most. Give one back first.", "You hold %(count)s records, which is the most. Give one back first.", most)
    else:
        message = ngettext("This person holds %(count)s record, which is the most.", "This person holds %(count)s records, which is the most.", most)
    raise Conflict(message, reason="max_held", most=most)


async def _queue_up(act: Act, entity: Entity, person: UUID) -> None:
    """Of several acts that give one person records, one counts after the other."""
    await act.conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"holder:{act.ctx.tenant_id}:{entity.number}:{person}")


async def held(conn: Any, ctx: Context, entity: Entity, pool: PoolDef, person: UUID) -> int:
    """How many records of the pool somebody holds, as far as they count."""
    statement = Statement(ctx)
    scope = RecordScope(statement, entity, "t")
    counts = ex.to_where(ex.parse(pool.held_if), scope) if pool.held_if else "true"
    sql = f"SELECT count(*) FROM record t WHERE t.entity_id = {entity.number} AND t.deleted_at IS NULL AND t.owner_id = {scope.param(person, 'uuid')} AND {home_sql(scope, pool)} AND {counts}"
    return await conn.fetchval(*statement.finish(sql))


async def claimed_today(conn: Any, ctx: Context, entity: Entity, pool: PoolDef, person: UUID) -> int:
    """How often somebody claimed from the pool since midnight, where the company is."""
    midnight = datetime.combine(ctx.today, time(), ctx.zone).astimezone(UTC)
    return await conn.fetchval(
        "SELECT count(*) FROM ownership_event WHERE tenant_id = $1 AND entity_id = $2 AND user_id = $3 AND kind = 'claimed' AND at >= $4 AND pool = $5",
        ctx.tenant_id, entity.number, person, midnight, pool.key,
    )  # fmt: skip


# ---- as it is written ----------------------------------------------------------------------------------------------------


async def noted(act: Act, entity: Entity, row: Row, old: Row) -> list[Write]:
    """The statements that remember a change of hands: who gave up or lost the record, who got it."""
    if not entity.defn.pools or row.owner == old.owner:
        return []
    ctx, pool = act.ctx, await home(act, entity, old)
    found = []
    if old.owner is not None:
        found.append((_ended(act, row, old), old.owner))
    if row.owner is not None:
        found.append(("claimed" if act.deed == "claimed" or (old.owner is None and row.owner == ctx.user_id) else "assigned", row.owner))
    sql = "INSERT INTO ownership_event (tenant_id, entity_id, record_id, id, at, kind, user_id, actor_id, pool) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    return [(sql, (ctx.tenant_id, entity.number, row.id, new_id(ctx.now), ctx.now, kind, person, ctx.user_id, pool.key if pool else None)) for kind, person in found]


def _ended(act: Act, row: Row, old: Row) -> str:
    if act.deed == "recycled":
        return "recycled"
    return "released" if row.owner is None and act.ctx.user_id == old.owner else "lost"


def touched_sql(act: Act, entity: Entity, row: Row, old: Row, transition: str | None) -> str:
    """How the moment of the last work on a record goes on: "now", "before" (it stays) or "" where nobody asks."""
    if "touched_at" not in entity.fields:
        return ""
    ctx = act.ctx
    if row.owner != old.owner:
        return "now"
    counting = {kind for pool in entity.defn.pools if pool.recycle_days is not None for kind in pool.touch}
    is_work = ctx.user is not None and not ctx.elevated and ctx.origin in TOUCHING
    return "now" if is_work and ("transition" if transition else "update") in counting else "before"


def touched_parents(ctx: Context, entity: Entity) -> list[tuple[Entity, str]]:
    """(entity, field that leads to its record) of those for whom a new record of `entity` is work."""

    def make() -> list[tuple[Entity, str]]:
        found = []
        for parent in ctx.config.entities.values():
            keys = {key for pool in parent.defn.pools if pool.recycle_days is not None for key in pool.touch_lists}
            found += [(parent, r.field) for key in sorted(keys) if (r := parent.children.get(key)) is not None and r.child == entity.key]
        return found

    return ctx.config.cached(("pools.touched", entity.key), make)


def touches(ctx: Context, entity: Entity, row: Row) -> list[Write]:
    """The statements that say that a new record is work on those it belongs to."""
    found: list[Write] = []
    for parent, field in touched_parents(ctx, entity):
        value = row.get(field)
        ids = sorted(UUID(v) for v in (value if isinstance(value, list) else [value] if value else []))
        if ids:
            found.append((f"UPDATE record SET touched_at = $2 WHERE entity_id = {parent.number} AND id = ANY($1::uuid[])", (ids, ctx.now)))
    return found


def goes_alone(ctx: Context, entity: Entity) -> bool:
    """Whether what follows from new records of this entity has to be done one by one."""
    return bool(touched_parents(ctx, entity)) or any(pool.max_held is not None for pool in entity.defn.pools)


# ---- afterwards ----------------------------------------------------------------------------------------------------------


async def tell(act: Act, entity: Entity, row: Row, old: Row) -> None:
    """Who got a record, or lost it, by somebody else's hand hears of it."""
    if not entity.defn.pools or row.owner == old.owner or act.quiet:
        return
    for person, key in ((row.owner, "got"), (old.owner, "recycled" if act.deed == "recycled" else "taken" if row.owner is None else "given")):
        if person is not None and person != act.ctx.user_id:
            pool = await home(act, entity, old) if key in ("recycled", "taken") else None
            await deliver(act.conn, act.ctx, [person], notice(act.ctx, entity, row, key if pool or key in ("got", "given") else "nobodys", pool))


def notice(ctx: Context, entity: Entity, row: Row, key: str, pool: PoolDef | None = None, days: int = 0) -> Notice:
    """What the message says. key: got, given, nobodys; with the pool: recycled, taken, warned."""
    title = str(row.get(entity.defn.title) or "")
    titles: dict[str, str] = {}
    for locale in LOCALES:
        with use_locale(locale):
            told = {"name": title or pick(entity.defn.label, locale), "kind": pick(entity.defn.label, locale), "pool": name_of(pool, locale) if pool else ""}
            titles[locale] = {
                "got": lambda t=told: gettext("%(kind)s “%(name)s” was assigned to you", **t),
                "recycled": lambda t=told: gettext("%(kind)s “%(name)s” went back to “%(pool)s”: nobody worked on it in time", **t),
                "taken": lambda t=told: gettext("%(kind)s “%(name)s” was put back into “%(pool)s”", **t),
                "nobodys": lambda t=told: gettext("Nobody is responsible for %(kind)s “%(name)s” any more", **t),
                "given": lambda t=told: gettext("%(kind)s “%(name)s” was given to somebody else", **t),
                "warned": lambda t=told: ngettext("%(kind)s “%(name)s” goes back to “%(pool)s” in %(count)s day", "%(kind)s “%(name)s” goes back to “%(pool)s” in %(count)s days", days, **t),
            }[key]()
    return Notice(titles, {}, entity.key, row.id, "pool")


async def warn(act: Act, entity: Entity, row: Row, pool: PoolDef, days: int, left: int) -> bool:
    """Tell the owner, once for each warning since the record was last worked on. False: they know already."""
    if row.owner is None:
        return False
    ctx, since = act.ctx, row.touched_at or row.updated_at
    told = await act.conn.fetchval(
        "SELECT true FROM ownership_event WHERE tenant_id = $1 AND entity_id = $2 AND record_id = $3 AND user_id = $4 AND kind = 'warned' AND days <= $5 AND at >= $6 LIMIT 1",
        ctx.tenant_id, entity.number, row.id, row.owner, days, since,
    )  # fmt: skip
    if told:
        return False
    await act.conn.execute(
        "INSERT INTO ownership_event (tenant_id, entity_id, record_id, id, at, kind, user_id, actor_id, pool, days) VALUES ($1, $2, $3, $4, $5, 'warned', $6, $7, $8, $9)",
        ctx.tenant_id, entity.number, row.id, new_id(ctx.now), ctx.now, row.owner, ctx.user_id, pool.key, days,
    )  # fmt: skip
    await deliver(act.conn, ctx, [row.owner], notice(ctx, entity, row, "warned", pool, left))
    return True
