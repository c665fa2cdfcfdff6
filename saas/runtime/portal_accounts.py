"""Accounts of people outside who are a record: whoever looks after the records gives one a login name and a password.

Only accounts of people who have nothing but roles for people outside are touched, so that nobody of the company is taken over by way of
a record that names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import minijinja

from saas.db import tenant_transaction
from saas.errors import Conflict, FieldProblem, InvalidInput, NotFound, PermissionDenied
from saas.i18n import lazy, pick
from saas.metadata.config import Entity
from saas.metadata.models import RoleDef
from saas.runtime import permissions
from saas.runtime.acts import Act
from saas.runtime.context import Context
from saas.runtime.contexts import system_context
from saas.runtime.portal import is_account_of, rename, roles_of
from saas.runtime.present import Names, display_text
from saas.runtime.records import entity_of, load, update
from saas.runtime.rows import Row
from saas.runtime.sql import RecordScope, Statement, held_sql
from saas.tenants import find_user, new_id, set_password
from saas.tenants.audit import record_audit
from saas.tenants.users import clean_login, insert_user

FUEL = 5_000  # of the text that somebody reads whose account is closed


@dataclass(frozen=True, slots=True)
class PortalAccount:
    """Of a record. `status`: none; open; closed, by what the record says; inactive, by hand; foreign, somebody of the company or of
    other records. `login`: of the
    account, or the one that is suggested."""

    role: str
    status: str
    login: str = ""
    user_id: UUID | None = None
    last_login_at: datetime | None = None
    can_sign_in: bool = False


def may_give(ctx: Context, entity: Entity) -> bool:
    """Whether the person gives such records accounts, where they may change the record."""
    return any(_makes(ctx, role) for role in roles_of(ctx.config, entity.key)) and permissions.may(ctx, "update", entity.key)


def _makes(ctx: Context, role: RoleDef) -> bool:
    assert role.portal is not None
    mine = set(ctx.user.role_keys) if ctx.user is not None else set()
    return ctx.key is None and ctx.support is None and (permissions.may_configure(ctx, "users") or bool(mine & set(role.portal.makers)))


def _role(ctx: Context, entity: Entity, key: str | None) -> RoleDef:
    """The role that the account gets. Errors: NotFound, PermissionDenied."""
    found = [r for r in roles_of(ctx.config, entity.key) if key in (None, "", r.key)]
    if not found:
        raise NotFound(lazy("Records of this kind are nobody's account."))
    for role in found:
        if _makes(ctx, role):
            return role
    raise PermissionDenied(lazy("Your role does not give accounts to people outside."))


async def account_of(ctx: Context, entity_key: str, record_id: UUID) -> PortalAccount:
    """Errors: NotFound, PermissionDenied."""
    entity = entity_of(ctx, entity_key)
    role = _role(ctx, entity, None)
    async with tenant_transaction(ctx.tenant_id) as conn:
        row = await _changeable(conn, ctx, entity, record_id)
        return await _state(conn, ctx, entity, role, row)


async def give(ctx: Context, entity_key: str, record_id: UUID, *, login: str, password: str, role_key: str | None = None, must_change: bool = False) -> PortalAccount:
    """Make the record's account, or give the one it has another name or password; an empty password leaves that as it is.

    Errors: NotFound, PermissionDenied, InvalidInput (login, password), Conflict, PlanLimitReached.
    """
    permissions.require_active(ctx)
    entity = entity_of(ctx, entity_key)
    role = _role(ctx, entity, role_key)
    portal = role.portal
    assert portal is not None
    ctx = ctx.replace(fixed_now=ctx.now, operation_id=ctx.operation_id or new_id(ctx.now))
    async with tenant_transaction(ctx.tenant_id) as conn, conn.transaction():
        row = await _changeable(conn, ctx, entity, record_id, lock=True)
        act = Act(conn, ctx).under(elevated=True)
        known = await _state(conn, ctx, entity, role, row)
        if known.status == "foreign":
            raise Conflict(lazy("This record names an account that is not made here. Change that first."), reason="foreign")
        if known.user_id is None:
            user_id = await _make(act, entity, role, row, login, password, must_change=must_change)
            changes: dict[str, Any] = {portal.link: str(user_id), **({portal.login: clean_login(login)} if portal.login and not row.get(portal.login) else {})}
            await update(act, entity, record_id, changes, confirm_duplicates=True)
        else:
            await _change(act, entity, role, row, known, login, password, must_change=must_change)
        row = await load(conn, ctx, entity, record_id)
        return await _state(conn, ctx, entity, role, row)


async def _make(act: Act, entity: Entity, role: RoleDef, row: Row, login: str, password: str, *, must_change: bool) -> UUID:
    if not password:
        raise InvalidInput([FieldProblem("password", "required", lazy("This field is required."))])
    ctx = act.ctx
    name = display_text(ctx, entity, entity.fields[entity.defn.title], row.get(entity.defn.title), Names()) or login
    try:
        user_id = await insert_user(act.conn, ctx.tenant_id, login, password, name=name[:200], role_keys=[role.key], must_change_password=must_change, is_login=True)
    except Conflict as error:
        raise InvalidInput([FieldProblem("login", "taken", error.message)]) from error
    await record_audit(act.conn, ctx.tenant_id, "user.created", actor_id=ctx.user_id, target=str(user_id), data={"roles": [role.key]})
    return user_id


async def _change(act: Act, entity: Entity, role: RoleDef, row: Row, known: PortalAccount, login: str, password: str, *, must_change: bool) -> None:
    portal = role.portal
    assert portal is not None and known.user_id is not None
    if await _records_of(act, entity, known.user_id) != 1:
        raise Conflict(lazy("Another record has the same account. Change that first."), reason="shared")
    if login and clean_login(login) != known.login:
        try:
            await rename(act, portal, known.user_id, login)
        except InvalidInput as error:
            raise InvalidInput([FieldProblem("login", p.code, p.message) for p in error.problems]) from error
        if portal.login:
            await update(act, entity, row.id, {portal.login: clean_login(login)}, confirm_duplicates=True)
    if password:
        await set_password(act.ctx.tenant_id, known.user_id, password, must_change=must_change, actor_id=act.ctx.user_id)


async def _changeable(conn: Any, ctx: Context, entity: Entity, record_id: UUID, *, lock: bool = False) -> Row:
    row = await load(conn, ctx, entity, record_id, lock=lock)
    if not row.holds["update"]:
        raise PermissionDenied(lazy("Your role does not allow this for this record."), right="update", entity=entity.key)
    return row


async def _state(conn: Any, ctx: Context, entity: Entity, role: RoleDef, row: Row) -> PortalAccount:
    portal = role.portal
    assert portal is not None
    linked = row.get(portal.link)
    suggested = str(row.get(portal.login) or "") if portal.login else str(row.get(portal.email) or "") if portal.email else ""
    if not linked:
        return PortalAccount(role.key, "none", suggested)
    user_id = UUID(str(linked))
    if not await is_account_of(conn, ctx, user_id, {r.key for r in roles_of(ctx.config, entity.key) if _makes(ctx, r)}):
        return PortalAccount(role.key, "foreign", user_id=user_id)
    person = await find_user(ctx.tenant_id, user_id=user_id)
    status = "open" if person["status"] == "active" else "closed" if person["closed_at"] else "inactive"
    return PortalAccount(role.key, status, person["email"], user_id, person["last_login_at"], person["can_sign_in"])


async def _records_of(act: Act, entity: Entity, user_id: UUID) -> int:
    statement = Statement(act.ctx)
    scope = RecordScope(statement, entity, "t")
    links = {role.portal.link for role in roles_of(act.ctx.config, entity.key) if role.portal is not None}
    mine = " OR ".join(held_sql(act.ctx.config, entity, entity.fields[link], "t", scope.param(user_id, "uuid")) for link in sorted(links))
    return await act.conn.fetchval(*statement.finish(f"SELECT count(*) FROM record t WHERE t.entity_id = {entity.number} AND t.deleted_at IS NULL AND ({mine})"))


# ---- somebody whose account is closed --------------------------------------------------------------------------------------------


async def closed_words(tenant_id: UUID, user_id: UUID, locale: str) -> str:
    """What they read at the sign-in page, as their role says it; empty where it says nothing."""
    ctx = await system_context(tenant_id)
    keys = (await find_user(tenant_id, user_id=user_id))["role_keys"]
    for role in ctx.config.bundle.roles:
        if role.key in keys and role.portal is not None and (text := pick(role.portal.closed, locale)):
            return _filled(text, {s.key: s.default for s in ctx.config.bundle.settings})
    return ""


async def registering(tenant_id: UUID, locale: str) -> list[dict[str, str]]:
    """{"url", "text"} of the forms by which people ask to be let in, for the sign-in page."""
    bundle = (await system_context(tenant_id)).config.bundle
    keys = [r.portal.register for r in bundle.roles if r.portal is not None and r.portal.register]
    return [{"url": f"/f/{f.key}", "text": pick(f.label, locale)} for f in bundle.web_forms if f.key in keys and f.active]


def _filled(text: str, settings: Mapping[str, Any]) -> str:
    environment = minijinja.Environment()
    environment.fuel = FUEL
    environment.auto_escape_callback = lambda _: False  # a text, not HTML; the page escapes it
    try:
        return environment.render_str(text, setting=dict(settings))[:1000]
    except minijinja.TemplateError:
        return text
