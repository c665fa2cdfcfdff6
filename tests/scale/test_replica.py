"""Reads come from a streaming replica, and whoever wrote sees it at once, whatever the replica has replayed."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import pytest
import pytest_asyncio

from saas.db import current_database, request_reads, scope, session_known, tenant_transaction
from saas.db.migrate import migrate
from saas.db.roles import APP, role_login
from saas.errors import PermissionDenied
from saas.provision import provision_tenant
from saas.settings import Settings
from saas.ui import replicas
from tests.acceptance.api import Person
from tests.conftest import PASSWORD, SECRET
from tests.scale.conftest import serving
from tests.scale.servers import Standby, server, standby

pytestmark = pytest.mark.slow
ENTITY = "customer"


@dataclass(frozen=True, slots=True)
class World:
    settings: Settings
    standby: Standby
    client: httpx.AsyncClient

    async def replica(self, sql: str, *args: object) -> object:
        """Ask the replica itself, as superuser."""
        connection = await asyncpg.connect(self.standby.url)
        try:
            return await connection.fetchval(sql, *args)
        finally:
            await connection.close()

    async def caught_up(self) -> None:
        """Wait until the replica has replayed all there is."""
        primary = await asyncpg.connect(self.settings.database_url)
        lsn = await primary.fetchval("SELECT pg_current_wal_insert_lsn()::text")
        await primary.close()
        async with asyncio.timeout(60):
            while not await self.replica("SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", lsn):  # noqa: ASYNC110  another server
                await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[str, Standby]]:
    with server("primary") as primary:
        asyncio.run(migrate(Settings(database_url=primary.url, secret_key=SECRET)))
        with standby(primary) as follower:
            yield primary.url, follower


@pytest_asyncio.fixture(scope="module")
async def world(pair: tuple[str, Standby]) -> AsyncIterator[World]:
    url, follower = pair
    with tempfile.TemporaryDirectory() as directory:
        settings = Settings(database_url=url, replica_url=follower.url, secret_key=SECRET, data_dir=Path(directory))
        async with serving(settings) as client:
            yield World(settings, follower, client)


@pytest_asyncio.fixture
async def person(world: World) -> Person:
    """The administrator of a fresh company, known to the replica."""
    slug = f"r{uuid.uuid4().hex[:8]}"
    await provision_tenant(slug, name="Replica", pack_key="baseline-crm", locale="en", admin_email="a@r.example", admin_password=PASSWORD)
    found = await Person(world.client, f"{slug}.localhost", language="en").sign_in("a@r.example", PASSWORD)
    await world.caught_up()
    return found


@pytest.fixture
def counted(world: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many transactions began on the replica ("replica")."""
    counts = {"replica": 0}
    replica = current_database().home.replica

    class Counting:
        def __init__(self, pool: asyncpg.Pool) -> None:
            self.pool = pool

        def acquire(self, **options):
            counts["replica"] += 1
            return self.pool.acquire(**options)

        def __getattr__(self, name: str):
            return getattr(self.pool, name)

    monkeypatch.setattr(replica, "pool", Counting(replica.pool))
    return counts


async def test_reads_come_from_the_replica(world, person, counted):
    await person.create(ENTITY, name="Here")
    await world.caught_up()
    counted["replica"] = 0
    assert [row["values"]["name"] for row in await person.list(ENTITY)] == ["Here"]
    assert counted["replica"] >= 1
    # Proof by the data: what stands on the replica only can be seen. Replay is paused, the primary goes on.
    await world.replica("SELECT pg_wal_replay_pause()")
    try:
        other = await asyncpg.connect(world.settings.database_url)
        await other.execute("UPDATE record SET deleted_at = now() WHERE tenant_id = (SELECT id FROM tenant WHERE slug = $1)", person.host.split(".")[0])
        await other.close()
        assert len(await person.list(ENTITY)) == 1, "somebody else's write has not been replayed, so the replica still shows the record"
    finally:
        await world.replica("SELECT pg_wal_replay_resume()")
    await world.caught_up()
    assert await person.list(ENTITY) == []


