"""Runs that go on: whatever becomes of the job that goes on with them, they end, and can be let go on; nothing is done twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.errors import Conflict, Unavailable
from saas.metadata.kinds import action_types
from saas.runtime import execute, jobs, resuming, run_log
from saas.runtime import operations as ops
from saas.runtime.jobs import MAX_ATTEMPTS
from saas.runtime.worker import drain, run_claim
from tests.conftest import ROOT
from tests.factories import Lab, make_lab
from tests.integration.runtime.test_flows import automation, entry
from tests.integration.runtime.test_flows import bundle as flows

KILLS = 24  # at so many places one after the other: more than a run below has
STEPS = [
    {"action": "wait", "days": 1}, entry("one"), {"action": "branch", "if": "amount > 1", "then": [entry("two")], "else": [entry("other")]},
    {"action": "each", "of": "lines", "do": [{"action": "set", "values": {"price": "price + 1"}}]},
    {"action": "http", "url": "http://127.0.0.1:9/", "body": {"order": "id"}}, {"action": "set", "values": {"count": "coalesce(count, 0) + 1"}},
]  # fmt: skip


def bundle() -> dict[str, Any]:
    anew = automation("anew", [{"action": "wait", "days": 1}, entry("anew")], overlap="restart", on={"trigger": "update", "fields": ["note", "amount"]}, **{"if": "note == 'anew'"})
    return flows([automation("later", STEPS), anew])


@pytest_asyncio.fixture(scope="module")
async def lab(database) -> Lab:
    return await make_lab(bundle(), people=False)


@pytest_asyncio.fixture(autouse=True)
async def quiet(database):
    async with database.system.acquire() as conn:
        await conn.execute("DELETE FROM job")


async def begin(lab: Lab, note: str = "later") -> tuple[UUID, UUID]:
    """An order with a run that waits: (order, run)."""
    order = await lab.make("order", name="o", amount=5)
    await lab.make("line", name="l", price=1, order=str(order))
    await execute(await lab.ctx(), ops.Update(entity="order", id=order, values={"note": note}))
    return order, (await lab.fetch("SELECT id FROM automation_log WHERE tenant_id = $1 AND record_id = $2", order))[0][0]


async def put(lab: Lab, run: UUID) -> jobs.JobInfo:
    """Its wait is over: a job goes on with it. The clock itself stays."""
    async with tenant_transaction(lab.tenant_id) as conn:
        await conn.execute("UPDATE automation_log SET state = jsonb_set(state, '{began}', '\"2020-01-01T00:00:00+00:00\"'), due_at = now() - interval '1 second' WHERE tenant_id = $1 AND id = $2", lab.tenant_id, run)
    assert await resuming.wake(await lab.system()) == [run]
    return (await jobs.list_of_kind(await lab.ctx(), resuming.KIND))[0]


async def state(lab: Lab, order: UUID) -> tuple[list[str], Any, list[Any], int]:
    """What the run left: its entries, the count, the lines' prices, messages."""
    logs = await execute(await lab.system(), ops.List(entity="log", filter={"field": "order", "op": "eq", "value": str(order)}, limit=50))
    lines = await execute(await lab.system(), ops.List(entity="line", filter={"field": "order", "op": "eq", "value": str(order)}, limit=50))
    sent = await lab.fetch("SELECT count(*) FROM outbox WHERE tenant_id = $1 AND origin->>'record' = $2", str(order))
    return sorted(r.values["text"] for r in logs.records), (await lab.get("order", order)).values["count"], [r.values["price"] for r in lines.records], sent[0][0]


DONE = (["one", "two"], 1, [2], 1)


async def test_a_run_whose_job_is_stopped_ends_and_can_go_on(lab):
    for again in ("the job", "the run"):
        order, run = await begin(lab)
        job, admin = await put(lab, run), await lab.ctx()
        await jobs.cancel_job(admin, job.id)
        found = await run_log.get_run(admin, run)
        assert (found.status, found.error, found.can_go_on, found.due_at) == ("cancelled", "Somebody called it off.", True, None) and found.ended_at
        assert await drain() == 0 and await resuming.run_due(await lab.system(at=admin.now + timedelta(days=9))) == 0
        if again == "the job":
            await jobs.retry_job(admin, job.id)
        else:
            await run_log.replay(admin, run)
        assert await drain() == 1
        assert (await run_log.get_run(admin, run)).status == "done" and await state(lab, order) == DONE


async def test_a_run_whose_job_nobody_came_back_to_has_failed(lab):
    order, run = await begin(lab)
    job, admin = await put(lab, run), await lab.ctx()
    await lab.fetch("UPDATE job SET status = 'running', attempts = $3, locked_until = now() - interval '1 second' WHERE tenant_id = $1 AND id = $2 RETURNING 1", job.id, MAX_ATTEMPTS)
    assert await jobs.claim_next() is None
    found = await run_log.get_run(admin, run)
    assert (found.status, found.error, found.can_go_on) == ("failed", "It was interrupted too often.", True)
    await jobs.retry_job(admin, job.id)
    assert await drain() == 1 and await state(lab, order) == DONE


