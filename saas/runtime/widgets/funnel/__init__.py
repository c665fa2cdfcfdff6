"""How many records stand in each stage of a pipeline, or ever reached it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from babel.numbers import format_decimal

from saas.db import tenant_transaction
from saas.i18n import gettext as _
from saas.i18n import lazy, ngettext, pick, use_locale
from saas.i18n import noop as N_
from saas.metadata.kinds import widget_types
from saas.metadata.models import DimensionDef, MeasureDef, PipelineDef, StageDef, WidgetDef
from saas.runtime.context import Context
from saas.runtime.funnels import StageFigures, stage_figures
from saas.runtime.widgets._shared.drill import Drill
from saas.runtime.widgets._shared.reading import COUNT, TEXT, FigureWidget, aggregate, visible
from saas.runtime.widgets._shared.texts import MeasureText


@widget_types.register
class Funnel(FigureWidget):
    key = "funnel"
    label = lazy("Funnel")
    icon = "chart-funnel"
    about = lazy("How far records come in a pipeline")
    options_schema = {
        "type": "object",
        "properties": {
            "pipeline": {"type": "string", "title": N_("Pipeline"), "maxLength": 48, "x-control": "pipeline"},
            "basis": {
                "type": "string", "title": N_("Counts"), "enum": ["current", "ever_reached"], "default": "current",
                "x-labels": {"current": N_("Records that stand in a stage now"), "ever_reached": N_("Records that ever reached it")},
                "description": N_("Records that stand in a stage now, or that ever stood in it"),
            },
            "sum": {**TEXT, "title": N_("Sum"), "description": N_("A number or amount to add up by stage"), "x-control": "number_field"},
        },
        "required": ["pipeline"],
        "additionalProperties": False,
    }  # fmt: skip

    def paths(self, widget: WidgetDef) -> Iterable[str]:
        if widget.options.get("sum"):
            yield widget.options["sum"]

    def allowed(self, ctx: Context, widget: WidgetDef) -> bool:
        pipeline = ctx.config.pipelines.get(widget.options.get("pipeline", ""))
        return pipeline is not None and super().allowed(ctx, widget) and visible(ctx, widget.entity, pipeline.field)

    async def figures(self, ctx: Context, widget: WidgetDef, extra: Any) -> dict[str, Any]:
        pipeline = ctx.config.pipelines[widget.options["pipeline"]]
        ever = widget.options.get("basis") == "ever_reached"
        measure = MeasureDef("sum", widget.options["sum"]) if widget.options.get("sum") else None
        text = MeasureText(ctx, widget, measure) if measure else None
        async with tenant_transaction(ctx.tenant_id) as conn:
            times = await stage_figures(conn, ctx, ctx.config.entity(widget.entity), within=widget.filter, filter_=extra, sum_field=widget.options.get("sum"))
        found = times if ever else await _current(ctx, widget, pipeline, measure, extra, times)
        stages = [s for s in pipeline.stages if s.kind != "lost" and (ever or not s.is_final or s.key in found)]
        drill = Drill(ctx, widget, extra)
        rows = _rows(ctx, pipeline, stages, found, text, drill, ever=ever)
        lost = _rows(ctx, pipeline, [s for s in pipeline.stages if s.kind == "lost" and s.key in found], found, text, drill, ever=ever)
        for row in lost:
            row["conversion"] = row["share"] = None
        with use_locale(ctx.locale):
            name = _("Count")
        return {
            "categories": [r["labels"][0] for r in rows],
            "series": [{"name": name, "data": [r["values"][0] for r in rows], "money": None}],
            "rows": rows, "lost": lost, "basis": widget.options.get("basis", "current"), "sum_label": text.label if text else None,
            "colors": [s.color for s in stages], "stacked": False, "total": None, "dimension": pick(pipeline.label, ctx.locale),
            "drill": drill.url(), "empty": not found,
        }  # fmt: skip


async def _current(ctx: Context, widget: WidgetDef, pipeline: PipelineDef, measure: MeasureDef | None, extra: Any, times: dict[str, StageFigures]) -> dict[str, StageFigures]:
    """Count and sum by the stage records stand in now; how long stages last comes from their history."""
    rows = await aggregate(ctx, widget, [COUNT, *([measure] if measure else [])], [DimensionDef(pipeline.field)], extra)
    return {
        r.keys[0]: StageFigures(count=r.values[0], total=r.values[1] if measure else None, days=times[r.keys[0]].days if r.keys[0] in times else None)
        for r in rows
        if r.keys[0]
    }


def _rows(ctx: Context, pipeline: PipelineDef, stages: list[StageDef], found: dict[str, StageFigures], text: MeasureText | None, drill: Drill, *, ever: bool) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    first = found[stages[0].key].count if stages and stages[0].key in found else 0
    for stage in stages:
        figures = found.get(stage.key) or StageFigures(0, text.zero if text else None, None)
        before = rows[-1]["values"][0] if rows else None
        if not ever:
            url = drill.url({"field": pipeline.field, "op": "eq", "value": stage.key})
        else:
            url = drill.url({"field": "id", "op": "in", "value": figures.ids}) if figures.ids else None
        rows.append(
            {
                "labels": [pick(stage.label, ctx.locale)], "keys": [stage.key],
                "values": [figures.count, *([figures.total] if text else [])],
                "texts": [format_decimal(figures.count, locale=ctx.locale), *([text.text(figures.total)] if text else [])],
                "drill": url, "drills": None, "color": stage.color, "days": figures.days, "days_text": _days(ctx, figures.days),
                # A conversion speaks of one group of records going on: only who ever stood somewhere says that.
                "conversion": round(100 * figures.count / before) if ever and before else None,
                "share": round(100 * figures.count / first) if ever and first else None,
            }
        )  # fmt: skip
    return rows


def _days(ctx: Context, days: float | None) -> str:
    if days is None:
        return ""
    with use_locale(ctx.locale):
        return ngettext("%(days)s day", "%(days)s days", 1 if days == 1 else 2, days=format_decimal(days, locale=ctx.locale))
