"""Examples in a bundle: read as written, and every mistake found where it stands."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from saas.metadata.evolve import diff
from saas.metadata.parse import parse_bundle, problems_of
from tests.bundles import good_bundle, label

WIN: dict[str, Any] = {
    "key": "win_needs_amount", "label": label("Without an amount nothing is won"), "entity": "deal", "as": "sales",
    "records": [{"key": "acme", "entity": "customer", "values": {"name": "Acme", "helper": "@role:sales", "since": "@date:-30d"}}],
    "given": {"subject": "Lathe", "customer": "@acme", "owner": "@other"}, "state": "open",
    "when": {"transition": "win", "values": {"amount": "0"}}, "expect": "refused", "message": "amount", "then": ["status == 'open'"],
}  # fmt: skip


def bundle_with(*examples: dict[str, Any]) -> dict[str, Any]:
    return {**good_bundle(), "examples": [copy.deepcopy(e) for e in examples]}


def test_a_good_example_becomes_a_model() -> None:
    [example] = parse_bundle(bundle_with(WIN)).examples
    assert (example.act, example.transition, dict(example.values), example.role, example.expect) == ("transition", "win", {"amount": "0"}, "sales", "refused")
    assert (example.state, example.message, example.then) == ("open", "amount", ("status == 'open'",))
    assert [(r.key, r.entity) for r in example.records] == [("acme", "customer")]


@pytest.mark.parametrize(("when", "act", "values"), [({"create": {"subject": "x"}}, "create", {"subject": "x"}), ({"update": {"reason": "r"}}, "update", {"reason": "r"}), ({"delete": True}, "delete", {}), ({"read": True}, "read", {})])
def test_each_act(when: dict[str, Any], act: str, values: dict[str, Any]) -> None:
    one = {"key": "x", "label": label("X"), "entity": "deal", "as": "system", "when": when, "expect": "allowed"}
    [example] = parse_bundle(bundle_with(one)).examples
    assert (example.act, dict(example.values)) == (act, values)


def _around(example: dict[str, Any]) -> None:
    """Two records that each need the other first."""
    for name in ("state", "message", "then"):
        example.pop(name)
    example.update(entity="customer", given={"name": "A", "parent": "@acme"}, when={"read": True}, expect="allowed")
    example["records"][0]["values"].update(parent="@given")


MISTAKES: dict[str, tuple[Callable[[dict[str, Any]], Any], str, str]] = {
    "unknown entity": (lambda e: e.update(entity="dael"), "examples[win_needs_amount].entity", "unknown_entity"),
    "unknown role": (lambda e: e.update({"as": "boss"}), "examples[win_needs_amount].as", "unknown_role"),
    "unknown field given": (lambda e: e["given"].update(price=1), "examples[win_needs_amount].given.price", "unknown_field"),
    "stage among the values": (lambda e: e["given"].update(status="open"), "examples[win_needs_amount].given.status", "not_given"),
    "computed among the values": (lambda e: e["records"][0]["values"].update(deal_count=3), "examples[win_needs_amount].records[acme].values.deal_count", "not_given"),
    "unknown record": (lambda e: e["given"].update(customer="@acmee"), "examples[win_needs_amount].given.customer", "unknown_example_record"),
    "record named before it stands": (lambda e: e["records"][0]["values"].update(parent="@acme"), "examples[win_needs_amount].records[acme].values.parent", "unknown_example_record"),
    "record named twice": (lambda e: e["records"].append(e["records"][0]), "examples[win_needs_amount].records[acme].key", "duplicate_key"),
    "given by one that stands below it": (_around, "examples[win_needs_amount].given.parent", "unknown_example_record"),
    "unknown role of a person": (lambda e: e["given"].update(owner="@role:boss"), "examples[win_needs_amount].given.owner", "unknown_role"),
    "not a moment": (lambda e: e["records"][0]["values"].update(since="@date:soon"), "examples[win_needs_amount].records[acme].values.since", "bad_moment"),
    "unknown stage": (lambda e: e.update(state="opened"), "examples[win_needs_amount].state", "unknown_stage"),
    "unknown transition": (lambda e: e["when"].update(transition="winn"), "examples[win_needs_amount].when.transition", "unknown_transition"),
    "unknown field in the act": (lambda e: e["when"]["values"].update(amuont=1), "examples[win_needs_amount].when.values.amuont", "unknown_field"),
    "two acts": (lambda e: e["when"].update(read=True), "examples[win_needs_amount].when", "one_act"),
    "values without a transition": (lambda e: e.update(when={"read": True, "values": {}}), "examples[win_needs_amount].when", "one_act"),
    "no act": (lambda e: e.update(when={}), "examples[win_needs_amount].when", "empty"),
    "no such expectation": (lambda e: e.update(expect="maybe"), "examples[win_needs_amount].expect", "unknown_choice"),
    "a message for what is allowed": (lambda e: e.update(expect="allowed"), "examples[win_needs_amount].message", "no_refusal"),
    "a condition that is none": (lambda e: e.update(then=["amount"]), "examples[win_needs_amount].then[0]", "bad_expression"),
    "afterwards without a record": (lambda e: e.update(when={"create": {}}, state=None) or e.pop("state"), "examples[win_needs_amount].then", "no_record"),
    "a new record at a stage": (lambda e: e.update(when={"create": {}}, then=[]), "examples[win_needs_amount].state", "no_record"),
    "unknown role that decides": (lambda e: e.update(decisions=[{"as": "boss", "act": "approve"}]), "examples[win_needs_amount].decisions[0].as", "unknown_role"),
    "decided where nothing begins": (lambda e: e.update(when={"read": True}, decisions=[{"as": "sales", "act": "reject"}]), "examples[win_needs_amount].decisions", "nothing_begins"),
    "unknown property": (lambda e: e.update(whne={}), "examples[win_needs_amount].whne", "unknown_property"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_every_mistake_is_found_where_it_stands(name: str) -> None:
    spoil, path, code = MISTAKES[name]
    example = copy.deepcopy(WIN)
    spoil(example)
    found = {(p.path, p.code) for p in problems_of(bundle_with(example))}
    assert found == {(path, code)}


def test_one_key_for_two_examples() -> None:
    assert [(p.path, p.code) for p in problems_of(bundle_with(WIN, WIN))] == [("examples[win_needs_amount]", "duplicate_key")]


def test_the_difference_names_examples() -> None:
    before, after = parse_bundle(good_bundle()), parse_bundle(bundle_with(WIN))
    assert [(c.path, c.kind) for c in diff(before, after)] == [("examples[win_needs_amount]", "safe")]
