"""The designer's pages of what is stored, in a real browser: entities, fields, option lists, relations, numbers, values, labels.
Nothing is published; every draft is thrown away."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from saas.metadata import drafts
from tests.browser.conftest import Company
from tests.browser.drafting import admin_of, bar, drafted
from tests.browser.test_every_page import look_at
from tests.browser.visitor import Visitor

ENTITY = "/settings/entities/customer"
pytestmark = pytest.mark.usefixtures("no_drafts")
PAGES = {
    "en": (
        "/settings/entities", "/settings/entities/new", ENTITY, f"{ENTITY}/relations", f"{ENTITY}/rules", f"{ENTITY}/rules/rules/new", f"{ENTITY}/rules/unique/new", f"{ENTITY}/properties",
        f"{ENTITY}/remove", f"{ENTITY}/fields/new", f"{ENTITY}/fields/new?type=option", f"{ENTITY}/fields/new?type=formula", f"{ENTITY}/fields/new?type=rollup", f"{ENTITY}/fields/new?type=rollup&of=orders",
        f"{ENTITY}/fields/new?type=score", f"{ENTITY}/fields/new?type=ref&to=product", f"{ENTITY}/fields/new?type=auto", f"{ENTITY}/fields/phone", f"{ENTITY}/fields/phone/type", f"{ENTITY}/fields/class/remove",
        "/settings/entities/contact/fields/decision_role/options", "/settings/option-sets", "/settings/option-sets/new", "/settings/option-sets/industry", "/settings/option-sets/industry/many",
        "/settings/option-sets/industry/o/construction", "/settings/option-sets/industry/o/construction/split", "/settings/option-sets/industry/o/construction/merge",
        "/settings/option-sets/industry/o/construction/remove", "/settings/relations", "/settings/relations/new", "/settings/numbering", "/settings/numbering/order/number", "/settings/values",
        "/settings/values/new", "/settings/labels", "/settings/labels?q=zzzz",
    ),
    "zh_CN": (
        "/settings/entities", "/settings/entities/new", ENTITY, f"{ENTITY}/relations", f"{ENTITY}/rules", f"{ENTITY}/rules/duplicates/new", f"{ENTITY}/properties", f"{ENTITY}/remove", f"{ENTITY}/fields/new",
        f"{ENTITY}/fields/new?type=multi", f"{ENTITY}/fields/new?type=formula", f"{ENTITY}/fields/new?type=rollup", f"{ENTITY}/fields/new?type=user", f"{ENTITY}/fields/name", f"{ENTITY}/fields/name/type",
        "/settings/option-sets", "/settings/option-sets/new", "/settings/option-sets/grade", "/settings/option-sets/grade/many", "/settings/relations", "/settings/relations/new", "/settings/numbering",
        "/settings/values", "/settings/values/churn_months", "/settings/labels",
    ),
}  # fmt: skip


def save(page: Page, text: str = "Save") -> Locator:
    return page.locator(".settings-main .form-foot").get_by_role("button", name=text, exact=True)


@pytest.mark.parametrize("locale", ["en", "zh_CN"])
async def test_every_page_is_named_translated_and_fits_a_phone(acme: Company, tianhe: Company, visit: Any, locale: str) -> None:
    await look_at(await visit(tianhe if locale == "zh_CN" else acme, "admin"), locale, PAGES[locale])


async def test_an_entity_is_made_from_feature_cards(acme: Company, visit: Any) -> None:
    visitor: Visitor = await visit(acme, "admin")
    page = await visitor.go("/settings/entities")
    await page.get_by_role("link", name="New entity").click()
    await save(page, "Create entity").click()
    await visitor.problem("label", "at least one language")
    await page.get_by_label("One of them is called: English").fill("Vehicle")
    await page.get_by_label("Several are called: English").fill("Vehicles")
    await page.get_by_role("radio", name="Lorry").check()
    await page.get_by_role("checkbox", name="Pipeline").check()
    await save(page, "Create entity").click()
    await expect(page.locator("h2").first).to_have_text("Vehicles")
    await expect(bar(page)).to_contain_text("1 unpublished change")
    await expect(page.locator("tr[data-field=stage]")).to_contain_text("Stage")
    vehicle = await drafted(acme, "entities[vehicle]")
    assert vehicle["icon"] == "truck" and len(vehicle["fields"]) == 2
    await bar(page).get_by_role("button", name="Undo").click()
    await expect(bar(page)).to_have_count(0)


async def test_entities_and_fields_are_ordered_with_the_keyboard(acme: Company, visit: Any) -> None:
    visitor: Visitor = await visit(acme, "admin")
    page = await visitor.go(ENTITY)
    keys = [await row.get_attribute("data-key") for row in await page.locator("tr[data-field]").all()]
    await page.locator("tr[data-field]").nth(2).locator(".grip").focus()
    await page.keyboard.press("ArrowUp")
    await expect(bar(page)).to_contain_text("new order")
    await expect(page.locator("tr[data-field]").nth(1)).to_have_attribute("data-key", str(keys[2]))
    assert [f["key"] for f in await drafted(acme, "entities[customer].fields")][:3] == [keys[0], keys[2], keys[1]]


async def test_a_field_is_chosen_in_the_gallery_and_its_conditions_are_clicked_together(acme: Company, visit: Any) -> None:
    visitor: Visitor = await visit(acme, "admin")
    page = await visitor.go(ENTITY)
    await page.get_by_role("link", name="Add a field").click()
    await page.locator(".settings-main").get_by_role("link", name="Whole number").click()
    await page.get_by_label("Name: English", exact=True).fill("Credit days")
    await expect(page.locator("[data-control=required_if]")).to_be_hidden()
    await page.get_by_label("Must it be filled in?").select_option(label="Only if …")
    condition = page.locator("[data-control=required_if]")
    await condition.get_by_label("Field", exact=True).first.select_option(label="Relationship")
    await condition.get_by_label("Value").select_option(label="Active")
    await page.get_by_label("A new record starts with").select_option(label="A fixed value")
    await page.locator("[name=default_value]").fill("30")
    await save(page, "Add the field").click()
    await expect(page.locator("tr[data-field=credit_days]")).to_contain_text("required if …")
    made = await drafted(acme, "entities[customer].fields[credit_days]")
    assert (made["required_if"], made["default"]) == ("status == 'active'", 30)


async def test_formulas_and_rollups_are_checked_while_they_are_written(acme: Company, visit: Any) -> None:
    visitor: Visitor = await visit(acme, "admin")
    page = await visitor.go(f"{ENTITY}/fields/new?type=formula")
    await page.get_by_label("Name: English", exact=True).fill("Length of the name")
    formula = page.locator("textarea[name=expr]")
    await formula.fill("len(nome)")
    await expect(page.locator("[data-control=expr] .verdict-bad")).to_contain_text("nome")
    await formula.fill("len(name)")
    await expect(page.locator("[data-control=expr] .verdict-good")).to_contain_text("a number")
    await expect(page.locator("[data-control=expr] .verdict-sample").first).to_contain_text(re.compile(r"→ \d+"))
    await visitor.go(f"{ENTITY}/fields/new?type=rollup")
    await page.locator(".settings-main").get_by_role("link", name="Orders").click()
    await expect(page.locator("[data-preview-result]")).to_contain_text("count(orders)")
    await page.locator("[name=fn]").select_option(value="sum")
    await page.locator("[name=field]").select_option(label="Total")
    await expect(page.locator("[data-preview-result]")).to_contain_text("sum(orders.total)")
    await expect(page.locator("[data-preview-result] .verdict-sample").first).to_be_visible()
    await page.get_by_label("Name: English", exact=True).fill("Ordered in all")
    await save(page, "Add the field").click()
    await expect(page.locator("tr[data-field=ordered_in_all]")).to_contain_text("Sum: Orders → Total")


async def test_choices_grow_and_shrink_and_keep_their_order(acme: Company, visit: Any) -> None:
    visitor: Visitor = await visit(acme, "admin")
    page = await visitor.go(f"{ENTITY}/fields/new?type=option")
    await page.get_by_label("Name: English", exact=True).fill("Mood")
    rows = page.locator("[data-rows] .rows-row")
    for number, text in enumerate(("Happy", "Sad", "Angry")):
        if number:
            await page.get_by_role("button", name="Add an option").click()
        await rows.nth(number).locator("input[name$='.label.en']").fill(text)
    await rows.nth(0).locator("summary").click()
    await rows.nth(0).get_by_role("radio", name="Green").check(force=True)
    await rows.nth(0).locator("summary").click()  # the open menu lies over the next row
    await rows.nth(1).get_by_role("button", name="Remove this row").click()
    await rows.nth(1).locator(".grip").focus()
    await page.keyboard.press("ArrowUp")
    await save(page, "Add the field").click()
    await expect(page.locator("tr[data-field=mood]")).to_contain_text("Angry, Happy")
    made = await drafted(acme, "entities[customer].fields[mood]")
    assert made["options"] == [{"key": "angry", "label": {"en": "Angry"}}, {"key": "happy", "label": {"en": "Happy"}, "color": "green"}]


async def test_an_option_list_is_edited_ordered_and_split(acme: Company, visit: Any) -> None:
    visitor: Visitor = await visit(acme, "admin")
    page = await visitor.go("/settings/option-sets")
    await page.locator(".settings-main").get_by_role("link", name="Priority").click()
    rows = page.locator("[data-option]")
    first = await rows.nth(0).get_attribute("data-option")
    await rows.nth(1).locator(".grip").focus()
    await page.keyboard.press("ArrowUp")
    await rows.nth(2).get_by_label(re.compile("English")).fill("Very high")
    await rows.nth(2).locator("select[data-colour]").select_option(label="Pink")
    await save(page).click()
    await expect(bar(page)).to_contain_text("Priority: changed")
    found = await drafted(acme, "option_sets[priority].options")
    assert found[1]["key"] == first and (found[2]["label"]["en"], found[2]["color"]) == ("Very high", "pink")
    await rows.nth(0).get_by_role("link").click()
    await page.get_by_role("link", name="Split option").click()
    await page.get_by_label("New options, one per line").fill("This week\nToday")
    await save(page, "Go on").click()
    section = page.locator(".form-section").first
    await section.locator("select[name$='.to']").first.select_option(label="Today")
    await section.get_by_label("Field", exact=True).first.select_option(index=1)
    await section.locator("input[name$='.value'], select[name$='.value']").first.wait_for()
    await section.get_by_label("Formula").first.check(force=True)
    await section.locator("textarea[name$='.text']").first.fill("created_at != null")
    for rest in await page.get_by_label("All others get").all():
        await rest.select_option(label="This week")
    await save(page, "Split").click()
    await expect(bar(page)).to_contain_text("2 unpublished changes")
    draft = await drafts.open_draft(acme.id, await admin_of(acme))
    assert draft.steps[0].title.endswith("split into This week, Today")
    assert {s["to"] for s in draft.data} == {"this_week"} and draft.data[0]["rules"] == [{"if": "created_at != null", "to": "today"}]


async def test_a_relation_is_said_in_a_sentence_and_drawn(acme: Company, visit: Any) -> None:
    visitor: Visitor = await visit(acme, "admin")
    page = await visitor.go("/settings/relations")
    await expect(page.locator(".star-middle")).to_have_text("Customer")
    await page.locator(".star-box", has_text="Contract").click()
    await expect(page.locator(".star-middle")).to_have_text("Contract")
    await page.get_by_role("link", name="New relation").click()
    await page.get_by_label("Each …").select_option(label="Contract")
    await page.get_by_label("… belongs to").select_option(label="Product")
    await expect(page.locator("[data-sentence]")).to_have_text("Each Contract belongs to one Product")
    await page.get_by_role("radio", name="Many to many").check()
    await expect(page.locator("[data-sentence]")).to_have_text("Many to many: Contract and Product")
    await expect(page.get_by_label("Deleting the second one …")).to_be_hidden()
    await save(page, "Create relation").click()
    await expect(page.locator(".star-middle")).to_have_text("Product")
    await expect(page.locator(".star-side.right", has_text="Contract")).to_be_visible()


async def test_numbers_values_and_labels(acme: Company, visit: Any) -> None:
    visitor: Visitor = await visit(acme, "admin")
    page = await visitor.go("/settings/numbering/order/number")
    pattern = page.get_by_label("Pattern")
    await pattern.fill("ORD-")
    await expect(page.locator("[data-examples]")).to_contain_text("{seq}")
    await page.get_by_role("button", name="{seq:4}").click()
    await expect(page.locator("[data-examples]")).to_contain_text("ORD-0001, ORD-0002")
    await save(page).click()
    await expect(bar(page)).to_contain_text("Order · Number: changed")
    await visitor.go("/settings/values/new")
    await page.get_by_label("Name: English").fill("Open on Sundays")
    await page.get_by_text("Yes or no").click()
    await expect(page.get_by_label("Smallest value")).to_be_hidden()
    await page.locator("[data-control=first_bool]").get_by_label("Value").check()
    await save(page, "Create value").click()
    await expect(page.locator("[data-setting=open_on_sundays] input[type=checkbox]")).to_be_checked()
    await visitor.go("/settings/labels?missing=zh_CN")
    line = page.locator("[data-label='settings[open_on_sundays].label']")
    await line.get_by_label(re.compile("简体中文")).fill("周日营业")
    await save(page).click()
    await expect(bar(page)).to_contain_text("1 text changed")
    assert await drafted(acme, "settings[open_on_sundays].label") == {"en": "Open on Sundays", "zh_CN": "周日营业"}


async def test_a_chinese_admin_adds_a_field_and_names_are_pinyin_keys(tianhe: Company, visit: Any) -> None:
    visitor: Visitor = await visit(tianhe, "admin", locale="zh-CN", phone=True)
    page = await visitor.go(f"{ENTITY}/fields/new?type=text")
    await page.locator("[name='label.zh_CN']").fill("开票抬头")
    await page.locator(".settings-main .form-foot button.primary").click()
    await expect(page.locator("tr[data-field=kai_piao_tai_tou]")).to_contain_text("开票抬头")
    await expect(bar(page)).to_be_visible()


async def test_another_type_shows_what_becomes_of_the_values(acme: Company, visit: Any) -> None:
    visitor: Visitor = await visit(acme, "admin")
    page = await visitor.go(f"{ENTITY}/fields/phone")
    await page.get_by_role("link", name="Change the type").click()
    await page.locator("[data-type]", has_text="Long text").click()
    await expect(page.locator(".notice.warn")).to_contain_text("from “Phone” into “Long text”")
    await save(page).click()
    await expect(page.locator("tr[data-field=phone]")).to_contain_text("Long text")
    assert (await drafted(acme, "entities[customer].fields[phone]"))["type"] == "longtext"
