"""Transactions: one tenant each, nothing leaks, connection loss is survived."""

from __future__ import annotations

import asyncio
import uuid

import asyncpg
import pytest

from saas.db import (
    count_queries,
    current_database,
    direct_connection,
    in_transaction,
    query_count,
    system_transaction,
    tenant_transaction,
)
from saas.errors import BadRequest, Conflict, TooSlow, Unavailable
from saas.tenants.tables import Tenant


async def test_rows_of_one_tenant_only_and_piccolo_takes_part(tenant_factory):
    one, two = await tenant_factory(), await tenant_factory()
    async with tenant_transaction(one.id) as conn:
        assert [row["slug"] for row in await conn.fetch("SELECT slug FROM tenant")] == [one.slug]
        assert await Tenant.count() == 1
        await Tenant.update({Tenant.name: "Changed"}, force=True)
    async with system_transaction("doctor") as conn:
        names = {row["id"]: row["name"] for row in await conn.fetch("SELECT id, name FROM tenant")}
    assert names[one.id] == "Changed" and names[two.id] != "Changed"


async def test_queries_without_a_transaction_are_refused(database):
    with pytest.raises(RuntimeError, match="tenant_transaction"):
        await Tenant.count()
    with pytest.raises(RuntimeError):
        await Tenant.select().batch()


async def test_joins_the_same_tenant_and_refuses_another(tenant_factory):
    one, two = await tenant_factory(), await tenant_factory()
    async with tenant_transaction(one.id) as outer:
        async with tenant_transaction(str(one.id)) as inner:
            assert inner is outer
        assert in_transaction()
        with pytest.raises(RuntimeError, match="another tenant"):
            tenant_transaction(two.id)
        with pytest.raises(RuntimeError):
            system_transaction("doctor")
    assert not in_transaction()
    async with system_transaction("doctor"):
        with pytest.raises(RuntimeError):
            tenant_transaction(one.id)


@pytest.mark.parametrize("bad", ["x'; DROP TABLE tenant; --", "", "1", None])
async def test_a_tenant_that_is_no_uuid_never_reaches_the_database(database, bad):
    with pytest.raises(ValueError):
        tenant_transaction(bad)


async def test_an_unknown_reason_for_the_system_role_is_refused(database):
    with pytest.raises(ValueError):
        system_transaction("because I can")


async def test_an_error_rolls_back_all_of_it(tenant_factory):
    tenant = await tenant_factory()
    with pytest.raises(ZeroDivisionError):
        async with tenant_transaction(tenant.id) as conn:
            await conn.execute("UPDATE tenant SET name = 'lost'")
            _ = 1 / 0
    async with tenant_transaction(tenant.id) as conn:
        assert await conn.fetchval("SELECT name FROM tenant") != "lost"


async def test_a_savepoint_keeps_the_transaction_usable(tenant_factory):
    tenant = await tenant_factory()
    async with tenant_transaction(tenant.id) as conn:
        with pytest.raises(asyncpg.PostgresError):
            async with conn.transaction():
                await conn.execute("UPDATE tenant SET name = 'lost'")
                await conn.execute("SELECT no_such_column FROM tenant")
        assert await conn.fetchval("SELECT name FROM tenant") != "lost"
        await conn.execute("UPDATE tenant SET name = 'kept'")
    async with tenant_transaction(tenant.id) as conn:
        assert await conn.fetchval("SELECT name FROM tenant") == "kept"


async def test_failed_commits_and_cancelled_requests_do_not_leak_connections(tenant_factory, settings):
    tenant = await tenant_factory()
    owner = await _owner(settings)
    await owner.execute("CREATE OR REPLACE FUNCTION fail_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'too late'; END $$")
    await owner.execute("DROP TRIGGER IF EXISTS late ON department")
    await owner.execute(
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON department DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.key = 'too_late') "
        "EXECUTE FUNCTION fail_late()"
    )
    pool = current_database().app
    try:
        for _ in range(pool.get_max_size() + 3):
            with pytest.raises(asyncpg.RaiseError):  # at commit, not before
                async with tenant_transaction(tenant.id) as conn:
                    await conn.execute("INSERT INTO department (tenant_id, id, key) VALUES ($1, $2, 'too_late')", tenant.id, uuid.uuid4())
    finally:
        await owner.execute("DROP TRIGGER late ON department")
        await owner.execute("DROP FUNCTION fail_late()")
        await owner.close()

    async def slow() -> None:
        async with tenant_transaction(tenant.id) as conn:
            await conn.execute("SELECT pg_sleep(20)")

    for _ in range(pool.get_max_size() + 3):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(slow(), 0.05)

    async def quick() -> int:
        async with tenant_transaction(tenant.id) as conn:
            return await conn.fetchval("SELECT count(*) FROM tenant")

    async with asyncio.timeout(60):
        assert await asyncio.gather(*(quick() for _ in range(50))) == [1] * 50


