"""Dashboards and reports."""

from __future__ import annotations

import csv
import io
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, Router, get
from litestar.params import FromPath

from saas.i18n import gettext as _
from saas.i18n import pick
from saas.metadata.models import WidgetDef
from saas.runtime import Context
from saas.runtime.first_steps import shown_to
from saas.runtime.reports import list_dashboards, list_reports, load_dashboard, load_report, report_sheets
from saas.runtime.statements import statements_of
from saas.ui.guards import signed_in
from saas.ui.render import markup
from saas.ui.shell import home_url
from saas.ui.views import Choice, Empty, Link, ParamView, ReportView, WidgetView

CHARTS = ("bar", "line", "area", "pie", "funnel")


def widget_views(ctx: Context, definitions: tuple[WidgetDef, ...], loaded: list[dict[str, Any]]) -> tuple[WidgetView, ...]:
    found = []
    for definition, view in zip(definitions, loaded, strict=True):
        html = markup(f"widgets/{definition.type}/widget.html", view=view, widget=definition, ctx=ctx, locale=ctx.locale)
        found.append(WidgetView(key=definition.key, title=view["title"], width=definition.width, html=html, help=view.get("help", ""), url=view.get("drill") or ""))
    return tuple(found)


@get("/dashboards/{key:str}", limit="report")
async def dashboard(request: Request, key: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    async with ask.work() as conn:
        # Above the figures of the page that "/" leads to, and only of those who have the list.
        steps = await shown_to(conn, ask.ctx) if ask.viewing is None and home_url(ask.ctx) == f"/dashboards/{key}" else None
        loaded = await load_dashboard(ask.ctx, key)
        widgets = widget_views(ask.ctx, ask.ctx.config.dashboards[key].widgets, loaded["widgets"])
    view = ReportView(title=loaded["label"], icon="dashboard", url=f"/dashboards/{key}", widgets=widgets, charts=_draws(loaded), empty=_nothing())
    return ask.page("reports/show.html", report=view, steps=steps, at_home=True)


@get("/reports/{key:str}", limit="report")
async def report(request: Request, key: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    given = {k: v for k, v in request.query_params.items() if v}
    async with ask.work():
        loaded = await load_report(ask.ctx, key, given)
        widgets = widget_views(ask.ctx, ask.ctx.config.reports[key].widgets, loaded["widgets"])
    url = f"/reports/{key}"
    query = urlencode(given)
    view = ReportView(
        title=loaded["label"], icon="chart-bar", url=url, widgets=widgets, charts=_draws(loaded), description=loaded["description"],
        params=tuple(_param(p) for p in loaded["params"]), actions=(Link(_("Export"), f"{url}/export" + (f"?{query}" if query else ""), "download", download=True),), empty=_nothing(),
    )  # fmt: skip
    return ask.page("reports/show.html", report=view, steps=None)


def _param(param: dict[str, Any]) -> ParamView:
    return ParamView(param["key"], param["label"], tuple(Choice(c["key"], c["text"], c["key"] == param["value"]) for c in param["choices"]), param["kind"] == "period", param["from"], param["to"])


def _draws(loaded: dict[str, Any]) -> bool:
    return any(w["type"] in CHARTS and not w.get("empty") for w in loaded["widgets"])


def _nothing() -> Empty:
    return Empty("chart-bar", _("Nothing here yet"), _("This page has no figures."))


@get("/reports")
async def index(request: Request) -> Response[Any]:
    ask = await signed_in(request)
    async with ask.work():
        pass
    items = [Link(d["label"], f"/dashboards/{d['key']}", "dashboard") for d in list_dashboards(ask.ctx)]
    items += [Link(r["label"], f"/reports/{r['key']}", "chart-bar", note=r["description"]) for r in list_reports(ask.ctx)]
    items += [Link(pick(s.label, ask.ctx.locale), f"/statements/{s.key}", "file-text", note=pick(s.description, ask.ctx.locale)) for s in statements_of(ask.ctx)]
    return ask.page("reports/index.html", items=items, empty=_nothing())


@get("/reports/{key:str}/export", limit="export")
async def export(request: Request, key: FromPath[str]) -> Response[Any]:
    """All figures of the report as one CSV file, one block each; opens in spreadsheets in both languages."""
    ask = await signed_in(request)
    given = {k: v for k, v in request.query_params.items() if v}
    async with ask.work():
        sheets = await report_sheets(ask.ctx, key, given)
    return csv_response(f"{key}.csv", [[[s["title"]], s["columns"], *s["rows"], []] for s in sheets])


def csv_response(name: str, blocks: list[list[list[Any]]]) -> Response[bytes]:
    text = io.StringIO()
    writer = csv.writer(text)
    for block in blocks:
        writer.writerows([[_safe(value) for value in row] for row in block])
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(text.getvalue().encode("utf-8-sig"), media_type="text/csv; charset=utf-8", headers=headers)


def _safe(value: Any) -> Any:
    """Spreadsheets run text that starts like a formula; an apostrophe keeps it text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


router = Router("", route_handlers=[dashboard, report, index, export])
