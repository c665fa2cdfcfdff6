"""Who calls the API: bearer token, API key or session cookie, on a tenant host or the operator host."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from litestar import Request
from litestar.enums import MediaType
from litestar.response import Response

from saas.errors import BadRequest, NotAuthenticated, NotFound, PermissionDenied
from saas.i18n import lazy, negotiate, set_locale
from saas.runtime import Context
from saas.runtime.contexts import context_of
from saas.tenants import OperatorInfo, find_operator_session, find_session, rates
from saas.tenants.features import require_feature
from saas.ui import support
from saas.ui.api import bodies
from saas.ui.api.scopes import require_scope
from saas.ui.guards import (
    SAFE_METHODS,
    SESSION_COOKIE,
    check_token,
    cookies_of,
    refuse_closed,
    refuse_foreign,
    refuse_unfinished,
    site_of,
    tenant_of,
)

# What programs may still do in a workspace that is suspended, read-only or will be deleted: read, and fetch everything.
WHILE_CLOSED = re.compile(r"/api/v1/(archives|exports|notifications/read|records/[a-z0-9_]+/aggregate|jobs/[0-9a-f-]{36}/cancel)\Z")


def bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def is_operator_host(request: Request) -> bool:
    return site_of(request).kind == "operator"


def speak(request: Request, locale: str) -> None:
    """The language of this answer, also of its errors."""
    request.scope["state"]["locale"] = locale
    set_locale(locale)


async def context(request: Request) -> Context:
    """The caller's context, by bearer token, API key or the session cookie of a page (which needs the CSRF token for writes).

    Errors: NotFound (no such host), NotAuthenticated, PermissionDenied (KeyLimited), RateLimitReached.
    """
    tenant = tenant_of(request)
    bodies.check_address(request)
    accept = request.headers.get("accept-language")
    if accept:
        speak(request, negotiate(accept, tenant.locale))
    token = bearer(request)
    cookie = None if token else cookies_of(request).get(SESSION_COOKIE)
    if support.is_support(cookie):
        session = await support.look_in(request, cookie or "")
    else:
        session = await find_session(tenant.id, token or cookie, leave_open=await _is_all_there(request)) if token or cookie else None
    if session is None or session.kind not in (("api", "key") if token else ("web", "support")):  # a cookie's token never goes past the CSRF check
        raise NotAuthenticated(lazy("Sign in, or send a valid token as “Authorization: Bearer …”."))
    if cookie and request.method not in SAFE_METHODS:
        refuse_foreign(request)
        await check_token(request, session.csrf_secret)
    refuse_unfinished(session)
    if request.method not in SAFE_METHODS:
        refuse_closed(session, request.url.path, allowed=WHILE_CLOSED)
    support.limit(session, request)
    if session.key is not None:
        require_feature(session.tenant, "api_keys")
        require_scope(request, session.key)
    if session.view_as:  # programs ask for themselves
        raise PermissionDenied(lazy("You are looking through somebody else's eyes. Leave that first."), reason="simulation")
    locale = negotiate(accept, tenant.locale) if accept else session.user.locale or tenant.locale
    speak(request, locale)
    # After who asks is known: strangers use up nobody's requests.
    request.scope["state"]["rate"] = rates.take(tenant.id, session.tenant.limits.api_requests)
    return await context_of(session, origin="api", locale=locale, request_id=request.scope["state"]["request_id"])


async def _is_all_there(request: Request) -> bool:
    """Nothing of the request is still on its way: it has no body, or a document that has been read. Files may take their time."""
    if request.method in SAFE_METHODS:
        return True
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return False
    await request.body()
    return True


async def operator(request: Request) -> OperatorInfo:
    """The signed-in operator. Errors: NotFound on any other host, NotAuthenticated."""
    if not is_operator_host(request):
        raise NotFound()
    bodies.check_address(request)
    token = bearer(request)
    found = await find_operator_session(token) if token else None
    if found is None:
        raise NotAuthenticated(lazy("Sign in, or send a valid token as “Authorization: Bearer …”."))
    if found.kind != "api":  # a page's session goes past no CSRF check
        raise NotAuthenticated(lazy("Sign in, or send a valid token as “Authorization: Bearer …”."))
    if request.method not in SAFE_METHODS and not found.may_change:
        raise PermissionDenied(lazy("Your operator's account may look at everything and change nothing."))
    return found


async def body(request: Request, *, once: bool = False) -> dict[str, Any]:
    """The JSON object of a request; `once`: no key may stand twice in an object. Errors: BadRequest when it is none; InvalidDefinition."""
    return await bodies.json_object(request, once=once)


def identifier(text: str, name: str) -> UUID:
    """An id in a parameter. Errors: BadRequest."""
    try:
        return UUID(text)
    except ValueError as error:
        raise BadRequest(lazy("“%(name)s” must be an id.", name=name), field=name) from error


def flag(request: Request, name: str) -> bool:
    text = request.query_params.get(name, "")
    if text not in ("", "0", "1", "false", "true"):
        raise BadRequest(lazy("“%(name)s” must be true or false.", name=name), field=name)
    return text in ("1", "true")


def integer(request: Request, name: str, default: int, highest: int) -> int:
    text = request.query_params.get(name)
    if text is None or text == "":
        return default
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 12):
        raise BadRequest(lazy("“%(name)s” must be a whole number.", name=name), field=name)
    value = int(text)
    if not 1 <= value <= highest:
        raise BadRequest(lazy("“%(name)s” must be between 1 and %(highest)s.", name=name, highest=highest), field=name)
    return value


def answer(content: Any, status: int = 200, **headers: str) -> Response[Any]:
    return Response(content, status_code=status, media_type=MediaType.JSON, headers={"Cache-Control": "no-store", **headers})
