"""Shares of a whole: the largest slices, the rest together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import gettext as _
from saas.i18n import lazy, use_locale
from saas.i18n import noop as N_
from saas.metadata.kinds import WidgetParts, widget_types
from saas.metadata.models import WidgetDef
from saas.runtime.aggregates import MAX_ROWS
from saas.runtime.context import Context
from saas.runtime.widgets._shared.charts import Category, colors, dimension_label, natural, total
from saas.runtime.widgets._shared.drill import Drill
from saas.runtime.widgets._shared.reading import COUNT, FigureWidget, aggregate, shortened
from saas.runtime.widgets._shared.texts import MeasureText, bucket_text


@widget_types.register
class Pie(FigureWidget):
    key = "pie"
    label = lazy("Pie chart")
    icon = "chart-pie"
    about = lazy("Shares of a whole")
    min_dimensions = 1
    options_schema = {
        "type": "object",
        "properties": {
            "slices": {
                "type": "integer", "title": N_("Slices"), "description": N_("The smaller ones are put together"),
                "minimum": 2, "maximum": 20, "default": 8,
            },
        },
        "additionalProperties": False,
    }  # fmt: skip

    def parts(self, options: Mapping[str, Any]) -> WidgetParts:
        return WidgetParts(dimensions=1, measures=1, orders="figures")

    async def figures(self, ctx: Context, widget: WidgetDef, extra: Any) -> dict[str, Any]:
        dimension, measure = widget.dimensions[0], (widget.measures or (COUNT,))[0]
        text, drill = MeasureText(ctx, widget, measure), Drill(ctx, widget, extra)
        rows = await aggregate(ctx, widget, [measure], [dimension], extra, limit=MAX_ROWS)
        found = [
            Category(r.keys[0], bucket_text(r.keys[0], dimension.bucket, ctx.locale) if dimension.bucket and r.keys[0] else r.labels[0], r.values)
            for r in rows
            if text.number(r.values[0])
        ]
        ranked = sorted(found, key=lambda c: -(text.number(c.values[0]) or 0))
        most = min(widget.options.get("slices", 8), widget.limit)
        kept = ranked if len(ranked) <= most else ranked[: most - 1]
        rest = ranked[len(kept) :]
        if widget.sort == "label":
            kept.sort(key=lambda c: natural(c.key, c.label))
        elif widget.sort == "value":
            kept.reverse()
        elif widget.sort is None and not rest:
            kept = found  # the order of the options
        whole = await total(ctx, widget, measure, text, extra, [c.values[0] for c in found])
        shown = [self._row(c.label, c.key, c.values[0], text, drill.at([dimension], [c.key]), found) for c in kept]
        chosen = colors(ctx, widget, dimension, kept)
        if rest and text.adds_up:
            with use_locale(ctx.locale):
                shown.append(self._row(_("Other"), None, text.add(c.values[0] for c in rest), text, None, found))
            chosen = [*chosen, "gray"] if chosen else None
        return {
            "categories": [r["labels"][0] for r in shown],
            "series": [{"name": text.label, "data": [text.number(r["values"][0]) for r in shown], "money": text.currency}],
            "rows": shown, "stacked": False, "colors": chosen, "dimension": dimension_label(ctx, widget, dimension), "total": whole,
            "drill": drill.url(), "empty": not shown, "note": shortened(ctx, len(rows), len(shown), cut=False),
        }  # fmt: skip

    def _row(self, label: str, key: Any, value: Any, text: MeasureText, url: str | None, found: list[Category]) -> dict[str, Any]:
        whole = sum(text.number(c.values[0]) or 0 for c in found)
        share = round(100 * (text.number(value) or 0) / whole, 1) if whole and text.adds_up else None
        return {"labels": [label], "keys": [key], "values": [value], "texts": [text.text(value)], "drill": url, "drills": None, "share": share}
