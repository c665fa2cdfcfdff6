"""People from outside who are a record: what they add belongs to it, and nothing they change leaves it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from saas.errors import PermissionDenied
from saas.i18n import lazy
from saas.metadata.config import Entity
from saas.metadata.models import PortalDef
from saas.runtime import permissions
from saas.runtime.acts import Act
from saas.runtime.context import Context
from saas.runtime.sql import RecordScope, Statement, held_sql
from saas.runtime.validate import Draft, put


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
