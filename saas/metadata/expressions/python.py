"""Tree -> closure over an Env. Closures are pure: all they know comes from the Env; nothing a tenant writes makes them raise."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from saas.metadata.expressions import calendar, numbers
from saas.metadata.expressions import nodes as n
from saas.metadata.expressions.functions import FUNCTIONS

Closure = Callable[["Env"], Any]


class Env:
    """What an expression is evaluated against. Values are: str (text, option keys, ids of refs, users and departments), Decimal,
    bool, date, aware datetime, list of str, None."""

    zone: ZoneInfo

    def value(self, path: tuple[str, ...]) -> Any:
        """The value at a path, formulas and rollups included."""
        raise NotImplementedError

    def child(self, node: n.Child) -> Any:
        """The value of an aggregate over children; `aggregate()` helps."""
        raise NotImplementedError

    def old(self, field: str) -> Any:
        raise NotImplementedError

    def is_changed(self, field: str) -> bool:
        raise NotImplementedError

    def rank(self, field: str, among: str | None) -> tuple[int, int] | None:
        """The place of the record by a field, and among how many that have it; None where it has no value, or no place yet."""
        return None

    def setting(self, key: str) -> Any:
        raise NotImplementedError

    def me(self) -> str | None:
        raise NotImplementedError

    def my_dept(self) -> str | None:
        raise NotImplementedError

    def has_role(self, key: str) -> bool:
        raise NotImplementedError

    def today(self) -> date:
        raise NotImplementedError

    def now(self) -> datetime:
        raise NotImplementedError


def to_python(node: n.Node) -> Closure:
    """A function env -> value. Conditions give True or False, never None, unless they are just a field. Keep it: compiling costs more
    than running."""
    return _COMPILERS[type(node)](node)  # type: ignore[operator]


def aggregate(fn: str, values: Iterable[Any]) -> Any:
    """The value of an aggregate. `values` are: for count, exists and all the outcome of the condition per child (True without one);
    else the field's values of the children that satisfy it, newest child first for latest."""
    if fn == "exists":
        return any(values)
    if fn == "all":
        return all(values)
    if fn == "count":
        return Decimal(sum(1 for v in values if v))
    present = [v for v in values if v is not None]
    if fn == "sum":
        total = Decimal(0)
        for value in present:
            total = numbers.ADD(total, value)
        return total
    if fn == "avg":
        return numbers.average(present)
    if fn == "latest":
        return present[0] if present else None
    return (min if fn == "min" else max)(present, default=None)


def _literal(node: n.Literal) -> Closure:
    value = node.value
    return lambda env: value


def _path(node: n.Path) -> Closure:
    parts = node.parts
    return lambda env: env.value(parts)


def _list(node: n.List) -> Closure:
    items = [to_python(item) for item in node.items]
    return lambda env: [item(env) for item in items]


def _child(node: n.Child) -> Closure:
    return lambda env: env.child(node)


def _unary(node: n.Unary) -> Closure:
    operand = to_python(node.operand)
    if node.op == "not":
        return lambda env: not operand(env)

    def negate(env: Env) -> Any:
        value = operand(env)
        return None if value is None else numbers.CONTEXT.minus(value)

    return negate


def _logic(node: n.Logic) -> Closure:
    items = [to_python(item) for item in node.items]
    if node.op == "and":

        def run(env: Env) -> bool:
            for item in items:  # noqa: SIM110  half the time of all() with a generator
                if not item(env):
                    return False
            return True
    else:

        def run(env: Env) -> bool:
            for item in items:  # noqa: SIM110  as above
                if item(env):
                    return True
            return False

    return run


_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_ARITHMETIC = {"+": numbers.ADD, "-": numbers.SUBTRACT, "*": numbers.MULTIPLY, "/": numbers.divide}


def is_null(node: n.Node) -> bool:
    return isinstance(node, n.Literal) and node.kind == "null"


def _binary(node: n.Binary) -> Closure:
    op = node.op
    if op in ("==", "!=") and (is_null(node.left) or is_null(node.right)):
        other = to_python(node.left if is_null(node.right) else node.right)
        return (lambda env: other(env) is None) if op == "==" else (lambda env: other(env) is not None)
    left, right = to_python(node.left), to_python(node.right)
    if op == "==":
        return lambda env: equal(left(env), right(env), env)
    if op == "!=":
        return lambda env: differ(left(env), right(env), env)
    if op in _ORDER:
        return _ordering(left, right, _ORDER[op])
    calculate = _ARITHMETIC[op]

    def run(env: Env) -> Any:
        a, b = left(env), right(env)
        return None if a is None or b is None else calculate(a, b)

    return run


def _ordering(left: Closure, right: Closure, compare: Callable[[Any, Any], bool]) -> Closure:
    def run(env: Env) -> bool:
        a, b = left(env), right(env)
        if a is None or b is None:
            return False
        if type(a) is not type(b):
            a, b = _align(a, b, env)
            if type(a) is not type(b) and not (isinstance(a, int | Decimal) and isinstance(b, int | Decimal)):
                return False  # values of different kinds have no order; check() refuses this where types are known
        return compare(a, b)

    return run


def _align(a: Any, b: Any, env: Env) -> tuple[Any, Any]:
    """A moment beside a date counts as its local day."""
    if isinstance(a, datetime) and type(b) is date:
        return calendar.local_date(a, env.zone), b
    if isinstance(b, datetime) and type(a) is date:
        return a, calendar.local_date(b, env.zone)
    return a, b


def equal(a: Any, b: Any, env: Env) -> bool:
    """False if either is missing."""
    if a is None or b is None:
        return False
    if type(a) is not type(b):
        a, b = _align(a, b, env)
    return bool(a == b)


def differ(a: Any, b: Any, env: Env) -> bool:
    """A missing value differs from every present one, not from another missing one (IS DISTINCT FROM)."""
    if a is None or b is None:
        return (a is None) != (b is None)
    if type(a) is not type(b):
        a, b = _align(a, b, env)
    return bool(a != b)


def _in(node: n.In) -> Closure:
    item, options, negated = to_python(node.item), to_python(node.options), node.negated

    def run(env: Env) -> bool:
        value, choices = item(env), options(env)
        if value is None or not isinstance(choices, list | tuple):
            return negated
        found = value in choices if type(value) is str else any(equal(value, c, env) for c in choices)
        return found is not negated

    return run


def _call(node: n.Call) -> Closure:
    function = FUNCTIONS[node.name]
    run = function.python
    args = [to_python(arg) for arg in node.args]
    if node.name == "if":  # only the chosen branch is evaluated
        condition, yes, no = args
        return lambda env: yes(env) if condition(env) else no(env)
    if not function.strict:
        if function.env:
            return lambda env: run(env, *[arg(env) for arg in args])
        return lambda env: run(*[arg(env) for arg in args])
    missing = False if function.result == "bool" else None
    with_env = function.env

    def call(env: Env) -> Any:
        values = []
        for arg in args:
            value = arg(env)
            if value is None:
                return missing
            values.append(value)
        return run(env, *values) if with_env else run(*values)

    return call


_COMPILERS: dict[type, Callable[[Any], Closure]] = {
    n.Literal: _literal,
    n.Path: _path,
    n.List: _list,
    n.Child: _child,
    n.Unary: _unary,
    n.Logic: _logic,
    n.Binary: _binary,
    n.In: _in,
    n.Call: _call,
}
