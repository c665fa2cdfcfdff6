"""The acceptance scenario of customer-pool-crm in the browser, in both languages: each step by the person who does it, in one tenant."""

from __future__ import annotations

import re

import pytest
import pytest_asyncio
from playwright.async_api import expect

from saas.db import tenant_transaction
from saas.runtime.contexts import system_context
from saas.runtime.schedules import run_due
from saas.tenants import create_user
from saas.tenants.clock import set_offset
from tests.browser.conftest import Company
from tests.conftest import PASSWORD

STAFF = {"Han": ("employee", "dept_a"), "Yang": ("employee", "dept_a"), "Tang": ("manager", "dept_a"), "Gu": ("employee", "dept_b")}
WORDS = {
    "en": {"saved": "Saved", "no_name": "Enter the customer", "education": "Education and training", "web": "Web marketing", "private": "Private", "state": "State-owned", "contacts": "Contacts", "opportunities": "Opportunities", "pool": "Customer pool", "mine": "My customers", "dept": "department A", "soon": "goes back to “Customer pool” in 3 days"},
    "zh_CN": {"saved": "保存成功", "no_name": "请填写客户名", "education": "教育培训", "web": "网络营销", "private": "民企", "state": "国企", "contacts": "联系人", "opportunities": "商机", "pool": "客户池", "mine": "我的客户", "dept": "销售一部", "soon": "将在 3 天后退回“客户池”"},
}
DAY = 86400


@pytest_asyncio.fixture(scope="module")
async def company(staffed) -> Company:
    """There is another Yang, who stands in the other department."""
    made = await staffed("customer-pool-crm", {f"{name}{language[:2]}": (role, department, language) for language in WORDS for name, (role, department) in STAFF.items()})
    await create_user(made.id, f"other@{made.slug}.example", PASSWORD, "Yang Other", ["employee"], department_key="dept_b")
    return made


async def after(company: Company, days: float) -> None:
    """The workspace's clock shows a later day, and what was due by then has run."""
    async with tenant_transaction(company.id) as conn:
        before = await set_offset(conn, company.id, 0)
        await set_offset(conn, company.id, round(before + days * DAY))
    await run_due(await system_context(company.id))


