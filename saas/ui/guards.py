"""Who is there: `Ask` is one request of a signed-in person with what its answer needs; guards for unsafe requests."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from litestar import Request, Response
from litestar.datastructures import Cookie, FormMultiDict
from litestar.enums import MediaType

from saas.db import tenant_transaction
from saas.errors import NotAuthenticated, NotFound, PermissionDenied
from saas.i18n import lazy, set_locale
from saas.runtime import Context, notices
from saas.runtime.contexts import context_of
from saas.runtime.notifications import waiting
from saas.runtime.permissions import closed, is_admin
from saas.tenants import SessionInfo, TenantRow, find_session
from saas.tenants.platform import Announcement, announcements_for
from saas.tenants.sessions import note_notices_read
from saas.ui import formats, pace, support, viewing
from saas.ui.banners import banners_of
from saas.ui.middleware import HOST_PREFIX, SAFE_METHODS, Site
from saas.ui.render import base_data, render
from saas.ui.views import Toast

SESSION_COOKIE = "session"
WITHOUT_OWN_PASSWORD = ("/profile", "/profile/password")
# What a person may still do in a workspace that is suspended, read-only or will be deleted: fetch everything, pay, ask for the deletion or
# take that back, let support in, and what is only about themselves. Forms of records come as far as the engine's door, which refuses
# what they write: so what was typed stays on the page.
WHILE_CLOSED = re.compile(
    r"/(logout|support/leave|announcements/[0-9a-f-]{36}/dismiss|locale|theme|profile(/[a-z/-]+)?|notifications(/[a-z-]+)?|settings/(everything|leave|billing|support)(/[a-z0-9/-]+)?|settings/simulator/leave"
    r"|jobs/[0-9a-f-]{36}/cancel|r/[a-z0-9_]+/(form|export|new|[0-9a-f-]{36}/(edit|delete|restore|transitions/[a-z0-9_]+(/form)?)))\Z"
)
SECOND_FACTOR = "/profile/second-factor"
_LOCAL = re.compile(r"/(?![/\\])[^\s\\]*\Z")


class Ask:
    """One request of one person. `work()` opens the page's only transaction; `page()` renders after it has ended."""

    def __init__(self, request: Request, ctx: Context, session: SessionInfo) -> None:
        self.request, self.ctx, self.session = request, ctx, session
        self.unread = self.waiting = 0
        self.viewing: viewing.Viewing | None = None  # through whose eyes
        self.announcements: list[Announcement] = []  # of the operator

    @property
    def site(self) -> Site:
        return site_of(self.request)

    @property
    def leaving(self) -> dict[str, Any] | None:
        """When the workspace will be deleted, in words, and whether this person may keep it; None for one that stays."""
        moment = self.session.tenant.delete_after
        return {"when": formats.full(self.ctx, moment), "may_keep": is_admin(self.ctx)} if moment else None

    @property
    def is_fragment(self) -> bool:
        return self.request.headers.get("hx-request") == "true"

    @property
    def target(self) -> str:
        """Id of the element htmx will fill ("list", "dialog", …)."""
        return self.request.headers.get("hx-target", "").rpartition("#")[2] if self.is_fragment else ""

    @property
    def here(self) -> str:
        query = self.request.url.query
        return self.request.url.path + (f"?{query}" if query else "")

    @asynccontextmanager
    async def work(self) -> AsyncIterator[Any]:
        async with tenant_transaction(self.ctx.tenant_id) as conn:
            yield conn
            if not self.is_fragment and self.request.method in SAFE_METHODS:
                self.unread, self.waiting = await waiting(conn, self.ctx)

    async def form(self) -> FormMultiDict:
        return await self.request.form()

    def page(self, template: str, /, *, status: int = 200, headers: Mapping[str, str] | None = None, **data: Any) -> Response[str]:
        from saas.ui.shell import shell_of  # the shell names pages, which import this module

        toasts = read_toasts(self.request)
        shown = {**page_data(self.request, csrf=self.session.csrf_secret), "shell": shell_of(self), "toasts": toasts, "banners": banners_of(self), **data}
        response = html(render(template, **shown), status=status, headers=headers)
        if toasts:
            add_cookie(self.request, response, "toasts", "", seconds=0)
        return response

    def fragment(self, template: str, /, *, status: int = 200, headers: Mapping[str, str] | None = None, **data: Any) -> Response[str]:
        shown = {**page_data(self.request, csrf=self.session.csrf_secret), **data}
        return html(render(template, **shown), status=status, headers=headers)

    def redirect(self, url: str, *messages: Toast, headers: Mapping[str, str] | None = None) -> Response[str]:
        """303 for browsers, HX-Redirect for scripts; messages are shown by the next page."""
        return redirect(self.request, url, *messages, headers=headers)


