"""Columns are given once, kept, retired and taken up again; the useful fields get the indexed ones."""

from __future__ import annotations

from typing import Any

from bundles import field, good_bundle

from saas.metadata.config import Config
from saas.metadata.parse import parse_bundle
from saas.metadata.slots import SLOTS, Allocation, Assignment, allocate, find_places


def with_fields(*fields: dict[str, Any], **entity: Any) -> Config:
    raw = good_bundle()
    raw["entities"].append({**raw["entities"][1], "key": "thing", "fields": [field("subject", "text"), *fields], **entity})
    raw["pipelines"][0]["entity"] = "deal"
    return Config(parse_bundle(raw))


def after(rows: list[Assignment], change: Allocation) -> list[Assignment]:
    """What the table holds once the change is carried out."""
    names = dict(change.renamed)
    kept, shapes = [], dict(change.shaped)
    for row in rows:
        key = names.get(row.field_key, row.field_key)
        retired = (row.retired or key in change.retired or "~" in key) and key not in change.restored
        kept.append(Assignment(key, row.column, row.storage, retired, shapes.get(row.field_key, row.shape)))
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


def test_a_type_written_into_the_same_kind_of_column_gets_another_one():
    """Nothing may be read as what it is not: 1250 as an amount is 12.50."""
    first = allocate(with_fields(field("a", "int")), "thing", [])
    change = allocate(with_fields(field("a", "money")), "thing", first.added)
    assert change.columns["a"] != first.columns["a"] and change.columns["a"].startswith("i")
    rows = after(first.added, change)
    assert allocate(with_fields(field("a", "int")), "thing", rows).columns["a"] == first.columns["a"]


def test_a_link_to_another_entity_is_another_place():
    first = allocate(with_fields(field("a", "ref", to="customer"), field("b", "m2m", to="customer")), "thing", [])
    assert set(first.columns) == {"subject", "a"} and "link:b" in {r.column for r in first.added}
    change = allocate(with_fields(field("a", "ref", to="deal"), field("b", "m2m", to="deal")), "thing", first.added)
    assert change.columns["a"] != first.columns["a"] and change.columns["b"] == "link:b~2"


def test_documents_keep_values_of_another_type_apart():
    first = allocate(with_fields(field("a", "longtext")), "thing", [])
    assert first.columns.keys() == {"subject"}
    change = allocate(with_fields(field("a", "tags")), "thing", first.added)
    assert change.columns["a"] == "doc:a~2"
    rows = after(first.added, change)
    assert "a" not in allocate(with_fields(field("a", "longtext")), "thing", rows).columns
    assert find_places(with_fields(field("a", "longtext")), "thing", rows) == first.columns
    assert find_places(with_fields(field("a", "tags")), "thing", rows)["a"] == "doc:a~2"


def test_a_field_in_the_document_moves_when_a_column_is_free():
    _, count, _ = SLOTS["time"]
    fields = [field(f"d{n}", "datetime") for n in range(count + 1)]
    rows = allocate(with_fields(*fields), "thing", []).added
    assert "doc:d20" in {r.column for r in rows}
    assert "d20" not in allocate(with_fields(*fields), "thing", rows).columns
    freed = [r for r in rows if r.field_key != "d3"]
    change = allocate(with_fields(*(f for f in fields if f["key"] != "d3")), "thing", freed)
    assert change.columns["d20"] == next(r.column for r in rows if r.field_key == "d3")
    assert find_places(with_fields(*fields), "thing", after(freed, change))["d20"] == change.columns["d20"]


def test_rows_from_before_shapes_are_named_and_kept():
    rows = [Assignment(r.field_key, r.column, r.storage) for r in allocate(with_fields(field("a", "int")), "thing", []).added]
    change = allocate(with_fields(field("a", "int")), "thing", rows)
    assert ("a", "int") in change.shaped and not change.renamed