async def test_who_wrote_sees_it_while_the_replica_stands_still(world, person, counted):
    """For programs by token, for pages by cookie: both have a row in `session`."""
    await world.replica("SELECT pg_wal_replay_pause()")
    try:
        for number in range(3):
            made = await person.create(ENTITY, name=f"Now {number}")
            assert {row["values"]["name"] for row in await person.list(ENTITY)} == {f"Now {n}" for n in range(number + 1)}
            changed = await person.change(ENTITY, made["id"], name=f"Now {number}")
            assert (await person.get(f"/records/{ENTITY}/{changed['id']}"))["version"] == changed["version"]
        seen_before = counted["replica"]
        assert seen_before >= 1, "the replica was asked whether it has replayed the write"
    finally:
        await world.replica("SELECT pg_wal_replay_resume()")
    await world.caught_up()
    counted["replica"] = 0
    assert len(await person.list(ENTITY)) == 3
    assert counted["replica"] >= 1, "now the replica serves again"


async def test_somebody_else_may_see_it_later_but_never_their_own_session(world, person, counted):
    """Another session that wrote nothing goes on reading from the replica."""
    second = await Person(world.client, person.host, language="en").sign_in("a@r.example", PASSWORD)
    await world.caught_up()
    await world.replica("SELECT pg_wal_replay_pause()")
    try:
        await person.create(ENTITY, name="Fresh")
        assert len(await person.list(ENTITY)) == 1 and len(await second.list(ENTITY)) == 0
    finally:
        await world.replica("SELECT pg_wal_replay_resume()")


async def test_a_session_the_replica_does_not_know_yet_reads_from_the_primary(world, person):
    await person.create(ENTITY, name="One")
    await world.replica("SELECT pg_wal_replay_pause()")
    try:
        second = await Person(world.client, person.host, language="en").sign_in("a@r.example", PASSWORD)
        assert len(await second.list(ENTITY)) == 1
        await second.call("DELETE", "/tokens", expect=204)
        await second.get("/me", expect=401)  # who signed out is out at once: sessions are looked up on the primary
    finally:
        await world.replica("SELECT pg_wal_replay_resume()")


async def test_pages_come_out_whole(world, person):
    """By cookie: every kind of page is answered, whether it could be read from the replica or had to be done again."""
    session = await world.client.post(
        "/login", data={"email": "a@r.example", "password": PASSWORD}, headers={"host": person.host, "sec-fetch-site": "same-origin"}
    )
    cookie = session.headers["set-cookie"].split(";")[0]
    await world.caught_up()
    for path in ("/", "/r/customer", "/notifications", "/profile", "/settings/audit", "/reports", "/settings/draft", "/search?q=x"):
        answer = await world.client.get(path, headers={"host": person.host, "cookie": cookie})
        assert answer.status_code in (200, 303), (path, answer.status_code, answer.text[:300])


async def test_a_page_that_writes_is_done_again_on_the_primary_and_remembered(world, person, monkeypatch):
    monkeypatch.setattr(replicas, "_writers", set())
    tenant, session = await _ids(world, person)
    places: list[str] = []

    async def page(scope, receive, send) -> None:
        assert (await receive())["type"] == "http.request"
        session_known(tenant, session, 0)
        status = 200
        try:
            async with tenant_transaction(tenant) as conn:
                places.append("replica" if await conn.fetchval("SELECT pg_is_in_recovery()") else "primary")
                await conn.execute("UPDATE tenant SET name = 'Seen ' || $1::int", len(places))
        except PermissionDenied:
            status = 403
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": places[-1].encode()})

    async def ask(path: str) -> list[dict]:
        sent: list[dict] = []

        async def receive() -> dict:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict) -> None:
            sent.append(message)

        await replicas.serve(page, {"type": "http", "method": "GET", "path": path, "state": {}}, receive, send)
        return sent

    start, body = await ask(f"/some/{uuid.uuid4()}/page")
    assert start["status"] == 200 and body["body"] == b"primary" and places == ["replica", "primary"]
    start, body = await ask(f"/some/{uuid.uuid4()}/page")
    assert start["status"] == 200 and places == ["replica", "primary", "primary"], "such pages are not tried on the replica again"


