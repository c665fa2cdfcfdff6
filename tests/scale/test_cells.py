"""Tenants in several databases: two real servers, the application in this process, `saas tenant move` in one of its own."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio

from saas.db import moving, places, system_transaction, tenant_transaction
from saas.db.doctor import examine
from saas.db.migrate import ENTITIES_OF_A_CELL, migrate
from saas.errors import BadRequest, Conflict
from saas.provision import provision_tenant
from saas.runtime import jobs
from saas.runtime.contexts import system_context
from saas.runtime.worker import drain
from saas.settings import HOME, Cell, Settings
from saas.tenants import cell_of, clean_up, delete_tenant, find_tenant, list_tenants, move_tenant, set_tenant_status
from tests.acceptance.api import Person, is_chinese
from tests.conftest import PASSWORD, ROOT, SECRET
from tests.integration.test_openapi_answers import described
from tests.scale.conftest import serving
from tests.scale.servers import server

pytestmark = pytest.mark.slow
ENTITY, EAST = "customer", "east"
READ_ONLY_SECONDS = moving.FREEZE_SECONDS + moving.ARRIVE_SECONDS + moving.PROVE_SECONDS + 10.0


@dataclass(frozen=True, slots=True)
class World:
    settings: Settings
    client: httpx.AsyncClient

    def url(self, cell: str) -> str:
        return self.settings.database_url if cell == HOME else self.settings.cells[cell].url

    async def ask(self, cell: str, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Ask one server itself, as superuser."""
        connection = await asyncpg.connect(self.url(cell))
        try:
            return await connection.fetch(sql, *args)
        finally:
            await connection.close()

    async def rows_of(self, cell: str, tenant: uuid.UUID) -> int:
        """All rows of a tenant in one database, but its own row."""
        tables = await self.ask(
            cell,
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE a.attname = 'tenant_id' AND c.relkind IN ('r', 'p') "
            "AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace",
        )
        assert len(tables) >= 30
        return sum([(await self.ask(cell, f"SELECT count(*) FROM {row[0]} WHERE tenant_id = $1", tenant))[0][0] for row in tables])  # noqa: S608

    async def start_move(self, slug: str, cell: str, *options: str) -> asyncio.subprocess.Process:
        """The command, in a process of its own."""
        cells = {cell.key: {"number": cell.number, "url": cell.url} for cell in self.settings.cells.values()}
        environment = {
            "PATH": os.environ["PATH"], "DATABASE_URL": self.settings.database_url, "SAAS_SECRET_KEY": SECRET, "SAAS_CELLS": json.dumps(cells),
            "SAAS_DATA_DIR": str(self.settings.data_dir),
        }  # fmt: skip
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "saas", "tenant", "move", slug, cell, "--json", *options,
            cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def move(self, slug: str, cell: str, *options: str) -> dict[str, Any]:
        process = await self.start_move(slug, cell, *options)
        out, err = await asyncio.wait_for(process.communicate(), 180)
        if process.returncode != 0:
            pytest.fail(err.decode()[-3000:] + out.decode()[-1000:])
        return json.loads(out)


@pytest.fixture(scope="module")
def two() -> Iterator[Settings]:
    with server("home") as home, server("east") as east, tempfile.TemporaryDirectory() as directory:
        settings = Settings(database_url=home.url, secret_key=SECRET, data_dir=Path(directory), cells={EAST: Cell(EAST, 1, east.url)})
        asyncio.run(migrate(settings))
        yield settings


@pytest_asyncio.fixture(scope="module")
async def world(two: Settings) -> AsyncIterator[World]:
    async with serving(two) as client:
        yield World(two, client)


_numbers = itertools.count(1)


@dataclass(slots=True)
class Company:
    id: uuid.UUID
    slug: str
    admin: Person


async def company(world: World, locale: str = "en") -> Company:
    slug = f"c{next(_numbers)}"
    email = f"a@{slug}.example"
    tenant = await provision_tenant(slug, name=slug, pack_key="baseline-crm", locale=locale, admin_email=email, admin_password=PASSWORD)
    person = await Person(world.client, f"{slug}.localhost", language="zh-CN" if locale == "zh_CN" else "en").sign_in(email, PASSWORD)
    return Company(tenant, slug, person)


