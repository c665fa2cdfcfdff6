"""Overdue: announced, then read-only, then suspended, one step at a time; and back at once when it is paid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from saas.db import system_transaction
from saas.errors import Conflict
from saas.runtime import billing as running
from saas.tenants import set_tenant_plan, set_tenant_status, set_trial_end
from saas.tenants.billing import checkout, dunning, invoices
from tests.stripe_fake import server

NOW = datetime.now(UTC)


async def overdue(stripe, company) -> None:
    """A month was not paid."""
    await company.subscribe("team", 3)
    stripe.advance(days=14, minutes=1)
    stripe.declines.add(await company.customer())
    stripe.advance(days=31)
    await company.hear()


async def test_from_a_failed_payment_to_suspension_and_back(stripe, payer):
    company = await payer()
    await overdue(stripe, company)
    account = await company.account()
    assert (account.step, (await company.row()).status, account.status) == ("past_due", "past_due", "past_due") and account.unpaid_since is not None
    assert await company.mails() == ["billing_past_due"]
    began = account.step_at
    for days, step, mails in ((6.9, "past_due", 1), (7.1, "read_only", 2), (20.9, "read_only", 2), (21.2, "suspended", 3), (400, "suspended", 3)):
        for _again in range(2):
            assert await company.settle(days=days, at=began) == step
        assert (await company.row()).status == step and len(await company.mails()) == mails
    server.settle(stripe, await company.customer())
    await company.hear()
    assert ((await company.row()).status, (await company.account()).step) == ("active", "")
    assert await company.mails() == ["billing_past_due", "billing_read_only", "billing_suspended", "billing_paid"]
    assert await company.settle(days=500) == "" and len(await company.mails()) == 4


async def test_nobody_is_closed_out_unannounced_because_the_worker_was_away(stripe, payer):
    company = await payer()
    await overdue(stripe, company)
    began = (await company.account()).step_at
    assert await company.settle(days=100, at=began) == "read_only"
    assert await company.settle(days=113, at=began) == "read_only"
    assert await company.settle(days=115, at=began) == "suspended"


async def test_what_the_operator_closed_no_payment_opens(stripe, payer):
    company = await payer()
    await set_tenant_status(company.slug, "suspended")
    await overdue(stripe, company)
    assert (await company.row()).status == "suspended" and (await company.account()).step == ""
    server.settle(stripe, await company.customer())
    await company.hear()
    assert (await company.row()).status == "suspended" and (await company.account()).step == ""
    assert await company.mails() == []  # none of that would be true
    await set_tenant_status(company.slug, "active")
    await company.settle()
    assert (await company.row()).status == "active"


async def test_behind_the_operators_suspension_no_step_is_taken(stripe, payer):
    company = await payer()
    await overdue(stripe, company)
    began = (await company.account()).step_at
    await company.settle(days=8, at=began)
    await set_tenant_status(company.slug, "suspended")
    for days in (9, 40, 80):
        assert await company.settle(days=days, at=began) == ""
    await set_tenant_status(company.slug, "active")
    for _again in range(2):
        assert await company.settle(days=81, at=began) == "past_due"
    assert (await company.row()).status == "past_due" and await company.mails() == ["billing_past_due", "billing_read_only", "billing_past_due"]
    assert await company.settle(days=88.1, at=began) == "read_only"


async def test_an_operator_who_suspends_what_is_already_closed(stripe, payer):
    company = await payer()
    await overdue(stripe, company)
    await company.settle(days=8, at=(await company.account()).step_at)
    await set_tenant_status(company.slug, "suspended")
    server.settle(stripe, await company.customer())
    await company.hear()
    assert (await company.row()).status == "suspended"


async def test_an_operator_who_opens_it_while_nothing_is_paid_gives_time_by_a_date(stripe, payer):
    """Resuming alone lasts until the next pass: the debt is still there. A date is kept."""
    company = await payer()
    await overdue(stripe, company)
    began = (await company.account()).step_at
    await company.settle(days=8, at=began)
    await set_tenant_status(company.slug, "active")
    await company.settle(days=8, at=began)
    assert (await company.row()).status == "read_only"
    mails = len(await company.mails())
    await invoices.set_terms(await company.row(), plan_key="team", seats=None, paid_until=None, grace_until=began + timedelta(days=30))
    assert await company.settle(days=9, at=began) == "past_due"
    assert ((await company.row()).status, len(await company.mails())) == ("past_due", mails)
    assert await company.settle(days=29, at=began) == "past_due"
    assert await company.settle(days=30.1, at=began) == "read_only"
    assert (await company.row()).plan_key == "team"


async def test_a_debt_of_a_company_without_a_subscription_closes_nothing(stripe, payer):
    """It is on the free plan then; what it still owes is the operator's business."""
    company = await payer()
    await overdue(stripe, company)
    stripe.declines.add(await company.customer())
    from saas.tenants.billing import client

    await client.ask("subscriptions.cancel", (await company.account()).subscription_id)
    await company.hear()
    assert ((await company.row()).plan_key, (await company.row()).status, (await company.account()).unpaid_since) == ("free", "active", None)
    assert await company.mails() == ["billing_past_due"]  # and no thanks for a payment