async def test_without_the_mark_a_session_would_miss_its_own_write(world, person, monkeypatch):
    """What the mark is there for: taken away, the paused replica answers with the past."""
    monkeypatch.setattr(scope, "_MARK", "SELECT $1::uuid, $2::uuid")
    await world.replica("SELECT pg_wal_replay_pause()")
    try:
        await person.create(ENTITY, name="Missed")
        assert await person.list(ENTITY) == []
    finally:
        await world.replica("SELECT pg_wal_replay_resume()")


async def test_a_write_in_a_read_only_request_is_flagged(world, person):
    tenant, session = await _ids(world, person)
    with request_reads(safe=True) as reading:
        session_known(tenant, session, 0)
        with pytest.raises(PermissionDenied, match="Nothing can be changed here"):
            async with tenant_transaction(tenant) as conn:
                assert await conn.fetchval("SELECT pg_is_in_recovery()")
                await conn.execute("UPDATE tenant SET name = 'x'")
        assert reading.failed == "writes"
        async with tenant_transaction(tenant) as conn:
            assert not await conn.fetchval("SELECT pg_is_in_recovery()")


async def test_row_security_holds_on_the_replica(world, person):
    connection = await asyncpg.connect(**role_login(world.standby.url, SECRET, APP))
    try:
        assert await connection.fetchval("SELECT pg_is_in_recovery()")
        assert await connection.fetchval("SELECT count(*) FROM tenant") == 0
        tenants = [row["id"] for row in await _all(world, "SELECT id FROM tenant")]
        assert len(tenants) >= 2
        for tenant in tenants:
            async with connection.transaction(readonly=True):
                await connection.execute(f"SET LOCAL app.tenant_id = '{tenant}'")
                assert [row["id"] for row in await connection.fetch("SELECT id FROM tenant")] == [tenant]
                assert {row["tenant_id"] for row in await connection.fetch("SELECT tenant_id FROM app_user")} == {tenant}
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT * FROM operator_account")
    finally:
        await connection.close()


async def test_a_replica_that_is_away_is_no_error(world, person, counted):
    await person.create(ENTITY, name="Kept")
    await world.caught_up()
    world.standby.stop()
    try:
        for _ in range(5):
            assert len(await person.list(ENTITY)) == 1
        assert counted["replica"] <= 4, "a replica that does not answer is left alone for a while"
        await person.create(ENTITY, name="Meanwhile")
        assert len(await person.list(ENTITY)) == 2
    finally:
        world.standby.start()
        current_database().home.replica._rests_until = 0.0
    await world.caught_up()
    counted["replica"] = 0
    assert len(await person.list(ENTITY)) == 2
    assert counted["replica"] >= 1


async def test_many_writers_and_readers_never_miss_their_own(world, person):
    """Several sessions at once write and read, while replay stops and goes on."""
    people = [await Person(world.client, person.host, language="en").sign_in("a@r.example", PASSWORD) for _ in range(4)]

    async def work(one: Person, name: str) -> None:
        for number in range(8):
            made = await one.create(ENTITY, name=f"{name} {number}")
            found = await one.get(f"/records/{ENTITY}/{made['id']}")
            assert found["values"]["name"] == f"{name} {number}"

    async def hinder() -> None:
        while True:
            await world.replica("SELECT pg_wal_replay_pause()")
            await asyncio.sleep(0.15)
            await world.replica("SELECT pg_wal_replay_resume()")
            await asyncio.sleep(0.05)

    hindering = asyncio.create_task(hinder())
    try:
        await asyncio.gather(*(work(one, f"P{n}") for n, one in enumerate(people)))
    finally:
        hindering.cancel()
        await world.replica("SELECT pg_wal_replay_resume()")


async def _ids(world: World, person: Person) -> tuple[uuid.UUID, uuid.UUID]:
    """Of the company, and of its session."""
    tenant = await world.replica("SELECT id FROM tenant WHERE slug = $1", person.host.split(".")[0])
    return tenant, await world.replica("SELECT id FROM session WHERE tenant_id = $1", tenant)  # type: ignore[return-value]


async def _all(world: World, sql: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(world.standby.url)
    try:
        return await connection.fetch(sql)
    finally:
        await connection.close()
