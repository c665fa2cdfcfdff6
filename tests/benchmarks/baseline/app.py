"""The hand-written CRM's web application: the API's JSON and two pages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import jinja2
from litestar import Litestar, Request, get, patch, post
from litestar.config.compression import CompressionConfig
from litestar.datastructures import ResponseHeader, UploadFile
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.response import File, Response

from tests.benchmarks.baseline import database, reading, transfer, writing
from tests.benchmarks.baseline.database import Refused, asked
from tests.benchmarks.baseline.shapes import (
    COLORS,
    OFFERS,
    SCOPES,
    SHAPES,
    STAGE,
    STAGE_COLORS,
    day_text,
    may,
    money,
    money_text,
    record,
)
from tests.benchmarks.baseline.shapes import FROM as FROM_STAGE

NO_STORE = {"Cache-Control": "no-store"}
HEADERS = [
    ResponseHeader(name=name, value=value)
    for name, value in {
        "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()", "Content-Security-Policy": "default-src 'self'; object-src 'none'; frame-ancestors 'none'",
    }.items()
]  # fmt: skip
templates = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, auto_reload=False, undefined=jinja2.StrictUndefined, trim_blocks=True)
templates.globals.update(colors=COLORS)


def answer(content: Any, status: int = 200, **headers: str) -> Response[Any]:
    return Response(content, status_code=status, media_type=MediaType.JSON, headers={**NO_STORE, **headers})


def _entity(key: str) -> str:
    if key not in SHAPES:
        raise Refused(404, "not_found", "There is nothing of this name here.")
    return key


def _deals_only(key: str) -> None:
    if key != "deal":
        raise Refused(404, "not_found", "There is nothing of this name here.")


def _version(request: Request) -> int | None:
    text = request.headers.get("if-match")
    return int(text.strip('"')) if text else None


# ---- records -----------------------------------------------------------------------------------------------------------------


@get("/api/v1/records/{entity:str}")
async def list_records(request: Request, entity: FromPath[str]) -> Response[Any]:
    query, key = request.query_params, _entity(entity)
    fields = query["fields"].split(",") if query.get("fields") else None
    filter_ = json.loads(query["filter"]) if query.get("filter") else None
    limit = min(max(int(query.get("limit") or 50), 1), 200)
    async with asked(request, planned=True) as (conn, who):
        rows, following, count = await reading.listed(
            conn, who, key, filter_=filter_, q=query.get("q"), sort=query.get("sort") or "-created_at", fields=fields, limit=limit, after=query.get("after"), count=query.get("count") or "none"
        )
    return answer({"data": [record(who, key, row, fields) for row in rows], "next": following, "count": count})


@get("/api/v1/records/{entity:str}/{rid:uuid}")
async def get_record(request: Request, entity: FromPath[str], rid: FromPath[UUID]) -> Response[Any]:
    async with asked(request) as (conn, who):
        row = await reading.one(conn, who, _entity(entity), rid)
    return answer(record(who, entity, row), ETag=f'"{row["version"]}"')


@post("/api/v1/records/{entity:str}", status_code=201)
async def create_record(request: Request, entity: FromPath[str]) -> Response[Any]:
    body = await request.json()
    async with asked(request) as (conn, who):
        rid = await writing.create(conn, who, _entity(entity), body["values"])
        row = await reading.one(conn, who, entity, rid)
    return answer({**record(who, entity, row), "effects": [], "warnings": [], "message": "已保存"}, 201, ETag=f'"{row["version"]}"')


@patch("/api/v1/records/{entity:str}/{rid:uuid}")
async def update_record(request: Request, entity: FromPath[str], rid: FromPath[UUID]) -> Response[Any]:
    body = await request.json()
    async with asked(request) as (conn, who):
        await writing.update(conn, who, _entity(entity), rid, body["values"], _version(request))
        row = await reading.one(conn, who, entity, rid)
    return answer({**record(who, entity, row), "effects": [], "warnings": [], "message": "已保存"})


@post("/api/v1/records/{entity:str}/{rid:uuid}/transitions/{key:str}", status_code=200)
async def run_transition(request: Request, entity: FromPath[str], rid: FromPath[UUID], key: FromPath[str]) -> Response[Any]:
    _deals_only(entity)
    async with asked(request) as (conn, who):
        effects = await writing.move(conn, who, rid, key, _version(request))
        row = await reading.one(conn, who, "deal", rid)
    return answer({"record": record(who, "deal", row), "effects": effects, "warnings": [], "message": "完成"})


# ---- figures -----------------------------------------------------------------------------------------------------------------


@post("/api/v1/records/{entity:str}/aggregate", status_code=200)
async def stage_by_month(request: Request, entity: FromPath[str]) -> Response[Any]:
    _deals_only(entity)
    await request.json()
    async with asked(request, planned=True) as (conn, who):
        found = await reading.stage_by_month(conn, who)
    order = list(STAGE)
    rows = []
    for stage, month, count, total in sorted(found, key=lambda r: (order.index(r[0]), r[1])):
        day = month.isoformat()
        rows.append({
            "dimensions": {"stage": stage, "expected_on": day}, "labels": {"stage": STAGE[stage], "expected_on": day[:7]},
            "measures": {"count": count, "sum(amount)": money(int(total))}, "keys": [stage, day], "values": [count, money(int(total))],
        })  # fmt: skip
    return answer({"rows": rows})


@get("/api/v1/reports/funnel")
async def funnel(request: Request) -> Response[Any]:
    async with asked(request, planned=True) as (conn, who):
        found = await reading.funnel(conn, who)
    rows: list[dict[str, Any]] = []
    first = found["new"][1] if "new" in found else 0
    for stage, label in STAGE.items():
        _, count, total, seconds = found.get(stage) or (stage, 0, 0, None)
        days = round(float(seconds) / 86400, 1) if seconds is not None else None
        before = rows[-1]["values"][0] if rows else None
        rows.append({
            "labels": [label], "keys": [stage], "values": [count, money(int(total or 0))], "texts": [f"{count:,}", money_text(int(total or 0))], "color": STAGE_COLORS[stage],
            "drill": None, "drills": None, "days": days, "days_text": f"{days} 天" if days is not None else "",
            "conversion": round(100 * count / before) if before else None, "share": round(100 * count / first) if first else None,
        })  # fmt: skip
    going, lost = [r for r in rows if r["keys"] != ["lost"]], [{**r, "conversion": None, "share": None} for r in rows if r["keys"] == ["lost"]]
    widget = {
        "key": "stages", "label": "漏斗", "type": "funnel", "categories": [r["labels"][0] for r in going], "series": [{"name": "数量", "data": [r["values"][0] for r in going], "money": None}],
        "rows": going, "lost": lost, "basis": "ever_reached", "colors": [r["color"] for r in going], "empty": not found,
    }  # fmt: skip
    return answer({"key": "funnel", "label": "漏斗", "description": "", "params": [], "widgets": [widget]})


# ---- imports and exports -----------------------------------------------------------------------------------------------------


@post("/api/v1/imports", status_code=202, request_max_body_size=64 * 1024 * 1024)
async def start_import(request: Request) -> Response[Any]:
    form = await request.form()
    upload = form["file"]
    assert isinstance(upload, UploadFile)
    content = await upload.read()
    async with asked(request) as (conn, who):
        if not SCOPES[who.role]["import"]:
            raise Refused(403, "permission_denied", "Your role does not allow this.")
        job_id = await transfer.start(conn, who, "import", None)
    transfer.run(who, job_id, transfer.import_customers(who, job_id, content))
    return answer({"id": str(job_id), "status": "queued"}, 202)


@post("/api/v1/exports", status_code=202)
async def start_export(request: Request) -> Response[Any]:
    body = await request.json()
    async with asked(request) as (conn, who):
        if not SCOPES[who.role]["export"]:
            raise Refused(403, "permission_denied", "Your role does not allow this.")
        job_id = await transfer.start(conn, who, "export", None)
    transfer.run(who, job_id, transfer.export_customers(who, job_id, {**body, "sort": (body.get("sort") or [None])[0]}))
    return answer({"id": str(job_id), "status": "queued"}, 202)


@get("/api/v1/jobs/{jid:uuid}")
async def get_job(request: Request, jid: FromPath[UUID]) -> Response[Any]:
    async with asked(request) as (conn, who):
        return answer(await transfer.job(conn, who, jid))


@get("/api/v1/jobs/{jid:uuid}/result")
async def job_result(request: Request, jid: FromPath[UUID]) -> File:
    async with asked(request) as (conn, who):
        found = await transfer.job(conn, who, jid)
    return File(transfer.FILES / found["result"]["file"], filename="customers.xlsx")


# ---- pages -------------------------------------------------------------------------------------------------------------------


async def _unread(conn: Any, who: Any) -> int:
    return await conn.fetchval("SELECT count(*) FROM notification WHERE tenant_id = $1 AND user_id = $2 AND read_at IS NULL", who.tenant_id, who.user_id)


def _page(template: str, **data: Any) -> Response[str]:
    return Response(templates.get_template(template).render(**data), media_type=MediaType.HTML, headers=NO_STORE)


@get("/r/customer")
async def customers(request: Request) -> Response[str]:
    fields = ["name", "code", "level", "industry", "status", "revenue", "city", "last_contact_at"]
    async with asked(request, page=True, planned=True) as (conn, who):
        rows, following, count = await reading.listed(conn, who, "customer", sort="-revenue", fields=fields, count="capped", after=request.query_params.get("after"))
        unread = await _unread(conn, who)
    shown = [record(who, "customer", row, fields) for row in rows]
    text = f"{count['value']:,}{'' if count['exact'] else '+'}" if count else ""
    return _page("list.html", title="客户", here="/r/customer", who=who, csrf=who.csrf, unread=unread, rows=shown, count=text, next=following or "")


@get("/r/deal/board")
async def board(request: Request) -> Response[str]:
    async with asked(request, page=True, planned=True) as (conn, who):
        figures, cards = await reading.board(conn, who)
        unread = await _unread(conn, who)
    now, columns = datetime.now(UTC), []
    for stage, label in STAGE.items():
        count, total = figures.get(stage, (0, 0))
        shown = [
            {
                "id": c["id"], "version": c["version"], "name": c["name"], "customer": c["customer_id_name"], "customer_id": c["customer_id"], "age": (now - c["stage_since"]).days,
                "amount": money_text(c["amount"]) if c["amount"] is not None else "", "expected_on": day_text(c["expected_on"]) if c["expected_on"] else "",
                "targets": " ".join(OFFERS[k]["to"] for k in FROM_STAGE.get(stage, ())) if may(who, "update", c) else "",
            }
            for c in cards.get(stage, ())
        ]  # fmt: skip
        columns.append({"key": stage, "label": label, "color": STAGE_COLORS[stage], "count": count, "sum": money_text(int(total)), "cards": shown, "more": count > len(shown)})
    return _page("board.html", title="商机", here="/r/deal/board", who=who, csrf=who.csrf, unread=unread, columns=columns)


# ---- the application ---------------------------------------------------------------------------------------------------------


def _refused(_request: Request, error: Refused) -> Response[Any]:
    return Response(
        {"type": f"/problems/{error.code}", "title": error.detail, "status": error.status, "detail": error.detail, "code": error.code, "errors": error.errors},
        status_code=error.status, media_type="application/problem+json",
    )  # fmt: skip


@asynccontextmanager
async def _lifespan(_app: Litestar) -> AsyncIterator[None]:
    transfer.FILES.mkdir(parents=True, exist_ok=True)
    await database.open_pool()
    yield
    await database.pool.close()


def create_app() -> Litestar:
    return Litestar(
        route_handlers=[list_records, get_record, create_record, update_record, run_transition, stage_by_month, funnel, start_import, start_export, get_job, job_result, customers, board],
        lifespan=[_lifespan], exception_handlers={Refused: _refused}, openapi_config=None, logging_config=None, response_headers=HEADERS,
        compression_config=CompressionConfig(backend="brotli", brotli_quality=4, brotli_gzip_fallback=True, minimum_size=1500),
    )  # fmt: skip