async def test_statements_are_counted_without_the_frame(tenant_factory):
    tenant = await tenant_factory()
    assert query_count() == 0
    with count_queries():
        async with tenant_transaction(tenant.id) as conn:
            await conn.fetch("SELECT 1")
            await conn.fetchval("SELECT 1")
            await Tenant.count()
        assert query_count() == 3
    assert query_count() == 0


async def test_a_statement_that_takes_too_long_is_stopped(tenant_factory):
    tenant = await tenant_factory()
    with pytest.raises(TooSlow):
        async with tenant_transaction(tenant.id, timeout_seconds=0.05) as conn:
            await conn.execute("SELECT pg_sleep(5)")
    async with tenant_transaction(tenant.id) as conn:
        assert await conn.fetchval("SHOW statement_timeout") != "50ms"


async def test_dead_idle_connections_are_replaced_without_an_error(tenant_factory, settings):
    tenant = await tenant_factory()
    await _kill_connections(settings, "saas_app")
    async with tenant_transaction(tenant.id) as conn:
        assert await conn.fetchval("SELECT 1") == 1


async def test_a_connection_lost_in_the_middle_is_unavailable_and_the_next_works(tenant_factory, settings):
    tenant = await tenant_factory()
    with pytest.raises(Unavailable):
        async with tenant_transaction(tenant.id) as conn:
            await conn.execute("UPDATE tenant SET name = 'lost'")
            await _kill_connections(settings, "saas_app")
            await conn.execute("SELECT 1")
    async with tenant_transaction(tenant.id) as conn:
        assert await conn.fetchval("SELECT name FROM tenant") != "lost"


async def test_an_error_of_the_file_system_is_not_the_database_being_away(tenant_factory):
    tenant = await tenant_factory()
    with pytest.raises(FileNotFoundError):
        async with tenant_transaction(tenant.id):
            raise FileNotFoundError("attachment")
    with pytest.raises(TimeoutError):
        async with tenant_transaction(tenant.id):
            raise TimeoutError("something else")


async def test_a_task_that_outlives_its_transaction_gets_one_of_its_own(tenant_factory):
    tenant = await tenant_factory()
    go = asyncio.Event()

    async def later() -> int:
        await go.wait()
        async with tenant_transaction(tenant.id) as conn:
            return await conn.fetchval("SELECT count(*) FROM tenant")

    async with tenant_transaction(tenant.id):
        task = asyncio.create_task(later())
    go.set()
    assert await task == 1


async def test_listening_needs_no_tenant_and_sees_none(tenant_factory):
    tenant = await tenant_factory()
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with direct_connection() as listener:
        await listener.add_listener("config", lambda *event: heard.put_nowait(event[-1]))
        assert await listener.fetchval("SELECT count(*) FROM tenant") == 0
        async with tenant_transaction(tenant.id) as conn:
            await conn.execute("SELECT pg_notify('config', 'hello')")
        assert await asyncio.wait_for(heard.get(), 30) == "hello"


async def _owner(settings) -> asyncpg.Connection:
    from saas.db.roles import OWNER, role_login

    return await asyncpg.connect(**role_login(settings.database_url, settings.secret_key, OWNER))


async def _kill_connections(settings, role: str) -> None:
    admin = await asyncpg.connect(settings.database_url)
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND datname = current_database()", role
    )
    await admin.close()
    await asyncio.sleep(0.05)


async def test_who_waits_too_long_for_a_row_is_asked_to_try_again(tenant_factory):
    tenant = await tenant_factory()
    held, done = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with tenant_transaction(tenant.id) as conn:
            await conn.execute("SELECT 1 FROM tenant FOR UPDATE")
            held.set()
            await done.wait()

    holder = asyncio.create_task(hold())
    await held.wait()
    try:
        with pytest.raises(Conflict) as caught:
            async with tenant_transaction(tenant.id) as conn:
                await conn.execute("SET LOCAL lock_timeout = '50ms'")
                await conn.execute("SELECT 1 FROM tenant FOR UPDATE")
    finally:
        done.set()
        await holder
    assert caught.value.data["reason"] == "locked"


@pytest.mark.parametrize("sql", ["SELECT $1::text", "SELECT to_jsonb($1::text)"])
async def test_characters_no_column_can_hold_are_the_senders_mistake(tenant_factory, sql):
    tenant = await tenant_factory()
    with pytest.raises(BadRequest):
        async with tenant_transaction(tenant.id) as conn:
            await conn.fetchval(sql, "a\x00b")
