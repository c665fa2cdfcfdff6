"""Single sign-on in a real browser, with a provider written by others: set up, tried, switched on, used, required."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

from saas.tenants import create_user
from tests.browser.conftest import Company
from tests.browser.test_account_security import look
from tests.conftest import PASSWORD
from tests.oidc_provider.foreign import foreign_provider


@pytest.mark.slow
async def test_an_administrator_sets_it_up_and_everybody_comes_that_way(visit, served, tenant_factory, database):
    tenant = await tenant_factory(pack="baseline-crm")
    company = Company(tenant.id, tenant.slug, f"http://{tenant.slug}.localhost:{served}", {"admin": tenant.admin_email, "anna": f"anna@{tenant.slug}.example"})
    await create_user(tenant.id, company.people["anna"], PASSWORD, "Anna Berg", ["sales"])
    before = database.settings
    people = (
        {"sub": "a-1", "email": company.people["anna"], "email_verified": True, "name": "Anna Berg"},
        {"sub": "n-2", "email": f"new@{tenant.slug}.example", "email_verified": True, "name": "Nils Neu", "groups": ["bosses"]},
    )
    with foreign_provider(*people) as issuer:
        database.settings = replace(before, public_url=f"http://localhost:{served}", outbound_allow=frozenset({("127.0.0.1", urlsplit(issuer).port)}))
        try:
            await _journey(_without_strangers(visit), company, issuer, tenant.slug)
        finally:
            database.settings = before


def _without_strangers(visit):
    """The provider's own page wants a style sheet from elsewhere; nothing of these tests leaves the machine."""

    async def arrive(*given, **more):
        visitor = await visit(*given, **more)
        await visitor.context.route(re.compile("^https://"), lambda route: route.fulfill(status=200, body=""))
        return visitor

    return arrive


async def _journey(visit, company: Company, issuer: str, slug: str) -> None:
    administrator = await visit(company, "admin")
    admin = administrator.page
    await admin.goto(f"{company.base}/settings/sso")
    await expect(admin.get_by_label("Redirect address")).to_have_value(f"{company.base}/sso/callback")
    await admin.get_by_role("button", name="Save").click()
    await expect(admin.get_by_text("Please enter the client id")).to_be_visible()
    await admin.get_by_label("Issuer").fill(issuer)
    await admin.get_by_label("Client id").fill("crm")
    await admin.get_by_label("Client secret").fill("s3cret")
    await admin.get_by_label("Name on the sign-in page").fill("Corporate")
    await admin.get_by_label("E-mail domains").fill(f"{slug}.example")
    await admin.get_by_label("Everybody with such an address").check()
    await admin.get_by_label("Role of new people").select_option(label="Salesperson")
    await admin.get_by_role("button", name="Save").click()
    await expect(admin.get_by_text("not switched on yet")).to_be_visible()

    await admin.get_by_role("link", name="Try it").click()
    await admin.get_by_role("button", name="n-2").click()
    await expect(admin.get_by_text(f"A person with the address new@{slug}.example would be made")).to_be_visible()
    await expect(admin.get_by_text("Nils Neu", exact=True)).to_be_visible()
    await look(administrator, "sso-tried-en-1440")
    await admin.get_by_role("link", name="Back to the settings").click()
    await admin.get_by_label("On: beside passwords").check()
    await admin.get_by_role("button", name="Save").click()
    await expect(admin.get_by_text("The sign-in page offers it")).to_be_visible()

    visitor = await visit(company, phone=True)
    anna = await visitor.go("/login?next=/profile")
    await look(visitor, "sso-login-en-390")
    await anna.get_by_role("link", name="Sign in with Corporate").click()
    await anna.get_by_role("button", name="a-1").click()
    await anna.wait_for_url("**/profile")
    await expect(anna.locator("main").get_by_text(company.people["anna"])).to_be_visible()

    await admin.goto(f"{company.base}/settings/sso")
    await expect(admin.get_by_role("cell", name="Anna Berg", exact=True)).to_be_visible()
    await admin.get_by_label("Required").check()
    await admin.get_by_label("Administrator who may still use a password").select_option(index=1)
    await admin.get_by_role("button", name="Save").click()
    await expect(admin.get_by_text("From now on everybody comes by single sign-on")).to_be_visible()
    await look(administrator, "sso-settings-en-1440")

    small = await visit(company, "admin", phone=True, locale="zh-CN")
    await small.context.add_cookies([{"name": "locale", "value": "zh_CN", "url": company.base}])
    await small.go("/settings/sso")
    await look(small, "sso-settings-zh-390")
    chinese = await visit(company)
    await chinese.context.add_cookies([{"name": "locale", "value": "zh_CN", "url": company.base}])
    await chinese.go("/login")
    await look(chinese, "sso-required-zh-1440")

    visitor = await visit(company)
    nils = await visitor.go("/login")
    await expect(nils.get_by_label("Password")).to_have_count(0)
    await nils.get_by_role("link", name="Sign in with Corporate").click()
    await nils.get_by_role("button", name="n-2").click()
    await nils.wait_for_url(f"{company.base}/**")
    await nils.goto(f"{company.base}/profile")
    await nils.locator("form[action='/logout']").evaluate("form => form.requestSubmit()")
    await expect(nils.get_by_role("link", name="Sign out of Corporate, too")).to_be_visible()
