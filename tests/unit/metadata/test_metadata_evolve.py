"""What a change of configuration means for the records, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bundles import field, good_bundle, label

from saas.metadata.evolve import diff
from saas.metadata.parse import parse_bundle
from saas.runtime.kinds import load_kinds

load_kinds()


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
        (lambda r: credit_as_text(r), "entities[customer].fields[credit].type", "destructive"),
        (lambda r: fields(r)["phone"].update(required=True), "entities[customer].fields[phone].required", "needs_backfill"),
        (lambda r: fields(r)["deal_sum"].update(fn="max"), "entities[customer].fields[deal_sum].fn", "needs_backfill"),
        (lambda r: r["option_sets"][0]["options"].append({"key": "c", "label": label("C")}), "option_sets[grade]", "safe"),
        (lambda r: r["entities"][0]["search"].append("shown"), "entities[customer].search", "needs_backfill"),
        (lambda r: r["entities"][0]["unique"].append({"key": "by_phone", "fields": ["phone"]}), "entities[customer].unique[by_phone]", "needs_backfill"),
        (lambda r: r["entities"][0]["unique"].pop(), "entities[customer].unique[name_phone]", "safe"),
        (lambda r: r["views"].pop(0) and r["roles"][1]["menu"][0]["items"].remove("customer:mine"), "views[customer:mine]", "safe"),
        (lambda r: r["pipelines"][0]["stages"].insert(1, {"key": "won2", "label": label("Won again")}), "pipelines[deal]", "safe"),
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


def _changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    raw = good_bundle()
    change(raw)
    return raw