async def put_in(conn: Any, firm: Company) -> uuid.UUID:
    """A job that any worker fails at once: this version does not know its kind."""
    job = uuid.uuid4()
    await conn.execute("INSERT INTO job (tenant_id, id, kind) VALUES ($1, $2, 'of_another_version')", firm.id, job)
    return job


@dataclass(slots=True)
class Traffic:
    """People at work: what was acknowledged must be there afterwards, once."""

    person: Person
    names: Counter = field(default_factory=Counter)
    versions: dict[str, int] = field(default_factory=dict)
    refused: list[httpx.Response] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    reads: int = 0
    stop: bool = False

    async def write(self, name: str) -> None:
        number = 0
        while not self.stop:
            number += 1
            text = f"{name} {number}"
            answer = await self.person.send("POST", f"/records/{ENTITY}", {"values": {"name": text}})
            if answer.status_code == 201:
                self.names[text] += 1
                record = answer.json()["id"]
                self.versions[record] = 1
                change = await self.person.send("PATCH", f"/records/{ENTITY}/{record}", {"values": {"name": text + " changed"}})
                if change.status_code == 200:
                    self.versions[record] = change.json()["version"]
                    self.names[text + " changed"] += self.names.pop(text)
                else:
                    self._not(change)
            else:
                self._not(answer)
                await asyncio.sleep(0.05)

    async def read(self) -> None:
        while not self.stop:
            answer = await self.person.send("GET", f"/records/{ENTITY}", limit=5)
            self.reads += 1
            if answer.status_code != 200:
                self.broken.append(f"read {answer.status_code} {answer.text[:200]}")
            await asyncio.sleep(0.01)

    def _not(self, answer: httpx.Response) -> None:
        (self.refused if answer.status_code == 503 else self.broken).append(answer if answer.status_code == 503 else f"write {answer.status_code} {answer.text[:200]}")


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110  others do it
            await asyncio.sleep(0.02)


async def test_a_live_tenant_moves_and_nothing_is_lost(world):
    """Four writers and two readers work throughout, in another process than the move."""
    firm, other = await company(world, "zh_CN"), await company(world)
    await other.admin.create(ENTITY, name="Stays")
    traffic = Traffic(firm.admin)
    tasks = [asyncio.create_task(traffic.write(f"W{n}")) for n in range(4)] + [asyncio.create_task(traffic.read()) for _ in range(2)]
    try:
        await until(lambda: traffic.names)
        before = sum(traffic.names.values())
        moved = await world.move(firm.slug, EAST)
        after_move = sum(traffic.names.values())
        await until(lambda: sum(traffic.names.values()) > after_move and traffic.reads > 50)
    finally:
        traffic.stop = True
        await asyncio.gather(*tasks)

    assert after_move > before, "people worked during it, as before and after"
    assert traffic.broken == []
    assert 0 < moved["read_only_seconds"] < READ_ONLY_SECONDS
    print(f"\nread-only {moved['read_only_seconds']:.3f} s, copied in {moved['copy_seconds']:.1f} s, {sum(moved['rows'].values())} rows, {len(traffic.refused)} writes refused, {traffic.reads} reads")
    for answer in traffic.refused:
        assert int(answer.headers["retry-after"]) >= 1 and answer.json()["code"] == "unavailable" and is_chinese(answer.json()["detail"]), answer.text

    rows = await world.ask(EAST, "SELECT id, version, doc, t1, t2, t3 FROM record WHERE tenant_id = $1 AND deleted_at IS NULL", firm.id)
    found = Counter(next(text for text in (row["t1"], row["t2"], row["t3"]) if text and text.startswith("W")) for row in rows)
    assert found == traffic.names, "every acknowledged write once, and nothing else"
    assert {str(row["id"]): row["version"] for row in rows} == traffic.versions
    (used,) = await world.ask(EAST, "SELECT sum(amount)::bigint AS records FROM usage_delta WHERE tenant_id = $1 AND meter = 'records'", firm.id)
    assert used["records"] == len(rows), "what is used moved along"
    listed = await firm.admin.get(f"/records/{ENTITY}", limit=200)
    assert listed["data"] and len(rows) == sum(traffic.names.values())

    assert moved["left"] == {} and moved["rows"]["record"] > 0
    assert await world.rows_of(HOME, firm.id) == 0, "proof: nothing is left at the old place"
    assert [row["cell"] for row in await world.ask(HOME, "SELECT cell FROM tenant WHERE id = $1", firm.id)] == [EAST]
    assert [row["cell"] for row in await world.ask(EAST, "SELECT cell FROM tenant WHERE id = $1", firm.id)] == [""]
    for cell in (HOME, EAST):
        assert await world.ask(cell, "SELECT 1 FROM pg_replication_slots UNION ALL SELECT 1 FROM pg_publication UNION ALL SELECT 1 FROM pg_subscription") == []
    assert len(await other.admin.list(ENTITY)) == 1 and await world.rows_of(EAST, other.id) == 0


