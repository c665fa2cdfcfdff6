"""Access seen through somebody else: contexts as another role or person, who may make them, and what one context sees that
another does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import NotFound, PermissionDenied
from saas.i18n import gettext as _
from saas.i18n import lazy, pick, sentences
from saas.metadata.config import Entity
from saas.runtime import permissions
from saas.runtime.context import Context, User
from saas.runtime.contexts import user_of
from saas.runtime.present import UNREADABLE, can_flags, titles_of
from saas.runtime.sql import RecordScope, Statement
from saas.tenants import load_user

MOST = 200_000  # records of one entity that a comparison looks at
SAMPLES = 20
PARTS = ("config", "users", "audit", "jobs", "brand", "import", "export", "api", "forms")
RIGHTS = ("read", "update", "delete")


# ---- as somebody else --------------------------------------------------------------------------------------------------


async def person_of(ctx: Context, user_id: UUID) -> User:
    """Somebody of the tenant with their roles, departments and team. Errors: NotFound."""
    found = await load_user(ctx.tenant_id, user_id)
    if found is None:
        raise NotFound(lazy("There is no such person."))
    return user_of(found[0])


def as_role(ctx: Context, role_keys: Iterable[str]) -> Context:
    """The asker with other roles: still themselves, in their own departments."""
    assert ctx.user is not None
    return ctx.replace(user=replace(ctx.user, role_keys=tuple(role_keys)), viewer=ctx)


def as_person(ctx: Context, person: User) -> Context:
    return ctx.replace(user=person, viewer=ctx)


def require_simulation(ctx: Context, role_keys: Iterable[str], *, draft: bool = False) -> None:
    """Whether `ctx` may see through these roles. Administrators may; others with the right to configure see through roles they
    could give, as published: a draft's own words could show what they may not see. Errors: PermissionDenied."""
    permissions.require_setting(ctx, "config")
    if permissions.is_admin(ctx):
        return
    if draft:
        require_trial(ctx)
    if any(key not in ctx.config.roles or not permissions.may_give(ctx, ctx.config.roles[key]) for key in role_keys):
        raise PermissionDenied(lazy("You can look only through roles that you could give."))


def require_trial(ctx: Context) -> None:
    """Whether `ctx` may see real records under a draft, whose roles, formulas and conditions are whatever its author wrote.
    Errors: PermissionDenied."""
    if not permissions.is_admin(ctx):
        raise PermissionDenied(lazy("Only an administrator can try unpublished changes on real records."))


# ---- comparing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sample:
    id: UUID
    title: str


@dataclass(frozen=True, slots=True)
class RightChange:
    """How many records a right reaches, before and after; samples are newest first, of those the asker may read."""

    right: str  # read update delete
    before: int = 0
    after: int = 0
    gained: int = 0
    lost: int = 0
    gained_samples: tuple[Sample, ...] = ()
    lost_samples: tuple[Sample, ...] = ()

    @property
    def differs(self) -> bool:
        return bool(self.gained or self.lost)


