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
from saas.runtime import operations as ops
from saas.runtime import permissions, statements
from saas.runtime.transfer import note_export
from saas.ui import formats, values
from saas.ui.api.records import record_id
from saas.ui.guards import signed_in
from saas.ui.views import Choice, Toast

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@get("/statements/{key:str}", limit="report")
async def show(request: Request, key: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    ctx, query = ask.ctx, request.query_params
    party = record_id(query["party"]) if query.get("party") else None
    async with ask.work():
        found = await statements.make(ctx, key, period=query.get("period") or None, party=party)
        everybody = found if party is None else await statements.make(ctx, key, period=found.period)
        records, more = await statements.records_of(ctx, found, party)
    url, defn = f"/statements/{key}", found.defn
    kept = {"party": str(party)} if party else {}

    def at(steps: int) -> str:
        return f"{url}?{urlencode({'period': statements.period_of(defn, statements.moved(defn, found.first, steps)), **kept})}"

    entity = ctx.config.entity(defn.entity)
    rows = [{"name": x.name, "count": x.count_text, "amount": x.amount_text, "url": f"{url}?{urlencode({'period': found.period, 'party': x.party})}", "closed": f"/r/{defn.closings}/{x.closed}" if x.closed else ""} for x in found.lines]
    chosen = [Choice(x.party, x.name, x.party == str(party or "")) for x in everybody.lines]
    if party is not None and not any(c.on for c in chosen):
        chosen.append(Choice(str(party), "–", True))
    columns = statements.listed_columns(ctx, defn)
    details = [{"url": f"/r/{entity.key}/{r.id}", "cells": [values.cell(ctx, entity, f.key, r, link=i == 0) for i, f in enumerate(columns)]} for r in records]
    return ask.page(
        "reports/statement.html", parties=chosen if len(chosen) > 1 or party is not None else (), details=details, columns=[values.column(ctx, f) for f in columns], more=more, plural=pick(entity.defn.plural, ctx.locale), url=url, title=found.label, description=pick(defn.description, ctx.locale), period=found.period, days=f"{formats.day(ctx, found.first)} – {formats.day(ctx, found.last)}",
        earlier=at(-1), later=at(1) if found.last < ctx.today else "", rows=rows, total={"count": found.total.count_text, "amount": found.total.amount_text},
        party_label=pick(entity.fields[defn.party].label, ctx.locale), export_url=f"{url}/export?{urlencode({'period': found.period, **kept})}", close_url=f"{url}/close" if found.may_close and not party else "",
        all_url=f"{url}?{urlencode({'period': found.period})}" if party else "",
    )  # fmt: skip


@get("/statements/{key:str}/export", limit="export")
async def export(request: Request, key: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    query = request.query_params
    async with ask.work() as conn:
        party = record_id(query["party"]) if query.get("party") else None
        found = await statements.make(ask.ctx, key, period=query.get("period") or None, party=party)
        records: list[ops.Record] = []
        # The figures are theirs to read; the records behind them leave as an export does.
        if permissions.may(ask.ctx, "export", found.defn.entity) and (columns := statements.listed_columns(ask.ctx, found.defn)):
            records, _more = await statements.records_of(ask.ctx, found, party, limit=statements.MOST_LISTED, right="export")
            await note_export(conn, ask.ctx, found.defn.entity, "xlsx", [f.key for f in columns])
    headers = {"content-disposition": f'attachment; filename="{found.defn.key}-{found.period}.xlsx"', "cache-control": "no-store"}
    return Response(statements.sheet(ask.ctx, found, records), media_type=XLSX, headers=headers)


@post("/statements/{key:str}/close", status_code=200)
async def close(request: Request, key: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    period = str((await ask.form()).get("period") or "")
    async with ask.work():
        found = await statements.close(ask.ctx, key, period)
    return ask.redirect(f"/statements/{key}?{urlencode({'period': found.period})}", Toast(_("%(period)s is closed.", period=found.period)))


router = Router("", route_handlers=[show, export, close])
