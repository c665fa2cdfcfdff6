"""While records follow: workers are killed, jobs rest, people work, others publish. Nothing is lost, doubled or overwritten."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from saas.db import tenant_transaction
from saas.runtime import configuration, execute, jobs
from saas.runtime import operations as ops
from saas.runtime.backfill import driving, follow, running
from saas.runtime.worker import drain, run_now
from tests.bundles import field as fld
from tests.integration.backfill.conftest import Shop

ROOT = Path(__file__).parents[3]
MANY = 4_000


async def many(shop: Shop, count: int = MANY) -> dict[UUID, str]:
    """Orders with numbers as text, put in past the door: {id: text}."""
    ctx = await shop.lab.ctx("admin")
    entity = ctx.config.entity("order")
    columns = entity.columns
    async with tenant_transaction(shop.lab.tenant_id) as conn:
        rows = await conn.fetch(
            f"INSERT INTO record (tenant_id, entity_id, id, {columns['name']}, {columns['place']}, created_at, updated_at) "  # noqa: S608  names of ours
            "SELECT $1, $2, gen_random_uuid(), 'o' || n, n::text, now() - interval '1 day', now() - interval '1 day' FROM generate_series(1, $3::int) n "
            f"RETURNING id, {columns['place']} AS place",
            shop.lab.tenant_id, entity.number, count,
        )  # fmt: skip
    return {r["id"]: r["place"] for r in rows}


async def numbers(shop: Shop, key: str = "place") -> dict[UUID, Any]:
    entity = (await shop.lab.ctx("admin")).config.entity("order")
    rows = await shop.lab.fetch(f"SELECT id, {entity.columns[key]} AS value FROM record WHERE tenant_id = $1 AND entity_id = {entity.number}")  # noqa: S608  names of ours
    return {r["id"]: r["value"] for r in rows}


async def events(shop: Shop) -> list[Any]:
    return await shop.lab.fetch("SELECT record_id FROM record_event WHERE tenant_id = $1 AND origin = 'configuration'")


DRAIN = """
import asyncio, sys
from saas.db import open_database, close_database
from saas.settings import Settings
from saas.runtime import load_kinds
from saas.runtime.backfill import running
from saas.runtime.worker import drain
from pathlib import Path
running.BATCH = 100
running.RecordStep.size = 100
async def main():
    load_kinds()
    await open_database(Settings(database_url=sys.argv[1], secret_key=sys.argv[2], data_dir=Path(sys.argv[3])))
    print("ready", flush=True)
    await drain()
    await close_database()
