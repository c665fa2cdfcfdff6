"""Numbers: reading what people type, bounds, and quick formatting for lists."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from babel import Locale
from babel.numbers import format_currency, format_decimal, get_currency_precision

from saas.i18n import LazyString, lazy, pick
from saas.metadata.config import Config
from saas.metadata.kinds import FieldType, Source
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.texts import encodable, narrow

INT8_MIN, INT8_MAX = -(2**63), 2**63 - 1
FLOAT_LIMIT = 10**15  # beyond, a float cannot keep cents

_PLAIN = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})\Z", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:([,' \u00a0\u202f])\d{3})(?:\1\d{3})*(?:\.\d{0,40})?\Z", re.ASCII)
_MYRIADS = {"万": Decimal(10) ** 4, "萬": Decimal(10) ** 4, "亿": Decimal(10) ** 8, "億": Decimal(10) ** 8}


def read_decimal(text: str) -> Decimal | None:
    """The number in a plain text such as "-12.50" (full-width digits too), or None."""
    text = narrow(text).strip()
    return Decimal(text) if _PLAIN.match(text) else None


def read_typed(text: str) -> Decimal | None:
    """The number a person typed: thousands separators, 万 and 亿 are understood; anything ambiguous is not."""
    text = narrow(text).strip().replace("−", "-")
    factor = _MYRIADS.get(text[-1:])
    if factor:
        text = text[:-1].strip()
    if _GROUPED.match(text):
        text = re.sub("[,' \u00a0\u202f]", "", text)
    if not _PLAIN.match(text):
        return None
    return Decimal(text) * factor if factor else Decimal(text)


def to_decimal(value: Any) -> Decimal | None:
    """A finite Decimal of a JSON number, numeric text or result of an expression; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return read_decimal(value)
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else None
    if isinstance(value, (int, Decimal)):
        try:
            number = Decimal(value)
        except (InvalidOperation, ValueError):
            return None
        return number if number.is_finite() else None
    return None


def quantize(value: Decimal, digits: int) -> Decimal:
    """Rounded half up to `digits` decimals; unchanged if that is too large for a decimal's precision."""
    try:
        return value.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)
    except InvalidOperation:
        return value


