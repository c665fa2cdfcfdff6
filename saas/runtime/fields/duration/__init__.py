"""Lengths of time, kept as whole seconds."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from saas.i18n import LazyString, get_locale, lazy, use_locale
from saas.i18n import gettext as _
from saas.i18n import noop as N_
from saas.metadata.config import Config
from saas.metadata.kinds import Source, field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.numbers import IntegerType, bound, json_number, quantize, to_decimal
from saas.runtime.fields._shared.schemas import choice, options, prop
from saas.runtime.fields._shared.texts import encodable, narrow

MINUTE, HOUR, DAY = 60, 3600, 86400
LONGEST = 100 * 366 * DAY
STEPS = {"minutes": MINUTE, "seconds": 1}
UNITS = {
    **dict.fromkeys(("w", "wk", "wks", "week", "weeks", "周", "星期"), 7 * DAY),
    **dict.fromkeys(("d", "day", "days", "天", "日"), DAY),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours", "小时", "个小时", "时", "钟头"), HOUR),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes", "分钟", "分"), MINUTE),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds", "秒", "秒钟"), 1),
}  # fmt: skip
_BELOW = {7 * DAY: DAY, DAY: HOUR, HOUR: MINUTE, MINUTE: 1}  # "1 h 30" goes on with minutes
_PART = re.compile(r"(\d{1,10}(?:\.\d{1,6})?)\s*([\u4e00-\u9fff]{1,3}|[a-z]{0,7})[\s,，、]*", re.ASCII)
_CLOCK = re.compile(r"(\d{1,6}):([0-5]\d)(?::([0-5]\d))?", re.ASCII)
_BOUND = {"type": ["number", "null"], "minimum": 0, "maximum": LONGEST // MINUTE}


def read_duration(text: str, step: int) -> Decimal | None:
    """Seconds of what a person typed: "1 h 30 min", "2d 4h", "90m", "1:30", "1小时30分"; a bare number counts in `step`s."""
    text = narrow(text).strip().lower()
    if len(text) > 80:
        return None
    if clock := _CLOCK.fullmatch(text):
        return Decimal(int(clock[1]) * HOUR + int(clock[2]) * MINUTE + int(clock[3] or 0))
    total, place, units, previous = Decimal(0), 0, set[int](), 0
    while place < len(text):
        part = _PART.match(text, place)
        if not part:
            return None
        unit = UNITS.get(part[2]) if part[2] else _BELOW.get(previous, 0) if previous else step
        if not unit or unit in units:
            return None
        units.add(unit)
        total, place, previous = total + Decimal(part[1]) * unit, part.end(), unit
    return total if units else None


@functools.lru_cache(maxsize=8192)
def show_duration(seconds: int, step: int, locale: str) -> str:
    """"2 d 4 h", "1 h 30 min"; in Chinese "1 小时 30 分钟"."""
    with use_locale(locale):
        days, rest = divmod(abs(seconds), DAY)
        hours, rest = divmod(rest, HOUR)
        minutes, left = divmod(rest, MINUTE)
        parts = [
            *([_("%(count)s d", count=days)] if days else []),
            *([_("%(count)s h", count=hours)] if hours else []),
            *([_("%(count)s min", count=minutes)] if minutes else []),
            *([_("%(count)s s", count=left)] if left else []),
        ]
        text = " ".join(parts) or (_("%(count)s s", count=0) if step == 1 else _("%(count)s min", count=0))
    return f"-{text}" if seconds < 0 else text


class _Shown:
    """A length in a message, in the language of whoever reads it."""

    def __init__(self, seconds: int, step: int) -> None:
        self.seconds, self.step = seconds, step

    def __str__(self) -> str:
        return show_duration(self.seconds, self.step, get_locale())


@field_types.register
class Duration(IntegerType):
    key = "duration"
    label = lazy("Duration")
    description = lazy("How long something takes, typed as people say it: 1 h 30 min, 2d 4h, 90m or 1:30.")
    group = "time"
    icon = "hourglass"
    additive = True
    spoken = True
    lowest, highest = 0, LONGEST
    expects = lazy("Enter a length of time such as 1 h 30 min, 2d 4h or 1:30")
    options_schema = options(
        {
            "precision": choice(
                N_("Counts in"), N_("The smallest part that is kept, and what a number without a unit means"), "minutes",
                {"minutes": N_("Minutes"), "seconds": N_("Seconds")},
            ),
            "min": prop(N_("Shortest"), N_("Shortest length allowed, in minutes"), None, **_BOUND),
            "max": prop(N_("Longest"), N_("Longest length allowed, in minutes"), None, **_BOUND),
        }
    )  # fmt: skip
    EXAMPLES = (0, 60, 5400, 187200, 36 * HOUR + 5 * MINUTE, 12 * 366 * DAY)
    BAD_EXAMPLES = (-60, 90, 5400.5, "soon", "1 h 2 h", "5 parsecs", "1:75", True, 10**400, LONGEST + MINUTE, [60], float("nan"), "1 h\x00")

    def step_of(self, field: FieldDef) -> int:
        return STEPS.get(str(field.options.get("precision")), MINUTE)

    def bounds(self, field: FieldDef) -> tuple[float, float]:
        """Of the schema; the field's own are told as lengths by `problems`."""
        return self.lowest, self.highest

    def normalise(self, field: FieldDef, value: Any, config: Config) -> Any:
        if not isinstance(value, str):
            return super().normalise(field, value, config)
        text = encodable(value).strip()
        seconds = read_duration(text, self.step_of(field))
        return json_number(seconds) if seconds is not None else text or None

    def problems(self, field: FieldDef, value: Any, config: Config) -> list[tuple[str, LazyString]]:
        step = self.step_of(field)
        number = to_decimal(value)
        if number is None:  # to the schema's validator NaN is a null
            return [("wrong_type", self.expects)]
        if number % step:
            return [("precision", lazy("This counts in whole minutes.") if step == MINUTE else lazy("This counts in whole seconds."))]
        low, high = (bound(field, name, None) for name in ("min", "max"))
        if low is not None and number < (least := int(low * MINUTE)):
            return [("too_small", lazy("At least %(value)s.", value=_Shown(least, step)))]
        if high is not None and number > (most := int(high * MINUTE)):
            return [("too_large", lazy("At most %(value)s.", value=_Shown(most, step)))]
        return []

    def from_form(self, field: FieldDef, raw: list[str], config: Config) -> Any:
        return self.normalise(field, raw[-1], config) if raw else None

    def to_form(self, field: FieldDef, value: Any, config: Config) -> Any:
        number = to_decimal(value) if not isinstance(value, str) else None
        return ("" if value is None else str(value)) if number is None else show_duration(int(number), self.step_of(field), get_locale())

    def from_expr(self, field: FieldDef, value: Any, config: Config) -> Any:
        """Results are rounded to what the field counts in."""
        number, step = to_decimal(value), self.step_of(field)
        return self.normalise(field, value, config) if number is None else json_number(quantize(number / step, 0) * step)

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        return show_duration(round(value), self.step_of(field), locale)

    def readings(self, field: FieldDef, source: Source, config: Config) -> Iterator[Any]:
        """A number counts in minutes or seconds as the field does; a text is read as if it were typed."""
        number = source.number(config)
        if isinstance(source.kind, Duration):
            yield source.value
        elif number is not None:
            yield number * self.step_of(field)
        else:
            yield source.written(config)

    def to_number(self, field: FieldDef, value: Any, config: Config) -> Decimal | None:
        return Decimal(value) / self.step_of(field)

    def to_text(self, field: FieldDef, value: Any, text: str, config: Config) -> str:
        return text
