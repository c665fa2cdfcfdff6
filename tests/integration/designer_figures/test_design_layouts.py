"""Layouts in the designer, without scripts: the form alone says the whole arrangement, and one act at a time changes it."""

from __future__ import annotations

import re

import pytest

PATH = "/settings/layouts/opportunity/default"


async def layout(admin):
    return await admin.find("layouts[opportunity:default]")


async def test_an_untouched_form_changes_nothing(admin):
    for path in (PATH, "/settings/layouts/customer/default", "/settings/layouts/order/default"):
        name = path.removeprefix("/settings/layouts/").replace("/", ":")
        before = await admin.find(f"layouts[{name}]")
        answer = await admin.get(path)
        assert answer.status_code == 200
        assert (await admin.send(path, answer, path)).status_code == 303
        assert await admin.find(f"layouts[{name}]") == before, name
    assert await admin.titles() == []


async def test_a_field_moves_by_one_act_and_is_saved_with_the_form(admin):
    answer = await admin.get(PATH)
    first = (await layout(admin))["tabs"][0]["sections"][0]
    item = f"field:{first['fields'][1]}"
    moved = await admin.send(PATH, answer, PATH, _act="move", _thing=item, _where="earlier")
    assert moved.status_code == 200 and await admin.titles() == []  # nothing saved yet
    assert (await admin.send(PATH, moved, PATH)).status_code == 303
    now = (await layout(admin))["tabs"][0]["sections"][0]["fields"]
    assert now[:2] == first["fields"][1::-1] and now[2:] == first["fields"][2:]
    assert await admin.titles() == ["Opportunities · Layout · For everybody: changed"]


async def test_a_field_goes_to_another_section_or_off_the_page(admin):
    answer = await admin.get(PATH)
    places = dict(re.findall(r'value="(section:s\d+)">([^<]*)<', answer.text))
    field = (await layout(admin))["tabs"][0]["sections"][0]["fields"][0]
    there = next(p for p in places if p != "section:s0")
    moved = await admin.send(PATH, answer, PATH, _act="move", _thing=f"field:{field}", _where=there)
    assert (await admin.send(PATH, moved, PATH)).status_code == 303
    sections = (await layout(admin))["tabs"][0]["sections"]
    assert field not in sections[0]["fields"] and sections[1]["fields"][-1] == field
    answer = await admin.get(PATH)
    gone = await admin.send(PATH, answer, PATH, _act="move", _thing=f"field:{field}", _where="out")
    assert (await admin.send(PATH, gone, PATH)).status_code == 303
    assert not any(field in s["fields"] for t in (await layout(admin))["tabs"] for s in t.get("sections", ()))


async def test_tabs_and_sections_are_added_named_and_sized(admin):
    answer = await admin.get(PATH)
    with_tab = await admin.send(PATH, answer, PATH, _act="add-tab")
    tab = re.findall(r'name="item" value="tab:(t\d+)"', with_tab.text)[-1]
    section = re.findall(r'name="item" value="section:(s\d+)"', with_tab.text)[-1]
    moved = await admin.send(PATH, with_tab, PATH, _act="move", _thing="field:created_at", _where=f"section:{section}", **{f"label.{tab}.en": "Paper trail", f"label.{tab}.zh_CN": "", f"size.{section}": "3", f"label.{section}.en": "When"})
    assert (await admin.send(PATH, moved, PATH)).status_code == 303
    last = (await layout(admin))["tabs"][-1]
    assert last["label"]["en"] == "Paper trail" and last["sections"] == [{"key": last["sections"][0]["key"], "label": {"en": "When"}, "columns": 3, "fields": ["created_at"]}]


async def test_a_tab_without_a_name_is_refused_where_it_stands(admin):
    answer = await admin.get(PATH)
    refused = await admin.send(PATH, answer, PATH, label__t0__en="", label__t0__zh_CN="")
    assert refused.status_code == 422 and "Give this tab a name." in refused.text and 'aria-invalid="true"' in refused.text
    assert await admin.titles() == []


async def test_columns_of_a_related_list(admin):
    answer = await admin.get("/settings/layouts/customer/default")
    [number] = {n for n, key in re.findall(r'name="relation\.(r\d+)" value="(\w+)"', answer.text) if key == "contacts"}
    path = "/settings/layouts/customer/default"
    assert (await admin.send(path, answer, path, **{f"columns.{number}": ["email", "name"]})).status_code == 303
    found = await admin.find("layouts[customer:default]")
    assert next(r for t in found["tabs"] for r in t.get("related", ()) if r["key"] == "contacts")["columns"] == ["email", "name"]


async def test_the_preview_shows_the_latest_record_and_other_tabs(admin, records):
    await records["person"].create("opportunity", name="Newest deal", customer=records["customer"], expected_amount="7")
    answer = await admin.get(PATH)
    assert 'class="preview-record"' in answer.text and "Newest deal" in answer.text
    keys = re.findall(r'name="_tab" value="(\w+)"', answer.text)
    shown = await admin.send(f"{PATH}/preview", answer, PATH, _tab=keys[1], timeline="off")
    assert f'name="_tab" value="{keys[1]}" checked' in shown.text
    assert 'class="record-side"' in answer.text and 'class="record-side"' not in shown.text  # the timeline was switched off


async def test_a_kind_of_record_without_records_is_shown_empty(admin):
    answer = await admin.get("/settings/layouts/campaign/default")
    assert answer.status_code == 200 and "There is no record yet" in answer.text


async def test_a_layout_for_one_role_begins_as_a_copy(admin):
    answer = await admin.get("/settings/layouts/new-layout?entity=opportunity")
    made = await admin.send("/settings/layouts/new-layout", answer, "/settings/layouts/new-layout", roles=["sales"], start="default")
    assert made.status_code == 303 and made.headers["location"] == "/settings/layouts/opportunity/sales"
    found = await admin.find("layouts[opportunity:sales]")
    assert found["roles"] == ["sales"] and found["tabs"] == (await layout(admin))["tabs"]
    assert "For Salesperson" in (await admin.get("/settings/layouts")).text


async def test_a_layout_can_begin_with_everything(admin):
    answer = await admin.get("/settings/layouts/new-layout?entity=lead")
    made = await admin.send("/settings/layouts/new-layout", answer, "/settings/layouts/new-layout", roles=["sales"], start="")
    path = made.headers["location"]
    answer = await admin.get(path)
    assert answer.status_code == 200 and "data-preview-blank" not in answer.text
    assert (await admin.send(path, answer, path)).status_code == 303
    page = await admin.get(f"{path}/remove")
    assert page.status_code == 200
    assert (await admin.post(f"{path}/remove")).status_code == 303
    assert await admin.find("layouts[lead:sales]") is None


@pytest.mark.parametrize("path", ["/settings/layouts/customer/nothing", "/settings/layouts/nothing/default", "/settings/layouts/new-layout?entity=nothing"])
async def test_what_is_not_there_is_not_found(admin, path):
    assert (await admin.get(path)).status_code == 404
