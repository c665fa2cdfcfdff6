"""What the provider tells: verified, stored once, believed in nothing; applied by looking at how things are now."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from saas.db import system_transaction
from saas.errors import NotFound
from saas.runtime import billing as running
from saas.tenants import delete_tenant
from saas.tenants.billing import apply, checkout, store, webhooks
from tests.integration.billing.conftest import HOOK
from tests.stripe_fake.server import signature
from tests.stripe_fake.store import body_of


async def send(http, body: bytes, header: str | None, url: str = HOOK, **headers: str) -> int:
    return (await http.post(url, content=body, headers={**({"stripe-signature": header} if header is not None else {}), **headers})).status_code


async def stored() -> dict[str, str]:
    return {row["id"]: row["state"] for row in await webhooks.list_events(limit=1000)}


def event_of(stripe, kind: str = "customer.updated", **thing) -> dict:
    event = stripe.tell(kind, {"object": "customer", "id": "cus_nobody", **thing})
    stripe.unsent.clear()
    return event


# ---- who may tell --------------------------------------------------------------------------------------------------------------------


async def test_what_is_not_signed_by_the_provider_is_not_stored(stripe, http):
    body = body_of(event_of(stripe))
    now = int(time.time())
    right = signature(body, stripe.secret, at=now)
    forged = {
        "no signature": None, "empty": "", "nonsense": "t=abc,v1=00", "another secret": signature(body, "whsec_another"), "another body": signature(body + b" ", stripe.secret),
        "another scheme": right.replace("v1=", "v0="), "an old moment": signature(body, stripe.secret, at=now - 301), "a moment moved": right.replace(f"t={now}", f"t={now + 1}"),
        "long": "v1=" + "0" * 20_000, "no time": right.partition(",")[2],
    }  # fmt: skip
    for name, header in forged.items():
        assert await send(http, body, header) == 400, name
    assert await stored() == {}
    assert await send(http, body, right) == 200
    assert len(await stored()) == 1
    assert 'saas_webhooks_total{outcome="forged",source="stripe"}' in (await http.get("http://127.0.0.1/metrics")).text


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"text"', b"{}", b'{"id": "evt_1"}', b'{"id": "evt_1", "object": "event", "type": "x", "created": "soon", "data": null}', b"\xff\xfe"])
async def test_a_signed_body_that_is_no_event_is_refused_calmly(stripe, http, body):
    assert await send(http, body, signature(body, stripe.secret)) == 400
    assert await stored() == {}


async def test_a_huge_body_is_refused(stripe, http):
    body = b'{"x": "' + b"0" * (webhooks.MAX_BYTES + 1) + b'"}'
    assert await send(http, body, signature(body, stripe.secret)) == 413


async def test_only_at_the_apex_and_only_where_it_is_set_up(stripe, http, payer, database):
    from dataclasses import replace

    company = await payer(pack=None)
    body = body_of(event_of(stripe))
    for host in (f"{company.slug}.localhost", "operator.localhost"):
        assert await send(http, body, signature(body, stripe.secret), f"http://{host}/billing/stripe/webhook") == 404
    before = database.settings
    for gone in ({"stripe_webhook_secret": None}, {"stripe_api_key": None}):
        database.settings = replace(before, **gone)
        assert await send(http, body, signature(body, stripe.secret)) == 404
        assert await send(http, body, signature(body, "")) == 404
    database.settings = before
    assert (await http.get(HOOK)).status_code == 405


async def test_the_same_event_is_stored_once_and_of_it_only_who_and_what(stripe, http, payer):
    company = await payer(pack=None)
    await company.subscribe()
    before = await stored()
    for event in stripe.events:
        body = body_of(event)
        assert await send(http, body, signature(body, stripe.secret)) == 200
    assert await stored() == before and "waiting" not in before.values()
    async with system_transaction("billing") as conn:
        row = await conn.fetchrow("SELECT * FROM stripe_event WHERE kind = 'customer.created'")
    assert company.email not in json.dumps(dict(row), default=str)


async def test_other_accounts_and_modes_are_ignored(stripe, http):
    for changes in ({"account": "acct_other"}, {"livemode": True}):
        body = body_of({**event_of(stripe), **changes, "id": f"evt_{stripe.salt}{len(changes)}{next(iter(changes))}"})
        assert await send(http, body, signature(body, stripe.secret)) == 200
    body = body_of(event_of(stripe, "product.updated", object="product", id="prod_1", customer=None))
    assert await send(http, body, signature(body, stripe.secret)) == 200
    assert set((await stored()).values()) == {"ignored"}
    assert await running.apply_events() == 0


async def test_an_event_of_nobody_is_kept_for_the_operator_and_tried_no_more(stripe, http):
    body = body_of(event_of(stripe))
    assert await send(http, body, signature(body, stripe.secret)) == 200
    assert await running.apply_events() == 1
    assert list((await stored()).values()) == ["unknown"]
    assert await running.apply_events() == 0
    assert not [call for call in stripe.asked if "cus_nobody" in call[1]]
    event_id = next(iter(await stored()))
    await webhooks.retry(event_id)
    assert await running.apply_events() == 1 and (await stored())[event_id] == "unknown"
    with pytest.raises(NotFound):
        await webhooks.retry("evt_nothing")


async def test_what_an_event_says_is_not_believed(stripe, http, payer):
    """A signed event that names B's customer and claims to be about A, with a plan nobody bought, changes nobody's."""
    a, b = await payer(pack=None), await payer(pack=None)
    await a.subscribe("team", 2)
    await b.subscribe("team", 2)
    lie = {
        "object": "subscription", "id": (await a.account()).subscription_id, "customer": await b.customer(), "status": "canceled",
        "metadata": {"tenant_id": str(a.id), "app": "saas"}, "items": {"data": [{"quantity": 999, "price": {"metadata": {"plan": "enterprise"}}}]},
    }  # fmt: skip
    body = body_of(event_of(stripe, "customer.subscription.deleted", **lie))
    assert await send(http, body, signature(body, stripe.secret)) == 200
    assert await running.apply_events() == 1
    for company in (a, b):
        assert ((await company.row()).plan_key, (await company.account()).seats, (await company.account()).status) == ("team", 2, "trialing")


async def test_a_subscription_of_another_company_cannot_be_claimed_by_its_words(stripe, payer):
    """The customer's own metadata names another tenant: who is whom stands with us."""
    a, b = await payer(pack=None), await payer(pack=None)
    await a.subscribe("team", 2)
    stripe.get("customer", await a.customer())["metadata"]["tenant_id"] = str(b.id)
    stripe.tell("customer.updated", stripe.get("customer", await a.customer()))
    await a.hear()
    assert (await b.row()).plan_key == "free" and (await b.account()).status == "none" and (await a.row()).plan_key == "team"