def site_of(request: Request) -> Site:
    return request.scope["state"]["site"]


def client_ip(request: Request) -> str:
    return request.client.host if request.client else ""


def tenant_of(request: Request) -> TenantRow:
    """Whose host it is. Errors: NotFound on other hosts."""
    tenant = site_of(request).tenant
    if tenant is None:
        raise NotFound(lazy("There is no workspace at this address."))
    return tenant


def cookies_of(request: Request) -> dict[str, str]:
    return request.scope["state"]["cookies"]


def page_data(request: Request, *, csrf: str = "") -> dict[str, Any]:
    site = site_of(request)
    theme = cookies_of(request).get("theme", "")
    query = request.url.query
    tenant = site.tenant
    return {
        **base_data(
            locale=request.scope["state"]["locale"], csrf=csrf, theme=theme if theme in ("light", "dark") else "",
            here=request.url.path + (f"?{query}" if query else ""),
            brand_name=tenant.name if tenant else "", brand_css=brand_url(tenant.brand) if tenant else "",
            brand_icon=f"/favicon.svg?v={quote(str(tenant.brand['icon']))}" if tenant and tenant.brand.get("icon") else "/favicon.svg",
        )
    }  # fmt: skip


def brand_url(brand: Mapping[str, Any]) -> str:
    colours = "-".join(str(brand.get(name) or "").lstrip("#") for name in ("color", "color_dark")).strip("-")
    return f"/brand.css?v={quote(colours)}" if colours else ""


