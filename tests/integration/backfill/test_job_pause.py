"""A job that rests: stopped at its next checkpoint, gone on from there, by nobody else's hand, and never twice at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.errors import Conflict, NotFound
from saas.i18n import lazy
from saas.runtime import jobs
from saas.runtime.jobs import JobKind, JobRun, JobWaits, job_kinds
from saas.runtime.worker import drain, run_claim, run_for, run_now
from tests.factories import Lab, make_lab


class Gate:
    """Where a job is held after its second step."""

    def __init__(self) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()


STEPS: list[int] = []
GATE: list[Gate] = []


class Stepper(JobKind):
    key = "test_stepper"
    label = lazy("Stepper")
    right = "config"
    for_company = True
    resumable = True

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        if job.payload.get("wait"):
            raise JobWaits(60)
        for number in range(job.state.get("next", 0), job.payload["steps"]):
            async with tenant_transaction(job.ctx.tenant_id) as conn:
                STEPS.append(number)
                await job.checkpoint(conn, done=number + 1, total=job.payload["steps"], state={"next": number + 1})
            if GATE and number == 1:
                GATE[0].reached.set()
                await GATE[0].opened.wait()
        return {"next": job.payload["steps"], "who": job.ctx.user_id}


if "test_stepper" not in job_kinds:
    job_kinds.register(Stepper)


@pytest_asyncio.fixture(autouse=True)
async def clean(database):
    async with database.system.acquire() as conn:
        await conn.execute("DELETE FROM job")
    STEPS.clear()
    GATE.clear()


async def put(lab: Lab, who: str = "admin", **payload: Any) -> Any:
    async with tenant_transaction(lab.tenant_id) as conn:
        return await jobs.enqueue(conn, await lab.ctx(who), "test_stepper", {"steps": 4, **payload})


async def test_a_paused_job_stops_at_its_checkpoint_and_goes_on_from_there(database):
    lab = await make_lab()
    ctx, gate = await lab.ctx("admin"), Gate()
    GATE.append(gate)
    job_id = await put(lab)
    task = asyncio.create_task(drain())
    await asyncio.wait_for(gate.reached.wait(), 30)
    assert (await jobs.pause_job(ctx, job_id)).status == "paused"
    gate.opened.set()
    await asyncio.wait_for(task, 30)
    info = await jobs.get_job(ctx, job_id)
    assert (info.status, info.progress, info.attempts, STEPS) == ("paused", 2, 0, [0, 1, 2])  # the third was rolled back
    assert await drain() == 0
    with pytest.raises(Conflict):
        await jobs.pause_job(ctx, job_id)
    GATE.clear()
    assert (await jobs.resume_job(ctx, job_id)).status == "queued"
    assert await drain() == 1
    info = await jobs.get_job(ctx, job_id)
    assert (info.status, info.attempts, STEPS) == ("done", 1, [0, 1, 2, 2, 3])
    with pytest.raises(Conflict):
        await jobs.resume_job(ctx, job_id)


async def test_a_pause_taken_back_before_it_was_noticed_changes_nothing(database):
    lab = await make_lab()
    ctx, gate = await lab.ctx("admin"), Gate()
    GATE.append(gate)
    job_id = await put(lab)
    task = asyncio.create_task(drain())
    await asyncio.wait_for(gate.reached.wait(), 30)
    await jobs.pause_job(ctx, job_id)
    assert (await jobs.resume_job(ctx, job_id)).status == "running"
    assert await jobs.claim_next() is None  # its worker still has it
    gate.opened.set()
    await asyncio.wait_for(task, 30)
    assert (await jobs.get_job(ctx, job_id)).status == "done" and STEPS == [0, 1, 2, 3]


async def test_a_waiting_job_can_be_paused_and_cancelled(database):
    lab = await make_lab()
    ctx = await lab.ctx("admin")
    job_id = await put(lab)
    await jobs.pause_job(ctx, job_id)
    assert await drain() == 0
    assert (await jobs.cancel_job(ctx, job_id)).status == "cancelled"
    with pytest.raises(Conflict):
        await jobs.resume_job(ctx, job_id)


async def test_a_cancelled_job_goes_on_when_asked_but_not_beside_its_old_worker(database):
    lab = await make_lab()
    ctx, gate = await lab.ctx("admin"), Gate()
    GATE.append(gate)
    job_id = await put(lab)
    task = asyncio.create_task(drain())
    await asyncio.wait_for(gate.reached.wait(), 30)
    assert (await jobs.cancel_job(ctx, job_id)).can_retry
    with pytest.raises(Conflict, match="still stopping"):
        await jobs.retry_job(ctx, job_id)
    gate.opened.set()
    await asyncio.wait_for(task, 30)
    GATE.clear()
    assert (await jobs.retry_job(ctx, job_id)).status == "queued"
    await drain()
    assert (await jobs.get_job(ctx, job_id)).status == "done" and STEPS == [0, 1, 2, 2, 3]


async def test_one_that_must_wait_is_put_back_uncounted(database):
    lab = await make_lab()
    job_id = await put(lab, wait=True)
    assert await drain() == 1
    info = await jobs.get_job(await lab.ctx("admin"), job_id)
    assert (info.status, info.attempts) == ("queued", 0)
    assert await drain() == 0


async def test_the_companys_work_goes_on_without_its_person_and_colleagues_with_the_right_steer_it(database):
    lab = await make_lab()
    await lab.person("second", ["admin"])
    job_id = await put(lab)
    async with tenant_transaction(lab.tenant_id) as conn:
        await conn.execute("UPDATE app_user SET status = 'inactive' WHERE tenant_id = $1 AND id = $2", lab.tenant_id, lab.people["admin"])
    second = await lab.ctx("second")
    assert (await jobs.pause_job(second, job_id)).payload["steps"] == 4
    await jobs.resume_job(second, job_id)
    assert [j.id for j in await jobs.list_of_kind(second, "test_stepper")] == [job_id]
    with pytest.raises(NotFound):
        await jobs.pause_job(await lab.ctx("seller"), job_id)
    await drain()
    info = await jobs.get_job(second, job_id)
    assert (info.status, info.result["who"]) == ("done", None)


async def test_run_for_leaves_the_rest_to_the_workers(database):
    lab = await make_lab()
    ctx = await lab.ctx("admin")
    GATE.append(Gate())
    job_id = await put(lab)
    info = await run_for(ctx, job_id, 3)
    assert (info.status, info.progress, info.attempts) == ("queued", 2, 0)
    GATE.clear()
    assert (await run_for(ctx, job_id, 60)).status == "done"
    assert STEPS == [0, 1, 2, 3] and (await run_now(ctx, job_id)).status == "done"


async def test_a_worker_that_lost_its_job_gives_nothing_back(database):
    lab = await make_lab()
    job_id = await put(lab)
    dead = await jobs.claim_next()
    await lab.fetch("UPDATE job SET locked_until = now() - interval '1 second' WHERE tenant_id = $1 RETURNING 1")
    alive = await jobs.claim_next()
    await jobs.give_back(dead)
    assert (await jobs.get_job(await lab.ctx("admin"), job_id)).status == "running"
    await run_claim(alive)
    assert (await jobs.get_job(await lab.ctx("admin"), job_id)).status == "done"
