"""The page of plan and usage, and a limit that is reached on a form: what was typed stays there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect

from saas.runtime import usage
from saas.tenants import find_user, set_tenant_limits, set_tenant_plan, set_trial_end, update_user
from tests.browser.conftest import Company


@pytest.fixture
async def small(served, tenant_factory) -> Company:
    """A company with two records, of which two are allowed."""
    tenant = await tenant_factory(pack="baseline-crm", plan_key="free")
    await set_tenant_limits(tenant.slug, {"records": 2})
    return Company(tenant.id, tenant.slug, f"http://{tenant.slug}.localhost:{served}", {"admin": tenant.admin_email})


async def test_a_limit_on_a_form_and_the_way_to_more(small, visit) -> None:
    admin = await visit(small, "admin")
    for name in ("One", "Two", "Three"):
        page = await admin.go("/r/customer/new")
        await page.locator("[name=name]").fill(name)
        await page.locator("form[data-guard] button.primary, #form button.primary").first.click()
        if name != "Three":
            await page.wait_for_url("**/r/customer/*-*")
    await expect(page.locator("[data-error-summary]")).to_contain_text("Number of records: 2 at most")
    await expect(page.locator("[name=name]")).to_have_value("Three")
    await usage.settle_one(small.id)
    async with page.context.expect_page() as opened:  # beside the form, which keeps what was typed
        await page.locator("[data-error-summary] a", has_text="Plan and usage").click()
    plan = await opened.value
    row = plan.locator("[data-limit=records]")
    await expect(row).to_have_attribute("data-level", "100")
    await expect(row).to_contain_text("no more can be added")
    assert await row.locator("progress").evaluate("(node) => node.value") == 100
    await expect(plan.locator(".usage-days svg")).to_be_visible()
    await plan.locator("select[name=chart]").select_option("seats")
    await plan.wait_for_url("**chart=seats*")
    await expect(plan.locator(".usage-days svg")).to_be_visible()
    await page.bring_to_front()
    await set_tenant_limits(small.slug, {"records": 3})
    await page.locator("#form button.primary").first.click()
    await page.wait_for_url("**/r/customer/*-*")


@pytest.mark.parametrize("phone", [False, True])
async def test_the_page_fits(small, visit, phone) -> None:
    await set_tenant_plan(small.slug, "team")
    await set_tenant_limits(small.slug, {"seats": 1, "automation_runs": None, "storage": 123_456_789_012})
    await set_trial_end(small.slug, datetime.now(UTC) + timedelta(days=9, hours=1))
    admin_id = (await find_user(small.id, email=small.people["admin"]))["id"]
    for locale, title in (("en", "Plan and usage"), ("zh_CN", "套餐与用量")):
        await update_user(small.id, admin_id, {"locale": locale})
        admin = await visit(small, "admin", phone=phone)
        page = await admin.go("/settings/plan")
        await expect(page.locator(".settings-main h2").first).to_have_text(title)
        await expect(page.locator("[data-banner=trial]")).to_be_visible()
        await page.locator(".plan-compare").evaluate("(node) => { node.open = true; }")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
