"""What the workspace does in the background.

Who: an administrator who hears “my import does not go on” or “the reminders did not come”. They see at a glance whether something
waits, runs or failed and why; next they let it try again, stop it, or open the job's own page for its details.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Request, Response, Router, get

from saas.i18n import gettext as _
from saas.i18n import lazy
from saas.runtime import jobs as queue
from saas.runtime.jobs import JobInfo, job_kinds
from saas.tenants import list_users
from saas.tenants.ids import uuid_of
from saas.ui import formats
from saas.ui.guards import Ask
from saas.ui.pages.settings import open_settings, show_settings
from saas.ui.settings_views import job_status
from saas.ui.views import Choice

PAGE, LIMIT = "/settings/jobs", 50
OPEN = ("queued", "running", "paused")
# Tabs: which states, and what stands there when there is none.
TABS = {
    "open": (lazy("Under way"), OPEN, lazy("Nothing is under way. What people start and what the clock starts appears here while it runs.")),
    "failed": (lazy("Failed"), ("failed",), lazy("Nothing has failed.")),
    "done": (lazy("Done"), ("done", "cancelled"), lazy("No work has ended in the last weeks.")),
}
URGENCY = {queue.WAITED_FOR: lazy("before other work"), queue.SCHEDULED: lazy("when nothing else waits")}


@get(PAGE)
async def show(request: Request) -> Response[Any]:
    ask = await open_settings(request, "jobs")
    tallies = await queue.tallies(ask.ctx)
    counts = {tab: sum(t.count for t in tallies if t.status in states) for tab, (_name, states, _empty) in TABS.items()}
    tab = request.query_params.get("tab", "")
    tab = tab if tab in TABS else "failed" if counts["failed"] and not counts["open"] else "open"
    kinds = {t.kind for t in tallies}
    kind = request.query_params.get("kind", "")
    kind = kind if kind in kinds else ""
    found = await queue.list_jobs(ask.ctx, everybody=True, status=TABS[tab][1], kind=kind or None, before=_before(request), limit=LIMIT)
    people = {u["id"]: u["name"] for u in await list_users(ask.ctx.tenant_id)}
    here = _url(tab, kind)
    data = {
        "rows": [_row(ask, info, people) for info in found], "here": here, "live": bool(counts["open"]) and "before" not in request.query_params, "tab": tab, "empty": str(TABS[tab][2]),
        "tabs": [(_url(key, kind), str(name), counts[key], key == tab, key) for key, (name, _states, _empty) in TABS.items()],
        "kinds": sorted((Choice(key, name_of(key), key == kind) for key in kinds), key=lambda c: c.text), "kind": kind,
        "waiting": sum(t.count - t.later for t in tallies if t.status == "queued"), "running": sum(t.count for t in tallies if t.status == "running"),
        "older": f"{here}&{urlencode({'before': str(found[-1].id)})}" if len(found) == LIMIT else "",
    }  # fmt: skip
    if ask.target == "jobs":
        return ask.fragment("settings/_jobs.html", **data)
    return await show_settings(ask, "jobs", "jobs", **data)


def _before(request: Request) -> UUID | None:
    return uuid_of(request.query_params.get("before", ""))


def _url(tab: str, kind: str) -> str:
    return f"{PAGE}?{urlencode({'tab': tab, **({'kind': kind} if kind else {})})}"


def name_of(kind: str) -> str:
    found = job_kinds.find(kind)
    return str(found.label) if found else kind


def _row(ask: Ask, info: JobInfo, people: dict[UUID, str]) -> dict[str, Any]:
    ctx = ask.ctx
    text, color = job_status(info.status)
    tries_again = info.status == "queued" and info.attempts > 0
    if tries_again:
        text, color = _("waiting to try again"), "yellow"
    later = info.status == "queued" and info.run_at is not None and info.run_at > ctx.real_now
    return {
        "id": str(info.id), "name": name_of(info.kind), "status": text, "color": color, "progress": info.progress, "total": info.total or 0, "attempts": info.attempts if info.attempts > 1 or tries_again else 0,
        "who": people.get(info.created_by, _("somebody who left")) if info.created_by else _("by itself"), "at": formats.full(ctx, info.created_at),
        "took": _span((info.finished_at - info.started_at).total_seconds()) if info.finished_at and info.started_at and info.finished_at > info.started_at else "",
        "next": formats.full(ctx, info.run_at) if later and info.run_at else "", "error": _(info.error) if info.error else "", "urgency": str(URGENCY.get(info.priority, "")) if info.status == "queued" else "",
        "can_retry": info.can_retry, "can_cancel": not info.is_over, "can_pause": info.status in ("queued", "running"), "can_resume": info.status == "paused",
    }  # fmt: skip


def _span(seconds: float) -> str:
    """How long something took, for people."""
    if seconds < 60:
        return _("%(count)s s", count=max(1, round(seconds)))
    return _("%(count)s min", count=round(seconds / 60)) if seconds < 7200 else _("%(count)s h", count=round(seconds / 3600))


router = Router("", route_handlers=[show])
