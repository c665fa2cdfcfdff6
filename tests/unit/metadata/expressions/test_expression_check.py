"""What check() accepts, what it refuses and how it says so."""

from __future__ import annotations

from typing import Any

import pytest
from expression_lab import ME, lab_config

from saas.i18n import use_locale
from saas.metadata import expressions as ex
from saas.metadata.config import Config


@pytest.fixture(scope="module")
def config() -> Config:
    return lab_config()


def check(config: Config, text: str, entity: str | None = "customer", **more: Any) -> str:
    return ex.check(ex.parse(text), config, entity, **more)


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("amount", "number"), ("total", "number"), ("label", "text"), ("order_count", "number"), ("last_order", "date"), ("grade", "option"),
        ("tags", "list"), ("helper", "user"), ("owner", "user"), ("department", "dept"), ("created_at", "datetime"), ("id", "ref"), ("group", "ref"),
        ("group.group.group.name", "text"), ("group.owner", "user"), ("amount > 1 and not vip", "bool"), ("grade in ['a', 'b']", "bool"),
        ("'new' in tags", "bool"), ("contains(tags, 'old')", "bool"), ("'anything' in free", "bool"), ("null", "any"), ("name == null", "bool"),
        ("count(orders)", "number"), ("max(orders.date)", "date"), ("latest(orders.status)", "option"), ("sum(orders.amount where status == 'paid')", "number"),
        ("count(contact)", "number"), ("exists(orders where parent.amount > amount and buyer.age > 18)", "bool"), ("all(orders where status != 'open')", "bool"),
        ("coalesce(last_order, created_at)", "date"), ("if(vip, 'x', grade)", "text"), ("if(vip, null, amount)", "number"),
        ("coalesce(helper, owner)", "user"), ("add_days(created_at, setting('days'))", "datetime"), ("add_months(due, 1)", "date"),
        ("setting('days')", "number"), ("has_role('sales')", "bool"), ("old('grade') == 'a'", "bool"), ("is_changed('owner')", "bool"),
        ("created_at >= today()", "bool"), (f"owner == '{ME}'", "bool"), ("owner == me() or department == my_dept()", "bool"), ("group == id", "bool"),
        ("exists(transfer_source where done) or exists(transfer_target)", "bool"), ("concat(name, amount, due)", "text"), ("number(note) > 1", "bool"),
    ],
)  # fmt: skip
def test_types(config: Config, text: str, type_: str) -> None:
    assert check(config, text) == type_


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nmae == 'x'", "There is no field 'nmae'; did you mean name?"),
        ("zzz", "put it in quotes: 'zzz'"),
        ("group.nmae == 'x'", "There is no field 'nmae' in 'group'; did you mean name?"),
        ("group.group.group.group.name", "at most 3 steps"),
        ("name.first", "'name' is text; there is nothing to look up in it"),
        ("owner.name == 'x'", "'owner' is a person; there is nothing to look up in it"),
        ("amount == 'abc'", "'amount' is a number and 'abc' is text"),
        ("vip == 1", "'vip' is a yes/no value and '1' is a number"),
        ("grade == 'aa'", "'aa' is not one of: a, b"),
        ("grade == a", "Put the option in quotes: 'a'"),
        ("grade in ['a', 'c']", "'c' is not one of: a, b"),
        ("'newer' in tags", "'newer' is not one of: new, old. Did you mean 'new'?"),
        ("contains(tags, 'x')", "'x' is not one of: new, old"),
        ("coalesce(group.grade, grade) == 'x'", "'x' is not one of"),
        ("exists(orders where status == 'wonn')", "'wonn' is not one of: open, paid, lost"),
        ("latest(orders.status) == 'won'", "'won' is not one of"),
        ("old('grade') == 'x'", "'x' is not one of"),
        ("grade > 'a'", "which has no order"),
        ("vip < true", "which has no order"),
        ("amount < null", "A missing value has no order"),
        ("due == '2025-01-01'", "Write date('2025-01-01') to compare with a date"),
        ("due + 3 == today()", "add_days(date, number)"),
        ("name + 'x'", "concat(a, b)"),
        ("amount + vip", "'vip' is a yes/no value, not a number"),
        ("-name", "'name' is text, not a number"),
        ("amount and vip", "'amount' is a number, not a condition"),
        ("not name", "'name' is text, not a condition"),
        ("'x' in name", "contains(text, part)"),
        ("amount in vip", "not a list"),
        ("amount in tags", "does not hold a number"),
        ("tags == free", "Lists are not compared"),
        ("tags in ['x']", "is a list; write 'x' in tags"),
        ("group == owner", "'group' is a link to a record and 'owner' is a person"),
        ("owner == 'wang'", "cannot be compared"),
        ("owner == name", "cannot be compared"),
        ("orders == null", "write e.g. count(orders)"),
        ("count(name)", "is a field, not a list of child records"),
        ("count(ordes)", "did you mean orders?"),
        ("count(transfer)", "write one of: transfer_source, transfer_target"),
        ("sum(orders.date)", "sum needs a number, but 'date' is a date"),
        ("max(orders.nme)", "There is no field 'nme'"),
        ("max(amount.x)", "needs several values"),
        ("max(orders.buyer)", "cannot order 'buyer'"),
        ("exists(orders where nope)", "There is no field 'nope'"),
        ("exists(orders where amount)", "not a condition"),
        ("exists(orders where parent.nope == 1)", "There is no field 'nope'"),
        ("exists(orders where customer == buyer)", "links to different kinds of records"),
        ("lower(amount)", "lower() needs text, but 'amount' is a number"),
        ("add_days(name, 1)", "add_days() needs a date, but 'name' is text"),
        ("date(amount)", "needs a date or a text"),
        ("if(amount, 1, 2)", "if() needs a yes/no value"),
        ("if(vip, 1, 'x')", "if() mixes a number and text"),
        ("coalesce(due, name)", "coalesce() mixes a date and text"),
        ("setting('dayz') > 1", "There is no setting 'dayz'; did you mean days?"),
        ("has_role('sale')", "There is no role 'sale'; did you mean sales?"),
        ("old('nmae') == 'x'", "did you mean name?"),
        ("is_changed('foo')", "There is no field 'foo'"),
    ],
)
def test_refusals_say_what_is_wrong(config: Config, text: str, words: str) -> None:
    with use_locale("en"), pytest.raises(ex.ExpressionError) as caught:
        check(config, text)
    assert words in str(caught.value.message)
    assert len(caught.value.problems) == 1


