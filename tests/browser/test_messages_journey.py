"""What is written once reaches people: a form on the public page becomes a record, the record gets a message, the log tells; somebody from
outside sees only theirs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Page, expect

from saas.runtime import outbox, web_forms
from tests.browser.conftest import Company
from tests.factories import make_lab
from tests.integration.messages.club import club_bundle
from tests.integration.messages.test_portal import agency_bundle
from tests.mailbox import mailed, text_of

SHOTS = os.environ.get("SAAS_SHOTS")  # a folder for pictures, for whoever looks


async def shot(page: Page, name: str) -> None:
    if SHOTS:
        await page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


@pytest_asyncio.fixture
async def club(served, database) -> Company:
    lab = await make_lab(club_bundle(), people=False)
    return Company(lab.tenant_id, lab.slug, f"http://{lab.slug}.localhost:{served}", {"admin": f"admin@{lab.slug}.example"})


async def test_from_the_public_form_to_the_log(club, visit, database, monkeypatch):
    monkeypatch.setattr(web_forms, "FASTEST_SECONDS", 0)  # people are slower than this test
    stranger = await visit(club, phone=True)
    page = await stranger.go("/f/join")
    await shot(page, "form-phone")
    await page.locator("[name=name]").fill("Lu Mei")
    await page.locator("form.auth-form button.primary").click()
    await expect(page.locator("[data-error-for=email]")).not_to_be_empty()
    await shot(page, "form-errors-phone")
    await page.locator("[name=email]").fill("lu@x.example")
    await page.locator("form.auth-form button.primary").click()
    await expect(page.locator("[data-thanks]")).to_contain_text("See you")

    admin = await visit(club, "admin")
    page = admin.page
    await admin.go("/r/member")
    await admin.open_row("Lu Mei")
    record = page.url
    await admin.go(f"/r/member/messages?ids={await admin.record_id()}")
    await page.locator("button[value=look]").click()
    await expect(page.locator("[data-receivers]")).to_have_text("1")
    await shot(page, "send-preview")
    async with mailed(database) as box:
        await page.locator("button[value=send]").click()
        await expect(page.locator("article[data-record-id]")).to_be_visible()
        await outbox.send_due()
    assert "Lu Mei" in text_of(box.to("lu@x.example")[-1])
    await page.goto(record)
    await expect(page.locator("#timeline")).to_contain_text("“Welcome”: sent")
    await shot(page, "record")
    for part in ("templates", "templates/welcome", "messages", "opt-outs", "sms", "web-forms/join", "webhooks/crm", "inbound-hooks/shop", "connections", "connections/webhook/crm", "roles/clerk/general"):
        await admin.go(f"/settings/{part}")
        await expect(page.locator("main h2").first).to_be_visible()
        await shot(page, part.replace("/", "-"))
    await admin.go("/settings/messages")
    await expect(page.locator("[data-message]").first).to_contain_text("lu@x.example")
    if SHOTS:
        chinese = await visit(club, "admin", locale="zh-CN", phone=True)
        for part in ("templates/welcome", "messages", "web-forms/join", "connections/webhook/crm", "sms"):
            await chinese.go(f"/settings/{part}")
            await shot(chinese.page, f"phone-{part.replace('/', '-')}")


async def test_somebody_from_outside_has_a_page_of_their_own(served, database, visit):
    lab = await make_lab(agency_bundle(), people=False)
    await lab.person("ann", ["agent"])
    await lab.make("agent", name="Agent Ann", account=str(lab.people["ann"]))
    await lab.make("bulletin", name="Hours", text="Report by 18:00 daily", live=True)
    await lab.make("lead", name="Lead of nobody", phone="13900000999")
    company = Company(lab.tenant_id, lab.slug, f"http://{lab.slug}.localhost:{served}", {"ann": f"ann@{lab.slug}.example"})
    ann = await visit(company)
    page = await ann.go("/login")
    await page.locator("[name=email]").fill(company.people["ann"])
    await page.locator("[name=password]").fill(company.password)
    await page.locator("form.auth-form button").click()
    await expect(page.locator("[data-notice]")).to_contain_text("Report by 18:00 daily")
    await shot(page, "notice")
    await page.locator("form.auth-form button.primary").click()
    await expect(page.locator("body.portal .side")).to_be_attached()
    await ann.go("/r/lead/new")
    await page.locator("[name=name]").fill("Mrs Lu")
    await page.locator("[name=phone]").fill("13900000001")
    await page.locator("main form button.primary").first.click()
    await expect(page.locator("article[data-record-id]")).to_be_visible()
    await ann.go("/r/lead")
    await expect(page.locator("tr[data-record-id]")).to_have_count(1)
    await shot(page, "portal")
