"""What somebody does before they can sign in: ask for a new password, choose it, accept an invitation. Opened by people who are
signed in nowhere, often on a telephone, straight from a message; next they sign in, or already are."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.db import tenant_transaction
from saas.errors import AppError, Conflict, FieldProblem, InvalidInput, NotFound, PlanLimitReached, TooManyRequests
from saas.i18n import set_locale
from saas.runtime import invitations, logins
from saas.tenants import open_session, sso, verification_of
from saas.tenants.resets import ask_reset, find_reset, use_reset
from saas.tenants.rules import get_security_rules
from saas.ui.guards import (
    SESSION_COOKIE,
    add_cookie,
    client_ip,
    cookies_of,
    html,
    page_data,
    redirect,
    refuse_foreign,
    tenant_of,
)
from saas.ui.pages.sessions import SESSION_SECONDS
from saas.ui.render import render

MOST = 500  # characters of a field; longer ones are no address, name or password


def _page(request: Request, template: str, /, *, status: int = 200, errors: dict[str, str] | None = None, **data: Any) -> Response[Any]:
    tenant = tenant_of(request)
    logo = f"/brand/logo?v={tenant.brand['logo']}" if tenant.brand.get("logo") else ""
    known = {key: (errors or {}).get(key, "") for key in ("email", "name", "password", "item", "")}
    shown = {**page_data(request), "brand_name": tenant.name, "mark": tenant.name[:1].upper(), "logo": logo, "errors": known, **data}
    # The address holds a secret: no page that is left from here, not even our own, is told where somebody came from.
    return html(render(f"auth/{template}.html", **shown), status=status, headers={"referrer-policy": "no-referrer"})


async def _choosing(request: Request, template: str, /, *, status: int = 200, errors: dict[str, str] | None = None, **data: Any) -> Response[Any]:
    """A page with a new password, which says how long it must be."""
    rules = await get_security_rules(tenant_of(request).id)
    return _page(request, template, status=status, errors=errors, minimum=rules.minimum_length, **data)


def _speak(request: Request, locale: str | None) -> None:
    """The language of the message, unless the browser's owner has chosen one here."""
    if locale and not cookies_of(request).get("locale"):
        request.scope["state"]["locale"] = locale
        set_locale(locale)


def _words(error: AppError) -> dict[str, str]:
    if isinstance(error, InvalidInput):
        return {p.field if p.field in ("email", "name", "password", "item") else "": str(p.message) for p in error.problems if isinstance(p, FieldProblem)}
    return {"": str(error.message)}


# ---- a new password ----------------------------------------------------------------------------------------------------


@get("/forgot")
async def show_forgot(request: Request) -> Response[Any]:
    return _page(request, "forgot", email=request.query_params.get("email", "")[:MOST], asked=False)


@post("/forgot", status_code=200)
async def forgot(request: Request) -> Response[Any]:
    refuse_foreign(request)
    tenant, form = tenant_of(request), await request.form()
    email = str(form.get("email") or "").strip()[:MOST]
    try:
        await ask_reset(tenant.id, email, client_ip(request))
    except TooManyRequests as error:
        response = _page(request, "forgot", status=error.status, errors=_words(error), email=email, asked=False)
        response.headers["retry-after"] = str(error.data["retry_after"])
        return response
    return _page(request, "forgot", email=email, asked=True)


@get("/reset/{token:str}")
async def show_reset(request: Request, token: FromPath[str]) -> Response[Any]:
    try:
        found = await find_reset(tenant_of(request).id, token[:MOST])
    except NotFound as error:
        return _page(request, "link_over", status=error.status, kind="reset")
    _speak(request, found["locale"])
    return await _choosing(request, "reset", email=found["email"], action=request.url.path, done=False, verification=await verification_of(tenant_of(request).id, found["user_id"]))


@post("/reset/{token:str}", status_code=200)
async def reset(request: Request, token: FromPath[str]) -> Response[Any]:
    refuse_foreign(request)
    tenant, form = tenant_of(request), await request.form()
    try:
        found = await find_reset(tenant.id, token[:MOST])
        _speak(request, found["locale"])
        await use_reset(tenant.id, token[:MOST], str(form.get("password") or "")[:MOST], client_ip(request), item=str(form.get("item") or "")[:200])
    except NotFound as error:
        return _page(request, "link_over", status=error.status, kind="reset")
    except (InvalidInput, TooManyRequests) as error:
        return await _choosing(request, "reset", status=error.status, errors=_words(error), email=found["email"], action=request.url.path, done=False, verification=await verification_of(tenant.id, found["user_id"]))
    # Not signed in: whoever has a second factor shows it at the next sign-in.
    response = await _choosing(request, "reset", email=found["email"], action="", done=True, verification="")
    add_cookie(request, response, SESSION_COOKIE, "", seconds=0)
    return response


# ---- an invitation -----------------------------------------------------------------------------------------------------


@get("/invitation/{token:str}")
async def show_invitation(request: Request, token: FromPath[str]) -> Response[Any]:
    try:
        found = await invitations.require_valid(tenant_of(request).id, token[:MOST])
    except NotFound as error:
        return _page(request, "link_over", status=error.status, kind="invitation")
    _speak(request, found["locale"])
    return await _choosing(request, "invitation", email=found["email"], inviter=found["inviter"], name=found["name"], action=request.url.path)


@post("/invitation/{token:str}", status_code=200)
async def accept_invitation(request: Request, token: FromPath[str]) -> Response[Any]:
    refuse_foreign(request)
    tenant, form, token = tenant_of(request), await request.form(), token[:MOST]
    name = str(form.get("name") or "").strip()[:MOST]
    try:
        found = await invitations.require_valid(tenant.id, token)
        _speak(request, found["locale"])
        user_id = await invitations.accept(tenant.id, token, name=name, password=str(form.get("password") or "")[:MOST], ip=client_ip(request))
    except NotFound as error:
        return _page(request, "link_over", status=error.status, kind="invitation")
    except (InvalidInput, Conflict, PlanLimitReached) as error:
        return await _choosing(request, "invitation", status=error.status, errors=_words(error), email=found["email"], inviter=found["inviter"], name=name, action=request.url.path)
    async with tenant_transaction(tenant.id) as conn:
        opens = await sso.password_opens(conn, tenant.id, user_id)
    if not opens:  # the account is there; it is opened by single sign-on
        return redirect(request, "/login")
    session, _csrf, _expires = await open_session(tenant.id, user_id, "web", client_ip(request), request.headers.get("user-agent", ""))
    await logins.signed_in(tenant.id, user_id)
    response = redirect(request, "/")
    add_cookie(request, response, SESSION_COOKIE, session, seconds=SESSION_SECONDS)
    return response


router = Router("", route_handlers=[show_forgot, forgot, show_reset, reset, show_invitation, accept_invitation])
