"""The acceptance scenario of opportunity-desk as its people play it in the browser, in both languages: the clerk enters, the manager reads."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.async_api import expect

from saas.db import tenant_transaction
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.runtime.contexts import system_context
from saas.tenants.clock import set_offset
from tests.browser.conftest import Company

WORDS = {
    "zh_CN": {"entry": "商机录入", "book": "电话本", "saved": "保存成功", "won": "成功", "lost": "失败", "print": "打印", "report": "成功率"},
    "en": {"entry": "Opportunity entry", "book": "Phone book", "saved": "Saved", "won": "Success", "lost": "Failure", "print": "Print", "report": "Success rate"},
}


@pytest.mark.parametrize("locale", ["zh_CN", "en"])
async def test_acceptance_scenario(staffed, visit, locale) -> None:
    company = await staffed("opportunity-desk", {"Clerk": ("clerk", None, locale), "Manager": ("manager", None, locale)})
    words, ctx = WORDS[locale], await system_context(company.id)
    today = ctx.today
    product = (await execute(ctx, ops.Create(entity="product", values={"name": "Desk", "price": "200", "minimum": 20}))).record
    await execute(ctx, ops.Create(entity="stock_move", values={"product": str(product.id), "direction": "in", "quantity": 55, "reason": "purchase"}))
    await execute(ctx, ops.Create(entity="customer", values={"name": "Hongda School", "category": "company"}))
    clerk, manager = [await visit(company, name, locale=locale.replace("_", "-")) for name in ("Clerk", "Manager")]
    page = clerk.page

    # 1 nothing to enter a customer by itself
    await clerk.go("/r/customer")
    await expect(clerk.row("Hongda School")).to_have_count(1)
    await expect(page.locator("[data-key=c]")).to_have_count(0)

    # 2 everything in one window; what is there is offered, and not taken
    await clerk.menu(words["entry"])
    await page.locator("[name=subject]").fill("School desks")
    name = page.locator("[name='customer.name']")
    await name.press_sequentially("Hong")
    await expect(page.locator("[data-part=customer] .suggest [role=option]")).to_contain_text(["Hongda School"])
    await name.press_sequentially("guang School")
    await expect(page.locator("[data-part=customer] .suggest [role=option]:visible")).to_have_count(0)
    await page.locator("[name='customer.category']").select_option("school")
    await page.locator("[name='contact.name']").fill("Mr Pei")
    await page.locator("[name='contact.phone']").fill("025-5551234")
    await page.locator("[name='contact.address']").fill("Ninghai Rd 3")
    chosen = page.locator("[name='sales.0.product']")
    await chosen.select_option(await chosen.locator("option", has_text="Desk").get_attribute("value"))
    await page.locator("[name='sales.0.quantity']").fill("40")
    await page.locator("[name='sales.0.price']").fill("200")
    await expect(page.locator("[data-totals]")).to_contain_text("8,000.00")
    await page.locator("main form button.primary").last.click()
    await clerk.toast(words["saved"])
    await expect(page.locator("h1")).to_have_text("School desks")
    await expect(page.locator("[data-tristate]").first).to_have_attribute("data-state", "unfinished")
    for key, text in (("customer", "Hongguang School"), ("contact", "Mr Pei")):
        await expect(clerk.value(key).first).to_have_text(text)
    sold = page.locator("#related-sales tbody tr")
    await expect(sold).to_have_count(1)
    await expect(sold).to_contain_text("8,000.00")
    await expect(sold.locator("[data-tristate]")).to_have_attribute("data-state", "unfinished")

    # 3 the phone book
    await clerk.menu(words["book"])
    await expect(page.locator("tr[data-record-id]")).to_have_count(1)
    for text in ("Mr Pei", "025-5551234", "Ninghai Rd 3"):
        await expect(clerk.row("Mr Pei")).to_contain_text(text)

    # 4 the school there is, taken with the keyboard
    await clerk.menu(words["entry"])
    await page.locator("[name=subject]").fill("Blackboards")
    await page.locator("[name='customer.name']").press_sequentially("Hongg")
    await expect(page.locator("[data-part=customer] .suggest [role=option]")).to_contain_text(["Hongguang School"])
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.locator("[data-part=customer]")).to_have_attribute("data-picked", "")
    await expect(page.locator("[name='customer.name']")).to_be_hidden()
    await page.locator("main form button.primary").last.click()
    await clerk.toast(words["saved"])
    await expect(page.locator("h1")).to_have_text("Blackboards")
    await expect(clerk.value("customer").first).to_have_text("Hongguang School")
    await clerk.go("/r/customer")
    await expect(page.locator("tr[data-record-id]")).to_have_count(2)  # that and Hongda School: no second one was made

    # 5 customers of a category, on paper
    await clerk.go("/r/customer?f=category:in:school")
    await expect(page.locator("tr[data-record-id]")).to_have_count(1)
    await page.locator(".page-head details.menu summary").click()
    await page.get_by_role("link", name=words["print"], exact=True).click()
    await expect(page.locator("[data-sheet] tbody tr")).to_have_count(1)
    await expect(page.locator("[data-sheet]")).to_contain_text("Hongguang School")
    head = "async (url) => (await (await fetch(url)).text()).slice(0, 5)"
    assert await page.evaluate(head, await page.locator("[data-pdf]").get_attribute("href")) == "%PDF-"

    # 6 activities of tomorrow and yesterday
    for days, subject in ((1, "Call"), (-1, "Visit")):
        await clerk.go("/r/activity/new")
        await clerk.fill({"date": (today + timedelta(days)).isoformat(), "contact": "Mr Pei", "subject": subject})
        await clerk.submit()
        await clerk.toast(words["saved"])
    for view, there, away in (("coming", "Call", "Visit"), ("past", "Visit", "Call")):
        await clerk.go(f"/r/activity?view={view}")
        await expect(clerk.row(there)).to_have_count(1)
        await expect(clerk.row(away)).to_have_count(0)

    # 7 a note of today is in the notebook; the day after it is found only in the history
    await clerk.go("/r/note/new")
    await clerk.fill({"text": "Order more desks"})
    await clerk.submit()
    await clerk.toast(words["saved"])
    for days, places in ((0, {"coming": 1, "past": 0}), (1, {"coming": 0, "past": 1})):
        await _clock(company, days)
        for view, count in places.items():
            await clerk.go(f"/r/note?view={view}")
            await expect(clerk.row("Order more desks")).to_have_count(count)
    await _clock(company, 0)

    # 8, 9 the sale is ticked in the list: it leaves, the stock falls below the minimum, and that is said
    await clerk.go("/r/sale")
    await clerk.row("Desk").locator("[data-transition=tick]").click()
    await expect(page.locator(".toast", has_text="Desk").first).to_be_visible()
    await expect(clerk.row("Desk")).to_have_count(0)
    await clerk.go("/r/sale?view=finished")
    await expect(clerk.row("Desk").locator("[data-tristate]")).to_have_attribute("data-state", "success")
    await clerk.go("/r/product?view=low")
    await expect(clerk.row("Desk")).to_contain_text("15")

    # 10 one is ticked, one blanked with the keyboard; nothing is unfinished
    await clerk.go("/r/opportunity?view=all")
    await clerk.row("School desks").locator("[data-transition=tick]").click()
    await expect(clerk.row("School desks").locator("[data-tristate]")).to_have_attribute("data-state", "success")
    await clerk.row("Blackboards").locator("[data-transition=blank]").focus()
    await page.keyboard.press("Enter")
    await expect(clerk.row("Blackboards").locator("[data-tristate]")).to_have_attribute("data-state", "failure")
    await clerk.go("/r/opportunity?view=open")
    await expect(page.locator("tr[data-record-id]")).to_have_count(0)

    # 11 feedback needs its contact
    await clerk.go("/r/feedback/new")
    await clerk.fill({"subject": "Loose screws", "opportunity": "School desks", "customer": "Hongguang School"})
    await clerk.submit()
    await clerk.problem("contact")
    await clerk.fill({"contact": "Mr Pei"})
    await clerk.submit()
    await clerk.toast(words["saved"])

    # 12 the manager finds it by the customer, with its links
    school = (await execute(ctx, ops.List(entity="customer", q="Hongguang"))).records[0].id
    await manager.go(f"/r/feedback?f=customer:eq:{school}")
    await manager.open_row("Loose screws")
    for key, text in (("opportunity", "School desks"), ("customer", "Hongguang School"), ("contact", "Mr Pei")):
        await expect(manager.value(key).locator("a")).to_have_text(text)

    # 13 the month: two opportunities, one of them a success, and so on paper
    await manager.go("/reports/opportunities?period=this_month")
    for widget, figure in (("count", "2"), ("success", "1"), ("rate", "50.00")):
        await expect(manager.page.locator(f"[data-widget={widget}] .figure")).to_have_text(figure)
    rows = manager.page.locator("[data-widget=list] tbody tr")
    await expect(rows).to_have_count(2)
    for subject, outcome in (("School desks", words["won"]), ("Blackboards", words["lost"])):
        await expect(rows.filter(has_text=subject)).to_contain_text(outcome)
    await expect(manager.page.locator("main")).to_contain_text(words["report"])
    await manager.go("/r/opportunity/print?view=month")
    await expect(manager.page.locator("[data-sheet] tbody tr")).to_have_count(2)


async def _clock(company: Company, days: int) -> None:
    """How far the clock of the workspace is ahead."""
    async with tenant_transaction(company.id) as conn:
        await set_offset(conn, company.id, days * 86400)
