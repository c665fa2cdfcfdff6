"""Drawings over HTTP: the bars, branches and links that a page would draw, as data."""

from __future__ import annotations

from typing import Any

from litestar import Request, get
from litestar.params import FromPath
from litestar.response import Response

from saas.i18n import pick
from saas.runtime import charts, execute
from saas.runtime import operations as ops
from saas.ui.api import access
from saas.ui.api.records import record_id


@get("/charts")
async def list_charts(request: Request) -> Response[Any]:
    ctx = await access.context(request)
    data = [{"key": c.key, "label": pick(c.label, ctx.locale), "entity": c.entity, "kind": c.kind, "of_a_record": charts.is_on_records(c)} for c in charts.charts_of(ctx)]
    return access.answer({"data": data, "next": None})


@get("/charts/{key:str}", limit="report")
async def get_chart(request: Request, key: FromPath[str]) -> Response[Any]:
    """`record`: the id of the record whose drawing it is."""
    ctx = await access.context(request)
    chart = charts.chart_called(ctx, key)
    asked = request.query_params.get("record")
    record = (await execute(ctx, ops.Get(entity=chart.entity, id=record_id(asked)))).id if asked else None
    return access.answer({"key": chart.key, "label": pick(chart.label, ctx.locale), **charts.as_json(await charts.draw(ctx, chart, record))})


HANDLERS = [list_charts, get_chart]
