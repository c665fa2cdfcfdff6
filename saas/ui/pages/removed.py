"""What changes of the configuration do to records, and what they leave behind: work that is under way, and things removed.

Who: an admin who wonders how far the conversion is, which records could not follow, or whether the field somebody removed in March
can come back. What next: let it rest or go on, repair the records named, bring something back into the draft, or purge it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import AppError, Conflict, InvalidInput, NotFound
from saas.i18n import gettext as _
from saas.i18n import ngettext, pick, titled
from saas.metadata import edits
from saas.metadata.kinds import field_types
from saas.runtime import backfill, execute, jobs, permissions, removed
from saas.runtime import operations as ops
from saas.runtime.backfill import Step
from saas.runtime.worker import run_for
from saas.tenants import list_users
from saas.ui import formats
from saas.ui.builder.desk import Desk, open_desk
from saas.ui.guards import Ask
from saas.ui.pages.settings import open_settings, show_settings
from saas.ui.settings_views import job_status
from saas.ui.views import Toast

PURGE_SECONDS = 2.0  # so long the answer waits: little is gone at once
SHOWN = 50

# ---- changes to records --------------------------------------------------------------------------------------------------


@get("/settings/data-changes")
async def data_changes(request: Request) -> Response[Any]:
    """Running and past work on records, newest first; refreshes itself while something runs."""
    ask = await open_settings(request, "config")
    found = [job for kind in (backfill.KIND, removed.KIND) for job in await jobs.list_of_kind(ask.ctx, kind, limit=SHOWN)]
    names = {u["id"]: u["name"] for u in await list_users(ask.ctx.tenant_id)}
    rows = [_row(ask, job, names) for job in sorted(found, key=lambda j: j.created_at, reverse=True)[:SHOWN]]
    if ask.target == "data-changes":
        return ask.fragment("settings/_data_changes.html", rows=rows, live=any(r["live"] for r in rows))
    return await show_settings(ask, "data_changes", "data-changes", rows=rows, live=any(r["live"] for r in rows))


def _row(ask: Ask, job: jobs.JobInfo, names: Mapping[UUID | None, str]) -> dict[str, Any]:
    text, color = job_status(job.status)
    lines = job.report()
    revision = job.payload.get("revision")
    return {
        "id": str(job.id), "kind": job.label, "status": text, "color": color, "progress": job.progress, "total": job.total or 0, "who": names.get(job.created_by, ""),
        "at": formats.full(ask.ctx, job.created_at), "finished": formats.full(ask.ctx, job.finished_at) if job.finished_at else "", "lines": lines, "revision": revision,
        "name": _("Revision %(number)s", number=revision) if revision else job.label, "error": _(job.error) if job.error else "", "live": job.status in ("queued", "running"),
        "can_pause": job.status in ("queued", "running"), "can_resume": job.status == "paused", "can_cancel": not job.is_over, "can_retry": job.can_retry,
        "undone": ngettext("%(count)s part is not done.", "%(count)s parts are not done.", count) if job.status == "cancelled" and (count := sum(x.state == "undone" for x in lines)) else "",
    }  # fmt: skip


@get("/settings/data-changes/{job_id:uuid}")
async def data_change(request: Request, job_id: FromPath[UUID]) -> Response[Any]:
    """One of them, with the records that could not follow, as far as this person may read them."""
    ask = await open_settings(request, "config")
    job = await jobs.get_job(ask.ctx, job_id)
    if job.kind not in (backfill.KIND, removed.KIND):
        raise NotFound()
    names = {u["id"]: u["name"] for u in await list_users(ask.ctx.tenant_id)}
    row = _row(ask, job, names)
    if ask.target == "data-change":
        return ask.fragment("settings/_data_change.html", row=row, problems=await _problems(ask, job))
    return await show_settings(ask, "data_change", "data-changes", row=row, problems=await _problems(ask, job))


async def _problems(ask: Ask, job: jobs.JobInfo) -> list[dict[str, Any]]:
    """Groups of records that kept something the change did not want."""
    found = []
    memories = (job.result or {}).get("steps") or []
    for raw, memory in zip(job.payload.get("steps") or (), memories, strict=False):
        step = Step.from_json(raw)
        for what, title in (
            ("collided", _("Same value as another record")), ("failed_ids", _("No value could be computed")), ("lost_ids", _("Value could not be converted")),
        ):  # fmt: skip
            ids = [c["id"] if isinstance(c, Mapping) else c for c in memory.get(what, ())]
            if ids:
                name = titled(pick(step.names.get("entity") or {}), pick(step.names.get("field") or {}))
                found.append({"title": titled(name, title), "records": await _records(ask, step.entity, ids), "count": memory.get({"collided": "collisions"}.get(what, what[:-4]), len(ids))})
    return found


async def _records(ask: Ask, entity: str, ids: Sequence[str]) -> list[dict[str, str]]:
    if entity not in ask.ctx.config.entities or not permissions.may(ask.ctx, "read", entity):
        return []
    page = await execute(ask.ctx, ops.List(entity=entity, filter={"field": "id", "op": "in", "value": list(ids)[:SHOWN]}, fields=[], limit=SHOWN))
    return [{"title": r.title, "url": f"/r/{entity}/{r.id}"} for r in page.records]


# ---- removed -------------------------------------------------------------------------------------------------------------


@get("/settings/removed")
async def listing(request: Request) -> Response[Any]:
    return await _listing(await open_desk(request))


async def _listing(desk: Desk, *, error: str = "", status: int = 200) -> Response[Any]:
    found = await removed.removed(desk.ask.ctx)
    rows = [_item(desk, item) for item in found]
    return await desk.page("settings/removed", "removed", status=status, error=error, entities=[r for r in rows if r["kind"] == "entity"], fields=[r for r in rows if r["kind"] != "entity"])


def _item(desk: Desk, item: removed.Removed) -> dict[str, Any]:
    kind = field_types.find(item.type)
    type_ = str(kind.label) if kind else item.type
    path = f"entities[{item.entity}]" + (f".fields[{item.field}]" if item.field else "")
    return {
        "id": item.id, "kind": item.kind, "name": pick(item.label, desk.locale), "key": item.field or item.entity, "entity": pick(item.entity_label, desk.locale), "type": type_,
        "count": _count(item), "since": item.since, "at": formats.full(desk.ask.ctx, item.removed_at) if item.removed_at else "", "can_restore": item.can_restore,
        "in_draft": item.kind != "values" and edits.find(desk.raw, path) is not None,
    }  # fmt: skip


def _count(item: removed.Removed) -> str:
    if not item.is_exact:
        return _("%(count)s or more", count=f"{item.count:,}")
    if item.kind == "entity":
        return ngettext("%(count)s record", "%(count)s records", item.count)
    return ngettext("%(count)s value", "%(count)s values", item.count) if item.count else _("no values")


@post("/settings/removed/restore", status_code=200)
async def restore(request: Request) -> Response[Any]:
    """Into the draft, as it last was; what it refers to and is gone, too."""
    desk = await open_desk(request)
    item = await removed.find(desk.ask.ctx, str((await desk.ask.form()).get("item") or ""))
    parts = await removed.restore(desk.ask.ctx, item, desk.raw)
    if item.field and edits.find(desk.raw, f"entities[{item.entity}]") is None:
        return await _listing(desk, error=_("“%(name)s” is not in your draft. Bring it back first.", name=pick(item.entity_label, desk.locale)), status=409)
    raw: Mapping[str, Any] = desk.raw
    for part in parts:
        raw = edits.put(raw, part.path, part.raw)
    name = pick(item.label, desk.locale)
    await desk.take(raw, _("Brought back: %(name)s", name=name))
    url = f"/settings/entities/{item.entity}" + (f"/fields/{item.field}" if item.field else "")
    return desk.done(url, _("“%(name)s” is in your draft again. Publish it, and its values are shown again.", name=name))


@get("/settings/removed/purge")
async def ask_purge(request: Request) -> Response[Any]:
    """What would be destroyed, counted; to go on, the name has to be typed."""
    desk = await open_desk(request)
    return await _purge_page(desk, await removed.find(desk.ask.ctx, request.query_params.get("item", "")))


async def _purge_page(desk: Desk, item: removed.Removed, *, error: str = "", typed: str = "", status: int = 200) -> Response[Any]:
    return await desk.page("settings/removed_purge", "removed", status=status, row=_item(desk, item), error=error, typed=typed)


@post("/settings/removed/purge", status_code=200)
async def purge(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    form = await desk.ask.form()
    typed = str(form.get("name") or "")
    item = await removed.find(desk.ask.ctx, str(form.get("item") or ""))
    try:
        job_id = await removed.purge(desk.ask.ctx, item, typed=typed)
    except (InvalidInput, Conflict) as error:
        return await _purge_page(desk, item, error=_words(error), typed=typed, status=error.status)
    job = await run_for(desk.ask.ctx, job_id, PURGE_SECONDS)
    name = pick(item.label, desk.locale)
    if job.status == "done":
        return desk.ask.redirect("/settings/removed", Toast(_("“%(name)s” is purged.", name=name)))
    return desk.ask.redirect(f"/settings/data-changes/{job_id}", Toast(_("“%(name)s” is being purged.", name=name)))


def _words(error: AppError) -> str:
    return " ".join(str(p.message) for p in error.problems) or str(error.message)


router = Router("", route_handlers=[data_changes, data_change, listing, restore, ask_purge, purge])
