"""An admin who has read nothing builds an application for lending equipment with what is on the screen, publishes it, and people
work with it at once: two entities, a relation, a pipeline of four stages with a guard, a role that sees only its own, a dashboard."""

from __future__ import annotations

import re
from typing import Any

import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import Company
from tests.browser.visitor import Visitor
from tests.conftest import PASSWORD


async def settings(page: Page, name: str) -> None:
    """Settings, then an entry of its menu."""
    if "/settings" not in page.url:
        await page.locator("#side").get_by_role("link", name="Settings").click()
    await page.locator(".settings-nav").get_by_role("link", name=name, exact=True).click()
    await expect(page.locator(".settings-nav [aria-current=page]")).to_have_text(name)


async def saved(page: Page, button: str) -> None:
    """Press it; the step is in the draft, and no form is open with a complaint."""
    before = page.url
    await page.locator(".settings-main").get_by_role("button", name=button, exact=True).last.click()
    await expect(page.locator("[data-draft-bar]")).to_be_visible()
    await page.wait_for_url(lambda url: url != before)
    await expect(page.locator("[data-error-summary]")).to_have_count(0)


async def new_entity(page: Page, one: str, several: str, *features: str) -> None:
    await settings(page, "Entities")
    await page.get_by_role("link", name="New entity").click()
    await page.get_by_label("One of them is called: English").fill(one)
    await page.get_by_label("Several are called: English").fill(several)
    for feature in features:
        await page.get_by_role("checkbox", name=feature).check()
    await saved(page, "Create entity")


async def build(page: Page) -> None:
    await new_entity(page, "Equipment item", "Equipment")
    await page.get_by_role("link", name="Add a field").click()
    await page.locator(".settings-main").get_by_role("link", name="Money").click()
    await page.get_by_label("Name: English").fill("Day rate")
    await saved(page, "Add the field")
    await new_entity(page, "Loan", "Loans", "Pipeline", "Dates")
    await settings(page, "Relations")
    await page.get_by_role("link", name="New relation").click()
    await page.get_by_label("Each …").select_option(label="Loan")
    await page.get_by_label("… belongs to").select_option(label="Equipment item")
    await page.get_by_label("Must be filled in").check()
    await saved(page, "Create relation")


async def draw_pipeline(page: Page) -> None:
    await settings(page, "Pipelines")
    await page.locator(".settings-main").get_by_role("link", name="Loan").first.click()
    await page.locator(".page-head").get_by_role("link", name="Stage", exact=True).click()
    await page.get_by_label("Name: English").fill("Lost item")
    await page.get_by_role("radio", name="Ends: lost").check()
    await saved(page, "Save")
    await expect(page.locator("[data-diagram] , svg").filter(has_text="Lost item").first).to_be_visible()
    # Nothing is handed out without a day of return.
    await page.locator(".settings-main").get_by_role("link", name=re.compile(r"^\d*\s*Start")).first.click()
    await page.get_by_label("Name on the button: English").fill("Hand out")
    guard = page.locator("[data-control=guard]")
    await guard.get_by_label("Field", exact=True).first.select_option(label="End")
    await guard.get_by_label("Condition", exact=True).select_option(label="is not empty")
    await page.get_by_label("What people read when the check refuses: English").fill("Say first when it comes back.")
    await saved(page, "Save")
    await page.locator(".page-head").get_by_role("link", name="Transition").click()
    await page.get_by_label("Name on the button: English").fill("Report lost")
    await page.locator("[data-control=from]").get_by_label("In progress").check()
    await page.locator("[data-control=to]").get_by_label("Leads to").select_option(label="Lost item")
    await saved(page, "Save")


async def give_rights(page: Page) -> None:
    await settings(page, "Roles")
    await page.get_by_role("link", name="New role").click()
    await page.get_by_label("Name: English").fill("Lender")
    await saved(page, "Create")
    for right, what, scope in (("Read", "Equipment", "All"), ("Create", "Loans", "Yes"), ("Read", "Loans", "Own"), ("Edit", "Loans", "Own")):
        await page.get_by_label(f"{right}: {what}", exact=True).select_option(label=scope)
    await page.locator(".settings-main").get_by_role("button", name="Save", exact=True).last.click()
    await expect(page.get_by_label("Read: Loans", exact=True)).to_have_value("own")


async def draw_figures(page: Page) -> None:
    await settings(page, "Dashboards")
    await page.get_by_role("link", name="New dashboard").click()
    await page.get_by_label("Name: English").fill("Lending")
    await saved(page, "Create")
    for kind, name, group in (("Number", "All loans", ""), ("Bar chart", "Loans by stage", "Stage")):
        await page.locator(".settings-main").get_by_role("link", name="Add a figure").first.click()
        await page.get_by_label("About which records?").select_option(label="Loans")
        await page.get_by_role("radio", name=kind).check()
        await page.get_by_label("Name: English", exact=True).fill(name)
        if group:
            await page.get_by_label("Group by", exact=True).first.select_option(label=group)
        await saved(page, "Save")
    await settings(page, "Roles")
    await page.locator(".settings-main").get_by_role("link", name="Lender").click()
    await page.get_by_role("link", name="Name, reports, settings").click()
    await page.get_by_label("Lending", exact=True).check()
    await saved(page, "Save")


