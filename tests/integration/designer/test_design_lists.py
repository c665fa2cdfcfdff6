"""Option lists, relations, numbers, values and labels in the designer, without scripts."""

from __future__ import annotations

import re

import pytest

from saas.metadata.labels import texts
from saas.runtime.contexts import context_for_user
from saas.runtime.numbers import next_numbers
from tests.acceptance.api import Person
from tests.integration.test_pages import error_for

INDUSTRY = "/settings/option-sets/industry"


def keys(found):
    return [o["key"] for o in found]


# ---- option lists -------------------------------------------------------------------------------------------------------


async def test_a_list_is_made_from_lines(admin):
    answer = await admin.fill("/settings/option-sets/new", {"label.en": "Colour of the file", "lines": "Red | 红\nGreen\nGreen\n蓝", "colourful": ["off", "on"]})
    assert answer.status_code == 303 and answer.headers["location"] == "/settings/option-sets/colour_of_the_file"
    made = await admin.find("option_sets[colour_of_the_file]")
    assert keys(made["options"]) == ["red", "green", "lan"] and made["options"][0]["label"] == {"en": "Red", "zh_CN": "红"}
    assert len({o["color"] for o in made["options"]}) == 3
    empty = await admin.fill("/settings/option-sets/new", {"label.en": "Nothing"})
    assert empty.status_code == 422 and error_for(empty, "lines") and 'value="Nothing"' in empty.text


async def test_rename_recolour_order_switch_off_and_add_in_one_step(admin):
    before = keys((await admin.find("option_sets[industry]"))["options"])
    rows = [before[1], before[0], *before[2:]]
    answer = await admin.fill(
        INDUSTRY, {"row": rows, "option.construction.en": "Building", "option.construction.color": "pink", "option.education.active": "off", "new.en": "Farming", "new.zh_CN": "农业", "new.color": "green"}
    )
    assert answer.status_code == 303
    found = (await admin.find("option_sets[industry]"))["options"]
    assert keys(found) == [*rows, "farming"] and found[-1] == {"key": "farming", "label": {"en": "Farming", "zh_CN": "农业"}, "color": "green"}
    by_key = {o["key"]: o for o in found}
    assert (by_key["construction"]["label"]["en"], by_key["construction"]["color"], by_key["education"]["active"]) == ("Building", "pink", False)
    assert [s.title for s in (await admin.draft()).steps] == ["Industry: changed"]
    assert (await admin.fill(INDUSTRY)).status_code == 303
    assert len((await admin.draft()).steps) == 1  # nothing changed: no step


async def test_an_option_without_a_name_is_refused_and_all_input_kept(admin):
    answer = await admin.fill(INDUSTRY, {"option.construction.en": "", "option.construction.zh_CN": "", "option.education.en": "Schools", "new.en": "Kept"})
    assert answer.status_code == 422 and error_for(answer, "construction")
    assert 'value="Schools"' in answer.text and 'value="Kept"' in answer.text
    assert (await admin.draft()).is_empty


async def test_two_thousand_options_stay_usable_and_none_is_lost(admin):
    answer = await admin.fill("/settings/option-sets/new", {"label.en": "Towns", "lines": "\n".join(f"Town {n:04}" for n in range(2000))})
    assert answer.status_code == 303
    page = (await admin.get("/settings/option-sets/towns")).text
    assert page.count("data-option=") == 100 and "Page 1 of 20" in page and len(page) < 400_000
    answer = await admin.fill("/settings/option-sets/towns?page=20", {"option.town_1999.en": "Last town"})
    assert answer.status_code == 303 and answer.headers["location"].endswith("?page=20")
    found = (await admin.find("option_sets[towns]"))["options"]
    assert len(found) == 2000 and found[-1]["label"]["en"] == "Last town" and found[0]["label"]["en"] == "Town 0000"
    searched = (await admin.get("/settings/option-sets/towns?q=town+123")).text
    assert set(re.findall(r'data-option="(\w+)"', searched)) == {f"town_123{n}" for n in range(10)}
    await admin.fill("/settings/option-sets/towns?q=town+1234", {"option.town_1234.color": "red"})
    assert len((await admin.find("option_sets[towns]"))["options"]) == 2000
    too_many = await admin.fill("/settings/option-sets/towns/many", {"lines": "\n".join(f"Village {n}" for n in range(3001))})
    assert too_many.status_code == 422 and error_for(too_many, "lines") and "Village 3000" in too_many.text
    await admin.last()


