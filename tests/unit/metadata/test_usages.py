"""Everything that refers to a definition is found, in words; references that can go without guessing go with it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from bundles import field, good_bundle, label

from saas.i18n import use_locale
from saas.metadata.config import Config
from saas.metadata.edits import add, find, put, remove
from saas.metadata.parse import parse_bundle, problems_of
from saas.metadata.removal import removal, remove_with_references, strip, take_out
from saas.metadata.usages import usages
from tests.factories import rich_bundle

BASE = good_bundle()
GRADE = "entities[customer].fields[grade]"


def texts(path: str, raw: dict[str, Any] | None = None) -> dict[str, str]:
    return {u.path: u.text for u in usages(raw or BASE, path)}


def test_usages_of_a_field():
    assert texts(GRADE) == {
        "entities[customer].fields[shown].expr": "Field “Shown” of “Customer” is computed from it",
        "entities[customer].fields[note].visible_if": "Field “Note” of “Customer” uses it in “Shown if”",
        "pipelines[deal].transitions[win].effects[0].values[grade]": "Transition “Win” of “Deal” sets values with it",
        "roles[sales].entities.customer.update": "Rights “Customer” of “Sales” uses it in “Edit”",
        "views[customer:mine].columns[grade]": "View “Mine” of “Customer” shows it as a column",
        "views[customer:mine].filter": "View “Mine” of “Customer” filters by it",
        "layouts[customer:main].header[grade]": "Layout “Standard layout” of “Customer” shows it in the head",
        "layouts[customer:main].tabs[details].sections[base].fields[grade]": "Section “Section 1” of “Customer · Standard layout · Details” shows it",
        "reports[deals].widgets[by_grade].dimensions[0].field": "Widget “By grade” of “Deals” is grouped by it",
        "automations[follow_up].on.fields[grade]": "Automation “Follow up” runs when it changes",
        "automations[follow_up].if": "Automation “Follow up” depends on it",
        "schedules[churn].where": "Schedule “Churn” selects records by it",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("entities[customer].fields[name]", {"entities[customer].title", "entities[customer].search[name]", "entities[customer].unique[name_phone].fields[name]",
         "entities[customer].fields[shown].expr", "automations[tidy].do[0].values[name]", "schedules[churn].do[0].title.en", "views[customer:mine].sort[name]"}),
        ("entities[customer].fields[region]", {"entities[customer].fields[city].depends_on"}),
        ("entities[customer].fields[region].options[north]", {"option_sets[city].options[harbin].parent"}),
        ("entities[customer].fields[parent]", {"entities[customer].tree.parent"}),
        ("entities[deal].fields[amount]", {"entities[customer].fields[deal_sum].field", "pipelines[deal].transitions[win].guard", "pipelines[deal].transitions[win].require[amount]",
         "pipelines[deal].transitions[reopen].branches[0].if", "roles[sales].entities.deal.read", "views[deal:board].board.sum",
         "layouts[customer:main].tabs[deals].related[deals].columns[amount]", "reports[deals].widgets[by_grade].measures[0].field"}),
        ("entities[deal].fields[customer]", {"entities[customer].fields[deal_count].of", "entities[customer].timeline.sources[0].via", "schedules[churn].where",
         "layouts[customer:main].tabs[deals].related[deals].key", "pipelines[deal].transitions[win].effects[0].target", "reports[deals].widgets[by_grade].dimensions[0].field"}),
        ("entities[deal].fields[status]", {"pipelines[deal].field", "entities[customer].fields[deal_sum].where", "reports[deals].widgets[by_grade].filter"}),
        ("entities[customer]", {"entities[deal].fields[customer].to", "roles[sales].entities.customer", "roles[sales].menu[0].items[0]", "views[customer:mine].entity",
         "layouts[customer:main].entity", "dashboards[start].widgets[count].entity", "automations[follow_up].entity", "schedules[churn].entity"}),
        ("option_sets[grade]", {"entities[customer].fields[grade].set"}),
        ("option_sets[grade].options[a]", {"entities[customer].fields[note].visible_if", "pipelines[deal].transitions[win].effects[0].values.grade",
         "views[customer:mine].filter", "roles[sales].entities.customer.update", "automations[follow_up].if", "schedules[churn].where"}),
        ("option_sets[grade].options[b]", {"entities[customer].fields[grade].default"}),
        ("pipelines[deal]", {"entities[deal].fields[status].pipeline", "roles[sales].transitions.deal"}),
        ("pipelines[deal].stages[lost]", {"entities[customer].fields[deal_sum].where", "pipelines[deal].transitions[lose].to", "pipelines[deal].transitions[reopen].from",
         "pipelines[deal].transitions[reopen].branches[1].to"}),
        ("pipelines[deal].transitions[win]", {"roles[sales].transitions.deal"}),
        ("roles[sales]", {"entities[customer].owner_roles", "entities[customer].fields[helper].roles", "pipelines[deal].transitions[win].roles",
         "pipelines[deal].transitions[win].effects[2].to"}),
        ("views[customer:mine]", {"roles[sales].menu[0].items[1]"}),
        ("reports[deals]", {"roles[sales].reports", "roles[sales].menu[0].items[3]", "dashboards[start].widgets[0].report"}),
        ("reports[deals].widgets[by_grade]", {"dashboards[start].widgets[0].widget"}),
        ("dashboards[start]", {"roles[sales].home", "roles[sales].menu[0].items[4]"}),
        ("departments[company]", {"departments[sales].parent"}),
        ("layouts[customer:main]", set()),
    ],
)  # fmt: skip
def test_every_kind_of_definition(path: str, expected: set[str]):
    found = texts(path)
    assert expected <= set(found), expected - set(found)
    assert all(find(BASE, u.owner) is not None for u in usages(BASE, path))


def test_expressions_are_read_by_meaning_not_by_letters():
    raw = put(BASE, "entities[customer].fields[note].visible_if", "phone == 'grade' and contains(name, 'credit')")
    assert "entities[customer].fields[note].visible_if" not in texts(GRADE, raw)
    raw = put(BASE, "entities[deal].fields[reason].visible_if", "customer.grade == 'b' and customer.parent.credit > setting('churn_days')")
    for path in (GRADE, "option_sets[grade].options[b]", "entities[customer].fields[credit]", "entities[deal].fields[customer]", "settings[churn_days]"):
        assert "entities[deal].fields[reason].visible_if" in texts(path, raw), path
    raw = put(BASE, "entities[customer].fields[note].visible_if", "exists(deals where amount > parent.credit and reason == 'x') and has_role('sales') and old('region') == 'north'")
    for path in ("entities[deal].fields[amount]", "entities[customer].fields[credit]", "entities[deal].fields[reason]", "roles[sales]", "entities[customer].fields[region].options[north]"):
        assert "entities[customer].fields[note].visible_if" in texts(path, raw), path
    assert "entities[customer].fields[note].visible_if" not in texts("entities[customer].fields[name]", raw)


def test_results_of_actions_are_followed():
    raw = rich_bundle()
    found = texts("entities[task].fields[name]", raw)
    assert "pipelines[deal].transitions[win].effects[2].body.en" in found  # {{ result.first.name }}
    assert "pipelines[deal].transitions[win].effects[0].values[name]" in found
    assert "pipelines[deal].transitions[win].effects[0].values.name" not in found  # there “name” is the deal's
    assert "pipelines[deal].transitions[win].effects[1].values[credit]" in texts("entities[account].fields[credit]", raw)


def test_examples_are_usages():
    example = {"key": "e", "label": label("E"), "entity": "deal", "as": "sales", "given": {"amount": 5}, "state": "open", "when": {"transition": "win"}, "expect": "refused",
               "then": ["status == 'open'"], "records": [{"key": "r", "entity": "customer", "values": {"grade": "a"}}]}  # fmt: skip
    raw = add(BASE, "examples", example)
    assert problems_of(raw) == []
    for path, place in (
        ("roles[sales]", "examples[e].as"), ("entities[deal].fields[amount]", "examples[e].given.amount"), ("pipelines[deal].stages[open]", "examples[e].state"),
        ("pipelines[deal].transitions[win]", "examples[e].when.transition"), ("entities[deal].fields[status]", "examples[e].then[0]"),
        ("option_sets[grade].options[a]", "examples[e].records[r].values.grade"), ("entities[customer]", "examples[e].records[r].entity"),
    ):  # fmt: skip
        assert place in texts(path, raw), path


def test_compiled_configurations_can_be_asked():
    config = Config(parse_bundle(BASE))
    assert {u.path: u.text for u in usages(config, GRADE)} == texts(GRADE)
    assert [u.path for u in usages(config, "reports[deals].widgets[by_grade]")] == ["dashboards[start].widgets[0].widget"]


def test_words_are_in_the_readers_language():
    with use_locale("zh_CN"):
        assert texts(GRADE)["views[customer:mine].columns[grade]"] == "“Customer（中）”的视图“Mine（中）”将其显示为一列"


@pytest.mark.parametrize("value", [None, 5, "x", [], {}, [1], ["x"], [{}], {"a": 1}, True])
def test_drafts_in_disorder_have_usages(value: Any):
    for path in ("entities", "roles", "pipelines", "entities[customer].fields", "roles[sales].entities", "roles[sales].menu", "pipelines[deal].transitions[win].effects",
                 "views[customer:mine].columns", "views[customer:mine].filter", "automations[tidy].on", "automations[tidy].do", "reports[deals].widgets[by_grade].measures",
                 "entities[customer].timeline", "entities[customer].fields[city].depends_on", "roles[sales].entities.customer.fields"):  # fmt: skip
        raw = put(BASE, path, value)
        usages(raw, GRADE)
        removal(raw, GRADE)


# ---- removing with references -------------------------------------------------------------------------------------------


def cleaned(path: str, raw: dict[str, Any] | None = None) -> tuple[dict[str, Any], list[str], list[str]]:
    before = copy.deepcopy(raw or BASE)
    found = removal(raw or BASE, path)
    assert (raw or BASE) == before
    return found.bundle, [str(t) for t in found.cleaned], [u.path for u in found.left]


def test_field_goes_with_columns_layouts_rights_and_widgets():
    raw, told, left = cleaned("entities[customer].fields[phone]")
    assert problems_of(put(remove(raw, "entities[customer].unique"), "entities[customer].search", ["name"])) == []
    assert find(raw, "entities[customer].search") == ["name"]
    assert find(raw, "entities[customer].duplicates") is None  # its only rule compared it
    assert find(raw, "roles[sales].entities.customer.fields") == {"credit": {"access": "read", "if": "credit > 3"}}
    assert left == ["entities[customer].unique[name_phone].fields[phone]"]  # another rule would be stricter: that is asked
    assert told == [
        "Customer: taken out of “Duplicate rules”.", "Customer: taken out of “Searched fields”.", "Sales · Customer: taken out of “Rights on fields”.",
    ]  # fmt: skip


def test_conditions_and_rights_are_never_widened():
    raw, _told, left = cleaned(GRADE)
    assert find(raw, "roles[sales].entities.customer.update") == {"scope": "own", "if": "grade != 'a'"}
    assert find(raw, "schedules[churn].where") == BASE["schedules"][0]["where"]
    assert {"roles[sales].entities.customer.update", "automations[follow_up].if", "automations[follow_up].on.fields[grade]", "schedules[churn].where"} <= set(left)
    assert find(raw, "views[customer:mine].filter") is None  # people see what a list shows
    raw = remove_with_references(BASE, "roles[sales]")
    assert find(raw, "pipelines[deal].transitions[win].roles") == ["sales"]  # empty would mean everybody
    assert find(raw, "pipelines[deal].transitions[win].effects[2].to") == ["owner"]
    two = put(BASE, "pipelines[deal].transitions[win].roles", ["admin", "sales"])
    assert find(remove_with_references(two, "roles[sales]"), "pipelines[deal].transitions[win].roles") == ["admin"]


def test_entity_goes_with_everything_about_it():
    raw, told, _left = cleaned("entities[customer]")
    assert problems_of(raw) == []
    assert [v["key"] for v in raw["views"]] == ["board"]
    assert (raw["layouts"], raw["automations"], raw["schedules"]) == ([], [], [])
    assert find(raw, "entities[deal].fields[customer]") is None
    assert find(raw, "roles[sales].menu[0].items") == ["board:deal", "report:deals", "dashboard:start"]
    assert [e["action"] for e in find(raw, "pipelines[deal].transitions[win].effects")] == ["create", "notify"]
    assert raw["reports"][0]["widgets"] == []
    assert "Field “Customer” of “Deal” goes, too." in told


def test_stage_goes_with_its_transitions_and_a_pipeline_with_its_field():
    raw, told, left = cleaned("pipelines[deal].stages[lost]")
    assert [t["key"] for t in find(raw, "pipelines[deal].transitions")] == ["win"]
    assert (told, left) == (["Transition “Lose” of “Deal” goes, too.", "Transition “Reopen” of “Deal” goes, too."], ["entities[customer].fields[deal_sum].where"])
    raw, _told, _left = cleaned("pipelines[deal]")
    assert find(raw, "entities[deal].fields[status]") is None
    assert "transitions" in find(raw, "roles[sales]")


def test_report_and_dashboard_and_view():
    raw = remove_with_references(BASE, "reports[deals]")
    assert problems_of(raw) == []
    assert [w.get("key") for w in find(raw, "dashboards[start].widgets")] == ["count"]
    raw = remove_with_references(raw, "dashboards[start]")
    assert problems_of(raw) == []
    assert find(raw, "roles[sales].home") is None
    assert problems_of(remove_with_references(raw, "views[customer:mine]")) == []


def test_groups_and_automations_that_become_empty_go():
    raw = put(BASE, "roles[sales].menu", [{"label": label("A"), "items": ["report:deals"]}, {"label": label("B"), "items": ["customer"]}])
    assert [g["label"]["en"] for g in find(remove_with_references(raw, "reports[deals]"), "roles[sales].menu")] == ["B"]
    raw = put(BASE, "automations[tidy].do", [{"action": "set", "values": {"note": "'x'"}}])
    assert find(remove_with_references(raw, "entities[customer].fields[note]"), "automations[tidy]") is None
    raw = put(BASE, "automations[tidy].do", [{"action": "set", "values": {"note": "'x'", "name": "'y'"}}])
    assert find(remove_with_references(raw, "entities[customer].fields[note]"), "automations[tidy].do") == [{"action": "set", "values": {"name": "'y'"}}]


def test_options_leave_lists_but_not_single_conditions():
    raw = put(BASE, "views[customer:mine].filter", {"and": [{"field": "grade", "op": "in", "value": ["a", "b"]}, {"field": "credit", "op": "gt", "value": 1}]})
    found = remove_with_references(raw, "option_sets[grade].options[a]")
    assert find(found, "views[customer:mine].filter.and")[0]["value"] == ["b"]
    assert find(remove_with_references(raw, GRADE), "views[customer:mine].filter") == {"field": "credit", "op": "gt", "value": 1}
    assert find(remove_with_references(BASE, "option_sets[grade].options[a]"), "views[customer:mine].filter.value") == "a"
    assert find(remove_with_references(BASE, "option_sets[grade].options[b]"), "entities[customer].fields[grade].default") is None


def test_conditions_in_expressions_are_taken_out_one_by_one():
    raw = put(BASE, "views[customer:mine].filter", "credit > 2 and (grade == 'a' or phone != null) and exists(deals where amount > 5)")
    assert find(remove_with_references(raw, GRADE), "views[customer:mine].filter") == "credit > 2 and phone != null and exists(deals where amount > 5)"
    assert find(remove_with_references(raw, "entities[deal].fields[customer]"), "views[customer:mine].filter") == "credit > 2 and (grade == 'a' or phone != null)"


def test_what_is_not_there_or_no_definition():
    assert remove_with_references(BASE, "views[customer:nope]") == BASE
    assert find(remove_with_references(BASE, "views[customer:mine].page_size"), "views[customer:mine]") == find(BASE, "views[customer:mine]")
    assert find(take_out(BASE, [("views", 0, "columns", 1)]), "views[customer:mine].columns") == ["name", "owner"]
    assert strip(5, None, None, bool) == 5  # type: ignore[arg-type]


def test_field_added_again_has_no_usages():
    raw = add(BASE, "entities[customer].fields", field("fax", "phone"))
    assert usages(raw, "entities[customer].fields[fax]") == []
    assert cleaned("entities[customer].fields[fax]", raw) == (BASE, [], [])
