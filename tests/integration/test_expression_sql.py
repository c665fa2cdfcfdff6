# ruff: noqa: S608  the SQL under test
"""The SQL form on a real PostgreSQL: every function example, indexes, hostile values."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from expression_lab import ME, OTHER, ColumnScope, DictEnv

from saas.metadata import expressions as ex

EXAMPLES = [(text, value) for f in ex.FUNCTIONS.values() if f.folds for text, value in f.examples]
_TYPES = {"text": "text", "number": "numeric", "bool": "boolean", "date": "timestamptz", "datetime": "timestamptz"}


@pytest_asyncio.fixture(scope="session")
async def conn(server_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server_url)
    await connection.execute("SET TIME ZONE 'America/New_York'")  # results must not depend on the session's zone
    yield connection
    await connection.close()


def as_sql_result(value: Any) -> Any:
    return datetime(value.year, value.month, value.day, tzinfo=UTC) if type(value) is date else value


class Unfolded:
    """Turns the constants of an example into fields, so that nothing is computed before the query."""

    def __init__(self) -> None:
        self.scope = ColumnScope()
        self.scope.paths = {}
        self.columns = ["1 AS one"]

    def field(self, value: Any, type_: str) -> ex.Path:
        parts = (f"v{len(self.scope.paths)}",)
        if type_ == "list":
            sql = f"to_jsonb({self.scope.param(value, 'text[]')})"
        else:
            sql = self.scope.param(as_sql_result(value), _TYPES[type_])
        self.scope.paths[parts] = (f"r.{parts[0]}", type_)  # type: ignore[index]
        self.columns.append(f"{sql} AS {parts[0]}")
        return ex.Path(parts)

    def rewrite(self, node: ex.Node) -> ex.Node:
        match node:
            case ex.Literal(kind="null"):
                return node
            case ex.Literal(value=value, kind=kind):
                return self.field(value, kind)
            case ex.List(items=items):
                return self.field([x.value for x in items], "list")  # type: ignore[attr-defined]
            case ex.Call(name="datetime", args=(ex.Literal(),)):
                return self.field(ex.to_python(node)(DictEnv()), "datetime")
            case ex.Call(name=name, args=args):
                literal = ex.FUNCTIONS[name].literal
                return ex.Call(name, tuple(a if i in literal else self.rewrite(a) for i, a in enumerate(args)))
            case ex.Binary(op=op, left=left, right=right):
                return ex.Binary(op, self.rewrite(left), self.rewrite(right))
            case ex.Unary(op=op, operand=operand):
                return ex.Unary(op, self.rewrite(operand))
        return node


@pytest.mark.parametrize(("text", "expected"), EXAMPLES)
async def test_examples_of_functions_over_fields(conn: asyncpg.Connection, text: str, expected: Any) -> None:
    unfolded = Unfolded()
    sql = ex.to_sql(unfolded.rewrite(ex.parse(text)), unfolded.scope)
    row = f"(SELECT {', '.join(unfolded.columns)}) r"
    assert await conn.fetchval(f"SELECT {sql} FROM {row}", *unfolded.scope.params) == as_sql_result(expected)


@pytest.mark.parametrize(("text", "expected"), EXAMPLES)
async def test_examples_of_functions_as_constants(conn: asyncpg.Connection, text: str, expected: Any) -> None:
    scope = ColumnScope()
    sql = ex.to_sql(ex.parse(text), scope)
    found = await conn.fetchval(f"SELECT {sql}", *scope.params)
    assert (str(found) if text == "me()" else found) == as_sql_result(expected)


@pytest.mark.parametrize("hostile", ["'; DROP TABLE x; --", "$1::text", "{0} {zone0} %s %(a)s", "\\", "客户🙂\u202e", '"', "a\nb"])
async def test_hostile_text_is_only_ever_a_parameter(conn: asyncpg.Connection, hostile: str) -> None:
    quoted = "'" + hostile.replace("'", "''") + "'"
    scope = ColumnScope()
    sql = ex.to_sql(ex.parse(f"concat(name, {quoted}) == {quoted} and contains(note, {quoted}) and grade in [{quoted}, 'x']"), scope)
    assert hostile not in sql or hostile in ('$1::text', '"')  # which are our own text, too
    row = "(SELECT NULL::text AS name, $1::text AS note, $1::text AS grade) r"
    scope2 = ColumnScope()
    scope2.params.append(f"<{hostile}>")
    sql = ex.to_sql(ex.parse(f"concat(name, {quoted}) == {quoted} and contains(note, {quoted}) and grade not in [{quoted}, 'x']"), scope2)
    assert await conn.fetchval(f"SELECT {sql} FROM {row}", *scope2.params) is True


def where(text: str, **more: Any) -> str:
    return ex.to_where(ex.parse(text), ColumnScope(index=True, **more))


def test_stored_fields_are_compared_in_a_form_an_index_can_serve() -> None:
    assert where("name == 'x' and owner == me()") == '(r.name = $1::text COLLATE "C" AND r.owner = $2::uuid)'
    assert where("today() <= due") == "r.due >= $1::timestamptz"
    assert where("met_at == today()") == "(r.met_at >= $1::timestamptz AND r.met_at < $2::timestamptz)"
    assert where("in_period(due, 'this_month')") == "(r.due >= $1::timestamptz AND r.due < $2::timestamptz)"
    assert where("in_period(met_at, 'past')") == "r.met_at < $1::timestamptz"
    assert where("owner in [me(), 'nobody']") == "r.owner = ANY($1::uuid[])"
    assert where("name == null") == "(r.name IS NULL)"
    assert where("name != 'x'") == "(r.name IS DISTINCT FROM $1::text)"
    assert where("not name == 'x'") == "(NOT coalesce(r.name = $1::text COLLATE \"C\", false))"


def test_what_is_known_before_the_query_is_decided_before_the_query() -> None:
    assert where("has_role('sales') or name == 'x'") == "TRUE"
    assert where("has_role('boss') or name == 'x'") == 'r.name = $1::text COLLATE "C"'
    assert where("owner == me()", me=None) == "FALSE"
    assert where("if(has_role('sales'), vip, name == 'x')") == "r.vip"
    assert where("'x' in []") == "FALSE"


async def test_sql_dropped_from_a_condition_leaves_no_parameter_behind(conn: asyncpg.Connection) -> None:
    for text in ("rank + 1 > 2 and has_role('boss')", "add_days(due, 3) == setting('none')", "add_days(add_days(due, 3), null) == due",
                 "concat(name, 'x') in []", "if(has_role('boss'), concat(name, 'x'), name) == 'x'", "amount + 1 in [null]", "year(if(has_role('boss'), due, null)) == rank + 1", "coalesce(null, setting('none')) < rank + 1"):  # fmt: skip
        scope = ColumnScope()
        sql = ex.to_where(ex.parse(text), scope)
        row = "(SELECT NULL::text AS name, 1::int8 AS rank, NULL::timestamptz AS due, 1.5::float8 AS amount) r"
        assert not await conn.fetchval(f"SELECT {sql} FROM {row}", *scope.params)


def test_nesting_does_not_multiply_sql() -> None:
    text = "due"
    for _ in range(12):
        text = f"add_days({text}, rank)"
    small = len(ex.to_sql(ex.parse("add_days(due, rank)"), ColumnScope()))
    assert len(ex.to_sql(ex.parse(text), ColumnScope())) < 14 * small


@pytest.mark.parametrize("text", ["old('name') == 'x'", "is_changed('name')", "datetime(name) > now()", "amount == 'x'", "name and vip", "tags == tags", "name + 1"])
def test_what_has_no_sql_form_is_refused_in_words(text: str) -> None:
    with pytest.raises(ex.ExpressionError) as caught:
        ex.to_where(ex.parse(text), ColumnScope())
    assert str(caught.value.message)


class ChildScope(ColumnScope):
    """Children of `r`: rows of a JSON array."""

    def child(self, node: ex.Child, emit: Any) -> str:
        inner = ColumnScope(paths={("day",): ("c.day", "date"), ("n",): ("c.n", "number"), ("parent", "rank"): ("r.rank", "number")})
        inner.params = self.params
        rows = f"FROM jsonb_to_recordset({self.param(json.dumps(CHILDREN), 'jsonb')}) AS c(id int, n float8, day timestamptz)"
        if node.fn == "all":
            return f"(NOT EXISTS (SELECT 1 {rows} WHERE {emit(ex.Unary('not', node.where), inner)}))"
        rows += f" WHERE {emit(node.where, inner)}" if node.where is not None else ""
        if node.fn == "exists":
            return f"EXISTS (SELECT 1 {rows})"
        value = emit(ex.Path((node.field,)), inner) if node.field else ""
        return f"(SELECT {ex.aggregate_sql(node, value, newest='c.id DESC')} {rows})"


CHILDREN = [{"id": 1, "n": 1.1, "day": "2025-01-01T00:00:00Z"}, {"id": 2, "n": 2.2, "day": "2025-03-01T00:00:00Z"}, {"id": 3, "n": None, "day": None}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("count(x)", 3),
        ("sum(x.n)", Decimal("3.3")),
        ("avg(x.n)", Decimal("1.65")),
        ("avg(x.n where n > 5)", None),
        ("sum(x.n where n > 5)", 0),
        ("max(x.day) == date('2025-03-01')", True),
        ("days_between(min(x.day), max(x.day)) + 1", 60),
        ("latest(x.n)", Decimal("2.2")),
        ("exists(x where n == null)", True),
        ("all(x where n != null)", False),
        ("all(x where n < parent.rank or n == null)", True),
        ("all(x where not n > 100)", True),
        ("not exists(x where n > parent.rank)", True),
    ],
)
async def test_aggregates_over_children(conn: asyncpg.Connection, text: str, expected: Any) -> None:
    scope = ChildScope()
    sql = ex.to_sql(ex.parse(text), scope)
    assert await conn.fetchval(f"SELECT {sql} FROM (SELECT 5::int8 AS rank) r", *scope.params) == expected


async def test_ids_compare_as_ids(conn: asyncpg.Connection) -> None:
    row = f"(SELECT '{ME}'::uuid AS owner, '{OTHER}'::uuid AS helper, NULL::text AS name) r"
    for text, expected in (
        ("owner == me()", True), ("helper == me()", False), ("coalesce(helper, owner) == me()", False), ("me() in [owner, helper]", True),
        (f"if(name == null, owner, '{OTHER}') == '{ME}'", True), (f"owner == '{ME.upper()}x'", False), ("text(owner) == me()", True), ("helper != me()", True),
    ):  # fmt: skip
        scope = ColumnScope()
        assert await conn.fetchval(f"SELECT {ex.to_sql(ex.parse(text), scope)} FROM {row}", *scope.params) is expected, text
