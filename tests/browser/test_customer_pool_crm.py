"""The main path of the customer-pool-crm acceptance scenario in the browser: Han works in Chinese, Yang and Tang in English."""

from __future__ import annotations

import re

from playwright.async_api import expect


async def test_acceptance_scenario(staffed, visit) -> None:
    company = await staffed(
        "customer-pool-crm",
        {"Han": ("employee", "dept_a", "zh_CN"), "Yang": ("employee", "dept_a", "en"), "Tang": ("manager", "dept_a", "en"), "Gu": ("employee", "dept_b", "zh_CN")},
    )
    han, yang, tang, gu = [await visit(company, name) for name in ("Han", "Yang", "Tang", "Gu")]

    # 1 the owner is Han, chosen from a list and not typed
    await han.go("/r/customer")
    await han.page.locator("[data-key=c]").click()
    owner = han.within().locator(".field[data-field=owner] select[name=owner]")
    await expect(owner.locator("option:checked")).to_contain_text("Han")
    await expect(han.within().locator("input[name=owner]")).to_have_count(0)

    # 3, 4, 5 a customer needs a name of at most 50 letters
    await han.submit()
    await han.problem("name", "请填写客户名")
    await han.fill({"name": "Bright Education", "industry": "教育培训", "source": "网络营销"})
    await han.submit()
    await han.toast("保存成功")
    await expect(han.value("days_left").first).to_contain_text("30")
    bright = await han.record_id()

    # 6 two contacts; the second is made the primary one
    await han.tab("联系人")
    for name in ("Qin", "Liu"):
        await han.page.locator("[data-new=contact]").click()
        await han.fill({"name": name})
        await han.submit()
        await han.toast("保存成功")
        await han.go(f"/r/customer/{bright}")
        await han.tab("联系人")
    await han.page.locator("[data-key=e]").click()
    await han.fill({"primary_contact": "Liu"})
    await han.submit()
    await expect(han.page.locator(".record-head")).to_contain_text("Liu")

    # 7 saved together with an opportunity
    await han.go("/r/customer/new")
    await han.fill({"name": "Delta Trade", "first_opportunity": "Delta 2025"})
    await han.submit()
    await han.tab("商机")
    await expect(han.row("Delta 2025")).to_have_count(1)

    # 8 a lead becomes customer, contact and opportunity
    await han.go("/r/lead/new")
    await han.fill({"name": "Ms Fang", "company": "Fang Trading"})
    await han.submit()
    await han.begin("convert")
    await han.submit()
    await expect(han.page.locator("[data-state]")).to_have_attribute("data-state", "converted")
    await expect(han.value("customer")).to_contain_text("Fang Trading")

    # 10 into the pool
    await han.go(f"/r/customer/{bright}")
    await han.page.locator("[data-pool-act=release]").click()
    await han.menu("客户池")
    await expect(han.row("Bright Education")).to_have_count(1)
    await han.menu("我的客户")
    await expect(han.row("Bright Education")).to_have_count(0)

    # 11, 12 Gu sees the pool and none of Han's; Yang claims in English
    await gu.go("/r/customer?view=all")
    await expect(gu.row("Bright Education")).to_have_count(1)
    await expect(gu.row("Delta Trade")).to_have_count(0)
    await yang.go("/r/customer?view=pool_public")
    await expect(yang.page.locator("h1").first).to_contain_text("Customer")
    await yang.open_row("Bright Education")
    await yang.page.locator("[data-pool-act=claim]").click()
    await expect(yang.value("owner").first).to_contain_text("Yang")
    await expect(yang.value("days_left").first).to_contain_text("30")

    # 14 put back; the manager gives it to Han, who reads of it
    await yang.page.locator("[data-pool-act=release]").click()
    await tang.go(f"/r/customer/{bright}")
    await tang.page.locator("[data-pool-act=assign]").click()
    await tang.fill({"owner": "Han"})
    await tang.submit()
    await expect(tang.value("owner").first).to_contain_text("Han")
    await han.go("/notifications")
    await expect(han.page.locator(".note", has_text="Bright Education").first).to_contain_text(re.compile("[\u4e00-\u9fff]"))
