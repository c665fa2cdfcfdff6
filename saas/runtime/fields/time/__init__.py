"""Times of day, without zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time
from typing import Any

from saas.i18n import LazyString, lazy
from saas.i18n import noop as N_
from saas.metadata.config import Config
from saas.metadata.kinds import FieldType, Source, field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared import dates
from saas.runtime.fields._shared.schemas import options, prop
from saas.runtime.fields._shared.texts import encodable

_PATTERN = "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"
_BOUND = {"type": ["string", "null"], "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}


@field_types.register
class Time(FieldType):
    key = "time"
    label = lazy("Time of day")
    description = lazy("A time of day without a date, such as opening hours.")
    group = "time"
    icon = "clock"
    storage = "text"
    expr_type = "text"
    operators = ("eq", "ne", "lt", "lte", "gt", "gte", "between", "is_empty")
    groupable = True
    expects = lazy("Enter a time such as 08:30")
    options_schema = options(
        {
            "min": prop(N_("Earliest"), N_("A time such as 08:30"), None, **_BOUND),
            "max": prop(N_("Latest"), N_("A time such as 18:00"), None, **_BOUND),
        }
    )
    EXAMPLES = ("08:30", "00:00", "23:59", "12:00:30")
    BAD_EXAMPLES = ("24:00", "8h", "25:10", "12:60", 830, True, ["08:30"], "08:30\x00")

    def value_schema(self, field: FieldDef, config: Config) -> dict[str, Any]:
        return {"type": "string", "pattern": _PATTERN}

    def normalise(self, field: FieldDef, value: Any, config: Config) -> Any:
        """Seconds are kept only where there are any, so that equal times are equal texts."""
        if not isinstance(value, str):
            return value
        text = encodable(value).strip()
        clock = dates.read_time(text)
        return clock.isoformat(timespec="seconds" if clock.second else "minutes") if clock else text or None

    def problems(self, field: FieldDef, value: Any, config: Config) -> list[tuple[str, LazyString]]:
        low, high = (dates.read_time(field.options.get(name) or "") for name in ("min", "max"))
        clock = time.fromisoformat(value)
        if low and clock < low:
            return [("too_early", lazy("Not before %(date)s.", date=low.isoformat("minutes")))]
        if high and clock > high:
            return [("too_late", lazy("Not after %(date)s.", date=high.isoformat("minutes")))]
        return []

    def from_form(self, field: FieldDef, raw: list[str], config: Config) -> Any:
        return self.normalise(field, raw[-1], config) if raw else None

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        return dates.show_time(time.fromisoformat(value), locale)

    def readings(self, field: FieldDef, source: Source, config: Config) -> Iterator[Any]:
        """Of a moment its time of day in the tenant's zone; a text is read as if it were typed."""
        moment = source.kind.to_expr(source.field, source.value, config)
        if isinstance(moment, datetime):
            yield dates.in_zone(moment, config.time_zone).time().isoformat()
        else:
            yield source.written(config)

    def to_text(self, field: FieldDef, value: Any, text: str, config: Config) -> str:
        return value
