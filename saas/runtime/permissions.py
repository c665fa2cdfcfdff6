"""Who may do what. Rights of a person's roles become SQL conditions, so that lists, counts, reports, searches and single
records are decided by the same text; field rights become a map per entity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from saas.errors import KeyLimited, PermissionDenied
from saas.i18n import LazyString, lazy
from saas.metadata import expressions as ex
from saas.metadata.config import Config, Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import EntityRights, FieldDef, FieldRight, PipelineDef, PortalDef, RoleDef, ScopeRule, TransitionDef
from saas.runtime.context import Context, Tenant
from saas.runtime.pools.rights import seen_sql
from saas.runtime.segment_sql import within_sql
from saas.runtime.share_sql import shared_sql
from saas.runtime.sql import RecordScope, field_sql, held_sql
from saas.tenants import WRITABLE, TenantRow

ALL = (ScopeRule("all"),)
LEVELS = {"hidden": 0, "masked": 1, "read": 2, "write": 3}
NO_RIGHTS = EntityRights()
ADMIN_RIGHTS = EntityRights(read=ALL, update=ALL, delete=ALL, export=ALL, create=True, import_=True, bulk=True, merge=True, purge=True)


def roles(ctx: Context) -> list[RoleDef]:
    if ctx.user is None:
        return []
    return [ctx.config.roles[key] for key in ctx.user.role_keys if key in ctx.config.roles]


def is_admin(ctx: Context) -> bool:
    return ctx.unrestricted or any(role.admin for role in roles(ctx))


def is_outsider(ctx: Context) -> bool:
    """All the person's roles are for people from outside the company: they find nobody else in it."""
    mine = roles(ctx)
    return bool(mine) and not ctx.unrestricted and all(role.external for role in mine)


def may_configure(ctx: Context, what: str) -> bool:
    """`what`: config users audit jobs brand import export api security forms."""
    if ctx.key is not None and not ctx.unrestricted and "config" not in ctx.key.scopes:
        return False
    return is_admin(ctx) or any(what in role.settings or "*" in role.settings for role in roles(ctx))


def may_give(ctx: Context, role: RoleDef) -> bool:
    """Nobody gives a role that holds more than theirs: an administrator's, or one with parts of the settings they lack."""
    return is_admin(ctx) or not (role.admin or any(not may_configure(ctx, part) for part in role.settings))


def require_setting(ctx: Context, what: str) -> None:
    if not may_configure(ctx, what):
        raise PermissionDenied(lazy("Your role does not include this part of the settings."))


def require_active(ctx: Context) -> None:
    """People change nothing in a workspace that is suspended, read-only or leaving. Raises PermissionDenied."""
    if not is_open(ctx):
        raise closed(ctx.tenant)
    if ctx.support is not None and not ctx.support.may_write:
        raise PermissionDenied(lazy("Support may look, not change anything."), reason="support")


def is_open(ctx: Context) -> bool:
    """Whether anything can be changed at all by who asks: people not in a workspace that is suspended, read-only or leaving."""
    return ctx.user is None or (ctx.tenant.is_writable and ctx.tenant.delete_after is None)


def closed(tenant: Tenant | TenantRow) -> PermissionDenied:
    """What whoever would change something is told in a workspace where nothing can be changed; `reason` is suspended, read_only or leaving."""
    if tenant.status not in WRITABLE:
        return PermissionDenied(why_closed(tenant.status), reason="read_only" if tenant.status == "read_only" else "suspended")
    return PermissionDenied(lazy("This workspace will be deleted: reading is possible, changes are not."), reason="leaving")


def why_closed(status: str) -> LazyString:
    """Why nothing can be changed in a workspace of this status."""
    if status == "read_only":
        return lazy("This workspace is read-only: reading and export are possible, changes are not. Administrators see why, and what to do, under Settings, Plan and usage.")
    return lazy("This workspace is suspended: reading is possible, changes are not.")


def rights_of(role: RoleDef, entity_key: str) -> EntityRights:
    """What one role says about an entity: its own entry, else its default for all others."""
    if role.admin:
        return ADMIN_RIGHTS
    return role.entities.get(entity_key) or role.entities.get("*") or NO_RIGHTS


