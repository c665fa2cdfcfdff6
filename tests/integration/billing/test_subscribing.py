"""From the payment page to plan and seats, and everything an administrator does afterwards; the provider is spoken to over HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from saas.db import tenant_transaction
from saas.errors import Conflict, InvalidInput, PaymentRefused, PlanLimitReached, UpstreamFailed
from saas.tenants import create_user, set_tenant_limits, set_trial_end
from saas.tenants.billing import catalogue, checkout, extras, store
from saas.tenants.billing.catalogue import RUNS
from tests.conftest import PASSWORD
from tests.stripe_fake import api, server


def asked(stripe, path: str) -> list[dict]:
    return [parameters for method, where, parameters in stripe.asked if method == "POST" and where == f"/v1/{path}"]


# ---- the catalogue -----------------------------------------------------------------------------------------------------------------


async def test_the_catalogue_is_brought_over_once(stripe):
    prices = {p["lookup_key"]: p for p in stripe.all("price").values()}
    assert prices["saas_team_usd_month"]["unit_amount"] == 1200 and prices["saas_team_cny_month"]["unit_amount"] == 6900
    assert prices["saas_extra_automation_runs_usd_month"]["recurring"]["usage_type"] == "metered"
    assert not any("free" in key or "unlimited" in key for key in prices)
    count = len(stripe.asked)
    again = await catalogue.sync()
    assert not again.made and not again.changed and not again.archived and again.kept == 13
    assert all(method == "GET" for method, _, _ in stripe.asked[count:])


async def test_a_price_that_changed_is_made_anew_and_the_old_one_archived_also_there_and_back(stripe, monkeypatch):
    def cost(amount: int) -> None:
        plans = {key: replace(plan, prices={**plan.prices, "USD": amount}) if key == "team" else plan for key, plan in real.items()}
        monkeypatch.setattr(catalogue, "catalogue", lambda: plans)

    real = catalogue.catalogue()
    seen = [p["id"] for p in stripe.all("price").values() if p["lookup_key"] == "saas_team_usd_month"]
    for amount in (1500, 1200, 1500):
        cost(amount)
        done = await catalogue.sync()
        assert len(done.made) == 1 and done.archived == [seen[-1]]
        now = next(p for p in stripe.all("price").values() if p["lookup_key"] == "saas_team_usd_month")
        assert now["unit_amount"] == amount and now["active"] and now["id"] not in seen
        assert not stripe.get("price", seen[-1])["active"] and stripe.get("price", seen[-1])["lookup_key"] is None
        seen.append(now["id"])


async def test_a_plan_that_is_not_sold_any_more_loses_its_prices(stripe, monkeypatch):
    plans = {key: replace(plan, offered=key != "business") for key, plan in catalogue.catalogue().items()}
    monkeypatch.setattr(catalogue, "catalogue", lambda: plans)
    assert len((await catalogue.sync()).archived) == 2
    assert not any(p["active"] for p in stripe.all("price").values() if (p["metadata"] or {}).get("plan") == "business")


async def test_a_broken_run_of_the_sync_is_finished_by_the_next(stripe):
    stripe.objects.clear()
    stripe.answered.clear()
    stripe.failures += [(200, "")] * 0 + [(500, "away")]
    with pytest.raises(UpstreamFailed):
        await catalogue.sync()
    await catalogue.sync()
    assert len(stripe.all("price")) == 8


# ---- subscribing ---------------------------------------------------------------------------------------------------------------------


async def test_subscribing_brings_plan_seats_and_trial(stripe, payer):
    company = await payer()
    sub = await company.subscribe("team", 3, tax_id="DE123456789")
    tenant, account = await company.row(), await company.account()
    assert (tenant.plan_key, tenant.limits.seats, tenant.status) == ("team", 3, "active")
    assert (account.status, account.plan_key, account.seats, account.currency) == ("trialing", "team", 3, "USD")
    assert tenant.trial_ends_at == account.trial_end and account.trial_end - stripe.now > timedelta(days=13)
    assert account.subscription_id == sub["id"] and account.tax_ids == ["EU VAT DE123456789"]
    session = asked(stripe, "checkout/sessions")[-1]
    assert session["tax_id_collection"] == {"enabled": "true"} and session["customer_update"] == {"name": "auto", "address": "auto"}
    assert session["success_url"].startswith(f"http://{company.slug}.localhost")
    assert [i["amount_due"] for i in await company.invoices()] == [0]


async def test_seats_are_those_paid_for(stripe, payer):
    company = await payer()
    await company.subscribe("team", 2)
    await create_user(company.id, f"b@{company.slug}.example", PASSWORD, "B", ["sales"])
    with pytest.raises(PlanLimitReached):
        await create_user(company.id, f"c@{company.slug}.example", PASSWORD, "C", ["sales"])
    await checkout.change(await company.row(), "team", 3)
    await company.hear()
    await create_user(company.id, f"c@{company.slug}.example", PASSWORD, "C", ["sales"])
    with pytest.raises(InvalidInput) as refused:
        await checkout.change(await company.row(), "team", 2)
    assert refused.value.problems[0].field == "seats"


async def test_a_change_costs_what_was_said_before(stripe, payer):
    company = await payer()
    sub = await company.subscribe("team", 2)
    assert await checkout.cost_of_change(await company.row(), "team", 2) is None
    trial = await checkout.cost_of_change(await company.row(), "team", 4)
    assert (trial.now, trial.next) == (0, None)
    stripe.advance(days=20)  # the trial is over, some of the first month is gone
    await company.hear()
    more = await checkout.cost_of_change(await company.row(), "team", 4)
    price = sub["items"]["data"][0]["price"]["unit_amount"]
    assert 0 < more.now < 2 * price and more.next is None
    assert (await company.account()).seats == 2  # asking changes nothing
    await checkout.change(await company.row(), "team", 4)
    await company.hear()
    assert max(i["amount_due"] for i in await company.invoices() if i["amount_due"] < 2 * price) == more.now
    less = await checkout.cost_of_change(await company.row(), "team", 3)
    assert less.now is None and less.next == 3 * price - more.now // 2
    with pytest.raises(InvalidInput):
        await checkout.cost_of_change(await company.row(), "team", 0)


async def test_the_operators_own_limits_stand_above_what_is_paid(stripe, payer):
    company = await payer()
    await set_tenant_limits(company.slug, {"seats": 10})
    await company.subscribe("team", 2)
    assert (await company.row()).limits.seats == 10


@pytest.mark.parametrize(("plan", "seats", "field"), [("free", 3, "plan"), ("unlimited", 3, "plan"), ("nothing", 3, "plan"), ("team", 0, "seats"), ("team", 51, "seats"), ("team", 10_001, "seats"), ("team", -5, "seats")])
async def test_what_cannot_be_bought(stripe, payer, plan, seats, field):
    company = await payer(pack=None)
    with pytest.raises(InvalidInput) as refused:
        await checkout.subscribe(await company.row(), plan, seats, email=company.email, locale="en")
    assert [p.field for p in refused.value.problems] == [field]
    assert not stripe.all("checkout.session")


async def test_who_has_two_windows_open_pays_once(stripe, payer):
    company = await payer(pack=None)
    urls = [await checkout.subscribe(await company.row(), "team", 2, email=company.email, locale="en") for _ in range(2)]
    assert [s["status"] for s in stripe.all("checkout.session").values()] == ["expired", "open"]
    assert len(stripe.all("customer")) == 1
    api.complete(stripe, urls[1].rpartition("/")[2])
    await company.hear()
    with pytest.raises(Conflict):
        await checkout.subscribe(await company.row(), "team", 2, email=company.email, locale="en")


async def test_a_trial_is_had_once(stripe, payer):
    company = await payer(pack=None)
    await set_trial_end(company.slug, stripe.now + timedelta(days=6))
    sub = await company.subscribe()
    assert abs(sub["trial_end"] - (stripe.now + timedelta(days=6)).timestamp()) < 60
    await checkout.cancel(await company.row())
    stripe.advance(days=7)
    await company.hear()
    assert (await company.row()).plan_key == "free"
    again = await company.subscribe("business", 2)
    assert again["status"] == "active" and again["trial_end"] is None
    assert (await company.row()).plan_key == "business" and (await company.row()).trial_ends_at is None


# ---- while it runs -------------------------------------------------------------------------------------------------------------------


async def test_more_seats_are_paid_at_once_and_fewer_taken_off_the_next_invoice(stripe, payer):
    company = await payer(pack=None)
    await company.subscribe("team", 10)
    stripe.advance(days=14, minutes=1)
    await company.hear()
    assert (await company.account()).status == "active"
    stripe.advance(days=15)
    await checkout.change(await company.row(), "team", 20)
    await company.hear()
    newest = (await company.invoices())[0]
    assert newest["status"] == "paid" and 5000 < newest["amount_due"] < 7000  # about half a month of ten more
    assert (await company.row()).limits.seats == 20
    await checkout.change(await company.row(), "team", 5)
    await company.hear()
    assert (await company.invoices())[0]["id"] == newest["id"] and (await company.row()).limits.seats == 5
    stripe.advance(days=16)
    await company.hear()
    assert (await company.invoices())[0]["amount_due"] == 0  # the credit is larger than a month of five seats


async def test_a_card_that_is_refused_changes_nothing(stripe, payer):
    company = await payer(pack=None)
    await company.subscribe("team", 2)
    stripe.advance(days=15)
    await company.hear()
    stripe.declines.add(await company.customer())
    with pytest.raises(PaymentRefused):
        await checkout.change(await company.row(), "business", 2)
    await company.hear()
    assert ((await company.row()).plan_key, (await company.account()).seats) == ("team", 2)


async def test_cancelling_and_staying(stripe, payer):
    company = await payer(pack=None)
    await company.subscribe("team", 2)
    await checkout.cancel(await company.row())
    await company.hear()
    account = await company.account()
    assert account.cancel_at == account.period_end and account.is_live and (await company.row()).plan_key == "team"
    await checkout.resume(await company.row())
    await company.hear()
    assert (await company.account()).cancel_at is None
    await checkout.cancel(await company.row())
    stripe.advance(days=15)
    await company.hear()
    tenant, account = await company.row(), await company.account()
    assert (tenant.plan_key, dict(tenant.paid_limits), account.status) == ("free", {}, "canceled") and account.ended_at
    with pytest.raises(Conflict):
        await checkout.resume(tenant)


async def test_after_the_end_the_operators_plan_stays(stripe, payer):
    """A company that pays by bank transfer after its subscription ended is not put back by a late event."""
    from saas.tenants import set_tenant_plan

    company = await payer(pack=None)
    await company.subscribe("team", 2)
    await checkout.cancel(await company.row())
    stripe.advance(days=15)
    await company.hear()
    await set_tenant_plan(company.slug, "enterprise")
    stripe.tell("customer.updated", stripe.get("customer", await company.customer()))
    await company.hear()
    assert (await company.row()).plan_key == "enterprise"


async def test_the_portal_leads_back(stripe, payer):
    company = await payer(pack=None)
    with pytest.raises(Conflict):
        await checkout.portal(await company.row())
    await company.subscribe()
    assert (await checkout.portal(await company.row())).startswith(f"{stripe.url}/portal/")
    assert asked(stripe, "billing_portal/sessions")[-1]["return_url"] == f"http://{company.slug}.localhost:8000/settings/billing?returned=1"


async def test_nobody_subscribes_twice_while_an_event_is_on_its_way(stripe, payer):
    company = await payer(pack=None)
    await company.subscribe("team", 2, hear=False)
    with pytest.raises(Conflict):
        await checkout.subscribe(await company.row(), "team", 2, email=company.email, locale="en")
    assert (await company.row()).plan_key == "team"  # known at once


async def test_of_two_who_press_at_once_one_page_stays_open_at_most(stripe, payer):
    company = await payer(pack=None)
    await checkout.subscribe(await company.row(), "team", 2, email=company.email, locale="en")
    pages = [checkout.subscribe(await company.row(), "team", 2, email=company.email, locale="en") for _ in range(2)]
    await asyncio.gather(*pages, return_exceptions=True)
    assert [s["status"] for s in stripe.all("checkout.session").values()].count("open") <= 1


async def test_a_customer_that_was_deleted_there_may_come_back(stripe, payer):
    company = await payer(pack=None)
    await company.subscribe("team", 2)
    old = await company.customer()
    api.delete_customer(stripe, {}, old)
    await company.hear()
    assert (await company.row()).plan_key == "free" and not (await company.account()).is_live
    await company.subscribe("team", 3)
    assert await company.customer() not in ("", old) and (await company.row()).plan_key == "team"


# ---- paid by use -----------------------------------------------------------------------------------------------------------------------


async def use(company, runs: int, day) -> None:
    async with tenant_transaction(company.id) as conn:
        await conn.execute(
            "INSERT INTO usage_day (tenant_id, meter, day, amount) VALUES ($1, 'automation_runs', $2, $3) ON CONFLICT (tenant_id, meter, day) DO UPDATE SET amount = excluded.amount", company.id, day, runs
        )


async def test_extra_runs_are_allowed_and_told_once_a_day(stripe, payer, monkeypatch):
    company = await payer(pack=None)
    await company.subscribe("team", 2)
    await checkout.set_extra(await company.row(), 5000)
    await company.hear()
    assert (await company.account()).extra_runs == 5000 and (await company.row()).limits.automation_runs == 25_000
    today = (stripe.now + timedelta(days=31)).replace(day=15)
    await use(company, 19_500, today.date() - timedelta(days=3))
    await use(company, 1_700, today.date() - timedelta(days=2))
    await use(company, 300, today.date() - timedelta(days=1))
    assert await extras.send_due(now=today) == 2
    assert sorted(int(e["payload"]["value"]) for e in stripe.usage.values()) == [300, 1200]
    assert await extras.send_due(now=today) == 0
    async with tenant_transaction(company.id) as conn:
        assert await conn.fetchval("SELECT count(*) FROM billing_usage WHERE tenant_id = $1 AND sent_at IS NOT NULL AND amount > 0", company.id) == 2
    # We died between telling and writing it down: told again, counted once.
    from saas.db import system_transaction

    async with system_transaction("billing", of=company.id) as conn:
        await conn.execute("UPDATE billing_usage SET sent_at = NULL WHERE tenant_id = $1 AND amount > 0", company.id)
    assert await extras.send_due(now=today) == 2
    assert len(stripe.usage) == 2


@pytest.mark.parametrize(("own", "told"), [({}, [5000]), ({"automation_runs": 22_000}, [4000]), ({"automation_runs": None}, [])])
async def test_a_month_is_billed_beyond_the_own_limit_and_up_to_what_was_agreed(stripe, payer, own, told):
    company = await payer(pack=None)
    await company.subscribe("team", 2)
    await checkout.set_extra(await company.row(), 5000)
    await company.hear()
    await set_tenant_limits(company.slug, own)
    today = (stripe.now + timedelta(days=31)).replace(day=15)
    await use(company, 26_000, today.date() - timedelta(days=2))
    await extras.send_due(now=today)
    assert [int(e["payload"]["value"]) for e in stripe.usage.values()] == told
    await use(company, 900, today.date() - timedelta(days=1))
    await extras.send_due(now=today)
    assert sum(int(e["payload"]["value"]) for e in stripe.usage.values()) == min(5000, sum(told) + 900 * bool(told))


async def test_days_before_extra_runs_were_switched_on_owe_nothing(stripe, payer):
    company = await payer(pack=None)
    await company.subscribe("team", 2)
    await use(company, 30_000, stripe.now.date() - timedelta(days=1))
    await checkout.set_extra(await company.row(), 5000)
    await company.hear()
    await extras.send_due()
    assert not stripe.usage


async def test_extra_runs_are_on_the_next_invoice_by_the_begun_block(stripe, payer):
    company = await payer(pack=None)
    await company.subscribe("team", 2)
    stripe.advance(days=14, minutes=5)
    await checkout.set_extra(await company.row(), 5000)
    customer = await company.customer()
    stripe.usage["x"] = {"event_name": "saas_automation_runs", "identifier": "x", "timestamp": stripe.stamp + 60, "payload": {"stripe_customer_id": customer, "value": "1500"}}
    stripe.advance(days=32)
    await company.hear()
    assert (await company.invoices())[0]["amount_due"] == 2 * 1200 + 2 * RUNS.prices["USD"]


async def test_switching_extra_runs_off_owes_what_was_used_today(stripe, payer):
    company = await payer(pack=None)
    await company.subscribe("team", 2)
    await checkout.set_extra(await company.row(), 5000)
    await company.hear()
    from datetime import UTC, datetime

    await use(company, 20_400, datetime.now(UTC).date())
    await checkout.set_extra(await company.row(), 0)
    await company.hear()
    assert (await company.row()).limits.automation_runs == 20_000
    await extras.send_due()
    assert [e["payload"]["value"] for e in stripe.usage.values()] == ["400"]


@pytest.mark.parametrize("most", [-1000, 500, 10_001_000])
async def test_extra_runs_come_in_thousands(stripe, payer, most):
    company = await payer(pack=None)
    await company.subscribe()
    with pytest.raises(InvalidInput):
        await checkout.set_extra(await company.row(), most)


# ---- a provider in trouble -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
async def test_a_provider_in_trouble_changes_nothing(stripe, payer, status):
    company = await payer(pack=None)
    await company.subscribe("team", 2)
    stripe.failures += [(status, "sorry")] * 4
    with pytest.raises(UpstreamFailed):
        await checkout.cancel(await company.row())
    stripe.failures.clear()
    assert (await company.account()).cancel_at is None


async def test_an_address_where_nobody_answers(stripe, payer, database):
    company = await payer(pack=None)
    before = database.settings
    database.settings = replace(before, stripe_api_base="http://127.0.0.1:9")
    try:
        with pytest.raises(UpstreamFailed):
            await checkout.subscribe(await company.row(), "team", 2, email=company.email, locale="en")
    finally:
        database.settings = before
    assert await store.customer_of(company.id) == ""


async def test_lists_longer_than_a_page(stripe, payer):
    """The product asks for hundreds at a time; the fake really cuts."""
    company = await payer(pack=None)
    sub = await company.subscribe("team", 2)
    from tests.stripe_fake import subscriptions

    for number in range(230):
        subscriptions.invoice(stripe, sub, [{"amount": number, "description": "x", "proration": False}], reason="manual")
    await server.deliver(stripe, company.http)
    from saas.runtime import billing as running

    await running.apply_events()
    async with tenant_transaction(company.id) as conn:
        assert await conn.fetchval("SELECT count(*) FROM billing_invoice WHERE tenant_id = $1", company.id) == 231
