"""Exact decimal arithmetic with the same results as PostgreSQL's numeric."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal

# Enough digits that + - * are exact for every value that can be stored; no traps: nothing a tenant writes may raise.
CONTEXT = Context(prec=100, rounding=ROUND_HALF_UP, traps=[])
ADD, SUBTRACT, MULTIPLY = CONTEXT.add, CONTEXT.subtract, CONTEXT.multiply
DIVISION_SCALE = 12  # digits behind the point a quotient is rounded to
MAX_ROUND = 12
_QUOTIENT = Decimal(1).scaleb(-DIVISION_SCALE)
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?")


def divide(a: Decimal, b: Decimal) -> Decimal | None:
    """a / b rounded to 12 digits behind the point; null where b is zero."""
    if not b:
        return None
    quotient = CONTEXT.divide(a, b)
    rounded = CONTEXT.quantize(quotient, _QUOTIENT)
    return tidy(rounded if rounded.is_finite() else quotient)


def tidy(value: Decimal) -> Decimal:
    """Without trailing zeros and never in exponent form; -0 is 0."""
    if not value:
        return Decimal(0)
    value = value.normalize(CONTEXT)
    return value.quantize(1, context=CONTEXT) if value.as_tuple().exponent > 0 else value  # type: ignore[operator]


def round_half_up(value: Decimal | None, digits: Decimal | None = None) -> Decimal | None:
    if value is None:
        return None
    places = 0 if digits is None else max(-MAX_ROUND, min(MAX_ROUND, int(digits)))
    rounded = CONTEXT.quantize(value, Decimal(1).scaleb(-places))
    if not rounded.is_finite():  # more digits than the context holds: nothing to round
        return value
    return tidy(rounded)


def to_text(value: Decimal) -> str:
    return format(tidy(value), "f")


def parse(text: str) -> Decimal | None:
    text = text.strip(" ")
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def average(values: Iterable[Decimal]) -> Decimal | None:
    found = list(values)
    total = Decimal(0)
    for value in found:
        total = ADD(total, value)
    return divide(total, Decimal(len(found))) if found else None
