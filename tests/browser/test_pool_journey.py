"""A day with a pool, in a real browser: a seller takes the next client and shares it, a manager hands it on, an admin looks at the rules."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import Company
from tests.browser.visitor import Visitor
from tests.factories import Lab, make_lab
from tests.pool_bundle import pool_bundle


@pytest_asyncio.fixture(scope="module")
async def lab(served: int) -> Lab:
    bundle = pool_bundle()
    bundle["entities"][0] |= {"sharing": True, "segment_field": "region", "segment_roles": ["boss", "seller"]}
    lab = await make_lab(bundle, people=False)
    for key, role in (("ann", "seller"), ("bob", "seller"), ("tang", "boss")):
        await lab.person(key, [role], "north")
    for n in range(3):
        await lab.make("client", name=f"Client number {n} with a name that is rather long", owner=None)
    return lab


@pytest_asyncio.fixture
async def firm(lab: Lab, served: int) -> Company:
    return Company(lab.tenant_id, lab.slug, f"http://{lab.slug}.localhost:{served}", {k: f"{k}@{lab.slug}.example" for k in ("ann", "bob", "tang", "admin")})


async def _fits(page: Page, name: str) -> None:
    """Nothing stands out of the page to the right; a picture for those who ask for them."""
    await page.wait_for_load_state()
    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth + 1"), page.url
    if folder := os.environ.get("SAAS_PICTURES"):
        await page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


async def test_a_day_with_the_pool(lab: Lab, firm: Company, visit: Any) -> None:
    ann: Visitor = await visit(firm, "ann")
    page = await ann.go("/r/client?view=pool_open")
    await expect(page.locator("tr[data-record-id]")).to_have_count(3)
    await _fits(page, "pool")
    await page.locator("[data-pool-act=claim-next]").click()
    await expect(page.locator("[data-pool-act=release]")).to_be_visible()
    record = page.url
    await _fits(page, "record")
    await page.locator("[data-pool-act=release]").press("Enter")
    await expect(page.locator("dialog #release-form")).to_contain_text("You can claim it again in 7 days")
    await page.keyboard.press("Escape")
    await expect(page.locator("#release-form")).not_to_be_visible()
    await page.goto(f"{record}/shares")
    await page.locator("[name=subject]").select_option(label="Bob")
    await page.locator("[name=level]").select_option("edit")
    await page.get_by_role("button", name="Share", exact=True).click()
    await expect(page.locator("[data-share]")).to_have_count(1)
    await _fits(page, "shares")

    bob: Visitor = await visit(firm, "bob", phone=True, locale="zh-CN")
    shown = await bob.go(record.removeprefix(firm.base))
    await expect(shown.locator("article[data-record-id]")).to_be_visible()
    await _fits(shown, "record-phone")
    await bob.go("/r/client?view=pool_open")
    await expect(shown.locator("[data-pool-act=claim-next]")).to_be_visible()
    await _fits(shown, "pool-phone")
    await shown.locator("[data-pool-act=claim-next]").click()
    await shown.locator("[data-pool-act=release]").click()
    await expect(shown.locator("#release-form")).to_contain_text("You are not responsible for it any more.")
    await _fits(shown, "release-phone")
    await shown.locator("#release-form button").click()
    await expect(shown.locator("[data-pool-act=claim]")).to_be_visible()
    await bob.go(record.removeprefix(firm.base) + "/shares")
    await _fits(shown, "shares-phone")

    tang: Visitor = await visit(firm, "tang")
    desk = await tang.go(f"/r/client/transfer?ids={record.rpartition('/')[2]}")
    await _fits(desk, "hand-over")
    await expect(desk.locator("[name=owner]").first).to_be_attached()

    admin: Visitor = await visit(firm, "admin")
    rules = await admin.go("/settings/entities/client/rules/pools/open")
    await expect(rules.locator("[name='max_held.setting']")).to_have_value("most_held")
    await expect(rules.locator("[name=warn_days]")).to_have_value("3, 1")
    await _fits(rules, "designer")
    await admin.go(f"/settings/users/{lab.people['bob']}/segments")
    await expect(rules.locator("[name=segments]")).to_have_count(2)
    await _fits(rules, "segments")
