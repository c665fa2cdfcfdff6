"""What people confirm after signing in: opened by itself, often on a telephone; next they go on to where they wanted to."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get, post

from saas.runtime import notices
from saas.tenants.sessions import note_notices_read
from saas.ui.guards import html, local_path, page_data, signed_in, site_of
from saas.ui.render import render


@get("/notice")
async def read_notices(request: Request) -> Response[Any]:
    ask = await signed_in(request, myself=True)
    found = await notices.waiting(ask.ctx)
    next_ = local_path(request.query_params.get("next", ""))
    if not found:
        return ask.redirect(next_)
    tenant = site_of(request).tenant
    assert tenant is not None
    logo = f"/brand/logo?v={tenant.brand['logo']}" if tenant.brand.get("logo") else ""
    data = {**page_data(request, csrf=ask.session.csrf_secret), "brand_name": tenant.name, "mark": tenant.name[:1].upper(), "logo": logo, "notices": found, "next": next_}
    return html(render("public/notice.html", **data))


@post("/notice", status_code=200)
async def confirm_notices(request: Request) -> Response[Any]:
    """Only what the page showed is confirmed: what was written meanwhile is shown next."""
    ask = await signed_in(request, myself=True)
    form = await ask.form()
    shown = {str(v) for v in form.getall("shown", [])}
    found = await notices.waiting(ask.ctx)
    confirmed = [n for n in found if f"{n.record_id}~{n.version}" in shown]
    await notices.confirm(ask.ctx, confirmed)
    next_ = local_path(str(form.get("next") or ""))
    if len(confirmed) < len(found):
        return ask.redirect("/notice")
    await note_notices_read(ask.ctx.tenant_id, ask.session.id)
    return ask.redirect(next_)


router = Router("", route_handlers=[read_notices, confirm_notices])
