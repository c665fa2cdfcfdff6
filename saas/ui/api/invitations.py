"""Invitations, for those who look after people."""

from __future__ import annotations

from typing import Any

from litestar import Request, delete, get, post
from litestar.params import FromPath
from litestar.response import Response

from saas.errors import FieldProblem, InvalidInput
from saas.i18n import lazy
from saas.runtime import invitations, permissions
from saas.ui.api import access, shapes

MOST_ROLES = 50


def _shape(found: dict[str, Any]) -> dict[str, Any]:
    """`delivery`: queued, sending, sent, failed, recorded (no mail server is set up)."""
    return {
        "id": str(found["id"]), "email": found["email"], "name": found["name"], "roles": list(found["role_keys"]),
        "department": str(found["department_id"]) if found["department_id"] else None, "locale": found["locale"], "invited_by": str(found["invited_by"]),
        "created_at": shapes.moment(found["created_at"]), "sent_at": shapes.moment(found["sent_at"]), "expires_at": shapes.moment(found["expires_at"]),
        "expired": found["is_over"], "delivery": found["mail_status"],
    }  # fmt: skip


@get("/invitations")
async def list_invitations(request: Request) -> Response[Any]:
    """Those not accepted yet, newest first."""
    ctx = await access.context(request)
    return access.answer({"data": [_shape(found) for found in await invitations.waiting(ctx)]})


@post("/invitations", status_code=201)
async def create_invitation(request: Request) -> Response[Any]:
    """Body {"email", "roles": [key, …], "name"?, "department"? (id), "locale"?}."""
    ctx = await access.context(request)
    permissions.require_setting(ctx, "users")
    body = await access.body(request)
    problems = [
        FieldProblem(name, "invalid", lazy("This value is not of the right kind."), f"/{name}")
        for name in ("email", "name", "department", "locale")
        if not isinstance(body.get(name, ""), str) and not (body[name] is None and name != "email")
    ]
    roles = body.get("roles")
    if not isinstance(roles, list) or len(roles) > MOST_ROLES or not all(isinstance(role, str) for role in roles):
        problems.append(FieldProblem("roles", "invalid", lazy("This value is not of the right kind."), "/roles"))
    if not body.get("email"):
        problems.append(FieldProblem("email", "required", lazy("This field is required."), "/email"))
    if problems:
        raise InvalidInput(problems)
    department = access.identifier(body["department"], "department") if body.get("department") else None
    made = await invitations.invite(ctx, body["email"], roles, name=body.get("name") or "", department_id=department, locale=body.get("locale") or None)
    return access.answer(await _one(ctx, str(made)), 201)


@post("/invitations/{invitation:str}/resend", status_code=200)
async def resend_invitation(request: Request, invitation: FromPath[str]) -> Response[Any]:
    """A new link, good for another week; the old one ends."""
    ctx = await access.context(request)
    await invitations.resend(ctx, access.identifier(invitation, "id"))
    return access.answer(await _one(ctx, invitation))


@delete("/invitations/{invitation:str}", status_code=204)
async def withdraw_invitation(request: Request, invitation: FromPath[str]) -> None:
    ctx = await access.context(request)
    await invitations.withdraw(ctx, access.identifier(invitation, "id"))


async def _one(ctx: Any, invitation: str) -> dict[str, Any]:
    return next(_shape(found) for found in await invitations.waiting(ctx) if str(found["id"]) == invitation.lower())


HANDLERS = [list_invitations, create_invitation, resend_invitation, withdraw_invitation]
