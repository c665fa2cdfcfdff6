"""The workspace's clock, and what runs by it at set times: for administrators and whoever looks after the configuration."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from saas.errors import BadRequest, PermissionDenied
from saas.i18n import lazy, pick
from saas.runtime import clock, jobs, permissions, timetable
from saas.runtime.context import Context
from saas.tenants.clock import may_move
from saas.ui.api import access, shapes

MOVES = 10


def _require_admin(ctx: Context) -> None:
    if not permissions.is_admin(ctx):
        raise PermissionDenied(lazy("Only administrators may move the clock."), reason="admin")


def _shown(ctx: Context, offset: int) -> dict[str, Any]:
    return {"now": shapes.moment(ctx.now), "real": shapes.moment(ctx.real_now), "offset_seconds": offset, "time_zone": str(ctx.zone), "movable": may_move(ctx.tenant)}


@get("/clock")
async def get_clock(request: Request) -> Response[Any]:
    """What time it is in the workspace, and the last moves."""
    ctx = await access.context(request)
    _require_admin(ctx)
    moves = [info.to_json() for info in await jobs.list_of_kind(ctx, clock.KIND, limit=MOVES)]
    return access.answer({**_shown(ctx, ctx.tenant.clock_offset_seconds), "moves": moves})


@post("/clock", status_code=202)
async def move_clock(request: Request) -> Response[Any]:
    """{"to": moment}: the clock goes forward to it in the background."""
    ctx = await access.context(request)
    _require_admin(ctx)
    to = _moment(ctx, (await access.body(request)).get("to"), "to")
    return access.answer({"job": (await jobs.get_job(ctx, await clock.begin_move(ctx, to))).to_json()}, 202)


@post("/clock/real", status_code=200)
async def reset_clock(request: Request) -> Response[Any]:
    """Back to real time."""
    ctx = await access.context(request)
    _require_admin(ctx)
    await clock.reset(ctx)
    return access.answer({**_shown(ctx, 0), "now": shapes.moment(ctx.real_now)})


def _moment(ctx: Context, value: Any, name: str) -> datetime:
    """Without an offset it is one of the workspace's time zone."""
    try:
        found = datetime.fromisoformat(value)
        found = found if found.tzinfo else found.replace(tzinfo=ctx.zone)
        found.astimezone(UTC) - timedelta(days=2), found + timedelta(days=2)  # in no zone beyond the calendar
    except (TypeError, ValueError, OverflowError) as error:
        raise BadRequest(lazy("“%(name)s” must be a moment such as 2027-01-15T08:00.", name=name), field=name) from error
    return found


@get("/timetable")
async def list_timetable(request: Request) -> Response[Any]:
    """Schedules, and rules that wait for a date."""
    ctx = await access.context(request)
    return access.answer({"data": [_entry(ctx, found) for found in await timetable.entries(ctx)]})


@get("/timetable/{key:str}")
async def get_timetable(request: Request, key: FromPath[str]) -> Response[Any]:
    """One of them, its last runs, and how many records would match: now, or `at` a moment."""
    ctx = await access.context(request)
    found, runs = await timetable.entry(ctx, key)
    at = request.query_params.get("at")
    preview = await timetable.preview(ctx, key, _moment(ctx, at, "at") if at else None)
    matching = None if preview.closed else {
        "count": preview.count, "more": preview.more, "records": [{"id": str(r.id), "title": r.title, "done": r.id in preview.done} for r in preview.records],
    }  # fmt: skip
    return access.answer({**_entry(ctx, found), "runs": [_run(run) for run in runs], "matching": matching})


@post("/timetable/{key:str}/run", status_code=202)
async def run_timetable(request: Request, key: FromPath[str]) -> Response[Any]:
    """Have it run once, now; what was done in this period stays done."""
    ctx = await access.context(request)
    return access.answer({"job": (await jobs.get_job(ctx, await timetable.run_now(ctx, key))).to_json()}, 202)


def _entry(ctx: Context, found: timetable.Entry) -> dict[str, Any]:
    definition = found.definition
    return {
        "key": found.key, "kind": "schedule" if found.schedule is not None else "automation", "label": pick(definition.label, ctx.locale), "entity": definition.entity, "active": definition.active,
        "next": [shapes.moment(at) for at in found.next], "last": _run(found.last) if found.last is not None else None,
    }  # fmt: skip


def _run(run: timetable.LastRun) -> dict[str, Any]:
    return {"at": shapes.moment(run.at), "matched": run.matched, "done": run.done, "failed": run.failed, "skipped": run.skipped, "errors": [dict(e) for e in run.errors]}


HANDLERS = [get_clock, move_clock, reset_clock, list_timetable, get_timetable, run_timetable]