async def publish(page: Page) -> None:
    await page.get_by_role("link", name="Review and publish").click()
    await expect(page.locator("[data-plan]")).to_have_attribute("data-can-publish", "yes")
    await page.get_by_label("What changes, in a sentence for your colleagues").fill("We lend equipment from today")
    await page.get_by_role("button", name="Publish").click()
    await expect(page.locator("[data-revision]").first).to_contain_text("We lend equipment from today")


async def employ(page: Page) -> None:
    """Two people who lend."""
    for name in ("Lea Stone", "Max Berg"):
        await settings(page, "People")
        await page.get_by_role("link", name="Add a person").click()
        await page.get_by_label("Name").fill(name)
        await page.get_by_label("E-mail").fill(f"{name.split()[0].lower()}@lending.example")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_label("Lender").check()
        await page.locator(".settings-main").get_by_role("button", name="Save").click()
        await expect(page.locator(".settings-main")).to_contain_text(name)


async def somebody(company: Company, visit: Any, name: str) -> Visitor:
    company.people[name] = f"{name}@lending.example"
    return await visit(company, name)


@pytest_asyncio.fixture
async def workshop(served: int, tenant_factory: Any) -> Company:
    tenant = await tenant_factory(pack="baseline-crm")
    return Company(tenant.id, tenant.slug, f"http://{tenant.slug}.localhost:{served}", {"admin": tenant.admin_email})


async def test_an_admin_builds_equipment_lending_with_what_is_on_the_screen(workshop: Company, visit: Any) -> None:
    visitor: Visitor = await visit(workshop, "admin")
    page = await visitor.go("/")
    await build(page)
    await draw_pipeline(page)
    await give_rights(page)
    await draw_figures(page)
    await publish(page)
    await employ(page)
    await visitor.go("/r/equipment_item/new")
    await page.get_by_label("Name").first.fill("Core drill")
    await page.get_by_label("Day rate").fill("45")
    await visitor.submit()
    await expect(page.locator("[data-field=day_rate]").first).to_contain_text("45")
    await lend(workshop, visit)
    await see_figures(page)
    await take_back(page)


async def lend(company: Company, visit: Any) -> None:
    """Lea lends, and the check holds her until the return is known; Max sees nothing of it."""
    lea = await somebody(company, visit, "lea")
    page = await lea.go("/")
    await page.locator("#side").get_by_role("link", name="Loans").first.click()
    await lea.go("/r/loan/new")
    await page.get_by_label("Name").first.fill("Drill for the weekend")
    await lea.submit()
    await expect(page.locator("[data-error-for=equipment_item]")).to_contain_text("required")
    await page.get_by_label("Equipment item").select_option(label="Core drill")
    await lea.submit()
    await page.wait_for_url(re.compile(r"/r/loan/[0-9a-f-]{36}$"))
    record = page.url
    await page.locator("[data-transition=start]").click()
    await expect(page.locator("body")).to_contain_text("Say first when it comes back.")
    await lea.go(f"{record.removeprefix(lea.base)}/edit")
    await page.get_by_label("End").first.fill("2031-05-01")
    await lea.submit()
    await page.locator("[data-transition=start]").click()
    await expect(page.locator("[data-state]").first).to_have_attribute("data-state", "in_progress")
    await expect(page.locator("[data-transition]", has_text="Report lost")).to_be_visible()
    max_ = await somebody(company, visit, "max")
    await max_.go("/r/loan")
    await expect(max_.page.locator("tr[data-record-id]")).to_have_count(0)
    await max_.go("/r/equipment_item")
    await expect(max_.page.locator("tr[data-record-id]")).to_have_count(1)
    assert (await max_.page.goto(record)).status == 404


async def see_figures(page: Page) -> None:
    await page.goto(f"{origin(page)}/dashboards/lending")
    await expect(page.locator("[data-widget]", has_text="All loans")).to_contain_text("1")
    await expect(page.locator("[data-widget]", has_text="Loans by stage").locator("svg").first).to_be_visible()


async def take_back(page: Page) -> None:
    """Back to the revision before, where nobody lends; and forward again, where everything is as it was."""
    for revision, status in ((1, 404), (2, 200)):
        await page.goto(f"{origin(page)}/settings/revisions")
        await page.locator(f"[data-revision='{revision}']").get_by_role("button", name="Go back to this").click()
        await page.get_by_role("button", name="Publish").click()
        await expect(page.locator("[data-revision]").first).to_contain_text(f"Back to revision {revision}")
        answer = await page.goto(f"{origin(page)}/r/loan")
        assert answer is not None and answer.status == status
    await expect(page.locator("tr[data-record-id]")).to_have_count(1)
    await expect(page.locator("tr[data-record-id]")).to_contain_text("In progress")


def origin(page: Page) -> str:
    return re.match(r"https?://[^/]+", page.url)[0]
