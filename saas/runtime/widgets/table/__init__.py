"""A table: figures by one to three dimensions with totals, or the records themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import WidgetParts, widget_types
from saas.metadata.models import WidgetDef
from saas.runtime.aggregates import MAX_ROWS
from saas.runtime.context import Context
from saas.runtime.widgets._shared.charts import dimension_label, natural
from saas.runtime.widgets._shared.drill import Drill
from saas.runtime.widgets._shared.reading import COUNT, FigureWidget, aggregate, shortened
from saas.runtime.widgets._shared.records import COLUMNS, record_table
from saas.runtime.widgets._shared.texts import MeasureText, bucket_text


@widget_types.register
class Table(FigureWidget):
    key = "table"
    label = lazy("Table")
    icon = "table"
    about = lazy("Figures in rows, with totals")
    options_schema = {
        "type": "object", "additionalProperties": False,
        "properties": {
            "columns": {**COLUMNS, "title": N_("Records instead of figures"), "description": N_("Tick columns to list the records themselves"), "x-advanced": True},
        },
    }  # fmt: skip

    def parts(self, options: Mapping[str, Any]) -> WidgetParts:
        if options.get("columns"):
            return WidgetParts(orders="records")
        return WidgetParts(dimensions=3, measures=10, orders="figures")

    def paths(self, widget: WidgetDef) -> Iterable[str]:
        return () if widget.options.get("columns") else super().paths(widget)

    async def figures(self, ctx: Context, widget: WidgetDef, extra: Any) -> dict[str, Any]:
        if widget.options.get("columns"):
            return await record_table(ctx, widget, extra)
        return await figure_table(ctx, widget, extra)


async def figure_table(ctx: Context, widget: WidgetDef, extra: Any) -> dict[str, Any]:
    dimensions, measures = widget.dimensions, widget.measures or (COUNT,)
    texts = [MeasureText(ctx, widget, m) for m in measures]
    by_value = widget.sort in ("value", "-value")
    rows = await aggregate(ctx, widget, measures, dimensions, extra, sort=widget.sort if by_value else None, limit=widget.limit + 1 if by_value else MAX_ROWS)
    drill = Drill(ctx, widget, extra)
    for row in rows:
        row.labels = [bucket_text(k, d.bucket, ctx.locale) if d.bucket and k else label for d, k, label in zip(dimensions, row.keys, row.labels, strict=True)]
    if widget.sort in ("label", "-label"):
        rows.sort(key=lambda r: [_label_key(d.bucket, k, x) for d, k, x in zip(dimensions, r.keys, r.labels, strict=True)], reverse=widget.sort[0] == "-")
    read = len(rows)
    more, rows = len(rows) > widget.limit, rows[: widget.limit]
    whole = (await aggregate(ctx, widget, measures, (), extra))[0] if rows and len(dimensions) else None
    return {
        "columns": [
            *({"key": d.field, "label": dimension_label(ctx, widget, d), "num": False} for d in dimensions),
            *({"key": f"m{i}", "label": t.label, "num": True, "money": t.currency} for i, t in enumerate(texts)),
        ],
        "rows": [_row(drill, widget, r, texts) for r in rows],
        "totals": [t.text(v) for t, v in zip(texts, whole.values, strict=True)] if whole else [],
        "total_values": whole.values if whole else [],
        "records": False, "more": more, "drill": drill.url(), "empty": not rows, "note": shortened(ctx, read, len(rows), cut=more and not by_value),
    }  # fmt: skip


def _label_key(bucket: str | None, key: Any, label: str) -> Any:
    return (1 if key else 2, 0, key or "") if bucket else natural(key, label)


def _row(drill: Drill, widget: WidgetDef, row: Any, texts: list[MeasureText]) -> dict[str, Any]:
    shown = [t.text(v) for t, v in zip(texts, row.values, strict=True)]
    url = drill.at(widget.dimensions, row.keys)
    return {
        "labels": row.labels, "keys": row.keys, "values": row.values, "texts": shown, "drill": url,
        "cells": [
            *({"value": k, "text": label, "drill": None, "color": None} for k, label in zip(row.keys, row.labels, strict=True)),
            *({"value": v, "text": text, "drill": url, "color": None} for v, text in zip(row.values, shown, strict=True)),
        ],
    }  # fmt: skip
