"""JSON filters (docs/packs.md, section 1) -> the same tree as expressions, and the table of filter operations."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal
from uuid import UUID

from saas.i18n import LazyString, lazy
from saas.metadata.config import Config
from saas.metadata.expressions import calendar
from saas.metadata.expressions import nodes as n
from saas.metadata.expressions.check import NOUNS, Kind, Names, kind_of
from saas.metadata.expressions.errors import ExpressionError, FilterError, did_you_mean, shorten
from saas.metadata.expressions.parser import parse

MAX_CONDITIONS, MAX_DEPTH, MAX_VALUES, MAX_TEXT = 50, 8, 200, 1000


@dataclass(frozen=True, slots=True)
class Op:
    """`types`: the ExprTypes it suits. `takes`: one value, several, a pair, true/false, or the name of a period."""

    key: str
    label: LazyString
    types: frozenset[str]
    takes: Literal["one", "many", "pair", "flag", "period"]
    build: Callable[[n.Node, Any], n.Node]  # (field, value nodes) -> condition


_SCALAR = "text number bool date datetime ref user dept option any"
_ORDERED = "text number date datetime any"


def _op(key: str, label: LazyString, types: str, takes: Any, build: Callable[[n.Node, Any], n.Node]) -> Op:
    return Op(key, label, frozenset(types.split()), takes, build)


def _between(field: n.Node, pair: tuple[n.Node, n.Node]) -> n.Node:
    return n.logic("and", [n.Binary(">=", field, pair[0]), n.Binary("<=", field, pair[1])])


def _one_of(field: n.Node, values: list[n.Node], kind: Kind) -> n.Node:
    if kind.type == "list":
        return n.logic("or", [n.In(value, field) for value in values])
    return n.In(field, n.List(tuple(values)))


OPS: dict[str, Op] = {
    op.key: op
    for op in (
        _op("eq", lazy("is"), _SCALAR, "one", lambda f, v: n.Binary("==", f, v)),
        _op("ne", lazy("is not"), _SCALAR, "one", lambda f, v: n.Binary("!=", f, v)),
        _op("lt", lazy("is less than"), _ORDERED, "one", lambda f, v: n.Binary("<", f, v)),
        _op("lte", lazy("is at most"), _ORDERED, "one", lambda f, v: n.Binary("<=", f, v)),
        _op("gt", lazy("is more than"), _ORDERED, "one", lambda f, v: n.Binary(">", f, v)),
        _op("gte", lazy("is at least"), _ORDERED, "one", lambda f, v: n.Binary(">=", f, v)),
        _op("in", lazy("is one of"), _SCALAR + " list", "many", lambda f, v: v),
        _op("not_in", lazy("is none of"), _SCALAR + " list", "many", lambda f, v: n.Unary("not", v)),
        _op("contains", lazy("contains"), "text list any", "one", lambda f, v: n.Call("contains", (f, v))),
        _op("starts_with", lazy("starts with"), "text any", "one", lambda f, v: n.Call("starts_with", (f, v))),
        _op("is_empty", lazy("is empty"), _SCALAR + " list", "flag", lambda f, v: n.Call("is_empty", (f,))),
        _op("between", lazy("is between"), _ORDERED, "pair", _between),
        _op("relative", lazy("is in"), "date datetime any", "period", lambda f, v: n.Call("in_period", (f, v))),
    )
}


def filter_to_node(filter_json: Any, config: Config, entity_key: str, *, names: Names | None = None) -> n.Node | None:
    """The condition a filter states; None if it states none. Raises FilterError. Old values have no meaning in a filter."""
    if filter_json is None or filter_json == {} or filter_json == "":
        return None
    return _Reader(config, entity_key, names).read(filter_json, "", 1)


class _Reader:
    def __init__(self, config: Config, entity_key: str, names: Names | None) -> None:
        self.config, self.entity_key, self.names = config, entity_key, names
        self.count = 0

    def read(self, data: Any, path: str, depth: int) -> n.Node:
        if depth > MAX_DEPTH:
            raise FilterError(path, lazy("The filter is nested too deeply: at most %(count)s levels", count=MAX_DEPTH))
        if isinstance(data, str):
            return self._expression(data, path)
        if not isinstance(data, dict):
            raise FilterError(path, lazy("A filter is an object with and, or, not, expr, or field, op and value"))
        keys = set(data)
        for op in ("and", "or"):
            if keys == {op}:
                items = data[op]
                if not isinstance(items, list):
                    raise FilterError(f"{path}/{op}", lazy("A list of filters was expected"))
                return n.logic(op, [self.read(x, f"{path}/{op}/{i}", depth + 1) for i, x in enumerate(items)])  # type: ignore[arg-type]
        if keys == {"not"}:
            return n.Unary("not", self.read(data["not"], f"{path}/not", depth + 1))
        if keys == {"expr"}:
            return self._expression(data["expr"], f"{path}/expr")
        if "field" in keys and keys <= {"field", "op", "value"}:
            return self._condition(data, path)
        raise FilterError(path, lazy("A filter is an object with and, or, not, expr, or field, op and value"))

    def _counted(self, path: str) -> None:
        self.count += 1
        if self.count > MAX_CONDITIONS:
            raise FilterError(path, lazy("The filter has too many conditions: at most %(count)s", count=MAX_CONDITIONS))

    def _expression(self, text: Any, path: str) -> n.Node:
        self._counted(path)
        if not isinstance(text, str):
            raise FilterError(path, lazy("An expression must be text"))
        try:
            node = parse(text)
            kind_of(node, self.config, self.entity_key, expect="bool", names=self.names, stored=True)
        except ExpressionError as error:
            raise FilterError(path, error.message) from error
        return node

    def _condition(self, data: dict[str, Any], path: str) -> n.Node:
        self._counted(path)
        field = self._field(data["field"], f"{path}/field")
        kind = self._kind(field, f"{path}/field")
        op = OPS.get(data["op"]) if isinstance(data.get("op"), str) else None
        if op is None:
            near = did_you_mean(str(data.get("op", "")), OPS)
            message = lazy("There is no filter operation '%(name)s'; possible are: %(known)s",
                           name=shorten(str(data.get("op", "")), 40), known=", ".join([near] if near else OPS))  # fmt: skip
            raise FilterError(f"{path}/op", message)
        if kind.type not in op.types:
            message = lazy("'%(op)s' does not suit %(noun)s", op=op.key, noun=NOUNS[kind.type])
            raise FilterError(f"{path}/op", message)
        return self._apply(op, field, kind, data.get("value"), f"{path}/value")

    def _apply(self, op: Op, field: n.Path, kind: Kind, value: Any, path: str) -> n.Node:
        if op.takes == "flag":
            if not isinstance(value, bool):
                raise FilterError(path, lazy("true or false was expected"))
            condition = op.build(field, None)
            return condition if value else n.Unary("not", condition)
        if op.takes == "period":
            if not isinstance(value, str) or not calendar.is_period(value):
                raise FilterError(path, lazy("A period was expected, one of: %(known)s", known=", ".join(calendar.PERIODS)))
            return op.build(field, n.text(value))
        if op.takes == "many":
            if not isinstance(value, list) or len(value) > MAX_VALUES:
                raise FilterError(path, lazy("A list of at most %(count)s values was expected", count=MAX_VALUES))
            return op.build(field, _one_of(field, [self._value(v, kind, f"{path}/{i}") for i, v in enumerate(value)], kind))
        if op.takes == "pair":
            if not isinstance(value, list) or len(value) != 2:
                raise FilterError(path, lazy("A list of two values was expected, from and to"))
            return op.build(field, tuple(self._value(v, kind, f"{path}/{i}") for i, v in enumerate(value)))
        if value is None and op.key in ("eq", "ne"):
            return op.build(field, n.NULL)
        return op.build(field, self._value(value, kind, path))

    def _field(self, name: Any, path: str) -> n.Path:
        if not isinstance(name, str) or not re.fullmatch(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*){0,5}", name):
            raise FilterError(path, lazy("The key of a field was expected"))
        return n.Path(tuple(name.split(".")))

    def _kind(self, field: n.Path, path: str) -> Kind:
        try:
            return kind_of(field, self.config, self.entity_key, names=self.names)
        except ExpressionError as error:
            raise FilterError(path, error.message) from error

    # --- values ---

    def _value(self, value: Any, kind: Kind, path: str) -> n.Node:
        """The node of a JSON value that suits the kind of the field."""
        type_ = kind.items or kind.type
        wrong = FilterError(path, lazy("%(noun)s was expected", noun=NOUNS["text" if type_ in ("option", "list") else type_]))
        match type_:
            case "number":
                return _number(value, wrong)
            case "bool":
                if not isinstance(value, bool):
                    raise wrong
                return n.Literal(value, "bool")
            case "any":
                if isinstance(value, bool):
                    return n.Literal(value, "bool")
                if isinstance(value, int | float | Decimal):
                    return _number(value, wrong)
        if not isinstance(value, str) or len(value) > MAX_TEXT or re.search("[\x00\ud800-\udfff]", value):
            raise wrong
        match type_:
            case "date" | "datetime":
                return _moment(value, type_, wrong)
            case "user" if value == "me()":
                return n.Call("me")
            case "dept" if value == "my_dept()":
                return n.Call("my_dept")
            case "ref" | "user" | "dept":
                return n.text(_id(value, wrong))
        if kind.options and value not in kind.options:
            known = shorten(", ".join(kind.options), 200)
            raise FilterError(path, lazy("'%(value)s' is not one of: %(known)s", value=shorten(value), known=known))
        return n.text(value)


def _number(value: Any, wrong: FilterError) -> n.Node:
    if isinstance(value, dict) and set(value) <= {"amount", "currency"}:  # money
        value = value.get("amount")
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal) or len(str(value)) > 40:
        raise wrong
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        raise wrong from None
    if not amount.is_finite() or abs(amount.adjusted()) > 30:
        raise wrong
    return n.number(Decimal(format(amount, "f")))


def _moment(value: str, type_: str, wrong: FilterError) -> n.Node:
    if value in ("today()", "now()"):
        return n.Call(value[:-2])
    if calendar.parse_date(value):
        return n.Call("date", (n.text(value),))
    if type_ == "datetime" and isinstance(calendar.parse_datetime(value), datetime):
        return n.Call("datetime", (n.text(value),))
    raise wrong


def _id(value: str, wrong: FilterError) -> str:
    try:
        return str(UUID(value))
    except ValueError:
        raise wrong from None
