"""A company takes everything with it and goes: the archive, the fourteen days in which all can be read, a change of mind, the end."""

from __future__ import annotations

import json
import zipfile

import pytest
from playwright.async_api import expect

from saas.db import system_transaction
from saas.errors import NotFound
from saas.runtime.worker import drain
from saas.tenants import create_user, find_tenant, remove_due
from tests.browser.conftest import Company
from tests.conftest import PASSWORD

WORDS = {"en": {"locale": "en-GB", "gone": "no workspace at this address"}, "zh_CN": {"locale": "zh-CN", "gone": "此地址没有工作区"}}


@pytest.mark.parametrize("locale", ["en", "zh_CN"])
async def test_exported_and_deleted(visit, served: int, tenant_factory, tmp_path, locale):
    tenant = await tenant_factory(pack="baseline-crm", locale=locale)
    email = f"colleague@{tenant.slug}.example"
    company = Company(tenant.id, tenant.slug, f"http://{tenant.slug}.localhost:{served}", {"admin": tenant.admin_email, "colleague": email})
    await create_user(tenant.id, email, PASSWORD, "Colleague", ["sales"])
    words, name = WORDS[locale], (await find_tenant(tenant.slug)).name

    admin = await visit(company, "admin", locale=words["locale"])
    page = await admin.go("/settings/everything")
    await expect(page.locator("#archives .blank")).to_be_visible()
    await page.locator(".settings-main form .button.primary").click()
    await expect(page.locator("[data-archive] progress")).to_be_visible()
    await drain()
    link = page.locator("[data-archive] a[download]")
    await expect(link).to_be_visible()  # the page asks again by itself
    async with page.expect_download() as started:
        await link.click()
    file = tmp_path / "everything"
    await (await started.value).save_as(file)
    with zipfile.ZipFile(file) as archive:
        assert json.loads(archive.read("manifest.json"))["tenant"]["slug"] == tenant.slug

    colleague = await visit(company, "colleague", phone=True, locale=words["locale"])
    page = await admin.go("/settings/leave")
    await page.locator("[name=name]").fill("another name")
    await page.locator(".settings-main .button.danger").click()
    await expect(page.locator("[data-error-for=name]")).not_to_be_empty()
    await expect(page.locator("[name=name]")).to_have_value("another name")
    await ask_for_it(page, name)
    theirs = await colleague.go("/r/customer")
    await expect(theirs.locator("[data-leaving]")).to_be_visible()
    await colleague.no_sideways_scroll()
    await colleague.go("/r/customer/new")
    await theirs.locator("[name=name]").fill("Too late")
    await theirs.locator(".form-foot .button.primary").click()
    await expect(theirs.locator("[name=name]")).to_have_value("Too late")
    assert theirs.url.endswith("/r/customer/new")

    await page.locator("form[action='/settings/leave/undo'] .button").first.click()
    await expect(page.locator("[data-leaving]")).to_have_count(0)
    await colleague.go("/r/customer/new")
    await expect(theirs.locator("[name=name]")).to_be_enabled()

    await admin.go("/settings/leave")
    await ask_for_it(page, name)
    async with system_transaction("delete_tenant") as conn:
        await conn.execute("UPDATE tenant SET delete_after = now() - interval '1 second' WHERE id = $1", tenant.id)
    assert tenant.slug in [proof.slug for proof in await remove_due()]
    with pytest.raises(NotFound):
        await find_tenant(tenant.slug)
    await colleague.go("/r/customer")
    await expect(theirs.locator("body")).to_contain_text(words["gone"])


async def ask_for_it(page, name: str) -> None:
    await page.locator("[name=name]").fill(name)
    await page.locator(".settings-main .button.danger").click()
    await expect(page.locator("[data-leaving]")).to_be_visible()
