"""An operator's first sign-in, and support access from the request to the end, in a real browser; on a desk in English, the tenant on a
phone in Chinese. SAAS_TEST_PICTURES names a directory for pictures of each page."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import expect

from saas.tenants import create_operator
from tests.browser.conftest import Company
from tests.conftest import PASSWORD
from tests.integration.tenants.test_second_factor import Phone


async def look(visitor, name: str) -> None:
    await visitor.no_sideways_scroll()
    if os.environ.get("SAAS_TEST_PICTURES"):
        await visitor.page.screenshot(path=Path(os.environ["SAAS_TEST_PICTURES"]) / f"{name}.png", full_page=True)


async def test_from_the_request_to_the_end(tianhe, visit):
    port = urlsplit(tianhe.base).port
    console = Company(tianhe.id, "operator", f"http://operator.localhost:{port}")
    await create_operator("helga@platform.example", PASSWORD, name="Helga")
    desk = await visit(console)
    await desk.sign_in("helga@platform.example", PASSWORD)
    page = desk.page
    await page.locator("details summary", has_text="camera").click()
    app = Phone((await page.locator("[data-secret]").inner_text()).replace(" ", ""))
    await page.locator("[name=code]").fill(app.code())
    await page.locator("[name=code]").press("Enter")
    await expect(page.locator("[data-recovery-codes] li")).to_have_count(10)
    await page.locator("a", has_text="I have kept them").click()
    await page.locator("[name=q]").fill(tianhe.slug)
    await page.locator("[name=q]").press("Enter")
    await look(desk, "console-tenants")
    await page.locator(f"[data-tenant='{tianhe.slug}'] a").click()
    await look(desk, "console-tenant")
    await page.locator("form[action$='/support'] [name=reason]").fill("The report of March shows nothing")
    await page.locator("form[action$='/support'] button").click()
    await expect(page.locator("#support")).to_contain_text("waits for the tenant")

    boss = await visit(tianhe, "admin", phone=True, locale="zh-CN")
    theirs = await boss.go("/notifications")
    await theirs.locator("a.note").first.click()
    await expect(theirs.locator("[data-asked]")).to_contain_text("The report of March shows nothing")
    await look(boss, "tenant-asked")
    await theirs.locator("[data-asked] button[value=approve]").click()
    await expect(theirs.locator("[data-running]")).to_be_visible()

    await page.reload()
    await page.locator("form[action$='/open-support'] button").click()
    await look(desk, "console-open")
    path = urlsplit(await page.locator("[data-enter]").get_attribute("href")).path  # its port is the installation's, not this test's
    inside = await visit(tianhe)
    looking = await inside.go(path)
    banner = looking.locator("[data-banner=support]")
    await expect(banner).to_contain_text("Helga")
    await expect(banner).to_contain_text("60 ")
    await inside.go("/r/customer")
    await look(inside, "tenant-inside")
    await expect(banner).to_be_visible()
    await inside.go("/settings/keys")
    await expect(looking.locator("h1, h2").first).to_be_visible()
    await look(inside, "tenant-closed")

    await theirs.reload()
    await look(boss, "tenant-running")
    await theirs.locator("[data-running] a.button").click()
    await expect(theirs.locator("tbody")).to_contain_text("/r/customer")
    await expect(theirs.locator("tbody")).to_contain_text("/settings/keys")
    await look(boss, "tenant-seen")

    await inside.go("/r/customer")
    await banner.locator("button").click()
    await expect(looking.locator("[name=password]")).to_be_visible()
    await inside.go("/r/customer")
    await expect(looking.locator("[name=password]")).to_be_visible()
    await boss.go("/settings/support")
    await expect(theirs.locator("[data-running]")).to_have_count(0)
    await look(boss, "tenant-over")
