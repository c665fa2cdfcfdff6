"""The database goes away and comes back: requests say so quickly, and the process recovers by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest_asyncio

from tests.acceptance.api import Person, refused


@pytest_asyncio.fixture
async def server(settings) -> AsyncIterator[asyncpg.Connection]:
    """The superuser, beside the database of this test process."""
    connection = await asyncpg.connect(urlunsplit(urlsplit(settings.database_url)._replace(path="/postgres")))
    yield connection
    await _open(connection, settings)
    await connection.close()


def _name(settings) -> str:
    return urlsplit(settings.database_url).path.lstrip("/")


async def _kill(server: asyncpg.Connection, settings) -> int:
    return len(await server.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", _name(settings)))


async def _close(server: asyncpg.Connection, settings) -> None:
    await server.execute(f'ALTER DATABASE "{_name(settings)}" ALLOW_CONNECTIONS false')
    await _kill(server, settings)


async def _open(server: asyncpg.Connection, settings) -> None:
    await server.execute(f'ALTER DATABASE "{_name(settings)}" ALLOW_CONNECTIONS true')


@pytest_asyncio.fixture(scope="module")
async def admin(office) -> Person:
    return (await office("baseline-crm"))["admin"]


async def test_killed_connections_are_replaced_unnoticed(admin, server, settings):
    for _ in range(3):
        await asyncio.gather(*(admin.get("/records/customer") for _ in range(5)))
        assert await _kill(server, settings) > 0
        answers = await asyncio.gather(*(admin.send("GET", "/records/customer") for _ in range(10)))
        assert {a.status_code for a in answers} == {200}


async def test_while_it_is_away_every_request_says_so_quickly(admin, http, server, settings):
    made = await admin.create("customer", name="Before the storm")
    await _close(server, settings)
    calls = [("GET", "/records/customer", None), ("POST", "/records/customer", {"values": {"name": "In the storm"}}), ("GET", f"/records/customer/{made['id']}", None), ("POST", "/tokens", {"email": "a@b.example", "password": "x"}), ("GET", "/reports/sales", None), ("GET", "/openapi.json", None)]
    for method, path, body in calls:
        started = time.monotonic()
        answer = await admin.send(method, path, body)
        assert time.monotonic() - started < 9
        refused(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
    page = await http.get("http://localhost/r/customer", headers={"host": admin.host, "cookie": "session=x"})
    assert page.status_code == 503 and page.headers["retry-after"] and "Traceback" not in page.text
    assert (await http.get("http://localhost/healthz", headers={"host": admin.host})).status_code == 200
    assert (await http.get("http://localhost/readyz", headers={"host": admin.host})).status_code == 503
    await _open(server, settings)
    assert (await admin.send("GET", f"/records/customer/{made['id']}")).status_code == 200
    assert (await admin.get("/records/customer", q="storm", count="exact"))["count"]["value"] == 1
    assert (await http.get("http://localhost/readyz", headers={"host": admin.host})).status_code == 200


async def test_a_request_cut_in_the_middle_leaves_nothing_behind(admin, server, settings):
    """Connections die while writes are running: each is done or not, and the answer says which."""

    async def write(number: int):
        return await admin.send("POST", "/records/customer", {"values": {"name": f"Cut {number}"}}, headers={"idempotency-key": f"cut-{number}"})

    writes = [asyncio.create_task(write(n)) for n in range(20)]
    for _ in range(4):
        await asyncio.sleep(0.02)
        await _kill(server, settings)
    answers = await asyncio.gather(*writes)
    assert {a.status_code for a in answers} <= {201, 503}
    done = sum(a.status_code == 201 for a in answers)
    kept = (await admin.get("/records/customer", q="Cut", count="exact"))["count"]["value"]
    assert kept >= done
    again = await asyncio.gather(*(write(n) for n in range(20)))
    assert {a.status_code for a in again} == {201}
    assert (await admin.get("/records/customer", q="Cut", count="exact"))["count"]["value"] == 20