@pytest.mark.parametrize("here", [False, True])
@pytest.mark.parametrize("trouble", ["the connection is lost", "another writer is met"])
async def test_what_befalls_a_step_from_outside_does_not_end_its_run(lab, settings, monkeypatch, trouble, here):
    """The database ends the step's connection, or the step itself for somebody else's sake: it is done again, and the run is not at fault."""
    order, run = await begin(lab)
    action, soon = action_types.get("create"), timedelta(days=1, seconds=1)
    left, plain = 1 if trouble == "the connection is lost" else resuming.ATTEMPTS, action.run

    async def befallen(step: Any, options: Any) -> None:
        nonlocal left
        await plain(step, options)
        left -= 1
        if left >= 0 and trouble == "another writer is met":
            raise asyncpg.DeadlockDetectedError("deadlock detected")
        if left >= 0:
            mine, admin = await step.act.conn.fetchval("SELECT pg_backend_pid()"), await asyncpg.connect(settings.database_url)
            await admin.execute("SELECT pg_terminate_backend($1, 10000)", mine)
            await admin.close()
            await step.act.conn.fetchval("SELECT 1")

    monkeypatch.setattr(action, "run", befallen)
    if here:
        now = (await lab.ctx()).now
        with pytest.raises(Unavailable) if trouble == "the connection is lost" else contextlib.nullcontext():
            await resuming.run_due(await lab.system(at=now + soon))
        assert (await run_log.get_run(await lab.ctx(), run)).status == "waiting"
        monkeypatch.undo()
        await resuming.run_due(await lab.system(at=now + soon + timedelta(seconds=resuming.PUT_OFF_SECONDS[0])))
    else:
        job = await put(lab, run)
        await drain()
        found = await run_log.get_run(await lab.ctx(), run)
        assert (found.status, found.error) == ("queued", "") and (await jobs.get_job(await lab.ctx(), job.id)).status in ("running", "queued")
        monkeypatch.undo()
        await lab.fetch("UPDATE job SET run_at = now(), locked_until = now() - interval '1 second' WHERE tenant_id = $1 AND id = $2 RETURNING 1", job.id)
        assert await drain() == 1
    assert (await run_log.get_run(await lab.ctx(), run)).status == "done" and await state(lab, order) == DONE


async def test_a_run_that_always_meets_another_writer_ends_after_a_while(lab, monkeypatch):
    _, run = await begin(lab)
    job, admin = await put(lab, run), await lab.ctx()

    async def befallen(_step: Any, _options: Any) -> None:
        raise asyncpg.DeadlockDetectedError("deadlock detected")

    monkeypatch.setattr(action_types.get("create"), "run", befallen)
    monkeypatch.setattr(resuming, "ATTEMPTS", 1)
    for _ in range(len(resuming.PUT_OFF_SECONDS) + MAX_ATTEMPTS):
        assert (await run_log.get_run(admin, run)).status == "queued"
        await lab.fetch("UPDATE job SET run_at = now() WHERE tenant_id = $1 AND id = $2 RETURNING 1", job.id)
        await drain()
    found = await run_log.get_run(admin, run)
    assert found.status == "failed" and "Somebody changed the same records" in found.error and found.can_go_on
    monkeypatch.undo()
    await jobs.retry_job(admin, job.id)
    assert await drain() == 1 and (await run_log.get_run(admin, run)).status == "done"


async def test_a_lost_job_that_cannot_be_ended_stops_no_other(lab, monkeypatch):
    (_, run), (_, other) = await begin(lab), await begin(lab)
    lost = await put(lab, run)
    await lab.fetch("UPDATE job SET status = 'running', attempts = $3, locked_until = now() - interval '1 second' WHERE tenant_id = $1 AND id = $2 RETURNING 1", lost.id, MAX_ATTEMPTS)
    next_one = await put(lab, other)

    async def broken(*_args: Any) -> None:
        raise ZeroDivisionError

    kind = jobs.job_kinds.get(resuming.KIND)
    monkeypatch.setattr(kind, "ended", broken)
    claim = await jobs.claim_next()
    assert claim is not None and claim.id == next_one.id and (await jobs.get_job(await lab.ctx(), lost.id)).status == "running"
    monkeypatch.undo()
    await lab.fetch("UPDATE job SET locked_until = now() - interval '1 second' WHERE tenant_id = $1 AND id = $2 RETURNING 1", lost.id)
    assert await jobs.claim_next() is None and (await jobs.get_job(await lab.ctx(), lost.id)).status == "failed"