asyncio.run(main())
"""


@pytest.mark.slow
async def test_killed_at_any_moment_it_goes_on_and_does_nothing_twice(shop, settings):
    texts = await many(shop)
    shop.put("order", fld("place", "int"))
    shop.put("order", fld("serial", "auto", pattern="S-{seq:6}"))
    job_id = await shop.publish()
    chance, kills = random.Random(7), 0
    while True:
        worker = subprocess.Popen(  # noqa: ASYNC220  it must be a process of its own, to be killed
            [sys.executable, "-c", DRAIN, settings.database_url, settings.secret_key, str(settings.data_dir)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert await asyncio.to_thread(worker.stdout.readline) == b"ready\n"
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(worker.wait, chance.uniform(0.1, 0.6) if kills < 4 else 60)
        if worker.poll() is None:
            os.kill(worker.pid, signal.SIGKILL)
            await asyncio.to_thread(worker.wait)
            kills += 1
        await asyncio.sleep(0.2)  # the server notices that its client is gone
        async with tenant_transaction(shop.lab.tenant_id) as conn:
            status = await conn.fetchval("SELECT status FROM job WHERE tenant_id = $1 AND id = $2", shop.lab.tenant_id, job_id)
            if status == "done":
                break
            # As time would do it: the dead worker's lease ends. Its attempts are not what is tested here.
            await conn.execute("UPDATE job SET locked_until = now() - interval '1 second', attempts = 1 WHERE tenant_id = $1 AND id = $2 AND status = 'running'", shop.lab.tenant_id, job_id)
    assert kills >= 2
    assert await numbers(shop) == {i: int(text) for i, text in texts.items()}
    serials = sorted((await numbers(shop, "serial")).values())
    assert serials == [f"S-{n:06}" for n in range(1, MANY + 1)]  # without gaps, none twice
    assert len(await events(shop)) == 2 * MANY
    info = await jobs.get_job(await shop.lab.ctx("admin"), job_id)
    assert [(s["kind"], s["changed"]) for s in info.result["steps"]] == [("convert", MANY), ("number", MANY)]
    versions = await shop.lab.fetch("SELECT DISTINCT version FROM record WHERE tenant_id = $1")
    assert [r["version"] for r in versions] == [3]


async def test_people_edit_add_and_delete_while_it_runs(shop, monkeypatch):
    monkeypatch.setattr(running.RecordStep, "size", 50)
    texts = await many(shop, 1_500)
    parent = str(await shop.lab.make("customer", name="c"))
    shop.put("order", fld("place", "int"))
    shop.put("order", fld("rank", "int"))
    data = [{"do": "fill", "entity": "order", "field": "rank", "expr": "place * 2"}, {"do": "fill", "entity": "order", "field": "customer", "value": parent}]
    job_id = await shop.publish(data)
    run = asyncio.create_task(drain())
    ids, chance = list(texts), random.Random(3)
    mine: dict[UUID, dict[str, Any]] = {}
    gone, made = set(), []
    for number in range(240):
        ctx = await shop.lab.ctx("clerk")
        record_id = chance.choice(ids)
        if record_id in gone:
            continue
        match number % 4:
            case 0 | 1:
                values = {"place": -number, "rank": -number}
            case 2:
                values = {"rank": None, "place": 10_000 + number}
            case _:
                if number % 8 == 7:
                    await execute(ctx, ops.Delete(entity="order", id=record_id))
                    gone.add(record_id)
                    continue
                made.append(await shop.lab.make("order", by="clerk", name="new"))
                continue
        await execute(ctx, ops.Update(entity="order", id=record_id, values=values))
        mine.setdefault(record_id, {}).update(values)
        await asyncio.sleep(0)
    await run
    assert (await jobs.get_job(await shop.lab.ctx("admin"), job_id)).status == "done"
    places, ranks = await numbers(shop), await numbers(shop, "rank")
    for record_id, text in texts.items():
        wanted = mine.get(record_id, {})
        assert places[record_id] == wanted.get("place", int(text))
        if "rank" not in wanted:
            assert ranks[record_id] in (2 * int(text), 2 * places[record_id])
        elif wanted["rank"] is not None:
            assert ranks[record_id] == wanted["rank"]
    assert all(places[i] is None for i in made)
    assert await shop.values("customer", "total") == {"c": 0}


async def test_an_empty_value_somebody_left_so_is_not_filled(shop):
    before, emptied = await shop.lab.make("order", name="before"), await shop.lab.make("order", name="emptied", status="open")
    job = await shop.publish([{"do": "fill", "entity": "order", "field": "status", "value": "new"}])
    assert job is not None
    ctx = await shop.lab.ctx("clerk")
    await execute(ctx, ops.Update(entity="order", id=emptied, values={"status": None}))
    async with tenant_transaction(shop.lab.tenant_id) as conn:
        await conn.execute("UPDATE job SET payload = jsonb_set(payload, '{since}', to_jsonb((now() - interval '1 minute')::text)) WHERE tenant_id = $1", shop.lab.tenant_id)
        await conn.execute("UPDATE record SET created_at = now() - interval '1 day' WHERE tenant_id = $1", shop.lab.tenant_id)
    late = await shop.lab.make("order", name="late")
    await shop.finish(job)
    assert await shop.values("order", "status") == {"before": "new", "emptied": None, "late": None}
    assert before and late


async def test_requests_that_began_under_the_old_configuration_are_followed_too(shop):
    ids = {name: await shop.lab.make("order", name=name, place="1") for name in "abc"}
    old = await shop.lab.ctx("clerk")
    shop.put("order", fld("place", "int"))
    job = await shop.publish([{"do": "fill", "entity": "order", "field": "status", "value": "x"}])
    await execute(old, ops.Update(entity="order", id=ids["a"], values={"place": "41"}))
    await shop.finish(job)
    assert await shop.values("order", "place") == {"a": 41, "b": 1, "c": 1}
    await execute(old, ops.Update(entity="order", id=ids["b"], values={"place": "42"}))  # a long request, after all was done
    await execute(await shop.lab.ctx("clerk"), ops.Update(entity="order", id=ids["c"], values={"place": None}))
    await execute(old, ops.Create(entity="order", values={"name": "d", "place": "43"}))
    [sweep] = await shop.lab.fetch("UPDATE job SET run_at = now() WHERE tenant_id = $1 AND kind = 'backfill_sweep' AND status = 'queued' RETURNING id")
    assert (await run_now(await shop.lab.ctx("admin"), sweep["id"])).status == "done"
    assert await shop.values("order", "place") == {"a": 41, "b": 42, "c": None, "d": 43}
    assert (await shop.values("order", "status"))["d"] == "x"


async def test_the_last_look_waits_for_older_work(shop):
    await shop.lab.make("order", name="a", place="1")
    async with tenant_transaction(shop.lab.tenant_id) as conn:
        older = await jobs.enqueue(conn, await shop.lab.ctx("admin"), "export_records", {})
        await conn.execute("UPDATE job SET status = 'running', locked_until = now() + interval '1 hour' WHERE tenant_id = $1 AND id = $2", shop.lab.tenant_id, older)
    shop.put("order", fld("place", "int"))
    await shop.follow()
    ctx = await shop.lab.ctx("admin")
    [sweep] = await shop.lab.fetch("UPDATE job SET run_at = now() WHERE tenant_id = $1 AND kind = 'backfill_sweep' RETURNING id")
    assert (await run_now(ctx, sweep["id"])).status == "queued"
    await shop.lab.fetch("UPDATE job SET status = 'done' WHERE tenant_id = $1 AND id = $2 RETURNING 1", older)
    assert (await run_now(ctx, sweep["id"])).status == "done"


async def test_it_rests_goes_on_stops_and_is_taken_up_again(shop, monkeypatch):
    monkeypatch.setattr(running.RecordStep, "size", 50)
    texts = await many(shop, 1_000)
    shop.put("order", fld("place", "int"))
    job_id = await shop.publish()
    ctx = await shop.lab.ctx("admin")
    checkpoint, limit, go_on = jobs.JobRun.checkpoint, 0, asyncio.Event()

    async def held(self: Any, conn: Any, *, done: int, **more: Any) -> None:
        if done > limit:
            await go_on.wait()
        await checkpoint(self, conn, done=done, **more)

    async def run_until(progress: int) -> asyncio.Task[int]:
        """Until so many are done: before the next checkpoint it waits for `go_on`."""
        nonlocal limit
        limit = progress
        go_on.clear()
        task = asyncio.create_task(drain())
        async with asyncio.timeout(60):
            while (await jobs.get_job(ctx, job_id)).progress < progress:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return task

    monkeypatch.setattr(jobs.JobRun, "checkpoint", held)
    task = await run_until(100)
    await jobs.pause_job(ctx, job_id)
    go_on.set()
    await task
    info = await jobs.get_job(ctx, job_id)
    assert info.status == "paused" and 100 <= info.progress < 1_000 and info.total == 1_000
    assert [line.state for line in info.report()] == ["undone"]
    await jobs.resume_job(ctx, job_id)
    task = await run_until(info.progress + 100)
    await jobs.cancel_job(ctx, job_id)
    go_on.set()
    await task
    stopped = await jobs.get_job(ctx, job_id)
    assert stopped.status == "cancelled" and [line.state for line in stopped.report()] == ["undone"]
    filled = [v for v in (await numbers(shop)).values() if v is not None]
    assert len(filled) == stopped.progress < 1_000
    await jobs.retry_job(ctx, job_id)
    await drain()
    assert await numbers(shop) == {i: int(text) for i, text in texts.items()}
    assert len(await events(shop)) == 1_000


async def test_half_a_change_taken_back_loses_nothing(shop, monkeypatch):
    """Cancelled in the middle, edited, emptied, then reverted: what was never converted stays, what was emptied is empty."""
    monkeypatch.setattr(running.RecordStep, "size", 20)
    texts = await many(shop, 200)
    first = copy.deepcopy(shop.raw)
    shop.put("order", fld("place", "int"))
    job_id = await shop.publish()
    ctx = await shop.lab.ctx("admin")
    checkpoint = jobs.JobRun.checkpoint

    async def stopping(self: Any, conn: Any, *, done: int, **more: Any) -> None:
        await checkpoint(self, conn, done=done, **more)
        if done >= 100:
            self.attempt = -1

    monkeypatch.setattr(jobs.JobRun, "checkpoint", stopping)
    await run_now(ctx, job_id)
    monkeypatch.setattr(jobs.JobRun, "checkpoint", checkpoint)
    await jobs.cancel_job(ctx, job_id)
    done = [i for i, v in (await numbers(shop)).items() if v is not None]
    assert len(done) == 100
    waiting = [i for i in texts if i not in set(done)]
    clerk = await shop.lab.ctx("clerk")
    await execute(clerk, ops.Update(entity="order", id=done[0], values={"place": None}))
    await execute(clerk, ops.Update(entity="order", id=done[1], values={"place": 77}))
    await execute(clerk, ops.Update(entity="order", id=waiting[0], values={"place": 78}))
    await shop.follow(raw=first)
    wanted: dict[UUID, Any] = {**texts, done[0]: None, done[1]: "77", waiting[0]: "78"}
    assert await numbers(shop) == wanted


async def test_a_conversion_that_was_cancelled_is_taken_up_by_the_next_one(shop, monkeypatch):
    """Stopped for good half way from text to whole number, then changed to a number: what never came over comes over, too, and the plan says how much."""
    monkeypatch.setattr(running.RecordStep, "size", 20)
    texts = await many(shop, 200)
    shop.put("order", fld("place", "int"))
    job_id = await shop.publish()
    ctx = await shop.lab.ctx("admin")
    checkpoint = jobs.JobRun.checkpoint

    async def stopping(self: Any, conn: Any, *, done: int, **more: Any) -> None:
        await checkpoint(self, conn, done=done, **more)
        if done >= 100:
            self.attempt = -1

    monkeypatch.setattr(jobs.JobRun, "checkpoint", stopping)
    await run_now(ctx, job_id)
    monkeypatch.setattr(jobs.JobRun, "checkpoint", checkpoint)
    await jobs.cancel_job(ctx, job_id)
    held = await numbers(shop)
    done, waiting = ([i for i, v in held.items() if (v is not None) == is_there] for is_there in (True, False))
    assert len(done) == len(waiting) == 100
    clerk = await shop.lab.ctx("clerk")
    await execute(clerk, ops.Update(entity="order", id=waiting[0], values={"place": 78}))
    await execute(clerk, ops.Update(entity="order", id=done[0], values={"place": None}))
    shop.put("order", fld("place", "number"))
    plan = await configuration.make_plan(await shop.lab.ctx("admin"), shop.raw)
    [impact] = [i for i in plan.report.impacts if i.code == "values_waiting"]
    assert (impact.count, impact.severity, len(impact.samples)) == (99, "warn", 20) and "stopped before 99 values" in str(impact.message)
    await configuration.publish(await shop.lab.ctx("admin"), plan_id=plan.id)
    await drain()
    wanted = {**{i: int(text) for i, text in texts.items()}, waiting[0]: 78, done[0]: None}
    assert {i: None if v is None else int(v) for i, v in (await numbers(shop)).items()} == wanted
    assert {j.status for j in await jobs.list_of_kind(ctx, "backfill")} == {"done", "cancelled"}
    shop.put("order", fld("place", "text"))
    assert not [i for i in (await configuration.make_plan(await shop.lab.ctx("admin"), shop.raw)).report.impacts if i.code == "values_waiting"]


async def test_going_back_after_a_cancelled_conversion_takes_nothing_up(shop):
    await shop.lab.make("order", name="a", place="1")
    first = copy.deepcopy(shop.raw)
    shop.put("order", fld("place", "int"))
    ctx = await shop.lab.ctx("admin")
    await jobs.cancel_job(ctx, await shop.publish())
    await shop.follow(raw=first)
    assert await shop.values("order", "place") == {"a": "1"}
    assert len(await jobs.list_of_kind(ctx, "backfill")) == 2


async def test_small_tenants_see_the_result_at_once_and_large_ones_do_not_wait(shop):
    await shop.lab.make("order", name="a", place="1")
    shop.put("order", fld("place", "int"))
    ctx = await shop.lab.ctx("admin")
    assert (await follow(ctx, await shop.publish(), 60)).status == "done"
    await many_more(shop)
    shop.put("order", fld("place", "number"))
    info = await follow(await shop.lab.ctx("admin"), await shop.publish(), 0.3)
    assert info.status == "queued" and info.attempts == 0


async def many_more(shop: Shop) -> None:
    entity = (await shop.lab.ctx("admin")).config.entity("order")
    async with tenant_transaction(shop.lab.tenant_id) as conn:
        await conn.execute(
            f"INSERT INTO record (tenant_id, entity_id, id, {entity.columns['name']}, {entity.columns['place']}) "  # noqa: S608  names of ours
            "SELECT $1, $2, gen_random_uuid(), 'o' || n, n FROM generate_series(1, 20000) n",
            shop.lab.tenant_id, entity.number,
        )


async def test_changes_wait_for_those_published_before(shop):
    await shop.lab.make("order", name="a", place="1")
    shop.put("order", fld("place", "int"))
    first = await shop.publish()
    shop.put("order", fld("place", "number"))
    second = await shop.publish()
    ctx = await shop.lab.ctx("admin")
    assert (await run_now(ctx, second)).status == "queued"
    await shop.finish(first)
    await shop.lab.fetch("UPDATE job SET run_at = now() WHERE tenant_id = $1 AND id = $2 RETURNING 1", second)
    await shop.finish(second)
    assert await shop.values("order", "place") == {"a": 1}


async def test_changes_wait_for_one_that_rests(shop):
    """Else the second conversion would find nothing to convert, and nobody would look again."""
    await shop.lab.make("order", name="a", place="1")
    shop.put("order", fld("place", "int"))
    first = await shop.publish()
    ctx = await shop.lab.ctx("admin")
    await jobs.pause_job(ctx, first)
    shop.put("order", fld("place", "number"))
    second = await shop.publish()
    assert (await run_now(ctx, second)).status == "queued"
    await jobs.resume_job(ctx, first)
    await shop.finish(first)
    await shop.lab.fetch("UPDATE job SET run_at = now() WHERE tenant_id = $1 AND id = $2 RETURNING 1", second)
    await shop.finish(second)
    assert await shop.values("order", "place") == {"a": 1}


async def test_a_batch_that_meets_others_is_tried_again(shop, monkeypatch):
    monkeypatch.setattr(driving, "ATTEMPTS", 20)
    ids = [await shop.lab.make("order", name=n, place="1") for n in "ab"]
    shop.put("order", fld("place", "int"))
    job_id = await shop.publish()
    async with tenant_transaction(shop.lab.tenant_id) as conn:
        await conn.execute("SELECT 1 FROM record WHERE tenant_id = $1 AND id = $2 FOR UPDATE", shop.lab.tenant_id, max(ids))
        task = asyncio.create_task(_alone(shop, job_id))
        await asyncio.sleep(0.3)
        with contextlib.suppress(Exception):
            await conn.execute("SELECT 1 FROM record WHERE tenant_id = $1 AND id = $2 FOR UPDATE", shop.lab.tenant_id, min(ids))
    await task
    assert await shop.values("order", "place") == {"a": 1, "b": 1}


async def _alone(shop: Shop, job_id: UUID) -> None:
    """In a context without the caller's transaction."""
    import contextvars

    await asyncio.get_running_loop().create_task(shop.finish(job_id), context=contextvars.Context())

