"""Moments: stored and sent in UTC, shown and typed in the tenant's zone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from saas.i18n import LazyString, lazy
from saas.i18n import noop as N_
from saas.metadata.config import Config
from saas.metadata.kinds import FieldType, Source, field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared import dates
from saas.runtime.fields._shared.schemas import options, prop
from saas.runtime.fields._shared.texts import encodable, narrow

# A day from the ends of the calendar, so that every moment has a local time in every zone.
EARLIEST, LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, 23, 59, 59, 999999, tzinfo=UTC)
_BOUND = {"type": ["string", "null"], "maxLength": 500}


@field_types.register
class DateTime(FieldType):
    key = "datetime"
    label = lazy("Date and time")
    description = lazy("A day with a time, such as a meeting; everybody sees it in the time zone of the company.")
    group = "time"
    icon = "clock"
    storage = "time"
    expr_type = "datetime"
    operators = ("relative", "lt", "lte", "gt", "gte", "between", "eq", "ne", "is_empty")
    groupable = True
    expects = lazy("Enter a date and time such as 2025-03-31 08:30")
    options_schema = options(
        {
            "min": prop(
                N_("Earliest"), N_("A moment such as 2025-03-31T08:30:00Z, or an expression such as now()"), None, **_BOUND
            ),
            "max": prop(
                N_("Latest"), N_("A moment such as 2025-03-31T08:30:00Z, or an expression such as now()"), None, **_BOUND
            ),
        }
    )
    EXAMPLES = ("2025-03-03T08:00:00Z", "2025-03-03T08:00:01.250000Z", "0001-01-02T00:00:00Z", "9999-12-30T23:59:59Z")
    BAD_EXAMPLES = (
        "2025-02-29T00:00:00Z", "2025-03-03T25:00:00Z", "2025-03-03", "2025-03-03T08:00", "0001-01-01T00:00:00+08:00",
        "0000-01-01T00:00:00Z", "now", 1741000000, True,
    )  # fmt: skip

    def value_schema(self, field: FieldDef, config: Config) -> dict[str, Any]:
        return {
            "type": "string",
            "format": "date-time",
            "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$",
        }

    def normalise(self, field: FieldDef, value: Any, config: Config) -> Any:
        """Any offset is accepted and told in UTC. Without one a moment is ambiguous and left for validation to refuse."""
        if isinstance(value, datetime) and value.tzinfo:
            return dates.iso_utc(value)
        if not isinstance(value, str):
            return value
        text = encodable(value).strip()
        moment = dates.parse_datetime(text)
        return dates.iso_utc(moment) if moment else text or None

    def problems(self, field: FieldDef, value: Any, config: Config) -> list[tuple[str, LazyString]]:
        """Bounds given as expressions need a record and are checked by the engine."""
        moment = dates.parse_datetime(value)
        if moment is None or not EARLIEST <= moment <= LATEST:
            return [("datetime", lazy("This moment does not exist."))]
        low, high = (dates.parse_datetime(field.options.get(name) or "", UTC) for name in ("min", "max"))
        if low and moment < low:
            return [("too_early", lazy("Not before %(date)s.", date=field.options["min"]))]
        if high and moment > high:
            return [("too_late", lazy("Not after %(date)s.", date=field.options["max"]))]
        return []

    def bound_expressions(self, field: FieldDef) -> Mapping[str, str]:
        return dates.bound_expressions(field.options)

    def from_form(self, field: FieldDef, raw: list[str], config: Config) -> Any:
        """Local time of the tenant, as the control gives it or typed: "2025/3/3 下午3:30"."""
        text = encodable(raw[-1]).strip() if raw else ""
        zone = ZoneInfo(config.time_zone)
        moment = dates.parse_datetime(text, zone) or self._typed(text, zone)
        return dates.iso_utc(moment) if moment else text or None

    @staticmethod
    def _typed(text: str, zone: ZoneInfo) -> datetime | None:
        day_text, _, clock_text = narrow(text).strip().partition(" ")
        day, clock = dates.read_date(day_text), dates.read_time(clock_text)
        if day is None or clock is None:
            return None
        try:
            return datetime.combine(day, clock, zone).astimezone(UTC)
        except OverflowError:
            return None

    def to_form(self, field: FieldDef, value: Any, config: Config) -> Any:
        moment = dates.parse_datetime(value) if isinstance(value, str) else None
        if moment is None:
            return value
        local = dates.in_zone(moment, config.time_zone).replace(tzinfo=None, microsecond=0)
        return local.isoformat(timespec="seconds" if local.second else "minutes")

    def to_column(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return datetime.fromisoformat(value)

    def from_column(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return dates.iso_utc(value)

    def to_expr(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return datetime.fromisoformat(value)

    def from_expr(self, field: FieldDef, value: Any, config: Config) -> Any:
        if not isinstance(value, (str, date)):
            return value
        moment = dates.as_datetime(value, config.time_zone)
        try:
            return dates.iso_utc(moment) if moment else value
        except OverflowError:
            return str(value)

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        return dates.show_datetime(datetime.fromisoformat(value), config.time_zone, locale)

    def readings(self, field: FieldDef, source: Source, config: Config) -> Iterator[Any]:
        """A day is its midnight in the tenant's zone; a text is read as if it were typed."""
        if source.expr_type(config) in ("date", "datetime"):
            yield self.from_expr(field, source.kind.to_expr(source.field, source.value, config), config)
            return
        text = source.written(config)
        yield self.from_form(field, [text], config)
        yield self.from_expr(field, dates.read_date(text), config)

    def to_text(self, field: FieldDef, value: Any, text: str, config: Config) -> str:
        """Local time in ISO form."""
        return str(self.to_form(field, value, config)).replace("T", " ")
