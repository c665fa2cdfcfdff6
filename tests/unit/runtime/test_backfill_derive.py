"""Which steps follow from which change: exactly those, in order."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from bundles import field, good_bundle, label

from saas.metadata.config import Config
from saas.metadata.parse import parse_bundle
from saas.metadata.slots import Assignment, allocate
from saas.runtime.backfill import Step, derive, estimate, step_kinds

Raw = dict[str, Any]
Rows = dict[str, list[Assignment]]


def entity(raw: Raw, key: str) -> Raw:
    return next(e for e in raw["entities"] if e["key"] == key)


def put(raw: Raw, entity_key: str, definition: Raw) -> None:
    fields = entity(raw, entity_key)["fields"]
    found = next((i for i, f in enumerate(fields) if f["key"] == definition["key"]), len(fields))
    fields[found : found + 1] = [definition]


class Tenant:
    """Configurations one after the other, with the places the database would give."""

    def __init__(self, raw: Raw) -> None:
        self.rows: Rows = {}
        self.config = self.compile(raw)

    def compile(self, raw: Raw) -> Config:
        plain = Config(parse_bundle(raw))
        columns = {}
        for key in plain.entities:
            change = allocate(plain, key, self.rows.get(key, []))
            names = dict(change.renamed)
            kept = []
            for row in self.rows.get(key, []):
                name = names.get(row.field_key, row.field_key)
                retired = (row.retired or name in change.retired or "~" in name) and name not in change.restored
                kept.append(Assignment(name, row.column, row.storage, retired, row.shape))
            self.rows[key] = kept + change.added
            columns[key] = change.columns
        return Config(plain.bundle, numbers={key: n for n, key in enumerate(plain.entities, 1)}, columns=columns)

    def publish(self, raw: Raw, data: list[Raw] | None = None) -> list[Step]:
        before, self.config = self.config, self.compile(raw)
        return derive(before, self.config, data or [])


def steps(change: Any, data: list[Raw] | None = None) -> list[tuple[str, str, str | None]]:
    raw = good_bundle()
    tenant = Tenant(raw)
    after = copy.deepcopy(raw)
    change(after)
    return [(s.kind, s.entity, s.field) for s in tenant.publish(after, data)]


def test_nothing_follows_from_nothing_or_from_what_only_looks_different():
    assert steps(lambda raw: None) == []

    def looks(raw: Raw) -> None:
        raw["views"][0]["label"] = label("Else")
        entity(raw, "customer")["fields"][0]["label"] = label("Title")
        entity(raw, "customer")["fields"].reverse()
        raw["roles"][1]["entities"]["deal"]["create"] = False

    assert steps(looks) == []


def test_a_new_field_needs_nothing_unless_it_is_computed_or_ordered():
    assert steps(lambda raw: put(raw, "customer", field("motto", "text", required=True))) == []
    assert steps(lambda raw: put(raw, "customer", field("number", "auto", pattern="{seq}"))) == [("number", "customer", "number")]
    assert steps(lambda raw: put(raw, "customer", field("deals2", "rollup", of="deals", fn="count"))) == [("rollup", "customer", "deals2")]
    order = [{"do": "fill", "entity": "customer", "field": "motto", "value": "x"}]
    assert steps(lambda raw: put(raw, "customer", field("motto", "text")), order) == [("fill", "customer", "motto")]


def test_a_changed_type_is_converted_and_what_is_made_of_it_made_anew():
    def change(raw: Raw) -> None:
        put(raw, "customer", field("phone", "text"))

    assert steps(change) == [("convert", "customer", "phone"), ("unique", "customer", "name"), ("reindex", "customer", None)]


@pytest.mark.parametrize(
    ("definition", "kinds"),
    [
        (field("credit", "number"), ["convert"]),
        (field("credit", "money"), ["convert"]),  # the same column's type, another meaning
        (field("credit", "int", min=1, max=3), []),
        (field("credit", "formula", returns="int", expr="1"), []),
        (field("parent", "ref", to="deal", inverse={"key": "subsidiaries", "label": label("Subsidiaries")}), ["convert"]),
        (field("since", "date"), []),
        (field("note", "longtext", max_length=10), []),
        (field("note", "text"), ["convert"]),
    ],
)  # fmt: skip
def test_types(definition: Raw, kinds: list[str]):
    def change(raw: Raw) -> None:
        customer = entity(raw, "customer")
        customer.pop("rules"), customer.pop("tree")
        raw["automations"] = []
        raw["roles"][1]["entities"]["customer"]["fields"] = {}
        put(raw, "customer", definition)

    assert [k for k, *_ in steps(change)] == kinds


def test_rules_and_searches():
    def unique(raw: Raw) -> None:
        entity(raw, "customer")["unique"] = [{"key": "name_phone", "fields": ["name", "phone"], "when": "grade == 'a'"}]

    def none(raw: Raw) -> None:
        entity(raw, "customer")["unique"] = []

    def search(raw: Raw) -> None:
        entity(raw, "customer")["search"] = ["name", "grade"]

    def similar(raw: Raw) -> None:
        entity(raw, "customer")["duplicates"][0]["match"] = ["phone", "name"]

    assert steps(unique) == [("unique", "customer", "name")]
    assert steps(none) == [("forget", "customer", None)]
    assert steps(search) == [("reindex", "customer", None)]
    assert steps(similar) == [("duplicates", "customer", None)]
    assert steps(lambda raw: (search(raw), similar(raw))) == [("reindex", "customer", None)]


def test_rollups_follow_what_they_look_at():
    def amount(raw: Raw) -> None:
        put(raw, "deal", field("amount", "number"))

    def formula(raw: Raw) -> None:
        put(raw, "deal", field("net", "formula", returns="number", expr="amount * setting('churn_days')"))
        put(raw, "customer", field("nets", "rollup", of="deals", fn="sum", field="net"))

    assert ("rollup", "customer", "deal_sum") in steps(amount) and ("rollup", "customer", "deal_count") not in steps(amount)
    raw = good_bundle()
    formula(raw)
    tenant = Tenant(raw)
    raw["settings"][0]["default"] = 181
    assert [(s.kind, s.field) for s in tenant.publish(raw)] == [("rollup", "nets")]


def test_stages_and_options():
    order = {"do": "replace", "entity": "deal", "field": "status", "from": "lost", "rules": [], "to": "open"}

    def shorter(raw: Raw) -> None:
        raw["pipelines"][0]["stages"].pop()
        raw["pipelines"][0]["transitions"] = raw["pipelines"][0]["transitions"][:1]
        entity(raw, "customer")["fields"] = [f for f in entity(raw, "customer")["fields"] if f["key"] != "deal_sum"]

    assert steps(shorter) == [] and steps(shorter, [order]) == [("replace", "deal", "status")]
    raw = good_bundle()
    shorter(raw)
    tenant = Tenant(raw)
    raw["pipelines"][0]["stages"][1] = {"key": "signed", "label": label("Signed"), "kind": "won"}
    raw["pipelines"][0]["transitions"][0]["to"] = "signed"
    raw["reports"][0]["widgets"][0]["filter"] = "status == 'signed'"
    raw["schedules"] = []
    assert [(s.kind, s.options["lost"]) for s in tenant.publish(raw)] == [("undo", ["won"])]
    rest = {"do": "replace", "entity": "deal", "field": "status", "from": "signed", "to": "open", "rest": True}
    assert [s.kind for s in tenant.publish(good_bundle(), [rest])] == ["undo", "replace", "rollup"]


def test_orders_keep_their_order_and_come_after_conversions():
    data = [
        {"do": "replace", "entity": "customer", "field": "grade", "from": "b", "rules": [], "to": "a"},
        {"do": "fill", "entity": "customer", "field": "grade", "value": "b"},
        {"do": "convert", "entity": "customer", "field": "credit", "from": "int"},
        {"do": "replace", "entity": "customer", "field": "region", "from": "north", "rules": [], "to": None},
        {"do": "fill", "entity": "nothing", "field": "grade", "value": "b"},
        {"do": "role", "from": "sales", "to": None},
    ]

    def change(raw: Raw) -> None:
        entity(raw, "customer").pop("rules")
        put(raw, "customer", field("credit", "number"))

    assert [(k, f) for k, _, f in steps(change, data)] == [("convert", "credit"), ("replace", "grade"), ("fill", "grade"), ("replace", "region")]


def test_an_entity_that_comes_back_is_put_in_order():
    raw = good_bundle()
    tenant = Tenant(raw)
    without = copy.deepcopy(raw)
    without["entities"] = [e for e in without["entities"] if e["key"] == "customer"]
    for name in ("pipelines", "views", "layouts", "reports", "dashboards", "automations", "schedules"):
        without[name] = []
    customer = entity(without, "customer")
    customer["fields"] = [f for f in customer["fields"] if not f["key"].startswith("deal_")]
    customer.pop("timeline")
    without["roles"] = without["roles"][:1]
    customer["owner_roles"], customer["fields"][6] = ["admin"], field("helper", "user")
    assert tenant.publish(without) == []
    assert {(s.kind, s.entity) for s in tenant.publish(raw)} == {("stage", "deal"), ("reindex", "deal"), ("rollup", "customer")}


def test_indexes_come_and_go():
    raw = good_bundle()
    tenant = Tenant(raw)
    put(raw, "customer", field("since", "date", indexed=True))
    for number in range(4):
        put(raw, "customer", field(f"d{number}", "date"))
        raw["views"][0]["sort"] = ["d0", "d1", "d2"]
    assert [(s.kind, s.field) for s in tenant.publish(raw)] == [("index", "since")]
    put(raw, "customer", field("d3", "date", indexed=True))
    put(raw, "customer", field("since", "date"))
    assert [(s.kind, s.field) for s in tenant.publish(raw)] in ([("index", "d3"), ("unindex", "since")], [("index", "d3")])


def test_steps_travel_as_json_and_are_estimated():
    found = Tenant(good_bundle())
    raw = good_bundle()
    put(raw, "customer", field("phone", "text"))
    made = found.publish(raw)
    assert [Step.from_json(s.to_json()) for s in made] == made
    assert estimate(made, {}) == 0 and estimate(made, {"customer": 10_000}) > estimate(made, {"customer": 1_000}) > 0


def test_every_kind_of_step_has_a_name_and_a_measured_cost():
    assert {kind.key for kind in step_kinds} == {
        "move", "convert", "stage", "undo", "fill", "replace", "number", "forget", "unique", "reindex", "duplicates", "rollup", "index", "unindex",
    }  # fmt: skip
    assert all(str(kind.label) for kind in step_kinds)
    assert all(kind.seconds > 0 for kind in step_kinds if kind.key != "unindex")
