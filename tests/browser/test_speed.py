"""The page that says how fast views are, with scripts: one row is measured and drawn again where it stands."""

from __future__ import annotations

from playwright.async_api import expect


async def test_a_view_is_measured_in_its_place(acme, visit) -> None:
    admin = await visit(acme, "admin")
    page = await admin.go("/settings/speed")
    row = page.locator("[data-subject='views[customer:all]']")
    await expect(row).to_have_attribute("data-state", "fast")
    await row.get_by_role("button", name="Measure now").click()
    await expect(row.get_by_role("button", name="Measure again")).to_be_visible()
    await expect(row).to_contain_text("ms")
    assert page.url.endswith("/settings/speed")
    await row.locator("a.title-link").click()
    await expect(page.locator("[data-speed]")).to_contain_text("fast at your size")
    await page.get_by_role("button", name="Measure again").click()
    await expect(page.locator("[data-speed]")).to_be_visible()
    assert "/settings/views/customer/all" in page.url


async def test_in_chinese_on_a_phone(tianhe, visit) -> None:
    admin = await visit(tianhe, "admin", locale="zh-CN", phone=True)
    page = await admin.go("/settings/speed")
    await expect(page.locator(".speed-row").first).to_contain_text("在您的数据量下")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
