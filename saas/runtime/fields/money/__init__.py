"""Amounts of money in the field's currency, kept exactly in minor units."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from saas.i18n import LazyString, lazy
from saas.i18n import noop as N_
from saas.metadata.config import Config
from saas.metadata.kinds import FieldType, Source, field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.numbers import (
    INT8_MAX,
    bound,
    currency_digits,
    decimals_of,
    format_money,
    quantize,
    read_typed,
    to_decimal,
)
from saas.runtime.fields._shared.schemas import options, prop
from saas.runtime.fields._shared.texts import encodable, narrow

_SIGNS = re.compile(r"[¥￥$€£₩₹元圆]|CN¥|US\$|RMB", re.IGNORECASE)
_BOUND = {"type": ["number", "null"], "minimum": -(10**15), "maximum": 10**15}


@field_types.register
class Money(FieldType):
    key = "money"
    label = lazy("Money")
    description = lazy("An amount in one currency, kept to the cent.")
    group = "number"
    icon = "coins"
    storage = "int"
    expr_type = "number"
    operators = ("eq", "ne", "lt", "lte", "gt", "gte", "between", "is_empty")
    summable = True
    additive = True
    align_end = True
    expects = lazy("Enter an amount such as 12.50")
    options_schema = options(
        {
            "currency": prop(
                N_("Currency"), N_("Three letters such as CNY (default: the company's)"), None,
                type=["string", "null"], pattern="^[A-Z]{3}$",
            ),
            "min": prop(N_("Lowest"), N_("Smallest amount allowed"), None, **_BOUND),
            "max": prop(N_("Highest"), N_("Largest amount allowed"), None, **_BOUND),
        }
    )  # fmt: skip
    EXAMPLE_OPTIONS = {"currency": "CNY"}
    EXAMPLES = (
        {"amount": "12.50", "currency": "CNY"}, {"amount": "0.00", "currency": "CNY"}, {"amount": "-1234567.89", "currency": "CNY"},
        {"amount": "92233720368547758.07", "currency": "CNY"},
    )  # fmt: skip
    BAD_EXAMPLES = (
        "abc", "12.345", 12.345, True, float("nan"), float("inf"), 10**400, {"amount": "1.00", "currency": "USD"}, {"currency": "CNY"},
        {"amount": "1.00", "currency": "CNY", "extra": 1}, {"amount": "1e5", "currency": "CNY"}, ["1.00"], "92233720368547758.08",
        {"amount": "1\x00", "currency": "CNY"}, {"amount": "NaN", "currency": "CNY"},
    )  # fmt: skip

    def currency_of(self, field: FieldDef, config: Config) -> str:
        return field.options.get("currency") or config.currency

    def value_schema(self, field: FieldDef, config: Config) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {
                "amount": {"type": "string", "pattern": r"^-?[0-9]{1,19}(\.[0-9]{1,10})?$"},
                "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
            },
            "required": ["amount", "currency"],
            "additionalProperties": False,
        }

    def normalise(self, field: FieldDef, value: Any, config: Config) -> Any:
        currency = self.currency_of(field, config)
        if not isinstance(value, dict):
            if isinstance(value, str):
                value = encodable(value)
                if not value.strip():
                    return None
            number = to_decimal(value)
            return value if number is None else self._json(number, currency, exact=not isinstance(value, float))
        amount = value.get("amount")
        if not (set(value) <= {"amount", "currency"}):
            return value
        given = value.get("currency") or currency
        if amount in (None, ""):
            return None if set(value) == {"amount", "currency"} or amount == "" else value
        number = to_decimal(amount)
        if number is None or not isinstance(given, str):
            return {"amount": encodable(amount) if isinstance(amount, str) else amount, "currency": given}
        return self._json(number, encodable(given).upper(), exact=not isinstance(amount, float))

    def _json(self, number: Decimal, currency: str, *, exact: bool = True) -> dict[str, str]:
        """Canonical form. More decimals than the currency has are left for `problems` to refuse; a float's noise is not meant."""
        rounded = quantize(number, currency_digits(currency))
        if decimals_of(number) > currency_digits(currency) and (exact or abs(rounded - number) > Decimal("1e-9")):
            rounded = number
        return {"amount": format(rounded + 0 if rounded else abs(rounded), "f"), "currency": currency}

    def problems(self, field: FieldDef, value: Any, config: Config) -> list[tuple[str, LazyString]]:
        currency = self.currency_of(field, config)
        if value["currency"] != currency:
            return [("currency", lazy("The currency of this field is %(currency)s.", currency=currency))]
        amount, digits = Decimal(value["amount"]), currency_digits(currency)
        if decimals_of(amount) > digits:
            return [("decimals", lazy("At most %(count)s decimals.", count=digits))]
        if abs(amount.scaleb(digits)) > INT8_MAX:
            return [("too_large", lazy("This amount is too large."))]
        low, high = bound(field, "min", None), bound(field, "max", None)
        if low is not None and amount < to_decimal(low):
            return [("minimum", lazy("At least %(value)s.", value=str(low)))]
        if high is not None and amount > to_decimal(high):
            return [("maximum", lazy("At most %(value)s.", value=str(high)))]
        return []

    def from_form(self, field: FieldDef, raw: list[str], config: Config) -> Any:
        text = encodable(raw[-1]).strip() if raw else ""
        if not text:
            return None
        currency = self.currency_of(field, config)
        bare = _SIGNS.sub("", narrow(text).upper().removeprefix(currency).removesuffix(currency)).strip()
        number = read_typed(bare)
        return text if number is None else self._json(number, currency)

    def to_form(self, field: FieldDef, value: Any, config: Config) -> Any:
        """The amount as it stands in the control, with the currency and the step it counts in."""
        currency = self.currency_of(field, config)
        amount = value.get("amount") if isinstance(value, dict) else value
        digits = currency_digits(currency)
        return {
            "amount": "" if amount is None else str(amount),
            "currency": currency,
            "step": format(Decimal(1).scaleb(-digits), "f"),
        }

    def to_column(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return int(Decimal(value["amount"]).scaleb(currency_digits(value["currency"])))

    def from_column(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        currency = field.options.get("currency") or (config.currency if config else None)
        if currency is None:
            raise TypeError("money in the tenant's currency is read with from_column(field, value, config)")
        return {"amount": minor_text(value, currency_digits(currency)), "currency": currency}

    def to_expr(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return Decimal(value["amount"])

    def from_expr(self, field: FieldDef, value: Any, config: Config) -> Any:
        number = to_decimal(value)
        if number is None:
            return self.normalise(field, value, config)
        currency = self.currency_of(field, config)
        return self._json(quantize(number, currency_digits(currency)), currency)

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        return format_money(Decimal(value["amount"]), value["currency"], locale)

    def readings(self, field: FieldDef, source: Source, config: Config) -> Iterator[Any]:
        """Numbers and typed amounts are in this field's currency; money of another currency is not, and is lost."""
        number = source.number(config)
        if isinstance(source.kind, Money):
            yield source.value
        elif number is not None:
            yield number
        else:
            yield self.from_form(field, [source.written(config)], config)

    def to_text(self, field: FieldDef, value: Any, text: str, config: Config) -> str:
        return f"{value['amount']} {value['currency']}"


def minor_text(minor: int, digits: int) -> str:
    """1250 with two digits is "12.50"."""
    if not digits:
        return str(minor)
    text = str(abs(minor)).rjust(digits + 1, "0")
    return f"{'-' if minor < 0 else ''}{text[:-digits]}.{text[-digits:]}"
