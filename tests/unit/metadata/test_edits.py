"""Edits by path change a copy, only what they name, and names come from labels."""

from __future__ import annotations

import copy

import pytest

from saas.metadata import edits
from tests.factories import rich_bundle

RAW = rich_bundle()


def test_every_keyed_definition_is_found_by_its_path():
    assert edits.find(RAW, "entities[account].fields[grade].options[b].label.en") == "B"
    assert edits.find(RAW, "entities[nobody].fields[grade]") is None
    view = RAW["views"][0]
    assert edits.find(RAW, f"views[{view['entity']}:{view['key']}]") is view
    assert edits.find(RAW, "entities[account].search[1]") == "phone"


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: edits.put(raw, "entities[account].fields[grade].required", True), lambda raw: edits.put(raw, "entities[account].fields[new_one]", {"key": "new_one"}),
        lambda raw: edits.add(raw, "option_sets", {"key": "s"}), lambda raw: edits.remove(raw, "entities[account].fields[grade]"),
        lambda raw: edits.move(raw, "entities[account].fields[grade]", 0), lambda raw: edits.reorder(raw, "entities", [e["key"] for e in reversed(raw["entities"])]),
    ],
)  # fmt: skip
def test_what_was_given_stays_as_it_was(change):
    raw, before = copy.deepcopy(RAW), copy.deepcopy(RAW)
    assert change(raw) != before
    assert raw == before


def test_putting_back_what_was_removed_gives_the_same():
    path = "entities[account].fields[grade]"
    there = [f["key"] for f in edits.find(RAW, "entities[account].fields")]
    gone = edits.remove(RAW, path)
    back = edits.move(edits.put(gone, path, edits.find(RAW, path)), path, there.index("grade"))
    assert back == RAW


def test_adding_after_a_key_and_ordering():
    raw = edits.add(RAW, "entities[account].fields", {"key": "x"}, after="code")
    keys = [f["key"] for f in edits.find(raw, "entities[account].fields")]
    assert keys[keys.index("code") + 1] == "x"
    ordered = edits.reorder(raw, "entities[account].fields", ["x", "grade", "nobody"])
    keys = [f["key"] for f in edits.find(ordered, "entities[account].fields")]
    assert keys[:2] == ["x", "grade"] and len(keys) == len(set(keys)) == len(edits.find(raw, "entities[account].fields"))


def test_a_path_through_something_missing_is_an_error():
    with pytest.raises(KeyError):
        edits.put(RAW, "entities[nobody].fields[x]", {})


@pytest.mark.parametrize(
    ("label", "key"),
    [
        ({"en": "Loan date"}, "loan_date"), ({"zh_CN": "客户等级"}, "ke_hu_deng_ji"), ({"en": "  2nd Phone!  "}, "field_3"), ({"en": "😀"}, "field_3"), ({"en": "Name"}, "name_2"),
        ({"en": "x" * 100}, "x" * 40), ({}, "field_3"), ({"en": "Größe"}, "grosse"),
    ],
)  # fmt: skip
def test_keys_come_from_labels(label, key):
    made = edits.key_for(label, {"name"}, "field_3")
    assert made == key and len(made) <= edits.MAX_KEY


def test_a_reserved_word_is_no_key():
    assert edits.key_for({"en": "Owner"}, (), "field_1") == "owner_2"
    assert edits.key_for({"en": "And"}, (), "field_1") == "and_2"
