"""Charts: rows of figures become categories and series, with gaps filled, the rest put together and links to the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

from saas.i18n import gettext as _
from saas.i18n import pick, use_locale
from saas.metadata.kinds import WidgetParts
from saas.metadata.models import DimensionDef, MeasureDef, WidgetDef
from saas.runtime import operations as ops
from saas.runtime.aggregates import MAX_ROWS, bucket_end
from saas.runtime.context import Context
from saas.runtime.widgets._shared.drill import Drill
from saas.runtime.widgets._shared.reading import COUNT, FigureWidget, aggregate, resolve, shortened
from saas.runtime.widgets._shared.texts import MeasureText, bucket_text

MAX_BUCKETS = 400
MAX_SERIES = 8
BY_VALUE = ("value", "-value")  # whoever asks for the largest few knows that there are more


class ChartWidget(FigureWidget):
    """One dimension gives the categories; a second one stacks, else each measure is a series."""

    min_dimensions = 1
    over_time: ClassVar[bool] = False

    def parts(self, options: Mapping[str, Any]) -> WidgetParts:
        return WidgetParts(dimensions=2, measures=5, orders="figures", over_time=self.over_time)

    async def figures(self, ctx: Context, widget: WidgetDef, extra: Any) -> dict[str, Any]:
        return await chart(ctx, widget, extra)


@dataclass(slots=True)
class Category:
    key: Any
    label: str
    values: list[Any]  # one a series


async def chart(ctx: Context, widget: WidgetDef, extra: Any) -> dict[str, Any]:
    dimensions, measures = widget.dimensions[:2], widget.measures or (COUNT,)
    stacked = len(dimensions) == 2
    measures = measures[:1] if stacked else measures
    texts = [MeasureText(ctx, widget, m) for m in measures]
    in_sql = not stacked and not dimensions[0].bucket and widget.sort in ("value", "-value")
    limit = widget.limit + 1 if in_sql else MAX_ROWS
    rows = await aggregate(ctx, widget, measures, dimensions, extra, sort=widget.sort if in_sql else None, limit=limit)
    drill = Drill(ctx, widget, extra)
    if stacked:
        columns, categories = _stack(ctx, widget, rows, texts[0])
        series = [(label, texts[0]) for _key, label in columns]
    else:
        columns = []
        categories = [Category(r.keys[0], r.labels[0], list(r.values)) for r in rows]
        series = [(t.label, t) for t in texts]
    if not rows:
        return {"categories": [], "series": [], "rows": [], "stacked": stacked, "total": None, "drill": drill.url(), "empty": True}
    categories, cut = _arrange(ctx, widget, categories, texts, [t.zero for _label, t in series])
    return {
        "categories": [c.label for c in categories],
        "series": [{"name": label, "data": [t.number(c.values[i]) for c in categories], "money": t.currency} for i, (label, t) in enumerate(series)],
        "rows": [_row(drill, dimensions, c, series, columns) for c in categories],
        "stacked": stacked,
        "colors": colors(ctx, widget, dimensions[0], categories),
        "dimension": dimension_label(ctx, widget, dimensions[0]),
        "total": await total(ctx, widget, measures[0], texts[0], extra, None if cut or stacked else [c.values[0] for c in categories]),
        "drill": drill.url(),
        "empty": not categories,
        "note": shortened(ctx, len(rows), len(categories), cut=cut and not dimensions[0].bucket and widget.sort not in BY_VALUE),
    }


def _row(drill: Drill, dimensions: Sequence[DimensionDef], c: Category, series: list[tuple[str, MeasureText]], columns: list[tuple[Any, str]]) -> dict[str, Any]:
    row = {
        "labels": [c.label], "keys": [c.key], "values": c.values, "texts": [t.text(v) for (_l, t), v in zip(series, c.values, strict=True)],
        "drill": drill.at(dimensions[:1], [c.key]), "drills": None,
    }  # fmt: skip
    if columns:
        row["drills"] = [None if key is OTHER else drill.at(dimensions, [c.key, key]) for key, _label in columns]
    return row


async def total(ctx: Context, widget: WidgetDef, measure: MeasureDef, text: MeasureText, extra: Any, drawn: list[Any] | None) -> dict[str, Any] | None:
    """The measure over all records: added up where everything is drawn, else asked for."""
    if not text.is_number:
        return None
    if drawn is not None and text.adds_up:
        value = text.add(drawn)
    else:
        [row] = await aggregate(ctx, widget, [measure], (), extra)
        value = row.values[0]
    return {"value": value, "text": text.text(value)}


# ---- order, gaps, limits -----------------------------------------------------------------------------------------------


def _arrange(ctx: Context, widget: WidgetDef, categories: list[Category], texts: list[MeasureText], zeros: list[Any]) -> tuple[list[Category], bool]:
    """In the order asked for, at most `limit`; also says whether something was left out."""
    dimension = widget.dimensions[0]
    if dimension.bucket:
        kept = _fill(ctx, dimension.bucket, [c for c in categories if c.key is not None], zeros)
        kept = kept[-max(widget.limit, 1) :] if widget.limit != WidgetDef.__dataclass_fields__["limit"].default else kept
        return kept, len(kept) < len(categories) or any(c.key is None for c in categories)
    if widget.sort in ("value", "-value"):
        down = widget.sort[0] == "-"
        categories.sort(key=lambda c: _weight(c, texts) * (-1 if down else 1))
    elif widget.sort in ("label", "-label"):
        categories.sort(key=lambda c: natural(c.key, c.label), reverse=widget.sort[0] == "-")
    return categories[: widget.limit], len(categories) > widget.limit


def _weight(c: Category, texts: list[MeasureText]) -> float:
    """By the first measure; with a second dimension by the sum over it."""
    values = c.values if len(texts) == 1 else c.values[:1]
    return float(sum(texts[0].number(v) or 0 for v in values))


def natural(key: Any, label: str) -> tuple[int, float, str]:
    """Numbers by size, then texts; nothing last."""
    if key in (None, ""):
        return (2, 0, "")
    if isinstance(key, int | float) and not isinstance(key, bool):
        return (0, float(key), "")
    return (1, 0, label.casefold())


def _fill(ctx: Context, bucket: str, categories: list[Category], zeros: list[Any]) -> list[Category]:
    """Every period between the first and the last, the missing ones with nothing in them."""
    have = {c.key: c for c in categories}
    if not have:
        return []
    day, last = date.fromisoformat(min(have)), date.fromisoformat(max(have))
    filled: list[Category] = []
    while day <= last:
        key = day.isoformat()
        found = have.get(key) or Category(key, "", list(zeros))
        found.label = bucket_text(key, bucket, ctx.locale)
        filled.append(found)
        day = bucket_end(day, bucket)
        if len(filled) > MAX_BUCKETS:
            filled.pop(0)  # the latest count most
    return filled


# ---- second dimension --------------------------------------------------------------------------------------------------

OTHER = object()


def _stack(ctx: Context, widget: WidgetDef, rows: list[ops.AggregateRow], text: MeasureText) -> tuple[list[tuple[Any, str]], list[Category]]:
    """The second dimension's values as columns (the largest ones, the rest together), and one category a first value."""
    second = widget.dimensions[1]
    weights: dict[Any, float] = {}
    labels: dict[Any, str] = {}
    for row in rows:
        weights[row.keys[1]] = weights.get(row.keys[1], 0) + (text.number(row.values[0]) or 0)
        labels[row.keys[1]] = bucket_text(row.keys[1], second.bucket, ctx.locale) if second.bucket and row.keys[1] else row.labels[1]
    ranked = sorted(weights, key=lambda k: -weights[k])
    keep = ranked if len(ranked) <= MAX_SERIES else ranked[: MAX_SERIES - 1]
    keep = sorted(keep, key=_column_order(ctx, widget, second, labels, ranked))
    columns = [(k, labels[k]) for k in keep]
    rest = set(ranked) - set(keep)
    if rest and text.adds_up:
        with use_locale(ctx.locale):
            columns.append((OTHER, _("Other")))
    found: dict[Any, Category] = {}
    position = {k: i for i, (k, _label) in enumerate(columns)}
    for row in rows:
        c = found.setdefault(row.keys[0], Category(row.keys[0], row.labels[0], [text.zero] * len(columns)))
        index = position.get(row.keys[1], position.get(OTHER) if row.keys[1] in rest else None)
        if index is not None:
            c.values[index] = text.add([c.values[index], row.values[0]]) if row.keys[1] in rest else row.values[0]
    return columns, list(found.values())