async def test_everything_follows_a_tenant_that_lives_elsewhere(world):
    firm = await company(world)
    await firm.admin.create(ENTITY, name="Before")
    moved = await move_tenant(firm.slug, EAST)
    assert moved["target"] == EAST and await cell_of(firm.id) == EAST
    made = await firm.admin.create(ENTITY, name="After")
    assert [row["tenant_id"] for row in await world.ask(EAST, "SELECT tenant_id FROM record WHERE id = $1", uuid.UUID(made["id"]))] == [firm.id]
    assert await world.ask(HOME, "SELECT 1 FROM record WHERE id = $1", uuid.UUID(made["id"])) == []
    # the operator
    assert [t.slug for t in await list_tenants()].count(firm.slug) == 1
    await set_tenant_status(firm.slug, "suspended")
    assert (await find_tenant(firm.slug)).status == "suspended" and {t.status for t in await list_tenants() if t.slug == firm.slug} == {"suspended"}
    await set_tenant_status(firm.slug, "active")
    # signing in
    again = await Person(world.client, firm.admin.host, language="en").sign_in(f"a@{firm.slug}.example", PASSWORD)
    assert {row["title"] for row in await again.list(ENTITY)} == {"Before", "After"}
    # jobs run where they are
    ctx = await system_context(firm.id)
    async with tenant_transaction(firm.id) as conn:
        job = await put_in(conn, firm)
    assert await world.ask(HOME, "SELECT 1 FROM job WHERE id = $1", job) == []
    assert await drain() >= 1
    assert (await jobs.get_job(ctx, job)).status == "failed"
    await clean_up()
    # a new tenant cannot take the address
    with pytest.raises(Conflict):
        await provision_tenant(firm.slug, name="Twice", pack_key="baseline-crm", locale="en", admin_email="a@x.example", admin_password=PASSWORD)
    await delete_tenant(firm.slug)
    for cell in (HOME, EAST):
        assert await world.ask(cell, "SELECT 1 FROM tenant WHERE id = $1", firm.id) == [] and await world.rows_of(cell, firm.id) == 0


async def test_there_and_back_with_the_old_rows_kept(world):
    firm = await company(world)
    await firm.admin.create(ENTITY, name="Travels")
    async with tenant_transaction(firm.id) as conn:
        await put_in(conn, firm)
    moved = await move_tenant(firm.slug, EAST, keep_days=3)
    assert moved["kept_until"] and await world.rows_of(HOME, firm.id) > 10
    assert await drain() == 1, "the kept copy of the job is nobody's"
    assert await clean_up() and await world.rows_of(HOME, firm.id) > 10, "not yet"
    await world.ask(HOME, "UPDATE tenant_move SET purge_after = now() - interval '1 second' WHERE moved_id = $1 RETURNING 1", firm.id)
    await clean_up()
    assert await world.rows_of(HOME, firm.id) == 0
    await move_tenant(firm.slug, HOME)
    assert await cell_of(firm.id) == HOME and await world.rows_of(EAST, firm.id) == 0
    assert await world.ask(EAST, "SELECT 1 FROM tenant WHERE id = $1", firm.id) == []
    assert [row["title"] for row in await firm.admin.list(ENTITY)] == ["Travels"]
    moves = await world.ask(HOME, "SELECT source, target, status, read_only_ms FROM tenant_move WHERE moved_id = $1 ORDER BY started_at", firm.id)
    assert [(row["source"], row["target"], row["status"]) for row in moves] == [(HOME, EAST, "done"), (EAST, HOME, "done")]
    assert all(0 < row["read_only_ms"] < READ_ONLY_SECONDS * 1000 for row in moves)


