"""Which records are in a pool, and who sees it, as SQL conditions; and who may do what with its records, by role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from saas.i18n import LazyLabel, pick
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import Amount, PoolDef
from saas.runtime.context import Context
from saas.runtime.sql import RecordScope


def name_of(pool: PoolDef, locale: str | None = None) -> str:
    """What the company calls it, in a language (the reader's)."""
    return pick(pool.label, locale) or pool.key


def named(pool: PoolDef) -> LazyLabel:
    """The same for messages, which find their reader later."""
    return LazyLabel(pool.label or pool.key)


def asked_of(entity: Entity, pool: PoolDef) -> Sequence[str]:
    """Fields that whoever puts a record back may fill in, such as why: those its stage change asks for. Not links: the change of hands is the
    configuration's own act, which asks nobody what they may read."""
    found = entity.pipeline.transition(pool.release_transition or "") if entity.pipeline else None
    return [key for key in found.ask if key in entity.declared and not field_types.get(entity.fields[key].type).holds] if found else ()


def home_sql(scope: RecordScope, pool: PoolDef) -> str:
    """Condition: the record belongs to this pool, whether somebody owns it or not. An earlier pool takes what several would."""
    parts = []
    for other in scope.entity.defn.pools:
        condition = ex.to_where(ex.parse(other.when), _plain(scope)) if other.when else "true"
        if other.key == pool.key:
            parts.append(condition)
            break
        parts.append(f"({condition}) IS NOT TRUE")
    kept = [p for p in parts if p != "true"]
    return " AND ".join(f"({p})" for p in kept) or "true"


def inside_sql(scope: RecordScope, pool: PoolDef) -> str:
    """Condition: the record lies in this pool and can be claimed or assigned. Where claiming moves the stage, only from stages from
    which that is possible."""
    parts = [f"{scope.alias}.owner_id IS NULL", home_sql(scope, pool)]
    sources = sources_of(scope.entity, pool.claim_transition)
    if sources is not None:
        parts.append(f"{scope.alias}.state = ANY({scope.param(list(sources), 'text[]')})")
    return " AND ".join(p for p in parts if p != "true")


def sources_of(entity: Entity, transition: str | None) -> Sequence[str] | None:
    """The stages a transition starts from; None where every stage will do."""
    found = entity.pipeline.transition(transition or "") if entity.pipeline else None
    return None if found is None or "*" in found.sources else found.sources


def seen_sql(scope: RecordScope) -> list[str]:
    """Conditions under which the person sees a record because it lies in a pool that is open to them."""
    return [f"({seen_in_sql(scope, pool)})" for pool in scope.entity.defn.pools if sees(scope.ctx, pool)]


def seen_in_sql(scope: RecordScope, pool: PoolDef) -> str:
    """Condition: it lies in this pool, near enough for who sees the pool."""
    return inside_sql(scope, pool) + _near_sql(scope, pool)


def sees(ctx: Context, pool: PoolDef) -> bool:
    return ctx.user is not None and pool.see != "none" and _listed(ctx, pool.see_roles)


def _near_sql(scope: RecordScope, pool: PoolDef) -> str:
    """People see what lies with their department, or with one below those they belong to."""
    user = scope.ctx.user
    if pool.see == "all" or user is None:
        return ""
    ids = user.department_ids if pool.see == "dept" else user.department_tree_ids
    return f" AND {scope.alias}.department_id = ANY({scope.param(list(ids), 'uuid[]')})"


def _listed(ctx: Context, roles: Sequence[str]) -> bool:
    """Administrators have every right, here as elsewhere."""
    return ctx.unrestricted or not roles or bool(ctx.user and (set(roles) & set(ctx.user.role_keys) or any(r.admin for k in ctx.user.role_keys if (r := ctx.config.roles.get(k)))))


def claims(ctx: Context, pool: PoolDef, *, may_update: bool) -> bool:
    """Whether the person may take what they see in the pool. `may_update`: their roles let them change some record of its kind."""
    return pool.claimable and ctx.user is not None and ctx.support is None and _listed(ctx, pool.claim_roles) and (bool(pool.claim_roles) or may_update)


def assigns(ctx: Context, pool: PoolDef, *, may_update: bool) -> bool:
    """Whether they may give a record of the pool to somebody. `may_update`: that record may be changed by them."""
    return _listed(ctx, pool.assign_roles) if pool.assign_roles else ctx.unrestricted or may_update


def releases(ctx: Context, pool: PoolDef, *, may_update: bool) -> bool:
    """Whether they may give back a record that somebody holds. `may_update`: that record may be changed by them."""
    return ctx.unrestricted or (may_update and _listed(ctx, pool.release_roles))


def by_right(holds: Mapping[str, bool]) -> bool:
    """Whether the person may change the record by their own roles, by the flags it was read with; not because it was shared with them."""
    return holds.get("own:update", holds.get("rights:update", False))


def amount(ctx: Context, value: Amount) -> int | None:
    """A number, or what the setting says; None for no limit."""
    if isinstance(value, str):
        setting = ctx.config.settings.get(value)
        value = setting.default if setting is not None else None
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _plain(scope: RecordScope) -> RecordScope:
    """The rules are the configuration's own words: evaluated without a guard."""
    return RecordScope(scope.statement, scope.entity, scope.alias)
