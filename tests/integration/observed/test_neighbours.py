"""A tenant that asks for too much takes nothing from the others: not the pool, not the process, not the worker."""

from __future__ import annotations

import asyncio
import time

import pytest

from saas.db import fair, limits, system_transaction, tenant_transaction
from saas.runtime import jobs, worker
from saas.tenants import new_id, resolve_host
from tests.integration.test_guards import locked


@pytest.fixture
async def two(office):
    await worker.drain()  # what other tests left waiting is nobody's load here
    async with system_transaction("purge") as conn:
        await conn.execute("DELETE FROM job")  # nor what is due later
    return (await office("baseline-crm"))["admin"], (await office("baseline-crm"))["admin"]


async def test_hanging_requests_of_one_leave_the_pool_to_the_others(two, http, settings):
    loaded, calm = two
    async with locked(settings):  # everything that reads records hangs
        hanging = [asyncio.create_task(loaded.send("GET", "/records/customer")) for _ in range(30)]
        await asyncio.sleep(0.3)
        assert fair.figures()["connections"] <= settings.tenant_concurrency < settings.pool_size
        for _ in range(5):
            began = time.monotonic()
            assert (await asyncio.wait_for(calm.send("GET", "/me"), 5)).status_code == 200
            assert (await http.get("http://x/healthz", headers={"host": loaded.host})).status_code == 200
            assert (await http.get("http://x/readyz", headers={"host": loaded.host})).status_code == 200
            assert (await http.get("http://x/login", headers={"host": calm.host})).status_code == 200
            assert time.monotonic() - began < 5
    assert {answer.status_code for answer in await asyncio.gather(*hanging)} == {200}
    assert fair.figures() == {"running": 0, "slow": 0, "connections": 0, "active": 0, "parked": 0}


async def test_more_than_can_wait_is_refused_with_a_time(two, settings, monkeypatch):
    loaded, calm = two
    monkeypatch.setattr(fair, "MOST_WAITING", 5)
    async with locked(settings):
        asked = [asyncio.create_task(loaded.send("GET", "/records/customer")) for _ in range(20)]
        refused, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0.2)
        assert (await asyncio.wait_for(calm.send("GET", "/me"), 5)).status_code == 200
    answers = await asyncio.gather(*asked)
    assert refused and {answer.status_code for answer in answers} == {200, 429}
    for answer in answers:
        if answer.status_code == 429:
            assert int(answer.headers["retry-after"]) > 0 and answer.json()["code"] == "too_many_requests" and answer.headers["x-request-id"]