def entity_rights(ctx: Context, entity_key: str) -> list[EntityRights]:
    """The rights of each of the person's roles that say anything about the entity."""
    if ctx.unrestricted:
        return [ADMIN_RIGHTS]
    return [rights for _role, rights in granting(ctx, entity_key)]


def granting(ctx: Context, entity_key: str) -> list[tuple[RoleDef, EntityRights]]:
    """The person's roles that give any right on the entity, with what they give."""
    found = [(role, _within_key(ctx, entity_key, rights_of(role, entity_key))) for role in roles(ctx)]
    return [(role, rights) for role, rights in found if _grants(rights)]


def _within_key(ctx: Context, entity_key: str, rights: EntityRights) -> EntityRights:
    """What an API key leaves of them: here, so that lists, links, searches, reports and imports all know."""
    key = ctx.key
    if key is None:
        return rights
    if "read" not in key.scopes or not key.reaches(entity_key):
        return NO_RIGHTS
    if "write" in key.scopes:
        return rights
    return replace(rights, update=(), delete=(), create=False, create_if=None, import_=False, bulk=False, merge=False, purge=False)


def deciding_fields(ctx: Context, entity_key: str) -> list[tuple[RoleDef, EntityRights]]:
    """The person's roles that have a say about single fields of the entity."""
    found = granting(ctx, entity_key)
    # A role that only lets people add records says nothing about what they may see of others.
    return [(role, rights) for role, rights in found if rights.read or rights.update] or found


def _grants(rights: EntityRights) -> bool:
    """A role that gives nothing on an entity does not widen what others give: its silence about a field is no right to it."""
    return bool(rights.read or rights.update or rights.delete or rights.export or rights.create or rights.create_if or rights.import_)


def rules(ctx: Context, right: str, entity_key: str) -> list[ScopeRule]:
    """right: read update delete export."""
    return [rule for r in entity_rights(ctx, entity_key) for rule in getattr(r, right) if rule.scope != "none"]


def may(ctx: Context, right: str, entity_key: str) -> bool:
    """May the person use this right on some record at all? right: create read update delete export import bulk merge purge."""
    entity = ctx.config.entities.get(entity_key)
    if entity is None:
        return False
    if entity.defn.read_only and right in ("create", "update", "delete", "import") and not ctx.unrestricted:
        return False
    if right in ("create", "update", "import", "bulk") and not enters_here(ctx, entity_key):
        return False
    if right == "create":
        return any(r.create or r.create_if for r in entity_rights(ctx, entity_key))
    if right == "import":
        return any(r.import_ for r in entity_rights(ctx, entity_key))
    if right == "bulk":
        return any(r.bulk for r in entity_rights(ctx, entity_key)) and may(ctx, "update", entity_key)
    if right == "merge":
        return any(r.merge for r in entity_rights(ctx, entity_key)) and may(ctx, "update", entity_key)
    if right == "purge":
        return any(r.purge for r in entity_rights(ctx, entity_key)) and may(ctx, "read", entity_key)
    return bool(rules(ctx, right, entity_key))


def may_change(ctx: Context, entity_key: str) -> bool:
    """May the person change some such record by their role, be it on its page or by the entry form it is entered through alone? Transitions
    for which no role is named ask this: entry forms say where fields are filled in, not who moves a record."""
    entity = ctx.config.entities.get(entity_key)
    return entity is not None and (ctx.unrestricted or not entity.defn.read_only) and bool(rules(ctx, "update", entity_key))


def enters_here(ctx: Context, entity_key: str) -> bool:
    """Some records are entered through their form alone: neither on pages of their own nor by import. What the configuration itself
    orders, and sample data, need no form."""
    if ctx.unrestricted or ctx.origin == "sample":
        return True
    wanted = ctx.config.cached("permissions.only_forms", lambda: only_forms(ctx.config))
    return entity_key not in wanted or ctx.form in wanted[entity_key]


def only_forms(config: Config) -> dict[str, set[str]]:
    """{entity: the forms it is entered through} of those that are entered nowhere else. A form that enters them without insisting on it
    is a way, too."""
    ways: dict[str, set[str]] = {}
    only: set[str] = set()
    for form in config.bundle.forms:
        main = config.entity(form.entity)
        ways.setdefault(main.key, set()).add(form.key)
        only |= {main.key} if form.only else set()
        for part in form.parts:
            target = main.fields[part.ref].options["to"] if part.ref else main.children[part.list or ""].child
            inner = [config.entity(target).fields[key].options["to"] for key in part.creates]
            for key in (target, *inner):
                ways.setdefault(key, set()).add(form.key)
            only |= {target} if part.only else set()
    return {key: ways[key] for key in only}


