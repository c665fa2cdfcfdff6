"""What each step of docs/scaling.md costs a transaction: python tools/measure_scaling.py [--rounds 300]

Starts two servers, a streaming replica and, where it is installed, pgbouncer; then the same small transactions go in turn through
every way, so that a busy machine slows all of them alike. Prints medians in milliseconds and the difference to the plain way.

    python tools/measure_scaling.py --move 200000       # instead: how a tenant with so many records moves while people work in it
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

sys.path.insert(0, str(Path(__file__).parent.parent))

from saas.db import pools, request_reads, session_known, tenant_transaction
from saas.db.migrate import migrate
from saas.settings import Cell, Settings
from saas.tenants import create_tenant, find_user, open_session
from tests.conftest import SECRET
from tests.scale.conftest import serving
from tests.scale.pooler import is_there, pgbouncer
from tests.scale.servers import server, standby

READ = "SELECT name, email FROM app_user WHERE tenant_id = $1"
WRITE = "UPDATE app_user SET title = $2 WHERE tenant_id = $1"


async def measure(settings: dict[str, Settings], rounds: int) -> dict[str, float]:
    opened: dict[str, pools.Database] = {}
    for name, one in settings.items():
        pools._database = None
        opened[name] = await pools.open_database(one)
    pools._database = opened["plain"]
    tenant = await create_tenant("measured", name="M", pack_key="", locale="en", admin_email="a@b.example", admin_password="correct horse battery", role_keys=["admin"])
    await open_session(tenant, (await find_user(tenant, email="a@b.example"))["id"], "api")
    async with tenant_transaction(tenant) as conn:
        session = await conn.fetchval("SELECT id FROM session")
    await asyncio.sleep(2)  # the replica has it

    async def read(*, safe: bool | None = None) -> None:
        with request(tenant, session, safe):
            async with tenant_transaction(tenant) as conn:
                await conn.fetch(READ, tenant)

    async def write(*, safe: bool | None = None) -> None:
        with request(tenant, session, safe):
            async with tenant_transaction(tenant) as conn:
                await conn.execute(WRITE, tenant, "x")

    ways: dict[str, tuple[str, Callable[[], Awaitable[None]]]] = {
        "read, plain": ("plain", read),
        **({"read, through pgbouncer": ("pooler", read)} if "pooler" in settings else {}),
        "read, from the replica": ("replica", lambda: read(safe=True)),
        "read, one of several cells": ("cells", read),
        "write, plain": ("plain", write),
        **({"write, through pgbouncer": ("pooler", write)} if "pooler" in settings else {}),
        "write, marked for the replica": ("replica", lambda: write(safe=False)),
        "write, one of several cells": ("cells", write),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 20):
        for name, (which, act) in ways.items():
            pools._database = opened[which]
            begun = time.perf_counter()
            await act()
            if number >= 20:
                times[name].append((time.perf_counter() - begun) * 1000)
    for database in opened.values():
        pools._database = database
        await pools.close_database()
    return {name: statistics.median(values) for name, values in times.items()}


@contextmanager
def request(tenant: UUID, session: UUID, safe: bool | None) -> Any:
    """A request of this session, as saas.ui makes it where there are replicas."""
    if safe is None:
        yield
        return
    with request_reads(safe=safe):
        session_known(tenant, session, 0)
        yield


async def measure_move(settings: Settings, records: int) -> None:
    """Four write and two read throughout; every record has four words in the search index."""
    from tests.scale import test_cells as scene

    async with serving(settings) as client:
        world = scene.World(settings, client)
        firm = await scene.company(world)
        first = UUID((await firm.admin.create(scene.ENTITY, name="First"))["id"])
        columns = "tenant_id, entity_id, owner_id, department_id, state, created_by, updated_by, doc"
        await world.ask(
            "home",
            f"INSERT INTO record ({columns}, id, t1, t2, t3, i1, d1) SELECT {columns}, gen_random_uuid(), 'R' || g, md5(g::text), md5((g + 1)::text), g, now() "  # noqa: S608
            "FROM record, generate_series(1, $2::int) g WHERE tenant_id = $1 AND id = $3",
            firm.id, records, first,
        )  # fmt: skip
        await world.ask(
            "home",
            "INSERT INTO search_token (tenant_id, entity_id, token, record_id) SELECT tenant_id, entity_id, 'word' || g, id FROM record, generate_series(1, 4) g WHERE tenant_id = $1",
            firm.id,
        )
        traffic = scene.Traffic(firm.admin)
        tasks = [asyncio.create_task(traffic.write(f"W{n}")) for n in range(4)] + [asyncio.create_task(traffic.read()) for _ in range(2)]
        try:
            moved = await world.move(firm.slug, "east")
        finally:
            traffic.stop = True
            await asyncio.gather(*tasks)
        print(f"{sum(moved['rows'].values()):,} rows; copied in {moved['copy_seconds']:.1f} s, read-only for {moved['read_only_seconds']:.2f} s, all in {moved['total_seconds']:.1f} s")
        print(f"compared {moved['compared']}; left at the old place: {sum(moved['left'].values())}; {len(traffic.refused)} writes were asked to wait, {len(traffic.broken)} requests failed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--move", type=int, metavar="RECORDS")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        enter = stack.enter_context
        home, east = enter(server("home")), enter(server("east"))
        directory = Path(enter(tempfile.TemporaryDirectory()))
        plain = Settings(database_url=home.url, secret_key=SECRET, data_dir=directory)
        cells = replace(plain, cells={"east": Cell("east", 1, east.url)})
        asyncio.run(migrate(cells))
        if arguments.move:
            asyncio.run(measure_move(cells, arguments.move))
            return
        settings = {"plain": plain, "cells": cells, "replica": replace(plain, replica_url=enter(standby(home)).url)}
        if is_there():
            files = Path(enter(tempfile.TemporaryDirectory()))
            settings["pooler"] = replace(plain, pooler_url=enter(pgbouncer(files, home.url, SECRET)).url + "/postgres")
        found = asyncio.run(measure(settings, arguments.rounds))
    for name, value in found.items():
        base = found[f"{name.split(',')[0]}, plain"]
        print(f"{name:32} {value:7.3f} ms   {value - base:+7.3f} ms")


if __name__ == "__main__":
    main()
