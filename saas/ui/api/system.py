"""Search and notifications, and long work over many records: bulk acts, imports, exports and their jobs; reports."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, post
from litestar.response import Response

from saas.db import tenant_transaction
from saas.runtime import notifications
from saas.ui.api import access, records, shapes


@get("/notifications")
async def list_notifications(request: Request) -> Response[Any]:
    ctx = await access.context(request)
    limit = access.integer(request, "limit", 50, 200)
    before = request.query_params.get("before")
    async with tenant_transaction(ctx.tenant_id) as conn:
        found = await notifications.inbox(conn, ctx, limit=limit, before=records.record_id(before) if before else None, unread=request.query_params.get("unread") == "1")
        unread = await notifications.unread_count(conn, ctx)
    data = [
        {
            "id": str(n["id"]), "created_at": shapes.moment(n["created_at"]), "read_at": shapes.moment(n["read_at"]), "title": n["title"], "body": n["body"],
            "entity": n["entity_key"], "record": str(n["record_id"]) if n["record_id"] else None, "kind": n["kind"],
        }
        for n in found
    ]  # fmt: skip
    return access.answer({"data": data, "unread": unread, "next": data[-1]["id"] if len(data) == limit else None})


@post("/notifications/read", status_code=204)
async def read_notifications(request: Request) -> None:
    """Body {"ids": […]}; without ids all are marked."""
    ctx = await access.context(request)
    ids = (await access.body(request)).get("ids")
    async with tenant_transaction(ctx.tenant_id) as conn:
        await notifications.mark_read(conn, ctx, [records.record_id(str(i)) for i in ids] if isinstance(ids, list) else None)


HANDLERS = [list_notifications, read_notifications]
