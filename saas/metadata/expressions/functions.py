"""The function table: one entry per function with its types, its Python form, its SQL form, its help and its examples.

Adding a function: docs/howto/add-a-function.md. The tests evaluate every example in Python and in PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from saas.i18n import LazyString, lazy
from saas.metadata.expressions import calendar, numbers

if TYPE_CHECKING:
    from saas.metadata.expressions.sql import Emitter, Piece

D = Decimal
SPACES = " \t\r\n\u00a0\u3000"


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the language.

    `params`, `rest`: what the arguments must be: an ExprType, "moment" (date or datetime), "day" (the same, used as a local day),
    "sized" (text or list), "day_or_text", "digits" (text, number or bool), "same" (any type, all of them alike) or "any". `rest` is the type of any number of further arguments.
    `result`: an ExprType, "same" (the type of the "same" arguments) or "first" (the type of the first argument).
    `python`: called with the values, after the Env if `env`. Unless `strict` is off it is not called with nulls: the result is
    then null (false for a condition).
    `sql`: a template whose {0}, {1}, … are the arguments in the SQL type of their parameter and {zone0}, … the time zone that
    argument counts days in; or a function of (emitter, pieces). None: has no SQL form (`old`) or is always folded (`today`).
    """

    key: str
    help: LazyString
    result: str
    python: Callable[..., Any]
    params: tuple[str, ...] = ()
    sql: str | Callable[[Emitter, tuple[Piece, ...]], str] | None = None
    examples: tuple[tuple[str, Any], ...] = ()
    rest: str | None = None
    optional: int = 0  # how many of the last params may be left out
    env: bool = False
    strict: bool = True
    literal: tuple[int, ...] = ()  # arguments that must be written as quoted text
    allowed: Callable[[str], bool] | None = None  # whether such a text is possible
    folds: bool = True  # without paths inside, the value is constant for one query

    @property
    def signature(self) -> str:
        names = [*self.params, *([f"{self.rest}, …"] if self.rest else [])]
        return f"{self.key}({', '.join(names)})"

    def param(self, index: int) -> str:
        return self.params[index] if index < len(self.params) else self.rest or "any"


FUNCTIONS: dict[str, Function] = {}


def _add(key: str, help: LazyString, result: str, python: Callable[..., Any], params: str = "", **more: Any) -> None:
    FUNCTIONS[key] = Function(key, help, result, python, tuple(params.split()), **more)


# --- Python forms that are more than a call -------------------------------------------------------------------------------


def lower(value: str) -> str:
    """Letter by letter as PostgreSQL does: the length never changes (str.lower makes two characters of İ, and ς of a last Σ)."""
    return value.lower() if value.isascii() else "".join(c.lower()[0] for c in value)


def upper(value: str) -> str:
    return value.upper() if value.isascii() else "".join(_upper(c) for c in value)


def _upper(letter: str) -> str:
    """ß stays ß, ᾳ becomes ᾼ."""
    return next((u for u in (letter.upper(), letter.title()) if len(u) == 1), letter)


def contains(whole: Any, part: Any) -> bool:
    if isinstance(whole, list | tuple):
        return as_text(part) in whole
    return lower(as_text(part)) in lower(whole)


def starts_with(whole: str, part: str) -> bool:
    return lower(whole).startswith(lower(part))


def as_text(value: Any, zone: Any = UTC) -> str:
    """A value as text: dates in ISO form, moments to the minute in the tenant's zone, lists with commas; null is empty."""
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.astimezone(zone).strftime("%Y-%m-%d %H:%M").rjust(16, "0")
        case date():
            return value.isoformat()
        case list() | tuple():
            return ", ".join(as_text(v, zone) for v in value)
    return numbers.to_text(D(value))


def _text(env: Any, value: Any) -> str | None:
    return None if isinstance(value, list | tuple) and not value else as_text(value, env.zone)


def _number(value: Any) -> Decimal | None:
    return numbers.parse(value) if isinstance(value, str) else D(value)


def _date(env: Any, value: Any) -> date | None:
    return calendar.parse_date(value) if isinstance(value, str) else calendar.local_date(value, env.zone)


def _datetime(env: Any, value: Any) -> datetime | None:
    if isinstance(value, str):
        return calendar.parse_datetime(value)
    return value if isinstance(value, datetime) else calendar.start_of_day(value, env.zone)


def _place(env: Any, key: str, among: tuple[str, ...]) -> Decimal | None:
    found = env.rank(key, among[0] if among else None)
    return D(found[0]) if found is not None else None


