"""New entities and links come whole: valid, usable by the chosen roles, seen by no other."""

from __future__ import annotations

import copy
from itertools import combinations

import pytest

from saas.metadata import blueprints
from saas.metadata.blueprints import FEATURES, Wish
from saas.metadata.packs import load_pack
from saas.metadata.parse import parse_bundle, problems_of
from saas.metadata.relations import Wanted, add_link, links


@pytest.fixture(scope="module", params=["baseline-crm", "jb-rm-crm"])
def raw(request):
    return load_pack(request.param)


def wish(**changes):
    return Wish(**{"label": {"en": "Loan", "zh_CN": "借用"}, "plural": {"en": "Loans"}, **changes})


def find(raw, section, **properties):
    return next(d for d in raw[section] if all(d.get(k) == v for k, v in properties.items()))


@pytest.mark.parametrize("count", range(len(FEATURES) + 1))
def test_any_choice_of_features_is_valid(raw, count):
    before = copy.deepcopy(raw)
    for features in combinations(FEATURES, count):
        new, key = blueprints.add_entity(raw, wish(features=features, roles=("admin",)))
        assert (key, problems_of(new)) == ("loan", []), features
    assert raw == before


def test_each_feature_brings_its_parts(raw):
    new, _key = blueprints.add_entity(raw, wish(features=FEATURES, roles=("admin",)))
    loan = find(new, "entities", key="loan")
    types = {f["key"]: f["type"] for f in loan["fields"]}
    assert types == {"name": "text", "stage": "pipeline", "start": "date", "end": "date", "tags": "tags", "total": "rollup", "attachments": "file"}
    pipeline = find(new, "pipelines", entity="loan")
    assert [s["key"] for s in pipeline["stages"]] == ["new", "in_progress", "done"]
    assert {(t["from"][0], t["to"]) for t in pipeline["transitions"]} == {("new", "in_progress"), ("in_progress", "done"), ("done", "in_progress")}
    line = find(new, "entities", key="loan_line")
    assert line["fields"][0]["detail"] and not line["owned"]
    assert {v["key"] for v in new["views"] if v["entity"] == "loan"} == {"all", "upcoming"}
    layout = find(new, "layouts", entity="loan")
    assert [t["key"] for t in layout["tabs"]] == ["overview", "history"] and layout["tabs"][0]["related"] == [{"key": "lines", "columns": ["name", "quantity", "unit_price", "amount"]}]


def test_without_the_owner_records_have_none(raw):
    new, key = blueprints.add_entity(raw, wish(features=()))
    assert find(new, "entities", key=key)["owned"] is False


def test_chosen_roles_can_work_at_once_and_others_see_nothing(raw):
    roles = [r["key"] for r in raw["roles"]]
    chosen = roles[:2]
    new, key = blueprints.add_entity(raw, wish(features=FEATURES, roles=chosen))
    parsed = parse_bundle(new)
    for role in parsed.roles:
        if role.admin:
            continue
        rights = role.entities.get(key) or role.entities.get("*")
        assert bool(rights and rights.create) == bool(rights and rights.read) == (role.key in chosen), role.key
        lines = role.entities.get(f"{key}_line") or role.entities.get("*")
        assert bool(lines and lines.read) == (role.key in chosen), role.key
        if role.transitions is not None:
            assert ("loan" in role.transitions) == (role.key in chosen)
        in_menu = any(key in group.items for group in role.menu)
        assert not role.menu or in_menu == (role.key in chosen)


@pytest.mark.parametrize(("label", "key"), [
    ({"en": "Report"}, "report_2"), ({"en": "Owner"}, "owner_2"), ({"en": "New"}, "new_2"), ({"en": "🚀"}, "entity_2"), ({"zh_CN": "设备"}, "she_bei"), ({"en": "A b/c  d!"}, "a_b_c_d"),
    ({"en": "x" * 300}, "x" * 40),
])  # fmt: skip
def test_odd_names_make_usable_keys(label, key):
    new, made = blueprints.add_entity(load_pack("baseline-crm"), wish(label=label, plural={}, features=("pipeline", "lines")))
    found = problems_of(new)
    if key == "entity_2":  # "entity" is a word of the system's own
        assert made.startswith("entity")
    else:
        assert made == key
    assert [p for p in found if p.code != "too_long"] == []


def test_a_link_has_lists_on_both_sides_and_free_names(raw):
    parent, child = raw["entities"][0]["key"], raw["entities"][1]["key"]
    new, first = add_link(raw, Wanted(child, parent, {"en": "Mother"}, {"en": "Children"}))
    new, second = add_link(new, Wanted(child, parent, {"en": "Mother"}, {"en": "Children"}, on_delete="set_null"))
    assert (first, second) == ("mother", "mother_2") and problems_of(new) == []
    made = [link for link in links(new) if link.child == child and link.field in (first, second)]
    assert [link.on_delete for link in made] == ["restrict", "set_null"]
    layout = next((x for x in new["layouts"] if x["entity"] == parent), None)
    if layout:
        assert sum(r["key"] in ("children", "children_2") for t in layout["tabs"] for r in t.get("related", ())) == 2


@pytest.mark.parametrize("changes", [{"many": True}, {"detail": True, "on_delete": "cascade"}, {"required": True}, {"shown": False}])
def test_every_kind_of_link_is_valid(raw, changes):
    parent, child = raw["entities"][0]["key"], raw["entities"][-1]["key"]
    new, key = add_link(raw, Wanted(child, parent, {}, **changes))
    assert problems_of(new) == []
    link = next(x for x in links(new) if (x.child, x.field) == (child, key))
    assert link.many == changes.get("many", False) and link.detail == changes.get("detail", False)
    assert link.required == (changes.get("required", False) or changes.get("detail", False))


def test_an_entity_can_point_to_itself(raw):
    key = raw["entities"][0]["key"]
    new, field = add_link(raw, Wanted(key, key, {"en": "Above"}, {"en": "Below"}))
    assert problems_of(new) == [] and field == "above"
