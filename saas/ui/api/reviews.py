"""Review queues over HTTP: what waits, what one may be, deciding it."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from saas.db import tenant_transaction
from saas.errors import BadRequest
from saas.i18n import lazy, pick
from saas.runtime import execute, reviews
from saas.runtime import operations as ops
from saas.ui.api import access, shapes
from saas.ui.api.records import ids_of, record_id


@get("/reviews")
async def list_reviews(request: Request) -> Response[Any]:
    ctx = await access.context(request)
    async with tenant_transaction(ctx.tenant_id, only_reads=True) as conn:
        found = await reviews.queues(conn, ctx)
    return access.answer({"data": [{"key": q.review.key, "label": pick(q.review.label, ctx.locale), "entity": q.entity.key, "waiting": q.waiting} for q in found]})


@get("/reviews/{key:str}")
async def list_waiting(request: Request, key: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    review, entity = reviews.review_of(ctx, key)
    async with tenant_transaction(ctx.tenant_id, only_reads=True) as conn:
        found = await reviews.waiting(conn, ctx, review, entity)
    return access.answer({"data": [{"item": str(w.id), "since": shapes.moment(w.since), "record": shapes.record(w.record)} for w in found]})


@get("/reviews/{key:str}/{item:str}")
async def get_panel(request: Request, key: FromPath[str], item: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    review, entity = reviews.review_of(ctx, key)
    async with tenant_transaction(ctx.tenant_id, only_reads=True) as conn:
        panel = await reviews.panel(conn, ctx, review, entity, record_id(item))

    def candidate(found: reviews.Candidate) -> dict[str, Any]:
        return {"record": shapes.record(found.record), "why": [{"field": k, "score": s} for k, s in found.why], "item": str(found.item) if found.item else None}

    return access.answer({
        "item": str(panel.item), "record": shapes.record(panel.record), "targets": [candidate(c) for c in panel.targets], "sources": [candidate(c) for c in panel.sources],
        "cases": {case: {"transition": t.key, "label": pick(t.label, ctx.locale), "require": list(t.require), "ask": list(t.ask)} for case, t in panel.cases.items()},
    })  # fmt: skip


@post("/reviews/{key:str}/{item:str}", status_code=200)
async def decide(request: Request, key: FromPath[str], item: FromPath[str]) -> Response[Any]:
    """{"target"?: id, "sources"?: [items], "values"?: {}}."""
    ctx = await access.context(request)
    body = await access.body(request)
    review, entity = reviews.review_of(ctx, key)
    values = body.get("values", {})
    if not isinstance(values, dict):
        raise BadRequest(lazy("“values” must be an object: {\"field\": value}."), field="values")
    target = access.identifier(str(body["target"]), "target") if body.get("target") else None
    sources = ids_of(body, "sources", most=reviews.MOST_SOURCES) if "sources" in body else []
    change = await execute(ctx, ops.Decide(entity=entity.key, review=review.key, item=record_id(item), target=target, sources=sources, values=values))
    return access.answer({**shapes.change(change), "case": change.case})


HANDLERS = [list_reviews, list_waiting, get_panel, decide]
