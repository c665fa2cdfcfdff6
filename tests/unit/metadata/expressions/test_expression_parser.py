"""Text to tree and back, and what people read when it fails."""

from __future__ import annotations

from decimal import Decimal

import pytest

from saas.i18n import use_locale
from saas.metadata import expressions as ex
from saas.metadata.expressions.nodes import MAX_DEPTH, measure


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("a==1 and(b or c)", "a == 1 and (b or c)"),
        ("(a and b) and c", "a and b and c"),
        ("not a == 1", "not a == 1"),
        ("(not a) == true", "(not a) == true"),
        ("a not  in ['x',\"y\"]", "a not in ['x', 'y']"),
        ("1+2*3", "1 + 2 * 3"),
        ("(1+2)*3", "(1 + 2) * 3"),
        ("1-(2-3)", "1 - (2 - 3)"),
        ("-(a+b)*-2", "-(a + b) * -2"),
        ("'it''s'", "'it''s'"),
        ('"say ""hi"""', "'say \"hi\"'"),
        ("name == '客户' or name == \"张三\"", "name == '客户' or name == '张三'"),
        ("count( orders )", "count(orders)"),
        ("max(orders.date where status=='paid' and parent.rank>1)", "max(orders.date where status == 'paid' and parent.rank > 1)"),
        ("max(a, b)", "max(a, b)"),
        ("if(a, [1, 'b'], null)", "if(a, [1, 'b'], null)"),
        ("where == 1 and count(x where where == 2) > 0", "where == 1 and count(x where where == 2) > 0"),
        ("a\n  == 1.50", "a == 1.50"),
    ],
)
def test_parse_and_dump_agree(text: str, canonical: str) -> None:
    node = ex.parse(text)
    assert ex.dump(node) == canonical
    assert ex.parse(ex.dump(node)) == node


def test_min_and_max_of_one_path_are_aggregates_of_several_values_are_functions() -> None:
    assert ex.parse("min(orders.amount)") == ex.Child("min", "orders", "amount")
    assert ex.parse("min(a, b)") == ex.Call("min", (ex.Path(("a",)), ex.Path(("b",))))


def test_true_and_one_are_different_trees() -> None:
    assert ex.parse("a == true") != ex.parse("a == 1")
    assert len({ex.parse("true"), ex.parse("1")}) == 2


def test_numbers_are_exact() -> None:
    assert ex.parse("0.10").value == Decimal("0.10")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("a = 1", 2, "write == instead of ="),
        ("flor(1)", 0, "There is no function called flor; did you mean floor?"),
        ("zzzzzz(1)", 0, "There is no function called zzzzzz"),
        ("a == ", 5, "ends too early"),
        ("(a", 2, "closing parenthesis"),
        ("[1, ", 4, "closing bracket"),
        ("a < b < c", 6, "Only two values can be compared"),
        ("客户 == 1", 0, "in quotes: '客户'"),
        ("a == '客户", 5, "no closing quote"),
        ("a（b）", 1, "Write ( instead of （"),
        ("a && b", 2, "Write and instead of &"),
        ("a AND b", 2, "Write and in small letters"),
        ("a b", 2, "operator such as == or and is missing before b"),
        ("a > 40%", 6, "40 % is written 40"),
        ("a)", 1, "one ) too many"),
        ("", 0, "empty"),
        ("   ", 0, "empty"),
        ("a where b", 2, "'where' can only be used inside count"),
        ("lower(a where b)", 14, "'where' can only be used inside count"),
        ("old(amount)", 4, "in quotes inside old()"),
        ("round()", 0, "round takes other arguments"),
        ("sum(orders)", 4, "sum needs a field of the child records"),
        ("count(orders.date)", 6, "count looks at records"),
        ("all(orders)", 0, "all needs a condition"),
        ("avg(1, 2)", 0, "avg takes a list of child records"),
        ("in_period(due, 'sometime')", 15, "does not know 'sometime'"),
        ("a == '\x00'", 6, "cannot be stored"),
        ("a == '\ud800'", 6, "cannot be stored"),
        ("1" * 41, 0, "too long"),
    ],
)
def test_errors_say_what_to_do(text: str, position: int, words: str) -> None:
    with use_locale("en"), pytest.raises(ex.ExpressionError) as caught:
        ex.parse(text)
    assert words in str(caught.value.message)
    assert caught.value.position == position
    assert caught.value.problems[0].position == position
    assert caught.value.status == 400


def test_limits_hold_before_any_work_is_done() -> None:
    for text, code in (
        ("a == '" + "x" * 10_000 + "'", "too_long"),
        ("not " * 45 + "a", "too_deep"),
        ("-" * 200 + "1", "too_deep"),
        ("1" + " + 1" * 60, "too_deep"),
        ("x in [" + ", ".join("1" * 450) + "]", "too_large"),
    ):
        with pytest.raises(ex.ExpressionError) as caught:
            ex.parse(text)
        assert caught.value.problems[0].code == code


def test_parentheses_alone_cost_no_depth_and_long_conjunctions_are_flat() -> None:
    assert measure(ex.parse("(" * 900 + "a" + ")" * 900)) == (1, 1)
    assert measure(ex.parse(" and ".join(["a == 1"] * 100)))[0] == 3 < MAX_DEPTH


def test_hostile_text_stays_a_value() -> None:
    for hostile in ("'; DROP TABLE record; --", "<script>alert(1)</script>", "%(x)s %s {0} {zone0}", "\\' OR 1=1", "\u202e\u0000"[:1], "🙂"):
        quoted = "'" + hostile.replace("'", "''") + "'"
        assert ex.parse(quoted) == ex.Literal(hostile, "text")


def test_messages_with_percent_signs_can_be_shown() -> None:
    with pytest.raises(ex.ExpressionError) as caught:
        ex.parse("a %s b")
    assert str(caught.value.message)
