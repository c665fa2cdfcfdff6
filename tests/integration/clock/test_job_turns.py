"""Whose job is next: each tenant in its turn, whoever waits at the screen first, nothing twice; and how long jobs are remembered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.i18n import lazy
from saas.runtime import jobs
from saas.runtime.jobs import BULK, SCHEDULED, WAITED_FOR, JobKind, JobRun, job_kinds
from saas.runtime.worker import run_worker
from tests.factories import Lab, make_lab
from tests.integration.clock.material import bundle

MANY = 10_000


class Turn(JobKind):
    key = "test_turn"
    label = lazy("Turn")
    kept_days = 10

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        return {}


if "test_turn" not in job_kinds:
    job_kinds.register(Turn)


@pytest_asyncio.fixture(scope="module")
async def labs(database) -> list[Lab]:
    return [await make_lab(bundle(), people=False) for _ in range(4)]


@pytest_asyncio.fixture(autouse=True)
async def clean(database):
    async with database.system.acquire() as conn:
        await conn.execute("DELETE FROM job")
    yield
    async with database.system.acquire() as conn:
        await conn.execute("DELETE FROM job")


async def put(lab: Lab, count: int = 1, priority: int = BULK) -> None:
    await lab.fetch(
        "INSERT INTO job (tenant_id, id, kind, priority, created_at, run_at) SELECT $1, gen_random_uuid(), 'test_turn', $3, now() + i * interval '1 microsecond' - interval '1 hour', now() + i * interval '1 microsecond' - interval '1 hour' "
        "FROM generate_series(1, $2) i RETURNING 1", count, priority,
    )  # fmt: skip


async def order(count: int) -> list[UUID]:
    """Whose jobs one worker takes, one after the other."""
    found = []
    for _ in range(count):
        claim = await jobs.claim_next()
        if claim is None:
            break
        found.append(claim.tenant_id)
        assert await jobs.finish(claim, {})
    return found


async def now_put(lab: Lab, priority: int = BULK) -> None:
    ctx = await lab.ctx("admin")
    async with tenant_transaction(lab.tenant_id) as conn:
        await jobs.enqueue(conn, ctx, "test_turn", {}, priority=priority)


async def test_ten_thousand_jobs_delay_nobody_by_more_than_one_of_them(labs):
    many, few, third, _ = labs
    await put(many, MANY, WAITED_FOR)
    assert set(await order(5)) == {many.tenant_id}
    await now_put(few, SCHEDULED)  # later, and less urgent than all of the ten thousand
    assert (await order(2)).index(few.tenant_id) <= 1
    for _ in range(3):
        await now_put(few), await now_put(third)
    found = await order(9)
    assert [t for t in found if t != many.tenant_id] in ([few.tenant_id, third.tenant_id] * 3, [third.tenant_id, few.tenant_id] * 3)
    for place, tenant in enumerate(found):
        if tenant == many.tenant_id:
            assert found[place + 1 : place + 2] != [many.tenant_id], "the many never come twice before the others"


async def test_two_heavy_tenants_do_not_shut_out_a_third(labs):
    one, two, third, fourth = labs
    await put(one, 50), await put(two, 50)
    held = [await jobs.claim_next() for _ in range(2)]  # long jobs of both are running meanwhile
    await now_put(third), await now_put(fourth, SCHEDULED)
    assert set(await order(4)) == {one.tenant_id, two.tenant_id, third.tenant_id, fourth.tenant_id}
    assert {c.tenant_id for c in held if c} == {one.tenant_id, two.tenant_id}


async def test_within_a_round_whoever_waits_at_the_screen_is_first(labs):
    one, two, third, _ = labs
    await put(one, 1, SCHEDULED), await put(two, 1, BULK), await put(third, 1, WAITED_FOR)
    assert await order(3) == [third.tenant_id, two.tenant_id, one.tenant_id]
    await put(one, 2, SCHEDULED), await put(one, 2, BULK), await put(one, 1, WAITED_FOR)
    seen = []
    while (claim := await jobs.claim_next()) is not None:
        seen.append((await one.fetch("SELECT priority FROM job WHERE tenant_id = $1 AND id = $2", claim.id))[0][0])
        await jobs.finish(claim, {})
    assert seen == [WAITED_FOR, BULK, BULK, SCHEDULED, SCHEDULED]


async def test_nothing_is_taken_twice_and_nobody_who_looks_at_once_leaves_empty_handed(labs):
    await put(labs[0], 40), await put(labs[1], 40)
    claims = [c for _ in range(20) for c in await asyncio.gather(*(jobs.claim_next() for _ in range(4)))]
    assert Counter(c.id for c in claims if c).most_common(1)[0][1] == 1
    assert len([c for c in claims if c]) == 80 and await jobs.claim_next() is None


async def test_a_place_that_becomes_free_is_taken_without_waiting_for_the_next_look(labs, monkeypatch):
    """A worker that nothing wakes: fifty small jobs of one tenant are done all the same, one after the other."""
    monkeypatch.setattr("saas.runtime.worker.POLL_SECONDS", 3600)
    ran, all_ran = Counter(), asyncio.Event()

    async def count(_kind: Turn, job: JobRun) -> Mapping[str, Any]:
        ran[job.id] += 1
        if len(ran) == 50:
            all_ran.set()
        return {}

    monkeypatch.setattr(Turn, "run", count)
    await put(labs[0], 50)
    stop = asyncio.Event()
    worker = asyncio.create_task(run_worker(stop, concurrency=1, ticks=False))
    try:
        await asyncio.wait_for(all_ran.wait(), 60)
    finally:
        stop.set()
        await asyncio.wait_for(worker, 60)
    assert set(ran.values()) == {1}


@pytest.mark.parametrize("nested", ["on", "off"])
async def test_a_claim_among_very_many_reads_few_of_them(labs, database, nested):
    """The plan: jobs are found along the index, however many wait and whatever the planner believes of them."""
    await put(labs[0], MANY), await put(labs[1], 3)
    owner = await asyncpg.connect(database.url)  # only the table's owner may, others are passed over with a warning
    await owner.execute("ANALYZE job")
    await owner.close()
    async with database.system.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        await conn.execute(f"SET LOCAL enable_nestloop = {nested}")  # dear, as when it thinks that everything was due
        rows = await conn.fetch(f"EXPLAIN (ANALYZE, TIMING OFF) {jobs._CLAIM}")
        await transaction.rollback()
    text = "\n".join(r[0] for r in rows)
    assert "Seq Scan on job" not in text, text
    of_jobs = [line for line in text.splitlines() if " on job" in line]
    assert max(int(float(part.split()[0])) for line in of_jobs for part in line.split("actual rows=")[1:]) < 200, text


async def test_jobs_that_ended_long_ago_are_forgotten(labs):
    lab = labs[0]
    await put(lab, 4)
    await lab.fetch("UPDATE job SET status = 'done', finished_at = now() - interval '11 days' WHERE tenant_id = $1 AND id IN (SELECT id FROM job WHERE tenant_id = $1 LIMIT 2) RETURNING 1")
    await lab.fetch("UPDATE job SET status = 'failed', finished_at = now() - interval '11 days' WHERE tenant_id = $1 AND id IN (SELECT id FROM job WHERE tenant_id = $1 AND status = 'queued' LIMIT 1) RETURNING 1")
    await lab.fetch("INSERT INTO job (tenant_id, id, kind, status, finished_at) VALUES ($1, gen_random_uuid(), 'backfill', 'done', now() - interval '900 days') RETURNING 1")
    assert await jobs.remove_old() == 2
    left = await lab.fetch("SELECT kind, status FROM job WHERE tenant_id = $1 ORDER BY kind, status")
    assert [tuple(r) for r in left] == [("backfill", "done"), ("test_turn", "failed"), ("test_turn", "queued")], "what is looked into later stays, failures stay longer"
    await lab.fetch("UPDATE job SET finished_at = now() - interval '31 days' WHERE tenant_id = $1 AND status = 'failed' RETURNING 1")
    assert await jobs.remove_old() == 1
