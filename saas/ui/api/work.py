"""Many records at once: search over everything, bulk acts, imports and exports with their jobs, and uploaded files."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

from litestar import Request, get, post
from litestar.datastructures import FormMultiDict, UploadFile
from litestar.params import FromPath
from litestar.response import Response, Stream

from saas.errors import AppError, BadRequest, FieldProblem, InvalidInput, NotFound
from saas.i18n import lazy, pick
from saas.runtime import Context, archive, execute, files, jobs, transfer
from saas.runtime import operations as ops
from saas.runtime.bulk import bulk
from saas.runtime.finding import Found, find_everywhere
from saas.runtime.permissions import require, require_active
from saas.runtime.records import entity_of
from saas.ui.api import access, bodies, records

MEGABYTE = 1024 * 1024
UPLOAD_BYTES = 64 * MEGABYTE  # what one request may carry in files; a field's own limit is usually lower
MAX_JSON_ROWS = 20_000
IMPORT_WORDS = ("mapping", "duplicates", "match", "confirm")

# ---- search ------------------------------------------------------------------------------------------------------------


@get("/search")
async def search(request: Request) -> Response[Any]:
    """Records of any kind that the caller may read and that have the words of `q`."""
    ctx = await access.context(request)
    limit = access.integer(request, "limit", 20, 100)
    found = await find_everywhere(ctx, request.query_params.get("q", ""), limit=limit)
    return access.answer({"data": [_hit(ctx, hit) for hit in found]})


def _hit(ctx: Context, found: Found) -> dict[str, Any]:
    return {
        "entity": found.entity, "label": pick(ctx.config.entity(found.entity).defn.label, ctx.locale), "id": str(found.record.id),
        "title": found.record.title, "subtitle": found.subtitle,
    }  # fmt: skip


# ---- bulk --------------------------------------------------------------------------------------------------------------


@post("/records/{entity:str}/upsert", status_code=200)
async def upsert_records(request: Request, entity: FromPath[str]) -> Response[Any]:
    """`{"by": unique rule, "rows": [{field: value}, …]}`: the same rows again change nothing."""
    ctx = await access.context(request)
    for right in ("create", "update"):
        require(ctx, right, entity_of(ctx, entity).key)
    body = await access.body(request)
    rows, by = body.get("rows"), body.get("by")
    if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
        raise BadRequest(lazy("“%(name)s” must be a list of objects.", name="rows"), field="rows")
    if not isinstance(by, str):
        raise BadRequest(lazy("“%(name)s” must be a text.", name="by"), field="by")
    found = await execute(ctx, ops.UpsertMany(entity=entity, by=by, rows=rows))
    results = [
        {"id": None, "status": "failed", "code": x.code, "message": str(x.message), "errors": [{"field": p.field, "code": p.code, "message": str(p.message)} for p in x.problems]}
        if isinstance(x, AppError) else {"id": str(x.id), "status": x.status}
        for x in found
    ]  # fmt: skip
    return access.answer({"results": results, "counts": {s: sum(r["status"] == s for r in results) for s in ("created", "changed", "same", "failed")}})


@post("/records/{entity:str}/bulk", status_code=200)
async def bulk_records(request: Request, entity: FromPath[str]) -> Response[Any]:
    """{"action", "ids" | "filter", "view", "q", "values"?, "key"?}: done and failed, or 202 with a job for very many."""
    ctx = await access.context(request)
    body = await access.body(request)
    action = _text(body, "action")
    if not action:
        raise BadRequest(lazy("Say what to do: “action” is update, delete, restore, transition, assign, claim or release."), field="action")
    values = body.get("values", {})
    if not isinstance(values, dict):
        raise BadRequest(lazy("“values” must be an object: {\"field\": value}."), field="values")
    ids = records.ids_of(body, "ids", most=20_000) if "ids" in body else None
    asked = {"filter": body.get("filter"), "view": _text(body, "view"), "q": _text(body, "q")}
    if ids is None and not any(asked.values()):  # never everything by an omission
        raise BadRequest(lazy("Say which records: “ids”, or a “filter”, “view” or “q”."), field="ids")
    if ids is not None and any(asked.values()):
        raise BadRequest(lazy("Send either “ids” or a “filter”, “view” or “q”, not both."), field="ids")
    found = await bulk(ctx, entity, action, ids=ids, values=values, key=_text(body, "key"), **asked)
    if "job" in found:
        return access.answer({"job": found["job"].to_json()}, 202)
    return access.answer(found)


def _text(body: Mapping[str, Any], name: str) -> str | None:
    found = body.get(name)
    if found is not None and not isinstance(found, str):
        raise BadRequest(lazy("“%(name)s” must be a text.", name=name), field=name)
    return found or None


# ---- exports and imports -----------------------------------------------------------------------------------------------


@post("/exports", status_code=200)
async def start_export(request: Request) -> Response[Any]:
    """{"entity", "format"?: xlsx | csv, "columns"?, "filter"?, "view"?, "q"?, "sort"?} -> a job, finished already when it is short."""
    ctx = await access.context(request)
    body = await access.body(request)
    found = await transfer.start_export(
        ctx, _entity(ctx, body), format=_text(body, "format") or "xlsx", columns=_texts(body, "columns"), filter=body.get("filter"),
        view=_text(body, "view"), q=_text(body, "q"), sort=_texts(body, "sort"),
    )  # fmt: skip
    return _job(found)


@post("/archives", status_code=202)
async def start_archive(request: Request) -> Response[Any]:
    """The whole workspace as one file, for administrators -> a job; its file is at /archives/{id}."""
    ctx = await access.context(request)
    return access.answer({"job": (await archive.start_archive(ctx)).to_json()}, 202)


@get("/archives/{jid:str}")
async def get_archive(request: Request, jid: FromPath[str]) -> Stream:
    """The file of such a job, once it is done, for a day."""
    ctx = await access.context(request)
    return _stream(await archive.archive_of(ctx, _job_id(jid)))


@post("/imports", status_code=200, request_max_body_size=UPLOAD_BYTES)
async def start_import(request: Request) -> Response[Any]:
    """A table as multipart (`file`, `entity`, `mapping`? as JSON, `duplicates`?, `match`?, `confirm`?, `preview`?) or as JSON
    ({"entity", "rows": [{column: value}], …}) -> a job, finished already when it is short; a preview changes nothing."""
    ctx = await access.context(request)
    require_active(ctx)
    if _is_multipart(request):
        form = await request.form()
        raw = {name: value for name, value in form.multi_items() if isinstance(value, str)}
        raw = {**raw, "mapping": _json_part(raw, "mapping"), "confirm": raw.get("confirm") in ("1", "true"), "preview": raw.get("preview") in ("1", "true")}
        entity = _entity(ctx, raw)
        upload = _upload(form)
        info = await files.store(ctx, upload.filename, _parts(upload), max_bytes=50 * MEGABYTE, accept=("csv", "tsv", "txt", "xlsx"), field_key="file")
    else:
        raw = await access.body(request)
        entity = _entity(ctx, raw)
        content = await asyncio.to_thread(_as_csv, _rows(raw))
        info = await files.store_bytes(ctx, "rows.csv", content)
    plan = {"entity": entity, **{name: _plan_word(raw, name) for name in IMPORT_WORDS}}
    if raw.get("preview") is True:
        return access.answer(await transfer.preview_import(ctx, info.id, plan))
    return _job(await transfer.start_import(ctx, info.id, plan))


def _entity(ctx: Context, body: Mapping[str, Any]) -> str:
    """The entity of a body, checked before any file is kept. Errors: BadRequest, NotFound."""
    key = _text(body, "entity")
    if not key:
        raise BadRequest(lazy("“entity” says which kind of records."), field="entity")
    if key not in ctx.config.entities:
        raise NotFound(lazy("There is nothing called “%(key)s” here.", key=key))
    return key


def _plan_word(raw: Mapping[str, Any], name: str) -> Any:
    found = raw.get(name)
    if name == "mapping":
        if found is not None and not (isinstance(found, dict) and all(isinstance(v, str | None) for v in found.values())):
            raise BadRequest(lazy("“mapping” must be an object: {\"column\": \"field\"}."), field="mapping")
    elif name == "confirm":
        if found is not None and not isinstance(found, bool):
            raise BadRequest(lazy("“%(name)s” must be true or false.", name=name), field=name)
    else:
        return _text(raw, name)
    return found


def _texts(body: Mapping[str, Any], name: str) -> list[str] | None:
    found = body.get(name)
    if isinstance(found, str):
        return [part.strip() for part in found.split(",") if part.strip()]
    if found is not None and not (isinstance(found, list) and len(found) <= 200 and all(isinstance(x, str) for x in found)):
        raise BadRequest(lazy("“%(name)s” must be a list of texts.", name=name), field=name)
    return found or None


def _rows(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = raw.get("rows")
    if not isinstance(rows, list) or not rows or len(rows) > MAX_JSON_ROWS or not all(isinstance(row, dict) for row in rows):
        raise BadRequest(lazy("“rows” must be a list of at most %(most)s objects.", most=MAX_JSON_ROWS), field="rows")
    return rows


def _as_csv(rows: list[dict[str, Any]]) -> bytes:
    """JSON rows as the table that the import reads; lists are written with semicolons, amounts of money as numbers."""
    headers = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(headers)
    writer.writerows([_cell(row.get(name)) for name in headers] for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return value["amount"] if "amount" in value else json.dumps(value, ensure_ascii=False)
    return ";".join(str(v) for v in value) if isinstance(value, list) else value


# ---- jobs --------------------------------------------------------------------------------------------------------------


def _job(info: jobs.JobInfo) -> Response[Any]:
    return access.answer(info.to_json(), 200 if info.is_over else 202, Location=f"/api/v1/jobs/{info.id}")


def _job_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound(lazy("There is no such job.")) from error


@get("/jobs")
async def list_jobs(request: Request) -> Response[Any]:
    """The caller's jobs, newest first; with `everybody` all of the workspace, for those who may see them."""
    ctx = await access.context(request)
    status = request.query_params.get("status") or None
    if status not in (None, "queued", "running", "paused", "done", "failed", "cancelled"):
        raise BadRequest(lazy("“status” is queued, running, paused, done, failed or cancelled."), field="status")
    found = await jobs.list_jobs(ctx, everybody=access.flag(request, "everybody"), status=status, limit=access.integer(request, "limit", 50, 200))
    return access.answer({"data": [info.to_json() for info in found]})