async def test_the_clock_finds_whoever_is_due(stripe, payer):
    owing, fine = await payer(), await payer()
    await overdue(stripe, owing)
    await fine.subscribe("team", 2)
    steps = await dunning.run(running.readers, now=(await owing.account()).step_at + timedelta(days=8))
    assert steps[owing.id] == "read_only" and fine.id not in steps


# ---- by hand -------------------------------------------------------------------------------------------------------------------------


async def test_invoices_by_hand(payer):
    company = await payer()
    tenant = await company.row()
    await invoices.set_terms(tenant, plan_key="business", seats=40, paid_until=None, grace_until=None)
    assert ((await company.row()).plan_key, (await company.row()).limits.seats) == ("business", 40)
    due = NOW + timedelta(days=14)
    invoice = await invoices.record_invoice(tenant, number="2026-17", currency="EUR", amount=129_900, issued=NOW, due=due)
    assert await company.settle(days=13, at=NOW) == "" and await company.mails() == []
    assert (await dunning.run(running.readers, now=due + timedelta(hours=1)))[company.id] == "past_due"
    assert await company.settle(days=7.1, at=due) == "read_only"
    await invoices.settle_invoice(tenant, invoice, "paid")
    assert await company.settle(days=8, at=due) == ""
    assert (await company.row()).status == "active" and await company.mails() == ["billing_past_due", "billing_read_only", "billing_paid"]
    await invoices.settle_invoice(tenant, invoice, "open")
    assert await company.settle(days=8, at=due) == "past_due"
    told = await company.mails()
    await invoices.settle_invoice(tenant, invoice, "void")
    assert await company.settle(days=8, at=due) == "" and await company.mails() == told


async def test_paid_until(payer):
    company = await payer()
    await invoices.set_terms(await company.row(), plan_key="team", seats=None, paid_until=NOW.date(), grace_until=None)
    assert await company.settle(at=NOW.replace(hour=23, minute=59)) == ""
    steps = await dunning.run(running.readers, now=NOW + timedelta(days=1, minutes=1))
    assert steps[company.id] == "past_due"
    await invoices.set_terms(await company.row(), plan_key="team", seats=None, paid_until=NOW.date() + timedelta(days=365), grace_until=None)
    assert await company.settle(days=2, at=NOW) == ""


async def test_a_subscription_goes_before_what_the_operator_said_about_plan_and_date(stripe, payer):
    company = await payer()
    await invoices.set_terms(await company.row(), plan_key="team", seats=9, paid_until=NOW.date() - timedelta(days=3), grace_until=None)
    await company.subscribe("business", 4)
    assert await company.settle() == ""
    await invoices.set_terms(await company.row(), plan_key="free", seats=1, paid_until=None, grace_until=None)
    assert ((await company.row()).plan_key, (await company.row()).limits.seats) == ("business", 4)


async def test_a_transfer_of_long_ago_closes_nobody_whose_subscription_ended(stripe, payer):
    company = await payer()
    await invoices.set_terms(await company.row(), plan_key="team", seats=9, paid_until=NOW.date() - timedelta(days=3), grace_until=None)
    await company.subscribe("team", 3)
    await checkout.cancel(await company.row())
    stripe.advance(days=15)
    await company.hear()
    assert not (await company.account()).is_live and await company.settle() == ""
    assert (await company.row()).status == "active" and "billing_past_due" not in await company.mails()


async def test_what_a_subscription_says_the_operator_does_not_change_in_passing(stripe, payer):
    company = await payer()
    await company.subscribe("team", 3)
    for change in (set_tenant_plan(company.slug, "business"), set_trial_end(company.slug, NOW + timedelta(days=40))):
        with pytest.raises(Conflict):
            await change
    assert (await company.row()).plan_key == "team"


# ---- trials ---------------------------------------------------------------------------------------------------------------------------