async def test_many_are_added_and_known_ones_passed_over(admin):
    answer = await admin.fill(f"{INDUSTRY}/many", {"lines": "Mining\nconstruction\nFishing | 渔业"})
    assert answer.status_code == 303
    assert keys((await admin.find("option_sets[industry]"))["options"])[-2:] == ["mining", "fishing"]
    again = await admin.fill(f"{INDUSTRY}/many", {"lines": "Mining"})
    assert again.status_code == 422 and error_for(again, "lines")


async def test_an_option_is_moved_by_its_place(admin):
    await admin.fill(f"{INDUSTRY}/o/construction", {"position": "1"})
    assert keys((await admin.find("option_sets[industry]"))["options"])[0] == "construction"


async def test_removing_says_who_has_it_and_what_they_get(admin, http):
    person = await Person(http, admin.host, language="en").sign_in(admin.tenant.admin_email, admin.tenant.admin_password)
    await person.create("customer", name="Builders", industry="construction")
    page = (await admin.get(f"{INDUSTRY}/o/construction/remove")).text
    assert "Customer · Industry: 1 records have it." in page
    answer = await admin.fill(f"{INDUSTRY}/o/construction/remove", {"replacement": "manufacturing"})
    assert answer.status_code == 303 and await admin.last() == "Industry · Construction: removed"
    assert list((await admin.draft()).data) == [{"do": "replace", "entity": "customer", "field": "industry", "from": "construction", "to": "manufacturing"}]
    unsaid = await admin.post(f"{INDUSTRY}/o/education/remove", {"clean": "yes"})
    assert unsaid.status_code == 422 and "Say what records get instead" in unsaid.text


async def test_an_option_is_split_by_conditions(admin):
    first = await admin.fill(f"{INDUSTRY}/o/construction/split", {"lines": "Houses | 房建\nBridges"})
    assert first.status_code == 200 and "Customer · Industry" in first.text
    name = "customer.industry"
    answer = await admin.post(
        f"{INDUSTRY}/o/construction/split",
        {"step": "2", "lines": "Houses | 房建\nBridges", "keep": "off", f"rules.{name}.0.to": "bridges", f"rules.{name}.0.if.mode": "text", f"rules.{name}.0.if.text": "size == 'over1000'", f"rest.{name}": "houses"},
    )
    assert answer.status_code == 303, answer.text[:500]
    found = keys((await admin.find("option_sets[industry]"))["options"])
    assert "construction" not in found and found.index("bridges") == found.index("houses") + 1 == 3
    step = {"do": "replace", "entity": "customer", "field": "industry", "from": "construction", "to": "houses", "rules": [{"if": "size == 'over1000'", "to": "bridges"}]}
    assert list((await admin.draft()).data) == [step]


async def test_options_are_merged_into_one(admin):
    answer = await admin.fill(f"{INDUSTRY}/o/other/merge", {"others": ["education", "healthcare"]})
    assert answer.status_code == 303
    assert {"education", "healthcare"} & set(keys((await admin.find("option_sets[industry]"))["options"])) == set()
    assert [(s["from"], s["to"]) for s in (await admin.draft()).data] == [("education", "other"), ("healthcare", "other")]
    nobody = await admin.fill(f"{INDUSTRY}/o/other/merge")
    assert nobody.status_code == 422 and error_for(nobody, "others")


