"""Columns are given once, kept, retired and taken up again; the useful fields get the indexed ones."""

from __future__ import annotations

from typing import Any

from bundles import field, good_bundle

from saas.metadata.config import Config
from saas.metadata.parse import parse_bundle
from saas.metadata.slots import SLOTS, Allocation, Assignment, allocate
from saas.runtime.kinds import load_kinds

load_kinds()


def with_fields(*fields: dict[str, Any], **entity: Any) -> Config:
    raw = good_bundle()
    raw["entities"].append({**raw["entities"][1], "key": "thing", "fields": [field("subject", "text"), *fields], **entity})
    raw["pipelines"][0]["entity"] = "deal"
    return Config(parse_bundle(raw))


def after(rows: list[Assignment], change: Allocation) -> list[Assignment]:
    """What the table holds once the change is carried out."""
    names = dict(change.renamed)
    kept = []
    for row in rows:
        key = names.get(row.field_key, row.field_key)
        retired = (row.retired or key in change.retired or "~" in key) and key not in change.restored
        kept.append(Assignment(key, row.column, row.storage, retired))
    return kept + change.added


def test_useful_fields_get_indexed_columns():
    config = with_fields(
        field("note1", "text"), field("note2", "text"), field("grade", "option", set="grade"), field("number", "text", unique=True),
        field("parent", "ref", to="customer"), field("amount", "int"),
    )  # fmt: skip
    columns = allocate(config, "thing", []).columns
    assert columns["number"] == "t1"
    assert columns["parent"] == "r1"
    assert {columns["subject"], columns["grade"]} == {"t2", "t3"}  # title, then options
    assert {columns["note1"], columns["note2"]} == {"t9", "t10"}  # nobody filters by them: unindexed
    assert columns["amount"] == "i5"


def test_computed_and_long_fields_take_no_column():
    config = with_fields(field("note", "longtext"), field("twice", "formula", returns="text", expr="subject"), field("many", "m2m", to="customer"))
    assert set(allocate(config, "thing", []).columns) == {"subject"}


def test_columns_are_stable_when_the_bundle_is_published_again():
    config = with_fields(field("a", "text"), field("b", "text"))
    first = allocate(config, "thing", [])
    again = allocate(config, "thing", first.added)
    assert again == Allocation(columns=first.columns)


def test_new_fields_leave_the_old_ones_where_they_are():
    first = allocate(with_fields(field("a", "text")), "thing", [])
    second = allocate(with_fields(field("fresh", "text", unique=True), field("a", "text")), "thing", first.added)
    assert second.columns | first.columns == second.columns
    assert [a.field_key for a in second.added] == ["fresh"]


def test_column_of_a_lost_field_is_not_given_to_another():
    rows = allocate(with_fields(field("a", "text")), "thing", []).added
    change = allocate(with_fields(field("b", "text")), "thing", rows)
    assert change.retired == ["a"]
    assert change.columns["b"] not in {r.column for r in rows}


def test_returning_field_finds_its_column_again():
    first = allocate(with_fields(field("a", "text")), "thing", [])
    rows = after(first.added, allocate(with_fields(), "thing", first.added))
    assert {r.field_key for r in rows if r.retired} == {"a"}
    back = allocate(with_fields(field("a", "text")), "thing", rows)
    assert back.columns["a"] == first.columns["a"]
    assert back.restored == ["a"]
    assert back.added == []


def test_field_of_another_storage_starts_afresh_and_can_go_back():
    text, number = with_fields(field("a", "text")), with_fields(field("a", "int"))
    first = allocate(text, "thing", [])
    second = allocate(number, "thing", first.added)
    rows = after(first.added, second)
    assert second.columns["a"].startswith("i")
    assert f"a~{first.columns['a']}" in {r.field_key for r in rows if r.retired}
    third = allocate(text, "thing", rows)
    assert third.columns["a"] == first.columns["a"]
    rows = after(rows, third)
    assert allocate(number, "thing", rows).columns["a"] == second.columns["a"]


def test_more_fields_than_columns_stay_in_the_document():
    letter, count, _ = SLOTS["time"]
    config = with_fields(*(field(f"d{n}", "datetime") for n in range(count + 3)))
    columns = allocate(config, "thing", []).columns
    used = [c for c in columns.values() if c.startswith(letter)]
    assert len(used) == len(set(used)) == count
