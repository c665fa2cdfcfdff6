"""What happens by itself: triggers, guards against loops, schedules."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from saas.errors import Conflict, InvalidInput
from saas.runtime import execute, schedules
from saas.runtime import operations as ops
from saas.runtime.schedules import run_due, run_schedule

_names = iter(f"Task {i}" for i in range(100000))


async def task(lab, **values):
    values.setdefault("name", next(_names))
    return await execute(await lab.ctx("chief"), ops.Create(entity="task", values=values))


async def logs(lab, name: str) -> list[str]:
    page = await execute(await lab.system(), ops.List(entity="log", filter={"field": "task", "op": "eq", "value": name}, sort=["created_at", "text"], limit=200))
    return sorted(r.values["text"] for r in page.records)


async def test_every_trigger(lab):
    made = (await task(lab)).record
    name, ctx = made.values["name"], await lab.ctx("chief")
    assert await logs(lab, name) == ["created"]
    await execute(ctx, ops.Update(entity="task", id=made.id, values={"tries": 1}))
    assert (await lab.get("task", made.id)).values["tries"] == 2
    assert await logs(lab, name) == ["created", "updated"]
    await execute(ctx, ops.Update(entity="task", id=made.id, values={"name": name + "!"}))  # not one of the fields
    await execute(ctx, ops.Update(entity="task", id=made.id, values={"name": name, "tries": 7}))  # the condition is false
    assert await logs(lab, name) == ["created", "updated"]
    await execute(ctx, ops.Delete(entity="task", id=made.id))
    await execute(ctx, ops.Restore(entity="task", id=made.id))
    await execute(ctx, ops.Transition(entity="task", id=made.id, key="finish"))
    assert await logs(lab, name) == ["created", "deleted", "done", "restored", "updated"]
    assert len(await lab.fetch("SELECT 1 FROM automation_log WHERE tenant_id = $1 AND record_id = $2", made.id)) == 5


async def test_before_save_sets_blocks_and_warns(lab):
    assert (await task(lab, name="  spaced  ")).record.values["name"] == "spaced"
    assert (await task(lab, name="odd")).warnings == ["Odd task"]
    with pytest.raises(InvalidInput) as caught:
        await task(lab, name=" forbidden ")
    assert str(caught.value.message) == "Forbidden task"
    assert await logs(lab, "forbidden") == []


async def test_history_names_the_person_and_the_automation(lab):
    made = (await task(lab, tries=None)).record
    await execute(await lab.ctx("chief"), ops.Update(entity="task", id=made.id, values={"tries": 1}))
    found = await execute(await lab.ctx("chief"), ops.History(entity="task", id=made.id))
    assert [(h.kind, h.origin, h.actor) for h in found] == [("updated", "automation", "Chief"), ("updated", "api", "Chief"), ("created", "api", "Chief")]
    assert [(c["field"], c["old"], c["new"]) for c in found[0].changes] == [("tries", "1", "2")]


async def test_automations_do_not_trigger_themselves_nor_each_other_for_ever(lab):
    ctx = await lab.ctx("chief")
    made = (await execute(ctx, ops.Create(entity="thing", values={"name": "t"}))).record
    changed = await execute(ctx, ops.Update(entity="thing", id=made.id, values={"note": "ping"}))
    assert changed.record.values["note"] == "ping"  # ping -> pong -> ping, and no further
    before = len((await execute(ctx, ops.List(entity="log", filter="text == 'breed'", limit=200))).records)
    await execute(ctx, ops.Create(entity="log", values={"text": "breed"}))
    assert len((await execute(ctx, ops.List(entity="log", filter="text == 'breed'", limit=200))).records) == before + 2


async def test_a_chain_ends_after_five_levels(lab):
    ctx = await lab.ctx("chief")
    with pytest.raises(Conflict) as caught:
        await execute(ctx, ops.Create(entity="log", values={"text": "chain0"}))
    assert "5" in str(caught.value.message)
    assert not (await execute(ctx, ops.List(entity="log", filter="starts_with(text, 'chain')"))).records
    await execute(ctx, ops.Create(entity="log", values={"text": "chain2"}))
    assert len((await execute(ctx, ops.List(entity="log", filter="starts_with(text, 'chain')"))).records) == 6


# ---- schedules ---------------------------------------------------------------------------------------------------------


def _at(ctx, days: int, hour: int):
    local = ctx.now.astimezone(ctx.zone).replace(hour=hour, minute=0, second=0, microsecond=0) + timedelta(days=days)
    return local


async def _count(lab, text: str) -> int:
    return len((await execute(await lab.system(), ops.List(entity="log", filter={"field": "text", "op": "eq", "value": text}, limit=200))).records)


async def test_once_a_record_and_period(fresh_lab):
    lab = fresh_lab
    ctx = await lab.ctx()
    for i in range(3):
        await execute(ctx, ops.Create(entity="task", values={"name": f"t{i}", "tries": 9}))
    monday = _at(ctx, 3, 10)
    for at, expected in ((monday, (3, 3, 3)), (monday, (3, 3, 3)), (monday + timedelta(hours=1), (3, 3, 3)), (monday + timedelta(days=1), (6, 3, 6)), (monday + timedelta(days=9), (9, 3, 9))):
        await run_due(await lab.system(at=at, origin="schedule"))
        assert (await _count(lab, "nudge"), await _count(lab, "once"), await _count(lab, "each")) == expected, at
    await execute(ctx, ops.Create(entity="task", values={"name": "later"}))
    system = await lab.system(at=monday + timedelta(days=9, hours=1), origin="schedule")
    report = await run_schedule(system, next(s for s in system.config.bundle.schedules if s.key == "nudge"))  # by hand, the same day
    assert (report.matched, report.done, report.skipped) == (4, 1, 3)


async def test_two_workers_at_once(fresh_lab):
    lab = fresh_lab
    ctx = await lab.ctx()
    for i in range(5):
        await execute(ctx, ops.Create(entity="task", values={"name": f"t{i}", "tries": 9}))
    at = _at(ctx, 3, 10)
    contexts = [await lab.system(at=at, origin="schedule") for _ in range(3)]
    await asyncio.gather(*(run_due(c) for c in contexts))
    assert [await _count(lab, t) for t in ("nudge", "once", "each")] == [5, 5, 5]


async def test_killed_halfway_the_rest_is_done_next_time(fresh_lab, monkeypatch):
    lab = fresh_lab
    ctx = await lab.ctx()
    for i in range(6):
        await execute(ctx, ops.Create(entity="task", values={"name": f"t{i}", "tries": 9}))
    real, seen = schedules._run_one, []

    async def dying(*args, **kwargs):
        seen.append(1)
        if len(seen) in (3, 8, 12):
            raise asyncio.CancelledError
        return await real(*args, **kwargs)

    monkeypatch.setattr(schedules, "_run_one", dying)
    system = await lab.system(at=_at(ctx, 3, 10), origin="schedule")
    for _ in range(3):
        with pytest.raises(asyncio.CancelledError):
            await run_due(system)
    monkeypatch.setattr(schedules, "_run_one", real)
    await run_due(system)
    assert [await _count(lab, t) for t in ("nudge", "once", "each")] == [6, 6, 6]


async def test_one_record_that_fails_does_not_stop_the_others(fresh_lab):
    lab = fresh_lab
    ctx = await lab.ctx()
    for name in ("t0", "broken", "t2"):
        await execute(ctx, ops.Create(entity="task", values={"name": name}))
    system = await lab.system(at=_at(ctx, 3, 10), origin="schedule")
    report = next(r for r in await run_due(system) if r.schedule == "nudge")
    assert (report.done, report.failed) == (2, 1) and report.errors[0]["error"] == "Broken"
    assert await _count(lab, "nudge") == 2
    [log] = await lab.fetch("SELECT matched, done, failed FROM schedule_log WHERE tenant_id = $1 AND schedule_key = 'nudge'")
    assert tuple(log) == (3, 2, 1)