@pytest.mark.parametrize("language", WORDS)
async def test_acceptance_scenario(company, visit, language) -> None:
    words, tail = WORDS[language], language[:2]
    han, yang, tang, gu = [await visit(company, f"{name}{tail}", locale=language.replace("_", "-")) for name in STAFF]
    bright, delta, fang = f"Bright Education {tail}", f"Delta Trade {tail}", f"Fang Trading {tail}"

    # 1 the owner is Han; there is nothing to type into, only a window to choose in
    await han.go("/r/customer")
    await han.page.locator("[data-key=c]").click()
    owner = han.within().locator(".field[data-field=owner]")
    opener = owner.locator("[aria-haspopup=dialog]")
    await expect(opener).to_have_text(f"Han{tail}")
    await expect(owner.locator("input:visible, textarea:visible, [contenteditable]:visible, select[name=owner]:not([aria-hidden])")).to_have_count(0)

    # 2 in the window: department A and "Yang"; without the department there is another one
    await opener.click()
    window, name = owner.locator("dialog[open]"), f"Yang{tail}"
    await window.locator("[data-pick-q]").fill("Yang")
    await expect(window.locator("[role=option]")).to_have_count(3)  # hers of either language and the other one
    await window.locator("[data-pick-filter=dept]").select_option(label=await window.locator("[data-pick-filter=dept] option", has_text=words["dept"]).text_content())
    await expect(window.locator("[role=option]")).to_have_count(2)
    await window.locator("[data-pick-q]").fill(name)
    await expect(window.locator("[role=option]")).to_have_count(1)
    await expect(window.locator("[role=option]")).to_contain_text(words["dept"])
    await window.locator("[data-pick-q]").press("Escape")
    await expect(owner.locator("dialog[open]")).to_have_count(0)
    await expect(opener).to_have_text(f"Han{tail}")

    # 3, 4, 5 a customer needs a name of at most 50 letters
    await han.submit()
    await han.problem("name", words["no_name"])
    await han.fill({"industry": words["education"], "source": words["web"]})
    await han.within().locator("[name=name]").evaluate("(box) => { box.removeAttribute('maxlength'); box.value = '名'.repeat(51); }")
    await han.submit()
    await han.problem("name", "50")
    await han.fill({"name": bright})
    await han.submit()
    await han.toast(words["saved"])
    await expect(han.value("days_left").first).to_contain_text("30")
    record = await han.record_id()
    for view in ("all", "mine", "created_today"):
        await han.go(f"/r/customer?view={view}")
        await expect(han.row(bright)).to_have_count(1)

    # 6 two contacts; the second is made the primary one
    for name in (f"Qin {tail}", f"Liu {tail}"):
        await han.go(f"/r/customer/{record}")
        await han.tab(words["contacts"])
        await han.page.locator("[data-new=contact]").click()
        await han.fill({"name": name})
        await han.submit()
        await han.toast(words["saved"])
    await han.go(f"/r/customer/{record}/edit")
    await han.fill({"primary_contact": f"Liu {tail}"})
    await han.submit()
    await expect(han.page.locator(".record-head")).to_contain_text(f"Liu {tail}")

    # 7 saved together with an opportunity
    await han.go("/r/customer/new")
    await han.fill({"name": delta, "nature": words["private"], "first_opportunity": f"Delta 2025 {tail}"})
    await han.within().locator(".address-street").fill("Pudong 1")
    await han.submit()
    await han.toast(words["saved"])
    await han.tab(words["opportunities"])
    await expect(han.row(f"Delta 2025 {tail}")).to_have_count(1)

    # 8 a lead becomes customer, contact and opportunity
    await han.go("/r/lead/new")
    await han.fill({"name": f"Ms Fang {tail}", "company": fang})
    await han.submit()
    await han.begin("convert")
    await han.submit()
    await expect(han.page.locator("[data-state]")).to_have_attribute("data-state", "converted")
    await han.value("customer").locator("a").click()
    await expect(han.page.locator("h1")).to_have_text(fang)
    for part, text in (("contacts", f"Ms Fang {tail}"), ("opportunities", fang)):
        await han.tab(words[part])
        await expect(han.row(text)).to_have_count(1)

    # 9 by address and nature
    await han.go("/r/customer/new")
    await han.fill({"name": f"Pudong State Works {tail}", "nature": words["state"]})
    await han.submit()
    await han.toast(words["saved"])
    await han.go("/r/customer?view=all&f=nature:in:private")
    await han.page.locator("#list-q").fill("Pudong")
    await han.page.locator("#list-q").press("Enter")
    await expect(han.row(delta)).to_have_count(1)
    await expect(han.page.locator("tr[data-record-id]", has_text=tail)).to_have_count(1)  # others may lie in the pool

    # 10 into the pool: gone from mine
    await han.go(f"/r/customer/{record}")
    await han.page.locator("[data-pool-act=release]").click()
    await han.page.locator("#release-form button").click()
    await expect(han.page.locator("[data-pool-act=claim]")).to_be_visible()
    await expect(han.value("owner").first).not_to_contain_text("Han")
    await expect(han.value("days_left").first).not_to_contain_text("30")
    await han.menu(words["pool"])
    await expect(han.row(bright)).to_have_count(1)
    await han.menu(words["mine"])
    await expect(han.row(bright)).to_have_count(0)

    # ... which the form of a new one does at once
    await han.go("/r/customer/new")
    await han.fill({"name": f"Straight to the pool {tail}"})
    await han.within().locator("button[name=to_pool]").click()
    await han.toast(words["saved"])
    await expect(han.page.locator("[data-pool-act=claim]")).to_be_visible()

    # 11 another department sees the pool and nothing of Han's
    await gu.go("/r/customer?view=all")
    await expect(gu.row(bright)).to_have_count(1)
    await expect(gu.row(delta)).to_have_count(0)

    # 12 claimed: the countdown begins again
    await yang.go("/r/customer?view=pool_public")
    await yang.open_row(bright)
    await yang.page.locator("[data-pool-act=claim]").click()
    await expect(yang.value("owner").first).to_contain_text(f"Yang{tail}")
    await expect(yang.value("days_left").first).to_contain_text("30")

    # 13 not warned after 26 days, warned after 27, back in the pool after 30
    await after(company, 26)
    await yang.go(f"/r/customer/{record}")
    await expect(yang.value("days_left").first).to_have_text(re.compile(r"^\s*4\b"))
    await after(company, 1)
    await yang.go("/notifications")
    await expect(yang.page.locator(".note", has_text=bright)).to_have_count(1)
    await expect(yang.page.locator(".note", has_text=bright)).to_contain_text(words["soon"])
    await after(company, 3)
    await yang.go("/r/customer?view=pool_public")
    await expect(yang.row(bright)).to_have_count(1)
    await yang.go("/r/customer?view=mine")
    await expect(yang.row(bright)).to_have_count(0)

    # 14 the manager gives it to Han, who reads of it
    await tang.go(f"/r/customer/{record}")
    await tang.page.locator("[data-pool-act=assign]").click()
    await tang.fill({"owner": f"Han{tail}"})
    await tang.submit()
    await expect(tang.value("owner").first).to_contain_text(f"Han{tail}")
    await han.go("/notifications")
    note = han.page.locator(".note", has_text=bright).first
    await expect(note).to_contain_text(re.compile("[\u4e00-\u9fff]") if language == "zh_CN" else re.compile("assigned|given"))

    # 15 the newest change stands on top
    await han.go(f"/r/customer/{record}/edit")
    await han.within().locator(".address-street").fill("Pudong 9")
    await han.submit()
    await han.toast(words["saved"])
    await han.go("/r/customer?view=recent")
    await expect(han.page.locator("tr[data-record-id]").first).to_contain_text(bright)