def _part(env: Any, key: str, parts: Decimal, among: tuple[str, ...]) -> Decimal | None:
    """Equal values are in the same part."""
    found = env.rank(key, among[0] if among else None)
    if found is None or parts < 1:
        return None
    place, total = found
    return D(-(-place * int(parts) // total))


def _first(*values: Any) -> Any:
    return next((v for v in values if v is not None), None)


def _extreme(pick: Callable[..., Any]) -> Callable[..., Any]:
    """min or max of the values that are there; moments count as days as soon as one date is among them."""

    def choose(env: Any, *values: Any) -> Any:
        present = [v for v in values if v is not None]
        if len({type(v) for v in present}) > 1:
            present = [calendar.local_date(v, env.zone) if isinstance(v, datetime) else v for v in present]
        return pick(present) if present else None

    return choose


# --- SQL forms that are more than a template -------------------------------------------------------------------------------


def _sql_shift(unit: str, limit: int) -> str:
    """{0} moved by {1} days or months. The inner selects name values used more than once; OFFSET 0 keeps the planner from
    copying them into each place, which would grow exponentially with nesting."""
    return (
        "(SELECT CASE WHEN q.r >= timestamptz '0002-01-01 00:00+00' AND q.r < timestamptz '9999-01-01 00:00+00' THEN q.r END"  # noqa: S608  parts of ours only
        f" FROM (SELECT CASE WHEN abs(v.n) <= {limit} THEN ((v.d AT TIME ZONE {{zone0}}) + make_interval({unit} => v.n::int))"
        " AT TIME ZONE {zone0} END AS r FROM (SELECT {0} AS d, trunc({1}) AS n OFFSET 0) v OFFSET 0) q)"
    )


def _sql_part(part: str) -> str:
    return f"extract({part} from ({{0}} AT TIME ZONE {{zone0}}))::numeric"


def _sql_contains(q: Emitter, args: tuple[Piece, ...]) -> str:
    if args[0].type == "list":
        return q.has(args[0], args[1])
    return f"(strpos(lower({q.as_text(args[0])}), lower({q.as_text(args[1])})) > 0)"


def _sql_len(q: Emitter, args: tuple[Piece, ...]) -> str:
    value = args[0]
    measure = f"jsonb_array_length({q.render(value)})" if value.type == "list" else f"length({q.as_text(value)})"
    return f"coalesce({measure}, 0)::numeric"


def _sql_is_empty(q: Emitter, args: tuple[Piece, ...]) -> str:
    value = args[0]
    if value.type == "list":
        return f"(coalesce(jsonb_array_length({q.render(value)}), 0) = 0)"
    if value.type in ("text", "option"):
        return f"(coalesce({q.render(value)}, '') = '')"
    return f"({q.raw(value)} IS NULL)"


_ISO_DATE = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"


def _sql_date(q: Emitter, args: tuple[Piece, ...]) -> str:
    if args[0].type not in ("text", "option"):
        return q.as_day(args[0])
    return (
        f"(SELECT CASE WHEN v.t ~ '{_ISO_DATE}' THEN CASE WHEN left(v.t, 4) > '0001' THEN CASE WHEN right(v.t, 2)::int <="  # noqa: S608  as above
        " date_part('day', (left(v.t, 7) || '-01')::date + interval '1 month' - interval '1 day')"
        " THEN v.t::date::timestamp AT TIME ZONE 'UTC' END END END"
        f" FROM (SELECT {q.render(args[0])} AS t OFFSET 0) v)"
    )


def _sql_datetime(q: Emitter, args: tuple[Piece, ...]) -> str:
    if args[0].type == "datetime":
        return q.render(args[0])
    if args[0].type == "date":
        return f"(({q.render(args[0])} AT TIME ZONE 'UTC') AT TIME ZONE {q.zone()})"
    raise q.refuse(lazy("datetime() of a text field cannot be used where records are searched"))


def _sql_number(q: Emitter, args: tuple[Piece, ...]) -> str:
    value = args[0]
    if value.type == "bool":
        return f"({q.render(value)})::int::numeric"
    if value.type not in ("text", "option"):
        return q.render(value)
    pattern = "^[+-]?[0-9]{1,30}([.][0-9]{0,30})?$"
    digits = f"btrim({q.render(value)}, ' ')"
    return f"(SELECT CASE WHEN v.t ~ '{pattern}' THEN v.t::numeric END FROM (SELECT {digits} AS t OFFSET 0) v)"  # noqa: S608  as above


def _sql_concat(q: Emitter, args: tuple[Piece, ...]) -> str:
    return f"concat({', '.join(q.as_text(a) for a in args)})"


def _sql_join(function: str) -> Callable[[Emitter, tuple[Piece, ...]], str]:
    def emit(q: Emitter, args: tuple[Piece, ...]) -> str:
        texts = q.alike(args)
        if function != "coalesce" and q.common(args) in ("text", "option"):
            # Order by code point as Python does, then back: the collation would reach lower() around this, too.
            ordered = ", ".join(f'{t} COLLATE "C"' for t in texts)
            return f'({function}({ordered}) COLLATE "default")'
        return f"{function}({', '.join(texts)})"

    return emit


def _sql_if(q: Emitter, args: tuple[Piece, ...]) -> str:
    yes, no = q.alike(args[1:])
    return f"(CASE WHEN {q.render(args[0])} THEN {yes} ELSE {no} END)"


# --- The table -------------------------------------------------------------------------------------------------------------

_add("today", lazy("The current day."), "date", lambda env: env.today(), env=True, examples=(("today()", date(2025, 3, 3)),))
_add("now", lazy("The current moment."), "datetime", lambda env: env.now(), env=True, examples=(("now() > today()", False), ("date(now()) == today()", True)))
_add("me", lazy("The person who is signed in."), "user", lambda env: env.me(), env=True, examples=(("me() != null", True),))
_add("my_dept", lazy("The department of the person who is signed in."), "dept", lambda env: env.my_dept(), env=True, examples=(("my_dept() == null", True),))
_add("has_role", lazy("Whether the person who is signed in has a role."), "bool", lambda env, key: bool(env.has_role(key)), "text",
     env=True, literal=(0,), examples=(("has_role('sales')", True), ("has_role('boss')", False)))  # fmt: skip
_add("setting", lazy("The value of a setting."), "any", lambda env, key: env.setting(key), "text",
     env=True, literal=(0,), examples=(("setting('days') + 1", D(31)),))  # fmt: skip
_add("old", lazy("The value of a field before the change."), "any", lambda env, key: env.old(key), "text",
     env=True, literal=(0,), folds=False)  # fmt: skip
_add("is_changed", lazy("Whether the change gave a field another value."), "bool", lambda env, key: bool(env.is_changed(key)), "text",
     env=True, literal=(0,), folds=False)  # fmt: skip

_add("rank", lazy("The place of the record among all of its kind by a field, 1 for the highest value; with a second field, among those that are equal in it."), "number",
     lambda env, key, *among: _place(env, key, among), "text text", env=True, optional=1, literal=(0, 1), folds=False)  # fmt: skip
_add("ntile", lazy("In which of so many equal parts the record is by a field, 1 for the highest values; with a further field, among those that are equal in it."), "number",
     lambda env, key, parts, *among: _part(env, key, parts, among), "text number text", env=True, optional=1, literal=(0, 2), folds=False)  # fmt: skip

_add("days_between", lazy("How many days lie from the first day to the second; negative if the second is earlier."), "number",
     lambda env, a, b: D((calendar.local_date(b, env.zone) - calendar.local_date(a, env.zone)).days), "day day", env=True,
     sql="round(extract(epoch from ({1} - {0})) / 86400)",
     examples=(("days_between(date('2025-01-01'), date('2025-03-01'))", D(59)), ("days_between(date('2025-03-01'), date('2025-01-01'))", D(-59)),
               ("days_between(datetime('2025-01-01T15:59:00Z'), datetime('2025-01-01T16:01:00Z'))", D(1)), ("days_between(null, today())", None)))  # fmt: skip
_add("add_days", lazy("A number of days later (or earlier, if negative)."), "first",
     lambda env, d, n: calendar.add_days(d, n, env.zone), "moment number", env=True, sql=_sql_shift("days", calendar.MAX_DAYS),
     examples=(("add_days(date('2025-02-27'), 2)", date(2025, 3, 1)), ("add_days(date('2024-03-01'), -1)", date(2024, 2, 29)),
               ("add_days(datetime('2025-03-03T08:30:00Z'), 1)", datetime(2025, 3, 4, 8, 30, tzinfo=UTC)),
               ("add_days(date('9998-12-31'), 1)", None), ("add_days(date('2025-01-01'), 99999999)", None), ("add_days(date('2025-01-01'), null)", None)))  # fmt: skip
_add("add_months", lazy("A number of months later, on the same day or the last day of a shorter month."), "first",
     lambda env, d, n: calendar.add_months(d, n, env.zone), "moment number", env=True, sql=_sql_shift("months", calendar.MAX_MONTHS),
     examples=(("add_months(date('2025-01-31'), 1)", date(2025, 2, 28)), ("add_months(date('2024-02-29'), -12)", date(2023, 2, 28)),
               ("add_months(datetime('2025-01-31T16:30:00Z'), 1)", datetime(2025, 2, 28, 16, 30, tzinfo=UTC)), ("add_months(null, 1)", None)))  # fmt: skip
_add("year", lazy("The year of a date."), "number", lambda env, d: D(calendar.local_date(d, env.zone).year), "moment", env=True, sql=_sql_part("year"),
     examples=(("year(date('2025-12-31'))", D(2025)), ("year(datetime('2025-12-31T16:00:00Z'))", D(2026))))  # fmt: skip
_add("month", lazy("The month of a date, 1 to 12."), "number", lambda env, d: D(calendar.local_date(d, env.zone).month), "moment", env=True, sql=_sql_part("month"),
     examples=(("month(date('2025-12-31'))", D(12)), ("month(null)", None)))  # fmt: skip
_add("day", lazy("The day of the month of a date, 1 to 31."), "number", lambda env, d: D(calendar.local_date(d, env.zone).day), "moment", env=True, sql=_sql_part("day"),
     examples=(("day(date('2025-12-31'))", D(31)), ("day(datetime('2025-12-30T15:59:00Z'))", D(30))))  # fmt: skip
_add("in_period", lazy("Whether a date lies in a named period, such as 'this_month' or 'last_n_days:30'."), "bool",
     lambda env, d, token: calendar.in_period(d, token, env.today(), env.now(), env.zone), "moment text", env=True, literal=(1,),
     allowed=calendar.is_period, sql=lambda q, args: q.in_period(args[0], args[1].value),
     examples=(("in_period(date('2025-03-31'), 'this_month')", True), ("in_period(date('2025-04-01'), 'this_month')", False),
               ("in_period(date('2025-02-28'), 'last_month')", True), ("in_period(date('2025-01-01'), 'this_quarter')", True),
               ("in_period(date('2025-03-09'), 'this_week')", True), ("in_period(date('2025-03-02'), 'this_week')", False),
               ("in_period(date('2025-02-24'), 'last_n_days:7')", True), ("in_period(date('2025-02-23'), 'last_n_days:7')", False),
               ("in_period(date('2025-03-10'), 'next_n_days:7')", True), ("in_period(date('2025-03-11'), 'next_n_days:7')", False),
               ("in_period(date('2025-03-03'), 'past')", False), ("in_period(date('2025-03-04'), 'future')", True),
               ("in_period(datetime('2025-03-02T16:00:00Z'), 'today')", True), ("in_period(datetime('2025-03-02T15:59:59Z'), 'today')", False),
               ("in_period(datetime('2025-03-03T03:59:59Z'), 'past')", True), ("in_period(null, 'today')", False)))  # fmt: skip

_add("round", lazy("Rounded to a number of digits behind the point (none if left out); a half goes up."), "number", numbers.round_half_up,
     "number number", optional=1, strict=False, sql="round({0}, greatest(-12, least(12, trunc(coalesce({1}, 0))))::int)",
     examples=(("round(2.5)", D(3)), ("round(-2.5)", D(-3)), ("round(1.005, 2)", D("1.01")), ("round(1250, -2)", D(1300)), ("round(null, 2)", None)))  # fmt: skip
_add("abs", lazy("Without its sign."), "number", lambda x: D(x).copy_abs(), "number", sql="abs({0})", examples=(("abs(-1.5)", D("1.5")), ("abs(null)", None)))
_add("floor", lazy("Rounded down to a whole number."), "number", lambda x: D(x.__floor__()), "number", sql="floor({0})",
     examples=(("floor(1.9)", D(1)), ("floor(-1.1)", D(-2))))  # fmt: skip
_add("ceil", lazy("Rounded up to a whole number."), "number", lambda x: D(x.__ceil__()), "number", sql="ceil({0})",
     examples=(("ceil(1.1)", D(2)), ("ceil(-1.9)", D(-1))))  # fmt: skip
_add("min", lazy("The smallest of several values; missing ones do not count. Also the smallest of child records."), "same", _extreme(min), "same same",
     rest="same", env=True, strict=False, sql=_sql_join("least"), examples=(("min(3, 1, 2)", D(1)), ("min(null, 5)", D(5)), ("min('b', 'a')", "a")))  # fmt: skip
_add("max", lazy("The largest of several values; missing ones do not count. Also the largest of child records."), "same", _extreme(max), "same same",
     rest="same", env=True, strict=False, sql=_sql_join("greatest"), examples=(("max(3, 1, 2)", D(3)), ("max(date('2025-01-01'), today())", date(2025, 3, 3))))  # fmt: skip
_add("coalesce", lazy("The first value that is not missing."), "same", _first, "same", rest="same", strict=False, sql=_sql_join("coalesce"),
     examples=(("coalesce(null, 2, 3)", D(2)), ("coalesce(null, 'x')", "x")))  # fmt: skip
_add("if", lazy("The second value if the condition holds, else the third."), "same", lambda c, a, b: a if c else b, "bool same same", strict=False, sql=_sql_if,
     examples=(("if(1 < 2, 'yes', 'no')", "yes"), ("if(null, 1, 2)", D(2))))  # fmt: skip

_add("concat", lazy("The values joined into one text; missing ones are left out."), "text", lambda env, *v: "".join(as_text(x, env.zone) for x in v), "any",
     rest="any", env=True, strict=False, sql=_sql_concat,
     examples=(("concat('a', 1.50, null, true)", "a1.5true"), ("concat('客', '户')", "客户"), ("concat(date('2025-01-02'))", "2025-01-02")))  # fmt: skip
_add("lower", lazy("In small letters."), "text", lower, "text", sql="lower({0})", examples=(("lower('ÄBC 客')", "äbc 客"),))
_add("upper", lazy("In capital letters."), "text", upper, "text", sql="upper({0})", examples=(("upper('äbc straße')", "ÄBC STRAßE"),))
_add("trim", lazy("Without spaces at both ends."), "text", lambda s: s.strip(SPACES), "text", sql=r"btrim({0}, E' \t\r\n\u00a0\u3000')",
     examples=(("trim('  a b\u3000')", "a b"),))  # fmt: skip
_add("len", lazy("The number of characters of a text or of entries of a list."), "number", lambda x: D(len(x or ())), "sized", strict=False, sql=_sql_len,
     examples=(("len('客户a')", D(3)), ("len(['a', 'b'])", D(2)), ("len(null)", D(0))))  # fmt: skip
_add("contains", lazy("Whether a text holds another (capitals do not matter), or a list holds a value."), "bool", contains, "sized any", sql=_sql_contains,
     examples=(("contains('Hello', 'ELL')", True), ("contains('100%', '_')", False), ("contains(['a'], 'a')", True), ("contains(null, 'a')", False)))  # fmt: skip
_add("starts_with", lazy("Whether a text begins with another; capitals do not matter."), "bool", starts_with, "text text",
     sql="starts_with(lower({0}), lower({1}))", examples=(("starts_with('Hello', 'he')", True), ("starts_with('Hello', 'lo')", False)))  # fmt: skip
_add("is_empty", lazy("Whether a value is missing, an empty text or an empty list."), "bool", lambda x: x is None or x == "" or x == [], "any", strict=False,
     sql=_sql_is_empty, examples=(("is_empty('')", True), ("is_empty(0)", False), ("is_empty([])", True), ("is_empty(null)", True)))  # fmt: skip

_add("date", lazy("The day of a moment, or of a text written like '2025-03-03'."), "date", _date, "day_or_text", env=True, sql=_sql_date,
     examples=(("date('2025-02-29')", None), ("date('2024-02-29')", date(2024, 2, 29)), ("date('soon')", None), ("date('0001-01-01')", None),
               ("date(datetime('2025-03-02T16:00:00Z'))", date(2025, 3, 3))))  # fmt: skip
_add("datetime", lazy("A moment written like '2025-03-03T08:00:00Z', or the beginning of a day."), "datetime", _datetime, "day_or_text", env=True, sql=_sql_datetime,
     examples=(("datetime(date('2025-03-03'))", datetime(2025, 3, 2, 16, tzinfo=UTC)),))  # fmt: skip
_add("number", lazy("A text of digits as a number; missing if it is none."), "number", _number, "digits", sql=_sql_number,
     examples=(("number(' 12.50 ')", D("12.5")), ("number('1e5')", None), ("number(true)", D(1)), ("number('')", None)))  # fmt: skip
_add("text", lazy("Any value as text."), "text", _text, "any", env=True, sql=lambda q, args: q.as_text(args[0]),
     examples=(("text(1.50)", "1.5"), ("text(false)", "false"), ("text(datetime('2025-03-03T08:05:59Z'))", "2025-03-03 16:05"), ("text(null)", None)))  # fmt: skip
