"""Lists of options are changed as a whole without losing what is not on the page."""

from __future__ import annotations

import pytest

from saas.metadata import option_lists as lists
from saas.metadata.option_lists import Holder


def options(*keys):
    return [{"key": k, "label": {"en": k.upper()}} for k in keys]


def keys(found):
    return [o["key"] for o in found]


@pytest.mark.parametrize(("order", "expected"), [
    (["c", "a"], ["c", "b", "a", "d"]), (["d", "c", "b", "a"], ["d", "c", "b", "a"]), ([], ["a", "b", "c", "d"]), (["b", "b", "nothing"], ["a", "b", "c", "d"]), (["b", "a"], ["b", "a", "c", "d"]),
])  # fmt: skip
def test_only_the_places_of_the_page_change(order, expected):
    assert keys(lists.placed(options("a", "b", "c", "d"), order)) == expected


@pytest.mark.parametrize(("position", "expected"), [(1, "cabd"), (2, "acbd"), (99, "abdc"), (0, "cabd"), (-5, "cabd")])
def test_an_option_can_be_moved_to_a_place(position, expected):
    assert "".join(keys(lists.moved(options("a", "b", "c", "d"), "c", position))) == expected


@pytest.mark.parametrize(("line", "label"), [
    ("High | 高", {"en": "High", "zh_CN": "高"}), ("高\tHigh", {"en": "High", "zh_CN": "高"}), ("高", {"zh_CN": "高"}), ("High", {"en": "High"}), (" | ", {}), ("A|B|C", {"en": "A", "zh_CN": "B"}),
])  # fmt: skip
def test_a_line_names_an_option_in_one_language_or_both(line, label):
    assert lists.label_of(line) == label


def test_lines_that_are_there_already_are_passed_over():
    made = lists.with_lines(options("a"), "  A \nB\n\nb\nC | 丙", colourful=True)
    assert keys(made.options) == ["a", "b", "c"] and made.new == ("b", "c") and made.skipped == ("A", "b")
    assert len({o["color"] for o in made.options[1:]}) == 2


def test_the_same_name_may_belong_to_two_parents():
    made = lists.with_lines([{"key": "centre", "label": {"en": "Centre"}, "parent": "north"}], "Centre", parent="south")
    assert made.options[1] == {"key": "centre_2", "label": {"en": "Centre"}, "parent": "south"}


def test_thousands_of_lines_become_options():
    made = lists.with_lines([], "\n".join(f"Town {n}" for n in range(2500)))
    assert len(made.new) == len(set(made.new)) == 2500


@pytest.mark.parametrize(("keep", "expected"), [(False, ["a", "x", "y", "c"]), (True, ["a", "b", "x", "y", "c"])])
def test_splitting_puts_the_new_ones_in_the_place_of_the_old(keep, expected):
    before = [*options("a"), {"key": "b", "label": {"en": "B"}, "color": "red", "parent": "p"}, *options("c")]
    made = lists.split(before, "b", "X\nY", keep=keep)
    assert keys(made.options) == expected
    assert all(o["color"] == "red" and o["parent"] == "p" for o in made.options if o["key"] in ("x", "y"))


def test_rules_that_say_nothing_are_left_out_of_the_order_for_the_data():
    step = lists.replace_step(Holder("deal", "grade"), "b", None, [("amount > 5", "x"), ("", "y"), ("amount < 1", "")])
    assert step == {"do": "replace", "entity": "deal", "field": "grade", "from": "b", "to": None, "rules": [{"if": "amount > 5", "to": "x"}]}


def test_holders_are_the_fields_that_choose_from_the_list():
    raw = {"entities": [{"key": "deal", "fields": [{"key": "grade", "set": "grades"}, {"key": "size", "set": "sizes"}]}, {"key": "lead", "fields": [{"key": "rank", "set": "grades"}]}]}
    assert lists.holders(raw, "grades") == [Holder("deal", "grade"), Holder("lead", "rank")]
