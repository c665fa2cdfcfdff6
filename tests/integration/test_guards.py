"""Guards: statements end when their kind of request may take no longer, with words that help; a read ends with the connection
that asked for it, and writes do not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
import uvicorn

from saas.db import limits, tenant_transaction
from saas.db.roles import OWNER, role_login
from saas.errors import TooSlow
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.runtime.reports import load_dashboard, report_sheets
from saas.tenants import open_session
from tests.bundles import label
from tests.factories import make_lab
from tests.integration.backfill.conftest import Shop, workshop

MANY = 25_000
TEXT = "a long remark about nothing in particular "


def bundle() -> dict[str, Any]:
    raw = workshop()
    order = next(e for e in raw["entities"] if e["key"] == "order")
    order["fields"] += [{"key": "remark", "label": label("Remark"), "type": "longtext"}, *({"key": f"n{n}", "label": label(f"N{n}"), "type": "int"} for n in range(6))]
    by_place = {"type": "bar", "entity": "order", "dimensions": [{"field": "name"}], "limit": 50}
    raw["reports"] = [{"key": "places", "label": label("Places"), "widgets": [{"key": "w", "label": label("By place"), **by_place}]}]
    raw["dashboards"] = [{"key": "board", "label": label("Board"), "widgets": [{"key": k, "label": label(k.upper()), **by_place} for k in ("a", "b")]}]
    return raw


@pytest_asyncio.fixture(scope="module")
async def shop(database):
    lab = await make_lab(bundle(), people=False)
    ctx = await lab.ctx("admin")
    entity = ctx.config.entity("order")
    async with tenant_transaction(lab.tenant_id, timeout_seconds=120) as conn:
        await conn.execute(
            f"INSERT INTO record (tenant_id, entity_id, id, {entity.columns['name']}, {entity.columns['n5']}, doc) "  # noqa: S608  names of ours
            "SELECT $1, $2, gen_random_uuid(), 'order ' || n, n, jsonb_build_object($3::text, repeat($4, 40) || n) FROM generate_series(1, $5::int) n",
            lab.tenant_id, entity.number, entity.place("remark"), TEXT, MANY,
        )  # fmt: skip
    return Shop(lab, bundle())


@pytest_asyncio.fixture(scope="module")
async def port(database, settings) -> AsyncIterator[int]:
    """The real application behind a real socket."""
    from saas.app import create_app

    server = uvicorn.Server(uvicorn.Config(create_app(settings), host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=2))
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), task
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


@pytest_asyncio.fixture
async def watcher(settings, database):
    """A connection that sees what others do."""
    connection = await asyncpg.connect(settings.database_url)
    yield connection
    await connection.close()


@contextlib.asynccontextmanager
async def locked(settings) -> AsyncIterator[None]:
    """While inside, every query on records waits: a read of any page takes as long as we like."""
    owner = await asyncpg.connect(**role_login(settings.database_url, settings.secret_key, OWNER))
    try:
        async with owner.transaction():
            await owner.execute("LOCK TABLE record IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await owner.close()


async def waiting(watcher: Any) -> int:
    """How many statements of the app's role wait for a lock right now on this database."""
    return await watcher.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'saas_app' AND state = 'active' AND wait_event_type = 'Lock'")


async def until(watcher: Any, count: int, seconds: float) -> None:
    """Wait for that many waiting statements."""
    started = time.monotonic()
    while await waiting(watcher) != count:
        assert time.monotonic() - started < seconds, f"still {await waiting(watcher)} statements after {seconds} s, not {count}"
        await asyncio.sleep(0.02)