def require(ctx: Context, right: str, entity_key: str) -> None:
    if not may(ctx, right, entity_key):
        if ctx.key is not None and may(ctx.replace(key=None), right, entity_key):
            raise KeyLimited(lazy("This API key does not allow that."), right=right, entity=entity_key)
        raise PermissionDenied(lazy("Your role does not allow this."), right=right, entity=entity_key)


def create_conditions(ctx: Context, entity_key: str) -> list[str] | None:
    """Conditions on a new record of which one must hold; None = no condition; [] = not allowed."""
    found = entity_rights(ctx, entity_key)
    if any(r.create and not r.create_if for r in found):
        return None
    return [r.create_if for r in found if r.create_if]


# ---- records -----------------------------------------------------------------------------------------------------------


def right_sql(right: str, scope: RecordScope, *, shares: bool = True) -> str:
    """SQL condition: the person may use `right` on the scope's record. "true" and "false" stand alone where constant. Without `shares`: by
    their roles alone, not because somebody opened it to them."""
    ctx, entity = scope.ctx, scope.entity
    if ctx.unrestricted:
        return "true"
    given = rules(ctx, right, entity.key)
    # Who may see such records at all also sees those that lie in a pool open to them.
    also = seen_sql(scope) if right == "read" and given and entity.defn.pools else []
    if shares and right in ("read", "update") and given:
        also.append(shared_sql(scope, edit=right == "update"))
    condition = any_of([*(all_of(*rule_sql(rule, scope)) for rule in given), *also])
    condition = all_of(condition, within_sql(scope))
    return condition if ctx.viewer is None else all_of(condition, _seen_by_viewer(ctx.viewer, scope))


def _seen_by_viewer(viewer: Context, scope: RecordScope) -> str:
    """The viewer's own right to read, under their own configuration: the person they look as may have an unpublished one."""
    entity = viewer.config.entities.get(scope.entity.key)
    if is_admin(viewer):
        return "true"
    return right_sql("read", RecordScope(scope.statement.under(viewer), entity, scope.alias)) if entity else "false"


def rule_sql(rule: ScopeRule, scope: RecordScope) -> tuple[str, str]:
    """SQL of a rule's scope, and of its condition."""
    # The rules are the configuration's own words: evaluated without a guard.
    plain = RecordScope(scope.statement, scope.entity, scope.alias)
    return _scope_sql(rule.scope, plain), ex.to_where(ex.parse(rule.condition), plain) if rule.condition else "true"


def all_of(*parts: str) -> str:
    kept = [p for p in parts if p != "true"]
    if "false" in kept:
        return "false"
    return " AND ".join(f"({p})" for p in kept) if kept else "true"


def any_of(parts: Iterable[str]) -> str:
    parts = list(dict.fromkeys(p for p in parts if p != "false"))
    if not parts or "true" in parts:
        return "true" if parts else "false"
    return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"


def portals(ctx: Context) -> list[PortalDef]:
    """By which records the person is somebody outside; none for staff."""
    return [role.portal for role in roles(ctx) if role.portal is not None]


PORTAL_STEPS = 3  # references from a record to the one that a person is


def portal_path(config: Config, entity_key: str, portal: PortalDef) -> list[tuple[str, ...]]:
    """The shortest ways from an entity over references to the portal's own; [()] for that one itself."""
    if entity_key == portal.entity:
        return [()]

    def make() -> list[tuple[str, ...]]:
        ways: list[tuple[tuple[str, ...], str]] = [((), entity_key)]
        for _step in range(PORTAL_STEPS):
            ways = [((*way, f.key), f.options["to"]) for way, at in ways if at in config.entities for f in config.entities[at].declared.values() if f.type == "ref"]
            if found := [way for way, at in ways if at == portal.entity]:
                return found
        return []

    return config.cached(("permissions.portal", entity_key, portal), make)


