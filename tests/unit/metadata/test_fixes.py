"""Problems of a draft are repaired with one click: what is offered, that it helps, and that nothing is widened or lost unasked."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from bundles import field, good_bundle, label
from test_metadata_parse import BROKEN

from saas.errors import DefinitionProblem
from saas.i18n import use_locale
from saas.metadata.edits import add, find, put, remove
from saas.metadata.fixes import apply_fix, fixes_of
from saas.metadata.parse import problems_of

BASE = good_bundle()


def key(problem: DefinitionProblem) -> tuple[str, str, str]:
    return problem.path, problem.code, str(problem.message)


def offered(raw: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Labels of the fixes by their key, for each problem's path."""
    return {p.path: {f.key: str(f.label) for f in fixes_of(raw, p)} for p in problems_of(raw)}


def fixed(raw: dict[str, Any], path: str, fix: str) -> dict[str, Any]:
    problem = next(p for p in problems_of(raw) if p.path == path)
    return apply_fix(raw, problem, fix)


@pytest.mark.parametrize("name", BROKEN)
def test_every_problem_has_fixes_and_each_solves_it(name: str):
    raw = good_bundle()
    BROKEN[name][0](raw)
    before = copy.deepcopy(raw)
    for problem in problems_of(raw):
        fixes = fixes_of(raw, problem)
        assert fixes, key(problem)
        assert len({str(f.label) for f in fixes}) == len(fixes)
        for fix in fixes:
            after = problems_of(apply_fix(raw, problem, fix.key))
            assert key(problem) not in {key(p) for p in after}, (key(problem), fix)
    assert raw == before


@pytest.mark.parametrize("name", BROKEN)
def test_the_first_fixes_lead_to_a_valid_bundle(name: str):
    raw = good_bundle()
    BROKEN[name][0](raw)
    for _ in range(12):
        problems = problems_of(raw)
        if not problems:
            return
        raw = apply_fix(raw, problems[0], fixes_of(raw, problems[0])[0].key)
    pytest.fail(str([key(p) for p in problems_of(raw)]))


@pytest.mark.parametrize(
    ("change", "path", "labels"),
    [
        (lambda r: put(r, "views[customer:mine].columns", ["name", "grad"]), "views[customer:mine].columns[grad]",
         {"use:grade": "Use “Grade” instead", "remove": "Take it out of “Columns”", "remove_definition": "Remove: View “Mine” of “Customer”"}),
        (lambda r: put(r, "entities[customer].title", "parent"), "entities[customer].title", {"use:name": "Use “Name” instead"}),
        (lambda r: put(r, "automations[follow_up].if", "gone == 1"), "automations[follow_up].if",
         {"remove": "Remove the condition: it then always runs", "remove_definition": "Remove: Automation “Follow up”"}),
        (lambda r: put(r, "automations[follow_up].do[0].values.subject", "gone"), "automations[follow_up].do[0].values.subject",
         {"remove": "Take it out of “Field values”", "remove_action": "Remove this action", "remove_definition": "Remove: Automation “Follow up”"}),
        (lambda r: put(r, "roles[sales].entities.deal.read", {"scope": "all", "if": "gone == 1"}), "roles[sales].entities.deal.read", {"remove_right": "Take away the right “See”"}),
        (lambda r: put(r, "roles[sales].entities.customer.fields.credit", {"access": "read", "if": "gone"}), "roles[sales].entities.customer.fields.credit",
         {"hide": "Hide the field from this role"}),
        (lambda r: put(r, "schedules[churn].where", "gone == 1"), "schedules[churn].where", {"remove_definition": "Remove: Schedule “Churn”"}),
        (lambda r: put(r, "schedules[churn].where", "gone == 1 and grade == 'a'"), "schedules[churn].where",
         {"strip": "Remove the conditions that make no sense any more", "remove_definition": "Remove: Schedule “Churn”"}),
        (lambda r: put(r, "pipelines[deal].transitions[win].roles", ["boss"]), "pipelines[deal].transitions[win].roles",
         {"everybody": "Let everybody do it who may edit the record", "remove_definition": "Remove: Transition “Win” of “Deal”"}),
        (lambda r: put(r, "pipelines[deal].transitions[win].roles", ["boss", "admin"]), "pipelines[deal].transitions[win].roles",
         {"remove": "Take it out of “Roles that may do it”", "remove_definition": "Remove: Transition “Win” of “Deal”"}),
        (lambda r: put(r, "schedules[churn].do[0].title.en", "{{ nam }} sleeps"), "schedules[churn].do[0].title.en",
         {"text": "Take what is not there out of the text", "remove_action": "Remove this action", "remove_definition": "Remove: Schedule “Churn”"}),
        (lambda r: remove(r, "pipelines[deal].transitions[win].guard_message"), "pipelines[deal].transitions[win].guard_message",
         {"text": "Tell people: “This is not possible yet.”", "remove_definition": "Remove: Transition “Win” of “Deal”"}),
        (lambda r: put(r, "roles[admin].admin", False), "roles", {"admin:admin": "Give every right to “Administrator”", "admin:sales": "Give every right to “Sales”"}),
        (lambda r: remove(r, "entities[deal].fields[customer]"), "entities[customer].fields[deal_count].of", {"remove_definition": "Remove: Field “Deal_Count” of “Customer”"}),
        (lambda r: remove(r, "option_sets[city]"), "entities[customer].fields[city].set", {"remove_definition": "Remove: Field “City” of “Customer”"}),
    ],
)  # fmt: skip
def test_fixes_in_words(change: Any, path: str, labels: dict[str, str]):
    found = offered(change(BASE))[path]
    assert {k: v for k, v in found.items() if k in labels} == labels
    assert "remove" in labels or "remove" not in found or path.endswith("title.en"), found


