"""The same customer twice: met while saving, merged, taken apart again; and a review queue worked through with the keyboard."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest_asyncio
from playwright.async_api import expect

from tests.browser.conftest import Company
from tests.browser.visitor import Visitor
from tests.factories import make_lab
from tests.integration.twins.conftest import bundle
from tests.integration.twins.test_reviews import club_bundle

Visit = Callable[..., Awaitable[Visitor]]


def both() -> dict[str, Any]:
    one, two = bundle(), club_bundle()
    roles = {r["key"]: r for r in (*one["roles"], *two["roles"])}
    roles["lead"]["entities"] |= {"member": {"read": "all", "update": "all"}, "application": {"read": "all", "update": "all", "create": True}}
    for transition in two["pipelines"][0]["transitions"]:
        transition["roles"].append("lead")
    return {**one, "entities": [*one["entities"], *two["entities"]], "pipelines": two["pipelines"], "reviews": two["reviews"], "roles": list(roles.values()), "automations": [*one["automations"], *two["automations"]]}


@pytest_asyncio.fixture(scope="module")
async def company(served: int) -> Company:
    lab = await make_lab(both(), people=False)
    company = Company(lab.tenant_id, lab.slug, f"http://{lab.slug}.localhost:{served}")
    for name, role in {"dong": "sales", "lin": "lead"}.items():
        await lab.person(name, [role])
        company.people[name] = f"{name}@{lab.slug}.example"
    await lab.make("customer", by="dong", name="Tianhe Pumps", city="Harbin", phone="13800000001")
    await lab.make("visit", by="dong", subject="First call", customer=str((await lab.fetch("SELECT id FROM record WHERE tenant_id = $1 LIMIT 1"))[0][0]))
    await lab.make("member", by=None, name="Lu Yan", mobile="13900000002")
    await lab.make("application", by="lin", name="Lu Yan", mobile="13900000002", channel="website")
    await lab.make("application", by="lin", name="Lu Yann", mobile="13900000003")
    await lab.make("application", by="lin", name="He Fang", mobile="13900000004")
    return company


async def test_met_merged_and_taken_apart(visit: Visit, company: Company) -> None:
    visitor = await visit(company, "lin")
    page = await visitor.go("/r/customer/new")
    await page.locator("[name=name]").fill("Tianhe Pump Co., Ltd.")
    await page.locator("[name=city]").fill("Harbin")
    await page.locator("[name=tags]").first.evaluate("element => element.scrollIntoView()")
    await page.get_by_role("button", name="Create", exact=True).click()
    panel = page.locator("[data-duplicates]")
    await expect(panel).to_contain_text("Tianhe Pumps")
    await expect(panel.get_by_role("button", name="Use this one")).to_be_visible()
    await panel.get_by_label("Why save it all the same?").fill("Another site")
    await panel.get_by_role("button", name="Save anyway").click()
    await page.wait_for_url(re.compile(r"/r/customer/[0-9a-f-]{36}$"))
    await expect(page.locator("#timeline")).to_contain_text("Another site")

    await visitor.go("/r/customer/twins")
    group = page.locator("[data-twin-group]")
    await expect(group).to_contain_text("Tianhe Pump Co., Ltd.")
    await group.get_by_role("link", name="Merge").click()
    await expect(page.locator("[data-merge]")).to_contain_text("stays")
    await page.locator("[data-field=name] label", has_text="Tianhe Pump Co., Ltd.").click()
    await page.get_by_role("button", name="Merge", exact=True).click()
    await page.wait_for_url(re.compile(r"/r/customer/[0-9a-f-]{36}$"))
    await expect(page.locator("h1")).to_have_text("Tianhe Pump Co., Ltd.")
    await expect(page.locator("#timeline")).to_contain_text("merged other records into this one")

    await page.locator("#timeline").get_by_role("link", name="merged other records into this one").click()
    await page.get_by_role("button", name="Undo the merge").click()
    await expect(page.locator("h1")).to_have_text("Tianhe Pumps")
    await visitor.go("/r/customer")
    await expect(page.locator("table.records")).to_contain_text("Tianhe Pump Co., Ltd.")


async def test_a_queue_worked_through(visit: Visit, company: Company) -> None:
    visitor = await visit(company, "lin", phone=True)
    page = await visitor.go("/reviews/membership")
    await expect(page.locator("[data-queue] tbody tr")).to_have_count(3)
    await page.get_by_role("link", name="Begin").click()
    await expect(page.locator("h1")).to_have_text("Lu Yan")
    decide = page.locator(".review-case button:visible")
    await expect(decide).to_have_text("New member")
    await page.locator("[data-targets] .match-card", has_text="Lu Yan").first.click()
    await expect(decide).to_have_text("Match to the member")
    await page.locator("[data-sources] input").first.focus()
    await page.keyboard.press("Space")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("h1")).to_have_text("He Fang")
    await expect(page.locator("[data-sources]")).to_contain_text("Nothing similar")
    await page.locator(".review-case button:visible").click()
    await expect(page.locator("main")).to_contain_text("Nothing waits")
