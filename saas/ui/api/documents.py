"""Documents over HTTP: which a record has, and each as a PDF."""

from __future__ import annotations

from typing import Any

from litestar import Request, get
from litestar.params import FromPath
from litestar.response import Response

from saas.i18n import pick
from saas.runtime import documents, execute
from saas.runtime import operations as ops
from saas.runtime.documents.typesetting import pdf
from saas.runtime.records import entity_of
from saas.ui.api import access
from saas.ui.api.records import record_id
from saas.ui.printed import pdf_response


@get("/records/{entity:str}/{rid:str}/documents")
async def list_documents(request: Request, entity: FromPath[str], rid: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    found = entity_of(ctx, entity)
    record = await execute(ctx, ops.Get(entity=found.key, id=record_id(rid)))
    return access.answer({"data": [{"key": d.key, "label": pick(d.label, ctx.locale)} for d in await documents.fitting(ctx, found, record.id)], "next": None})


@get("/records/{entity:str}/{rid:str}/documents/{key:str}", limit="export")
async def get_document(request: Request, entity: FromPath[str], rid: FromPath[str], key: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    defn = documents.document_called(ctx, entity_of(ctx, entity), key)
    sheet = await documents.sheet_of(ctx, defn, record_id(rid))
    return pdf_response(await pdf(sheet), f"{pick(defn.label, ctx.locale)} {sheet.subtitle}".strip())


HANDLERS = [list_documents, get_document]
