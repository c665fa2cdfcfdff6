"""Automations that wait for a date: each record once for each value of it, by the tenant's clock, whatever changes in between."""

from __future__ import annotations

import asyncio
import copy
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
import pytest_asyncio

from saas.metadata.parse import examine
from saas.runtime import clock, date_rules, execute, timers, timetable
from saas.runtime import operations as ops
from saas.runtime.worker import run_now
from saas.tenants.features import set_tenant_feature
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import Lab, make_lab
from tests.integration.clock.material import bundle


def rule(key: str, on: dict[str, Any], **more: Any) -> dict[str, Any]:
    do = [{"action": "create", "entity": "entry", "values": {"text": f"concat('{key} ', name)", "on": "today()"}}]
    return {"key": key, "label": label(key.title()), "entity": "card", "on": {"trigger": "date_reached", **on}, "do": do, **more}


BEFORE = rule("before", {"date": "due", "days": -3, "at": "08:00"}, **{"if": "step == null"})
AFTER = rule("after", {"date": "meet", "hours": 2})
FUSSY = rule("fussy", {"date": "due"})
FUSSY["do"] = [{"action": "block", "if": "name == 'broken'", "message": label("Broken")}, *FUSSY["do"]]


def dated(*rules: dict[str, Any]) -> dict[str, Any]:
    found = bundle()
    found["entities"][0]["fields"].append(fld("meet", "datetime"))
    return {**found, "schedules": [], "automations": copy.deepcopy(list(rules or (BEFORE, AFTER)))}


@pytest_asyncio.fixture
async def shop(database) -> Lab:
    made = await make_lab(dated(), people=False)
    await run_at(made, local(made, 0))
    return made


def local(lab: Lab, days: int, hour: int = 7, minute: int = 0) -> datetime:
    """A time of the day in Shanghai, so many days after a fixed one far ahead."""
    from zoneinfo import ZoneInfo

    return datetime.combine(date(2031, 5, 10) + timedelta(days=days), time(hour, minute), ZoneInfo("Asia/Shanghai")).astimezone(UTC)


async def run_at(lab: Lab, at: datetime) -> list[timers.Ran]:
    return await timers.run_all(await lab.system(at=at, origin="schedule"))


async def entries(lab: Lab) -> list[str]:
    found = (await execute(await lab.system(), ops.List(entity="entry", limit=100, sort=["created_at", "text"]))).records
    return [f"{r.values['text']} {r.values['on']}" for r in found]


async def card(lab: Lab, at: datetime, **values: Any) -> Any:
    return (await execute(await lab.system(at=at), ops.Create(entity="card", values=values))).record.id


async def change(lab: Lab, at: datetime, record_id: Any, **values: Any) -> None:
    await execute(await lab.system(at=at), ops.Update(entity="card", id=record_id, values=values))


async def test_once_for_each_value_of_the_date(shop):
    day = date(2031, 5, 20)
    made = await card(shop, local(shop, 0), name="a", due=day.isoformat())
    await run_at(shop, local(shop, 7, 7, 59))
    assert await entries(shop) == []
    for minute in (0, 0, 5, 30):
        await run_at(shop, local(shop, 7, 8, minute))
    assert await entries(shop) == ["before a 2031-05-17"]
    # Moved on: it counts anew. Moved to a moment that has just passed: at once. Back to where it was: that was done.
    await change(shop, local(shop, 7, 9), made, due="2031-05-25")
    await run_at(shop, local(shop, 11, 9))
    assert len(await entries(shop)) == 1
    await run_at(shop, local(shop, 12, 9))
    await change(shop, local(shop, 12, 10), made, due="2031-05-24")
    await run_at(shop, local(shop, 12, 10, 1))
    assert await entries(shop) == ["before a 2031-05-17", "before a 2031-05-22", "before a 2031-05-22"]
    await change(shop, local(shop, 12, 11), made, due=day.isoformat())
    await run_at(shop, local(shop, 12, 11, 1))
    assert len(await entries(shop)) == 3


async def test_a_moment_used_up_is_not_made_up_for(shop):
    """Neither what was before the rule was switched on, nor what did not hold when the moment came."""
    await card(shop, local(shop, 0), name="old", due="2031-05-01")
    held = await card(shop, local(shop, 0), name="held", due="2031-05-15", step=1)
    await run_at(shop, local(shop, 3))
    await change(shop, local(shop, 3), held, step=None)
    await run_at(shop, local(shop, 4))
    assert await entries(shop) == []
    await shop.publish(dated({**BEFORE, "active": False}, AFTER))
    await card(shop, local(shop, 4), name="off", due="2031-05-18")
    await run_at(shop, local(shop, 6))
    await shop.publish(dated())
    await run_at(shop, local(shop, 7))
    await card(shop, local(shop, 7), name="on", due="2031-05-21")
    await run_at(shop, local(shop, 9))
    assert await entries(shop) == ["before on 2031-05-19"]


