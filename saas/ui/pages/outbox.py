"""The outbox: opened by an administrator when the other system says "nothing arrived", or when a notice says that something could not be
sent; next they read what the receiver answered, mend the address there or here, and try again or call it off."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.i18n import gettext as _
from saas.i18n import pick
from saas.runtime import Context, outbox
from saas.runtime.outbox import OutboxInfo, outbox_kinds
from saas.tenants.ids import uuid_of
from saas.ui import formats
from saas.ui.pages.settings import PAGE, open_settings, show_settings
from saas.ui.views import Choice, Toast

PART = "jobs"


def _status(info: OutboxInfo) -> tuple[str, str]:
    """(words, colour)."""
    if info.status == "queued" and info.attempts:
        return _("waiting to try again"), "yellow"
    return {
        "queued": (_("waiting"), "gray"), "sending": (_("being sent"), "blue"), "sent": (_("sent"), "green"), "failed": (_("not delivered"), "red"), "cancelled": (_("called off"), "gray"),
    }[info.status]  # fmt: skip


def _row(ctx: Context, info: OutboxInfo) -> dict[str, Any]:
    text, color = _status(info)
    return {
        "id": str(info.id), "kind": info.label, "about": info.about, "status": text, "color": color, "attempts": info.attempts, "at": formats.full(ctx, info.created_at),
        "sent": formats.full(ctx, info.sent_at) if info.sent_at else "", "next": formats.full(ctx, info.due_at) if info.status == "queued" and info.attempts else "",
        "error": info.problem, "reply": info.reply, "can_retry": info.can_retry, "can_cancel": info.can_cancel, "cause": _cause(ctx, info.origin), "cause_url": _cause_url(info.origin),
    }  # fmt: skip


def _cause(ctx: Context, origin: Mapping[str, Any]) -> str:
    """What caused it, as far as it still has a name."""
    found = next((a for a in ctx.config.bundle.automations if a.key == origin.get("automation")), None)
    return pick(found.label, ctx.locale) if found else str(origin.get("automation") or "")


def _cause_url(origin: Mapping[str, Any]) -> str:
    entity, record = origin.get("entity"), uuid_of(str(origin.get("record") or ""))
    return f"/r/{entity}/{record}" if entity and record else ""


@get("/settings/outbox")
async def listing(request: Request) -> Response[Any]:
    ask = await open_settings(request, PART)
    asked = {name: request.query_params.get(name) or None for name in ("status", "kind")}
    if asked["status"] not in outbox.STATUSES:
        asked["status"] = None
    found = await outbox.list_messages(ask.ctx, status=asked["status"], kind=asked["kind"], before=uuid_of(request.query_params.get("before", "")), limit=PAGE)
    words = {"queued": _("waiting"), "sending": _("being sent"), "sent": _("sent"), "failed": _("not delivered"), "cancelled": _("called off")}
    query = "".join(f"&{name}={value}" for name, value in asked.items() if value)
    return await show_settings(
        ask, "outbox", "outbox", rows=[_row(ask.ctx, info) for info in found], filtered=bool(query),
        statuses=[Choice(key, text, key == asked["status"]) for key, text in words.items()], kinds=[Choice(k.key, str(k.label), k.key == asked["kind"]) for k in outbox_kinds],
        next_url=f"/settings/outbox?before={found[-1].id}{query}" if len(found) == PAGE else "",
    )  # fmt: skip


@get("/settings/outbox/{message_id:uuid}")
async def message(request: Request, message_id: FromPath[UUID]) -> Response[Any]:
    ask = await open_settings(request, PART)
    info = await outbox.get_message(ask.ctx, message_id)
    content = json.dumps(info.payload, ensure_ascii=False, indent=2)
    return await show_settings(ask, "outbox_message", "outbox", row=_row(ask.ctx, info), content=content, key=info.key)


@post("/settings/outbox/{message_id:uuid}/retry", status_code=200)
async def retry(request: Request, message_id: FromPath[UUID]) -> Response[Any]:
    ask = await open_settings(request, PART)
    await outbox.retry(ask.ctx, message_id)
    return ask.redirect(f"/settings/outbox/{message_id}", Toast(_("It will be sent again in a moment.")))


@post("/settings/outbox/{message_id:uuid}/cancel", status_code=200)
async def cancel(request: Request, message_id: FromPath[UUID]) -> Response[Any]:
    ask = await open_settings(request, PART)
    await outbox.cancel(ask.ctx, message_id)
    return ask.redirect(f"/settings/outbox/{message_id}", Toast(_("Called off.")))


router = Router("", route_handlers=[listing, message, retry, cancel])
