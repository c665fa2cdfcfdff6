"""Usage: folded by several at once, counted again, warned of once each by notification and mail, settled by the worker; API requests a minute."""

from __future__ import annotations

import asyncio
import time

import pytest

from saas.db import tenant_transaction
from saas.errors import RateLimitReached
from saas.i18n import use_locale
from saas.runtime import execute, usage, worker
from saas.runtime import operations as ops
from saas.tenants import meters, rates, set_tenant_limits, set_tenant_plan, update_user
from tests.factories import make_lab


async def figure(lab, meter: str) -> int:
    async with tenant_transaction(lab.tenant_id) as conn:
        return await meters.used(conn, lab.tenant_id, meter)


async def test_folding_while_people_work_loses_and_doubles_nothing(database):
    lab = await make_lab(people=False)
    ctx = await lab.ctx("admin")
    stop = False

    async def fold_on() -> None:
        while not stop:
            async with tenant_transaction(lab.tenant_id) as conn:
                await meters.fold(conn, lab.tenant_id)

    folders = [asyncio.create_task(fold_on()) for _ in range(2)]
    made = []
    for _ in range(6):
        made += await asyncio.gather(*(execute(ctx, ops.Create(entity="account", values={"name": f"n{n}"}, brief=True)) for n in range(8)))
        await execute(ctx, ops.Delete(entity="account", id=made.pop().effects[0]["id"]))
    stop = True
    await asyncio.gather(*folders)
    there = (await lab.fetch("SELECT count(*) AS n FROM record WHERE tenant_id = $1 AND deleted_at IS NULL"))[0]["n"]
    assert await figure(lab, "records") == there == 42
    assert await meters.reconcile(lab.tenant_id) == {"records": 0, "storage": 0}


async def test_what_was_counted_wrongly_is_put_right(database):
    lab = await make_lab(people=False)
    await lab.make("account", name="one")
    async with tenant_transaction(lab.tenant_id) as conn:
        sql, args = meters.entry(lab.tenant_id, "records", 40)
        await conn.execute(sql, *args)
    assert await figure(lab, "records") == 41
    assert await usage.count_again() >= 1
    assert await figure(lab, "records") == 1
    assert lab.tenant_id not in await meters.due()
    async with tenant_transaction(lab.tenant_id) as conn:
        today = (await usage.days(conn, lab.tenant_id))[-1]
        assert (today.amounts["records"], today.amounts["seats"]) == (1, 1)


async def told(lab) -> list[str]:
    rows = await lab.fetch("SELECT title FROM notification WHERE tenant_id = $1 AND kind = 'usage' ORDER BY created_at, id")
    return [row["title"] for row in rows]


async def mails(lab) -> list[str]:
    return [row["subject"] for row in await lab.fetch("SELECT subject FROM mail WHERE tenant_id = $1 AND kind = 'usage' ORDER BY created_at, id")]


async def test_warnings_come_once_each_by_notification_and_mail(database):
    lab = await make_lab()
    await update_user(lab.tenant_id, lab.people["admin"], {"locale": "zh_CN"})
    await lab.person("second", ["admin"], locale="en")
    await set_tenant_limits(lab.slug, {"records": 10})
    made = [await lab.make("account", name=f"a{n}") for n in range(7)]
    await usage.settle_one(lab.tenant_id)
    assert await told(lab) == [] and await mails(lab) == []
    made += [await lab.make("account", name="eighth")]
    for _ in range(3):
        await usage.settle_one(lab.tenant_id)
    assert sorted(await told(lab)) == ["Number of records: 80% of the plan is used", "记录数：套餐额度已使用 80%"]
    assert len(await mails(lab)) == 2 and any("80%" in subject for subject in await mails(lab)) and len({*await mails(lab)}) == 2
    made += [await lab.make("account", name=f"b{n}") for n in range(2)]
    for _ in range(2):
        await usage.settle_one(lab.tenant_id)
    assert len(await told(lab)) == 4 == len(await mails(lab)) and "Number of records: the plan's limit is reached" in await told(lab)
    body = (await lab.fetch("SELECT body_text FROM mail WHERE tenant_id = $1 AND locale = 'en' AND subject LIKE '%reached' LIMIT 1"))[0]["body_text"]
    assert "10 of 10 are used." in body and f"{lab.slug}." in body and "/settings/plan" in body
    for record_id in made[:5]:  # far below, and up again: told again, but not within a day
        await execute(await lab.ctx(), ops.Delete(entity="account", id=record_id))
    await usage.settle_one(lab.tenant_id)
    made += [await lab.make("account", name=f"c{n}") for n in range(3)]
    await usage.settle_one(lab.tenant_id)
    assert len(await told(lab)) == 4
    await execute(await lab.ctx(), ops.Delete(entity="account", id=made.pop()))
    async with tenant_transaction(lab.tenant_id) as conn:
        await conn.execute("UPDATE usage_notice SET at = at - interval '25 hours' WHERE tenant_id = $1", lab.tenant_id)
    await usage.settle_one(lab.tenant_id)
    await lab.make("account", name="up again")
    await usage.settle_one(lab.tenant_id)
    assert len(await told(lab)) == 6


