"""Merging records over HTTP: comparing, merging, looking at a merge, undoing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from saas.db import tenant_transaction
from saas.errors import BadRequest
from saas.i18n import lazy
from saas.runtime import execute, jobs, permissions, twins
from saas.runtime import operations as ops
from saas.runtime.merge_later import merge_or_later
from saas.runtime.merging import ALL, MOST_RECORDS
from saas.runtime.records import entity_of
from saas.ui.api import access, shapes
from saas.ui.api.records import ids_of, record_id


@post("/records/{entity:str}/merge", status_code=200)
async def merge_records(request: Request, entity: FromPath[str]) -> Response[Any]:
    """{"survivor", "losers", "choices"?: {field: id or "all"}, "winner"?, "versions"?: {id: n}, "preview"?: true}. Where very much belongs to them: 202 with the job."""
    ctx = await access.context(request)
    permissions.require(ctx, "merge", entity_of(ctx, entity).key)
    body = await access.body(request)
    survivor, losers = access.identifier(str(body.get("survivor") or ""), "survivor"), ids_of(body, "losers", most=MOST_RECORDS)
    winner = body.get("winner")
    if winner not in (None, "survivor", "newest"):
        raise BadRequest(lazy("“%(name)s” must be one of: %(choices)s.", name="winner", choices="survivor, newest"), field="winner")
    choices = {key: ALL if value == ALL else access.identifier(str(value), "choices") for key, value in _object(body, "choices").items()}
    if body.get("preview") is True:
        sheet = await execute(ctx, ops.CompareForMerge(entity=entity, survivor=survivor, losers=losers, choices=choices, winner=winner))
        return access.answer(_sheet(sheet))
    versions: dict[UUID, int] = {}
    for key, value in _object(body, "versions").items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise BadRequest(lazy("“version” must be the version number you read."), field="versions")
        versions[access.identifier(key, "versions")] = value
    change = await merge_or_later(ctx, ops.Merge(entity=entity, survivor=survivor, losers=losers, choices=choices, winner=winner, versions=versions))
    if isinstance(change, UUID):
        return access.answer({"job": (await jobs.get_job(ctx, change)).to_json()}, 202)
    return access.answer({**shapes.change(change), "merge": str(change.merge)})


def _object(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = body.get(name) or {}
    if not isinstance(found, dict) or len(found) > 400:
        raise BadRequest(lazy("“%(name)s” must be an object.", name=name), field=name)
    return found


def _sheet(sheet: ops.MergeSheet) -> dict[str, Any]:
    return {
        "survivor": str(sheet.survivor), "records": [shapes.record(r) for r in sheet.records], "undo_days": sheet.undo_days,
        "fields": [
            {"field": f.key, "label": f.label, "texts": {str(i): t for i, t in f.texts.items()}, "chosen": f.chosen, "holds_several": f.holds_several, "may_choose": f.may_choose, "differs": f.differs}
            for f in sheet.fields
        ],
        "children": {str(i): [{"label": label, "count": count} for label, count in found] for i, found in sheet.children.items()},
    }  # fmt: skip


@get("/records/{entity:str}/merges/{rid:str}")
async def get_merge(request: Request, entity: FromPath[str], rid: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    past = await execute(ctx, ops.GetMerge(entity=entity, merge=record_id(rid)))
    return access.answer({
        "id": str(past.id), "survivor": str(past.survivor), "losers": [{"id": str(i), "title": t} for i, t in zip(past.losers, past.titles, strict=True)], "at": shapes.moment(past.at),
        "undo_until": shapes.moment(past.undo_until), "undone_at": shapes.moment(past.undone_at), "fields": list(past.changed), "records_led": past.moved,
    })  # fmt: skip


@post("/records/{entity:str}/merges/{rid:str}/undo", status_code=200)
async def undo_merge(request: Request, entity: FromPath[str], rid: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    change = await merge_or_later(ctx, ops.UndoMerge(entity=entity, merge=record_id(rid)))
    if isinstance(change, UUID):
        return access.answer({"job": (await jobs.get_job(ctx, change)).to_json()}, 202)
    return access.answer(shapes.change(change))


@get("/records/{entity:str}/twins")
async def list_twins(request: Request, entity: FromPath[str]) -> Response[Any]:
    """Groups of records that may be the same: `rule`, `mine`."""
    ctx = await access.context(request)
    found = entity_of(ctx, entity)
    async with tenant_transaction(ctx.tenant_id, only_reads=True) as conn:
        groups, more = await twins.twin_groups(conn, ctx, found, rule=request.query_params.get("rule") or None, mine=access.flag(request, "mine"))
    return access.answer({"data": [{"records": [shapes.record(r) for r in g.records], "rules": list(g.rules), "score": g.score} for g in groups], "more": more})


@post("/records/{entity:str}/twins/search", status_code=202)
async def search_twins(request: Request, entity: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    found = entity_of(ctx, entity)
    async with tenant_transaction(ctx.tenant_id) as conn:
        job_id = await twins.start_search(conn, ctx, found)
    jobs.ring()
    return access.answer({"job": (await jobs.get_job(ctx, job_id)).to_json() if job_id else None}, 202)


@post("/records/{entity:str}/twins/dismiss", status_code=204)
async def dismiss_twins(request: Request, entity: FromPath[str]) -> None:
    """{"ids"}: they are not the same."""
    ctx = await access.context(request)
    permissions.require(ctx, "merge", entity_of(ctx, entity).key)
    body = await access.body(request)
    async with tenant_transaction(ctx.tenant_id) as conn:
        await twins.dismiss(conn, ctx, entity_of(ctx, entity), ids_of(body, "ids", most=20))


HANDLERS = [merge_records, get_merge, undo_merge, list_twins, search_twins, dismiss_twins]