def _portal_sql(portal: PortalDef, scope: RecordScope, me: str) -> str:
    """The record a person is, and what refers to it: SQL, so that lists, counts, search and reports know nothing else."""
    config = scope.config
    home = config.entities[portal.entity]

    def along(entity: Entity, alias: str, way: tuple[str, ...]) -> str:
        if not way:
            return f"({held_sql(config, home, home.fields[portal.link], alias, me)})"
        target, inner = config.entities[entity.fields[way[0]].options["to"]], f"{alias}p"
        column = field_sql(config, entity, entity.fields[way[0]], alias)
        return f"{column} IN (SELECT {inner}.id FROM record {inner} WHERE {inner}.entity_id = {target.number} AND {inner}.deleted_at IS NULL AND {along(target, inner, way[1:])})"

    return any_of(along(scope.entity, scope.alias, way) for way in portal_path(config, scope.entity.key, portal))


def portal_sql(scope: RecordScope) -> str:
    """The records that a person of a portal is, and what refers to them; "false" where an entity's records are nobody's."""
    assert scope.ctx.user is not None
    me = scope.param(scope.ctx.user.id, "uuid")
    return any_of(_portal_sql(portal, scope, me) for portal in portals(scope.ctx))


def _scope_sql(name: str, scope: RecordScope) -> str:
    user = scope.ctx.user
    if name == "all":
        return "true"
    if user is None or name == "none":
        return "false"
    a, entity = scope.alias, scope.entity
    own = f"{a}.owner_id" if entity.defn.owned else f"{a}.created_by"
    me = scope.param(user.id, "uuid")
    if name == "own":
        return f"{own} = {me}"
    if name in ("assigned", "participant"):
        people = [entity.fields[key] for key in entity.defn.assignees]
        if name == "participant":
            people = [f for f in entity.fields.values() if field_types.get(f.type).holds == "user" and f.key != "updated_by"]
        found = [held_sql(scope.config, entity, f, a, me) for f in people]
        if name == "participant":  # and who belongs to its team
            found.append(shared_sql(scope, subjects=[f"user:{user.id}"]))
        return any_of(found)
    if name == "portal_self":
        return portal_sql(scope)
    if name == "team":
        return f"{own} = ANY({scope.param([user.id, *user.team_ids], 'uuid[]')})"
    ids = user.department_ids if name == "dept" else user.department_tree_ids
    return f"({own} = {me} OR {a}.department_id = ANY({scope.param(list(ids), 'uuid[]')}))"


@dataclass(frozen=True, slots=True)
class ReaderGuard:
    """What `ctx` may name in filters, sorts and reports."""

    ctx: Context

    def visible(self, entity: Entity, field: FieldDef) -> bool:
        return LEVELS[static_access(self.ctx, entity).get(field.key, "hidden")] >= LEVELS["read"]

    def readable(self, scope: RecordScope) -> str:
        predicate = right_sql("read", scope)
        if predicate == "false":
            raise PermissionDenied(lazy("Your role does not allow this."))
        return predicate


def guard(ctx: Context) -> ReaderGuard | None:
    return None if ctx.unrestricted else ReaderGuard(ctx)


# ---- fields ------------------------------------------------------------------------------------------------------------

WRITE = FieldRight("write")


def field_rights(ctx: Context, entity: Entity) -> Mapping[str, list[FieldRight]]:
    """For each field that some role limits: what each of the person's roles with rights on the entity says of it."""
    if ctx.unrestricted:
        return {}
    key = ("permissions.fields", ctx.user.role_keys if ctx.user else (), ctx.key, entity.key)

    def make() -> dict[str, list[FieldRight]]:
        found = [rights for _role, rights in deciding_fields(ctx, entity.key)]
        limited = {f for r in found for f in r.fields}
        return {f: [r.fields.get(f, WRITE) for r in found] for f in limited}

    return ctx.config.cached(key, make)


def static_access(ctx: Context, entity: Entity) -> Mapping[str, str]:
    """{field: access} without looking at a record: a conditional limit is taken to hold (fail closed). Do not change it."""

    def make() -> dict[str, str]:
        limited = field_rights(ctx, entity)
        return {
            key: max((r.access for r in limited[key]), key=LEVELS.__getitem__) if key in limited else ("read" if field.system and key != "owner" else "write")
            for key, field in entity.fields.items()
        }

    found = ctx.config.cached(("permissions.static", None if ctx.unrestricted else (ctx.user.role_keys, ctx.key), entity.key), make)
    return _no_more_than_the_viewer(ctx, entity, found)


