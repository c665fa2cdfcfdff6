"""Who is away, when, and who decides for them meanwhile. Who is away is given no records by routing (saas.runtime.routing)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import FieldProblem, InvalidInput, NotFound, PermissionDenied
from saas.i18n import lazy
from saas.runtime import permissions
from saas.runtime.approvals.org import active
from saas.runtime.context import Context
from saas.tenants import find_user, new_id, record_audit

LONGEST_DAYS = 366


@dataclass(frozen=True, slots=True)
class Deputy:
    """`user` is away from the first to the last day, both included, by the workspace's calendar; `deputy` decides for them, if anybody does."""

    id: UUID
    user_id: UUID
    user: str
    deputy_id: UUID | None
    deputy: str
    first_day: date
    last_day: date


async def deputies(ctx: Context, *, everybody: bool = False) -> list[Deputy]:
    """When the person is away, and for whom they stand in; `everybody`'s for those who look after people. Past ones are left out."""
    if everybody:
        permissions.require_setting(ctx, "users")
    async with tenant_transaction(ctx.tenant_id) as conn:
        rows = await conn.fetch(
            "SELECT d.id, d.user_id, u.name, d.deputy_id, coalesce(s.name, ''), d.first_day, d.last_day FROM approval_deputy d "
            "JOIN app_user u ON u.tenant_id = d.tenant_id AND u.id = d.user_id LEFT JOIN app_user s ON s.tenant_id = d.tenant_id AND s.id = d.deputy_id "
            "WHERE d.tenant_id = $1 AND d.last_day >= $3 AND ($4 OR d.user_id = $2 OR d.deputy_id = $2) ORDER BY d.first_day, d.id",
            ctx.tenant_id, ctx.user_id, ctx.today, everybody,
        )  # fmt: skip
    return [Deputy(*row) for row in rows]


async def set_deputy(ctx: Context, deputy_id: UUID | None, first_day: date | None, last_day: date | None, *, user_id: UUID | None = None) -> UUID:
    """The person is away on these days, and somebody decides for them, or nobody. For another one only by those who look after people and
    could give all of that person's roles; nobody but an administrator becomes somebody else's deputy by their own act.
    Errors: InvalidInput, PermissionDenied, NotFound."""
    permissions.require_active(ctx)
    user_id = user_id or ctx.user_id
    if ctx.support is not None or user_id is None:
        raise PermissionDenied(lazy("Your role does not allow this."))
    if user_id != ctx.user_id:
        permissions.require_setting(ctx, "users")
        if not await _may_change(ctx, user_id):
            raise PermissionDenied(lazy("Only an administrator can change this person."))
    if ctx.key is not None and "write" not in ctx.key.scopes:
        raise PermissionDenied(lazy("This API key does not allow that."))
    problems = []
    if first_day is None:
        problems.append(FieldProblem("first_day", "required", lazy("This field is required."), "/first_day"))
    if last_day is None:
        problems.append(FieldProblem("last_day", "required", lazy("This field is required."), "/last_day"))
    elif first_day is not None and not first_day <= last_day <= first_day + timedelta(days=LONGEST_DAYS):
        problems.append(FieldProblem("last_day", "out_of_order", lazy("The last day comes after the first one, within a year."), "/last_day"))
    async with tenant_transaction(ctx.tenant_id) as conn:
        if deputy_id is not None and (deputy_id == user_id or not await active(conn, ctx, [deputy_id])):
            problems.append(FieldProblem("deputy", "unknown_user", lazy("Choose one of the people offered."), "/deputy"))
        elif deputy_id is not None and user_id != ctx.user_id == deputy_id and not permissions.is_admin(ctx):
            problems.append(FieldProblem("deputy", "oneself", lazy("Only an administrator can make themselves somebody's deputy."), "/deputy"))
        if problems:
            raise InvalidInput(problems)
        found = new_id(ctx.now)
        await conn.execute(
            "INSERT INTO approval_deputy (tenant_id, id, user_id, deputy_id, first_day, last_day, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            ctx.tenant_id, found, user_id, deputy_id, first_day, last_day, ctx.now,
        )  # fmt: skip
        await record_audit(conn, ctx.tenant_id, "deputy.set", actor_id=ctx.user_id, target=str(user_id), request_id=ctx.request_id, data={"user": str(deputy_id or ""), "first_day": str(first_day), "last_day": str(last_day)})
    return found


async def _may_change(ctx: Context, user_id: UUID) -> bool:
    """Decisions are a person's rights: who could not give all of their roles does not say who uses them. Errors: NotFound."""
    person, known = await find_user(ctx.tenant_id, user_id=user_id), ctx.config.roles
    return all(permissions.may_give(ctx, known[key]) for key in person["role_keys"] if key in known)


async def remove_deputy(ctx: Context, deputy_row: UUID) -> None:
    """Errors: NotFound, also for somebody else's."""
    permissions.require_active(ctx)
    async with tenant_transaction(ctx.tenant_id) as conn:
        owner = await conn.fetchval("SELECT user_id FROM approval_deputy WHERE tenant_id = $1 AND id = $2", ctx.tenant_id, deputy_row)
        if owner is None or (owner != ctx.user_id and not permissions.may_configure(ctx, "users")):
            raise NotFound()
        if owner != ctx.user_id and not await _may_change(ctx, owner):
            raise PermissionDenied(lazy("Only an administrator can change this person."))
        await conn.execute("DELETE FROM approval_deputy WHERE tenant_id = $1 AND id = $2", ctx.tenant_id, deputy_row)
        await record_audit(conn, ctx.tenant_id, "deputy.removed", actor_id=ctx.user_id, target=str(owner), request_id=ctx.request_id)
