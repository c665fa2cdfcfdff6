"""JSON filters become the same trees as expressions; malformed ones are refused with the place."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from expression_lab import ME, OTHER, DictEnv, lab_config

from saas.i18n import use_locale
from saas.metadata import expressions as ex
from saas.metadata.config import Config
from saas.metadata.kinds import field_types


@pytest.fixture(scope="module")
def config() -> Config:
    return lab_config()


def condition(field: str, op: str, value: Any = None) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


@pytest.mark.parametrize(
    ("filter_", "canonical"),
    [
        (condition("name", "eq", "张三"), "name == '张三'"),
        (condition("name", "eq", None), "name == null"),
        (condition("name", "ne", None), "name != null"),
        (condition("amount", "gte", 12.5), "amount >= 12.5"),
        (condition("amount", "lt", "-3"), "amount < -3"),
        (condition("amount", "eq", {"amount": "12.50", "currency": "CNY"}), "amount == 12.50"),
        (condition("vip", "eq", True), "vip == true"),
        (condition("grade", "in", ["a", "b"]), "grade in ['a', 'b']"),
        (condition("grade", "not_in", ["a"]), "not grade in ['a']"),
        (condition("tags", "contains", "new"), "contains(tags, 'new')"),
        (condition("tags", "in", ["new", "old"]), "'new' in tags or 'old' in tags"),
        (condition("tags", "in", []), "false"),
        (condition("name", "contains", "x'y"), "contains(name, 'x''y')"),
        (condition("name", "starts_with", "x"), "starts_with(name, 'x')"),
        (condition("name", "is_empty", True), "is_empty(name)"),
        (condition("name", "is_empty", False), "not is_empty(name)"),
        (condition("due", "between", ["2025-01-01", "2025-12-31"]), "due >= date('2025-01-01') and due <= date('2025-12-31')"),
        (condition("met_at", "gt", "2025-01-01T08:00:00Z"), "met_at > datetime('2025-01-01T08:00:00Z')"),
        (condition("met_at", "eq", "2025-01-01"), "met_at == date('2025-01-01')"),
        (condition("due", "lte", "today()"), "due <= today()"),
        (condition("due", "relative", "last_n_days:30"), "in_period(due, 'last_n_days:30')"),
        (condition("owner", "eq", "me()"), "owner == me()"),
        (condition("owner", "in", ["me()", OTHER.upper()]), f"owner in [me(), '{OTHER}']"),
        (condition("department", "eq", "my_dept()"), "department == my_dept()"),
        (condition("group.name", "eq", "x"), "group.name == 'x'"),
        (condition("id", "eq", ME), f"id == '{ME}'"),
        ("amount > 1", "amount > 1"),
        ({"expr": "exists(orders)"}, "exists(orders)"),
        ({"and": [condition("amount", "gt", 1), {"or": [condition("vip", "eq", True), "rank > 2"]}]}, "amount > 1 and (vip == true or rank > 2)"),
        ({"not": condition("vip", "eq", True)}, "not vip == true"),
        ({"and": []}, "true"),
        ({"or": []}, "false"),
    ],
)
def test_filters_are_expressions(config: Config, filter_: Any, canonical: str) -> None:
    node = ex.filter_to_node(filter_, config, "customer")
    assert node is not None
    assert ex.dump(node) == canonical
    assert ex.parse(canonical) == node


@pytest.mark.parametrize("nothing", [None, {}, ""])
def test_no_filter(config: Config, nothing: Any) -> None:
    assert ex.filter_to_node(nothing, config, "customer") is None


@pytest.mark.parametrize(
    ("filter_", "path", "words"),
    [
        (condition("nmae", "eq", "x"), "/field", "did you mean name?"),
        (condition("name", "equals", "x"), "/op", "There is no filter operation 'equals'"),
        ({"field": "name"}, "/op", "possible are: eq"),
        (condition("name", "relative", "today"), "/op", "'relative' does not suit text"),
        (condition("grade", "contains", "a"), "/op", "'contains' does not suit a choice"),
        (condition("tags", "eq", "new"), "/op", "'eq' does not suit a list"),
        (condition("grade", "eq", "c"), "/value", "'c' is not one of: a, b"),
        (condition("grade", "in", ["a", "c"]), "/value/1", "'c' is not one of"),
        (condition("grade", "in", "a"), "/value", "A list of at most 200 values"),
        (condition("grade", "in", ["a"] * 201), "/value", "A list of at most 200 values"),
        (condition("amount", "gt", "many"), "/value", "a number was expected"),
        (condition("amount", "gt", True), "/value", "a number was expected"),
        (condition("amount", "gt", None), "/value", "a number was expected"),
        (condition("amount", "gt", float("nan")), "/value", "a number was expected"),
        (condition("amount", "gt", "1e999999"), "/value", "a number was expected"),
        (condition("amount", "between", [1]), "/value", "A list of two values"),
        (condition("vip", "eq", "true"), "/value", "a yes/no value was expected"),
        (condition("due", "eq", "01.02.2025"), "/value", "a date was expected"),
        (condition("due", "eq", "2025-02-30"), "/value", "a date was expected"),
        (condition("due", "relative", "soon"), "/value", "A period was expected"),
        (condition("due", "relative", "last_n_days"), "/value", "A period was expected"),
        (condition("owner", "eq", "wang"), "/value", "a person was expected"),
        (condition("group", "eq", "me()"), "/value", "a link to a record was expected"),
        (condition("name", "eq", "a\x00b"), "/value", "text was expected"),
        (condition("name", "eq", ["x"]), "/value", "text was expected"),
        (condition("name", "is_empty", "yes"), "/value", "true or false"),
        ({"field": 5, "op": "eq"}, "/field", "The key of a field"),
        ({"field": "x; DROP TABLE", "op": "eq"}, "/field", "The key of a field"),
        ({"and": {"a": 1}}, "/and", "A list of filters"),
        ({"and": ["vip", {"or": [condition("x", "eq", 1)]}]}, "/and/1/or/0/field", "There is no field 'x'"),
        ({"and": [], "or": []}, "", "A filter is an object"),
        ({"field": "name", "op": "eq", "value": "x", "more": 1}, "", "A filter is an object"),
        ([condition("name", "eq", "x")], "", "A filter is an object"),
        (5, "", "A filter is an object"),
        ({"not": None}, "/not", "A filter is an object"),
        ("amount", "", "A condition was expected"),
        ({"expr": "amount ="}, "/expr", "write == instead of ="),
        ({"expr": 5}, "/expr", "An expression must be text"),
        ("is_changed('name')", "", "cannot be used where records are searched"),
        ({"and": [condition("vip", "eq", True)] * 51}, "/and/50", "at most 50"),
        ({"not": {"not": {"not": {"not": {"not": {"not": {"not": {"not": "vip"}}}}}}}}, "/not/not/not/not/not/not/not/not", "at most 8 levels"),
    ],
)
def test_malformed_filters_are_refused_with_the_place(config: Config, filter_: Any, path: str, words: str) -> None:
    with use_locale("en"), pytest.raises(ex.FilterError) as caught:
        ex.filter_to_node(filter_, config, "customer")
    assert caught.value.path == path
    assert words in str(caught.value.message)
    assert caught.value.status == 400


def test_deep_hostile_nesting_is_refused_before_it_recurses(config: Config) -> None:
    deep: Any = "vip"
    for _ in range(100_000):
        deep = {"not": deep}
    with pytest.raises(ex.FilterError):
        ex.filter_to_node(deep, config, "customer")


def test_evaluation(config: Config) -> None:
    row = {"amount": Decimal("12.5"), "met_at": datetime(2025, 3, 2, 16, 0, tzinfo=UTC), "due": date(2025, 3, 31), "tags": ["new"], "owner": ME, "name": None}

    def holds(filter_: Any) -> bool:
        return ex.to_python(ex.filter_to_node(filter_, config, "customer"))(DictEnv(row))  # type: ignore[arg-type, no-any-return]

    assert holds(condition("amount", "between", [12.5, 13]))
    assert holds(condition("met_at", "eq", "2025-03-03"))  # the local day
    assert holds(condition("met_at", "between", ["2025-03-01", "2025-03-03"]))  # both days included
    assert holds(condition("met_at", "relative", "today"))
    assert holds(condition("due", "relative", "this_month")) and not holds(condition("due", "relative", "past"))
    assert holds(condition("tags", "in", ["old", "new"])) and holds(condition("tags", "not_in", ["old"]))
    assert holds(condition("owner", "eq", "me()")) and not holds(condition("owner", "ne", "me()"))
    assert holds(condition("name", "is_empty", True)) and not holds(condition("name", "contains", "x"))
    assert holds(condition("name", "ne", "x")) and holds(condition("name", "not_in", ["x"]))


def test_every_field_type_offers_operations_that_exist_and_suit_it() -> None:
    for type_ in field_types:
        for key in type_.operators:
            assert key in ex.OPS, (type_.key, key)
            assert type_.expr_type == "any" or type_.expr_type in ex.OPS[key].types, (type_.key, key)
