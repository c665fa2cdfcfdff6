"""Coming in without an account or a password: invited by e-mail, and the password forgotten; with a real mail server."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from saas.tenants.mail import send_due
from tests.browser.conftest import Company
from tests.mailbox import Mailbox, mailed

NEW = "an entirely other passphrase"
WORDS = {
    "en": {"locale": "en-GB", "forgot": "Forgot your password?", "over": "does not work any more", "waiting": "waiting for an answer"},
    "zh_CN": {"locale": "zh-CN", "forgot": "忘记密码？", "over": "已失效", "waiting": "等待答复"},
}


async def here(box: Mailbox, company: Company, email: str) -> str:
    """The path of the link that arrived; the port is the test's own."""
    await send_due()
    link = box.link(email)
    assert link.startswith(f"http://{company.slug}.localhost:8000/"), link
    return re.sub(r"^https?://[^/]+", "", link)


@pytest.mark.parametrize("locale", ["en", "zh_CN"])
async def test_invited_and_accepted(visit, acme: Company, tianhe: Company, database, locale):
    company, words, email = {"en": acme, "zh_CN": tianhe}[locale], WORDS[locale], f"guest-{locale.lower()}@x.example"
    async with mailed(database) as box:
        admin = await visit(company, "admin")
        page = await admin.go("/settings/users")
        await page.locator(".page-head a[href='/settings/users/invite']").click()
        await page.locator("[name=email]").fill("no address")
        await page.locator(".settings-main form .button.primary").click()
        await expect(page.locator("#e-email")).not_to_be_empty()
        await expect(page.locator("[data-error-for=roles]")).to_be_attached()
        await page.locator("[name=email]").fill(email)
        await page.locator("[name=name]").fill("Guest Person")
        await page.locator("label.pill").nth(1).click()
        await page.locator(".settings-main form .button.primary").click()
        row = page.locator(f"[data-invitation='{email}']")
        await expect(row).to_be_visible()
        path = await here(box, company, email)
        await page.reload()
        await expect(row).to_contain_text(words["waiting"])

        guest = await visit(company, phone=True, locale=words["locale"])
        page = await guest.go(path)
        await expect(page.locator("[name=name]")).to_have_value("Guest Person")
        await expect(page.locator("#f-username")).to_have_value(email)
        await guest.no_sideways_scroll()
        await page.locator("[name=password]").fill("short")
        await page.locator("form.auth-form .button.primary").click()
        await expect(page.locator("#e-password")).not_to_be_empty()
        await page.locator("[name=password]").fill(NEW)
        await page.locator("form.auth-form .button.primary").click()
        await expect(page.locator(".side")).to_be_attached()
        await guest.go(path)
        await expect(page.locator("h1")).to_contain_text(words["over"])
        page = await admin.go("/settings/users")
        await expect(page.locator(f"[data-user='{email}']")).to_be_visible()
        await expect(row).to_have_count(0)


@pytest.mark.parametrize("locale", ["en", "zh_CN"])
async def test_forgotten_and_chosen_anew(visit, acme: Company, tianhe: Company, database, locale):
    company, words = {"en": acme, "zh_CN": tianhe}[locale], WORDS[locale]
    name = next(n for n in company.people if n != "admin")
    email = company.people[name]
    async with mailed(database) as box:
        elsewhere = await visit(company, name)
        await expect((await elsewhere.go("/")).locator(".side")).to_be_attached()
        visitor = await visit(company, locale=words["locale"])
        page = await visitor.go("/login")
        await page.get_by_role("link", name=words["forgot"]).click()
        await page.locator("[name=email]").fill(email)
        await page.locator("form.auth-form .button.primary").click()
        await expect(page.locator(".notice.good")).to_contain_text(email)
        page = await visitor.go(await here(box, company, email))
        await expect(page.locator("#f-username")).to_have_value(email)
        await page.locator("[name=password]").fill(NEW)
        await page.locator("form.auth-form .button.primary").click()
        await expect(page.locator(".notice.good")).to_be_visible()
        await page.locator(".auth-form a.button.primary").click()
        await visitor.sign_in(email, NEW)
        page = await elsewhere.go("/")
        await expect(page.locator("form.auth-form [name=password]")).to_be_visible()
