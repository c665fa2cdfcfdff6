"""Times that repeat, as people say them: every day at eight, on the first of each month. Stored as a cron expression."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from babel.dates import get_day_names
from litestar.datastructures import FormMultiDict

from saas.i18n import get_locale, listed
from saas.i18n import gettext as _
from saas.runtime.schedules import next_ticks
from saas.ui import formats
from saas.ui.builder.controls import Control, ControlKind, control_kinds
from saas.ui.builder.desk import Desk
from saas.ui.views import Choice

LAST = "L"
DEFAULT = "0 8 * * *"
WEEK = ("1", "2", "3", "4", "5", "6", "0")  # as people read a calendar
SHOWN = 3
_AT = r"(\d{1,2}) (\d{1,2})"


class Written(str):
    """A cron expression that somebody writes: it is shown as such even if it has a name."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """`kind`: hourly daily workdays weekly monthly custom."""

    kind: str
    minute: int = 0
    hour: int = 8
    days: tuple[str, ...] = ()
    day: str = "1"
    text: str = ""

    @property
    def time(self) -> str:
        return f"{self.hour:02d}:{self.minute:02d}"


def rhythm_of(cron: str) -> Rhythm:
    """The rhythm a cron expression says; "custom" for what has no other name."""
    text = " ".join(cron.split())
    custom = Rhythm("custom", text=text)
    if match := re.fullmatch(r"(\d{1,2}) \* \* \* \*", text):
        return Rhythm("hourly", int(match[1]), text=text) if int(match[1]) < 60 else custom
    match = re.fullmatch(rf"{_AT} (\*|[12]?\d|L) \* (\*|[0-7](?:,[0-7])*|1-5)", text)
    if match is None or int(match[1]) > 59 or int(match[2]) > 23 or (match[3] != "*" and match[4] != "*"):
        return custom
    minute, hour = int(match[1]), int(match[2])
    if match[3] != "*":
        return Rhythm("monthly", minute, hour, day=match[3], text=text) if match[3] != "0" else custom
    if match[4] == "*":
        return Rhythm("daily", minute, hour, text=text)
    if match[4] == "1-5":
        return Rhythm("workdays", minute, hour, text=text)
    days = tuple("0" if d == "7" else d for d in match[4].split(","))
    return Rhythm("weekly", minute, hour, days=days, text=text)


def cron_of(rhythm: Rhythm) -> str:
    at = f"{rhythm.minute} {rhythm.hour}"
    match rhythm.kind:
        case "hourly":
            return f"{rhythm.minute} * * * *"
        case "daily":
            return f"{at} * * *"
        case "workdays":
            return f"{at} * * 1-5"
        case "weekly":
            return f"{at} * * {','.join(d for d in WEEK if d in rhythm.days) or '1'}"
        case "monthly":
            return f"{at} {rhythm.day} * *"
    return rhythm.text


def rhythm_words(cron: str) -> str:
    """A cron expression for people; those without a name as they are written."""
    rhythm = rhythm_of(cron)
    match rhythm.kind:
        case "hourly":
            return _("Every hour, %(minute)s minutes past", minute=rhythm.minute)
        case "daily":
            return _("Every day at %(time)s", time=rhythm.time)
        case "workdays":
            return _("Monday to Friday at %(time)s", time=rhythm.time)
        case "weekly":
            return _("%(days)s at %(time)s", days=listed(day_name(d) for d in WEEK if d in rhythm.days), time=rhythm.time)
        case "monthly" if rhythm.day == LAST:
            return _("The last day of each month at %(time)s", time=rhythm.time)
        case "monthly":
            return _("Day %(day)s of each month at %(time)s", day=rhythm.day, time=rhythm.time)
    several = re.fullmatch(r"([0-5]?\d) ((?:1?\d|2[0-3])(?:,(?:1?\d|2[0-3]))+) \* \* \*", rhythm.text)
    if several:  # several times a day have no form of their own, but words
        return _("Every day at %(time)s", time=listed(f"{int(hour):02d}:{int(several[1]):02d}" for hour in several[2].split(",")))
    return rhythm.text


def day_name(day: str) -> str:
    """Of cron's number of a weekday; Babel begins with Monday as 0."""
    return get_day_names("wide", locale=get_locale())[(int(day) - 1) % 7]


@control_kinds.register
class TimesControl(ControlKind):
    """A cron expression, chosen by its rhythm; shows when it would run next, by the clock of the tenant."""

    key = "times"
    grouped = True
    wide = True

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        name = control.name
        kind = str(form.get(f"{name}.kind") or "custom")
        was = str(form.get(f"{name}.was") or DEFAULT)
        text = " ".join(str(form.get(f"{name}.cron", was)).split())
        if kind == "custom":
            return Written(text)
        clock = re.match(r"(\d{1,2}):(\d{2})", str(form.get(f"{name}.time") or ""))
        minute = str(form.get(f"{name}.minute") or "0")
        before = rhythm_of(was)
        hour, minutes = (int(clock[1]), int(clock[2])) if clock else (before.hour, before.minute)
        if kind == "hourly":
            minutes = int(minute) if minute.isdigit() and int(minute) < 60 else 0
        days = tuple(str(d) for d in form.getall(f"{name}.day_of_week", []) if d in WEEK)
        day = str(form.get(f"{name}.day") or "1")
        return cron_of(Rhythm(kind, minutes, hour, days, day if day == LAST or (day.isdigit() and 1 <= int(day) <= 28) else "1", text))

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        cron, ctx = DEFAULT if value is None else str(value), desk.ask.ctx
        rhythm = Rhythm("custom", text=cron) if isinstance(value, Written) else rhythm_of(cron)
        kinds = [
            Choice("daily", _("Every day")), Choice("workdays", _("Monday to Friday")), Choice("weekly", _("On certain days of the week")), Choice("monthly", _("Every month")),
            Choice("hourly", _("Every hour")), Choice("custom", _("Another rhythm (cron)")),
        ]  # fmt: skip
        days = [Choice(d, day_name(d), d in (rhythm.days or ("1",))) for d in WEEK]
        dates = [Choice(str(d), _("on day %(day)s", day=d), str(d) == rhythm.day) for d in range(1, 29)] + [Choice(LAST, _("on the last day"), rhythm.day == LAST)]
        ticks = next_ticks(cron, ctx.now.astimezone(ctx.zone), SHOWN)
        return {"rhythm": rhythm, "kinds": kinds, "days": days, "dates": dates, "ticks": [formats.weekday(ctx, t) for t in ticks], "zone": str(ctx.zone), "cron": cron}
