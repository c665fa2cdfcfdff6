"""Statements that took long. Who: an operator who hears "it is slow", or sees the alert; next they open the workspace whose it is, or
give the statement to whoever can mend it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from litestar import Request, Response, Router, get

from saas.tenants import slow
from saas.ui.console import Console, opened

HOURS = 24


@get("/monitor/slow")
async def slow_statements(request: Request) -> Response[Any]:
    """Over all workspaces what took most in a day; with `?tenant=` the last ones of one. Errors: NotFound."""
    console = await opened(request)
    slug = request.query_params.get("tenant", "")
    if slug:
        rows = [{**row, "at": _moment(console, row["at"]), "took": _took(console, row["milliseconds"])} for row in await slow.slow_of(slug)]
        return console.page("operator/slow.html", "slow", slug=slug, rows=rows, kept=slow.KEPT)
    whole = [{**row, "last": _moment(console, row["last"]), "longest": _took(console, row["longest"]), "whole": _took(console, row["whole"])} for row in await slow.slowest(hours=HOURS)]
    return console.page("operator/slow.html", "slow", slug="", rows=whole, limit=f"{request.app.state.settings.slow_query_ms:g}")


def _moment(console: Console, text: str) -> str:
    return console.moment(datetime.fromisoformat(text))


def _took(console: Console, milliseconds: float) -> str:
    return f"{milliseconds:,.0f} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:,.1f} s"


router = Router("", route_handlers=[slow_statements])