def _column_order(ctx: Context, widget: WidgetDef, second: DimensionDef, labels: dict[Any, str], ranked: list[Any]) -> Any:
    entity, field = resolve(ctx.config, widget.entity, second.field)
    if second.bucket:
        return lambda k: k or ""
    if field.type in ("option", "pipeline"):
        order = {o.key: i for i, o in enumerate(ctx.config.options(entity.key, field.key))}
        return lambda k: order.get(k, len(order))
    return ranked.index


# ---- looks -------------------------------------------------------------------------------------------------------------


def colors(ctx: Context, widget: WidgetDef, dimension: DimensionDef, categories: list[Category]) -> list[str] | None:
    """The options' own colours, where they say anything."""
    found = resolve(ctx.config, widget.entity, dimension.field)
    if found is None or found[1].type not in ("option", "pipeline"):
        return None
    options = {o.key: o.color for o in ctx.config.options(found[0].key, found[1].key)}
    chosen = [options.get(c.key, "gray") for c in categories]
    return chosen if len(set(chosen)) > 1 or len(chosen) == 1 else None


def dimension_label(ctx: Context, widget: WidgetDef, dimension: DimensionDef) -> str:
    found = resolve(ctx.config, widget.entity, dimension.field)
    return pick(found[1].label, ctx.locale) if found else dimension.field
