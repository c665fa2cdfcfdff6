"""Somebody asks for a purchase: the path is shown before it starts, the superior decides on a telephone, finance many at once, and the record follows."""

from __future__ import annotations

import os

import pytest_asyncio
from playwright.async_api import expect

from tests.approval_bundles import buying_lab
from tests.browser.conftest import Company

SHOTS = os.environ.get("SAAS_SHOTS", "")


@pytest_asyncio.fixture(scope="module")
async def company(served, database):
    lab = await buying_lab()
    people = {name: f"{name}@{lab.slug}.example" for name in ("clerk", "lead", "legal", "finance", "boss", "admin")}
    return Company(lab.tenant_id, lab.slug, f"http://{lab.slug}.localhost:{served}", people), lab


async def shot(page, name):
    if SHOTS:
        await page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


async def test_from_the_wish_to_the_agreement(company, visit):
    company, lab = company
    clerk = await visit(company, "clerk")
    record_id = await lab.make("purchase", "clerk", subject="Twelve desks for the new room", amount=5000, note="the old ones are broken")
    page = await clerk.go(f"/r/purchase/{record_id}")
    await page.locator("summary", has_text="Start an approval").click()
    await page.locator("[data-start-approval]", has_text="Pick").click()
    dialog = page.locator("#dialog")
    await expect(dialog.locator("[data-flow-step]").first).to_be_visible()
    await shot(page, "start")
    await dialog.get_by_role("button", name="Close").click()
    await page.locator("[data-transition=submit]").click()
    panel = page.locator("#approval")
    await expect(panel.locator("[data-flow-state=current]")).to_contain_text("Lead")
    await expect(panel.locator("[data-flow-state=not_needed]")).to_contain_text("does not hold")
    await expect(page.locator("[data-key=e]")).to_be_visible()  # one field stays open
    await shot(page, "record")

    lead = await visit(company, "lead", phone=True)
    page = await lead.go("/approvals")
    await page.locator("tr[data-task]", has_text="Twelve desks").locator("a.title-link").click()
    await expect(page.locator("[data-decide]")).to_be_visible()
    await shot(page, "decide-phone")
    await page.get_by_role("button", name="Reject").click()
    await expect(page.locator("[data-error-for=comment]")).to_contain_text("Say why")
    await page.get_by_label("Comment").first.fill("Only if they can be raised")
    await page.get_by_role("button", name="Approve", exact=True).click()
    await expect(page.locator("[data-approval-status=running]").first).to_be_visible()

    for number in range(2):
        await lab.make("purchase", "clerk", subject=f"Lamp {number}")
    from saas.runtime import execute
    from saas.runtime import operations as ops

    found = await execute(await lab.ctx("clerk"), ops.List(entity="purchase", filter={"field": "subject", "op": "contains", "value": "Lamp"}))
    for record in found.records:
        await execute(await lab.ctx("clerk"), ops.StartApproval(entity="purchase", id=record.id, approval="any_one"))
    legal = await visit(company, "legal")
    page = await legal.go("/approvals")
    await expect(page.locator("[data-waiting]")).to_have_text("3")
    await page.locator("[data-select-all]").check()
    await shot(page, "inbox")
    await page.locator("[data-bulk-approve]").click()
    await expect(page.locator(".toast")).to_contain_text("3 approved")
    await expect(page.locator(".blank")).to_be_visible()
    await shot(page, "inbox-empty")

    finance = await visit(company, "finance")
    page = await finance.go(f"/r/purchase/{record_id}")
    await page.locator("#approval [data-decide] button[value=approve]").click()
    await expect(page.locator("[data-state=agreed]")).to_be_visible()
    await expect(page.locator(".timeline")).to_contain_text("Only if they can be raised")
    await shot(page, "agreed")
    page = await finance.go(f"/r/purchase/{record_id}/approval")
    await shot(page, "over")

    admin = await visit(company, "admin")
    for name, path in (
        ("designer", "/settings/approvals"), ("designer-one", "/settings/approvals/buying"), ("departments", "/settings/departments"), ("department", f"/settings/departments/{lab.departments['sales']}"),
        ("deputies", "/approvals/deputies"), ("form-new", "/forms/new"), ("started", "/approvals?box=started"),
    ):  # fmt: skip
        page = await admin.go(path)
        await expect(page.locator("h1, h2").first).to_be_visible()
        await shot(page, name)
    await page.goto(company.base + "/settings/approvals/buying")
    before = await page.locator("[data-control=steps] > * li.stack-card .stack-number").count()
    await page.get_by_role("button", name="Add a step").click()
    await expect(page.locator("[name='steps.3.label.en']")).to_be_visible()
    assert before >= 3
