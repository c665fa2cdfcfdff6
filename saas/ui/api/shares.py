"""Sharing of single records over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from litestar import Request, delete, get, post
from litestar.params import FromPath
from litestar.response import Response

from saas.errors import BadRequest
from saas.i18n import lazy
from saas.runtime import shares
from saas.ui.api import access, shapes
from saas.ui.api.records import record_id


@get("/records/{entity:str}/{rid:str}/shares")
async def list_shares(request: Request, entity: FromPath[str], rid: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    found = await shares.shares_of(ctx, entity, record_id(rid))
    return access.answer({"data": [_shape(s) for s in found]})


def _shape(s: shares.Share) -> dict[str, Any]:
    return {"with": s.subject, "name": s.name, "level": s.level, "part": s.part, "until": shapes.moment(s.until), "over": s.is_over, "at": shapes.moment(s.created_at), "by": s.by}


@post("/records/{entity:str}/{rid:str}/shares", status_code=200)
async def share(request: Request, entity: FromPath[str], rid: FromPath[str]) -> Response[Any]:
    """{"with": "user:<id>" | "dept:<id>" | "role:<key>", "level"?: read | edit, "until"?: moment, "part"?}; again with the same "with" changes it."""
    ctx = await access.context(request)
    body = await access.body(request)
    texts = {name: body.get(name) or "" for name in ("with", "level", "until", "part")}
    if not all(isinstance(v, str) for v in texts.values()):
        raise BadRequest(lazy("“%(name)s” must be a text.", name="with"), field="with")
    try:
        until = datetime.fromisoformat(texts["until"].replace("Z", "+00:00")) if texts["until"] else None
    except ValueError as error:
        raise BadRequest(lazy("“%(name)s” must be a moment such as 2026-01-31T12:00:00Z.", name="until"), field="until") from error
    if until is not None and until.tzinfo is None:
        until = until.replace(tzinfo=ctx.zone)
    await shares.share(ctx, entity, record_id(rid), texts["with"], level=texts["level"] or "read", until=until, part=texts["part"])
    found = await shares.shares_of(ctx, entity, record_id(rid))
    return access.answer({"data": [_shape(s) for s in found]})


@delete("/records/{entity:str}/{rid:str}/shares/{subject:str}", status_code=204)
async def revoke(request: Request, entity: FromPath[str], rid: FromPath[str], subject: FromPath[str]) -> None:
    ctx = await access.context(request)
    await shares.revoke(ctx, entity, record_id(rid), subject)


HANDLERS = [list_shares, share, revoke]
