"""Statements over HTTP: what is settled with whom for a period, and closing it."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from saas.errors import BadRequest
from saas.i18n import lazy, pick
from saas.runtime import statements
from saas.ui.api import access
from saas.ui.api.records import once, record_id


@get("/statements")
async def list_statements(request: Request) -> Response[Any]:
    ctx = await access.context(request)
    return access.answer({"data": [{"key": s.key, "label": pick(s.label, ctx.locale), "entity": s.entity, "period": s.period} for s in statements.statements_of(ctx)], "next": None})


@get("/statements/{key:str}", limit="report")
async def get_statement(request: Request, key: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    asked = request.query_params
    party = record_id(asked["party"]) if asked.get("party") else None
    found = await statements.make(ctx, key, period=asked.get("period") or None, party=party)
    records, more = await statements.records_of(ctx, found, party)
    columns = [f.key for f in statements.listed_columns(ctx, found.defn)]
    return access.answer({**shape(found), "records": [{"id": str(r.id), "values": {k: r.values.get(k) for k in columns}} for r in records], "more": more})


def shape(found: statements.Statement) -> dict[str, Any]:
    lines = [{"party": x.party, "name": x.name, "count": float(x.count), "amount": x.amount, "closed": x.closed} for x in found.lines]
    return {
        "key": found.defn.key, "label": found.label, "period": found.period, "first": found.first.isoformat(), "last": found.last.isoformat(),
        "data": lines, "total": {"count": float(found.total.count), "amount": found.total.amount}, "next": None,
    }  # fmt: skip


@post("/statements/{key:str}/close", status_code=200)
async def close_statement(request: Request, key: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    body = await access.body(request)
    period = body.get("period")
    if not isinstance(period, str):
        raise BadRequest(lazy("“%(name)s” must be a text.", name="period"), field="period")

    async def run() -> tuple[int, dict[str, Any]]:
        return 200, shape(await statements.close(ctx, key, period))

    status, content = await once(ctx, request, body, run)
    return access.answer(content, status)


HANDLERS = [list_statements, get_statement, close_statement]
