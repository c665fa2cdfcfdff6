"""The start page of each face: a tenant's home, the operator's table of tenants, the apex landing page."""

from __future__ import annotations

import re
from typing import Any

from litestar import Request, Response, Router, get, post

from saas.errors import NotFound
from saas.i18n import gettext as _
from saas.ui.guards import redirect, signed_in, site_of
from saas.ui.pages.operator_tenants import show_tenants
from saas.ui.pages.signup import landing
from saas.ui.shell import home_url

_SLUG = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")


@get("/")
async def home(request: Request) -> Response[Any]:
    site = site_of(request)
    if site.kind == "apex":
        return landing(request)
    if site.kind == "operator":
        return await show_tenants(request)
    ask = await signed_in(request)
    return redirect(request, home_url(ask.ctx))


@post("/go", status_code=200)
async def go(request: Request) -> Response[Any]:
    """From the landing page to a workspace's own address."""
    if site_of(request).kind != "apex":
        raise NotFound()
    form = await request.form()
    slug = str(form.get("slug") or "").strip().lower()
    host = request.headers.get("host", "")
    if not _SLUG.match(slug):
        return landing(request, slug=slug[:100], error=_("A workspace's name has small letters, digits and hyphens."), status=422)
    return Response("", status_code=303, headers={"location": f"{request.url.scheme}://{slug}.{host}/"})


router = Router("", route_handlers=[home, go])
