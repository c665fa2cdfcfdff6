"""Tree -> parametrised PostgreSQL with exactly the results of the Python form. No text of a tenant ever becomes SQL: values go
through `scope.param`, names through `scope.path` and `scope.child`.

In SQL a number is numeric (arithmetic is exact), a date is timestamptz at 00:00 UTC, a list is a jsonb array of texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from saas.i18n import LazyString, lazy
from saas.metadata.expressions import calendar, numbers
from saas.metadata.expressions import nodes as n
from saas.metadata.expressions.errors import ExpressionError
from saas.metadata.expressions.functions import FUNCTIONS, Function, as_text
from saas.metadata.expressions.python import Env, is_null, to_python
from saas.metadata.kinds import ExprType

PG_TYPES = {
    "text": "text", "option": "text", "number": "numeric", "bool": "boolean", "date": "timestamptz", "datetime": "timestamptz",
    "ref": "uuid", "user": "uuid", "dept": "uuid", "list": "jsonb", "null": "text", "any": "text",
}  # fmt: skip
IDS = ("ref", "user", "dept")
TEXTS = ("text", "option")
MOMENTS = ("date", "datetime")
_FLIPPED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_ATOMIC = re.compile(r'[\w.$":]+|\(SELECT [^()]*\)')


class SqlScope:
    """Where names and values of one query level come from. Constants (setting … zone_name) are those of Env."""

    zone_name: str

    def param(self, value: Any, pg_type: str) -> str:
        """A placeholder with its cast, e.g. "$7::text". Values: str, Decimal, bool, aware datetime, UUID, or a list of them
        for array types ("text[]", "uuid[]", …); None is possible."""
        raise NotImplementedError

    def path(self, parts: tuple[str, ...]) -> tuple[str, ExprType]:
        """SQL of a value and its type. text, option: text; number: float8, int8 or numeric; bool: boolean; date: timestamptz
        at 00:00 UTC; datetime: timestamptz; ref, user, dept: uuid; list: jsonb array of texts, or SQL null. May be asked twice."""
        raise NotImplementedError

    def compare(self, parts: tuple[str, ...], op: str, value: Any) -> str | None:
        """A condition an index can serve, on a stored field and a constant that is never None: op is == < <= > >= or "in"
        (value: a list). May be null where Python says false. The value suits the type `path` gives: Decimal, str (text, option,
        id), bool, date for a date, aware datetime for a datetime. op "has": a list holds the value. None: use the general form (do
        so for unknown ops)."""
        return None

    def child(self, node: n.Child, emit: Callable[[n.Node, SqlScope], str]) -> str | tuple[str, ExprType]:
        """A correlated subquery with the aggregate's value; `aggregate_sql()` writes the aggregate itself. Call
        emit(node.where, inner) for the condition and emit(Path((node.field,)), inner) for the field. Conditions may be null for
        false. `all` is: no child for which emit(Unary("not", node.where), inner) holds."""
        raise NotImplementedError

    setting = Env.setting
    me = Env.me
    my_dept = Env.my_dept
    has_role = Env.has_role
    today = Env.today
    now = Env.now


def to_sql(node: n.Node, scope: SqlScope) -> str:
    """SQL of the value. A condition is true or false, never null (unless it is just a field). For WHERE take to_where."""
    emitter = Emitter(scope)
    return emitter.render(emitter.value(node))


def to_where(node: n.Node, scope: SqlScope) -> str:
    """SQL of a condition for WHERE, FILTER, CASE WHEN: null stands for false, so that indexes can be used. Do not negate it."""
    return Emitter(scope).condition(node)


def aggregate_sql(node: n.Child, value: str = "", *, newest: str = "") -> str:
    """The aggregate function of a Child node over SQL `value` (from emit), for `SELECT … FROM children WHERE …`. `newest` is the
    ORDER BY of latest. exists and all are not aggregates: write EXISTS (…) and NOT EXISTS (…)."""
    match node.fn:
        case "count":
            return "count(*)"
        case "sum":
            return f"coalesce(sum({value}), 0)"
        case "avg":
            return _divide(f"sum({value})", f"count({value})")
        case "latest":
            return f"(array_agg({value} ORDER BY {newest}) FILTER (WHERE ({value}) IS NOT NULL))[1]"
        case "min" | "max":
            return f"{node.fn}({value})"
    raise ValueError(node.fn)


@dataclass(frozen=True, slots=True)
class Piece:
    """A value on its way into SQL: a constant (`text` None) that becomes a parameter once the wanted type is known, or SQL text."""

    type: ExprType | Literal["null"]
    text: str | None = None
    value: Any = None
    parts: tuple[str, ...] | None = None  # the path, if it is just that
    nullable: bool = True

    @property
    def is_constant(self) -> bool:
        return self.text is None


class _Constants(Env):
    """Evaluates what has no paths in it."""

    def __init__(self, scope: SqlScope) -> None:
        self.zone = ZoneInfo(scope.zone_name)
        self.setting, self.me, self.my_dept = scope.setting, scope.me, scope.my_dept  # type: ignore[method-assign]
        self.has_role, self.today, self.now = scope.has_role, scope.today, scope.now  # type: ignore[method-assign]


class Emitter:
    """Writes one tree for one scope."""

    def __init__(self, scope: SqlScope) -> None:
        self.scope = scope
        self.env = _Constants(scope)

    # --- values ---

    def value(self, node: n.Node) -> Piece:
        if folds(node):
            return self.constant(to_python(node)(self.env))
        match node:
            case n.Path(parts=parts):
                return self._path(parts)
            case n.Child():
                return self._child(node)
            case n.Unary(op="-", operand=operand):
                return Piece("number", f"(- {self.as_number(self.value(operand))})")
            case n.Binary(op="+" | "-" | "*" | "/" as op, left=left, right=right):
                a, b = self.as_number(self.value(left)), self.as_number(self.value(right))
                return Piece("number", _divide(a, b) if op == "/" else f"({a} {op} {b})")
            case n.Call(name=name):
                piece = self._call(node)
                if FUNCTIONS[name].result == "bool":
                    return Piece("bool", f"coalesce({piece.text}, false)", nullable=False)
                return piece
            case n.List():
                raise self.refuse(lazy("A list with fields inside can only stand after in"), node.pos)
        text, nullable = self._condition(node)
        return Piece("bool", f"coalesce({text}, false)" if nullable else text, nullable=False)

    def constant(self, value: Any) -> Piece:
        match value:
            case None:
                return Piece("null")
            case bool():
                return Piece("bool", "TRUE" if value else "FALSE", value, nullable=False)
            case str():
                return Piece("text", None, value)
            case datetime():
                return Piece("datetime", None, value)
            case date():
                return Piece("date", None, value)
            case list() | tuple():
                return Piece("list", None, list(value))
            case UUID():
                return Piece("text", None, str(value))
        return Piece("number", None, Decimal(value))

    def _path(self, parts: tuple[str, ...]) -> Piece:
        text, type_ = self.scope.path(parts)
        return Piece(type_, _atomic(text), parts=parts)

    def _child(self, node: n.Child) -> Piece:
        seen: list[ExprType] = []

        def emit(inner: n.Node, scope: SqlScope) -> str:
            emitter = Emitter(scope)
            if inner is node.where or isinstance(inner, n.Unary | n.Logic | n.In | n.Binary):
                return emitter.condition(inner)
            piece = emitter.value(inner)
            seen.append(piece.type)  # type: ignore[arg-type]
            return emitter.render(piece)

        found = self.scope.child(node, emit)
        if isinstance(found, tuple):
            text, type_ = found
        elif node.fn in ("count", "sum", "avg"):
            text, type_ = found, "number"
        elif node.fn in ("exists", "all"):
            text, type_ = found, "bool"
        else:
            text, type_ = found, seen[-1] if seen else "any"
        return Piece(type_, _atomic(text), nullable=node.fn not in ("exists", "all"))

    def _call(self, node: n.Call) -> Piece:
        function = FUNCTIONS[node.name]
        if function.sql is None:
            raise self.refuse(lazy("%(name)s() cannot be used where records are searched", name=node.name), node.pos)
        if node.name == "if" and folds(node.args[0]):
            return self.value(node.args[1] if to_python(node.args[0])(self.env) else node.args[2])
        if function.strict and any(self._is_missing(arg) for arg in node.args):
            return self.constant(False if function.result == "bool" else None)
        args = tuple(
            Piece("bool", self.condition(arg)) if function.param(i) == "bool" else self.value(arg) for i, arg in enumerate(node.args)
        )
        if callable(function.sql):
            text = function.sql(self, args)
        else:
            text = self._template(function, function.sql, args)
        return Piece(self._result(function, args), text, nullable=True)

    def _template(self, function: Function, template: str, args: tuple[Piece, ...]) -> str:
        write = {"text": self.as_text, "number": self.as_number, "day": self.as_day, "moment": self._as_moment}
        texts = [write.get(function.param(i), self.render)(arg) for i, arg in enumerate(args)]
        while len(texts) < len(function.params):
            texts.append("NULL::" + PG_TYPES[function.param(len(texts))])
        zones = {f"zone{i}": self.zone() if arg.type == "datetime" else "'UTC'" for i, arg in enumerate(args) if f"{{zone{i}}}" in template}
        return template.format(*texts, **zones)

    def _result(self, function: Function, args: tuple[Piece, ...]) -> Any:
        if function.result == "first":
            return args[0].type
        if function.result == "same":
            return self.common(args[1:] if function.key == "if" else args)
        return function.result

    def _is_missing(self, node: n.Node) -> bool:
        """Whether it is certain that there is no value. Asked before SQL is written: a parameter taken for SQL that is then
        dropped would have no type for PostgreSQL."""
        if folds(node):
            return to_python(node)(self.env) is None
        match node:
            case n.Call(name="if", args=(condition, yes, no)):
                if folds(condition):
                    return self._is_missing(yes if to_python(condition)(self.env) else no)
                return self._is_missing(yes) and self._is_missing(no)
            case n.Call(name=name, args=args):
                function = FUNCTIONS[name]
                if function.result == "same":
                    return all(self._is_missing(a) for a in args)
                return function.strict and function.result != "bool" and any(self._is_missing(a) for a in args)
            case n.Binary(op="+" | "-" | "*" | "/", left=left, right=right):
                return self._is_missing(left) or self._is_missing(right)
            case n.Unary(op="-", operand=operand):
                return self._is_missing(operand)
        return False

    # --- conditions ---

    def condition(self, node: n.Node) -> str:
        """A condition whose null means false."""
        return self._condition(node)[0]

    def _condition(self, node: n.Node) -> tuple[str, bool]:
        """(SQL, whether it may be null instead of false)."""
        if folds(node):
            return ("TRUE" if to_python(node)(self.env) else "FALSE"), False
        match node:
            case n.Unary(op="not", operand=operand):
                text, nullable = self._condition(operand)
                return f"(NOT {f'coalesce({text}, false)' if nullable else text})", False
            case n.Logic(op=op, items=items):
                return self._logic(op, items)
            case n.Binary(op=op, left=left, right=right) if op in n.COMPARISONS:
                return self._compare(node, op, left, right)
            case n.In():
                return self._in(node)
        piece = self._call(node) if isinstance(node, n.Call) else self.value(node)
        if piece.type == "null":
            return "FALSE", False
        if piece.type not in ("bool", "any"):
            raise self.refuse(lazy("A condition was expected here"), node.pos)
        return piece.text or "FALSE", piece.nullable

    def _logic(self, op: str, items: tuple[n.Node, ...]) -> tuple[str, bool]:
        neutral, decisive = ("TRUE", "FALSE") if op == "and" else ("FALSE", "TRUE")
        texts, any_nullable = [], False
        for item in items:
            text, nullable = self._condition(item)
            if text == decisive:  # parameters already taken by earlier items stay in use only if their SQL does
                if not texts:
                    return decisive, False
            elif text == neutral:
                continue
            texts.append(text)
            any_nullable |= nullable
        if not texts:
            return neutral, False
        return (texts[0], any_nullable) if len(texts) == 1 else (f"({f' {op.upper()} '.join(texts)})", any_nullable)

    def _compare(self, node: n.Binary, op: str, left: n.Node, right: n.Node) -> tuple[str, bool]:
        if op in ("==", "!=") and (is_null(left) or is_null(right)):
            piece = self.value(left if is_null(right) else right)
            return f"({self.raw(piece)} IS {'NOT ' if op == '!=' else ''}NULL)", False
        missing = self._is_missing(left), self._is_missing(right)
        if any(missing):  # a constant without a value: nothing equals it, everything present differs from it
            if op != "!=" or all(missing):
                return "FALSE", False
            return f"({self.raw(self.value(right if missing[0] else left))} IS NOT NULL)", False
        a, b = self.value(left), self.value(right)
        indexed = self._indexed(op, a, b)
        if indexed is not None:
            return indexed, True
        x, y = self._pair(a, b, node.pos, ordered=op not in ("==", "!="))
        if op == "!=":
            return f"({x} IS DISTINCT FROM {y})", False
        return f"({x} {'=' if op == '==' else op} {y})", True

    def _indexed(self, op: str, a: Piece, b: Piece) -> str | None:
        """The scope's own form of a field against a constant, where there is one."""
        if a.value is not None and b.parts:
            a, b, op = b, a, _FLIPPED[op]
        if not a.parts or b.value is None or op == "!=":
            return None
        value = b.value
        if a.type == "datetime" and b.type == "date":
            return self._on_day(a, op, value)
        if a.type == "date" and b.type == "datetime":
            value = calendar.local_date(value, self.env.zone)
        elif a.type in IDS and b.type == "text" and _uuid(value):
            pass
        elif self._class(a) != self._class(b) or a.type == "list":
            return None
        return self.scope.compare(a.parts, op, value)

    def _on_day(self, field: Piece, op: str, day: date) -> str | None:
        """A moment against a day, as a range of instants: created_at == today() is from midnight to midnight."""
        try:
            start, end = (calendar.start_of_day(d, self.env.zone) for d in (day, day + timedelta(days=1)))
        except OverflowError:
            return None
        if op == "==":
            return self._range(field, start, end)
        bound = start if op in (">=", "<") else end
        return self.scope.compare(field.parts or (), ">=" if op in (">=", ">") else "<", bound)

    def _range(self, field: Piece, start: date | None, end: date | None) -> str | None:
        parts = field.parts or ()
        bounds = [(op, bound) for op, bound in ((">=", start), ("<", end)) if bound is not None]
        found = [self.scope.compare(parts, op, bound) for op, bound in bounds]
        if None in found:
            return None
        return found[0] if len(found) == 1 else f"({found[0]} AND {found[1]})"

    def in_period(self, subject: Piece, token: str) -> str:
        """Whether a date or moment lies in a named period, as bounds known before the query runs."""
        start: Any
        end: Any
        op_after = ">="
        if subject.type == "datetime" and token in ("past", "future"):
            now = self.env.now()
            start, end, op_after = (None, now, ">=") if token == "past" else (now, None, ">")
        else:
            start, end = calendar.period(token, self.env.today())
            if subject.type == "datetime":
                start, end = (d and calendar.start_of_day(d, self.env.zone) for d in (start, end))
        if subject.parts and op_after == ">=":
            indexed = self._range(subject, start, end)
            if indexed is not None:
                return indexed
        elif subject.parts:
            indexed = self.scope.compare(subject.parts, ">", start)
            if indexed is not None:
                return indexed
        text = self.render(subject)
        bound = subject.type if subject.type in MOMENTS else "date"
        checks = [f"{op_after} {self._param(start, bound)}" if start else "", f"< {self._param(end, bound)}" if end else ""]
        if all(checks):  # the subject is written once: it may be long
            low, high = checks[0].removeprefix(">= "), checks[1].removeprefix("< ")
            return f"(tstzrange({low}, {high}, '[)') @> {text})"
        return f"({text} {checks[0] or checks[1]})"

    def _in(self, node: n.In) -> tuple[str, bool]:
        text, nullable = self._contained(node)
        if node.negated:
            return f"(NOT {f'coalesce({text}, false)' if nullable else text})", False
        return text, nullable

    def _contained(self, node: n.In) -> tuple[str, bool]:
        if self._is_missing(node.item):
            return "FALSE", False
        if not folds(node.options):
            if isinstance(node.options, n.List):
                return self._any_equal(node, node.options.items)
            options = self.value(node.options)
            if options.type not in ("list", "any"):
                raise self.refuse(lazy("in needs a list on its right side"), node.options.pos)
            return self.has(options, self.value(node.item)), True
        values = to_python(node.options)(self.env)
        values = [v for v in values if v is not None] if isinstance(values, list | tuple) else []
        if not values:
            return "FALSE", False
        if len({type(v) for v in values}) > 1 and isinstance(node.options, n.List):
            return self._any_equal(node, node.options.items)
        item, like = self.value(node.item), self.constant(values[0])
        if item.type != like.type and {item.type, like.type} == set(MOMENTS):
            if item.type == "datetime":
                item = Piece("date", self.as_day(item))
            else:
                values = [calendar.local_date(v, self.env.zone) for v in values]
        elif item.type in IDS and like.type == "text":
            values = [v for v in values if _uuid(v)]
        elif self._class(item) != self._class(like):
            raise self._mismatch(node.pos)
        if item.parts and values:
            indexed = self.scope.compare(item.parts, "in", values)
            if indexed is not None:
                return indexed, True
        array = self.scope.param([_to_pg(v, item.type) for v in values], PG_TYPES[item.type] + "[]")
        return f"({self.render(item)} = ANY({array}))", True

    def has(self, options: Piece, item: Piece) -> str:
        """Whether a list holds a value that is not missing."""
        if options.parts and options.type == "list" and item.is_constant and item.value is not None:
            indexed = self.scope.compare(options.parts, "has", item.value)
            if indexed is not None:
                return indexed
        return f"({self.render(options)} ? {self.as_text(item)})"

    def _any_equal(self, node: n.In, options: tuple[n.Node, ...]) -> tuple[str, bool]:
        return self._logic("or", tuple(n.Binary("==", node.item, option, pos=option.pos) for option in options if not is_null(option)))

    # --- types ---

    def render(self, piece: Piece, want: str | None = None) -> str:
        """SQL of a piece in the SQL type of `want`, or of its own type."""
        if piece.text is None:
            return self._param(piece.value, want or piece.type)
        if piece.parts and piece.type == "number":
            return f"{piece.text}::numeric"
        if want == "date" and piece.type == "datetime":
            return f"(date_trunc('day', {piece.text} AT TIME ZONE {self.zone()}) AT TIME ZONE 'UTC')"
        if want == "text" and piece.type in IDS:
            return f"{piece.text}::text"
        return piece.text

    def raw(self, piece: Piece) -> str:
        """For IS NULL: a stored field without any cast."""
        return piece.text if piece.text is not None else self.render(piece)

    def as_number(self, piece: Piece) -> str:
        if piece.type not in ("number", "null", "any"):
            raise self.refuse(lazy("A number was expected here"))
        return self.render(piece, "number")

    def as_day(self, piece: Piece) -> str:
        if piece.type not in ("date", "datetime", "null", "any"):
            raise self.refuse(lazy("A date was expected here"))
        if piece.is_constant and piece.type == "datetime":
            return self._param(calendar.local_date(piece.value, self.env.zone), "date")
        return self.render(piece, "date")

    def _as_moment(self, piece: Piece) -> str:
        return self.render(piece, "datetime" if piece.type == "null" else None)

    def as_text(self, piece: Piece) -> str:
        """What text() gives: dates in ISO form, moments to the minute in the tenant's zone, numbers without trailing zeros."""
        if piece.is_constant:
            return self._param(None if piece.type == "null" else as_text(piece.value, self.env.zone), "text")
        text = self.render(piece)
        match piece.type:
            case "number":
                return f"trim_scale({text})::text"
            case "bool":
                return f"({text})::text"
            case "date":
                return f"to_char({text} AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
            case "datetime":
                return f"to_char({text} AT TIME ZONE {self.zone()}, 'YYYY-MM-DD HH24:MI')"
            case "list":
                entries = f"jsonb_array_elements_text({text}) WITH ORDINALITY AS e(v, n)"
                return f"(SELECT string_agg(e.v, ', ' ORDER BY e.n) FROM {entries})"  # noqa: S608  parts of ours only
            case "ref" | "user" | "dept":
                return f"{text}::text"
        return text

    def zone(self) -> str:
        return self.scope.param(self.scope.zone_name, "text")

    def common(self, pieces: tuple[Piece, ...]) -> Any:
        """The type several values share, e.g. the branches of if()."""
        types = [p.type for p in pieces if p.type != "null"]
        if not types:
            return "null"
        if any(t == "any" for t in types):
            return next((t for t in types if t != "any"), "any")
        if len(set(types)) == 1:
            return types[0]
        if set(types) <= set(MOMENTS):
            return "date"
        if set(types) <= set(IDS) or (set(types) <= {*IDS, "text"} and all(p.type in IDS or (p.is_constant and _uuid(p.value)) for p in pieces if p.type != "null")):
            return next(t for t in types if t in IDS)
        if set(types) <= {*IDS, *TEXTS}:
            return "text"
        raise self._mismatch()

    def alike(self, pieces: tuple[Piece, ...]) -> list[str]:
        """SQL of several values in their common type."""
        want = self.common(pieces)
        return [self.as_day(p) if want == "date" else self.render(p, want) for p in pieces]

    def _pair(self, a: Piece, b: Piece, pos: int, *, ordered: bool) -> tuple[str, str]:
        classes = {self._class(a), self._class(b)}
        if classes == {"moment"} and a.type != b.type:
            return self.as_day(a), self.as_day(b)
        if classes == {"id", "text"}:
            text, other = (a, b) if self._class(a) == "text" else (b, a)
            if text.is_constant and _uuid(text.value):
                return (self.render(a, other.type), self.render(b, other.type))
            return self.render(a, "text"), self.render(b, "text")
        if classes == {"list"} or (len(classes) > 1 and "any" not in classes):
            raise self._mismatch(pos)
        x, y = self.render(a), self.render(b)
        if ordered and classes == {"text"}:
            return f'{x} COLLATE "C"', f'{y} COLLATE "C"'  # order by code point, as Python does
        elif ordered and classes == {"id"}:
            return f"{x}::text COLLATE \"C\"", f"{y}::text"
        return x, y

    @staticmethod
    def _class(piece: Piece) -> str:
        if piece.type in IDS:
            return "id"
        if piece.type in TEXTS:
            return "text"
        return "moment" if piece.type in MOMENTS else piece.type

    def _param(self, value: Any, type_: str) -> str:
        if value is None:
            return f"NULL::{PG_TYPES[type_]}"
        if type_ == "list":
            return f"to_jsonb({self.scope.param([str(v) for v in value], 'text[]')})"
        return self.scope.param(_to_pg(value, type_), PG_TYPES[type_])

    def refuse(self, message: LazyString, pos: int = 0) -> ExpressionError:
        return ExpressionError(message, pos, code="not_searchable")

    def _mismatch(self, pos: int = 0) -> ExpressionError:
        return ExpressionError(lazy("Values of different kinds cannot be compared or mixed"), pos, code="type")


def folds(node: n.Node) -> bool:
    """Whether the value is the same for every record of a query."""
    return not any(
        isinstance(x, n.Path | n.Child) or (isinstance(x, n.Call) and not FUNCTIONS[x.name].folds) for x in n.walk(node)
    )


def _divide(a: str, b: str) -> str:
    """A quotient rounded to 12 digits like numbers.divide; the inner round gives PostgreSQL digits enough to do so."""
    return f"round(round({a}, 30) / nullif({b}, 0), {numbers.DIVISION_SCALE})"


def _to_pg(value: Any, type_: str) -> Any:
    if type_ in IDS:
        return UUID(value)
    if type_ in MOMENTS and not isinstance(value, datetime):
        return datetime.combine(value, time.min, tzinfo=UTC)
    return value


def _uuid(value: Any) -> UUID | None:
    """The id a text is, if it is one in its usual form."""
    try:
        found = UUID(value)
    except (ValueError, AttributeError, TypeError):
        return None
    return found if str(found) == value else None


def _atomic(text: str) -> str:
    return text if _ATOMIC.fullmatch(text) else f"({text})"
