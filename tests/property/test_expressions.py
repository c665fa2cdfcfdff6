# ruff: noqa: S608  the SQL under test
"""Laws: random typed expressions over random rows give the same in Python and in PostgreSQL; text and tree are one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import asyncpg
import pytest
from expression_lab import COLUMNS, ME, OTHER, ColumnScope, DictEnv
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from saas.metadata import expressions as ex

ZONES = ("Asia/Shanghai", "America/New_York", "UTC", "Pacific/Apia")

# --- rows -------------------------------------------------------------------------------------------------------------------

letters = st.text(st.sampled_from("abAB 12%_'\"\\客户éÉßİσΣᾳǆŉ-.\t\n"), max_size=6)
decimals = st.decimals(min_value=-(10**9), max_value=10**9, places=3) | st.sampled_from([Decimal(0), Decimal("0.1"), Decimal("2.5"), Decimal("-2.5")])
days = st.dates(date(1950, 1, 1), date(2100, 12, 31)) | st.sampled_from([date(2025, 3, 3), date(2024, 2, 29), date(2, 1, 1), date(9999, 12, 31)])
moments = st.datetimes(datetime(1950, 1, 1), datetime(2100, 12, 31), timezones=st.just(UTC)) | st.sampled_from(
    [
        datetime(2025, 3, 2, 16, 0, tzinfo=UTC),
        datetime(2025, 3, 9, 7, 30, tzinfo=UTC),
        datetime(2025, 11, 2, 5, 30, tzinfo=UTC),
        datetime(2025, 3, 3, 4, 0, tzinfo=UTC),
    ]
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "name": letters,
    "note": letters | st.sampled_from(["2025-03-03", "2025-02-29", "12.50", " -3 "]),
    "grade": st.sampled_from(["a", "b"]),
    "amount": decimals,
    "rank": st.integers(-5, 400).map(Decimal),
    "vip": st.booleans(),
    "due": days,
    "paid": days,
    "met_at": moments,
    "owner": st.sampled_from([ME, OTHER]),
    "helper": st.sampled_from([ME, OTHER]),
    "tags": st.lists(st.sampled_from(["a", "b", "客"]), max_size=3),
}
rows = st.lists(st.fixed_dictionaries({k: st.none() | v for k, v in VALUES.items()}), min_size=1, max_size=4)

# --- expressions -------------------------------------------------------------------------------------------------------------


def path(*names: str) -> st.SearchStrategy[ex.Node]:
    return st.sampled_from([ex.Path((name,)) for name in names])


def literal(value: Any) -> ex.Node:
    if isinstance(value, str):
        return ex.Literal(value, "text")
    if isinstance(value, bool):
        return ex.Literal(value, "bool")
    if isinstance(value, date):
        return ex.Call("date", (ex.Literal(value.isoformat(), "text"),))
    return ex.Unary("-", ex.Literal(-value, "number")) if value < 0 else ex.Literal(value, "number")


def call(name: str, *args: st.SearchStrategy[Any]) -> st.SearchStrategy[ex.Node]:
    return st.tuples(*args).map(lambda found: ex.Call(name, found))


NULL = st.just(ex.Literal(None, "null"))
SMALL = st.integers(-40, 400).map(Decimal).map(literal)


def mixed(make: Any, depth: int) -> list[st.SearchStrategy[ex.Node]]:
    """What every type has: branches and defaults."""
    return [call("if", bools(depth - 1), make(depth - 1), make(depth - 1)), call("coalesce", make(depth - 1) | NULL, make(depth - 1))]


@cache
def numbers(depth: int) -> st.SearchStrategy[ex.Node]:
    base = path("amount", "rank") | decimals.map(literal) | SMALL
    if depth <= 0:
        return base
    below = numbers(depth - 1)
    return st.one_of(
        base,
        st.builds(ex.Binary, st.sampled_from("+-*/"), below, below),
        st.builds(ex.Unary, st.just("-"), below),
        call("round", below),
        call("round", below, SMALL | path("rank")),
        *(call(name, below) for name in ("abs", "floor", "ceil")),
        *(call(name, below, below) for name in ("min", "max")),
        call("days_between", dates(depth - 1) | instants(depth - 1), dates(depth - 1) | instants(depth - 1)),
        *(call(name, dates(depth - 1) | instants(depth - 1)) for name in ("year", "month", "day")),
        call("len", texts(depth - 1) | path("tags")),
        call("number", texts(depth - 1) | bools(depth - 1)),
        *mixed(numbers, depth),
    )


@cache
def texts(depth: int) -> st.SearchStrategy[ex.Node]:
    base = path("name", "note", "grade") | letters.map(literal)
    if depth <= 0:
        return base
    below = texts(depth - 1)
    anything = st.one_of(below, numbers(depth - 1), dates(depth - 1), instants(depth - 1), bools(depth - 1), path("owner", "tags"))
    return st.one_of(
        base,
        *(call(name, below) for name in ("lower", "upper", "trim")),
        call("concat", anything, anything),
        call("text", anything),
        *(call(name, below, below) for name in ("min", "max")),
        *mixed(texts, depth),
    )


@cache
def dates(depth: int) -> st.SearchStrategy[ex.Node]:
    base = path("due", "paid") | days.map(literal) | st.just(ex.Call("today"))
    if depth <= 0:
        return base
    return st.one_of(
        base,
        call("add_days", dates(depth - 1), SMALL | numbers(depth - 1)),
        call("add_months", dates(depth - 1), SMALL | numbers(depth - 1)),
        call("date", texts(depth - 1)),
        call("date", instants(depth - 1)),
        call("max", dates(depth - 1), dates(depth - 1)),
        *mixed(dates, depth),
    )


@cache
def instants(depth: int) -> st.SearchStrategy[ex.Node]:
    base = path("met_at") | st.just(ex.Call("now"))
    if depth <= 0:
        return base
    return st.one_of(
        base,
        call("add_days", instants(depth - 1), SMALL),
        call("add_months", instants(depth - 1), SMALL),
        call("min", instants(depth - 1), instants(depth - 1)),
        *mixed(instants, depth),
    )


@cache
def people(depth: int) -> st.SearchStrategy[ex.Node]:
    base = path("owner", "helper") | st.just(ex.Call("me")) | st.sampled_from([ME, OTHER]).map(literal)
    return base if depth <= 0 else st.one_of(base, *mixed(people, depth))


ORDER = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
EQUAL = st.sampled_from(["==", "!="])
PERIODS = st.sampled_from(["today", "yesterday", "this_week", "last_week", "this_month", "last_month", "this_quarter", "this_year", "last_year",
                           "last_n_days:30", "next_n_days:7", "past", "future"]).map(literal)  # fmt: skip


def members(make: Any, depth: int) -> st.SearchStrategy[ex.Node]:
    return st.builds(ex.In, make(depth), st.lists(make(depth) | NULL, max_size=3).map(lambda x: ex.List(tuple(x))), st.booleans())


@cache
def bools(depth: int) -> st.SearchStrategy[ex.Node]:
    base = path("vip") | st.booleans().map(literal) | call("has_role", st.sampled_from(["sales", "boss"]).map(literal))
    if depth <= 0:
        return base
    d = depth - 1
    return st.one_of(
        base,
        st.builds(ex.Binary, ORDER, numbers(d), numbers(d)),
        st.builds(ex.Binary, ORDER, texts(d), texts(d)),
        st.builds(ex.Binary, ORDER, dates(d) | instants(d), dates(d) | instants(d)),
        st.builds(ex.Binary, EQUAL, people(d), people(d)),
        st.builds(ex.Binary, EQUAL, st.one_of(numbers(d), texts(d), dates(d), people(d), path("tags")), NULL),
        st.builds(ex.Binary, EQUAL, bools(d), bools(d)),
        *(members(make, d) for make in (numbers, texts, dates, people)),
        st.builds(ex.In, texts(d), path("tags"), st.booleans()),
        st.builds(ex.Unary, st.just("not"), bools(d)),
        st.builds(ex.logic, st.sampled_from(["and", "or"]), st.lists(bools(d), min_size=1, max_size=4)),
        call("contains", texts(d), texts(d)),
        call("contains", path("tags"), texts(d)),
        call("starts_with", texts(d), texts(d)),
        call("is_empty", st.one_of(numbers(d), texts(d), dates(d), path("tags", "owner"))),
        call("in_period", dates(d) | instants(d), PERIODS),
        *mixed(bools, depth),
    )


anything = st.one_of(bools(3), bools(2), numbers(3), texts(2), dates(3), instants(2))

# --- laws ----------------------------------------------------------------------------------------------------------------------


class Server:
    """A connection with a loop of its own, so that hypothesis can call it from plain functions."""

    def __init__(self, url: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.connection = self.run(asyncpg.connect(url))
        self.run(self.connection.execute("SET TIME ZONE 'America/New_York'"))

    def run(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(awaitable)

    def values(self, data: list[dict[str, Any]], *expressions: str, params: list[Any]) -> list[tuple[Any, ...]]:
        columns = ", ".join(f"{name} {pg_type}" for name, (pg_type, _) in COLUMNS.items())
        source = f"ROWS FROM (jsonb_to_recordset(${len(params) + 1}::jsonb) AS ({columns})) WITH ORDINALITY AS r({', '.join(COLUMNS)}, ordinal)"
        sql = f"SELECT {', '.join(expressions)} FROM {source} ORDER BY r.ordinal"
        return [tuple(x) for x in self.run(self.connection.fetch(sql, *params, json.dumps([stored(x) for x in data])))]


def stored(row: dict[str, Any]) -> dict[str, Any]:
    def write(value: Any) -> Any:
        if isinstance(value, Decimal):
            return str(value)
        if isinstance(value, datetime):
            return value.isoformat()
        return f"{value.isoformat()}T00:00:00Z" if isinstance(value, date) else value

    return {key: write(value) for key, value in row.items()}


@pytest.fixture(scope="module")
def server(server_url: str) -> Iterator[Server]:
    found = Server(server_url)
    yield found
    found.run(found.connection.close())
    found.loop.close()


def comparable(value: Any) -> Any:
    """One form for values of both sides."""
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, Decimal):
        return value.normalize()
    return value


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(node=anything, data=rows, zone=st.sampled_from(ZONES), index=st.booleans(), me=st.sampled_from([ME, None]))
def test_python_and_postgresql_agree(server: Server, node: ex.Node, data: list[dict[str, Any]], zone: str, index: bool, me: str | None) -> None:
    run = ex.to_python(node)
    expected = [run(DictEnv(row, zone=zone, me=me)) for row in data]
    scope = ColumnScope(zone=zone, index=index, me=me)
    expressions = [ex.to_sql(node, scope)]
    is_condition = all(isinstance(x, bool | None) for x in expected) and any(isinstance(x, bool) for x in expected)
    if is_condition:
        expressions.append(f"coalesce({ex.to_where(node, scope)}, false)")
    found = server.values(data, *expressions, params=scope.params)
    assert [comparable(x[0]) for x in found] == [comparable(x) for x in expected], ex.dump(node)
    if is_condition:
        assert [x[1] for x in found] == [bool(x) for x in expected], ex.dump(node)


@settings(max_examples=300, deadline=None)
@given(node=anything)
def test_text_and_tree_are_one(node: ex.Node) -> None:
    assert ex.parse(ex.dump(node)) == node


@settings(max_examples=500, deadline=None)
@given(text=st.text(max_size=60) | st.text(st.sampled_from("ab01.()[]'\",=<>!+-*/ andornotinwhere客"), max_size=60))
@example("a" * 3000)
@example("(" * 1999)
def test_any_text_parses_or_is_refused_in_words(text: str) -> None:
    try:
        node = ex.parse(text)
    except ex.ExpressionError as error:
        assert str(error.message)
        assert 0 <= error.position <= len(text)
    else:
        assert ex.parse(ex.dump(node)) == node