# ---- applying ------------------------------------------------------------------------------------------------------------------------


async def test_many_events_of_a_customer_are_one_look(stripe, payer):
    company = await payer(pack=None)
    await company.subscribe(hear=False)
    before = len(stripe.asked)
    assert len(await company.hear()) > 5
    assert len([c for c in stripe.asked[before:] if c[1].startswith("/v1/customers/") and not c[1].endswith("tax_ids")]) == 1


async def test_a_provider_that_is_away_is_asked_again(stripe, payer):
    company = await payer(pack=None)
    await company.subscribe(hear=False)
    stripe.failures += [(503, "away")]
    await company.hear()
    states = await webhooks.count_events()
    assert states["waiting"] > 0 and (await company.row()).plan_key == "free"
    row = next(e for e in await webhooks.list_events() if e["state"] == "waiting")
    assert row["error"].startswith("upstream_failed") and row["attempts"] == 1
    assert await running.apply_events() == 0  # not yet
    async with system_transaction("billing") as conn:
        await conn.execute("UPDATE stripe_event SET next_attempt_at = now()")
    assert await running.apply_events() > 0
    assert (await company.row()).plan_key == "team"


async def test_after_many_attempts_it_has_failed_until_somebody_tries_again(stripe, payer):
    company = await payer(pack=None)
    await company.subscribe()
    stripe.tell("customer.updated", stripe.get("customer", await company.customer()))
    stripe.failures += [(500, "broken")]
    async with system_transaction("billing") as conn:
        await conn.execute("DELETE FROM stripe_event")
    for _ in range(1):
        await company.hear()
    async with system_transaction("billing") as conn:
        await conn.execute("UPDATE stripe_event SET attempts = $1, next_attempt_at = now()", len(webhooks.BACK_OFF))
    stripe.failures += [(500, "broken")]
    await running.apply_events()
    event = next(e for e in await webhooks.list_events() if e["state"] == "failed")
    await webhooks.retry(event["id"])
    await running.apply_events()
    assert (await stored())[event["id"]] == "applied"


async def test_a_worker_that_died_leaves_a_lease_that_ends(stripe, payer):
    company = await payer(pack=None)
    await company.subscribe(hear=False)
    from tests.stripe_fake import server

    await server.deliver(stripe, company.http)
    assert await webhooks._claim() is not None
    assert await running.apply_events() == 0
    async with system_transaction("billing") as conn:
        await conn.execute("UPDATE stripe_event SET locked_until = now() - interval '1 second'")
    assert await running.apply_events() > 0 and (await company.row()).plan_key == "team"


async def test_a_slow_look_undoes_nothing_of_a_later_one(stripe, payer):
    company = await payer(pack=None)
    await company.subscribe("team", 2)
    customer = await company.customer()
    slow = await store.next_fetch(company.id)
    old = apply.state_of(await apply.fetch(customer))
    await checkout.change(await company.row(), "team", 7)
    await apply.refresh(company.id, customer)
    assert await apply.write(company.id, old, slow) is False
    assert (await company.account()).seats == 7


async def test_several_workers_at_once(stripe, payer):
    companies = [await payer(pack=None) for _ in range(3)]
    for number, company in enumerate(companies, 2):
        await company.subscribe("team", number, hear=False)
    from tests.stripe_fake import server

    await server.deliver(stripe, companies[0].http)
    counts = await asyncio.gather(*(running.apply_events() for _ in range(4)))
    assert sum(counts) == len(await stored())
    assert [(await company.account()).seats for company in companies] == [2, 3, 4]


async def test_events_of_a_deleted_workspace(stripe, payer):
    company = await payer(pack=None)
    await company.subscribe()
    stripe.tell("customer.updated", stripe.get("customer", await company.customer()))
    await delete_tenant(company.slug)
    await company.hear()
    assert "unknown" in (await stored()).values()
    with pytest.raises(NotFound):
        await apply.refresh(company.id, await company.customer())
    async with system_transaction("billing") as conn:  # nothing of it comes back
        for table in ("billing_account", "billing_invoice", "billing_usage"):
            assert await conn.fetchval(f"SELECT count(*) FROM {table} WHERE tenant_id = $1", company.id) == 0  # noqa: S608  names of this test