async def test_while_it_is_locked_reading_works_and_writing_is_asked_to_wait(world):
    firm = await company(world)
    made = await firm.admin.create(ENTITY, name="Kept")
    connection = await asyncpg.connect(world.url(HOME))
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", places.lock_key(firm.id))
        assert len(await firm.admin.list(ENTITY)) == 1
        answer = await firm.admin.send("PATCH", f"/records/{ENTITY}/{made['id']}", {"values": {"name": "Lost"}})
        assert answer.status_code == 503 and answer.headers["retry-after"] == str(places.RETRY_SECONDS) and "being moved" in answer.json()["detail"]
        described(await firm.admin.get("/openapi.json"), "patch", f"/records/{ENTITY}/{{id}}", answer)
        assert answer.json()["reason"] == "moving"
        page = await world.client.get("/login", headers={"host": firm.admin.host})
        assert page.status_code == 200
        with pytest.raises(Exception, match="being moved"):
            async with system_transaction("purge", of=firm.id) as conn:
                await conn.execute("DELETE FROM record_event WHERE tenant_id = $1", firm.id)
        async with tenant_transaction((await company(world)).id) as conn:
            await conn.execute("UPDATE tenant SET name = 'Others go on'")
    finally:
        await connection.close()  # whoever moves dies: the lock ends with the connection
    await firm.admin.change(ENTITY, made["id"], name="Changed")


async def test_a_job_of_a_locked_tenant_is_left_for_later(world):
    firm = await company(world)
    async with tenant_transaction(firm.id) as conn:
        job = await put_in(conn, firm)
    connection = await asyncpg.connect(world.url(HOME))
    await connection.execute("SELECT pg_advisory_lock($1)", places.lock_key(firm.id))
    assert await jobs.claim_next() is None
    await connection.close()
    assert (await jobs.claim_next()).id == job


async def test_a_process_that_remembers_the_old_place_is_sent_on(world):
    """Its cache is wrong, the fence is right: not one row lands at the old place."""
    firm = await company(world)
    await move_tenant(firm.slug, EAST)
    places._known[firm.id] = HOME
    async with tenant_transaction(firm.id) as conn:
        await conn.execute("UPDATE tenant SET name = 'Found'")
    assert places._known[firm.id] == EAST
    assert [row["name"] for row in await world.ask(EAST, "SELECT name FROM tenant WHERE id = $1", firm.id)] == ["Found"]
    places._known[firm.id] = HOME
    async with system_transaction("purge", of=firm.id) as conn:
        assert await conn.fetchval("SELECT count(*) FROM app_user WHERE tenant_id = $1", firm.id) == 1


async def test_a_move_that_fails_leaves_everything_as_it_was(world, monkeypatch):
    firm = await company(world)
    await firm.admin.create(ENTITY, name="Stays")
    from saas.db.moving import Mover

    async def differs(self, one, other):
        raise Conflict("record: 1 rows here, 2 there")

    with monkeypatch.context() as patched:
        patched.setattr(Mover, "_compare", differs)
        with pytest.raises(Conflict, match="record"):
            await move_tenant(firm.slug, EAST)
    assert await cell_of(firm.id) == HOME and await world.rows_of(EAST, firm.id) == 0
    assert await world.ask(EAST, "SELECT 1 FROM pg_subscription UNION ALL SELECT 1 FROM tenant WHERE id = $1", firm.id) == []
    assert await world.ask(HOME, "SELECT 1 FROM pg_replication_slots UNION ALL SELECT 1 FROM pg_publication") == []
    await firm.admin.create(ENTITY, name="Goes on")
    assert [row["status"] for row in await world.ask(HOME, "SELECT status FROM tenant_move WHERE moved_id = $1", firm.id)] == ["failed"]


async def test_a_difference_between_both_sides_is_found(world, monkeypatch):
    """The comparison itself: one changed value at the target stops the move."""
    firm = await company(world)
    await firm.admin.create(ENTITY, name="True")
    monkeypatch.setattr(moving, "PROVE_SECONDS", 60.0)
    arrived = moving.Mover._arrived

    async def spoil(self):
        found = await arrived(self)
        await self.b.execute("UPDATE record SET version = version + 1 WHERE tenant_id = $1", self.tenant_id)
        return found

    monkeypatch.setattr(moving.Mover, "_arrived", spoil)
    with pytest.raises(Conflict, match="record"):
        await move_tenant(firm.slug, EAST)
    assert await cell_of(firm.id) == HOME and await world.rows_of(EAST, firm.id) == 0


