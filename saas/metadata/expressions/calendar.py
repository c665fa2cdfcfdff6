"""Calendar arithmetic shared by both backends: local days, months, named periods. Results outside years 2 to 9998 are null."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from saas.i18n import LazyString, lazy

Moment = date | datetime

MAX_DAYS, MAX_MONTHS = 1_000_000, 40_000

# Named periods a date may fall in (docs/packs.md, section 10). Weeks begin on Monday.
PERIODS: dict[str, LazyString] = {
    "today": lazy("today"),
    "yesterday": lazy("yesterday"),
    "tomorrow": lazy("tomorrow"),
    "this_week": lazy("this week"),
    "last_week": lazy("last week"),
    "next_week": lazy("next week"),
    "this_month": lazy("this month"),
    "last_month": lazy("last month"),
    "next_month": lazy("next month"),
    "this_quarter": lazy("this quarter"),
    "last_quarter": lazy("last quarter"),
    "next_quarter": lazy("next quarter"),
    "this_year": lazy("this year"),
    "last_year": lazy("last year"),
    "next_year": lazy("next year"),
    "past": lazy("in the past"),
    "future": lazy("in the future"),
    "last_n_days": lazy("in the last … days"),
    "next_n_days": lazy("in the next … days"),
}
_TOKEN = re.compile(r"(last|next)_n_days:([0-9]{1,4})|[a-z_]+")


def local_date(value: Moment, zone: ZoneInfo) -> date:
    """The day of a moment in the tenant's zone; a date is its own day."""
    return value.astimezone(zone).date() if isinstance(value, datetime) else value


def to_utc(wall: datetime, zone: ZoneInfo) -> datetime:
    """A wall clock time as an instant, choosing as PostgreSQL does: of an hour that happens twice the second, of one that is
    skipped the offset before the change. Both are the smaller of the two offsets."""
    offsets = (wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return (wall - min(o for o in offsets if o is not None)).replace(tzinfo=UTC)


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def _shift(value: Moment, zone: ZoneInfo, move: object) -> Moment | None:
    try:
        if isinstance(value, datetime):
            moved = to_utc(move(value.astimezone(zone).replace(tzinfo=None)), zone)  # type: ignore[operator]
        else:
            moved = move(value)  # type: ignore[operator]
    except (OverflowError, ValueError):
        return None
    return moved if 2 <= moved.year <= 9998 else None


def add_days(value: Moment, count: Decimal, zone: ZoneInfo) -> Moment | None:
    days = int(count)
    if abs(days) > MAX_DAYS:
        return None
    return _shift(value, zone, lambda d: d + timedelta(days=days))


def add_months(value: Moment, count: Decimal, zone: ZoneInfo) -> Moment | None:
    """The same day of another month, or its last day if it is shorter."""
    months = int(count)
    if abs(months) > MAX_MONTHS:
        return None
    return _shift(value, zone, lambda d: _plus_months(d, months))


def _plus_months(value: Moment, months: int) -> Moment:
    index = value.year * 12 + value.month - 1 + months
    year, month = divmod(index, 12)
    return value.replace(year=year, month=month + 1, day=min(value.day, days_in_month(year, month + 1)))


def days_in_month(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def parse_date(text: str) -> date | None:
    """YYYY-MM-DD only (fromisoformat alone would also take week dates and the compact form). Not year 1: asyncpg writes its
    first moment as -infinity."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) or text < "0002":
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def parse_datetime(text: str) -> datetime | None:
    """ISO 8601 with an offset or Z; the time of day down to the minute at least."""
    if not re.fullmatch(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})", text
    ):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def is_period(token: str) -> bool:
    found = _TOKEN.fullmatch(token)
    return found is not None and (bool(found[1]) or (token in PERIODS and not token.endswith("_n_days")))


@lru_cache(maxsize=512)
def period(token: str, today: date) -> tuple[date | None, date | None]:
    """The days [from, until) of a named period; None = open. `last_n_days:7` is today and the seven days before it.

    "past" and "future" of a date leave out today; of a datetime the caller compares with the present instant instead.
    """
    found = _TOKEN.fullmatch(token)
    if found and found[1]:
        days = timedelta(days=int(found[2]))
        one = timedelta(days=1)
        return (today - days, today + one) if found[1] == "last" else (today, today + days + one)
    if token == "past":
        return None, today
    if token == "future":
        return today + timedelta(days=1), None
    if token in ("today", "yesterday", "tomorrow"):
        first = today + timedelta(days={"today": 0, "yesterday": -1, "tomorrow": 1}[token])
        return first, first + timedelta(days=1)
    which, unit = token.split("_")
    step = {"last": -1, "this": 0, "next": 1}[which]
    if unit == "week":
        first = today - timedelta(days=today.weekday()) + timedelta(weeks=step)
        return first, first + timedelta(weeks=1)
    months = {"month": 1, "quarter": 3, "year": 12}[unit]
    first = today.replace(month=(today.month - 1) // months * months + 1, day=1)
    begin = _plus_months(first, step * months)
    return begin, _plus_months(begin, months)


def in_period(value: Moment, token: str, today: date, now: datetime, zone: ZoneInfo) -> bool:
    if isinstance(value, datetime):
        if token == "past":
            return value < now
        if token == "future":
            return value > now
    first, until = period(token, today)
    day = local_date(value, zone)
    return (first is None or day >= first) and (until is None or day < until)
