"""Records over HTTP: every call is one operation of the door."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from litestar import Request, delete, get, patch, post
from litestar.params import FromPath
from litestar.response import Response

from saas.db import tenant_transaction
from saas.errors import BadRequest, Conflict, NotFound
from saas.i18n import lazy
from saas.runtime import Context, execute
from saas.runtime import operations as ops
from saas.runtime.aggregates import MAX_ROWS
from saas.runtime.alike import look_up
from saas.runtime.previews import foreseen
from saas.runtime.records import entity_of
from saas.ui.api import access, shapes

_META = {"values", "version", "confirm_duplicates", "duplicate_reason"}


def record_id(text: str) -> UUID:
    """An id that is none names no record."""
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound(lazy("This record does not exist, or you may not see it.")) from error


def ids_of(body: Mapping[str, Any], name: str, *, most: int) -> list[UUID]:
    """A list of ids in a body. Errors: BadRequest."""
    found = body.get(name)
    if not isinstance(found, list) or len(found) > most:
        raise BadRequest(lazy("“%(name)s” must be a list of at most %(most)s ids.", name=name, most=most), field=name)
    return [access.identifier(str(text), name) for text in found]


def values_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """`{"values": {…}}`, or the values themselves."""
    if "values" not in body or not set(body) <= _META:
        return {k: v for k, v in body.items() if k not in ("version", "confirm_duplicates", "duplicate_reason")}
    if not isinstance(body["values"], dict):
        raise BadRequest(lazy("“values” must be an object: {\"field\": value}."), field="values")
    return body["values"]


def _version(request: Request, body: Mapping[str, Any]) -> int | None:
    """The version the caller saw: from If-Match (also as a weak or quoted tag), else from the body. Errors: BadRequest."""
    header = request.headers.get("if-match")
    if header is not None and header.strip() != "*":
        text = header.strip().removeprefix("W/").strip('"')
        if not (text.isascii() and text.isdigit() and len(text) <= 10):
            raise BadRequest(lazy("“If-Match” must be the version number you read."), field="If-Match")
        return int(text)
    found = body.get("version")
    if found is not None and (not isinstance(found, int) or isinstance(found, bool)):
        raise BadRequest(lazy("“version” must be the version number you read."), field="version")
    return found


def confirmed(body: Mapping[str, Any]) -> bool:
    found = body.get("confirm_duplicates", False)
    if not isinstance(found, bool):
        raise BadRequest(lazy("“%(name)s” must be true or false.", name="confirm_duplicates"), field="confirm_duplicates")
    return found


def _reason(body: Mapping[str, Any]) -> str:
    """Why somebody goes on although there is a similar record; kept in the record's history."""
    found = body.get("duplicate_reason", "")
    if not isinstance(found, str) or len(found) > 500:
        raise BadRequest(lazy("“%(name)s” must be a text of at most 500 characters.", name="duplicate_reason"), field="duplicate_reason")
    return found


def _json(text: str | None) -> Any:
    """A filter: JSON, or the text of an expression."""
    if not text:
        return None
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(lazy("The filter is not valid JSON."), field="filter") from error


def _words(text: str | None) -> list[str] | None:
    return [part.strip() for part in text.split(",") if part.strip()] if text else None


