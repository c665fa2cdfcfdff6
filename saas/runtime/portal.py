"""People from outside who are a record: what they add belongs to it, and nothing they change leaves it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from saas.errors import Conflict, FieldProblem, InvalidInput, PermissionDenied
from saas.i18n import lazy
from saas.metadata import expressions as ex
from saas.metadata.config import Config, Entity
from saas.metadata.models import PortalDef, RoleDef
from saas.runtime import permissions
from saas.runtime.acts import Act
from saas.runtime.context import Context
from saas.runtime.rows import Row
from saas.runtime.sql import RecordScope, Statement, held_sql
from saas.runtime.validate import Draft, put
from saas.tenants import close_account, open_account, set_login


async def own_records(conn: Any, ctx: Context, portal: PortalDef) -> list[UUID]:
    """The records of the portal's entity that the person is, the oldest first."""
    entity = ctx.config.entity(portal.entity)
    statement = Statement(ctx)
    scope = RecordScope(statement, entity, "t")
    mine = held_sql(ctx.config, entity, entity.fields[portal.link], "t", scope.param(ctx.user_id, "uuid"))
    sql = f"SELECT t.id FROM record t WHERE t.entity_id = {entity.number} AND t.deleted_at IS NULL AND {mine} ORDER BY t.created_at, t.id LIMIT 50"
    return [r[0] for r in await conn.fetch(*statement.finish(sql))]


def is_portal(ctx: Context) -> bool:
    return not ctx.unrestricted and bool(permissions.portals(ctx)) and not permissions.is_admin(ctx)


async def stamp(act: Act, draft: Draft) -> None:
    """A new record of somebody outside refers to the record they are, whatever they say; to another one it must not. Errors: PermissionDenied."""
    if not is_portal(act.ctx):
        return
    for portal in permissions.portals(act.ctx):
        ways = [way for way in permissions.portal_path(act.ctx.config, draft.entity.key, portal) if len(way) == 1]
        if not ways:
            continue
        own = await own_records(act.conn, act.ctx, portal)
        given = {way[0]: draft.row.get(way[0]) for way in ways}
        if any(value is not None and UUID(str(value)) not in own for value in given.values()):
            raise PermissionDenied(lazy("You can add only what belongs to you."))
        if own and not any(given.values()):
            put(draft, ways[0][0], str(own[0]))


async def refuse_outside(act: Act, entity: Entity, record_id: UUID) -> None:
    """After a write: the record still belongs to them, where records of its kind belong to somebody. Errors: PermissionDenied."""
    ctx = act.ctx
    if not is_portal(ctx):
        return
    statement = Statement(ctx)
    scope = RecordScope(statement, entity, "t")
    readable = permissions.portal_sql(scope)
    if readable == "false":  # articles, products: nobody's in particular
        return
    sql = f"SELECT true FROM record t WHERE t.entity_id = {entity.number} AND t.id = {scope.param(record_id, 'uuid')} AND {readable}"
    if not await act.conn.fetchval(*statement.finish(sql)):
        raise PermissionDenied(lazy("You can add only what belongs to you."))


async def link_account(act: Act, user_id: UUID, email: str, role_keys: list[str]) -> None:
    """Whoever accepted an invitation becomes the account of the record with their address, for each of their portal roles. The address is
    proved by then. `act` is the system's."""
    from saas.runtime.records import update  # records ask this module about each write

    ctx = act.ctx
    for key in role_keys:
        portal = ctx.config.roles[key].portal if key in ctx.config.roles else None
        if portal is None or portal.email is None:
            continue
        entity = ctx.config.entity(portal.entity)
        scope = RecordScope(Statement(ctx), entity, "t")
        from saas.runtime.sql import field_sql

        address, link = (field_sql(ctx.config, entity, entity.fields[name], "t") for name in (portal.email, portal.link))
        sql = (
            f"SELECT t.id FROM record t WHERE t.entity_id = {entity.number} AND t.deleted_at IS NULL AND lower({address}) = {scope.param(email.lower(), 'text')} AND {link} IS NULL "
            "ORDER BY t.created_at, t.id LIMIT 1 FOR UPDATE OF t"
        )
        found = await act.conn.fetchval(*scope.statement.finish(sql))
        if found is not None:
            await update(act, entity, found, {portal.link: str(user_id)}, confirm_duplicates=True)


