"""A tenant whose rules never end: they end after all, with words, and nobody else waits for them. Proved by order, not by time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.errors import Conflict
from saas.runtime import execute, jobs, timers
from saas.runtime import operations as ops
from saas.runtime.worker import run_worker
from tests.bundles import label
from tests.factories import Lab, make_lab
from tests.storm.company import bundle, entry

MANY = 120


def endless() -> dict[str, Any]:
    """Each entry makes the next one, by two rules in turn; a schedule goes through everything, and each step of it does work."""
    found = bundle()
    found["automations"] += [
        {"key": f"again_{n}", "label": label("Again"), "entity": "entry", "on": {"trigger": "create"}, "if": f"kind == 'again{n}'", "do": [{"action": "create", "entity": "entry", "values": {"kind": f"'again{(n + 1) % 7}'"}}]}
        for n in range(7)
    ]  # fmt: skip
    found["schedules"] = [{**found["schedules"][0], "once_per": "run", "do": [entry("sweep") for _ in range(5)]}]
    return found


@pytest_asyncio.fixture(scope="module")
async def labs(database) -> tuple[Lab, Lab]:
    return await make_lab(endless(), people=False), await make_lab(bundle(), people=False)


async def test_a_chain_without_end_is_refused_whole_and_says_why(labs):
    wild, calm = labs
    before = await wild.fetch("SELECT count(*) FROM record WHERE tenant_id = $1")
    with pytest.raises(Conflict, match="circle"):
        await execute(await wild.ctx("admin"), ops.Create(entity="entry", values={"kind": "again0"}))
    assert await wild.fetch("SELECT count(*) FROM record WHERE tenant_id = $1") == before
    assert await calm.make("order", "admin", name="calm")


async def test_a_rule_over_everything_keeps_no_other_tenant_waiting(labs, database, monkeypatch):
    """One worker with one place: the calm tenant's jobs come between those of the wild one, and its writes come while they run."""
    wild, calm = labs
    async with database.system.acquire() as conn:
        await conn.execute("DELETE FROM job")
    monkeypatch.setattr("saas.runtime.worker.POLL_SECONDS", 0.05)
    for number in range(MANY // 10):
        await asyncio.gather(*(wild.make("order", "admin", name=f"w{number}-{i}") for i in range(10)))
    for _ in range(4):
        await put(wild, {"only": "sweep"})
    mine = [await put(calm, {"only": "sweep"}) for _ in range(2)]
    stop = asyncio.Event()
    worker = asyncio.create_task(run_worker(stop, concurrency=1, ticks=False))
    ctx, written = await calm.ctx("admin"), 0
    try:
        async with asyncio.timeout(60):
            while written < 2 or {(await jobs.get_job(ctx, job)).status for job in mine} != {"done"}:
                await calm.make("order", "admin", name=f"c{written}")
                written += 1
        left = await wild.fetch("SELECT count(*) FROM job WHERE tenant_id = $1 AND status IN ('queued', 'running')")
        assert left[0][0] >= 2, "the calm tenant's last job is done while half of the wild one's still wait"
        assert written > 1, "people of the calm tenant write meanwhile"
    finally:
        stop.set()
        await asyncio.wait_for(worker, 60)


async def put(lab: Lab, payload: dict[str, Any]) -> Any:
    ctx = await lab.ctx("admin")
    async with tenant_transaction(lab.tenant_id) as conn:
        return await jobs.enqueue(conn, ctx, timers.JOB, payload, run_at=ctx.real_now - timedelta(minutes=1))