async def ask(port: int, shop: Shop, line: str, *, body: str = "", **headers: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"{line} HTTP/1.1", f"host: {shop.lab.slug}.localhost:{port}", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
    writer.write(("\r\n".join([*lines, f"content-length: {len(body)}"] if body else lines) + "\r\n\r\n" + body).encode())
    await writer.drain()
    return reader, writer


async def signed_in(shop: Shop, kind: str = "web") -> str:
    ctx = await shop.lab.ctx("admin")
    return (await open_session(shop.lab.tenant_id, ctx.user_id, kind, "127.0.0.1", "test"))[0]


# ---- nobody waits any more -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/r/order", "/dashboards/board", "/r/order?f=remark:contains:nothing"])
async def test_a_read_ends_with_its_connection(shop, port, watcher, settings, path):
    token = await signed_in(shop)
    async with locked(settings):
        _reader, writer = await ask(port, shop, f"GET {path}", cookie=f"session={token}")
        await until(watcher, 1, 30)
        writer.transport.abort()
        await until(watcher, 0, 8)  # of itself it would end after ten seconds
    async with asyncio.timeout(60):  # the pool's connections are healthy: more requests than it has get their answers
        for _ in range(settings.pool_size + 2):
            reader, writer = await ask(port, shop, "GET /r/order", cookie=f"session={token}", connection="close")
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()
    async with asyncio.timeout(10):  # a transaction ends beside its answer
        while await watcher.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"):  # noqa: ASYNC110  the database tells nobody
            await asyncio.sleep(0.05)


async def test_a_program_that_leaves_ends_its_read(shop, port, watcher, settings):
    token = await signed_in(shop, "api")
    async with locked(settings):
        _reader, writer = await ask(port, shop, "GET /api/v1/records/order", authorization=f"Bearer {token}")
        await until(watcher, 1, 30)
        writer.close()
        await until(watcher, 0, 8)  # of itself it would end after ten seconds


async def test_who_waits_gets_the_answer(shop, port, watcher, settings):
    token = await signed_in(shop)
    async with locked(settings):
        reader, writer = await ask(port, shop, "GET /r/order", cookie=f"session={token}", connection="close")
        await until(watcher, 1, 30)
        await asyncio.sleep(0.6)  # longer than connections are left unwatched
        assert await waiting(watcher) == 1
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_a_write_goes_on_without_its_connection(shop, port, watcher, settings):
    token = await signed_in(shop, "api")
    body = json.dumps({"values": {"name": "written by somebody who left"}})
    async with locked(settings):
        _reader, writer = await ask(port, shop, "POST /api/v1/records/order", body=body, authorization=f"Bearer {token}", content_type="application/json")
        await until(watcher, 1, 30)
        writer.transport.abort()
        await asyncio.sleep(0.8)
        assert await waiting(watcher) == 1
    written = ops.List(entity="order", filter={"field": "name", "op": "eq", "value": "written by somebody who left"})
    async with asyncio.timeout(60):  # that nobody waits for the lock does not yet say that the write has committed
        while not (page := await execute(await shop.lab.ctx("admin"), written)).records:  # noqa: ASYNC110  the server's own transaction tells nobody
            await asyncio.sleep(0.05)
    assert len(page.records) == 1


async def test_one_connection_serves_many_requests(shop, port, watcher, settings):
    """Watching does not eat the next request of a connection that is kept open."""
    token = await signed_in(shop)
    reader, writer = await ask(port, shop, "GET /healthz")
    for path in ("/r/order", "/healthz", "/r/order?limit=5"):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(next(line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")))
        await reader.readexactly(length)
        async with locked(settings) if path != "/healthz" else contextlib.nullcontext():
            writer.write(f"GET {path} HTTP/1.1\r\nhost: {shop.lab.slug}.localhost:{port}\r\ncookie: session={token}\r\n\r\n".encode())
            await writer.drain()
            await asyncio.sleep(0.4 if path != "/healthz" else 0)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    writer.close()


# ---- time is up ----------------------------------------------------------------------------------------------------------


async def test_each_kind_of_request_has_its_limit(shop):
    for kind, seconds in limits.STATEMENT_SECONDS.items():
        with limits.statements_of(kind):
            async with tenant_transaction(shop.lab.tenant_id) as conn:
                shown = await conn.fetchval("SELECT extract(epoch FROM current_setting('statement_timeout')::interval)")
        assert float(shown) == seconds, kind
    async with tenant_transaction(shop.lab.tenant_id) as conn:
        assert await conn.fetchval("SHOW statement_timeout") == f"{limits.ROLE_SECONDS:.0f}s"


@pytest.fixture
def impatient(monkeypatch):
    for kind in limits.STATEMENT_SECONDS:
        monkeypatch.setitem(limits.STATEMENT_SECONDS, kind, 0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("filter_", "sort", "said"),
    [
        ({"field": "remark", "op": "contains", "value": "zzz"}, None, ("“Remark” is searched", "Use the search above the list", "Narrow it down")),
        ({"and": [{"field": "n5", "op": "gte", "value": 1}, {"field": "remark", "op": "contains", "value": "zzz"}]}, None, ("“N5” is compared in every record", "Make “N5” fast")),
    ],
)
async def test_what_takes_too_long_is_named(shop, impatient, filter_, sort, said):
    ctx = await shop.lab.ctx("admin")
    with limits.statements_of("page"), pytest.raises(TooSlow) as stopped:
        await execute(ctx, ops.List(entity="order", filter=filter_, sort=sort, count="capped"))
    for part in said:
        assert part in str(stopped.value.message)
    assert "remark" in stopped.value.data["fields"]


async def test_pages_and_programs_are_told_in_their_language(shop, http, impatient):
    web, api = await signed_in(shop), await signed_in(shop, "api")
    host = f"{shop.lab.slug}.localhost"
    page = await http.get("/r/order?f=remark:contains:zzz", headers={"host": host, "cookie": f"session={web}; locale=zh_CN"})
    assert page.status_code == 422 and "Remark" in page.text and "请用列表上方的搜索代替" in page.text
    fragment = await http.get("/r/order?f=remark:contains:zzz", headers={"host": host, "cookie": f"session={web}", "hx-request": "true"})
    assert fragment.status_code == 422 and "“Remark” is searched" in fragment.text and "<html" not in fragment.text
    query = json.dumps({"field": "remark", "op": "contains", "value": "zzz"})
    answer = await http.get("/api/v1/records/order", params={"filter": query}, headers={"host": host, "authorization": f"Bearer {api}", "accept-language": "en"})
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["reason"], problem["fields"]) == (422, "too_slow", "text", ["remark"])
    assert "retry-after" not in answer.headers


async def test_one_slow_figure_leaves_the_others(shop, monkeypatch):
    ctx = await shop.lab.ctx("admin")
    monkeypatch.setitem(limits.STATEMENT_SECONDS, "report", 0.02)  # type: ignore[arg-type]
    with limits.statements_of("report"):
        view = await load_dashboard(ctx, "board")
    assert ["stopped after" in (w["error"] or "") for w in view["widgets"]] == [True, True]
    monkeypatch.setattr(limits, "REPORT_SECONDS", 0.0)
    view = await load_dashboard(ctx, "board")
    assert all("were not read" in w["error"] for w in view["widgets"][1:])


# ---- how much is shown ---------------------------------------------------------------------------------------------------


async def test_figures_say_what_they_leave_out(shop):
    ctx = await shop.lab.ctx("admin")
    view = await load_dashboard(ctx, "board")
    widget = view["widgets"][0]
    assert len(widget["categories"]) == 50 and "Only the first 5,000 groups were read" in widget["note"]
    [sheet] = await report_sheets(ctx, "places")
    assert "Only the first 5,000 groups" in sheet["rows"][-1][0]
