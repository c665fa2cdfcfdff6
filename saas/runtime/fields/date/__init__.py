"""Days, without time or zone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from saas.i18n import LazyString, lazy
from saas.i18n import noop as N_
from saas.metadata.config import Config
from saas.metadata.kinds import FieldType, Source, field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared import dates
from saas.runtime.fields._shared.schemas import options, prop
from saas.runtime.fields._shared.texts import encodable

EARLIEST = date(1, 1, 2)  # the driver writes the very first day as minus infinity
_BOUND = {"type": ["string", "null"], "maxLength": 500}


@field_types.register
class Date(FieldType):
    key = "date"
    label = lazy("Date")
    description = lazy("A day without a time, such as a birthday or a deadline.")
    group = "time"
    icon = "calendar"
    storage = "time"
    expr_type = "date"
    operators = ("eq", "relative", "lt", "lte", "gt", "gte", "between", "ne", "is_empty")
    groupable = True
    expects = lazy("Enter a date such as 2025-03-31")
    options_schema = options(
        {
            "min": prop(N_("Earliest"), N_("A date such as 2025-03-31, or an expression such as today()"), None, **_BOUND),
            "max": prop(N_("Latest"), N_("A date such as 2025-03-31, or an expression such as today()"), None, **_BOUND),
        }
    )
    EXAMPLES = ("2025-03-03", "2024-02-29", "0001-01-02", "9999-12-31")
    BAD_EXAMPLES = (
        "2025-02-29",
        "2025-13-01",
        "0000-01-01",
        "0001-01-01",
        "10000-01-01",
        "03/04/2025",
        "tomorrow",
        20250303,
        True,
        ["2025-03-03"],
    )

    def value_schema(self, field: FieldDef, config: Config) -> dict[str, Any]:
        return {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}

    def normalise(self, field: FieldDef, value: Any, config: Config) -> Any:
        if isinstance(value, datetime):
            return value.date().isoformat()
        if isinstance(value, date):
            return value.isoformat()
        return (encodable(value).strip() or None) if isinstance(value, str) else value

    def problems(self, field: FieldDef, value: Any, config: Config) -> list[tuple[str, LazyString]]:
        """Bounds given as expressions need a record and are checked by the engine."""
        day = dates.parse_date(value)
        if day is None or day < EARLIEST:
            return [("date", lazy("This day does not exist."))]
        low, high = (dates.parse_date(field.options.get(name) or "") for name in ("min", "max"))
        if low and day < low:
            return [("too_early", lazy("Not before %(date)s.", date=low.isoformat()))]
        if high and day > high:
            return [("too_late", lazy("Not after %(date)s.", date=high.isoformat()))]
        return []

    def bound_expressions(self, field: FieldDef) -> Mapping[str, str]:
        return dates.bound_expressions(field.options)

    def from_form(self, field: FieldDef, raw: list[str], config: Config) -> Any:
        text = encodable(raw[-1]).strip() if raw else ""
        day = dates.read_date(text)
        return day.isoformat() if day else text or None

    def to_column(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return dates.utc_midnight(date.fromisoformat(value))

    def from_column(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return value.date().isoformat()

    def to_expr(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return date.fromisoformat(value)

    def from_expr(self, field: FieldDef, value: Any, config: Config) -> Any:
        day = dates.as_date(value, config.time_zone)
        return day.isoformat() if day else value

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        return dates.show_date(date.fromisoformat(value), locale)

    def readings(self, field: FieldDef, source: Source, config: Config) -> Iterator[Any]:
        """A moment is its day in the tenant's zone; a text is read as if it were typed."""
        if source.expr_type(config) in ("date", "datetime"):
            yield self.from_expr(field, source.kind.to_expr(source.field, source.value, config), config)
        else:
            yield self.from_form(field, [source.written(config)], config)

    def to_text(self, field: FieldDef, value: Any, text: str, config: Config) -> str:
        return value