async def test_dates_with_a_time_and_hours(shop):
    await card(shop, local(shop, 0), name="m", meet=local(shop, 2, 10, 30).isoformat())
    await run_at(shop, local(shop, 2, 12, 29))
    assert await entries(shop) == []
    await run_at(shop, local(shop, 2, 12, 30))
    assert await entries(shop) == ["after m 2031-05-12"]


async def test_another_distance_counts_from_where_the_rule_began(shop):
    await card(shop, local(shop, 0), name="a", due="2031-05-20")
    await run_at(shop, local(shop, 5))  # five days before would have been at eight
    await shop.publish(dated(rule("before", {"date": "due", "days": -6, "at": "08:00"})))
    await run_at(shop, local(shop, 5, 8))
    assert await entries(shop) == ["before a 2031-05-15"], "the earlier moment lies between, and is not lost"


async def test_two_at_once_and_interrupted_in_between_do_each_once(shop, monkeypatch):
    for number in range(6):
        await card(shop, local(shop, 0), name=f"c{number}", due="2031-05-20")
    real, seen = date_rules._run_one, []

    async def dying(*given: Any) -> None:
        seen.append(1)
        if len(seen) == 3:
            raise asyncio.CancelledError
        await real(*given)

    monkeypatch.setattr(date_rules, "_run_one", dying)
    with pytest.raises(asyncio.CancelledError):
        await run_at(shop, local(shop, 8))
    assert await timers.is_due(await shop.system(at=local(shop, 8), origin="schedule"))
    await asyncio.gather(*(run_at(shop, local(shop, 8)) for _ in range(3)))
    assert sorted(await entries(shop)) == [f"before c{n} 2031-05-18" for n in range(6)]
    assert not await timers.is_due(await shop.system(at=local(shop, 8), origin="schedule"))


async def test_one_that_fails_stops_no_other_and_can_be_run_again(shop):
    await shop.publish(dated(FUSSY))
    await run_at(shop, local(shop, 0))
    broken, _fine = [await card(shop, local(shop, 0), name=n, due="2031-05-12") for n in ("broken", "fine")]
    await run_at(shop, local(shop, 2))
    assert await entries(shop) == ["fussy fine 2031-05-12"]
    ctx = (await shop.ctx("admin")).replace(fixed_now=local(shop, 2, 9))
    entry, runs = await timetable.entry(ctx, "date:fussy")
    assert (runs[0].done, runs[0].failed, runs[0].errors[0]["error"]) == (1, 1, "Broken") and entry.definition.key == "fussy"
    [log] = await shop.fetch("SELECT status, error FROM automation_log WHERE tenant_id = $1 AND record_id = $2", broken)
    assert log["status"] == "undone"
    await change(shop, local(shop, 2, 9), broken, name="mended")
    found = await timetable.preview(ctx, "date:fussy")
    assert {r.id for r in found.records} - found.done == {broken}
    assert (await date_rules.run_by_hand(await shop.system(at=local(shop, 2, 10), origin="schedule"), "fussy")).done == 1
    assert (await timetable.preview(ctx, "date:fussy")).done >= {broken}
    assert await entries(shop) == ["fussy fine 2031-05-12", "fussy mended 2031-05-12"]


async def test_a_moved_clock_stops_at_each_date(database):
    lab = await make_lab(dated(), people=False)
    await set_tenant_feature(lab.tenant_id, "clock", True)
    ctx = await lab.ctx("admin")
    await timers.run_all(await lab.system(origin="schedule"))
    days = [ctx.today + timedelta(days=n) for n in (8, 5, 6)]
    for day in days:
        await lab.make("card", "admin", name=day.isoformat(), due=day.isoformat())
    assert [m.astimezone(ctx.zone).date() for m in (await timetable.entry(ctx, "date:before"))[0].next] == [d - timedelta(days=3) for d in sorted(days)]
    job = await run_now(ctx, await clock.begin_move(ctx, ctx.now + timedelta(days=12)))
    assert job.status == "done", job.error
    assert await entries(lab) == [f"before {d} {d - timedelta(days=3)}" for d in sorted(days)], "in their order, each on its day"
    assert [r["what"] for r in job.result["ran"]] == ["before"] * 3


async def test_a_rule_needs_a_field_that_is_a_date():
    for wrong, code in (("name", "not_a_date"), ("nothing", "unknown_field")):
        _bundle, problems = examine(dated(rule("x", {"date": wrong})))
        assert [(p.path, p.code) for p in problems] == [("automations[x].on.date", code)], [p.message for p in problems]
    _bundle, problems = examine(dated(rule("x", {"date": "due", "at": "25:00"})))
    assert problems
