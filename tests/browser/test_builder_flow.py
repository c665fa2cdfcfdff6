"""The designer's pages of what happens and who may, in a real browser: pipelines, roles, automations, schedules. Nothing is published;
every draft is thrown away."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Page, expect

from saas.metadata import drafts, edits
from tests.browser.drafting import admin_of, bar, drafted
from tests.browser.test_every_page import look_at

SALE = "/settings/pipelines/opportunity"
pytestmark = pytest.mark.usefixtures("no_drafts")
PAGES = {
    "en": (
        "/settings/pipelines", "/settings/pipelines/new", "/settings/pipelines/new?entity=contact", SALE, f"{SALE}/edit", f"{SALE}/remove", f"{SALE}/add-stage", f"{SALE}/stages/new",
        f"{SALE}/stages/new/remove", f"{SALE}/add-transition", f"{SALE}/transitions/win", f"{SALE}/transitions/win/remove", "/settings/roles", "/settings/roles/new", "/settings/roles/sales",
        "/settings/roles/sales/default", "/settings/roles/sales/entities/order_line", "/settings/roles/sales/general", "/settings/roles/sales/remove", "/settings/roles/admin",
        "/settings/automations", "/settings/automations/new", "/settings/automations/new?entity=customer", "/settings/automations/assign_ticket", "/settings/automations/low_rating/rehearsal", "/settings/automations/low_rating/remove",
        "/settings/schedules", "/settings/schedules/new?entity=lead", "/settings/schedules/customer_dormant", "/settings/schedules/ticket_waiting",
    ),
    "zh_CN": (
        "/settings/pipelines", "/settings/pipelines/new?entity=customer", "/settings/pipelines/service", "/settings/pipelines/service/edit", "/settings/pipelines/service/stages/new",
        "/settings/pipelines/service/stages/new/remove", "/settings/pipelines/service/transitions/feedback", "/settings/pipelines/service/add-transition", "/settings/roles", "/settings/roles/new",
        "/settings/roles/supervisor", "/settings/roles/account_manager/entities/customer", "/settings/roles/account_manager/entities/opportunity", "/settings/roles/executive/default",
        "/settings/roles/executive/general", "/settings/roles/executive/remove", "/settings/automations", "/settings/automations/new?entity=customer", "/settings/schedules",
        "/settings/schedules/churn_scan", "/settings/schedules/new",
    ),
}  # fmt: skip


@asynccontextmanager
async def redrawn(page: Page) -> AsyncIterator[None]:
    """Ends when the server has said what becomes of the editors, and they were exchanged: what is typed into the old ones is lost."""
    await page.wait_for_load_state()
    marked = await page.locator("[data-editor]").evaluate_all("editors => editors.map((e) => { e.dataset.before = ''; }).length")
    async with page.expect_response(lambda answer: answer.request.method == "POST" and "_gesture" in (answer.request.post_data or "") and answer.ok):
        yield
    await expect(page.locator("[data-editor][data-before]")).not_to_have_count(marked)


@pytest.mark.parametrize("locale", ["en", "zh_CN"])
async def test_every_page_opens_named_and_narrow_enough(acme, tianhe, visit, locale):
    await look_at(await visit(tianhe if locale == "zh_CN" else acme, "admin"), locale, PAGES[locale], main=".settings-main")


# ---- pipelines ----------------------------------------------------------------------------------------------------------


def many() -> dict[str, Any]:
    """Twelve stages and twenty transitions: forward, back, skipping, staying, from several and from any."""
    names = ("New", "Contacted", "Qualified lead", "Demo planned", "Demo done", "Proposal sent", "Negotiation", "Legal review", "Contract sent", "Won", "Lost", "On hold")
    stages = [{"key": f"s{n}", "label": {"en": name}, "color": "blue", **({"kind": name.lower()} if name in ("Won", "Lost") else {})} for n, name in enumerate(names)]
    moves = [(f"Forward {n}", [f"s{n}"], f"s{n + 1}") for n in range(9)]
    moves += [("Lose", [f"s{n}" for n in range(6)], "s10"), ("Hold", ["*"], "s11"), ("Resume", ["s11"], "s2"), ("Skip the demo", ["s2"], "s5"), ("Win at once", ["s0"], "s9"), ("Back", ["s2"], "s1")]
    moves += [("Back to proposal", ["s6", "s7"], "s5"), ("Postpone again", ["s3"], "s3"), ("Reopen", ["s10"], "s0"), ("Second demo", ["s4"], "s3"), ("Legal refuses", ["s7"], "s5")]
    transitions = [{"key": f"t{n}", "label": {"en": name}, "from": sources, "to": to} for n, (name, sources, to) in enumerate(moves)]
    return {"stages": stages, "transitions": transitions}


async def test_a_large_pipeline_can_be_read_at_both_widths(acme, visit):
    made = many()
    assert (len(made["stages"]), len(made["transitions"])) == (12, 20)

    def change(raw: Any, data: Any) -> Any:
        return edits.put(raw, "pipelines[opportunity]", {**edits.find(raw, "pipelines[opportunity]"), **made}), data

    await drafts.edit(acme.id, await admin_of(acme), "Large", change)
    for phone, drawing, size in ((False, "row", 9.5), (True, "column", 9.5)):
        visitor = await visit(acme, "admin", phone=phone)
        page = await visitor.go(SALE)
        shown = page.locator(f"[data-diagram={drawing}]")
        await expect(shown).to_be_visible()
        await expect(page.locator("[data-diagram]:visible")).to_have_count(1)
        await expect(shown.locator("[data-move]")).to_have_count(20)
        await visitor.no_sideways_scroll()
        frame, box = await page.locator(".flow-frame").bounding_box(), await shown.bounding_box()
        assert frame and box and box["width"] <= frame["width"], "the whole drawing is in sight"
        scale = box["width"] / float(str(await shown.get_attribute("width")))
        letters = await page.evaluate("(e) => Math.min(...[...e.querySelectorAll('text:not(.flow-note)')].map((t) => parseFloat(getComputedStyle(t).fontSize)))", await shown.element_handle())
        assert letters * scale >= size, f"letters of {letters * scale} px"
        await shown.locator("[data-move=t16]").click()
        await expect(page.locator("h2").first).to_have_text("Postpone again")


async def test_a_stage_is_added_and_the_last_end_is_kept(acme, visit):
    admin = await visit(acme, "admin")
    page = await admin.go(SALE)
    await page.get_by_role("link", name="Stage", exact=True).click()
    await page.get_by_label("Name: English").fill("Legal review")
    await page.locator("[data-control=color] input[value=orange]").check(force=True)
    await page.get_by_label("Late after").fill("7")
    await page.locator("button.primary").click()
    await admin.toast("Saved in your draft")
    await expect(bar(page)).to_contain_text("1 unpublished change")
    await expect(page.locator("[data-diagram=row] [data-stage=legal_review]")).to_be_visible()
    for key in ("won", "lost"):
        await admin.go(f"{SALE}/stages/{key}")
        await page.locator("[data-control=kind] input[value=open]").check(force=True)
        await page.locator("button.primary").click()
    await expect(page.locator("[data-error-summary]")).to_contain_text("No stage ends this pipeline.")
    assert (await drafted(acme, "pipelines[opportunity].stages[lost]"))["kind"] == "lost"


async def test_a_transition_gets_a_check_a_value_and_a_step(acme, visit):
    admin = await visit(acme, "admin")
    page = await admin.go(f"{SALE}/add-transition")
    await page.get_by_label("Name on the button: English").fill("Send to legal")
    await page.locator("[data-control=from] input[value=proposal]").check()
    await page.locator("[data-control=to] select").select_option("negotiation")
    guard = page.locator("[data-control=guard]")
    await guard.locator("[data-row-field]").select_option(label="Expected amount")
    await guard.locator("[data-row-op]").select_option(label="is more than")
    await guard.locator("input[inputmode=decimal]").fill("100")
    values = page.locator("[data-editor=set]")
    async with redrawn(page):
        await values.locator(".spare select").select_option(label="Probability")
    await values.locator(".assign-value input").first.fill("60")
    await page.get_by_label("Steps: What to add").select_option(label="Notify people")
    async with redrawn(page):
        await page.locator("[data-editor=effects] .stack-add button").click()
    card = page.locator("[data-editor=effects] .stack-card")
    async with redrawn(page):
        await card.locator(".people select").last.select_option(label="Owner")
    await card.get_by_label("Title: English").fill("With legal: ")
    await card.locator("details.menu summary").first.click()
    await card.locator("[data-insert-text='{{ name }}']").first.click()
    await page.locator("button.primary").click()
    await expect(page.locator("[data-error-for=guard_message]")).to_have_text("Say what people read when the check refuses the move.")
    await page.get_by_label("What people read when the check refuses: English").fill("Enter the amount first.")
    await page.locator("button.primary").click()
    await expect(bar(page)).to_contain_text("Sales pipeline · Send to legal: added")
    found = await drafted(acme, "pipelines[opportunity].transitions[send_to_legal]")
    assert (found["from"], found["to"], found["guard"], found["set"]) == (["proposal"], "negotiation", "expected_amount > 100.00", {"probability": "60"})
    assert found["effects"] == [{"action": "notify", "to": ["owner"], "title": {"en": "With legal: {{ name }}"}}]


# ---- roles --------------------------------------------------------------------------------------------------------------


async def test_a_right_is_set_in_the_matrix_and_taken_back(acme, visit):
    admin = await visit(acme, "admin")
    page = await admin.go("/settings/roles/sales")
    row = page.locator("tr[data-rights=research]")
    await expect(row).to_have_class("is-inherited")
    await row.get_by_label("Read: ").select_option(label="Own")
    await expect(row).to_have_class("is-own")
    await page.locator("button.primary").click()
    await expect(bar(page)).to_contain_text("Role · Salesperson · Market research: changed")
    assert (await drafted(acme, "roles[sales]"))["entities"]["research"] == {"read": "own"}
    await row.get_by_role("button", name="Back to inherited").click()
    await expect(row).to_have_class("is-inherited")
    await page.get_by_text("What the words mean").click()
    await expect(page.get_by_text("Every record of the company.")).to_be_visible()


async def test_a_field_is_masked_under_a_condition_and_mistakes_are_shown(acme, visit):
    admin = await visit(acme, "admin")
    page = await admin.go("/settings/roles/sales/entities/customer")
    count = await page.locator("[data-editor=fields] .stack-card").count()
    async with redrawn(page):
        await page.get_by_role("button", name="Limit a field").click()
    card = page.locator("[data-editor=fields] .stack-card").last
    await card.locator("select[name$='.field']").first.select_option(label="Phone")
    await expect(card.locator("input[name$='.mask']")).to_be_hidden()
    await card.locator("select[name$='.access']").select_option("masked")
    await expect(card.locator("input[name$='.mask']")).to_be_visible()
    await card.locator("details.advanced > summary").click()
    await card.locator("[data-condition] .condition-mode label").last.click()
    await card.locator("[data-condition] textarea").fill("nothing == 1")
    await page.locator("button.primary").click()
    await expect(page.locator(f"[data-error-for='fields.{count}.if']")).to_contain_text("There is no field")
    await page.locator(f"textarea[name='fields.{count}.if.text']").fill("status == 'dormant'")
    await page.locator("button.primary").click()
    await expect(bar(page)).to_be_visible()
    assert (await drafted(acme, "roles[sales]"))["entities"]["customer"]["fields"]["phone"] == {"access": "masked", "if": "status == 'dormant'"}


async def test_the_last_administrator_role_stays(tianhe, visit):
    admin = await visit(tianhe, "admin")
    page = await admin.go("/settings/roles/admin/general")
    await page.locator("input[type=checkbox][name=admin]").uncheck()
    await page.locator("button.primary").click()
    await expect(page.locator("[data-error-summary]")).to_contain_text("没有任何角色")
    await expect(bar(page)).to_have_count(0)


# ---- rules --------------------------------------------------------------------------------------------------------------


async def test_an_automation_is_clicked_together(tianhe, visit):
    admin = await visit(tianhe, "admin")
    page = await admin.go("/settings/automations")
    await page.locator(".calm-box .button").click()
    await page.locator(".tile[href$='entity=customer']").click()
    await page.get_by_label("名称: 简体中文").or_(page.get_by_label("名称：简体中文")).fill("提醒负责人")
    async with redrawn(page):
        await page.locator("select[name='on.trigger']").select_option("update")
    await page.locator("[data-editor=on] input[value=phone]").check()
    await page.locator("select[name='do.new']").select_option("set")
    async with redrawn(page):
        await page.locator("[data-editor=do] > .stack-add button").click()
    values = page.locator("[data-editor='do.0.values']")
    async with redrawn(page):
        await values.locator(".spare select").select_option("phone")
    await page.locator("button.primary").click()
    await expect(page.locator(".error-line, [data-error-for^='do.0']:not(:empty)").first).to_be_visible()
    async with redrawn(page):
        await values.locator("select[name$='.how']").select_option("empty")
    await page.locator("button.primary").click()
    await expect(bar(page)).to_be_visible()
    rule = page.locator("[data-rule]")
    await expect(rule).to_contain_text("提醒负责人")
    await rule.locator("[role=switch]").click()
    await expect(rule.locator("[role=switch]")).to_have_attribute("aria-checked", "false")
    found = (await drafted(tianhe, "automations"))[0]
    assert (found["on"], found["do"], found["active"]) == ({"trigger": "update", "fields": ["phone"]}, [{"action": "set", "values": {"phone": "null"}}], False)


async def test_a_rhythm_is_chosen_and_shows_when_it_comes_next(acme, visit):
    admin = await visit(acme, "admin")
    page = await admin.go("/settings/schedules/task_overdue")
    times = page.locator("[data-next] .badge")
    await expect(times).to_have_count(3)
    async with redrawn(page):
        await page.get_by_label("Rhythm").select_option(label="Every month")
    async with redrawn(page):
        await page.get_by_label("Day of the month").select_option(label="on day 15")
    for number in range(3):
        await expect(times.nth(number)).to_have_text(re.compile(r"-15 "))
    await page.locator("button.primary").click()
    await expect(bar(page)).to_be_visible()
    await expect(page.locator("[data-rule=task_overdue]")).to_contain_text("Day 15 of each month at 08:05")
    assert (await drafted(acme, "schedules[task_overdue]"))["every"] == {"cron": "5 8 15 * *"}