# ---- accounts follow records ---------------------------------------------------------------------------------------------------


def roles_of(config: Config, entity_key: str) -> tuple[RoleDef, ...]:
    """The roles whose people are records of this entity."""
    return config.cached(("portal.roles", entity_key), lambda: tuple(r for r in config.bundle.roles if r.portal is not None and r.portal.entity == entity_key))


async def is_outside_only(conn: Any, ctx: Context, user_id: UUID) -> bool:
    """Whether somebody has roles for people outside who are a record, and no other: nothing of the company's own people is touched by a record."""
    found = await conn.fetch("SELECT role_key FROM user_role WHERE tenant_id = $1 AND user_id = $2", ctx.tenant_id, user_id)
    roles = [ctx.config.roles.get(r[0]) for r in found]
    return bool(roles) and all(role is not None and role.portal is not None for role in roles)


async def is_account_of(conn: Any, ctx: Context, user_id: UUID, role_keys: Collection[str]) -> bool:
    """Whether somebody has some of these roles and no other: an account that those who look after such records may change."""
    found = {r[0] for r in await conn.fetch("SELECT role_key FROM user_role WHERE tenant_id = $1 AND user_id = $2", ctx.tenant_id, user_id)}
    return bool(found) and found <= set(role_keys)


async def follow(act: Act, entity: Entity, row: Row, old: Row | None = None) -> None:
    """After a write of a record that somebody is: their account is open as long as a record of theirs lets them in, and has its login
    name. Errors: InvalidInput (a login name that cannot be), PlanLimitReached (nobody more can come in)."""
    for role in roles_of(act.ctx.config, entity.key):
        portal = role.portal
        assert portal is not None
        people = sorted({UUID(str(value)) for each in (row, old) if each is not None and (value := each.get(portal.link))})
        for user_id in people:
            if not await is_outside_only(act.conn, act.ctx, user_id):
                continue
            if await _is_let_in(act, user_id):
                await open_account(act.conn, act.ctx.tenant_id, user_id, actor_id=act.ctx.user_id)
            else:
                await close_account(act.conn, act.ctx.tenant_id, user_id, actor_id=act.ctx.user_id)
        name = row.get(portal.login) if portal.login else None
        renamed = name and old is not None and old.get(portal.login or "") not in (None, name)
        if people and renamed and str(row.get(portal.link)) == str(people[0]) and await is_account_of(act.conn, act.ctx, people[0], {r.key for r in roles_of(act.ctx.config, entity.key)}):
            await rename(act, portal, people[0], str(name))


async def rename(act: Act, portal: PortalDef, user_id: UUID, login: str) -> None:
    """Errors: InvalidInput at the login's field."""
    try:
        await set_login(act.conn, act.ctx.tenant_id, user_id, login, actor_id=act.ctx.user_id)
    except (Conflict, InvalidInput) as error:
        message = error.problems[0].message if isinstance(error, InvalidInput) else error.message
        raise InvalidInput([FieldProblem(portal.login or "login", "login", message)]) from error


async def _is_let_in(act: Act, user_id: UUID) -> bool:
    """Whether a record that they are, by any of their roles, is there and says so."""
    keys = {r[0] for r in await act.conn.fetch("SELECT role_key FROM user_role WHERE tenant_id = $1 AND user_id = $2", act.ctx.tenant_id, user_id)}
    for role in act.ctx.config.bundle.roles:
        if role.key not in keys or role.portal is None:
            continue
        portal, entity = role.portal, act.ctx.config.entity(role.portal.entity)
        statement = Statement(act.ctx)
        scope = RecordScope(statement, entity, "t")
        mine = held_sql(act.ctx.config, entity, entity.fields[portal.link], "t", scope.param(user_id, "uuid"))
        rule = ex.to_where(ex.parse(portal.open_if), scope) if portal.open_if else "true"
        sql = f"SELECT EXISTS (SELECT 1 FROM record t WHERE t.entity_id = {entity.number} AND t.deleted_at IS NULL AND {mine} AND ({rule}))"
        if await act.conn.fetchval(*statement.finish(sql)):
            return True
    return False