async def test_one_broken_run_keeps_no_other_back_and_is_not_lost(lab, monkeypatch):
    """Also where the clock itself goes on with them."""
    (_, broken), (order, run) = await begin(lab), await begin(lab)
    ready, later = resuming._ready, (await lab.system()).now + timedelta(days=2)

    async def break_one(conn: Any, ctx: Any, row: Any) -> Any:
        if row["id"] == broken:
            raise ZeroDivisionError
        return await ready(conn, ctx, row)

    monkeypatch.setattr(resuming, "_ready", break_one)
    await resuming.run_due(await lab.system(at=later))
    admin = await lab.ctx()
    assert [(await run_log.get_run(admin, i)).status for i in (broken, run)] == ["failed", "done"] and await state(lab, order) == DONE


@pytest.mark.parametrize("closed", ["UPDATE tenant SET status = 'read_only' WHERE id = $1", "UPDATE tenant SET delete_after = now() + interval '9 days' WHERE id = $1"])
async def test_where_nothing_may_be_changed_it_waits(closed, lab, database):
    order, run = await begin(lab)
    job = await put(lab, run)
    async with database.system.acquire() as conn:
        await conn.execute(closed, lab.tenant_id)
    try:
        claim = await jobs.claim_this(await lab.system(), job.id)
        assert claim is not None
        await run_claim(claim)
        found = await jobs.get_job(await lab.system(), job.id)
        assert (found.status, found.attempts) == ("queued", 0) and (await state(lab, order))[0] == []
    finally:
        async with database.system.acquire() as conn:
            await conn.execute("UPDATE tenant SET status = 'active', delete_after = NULL WHERE id = $1", lab.tenant_id)


async def test_whoever_changes_the_record_and_whoever_goes_on_do_not_wait_for_each_other(lab):
    """Twenty changes that each begin the rule anew, while its runs go on."""
    order, _ = await begin(lab, "anew")

    async def change(number: int) -> None:
        await execute(await lab.ctx(), ops.Update(entity="order", id=order, values={"amount": number}))

    async def go_on() -> None:
        await resuming.run_due(await lab.system(at=(await lab.system()).now + timedelta(days=2)))

    done = await asyncio.gather(*(change(n) if n % 2 else go_on() for n in range(10, 50)), return_exceptions=True)
    assert not [d for d in done if isinstance(d, BaseException) and not isinstance(d, Conflict)]
    counted = dict(await lab.fetch("SELECT status, count(*) FROM automation_log WHERE tenant_id = $1 AND record_id = $2 GROUP BY 1", order))
    assert counted.get("waiting", 0) <= 1 and "queued" not in counted and "failed" not in counted
    assert (await state(lab, order))[0] == ["anew"] * counted.get("done", 0)


async def test_a_tenant_whose_runs_loop_and_wait_without_end_keeps_nobody_waiting(lab):
    """Its runs take their turns with those of others: never two of them before one of somebody else who waits."""
    calm = await make_lab(bundle(), people=False)
    wild_runs = [(await begin(lab))[1] for _ in range(8)]
    for run in wild_runs:
        await put(lab, run)
    for run in [(await begin(calm))[1] for _ in range(3)]:
        await put(calm, run)
    order = []
    while (claim := await jobs.claim_next()) is not None:
        order.append(claim.tenant_id)
        await run_claim(claim)
    assert len(order) == 11
    last = max(place for place, tenant in enumerate(order) if tenant == calm.tenant_id)
    assert last <= 6, "the calm tenant's third run is done after at most four of the wild one's"


@pytest.mark.slow
async def test_killed_at_every_commit_nothing_is_lost_or_done_twice(lab, settings):
    """A worker is killed before and after each commit it makes; afterwards somebody else goes on."""
    runs = [await begin(lab) for _ in range(KILLS)]
    environ = {**os.environ, "DATABASE_URL": settings.database_url, "SAAS_SECRET_KEY": settings.secret_key, "SAAS_DATA_DIR": str(settings.data_dir), "SAAS_LOG_LEVEL": "ERROR"}
    killed = 0
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.integration.runtime.dying", env=environ, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin and process.stdout
    for _, run in runs:
        await put(lab, run)  # of those that were killed before the lease has not ended, so this is the next one
        process.stdin.write(b"go\n")
        await process.stdin.drain()
        killed += (await asyncio.wait_for(process.stdout.readline(), 60)).strip() == b"killed"
        await lab.fetch("UPDATE job SET locked_until = now() + interval '1 hour' WHERE tenant_id = $1 AND status = 'running' RETURNING 1")
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 60) == 0
    assert 10 <= killed < KILLS, "the last ones were not killed any more: every place was met"
    await lab.fetch("UPDATE job SET locked_until = now() - interval '1 second' WHERE tenant_id = $1 AND status = 'running' RETURNING 1")
    await drain()
    for order, run in runs:
        assert (await run_log.get_run(await lab.ctx(), run)).status == "done" and await state(lab, order) == DONE
