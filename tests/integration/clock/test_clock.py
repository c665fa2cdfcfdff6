"""The tenant's clock: what follows it when it is moved, in which order, and what never does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.errors import BadRequest, Conflict, PermissionDenied
from saas.runtime import clock, execute, jobs, timers
from saas.runtime import operations as ops
from saas.runtime.schedules import last_tick, next_ticks
from saas.runtime.worker import drain, run_now
from saas.tenants import find_session, open_session
from saas.tenants.clock import set_offset
from saas.tenants.features import set_tenant_feature
from saas.tenants.tenants import set_trial_end
from saas.ui import plan_views
from tests.factories import Lab, make_lab
from tests.integration.clock.material import NOTE, TAKE, WARN, bundle


@pytest_asyncio.fixture
async def shop(database) -> Lab:
    async with database.system.acquire() as conn:
        await conn.execute("DELETE FROM job")
    made = await make_lab(bundle(), people=False)
    await set_tenant_feature(made.tenant_id, "clock", True)
    return made


async def moved(lab: Lab, to: datetime) -> jobs.JobInfo:
    ctx = await lab.ctx("admin")
    return await run_now(ctx, await clock.begin_move(ctx, to))


async def test_everything_of_the_engine_follows(shop):
    before = (await shop.ctx("admin")).today
    soon = await shop.make("card", "admin", name="soon", due=(before + timedelta(days=10)).isoformat())
    job = await moved(shop, (await shop.ctx("admin")).now + timedelta(days=20))
    assert job.status == "done", job.error
    ctx = await shop.ctx("admin")
    assert ctx.today == before + timedelta(days=20) and abs(ctx.tenant.clock_offset_seconds - 20 * 86400) <= 1
    made = (await execute(ctx, ops.Create(entity="card", values={"name": "late", "due": ctx.today.isoformat()}))).record
    assert made.created_at.date() >= before + timedelta(days=19) and made.values["left"] == 0
    assert (await shop.get("card", soon)).values["left"] == -10

    async def names(filter_) -> list[str]:
        return [r.values["name"] for r in (await execute(ctx, ops.List(entity="card", filter=filter_))).records]

    assert await names("due == today()") == ["late"] and await names({"field": "due", "op": "relative", "value": "today"}) == ["late"]
    assert await names("created_at > add_days(now(), -1)") == ["late"]
    [audit] = await shop.fetch("SELECT at, data FROM audit_event WHERE tenant_id = $1 AND kind = 'clock.moved'")
    assert audit["at"] < datetime.now(UTC) + timedelta(minutes=1)


async def test_on_the_way_everything_runs_in_its_order(shop):
    """A warning three days before comes before the taking back, although both moments lie within one move."""
    today = (await shop.ctx("admin")).today
    card = await shop.make("card", "admin", name="c", due=(today + timedelta(days=10)).isoformat())
    await shop.make("card", "admin", name="d", daily=True)
    job = await moved(shop, (await shop.ctx("admin")).now + timedelta(days=8))
    assert (await shop.get("card", card)).values["step"] == 1
    job = await moved(shop, (await shop.ctx("admin")).now + timedelta(days=6))
    values = (await shop.get("card", card)).values
    taken = datetime.fromisoformat(str(values["taken"]).replace("Z", "+00:00"))
    assert values["step"] == 2 and taken.astimezone((await shop.ctx("admin")).zone).date() == today + timedelta(days=11), "it is taken on its day, not at the end of the move"
    assert [r["what"] for r in job.result["ran"] if r["what"] != "note"] == ["take"]
    days = sorted(r.values["on"] for r in (await execute(await shop.system(), ops.List(entity="entry", limit=100))).records)
    assert len(days) == len(set(days)) == 14, "once a day, every day"


async def test_an_interrupted_move_goes_on_where_it_was(shop, monkeypatch):
    ctx = await shop.ctx("admin")
    await shop.make("card", "admin", name="d", daily=True)
    job_id = await clock.begin_move(ctx, ctx.now + timedelta(days=6))
    real, seen = timers.run_all, []

    async def dying(given):
        seen.append(given.now)
        if len(seen) == 5:
            raise RuntimeError("the machine stops")
        return await real(given)

    monkeypatch.setattr(timers, "run_all", dying)
    job = await run_now(ctx, job_id)
    assert job.status == "queued" and 0 < (await shop.ctx("admin")).tenant.clock_offset_seconds < 6 * 86400
    with pytest.raises(Conflict):
        await clock.begin_move(await shop.ctx("admin"), ctx.now + timedelta(days=30))
    with pytest.raises(Conflict):
        await clock.reset(await shop.ctx("admin"))
    await shop.fetch("UPDATE job SET run_at = now() WHERE tenant_id = $1 RETURNING 1")
    assert await drain() == 1
    assert (await jobs.get_job(ctx, job_id)).status == "done" and seen[5] == seen[4], "what was not finished at that moment is done first"
    days = [r.values["on"] for r in (await execute(await shop.system(), ops.List(entity="entry", limit=100))).records]
    assert len(days) == len(set(days)) == 6


async def test_back_to_real_time_what_has_not_come_yet_comes_again(shop):
    today = (await shop.ctx("admin")).today
    await shop.make("card", "admin", name="d", daily=True)
    once = await shop.make("card", "admin", name="c", due=(today + timedelta(days=2)).isoformat())
    await moved(shop, (await shop.ctx("admin")).now + timedelta(days=5))
    ticks = "SELECT period FROM schedule_run WHERE tenant_id = $1 AND ran_at > now() + interval '1 hour'"
    assert len(await shop.fetch(ticks)) > 5
    await clock.reset(await shop.ctx("admin"))
    ctx = await shop.ctx("admin")
    assert ctx.tenant.clock_offset_seconds == 0 and ctx.today == today
    assert {r["period"] for r in await shop.fetch(ticks)} <= {"ever"}
    entries = len((await execute(await shop.system(), ops.List(entity="entry", limit=100))).records)
    await moved(shop, ctx.now + timedelta(days=5))
    assert len((await execute(await shop.system(), ops.List(entity="entry", limit=100))).records) >= entries + 4
    assert (await shop.get("card", once)).values["step"] == 2


async def test_who_may_move_it_and_where_to(shop):
    ctx = await shop.ctx("admin")
    await shop.person("sam", ["seller"])
    with pytest.raises(PermissionDenied):
        await clock.begin_move(await shop.ctx("sam"), ctx.now + timedelta(days=1))
    with pytest.raises(PermissionDenied):
        await clock.reset(await shop.ctx("sam"))
    for wrong in (ctx.now - timedelta(days=1), ctx.now + timedelta(days=3000)):
        with pytest.raises(BadRequest):
            await clock.begin_move(ctx, wrong)
    await moved(shop, ctx.now + timedelta(days=1))
    await set_tenant_feature(shop.tenant_id, "clock", None)
    with pytest.raises(PermissionDenied):
        await clock.begin_move(await shop.ctx("admin"), ctx.now + timedelta(days=9))
    await clock.reset(await shop.ctx("admin"))  # the way back is always open
    assert (await shop.ctx("admin")).tenant.clock_offset_seconds == 0


async def test_what_protects_accounts_and_money_does_not_follow(shop):
    """With a clock a year ahead sessions, leases of jobs, trials and plan limits are as they were."""
    admin = shop.people["admin"]
    token = (await open_session(shop.tenant_id, admin))[0]
    await set_trial_end(shop.slug, datetime.now(UTC) + timedelta(days=10))
    async with tenant_transaction(shop.tenant_id) as conn:
        await set_offset(conn, shop.tenant_id, 400 * 86400)
    assert await find_session(shop.tenant_id, token) is not None
    late = (await open_session(shop.tenant_id, admin))[0]
    [row] = await shop.fetch("SELECT max(expires_at) AS until, max(created_at) AS at FROM session WHERE tenant_id = $1")
    assert row["until"] < datetime.now(UTC) + timedelta(days=60) and row["at"] < datetime.now(UTC) + timedelta(minutes=1)
    assert await find_session(shop.tenant_id, late) is not None
    ctx = await shop.ctx("admin")
    assert plan_views.days_left(ctx, ctx.tenant.trial_ends_at) in (10, 11)
    async with tenant_transaction(shop.tenant_id) as conn:
        job_id = await jobs.enqueue(conn, ctx, timers.JOB, {})
    [job] = await shop.fetch("SELECT run_at, created_at FROM job WHERE tenant_id = $1 AND id = $2", job_id)
    assert job["run_at"] < datetime.now(UTC) + timedelta(minutes=1)
    await shop.make("card", "admin", name="metered")
    assert {r["day"] for r in await shop.fetch("SELECT (at AT TIME ZONE 'UTC')::date AS day FROM usage_delta WHERE tenant_id = $1")} <= {date.today(), datetime.now(UTC).date()}


# ---- ticks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cron", ["30 2 * * *", "0 * * * *", "15,45 * * * *", "0 3 * * 0", "59 1 * * *", "0 0 29 3 *"])
@pytest.mark.parametrize("night", [datetime(2026, 3, 28, 22, tzinfo=UTC), datetime(2026, 10, 24, 22, tzinfo=UTC)])
def test_the_latest_tick_is_the_last_one_that_came_also_when_the_clocks_change(cron, night):
    from zoneinfo import ZoneInfo

    zone = ZoneInfo("Europe/Berlin")
    ticks, at = [], (night - timedelta(days=400)).astimezone(zone)
    while at.astimezone(UTC) < night + timedelta(days=1):
        [at] = next_ticks(cron, at, 1)
        ticks.append(at.astimezone(UTC))
    for minutes in range(0, 8 * 60, 7):
        at = night + timedelta(minutes=minutes)
        found = last_tick(cron, at.astimezone(zone))
        assert found is not None and found.astimezone(UTC) == max(t for t in ticks if t <= at), at


async def test_what_a_worker_that_was_away_catches_up_on_belongs_to_its_own_day(shop):
    """The tick of 9 o'clock, run after midnight because nobody was there, does not use up the next day."""
    ctx = await shop.ctx("admin")
    await shop.make("card", "admin", name="d", daily=True)
    day = ctx.now.astimezone(ctx.zone).replace(hour=9, minute=0, second=0, microsecond=0) + timedelta(days=30)
    for at in (day - timedelta(hours=1), day + timedelta(hours=15, minutes=10), day + timedelta(days=1, minutes=1)):
        await timers.run_all(await shop.system(at=at.astimezone(UTC), origin="schedule"))
    assert len((await execute(await shop.system(), ops.List(entity="entry"))).records) == 2


