"""The outbox, for those who watch over background work."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from saas.runtime import outbox
from saas.ui.api import access


@get("/outbox")
async def list_outbox(request: Request) -> Response[Any]:
    """Messages to other systems, newest first."""
    ctx = await access.context(request)
    before, limit = request.query_params.get("before"), access.integer(request, "limit", 50, 200)
    asked = {name: request.query_params.get(name) or None for name in ("status", "kind")}
    found = await outbox.list_messages(ctx, **asked, before=access.identifier(before, "before") if before else None, limit=limit)
    return access.answer({"data": [info.to_json() for info in found], "next": str(found[-1].id) if len(found) == limit else None})


@get("/outbox/{mid:str}")
async def get_outbox_message(request: Request, mid: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    return access.answer((await outbox.get_message(ctx, access.identifier(mid, "id"))).to_json())


@post("/outbox/{mid:str}/retry", status_code=200)
async def retry_outbox_message(request: Request, mid: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    return access.answer((await outbox.retry(ctx, access.identifier(mid, "id"))).to_json())


@post("/outbox/{mid:str}/cancel", status_code=200)
async def cancel_outbox_message(request: Request, mid: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    return access.answer((await outbox.cancel(ctx, access.identifier(mid, "id"))).to_json())


HANDLERS = [list_outbox, get_outbox_message, retry_outbox_message, cancel_outbox_message]