def html(text: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response[str]:
    return Response(text, status_code=status, media_type=MediaType.HTML, headers={"cache-control": "no-store", "vary": "HX-Request, Cookie", **(headers or {})})


def redirect(request: Request, url: str, *messages: Toast, headers: Mapping[str, str] | None = None) -> Response[str]:
    if request.headers.get("hx-request") == "true":
        told = {"X-Message": quote(" ".join(t.text for t in messages))[:1500]} if messages else {}  # for scripts that stay on the page
        response = html("", headers={"HX-Redirect": url, **told, **(headers or {})})
    else:
        response = Response("", status_code=303, headers={"location": url, **(headers or {})})
    if messages:
        text = quote(json.dumps([[t.kind, t.text] for t in messages], ensure_ascii=False))[:3500]
        add_cookie(request, response, "toasts", text, seconds=60)
    return response


def add_cookie(request: Request, response: Response, name: str, value: str, *, seconds: int | None) -> None:
    """Host-only, SameSite=Lax, invisible to scripts; over https under the name that only this host can give (`cookies_of` knows it by `name`)."""
    secure = not site_of(request).local
    response.set_cookie(Cookie(key=HOST_PREFIX + name if secure else name, value=value, path="/", max_age=seconds, httponly=True, samesite="lax", secure=secure))


def read_toasts(request: Request) -> tuple[Toast, ...]:
    try:
        found = json.loads(unquote(cookies_of(request).get("toasts", "") or "[]"))
        return tuple(Toast(str(text), kind if kind in ("good", "warn", "error") else "good") for kind, text in found[:5])
    except (ValueError, TypeError):
        return ()


def whole_number(text: str, *, digits: int = 9) -> int | None:
    """A number that people or links wrote; None for anything else, also for digits that only look like some."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


def local_path(text: str | None, default: str = "/") -> str:
    """A path on this host to go on to; anything else (another site, a script) becomes the default."""
    return text if text and _LOCAL.match(text) and len(text) < 2000 else default


# ---- guards ------------------------------------------------------------------------------------------------------------


def refuse_foreign(request: Request) -> None:
    """Unsafe requests must come from our own pages: the browser says so in Sec-Fetch-Site or Origin."""
    if request.method in SAFE_METHODS:
        return
    fetch_site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    same = origin is None or urlsplit(origin).netloc == site_of(request).host
    if (fetch_site is not None and fetch_site not in ("same-origin", "none")) or (fetch_site is None and not same):
        raise PermissionDenied(lazy("This request came from another site and was refused."), reason="foreign")


async def check_token(request: Request, secret: str) -> None:
    """The session's CSRF token, from the header of a script or the hidden input of a form."""
    given = request.headers.get("x-csrf-token") or ""
    if not given:
        given = str((await request.form()).get("_csrf") or "")
    if not hmac.compare_digest(given.encode(), secret.encode()):
        raise PermissionDenied(lazy("This page is out of date. Please reload it and try again."), reason="csrf")


class PasswordDue(PermissionDenied):
    """Somebody else set the person's password: until they choose their own, it opens nothing."""


class SecondFactorDue(PermissionDenied):
    """A second factor is wanted of this person: until they have one, their session opens nothing else. `data["setup"]`: where they set
    it up, if not on the profile page."""


class NoticeDue(PermissionDenied):
    """Something is to be read and confirmed first."""


NOTICE = "/notice"
BESIDE_NOTICES = (NOTICE, "/logout", "/locale", "/theme", *WITHOUT_OWN_PASSWORD)


async def _refuse_unread(ctx: Context, session: SessionInfo, path: str) -> None:
    """Asked once in a session, and only where a role of the person wants something confirmed. Errors: NoticeDue."""
    if session.has_read_notices or session.kind != "web" or path in BESIDE_NOTICES or path.startswith(SECOND_FACTOR) or not notices.has_any(ctx):
        return
    if await notices.waiting(ctx):
        raise NoticeDue(lazy("Please read this first."), reason="notice")
    await note_notices_read(ctx.tenant_id, session.id)


def refuse_unfinished(session: SessionInfo) -> None:
    """Errors: PasswordDue, SecondFactorDue."""
    if session.user.must_change_password:
        raise PasswordDue(lazy("Please choose a password of your own."), reason="password")
    if session.user.needs_second_factor and not session.user.has_second_factor:
        raise SecondFactorDue(lazy("Your workspace asks for a second factor. Please set it up now."), reason="second_factor")


def _opens_unfinished(session: SessionInfo, path: str) -> bool:
    """The pages on which somebody does what is asked of them first."""
    return path in WITHOUT_OWN_PASSWORD if session.user.must_change_password else path.startswith(SECOND_FACTOR)


def refuse_closed(session: SessionInfo, path: str, *, allowed: re.Pattern[str] = WHILE_CLOSED) -> None:
    """Nothing is changed in a workspace that is suspended, read-only or will be deleted. Errors: PermissionDenied."""
    if not session.tenant.is_active and not allowed.match(path):
        raise closed(session.tenant)


async def signed_in(request: Request, *, myself: bool = False) -> Ask:
    """The person behind the session cookie, or whom they look as (saas.ui.viewing) unless `myself`.
    Errors: NotAuthenticated, NotFound (not a tenant's host), PermissionDenied (forged, or a change while looking as somebody)."""
    tenant = site_of(request).tenant
    if tenant is None:
        raise NotFound()
    token = cookies_of(request).get(SESSION_COOKIE)
    if support.is_support(token):
        session = await support.look_in(request, token or "")
    else:
        session = await find_session(tenant.id, token, leave_open=request.method in SAFE_METHODS) if token else None
    if session is None or session.kind not in ("web", "support"):
        raise NotAuthenticated()
    pace.keep(session.id)
    if request.method not in SAFE_METHODS:
        refuse_foreign(request)
        await check_token(request, session.csrf_secret)
        refuse_closed(session, request.url.path)
    state = request.scope["state"]
    if session.user.locale:
        state["locale"] = session.user.locale
    set_locale(state["locale"])
    if not _opens_unfinished(session, request.url.path):
        refuse_unfinished(session)
    ctx = await context_of(session, origin="page", locale=state["locale"], request_id=state["request_id"])
    state["ask"] = ask = Ask(request, ctx, session)
    await _refuse_unread(ctx, session, request.url.path)
    support.limit(session, request)  # what it refuses shows the banner, too
    if session.support is None and request.method in SAFE_METHODS and not ask.is_fragment:
        ask.announcements = await announcements_for(session.tenant.id, session.tenant.plan_key, session.user.id)
    if session.view_as:
        ask.viewing = await viewing.describe(ctx, session.view_as, request.url.path)
        if not myself:
            viewing.refuse(ask.viewing, request.url.path, safe=request.method in SAFE_METHODS)
            ask.ctx = await viewing.look(ctx, session.view_as)
    return ask