async def test_a_schedule_begins_with_the_first_tick_after_it_was_switched_on(shop):
    await shop.make("card", "admin", name="d", daily=True)
    ctx = await shop.ctx("admin")
    day = ctx.now.astimezone(ctx.zone).replace(hour=9, minute=30, second=0, microsecond=0) + timedelta(days=30)

    async def at(moment: datetime) -> int:
        await timers.run_all(await shop.system(at=moment.astimezone(UTC), origin="schedule"))
        return len((await execute(await shop.system(), ops.List(entity="entry"))).records)

    assert [await at(day), await at(day + timedelta(hours=1)), await at(day + timedelta(days=1))] == [0, 0, 1]
    await shop.publish({**bundle(), "schedules": [WARN, TAKE, {**NOTE, "active": False}]})
    assert await at(day + timedelta(days=2)) == 1
    await shop.publish(bundle())
    assert [await at(day + timedelta(days=2, hours=1)), await at(day + timedelta(days=3))] == [1, 2]


async def test_the_tick_puts_one_job_into_the_queue(shop):
    assert not await timers.is_due(await shop.system(origin="schedule"))  # seen for the first time
    await shop.fetch("UPDATE schedule_run SET period = 'tick 2001' WHERE tenant_id = $1 RETURNING 1")
    assert await timers.tick() >= 1
    assert len(await shop.fetch("SELECT 1 FROM job WHERE tenant_id = $1 AND kind = $2", timers.JOB)) == 1
    await timers.tick()
    assert len(await shop.fetch("SELECT 1 FROM job WHERE tenant_id = $1 AND kind = $2", timers.JOB)) == 1, "not while it waits"
    await drain()
    assert not await timers.is_due(await shop.system(origin="schedule"))