@dataclass(frozen=True, slots=True)
class Flip:
    """Something one has or has not: an action, a part of the settings, a report."""

    key: str
    label: str
    before: bool
    after: bool

    @property
    def differs(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class FieldChange:
    """Access is none, hidden, masked, read or write; `*_if` holds the condition of a limit."""

    key: str
    label: str
    before: str
    after: str
    before_if: str = ""
    after_if: str = ""

    @property
    def differs(self) -> bool:
        return (self.before, self.before_if) != (self.after, self.after_if)


@dataclass(frozen=True, slots=True)
class EntityAccess:
    """`exact`: every record was looked at, and not only the newest."""

    key: str
    label: str
    icon: str
    exact: bool
    rights: tuple[RightChange, ...]
    fields: tuple[FieldChange, ...]
    actions: tuple[Flip, ...]

    @property
    def differs(self) -> bool:
        return any(x.differs for x in (*self.rights, *self.fields, *self.actions))


@dataclass(frozen=True, slots=True)
class AccessChange:
    entities: tuple[EntityAccess, ...]
    settings: tuple[Flip, ...]
    reports: tuple[Flip, ...]
    dashboards: tuple[Flip, ...]


async def compare_access(before: Context, after: Context, *, asker: Context | None = None) -> AccessChange:
    """What `after` may that `before` may not, and the reverse: roles, people and configurations may differ between the two. Titles
    are shown as far as `asker` may read them. Joins the open transaction, such as that of a trial."""
    asker = asker or before.viewer or before
    keys = dict.fromkeys([*after.config.entities, *before.config.entities])
    async with tenant_transaction(before.tenant_id) as conn:
        entities = [await _entity(conn, before, after, asker, key) for key in keys]
    return AccessChange(
        tuple(entities),
        tuple(Flip(part, part, permissions.may_configure(before, part), permissions.may_configure(after, part)) for part in PARTS),
        _flips(before, after, "reports", permissions.may_report),
        _flips(before, after, "dashboards", permissions.may_dashboard),
    )


def _flips(before: Context, after: Context, kind: str, may: Any) -> tuple[Flip, ...]:
    old, new = getattr(before.config, kind), getattr(after.config, kind)
    return tuple(
        Flip(key, pick((new.get(key) or old[key]).label), key in old and may(before, key), key in new and may(after, key)) for key in dict.fromkeys([*new, *old])
    )


async def _entity(conn: Any, before: Context, after: Context, asker: Context, key: str) -> EntityAccess:
    defn = (after.config.entities.get(key) or before.config.entities[key]).defn
    rights, exact = await _rights(conn, before, after, asker, key)
    return EntityAccess(key, pick(defn.plural), defn.icon, exact, rights, tuple(_fields(before, after, key)), tuple(_actions(before, after, key)))


async def _rights(conn: Any, before: Context, after: Context, asker: Context, key: str) -> tuple[tuple[RightChange, ...], bool]:
    """Counts and samples of both sides in one statement over the entity's records."""
    number = next((c.config.entities[key].number for c in (before, after) if key in c.config.entities and c.config.entities[key].number > 0), 0)
    statement = Statement(before)
    sides = [_reach(c, statement.under(c), key) for c in (before, after)]
    columns = [f"coalesce({sql}, false) AS {right}_{side}" for side, found in zip("ba", sides, strict=True) for right, sql in found.items()]
    gained, lost = "{0}_a AND NOT {0}_b", "{0}_b AND NOT {0}_a"
    counts = [f"count(*) FILTER (WHERE {text.format(right)})" for right in RIGHTS for text in ("{0}_b", "{0}_a", gained, lost)]
    samples = [f"ARRAY(SELECT id FROM r WHERE {text.format(right)} ORDER BY id DESC LIMIT {SAMPLES})" for right in RIGHTS for text in (gained, lost)]
    sql = (
        f"WITH r AS MATERIALIZED (SELECT t.id, {', '.join(columns)} FROM record t WHERE t.entity_id = {number} AND t.deleted_at IS NULL "
        f"ORDER BY t.id DESC LIMIT {MOST}) SELECT count(*), {', '.join([*counts, *samples])} FROM r"
    )
    found = await conn.fetchrow(*statement.finish(sql))
    total, numbers, ids = found[0], found[1 : 1 + len(counts)], found[1 + len(counts) :]
    titles = await _titles(conn, asker, key, {i for some in ids for i in some})
    return tuple(
        RightChange(right, *numbers[4 * n : 4 * n + 4], *(tuple(Sample(i, titles[i]) for i in some if i in titles) for some in ids[2 * n : 2 * n + 2]))
        for n, right in enumerate(RIGHTS)
    ), total < MOST


def _reach(ctx: Context, statement: Statement, key: str) -> Mapping[str, str]:
    """SQL of what the context may do with a record of the entity."""
    entity = ctx.config.entities.get(key)
    if entity is None:
        return dict.fromkeys(RIGHTS, "false")
    scope = RecordScope(statement, entity, "t")
    read = permissions.right_sql("read", scope)
    flags: dict[str, str] = {}
    can_flags(ctx, scope, flags.__setitem__)
    return {"read": read, "update": permissions.all_of(read, flags["update"]), "delete": permissions.all_of(read, flags["delete"])}


async def _titles(conn: Any, asker: Context, key: str, ids: set[UUID]) -> dict[UUID, str]:
    entity = asker.config.entities.get(key)
    if entity is None or not ids:
        return {}
    found = await titles_of(conn, asker, entity, list(ids))
    return {i: title for i, title in found.items() if title != UNREADABLE}


def _fields(before: Context, after: Context, key: str) -> Iterable[FieldChange]:
    old, new = (c.config.entities.get(key) for c in (before, after))
    for name in dict.fromkeys([*(new.fields if new else ()), *(old.fields if old else ())]):
        declared = new.fields[name] if new and name in new.fields else old.fields[name]  # type: ignore[union-attr]
        (was, was_if), (now, now_if) = _access(before, old, name), _access(after, new, name)
        yield FieldChange(name, pick(declared.label), was, now, was_if, now_if)


def _access(ctx: Context, entity: Entity | None, name: str) -> tuple[str, str]:
    """(what the context gets of a field on records it may see, the conditions under which that is so)."""
    if entity is None or name not in entity.fields or not permissions.may(ctx, "read", entity.key):
        return "none", ""
    level = permissions.static_access(ctx, entity)[name]
    if level == "write" and not any(permissions.may(ctx, right, entity.key) for right in ("update", "create")):
        level = "read"
    limits = permissions.field_rights(ctx, entity).get(name, [])
    return level, sentences(dict.fromkeys(r.condition for r in limits if r.condition))


def _actions(before: Context, after: Context, key: str) -> Iterable[Flip]:
    names = {"create": _("Create"), "import": _("Import"), "export": _("Export"), "bulk": _("Change many at once"), "merge": _("Merge records")}
    for right, label in names.items():
        yield Flip(right, label, permissions.may(before, right, key), permissions.may(after, right, key))
    moves = [_moves(c, key) for c in (before, after)]
    for name in dict.fromkeys([*moves[1], *moves[0]]):
        label = (moves[1].get(name) or moves[0][name])[0]
        yield Flip(f"transition:{name}", label, *(name in m and m[name][1] for m in moves))


def _moves(ctx: Context, key: str) -> dict[str, tuple[str, bool]]:
    """{transition: (label, whether the context may do it with some record)}."""
    entity = ctx.config.entities.get(key)
    if entity is None or entity.pipeline is None:
        return {}
    found = {}
    for transition in entity.pipeline.transitions:
        verdict = permissions.transition_roles(ctx, entity.pipeline, transition)
        found[transition.key] = (pick(transition.label), permissions.may(ctx, "read", key) and (permissions.may_change(ctx, key) if verdict is None else verdict))
    return found


__all__ = ["AccessChange", "EntityAccess", "FieldChange", "Flip", "RightChange", "Sample", "as_person", "as_role", "compare_access", "person_of", "require_simulation", "require_trial"]
