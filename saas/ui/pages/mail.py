"""The log of messages: opened by an administrator who hears "I got no mail"; next they correct the address, send again, or tell the
operator that the mail server is away. Where no mail is sent, they pass on the link that stands in the recorded text."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.db import tenant_transaction
from saas.errors import PermissionDenied
from saas.runtime import permissions
from saas.tenants import record_audit
from saas.tenants.mail import get_mail, list_mail, mail_is_sent
from saas.ui import settings_views as views
from saas.ui.guards import Ask
from saas.ui.pages.settings import PAGE, moment_of, open_settings, show_settings

PART = "audit"


@get("/settings/mail")
async def mail(request: Request) -> Response[Any]:
    ask = await open_settings(request, PART)
    found = await list_mail(ask.ctx.tenant_id, limit=PAGE, before=moment_of(request.query_params.get("before", "")))
    next_url = f"/settings/mail?before={found[-1]['created_at'].isoformat().replace('+00:00', 'Z')}" if len(found) == PAGE else ""
    return await show_settings(ask, "mail", "mail", rows=views.mail(ask.ctx, found), next_url=next_url, is_sent=mail_is_sent())


@get("/settings/mail/{mail_id:uuid}")
async def message(request: Request, mail_id: FromPath[UUID]) -> Response[Any]:
    return await _message(await open_settings(request, PART), mail_id, shown=False)


@post("/settings/mail/{mail_id:uuid}/text", status_code=200)
async def message_text(request: Request, mail_id: FromPath[UUID]) -> Response[Any]:
    """With its text, for administrators only: the link in it may open somebody's account, which they could do anyway. It stands in the
    audit log. Errors: PermissionDenied, NotFound."""
    ask = await open_settings(request, PART)
    if not permissions.is_admin(ask.ctx):
        raise PermissionDenied()
    found = await get_mail(ask.ctx.tenant_id, mail_id)
    if found["body_text"]:
        async with tenant_transaction(ask.ctx.tenant_id) as conn:
            await record_audit(conn, ask.ctx.tenant_id, "mail.read", actor_id=ask.ctx.user_id, target=str(mail_id))
    return await _message(ask, mail_id, shown=True)


async def _message(ask: Ask, mail_id: UUID, *, shown: bool) -> Response[Any]:
    found = await get_mail(ask.ctx.tenant_id, mail_id)
    may_show = permissions.is_admin(ask.ctx) and bool(found["body_text"])
    return await show_settings(ask, "message", "mail", mail=views.mail(ask.ctx, [found])[0], text=found["body_text"] if shown and may_show else "", may_show=may_show and not shown)


router = Router("", route_handlers=[mail, message, message_text])
