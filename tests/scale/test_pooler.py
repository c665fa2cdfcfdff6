"""Requests, jobs and transactions pass through a pooler that gives each transaction any of two connections."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from saas.db.roles import APP, role_login
from tests.conftest import POOLED, ROOT, SECRET
from tests.scale.pooler import POOL, Pooler, is_there, pgbouncer

pytestmark = pytest.mark.skipif(
    not is_there(), reason="NO PGBOUNCER: nothing has been tried through a pooler. Install it (Debian: apt-get install pgbouncer)."
)
LEAST = 230  # tests that must have passed; more is fine


@pytest.fixture(scope="module")
def pooler(server_url: str) -> Iterator[Pooler]:
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as directory, pgbouncer(Path(directory), server_url, SECRET) as found:
        yield found


@pytest.mark.slow
def test_the_marked_part_of_the_suite_passes_through_two_connections(pooler):
    """The tests of the mark `pooler` (tests/conftest.py says which), unchanged, in a process whose pools end at pgbouncer."""
    most: dict[str, int] = {}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            for row in pooler.show("POOLS"):
                most[row["user"]] = max(most.get(row["user"], 0), sum(int(row[name]) for name in ("sv_active", "sv_idle", "sv_used", "sv_tested")))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        environment = {**os.environ, "SAAS_TEST_POOLER_URL": pooler.url}
        environment.pop("PYTEST_XDIST_WORKER", None)
        result = subprocess.run(
            [sys.executable, "-m", "pytest", *POOLED, "-m", "pooler", "-v", "-p", "no:cacheprovider", "-p", "no:xdist"],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=3600,
        )  # fmt: skip
    finally:
        over.set()
        watcher.join()
    assert result.returncode == 0, result.stdout[-6000:]
    assert int(re.search(r"(\d+) passed", result.stdout)[1]) >= LEAST, result.stdout[-500:]
    transactions = sum(int(row["total_xact_count"]) for row in pooler.show("STATS") if row["database"].startswith("saas_test_"))
    assert transactions > 2_000, "the suite did not go through the pooler"
    assert most[APP] == POOL, most


async def test_many_clients_share_two_connections_and_see_only_their_own(pooler, clone_database):
    """Forty clients at once, each with a tenant of its own: no rows of another, no error, two connections."""
    database = (await clone_database()).rsplit("/", 1)[1]
    login = role_login(f"{pooler.url}/{database}", SECRET, APP)

    async def work(tenant: uuid.UUID) -> None:
        connection = await asyncpg.connect(**login, statement_cache_size=0)
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL app.tenant_id = '{tenant}'")
                await connection.execute("INSERT INTO tenant (id, slug, name) VALUES ($1, $2, 'x')", tenant, f"t{tenant.hex}")
            for _ in range(20):
                async with connection.transaction():
                    await connection.execute(f"SET LOCAL app.tenant_id = '{tenant}'")
                    assert [row["id"] for row in await connection.fetch("SELECT id FROM tenant")] == [tenant]
        finally:
            await connection.close()

    await asyncio.gather(*(work(uuid.uuid4()) for _ in range(40)))
    [pool] = [row for row in pooler.show("POOLS") if row["database"] == database and row["user"] == APP]
    assert sum(int(pool[name]) for name in ("sv_active", "sv_idle", "sv_used")) <= POOL


def test_the_command_writes_what_the_pooler_needs(pooler, tmp_path):
    """`saas pooler-users` is the file of users with which the pooler of these tests runs."""
    environment = {"PATH": os.environ["PATH"], "SAAS_SECRET_KEY": SECRET, "SAAS_DATA_DIR": str(tmp_path)}
    result = subprocess.run([sys.executable, "-m", "saas", "pooler-users"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    used = (Path(pooler.directory) / "userlist.txt").read_text().splitlines()
    assert set(result.stdout.splitlines()) < set(used) and len(result.stdout.splitlines()) == 2


async def test_statements_kept_by_the_driver_would_fail(pooler, clone_database):
    """Why statement_cache_size is 0 behind a pooler: this is what happens without."""
    login = role_login(f"{pooler.url}/{(await clone_database()).rsplit('/', 1)[1]}", SECRET, APP)
    one, other = [await asyncpg.connect(**login) for _ in range(2)]
    failures: list[asyncpg.PostgresError] = []
    try:
        for _attempt in range(10):
            # Now on the one server, now, because the other client is there, on the other one, which does not know the statement.
            for company in (None, other):
                held = company.transaction() if company else None
                if held:
                    await held.start()
                    await company.execute("SELECT 1")
                try:
                    async with one.transaction():
                        await one.fetchval("SELECT $1::int", 1)
                except asyncpg.PostgresError as error:
                    failures.append(error)
                if held:
                    await held.rollback()
    finally:
        for client in (one, other):
            client.terminate()
    assert failures
