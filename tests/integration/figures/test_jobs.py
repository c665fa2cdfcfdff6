"""The queue: taken once, fair, resumed after a crash, stopped when asked; and the same act on many records."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.errors import BadRequest, Conflict, NotFound, PermissionDenied
from saas.i18n import lazy
from saas.runtime import execute, jobs
from saas.runtime import operations as ops
from saas.runtime.bulk import bulk
from saas.runtime.files import store_bytes
from saas.runtime.finding import find_everywhere
from saas.runtime.jobs import JobKind, JobRun, job_kinds
from saas.runtime.worker import drain, run_claim, run_now, run_worker
from saas.tenants import update_user
from tests.factories import Lab

SEEN: list[tuple[Any, str]] = []


class Probe(JobKind):
    key = "test_probe"
    label = lazy("Probe")

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        SEEN.append((job.ctx.tenant_id, job.payload.get("name", "")))
        match job.payload.get("do"):
            case "crash":
                raise RuntimeError("boom")
            case "refuse":
                raise Conflict(lazy("Not today"))
            case "contend":
                raise Conflict(lazy("Somebody else"), reason="deadlock")
            case "wait":
                await asyncio.sleep(30)
            case "who":
                return {"roles": list(job.ctx.user.role_keys) if job.ctx.user else None}
        await job.progress(1, 2)
        return {"ok": True}


if "test_probe" not in job_kinds:
    job_kinds.register(Probe)


@pytest_asyncio.fixture(autouse=True)
async def clean(database):
    """Jobs of other tests are not ours to run."""
    async with database.system.acquire() as conn:
        await conn.execute("DELETE FROM job")
    SEEN.clear()


async def put(lab: Lab, who: str = "admin", **payload: Any) -> Any:
    ctx = await lab.ctx(who)
    async with tenant_transaction(lab.tenant_id) as conn:
        return await jobs.enqueue(conn, ctx, "test_probe", payload)


async def started() -> None:
    """Until a probe runs."""
    async with asyncio.timeout(120):
        while not SEEN:  # noqa: ASYNC110  the worker knows nothing of us
            await asyncio.sleep(0.01)


async def test_a_job_is_part_of_its_transaction(company):
    lab = await company()
    ctx = await lab.ctx("admin")
    with pytest.raises(ZeroDivisionError):
        async with tenant_transaction(lab.tenant_id) as conn:
            await jobs.enqueue(conn, ctx, "test_probe", {})
            _ = 1 / 0
    assert await drain() == 0
    async with tenant_transaction(lab.tenant_id) as conn:
        with pytest.raises(KeyError):
            await jobs.enqueue(conn, ctx, "no_such_kind", {})


async def test_a_job_runs_once_with_its_persons_rights(company):
    lab = await company()
    job_id = await put(lab, "ann", do="who")
    await asyncio.gather(drain(), drain(), drain())
    job = await jobs.get_job(await lab.ctx("ann"), job_id)
    assert (job.status, job.result, len(SEEN)) == ("done", {"roles": ["seller"]}, 1)
    with pytest.raises(NotFound):
        await jobs.get_job(await lab.ctx("bob"), job_id)
    assert (await jobs.get_job(await lab.ctx("admin"), job_id)).id == job_id
    with pytest.raises(PermissionDenied):
        await jobs.list_jobs(await lab.ctx("bob"), everybody=True)


async def test_who_has_left_runs_nothing(company):
    lab = await company()
    job_id = await put(lab, "bob", do="who")
    await update_user(lab.tenant_id, lab.people["bob"], {"status": "inactive"})
    await drain()
    assert (await jobs.get_job(await lab.ctx("admin"), job_id)).status == "failed" and not SEEN


async def test_tenants_take_turns(company):
    many, few = await company(), await company()
    for i in range(3):
        await put(many, name=f"m{i}")
    await put(few, name="f0")
    first = await jobs.claim_next()
    second = await jobs.claim_next()
    assert {first.tenant_id, second.tenant_id} == {many.tenant_id, few.tenant_id}
    for claim in (first, second):
        await run_claim(claim)
    assert await drain() == 2


@pytest.mark.parametrize("do", ["crash", "contend"])
async def test_a_crash_is_tried_again_later_and_then_given_up(company, do):
    lab = await company()
    ctx = await lab.ctx("admin")
    job_id = await put(lab, do=do)
    for attempt in range(1, jobs.MAX_ATTEMPTS + 1):
        assert await drain() == 1
        job = await jobs.get_job(ctx, job_id)
        assert job.attempts == attempt and job.status == ("failed" if attempt == jobs.MAX_ATTEMPTS else "queued")
        assert await drain() == 0  # not before its pause is over
        await lab.fetch("UPDATE job SET run_at = now() WHERE tenant_id = $1 RETURNING 1")
    assert job.to_json()["error"] and "boom" not in job.error
    assert [j.id for j in await jobs.list_jobs(ctx, everybody=True, status="failed")] == [job_id]
    assert (await jobs.retry_job(ctx, job_id)).status == "queued"


async def test_a_refusal_is_final_and_says_why(company):
    lab = await company()
    job_id = await put(lab, do="refuse")
    await drain()
    job = await jobs.get_job(await lab.ctx("admin"), job_id)
    assert (job.status, job.error, job.attempts) == ("failed", "Not today", 1)


async def test_a_killed_workers_job_is_taken_over_and_the_old_one_is_shut_out(company):
    lab = await company()
    job_id = await put(lab)
    dead = await jobs.claim_next()
    assert await jobs.claim_next() is None
    await lab.fetch("UPDATE job SET locked_until = now() - interval '1 second' WHERE tenant_id = $1 RETURNING 1")
    alive = await jobs.claim_next()
    assert alive.id == dead.id == job_id and alive.attempt == 2
    assert not await jobs.renew(dead) and await jobs.renew(alive)
    late = JobRun(await lab.ctx("admin"), dead.id, dead.kind, {}, dead.attempt)
    with pytest.raises(jobs.JobLost):
        await late.progress(1)
    await jobs.finish(dead, {"late": True})
    await run_claim(alive)
    assert (await jobs.get_job(await lab.ctx("admin"), job_id)).result == {"ok": True}


async def test_cancelling_stops_a_running_job(company, monkeypatch):
    monkeypatch.setattr("saas.runtime.worker.BEAT_SECONDS", 0.05)
    lab = await company()
    ctx = await lab.ctx("admin")
    job_id = await put(lab, do="wait")
    task = asyncio.create_task(drain())
    await started()
    assert (await jobs.cancel_job(ctx, job_id)).status == "cancelled"
    await asyncio.wait_for(task, 20)
    assert (await jobs.get_job(ctx, job_id)).status == "cancelled"
    with pytest.raises(Conflict):
        await jobs.cancel_job(ctx, job_id)


async def test_a_stopped_worker_gives_its_job_back(company, monkeypatch):
    monkeypatch.setattr("saas.runtime.worker.GRACE_SECONDS", 0.05)
    monkeypatch.setattr("saas.runtime.worker.POLL_SECONDS", 0.02)
    lab = await company()
    job_id = await put(lab, do="wait")
    stop = asyncio.Event()
    worker = asyncio.create_task(run_worker(stop, ticks=False))
    await started()
    stop.set()
    await asyncio.wait_for(worker, 20)
    job = await jobs.get_job(await lab.ctx("admin"), job_id)
    assert (job.status, job.attempts) == ("queued", 0)


async def test_a_worker_in_the_same_process_begins_at_once(company, monkeypatch):
    monkeypatch.setattr("saas.runtime.worker.POLL_SECONDS", 60)
    lab = await company()
    stop = asyncio.Event()
    worker = asyncio.create_task(run_worker(stop, ticks=False))
    await asyncio.sleep(0.3)  # it has looked, and waits
    job_id = await put(lab)
    jobs.ring()
    ctx = await lab.ctx("admin")
    async with asyncio.timeout(120):
        while (await jobs.get_job(ctx, job_id)).status != "done":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    stop.set()
    await asyncio.wait_for(worker, 20)


async def test_the_worker_keeps_house(company, monkeypatch):
    monkeypatch.setattr("saas.runtime.worker.HOUSEKEEPING_DELAY_SECONDS", 0.01)
    lab = await company()
    await store_bytes(await lab.ctx("admin"), "left.txt", b"left behind")
    await lab.fetch("UPDATE file SET created_at = now() - interval '3 days' WHERE tenant_id = $1 RETURNING 1")
    stop = asyncio.Event()
    worker = asyncio.create_task(run_worker(stop))
    async with asyncio.timeout(120):
        while await lab.fetch("SELECT 1 FROM file WHERE tenant_id = $1"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    stop.set()
    await asyncio.wait_for(worker, 20)


async def test_a_job_may_run_at_once(company):
    lab = await company()
    ctx = await lab.ctx("admin")
    job = await run_now(ctx, await put(lab))
    assert (job.status, job.result, job.progress) == ("done", {"ok": True}, 2)
    async with tenant_transaction(lab.tenant_id):
        with pytest.raises(RuntimeError):
            await run_now(ctx, uuid4())


# ---- many records ------------------------------------------------------------------------------------------------------


async def test_bulk_does_what_can_be_done_and_names_the_rest(company):
    lab = await company()
    mine = [await lab.make("deal", "lim", name=f"L{i}", kind="new") for i in range(3)]
    lim, admin = await lab.ctx("lim"), await lab.ctx("admin")
    report = await bulk(lim, "deal", "update", ids=[*mine, uuid4()], values={"kind": "old"})
    assert (report["done"], report["failed_count"]) == (3, 1) and report["failed"][0]["title"] == ""
    report = await bulk(lim, "deal", "update", ids=mine, values={"cost": "5"})
    assert report["done"] == 0 and [f["title"] for f in report["failed"]] == ["L0", "L1", "L2"]
    report = await bulk(admin, "deal", "transition", ids=mine[:2], key="offer")
    assert report["done"] == 2
    report = await bulk(admin, "deal", "transition", filter="kind == 'old'", key="offer")
    assert (report["done"], [f["title"] for f in report["failed"]]) == (1, sorted(["L0", "L1"], reverse=True))
    report = await bulk(admin, "deal", "assign", ids=mine, values={"owner": str(lab.people["ann"]), "kind": "new"})
    assert report["done"] == 3 and (await lab.get("deal", mine[0])).owner == lab.people["ann"] and (await lab.get("deal", mine[0])).values["kind"] == "old"
    history = await execute(admin, ops.History(entity="deal", id=mine[0]))
    assert history[0].origin == "bulk"
    assert (await bulk(admin, "deal", "delete", ids=mine))["done"] == 3
    assert (await bulk(admin, "deal", "restore", ids=mine))["done"] == 3


async def test_bulk_needs_its_right_and_makes_sense(company):
    lab = await company()
    deal = await lab.make("deal", "ann", name="A")
    with pytest.raises(PermissionDenied):
        await bulk(await lab.ctx("ann"), "deal", "update", ids=[deal], values={"kind": "old"})
    admin = await lab.ctx("admin")
    for action, more in [("update", {}), ("transition", {"key": "nothing"}), ("assign", {}), ("explode", {})]:
        with pytest.raises(BadRequest):
            await bulk(admin, "deal", action, ids=[deal], **more)


async def test_many_records_are_a_job(company, monkeypatch):
    monkeypatch.setattr("saas.runtime.bulk.INLINE", 2)
    lab = await company()
    ids = [await lab.make("deal", "admin", name=f"D{i}") for i in range(4)]
    admin = await lab.ctx("admin")
    answer = await bulk(admin, "deal", "update", ids=ids, values={"kind": "old"})
    await drain()
    job = await jobs.get_job(admin, answer["job"].id)
    assert (job.status, job.result["done"], job.progress) == ("done", 4, 4)


# ---- search ------------------------------------------------------------------------------------------------------------


async def test_search_finds_only_what_may_be_read(company):
    lab = await company()
    await lab.make("deal", "ann", name="Falcon wing", phone="+8613800138000", cost_note="hush")
    await lab.make("deal", "bob", name="Falcon tail")
    await lab.make("customer", name="Falcon Ltd")

    async def titles(who: str, q: str) -> list[str]:
        return sorted(f.record.title for f in await find_everywhere(await lab.ctx(who), q))

    assert await titles("admin", "falcon") == ["Falcon Ltd", "Falcon tail", "Falcon wing"]
    assert await titles("ann", "falcon") == ["Falcon Ltd", "Falcon wing"]
    assert await titles("sid", "falcon") == ["Falcon Ltd"]
    assert await titles("admin", "hush") == ["Falcon wing"] and await titles("admin", "0013") == ["Falcon wing"]
    # what is hidden or masked cannot be searched out, alone or together with what is not
    for q in ("hush", "0013", "13800138000", "falcon hush", "falcon 8000"):
        assert await titles("lim", q) == []
    assert await titles("lim", "fal wing") == ["Falcon wing"]
    page = await execute(await lab.ctx("lim"), ops.List(entity="deal", q="hush"))
    assert page.records == []


async def test_the_watcher_of_jobs_sees_counts_but_not_other_peoples_records(company):
    lab = await company()
    worker, watcher = await lab.ctx("ann"), await lab.ctx("admin")
    async with tenant_transaction(lab.tenant_id) as conn:
        job_id = uuid4()
        await conn.execute(
            "INSERT INTO job (tenant_id, id, kind, status, payload, progress, result, attempts, run_at, created_at, created_by) "
            "VALUES ($1, $2, 'bulk_edit', 'done', $3::jsonb, 2, $4::jsonb, 1, now(), now(), $5)",
            lab.tenant_id, job_id, '{"ids": ["x"]}', '{"done": 1, "failed_count": 1, "failed": [{"title": "Secret Ltd"}]}', worker.user_id,
        )  # fmt: skip
    assert (await jobs.get_job(worker, job_id)).result["failed"] == [{"title": "Secret Ltd"}]
    seen = await jobs.get_job(watcher, job_id)
    assert (seen.result, seen.payload) == ({"done": 1, "failed_count": 1}, {})
    assert "Secret" not in str(await jobs.list_jobs(watcher, everybody=True))
