"""Around every request: whose host it is, a request id, the locale, security headers, its tenant's turn, its line in the log.
Opens no transaction."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from litestar import Response
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from saas.db import one_transaction, own_limits
from saas.errors import AppError, NotFound
from saas.i18n import LOCALES, lazy, negotiate, use_locale
from saas.settings import Settings
from saas.tenants import TenantRow, platform, resolve_host
from saas.tenants.links import address_of
from saas.ui import replicas, watch

_HOST = re.compile(r"^[^\s/?#@:\[\]]+(:[0-9]{1,5})?\Z|^\[[0-9a-fA-F:.]+\](:[0-9]{1,5})?\Z")
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}\Z")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
PUBLIC = ("/static/", "/healthz", "/readyz", "/metrics", "/internal/")  # answered on every host, also by address
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# Browsers take a cookie of such a name only from this very host and over https: none of another host of the same domain stands before ours.
HOST_PREFIX = "__Host-"
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


@dataclass(frozen=True, slots=True)
class Site:
    """Which of our faces a host shows: a tenant's, the operator's console, or the apex. `tenant` only for the first."""

    kind: str  # tenant operator apex none
    host: str
    tenant: TenantRow | None = None
    local: bool = False  # plain http on a developer's machine


class SiteMiddleware:
    """Wraps the whole application, so that its answers to unknown paths carry the same headers."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = self._host(scope, headers)
        if not _HOST.match(host):  # what answers builds addresses from it
            scope["headers"] = [*((name, value) for name, value in scope["headers"] if name.lower() != b"host"), (b"host", b"none.invalid")]
        given = headers.get(b"x-request-id", "")
        request_id = given if _REQUEST_ID.match(given) else secrets.token_hex(8)
        cookies = read_cookies(headers.get(b"cookie", ""), prefix="" if self.settings.is_local else HOST_PREFIX)
        scope["state"] = {**scope.get("state", {}), "request_id": request_id, "cookies": cookies}  # type: ignore[typeddict-item]
        with watch.Watched(scope["method"], request_id, headers.get(b"traceparent", ""), receive) as watched:
            await self._answer(scope, watched.receive, watched.answer(send), headers, cookies, request_id, watched)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, str], cookies: dict[str, str], request_id: str, watched: watch.Watched) -> None:
        host = self._host(scope, headers)
        site = Site("none", host, local=self.settings.is_local)
        relay: Any = None

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                if relay is not None:
                    relay.end_beside()
                present = {name.lower() for name, _ in message["headers"]}
                more = [(name, value) for name, value in (*HEADERS, (b"content-security-policy", policy_of(site))) if name not in present]
                if not self.settings.is_local:
                    more.append((b"strict-transport-security", b"max-age=31536000"))
                if (rate := scope["state"].get("rate")) is not None:
                    more += rate.headers
                message["headers"] = [*message["headers"], *more, (b"x-request-id", request_id.encode())]
            await send(message)

        failed: AppError | None = None
        try:
            site = await self._site(host, scope["path"])
            if site.tenant is not None:
                await watched.turn_of(site.tenant.id)
        except AppError as error:
            failed = error
        scope["state"]["site"] = site  # type: ignore[index]
        if site.kind != "none":
            await platform.refresh()
        accept = headers.get(b"accept-language")
        if accept and scope["path"].startswith("/api/"):  # a program says for whom it asks
            locale = negotiate(accept, site.tenant.locale if site.tenant else "en")
        else:
            locale = choose_locale(cookies.get("locale"), site.tenant, accept)
        scope["state"]["locale"] = locale  # type: ignore[index]
        with use_locale(locale), own_limits():
            if failed is not None:
                from saas.ui.errors import answer_error  # errors render pages, which need this module's Site

                response = answer_error(scope, failed)
                await response.to_asgi_response(None, _request(scope, receive))(scope, receive, answer)  # type: ignore[arg-type]
                return
            if (url := main_address(scope, headers, site)) is not None:
                moved = Response("", status_code=307, headers={"location": url, "cache-control": "no-store"})
                await moved.to_asgi_response(None, _request(scope, receive))(scope, receive, answer)  # type: ignore[arg-type]
                return
            async with one_transaction(only_reads=scope["method"] in SAFE_METHODS) as relay:
                await replicas.serve(self.app, scope, receive, answer)

    def _host(self, scope: Scope, headers: dict[bytes, str]) -> str:
        """The one host a request names: that of the proxy in front where the operator says there is one, never else. Two are none."""
        given = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"host"]
        if self.settings.trusted_proxy and b"x-forwarded-host" in headers:
            given = [part.strip() for name, value in scope["headers"] if name.lower() == b"x-forwarded-host" for part in value.decode("latin-1").split(",")]
        return given[0] if len(given) == 1 else ""

    async def _site(self, host: str, path: str) -> Site:
        if not _HOST.match(host):  # a URL could not be built from it
            raise NotFound(lazy("There is no workspace at this address."))
        name = host.rsplit(":", 1)[0].lower().removesuffix(".")
        base, local = self.settings.base_domain, self.settings.is_local
        if name == base:
            return Site("apex", host, local=local)
        if name == f"operator.{base}":
            return Site("operator", host, local=local)
        if path.startswith(PUBLIC):
            return Site("none", host, local=local)
        tenant = await resolve_host(host, base)
        if tenant is None:
            raise NotFound(lazy("There is no workspace at this address."))
        return Site("tenant", host, tenant, local)


