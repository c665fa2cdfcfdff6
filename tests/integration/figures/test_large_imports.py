"""Imports of many rows: memory that does not grow with the table, a process that is killed, the database and the reading side by side."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from saas.runtime.files import store
from saas.runtime.jobs import get_job
from saas.runtime.transfer import imports, preview_import, start_import
from saas.runtime.transfer.sheets import write_xlsx
from saas.runtime.worker import drain
from saas.settings import Settings
from tests.factories import Lab

ROOT = Path(__file__).parents[3]
HEADERS = ["Name", "Kind", "Amount", "Closed", "Rank", "Vip", "Tags", "Customer", "Cost note"]
# A process of its own that works on what is waiting, and says how much memory it took beyond what it had at first.
WORKER = """
import asyncio, sys
from pathlib import Path
from saas.db import open_database, close_database
from saas.settings import Settings
from saas.runtime import load_kinds
from saas.runtime.transfer import imports
from saas.runtime.worker import drain
def memory(name):
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
async def main():
    imports.BATCH = int(sys.argv[4])
    load_kinds()
    await open_database(Settings(database_url=sys.argv[1], secret_key=sys.argv[2], data_dir=Path(sys.argv[3])))
    before = memory("VmRSS")
    print("ready", flush=True)
    await drain()
    print(memory("VmHWM") - before, flush=True)
    await close_database()
