"""Dates and times: reading what people type, conversion between zones, and quick formatting for lists."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time, get_datetime_format

from saas.runtime.fields._shared.texts import narrow

_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_TYPED_DATE = re.compile(r"(\d{4})\s*(?:[-/.]|年)\s*(\d{1,2})\s*(?:[-/.]|月)\s*(\d{1,2})\s*日?\Z", re.ASCII)
_COMPACT_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})\Z", re.ASCII)
_ISO_DATETIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?\s?(Z|[+-]\d{2}:?\d{2})?\Z", re.ASCII | re.IGNORECASE
)
_TYPED_TIME = re.compile(
    r"(?P<before>上午|下午|晚上|中午|凌晨|早上)?\s*(?P<hour>\d{1,2})\s*(?::|点|时)\s*(?P<minute>\d{2})?分?"
    r"(?::(?P<second>\d{2})(?:\.\d+)?)?\s*(?P<after>[ap]\.?m\.?)?\Z",
    re.ASCII | re.IGNORECASE,
)
_AFTERNOON = {"下午", "晚上", "中午"}


def parse_date(text: str) -> date | None:
    """An ISO date."""
    if not _ISO_DATE.match(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def read_date(text: str) -> date | None:
    """A date a person typed, year first: 2025-03-03, 2025/3/3, 2025年3月3日, 20250303. Other orders are ambiguous."""
    text = narrow(text).strip()
    found = _TYPED_DATE.match(text) or _COMPACT_DATE.match(text)
    if not found:
        return None
    try:
        return date(*(int(part) for part in found.groups()))
    except ValueError:
        return None


def parse_datetime(text: str, zone: ZoneInfo | None = None) -> datetime | None:
    """An ISO datetime in UTC; one without an offset is in `zone`, or refused without one."""
    if not _ISO_DATETIME.match(text):
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" ", "T", 1).replace(" ", "").upper())
        if moment.tzinfo is None:
            if zone is None:
                return None
            moment = moment.replace(tzinfo=zone)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def read_time(text: str) -> time | None:
    """A time a person typed: 08:30, 8:30, 8:30 pm, 下午3:30, 8点30."""
    found = _TYPED_TIME.match(narrow(text).strip())
    if not found:
        return None
    hour, minute, second = int(found["hour"]), int(found["minute"] or 0), int(found["second"] or 0)
    after = (found["after"] or "").replace(".", "").lower()
    if after and not 1 <= hour <= 12:
        return None
    if (after == "pm" or found["before"] in _AFTERNOON) and hour < 12 and not (found["before"] == "中午" and hour > 10):
        hour += 12
    elif (after == "am" or found["before"] in ("凌晨", "上午")) and hour == 12:
        hour = 0
    try:
        return time(hour, minute, second)
    except ValueError:
        return None


def iso_utc(moment: datetime) -> str:
    """The canonical JSON of an aware datetime."""
    return (moment if moment.tzinfo is UTC else moment.astimezone(UTC)).isoformat()[: -len("+00:00")] + "Z"


def in_zone(moment: datetime, zone: str) -> datetime:
    """Local time; the first and last day of the calendar stay in UTC where the zone would leave it."""
    try:
        return moment.astimezone(ZoneInfo(zone))
    except OverflowError:
        return moment


def as_datetime(value: Any, zone: str) -> datetime | None:
    """A result of an expression as a moment: a date is its midnight in the tenant's zone."""
    if isinstance(value, str):
        day = parse_date(value)
        value = day if day is not None else parse_datetime(value)
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=ZoneInfo(zone))
    if isinstance(value, date):
        return datetime.combine(value, time(), ZoneInfo(zone))
    return None


def as_date(value: Any, zone: str) -> date | None:
    """A result of an expression as a day: a moment is its day in the tenant's zone."""
    if isinstance(value, str):
        value = parse_date(value) or parse_datetime(value)
    if isinstance(value, datetime):
        return in_zone(value, zone).date() if value.tzinfo else value.date()
    return value if isinstance(value, date) else None


def bound_expressions(options: Mapping[str, Any]) -> dict[str, str]:
    """Bounds that are expressions; a literal begins with its year, as saas.metadata takes it too."""
    given = {name: options.get(name) for name in ("min", "max")}
    return {name: text for name, text in given.items() if isinstance(text, str) and text and not text[0].isdigit()}


def utc_midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


# Days and minutes repeat down a list, Babel takes tens of microseconds for each.


@functools.lru_cache(maxsize=8192)
def show_date(day: date, locale: str) -> str:
    return format_date(day, "medium", locale=locale)


@functools.lru_cache(maxsize=4096)
def show_time(moment: time, locale: str) -> str:
    return format_time(moment, "medium" if moment.second else "short", locale=locale).replace("\u202f", " ")


@functools.lru_cache(maxsize=64)
def _joined(locale: str) -> str:
    return str(get_datetime_format("medium", locale=locale)).replace("'", "")


def show_datetime(moment: datetime, zone: str, locale: str) -> str:
    local = in_zone(moment, zone)
    clock = show_time(time(local.hour, local.minute), locale)
    return _joined(locale).replace("{1}", show_date(local.date(), locale)).replace("{0}", clock)