@get("/jobs/{jid:str}")
async def get_job(request: Request, jid: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    return access.answer((await jobs.get_job(ctx, _job_id(jid))).to_json())


@get("/jobs/{jid:str}/result")
async def job_result(request: Request, jid: FromPath[str]) -> Response[Any] | Stream:
    """The file a job made: the export, or the rows an import could not take. Other results come as JSON."""
    ctx = await access.context(request)
    info = await jobs.get_job(ctx, _job_id(jid))
    if info.status != "done":
        raise NotFound(lazy("This job has no result."))
    result = info.result or {}
    if "file_id" in result:
        return _stream(await files.open_file(ctx, UUID(result["file_id"]), download=True))
    if info.kind == "import_records" and result.get("errors"):
        content = await transfer.failed_rows(ctx, info.id)
        disposition = {"Content-Disposition": 'attachment; filename="failed-rows.xlsx"', "Cache-Control": "no-store"}
        return Response(content, media_type=transfer.FORMATS["xlsx"], headers=disposition)
    return access.answer(dict(result))


@post("/jobs/{jid:str}/cancel", status_code=200)
async def cancel_job(request: Request, jid: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    return access.answer((await jobs.cancel_job(ctx, _job_id(jid))).to_json())


@post("/jobs/{jid:str}/pause", status_code=200)
async def pause_job(request: Request, jid: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    return access.answer((await jobs.pause_job(ctx, _job_id(jid))).to_json())


@post("/jobs/{jid:str}/resume", status_code=200)
async def resume_job(request: Request, jid: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    return access.answer((await jobs.resume_job(ctx, _job_id(jid))).to_json())


@post("/jobs/{jid:str}/retry", status_code=200)
async def retry_job(request: Request, jid: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    return access.answer((await jobs.retry_job(ctx, _job_id(jid))).to_json())


# ---- files -------------------------------------------------------------------------------------------------------------


@post("/files", status_code=201, request_max_body_size=UPLOAD_BYTES)
async def upload_file(request: Request) -> Response[Any]:
    """Multipart with `entity`, `field` and one `file`: kept for its uploader until a record's field names its id."""
    ctx = await access.context(request)
    if not _is_multipart(request):
        raise bodies.UnsupportedMediaType(lazy("Send the file as “multipart/form-data”."), field="Content-Type")
    require_active(ctx)
    form = await request.form()
    given = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    entity, field = _entity(ctx, given), _text(given, "field")
    if not field:
        raise BadRequest(lazy("“field” says for which field the file is."), field="field")
    require(ctx, "read", entity)
    upload = _upload(form)
    return access.answer((await files.store_upload(ctx, entity, field, upload.filename, _parts(upload))).to_json(), 201)


@get("/files/{fid:str}")
async def get_file(request: Request, fid: FromPath[str]) -> Stream:
    ctx = await access.context(request)
    try:
        file_id = UUID(fid)
    except ValueError as error:
        raise NotFound(lazy("This file does not exist, or you may not see it.")) from error
    return _stream(await files.open_file(ctx, file_id, download=True))


def _stream(found: files.Download) -> Stream:
    return Stream(found.chunks(), media_type=found.content_type, headers={**found.headers, "Cache-Control": "private, no-store"})


def _is_multipart(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "multipart/form-data"


def _upload(form: FormMultiDict) -> UploadFile:
    found = [value for _name, value in form.multi_items() if isinstance(value, UploadFile) and value.filename]
    if len(found) != 1:
        raise InvalidInput([FieldProblem("file", "required", lazy("Send one file."), "/file")])
    return found[0]


def _json_part(raw: Mapping[str, str], name: str) -> Any:
    text = raw.get(name)
    return bodies.checked_object(text.encode()) if text else None


async def _parts(upload: UploadFile) -> AsyncIterator[bytes]:
    while part := await upload.read(files.CHUNK):
        yield part


HANDLERS = [
    upsert_records, search, bulk_records, start_export, start_archive, get_archive, start_import, list_jobs, get_job, job_result, cancel_job, pause_job, resume_job, retry_job, upload_file, get_file,
]  # fmt: skip
