"""One figure, compared with the period before it or with a target."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from babel.numbers import format_decimal

from saas.db import tenant_transaction
from saas.i18n import gettext as _
from saas.i18n import lazy, use_locale
from saas.i18n import noop as N_
from saas.metadata.kinds import WidgetParts, widget_types
from saas.metadata.models import WidgetDef
from saas.runtime.context import Context
from saas.runtime.env import prepare
from saas.runtime.rows import Row
from saas.runtime.widgets._shared.drill import Drill, between
from saas.runtime.widgets._shared.periods import PERIODS, period_before, period_of
from saas.runtime.widgets._shared.reading import COUNT, TEXT, FigureWidget, aggregate, both
from saas.runtime.widgets._shared.texts import MeasureText, signed

THAN = {
    "day": lazy("than the day before"),
    "week": lazy("than the week before"),
    "month": lazy("than the month before"),
    "quarter": lazy("than the quarter before"),
    "year": lazy("than the year before"),
}


@widget_types.register
class Number(FigureWidget):
    key = "number"
    label = lazy("Number")
    icon = "hash"
    about = lazy("One figure, compared with before or with a target")
    options_schema = {
        "type": "object",
        "properties": {
            "compare": {
                "type": ["string", "null"], "title": N_("Compare with"), "enum": [None, *(f"previous_{p}" for p in PERIODS)], "default": None,
                "x-labels": {
                    "previous_day": N_("The day before"), "previous_week": N_("The week before"), "previous_month": N_("The month before"),
                    "previous_quarter": N_("The quarter before"), "previous_year": N_("The year before"),
                },
                "description": N_("Shows the current period and how it differs from the one before"),
            },
            "date": {
                **TEXT, "title": N_("Date"), "description": N_("The field that says which period a record belongs to"), "x-control": "date_field",
                "x-show-if": {"compare": [f"previous_{p}" for p in PERIODS]},
            },
            "target": {
                **TEXT, "maxLength": 2000, "title": N_("Target"), "description": N_("A number, or an expression that gives one"), "x-control": "expression",
                "x-result": "number",
            },
        },
        "additionalProperties": False,
    }  # fmt: skip

    def parts(self, options: Mapping[str, Any]) -> WidgetParts:
        return WidgetParts(measures=1)

    def paths(self, widget: WidgetDef) -> Iterable[str]:
        yield from super().paths(widget)
        if widget.options.get("compare") and widget.options.get("date"):
            yield widget.options["date"]

    async def figures(self, ctx: Context, widget: WidgetDef, extra: Any) -> dict[str, Any]:
        measure = (widget.measures or (COUNT,))[0]
        text = MeasureText(ctx, widget, measure)
        period, field = (widget.options.get("compare") or "").removeprefix("previous_"), widget.options.get("date")
        # Where the reader chose a period for the same date, there is no "current" one to compare.
        compares = bool(period and field) and not names(extra, field)
        scope = both(extra, between(field, *period_of(ctx.today, period))) if compares else extra
        [row] = await aggregate(ctx, widget, [measure], (), scope)
        value = row.values[0]
        view = {"value": value, "text": text.text(value), "label": text.label, "money": text.currency, "drill": Drill(ctx, widget, scope).url()}
        view["compare"] = await _compare(ctx, widget, measure, text, value, extra, period, field) if compares else None
        view["target"] = await _target(ctx, widget, text, value)
        view["empty"] = value is None
        return view


def names(filter_: Any, field: str) -> bool:
    """Does a filter say anything about the field?"""
    if isinstance(filter_, Mapping):
        return filter_.get("field") == field or any(names(v, field) for v in filter_.values())
    return isinstance(filter_, list) and any(names(v, field) for v in filter_)


async def _compare(ctx: Context, widget: WidgetDef, measure: Any, text: MeasureText, value: Any, extra: Any, period: str, field: str) -> dict[str, Any]:
    first, last = period_before(ctx.today, period)
    # The clock stands at the end of that period, so that what the filter says of "this month" means that month.
    end = datetime.combine(last, time(23, 59, 59), ctx.zone).astimezone(UTC)
    scope = both(extra, between(field, first, last))
    [row] = await aggregate(ctx.replace(fixed_now=end), widget, [measure], (), scope)
    before = row.values[0]
    now, then = text.exact(value), text.exact(before)
    delta = None if now is None or then is None else now - then
    percent = round(float(delta / abs(then)) * 100, 1) if delta is not None and then else None
    with use_locale(ctx.locale):
        return {
            "value": before, "text": text.text(before), "drill": None if _moves(widget.filter) else Drill(ctx, widget, scope).url(),
            "delta": text.number(text.of_number(delta)) if delta is not None else None,
            "delta_text": signed(text.text(text.of_number(delta)), float(delta)) if delta is not None else "",
            "percent": percent,
            "percent_text": signed(format_decimal(percent, locale=ctx.locale) + "%", percent) if percent is not None else "",
            "direction": "same" if not delta else "up" if delta > 0 else "down",
            "note": str(THAN[period]),
        }  # fmt: skip


def _moves(filter_: Any) -> bool:
    """Does the filter mean something else at another time? Then a list read now would not show the earlier period."""
    return any(word in json.dumps(filter_, default=str) for word in ('"relative"', "today()", "now()"))


async def _target(ctx: Context, widget: WidgetDef, text: MeasureText, value: Any) -> dict[str, Any] | None:
    source = widget.options.get("target")
    if not source:
        return None
    entity = ctx.config.entity(widget.entity)
    async with tenant_transaction(ctx.tenant_id) as conn:
        env = await prepare(conn, ctx, entity, Row(id=UUID(int=0), entity=entity.key, version=0), [source])
        goal = env.evaluate(source)
    if goal is None or not text.is_number:
        return None
    goal = Decimal(str(goal))
    reached = text.exact(value) or 0
    with use_locale(ctx.locale):
        return {
            "value": text.of_number(goal),
            "text": _("Target %(value)s", value=text.text(text.of_number(goal))),
            "percent": max(0, int(reached * 100 / goal)) if goal > 0 else None,
            "reached": reached >= goal,
        }
