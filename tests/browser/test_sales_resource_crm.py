"""The main path of the sales-resource-crm acceptance scenario in the browser: Zhou works in Chinese, Qian and the general manager in English."""

from __future__ import annotations

from playwright.async_api import expect


async def test_acceptance_scenario(staffed, visit) -> None:
    company = await staffed(
        "sales-resource-crm", {"Qian": ("manager", "sales", "en"), "Zhou": ("sales", "sales", "zh_CN"), "Wu": ("sales", "sales", "zh_CN"), "Fu": ("gm", "sales", "en")}
    )
    admin, qian, zhou, wu, fu = [await visit(company, name) for name in ("admin", "Qian", "Zhou", "Wu", "Fu")]

    # 1, 2 a category and a product
    for path, values in (("category", {"name": "Recruitment"}), ("product", {"name": "Executive search", "category": "Recruitment", "fee": "30000"})):
        await admin.go(f"/r/{path}/new")
        await admin.fill(values)
        await admin.submit()
        await admin.toast("保存成功")

    # 5, 6 a customer of the public library is claimed
    await qian.go("/r/customer/new")
    await qian.fill({"name": "Suzhou Precision", "phone": "0512-66000000"})
    await qian.submit()
    await qian.toast("Saved")
    customer = await qian.record_id()
    await zhou.go("/r/customer?view=pool_public")
    await zhou.open_row("Suzhou Precision")
    await zhou.page.locator("[data-pool-act=claim]").click()
    await expect(zhou.page.locator("[data-state]")).to_have_attribute("data-state", "potential")

    # 7 the same number is blocked, with library and owner
    await wu.go("/r/customer/new")
    await wu.fill({"name": "Precision Works", "phone": "0512-66000000"})
    await wu.submit()
    await expect(wu.page.locator("main")).to_contain_text("潜在客户库")
    await expect(wu.page.locator("main")).to_contain_text("Zhou")

    # 10 a contract with a line, submitted
    await zhou.go(f"/r/contract/new?customer={customer}")
    await zhou.fill({"name": "Search 2025", "customer": "Suzhou Precision"})
    await zhou.submit()
    contract = await zhou.record_id()
    await zhou.page.locator("[data-new=contract_line]").click()
    await zhou.fill({"product": "Executive search", "quantity": "5", "price": "30000"})
    await zhou.submit()
    await zhou.toast("保存成功")
    await zhou.go(f"/r/contract/{contract}")
    await expect(zhou.value("total").first).to_contain_text("150,000")
    await zhou.transition("submit").click()
    await expect(zhou.page.locator("[data-state]")).to_have_attribute("data-state", "in_approval")

    # 11 two approve in English; the contract is effective and the customer a deal
    for person in (qian, fu):
        await person.go(f"/r/contract/{contract}")
        await person.page.locator("#approval [data-decide] button[value=approve]").click()
        await expect(person.page.locator("#approval [data-decide] button[value=approve]")).to_have_count(0)
    await zhou.go(f"/r/contract/{contract}")
    await expect(zhou.page.locator("[data-state]")).to_have_attribute("data-state", "effective")
    await zhou.go(f"/r/customer/{customer}")
    await expect(zhou.page.locator("[data-state]")).to_have_attribute("data-state", "deal")
