"""Views in the designer, without scripts: made, changed, tried, ordered, copied and removed in the draft."""

from __future__ import annotations

import re

import pytest

from tests.integration.test_pages import error_for

PATH = "/settings/views/opportunity/all"


async def test_an_untouched_form_changes_nothing(admin):
    for path in (PATH, "/settings/views/opportunity/board", "/settings/views/customer/mine"):
        answer = await admin.get(path)
        assert answer.status_code == 200
        before = await admin.find(f"views[{path.rpartition('views/')[2].replace('/', ':')}]")
        assert (await admin.send(path, answer, path)).status_code == 303
        after = await admin.find(f"views[{path.rpartition('views/')[2].replace('/', ':')}]")
        assert {k: v for k, v in after.items() if k != "columns"} == {k: v for k, v in before.items() if k != "columns"}, path
        assert after.get("columns") == before.get("columns") or after.get("kind") == "board"


async def test_columns_sort_and_group_are_saved_as_one_step(admin):
    answer = await admin.get(PATH)
    answer = await admin.send(
        PATH, answer, PATH, columns=["name", "expected_amount", "created_by"], sort__0__field="expected_amount", sort__0__down="1", sort__1__field="name", sort__1__down="", sort__2__field="", group="source", page_size="10"
    )
    assert answer.status_code == 303
    found = await admin.find("views[opportunity:all]")
    assert (found["columns"], found["sort"], found["group"], found["page_size"]) == (["name", "expected_amount", "created_by"], ["-expected_amount", "name"], "source", 10)
    assert len(await admin.titles()) == 1
    assert "1 unpublished change" in (await admin.get("/settings/views")).text


async def test_the_result_is_drawn_under_the_draft(admin):
    answer = await admin.get(PATH)
    assert answer.text.index("Huge deal") and "3 records" in answer.text
    shown = await admin.send("/settings/views/opportunity/preview?key=all", answer, PATH, columns=["name", "expected_amount"], **{"filter.mode": "text", "filter.text": "expected_amount > 500"})
    assert "Huge deal" in shown.text and "Big deal" in shown.text and "Small deal" not in shown.text
    assert await admin.titles() == []  # nothing was saved


async def test_a_preview_says_what_is_wrong(admin):
    answer = await admin.get(PATH)
    shown = await admin.send("/settings/views/opportunity/preview?key=all", answer, PATH, **{"filter.mode": "text", "filter.text": "no_such_field > 500"})
    assert shown.status_code == 200 and "data-preview-blank" in shown.text and "no_such_field" in shown.text


async def test_a_new_view_needs_only_a_name(admin):
    answer = await admin.get("/settings/views/new-view?entity=customer")
    refused = await admin.send("/settings/views/new-view", answer, "/settings/views/new-view", label__en="")
    assert refused.status_code == 422 and error_for(refused, "label") and await admin.titles() == []
    made = await admin.send("/settings/views/new-view", answer, "/settings/views/new-view", label__en="Nearby ones")
    assert made.status_code == 303
    found = await admin.find("views[customer:nearby_ones]")
    assert found["label"] == {"en": "Nearby ones"} and found["columns"][0] == "name"


async def test_a_board_needs_columns_and_keeps_what_the_list_had(admin):
    answer = await admin.get("/settings/views/customer/all")
    refused = await admin.send("/settings/views/customer/all", answer, "/settings/views/customer/all", kind="board", **{"board.by": ""})
    assert refused.status_code == 422 and "columns of the board" in error_for(refused, "board.by")
    saved = await admin.send("/settings/views/customer/all", answer, "/settings/views/customer/all", kind="board", **{"board.by": "class", "board.card": ["phone"]})
    assert saved.status_code == 303
    found = await admin.find("views[customer:all]")
    assert found["board"] == {"by": "class", "card": ["phone"]} and found["columns"]


async def test_only_one_view_is_shown_first(admin):
    answer = await admin.get("/settings/views/customer/mine")
    await admin.send("/settings/views/customer/mine", answer, "/settings/views/customer/mine", default=["off", "on"])
    firsts = [v["key"] for v in (await admin.draft())["views"] if v["entity"] == "customer" and v.get("default") and v.get("kind", "list") == "list"]
    assert firsts == ["mine"]


async def test_two_windows_lose_nothing(admin):
    first, second = await admin.get(PATH), await admin.get(PATH)
    assert (await admin.send(PATH, first, PATH, page_size="20")).status_code == 303
    late = await admin.send(PATH, second, PATH, page_size="30")
    assert late.status_code == 422 and 'value="30"' in late.text
    assert (await admin.find("views[opportunity:all]"))["page_size"] == 20


async def test_order_stays_inside_the_entity(admin):
    before = [f"{v['entity']}:{v['key']}" for v in await admin.find("views")]
    await admin.get("/settings/views")
    keys = [k.partition(":")[2] for k in before if k.startswith("customer:")]
    assert (await admin.post("/settings/views/customer/order", {"key": keys[::-1]})).status_code == 303
    after = [f"{v['entity']}:{v['key']}" for v in await admin.find("views")]
    assert [k for k in after if k.startswith("customer:")] == [f"customer:{k}" for k in keys[::-1]]
    assert [k for k in after if not k.startswith("customer:")] == [k for k in before if not k.startswith("customer:")]


async def test_copies_and_removal(admin):
    await admin.get(PATH)
    copied = await admin.post(f"{PATH}/copy")
    assert copied.status_code == 303
    key = copied.headers["location"].rpartition("/")[2]
    assert (await admin.find(f"views[opportunity:{key}]"))["label"]["en"].endswith("(copy)")
    page = await admin.get("/settings/views/opportunity/board/remove")
    assert "Opportunities" in page.text or "refers" in page.text
    assert (await admin.post("/settings/views/opportunity/board/remove", {"clean": "yes"})).status_code == 303
    assert await admin.find("views[opportunity:board]") is None
    assert not (await admin.get("/settings/draft")).text.count("unknown_view")


async def test_what_is_published_is_what_people_see(admin, records):
    """Groups, their order and the rows of a page."""
    person = records["person"]
    for source in ("referral", "website", "referral"):
        await person.create("opportunity", name=f"From {source}", customer=records["customer"], expected_amount="10", source=source)
    live = await person.call("GET", "/config")
    bundle = live["bundle"]
    bundle["views"].append({"entity": "opportunity", "key": "by_source", "label": {"en": "By source"}, "columns": ["name"], "group": "source", "sort": ["name"], "page_size": 5})
    await person.call("POST", "/config/publish", {"bundle": bundle, "base_revision": live["revision"], "message": "grouped"}, expect=None)
    text = (await admin.get("/r/opportunity?view=by_source")).text
    heads = re.findall(r'<tr class="group-row"><th[^>]*>(.*?)</th>', text)
    assert len(heads) == 3 and "Not set" in heads[-1] and text.count("<tr data-record-id") == 5


@pytest.mark.parametrize("path", ["/settings/views/customer/nothing", "/settings/views/nothing/all", "/settings/views/new-view?entity=nothing"])
async def test_what_is_not_there_is_not_found(admin, path):
    assert (await admin.get(path)).status_code == 404
