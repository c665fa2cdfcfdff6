"""Paper: the document of a record and lists as tables, to print from the browser or to take along as a PDF.

Who: whoever needs a signature, a note for the warehouse, or a list for a meeting. What next: they print, or send the PDF. Of a record they may
read is printed what they may read; a list is taken along like any export.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from litestar import Request, Response, Router, get
from litestar.params import FromPath

from saas.db import tenant_transaction
from saas.i18n import listed, pick, titled
from saas.metadata.config import Entity
from saas.runtime import documents, execute, permissions
from saas.runtime import operations as ops
from saas.runtime.documents import Sheet
from saas.runtime.documents.typesetting import pdf
from saas.runtime.records import entity_of
from saas.runtime.transfer import note_export
from saas.ui import filters
from saas.ui.guards import Ask, signed_in
from saas.ui.listing import open_listing
from saas.ui.printed import pdf_response
from saas.ui.views import Link


async def _of_record(ask: Ask, entity: Entity, record_id: UUID, key: str) -> tuple[Sheet, str]:
    defn = documents.document_called(ask.ctx, entity, key)
    sheet = await documents.sheet_of(ask.ctx, defn, record_id)
    return sheet, pick(defn.label, ask.ctx.locale)


@get("/r/{entity:str}/{record_id:uuid}/documents/{key:str}", limit="report")
async def show(request: Request, entity: FromPath[str], record_id: FromPath[UUID], key: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    async with ask.work():
        sheet, label = await _of_record(ask, found, record_id, key)
        record = await execute(ask.ctx, ops.Get(entity=found.key, id=record_id))
        others = [Link(pick(d.label, ask.ctx.locale), f"/r/{found.key}/{record_id}/documents/{quote(d.key)}", current=d.key == key) for d in await documents.fitting(ask.ctx, found, record_id)]
    url = f"/r/{found.key}/{record_id}"
    return _page(ask, sheet, label, f"{url}/documents/{quote(key)}/pdf", Link(record.title, url), others if len(others) > 1 else [])


@get("/r/{entity:str}/{record_id:uuid}/documents/{key:str}/pdf", limit="export")
async def as_pdf(request: Request, entity: FromPath[str], record_id: FromPath[UUID], key: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    async with ask.work():
        sheet, label = await _of_record(ask, entity_of(ask.ctx, entity), record_id, key)
    return pdf_response(await pdf(sheet), f"{label} {sheet.subtitle}".strip())


async def _of_list(ask: Ask, request: Request, entity: Entity, format: str) -> tuple[Sheet, str]:
    """Many records that leave: the right to export and its scope, and a line in the audit log."""
    permissions.require(ask.ctx, "export", entity.key)
    async with ask.work() as conn:
        one = await open_listing(conn, ask.ctx, entity, f"/r/{entity.key}", request.query_params, kind="list")
        words = [f"{c.label} {c.op_text} {c.value_text}".strip() for c in await one.chips(conn)]
    asked = ops.List(entity=entity.key, view=one.view.key, filter=filters.filter_json(ask.ctx, entity, one.state), q=one.state.q or None, sort=one.order(), fields=one.columns(), right="export")
    title = titled(one.plural, pick(one.view.label, ask.ctx.locale)) if one.view.label else one.plural
    subtitle = listed([*([f"“{one.state.q}”"] if one.state.q else []), *words])
    sheet = await documents.list_sheet(ask.ctx, entity, title, one.columns(), asked, subtitle)
    async with tenant_transaction(ask.ctx.tenant_id) as conn:
        await note_export(conn, ask.ctx, entity.key, format, one.columns())
    return sheet, urlencode(one.state.params("after", "trail", "limit", "count"))


@get("/r/{entity:str}/print", limit="report")
async def show_list(request: Request, entity: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    sheet, query = await _of_list(ask, request, found, "print")
    tail = f"?{query}" if query else ""
    return _page(ask, sheet, sheet.title, f"/r/{found.key}/print/pdf{tail}", Link(pick(found.defn.plural, ask.ctx.locale), f"/r/{found.key}{tail}"), [])


@get("/r/{entity:str}/print/pdf", limit="export")
async def list_as_pdf(request: Request, entity: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    sheet, _query = await _of_list(ask, request, entity_of(ask.ctx, entity), "pdf")
    return pdf_response(await pdf(sheet), f"{sheet.title} {ask.ctx.today.isoformat()}")


def _page(ask: Ask, sheet: Sheet, label: str, pdf_url: str, back: Link, others: list[Link]) -> Response[Any]:
    return ask.page("printing/sheet.html", sheet=sheet, label=label, pdf_url=pdf_url, back=back, others=others, logo=f"/brand/logo?v={ask.ctx.tenant.brand.get('logo')}" if sheet.logo else "")


router = Router("", route_handlers=[show, as_pdf, show_list, list_as_pdf])
