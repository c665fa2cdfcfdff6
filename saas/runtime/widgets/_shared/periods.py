"""The period a day lies in and the one before it."""

from __future__ import annotations

from datetime import date, timedelta

from saas.runtime.aggregates import bucket_end

PERIODS = ("day", "week", "month", "quarter", "year")


def period_start(day: date, period: str) -> date:
    if period == "day":
        return day
    if period == "week":
        return day - timedelta(days=day.weekday())
    if period == "month":
        return day.replace(day=1)
    if period == "quarter":
        return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)
    return date(day.year, 1, 1)


def period_of(day: date, period: str) -> tuple[date, date]:
    """First and last day."""
    start = period_start(day, period)
    return start, bucket_end(start, period) - timedelta(days=1)


def period_before(day: date, period: str) -> tuple[date, date]:
    return period_of(period_start(day, period) - timedelta(days=1), period)
