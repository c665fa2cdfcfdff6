"""Statements: what is settled with each partner for a period.

Who: whoever pays partners at the end of a month, and each partner for themselves. What next: they take the Excel file along, and close the
month.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.i18n import gettext as _
from saas.i18n import pick
from saas.runtime import statements
from saas.ui import formats
from saas.ui.api.records import record_id
from saas.ui.guards import signed_in
from saas.ui.views import Toast

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@get("/statements/{key:str}", limit="report")
async def show(request: Request, key: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    ctx, query = ask.ctx, request.query_params
    party = record_id(query["party"]) if query.get("party") else None
    async with ask.work():
        found = await statements.make(ctx, key, period=query.get("period") or None, party=party)
    url, defn = f"/statements/{key}", found.defn
    kept = {"party": str(party)} if party else {}

    def at(steps: int) -> str:
        return f"{url}?{urlencode({'period': statements.period_of(defn, statements.moved(defn, found.first, steps)), **kept})}"

    entity = ctx.config.entity(defn.entity)
    rows = [{"name": x.name, "count": x.count_text, "amount": x.amount_text, "url": f"{url}?{urlencode({'period': found.period, 'party': x.party})}", "closed": f"/r/{defn.closings}/{x.closed}" if x.closed else ""} for x in found.lines]
    return ask.page(
        "reports/statement.html", title=found.label, description=pick(defn.description, ctx.locale), period=found.period, days=f"{formats.day(ctx, found.first)} – {formats.day(ctx, found.last)}",
        earlier=at(-1), later=at(1) if found.last < ctx.today else "", rows=rows, total={"count": found.total.count_text, "amount": found.total.amount_text},
        party_label=pick(entity.fields[defn.party].label, ctx.locale), export_url=f"{url}/export?{urlencode({'period': found.period, **kept})}", close_url=f"{url}/close" if found.may_close and not party else "",
        all_url=f"{url}?{urlencode({'period': found.period})}" if party else "",
    )  # fmt: skip


@get("/statements/{key:str}/export", limit="export")
async def export(request: Request, key: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    query = request.query_params
    async with ask.work():
        found = await statements.make(ask.ctx, key, period=query.get("period") or None, party=record_id(query["party"]) if query.get("party") else None)
    headers = {"content-disposition": f'attachment; filename="{found.defn.key}-{found.period}.xlsx"', "cache-control": "no-store"}
    return Response(statements.sheet(ask.ctx, found), media_type=XLSX, headers=headers)


@post("/statements/{key:str}/close", status_code=200)
async def close(request: Request, key: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    period = str((await ask.form()).get("period") or "")
    async with ask.work():
        found = await statements.close(ask.ctx, key, period)
    return ask.redirect(f"/statements/{key}?{urlencode({'period': found.period})}", Toast(_("%(period)s is closed.", period=found.period)))


router = Router("", route_handlers=[show, export, close])
