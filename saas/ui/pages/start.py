"""The first page of people who work on a phone: their menu as large tiles.

Who: an agent, a member, a driver, several times a day, between two other things; next they tap one tile and are where they wanted to be.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get

from saas.runtime import execute
from saas.runtime import operations as ops
from saas.ui import formats
from saas.ui.guards import Ask, signed_in
from saas.ui.shell import home_url, navigation


@get("/start")
async def start(request: Request) -> Response[Any]:
    ask = await signed_in(request)
    if home_url(ask.ctx) != "/start":
        return ask.redirect("/")
    groups = navigation(ask.ctx, "/start")
    async with ask.work():
        tiles = [{"title": g.title, "items": [{"link": i, "count": await _count(ask, i.url)} for i in g.items]} for g in groups]
    user = ask.ctx.user
    assert user is not None
    return ask.page("start.html", groups=tiles, name=user.name, today=formats.day(ask.ctx, ask.ctx.today))


async def _count(ask: Ask, url: str) -> str:
    """How many records a list holds; "" for anything else."""
    entity, _mark, view = url.removeprefix("/r/").partition("?view=")
    if not url.startswith("/r/") or entity not in ask.ctx.config.entities:
        return ""
    page = await execute(ask.ctx, ops.List(entity=entity, view=view or None, limit=1, count="capped", fields=["id"]))
    if page.count is None:
        return ""
    return formats.number(ask.ctx, page.count.value) + ("" if page.count.exact else "+")


router = Router("", route_handlers=[start])