async def test_choices_of_one_field_have_the_same_pages(admin):
    base = "/settings/entities/contact/fields/decision_role/options"
    options = keys((await admin.find("entities[contact].fields[decision_role]"))["options"])
    assert (await admin.fill(base, {"new.en": "Sponsor"})).status_code == 303
    assert (await admin.fill(f"{base}/o/{options[0]}/remove", {"replacement": "sponsor"})).status_code == 303
    assert keys((await admin.find("entities[contact].fields[decision_role]"))["options"]) == [*options[1:], "sponsor"]
    assert (await admin.draft()).data[0]["to"] == "sponsor"
    assert (await admin.get("/settings/entities/contact/fields/name/options")).status_code == 404


async def test_the_last_option_and_a_list_in_use(admin):
    await admin.fill("/settings/option-sets/new", {"label.en": "Lonely", "lines": "One"})
    answer = await admin.post("/settings/option-sets/lonely/o/one/remove", {"clean": "yes"})
    assert answer.status_code == 422 and "at least one option" in answer.text
    assert (await admin.fill("/settings/option-sets/lonely/remove")).status_code == 303
    assert await admin.find("option_sets[lonely]") is None
    assert "chooses from it" in (await admin.get(f"{INDUSTRY}/remove")).text


# ---- relations ----------------------------------------------------------------------------------------------------------


async def test_all_links_are_listed_and_drawn(admin):
    page = (await admin.get("/settings/relations?entity=order")).text
    assert "Each Order belongs to one Customer" in page and "Each Order line is a part of one Order" in page
    assert 'href="/settings/relations?entity=customer"' in page
    assert (await admin.get("/settings/relations?entity=nonsense")).status_code == 200


@pytest.mark.parametrize(("kind", "type_", "on_delete"), [("one", "ref", "set_null"), ("part", "ref", "cascade"), ("many", "m2m", None)])
async def test_a_relation_is_made_in_sentences(admin, kind, type_, on_delete):
    answer = await admin.fill("/settings/relations/new", {"kind": kind, "child": "article", "parent": "product", "inverse.en": "Manuals", "on_delete": "set_null"})
    assert answer.status_code == 303, answer.text[answer.text.find("data-error-summary") :][:300]
    made = await admin.find("entities[article].fields[product_2]") or await admin.find("entities[article].fields[product]")
    assert (made["type"], made["to"], made.get("on_delete"), made["inverse"]) == (type_, "product", on_delete, {"key": "manuals", "label": {"en": "Manuals"}})
    assert "Article → Product" in await admin.last()


async def test_a_relation_needs_both_sides(admin):
    answer = await admin.fill("/settings/relations/new", {"kind": "one", "label.en": "Kept"})
    assert answer.status_code == 422 and error_for(answer, "child") and error_for(answer, "parent") and 'value="Kept"' in answer.text
    itself = await admin.fill("/settings/relations/new", {"kind": "part", "child": "order", "parent": "order"})
    assert itself.status_code == 422 and error_for(itself, "parent")


# ---- numbering ----------------------------------------------------------------------------------------------------------


async def test_numbers_are_shaped_with_an_example(admin):
    assert "O-{yyyy}-{seq:4}" in (await admin.get("/settings/numbering")).text
    shown = await admin.post("/settings/numbering/example", {"text": "A{yy}-{seq:3}"})
    assert re.search(r"A\d\d-001, A\d\d-002, A\d\d-037", shown.text)
    assert "verdict-bad" in (await admin.post("/settings/numbering/example", {"text": "no number"})).text
    answer = await admin.fill("/settings/numbering/order/number", {"pattern": "ORD-{seq:6}", "reset": "never"})
    assert answer.status_code == 303
    made = await admin.find("entities[order].fields[number]")
    assert (made["pattern"], made.get("reset", "never")) == ("ORD-{seq:6}", "never")
    wrong = await admin.fill("/settings/numbering/order/number", {"pattern": "{nothing}"})
    assert wrong.status_code == 422 and error_for(wrong, "pattern") and "{nothing}" in wrong.text


