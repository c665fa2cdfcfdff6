"""Tokens and who the caller is."""

from __future__ import annotations

from typing import Any

from litestar import Request, delete, get, post
from litestar.response import Response

from saas.errors import AccountClosed, FieldProblem, InvalidInput, NotAuthenticated, PermissionDenied
from saas.i18n import lazy
from saas.runtime import logins, portal_accounts
from saas.runtime.permissions import is_admin
from saas.tenants import (
    authenticate,
    authenticate_operator,
    close_operator_session,
    close_session,
    find_operator_session,
    open_operator_session,
    open_session,
)
from saas.ui.api import access, shapes
from saas.ui.guards import client_ip, tenant_of


async def _credentials(request: Request) -> tuple[str, str, str]:
    found = await access.body(request)
    problems = [
        FieldProblem(name, "required", lazy("This field is required."), f"/{name}")
        for name in ("email", "password")
        if not isinstance(found.get(name), str) or not found[name]
    ]
    if problems:
        raise InvalidInput(problems)
    totp = found.get("totp")
    if totp is not None and not isinstance(totp, str):
        raise InvalidInput([FieldProblem("totp", "wrong_type", lazy("A text is expected here."), "/totp")])
    return found["email"], found["password"], totp or ""


@post("/tokens", status_code=201)
async def create_token(request: Request) -> Response[Any]:
    ip, agent = client_ip(request), request.headers.get("user-agent", "")
    if access.is_operator_host(request):
        email, password, totp = await _credentials(request)
        operator_id = await authenticate_operator(email, password, totp=totp, ip=ip)
        token, _csrf, expires_at = await open_operator_session(operator_id, "api", ip=ip, user_agent=agent)
        if request.app.state.settings.operator_totp == "always":
            found = await find_operator_session(token)
            if found is None or not found.has_totp:
                await close_operator_session(token)
                raise PermissionDenied(lazy("Operators need a second factor: sign in at the console once and set it up."), reason="second_factor")
    else:
        tenant = tenant_of(request)
        email, password, totp = await _credentials(request)
        try:
            user_id = await authenticate(tenant.id, email, password, ip, code=totp or None)
        except AccountClosed as error:
            words = await portal_accounts.closed_words(tenant.id, error.data["user_id"], request.scope["state"]["locale"])
            raise AccountClosed(words or error.message) from error
        token, _csrf, expires_at = await open_session(tenant.id, user_id, "api", ip, agent)
        await logins.signed_in(tenant.id, user_id)
    return access.answer({"token": token, "expires_at": shapes.moment(expires_at)}, 201)


@delete("/tokens", status_code=204)
async def delete_token(request: Request) -> None:
    token = access.bearer(request)
    if token is None:
        raise NotAuthenticated()
    if access.is_operator_host(request):
        await close_operator_session(token)
    else:
        await close_session(tenant_of(request).id, token)


@get("/me")
async def me(request: Request) -> Response[Any]:
    ctx = await access.context(request)
    user, tenant = ctx.user, ctx.tenant
    return access.answer(
        {
            "id": str(user.id), "name": user.name, "email": user.email, "roles": list(user.role_keys), "admin": is_admin(ctx), "locale": ctx.locale,
            "department": str(user.department_id) if user.department_id else None,
            "tenant": {"slug": tenant.slug, "name": tenant.name, "locale": tenant.locale, "time_zone": tenant.time_zone, "currency": tenant.currency},
            "revision": ctx.config.revision, "now": shapes.moment(ctx.now),
        }
    )  # fmt: skip


HANDLERS = [create_token, delete_token, me]