@get("/records/{entity:str}")
async def list_records(request: Request, entity: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    asked = request.query_params
    page = await execute(
        ctx,
        ops.List(
            entity=entity, filter=_json(asked.get("filter")), view=asked.get("view") or None, q=asked.get("q"), sort=_words(asked.get("sort")),
            fields=_words(asked.get("fields")), limit=access.integer(request, "limit", 50, 200), after=asked.get("after") or None,
            count=asked.get("count") or "none", deleted=access.flag(request, "deleted"), can=True,
        ),
    )  # fmt: skip
    count = {"value": page.count.value, "exact": page.count.exact} if page.count else None
    return access.answer({"data": [shapes.record(r) for r in page.records], "next": page.next, "count": count})


@post("/records/{entity:str}", status_code=201)
async def create_record(request: Request, entity: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    body = await access.body(request)

    async def run() -> tuple[int, dict[str, Any]]:
        change = await execute(ctx, ops.Create(entity=entity, values=values_of(body), confirm_duplicates=confirmed(body), reason=_reason(body)))
        created = next(e["id"] for e in change.effects if e["action"] == "create" and e["entity"] == entity)
        content = shapes.record(change.record) if change.record else {"id": created, "entity": entity}
        return 201, {**content, "effects": [e for e in change.effects if e["id"] != created], "warnings": change.warnings, "message": change.message}

    status, content = await once(ctx, request, body, run)
    return access.answer(content, status, ETag=f'"{content.get("version", 1)}"')


@post("/records/{entity:str}/alike", status_code=200)
async def alike(request: Request, entity: FromPath[str]) -> Response[Any]:
    """{"values"} of a record that is not there yet: what may be the same, as far as it may be told. Nothing is written."""
    ctx = await access.context(request)
    found = entity_of(ctx, entity)
    values = values_of(await access.body(request))
    async with tenant_transaction(ctx.tenant_id, only_reads=True) as conn:
        told = await look_up(conn, ctx, found, values)
    return access.answer({"matches": told.matches, "action": told.action or None, "message": told.message or None})


async def once(ctx: Context, request: Request, body: Mapping[str, Any], run: Callable[[], Awaitable[tuple[int, dict[str, Any]]]]) -> tuple[int, dict[str, Any]]:
    """Run at most once per Idempotency-Key: the same key and body get the first answer again, another body is a conflict."""
    key = request.headers.get("idempotency-key")
    if not key:
        return await run()
    if len(key) > 200:
        raise BadRequest(lazy("An Idempotency-Key has at most 200 characters."), field="Idempotency-Key")
    digest = hashlib.sha256(f"{request.method} {request.url.path} {json.dumps(body, sort_keys=True)}".encode()).hexdigest()
    async with tenant_transaction(ctx.tenant_id) as conn:
        mine = await conn.fetchval(
            "INSERT INTO idempotency_key (tenant_id, user_id, key, request_hash, status, response, created_at) VALUES ($1, $2, $3, $4, 0, '{}', now()) "
            "ON CONFLICT DO NOTHING RETURNING true",
            ctx.tenant_id, ctx.user_id, key, digest,
        )  # fmt: skip
        if not mine:
            row = await conn.fetchrow("SELECT request_hash, status, response FROM idempotency_key WHERE tenant_id = $1 AND user_id = $2 AND key = $3", ctx.tenant_id, ctx.user_id, key)
            if row["request_hash"] != digest:
                raise Conflict(lazy("This Idempotency-Key was used for another request."), reason="idempotency")
            return row["status"], json.loads(row["response"])
        status, content = await run()
        await conn.execute(
            "UPDATE idempotency_key SET status = $4, response = $5::jsonb WHERE tenant_id = $1 AND user_id = $2 AND key = $3",
            ctx.tenant_id, ctx.user_id, key, status, json.dumps(content, default=str, ensure_ascii=False),
        )  # fmt: skip
        return status, content


@get("/records/{entity:str}/{rid:str}")
async def get_record(request: Request, entity: FromPath[str], rid: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    found = await execute(ctx, ops.Get(entity=entity, id=record_id(rid), deleted=access.flag(request, "deleted")))
    return access.answer(shapes.record(found), ETag=f'"{found.version}"')


@patch("/records/{entity:str}/{rid:str}")
async def update_record(request: Request, entity: FromPath[str], rid: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    body = await access.body(request)
    change = await execute(
        ctx,
        ops.Update(
            entity=entity, id=record_id(rid), values=values_of(body), version=_version(request, body), confirm_duplicates=confirmed(body),
            reason=_reason(body),
        ),
    )  # fmt: skip
    content = shapes.record(change.record) if change.record else {"id": rid, "entity": entity}
    return access.answer({**content, "effects": change.effects, "warnings": change.warnings, "message": change.message})


@delete("/records/{entity:str}/{rid:str}", status_code=204)
async def delete_record(request: Request, entity: FromPath[str], rid: FromPath[str]) -> None:
    ctx = await access.context(request)
    await execute(ctx, ops.Delete(entity=entity, id=record_id(rid), version=_version(request, {})))


@post("/records/{entity:str}/{rid:str}/restore", status_code=200)
async def restore_record(request: Request, entity: FromPath[str], rid: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    change = await execute(ctx, ops.Restore(entity=entity, id=record_id(rid)))
    return access.answer(shapes.record(change.record) if change.record else {"id": rid, "entity": entity})


@get("/records/{entity:str}/{rid:str}/history")
async def record_history(request: Request, entity: FromPath[str], rid: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    limit = access.integer(request, "limit", 50, 200)
    entries = await execute(ctx, ops.History(entity=entity, id=record_id(rid), limit=limit, before=request.query_params.get("before")))
    return access.answer(shapes.history(entries, limit))


@post("/records/{entity:str}/{rid:str}/transitions/{key:str}", status_code=200)
async def run_transition(request: Request, entity: FromPath[str], rid: FromPath[str], key: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    body = await access.body(request)
    asked = ops.Transition(entity=entity, id=record_id(rid), key=key, values=values_of(body), version=_version(request, body))
    if access.flag(request, "preview"):
        return access.answer(shapes.change(await foreseen(ctx, asked)))

    async def run() -> tuple[int, dict[str, Any]]:
        return 200, shapes.change(await execute(ctx, asked))

    status, content = await once(ctx, request, body, run)
    return access.answer(content, status)


@post("/records/{entity:str}/{rid:str}/buttons/{key:str}", status_code=200)
async def press_button(request: Request, entity: FromPath[str], rid: FromPath[str], key: FromPath[str]) -> Response[Any]:
    """What an automation does when its button is pressed (`can.buttons` of the record says which there are)."""
    ctx = await access.context(request)
    body = await access.body(request)
    asked = ops.Press(entity=entity, id=record_id(rid), key=key)

    async def run() -> tuple[int, dict[str, Any]]:
        return 200, shapes.change(await execute(ctx, asked))

    status, content = await once(ctx, request, body, run)
    return access.answer(content, status)


@post("/records/{entity:str}/aggregate", status_code=200, limit="report")
async def aggregate_records(request: Request, entity: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    body = await access.body(request)
    measures = _objects(body, "measures", "fn")
    if not measures:
        raise BadRequest(lazy("A report needs at least one measure."), field="measures")
    asked = ops.Aggregate(
        entity=entity,
        measures=[ops.Measure(fn=m["fn"], field=m.get("field")) for m in measures],
        dimensions=[ops.Dimension(field=d["field"], bucket=d.get("bucket")) for d in _objects(body, "dimensions", "field")],
        filter=body.get("filter"), sort=_sort(body), limit=_limit(body),
    )  # fmt: skip
    return access.answer(shapes.aggregate(await execute(ctx, asked), asked))


def _sort(body: Mapping[str, Any]) -> str | None:
    found = body.get("sort")
    if found not in (None, "value", "-value", "label"):
        raise BadRequest(lazy("“sort” is value, -value or label."), field="sort")
    return found


def _limit(body: Mapping[str, Any]) -> int:
    found = body.get("limit", 500)
    if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= MAX_ROWS:
        raise BadRequest(lazy("“%(name)s” must be between 1 and %(highest)s.", name="limit", highest=MAX_ROWS), field="limit")
    return found


def _objects(body: Mapping[str, Any], name: str, needed: str) -> list[dict[str, Any]]:
    found = body.get(name, [])
    if not isinstance(found, list) or len(found) > 10 or not all(isinstance(x, dict) and isinstance(x.get(needed), str) for x in found):
        raise BadRequest(lazy("“%(name)s” must be a list of objects with “%(needed)s”.", name=name, needed=needed), field=name)
    if not all(isinstance(x.get(k), str | None) for x in found for k in ("field", "bucket", "fn")):
        raise BadRequest(lazy("“%(name)s” must be a list of objects with “%(needed)s”.", name=name, needed=needed), field=name)
    return found


HANDLERS = [
    list_records, create_record, alike, get_record, update_record, delete_record, restore_record, record_history, run_transition, press_button, aggregate_records,
]  # fmt: skip