async def test_a_trial_that_nobody_buys_ends_with_the_free_plan(payer):
    company = await payer(plan_key="team")
    ends = NOW + timedelta(days=10)
    await set_trial_end(company.slug, ends)
    assert company.id not in await dunning.run(running.readers, now=NOW)
    for _again in range(2):
        await dunning.run(running.readers, now=ends - timedelta(days=2))
    assert await company.mails() == ["trial_soon"] and (await company.row()).plan_key == "team"
    for _again in range(2):
        await dunning.run(running.readers, now=ends + timedelta(minutes=1))
    assert ((await company.row()).plan_key, (await company.row()).trial_ends_at, (await company.row()).status) == ("free", None, "active")
    assert await company.mails() == ["trial_soon", "trial_over"]


async def test_the_trial_of_sign_up_ends_with_what_the_operator_agreed_on(payer):
    first, second = await payer(plan_key="team"), await payer(plan_key="team")
    ends = NOW + timedelta(days=10)
    for company in (first, second):
        await set_trial_end(company.slug, ends)
    await invoices.set_terms(await first.row(), plan_key="business", seats=40, paid_until=None, grace_until=None)
    await set_tenant_plan(second.slug, "business")
    await dunning.run(running.readers, now=ends + timedelta(minutes=1))
    assert ((await first.row()).plan_key, (await first.row()).limits.seats) == ("business", 40)
    assert (await second.row()).plan_key == "business" and await second.mails() == []


async def test_a_trial_with_a_subscription_goes_on_by_itself(stripe, payer):
    company = await payer()
    await company.subscribe("team", 3)
    await dunning.run(running.readers, now=stripe.now + timedelta(days=13))
    assert await company.mails() == []
    stripe.advance(days=14, minutes=1)
    await company.hear()
    assert ((await company.row()).plan_key, (await company.row()).trial_ends_at, (await company.account()).status) == ("team", None, "active")


@pytest.mark.parametrize("locale", ["en", "zh_CN"])
async def test_every_message_can_be_written(payer, locale):
    from saas.tenants.mail import KINDS, compose

    company = await payer(pack=None)
    for kind in KINDS:
        if kind.startswith(("billing_", "trial_")):
            found = compose(kind, await company.row(), locale, {"until": NOW, "name": "A", "url": "http://x.localhost/settings/billing", "plan": "Free"})
            assert "http://x.localhost/settings/billing" in found.text and found.subject and "%(" not in found.text + found.html


async def test_mail_goes_to_administrators_in_their_language(stripe, payer):
    from saas.db import tenant_transaction
    from saas.tenants import create_user
    from tests.conftest import PASSWORD

    company = await payer(plan_key="team")
    await create_user(company.id, f"zh@{company.slug}.example", PASSWORD, "Wang", ["admin"], locale="zh_CN")
    await create_user(company.id, f"sales@{company.slug}.example", PASSWORD, "S", ["sales"])
    await overdue(stripe, company)
    async with tenant_transaction(company.id) as conn:
        rows = await conn.fetch("SELECT recipient, locale FROM mail WHERE tenant_id = $1 AND kind = 'billing_past_due'", company.id)
    assert {row["recipient"]: row["locale"] for row in rows} == {company.email: "en", f"zh@{company.slug}.example": "zh_CN"}


async def test_the_worker_does_it_all(stripe, payer):
    """The loop itself, with everything due at once."""
    import asyncio

    company = await payer()
    await company.subscribe("team", 2, hear=False)
    await server.deliver(stripe, company.http)
    stop = asyncio.Event()
    task = asyncio.create_task(running.run(stop))
    for _ in range(1200):
        if (await company.row()).plan_key == "team":
            break
        await asyncio.sleep(0.05)
    stop.set()
    await task
    assert (await company.row()).plan_key == "team"
    async with system_transaction("billing") as conn:
        assert await conn.fetchval("SELECT count(*) FROM stripe_event WHERE state = 'waiting'") == 0


async def test_a_slow_comparison_holds_up_no_event(stripe, payer, monkeypatch):
    import asyncio

    company = await payer()
    await company.subscribe("team", 2, hear=False)
    await server.deliver(stripe, company.http)
    stop = asyncio.Event()
    monkeypatch.setattr(running, "EVENTS_SECONDS", 0.05)
    monkeypatch.setattr(running, "DUNNING_SECONDS", 0.01)
    monkeypatch.setattr(running, "_compare_if_due", stop.wait)  # as long as the loop runs
    task = asyncio.create_task(running.run(stop))
    for _ in range(1200):
        if (await company.row()).plan_key == "team":
            break
        await asyncio.sleep(0.05)
    stop.set()
    await task
    assert (await company.row()).plan_key == "team"
