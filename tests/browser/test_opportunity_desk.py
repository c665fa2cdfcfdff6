"""The main path of the opportunity-desk acceptance scenario in the browser: the clerk enters in Chinese, the manager reads in English."""

from __future__ import annotations

from playwright.async_api import expect


async def test_acceptance_scenario(staffed, visit) -> None:
    company = await staffed("opportunity-desk", {"Clerk": ("clerk", None, "zh_CN"), "Manager": ("manager", None, "en")})
    clerk, manager = [await visit(company, name) for name in ("Clerk", "Manager")]

    # 1 nothing to enter a customer by itself
    await clerk.go("/r/customer")
    await expect(clerk.page.locator("[data-key=c]")).to_have_count(0)

    # a product with stock
    await clerk.go("/r/product/new")
    await clerk.fill({"name": "Desk", "price": "200", "minimum": "20"})
    await clerk.submit()
    await clerk.toast("保存成功")
    await clerk.go("/r/stock_move/new")
    await clerk.fill({"product": "Desk", "direction": "入库", "quantity": "55", "reason": "采购入库"})
    await clerk.submit()
    await clerk.toast("保存成功")

    # 2 everything in one window
    await clerk.menu("商机录入")
    page = clerk.page
    await page.locator("[name=subject]").fill("School desks")
    await page.locator("[name='customer.name']").fill("Hongguang School")
    await page.locator("[name='contact.name']").fill("Mr Pei")
    await page.locator("[name='contact.phone']").fill("025-55512340")
    product = page.locator("[name='sales.0.product']")
    await product.select_option(await product.locator("option", has_text="Desk").get_attribute("value"))
    await page.locator("[name='sales.0.quantity']").fill("40")
    await page.locator("[name='sales.0.price']").fill("200")
    await page.locator("main form button.primary").last.click()
    await clerk.toast("保存成功")
    await expect(page.locator("main")).to_contain_text("Hongguang School")

    # 3 the phone book
    await clerk.go("/r/contact")
    await expect(clerk.row("Mr Pei")).to_have_count(1)

    # 8, 9 the sale is ticked: it leaves the list, the stock falls below the minimum
    await clerk.go("/r/sale")
    await clerk.open_row("Desk × 40")
    await clerk.transition("tick").click()
    await expect(page.locator("[data-state]").first).to_have_attribute("data-state", "success")
    await clerk.go("/r/sale?view=unfinished")
    await expect(clerk.row("Desk")).to_have_count(0)
    await clerk.go("/r/product?view=low")
    await expect(clerk.row("Desk")).to_contain_text("15")

    # 10, 13 success in the manager's report, in English
    await manager.go("/r/opportunity")
    await manager.open_row("School desks")
    await manager.transition("tick").click()
    await expect(manager.page.locator("[data-state]").first).to_have_attribute("data-state", "success")
    await manager.go("/reports/opportunities")
    await expect(manager.page.locator("main")).to_contain_text("Success rate")
    await expect(manager.page.locator("main")).to_contain_text("School desks")
