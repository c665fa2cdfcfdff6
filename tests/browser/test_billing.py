"""From the free plan through the payment page to more seats, a failed payment, suspension and back; in a real browser, with a provider that
answers over HTTP. SAAS_TEST_PICTURES names a directory for pictures of each page."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import expect

from saas.db import system_transaction
from saas.runtime import billing as running
from saas.tenants import create_operator, forget_host, get_tenant, open_operator_session
from saas.tenants.billing import catalogue, dunning, invoices
from tests.browser.conftest import Company
from tests.browser.visitor import Visitor
from tests.conftest import PASSWORD
from tests.stripe_fake import Fake, server, stripe_open, subscriptions

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@pytest_asyncio.fixture
async def stripe(database: Any, served: int) -> AsyncIterator[Fake]:
    before = database.settings
    async with stripe_open(endpoint=f"http://localhost:{served}/billing/stripe/webhook") as fake:
        database.settings = replace(before, stripe_api_key=fake.key, stripe_api_base=fake.url, stripe_webhook_secret=fake.secret, public_url=f"http://localhost:{served}")
        await catalogue.sync()
        try:
            yield fake
        finally:
            database.settings = before
            async with system_transaction("billing") as conn:
                await conn.execute("DELETE FROM stripe_event")
                await conn.execute("DELETE FROM stripe_customer")


async def company_of(tenant_factory: Any, served: int, locale: str) -> Company:
    tenant = await tenant_factory(pack="jb-rm-crm" if locale == "zh_CN" else "baseline-crm", locale=locale, plan_key="free")
    return Company(tenant.id, tenant.slug, f"http://{tenant.slug}.localhost:{served}", {"admin": tenant.admin_email})


async def look(visitor: Visitor, name: str) -> None:
    """At both widths; no page may be wider than its window."""
    for kind, size in (("1440", WIDE), ("390", NARROW)):
        await visitor.page.set_viewport_size(size)
        await visitor.no_sideways_scroll()
        if os.environ.get("SAAS_TEST_PICTURES"):
            await visitor.page.screenshot(path=Path(os.environ["SAAS_TEST_PICTURES"]) / f"{name}-{kind}.png", full_page=True)
    await visitor.page.set_viewport_size(WIDE)


async def operate(desk: Visitor, company: Company) -> None:
    """Signed in as an operator who has a second factor; how that is set up is tested elsewhere."""
    operator_id = await create_operator(f"{company.slug}@operator.example", PASSWORD, name="Op")
    async with system_transaction("operator_console") as conn:
        await conn.execute("UPDATE operator_account SET factor_secret = 'x' WHERE id = $1", operator_id)
    token, _csrf, _expires = await open_operator_session(operator_id)
    await desk.context.add_cookies([{"name": "session", "value": token, "url": desk.base}])


async def heard(fake: Fake) -> None:
    await server.deliver(fake)
    await running.apply_events()


async def step(company: Company, **days: float) -> None:
    """The clock of overdue payments, moved."""
    account = (await invoices.read_terms(company.id))[0]
    await dunning.run(running.readers, now=(account.step_at or datetime.now(UTC)) + timedelta(**days))
    forget_host(company.slug)


@pytest.mark.parametrize("locale", ["en", "zh_CN"])
async def test_from_subscribing_to_suspension_and_back(stripe, served, tenant_factory, visit, locale):
    company = await company_of(tenant_factory, served, locale)
    visitor = await visit(company, "admin", locale="en-GB" if locale == "en" else "zh-CN")
    page = await visitor.go("/settings/billing")
    words = SimpleNamespace(**({"team": "Team", "business": "Business", "free": "Free"} if locale == "en" else {"team": "团队版", "business": "商业版", "free": "免费版"}))
    now, payment, banner = page.locator("[data-plan-now]"), page.locator("[data-payment]"), page.locator("[data-banner=payment], [data-banner=standing]")
    await expect(now).to_have_text(words.free)
    await look(visitor, f"billing-{locale}-1-free")

    await page.locator("[data-plan=team]").click()
    await page.locator("[name=seats]").fill("0")
    await page.locator("[data-choose] button.primary").click()
    await visitor.problem("seats")
    await look(visitor, f"billing-{locale}-2-refused")
    await page.locator("[name=seats]").fill("3")
    await page.locator("[data-choose] button.primary").click()
    await page.wait_for_url(f"{stripe.url}/pay/**")
    await page.locator("[name=tax_id]").fill("DE123456789")
    await page.locator("button[value=good]").click()
    await page.wait_for_url("**/settings/billing")
    await expect(now).to_have_text(words.team)
    await expect(page.locator("[data-facts]")).to_contain_text("DE123456789")
    await look(visitor, f"billing-{locale}-3-trial")

    await page.locator("[name=seats]").fill("5")
    await expect(page.locator("[data-cost]")).to_have_text("Nothing is charged now." if locale == "en" else "现在不收费。")  # the trial
    await page.locator("[data-choose] button.primary").click()
    await expect(page.locator("[data-seats]")).to_contain_text("5")
    await page.locator("[data-extra] select").select_option("5000")
    await page.locator("[data-extra] button").click()
    await expect(page.locator("[data-extra] select")).to_have_value("5000")

    await page.locator("[data-portal]").click()
    await page.wait_for_url(f"{stripe.url}/portal/**")
    await page.locator("button[value=bad]").click()
    await page.wait_for_url("**/settings/billing")
    stripe.advance(days=15)
    await heard(stripe)
    for days, name in ((0, "past_due"), (7.1, "read_only"), (14.1, "suspended")):
        await step(company, days=days)
        await visitor.go("/settings/billing")
        await expect(page.locator(f"[data-step={name}]")).to_be_visible()
        await look(visitor, f"billing-{locale}-4-{name}")
        await visitor.go("/")
        await expect(banner).to_have_count(1)
        await look(visitor, f"billing-{locale}-4-{name}-home")
    assert (await get_tenant(company.id)).status == "suspended"

    await visitor.go("/settings/billing")
    await page.locator("[data-portal]").click()
    await page.locator("button[value=pay]").click()
    await page.wait_for_url("**/settings/billing")
    await expect(page.locator("[data-step]")).to_have_count(0)
    await expect(banner).to_have_count(0)
    await expect(payment).to_be_visible()
    await look(visitor, f"billing-{locale}-5-paid")

    await page.locator(".end-subscription summary").click()
    await page.locator("[data-cancel]").click()
    await expect(page.locator("[data-ends]")).to_be_visible()
    await look(visitor, f"billing-{locale}-6-cancelled")
    await page.locator("[data-ends] button").click()
    await expect(page.locator("[data-ends]")).to_have_count(0)
    await page.locator(".end-subscription summary").click()
    await page.locator("[data-cancel]").click()
    await expect(page.locator("[data-ends]")).to_be_visible()
    stripe.advance(days=32)
    await heard(stripe)
    await visitor.go("/settings/billing")
    await expect(page.locator("[data-ended]")).to_be_visible()
    await expect(now).to_have_text(words.free)
    await look(visitor, f"billing-{locale}-7-ended")
    await page.locator("[data-plan=business]").click()
    await page.locator("[data-choose] button.primary").click()
    await page.locator("button[value=good]").click()
    await page.wait_for_url("**/settings/billing")
    await expect(now).to_have_text(words.business)


@pytest.mark.parametrize("locale", ["en", "zh_CN"])
async def test_by_hand_without_a_provider(served, tenant_factory, visit, locale):
    """The operator sets the terms and records an invoice; the company sees both, and that nothing is paid online."""
    company = await company_of(tenant_factory, served, locale)
    desk = await visit(replace(company, base=f"http://operator.localhost:{served}"), locale="en-GB" if locale == "en" else "zh-CN")
    await operate(desk, company)
    page = await desk.go("/billing")
    await expect(page.locator("[data-manual]")).to_be_visible()
    await look(desk, f"console-{locale}-1")
    await page.locator(f"[data-account='{company.slug}'] a").first.click()
    await page.locator("[name=plan]").select_option("business")
    await page.locator("[name=seats]").fill("0")
    await page.locator("[data-terms] button.primary").click()
    await desk.problem("seats")
    await page.locator("[name=seats]").fill("40")
    await page.locator("[data-terms] button.primary").click()
    await expect(page.locator("[name=seats]")).to_have_value("40")
    await page.locator("details:has([data-record]) summary").click()
    await page.locator("[name=number]").fill("2026-17")
    await page.locator("[data-record] button.primary").click()
    await desk.problem("amount")
    await look(desk, f"console-{locale}-2-refused")
    await page.locator("[name=amount]").fill("1,299.50")
    await page.locator("[name=issued]").fill("2026-01-01")
    await page.locator("[name=due]").fill("2026-01-15")
    await page.locator("[name=note]").fill("Forty seats for a year, as agreed with the purchasing department")
    await page.locator("[data-record] button.primary").click()
    await expect(page.locator("[data-invoice='2026-17']")).to_contain_text("1,299.50")
    await look(desk, f"console-{locale}-3-account")
    forget_host(company.slug)

    visitor = await visit(company, "admin", locale="en-GB" if locale == "en" else "zh-CN")
    theirs = await visitor.go("/settings/billing")
    await expect(theirs.locator("[data-manual]")).to_be_visible()
    await expect(theirs.locator("[data-choose]")).to_have_count(0)
    await expect(theirs.locator("[data-step=past_due]")).to_be_visible()
    await expect(theirs.locator("[data-invoice='2026-17']")).to_contain_text("1,299.50")
    await look(visitor, f"manual-{locale}")
    await page.locator("[data-invoice] button[value=paid]").click()
    await expect(page.locator("[data-invoice] button[value=open]")).to_be_visible()
    await visitor.go("/settings/billing")
    await expect(theirs.locator("[data-step]")).to_have_count(0)


async def test_the_operators_pages_of_a_provider(stripe, served, tenant_factory, visit, database):
    """Events and comparisons, with something in each."""
    company = await company_of(tenant_factory, served, "en")
    stripe.tell("customer.updated", {"object": "customer", "id": "cus_of_nobody_that_we_would_know_about"})
    await heard(stripe)
    price = next(p["id"] for p in stripe.all("price").values() if p["lookup_key"] == "saas_business_usd_month")
    subscriptions.create(stripe, stripe.add("customer", {})["id"], [{"price": price, "quantity": 1}], {"metadata": {"app": "saas"}})
    desk = await visit(replace(company, base=f"http://operator.localhost:{served}"))
    await operate(desk, company)
    page = await desk.go("/billing")
    await page.locator("[data-reconcile]").click()
    await expect(page.locator("[data-report]").first).to_be_visible()
    await look(desk, "console-provider")
    await desk.go("/billing/events?state=unknown")
    await page.locator("[data-event] button").click()
    await desk.toast("again")
    await look(desk, "console-events")
