"""What needs no person: static files, the tenant's colour and icon, health."""

from __future__ import annotations

import hmac
import ipaddress
import re
from typing import Any

from litestar import Request, Response, Router, get
from litestar.params import FromPath
from prometheus_client import CONTENT_TYPE_LATEST

from saas.errors import NotFound
from saas.tenants import domains, health
from saas.tenants.brand import COLOUR, brand_file, ink_on
from saas.ui.assets import by_url
from saas.ui.guards import site_of
from saas.ui.measured import figures, may_read

FOREVER = "public, max-age=31536000, immutable"
_COLOUR = re.compile(r"^#?([0-9a-fA-F]{6})$")
DEFAULT_COLOUR = "3b5bdb"


@get("/static/{name:str}")
async def static(request: Request, name: FromPath[str]) -> Response[Any]:
    asset = by_url().get(f"/static/{name}")
    if asset is None:
        raise NotFound()
    body, encoding = await asset.encoded(request.headers.get("accept-encoding", ""))
    headers = {"cache-control": FOREVER, "vary": "Accept-Encoding", **({"content-encoding": encoding} if encoding else {})}
    return Response(body, media_type=asset.media_type, headers=headers)


def brand_colour(request: Request) -> str:
    tenant = site_of(request).tenant
    found = _COLOUR.match(str(tenant.brand.get("color", ""))) if tenant else None
    return found[1] if found else DEFAULT_COLOUR


@get("/brand.css")
async def brand_css(request: Request) -> Response[str]:
    """The tenant's colour. Its own file, because inline styles are forbidden by the policy; the address changes with it."""
    colour, tenant = brand_colour(request), site_of(request).tenant
    text = f":root{{--brand-base:#{colour};--on-brand:{ink_on(colour)}}}"
    if tenant and COLOUR.fullmatch(dark := str(tenant.brand.get("color_dark") or "")):
        rule = f"--brand-base:{dark};--brand:{dark};--on-brand:{ink_on(dark)}"
        text += f':root[data-theme="dark"]{{{rule}}}@media (prefers-color-scheme:dark){{:root:not([data-theme="light"]){{{rule}}}}}'
    return Response(text, media_type="text/css; charset=utf-8", headers={"cache-control": "private, max-age=86400"})


@get("/favicon.svg")
async def favicon(request: Request) -> Response[Any]:
    """The tenant's icon, else the first letter of its name."""
    colour, tenant = brand_colour(request), site_of(request).tenant
    own = await brand_file(tenant.id, "icon") if tenant and tenant.brand.get("icon") else None
    if own is not None:
        return Response(own.content, media_type=own.content_type, headers={"cache-control": "private, max-age=3600", "content-security-policy": "default-src 'none'; sandbox"})
    letter = (tenant.name[:1].upper() if tenant else "S").replace("&", "&amp;").replace("<", "&lt;")
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#{colour}"/>'
        f'<text x="16" y="22.5" font-family="sans-serif" font-size="18" font-weight="600" text-anchor="middle" fill="{ink_on(colour)}">{letter}</text></svg>'
    )
    return Response(text, media_type="image/svg+xml", headers={"cache-control": "private, max-age=86400"})


@get("/healthz")
async def healthz() -> Response[dict[str, str]]:
    """The process answers."""
    return Response({"status": "ok"}, headers={"cache-control": "no-store"})


@get("/readyz")
async def readyz() -> Response[dict[str, Any]]:
    """The database answers, too, and its migrations are done; else 503. How long ago a worker was heard of is told and decides nothing:
    pages work without."""
    found = await health.readiness()
    return Response(found.to_json(), status_code=200 if found.is_ready else 503, headers={"cache-control": "no-store"})


@get("/metrics")
async def metrics(request: Request) -> Response[bytes]:
    """For Prometheus (saas.ui.measured); for everybody else there is nothing here."""
    settings = request.app.state.settings
    if not may_read(request.headers, request.client.host if request.client else "", settings):
        raise NotFound()
    return Response(await figures(), media_type=CONTENT_TYPE_LATEST, headers={"cache-control": "no-store"})


@get("/internal/domains/ask")
async def ask_domain(request: Request) -> Response[str]:
    """For a proxy that gets certificates on demand: 200 for domains that tenants have proved, 404 for all else. Answered on this
    machine only, or to who knows SAAS_INTERNAL_SECRET."""
    if not _is_internal(request):
        raise NotFound()
    name = request.query_params.get("domain", "")[:300]
    if not name.isascii() or "\0" in name or not await domains.is_verified(name):
        raise NotFound()
    return Response("", headers={"cache-control": "no-store"})


def _is_internal(request: Request) -> bool:
    """Loopback alone is not enough for what a proxy on this machine passes on: such a request carries a note of it."""
    secret = request.app.state.settings.internal_secret
    given = request.headers.get("x-internal-secret") or request.query_params.get("secret") or ""
    if secret is not None:
        return hmac.compare_digest(secret.encode(), given.encode())
    passed_on = any(name in request.headers for name in ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "via", "x-real-ip"))
    try:
        return not passed_on and request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


router = Router("", route_handlers=[ask_domain, static, brand_css, favicon, healthz, readyz, metrics])
