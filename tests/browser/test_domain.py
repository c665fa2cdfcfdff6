"""The page of a workspace's own domain, from naming it to the main address, with a real name server."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import expect

from saas.tenants import domains
from tests.browser.conftest import Company
from tests.browser.test_account_security import look
from tests.name_server import name_server


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
@pytest.mark.parametrize("locale", ["en", "zh_CN"])
async def test_a_domain_from_naming_to_the_main_address(visit, served, tenant_factory, database, locale, phone):
    tenant = await tenant_factory(pack="baseline-crm", locale=locale)
    company = Company(tenant.id, tenant.slug, f"http://{tenant.slug}.localhost:{served}", {"admin": tenant.admin_email})
    kind = f"{locale}-{390 if phone else 1440}"
    before = database.settings
    async with name_server(database) as dns:
        database.settings = replace(database.settings, public_url=f"http://localhost:{served}")
        try:
            visitor = await visit(company, "admin", phone=phone)
            page = await visitor.go("/settings/domain")
            await look(visitor, f"domain-empty-{kind}")
            await page.locator("[name=name]").fill("*.example.com")
            await page.locator("[name=name]").press("Enter")
            await expect(page.locator("[data-error-for=name]")).not_to_be_empty()
            name = f"crm.{'long-' * 8}{tenant.slug}.example"
            for each in (name, f"bücher.{tenant.slug}.example"):
                await page.locator("form[action='/settings/domain'] [name=name]").fill(each)
                await page.locator("form[action='/settings/domain'] [name=name]").press("Enter")
                await expect(page.locator(".toast")).to_be_visible()
            card = page.locator(f"[data-domain='{name}']")
            await card.locator("form[action$='/check'] button").click()
            await expect(card.locator(".badge-yellow")).to_be_visible()
            await look(visitor, f"domain-waiting-{kind}")
            dns.prove(name, (await domains.list_domains(tenant.id))[0].token)
            await card.locator("form[action$='/check'] button").click()
            await expect(card.locator(".badge-green")).to_be_visible()
            await page.locator(f"[name=main][value='{name}']").check()
            await page.locator("form[action$='/main'] button").click()
            await expect(card.locator(".badge-blue")).to_be_visible()
            await look(visitor, f"domain-main-{kind}")
        finally:
            database.settings = before
