"""The access simulator and the examples, as an admin uses them: looking as a role with unpublished changes, asking why, leaving;
writing an example, seeing it fail, and making it hold."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from saas.i18n import LOCALES
from saas.metadata import drafts, edits
from saas.tenants import find_user
from tests.browser.conftest import Company
from tests.browser.test_every_page import NAMELESS, TEXTS, untranslated
from tests.browser.visitor import Visitor

SIMULATOR = "/settings/simulator"


async def change_draft(company: Company, path: str, definition: Any) -> None:
    admin = await find_user(company.id, email=company.people["admin"])
    await drafts.edit(company.id, admin["id"], "A change", lambda raw, data: (edits.put(raw, path, definition), data))


async def forget_draft(company: Company) -> None:
    await drafts.discard(company.id, (await find_user(company.id, email=company.people["admin"]))["id"])


async def test_looking_as_a_role_with_the_draft(acme: Company, visit: Any) -> None:
    await change_draft(acme, "entities[customer].plural", {"en": "Partners of tomorrow", "zh_CN": "明日伙伴"})
    await change_draft(acme, "roles[sales].entities.customer.fields", {"phone": "hidden"})
    visitor: Visitor = await visit(acme, "admin")
    page = await visitor.go(SIMULATOR)
    await page.get_by_label("Role or person").select_option(label="Salesperson")
    await page.get_by_label("With my unpublished changes").check()
    await page.get_by_role("button", name="Show").click()
    await expect(page.locator("#access")).to_contain_text("Salesperson with your changes, compared with now")
    await expect(page.locator("tr[data-entity=customer]")).to_contain_text("→ hidden: Phone")
    await page.get_by_role("button", name="View as Salesperson").click()
    banner = page.locator("[data-viewing]")
    await expect(banner).to_contain_text("You see this as Salesperson, with your unpublished changes.")
    await expect(page.locator("#side .nav-item", has_text="Partners of tomorrow")).to_be_visible()
    await expect(page.locator("#side .nav-item", has_text="Settings")).to_have_count(0)
    await visitor.go("/r/customer")
    await page.locator("tr[data-record-id] a.title-link").first.click()
    await expect(page.locator(".detail[data-field=name]")).to_be_visible()
    await expect(page.locator(".detail[data-field=phone]")).to_have_count(0)
    # Nothing can be saved, and the reason is said.
    await visitor.go("/r/customer/new")
    await page.locator("[name=name]").first.fill("Not to be kept")
    await visitor.submit()
    await expect(page.locator("body")).to_contain_text("nothing can be changed")
    # Why?
    await visitor.go("/r/customer")
    await page.locator("tr[data-record-id] a.title-link").first.click()
    await page.locator("[data-viewing] a", has_text="Why?").click()
    await expect(page.locator("[data-verdict=yes]")).to_be_visible()
    await page.get_by_label("Action").select_option(label="see a field")
    await page.locator("#why-field").select_option(label="Phone")
    await page.get_by_role("button", name="Explain").click()
    await expect(page.locator("[data-verdict=no]")).to_be_visible()
    await expect(page.locator(".why-step.no", has_text="hidden").first).to_be_visible()
    await page.locator("[data-viewing] button", has_text="Leave").click()
    await expect(page.locator("[data-viewing]")).to_have_count(0)
    await expect(page.locator(".toast", has_text="your own eyes")).to_be_visible()
    await forget_draft(acme)
    await visitor.go("/r/customer?q=kept")
    await expect(page.locator("tr[data-record-id]")).to_have_count(0)


async def test_asking_about_a_record_found_by_searching(acme: Company, visit: Any) -> None:
    visitor: Visitor = await visit(acme, "admin")
    page = await visitor.go("/r/customer")
    title = (await page.locator("tr[data-record-id] a.title-link").last.inner_text()).strip()
    await visitor.go(f"{SIMULATOR}?who=role:sales")
    await page.get_by_label("Entity", exact=True).select_option(label="Customers")  # sends the form
    box = page.locator(".field", has=page.locator("#why-record"))
    await visitor.pick(box, title)
    await page.get_by_label("Action").select_option(label="delete the record")
    await page.get_by_role("button", name="Explain").click()
    await expect(page.locator("[data-verdict=no]")).to_contain_text(title)
    await expect(page.locator(".why-step.no").first).to_contain_text("A role lets Salesperson delete it")


async def test_writing_an_example(acme: Company, visit: Any) -> None:
    visitor: Visitor = await visit(acme, "admin")
    page = await visitor.go("/settings/examples")
    await expect(page.locator("[data-example][data-passed=yes]")).to_have_count(3)
    await page.get_by_role("link", name="New example").first.click()
    await page.locator(".tile", has_text="Opportunities").click()
    await page.locator("[name='label.en']").fill("A lost opportunity needs a reason")
    await page.get_by_label("Action").select_option(label="move it along its pipeline")
    await page.get_by_label("Transition").select_option(label="Lost")
    await page.get_by_label("Then it must be").select_option(label="allowed")
    await expect(page.get_by_label("The refusal must say")).to_be_hidden()
    await page.get_by_role("button", name="Save").last.click()
    await expect(page.locator("[data-result=no]")).to_contain_text("It was refused, but should be allowed")
    await page.get_by_label("Then it must be").select_option(label="refused")
    await page.get_by_label("The refusal must say").fill("required")
    await page.get_by_role("button", name="Save").last.click()
    await expect(page.locator("[data-result=yes]")).to_be_visible()
    await visitor.go("/settings/examples")
    await expect(page.locator("[data-example=a_lost_opportunity_needs_a_reason][data-passed=yes]")).to_be_visible()
    await forget_draft(acme)


@pytest.mark.parametrize("locale", LOCALES)
async def test_their_pages_are_named_translated_and_fit_a_phone(acme: Company, tianhe: Company, visit: Any, locale: str) -> None:
    company, roles = (tianhe, ("account_manager", "supervisor")) if locale == "zh_CN" else (acme, ("sales", "manager"))
    visitor: Visitor = await visit(company, "admin")
    page = visitor.page
    await visitor.go("/r/customer")
    record = await page.locator("tr[data-record-id]").first.get_attribute("data-record-id")
    await visitor.go("/settings/examples")
    example = str(await page.locator("[data-example] a.title-link").first.get_attribute("href"))
    paths = (
        SIMULATOR, f"{SIMULATOR}?who=role:{roles[0]}&with=role:{roles[1]}", f"{SIMULATOR}?who=role:{roles[0]}&entity=customer&was=customer&record={record}&right=update",
        f"{SIMULATOR}?who=role:{roles[0]}&entity=opportunity&right=transition&transition=win", "/settings/examples", "/settings/examples/new", "/settings/examples/new?entity=opportunity",
        example, f"{example}/records/new", f"{example}/records/new?entity=customer", f"{example}/remove",
    )  # fmt: skip
    english, bad = untranslated(), []
    for looking in (False, True):
        if looking:
            await visitor.go(f"{SIMULATOR}?who=role:{roles[0]}")
            await page.locator("[data-view-as] button").click()
            await expect(page.locator("[data-viewing]")).to_be_visible()
        for path in paths if not looking else ("/", "/r/customer", f"/r/customer/{record}", SIMULATOR, "/profile"):
            await page.set_viewport_size({"width": 1440, "height": 900})
            await visitor.go(path)
            bad += [f"{path}: {text}" for text in await page.evaluate(NAMELESS)]
            if locale == "zh_CN":
                bad += [f"{path}: not translated: {text}" for text in await page.evaluate(TEXTS) if text in english]
            await page.set_viewport_size({"width": 390, "height": 844})
            try:
                await visitor.no_sideways_scroll()
            except AssertionError as error:
                bad.append(str(error))
    await page.locator("[data-viewing] form button").click()
    assert not bad, "\n".join(bad)