async def test_who_jumps_over_80_is_told_of_100_only(database):
    lab = await make_lab(people=False)
    await set_tenant_limits(lab.slug, {"records": 1, "seats": 1})
    await lab.make("account", name="only")
    await usage.settle_one(lab.tenant_id)
    assert sorted(await told(lab)) == ["Active people: the plan's limit is reached", "Number of records: the plan's limit is reached"]


async def test_the_worker_settles_and_counts_again(database, monkeypatch):
    lab = await make_lab(people=False)
    await lab.make("account", name="one")
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run_worker(stop, concurrency=1))
    try:
        async with asyncio.timeout(180):
            while not await lab.fetch("SELECT 1 FROM usage_day WHERE tenant_id = $1 AND meter = 'records' AND amount = 1 AND checked_at IS NOT NULL"):  # noqa: ASYNC110  the worker tells nobody
                await asyncio.sleep(0.05)
    finally:
        stop.set()
        await running
    assert not await lab.fetch("SELECT 1 FROM usage_delta WHERE tenant_id = $1 AND meter = 'records'")


async def test_a_plan_that_shrinks_takes_nothing_and_refuses_more(database):
    lab = await make_lab(people=False)
    for n in range(3):
        await lab.make("account", name=f"a{n}")
    async with tenant_transaction(lab.tenant_id) as conn:
        lines = await usage.lines(conn, lab.tenant_id, (await lab.ctx()).tenant.limits)
    assert not usage.beyond(lines, (await lab.ctx()).tenant.limits)
    await set_tenant_plan(lab.slug, "free")
    await set_tenant_limits(lab.slug, {"records": 2, "fields_per_entity": 5})
    ctx = await lab.ctx()
    over = {line.key: (line.used, line.allowed) for line in usage.beyond(lines, ctx.tenant.limits)}
    assert over["records"] == (3, 2) and over["custom_entities"][0] > 2 and over["fields_per_entity"][0] > 5 and "seats" not in over
    assert len(await lab.fetch("SELECT id FROM record WHERE tenant_id = $1 AND deleted_at IS NULL")) == 3
    (one, *_rest) = [row["id"] for row in await lab.fetch("SELECT id FROM record WHERE tenant_id = $1 AND deleted_at IS NULL")]
    await execute(ctx, ops.Update(entity="account", id=one, values={"name": "still changeable"}))


# ---- API requests a minute -----------------------------------------------------------------------------------------------------


@pytest.fixture
def still(monkeypatch):
    """The clock of the rates stands still in the middle of a minute; `still(seconds)` moves it."""
    now = [time.time() // 60 * 60 + 20]
    monkeypatch.setattr(rates.time, "time", lambda: now[0])

    def forward(seconds: float) -> None:
        now[0] += seconds

    return forward


async def test_requests_of_all_processes_count_and_the_next_minute_begins_anew(database, still):
    lab = await make_lab(people=False)
    for left in (2, 1, 0):
        assert rates.take(lab.tenant_id, 3).remaining == left
    for locale, words in (("en", "Your plan allows 3 API requests a minute"), ("zh_CN", "您的套餐每分钟允许 3 次")):
        with use_locale(locale), pytest.raises(RateLimitReached) as caught:
            rates.take(lab.tenant_id, 3)
        with use_locale(locale):
            assert words in str(caught.value.message)
    assert caught.value.status == 429 and caught.value.data["retry_after"] == 40 and caught.value.data["limit"] == "api_requests"
    still(40)
    assert rates.take(lab.tenant_id, 3).remaining == 2
    rates.forget(lab.tenant_id)


async def test_requests_told_in_the_next_minute_count_for_their_own(database, still):
    rates.forget()
    lab = await make_lab(people=False)
    for _ in range(3):
        rates.take(lab.tenant_id, 3)
    still(40)
    assert rates.take(lab.tenant_id, 3).remaining == 2
    await rates.tell()
    assert rates.take(lab.tenant_id, 3).remaining == 1
    async with tenant_transaction(lab.tenant_id) as conn:
        assert await conn.fetchval("SELECT sum(amount) FROM usage_delta WHERE tenant_id = $1 AND meter = 'api_requests'", lab.tenant_id) == 4
    rates.forget(lab.tenant_id)


async def test_what_other_processes_took_is_heard(database, still):
    rates.forget()
    lab = await make_lab(people=False)
    rates.take(lab.tenant_id, 10)
    async with tenant_transaction(lab.tenant_id) as conn:
        sql, args = meters.entry(lab.tenant_id, "api_requests", 8)
        await conn.execute(sql, *args)
    await rates.tell()
    assert rates.take(lab.tenant_id, 10).remaining == 0
    with pytest.raises(RateLimitReached):
        rates.take(lab.tenant_id, 10)
    rates.forget(lab.tenant_id)
