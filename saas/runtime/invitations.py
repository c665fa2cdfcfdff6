"""Who may invite whom: nobody gives a role that holds more than theirs, and an invitation is worth no more than its inviter's rights
when it is accepted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import FieldProblem, InvalidInput, NotFound, PermissionDenied
from saas.i18n import lazy
from saas.runtime import permissions
from saas.runtime.acts import Act
from saas.runtime.context import Context
from saas.runtime.contexts import context_for_user, system_context
from saas.runtime.portal import link_account
from saas.tenants import invitations as store
from saas.tenants import new_id
from saas.tenants.mail import check_recipient


def require_gift(ctx: Context, role_keys: Sequence[str]) -> None:
    """Errors: InvalidInput at `roles` (none, unknown, or more than the person may give)."""
    unknown = [key for key in role_keys if key not in ctx.config.roles]
    if not role_keys or unknown:
        raise InvalidInput([FieldProblem("roles", "required" if not role_keys else "unknown", lazy("Choose at least one role.") if not role_keys else lazy("There is no such role."))])
    if any(not permissions.may_give(ctx, ctx.config.roles[key]) for key in role_keys):
        raise InvalidInput([FieldProblem("roles", "forbidden", lazy("Only an administrator can give or take this role."))])


async def invite(ctx: Context, email: str, role_keys: Sequence[str], *, name: str = "", department_id: UUID | None = None, locale: str | None = None) -> UUID:
    """Errors: PermissionDenied, InvalidInput, Conflict, TooManyRequests (saas.tenants.invitations.create_invitation)."""
    user_id = _may_change(ctx)
    keys = list(dict.fromkeys(role_keys))
    problems: list[FieldProblem] = []  # all at once
    for check in (lambda: check_recipient(email), lambda: require_gift(ctx, keys)):
        try:
            check()
        except InvalidInput as error:
            problems += error.problems
    if problems:
        raise InvalidInput(problems)
    return await store.create_invitation(ctx.tenant_id, email, keys, inviter_id=user_id, name=name, department_id=department_id, locale=locale)


async def resend(ctx: Context, invitation_id: UUID) -> None:
    """In one's own name from then on, so one must be able to give its roles. Errors: as `invite`, NotFound."""
    user_id = _may_change(ctx)
    require_gift(ctx, (await store.get_invitation(ctx.tenant_id, invitation_id))["role_keys"])
    await store.resend_invitation(ctx.tenant_id, invitation_id, actor_id=user_id)


async def withdraw(ctx: Context, invitation_id: UUID) -> None:
    """Errors: PermissionDenied, NotFound."""
    await store.withdraw_invitation(ctx.tenant_id, invitation_id, actor_id=_may_change(ctx))


async def waiting(ctx: Context) -> list[dict[str, Any]]:
    """Invitations not accepted yet, newest first. Errors: PermissionDenied."""
    permissions.require_setting(ctx, "users")
    return await store.list_invitations(ctx.tenant_id)


async def require_valid(tenant_id: UUID, token: str) -> dict[str, Any]:
    """The invitation behind a link, if its inviter could still send it. Errors: NotFound."""
    found = await store.find_invitation(tenant_id, token)
    try:
        giver = await context_for_user(tenant_id, found["invited_by"], origin="page")
        permissions.require_setting(giver, "users")
        permissions.require_active(giver)
        require_gift(giver, found["role_keys"])
    except (PermissionDenied, InvalidInput) as error:
        raise NotFound(lazy("This link does not work any more.")) from error
    return found


async def accept(tenant_id: UUID, token: str, *, name: str, password: str, ip: str = "") -> UUID:
    """The new person's id. Errors: NotFound, InvalidInput, Conflict."""
    found = await require_valid(tenant_id, token)
    ctx = await system_context(tenant_id)
    async with tenant_transaction(tenant_id) as conn:  # the person and their record, together
        user_id = await store.accept_invitation(tenant_id, token, name=name, password=password, ip=ip)
        await link_account(Act(conn, ctx.replace(fixed_now=ctx.now, operation_id=new_id(ctx.now))), user_id, found["email"], list(found["role_keys"]))
    return user_id


def _may_change(ctx: Context) -> UUID:
    permissions.require_setting(ctx, "users")
    permissions.require_active(ctx)
    if ctx.user_id is None:
        raise PermissionDenied()
    return ctx.user_id
