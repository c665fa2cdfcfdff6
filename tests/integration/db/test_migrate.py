"""From nothing to the present schema: roles, repeatability, many at once, and models that say what the tables are."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio

from saas.db import embedded, pools
from saas.db.doctor import examine_url
from saas.db.engine import DB
from saas.db.migrate import migrate, owner_scope, pending_migrations, require_migrated
from saas.db.partitions import extend_months
from saas.db.roles import APP, OWNER, role_login
from saas.errors import Unavailable
from saas.settings import Cell, Settings
from saas.tenants.tables import TABLES


@pytest_asyncio.fixture
async def empty(server_url, settings):
    """A database with nothing in it."""
    name = f"saas_test_{os.getpid()}_empty"
    admin = await asyncpg.connect(server_url)
    await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    await admin.execute(f'CREATE DATABASE "{name}"')
    yield replace(settings, database_url=settings.database_url.rsplit("/", 1)[0] + f"/{name}")
    await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await admin.close()


async def test_three_at_once_on_an_empty_database_and_again(empty):
    reports = await asyncio.gather(*(migrate(empty) for _ in range(3)))
    assert sorted(len(report.applied) for report in reports)[:2] == [0, 0]
    assert max(len(report.applied) for report in reports) >= 2
    again = await migrate(empty)
    assert again.applied == () and again.partitions == ()
    connection = await asyncpg.connect(empty.database_url)
    assert await pending_migrations(connection) == []
    await connection.close()


async def test_nothing_starts_on_a_cell_that_is_not_migrated_and_one_that_is_away_stops_nobody(database, clone_database, monkeypatch):
    behind = await clone_database()
    connection = await asyncpg.connect(behind)
    await connection.execute("DELETE FROM migration WHERE id = (SELECT max(id) FROM migration)")
    await connection.close()
    away = "postgresql://nobody@127.0.0.1:9/crm"
    cells = {key: await pools._open_pools(Cell(key, number, url), database.settings) for number, (key, url) in enumerate({"west": away, "east": behind}.items(), 1)}
    try:
        monkeypatch.setattr(pools, "_database", replace(database, cells={**database.cells, "west": cells["west"]}))
        await require_migrated()
        monkeypatch.setattr(pools, "_database", replace(database, cells={**database.cells, **cells}))
        with pytest.raises(Unavailable) as refused:
            await require_migrated()
    finally:
        for cell in cells.values():
            for pool in cell.all():
                pool.terminate()
    assert pools.describe(behind) in str(refused.value.message) and "1 migration" in str(refused.value.message)


async def test_every_migration_can_run_twice(empty):
    """A migration that was applied but whose note was lost must do no harm."""
    await migrate(empty)
    owner = await asyncpg.connect(**role_login(empty.database_url, empty.secret_key, OWNER))
    await owner.execute("DELETE FROM migration")
    await owner.close()
    assert len((await migrate(empty)).applied) >= 2


async def test_a_new_secret_key_takes_effect_with_migrate(tmp_path_factory):
    """On a server of its own: roles belong to the whole server, and other tests run beside this one."""
    options = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "20"}
    server = await asyncio.to_thread(embedded.start, tmp_path_factory.mktemp("server"), options)
    try:
        first = Settings(database_url=server.url, secret_key="a" * 40)
        second = replace(first, secret_key="b" * 40)
        await migrate(first)
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(**role_login(server.url, second.secret_key, APP))
        with pytest.raises(Unavailable, match="SAAS_SECRET_KEY"):
            await examine_url(server.url, second)
        await migrate(second)
        connection = await asyncpg.connect(**role_login(server.url, second.secret_key, APP))
        await connection.close()
    finally:
        await asyncio.to_thread(server.stop)


async def test_a_server_that_is_away_is_named_and_waited_for(settings):
    away = replace(settings, database_url="postgresql://someone:hidden@127.0.0.1:9/crm")
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9/crm") as caught:
        await migrate(away, wait_seconds=1)
    assert 1 <= time.monotonic() - began < 30
    assert "hidden" not in str(caught.value)


async def test_a_login_that_may_not_make_roles_is_told_so(empty):
    await migrate(empty)
    weak = replace(empty, secret_key="another-secret-key-0123456789abcdefgh")
    login = role_login(empty.database_url, empty.secret_key, APP)
    url = empty.database_url.replace(empty.database_url.split("://")[1].split("@")[0], f"{APP}:{login['password']}")
    with pytest.raises(Unavailable, match="may not create roles"):
        await migrate(replace(weak, database_url=url))


async def test_models_match_the_tables(database):
    connection = await asyncpg.connect(database.url)
    try:
        for model in TABLES:
            rows = await connection.fetch(
                "SELECT column_name, data_type, is_nullable FROM information_schema.columns "
                "WHERE table_schema = 'public' AND table_name = $1",
                model._meta.tablename,
            )
            columns = {row["column_name"]: (row["data_type"], row["is_nullable"] == "YES") for row in rows}
            kinds = {"TIMESTAMPTZ": "timestamp with time zone", "TEXT[]": "ARRAY"}
            declared = {
                column._meta.name: (kinds.get(column.column_type, column.column_type.lower()), column._meta.null)
                for column in model._meta.columns
            }
            assert declared == columns, model
    finally:
        await connection.close()


async def test_record_has_the_slots_and_partitions(database):
    connection = await asyncpg.connect(database.url)
    try:
        rows = await connection.fetch("SELECT column_name FROM information_schema.columns WHERE table_name = 'record'")
        names = {row["column_name"] for row in rows}
        for letter, count in {"t": 40, "i": 20, "n": 16, "d": 20, "r": 24}.items():
            assert {f"{letter}{number}" for number in range(1, count + 1)} <= names
        count = await connection.fetchval("SELECT count(*) FROM pg_inherits WHERE inhparent = 'record'::regclass")
        assert count == 32
    finally:
        await connection.close()


async def test_rows_in_the_default_partition_move_to_their_new_month(empty):
    await migrate(empty)
    month = datetime.now(UTC).date().replace(day=1)
    days = {"one": (month + timedelta(days=40)).replace(day=5), "two": (month + timedelta(days=71)).replace(day=7)}  # next month, and the one after
    one, two = (f"record_event_{day:%Y_%m}" for day in days.values())
    async with owner_scope(empty.database_url, empty.secret_key) as owner:
        await owner.execute(f"DROP TABLE {one}, {two}")
        tenant = "01890000-0000-7000-8000-000000000001"
        for kind, day in days.items():
            async with owner.transaction():
                await owner.execute(f"SELECT set_config('app.tenant_id', '{tenant}', true)")
                await owner.execute(
                    "INSERT INTO record_event (tenant_id, entity_id, record_id, id, at, origin, kind, version) "
                    "VALUES ($1, 1, gen_random_uuid(), gen_random_uuid(), $2::text::timestamptz, 'api', $3, 1)",
                    tenant, day.isoformat(), kind,
                )
        made = await extend_months("record_event", 12 * 3)
        assert {one, two} <= set(made)
        async with owner.transaction():
            await owner.execute(f"SELECT set_config('app.tenant_id', '{tenant}', true)")
            rows = await owner.fetch("SELECT tableoid::regclass::text AS place, kind FROM record_event ORDER BY at")
        assert [tuple(row) for row in rows] == [(one, "one"), (two, "two")]
        assert DB.current_transaction.get().connection is owner
    report = await examine_url(empty.database_url, empty)
    assert report.is_healthy, report.as_text()


def test_settings_fixture_is_not_the_administrators(settings: Settings):
    assert settings.secret_key not in repr(settings) and "postgres" not in repr(settings)