def _no_more_than_the_viewer(ctx: Context, entity: Entity, found: Mapping[str, str]) -> Mapping[str, str]:
    """What the viewer could not read themselves, always and openly, stays hidden from them here, too."""
    if ctx.unrestricted or ctx.viewer is None or is_admin(ctx.viewer):
        return found
    own = static_access(ctx.viewer, entity)
    return {key: level if LEVELS[own.get(key, "hidden")] >= LEVELS["read"] else "hidden" for key, level in found.items()}


def conditions(ctx: Context, entity: Entity) -> list[str]:
    """The conditions of field rights, in a fixed order."""
    if not field_rights(ctx, entity):
        return []
    return list(dict.fromkeys(r.condition for rights in field_rights(ctx, entity).values() for r in rights if r.condition))


def access(ctx: Context, entity: Entity, holds: Mapping[str, bool]) -> Mapping[str, str]:
    """{field: access} for one record; `holds` says which of `conditions` are true for it. Who may change it only because it was shared
    with them does not give it away."""
    if entity.defn.sharing and holds.get("own:update") is False and not ctx.unrestricted:
        found = _access(ctx, entity, holds)
        return {**found, "owner": "read"} if found.get("owner") == "write" else found
    return _access(ctx, entity, holds)


def _access(ctx: Context, entity: Entity, holds: Mapping[str, bool]) -> Mapping[str, str]:
    if not conditions(ctx, entity):
        return static_access(ctx, entity)
    result = dict(static_access(ctx, entity))
    for key, rights in field_rights(ctx, entity).items():
        effective = [r.access if not r.condition or holds.get(r.condition, True) else "write" for r in rights]
        result[key] = max(effective, key=LEVELS.__getitem__)
    return _no_more_than_the_viewer(ctx, entity, result)


def accesses(ctx: Context, entity: Entity, rows: Sequence[Mapping[str, bool]]) -> list[Mapping[str, str]]:
    """`access` for many records: the same mapping for all where no right depends on the record."""
    if not conditions(ctx, entity):
        return [static_access(ctx, entity)] * len(rows)
    return [access(ctx, entity, holds) for holds in rows]


def mask_of(ctx: Context, entity: Entity, field_key: str) -> str:
    return next((r.mask for r in field_rights(ctx, entity).get(field_key, ()) if r.access == "masked"), "****{4}")


def masked(text: str, mask: str) -> str:
    """`****{4}` shows the last four characters; `{3}****{4}` also the first three. Short texts show nothing."""
    head, _, rest = mask.partition("*")
    lead = int(head.strip("{}") or 0) if head else 0
    stars, _, tail = ("*" + rest).partition("{")
    last = int(tail.strip("}") or 0) if tail else 0
    if len(text) <= lead + last:
        return stars
    return text[:lead] + stars + (text[-last:] if last else "")


# ---- transitions -------------------------------------------------------------------------------------------------------


def transition_roles(ctx: Context, pipeline: PipelineDef, transition: TransitionDef) -> bool | None:
    """True: a role of the person may; False: none may; None: whoever may update the record may."""
    if ctx.unrestricted or any(role.admin for role in roles(ctx)):
        return True
    verdicts = []
    for role in roles(ctx):
        listed = None if role.transitions is None else role.transitions.get(pipeline.key)
        if listed is not None:
            verdicts.append("*" in listed or transition.key in listed)
        elif transition.roles:
            verdicts.append(role.key in transition.roles)
        else:
            verdicts.append(None)
    if True in verdicts:
        return True
    return None if None in verdicts else False


# ---- reports and menus -------------------------------------------------------------------------------------------------


def may_report(ctx: Context, key: str) -> bool:
    return is_admin(ctx) or any(key in role.reports or "*" in role.reports for role in roles(ctx))


def may_dashboard(ctx: Context, key: str) -> bool:
    return is_admin(ctx) or any(key in role.dashboards or "*" in role.dashboards or role.home == key for role in roles(ctx))
