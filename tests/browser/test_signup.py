"""A company signs up, confirms by e-mail, looks at its list of first steps and clears the sample data; later somebody leaves. In a real
browser, with a real mail server."""

from __future__ import annotations

import re
from dataclasses import replace
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from playwright.async_api import expect

from saas.runtime import sample_data
from saas.runtime.worker import drain
from saas.tenants import create_user, find_tenant, find_user, signups
from saas.tenants.mail import send_due
from tests.browser.conftest import Company
from tests.browser.test_every_page import NAMELESS
from tests.conftest import PASSWORD
from tests.mailbox import mailed

NEW = "an entirely new passphrase"


@pytest_asyncio.fixture
async def apex(served: int, database, monkeypatch) -> Company:
    """The apex host; links in messages lead to the server under test."""
    monkeypatch.setattr(signups, "LEAST_SECONDS", 0)
    monkeypatch.setattr(sample_data, "SHARE", 1000)
    connection = await asyncpg.connect(database.settings.database_url)
    await connection.execute("DELETE FROM signup; DELETE FROM throttle")
    await connection.close()
    monkeypatch.setattr(database, "settings", replace(database.settings, public_url=f"http://localhost:{served}"))
    return Company(UUID(int=0), "", f"http://localhost:{served}")


@pytest.mark.parametrize(("locale", "company", "slug", "phone"), [("zh-CN", "海鸥仪器有限公司", "haiouyiqi", False), ("en-GB", "Gull Instruments Ltd", "gull-instruments", True)])
async def test_from_the_landing_page_to_real_work(visit, apex: Company, database, locale, company, slug, phone):
    async with mailed(database) as box:
        visitor = await visit(apex, locale=locale, phone=phone)
        page = await visitor.go("/")
        await expect(page.locator(".public-hero img")).to_have_js_property("naturalWidth", 960)
        await visitor.no_sideways_scroll()
        assert await page.evaluate(NAMELESS) == []
        await page.locator(".public-hero a[href='/signup']").click()
        await visitor.no_sideways_scroll()
        assert await page.evaluate(NAMELESS) == []
        state = page.locator("#address-state")
        await page.locator("[name=company]").fill(company)
        await expect(page.locator("[name=slug]")).to_have_value(slug)
        await expect(state).to_have_attribute("data-state", "free")
        for typed, said in (("www", "reserved"), ("no_good", "malformed"), (f"{slug}-x", "free")):
            await page.locator("[name=slug]").fill(typed)
            await expect(state).to_have_attribute("data-state", said)
        await page.locator("[name=company]").fill(company + " 2")
        await page.locator("[name=name]").fill("Mei Boss")
        await expect(page.locator("[name=slug]")).to_have_value(f"{slug}-x")  # what was chosen stays
        await page.locator(".signup-foot button").click()
        await expect(page.locator("[data-error-for=email]")).not_to_be_empty()
        email = f"boss@{slug}.example"
        await page.locator("[name=email]").fill(email)
        await page.locator(".signup-foot button").click()
        await expect(page.locator(".signup-calm h1")).to_be_visible()
        await expect(page.locator("[data-link]")).to_have_count(0)
        await send_due()
        await page.goto(box.link(email))
        assert await page.evaluate(NAMELESS) == []
        await page.locator("[name=password]").fill("short")
        await page.locator("form .button.primary").click()
        await expect(page.locator("#e-password")).not_to_be_empty()
        await page.locator("[name=password]").fill(NEW)
        await page.locator("form .button.primary").click()
        steps = page.locator("#first-steps")
        await expect(steps.locator("[data-loading]")).to_be_visible()
        await page.wait_for_load_state()
        base = re.match(r"http://[^/]+", page.url)[0]
        assert base == apex.base.replace("localhost", f"{slug}-x.localhost")
        visitor.base = base
        assert await page.evaluate(NAMELESS) == []
        await visitor.no_sideways_scroll()
        await drain()
        await expect(steps.locator("[data-loading]")).to_have_count(0)
        await expect(steps.locator("[data-step]")).to_have_count(7)
        await expect(steps.locator("[data-done=yes]")).to_have_count(0)

        await steps.locator("[data-step=create] a").click()
        await visitor.fill({"name": "Our first one"})
        await visitor.submit()
        await expect(page.locator("article[data-record-id]")).to_be_visible()
        await visitor.go("/")
        await expect(steps.locator("[data-step=create]")).to_have_attribute("data-done", "yes")
        await steps.locator("[data-step=clear] a").click()
        await expect(page.locator("[data-preview] tbody tr").first).to_be_visible()
        await visitor.no_sideways_scroll()
        await page.locator("[data-clear]").click()
        await drain()
        await expect(page.locator("[data-cleared]")).to_be_visible()
        await visitor.go("/r/customer")
        await expect(page.locator("[data-record-id]")).to_have_count(1)
        await visitor.go("/")
        await expect(steps.locator("[data-step=clear]")).to_have_attribute("data-done", "yes")
        await steps.locator("form button").click()
        await expect(steps).to_have_count(0)
        await visitor.go("/settings/first-steps")
        await page.locator("form[action='/first-steps/back'] button").click()
        await expect(steps).to_be_visible()
        assert (await find_tenant(f"{slug}-x")).trial_ends_at is not None


async def test_somebody_leaves(visit, acme: Company):
    email = "leaver@x.example"
    await create_user(acme.id, email, PASSWORD, "Leaving Soon", ["sales"])
    leaver = await find_id(acme, email)
    admin = await visit(acme, "admin")
    await admin.go("/r/customer/new")
    await admin.fill({"name": "Left behind"})
    await admin.fill({"owner": "Leaving Soon"})
    await admin.submit()
    await expect(admin.page.locator("article[data-record-id]")).to_be_visible()
    page = await admin.go(f"/settings/users/{leaver}")
    await page.locator("[data-deactivate]").click()
    await expect(page.locator("[data-duties] tbody tr")).to_have_count(1)
    await page.locator("[name=successor]").select_option("")
    await page.locator("form .button.danger").click()
    await expect(page.locator("[data-error-for=successor]")).not_to_be_empty()
    await page.locator("[name=successor]").select_option(index=1)
    await page.locator("form .button.danger").click()
    await expect(page.locator("[data-gone]")).to_contain_text("1 record has changed hands")
    await page.locator("[data-reactivate]").click()
    await expect(page.locator("[data-gone]")).to_have_count(0)
    await page.locator("[data-deactivate]").click()
    await expect(page.locator("[data-duties] tbody tr")).to_have_count(1)


async def find_id(company: Company, email: str) -> UUID:
    return (await find_user(company.id, email=email))["id"]
