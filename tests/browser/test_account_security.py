"""Setting up a second factor and signing in with it, making an API key, ending a session: in a real browser, on a desk and a phone,
in both languages. SAAS_TEST_PICTURES names a directory for pictures of each page."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from playwright.async_api import expect

from saas.tenants import SecurityRules, create_user, find_user, set_security_rules
from tests.acceptance.api import Person, refused
from tests.conftest import PASSWORD
from tests.integration.tenants.test_second_factor import Phone


async def look(visitor, name: str) -> None:
    await visitor.no_sideways_scroll()
    if os.environ.get("SAAS_TEST_PICTURES"):
        await visitor.page.screenshot(path=Path(os.environ["SAAS_TEST_PICTURES"]) / f"{name}.png", full_page=True)


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
@pytest.mark.parametrize("locale", ["en", "zh_CN"])
async def test_a_second_factor_from_setting_up_to_signing_in(acme, tianhe, visit, locale, phone):
    company, role = (acme, "sales") if locale == "en" else (tianhe, "account_manager")
    kind = f"{locale}-{390 if phone else 1440}"
    email = f"secured-{kind.lower().replace('_', '-')}@{company.slug}.example"
    await create_user(company.id, email, PASSWORD, "Alexandra Featherstonehaugh-Cholmondeley", [role])
    visitor = await visit(company, phone=phone, locale="en-GB" if locale == "en" else "zh-CN")
    await visitor.sign_in(email, PASSWORD)
    page = await visitor.go("/profile")
    await look(visitor, f"profile-{kind}")
    await page.locator("a[href='/profile/second-factor']").click()
    await expect(page.locator("svg.qr")).to_be_visible()
    await look(visitor, f"factor-setup-{kind}")
    await page.locator("details summary", has_text="?" if locale == "en" else "？").click()
    app = Phone((await page.locator("[data-secret]").inner_text()).replace(" ", ""))
    await page.locator("[name=code]").fill(app.wrong())
    await page.locator("[name=code]").press("Enter")
    await expect(page.locator("[data-error-for=code]")).not_to_be_empty()
    await look(visitor, f"factor-wrong-{kind}")
    await page.locator("[name=code]").fill(app.code())
    await page.locator("[name=code]").press("Enter")
    listed = page.locator("[data-recovery-codes] li")
    await expect(listed).to_have_count(10)
    codes = await listed.all_inner_texts()
    await look(visitor, f"factor-codes-{kind}")
    async with page.expect_download() as waiting:
        await page.locator("form[action$='codes.txt'] button").click()
    text = await asyncio.to_thread(Path(await (await waiting.value).path()).read_text)
    assert all(code in text for code in codes)
    await visitor.go("/profile/second-factor")
    await look(visitor, f"factor-on-{kind}")

    again = await visit(company, phone=phone, locale="en-GB" if locale == "en" else "zh-CN")
    page = await again.go("/login?next=/profile")
    for code, works in ((app.wrong(), False), (app.code(), True)):
        if not works:
            await page.locator("[name=email]").fill(email)
            await page.locator("[name=password]").fill(PASSWORD)
            await page.locator("form.auth-form button").click()
            await expect(page.locator("[name=code]")).to_be_focused()
            await look(again, f"login-code-{kind}")
        await page.locator("[name=code]").fill(code)
        await page.locator("form.auth-form button").click()
        if not works:
            await expect(page.locator("[role=alert]")).to_be_visible()
            await look(again, f"login-wrong-{kind}")
    await page.wait_for_url("**/profile")
    await expect(page.locator("[data-session]")).to_have_count(2)
    await look(again, f"profile-sessions-{kind}")
    await page.locator("[data-session] button").click()
    await expect(page.locator("[data-session]")).to_have_count(1)
    await visitor.go("/profile")
    await expect(visitor.page.locator("form.auth-form")).to_be_visible()

    await again.go("/profile/second-factor")
    await page.locator("[name=password]").fill(PASSWORD)
    await page.locator("[name=code]").fill(codes[3])
    await page.locator("[formaction$=off]").click()
    await page.wait_for_url("**/profile")


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
@pytest.mark.parametrize("locale", ["en", "zh_CN"])
async def test_keys_and_rules(acme, tianhe, visit, http, locale, phone):
    company = acme if locale == "en" else tianhe
    kind = f"{locale}-{390 if phone else 1440}"
    visitor = await visit(company, "admin", phone=phone, locale="en-GB" if locale == "en" else "zh-CN")
    page = await visitor.go("/profile/keys")
    await look(visitor, f"keys-empty-{kind}")
    await page.locator("[name=name]").fill("The web shop of our customers in the far north, with a long name")
    await page.locator("[name=reach][value=chosen]").check()
    await page.locator("form.stack button.primary").click()
    await expect(page.locator("[data-error-for=entities]")).not_to_be_empty()
    await look(visitor, f"keys-wrong-{kind}")
    await page.locator("[name=entities]").first.check(force=True)
    await page.locator("form.stack button.primary").click()
    key = await page.locator("[data-new-key]").inner_text()
    assert key.startswith("saas_")
    await look(visitor, f"keys-made-{kind}")
    program = Person(http, f"{company.slug}.localhost")
    program.token = key
    assert (await program.get("/me"))["admin"]
    await visitor.go("/settings/keys")
    await look(visitor, f"settings-keys-{kind}")
    await page.locator("[data-key-id] button").first.click()
    await expect(page.locator("[data-key-id] button")).to_have_count(0)
    refused(await program.send("GET", "/me"), 401)
    await visitor.go("/settings/security")
    await look(visitor, f"settings-security-{kind}")
    await page.locator("[name=minimum_length]").fill("4")
    await page.locator(".settings-main button.primary").click()
    await expect(page.locator("[data-error-for=minimum_length]")).not_to_be_empty()
    await look(visitor, f"settings-security-wrong-{kind}")


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
async def test_being_asked_for_a_second_factor(acme, visit, phone):
    role = "service"
    email = f"asked-{phone}@{acme.slug}.example".lower()
    user_id = await create_user(acme.id, email, PASSWORD, "Asked", [role])
    await set_security_rules(acme.id, SecurityRules(second_factor_roles=(role,)))
    try:
        visitor = await visit(acme, phone=phone)
        page = await visitor.go("/login")
        await page.locator("[name=email]").fill(email)
        await page.locator("[name=password]").fill(PASSWORD)
        await page.locator("form.auth-form button").click()
        await page.wait_for_url("**/profile/second-factor")
        await look(visitor, f"factor-asked-{390 if phone else 1440}")
        await visitor.go("/r/customer")
        await page.wait_for_url("**/profile/second-factor")
        app = Phone((await page.locator("[data-secret]").text_content()).replace(" ", ""))
        await page.locator("[name=code]").fill(app.code())
        await page.locator("[name=code]").press("Enter")
        await page.locator("a.primary[href='/']").click()
        await page.wait_for_url(lambda url: "second-factor" not in url)
        admin = await visit(acme, "admin", phone=phone)
        await admin.go(f"/settings/users/{user_id}")
        await look(admin, f"person-reset-{390 if phone else 1440}")
        await admin.page.locator("[data-second-factor] button").click()
        await expect(admin.page.locator("[data-second-factor]")).to_have_count(0)
        await visitor.go("/r/customer")
        await expect(page.locator("form.auth-form")).to_be_visible()
    finally:
        await set_security_rules(acme.id, SecurityRules())
        assert (await find_user(acme.id, user_id=user_id))["has_second_factor"] is False
