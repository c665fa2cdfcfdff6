"""The page that says how fast views are, with scripts: one row is measured and drawn again where it stands."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from saas.db import tenant_transaction
from saas.metadata.kinds import field_types
from saas.runtime import advisor, costs
from saas.runtime.contexts import context_for_user
from saas.runtime.views import save_view
from saas.tenants import find_user, list_users


async def test_a_view_is_measured_in_its_place(acme, visit, monkeypatch) -> None:
    monkeypatch.setattr(advisor, "FAST_MS", 60_000.0)  # on a busy machine, too
    admin = await visit(acme, "admin")
    page = await admin.go("/settings/speed")
    await expect(page.get_by_text("Everything is fast at your size.")).to_be_visible()
    row = page.locator("[data-subject='views[customer:all]']")
    await expect(row).to_be_hidden()
    await page.locator("[data-group=fast] > summary").click()
    await expect(row).to_have_attribute("data-state", "fast")
    await row.get_by_role("button", name="Measure now").click()
    await expect(row.get_by_role("button", name="Measure again")).to_be_visible()
    await expect(row).to_contain_text("ms")
    await expect(row.locator("[data-speed]")).to_be_hidden()  # its group says it
    assert page.url.endswith("/settings/speed")
    await row.locator("a.title-link").click()
    await expect(page.locator("[data-speed]")).to_contain_text("fast at your size")
    await page.get_by_role("button", name="Measure again").click()
    await expect(page.locator("[data-speed]")).to_be_visible()
    assert "/settings/views/customer/all" in page.url


def unserved(ctx) -> str:
    """A field of customers by which a list is sorted without an index."""
    customer = ctx.config.entity("customer")
    return next(k for k, f in customer.fields.items() if field_types.get(f.type).sortable and any(b.can_be_indexed for b in costs.of_sort(ctx.config, customer, (k,))))


async def crowd(company) -> None:
    """Views that people saved, with long names and without an index; some measured, one shared."""
    admin = await find_user(company.id, email=company.people["admin"])
    ctx = await context_for_user(company.id, admin["id"])
    other = next(u for u in await list_users(company.id) if u["id"] != admin["id"] and u["status"] == "active")
    theirs = (await context_for_user(company.id, other["id"])).replace(elevated=True)
    bare = unserved(ctx)
    keys = []
    for number in range(6):
        for who, entity in ((ctx, "customer"), (theirs, "customer")):
            async with tenant_transaction(company.id) as conn:
                name = f"A rather long name of a view, number {number}, as people write"
                keys.append(await save_view(conn, who, ctx.config.entity(entity), name, {"sort": ["-created_at"] if number else [bare]}, shared=who is ctx and number == 1))
    await advisor.measure_all(ctx, [f"saved[customer:{k}]" for k in keys])


@pytest.mark.parametrize("phone", [False, True])
async def test_many_views(acme, visit, monkeypatch, phone) -> None:
    """Slow ones first and open, the many others closed with their number; nothing sticks out."""
    monkeypatch.setattr(advisor, "FAST_MS", 0.0)
    await crowd(acme)
    monkeypatch.setattr(costs, "FEW", 0)
    admin = await visit(acme, "admin", phone=phone)
    page = await admin.go("/settings/speed")
    await expect(page.locator("[data-group]").first).to_have_attribute("data-group", "slow")
    await expect(page.locator("[data-group=slow]")).to_have_attribute("open", "")
    for state in ("unknown", "fast"):
        group = page.locator(f"[data-group={state}]")
        if await group.count() and await group.locator("li").count() > 25:
            await expect(group.locator("li").first).to_be_hidden()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
    await page.locator("[data-group=unknown] > summary").click()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")


@pytest.mark.parametrize("phone", [False, True])
async def test_a_slow_list_says_why(acme, visit, monkeypatch, phone) -> None:
    """Quietly above the rows."""
    monkeypatch.setattr(advisor, "NOTICE_SECONDS", 0.0)
    monkeypatch.setattr(costs, "FEW", 1)
    user = await find_user(acme.id, email=acme.people["admin"])
    key = unserved(await context_for_user(acme.id, user["id"]))
    page = await (await visit(acme, "admin", phone=phone)).go(f"/r/customer?sort={key}")
    await expect(page.locator("[data-slow]")).to_contain_text("This list is slow.")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")


async def test_in_chinese_on_a_phone(tianhe, visit) -> None:
    admin = await visit(tianhe, "admin", locale="zh-CN", phone=True)
    page = await admin.go("/settings/speed")
    await expect(page.locator("#main")).to_contain_text("一切都很快")
    await page.locator("[data-group=fast] > summary").click()
    await expect(page.locator(".speed-row").first).to_contain_text("在您的数据量下")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
