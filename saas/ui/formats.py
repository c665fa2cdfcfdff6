"""Dates, times and counts for people, in their language and the tenant's time zone."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from babel.dates import format_date, format_datetime, format_time
from babel.numbers import format_currency, format_decimal

from saas.i18n import gettext as _
from saas.i18n import ngettext
from saas.runtime import Context


def full(ctx: Context, at: datetime) -> str:
    return format_datetime(at.astimezone(ctx.zone), "yyyy-MM-dd HH:mm", locale=ctx.locale)


def weekday(ctx: Context, at: datetime) -> str:
    """With the day of the week, for times to come."""
    return format_datetime(at.astimezone(ctx.zone), "yyyy-MM-dd EEE HH:mm", locale=ctx.locale)


def clock(ctx: Context, at: datetime) -> str:
    return format_time(at.astimezone(ctx.zone), "HH:mm", locale=ctx.locale)


def day(ctx: Context, on: date) -> str:
    """Today, Yesterday, or the date, with the year where it is not this one."""
    gap = (ctx.today - on).days
    if gap == 0:
        return _("Today")
    if gap == 1:
        return _("Yesterday")
    if on.year == ctx.today.year:
        return format_date(on, "M月d日" if ctx.locale == "zh_CN" else "d MMM", locale=ctx.locale)
    return format_date(on, "yyyy-MM-dd", locale=ctx.locale)


def moment(ctx: Context, at: datetime) -> str:
    """Short: the time today, the day before that."""
    on = at.astimezone(ctx.zone).date()
    return clock(ctx, at) if on == ctx.today else day(ctx, on)


def age(ctx: Context, since: datetime) -> tuple[int, str]:
    """Full days since then, and in words."""
    days = max(0, (ctx.now - since).days)
    return days, _("less than a day in this stage") if days == 0 else ngettext("%(count)s day in this stage", "%(count)s days in this stage", days)


def number(ctx: Context, value: int) -> str:
    return f"{value:,}"


def amount(ctx: Context, value: object, *, money: bool = False) -> str:
    """A number as another system writes it; `money`: in the tenant's currency. Errors: ArithmeticError, ValueError for what is none."""
    found = Decimal(str(value))
    return format_currency(found, ctx.tenant.currency, locale=ctx.locale) if money else format_decimal(found, locale=ctx.locale)
