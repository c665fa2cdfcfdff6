"""Evaluation in Python: nulls, exact numbers, dates, needs, and every example of the function table."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from expression_lab import ME, NOW, OTHER, DictEnv

from saas.metadata import expressions as ex

EXAMPLES = [(f.key, text, value) for f in ex.FUNCTIONS.values() for text, value in f.examples]


def run(text: str, values: dict[Any, Any] | None = None, **more: Any) -> Any:
    return ex.to_python(ex.parse(text))(DictEnv(values, **more))


@pytest.mark.parametrize(("key", "text", "expected"), EXAMPLES)
def test_examples_of_functions(key: str, text: str, expected: Any) -> None:
    found = run(text)
    assert found == expected
    assert type(found) is type(expected)


def test_every_function_has_help_and_all_that_have_sql_have_examples() -> None:
    for function in ex.FUNCTIONS.values():
        assert str(function.help).endswith(".")
        assert function.examples or not function.folds, function.key


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x == null", True), ("x != null", False), ("n == null", False), ("n != null", True),
        ("x == 1", False), ("x != 1", True), ("x == x", False), ("x != x", False), ("x != y", False),
        ("x < 1", False), ("x >= 1", False), ("1 < x", False), ("not x < 1", True),
        ("x + 1", None), ("-x", None), ("x * 0", None), ("n / 0", None), ("x / 0", None),
        ("x and true", False), ("not x", True), ("x or n == 5", True), ("x in [1, 2]", False), ("x not in [1, 2]", True),
        ("n in [4, 5]", True), ("n not in [4, null]", True), ("if(x, 1, 2)", Decimal(2)),
    ],
)  # fmt: skip
def test_missing_values(text: str, expected: Any) -> None:
    assert run(text, {"n": Decimal(5)}) == expected


def test_arithmetic_is_exact() -> None:
    assert run("0.1 + 0.2 == 0.3") is True
    assert run("1 / 3") == Decimal("0.333333333333")
    assert str(run("10 / 4")) == "2.5"
    nines = 10**32 - 1
    assert int(run(f"{nines} * {nines} + 1")) == nines * nines + 1
    assert run("2 + 3 * 4 - 10 / 5") == 12


def test_ids_lists_and_people() -> None:
    values = {"owner": ME, "tags": ["a", "b"], ("customer", "grade"): "key"}
    assert run("owner == me() and 'a' in tags and not 'c' in tags and customer.grade == 'key'", values) is True
    assert run("owner == me()", values, me=None) is False
    assert run("owner != me()", values, me=None) is True
    assert run("owner in [me(), 'x']", values, me=OTHER) is False


def test_a_moment_beside_a_date_counts_as_its_local_day() -> None:
    late = datetime(2025, 3, 2, 16, 30, tzinfo=UTC)  # already the third in Shanghai
    assert run("at == today() and at >= today() and not at > today()", {"at": late}) is True
    assert run("at == today()", {"at": late}, zone="UTC") is False
    assert run("at in [today()]", {"at": late}) is True


def test_clock_changes_follow_postgresql() -> None:
    before = datetime(2025, 3, 8, 7, 30, tzinfo=UTC)  # 02:30 in New York; skipped a day later
    assert run("add_days(at, 1)", {"at": before}, zone="America/New_York") == datetime(2025, 3, 9, 7, 30, tzinfo=UTC)
    before = datetime(2025, 11, 1, 5, 30, tzinfo=UTC)  # 01:30; happens twice a day later
    assert run("add_days(at, 1)", {"at": before}, zone="America/New_York") == datetime(2025, 11, 2, 6, 30, tzinfo=UTC)


def test_old_values_and_children_come_from_the_env() -> None:
    more = {"old": {"n": Decimal(1)}, "children": {"count(orders where status == 'paid')": Decimal(2)}}
    assert run("is_changed('n') and old('n') < n and count(orders where status == 'paid') == 2", {"n": Decimal(5)}, **more) is True


def test_only_the_chosen_branch_is_evaluated() -> None:
    assert run("if(n > 0, n, count(nobody_asked))", {"n": Decimal(5)}, children={}) == 5


def test_values_of_different_kinds_never_raise() -> None:
    assert run("n < t or t < n or n == t", {"n": Decimal(1), "t": "x"}) is False
    assert run("n in t", {"n": Decimal(1), "t": "x"}) is False


def test_aggregate() -> None:
    numbers = [Decimal(1), None, Decimal(2)]
    assert ex.aggregate("sum", numbers) == 3
    assert ex.aggregate("sum", []) == 0
    assert ex.aggregate("avg", numbers) == Decimal("1.5")
    assert ex.aggregate("avg", [None]) is None
    assert ex.aggregate("max", [date(2025, 1, 1), None, date(2025, 2, 1)]) == date(2025, 2, 1)
    assert ex.aggregate("latest", [None, "newest", "older"]) == "newest"
    assert ex.aggregate("count", [True, False, True]) == 2
    assert ex.aggregate("exists", []) is False
    assert ex.aggregate("all", []) is True
    assert ex.aggregate("all", [True, False]) is False


def test_needs() -> None:
    needs = ex.needs(
        ex.parse(
            "customer.grade == 'a' and is_changed('rank') and old('note') != null and "
            "exists(orders where date > today() and parent.amount > amount and count(lines where parent.parent.due == day and parent.x == 1) > 1)"
        )
    )
    assert needs.paths == {("customer", "grade"), ("amount",), ("due",)}
    assert needs.olds == {"rank", "note"}
    assert needs.uses_time
    assert [c.relation for c in needs.children] == ["orders"]
    assert not needs.is_constant
    assert ex.needs(ex.parse("me() == null and 1 < 2")).is_constant
    assert not ex.needs(ex.parse("amount > 1")).uses_time


def test_now_is_the_tenants_clock() -> None:
    assert run("now()") == NOW
    assert run("today()", zone="Pacific/Apia") == date(2025, 3, 3)
    assert run("today()", zone="Pacific/Honolulu") == date(2025, 3, 2)
