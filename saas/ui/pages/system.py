"""What needs no person: static files, the tenant's colour and icon, health."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get
from litestar.params import FromPath
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from saas.db import tenant_transaction
from saas.errors import NotFound
from saas.ui.assets import by_url
from saas.ui.guards import site_of

FOREVER = "public, max-age=31536000, immutable"
_COLOUR = re.compile(r"^#?([0-9a-fA-F]{6})$")
DEFAULT_COLOUR = "3b5bdb"
NOBODY = UUID(int=0)  # no tenant has it, so nothing is visible


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


def ink_on(colour: str) -> str:
    """Black or white, whichever stands out more from the colour (WCAG relative luminance)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#fff" if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.05 else "#16161a"


@get("/brand.css")
async def brand_css(request: Request) -> Response[str]:
    """The tenant's colour. Its own file, because inline styles are forbidden by the policy; the address changes with it."""
    colour = brand_colour(request)
    text = f":root{{--brand-base:#{colour};--on-brand:{ink_on(colour)}}}"
    return Response(text, media_type="text/css; charset=utf-8", headers={"cache-control": "private, max-age=86400"})


@get("/favicon.svg")
async def favicon(request: Request) -> Response[str]:
    colour, tenant = brand_colour(request), site_of(request).tenant
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
async def readyz() -> Response[dict[str, str]]:
    """The database answers, too; Unavailable (503) when it does not."""
    async with tenant_transaction(NOBODY) as conn:
        await conn.fetchval("SELECT 1")
    return Response({"status": "ready"}, headers={"cache-control": "no-store"})


@get("/metrics")
async def metrics() -> Response[bytes]:
    """For Prometheus: this process only."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST, headers={"cache-control": "no-store"})


router = Router("", route_handlers=[static, brand_css, favicon, healthz, readyz, metrics])
