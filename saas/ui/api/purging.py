"""What goes together with a record, and purging records for good, over HTTP."""

from __future__ import annotations

from datetime import date
from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from saas.errors import BadRequest
from saas.i18n import lazy
from saas.runtime import purging
from saas.ui.api import access
from saas.ui.api.records import record_id


@get("/records/{entity:str}/{rid:str}/deletion")
async def deletion(request: Request, entity: FromPath[str], rid: FromPath[str]) -> Response[Any]:
    """The records that deleting this one takes along, by entity; without an entity: those of entities the caller may not read."""
    ctx = await access.context(request)
    found = await purging.below_one(ctx, entity, record_id(rid))
    return access.answer({"data": [_below(b) for b in found], "next": None})


def _below(found: purging.Below) -> dict[str, Any]:
    return {"entity": found.entity or None, "label": found.label, "count": found.count}


@post("/records/{entity:str}/purge", status_code=200)
async def purge(request: Request, entity: FromPath[str]) -> Response[Any]:
    """{"before"?}: what would go, and the export that comes first; with {"export", "count"} what that export shows is purged."""
    ctx = await access.context(request)
    body = await access.body(request)
    before, count, export = body.get("before"), body.get("count"), body.get("export")
    try:
        day = date.fromisoformat(before) if before else None
    except (TypeError, ValueError) as error:
        raise BadRequest(lazy("“%(name)s” must be a day such as 2026-01-31.", name="before"), field="before") from error
    if count is None and export is None:
        found = await purging.plan(ctx, entity, before=day)
        return access.answer(
            {"count": found.count, "live": found.live, "deleted": found.deleted, "below": [_below(b) for b in found.below], "export": str(found.export.id), "status": found.export.status}
        )
    if not isinstance(count, int) or isinstance(count, bool):
        raise BadRequest(lazy("“%(name)s” must be a whole number.", name="count"), field="count")
    if export is not None and not isinstance(export, str):
        raise BadRequest(lazy("“%(name)s” must be a text.", name="export"), field="export")
    job = await purging.begin(ctx, entity, export_id=record_id(export) if export else None, count=count, before=day)
    return access.answer({"job": str(job.id), "status": job.status, "done": (job.result or {}).get("done", 0)})


HANDLERS = [deletion, purge]
