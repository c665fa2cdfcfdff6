"""The editor that draws an automation's flow, the log of its runs, a rehearsal and a button on a record, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from saas.metadata import drafts, edits
from saas.metadata.store import publish
from saas.metadata.unbuild import bundle_to_raw
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.runtime.contexts import system_context
from tests.browser.drafting import admin_of, drafted

pytestmark = pytest.mark.usefixtures("no_drafts")
RULE = "/settings/automations/chase"


def name(en: str, zh: str) -> dict[str, str]:
    return {"en": en, "zh_CN": zh}


def chase(**more: Any) -> dict[str, Any]:
    """A rule with everything that a flow can have."""
    return {
        "key": "chase", "label": name("Chase an open deal", "跟进未成交商机"), "entity": "opportunity", "on": {"trigger": "update"}, "if": "expected_amount > 0",
        "do": [
            {"action": "branch", "if": "expected_amount > 100000",
             "then": [{"action": "notify", "to": ["owner"], "title": name("A large one: {{ name }}", "大单：{{ name }}")}, {"action": "wait", "days": 3}],
             "else": [{"action": "wait", "hours": 4}]},
            {"action": "each", "of": "opportunity_lines", "where": "quantity > 1", "do": [{"action": "warn", "message": name("Check the quantity", "请核对数量")}]},
            {"action": "http", "url": "https://erp.example/orders", "body": {"name": "name", "amount": "expected_amount"}},
        ], **more,
    }  # fmt: skip


async def with_rule(company: Any, rule: dict[str, Any]) -> None:
    def change(raw: Any, data: Any) -> Any:
        return edits.put(raw, f"automations[{rule['key']}]", rule), data

    await drafts.edit(company.id, await admin_of(company), "Flow", change)


async def test_the_flow_is_drawn_and_steps_are_put_into_it(acme, visit):
    rule = chase()
    lines = next((key for key in (await system_context(acme.id)).config.entity("opportunity").children), "")
    rule["do"][1] = {"action": "each", "of": lines, "do": [{"action": "warn", "message": name("Look", "请看")}]}
    await with_rule(acme, rule)
    visitor = await visit(acme, "admin")
    page = await visitor.go(RULE)
    await expect(page.locator("[data-node]")).to_have_count(7)
    ways = [await page.locator(f'[data-way="do.0.{way}"]').bounding_box() for way in ("then", "else")]
    assert ways[0]["y"] == ways[1]["y"] and ways[0]["x"] + ways[0]["width"] <= ways[1]["x"], "the ways of a branch stand side by side"
    await visitor.no_sideways_scroll()
    inside = page.locator('[data-way="do.0.else"]')
    await inside.locator("summary").last.click()
    async with page.expect_response(lambda answer: "_gesture" in (answer.request.post_data or "")):
        await inside.locator(".draw-plus[open] button", has_text="Set values").click()
    await expect(page.locator('[data-node="do.0.else.1"]')).to_contain_text("Set values")
    await page.locator('select[name="do.0.else.1.values.0.field"]').select_option("next_step")
    await page.locator('[name="do.0.else.1.values.0.value"]').fill("Call them")
    await page.get_by_role("button", name="Save").last.click()
    await page.wait_for_url("**/settings/automations")
    saved = await drafted(acme, "automations[chase]")
    assert saved["do"][0]["else"][1] == {"action": "set", "values": {"next_step": "'Call them'"}}
    assert {**saved, "do": [{**saved["do"][0], "else": saved["do"][0]["else"][:1]}, *saved["do"][1:]]} == rule, "what was not touched stays"


async def test_on_a_telephone(acme, visit):
    await with_rule(acme, chase())
    visitor = await visit(acme, "admin", phone=True)
    page = await visitor.go(RULE)
    await expect(page.locator("[data-node]").first).to_be_visible()
    await visitor.no_sideways_scroll()


async def test_a_button_its_run_and_a_rehearsal(staffed, visit):
    """From the button on the record to the log that tells what it did; in Chinese."""
    company = await staffed("baseline-crm", {})
    ctx = await system_context(company.id)
    made = await execute(ctx, ops.Create(entity="customer", values={"name": "Acme Ltd"}))
    record = made.record.id
    rule = {
        "key": "stamp", "label": name("Stamp", "盖章"), "entity": "customer", "on": {"trigger": "button", "confirm": name("Stamp it?", "确认盖章？")},
        "do": [{"action": "branch", "if": "id != null", "then": [{"action": "set", "values": {"background": "'stamped'"}}, {"action": "wait", "days": 2}]}, {"action": "warn", "message": name("Late", "晚")}],
    }  # fmt: skip
    raw = bundle_to_raw(ctx.config.bundle)
    await publish(company.id, {**raw, "automations": [*raw.get("automations", []), rule]}, base_revision=ctx.config.revision)
    visitor = await visit(company, "admin")
    page = await visitor.go(f"/r/customer/{record}")
    await page.locator('[data-button="stamp"]').click()
    await expect(page.locator("#dialog")).to_contain_text("确认盖章？")
    await page.locator("#dialog .dialog-foot button").click()
    await expect(page.locator("main")).to_contain_text("stamped")
    page = await visitor.go(f"/settings/runs?record={record}")
    await page.locator("[data-run] a").first.click()
    await expect(page.locator("[data-status=waiting]")).to_be_visible()
    await expect(page.locator("[data-step-state=done]")).to_have_count(2)
    await page.locator("[data-act=cancel]").click()
    await expect(page.locator("[data-status=cancelled]")).to_be_visible()
    page = await visitor.go("/settings/automations/stamp/rehearsal")
    await page.locator("form .button.primary").click()
    await expect(page.locator("[data-case]").first).to_be_visible()
    await visitor.no_sideways_scroll()