def test_what_fixes_do():
    raw = fixed(put(BASE, "views[customer:mine].sort", ["-grad"]), "views[customer:mine].sort[grad]", "use:grade")
    assert find(raw, "views[customer:mine].sort") == ["-grade"]
    raw = fixed(put(BASE, "views[customer:mine].columns", ["name", "nam"]), "views[customer:mine].columns[nam]", "use:name")
    assert find(raw, "views[customer:mine].columns") == ["name"]  # not twice
    raw = fixed(put(BASE, "pipelines[deal].transitions[win].effects[0].values", {"grad": "'a'", "credit": "1"}), "pipelines[deal].transitions[win].effects[0].values[grad]", "use:grade")
    assert list(find(raw, "pipelines[deal].transitions[win].effects[0].values").items()) == [("grade", "'a'"), ("credit", "1")]
    raw = fixed(put(BASE, "schedules[churn].where", "gone == 1 and grade == 'a'"), "schedules[churn].where", "strip")
    assert find(raw, "schedules[churn].where") == "grade == 'a'"
    both = {"and": [{"field": "gone", "op": "eq", "value": 1}, {"or": [{"field": "grade", "op": "eq", "value": "a"}, {"expr": "gone"}]}]}
    raw = fixed(put(BASE, "views[customer:mine].filter", both), "views[customer:mine].filter.and.0.field", "strip")
    assert find(raw, "views[customer:mine].filter") == {"field": "grade", "op": "eq", "value": "a"}
    raw = fixed(put(BASE, "schedules[churn].do[0].title.en", "Dear {{ nam }}, {{ name }} sleeps since {{ today }}"), "schedules[churn].do[0].title.en", "text")
    assert find(raw, "schedules[churn].do[0].title.en") == "Dear , {{ name }} sleeps since {{ today }}"
    raw = fixed(put(BASE, "roles[sales].entities.customer.fields.credit", {"access": "read", "if": "gone"}), "roles[sales].entities.customer.fields.credit", "hide")
    assert find(raw, "roles[sales].entities.customer.fields.credit") == "hidden"
    raw = fixed(remove(BASE, "pipelines[deal].transitions[win].guard_message"), "pipelines[deal].transitions[win].guard_message", "text")
    assert find(raw, "pipelines[deal].transitions[win].guard_message") == {"en": "This is not possible yet.", "zh_CN": "目前还不能这样做。"}


def test_an_entity_that_lost_its_name_gets_one():
    raw = add(BASE, "entities", {"key": "tool", "label": label("Tool"), "plural": label("Tools"), "title": "gone", "fields": [field("price", "money")]})
    assert offered(raw)["entities[tool].title"] == {"add_name": "Add a text field “Name”"}
    found = fixed(raw, "entities[tool].title", "add_name")
    assert [f["key"] for f in find(found, "entities[tool].fields")] == ["name", "price"]
    assert problems_of(found) == []


def test_definitions_go_with_their_references():
    raw = put(BASE, "reports[deals].widgets[by_grade].dimensions", [])
    found = fixed(raw, "reports[deals].widgets[by_grade].dimensions", "remove_definition")
    assert problems_of(found) == []
    assert [w.get("key") for w in find(found, "dashboards[start].widgets")] == ["count"]


def test_fixes_that_are_not_offered():
    raw = put(BASE, "automations[follow_up].if", "gone == 1")
    with pytest.raises(KeyError):
        apply_fix(raw, problems_of(raw)[0], "make_coffee")
    assert fixes_of(BASE, DefinitionProblem("", "too_deep", "x")) == []
    assert fixes_of(BASE, DefinitionProblem("views[customer:nope].columns[x]", "unknown_field", "x")) == []


def test_a_report_and_the_dashboards_that_show_it_have_a_problem_once():
    raw = put(BASE, "reports[deals].widgets[by_grade].filter", "gone == 1")
    assert [p.path for p in problems_of(raw)] == ["reports[deals].widgets[by_grade].filter"]


def test_labels_are_in_the_readers_language():
    raw = put(BASE, "views[customer:mine].columns", ["grad"])
    with use_locale("zh_CN"):
        assert offered(raw)["views[customer:mine].columns[grad]"] == {
            "use:grade": "改用“Grade（中）”", "remove": "从“列”中去掉", "remove_definition": "删除：“Customer（中）”的视图“Mine（中）”",
        }  # fmt: skip
