"""The workspace's clock, and what its rules did while it was moved.

Who: the administrator of a trial who asks “what will these reminders do next month?”, whoever shows the product, whoever tries a new
schedule. Next they look at the records the rules changed, move on, or put the clock back; everybody else must not miss that it is moved.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from litestar import Request, Response, Router, get, post

from saas.errors import AppError, PermissionDenied
from saas.i18n import gettext as _
from saas.i18n import ngettext, pick
from saas.runtime import clock, jobs, permissions
from saas.runtime.worker import run_for
from saas.tenants.clock import may_move
from saas.ui import formats
from saas.ui.banners import Banner, banner
from saas.ui.guards import Ask, signed_in
from saas.ui.pages.settings import show_settings
from saas.ui.settings_views import job_status
from saas.ui.views import Link, Toast

PAGE = "/settings/clock"
STEPS = (("1d", 1), ("1w", 7), ("30d", 30))
AT_ONCE_SECONDS = 2.0
MOVES = 10


async def _open(request: Request) -> Ask:
    ask = await signed_in(request)
    if not permissions.is_admin(ask.ctx) or not (may_move(ask.ctx.tenant) or ask.ctx.tenant.clock_offset_seconds):
        raise PermissionDenied()
    return ask


@get(PAGE)
async def show(request: Request) -> Response[Any]:
    return await _page(await _open(request))


async def _page(ask: Ask, *, error: str = "", typed: str = "", status: int = 200) -> Response[Any]:
    ctx = ask.ctx
    moves = [_move(ask, info) for info in await jobs.list_of_kind(ctx, clock.KIND, limit=MOVES)]
    moving = any(m["live"] for m in moves)
    if ask.target == "clock" and not moving:
        return ask.redirect(PAGE)  # arrived: the banner changes, too
    steps = [(key, ngettext("%(count)s day", "%(count)s days", days)) for key, days in STEPS]
    data = {
        "now": formats.weekday(ctx, ctx.now), "ahead": ahead(ctx.tenant.clock_offset_seconds), "real": formats.weekday(ctx, ctx.real_now), "zone": str(ctx.zone), "moves": moves, "moving": moving,
        "steps": steps, "allowed": may_move(ctx.tenant), "typed": typed, "tomorrow": (ctx.today + timedelta(days=1)).isoformat(),
    }  # fmt: skip
    if ask.target == "clock":
        return ask.fragment("settings/_clock.html", **data)
    return await show_settings(ask, "clock", "clock", status=status, error=error, **data)


def _move(ask: Ask, info: jobs.JobInfo) -> dict[str, Any]:
    ctx, result = ask.ctx, info.result or {}
    text, color = job_status(info.status)

    def moment(key: str) -> str:
        return formats.full(ctx, datetime.fromisoformat(result[key])) if result.get(key) else ""

    ran = [
        {"at": formats.full(ctx, datetime.fromisoformat(r["at"])), "name": _name(ask, r), "done": r["done"], "failed": r["failed"], "errors": r["errors"]}
        for r in result.get("ran", ())
    ]  # fmt: skip
    return {
        "id": str(info.id), "status": text, "color": color, "live": not info.is_over, "start": moment("from"), "end": moment("to") or moment("at"), "progress": info.progress,
        "error": _(info.error) if info.error else "", "ran": ran, "done": ngettext("%(count)s record done", "%(count)s records done", result.get("done", 0)),
        "failed": ngettext("%(count)s failed", "%(count)s failed", result["failed"]) if result.get("failed") else "", "at": formats.full(ctx, info.created_at),
    }  # fmt: skip


def _name(ask: Ask, ran: dict[str, Any]) -> str:
    bundle = ask.ctx.config.bundle
    for section in (ask.ctx.config.schedules, bundle.automations):
        for rule in section:
            if rule.key == ran["what"]:
                return pick(rule.label, ask.ctx.locale)
    return str(ran["what"])


def ahead(seconds: int) -> str:
    """How far a clock is ahead, in words: days, for less than one hours, for less than one minutes; "" for real time."""
    if not seconds:
        return ""
    minutes = max(1, seconds // 60)
    if minutes >= 1440:
        return ngettext("%(count)s day ahead of real time", "%(count)s days ahead of real time", minutes // 1440)
    if minutes >= 60:
        return ngettext("%(count)s hour ahead of real time", "%(count)s hours ahead of real time", minutes // 60)
    return ngettext("%(count)s minute ahead of real time", "%(count)s minutes ahead of real time", minutes)


@post(PAGE, status_code=200)
async def move(request: Request) -> Response[Any]:
    """`by`: one of STEPS; else `to`, a day at which the clock then shows the same time."""
    ask = await _open(request)
    form, ctx = await ask.form(), ask.ctx
    typed, by = str(form.get("to") or "").strip(), dict(STEPS).get(str(form.get("by") or ""))
    local = ctx.now.astimezone(ctx.zone)
    try:
        to = local + timedelta(days=by) if by else datetime.combine(datetime.strptime(typed, "%Y-%m-%d").date(), time(local.hour, local.minute), ctx.zone)
    except (ValueError, OverflowError):
        return await _page(ask, error=_("Give a day such as %(day)s.", day=(ctx.today + timedelta(days=14)).isoformat()), typed=typed, status=422)
    try:
        job_id = await clock.begin_move(ctx, to)
    except AppError as problem:
        return await _page(ask, error=str(problem.message), typed=typed, status=problem.status)
    job = await run_for(ctx, job_id, AT_ONCE_SECONDS)
    return ask.redirect(PAGE, Toast(_("The clock has arrived.") if job.status == "done" else _("The clock is on its way.")))


@post(f"{PAGE}/real", status_code=200)
async def put_back(request: Request) -> Response[Any]:
    ask = await _open(request)
    try:
        await clock.reset(ask.ctx)
    except AppError as problem:
        return await _page(ask, error=str(problem.message), status=problem.status)
    # Where it may not be moved the page is closed from now on.
    return ask.redirect(PAGE if may_move(ask.ctx.tenant) else "/settings", Toast(_("The clock shows real time again.")))


@banner(35)
def moved(ask: Ask) -> Banner | None:
    """Everybody sees that it is not the real time that records get."""
    ctx = ask.ctx
    if not ctx.tenant.clock_offset_seconds:
        return None
    text = _("The clock of this workspace is moved: %(when)s, %(ahead)s.", when=formats.weekday(ctx, ctx.now), ahead=ahead(ctx.tenant.clock_offset_seconds))
    return Banner(
        "clock", "warning", text, note=_("Records and rules follow it; signing in, plans and payments do not."), label=_("Moved clock"), icon="clock",
        link=Link(_("Clock"), PAGE) if permissions.is_admin(ctx) and ctx.support is None and ask.viewing is None else None,
    )  # fmt: skip


router = Router("", route_handlers=[show, move, put_back])
