"""What is put together, what is a conflict, and how conflicts are decided."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from bundles import field, good_bundle, label

from saas.metadata.edits import add, find, move, put, remove
from saas.metadata.merge import MISSING, Conflict, Merge, merge, resolve
from saas.metadata.packs import load_pack
from saas.metadata.parse import problems_of

BASE = good_bundle()
PHONE = "entities[customer].fields[phone]"


def merged(mine: dict[str, Any], theirs: dict[str, Any], base: dict[str, Any] = BASE) -> Merge:
    return merge(base, mine, theirs)


def keys(found: Merge, path: str) -> list[str]:
    return [d["key"] for d in find(found.bundle, path)]


def test_two_properties_of_one_field():
    found = merged(put(BASE, f"{PHONE}.required", True), put(BASE, f"{PHONE}.label.zh_CN", "手机"))
    assert not found.conflicts
    assert find(found.bundle, PHONE) == {**field("phone", "phone", required=True), "label": {"en": "Phone", "zh_CN": "手机"}}
    assert (found.from_mine, found.from_theirs) == ((f"{PHONE}.required",), (f"{PHONE}.label.zh_CN",))
    assert problems_of(found.bundle) == []


def test_one_property_changed_by_both():
    found = merged(put(BASE, f"{PHONE}.label.en", "Mobile"), put(BASE, f"{PHONE}.label.en", "Telephone"))
    assert found.conflicts == (Conflict(f"{PHONE}.label.en", "Phone", "Mobile", "Telephone"),)
    assert find(found.bundle, f"{PHONE}.label.en") == "Mobile"  # mine until it is decided
    assert find(resolve(found, {f"{PHONE}.label.en": "theirs"}), f"{PHONE}.label.en") == "Telephone"


def test_same_change_on_both_sides_is_no_conflict():
    found = merged(put(BASE, f"{PHONE}.required", True), put(BASE, f"{PHONE}.required", True))
    assert found.conflicts == ()
    assert find(found.bundle, f"{PHONE}.required") is True


@pytest.mark.parametrize("swap", [False, True])
def test_removed_by_one_and_changed_by_the_other(swap: bool):
    sides = remove(BASE, PHONE), put(BASE, f"{PHONE}.required", True)
    found = merged(*(reversed(sides) if swap else sides))
    assert [c.path for c in found.conflicts] == [PHONE]
    assert ((found.conflicts[0].theirs if swap else found.conflicts[0].mine) is MISSING)
    assert (find(found.bundle, PHONE) is None) is not swap
    other = resolve(found, {PHONE: "theirs"})
    assert (find(other, PHONE) is None) is swap
    if not swap:  # back in its old place
        assert [f["key"] for f in find(other, "entities[customer].fields")] == [f["key"] for f in BASE["entities"][0]["fields"]]


def test_both_add_the_same_key_differently():
    found = merged(add(BASE, "entities[customer].fields", field("fax", "phone")), add(BASE, "entities[customer].fields", field("fax", "text")))
    assert found.conflicts == (Conflict("entities[customer].fields[fax]", MISSING, field("fax", "phone"), field("fax", "text")),)


def test_both_add_fields():
    found = merged(add(BASE, "entities[deal].fields", field("one", "text")), add(BASE, "entities[deal].fields", field("two", "text")))
    assert not found.conflicts
    assert keys(found, "entities[deal].fields")[-2:] == ["one", "two"]


def test_views_of_different_entities_may_share_a_key():
    view = {"key": "mine", "entity": "deal", "label": label("Mine"), "columns": ["subject"]}
    found = merged(add(BASE, "views", view), put(BASE, "views[customer:mine].page_size", 50))
    assert not found.conflicts
    assert (find(found.bundle, "views[deal:mine]"), find(found.bundle, "views[customer:mine].page_size")) == (view, 50)


def test_columns_are_a_set_with_an_order():
    path = "views[customer:mine].columns"  # name grade owner
    found = merged(put(BASE, path, ["grade", "name", "owner"]), put(BASE, path, ["name", "grade", "owner", "phone"]))
    assert (found.conflicts, find(found.bundle, path)) == ((), ["grade", "name", "owner", "phone"])
    found = merged(put(BASE, path, ["name", "owner"]), put(BASE, path, ["name", "phone", "grade", "owner"]))
    assert (found.conflicts, find(found.bundle, path)) == ((), ["name", "phone", "owner"])
    found = merged(put(BASE, path, ["grade", "name", "owner"]), put(BASE, path, ["owner", "name", "grade"]))
    assert found.conflicts == (Conflict(path, ["name", "grade", "owner"], ["grade", "name", "owner"], ["owner", "name", "grade"]),)


def test_sort_orders_are_never_mixed():
    path = "views[customer:mine].sort"
    found = merged(put(BASE, path, ["name"]), put(BASE, path, ["-updated_at", "name", "grade"]))
    assert [c.path for c in found.conflicts] == [path]


def test_two_who_each_take_away_half_do_not_open_it_to_everybody():
    path = "pipelines[deal].transitions[win].roles"
    base = put(BASE, path, ["sales", "admin"])
    found = merged(put(base, path, ["sales"]), put(base, path, ["admin"]), base)
    assert [c.path for c in found.conflicts] == [path]
    assert find(found.bundle, path) == ["sales"]


def test_filters_conditions_and_rights_are_one_thing_each():
    for path, one, two in (
        ("views[customer:mine].filter", {"field": "grade", "op": "eq", "value": "b"}, {"field": "grade", "op": "ne", "value": "a"}),
        ("roles[sales].entities.customer.update", {"scope": "dept", "if": "grade != 'a'"}, {"scope": "own", "if": "grade != 'b'"}),
        ("roles[sales].entities.customer.fields.phone", "read", {"access": "masked", "mask": "*{2}"}),
        ("entities[customer].fields[since].default", {"expr": "add_days(today(), 1)"}, {"expr": "today() "}),
    ):
        found = merged(put(BASE, path, one), put(BASE, path, two))
        assert [c.path for c in found.conflicts] == [path], found.conflicts


def test_rights_on_different_entities_and_fields():
    mine = put(BASE, "roles[sales].entities.customer.fields.name", "read")
    theirs = put(put(BASE, "roles[sales].entities.customer.fields.helper", "hidden"), "roles[sales].entities.deal.update", "own")
    found = merged(mine, theirs)
    assert not found.conflicts
    rights = find(found.bundle, "roles[sales].entities")
    assert (rights["customer"]["fields"]["name"], rights["customer"]["fields"]["helper"], rights["deal"]["update"]) == ("read", "hidden", "own")


def test_type_and_what_belongs_to_it_are_not_mixed():
    path = "entities[customer].fields[name]"
    mine, theirs = copy.deepcopy(BASE), put(BASE, f"{path}.max_length", 80)
    find(mine, path).update(type="longtext", max_length=5000)
    assert [c.path for c in merged(put(mine, f"{path}.max_length", 50), theirs).conflicts] == [path]
    assert not merged(mine, put(BASE, f"{path}.required", False)).conflicts


def test_steps_of_a_script_are_not_mixed():
    path = "automations[tidy].do"
    one = put(BASE, f"{path}[0].values.name", "upper(name)")
    assert [c.path for c in merged(one, put(BASE, f"{path}[1].if", "credit == 2")).conflicts] == [path]
    assert not merged(one, put(BASE, "automations[tidy].active", False)).conflicts


def test_menus_group_by_group():
    base = put(BASE, "roles[sales].menu", [{"label": label("Work"), "items": ["customer"]}, {"label": label("Figures"), "items": ["report:deals"]}])
    mine = put(base, "roles[sales].menu[0].items", ["customer", "deal"])
    theirs = put(base, "roles[sales].menu", [{"label": label("Numbers"), "items": ["report:deals", "dashboard:start"]}, {"label": label("Work"), "items": ["customer", "board:deal"]}])
    found = merged(mine, theirs, base)
    assert not found.conflicts
    assert [(g["label"]["en"], g["items"]) for g in find(found.bundle, "roles[sales].menu")] == [
        ("Numbers", ["report:deals", "dashboard:start"]), ("Work", ["customer", "deal", "board:deal"])
    ]  # fmt: skip


def test_dashboards_widget_by_widget():
    mine = put(BASE, "dashboards[start].widgets[0].width", 12)
    theirs = put(BASE, "dashboards[start].widgets[count].width", 6)
    found = merged(mine, theirs)
    assert (found.conflicts, [w["width"] for w in find(found.bundle, "dashboards[start].widgets")]) == ((), [12, 6])


def test_moves():
    stages = "pipelines[deal].stages"
    assert keys(merged(move(BASE, f"{stages}[lost]", 0), BASE), stages) == ["lost", "open", "won"]
    assert keys(merged(move(BASE, f"{stages}[lost]", 0), add(BASE, stages, {"key": "late", "label": label("Late")}, after="open")), stages) == ["lost", "open", "late", "won"]
    fields = "entities[customer].fields"
    both = keys(merged(move(BASE, f"{fields}[note]", 0), move(BASE, f"{fields}[phone]", 12)), fields)
    assert (both[0], both[-1]) == ("note", "phone")  # each one's own move counts
    assert keys(merged(move(BASE, f"{fields}[note]", 0), move(BASE, f"{fields}[note]", 5)), fields)[0] == "note"  # mine, where both moved the same


def test_null_false_and_zero_are_values():
    for one, two in ((None, 0), (False, 0), (1, True)):
        found = merged(put(BASE, "settings[churn_days].default", one), put(BASE, "settings[churn_days].default", two))
        assert len(found.conflicts) == 1, (one, two)


def test_drafts_in_disorder_can_be_merged():
    broken: Callable[[Any], dict[str, Any]] = lambda value: put(BASE, "entities", value)  # noqa: E731
    for value in (None, "x", [1, 2], [{"key": "a"}, {"key": "a"}], [{"label": "x"}], {}, [[]], [{"key": ["x"]}]):
        for other in (BASE, put(BASE, f"{PHONE}.required", True), broken("y")):
            found = merged(broken(value), other)
            resolve(found, {c.path: "theirs" for c in found.conflicts})


def test_shipped_packs_merge_quickly_enough_and_well():
    base = load_pack("baseline-crm")
    entity = base["entities"][0]["key"]
    mine = add(base, f"entities[{entity}].fields", field("mine_x", "text"))
    theirs = put(base, f"entities[{entity}].label.en", "Other")
    found = merge(base, mine, theirs)
    assert (found.conflicts, problems_of(found.bundle)) == ((), [])
    assert (find(found.bundle, f"entities[{entity}].fields[mine_x].type"), find(found.bundle, f"entities[{entity}].label.en")) == ("text", "Other")
