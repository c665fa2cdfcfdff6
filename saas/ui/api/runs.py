"""Runs of automations, for those who watch over background work; and rehearsals, for administrators."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from saas.errors import BadRequest
from saas.i18n import lazy
from saas.runtime import rehearsal, run_log
from saas.ui.api import access


@get("/runs")
async def list_runs(request: Request) -> Response[Any]:
    """Runs, newest first."""
    ctx = await access.context(request)
    given = {name: request.query_params.get(name) or None for name in ("automation", "status")}
    ids = {name: access.identifier(text, name) if (text := request.query_params.get(name)) else None for name in ("record", "before")}
    limit = access.integer(request, "limit", 50, 200)
    found = await run_log.list_runs(ctx, **given, **ids, limit=limit)
    return access.answer({"data": [info.to_json() for info in found], "next": str(found[-1].id) if len(found) == limit else None})


@get("/runs/{run:str}")
async def get_run(request: Request, run: FromPath[str]) -> Response[Any]:
    """One run with its steps."""
    ctx = await access.context(request)
    return access.answer((await run_log.get_run(ctx, access.identifier(run, "id"))).to_json())


@post("/runs/{run:str}/replay", status_code=200)
async def replay_run(request: Request, run: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    return access.answer((await run_log.replay(ctx, access.identifier(run, "id"))).to_json())


@post("/runs/{run:str}/cancel", status_code=200)
async def cancel_run(request: Request, run: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    return access.answer((await run_log.cancel(ctx, access.identifier(run, "id"))).to_json())


@post("/automations/{key:str}/rehearse", status_code=200, limit="report")
async def rehearse(request: Request, key: FromPath[str]) -> Response[Any]:
    """{"days"?, "bundle"?}: what the automation would have done lately; nothing is changed."""
    ctx = await access.context(request)
    body = await access.body(request)
    days, bundle = body.get("days", rehearsal.DAYS), body.get("bundle")
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= 366:
        raise BadRequest(lazy("“%(name)s” must be a number from %(least)s to %(most)s.", name="days", least=1, most=366), field="days")
    if bundle is not None and not isinstance(bundle, dict):
        raise BadRequest(lazy("“bundle” must be an object."), field="bundle")
    return access.answer((await rehearsal.rehearse(ctx, key, bundle=bundle, days=days)).to_json())


HANDLERS = [list_runs, get_run, replay_run, cancel_run, rehearse]
