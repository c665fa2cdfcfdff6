"""The start page of each face: a tenant's home, the operator's table of tenants, the apex landing page."""

from __future__ import annotations

import re
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.db import system_transaction
from saas.errors import NotFound
from saas.i18n import gettext as _
from saas.tenants import list_tenants, record_operator_audit, set_tenant_status
from saas.ui.console import opened
from saas.ui.guards import redirect, signed_in, site_of
from saas.ui.pages.signup import landing
from saas.ui.shell import home_url
from saas.ui.views import Toast

_SLUG = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")


@get("/")
async def home(request: Request) -> Response[Any]:
    site = site_of(request)
    if site.kind == "apex":
        return landing(request)
    if site.kind == "operator":
        return await _tenants(request)
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


async def _tenants(request: Request) -> Response[Any]:
    console = await opened(request)
    host = request.headers.get("host", "").partition(".")[2]
    rows = [
        {"slug": t.slug, "name": t.name, "url": f"{request.url.scheme}://{t.slug}.{host}/", "status": t.status, "plan": t.plan_key, "pack": t.pack_key, "created": t.created_at.strftime("%Y-%m-%d"), "active": t.is_active}
        for t in await list_tenants()
    ]  # fmt: skip
    return console.page("operator/tenants.html", "tenants", rows=rows)


@post("/tenants/{slug:str}/status", status_code=200)
async def change_status(request: Request, slug: FromPath[str]) -> Response[Any]:
    console = await opened(request, change=True)
    form = await request.form()
    status = "active" if form.get("status") == "active" else "suspended"
    row = await set_tenant_status(slug, status)
    async with system_transaction("operator_console") as conn:
        await record_operator_audit(conn, f"tenant.{status}", operator_id=console.operator.id, tenant=slug, ip=console.ip)
    return redirect(request, "/", Toast(_("%(name)s is suspended now", name=row.name) if status == "suspended" else _("%(name)s is active again", name=row.name)))


router = Router("", route_handlers=[home, go, change_status])