def decimals_of(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def json_number(value: Decimal | float) -> int | float:
    """An int where nothing is lost, so that 12.0 reads 12."""
    return int(value) if value == int(value) else float(value)


def bound(field: FieldDef, name: str, fallback: Any) -> Any:
    found = field.options.get(name)
    return fallback if found is None else found


def band_of(field: FieldDef, value: float) -> Mapping[str, Any] | None:
    """The highest of the field's bands that starts at or below the value, or None."""
    reached = [band for band in field.options.get("bands") or () if band["from"] <= value]
    return max(reached, key=lambda band: band["from"], default=None)


# ---- formatting --------------------------------------------------------------------------------------------------------
# Babel formats a number in tens of microseconds; a list has hundreds of them. Its symbols and patterns are read once per
# locale, and Python does the rest. Locales that do not group by three keep using Babel.


@functools.lru_cache(maxsize=64)
def _symbols(locale: str) -> tuple[str, str, str, bool]:
    found = Locale.parse(locale)
    symbols = found.number_symbols["latn"]
    simple = found.decimal_formats[None].grouping == (3, 3) and found.default_numbering_system == "latn"
    return symbols["group"], symbols["decimal"], symbols["minusSign"], simple


def format_number(value: float | Decimal, digits: int, locale: str, *, trim: bool = False) -> str:
    """With grouping and `digits` decimals; `trim` drops zeros at the end."""
    group, point, minus, simple = _symbols(locale)
    text = f"{abs(value):,.{digits}f}"
    if trim and "." in text:
        text = text.rstrip("0").rstrip(".")
    if not simple:
        return format_decimal(Decimal(text.replace(",", "")).copy_sign(Decimal(value)), locale=locale)
    if (group, point) != (",", "."):
        text = text.translate({ord(","): group, ord("."): point})
    return minus + text if value < 0 and any(c in "123456789" for c in text) else text


@functools.lru_cache(maxsize=1024)
def _money_affixes(currency: str, locale: str) -> tuple[str, str, str, str]:
    """What stands before and after a positive and a negative amount."""
    one = format_number(1, currency_digits(currency), locale)

    def around(value: int) -> tuple[str, str]:
        before, _, after = format_currency(value, currency, locale=locale).partition(one)
        return before, after

    return (*around(1), *around(-1))


def format_money(amount: Decimal, currency: str, locale: str) -> str:
    before, after, minus_before, minus_after = _money_affixes(currency, locale)
    text = format_number(abs(amount), currency_digits(currency), locale)
    return f"{minus_before}{text}{minus_after}" if amount < 0 else f"{before}{text}{after}"


@functools.lru_cache(maxsize=512)
def currency_digits(currency: str) -> int:
    """How many decimals the currency has: 2 for CNY, 0 for JPY, 3 for KWD."""
    return get_currency_precision(currency)


# ---- base of the numeric types -----------------------------------------------------------------------------------------


class NumberType(FieldType):
    """Base of the types whose value is a JSON number. `digits_of` says how many decimals a field keeps."""

    icon = "hash"
    expr_type = "number"
    operators = ("eq", "ne", "lt", "lte", "gt", "gte", "between", "in", "not_in", "is_empty")
    summable = True
    align_end = True
    expects = lazy("Enter a number")
    lowest, highest = -FLOAT_LIMIT, FLOAT_LIMIT
    default_min: float | None = None
    default_max: float | None = None

    def digits_of(self, field: FieldDef) -> int:
        return field.options.get("scale", 2)

    def bounds(self, field: FieldDef) -> tuple[float, float]:
        low = bound(field, "min", self.default_min)
        high = bound(field, "max", self.default_max)
        return (
            self.lowest if low is None else max(low, self.lowest),
            self.highest if high is None else min(high, self.highest),
        )

    def value_schema(self, field: FieldDef, config: Config) -> dict[str, Any]:
        low, high = self.bounds(field)
        return {"type": "number" if self.digits_of(field) else "integer", "minimum": low, "maximum": high}

    def normalise(self, field: FieldDef, value: Any, config: Config) -> Any:
        if isinstance(value, str):
            if not value.strip():
                return None
            value = encodable(value)
        number = to_decimal(value)
        if number is None:
            return value
        digits = self.digits_of(field)
        if isinstance(value, float):  # 0.1 + 0.2 means 0.3; a real further decimal is left for `problems`
            rounded = quantize(number, digits)
            if abs(rounded - number) <= max(abs(number), Decimal(1)) * Decimal("1e-12"):
                number = rounded
        if not INT8_MIN <= number <= INT8_MAX:
            return value
        return json_number(number)

    def problems(self, field: FieldDef, value: Any, config: Config) -> list[tuple[str, LazyString]]:
        digits = self.digits_of(field)
        number = to_decimal(value)
        if number is None:  # to the schema's validator NaN is a null
            return [("wrong_type", self.expects)]
        if decimals_of(number) > digits:
            return [("decimals", lazy("At most %(count)s decimals.", count=digits))]
        return []

    def from_form(self, field: FieldDef, raw: list[str], config: Config) -> Any:
        text = encodable(raw[-1]).strip() if raw else ""
        if not text:
            return None
        number = read_typed(text)
        return text if number is None else self.normalise(field, format(number, "f"), config)

    def to_form(self, field: FieldDef, value: Any, config: Config) -> Any:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return format(Decimal(repr(value)), "f")
        return "" if value is None else str(value)

    def to_column(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return float(value)

    def from_column(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return int(value) if value.is_integer() else value

    def to_expr(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return Decimal(repr(value))

    def from_expr(self, field: FieldDef, value: Any, config: Config) -> Any:
        number = to_decimal(value)
        return value if number is None else json_number(quantize(number, self.digits_of(field)))

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        return self.with_unit(field, format_number(value, self.digits_of(field), locale), locale)

    def readings(self, field: FieldDef, source: Source, config: Config) -> Iterator[Any]:
        """A number or amount as far as it fits without rounding, yes as 1, and texts such as "1,234.50" or "12 kg" with the
        field's own unit."""
        number = source.number(config)
        if number is not None:
            yield number
        elif isinstance(source.value, bool):
            yield int(source.value)
        else:
            yield self.from_form(field, [self.without_unit(field, source.written(config))], config)

    def to_text(self, field: FieldDef, value: Any, text: str, config: Config) -> str:
        return format(Decimal(repr(value)), "f")

    def without_unit(self, field: FieldDef, text: str) -> str:
        text = text.strip()
        units = sorted((field.options.get("unit") or {}).values(), key=len, reverse=True)
        found = next((unit for unit in units if unit and text.casefold().endswith(unit.casefold())), "")
        return text[: len(text) - len(found)]

    def with_unit(self, field: FieldDef, text: str, locale: str) -> str:
        unit = field.options.get("unit")
        return f"{text} {pick(unit, locale)}" if unit else text


class IntegerType(NumberType):
    """Base of the types whose value is a whole number."""

    storage = "int"
    expects = lazy("Enter a whole number")
    lowest, highest = INT8_MIN, INT8_MAX

    def digits_of(self, field: FieldDef) -> int:
        return 0

    def to_column(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return int(value)

    def from_column(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return value