def policy_of(site: Site) -> bytes:
    """The landing page's form leads on to a workspace's own host, which `form-action` must name."""
    return (POLICY.replace("form-action 'self'", f"form-action 'self' *.{site.host}") if site.kind == "apex" else POLICY).encode()


STAY = re.compile(r"/(api|static|brand|sso|internal)/|/(login\Z|logout\Z|settings/domain|settings/sso|brand\.css|favicon)")


def main_address(scope: Scope, headers: dict[bytes, str], site: Site) -> str | None:
    """Where a page is, when it was asked for by another of the workspace's addresses; None for what stays. Signing in and the settings
    of the domain stay possible where the domain leads nowhere."""
    tenant = site.tenant
    if tenant is None or not tenant.domain or not tenant.domain_redirects or scope["method"] not in ("GET", "HEAD") or b"hx-request" in headers:
        return None
    if site.host.rsplit(":", 1)[0].lower().removesuffix(".") == tenant.domain or "text/html" not in headers.get(b"accept", ""):
        return None
    query = scope["query_string"].decode("latin-1")
    path = scope.get("raw_path", b"").decode("latin-1").partition("?")[0] or "/"
    if STAY.match(scope["path"]) and not (scope["path"] == "/login" and "here" not in query):
        return None
    return address_of(tenant, path if path.startswith("/") else "/") + (f"?{query}" if query else "")


def _request(scope: Scope, receive: Receive) -> Any:
    from litestar import Request

    return Request(scope, receive)  # type: ignore[arg-type]


def read_cookies(header: str, *, prefix: str = "") -> dict[str, str]:
    """Those whose name begins with `prefix`, by the name behind it: others are not ours. Lenient: a broken cookie loses itself, not the
    others."""
    found: dict[str, str] = {}
    for part in header.split(";"):
        name, sign, value = part.strip().partition("=")
        if sign and name.startswith(prefix) and (name := name[len(prefix) :]) not in found:
            found[name] = unquote(value.strip('"'))
    return found


def choose_locale(chosen: str | None, tenant: TenantRow | None, accept: str | None) -> str:
    """The person's choice, then the tenant's language, then the browser's."""
    if chosen in LOCALES:
        return chosen
    if tenant is not None and tenant.locale in LOCALES:
        return tenant.locale
    return negotiate(accept)
