"""Making contexts: from a session, for a person by id (jobs), and for the system itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from saas.errors import NotFound
from saas.metadata.store import current
from saas.runtime.context import Context, Tenant, User
from saas.tenants import SessionInfo, Support, TenantRow, UserRow, get_tenant, load_user


def tenant_of(row: TenantRow) -> Tenant:
    return Tenant(
        id=row.id, slug=row.slug, name=row.name, locale=row.locale, time_zone=row.time_zone, currency=row.currency, country=row.country,
        status=row.status, plan_key=row.plan_key, limit_overrides=row.limit_overrides, paid_limits=row.paid_limits, trial_ends_at=row.trial_ends_at, brand=row.brand,
        clock_offset_seconds=row.clock_offset_seconds, delete_after=row.delete_after, status_reason=row.status_reason, features=row.features,
    )  # fmt: skip


def user_of(row: UserRow) -> User:
    return User(
        id=row.id, name=row.name, email=row.email, role_keys=tuple(row.role_keys), department_id=row.department_id,
        department_ids=tuple(row.department_ids), department_tree_ids=tuple(row.department_tree_ids), team_ids=tuple(row.team_ids),
        locale=row.locale,
    )  # fmt: skip


async def _context(tenant: TenantRow, user: UserRow | None, *, origin: str, locale: str | None = None, request_id: str = "", at: datetime | None = None) -> Context:
    config = await current(tenant.id, tenant.config_revision, currency=tenant.currency, country=tenant.country, time_zone=tenant.time_zone)
    return Context(
        tenant=tenant_of(tenant), config=config, user=user_of(user) if user else None, origin=origin, request_id=request_id, fixed_now=at,
        locale=locale or (user.locale if user else None) or tenant.locale,
    )  # fmt: skip


async def context_of(session: SessionInfo, *, origin: str, locale: str | None = None, request_id: str = "") -> Context:
    """The context of a signed-in person's request."""
    ctx = await _context(session.tenant, session.user, origin=origin, locale=locale, request_id=request_id)
    if session.support is not None:
        return _as_support(ctx, session.support)
    return ctx if session.key is None else ctx.replace(key=session.key)


def _as_support(ctx: Context, support: Support) -> Context:
    """Somebody of ours in the role the tenant gave them; an administrator's without another one."""
    assert ctx.user is not None
    given = ctx.user.role_keys or tuple(role.key for role in ctx.config.roles.values() if role.admin)[:1]
    return ctx.replace(user=replace(ctx.user, role_keys=given), support=support)


async def context_for_user(tenant_id: UUID, user_id: UUID, *, origin: str = "api", locale: str | None = None) -> Context:
    """For jobs that act for somebody, with that person's rights as they are now. Errors: NotFound."""
    found = await load_user(tenant_id, user_id)
    if found is None:
        raise NotFound()
    return await _context(found[1], found[0], origin=origin, locale=locale)


async def system_context(tenant_id: UUID, *, origin: str = "system", at: datetime | None = None) -> Context:
    """The system itself inside one tenant; `at` fixes its clock."""
    return await _context(await get_tenant(tenant_id), None, origin=origin, at=at)