asyncio.run(main())
"""

# In one statement: what a killed process sent last may be committed a moment later.
STOPPED = """
SELECT j.status, j.progress, (j.result ->> 'created')::int AS created, (SELECT count(*) FROM record_event e WHERE e.tenant_id = j.tenant_id AND e.origin = 'import') AS written
FROM job j WHERE j.tenant_id = $1 AND j.id = $2
"""


def rows(count: int) -> Any:
    for n in range(count):
        bad = "purple" if n % 50 == 7 else ["new", "old"][n % 2]
        yield [f"Deal {n:06} 项目", bad, n * 1.5, f"2025-0{n % 9 + 1}-11", n, n % 3 == 0, f"t{n % 40}, u{n % 7}", "Rome Ltd", f"A note that nobody else has, number {n}"]


async def uploaded(ctx: Any, path: Path) -> UUID:
    content = await asyncio.to_thread(path.read_bytes)

    async def parts() -> AsyncIterator[bytes]:
        yield content

    return (await store(ctx, path.name, parts())).id


async def queued(lab: Lab, path: Path) -> Any:
    ctx = await lab.ctx("admin")
    return await start_import(ctx, await uploaded(ctx, path), {"entity": "deal"})


def worker(settings: Settings, batch: int = 1000) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(settings.database_url), settings.secret_key, str(settings.data_dir), str(batch)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


async def memory_of(lab: Lab, settings: Settings, path: Path) -> int:
    """KB by which a process grows that imports this table."""
    job = await queued(lab, path)
    process = worker(settings)
    output, _ = await asyncio.to_thread(process.communicate, timeout=300)
    done = await get_job(await lab.ctx("admin"), job.id)
    expected = sum(n % 50 == 7 for n in range(job.total))
    assert (done.status, done.result["created"], done.result["failed"]) == ("done", job.total - expected, expected)
    assert [e["row"] for e in done.result["errors"][:3]] == [9, 59, 109] and len(done.result["errors"]) == min(expected, imports.MAX_ERRORS)
    return int(output.split()[-1])


@pytest.mark.slow
async def test_memory_does_not_grow_with_the_table(company, settings, tmp_path):
    lab = await company()
    await lab.make("customer", name="Rome Ltd")
    for ending in ("xlsx", "csv"):
        grown = []
        for count in (2_000, 20_000):
            path = tmp_path / f"t{count}.{ending}"
            if ending == "xlsx":
                write_xlsx(path, "T", HEADERS, rows(count))
            else:
                path.write_text("\n".join(["\t".join(HEADERS), *("\t".join(map(str, row)) for row in rows(count))]), encoding="utf-8")
            grown.append(await memory_of(lab, settings, path))
        # Ten times the rows: held in memory they would be 30 MB and more.
        assert grown[1] - grown[0] < 10_000, (ending, grown)


@pytest.mark.slow
async def test_a_killed_import_goes_on_and_takes_no_row_twice(company, settings, tmp_path):
    lab = await company()
    await lab.make("customer", name="Rome Ltd")
    write_xlsx(tmp_path / "t.xlsx", "T", HEADERS, rows(3_000))
    job = await queued(lab, tmp_path / "t.xlsx")
    for past in (0, 900):
        process = worker(settings, batch=100)
        while (await get_job(await lab.ctx("admin"), job.id)).progress <= past and process.poll() is None:  # noqa: ASYNC110  another process
            await asyncio.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        [stopped] = await lab.fetch(STOPPED, job.id)
        assert stopped["status"] == "running" and past < stopped["progress"] < 3_000
        assert stopped["written"] == stopped["created"] > 0
        await lab.fetch("UPDATE job SET locked_until = now() - interval '1 second' WHERE tenant_id = $1 RETURNING 1")
    await drain()
    done = await get_job(await lab.ctx("admin"), job.id)
    assert (done.status, done.progress, done.result["created"], done.result["failed"]) == ("done", 3_000, 2_940, 60)
    ctx = await lab.ctx("admin")
    column = ctx.config.entity("deal").columns["name"]
    names = await lab.fetch(f"SELECT {column} FROM record WHERE tenant_id = $1 AND {column} LIKE 'Deal %'")  # noqa: S608  a column of ours
    assert len(names) == len({r[0] for r in names}) == 2_940


async def test_rows_read_ahead_are_those_that_come_next(company, tmp_path, monkeypatch):
    """Batches that end within one another's columns: each row keeps its own values, problems and blanks."""
    monkeypatch.setattr(imports, "BATCH", 7)
    lab = await company()
    await lab.make("customer", name="Rome Ltd")
    lines = [["Name", "Kind", "Customer", "Rank"]]
    for n in range(60):
        lines.append(["", "", "", ""] if n % 11 == 4 else [f"N{n}", "purple" if n % 13 == 5 else "new", "Nowhere" if n % 17 == 6 else "Rome Ltd", str(n)])
    (tmp_path / "t.csv").write_text("\n".join(",".join(line) for line in lines))
    ctx = await lab.ctx("admin")
    seen = await preview_import(ctx, await uploaded(ctx, tmp_path / "t.csv"), {"entity": "deal"})
    assert [r["action"] for r in seen["rows"]] == ["blank" if n % 11 == 4 else "failed" if n % 13 == 5 or n % 17 == 6 else "created" for n in range(20)]
    job = await queued(lab, tmp_path / "t.csv")
    bad = {n: "customer" if n % 17 == 6 else "kind" for n in range(60) if n % 11 != 4 and (n % 13 == 5 or n % 17 == 6)}
    assert {e["row"] - 2: e["field"] for e in job.result["errors"]} == bad
    ctx = await lab.ctx("admin")
    columns = ctx.config.entity("deal").columns
    found = await lab.fetch(f"SELECT {columns['name']}, {columns['rank']} FROM record WHERE tenant_id = $1 AND {columns['rank']} IS NOT NULL")  # noqa: S608  columns of ours
    assert sorted((r[1], r[0]) for r in found) == [(n, f"N{n}") for n in range(60) if n % 11 != 4 and n not in bad]


async def test_others_are_served_while_a_large_table_is_taken_in(company, tmp_path):
    """The loop of the process is never kept for long: no turn of it takes more than a small part of the work.

    Measured in time of the processor, so that other work on the machine counts for nothing.
    """
    lab = await company()
    await lab.make("customer", name="Rome Ltd")
    write_xlsx(tmp_path / "t.xlsx", "T", HEADERS, rows(3_000))
    await queued(lab, tmp_path / "t.xlsx")
    gc.disable()  # what it finds to collect is what other tests left
    try:
        work = asyncio.create_task(drain())
        begun, longest = time.thread_time(), 0.0
        while not work.done():
            before = time.thread_time()
            await asyncio.sleep(0.001)
            longest = max(longest, time.thread_time() - before)
        await work
        assert longest < (time.thread_time() - begun) / 3
    finally:
        gc.enable()
