"""Ledgers over HTTP: the accounts of a record, their statements, and reversing an entry. Entries are posted as any record is created."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from saas.errors import BadRequest
from saas.i18n import lazy
from saas.runtime import accounts, execute
from saas.runtime import operations as ops
from saas.runtime.records import entity_of
from saas.ui.api import access, shapes
from saas.ui.api.records import once, record_id


@get("/records/{entity:str}/{rid:str}/ledgers")
async def list_accounts(request: Request, entity: FromPath[str], rid: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    found = await accounts.accounts_of(ctx, entity_of(ctx, entity), record_id(rid))
    return access.answer({"data": [asdict(a) for a in found], "next": None})


@get("/records/{entity:str}/{rid:str}/ledgers/{key:str}")
async def account_statement(request: Request, entity: FromPath[str], rid: FromPath[str], key: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    found = await accounts.statement(ctx, entity_of(ctx, entity), record_id(rid), key, limit=access.integer(request, "limit", 50, 200), after=request.query_params.get("after") or None)
    lines = [{**_line(found.lines[r.id]), "record": shapes.record(r)} for r in found.entries if r.id in found.lines]
    return access.answer({"account": asdict(found.account), "data": lines, "next": found.next})


def _line(entry: Any) -> dict[str, Any]:
    return {**asdict(entry), "id": str(entry.id)}


@post("/records/{entity:str}/{rid:str}/reverse", status_code=201)
async def reverse_entry(request: Request, entity: FromPath[str], rid: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    body = await access.body(request)
    reason = body.get("reason")
    if reason is not None and not isinstance(reason, str):
        raise BadRequest(lazy("“%(name)s” must be a text.", name="reason"), field="reason")

    async def run() -> tuple[int, dict[str, Any]]:
        return 201, shapes.change(await execute(ctx, ops.Reverse(entity=entity, id=record_id(rid), reason=reason)))

    status, content = await once(ctx, request, body, run)
    return access.answer(content, status)


HANDLERS = [list_accounts, account_statement, reverse_entry]
