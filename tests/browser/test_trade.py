"""A trade's day in a real browser: an order typed on one page, points posted and reversed, a month settled; on a telephone in Chinese, too."""

from __future__ import annotations

import pytest_asyncio
from playwright.async_api import expect

from tests.browser.conftest import Company
from tests.factories import Lab, make_lab
from tests.ledger_bundle import ledger_bundle


@pytest_asyncio.fixture(scope="module")
async def lab(served: int) -> Lab:
    made = await make_lab(ledger_bundle(), people=False)
    await made.person("mei", ["admin"], locale="zh_CN")
    return made


@pytest_asyncio.fixture(scope="module")
async def trade(served: int, lab: Lab) -> Company:
    return Company(lab.tenant_id, lab.slug, f"http://{lab.slug}.localhost:{served}", {who: f"{who}@{lab.slug}.example" for who in ("admin", "mei")})


async def test_a_day_of_a_trade(lab, trade, visit):
    visitor = await visit(trade, "admin")
    page = await visitor.go("/r/deal")
    await page.locator("main a[href='/entry/entry']").first.click()
    await page.locator("[name='subject']").fill("School desks")
    await page.locator("[name='customer.name']").fill("Hongguang School")
    await page.locator("[name='sales.0.product.new']").fill("Desk")
    await page.locator("[name='sales.0.quantity']").fill("40")
    await page.locator("[name='sales.0.price']").fill("200")
    await expect(page.locator("[data-totals]")).to_contain_text("8,000.00")
    await page.locator("[data-add='sales']").click()
    await expect(page.locator("[name='sales.1.quantity']")).to_be_visible()
    assert await page.locator("[name='sales.0.product.new']").input_value() == "Desk"
    await page.locator("[name='sales.1.quantity']").fill("2")
    await page.locator("button.primary").click()
    await expect(page.locator("[data-error-for='sales.1.price']")).not_to_be_empty()
    await page.locator("[value='drop:sales:1']").click()
    await expect(page.locator("[data-line]")).to_have_count(1)
    await page.locator("button.primary").click()
    await expect(page.locator("h1")).to_have_text("School desks")
    await expect(visitor.value("total")).to_contain_text("8,000.00")

    member = await lab.make("member", name="Mei Lan")
    for amount, direction in ((500, "add"), (30, "subtract")):
        entry = await lab.make("entry", member=str(member), amount=amount, direction=direction, event="issue", way="automatic", note=f"{direction} {amount}")
    page = await visitor.go(f"/r/entry/{entry}")
    await page.locator(".page-head details.menu summary").click()
    await page.get_by_role("link", name="Reverse …").click()
    await page.locator("dialog [name='reason']").fill("Typed twice")
    await page.locator("dialog [data-reverse]").click()
    await visitor.toast("Reversed")
    page = await visitor.go(f"/r/member/{member}/ledgers/points")
    await expect(page.locator("[data-balance='points']")).to_contain_text("500")
    await expect(page.locator("tbody tr")).to_have_count(3)
    await expect(page.locator("tbody tr").first).to_contain_text("Typed twice")

    agent = str(await lab.make("agent", name="Jiayuan"))
    await lab.make("lead_price", name="p", price="50", since="2020-01-01")
    await lab.make("referral", name="Lead", agent=agent, approved_on="2020-03-05T09:00:00+08:00")
    page = await visitor.go("/statements/leads?period=2020-03")
    await page.locator("[data-close-period]").click()
    await visitor.toast("2020-03")
    await expect(page.locator("tbody tr").first).to_contain_text("50.00")
    await expect(page.locator(".badge-green")).to_be_visible()

    phone = await visit(trade, "mei", locale="zh-CN", phone=True)
    pages = ("/entry/entry", "/entry/offer", f"/r/member/{member}/ledgers/points", "/statements/leads?period=2020-03", "/settings/ledgers", "/settings/ledgers/points", "/settings/forms/entry", "/settings/pricing/quotes", "/settings/statements/leads")
    for path in pages:
        page = await phone.go(path)
        await expect(page.locator("h1, h2").first).to_be_visible()
        await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        await phone.no_sideways_scroll()
