"""Whatever order the provider's events arrive in, how often, and whichever are lost (with the nightly comparison at the end): the same state."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from saas.db import system_transaction
from saas.runtime import billing as running
from saas.tenants import forget_host, get_tenant
from saas.tenants.billing import checkout
from tests.integration.billing.conftest import Payer, payer, stripe  # noqa: F401  the same fixtures
from tests.stripe_fake import server
from tests.stripe_fake.server import signature
from tests.stripe_fake.store import body_of

WATCHED = ("subscription_id", "status", "plan_key", "seats", "extra_runs", "period_end", "trial_end", "cancel_at", "ended_at", "unpaid_since", "trial_used", "step", "tax_ids", "email")


async def live(company: Payer) -> None:
    """A life with everything in it."""
    fake = company.stripe
    await company.subscribe("team", 3, hear=False, tax_id="DE123456789")
    # The product acts on what it knows, so it hears the first part; what is replayed below is all of it.
    await company.hear()
    await checkout.set_extra(await company.row(), 5000)
    await checkout.change(await company.row(), "team", 9)
    await company.hear()
    fake.advance(days=14, minutes=5)
    await checkout.change(await company.row(), "business", 12)
    await checkout.cancel(await company.row())
    await company.hear()
    await checkout.resume(await company.row())
    fake.declines.add(await company.customer())
    fake.advance(days=31)
    fake.unsent.clear()


async def state_of(company: Payer) -> dict[str, Any]:
    account, tenant = await company.account(), await get_tenant(company.id)
    bills = sorted((i["id"], i["status"], i["amount_due"], i["amount_paid"]) for i in await company.invoices())
    return {**{name: getattr(account, name) for name in WATCHED}, "plan": tenant.plan_key, "limits": dict(tenant.paid_limits), "tenant": tenant.status, "trial": tenant.trial_ends_at, "bills": bills}


async def forget(company: Payer) -> None:
    """As if nothing had ever been heard."""
    async with system_transaction("billing", of=company.id) as conn:
        await conn.execute("DELETE FROM billing_invoice WHERE tenant_id = $1", company.id)
        await conn.execute("DELETE FROM billing_account WHERE tenant_id = $1", company.id)
        await conn.execute("DELETE FROM stripe_event")
        await conn.execute("UPDATE tenant SET plan_key = 'free', paid_limits = '{}', trial_ends_at = NULL, status = 'active', status_cause = 'operator' WHERE id = $1", company.id)
    forget_host(company.slug)


async def play(company: Payer, order: list[int], batches: list[int], *, lost: bool) -> dict[str, Any]:
    """Events in this order over HTTP; after each number of `batches` the worker looks."""
    await forget(company)
    events, secret = company.stripe.events, company.stripe.secret
    for count, place in enumerate(order):
        body = body_of(events[place])
        answer = await company.http.post("http://localhost/billing/stripe/webhook", content=body, headers={"stripe-signature": signature(body, secret)})
        assert answer.status_code == 200
        if count in batches:
            await running.apply_events()
    await running.apply_events()
    if lost:
        await running.compare()
    return await state_of(company)


@pytest_asyncio.fixture
async def history(payer) -> tuple[Payer, dict[str, Any]]:  # noqa: F811
    company = await payer(pack=None)
    await live(company)
    await forget(company)
    await running.refresh(company.id)
    expected = await state_of(company)
    assert (expected["status"], expected["plan"], expected["limits"], expected["tenant"]) == ("past_due", "business", {"seats": 12, "automation_runs": 505_000}, "past_due")
    return company, expected




async def test_every_history_of_events_ends_in_the_same_state(history):
    company, expected = history
    count = len(company.stripe.events)
    assert count >= 25
    loop = asyncio.get_running_loop()

    def check(order: list[int], batches: list[int], *, lost: bool) -> None:
        assert asyncio.run_coroutine_threadsafe(play(company, order, batches, lost=lost), loop).result(60) == expected

    places = st.integers(0, count - 1)

    @settings(max_examples=12)
    @given(st.permutations(range(count)), st.lists(places, max_size=6), st.lists(places, max_size=3))
    def shuffled_and_repeated(order: list[int], again: list[int], batches: list[int]) -> None:
        check([*order, *again], batches, lost=False)

    @settings(max_examples=12)
    @given(st.lists(places, max_size=12), st.lists(places, max_size=2))
    def mostly_lost(order: list[int], batches: list[int]) -> None:
        check(order, batches, lost=True)

    await asyncio.to_thread(shuffled_and_repeated)
    await asyncio.to_thread(mostly_lost)


async def test_events_that_arrive_while_life_goes_on(history):
    """Old events, heard after the payment and the end of the subscription, bring nothing back."""
    company, _expected = history
    old = list(range(len(company.stripe.events)))
    server.settle(company.stripe, await company.customer())
    await checkout.cancel(await company.row())
    company.stripe.advance(days=32)
    company.stripe.unsent.clear()
    await running.refresh(company.id)
    ended = await state_of(company)
    assert (ended["status"], ended["plan"], ended["limits"], ended["tenant"]) == ("canceled", "free", {}, "active")
    assert await play(company, old[::-1], [5, 11], lost=False) == ended
    assert await play(company, list(range(len(company.stripe.events)))[::-1], [3], lost=False) == ended