async def test_a_browser_has_a_pace(two, http, monkeypatch):
    from saas.tenants import open_session
    from saas.ui import pace

    monkeypatch.setattr(pace, "AT_ONCE", 4.0)
    monkeypatch.setattr(pace, "A_SECOND", 0.1)
    admin, _ = two
    tenant = (await resolve_host(admin.host, "localhost")).id
    sessions = [(await open_session(tenant, admin.id, "web", "", ""))[0] for _ in range(2)]
    answers = [await http.get(f"http://{admin.host}/notifications", headers={"host": admin.host, "cookie": f"session={sessions[0]}"}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2 and int(answers[-1].headers["retry-after"]) >= 1
    other = await http.get(f"http://{admin.host}/notifications", headers={"host": admin.host, "cookie": f"session={sessions[1]}"})
    assert other.status_code == 200  # another browser, and programs, are not meant
    assert (await admin.send("GET", "/me")).status_code == 200


async def test_a_slow_sender_takes_nobodys_place(two, settings):
    from saas.app import create_app

    app = create_app(settings)
    loaded, _ = two
    more = asyncio.Event()
    sent: list[dict] = []

    async def receive():
        await more.wait()
        return {"type": "http.request", "body": b'{"values": {"name": "Late"}}', "more_body": False}

    async def send(message):
        sent.append(message)

    headers = [(b"host", loaded.host.encode()), (b"authorization", f"Bearer {loaded.token}".encode()), (b"content-type", b"application/json")]
    scope = {
        "type": "http", "method": "POST", "path": "/api/v1/records/customer", "raw_path": b"", "query_string": b"", "headers": headers, "client": ("127.0.0.1", 1), "server": ("x", 80),
        "scheme": "http", "http_version": "1.1", "root_path": "", "state": {}, "asgi": {"version": "3.0"},
    }  # fmt: skip
    asking = asyncio.create_task(app(scope, receive, send))
    await asyncio.sleep(0.05)
    assert not asking.done() and fair.figures()["running"] == 0
    more.set()
    await asking
    assert sent[0]["status"] == 201


async def test_ten_thousand_jobs_of_one_delay_nobody_elses(two):
    loaded, calm = [(await resolve_host(person.host, "localhost")).id for person in two]
    async with tenant_transaction(loaded, timeout_seconds=60) as conn:
        await conn.execute("INSERT INTO job (tenant_id, id, kind, run_at) SELECT $1, gen_random_uuid(), 'no_such_kind', now() - interval '1 hour' FROM generate_series(1, 10000)", loaded)
    try:
        first = await jobs.claim_next()
        assert first is not None and first.tenant_id == loaded
        job_id = new_id()
        async with tenant_transaction(calm) as conn:
            await conn.execute("INSERT INTO job (tenant_id, id, kind) VALUES ($1, $2, 'no_such_kind')", calm, job_id)
        second = await jobs.claim_next()
        assert second is not None and (second.tenant_id, second.id) == (calm, job_id)
        assert await jobs.claim_next(of_idle=True) is None  # the place that is kept free: both have a job running
        third = await jobs.claim_next()
        assert third is not None and third.tenant_id == loaded
    finally:
        async with system_transaction("purge") as conn:
            await conn.execute("DELETE FROM job WHERE kind = 'no_such_kind'")


async def test_a_long_job_leaves_a_place_for_others(two, monkeypatch):
    """Both usual places are taken by one tenant; another's job starts nevertheless, a third one of the same does not."""
    loaded, calm = [(await resolve_host(person.host, "localhost")).id for person in two]
    running: list = []
    ends = asyncio.Event()

    async def run(claim):
        running.append(claim.tenant_id)
        await ends.wait()

    monkeypatch.setattr(worker, "run_claim", run)
    stop = asyncio.Event()
    working: asyncio.Task[None] | None = None
    try:
        await waiting(loaded, 4, 10.0)
        working = asyncio.create_task(worker.run_worker(stop, ticks=False))
        await until(lambda: len(running) == 2)
        assert running == [loaded, loaded]
        await waiting(calm, 1, 0.0)
        jobs.ring()
        await until(lambda: len(running) == 3)
        assert running == [loaded, loaded, calm]
    finally:
        stop.set()
        ends.set()
        if working is not None:
            await working
        async with system_transaction("purge") as conn:
            await conn.execute("DELETE FROM job WHERE kind = 'no_such_kind'")


async def waiting(tenant, count, seconds):
    """So many jobs of a tenant, due for so long."""
    for _ in range(count):
        async with tenant_transaction(tenant) as conn:
            await conn.execute("INSERT INTO job (tenant_id, id, kind, run_at) VALUES ($1, $2, 'no_such_kind', now() - make_interval(secs => $3))", tenant, new_id(), seconds)


async def until(holds):
    for _ in range(1500):
        if holds():
            break
        await asyncio.sleep(0.02)


async def test_jobs_have_an_end_for_their_statements(two):
    assert limits.STATEMENT_SECONDS["job"] == 600.0
    tenant = (await resolve_host(two[0].host, "localhost")).id
    with limits.statements_of("job"):
        async with tenant_transaction(tenant) as conn:
            assert await conn.fetchval("SHOW statement_timeout") == "10min"
