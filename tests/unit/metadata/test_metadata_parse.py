"""Every way to break a bundle is reported where it is, in words, with what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from bundles import field, good_bundle, label

from saas.errors import InvalidDefinition
from saas.i18n import use_locale
from saas.metadata import models as m
from saas.metadata.parse import parse_bundle, problems_of

Break = Callable[[dict[str, Any]], None]
# What a developer's validator would say; none of it may reach a reader.
JARGON = re.compile(
    r"schema|is not valid under|does not match|additional propert|required property|is not of type|is too (long|short)\b(?!:)"
    r"|regex|instance|NoneType|Traceback|KeyError|\bdict\b|\$ref|const\b|oneOf|anyOf|<class",
    re.IGNORECASE,
)


def customer(raw: dict[str, Any]) -> dict[str, Any]:
    return raw["entities"][0]


def fields(raw: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f["key"]: f for f in customer(raw)["fields"]}


def deal(raw: dict[str, Any]) -> dict[str, Any]:
    return raw["entities"][1]


def pipeline(raw: dict[str, Any]) -> dict[str, Any]:
    return raw["pipelines"][0]


def win(raw: dict[str, Any]) -> dict[str, Any]:
    return pipeline(raw)["transitions"][0]


def sales(raw: dict[str, Any]) -> dict[str, Any]:
    return raw["roles"][1]


def put(target: Callable[[dict[str, Any]], Any], key: Any, value: Any) -> Break:
    def change(raw: dict[str, Any]) -> None:
        target(raw)[key] = value

    return change


def drop(target: Callable[[dict[str, Any]], Any], key: str) -> Break:
    return lambda raw: target(raw).pop(key)


def add(target: Callable[[dict[str, Any]], list[Any]], value: Any) -> Break:
    return lambda raw: target(raw).append(value)


def both(*changes: Break) -> Break:
    def change(raw: dict[str, Any]) -> None:
        for one in changes:
            one(raw)

    return change


BROKEN: dict[str, tuple[Break, str, str]] = {
    # shape
    "no format": (lambda r: r.pop("format"), "format", "missing"),
    "other format": (lambda r: r.update(format=2), "format", "unknown_choice"),
    "no roles": (lambda r: r.pop("roles"), "roles", "missing"),
    "section misspelt": (lambda r: r.update(entitys=r["views"]), "entitys", "unknown_property"),
    "section is no list": (lambda r: r.update(views={"a": 1}), "views", "wrong_type"),
    "label is text": (put(customer, "label", "Customer"), "entities[customer].label", "wrong_type"),
    "label is empty": (put(customer, "label", {}), "entities[customer].label", "empty"),
    "label too long": (put(customer, "label", {"en": "x" * 201}), "entities[customer].label.en", "too_long"),
    "label missing": (drop(customer, "plural"), "entities[customer].plural", "missing"),
    "bad key": (lambda r: fields(r)["note"].update(key="My Note"), "entities[customer].fields[My Note].key", "bad_key"),
    "property misspelt": (lambda r: fields(r)["name"].update(requird=True), "entities[customer].fields[name].requird", "unknown_property"),
    "property of another type": (lambda r: fields(r)["since"].update(max_length=5), "entities[customer].fields[since].max_length", "unknown_property"),
    "property of wrong type": (lambda r: fields(r)["name"].update(max_length="50"), "entities[customer].fields[name].max_length", "wrong_type"),
    "required is text": (lambda r: fields(r)["name"].update(required="yes"), "entities[customer].fields[name].required", "wrong_type"),
    "unknown field type": (lambda r: fields(r)["name"].update(type="txt"), "entities[customer].fields[name].type", "unknown_field_type"),
    "ref without target": (lambda r: fields(r)["parent"].pop("to"), "entities[customer].fields[parent].to", "missing"),
    "unknown colour": (lambda r: r["option_sets"][0]["options"][0].update(color="greeen"), "option_sets[grade].options[a].color", "unknown_choice"),
    "unknown icon": (put(customer, "icon", "bilding"), "entities[customer].icon", "unknown_choice"),
    "bad pattern": (lambda r: fields(r)["name"].update(pattern="(a+)+"), "entities[customer].fields[name].pattern", "bad_pattern"),
    "expression too long": (lambda r: fields(r)["note"].update(visible_if="a" * 2001), "entities[customer].fields[note].visible_if", "too_long"),
    "unknown scope": (lambda r: sales(r)["entities"]["deal"].update(read="mine"), "roles[sales].entities.deal.read", "unknown_choice"),
    "unknown access": (lambda r: sales(r)["entities"]["customer"]["fields"].update(name="secret"), "roles[sales].entities.customer.fields.name", "unknown_choice"),
    "unknown settings page": (lambda r: sales(r).update(settings=["everything"]), "roles[sales].settings[0]", "unknown_choice"),
    "unknown action": (lambda r: win(r)["effects"][0].update(action="mail"), "pipelines[deal].transitions[win].effects[0].action", "unknown_action"),
    "action lacks values": (lambda r: win(r)["effects"][0].pop("values"), "pipelines[deal].transitions[win].effects[0].values", "missing"),
    "unknown trigger": (lambda r: r["automations"][0]["on"].update(trigger="updated"), "automations[follow_up].on.trigger", "unknown_trigger"),
    "cannot be stored": (put(customer, "label", {"en": "nul\x00"}), "entities[customer].label.en", "not_storable"),
    # references
    "unknown option set": (lambda r: fields(r)["grade"].update(set="grades"), "entities[customer].fields[grade].set", "unknown_option_set"),
    "unknown ref target": (lambda r: deal(r)["fields"][1].update(to="custmer"), "entities[deal].fields[customer].to", "unknown_entity"),
    "unknown title": (put(customer, "title", "nam"), "entities[customer].title", "unknown_field"),
    "unknown search field": (put(customer, "search", ["name", "fax"]), "entities[customer].search[fax]", "unknown_field"),
    "unknown owner role": (put(customer, "owner_roles", ["seller"]), "entities[customer].owner_roles", "unknown_role"),
    "unknown stage": (lambda r: win(r).update(to="wonn"), "pipelines[deal].transitions[win].to", "unknown_stage"),
    "unknown from": (lambda r: win(r).update({"from": ["opened"]}), "pipelines[deal].transitions[win].from", "unknown_stage"),
    "unknown transition role": (lambda r: win(r).update(roles=["boss"]), "pipelines[deal].transitions[win].roles", "unknown_role"),
    "unknown required field": (lambda r: win(r).update(require=["amout"]), "pipelines[deal].transitions[win].require[amout]", "unknown_field"),
    "unknown depends_on": (lambda r: fields(r)["city"].update(depends_on="regio"), "entities[customer].fields[city].depends_on", "unknown_field"),
    "unknown view column": (lambda r: r["views"][0]["columns"].append("grad"), "views[customer:mine].columns[grad]", "unknown_field"),
    "unknown layout field": (
        lambda r: r["layouts"][0]["tabs"][0]["sections"][0]["fields"].append("nme"),
        "layouts[customer:main].tabs[details].sections[base].fields[nme]", "unknown_field"),
    "unknown related list": (lambda r: r["layouts"][0]["tabs"][1]["related"][0].update(key="deal"), "layouts[customer:main].tabs[deals].related[deal].key", "unknown_relation"),
    "unknown dimension": (
        lambda r: r["reports"][0]["widgets"][0]["dimensions"][0].update(field="customer.grad"),
        "reports[deals].widgets[by_grade].dimensions[0].field", "unknown_field"),
    "dot after no reference": (
        lambda r: r["reports"][0]["widgets"][0]["dimensions"][0].update(field="subject.grade"),
        "reports[deals].widgets[by_grade].dimensions[0].field", "not_a_reference"),
    "unknown menu item": (lambda r: sales(r)["menu"][0]["items"].append("customers"), "roles[sales].menu[0].items[5]", "unknown_entity"),
    "unknown menu view": (lambda r: sales(r)["menu"][0]["items"].append("customer:my"), "roles[sales].menu[0].items[5]", "unknown_view"),
    "unknown dashboard": (lambda r: sales(r).update(home="home"), "roles[sales].home", "unknown_dashboard"),
    "unknown widget of a report": (lambda r: r["dashboards"][0]["widgets"][0].update(widget="by_grad"), "dashboards[start].widgets[0].widget", "unknown_widget"),
    "unknown department": (lambda r: r["departments"][1].update(parent="companie"), "departments[sales].parent", "unknown_department"),
    "timeline via": (lambda r: customer(r)["timeline"]["sources"][0].update(via="subject"), "entities[customer].timeline.sources[0].via", "wrong_target"),
    "rollup of nothing": (lambda r: fields(r)["deal_sum"].update(of="deal_list"), "entities[customer].fields[deal_sum].of", "unknown_relation"),
    "tree over another entity": (lambda r: customer(r)["tree"].update(parent="helper"), "entities[customer].tree.parent", "wrong_target"),
    "unknown result": (lambda r: win(r)["effects"][0].update(target="result.other"), "pipelines[deal].transitions[win].effects[0].target", "unknown_result"),
    "unknown notified role": (lambda r: win(r)["effects"][2].update(to=["role:boss"]), "pipelines[deal].transitions[win].effects[2].to", "unknown_role"),
    "unknown set field": (lambda r: win(r)["effects"][0].update(values={"grad": "'a'"}), "pipelines[deal].transitions[win].effects[0].values[grad]", "unknown_field"),
    # expressions
    "expression names nothing": (lambda r: win(r).update(guard="amout > 0"), "pipelines[deal].transitions[win].guard", "bad_expression"),
    "expression cannot be read": (lambda r: win(r).update(guard="amount >"), "pipelines[deal].transitions[win].guard", "bad_expression"),
    "condition is no condition": (lambda r: win(r).update(guard="amount + 1"), "pipelines[deal].transitions[win].guard", "bad_expression"),
    "formula of another type": (lambda r: fields(r)["shown"].update(returns="date"), "entities[customer].fields[shown].expr", "bad_expression"),
    "default of another type": (lambda r: fields(r)["since"].update(default={"expr": "credit"}), "entities[customer].fields[since].default", "bad_expression"),
    "bad filter": (lambda r: r["views"][0].update(filter={"field": "grad", "op": "eq", "value": 1}), "views[customer:mine].filter.field", "bad_filter"),
    "unknown option set by effect": (
        lambda r: win(r)["effects"][0].update(values={"grade": "'z'"}), "pipelines[deal].transitions[win].effects[0].values.grade", "unknown_option"),
    "schedule condition": (lambda r: r["schedules"][0].update(where="grade = 'a'"), "schedules[churn].where", "bad_expression"),
    "role condition": (lambda r: sales(r)["entities"]["deal"].update(read={"scope": "own", "if": "amont > 1"}), "roles[sales].entities.deal.read", "bad_expression"),
    "text names nothing": (
        lambda r: r["schedules"][0]["do"][0]["title"].update(en="{{ nme }} sleeps"), "schedules[churn].do[0].title.en", "unknown_field"),
    "text steps over a reference": (
        lambda r: win(r)["effects"][2]["title"].update(en="{{ customer.name }}"), "pipelines[deal].transitions[win].effects[2].title.en", "no_step"),
    "text names no result": (
        lambda r: win(r)["effects"][2]["title"].update(en="{{ result.nxt.subject }}"), "pipelines[deal].transitions[win].effects[2].title.en", "unknown_result"),
    # meaning
    "same key twice": (add(lambda r: customer(r)["fields"], field("name", "text")), "entities[customer].fields[name]", "duplicate_key"),
    "same entity twice": (lambda r: r["entities"].append(deal(r)), "entities[deal]", "duplicate_key"),
    "same stage twice": (lambda r: pipeline(r)["stages"].append(pipeline(r)["stages"][2]), "pipelines[deal].stages[lost]", "duplicate_key"),
    "reserved field key": (add(lambda r: customer(r)["fields"], field("version", "text")), "entities[customer].fields[version].key", "reserved_key"),
    "owner of an owned entity": (add(lambda r: customer(r)["fields"], field("owner", "user")), "entities[customer].fields[owner].key", "reserved_key"),
    "title is no text": (put(customer, "title", "parent"), "entities[customer].title", "bad_title"),
    "smallest above largest": (lambda r: fields(r)["credit"].update(min=9), "entities[customer].fields[credit].min", "min_above_max"),
    "no final stage": (lambda r: [s.pop("kind", None) for s in pipeline(r)["stages"]], "pipelines[deal].stages", "no_final_stage"),
    "field of no pipeline": (lambda r: deal(r)["fields"][3].update(type="text") or deal(r)["fields"][3].pop("pipeline"), "pipelines[deal].field", "field_disagrees"),
    "second field of a pipeline": (
        lambda r: deal(r)["fields"].append(field("status2", "pipeline", pipeline="deal")), "entities[deal].fields[status2].pipeline", "pipeline_disagrees"),
    "no target": (lambda r: win(r).pop("to"), "pipelines[deal].transitions[win].to", "no_target"),
    "no last branch": (lambda r: pipeline(r)["transitions"][2]["branches"].pop(), "pipelines[deal].transitions[reopen].branches", "no_last_branch"),
    "no admin": (lambda r: r["roles"][0].update(admin=False), "roles", "no_admin"),
    "bad cron": (lambda r: r["schedules"][0]["every"].update(cron="0 25 * * *"), "schedules[churn].every.cron", "bad_cron"),
    "cron with seconds": (lambda r: r["schedules"][0]["every"].update(cron="0 0 2 * * *"), "schedules[churn].every.cron", "bad_cron"),
    "departments in a circle": (lambda r: r["departments"][0].update(parent="sales"), "departments[company].parent", "circle"),
    "options in a circle": (
        lambda r: r["option_sets"].append({"key": "area", "label": label("Area"), "tree": True, "options": [
            {"key": "a", "label": label("A"), "parent": "b"}, {"key": "b", "label": label("B"), "parent": "a"}]}),
        "option_sets[area].options[a].parent", "circle"),
    "option of no parent": (lambda r: r["option_sets"][1]["options"][0].update(parent="nort"), "option_sets[city].options[harbin].parent", "unknown_option"),
    "choices given twice": (lambda r: fields(r)["region"].update(set="grade"), "entities[customer].fields[region]", "choices"),
    "sum of texts": (lambda r: fields(r)["deal_sum"].update(field="subject"), "entities[customer].fields[deal_sum].field", "not_a_number"),
    "sum of nothing": (lambda r: fields(r)["deal_sum"].pop("field"), "entities[customer].fields[deal_sum].field", "missing"),
    "nobody can fill it": (lambda r: fields(r)["name"].update(read_only=True), "entities[customer].fields[name]", "never_filled"),
    "required formula": (lambda r: fields(r)["shown"].update(required=True), "entities[customer].fields[shown]", "computed_input"),
    "required but emptied": (lambda r: fields(r)["parent"].update(required=True), "entities[customer].fields[parent].on_delete", "set_null_required"),
    "two lists of one name": (
        lambda r: deal(r)["fields"].append(field("second", "ref", to="customer", inverse={"key": "deals"})), "entities[deal].fields[second].inverse", "inverse_taken"),
    "formula of itself": (
        both(lambda r: customer(r)["fields"].append(field("f1", "formula", returns="number", expr="f2 + 1")),
             lambda r: customer(r)["fields"].append(field("f2", "formula", returns="number", expr="f1 + 1"))),
        "entities[customer].fields[f1]", "formula_circle"),
    "formula through a rollup": (
        both(lambda r: deal(r)["fields"].append(field("share", "formula", returns="number", expr="amount / customer.total")),
             lambda r: customer(r)["fields"].append(field("total", "rollup", of="deals", fn="sum", field="share"))),
        "entities[customer].fields[total]", "formula_circle"),
    "effects before saving": (
        lambda r: r["automations"][1]["do"].append({"action": "create", "entity": "deal", "values": {"subject": "'x'"}}),
        "automations[tidy].do[2].action", "not_before_save"),
    "bad default": (lambda r: fields(r)["credit"].update(default=9), "entities[customer].fields[credit].default", "bad_default"),
    "default is no option": (lambda r: fields(r)["grade"].update(default="z"), "entities[customer].fields[grade].default", "bad_default"),
    "guard without reason": (lambda r: win(r).pop("guard_message"), "pipelines[deal].transitions[win].guard_message", "missing"),
    "require a formula": (
        both(lambda r: deal(r)["fields"].append(field("twice", "formula", returns="number", expr="amount * 2")), lambda r: win(r).update(require=["twice"])),
        "pipelines[deal].transitions[win].require[twice]", "cannot_be_filled"),
    "chart of nothing": (lambda r: r["reports"][0]["widgets"][0].pop("dimensions"), "reports[deals].widgets[by_grade].dimensions", "missing"),
    "funnel of nothing": (lambda r: r["reports"][0]["widgets"][0].update(type="funnel"), "reports[deals].widgets[by_grade].pipeline", "missing"),
    "unknown widget type": (lambda r: r["reports"][0]["widgets"][0].update(type="donut"), "reports[deals].widgets[by_grade].type", "unknown_widget_type"),
    "board by text": (lambda r: r["views"][1]["board"].update(by="subject"), "views[deal:board].board.by", "not_groupable"),
}  # fmt: skip


def test_good_bundle_has_no_problems():
    assert problems_of(good_bundle()) == []


@pytest.mark.parametrize("name", BROKEN)
def test_broken_bundle_is_explained(name: str):
    change, path, code = BROKEN[name]
    raw = good_bundle()
    change(raw)
    with pytest.raises(InvalidDefinition) as caught:
        parse_bundle(raw)
    found = {(p.path, p.code): p for p in caught.value.problems}
    assert (path, code) in found, sorted(found)
    for problem in found.values():
        for text in (str(problem.message), str(problem.hint)):
            assert len(text) > 10, problem
            assert not JARGON.search(text), text
            assert "%(" not in text, text


@pytest.mark.parametrize("name", BROKEN)
def test_one_mistake_makes_few_problems(name: str):
    """A part that is broken is set aside: what points to it is not reported as well."""
    raw = good_bundle()
    BROKEN[name][0](raw)
    found = problems_of(raw)
    allowed = {"same entity twice": 2, "field of no pipeline": 4, "two lists of one name": 2, "no final stage": 2, "formula through a rollup": 2}
    assert len(found) <= allowed.get(name, 2), [(p.path, p.code, str(p.message)) for p in found]


def test_all_problems_are_found_at_once():
    raw = good_bundle()
    changes = ["label is text", "unknown option set", "expression names nothing", "no admin", "bad cron", "unknown colour", "property misspelt"]
    for name in changes:
        BROKEN[name][0](raw)
    found = {(p.path, p.code) for p in problems_of(raw)}
    assert {BROKEN[name][1:] for name in changes} <= found


def test_misspelt_key_gets_a_suggestion():
    raw = good_bundle()
    BROKEN["unknown ref target"][0](raw)
    problem = next(p for p in problems_of(raw) if p.code == "unknown_entity")
    assert str(problem.message) == "“custmer”: There is no such entity here. Did you mean “customer”?"
    assert str(problem.hint) == "Write “customer”, or one of: customer, deal."


def test_problems_are_translated_when_shown():
    raw = good_bundle()
    BROKEN["bad cron"][0](raw)
    problem = problems_of(raw)[0]
    with use_locale("zh_CN"):
        assert str(problem.message)  # made lazily: no locale was fixed while parsing


@pytest.mark.parametrize("raw", [None, [], "x", 5, {}, {"format": 1}, {"entities": 5}, {"format": 1, "entities": [None], "roles": [[]], "pack": []}])
def test_rubbish_is_refused_with_words(raw: Any):
    found = problems_of(raw)
    assert found
    assert not any(JARGON.search(str(p.message)) for p in found)


def test_hostile_depth_is_refused():
    raw: Any = good_bundle()
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    raw["views"] = deep
    assert [p.code for p in problems_of(raw)] == ["too_deep"]


@pytest.mark.parametrize(("section", "limit"), [("entities", 200), ("views", 500), ("roles", 100)])
def test_sections_are_bounded(section: str, limit: int):
    raw = good_bundle()
    raw[section] = [{**raw[section][0], "key": f"k{n}"} for n in range(limit + 1)]
    assert (section, "too_many") in {(p.path, p.code) for p in problems_of(raw)}


# ---- what comes out -----------------------------------------------------------------------------------------------------


def test_defaults_are_filled_in():
    bundle = parse_bundle(good_bundle())
    name = bundle.entities[0].fields[0]
    assert name.options["max_length"] == 50
    assert next(f for f in bundle.entities[1].fields if f.key == "subject").options["max_length"] == 255
    assert bundle.views[0].page_size == 50


def test_unique_field_becomes_a_unique_rule():
    entity = parse_bundle(good_bundle()).entities[0]
    assert entity.unique[0] == m.UniqueDef("name", ("name",))
    assert entity.unique[1].fields == ("name", "phone")


def test_rights_become_rules():
    rights = parse_bundle(good_bundle()).roles[1].entities
    assert rights["customer"].update == (m.ScopeRule("own", "grade != 'a'"),)
    assert rights["customer"].export == rights["customer"].read == (m.ScopeRule("all"),)
    assert rights["deal"].read == (m.ScopeRule("own"), m.ScopeRule("dept", "amount < 1000"))
    assert rights["*"].read == ()
    assert rights["customer"].fields["credit"] == m.FieldRight("read", "credit > 3")


def test_import_right_implies_create():
    raw = good_bundle()
    sales(raw)["entities"]["deal"] = {"read": "all", "import": True}
    assert parse_bundle(raw).roles[1].entities["deal"].create


def test_dashboard_widget_of_a_report_is_resolved():
    bundle = parse_bundle(good_bundle())
    shown = bundle.dashboards[0].widgets[0]
    assert (shown.type, shown.width, shown.measures) == ("bar", 8, bundle.reports[0].widgets[0].measures)


def test_bare_text_filter_is_an_expression():
    assert parse_bundle(good_bundle()).reports[0].widgets[0].filter == {"expr": "status == 'won'"}


def test_parsing_leaves_the_raw_bundle_alone():
    raw = good_bundle()
    BROKEN["property misspelt"][0](raw)
    before = repr(raw)
    problems_of(raw)
    assert repr(raw) == before