def test_all_problems_are_reported_in_reading_order(config: Config) -> None:
    text = "grade == 'x' and nope > 1 and exists(orders where status == 'y') and lower(amount) == 'z'"
    with pytest.raises(ex.ExpressionError) as caught:
        check(config, text)
    expected = [("unknown_option", "'x'"), ("unknown_field", "nope"), ("unknown_option", "'y'"), ("type", "amount")]
    assert [(p.code, p.position) for p in caught.value.problems] == [(code, text.index(at)) for code, at in expected]
    assert caught.value.position == 9


def test_expectations(config: Config) -> None:
    assert check(config, "vip", expect="bool") == "bool"
    assert check(config, "name", expect="option") == "text"
    assert check(config, "null", expect="number") == "any"
    assert check(config, "due", expect=("date", "datetime")) == "date"
    for text, expect, words in (("amount", "bool", "A condition was expected, but this is a number"), ("now()", "date", "a date was expected, but this is a date with time")):
        with use_locale("en"), pytest.raises(ex.ExpressionError) as caught:
            check(config, text, expect=expect)
        assert words in str(caught.value.message)


def test_further_names(config: Config) -> None:
    names: dict[str, Any] = {"new": ("ref", "order"), "result.made": ("ref", "customer"), "result.sum": ("number", None), "any": ("any", None)}
    assert check(config, "new.amount > result.sum and new.customer == id and result.made.grade == 'a'", names=names) == "bool"
    assert check(config, "result.made", names=names) == "ref"
    assert check(config, "any.thing.at.all", names=names) == "any"
    assert check(config, "exists(orders where amount > new.amount)", names=names) == "bool"
    for text in ("result.other == 1", "new.nope == 1", "result.made.grade == 'x'"):
        with pytest.raises(ex.ExpressionError):
            check(config, text, names=names)


def test_without_an_entity_only_constants_make_sense(config: Config) -> None:
    assert check(config, "has_role('sales') and setting('days') > 1", None) == "bool"
    with pytest.raises(ex.ExpressionError):
        check(config, "name == 'x'", None)


def test_what_selects_stored_records_cannot_ask_for_old_values(config: Config) -> None:
    with pytest.raises(ex.ExpressionError) as caught:
        check(config, "is_changed('name')", stored=True)
    assert caught.value.problems[0].code == "not_searchable"


def test_messages_are_translated_when_shown(config: Config) -> None:
    with pytest.raises(ex.ExpressionError) as caught:
        check(config, "amount == 'abc'")
    assert caught.value.message.message.startswith("'%(a)s' is")  # type: ignore[union-attr]