async def test_what_takes_long_to_compare_is_compared_before_anything_is_deleted(world, monkeypatch):
    """Much data: the switch does not wait for the comparison, the deletion does."""
    firm = await company(world)
    await firm.admin.create(ENTITY, name="Much")
    monkeypatch.setattr(moving, "PROVE_SECONDS", 0)
    moved = await move_tenant(firm.slug, EAST)
    assert moved["compared"] == "after the switch" and moved["rows"]["record"] == 1 and moved["left"] == {} and await world.rows_of(HOME, firm.id) == 0

    arrived = moving.Mover._arrived

    async def spoil(self):
        found = await arrived(self)
        await self.b.execute("UPDATE record SET version = version + 1 WHERE tenant_id = $1", self.tenant_id)
        return found

    monkeypatch.setattr(moving.Mover, "_arrived", spoil)
    with pytest.raises(Conflict, match="lives in home now"):
        await move_tenant(firm.slug, HOME)
    assert await cell_of(firm.id) == HOME and await world.rows_of(EAST, firm.id) > 0, "what might be missing here is still there"
    await firm.admin.create(ENTITY, name="Goes on")


async def test_a_killed_move_is_no_obstacle(world):
    """Killed for real while it copies: the tenant works on, and the next attempt clears what is left."""
    firm = await company(world)
    await firm.admin.create(ENTITY, name="Survives")
    held = await asyncpg.connect(world.url(HOME))
    try:
        await held.execute("SELECT pg_advisory_lock_shared($1)", places.lock_key(firm.id))  # as somebody who writes for long: it gets no further than copying
        process = await world.start_move(firm.slug, EAST)
        async with asyncio.timeout(60):
            while not await world.ask(EAST, "SELECT 1 FROM pg_subscription"):  # noqa: ASYNC110  another process
                await asyncio.sleep(0.01)
        process.kill()
        await process.communicate()
    finally:
        await held.close()
    async with asyncio.timeout(60):  # the server notices that its client is gone
        while await world.ask(HOME, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"):  # noqa: ASYNC110  another process
            await asyncio.sleep(0.02)
    assert await world.ask(HOME, "SELECT 1 FROM pg_replication_slots") and await cell_of(firm.id) == HOME
    await firm.admin.create(ENTITY, name="Goes on")
    assert await firm.admin.list(ENTITY)
    await move_tenant(firm.slug, EAST)
    assert {row["title"] for row in await firm.admin.list(ENTITY)} == {"Survives", "Goes on"} and await world.rows_of(HOME, firm.id) == 0
    assert await world.ask(HOME, "SELECT 1 FROM pg_replication_slots UNION ALL SELECT 1 FROM pg_publication") == []


async def test_refusals(world):
    firm = await company(world)
    with pytest.raises(BadRequest):
        await move_tenant(firm.slug, "nowhere")
    with pytest.raises(Conflict):
        await move_tenant(firm.slug, HOME)
    login = await asyncpg.connect(**_app_login(world))  # a process that has never heard of cells
    try:
        with pytest.raises(Conflict, match="SAAS_CELLS"):
            await move_tenant(firm.slug, EAST)
    finally:
        await login.close()


async def test_numbers_of_entities_do_not_meet(world):
    assert [row[0] for row in await world.ask(EAST, "SELECT last_value FROM entity_id_seq")] == [ENTITIES_OF_A_CELL + 1]
    await migrate(world.settings)  # again: nothing changes
    assert [row[0] for row in await world.ask(EAST, "SELECT last_value FROM entity_id_seq")] == [ENTITIES_OF_A_CELL + 1]


async def test_every_database_is_examined(world):
    report = await examine(world.settings)
    assert report.is_healthy, report.as_text()
    assert any(check.title.startswith("east: ") for check in report.checks)


def _app_login(world: World) -> dict[str, Any]:
    from saas.db.roles import APP, role_login

    return role_login(world.url(HOME), SECRET, APP)
