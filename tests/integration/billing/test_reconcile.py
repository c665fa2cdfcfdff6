"""The nightly comparison: finds every difference, repairs what can be repaired, and says so."""

from __future__ import annotations

import json

import pytest

from saas.db import system_transaction
from saas.errors import Conflict, NotFound
from saas.runtime import billing as running
from saas.tenants import delete_tenant
from saas.tenants.billing import checkout, reconcile
from tests.stripe_fake import subscriptions


async def drift() -> dict[str, reconcile.Drift]:
    return {line.what: line for line in (await running.compare()).drift}


async def test_all_is_well(stripe, payer):
    company = await payer(pack=None)
    await company.subscribe("team", 3)
    report = await running.compare()
    assert (report.examined, report.drift, report.error) == (1, [], "")
    assert not await reconcile.is_due()
    assert (await reconcile.list_reports())[0]["examined"] == 1


async def test_lost_events_are_made_up_for(stripe, payer):
    """Nothing was ever heard of a whole life: subscribed, changed, unpaid."""
    company = await payer()
    await company.subscribe("team", 3, hear=False)
    found = await drift()
    assert {"subscription_id", "status", "plan_key", "seats", "invoices"} <= found.keys() and all(line.repaired and line.slug == company.slug for line in found.values())
    assert (await company.row()).plan_key == "team" and await drift() == {}
    stripe.advance(days=14, minutes=1)
    stripe.declines.add(await company.customer())
    stripe.advance(days=31)
    assert {"status", "unpaid_since", "invoices", "period_end"} <= (await drift()).keys()
    assert (await company.row()).status == "past_due" and await company.mails() == ["billing_past_due"]


async def test_what_somebody_changed_here_by_hand(stripe, payer):
    company = await payer(pack=None)
    await company.subscribe("team", 3)
    async with system_transaction("billing", of=company.id) as conn:
        await conn.execute("UPDATE tenant SET plan_key = 'free' WHERE id = $1", company.id)
    assert (await drift())["plan"].here == "free" and (await company.row()).plan_key == "team"
    async with system_transaction("billing", of=company.id) as conn:
        await conn.execute("UPDATE tenant SET paid_limits = $2::jsonb WHERE id = $1", company.id, json.dumps({"seats": 99}))
        await conn.execute("UPDATE billing_invoice SET status = 'void' WHERE tenant_id = $1", company.id)
    assert set(await drift()) == {"invoices"}
    async with system_transaction("billing", of=company.id) as conn:
        await conn.execute("UPDATE tenant SET paid_limits = $2::jsonb WHERE id = $1", company.id, json.dumps({"seats": 99}))
    assert (await drift())["limits"].there == '{"seats": 3}'
    assert dict((await company.row()).paid_limits) == {"seats": 3} and await drift() == {}


async def test_nobody_pays_for_a_workspace_that_is_gone(stripe, payer):
    company = await payer(pack=None)
    sub = await company.subscribe("team", 3)
    await delete_tenant(company.slug)
    assert (await drift())["gone"].there == sub["id"]
    assert stripe.get("subscription", sub["id"])["status"] == "canceled"
    report = await running.compare()
    assert (report.examined, report.drift) == (0, [])


async def test_what_only_a_person_can_decide_is_listed_each_night(stripe, payer):
    company = await payer(pack=None)
    first = await company.subscribe("team", 3)
    price = next(p["id"] for p in stripe.all("price").values() if p["lookup_key"] == "saas_business_usd_month")
    stripe.advance(seconds=5)
    subscriptions.create(stripe, await company.customer(), [{"price": price, "quantity": 1}], {"metadata": {"app": "saas"}})
    stranger = stripe.add("customer", {})["id"]
    subscriptions.create(stripe, stranger, [{"price": price, "quantity": 1}], {"metadata": {"app": "saas"}})
    subscriptions.create(stripe, stranger, [{"price": price, "quantity": 1}], {"metadata": {"app": "another product of the same account"}})
    for _night in range(2):
        found = await drift()
        assert not found["second"].repaired and not found["stranger"].repaired and stranger in found["stranger"].there
    assert (await company.account()).subscription_id == first["id"] and (await company.row()).plan_key == "team"


async def test_a_customer_that_was_deleted_there(stripe, payer):
    company, other = await payer(pack=None), await payer(pack=None)
    await company.subscribe("team", 3)
    await other.subscribe("team", 4, hear=False)
    stripe.all("customer").pop(await company.customer())
    found = await drift()
    assert not found["gone"].repaired and (await other.row()).plan_key == "team"
    assert (await company.row()).plan_key == "team"  # nobody is thrown out for what may be a mistake


async def test_a_provider_that_fails_in_the_middle_leaves_a_report(stripe, payer):
    company = await payer(pack=None)
    await company.subscribe("team", 3, hear=False)
    stripe.failures += [(500, "broken")]
    report = await running.compare()
    assert [line.what for line in report.drift] == ["failed"] and (await company.row()).plan_key == "free"
    assert set(await drift()) >= {"status"}


async def test_a_provider_in_trouble_ends_the_pass_at_the_first_customer(stripe, payer):
    for _ in range(3):
        await (await payer(pack=None)).subscribe("team", 3, hear=False)
    stripe.failures += [(500, "broken")]
    before = len(stripe.asked)
    report = await running.compare()
    assert report.error and report.examined == 1 and len(stripe.asked) - before <= 4
    assert set(await drift()) >= {"status"}


async def test_a_subscription_is_ended_only_where_nobody_has_the_tenant(stripe, payer, monkeypatch):
    company = await payer(pack=None)
    made = await company.subscribe("team", 3)

    async def missing(_id):
        raise NotFound

    monkeypatch.setattr(reconcile, "get_tenant", missing)
    assert not (await drift())["failed"].repaired
    assert stripe.get("subscription", made["id"])["status"] != "canceled" and await company.customer()


async def test_a_provider_that_fails_when_a_subscription_is_ended_leaves_a_report(stripe, payer):
    company = await payer(pack=None)
    await company.subscribe("team", 3)
    await delete_tenant(company.slug)
    stripe.failures += [(500, "broken")]
    assert (await running.compare()).error
    assert "gone" in await drift()


async def test_without_a_provider_there_is_nothing_to_compare(database):
    with pytest.raises(Conflict):
        await checkout.end_now("cus_1")
