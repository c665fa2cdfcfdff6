"""Conditions clicked together and the expressions they stand for: there and back says the same."""

from __future__ import annotations

import pytest

from saas.metadata import expressions as ex
from saas.metadata.config import Config
from saas.metadata.parse import parse_bundle
from saas.runtime.context import Context, Tenant
from saas.tenants import new_id
from saas.ui.builder import conditions
from saas.ui.builder.conditions import Rows
from saas.ui.filters import Condition
from tests.factories import rich_bundle

CONFIG = Config(parse_bundle(rich_bundle()))
CTX = Context(Tenant(new_id(), "t", "T"), CONFIG)
THING = CONFIG.entity("thing")
SOMEBODY = "01a20252-89f8-79d5-9029-e3d5b5768ba5"  # the same in every process: it names tests

ROWS = [
    Condition("name", "eq", ("Ada's",)), Condition("name", "contains", ("x",)), Condition("name", "starts_with", ("",)), Condition("rank", "gt", ("-5",)),
    Condition("rank", "between", ("1", "9")), Condition("vip", "eq", ("true",)), Condition("vip", "eq", ("false",)), Condition("due", "relative", ("this_month",)),
    Condition("due", "lt", ("today()",)), Condition("due", "eq", ("2026-01-31",)), Condition("color", "in", ("red", "blue")), Condition("color", "not_in", ("red",)),
    Condition("color", "eq", ("red",)), Condition("color", "ne", ("red",)), Condition("kinds", "contains", ("x",)), Condition("helper", "eq", ("me()",)),
    Condition("helper", "in", (SOMEBODY,)), Condition("note", "is_empty", ("true",)), Condition("note", "is_empty", ("false",)), Condition("price", "gte", ("12.5",)),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.text())
@pytest.mark.parametrize("join", ["and", "or"])
def test_rows_become_an_expression_and_rows_that_mean_the_same(row, join):
    rows = Rows(join, (row, Condition("size", "gt", ("1",))))
    text = conditions.to_expression(CTX, THING, rows)
    ex.check(ex.parse(text), CONFIG, "thing", expect="bool")
    again = conditions.from_expression(CTX, THING, text)
    if again is None:  # "between" becomes two comparisons, which is rows again only inside "and"
        assert row.op == "between" and join == "or"
    else:
        assert conditions.to_expression(CTX, THING, again) == text


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.text())
def test_a_filter_shows_the_rows_it_was_made_of(row):
    rows = Rows("or", (row, Condition("size", "gt", ("1",))))
    assert conditions.from_filter(CTX, THING, conditions.to_filter(CTX, THING, rows)) == rows


@pytest.mark.parametrize("text", ["rank > size", "count(papers) > 1", "account.grade == 'a'", "(rank > 1 and vip) or vip", "rank + 1 > 2", "if(vip, true, false)", "rank >", "nobody == 1"])
def test_what_rows_cannot_say_stays_text(text):
    assert conditions.from_expression(CTX, THING, text) is None


def test_an_entry_of_a_list_is_shown_as_a_row():
    assert conditions.from_expression(CTX, THING, "'x' in kinds") == Rows("and", (Condition("kinds", "contains", ("x",)),))


def test_nothing_is_no_condition():
    assert conditions.from_expression(CTX, THING, None) == conditions.from_filter(CTX, THING, None) == Rows()
    assert conditions.to_expression(CTX, THING, Rows()) is None and conditions.to_filter(CTX, THING, Rows()) is None
