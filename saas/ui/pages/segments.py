"""To which segments a person belongs. Who: whoever manages people, right after somebody came or moved; next they look at the next person."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.i18n import gettext as _
from saas.runtime import segments
from saas.tenants import find_user
from saas.ui.pages.settings import open_settings, show_settings
from saas.ui.views import Choice, Toast


@get("/settings/users/{user_id:uuid}/segments")
async def show(request: Request, user_id: FromPath[UUID]) -> Response[Any]:
    ask = await open_settings(request, "users")
    person = await find_user(ask.ctx.tenant_id, user_id=user_id)
    mine = await segments.show(ask.ctx, user_id)
    choices = [Choice(s.value, s.label, s.value in mine) for s in await segments.choices(ask.ctx)]
    return await show_settings(ask, "segments", "users", person=person, choices=choices)


@post("/settings/users/{user_id:uuid}/segments", status_code=200)
async def save(request: Request, user_id: FromPath[UUID]) -> Response[Any]:
    ask = await open_settings(request, "users")
    form = await ask.form()
    await segments.put(ask.ctx, user_id, [str(v) for v in form.getall("segments", [])])
    return ask.redirect(f"/settings/users/{user_id}", Toast(_("Saved")))


router = Router("", route_handlers=[show, save])