async def test_counting_goes_on_from_a_higher_number_only(admin):
    url = "/settings/numbering/order/number/next"
    await admin.get("/settings/numbering/order/number")
    assert (await admin.post(url, {"next": "500"})).status_code == 303
    ctx = await context_for_user(admin.tenant.id, admin.tenant.admin_id)
    assert (await next_numbers(ctx))["order", "number"] == 500
    for refused in ("3", "500", "0", "²", "x"):
        answer = await admin.post(url, {"next": refused})
        assert answer.status_code == 422 and error_for(answer, "next"), refused
    assert (await next_numbers(ctx))["order", "number"] == 500
    assert (await admin.draft()).is_empty
    assert "Next number set" in (await admin.get("/settings/audit")).text


# ---- values -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "given", "value"), [("int", "7", 7), ("number", "1.5", 1.5), ("bool", ["off", "on"], True), ("text", "x y", "x y"), ("date", "2026-03-01", "2026-03-01"), ("int", "", None)])
async def test_values_of_every_kind_are_made_set_and_removed(admin, kind, given, value):
    name = f"first_{'int' if kind == 'number' else kind}"
    answer = await admin.fill("/settings/values/new", {"label.en": "Threshold", "type": kind, name: given})
    assert answer.status_code == 303, answer.text[:300]
    made = await admin.find("settings[threshold]")
    assert (made["type"], made["default"]) == (kind, value)
    assert (await admin.fill("/settings/values")).status_code == 303
    assert await admin.find("settings[threshold]") == made
    assert (await admin.fill("/settings/values/threshold", {"help.en": "Why"})).status_code == 303
    assert (await admin.find("settings[threshold]"))["help"] == {"en": "Why"}
    assert (await admin.fill("/settings/values/threshold/remove")).status_code == 303
    assert await admin.find("settings[threshold]") is None


async def test_a_value_outside_its_limits_is_refused_at_its_place(admin):
    await admin.fill("/settings/values/new", {"label.en": "Days", "type": "int", "first_int": "5", "min": "1", "max": "10"})
    answer = await admin.fill("/settings/values", {"value.days": "99"})
    assert answer.status_code == 422 and error_for(answer, "value.days") and 'value="99"' in answer.text
    answer = await admin.fill("/settings/values", {"value.days": "many"})
    assert answer.status_code == 422 and error_for(answer, "value.days")
    assert (await admin.fill("/settings/values", {"value.days": "9"})).status_code == 303
    assert (await admin.find("settings[days]"))["default"] == 9


# ---- labels -------------------------------------------------------------------------------------------------------------


async def test_what_is_missing_in_a_language_is_filled_in_page_by_page(admin):
    await admin.fill("/settings/option-sets/new", {"label.en": "Towns", "lines": "\n".join(f"Town {n}" for n in range(60))})
    page = (await admin.get("/settings/labels?missing=zh_CN")).text
    assert page.count("data-label=") == 50 and "Page 1 of 2" in page and "Option lists · Towns" in page
    answer = await admin.fill("/settings/labels?missing=zh_CN", {"t.0.zh_CN": "城镇", "t.1.zh_CN": "一"})
    assert answer.status_code == 303
    assert (await admin.find("option_sets[towns]"))["label"] == {"en": "Towns", "zh_CN": "城镇"}
    assert await admin.last() == "Labels: 2 texts changed"
    assert sum(t.missing == ("zh_CN",) for t in texts(await admin.raw())) == 59


async def test_labels_are_found_and_may_not_be_emptied(admin):
    page = (await admin.get("/settings/labels?q=Trade+fair")).text
    assert "Trade fair" in page and page.count("data-label=") < 10
    assert "Nothing found" in (await admin.get("/settings/labels?q=zzzzz")).text
    answer = await admin.fill("/settings/labels?section=option_sets", {"t.0.en": "", "t.0.zh_CN": ""})
    assert answer.status_code == 422 and "at least one language" in answer.text
    assert (await admin.draft()).is_empty


async def test_a_text_with_a_broken_placeholder_is_refused(admin):
    page = await admin.get("/settings/labels?section=automations&q=%7B%7B")
    if "data-label=" not in page.text:
        pytest.skip("no text with a placeholder in this pack")
    answer = await admin.fill("/settings/labels?section=automations&q=%7B%7B", {"t.0.en": "{{ no_such_thing }}"})
    assert answer.status_code == 422 and (await admin.draft()).is_empty
