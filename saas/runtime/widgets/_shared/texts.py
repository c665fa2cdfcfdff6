"""How figures read: numbers with units and currency, periods, names of measures."""

from __future__ import annotations

import dataclasses
from datetime import date
from decimal import Decimal
from typing import Any

from babel.dates import format_skeleton
from babel.numbers import format_decimal

from saas.i18n import gettext as _
from saas.i18n import pick, use_locale
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef, MeasureDef, WidgetDef
from saas.runtime.context import Context

NOTHING = "–"
SUMMABLE = ("count", "sum")


class MeasureText:
    """Formats the values of one measure of a widget and turns them into plain numbers for drawing."""

    def __init__(self, ctx: Context, widget: WidgetDef, measure: MeasureDef) -> None:
        self.ctx, self.measure = ctx, measure
        field = ctx.config.entity(widget.entity).fields.get(measure.field or "")
        self.counts = field is None or measure.fn in ("count", "count_distinct")
        self.label = pick(measure.label, ctx.locale) or _default_label(ctx, measure, field)
        self.kind = self.field = None
        if not self.counts:
            self.kind, self.field = field_types.get(field.type).result_of(field, ctx.config)
            if measure.fn == "avg" and self.kind.key in ("int", "rating", "score", "percent"):
                # An average of whole numbers has decimals.
                options = {**self.field.options, "scale": max(self.field.options.get("scale", 0), 1)}
                self.kind = self.kind if self.kind.key == "percent" else field_types.get("number")
                self.field = dataclasses.replace(self.field, options=options)

    @property
    def is_money(self) -> bool:
        return self.kind is not None and self.kind.key == "money"

    @property
    def is_number(self) -> bool:
        return self.counts or self.kind.expr_type_of(self.field, self.ctx.config) == "number"

    @property
    def currency(self) -> str | None:
        return (self.field.options.get("currency") or self.ctx.config.currency) if self.is_money else None

    @property
    def adds_up(self) -> bool:
        return self.measure.fn in SUMMABLE and self.is_number

    @property
    def zero(self) -> Any:
        """The value where there are no records: nothing counts as 0, but has no average."""
        if not self.adds_up:
            return None
        return self.of_number(Decimal(0)) if self.is_money else 0

    def number(self, value: Any) -> float | int | None:
        """For drawing and comparing; None for what is no number."""
        if isinstance(value, dict):
            value = float(value["amount"])
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return int(value) if float(value).is_integer() else round(float(value), 4)

    def exact(self, value: Any) -> Decimal | None:
        if isinstance(value, dict):
            return Decimal(value["amount"])
        return Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def of_number(self, amount: Decimal) -> Any:
        """The reverse of `exact`."""
        if self.is_money:
            return self.kind.from_expr(self.field, amount, self.ctx.config)
        return int(amount) if amount == amount.to_integral_value() else float(amount)

    def add(self, values: Any) -> Any:
        found = [self.exact(v) for v in values]
        return self.of_number(sum((v for v in found if v is not None), Decimal(0)))

    def text(self, value: Any) -> str:
        if value is None:
            return NOTHING
        if self.counts:
            return format_decimal(value, locale=self.ctx.locale)
        if not self.is_number and not isinstance(value, str):
            return str(value)
        return self.kind.display(self.field, value, self.ctx.config, self.ctx.locale)


def _default_label(ctx: Context, measure: MeasureDef, field: FieldDef | None) -> str:
    name = pick(field.label, ctx.locale) if field else ""
    with use_locale(ctx.locale):
        if measure.fn == "count" or field is None:
            return _("Count")
        if measure.fn == "count_distinct":
            return _("Different values of %(field)s", field=name)
        if measure.fn == "avg":
            return _("Average of %(field)s", field=name)
        if measure.fn == "min":
            return _("Lowest %(field)s", field=name)
        if measure.fn == "max":
            return _("Highest %(field)s", field=name)
        return name


def bucket_text(key: str, bucket: str, locale: str) -> str:
    """The name of a period: "Mar 2025", "Q1 2025"; weeks and days by their first day."""
    day = date.fromisoformat(key)
    if bucket == "year":
        return format_skeleton("y", day, locale=locale)
    if bucket == "quarter":
        return format_skeleton("yQQQ", day, locale=locale)
    if bucket == "month":
        return format_skeleton("yMMM", day, locale=locale)
    return format_skeleton("yMMMd", day, locale=locale)


def signed(text: str, amount: float) -> str:
    return f"+{text}" if amount > 0 else text
