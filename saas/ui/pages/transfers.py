"""Records in and out as spreadsheets: export of a list, the import wizard, the page of a running job."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath

from saas.errors import AppError, Conflict, InvalidInput, NotFound, PayloadTooLarge, PlanLimitReached
from saas.i18n import gettext as _
from saas.i18n import ngettext, pick, sentences
from saas.i18n import noop as N_
from saas.metadata.config import Entity
from saas.runtime import files, handing_over, jobs, permissions, transfer
from saas.runtime.records import entity_of
from saas.ui import filters
from saas.ui.guards import Ask, local_path, signed_in
from saas.ui.listing import open_listing
from saas.ui.views import Choice, Toast

UPLOAD_BYTES = 64 * 1024 * 1024
TABLE_BYTES = 50 * 1024 * 1024
TABLES = ("csv", "tsv", "txt", "xlsx")
PREVIEW_COLUMNS = 8


# ---- export ------------------------------------------------------------------------------------------------------------


@get("/r/{entity:str}/export")
async def ask_export(request: Request, entity: FromPath[str]) -> Response[Any]:
    """Which format, which columns; filters and search of the list come along in the address."""
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    permissions.require(ask.ctx, "export", found.key)
    async with ask.work():
        pass
    data = {"title": _("Export: %(name)s", name=pick(found.defn.plural, ask.ctx.locale)), "entity": found.key, "query": request.url.query}
    if ask.target == "dialog":
        return ask.fragment("transfers/_export.html", dialog=True, **data)
    return ask.page("transfers/export.html", dialog=False, **data)


@post("/r/{entity:str}/export", status_code=200)
async def start_export(request: Request, entity: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    ctx, found, form = ask.ctx, entity_of(ask.ctx, entity), await ask.form()
    format_ = "csv" if form.get("format") == "csv" else "xlsx"
    async with ask.work() as conn:
        listing = await open_listing(conn, ctx, found, f"/r/{found.key}", request.query_params, kind="list")
    state = listing.state
    columns = listing.columns() if form.get("columns") == "shown" else None
    job = await transfer.start_export(
        ctx, found.key, format=format_, columns=columns, filter=filters.filter_json(ctx, found, state), view=listing.view.key or None, q=state.q or None,
        sort=listing.sort() or None,
    )  # fmt: skip
    return ask.redirect(f"/jobs/{job.id}")


# ---- import ------------------------------------------------------------------------------------------------------------


@get("/r/{entity:str}/import")
async def choose_table(request: Request, entity: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    permissions.require(ask.ctx, "import", found.key)
    return await _upload_page(ask, found)


async def _upload_page(ask: Ask, entity: Entity, *, error: str = "", status: int = 200) -> Response[Any]:
    async with ask.work():
        pass
    title = _("Import: %(name)s", name=pick(entity.defn.plural, ask.ctx.locale))
    return ask.page("transfers/upload.html", status=status, title=title, entity=entity.key, plural=pick(entity.defn.plural, ask.ctx.locale), error=error)


@post("/r/{entity:str}/import", status_code=200, request_max_body_size=UPLOAD_BYTES)
async def take_table(request: Request, entity: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    found, form = entity_of(ask.ctx, entity), await ask.form()
    permissions.require(ask.ctx, "import", found.key)
    upload = form.get("file")
    if not isinstance(upload, UploadFile) or not upload.filename:
        return await _upload_page(ask, found, error=_("Choose a file first."), status=422)

    async def parts() -> AsyncIterator[bytes]:
        while part := await upload.read(files.CHUNK):
            yield part

    try:
        info = await files.store(ask.ctx, upload.filename, parts(), max_bytes=TABLE_BYTES, accept=TABLES, field_key="file")
        await transfer.preview_import(ask.ctx, info.id, {"entity": found.key})
    except (InvalidInput, PayloadTooLarge, PlanLimitReached) as error:
        text = sentences(p.message for p in error.problems) or str(error.message)
        return await _upload_page(ask, found, error=text, status=error.status)
    return ask.redirect(f"/r/{found.key}/import/{info.id}")


@get("/r/{entity:str}/import/{file_id:uuid}")
async def map_columns(request: Request, entity: FromPath[str], file_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    return await _mapping_page(ask, entity_of(ask.ctx, entity), file_id, {})


@post("/r/{entity:str}/import/{file_id:uuid}", status_code=200)
async def run_import(request: Request, entity: FromPath[str], file_id: FromPath[UUID]) -> Response[Any]:
    """`act` check: show again what would happen; run: do it."""
    ask = await signed_in(request)
    ctx, found, form = ask.ctx, entity_of(ask.ctx, entity), await ask.form()
    mapping = {key[4:]: str(value) for key, value in form.multi_items() if key.startswith("col.") and str(value)}
    raw: dict[str, Any] = {"mapping": mapping, "duplicates": str(form.get("duplicates") or "create"), "confirm": form.get("confirm") == "1"}
    if raw["duplicates"] != "create":
        raw["match"] = str(form.get("match") or "")
    if form.get("act") != "run":
        return await _mapping_page(ask, found, file_id, raw)
    try:
        job = await transfer.start_import(ctx, file_id, {"entity": found.key, **raw})
    except AppError as error:
        if error.status >= 500:
            raise
        return await _mapping_page(ask, found, file_id, raw, error=str(error.message), status=error.status)
    return ask.redirect(f"/jobs/{job.id}")


async def _mapping_page(ask: Ask, entity: Entity, file_id: UUID, raw: dict[str, Any], *, error: str = "", status: int = 200) -> Response[Any]:
    ctx = ask.ctx
    try:
        found = await transfer.preview_import(ctx, file_id, {"entity": entity.key, **raw})
    except (InvalidInput, Conflict) as problem:
        error, status = str(problem.message), problem.status
        found = await transfer.preview_import(ctx, file_id, {"entity": entity.key})
    except AppError as problem:
        if problem.status != 400 or not raw:
            raise
        error, status = str(problem.message), 422
        found = await transfer.preview_import(ctx, file_id, {"entity": entity.key})
    async with ask.work():
        pass
    columns = [
        {"column": c["column"], "header": c["header"] or _("Column %(number)s", number=c["column"] + 1), "sample": " · ".join(str(s) for s in c["sample"])[:80], "fields": [Choice(f["key"], f["label"] + (" *" if f["required"] else ""), f["key"] == c["field"]) for f in found["fields"]]}
        for c in found["columns"]
    ]  # fmt: skip
    labels = {f["key"]: f["label"] for f in found["fields"]}
    shown = [c["field"] for c in found["columns"] if c["field"]][:PREVIEW_COLUMNS]
    words = {"created": (_("create"), "green"), "updated": (_("update"), "blue"), "skipped": (_("skip"), "gray"), "failed": (_("problem"), "red"), "blank": (_("empty line"), "gray")}
    rows = [
        {"number": r["number"], "action": words[r["action"]][0], "color": words[r["action"]][1], "cells": [r["values"].get(k, "") for k in shown], "problems": sentences(p["message"] for p in r["problems"])}
        for r in found["rows"]
    ]  # fmt: skip
    return ask.page(
        "transfers/mapping.html", status=status, title=_("Import: %(name)s", name=pick(entity.defn.plural, ctx.locale)), entity=entity.key, plural=pick(entity.defn.plural, ctx.locale),
        file_id=file_id, columns=columns, rows=rows, heads=[labels[k] for k in shown], total=found["total"], error=error, duplicates=raw.get("duplicates", "create"),
        confirm=raw.get("confirm", False), matches=[Choice(f["key"], f["label"], f["key"] == raw.get("match")) for f in found["match_fields"]],
    )  # fmt: skip


# ---- jobs --------------------------------------------------------------------------------------------------------------


@get("/jobs/{job_id:uuid}")
async def show_job(request: Request, job_id: FromPath[UUID]) -> Response[Any]:
    """How far it is, then what came of it; refreshes itself while it runs."""
    ask = await signed_in(request)
    async with ask.work():
        job = await jobs.get_job(ask.ctx, job_id)
    view = _job_view(ask, job)
    if ask.target == "job":
        return ask.fragment("transfers/_job.html", job=view)
    return ask.page("transfers/job.html", job=view)


def _job_view(ask: Ask, job: jobs.JobInfo) -> dict[str, Any]:
    result = dict(job.result or {})
    words = {"queued": (_("Waiting"), "gray"), "running": (_("Running"), "blue"), "paused": (_("Paused"), "yellow"), "done": (_("Done"), "green"), "failed": (_("Failed"), "red"), "cancelled": (_("Cancelled"), "gray")}
    text, color = words.get(job.status, (job.status, "gray"))
    counts = [(name, result[key]) for key, name in (("created", _("Created")), ("updated", _("Updated")), ("skipped", _("Skipped")), ("failed", _("Failed")), ("done", _("Done"))) if isinstance(result.get(key), int)]
    errors = [{"row": e.get("row", ""), "message": e.get("message", "")} for e in result.get("errors", []) if isinstance(e, dict)][:100]
    entity = (job.payload.get("plan") or {}).get("entity") or job.payload.get("entity")
    return {
        "id": str(job.id), "title": job.label, "status": text, "color": color, "over": job.is_over, "progress": job.progress, "total": job.total or 0, "counts": counts,
        "errors": errors, "error": _(job.error) if job.error else "", "file": f"/files/{result['file_id']}?download=1" if job.status == "done" and result.get("file_id") else "",
        "file_note": ngettext("%(count)s row", "%(count)s rows", result.get("rows", 0)) if result.get("file_id") else "", "failed_rows": bool(errors) and job.is_over and job.kind == "import_records",
        "back": f"/r/{entity}" if entity in ask.ctx.config.entities else "/settings/data-changes" if job.report() else "/", "can_cancel": not job.is_over, "can_pause": job.status in ("queued", "running"),
        "can_resume": job.status == "paused", "can_retry": job.can_retry, "can_undo": job.kind == handing_over.KIND and job.is_over and job.created_by == ask.ctx.user_id and "undo" not in job.payload and bool(result.get("moved")), "live": job.status in ("queued", "running"), "lines": job.report(),
    }  # fmt: skip


@post("/jobs/{job_id:uuid}/cancel", status_code=200)
async def cancel(request: Request, job_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    form = await ask.form()
    await jobs.cancel_job(ask.ctx, job_id)
    return ask.redirect(local_path(str(form.get("next") or ""), f"/jobs/{job_id}"), Toast(_("Stopped. What was done before stays.")))


@post("/jobs/{job_id:uuid}/{act:str}", status_code=200)
async def steer(request: Request, job_id: FromPath[UUID], act: FromPath[str]) -> Response[Any]:
    """Pause, resume, retry; `next` says which page to come back to."""
    ask = await signed_in(request)
    if act not in STEERING:
        raise NotFound()
    form = await ask.form()
    change, words = STEERING[act]
    await change(ask.ctx, job_id)
    return ask.redirect(local_path(str(form.get("next") or ""), f"/jobs/{job_id}"), Toast(_(words)))


STEERING = {
    "undo": (handing_over.take_back, N_("Taken back, as far as nobody gave it on.")),
    "pause": (jobs.pause_job, N_("Paused. What is done so far stays.")), "resume": (jobs.resume_job, N_("It goes on from where it stopped.")),
    "retry": (jobs.retry_job, N_("It goes on from where it stopped.")),
}  # fmt: skip


@get("/jobs/{job_id:uuid}/failed-rows")
async def failed_rows(request: Request, job_id: FromPath[UUID]) -> Response[bytes]:
    ask = await signed_in(request)
    content = await transfer.failed_rows(ask.ctx, job_id)
    headers = {"content-disposition": 'attachment; filename="failed-rows.xlsx"', "cache-control": "no-store"}
    return Response(content, media_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", headers=headers)


router = Router("", route_handlers=[ask_export, start_export, choose_table, take_table, map_columns, run_import, show_job, cancel, steer, failed_rows])
