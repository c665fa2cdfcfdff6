"""What a change of configuration means for the records, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bundles import field, good_bundle, label

from saas.i18n import use_locale
from saas.metadata.edits import add, move, put, remove
from saas.metadata.evolve import compare, diff
from saas.metadata.packs import load_pack
from saas.metadata.parse import parse_bundle
from saas.metadata.unbuild import bundle_to_raw


def changes(change: Callable[[dict[str, Any]], Any]) -> dict[str, tuple[str, str]]:
    raw = good_bundle()
    change(raw)
    return {c.path: (c.kind, str(c.message)) for c in diff(parse_bundle(good_bundle()), parse_bundle(raw))}


def fields(raw: dict[str, Any], entity: int = 0) -> dict[str, dict[str, Any]]:
    return {f["key"]: f for f in raw["entities"][entity]["fields"]}


def credit_as_text(raw: dict[str, Any]) -> None:
    credit = fields(raw)["credit"]
    credit["type"] = "text"
    del credit["min"], credit["max"], raw["entities"][0]["rules"], raw["roles"][1]["entities"]["customer"]["fields"]
    raw["automations"].pop()


def test_nothing_changes():
    assert changes(lambda r: None) == {}


@pytest.mark.parametrize(
    ("change", "path", "kind"),
    [
        (lambda r: r["entities"][0]["fields"].append(field("fax", "phone")), "entities[customer].fields[fax]", "safe"),
        (lambda r: r["entities"][0]["fields"].append(field("fax", "phone", required=True)), "entities[customer].fields[fax]", "needs_backfill"),
        (lambda r: r["entities"][0]["fields"].remove(fields(r)["note"]), "entities[customer].fields[note]", "destructive"),
        (lambda r: r["entities"][0]["fields"].remove(fields(r)["shown"]), "entities[customer].fields[shown]", "safe"),
        (lambda r: fields(r)["name"].update(label=label("Full name")), "entities[customer].fields[name]", "safe"),
        (lambda r: fields(r)["name"].update(max_length=80), "entities[customer].fields[name].max_length", "safe"),
        (lambda r: fields(r)["name"].update(max_length=20), "entities[customer].fields[name].max_length", "needs_backfill"),
        (lambda r: fields(r)["credit"].update(min=2), "entities[customer].fields[credit].min", "needs_backfill"),
        (lambda r: fields(r)["credit"].pop("max"), "entities[customer].fields[credit].max", "safe"),
        (lambda r: credit_as_text(r), "entities[customer].fields[credit].type", "needs_backfill"),
        (lambda r: fields(r)["phone"].update(required=True), "entities[customer].fields[phone].required", "needs_backfill"),
        (lambda r: fields(r)["deal_sum"].update(fn="max"), "entities[customer].fields[deal_sum].fn", "needs_backfill"),
        (lambda r: r["option_sets"][0]["options"].append({"key": "c", "label": label("C")}), "option_sets[grade].options[c]", "safe"),
        (lambda r: r["entities"][0]["search"].append("shown"), "entities[customer].search", "needs_backfill"),
        (lambda r: r["entities"][0]["unique"].append({"key": "by_phone", "fields": ["phone"]}), "entities[customer].unique[by_phone]", "needs_backfill"),
        (lambda r: r["entities"][0]["unique"].pop(), "entities[customer].unique[name_phone]", "safe"),
        (lambda r: r["views"].pop(0) and r["roles"][1]["menu"][0]["items"].remove("customer:mine"), "views[customer:mine]", "safe"),
        (lambda r: r["pipelines"][0]["stages"].insert(1, {"key": "won2", "label": label("Won again")}), "pipelines[deal].stages[won2]", "safe"),
        (lambda r: r["settings"].append({"key": "x", "label": label("X"), "type": "bool", "default": True}), "settings[x]", "safe"),
        (lambda r: r["pack"].update(version="1.1.0"), "pack", "safe"),
    ],
)  # fmt: skip
def test_change_is_named_and_judged(change: Callable[[dict[str, Any]], Any], path: str, kind: str):
    found = changes(change)
    assert path in found, found
    assert found[path][0] == kind, found
    assert found[path][1].endswith(".")
    assert "%(" not in found[path][1]


def test_lost_option_is_destructive_for_each_field_that_uses_it():
    def change(raw: dict[str, Any]) -> None:
        raw["option_sets"][0]["options"] = [o for o in raw["option_sets"][0]["options"] if o["key"] != "b"]
        fields(raw)["grade"]["default"] = "a"

    found = {c.path: c for c in diff(parse_bundle(good_bundle()), parse_bundle(_changed(change)))}
    lost = found["option_sets[grade].options[b]"]
    assert (lost.kind, lost.entity, lost.field, lost.value) == ("destructive", "customer", "grade", "b")


def test_lost_stage_is_destructive():
    def change(raw: dict[str, Any]) -> None:
        pipeline = raw["pipelines"][0]
        pipeline["stages"] = pipeline["stages"][:2]
        pipeline["transitions"] = pipeline["transitions"][:1]
        fields(raw)["deal_sum"].pop("where")

    found = {c.path: c for c in diff(parse_bundle(good_bundle()), parse_bundle(_changed(change)))}
    assert (found["pipelines[deal].stages[lost]"].kind, found["pipelines[deal].stages[lost]"].stage) == ("destructive", "lost")


def test_reordering_is_a_change():
    assert changes(lambda r: r["entities"][0]["fields"].reverse()) == {"entities[customer].fields": ("safe", "The order of the fields changes.")}


# ---- plain words --------------------------------------------------------------------------------------------------------


def told(new: dict[str, Any], old: dict[str, Any] | None = None, locale: str = "en") -> dict[str, tuple[str, str, dict[str, tuple[str, str]]]]:
    """Of each change, by path: noun, title, details."""
    with use_locale(locale):
        return {
            c.path: (str(c.noun), str(c.title), {str(d.name): (str(d.before), str(d.after)) for d in c.details}) for c in compare(old or good_bundle(), new)
        }  # fmt: skip


PHONE = "entities[customer].fields[phone]"


@pytest.mark.parametrize(
    ("path", "value", "at", "noun", "title", "details"),
    [
        (f"{PHONE}.required", True, f"{PHONE}.required", "Field", "Customer · Phone: becomes required", {"Must be filled": ("no", "yes")}),
        (f"{PHONE}.help", {"en": "With prefix"}, PHONE, "Field", "Customer · Phone: changes in Help text", {"Help text (English)": ("", "With prefix")}),
        (f"{PHONE}.label.zh_CN", "电话", PHONE, "Field", "Customer · Phone: changes in Name", {"Name (简体中文)": ("Phone（中）", "电话")}),
        (f"{PHONE}.type", "text", f"{PHONE}.type", "Field", "Customer · Phone: changes its type from Phone to Text", {"Type": ("Phone", "Text")}),
        ("entities[customer].fields[grade].set", "city", "entities[customer].fields[grade].set", "Field", "Customer · Grade: loses choices", {"Option set": ("Grade", "City")}),
        ("entities[customer].fields[grade].default", "a", "entities[customer].fields[grade]", "Field", "Customer · Grade: changes in Default value", {"Default value": ("B", "A")}),
        ("entities[customer].fields[deal_sum].fn", "max", "entities[customer].fields[deal_sum].fn", "Field", "Customer · Deal_Sum: is computed differently", {"Function": ("Total", "Highest or latest")}),
        ("entities[customer].subtitle", "grade", "entities[customer]", "Entity", "Customer: changes in Field below the name", {"Field below the name": ("", "Grade")}),
        ("entities[customer].tree.max_depth", 6, "entities[customer]", "Entity", "Customer: changes in Tree", {"Levels of the tree": ("4", "6")}),
        ("entities[customer].messages.created.en", "Done", "entities[customer]", "Entity", "Customer: changes in Messages", {"Text after creating (English)": ("Saved", "Done")}),
        ("entities[customer].timeline.sources[0].at", "updated_at", "entities[customer]", "Entity", "Customer: changes in Timeline", None),
        ("entities[customer].rules[credit_known].expr", "credit > 1", "entities[customer].rules[credit_known]", "Rule", "Customer · Credit must be positive: changes in What must hold", None),
        ("entities[customer].duplicates[same_phone].action", "block", "entities[customer].duplicates[same_phone]", "Duplicate rule",
         "Customer · Phone: changes in What to do", {"What to do": ("ask whether to go on", "refuse")}),
        ("option_sets[grade].options[a].active", False, "option_sets[grade].options[a]", "Option", "Grade · A: is switched off", {"Offered for new values": ("yes", "no")}),
        ("option_sets[grade].options[a].color", "red", "option_sets[grade].options[a]", "Option", "Grade · A: changes in Colour", {"Colour": ("Green", "Red")}),
        ("departments[sales].label.en", "Selling", "departments[sales]", "Department", "Selling: changes in Name", None),
        ("pipelines[deal].stages[won].kind", "done", "pipelines[deal].stages[won]", "Stage", "Deal · Won: changes in Meaning", {"Meaning": ("won", "done")}),
        ("pipelines[deal].transitions[win].from", ["open", "lost"], "pipelines[deal].transitions[win]", "Transition", "Deal · Win: changes in From stages",
         {"From stages": ("Open", "Open, Lost")}),
        ("pipelines[deal].transitions[win].effects[0].values.grade", "'b'", "pipelines[deal].transitions[win]", "Transition", "Deal · Win: changes in What follows",
         {"What follows, number 1": ("Set values (Record: Customer; Field values: Grade = A)", "Set values (Record: Customer; Field values: Grade = B)")}),
        ("pipelines[deal].transitions[reopen].branches[0].to", "won", "pipelines[deal].transitions[reopen]", "Transition", "Deal · Reopen: changes in Branches",
         {"Branches, number 1": ("to Open if Amount is more than 100", "to Won if Amount is more than 100")}),
        ("roles[sales].entities.customer.read", "own", "roles[sales].entities.customer", "Rights", "Sales · Customer: changes in See, Export",
         {"See": ("all records", "own records"), "Export": ("all records", "own records")}),
        ("roles[sales].entities.customer.delete", "dept", "roles[sales].entities.customer", "Rights", "Sales · Customer: changes in Delete", {"Delete": ("none", "records of their department")}),
        ("roles[sales].entities.customer.fields.phone", "hidden", "roles[sales].entities.customer", "Rights", "Sales · Customer: changes in Rights on fields",
         {"Right on “Phone”": ("masked", "hidden")}),
        ("roles[sales].entities.*.read", "all", "roles[sales].entities.*", "Rights", "Sales · all other entities: changes in See", {"See": ("none", "all records")}),
        ("roles[sales].transitions.deal", ["win", "lose"], "roles[sales]", "Role", "Sales: changes in Transitions it may do", {"Transitions it may do": ("Deal: Win", "Deal: Win, Lose")}),
        ("roles[sales].menu[0].items", ["customer", "board:deal"], "roles[sales]", "Role", "Sales: changes in Menu",
         {"Menu": ("Sales (Customers, Customers · Mine, Deals as a board, Deals, Start)", "Sales (Customers, Deals as a board)")}),
        ("views[customer:mine].filter", {"field": "credit", "op": "gt", "value": 3}, "views[customer:mine]", "View", "Customer · Mine: changes in Filter",
         {"Filter": ("Grade is A", "Credit is more than 3")}),
        ("views[customer:mine].sort", ["-credit"], "views[customer:mine]", "View", "Customer · Mine: changes in Sort order",
         {"Sort order": ("Updated, descending; Name", "Credit, descending")}),
        ("views[deal:board].board.card", [], "views[deal:board]", "View", "Deal · Board: changes in Board", {"Fields on the cards": ("Customer", "")}),
        ("layouts[customer:main].tabs[details].sections[base].fields", ["name"], "layouts[customer:main].tabs[details].sections[base]", "Section",
         "Customer · Standard layout · Details · Section 1: changes in Fields", {"Fields": ("Name, Grade", "Name")}),
        ("reports[deals].widgets[by_grade].measures[0].fn", "avg", "reports[deals].widgets[by_grade]", "Widget", "Deals · By grade: changes in Measures",
         {"Measures": ("sum of Amount", "average of Amount")}),
        ("reports[deals].params[year].kind", "period", "reports[deals].params[year]", "Parameter", "Deals · Created: changes in Kind", {"Kind": ("year", "period")}),
        ("dashboards[start].widgets[0].width", 6, "dashboards[start].widgets[(deals:by_grade)]", "Widget", "Start · By grade: changes in Width in twelfths", None),
        ("automations[follow_up].active", False, "automations[follow_up]", "Automation", "Follow up: is switched off", {"Switched on": ("yes", "no")}),
        ("automations[follow_up].on.fields", ["name"], "automations[follow_up]", "Automation", "Follow up: changes in When", None),
        ("schedules[churn].do[0].to", ["role:sales"], "schedules[churn]", "Schedule", "Churn: changes in What happens",
         {"What happens": ("Notify people (Who is told: Owner; Title: {{ name }})", "Notify people (Who is told: everybody with the role “Sales”; Title: {{ name }})")}),
        ("settings[churn_days].default", 90, "settings[churn_days]", "Setting", "Days until churn: changes in Standard value", {"Standard value": ("180", "90")}),
        ("pack.version", "1.1.0", "pack", "Pack", "Pack: changes in Version", {"Version": ("1.0.0", "1.1.0")}),
    ],
)  # fmt: skip
def test_each_part_is_told_by_itself_with_labels(path: str, value: Any, at: str, noun: str, title: str, details: dict[str, tuple[str, str]] | None):
    found = told(put(good_bundle(), path, value))
    assert at in found, found
    assert found[at][:2] == (noun, title)
    assert details is None or found[at][2] == details
    assert all(before != after for _, _, each in found.values() for before, after in each.values())


def test_new_and_removed_definitions_say_what_they_are():
    view = {"key": "big", "entity": "deal", "label": label("Big"), "columns": ["subject", "amount"], "sort": ["-amount"], "filter": "amount > 10"}
    base = good_bundle()
    assert told(add(base, "views", view)) == {
        "views[deal:big]": ("View", "Deal · Big: is new", {"Columns": ("", "Subject, Amount"), "Filter": ("", "Amount is more than 10"), "Sort order": ("", "Amount, descending")})
    }  # fmt: skip
    assert told(base, add(base, "views", view))["views[deal:big]"][1] == "Deal · Big: is removed"
    entity = {"key": "tool", "label": label("Tool"), "plural": label("Tools"), "title": "name", "fields": [field("name", "text"), field("owner_note", "text")]}
    assert told(add(base, "entities", entity))["entities[tool]"][2]["Fields"] == ("", "Name, Owner_Note")
    example = {"key": "e", "label": label("E"), "entity": "deal", "as": "sales", "given": {"amount": 5, "status": "won"}, "when": {"transition": "win"}, "expect": "refused"}
    assert told(add(base, "examples", example))["examples[e]"][2] == {
        "Entity": ("", "Deal"), "Who does it": ("", "Sales"), "The record before": ("", "Amount: 5; Status: Won"), "Do the transition": ("", "Win"),
        "What must happen": ("", "it is refused"),
    }  # fmt: skip


def test_orders_are_told_with_names():
    found = told(move(good_bundle(), "pipelines[deal].stages[lost]", 0))
    assert found == {"pipelines[deal].stages": ("Stage", "Deal · Stages: new order", {"Order": ("Open, Won, Lost", "Lost, Open, Won")})}
    assert told(move(good_bundle(), "automations[tidy]", 0))["automations"][1] == "Automations: new order"


def test_words_are_in_the_readers_language():
    found = told(put(put(good_bundle(), f"{PHONE}.required", True), "roles[sales].entities.customer.update", "none"), locale="zh_CN")
    assert found[f"{PHONE}.required"] == ("字段", "Customer（中） · Phone（中）：变为必填", {"必填": ("否", "是")})
    assert found["roles[sales].entities.customer"][2] == {"编辑": ("自己的记录，条件：Grade（中） 不等于 A（中）", "无")}


def test_long_texts_are_cut_where_they_differ():
    text = " or ".join(f"credit == {n}" for n in range(80))
    base = put(good_bundle(), "entities[customer].fields[note].visible_if", text)
    before, after = told(put(base, "entities[customer].fields[note].visible_if", f"{text} or credit == 99"), base)["entities[customer].fields[note]"][2]["Shown if"]
    assert max(len(before), len(after)) <= 202
    assert "Credit is 99" in after
    assert "Credit is 99" not in before


def test_type_changes_are_converted_unless_they_become_computed():
    base = good_bundle()
    typed = {c.path: c for c in compare(base, put(base, f"{PHONE}.type", "email"))}
    assert (typed[f"{PHONE}.type"].kind, typed[f"{PHONE}.type"].field) == ("needs_backfill", "phone")
    assert len(typed) == 1
    formula = {c.path: c for c in compare(base, put(base, PHONE, field("phone", "formula", returns="text", expr="name")))}
    assert formula[f"{PHONE}.type"].kind == "destructive"
    longer = {c.path: c.kind for c in compare(base, put(base, "entities[customer].fields[name].max_length", 5000))}
    assert longer == {"entities[customer].fields[name].max_length": "safe", "entities[customer].fields[name]": "needs_backfill"}


def test_inline_options_count_for_their_field():
    base = good_bundle()
    lost = compare(base, remove(base, "entities[customer].fields[region].options[north]"))
    assert [(c.path, c.kind, c.entity, c.field, c.value) for c in lost] == [
        ("entities[customer].fields[region].options[north]", "destructive", "customer", "region", "north")
    ]  # fmt: skip
    moved = put(remove(base, "entities[customer].fields[region].options"), "entities[customer].fields[region].set", "regions")
    moved = add(moved, "option_sets", {"key": "regions", "label": label("Regions"), "options": base["entities"][0]["fields"][2]["options"]})
    assert {c.kind for c in compare(base, moved)} == {"safe"}  # the same choices from a set


# ---- tolerance ----------------------------------------------------------------------------------------------------------


def test_what_means_the_same_is_no_difference():
    raw = good_bundle()
    raw["views"][0]["kind"] = "list"
    raw["automations"][0]["active"] = True
    raw["schedules"][0]["where"] = {"expr": raw["schedules"][0]["where"]}
    raw["roles"][1]["dashboards"] = ["*"]
    raw["roles"][1]["entities"]["customer"]["fields"]["phone"] = {"access": "masked", "mask": "****{4}"}
    raw["entities"][1]["fields"][0]["max_length"] = 255
    raw["$schema"] = "x"
    assert compare(good_bundle(), raw) == []


def test_diff_of_models_says_what_compare_says():
    new = put(put(good_bundle(), f"{PHONE}.unique", True), "views[customer:mine].columns", ["name"])
    short = [(c.path, c.kind, str(c.title), str(c.message)) for c in compare(good_bundle(), new)]
    assert [(c.path, c.kind, str(c.title), str(c.message)) for c in diff(parse_bundle(good_bundle()), parse_bundle(new))] == short
    assert [s[0] for s in short] == [f"{PHONE}.unique", "views[customer:mine]"]


@pytest.mark.parametrize("pack", ["baseline-crm", "jb-rm-crm", "good"])
def test_models_can_be_written_back(pack: str):
    bundle = parse_bundle(good_bundle() if pack == "good" else load_pack(pack))
    assert parse_bundle(bundle_to_raw(bundle)) == bundle


@pytest.mark.parametrize("value", [None, 5, "x", [], {}, [1], ["x"], [{}], [{"key": 5}], {"a": 1}, [{"key": "a"}, {"key": "a"}], True])
def test_drafts_in_disorder_are_compared(value: Any):
    for path in ("entities", "roles", "views", "entities[customer].fields", f"{PHONE}.label", f"{PHONE}.type", "roles[sales].entities", "roles[sales].menu",
                 "pipelines[deal].stages", "pipelines[deal].transitions[win].effects", "entities[customer].timeline", "views[customer:mine].columns",
                 "views[customer:mine].filter", "roles[sales].entities.customer.read", "option_sets[grade].options", "entities[customer].fields[city].depends_on",
                 "roles[sales].entities.customer.fields.phone", "automations[tidy].on", "automations[tidy].do", "reports[deals].widgets", "examples", "pack"):  # fmt: skip
        broken = put(good_bundle(), path, value)
        for found in (compare(good_bundle(), broken), compare(broken, good_bundle())):
            for locale in ("en", "zh_CN"):
                with use_locale(locale):
                    assert all(str(c.title) and str(c.message) and all(str(d.name) is not None for d in c.details) for c in found)
    assert compare(value, good_bundle())
    assert compare({}, {}) == []


def _changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    raw = good_bundle()
    change(raw)
    return raw
