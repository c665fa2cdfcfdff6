"""Reports and dashboards: their parameters as filters, their widgets loaded for one reader."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from saas.db import limits, tenant_transaction
from saas.errors import BadRequest, NotFound, PermissionDenied
from saas.i18n import LazyString, gettext, lazy, pick, use_locale
from saas.metadata.kinds import widget_types
from saas.metadata.models import DashboardDef, ParamDef, ReportDef, WidgetDef
from saas.runtime import operations as ops
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.door import execute
from saas.runtime.sql import expr_type
from saas.runtime.widgets._shared.drill import between
from saas.runtime.widgets._shared.reading import both, resolve, visible
from saas.runtime.widgets._shared.records import read_records, related, shown_columns

# What a "period" parameter offers besides two dates of one's own.
PERIODS: dict[str, LazyString] = {
    "this_month": lazy("This month"),
    "last_month": lazy("Last month"),
    "this_quarter": lazy("This quarter"),
    "last_quarter": lazy("Last quarter"),
    "this_year": lazy("This year"),
    "last_year": lazy("Last year"),
    "last_n_days:30": lazy("Last 30 days"),
    "last_n_days:90": lazy("Last 90 days"),
    "last_n_days:365": lazy("Last 365 days"),
}
SUITS = {"year": ("date", "datetime"), "period": ("date", "datetime"), "option": ("option",), "user": ("user",)}
MAX_PEOPLE = 500
MAX_SHEET_ROWS = 50_000  # of a table of records in a sheet made while the browser waits


def list_reports(ctx: Context) -> list[dict[str, Any]]:
    """[{key, label, description}] of the reports the person may open."""
    return [
        {"key": r.key, "label": pick(r.label, ctx.locale), "description": pick(r.description, ctx.locale)}
        for r in ctx.config.bundle.reports
        if permissions.may_report(ctx, r.key)
    ]


def list_dashboards(ctx: Context) -> list[dict[str, Any]]:
    """[{key, label}] of the dashboards the person may open."""
    return [{"key": d.key, "label": pick(d.label, ctx.locale)} for d in ctx.config.bundle.dashboards if permissions.may_dashboard(ctx, d.key)]


def home_dashboard(ctx: Context) -> str | None:
    """The key of the dashboard a person starts on: their first role's home, else the first they may open; None without any."""
    for role in permissions.roles(ctx):
        if role.home in ctx.config.dashboards:
            return role.home
    return next((d["key"] for d in list_dashboards(ctx)), None)


async def load_report(ctx: Context, key: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A report with its figures: {key, label, description, params, widgets}, JSON-serialisable.

    Each of `params`: {key, label, kind, value, from, to, choices: [{key, text}]}; `params` given: {param key: value}, for a
    period also {"<key>_from", "<key>_to"}. Each of `widgets` is what its type's `load` gives.
    Errors: NotFound, PermissionDenied, BadRequest.
    """
    report = report_of(ctx, key)
    given = params or {}
    async with tenant_transaction(ctx.tenant_id) as conn:
        shown = [await _param(conn, ctx, report, p, given) for p in report.params if _entity_of(ctx, report, p)]
        widgets = await _load_all(ctx, [(w, param_filter(ctx, report, w, given)) for w in report.widgets])
    return {
        "key": report.key, "label": pick(report.label, ctx.locale), "description": pick(report.description, ctx.locale),
        "params": shown, "widgets": widgets,
    }  # fmt: skip


async def load_dashboard(ctx: Context, key: str) -> dict[str, Any]:
    """A dashboard with its figures: {key, label, widgets}. Errors: NotFound, PermissionDenied."""
    dashboard = _dashboard_of(ctx, key)
    async with tenant_transaction(ctx.tenant_id):
        widgets = await _load_all(ctx, [(w, None) for w in dashboard.widgets])
    return {"key": dashboard.key, "label": pick(dashboard.label, ctx.locale), "widgets": widgets}


async def _load_all(ctx: Context, wanted: Sequence[tuple[WidgetDef, Any]]) -> list[dict[str, Any]]:
    """All figures of a page, in order. When its time is used up the rest says so: a page must not take as long as all of its figures may."""
    until, found = time.monotonic() + limits.REPORT_SECONDS, []
    for widget, extra in wanted:
        late = time.monotonic() > until
        found.append(widget_types.get(widget.type).unread(ctx, widget) if late else await load_widget(ctx, widget, extra))
    return found


async def load_widget(ctx: Context, widget: WidgetDef, extra: Any = None) -> dict[str, Any]:
    """One widget for this reader; `extra` is a filter of theirs."""
    return await widget_types.get(widget.type).load(ctx, widget, extra)


def report_of(ctx: Context, key: str) -> ReportDef:
    report = ctx.config.reports.get(key)
    if report is None:
        raise NotFound(lazy("There is no report “%(key)s”.", key=key))
    if not permissions.may_report(ctx, key):
        raise PermissionDenied(lazy("Your role does not include this report."))
    return report


def _dashboard_of(ctx: Context, key: str) -> DashboardDef:
    dashboard = ctx.config.dashboards.get(key)
    if dashboard is None:
        raise NotFound(lazy("There is no dashboard “%(key)s”.", key=key))
    if not permissions.may_dashboard(ctx, key):
        raise PermissionDenied(lazy("Your role does not include this dashboard."))
    return dashboard


# ---- parameters --------------------------------------------------------------------------------------------------------


def param_filter(ctx: Context, report: ReportDef, widget: WidgetDef, given: Mapping[str, Any]) -> Any:
    """The parameters as a filter of one widget. One whose field the widget's entity does not have leaves it as it is."""
    return both(*(_condition(ctx, p, given) for p in report.params if _applies(ctx, p, widget.entity)))


def _applies(ctx: Context, param: ParamDef, entity_key: str) -> bool:
    found = resolve(ctx.config, entity_key, param.field)
    return found is not None and expr_type(ctx.config, found[1]) in SUITS[param.kind] and visible(ctx, entity_key, param.field)


def _entity_of(ctx: Context, report: ReportDef, param: ParamDef) -> str | None:
    """The first widget's entity that has the parameter's field for this reader."""
    return next((w.entity for w in report.widgets if _applies(ctx, param, w.entity)), None)


def _text(given: Mapping[str, Any], key: str) -> str:
    value = given.get(key)
    return value.strip() if isinstance(value, str) else str(value) if isinstance(value, int) else ""


def _condition(ctx: Context, param: ParamDef, given: Mapping[str, Any]) -> Any:
    value = _text(given, param.key)
    if param.kind == "year":
        return _year(param, value) if value else None
    if param.kind == "period":
        return _period(param, value, _text(given, f"{param.key}_from"), _text(given, f"{param.key}_to"))
    if not value:
        return None
    if param.kind == "user":
        return {"field": param.field, "op": "eq", "value": "me()" if value == "me" else value}
    return {"field": param.field, "op": "in", "value": value.split(",")}


def _year(param: ParamDef, value: str) -> Any:
    if not (value.isascii() and value.isdigit() and 1 < int(value) < 9999):
        raise BadRequest(lazy("“%(value)s” is not a year.", value=value[:20]), field=param.key)
    return between(param.field, date(int(value), 1, 1), date(int(value), 12, 31))


def _period(param: ParamDef, value: str, start: str, end: str) -> Any:
    if ".." in value:
        start, _dots, end = value.partition("..")
    elif value:
        return {"field": param.field, "op": "relative", "value": value}
    first, last = _day(param, start), _day(param, end)
    if first and last:
        return between(param.field, first, last)
    if first:
        return {"field": param.field, "op": "gte", "value": first.isoformat()}
    return {"field": param.field, "op": "lte", "value": last.isoformat()} if last else None


def _day(param: ParamDef, text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise BadRequest(lazy("“%(value)s” is not a date such as 2025-03-31.", value=text[:20]), field=param.key) from error


async def _param(conn: Any, ctx: Context, report: ReportDef, param: ParamDef, given: Mapping[str, Any]) -> dict[str, Any]:
    entity_key = _entity_of(ctx, report, param)
    entity, field = resolve(ctx.config, entity_key, param.field)
    if param.kind == "year":
        choices = [{"key": str(y), "text": str(y)} for y in await _years(ctx, report, param)]
    elif param.kind == "period":
        with use_locale(ctx.locale):
            choices = [{"key": k, "text": str(t)} for k, t in PERIODS.items()]
    elif param.kind == "option":
        choices = [{"key": o.key, "text": pick(o.label, ctx.locale)} for o in ctx.config.options(entity.key, field.key)]
    else:
        choices = await _people(conn, ctx, field.options.get("roles") or ())
    return {
        "key": param.key, "kind": param.kind, "label": pick(param.label, ctx.locale) or pick(field.label, ctx.locale),
        "value": _text(given, param.key), "from": _text(given, f"{param.key}_from"), "to": _text(given, f"{param.key}_to"), "choices": choices,
    }  # fmt: skip


async def _years(ctx: Context, report: ReportDef, param: ParamDef) -> list[int]:
    """The years in which the reader has records, newest first."""
    years: set[int] = set()
    for entity_key in dict.fromkeys(w.entity for w in report.widgets if _applies(ctx, param, w.entity)):
        rows = await execute(
            ctx, ops.Aggregate(entity=entity_key, measures=[ops.Measure(fn="count")], dimensions=[ops.Dimension(field=param.field, bucket="year")])
        )
        years.update(int(r.keys[0][:4]) for r in rows if r.keys[0])
    return sorted(years, reverse=True)[:50]


async def _people(conn: Any, ctx: Context, roles: Iterable[str]) -> list[dict[str, str]]:
    found = await conn.fetch(
        "SELECT u.id, u.name FROM app_user u WHERE u.tenant_id = $1 AND u.status = 'active' AND (cardinality($2::text[]) = 0 OR EXISTS "
        "(SELECT 1 FROM user_role r WHERE r.tenant_id = u.tenant_id AND r.user_id = u.id AND r.role_key = ANY($2))) ORDER BY u.name, u.id LIMIT $3",
        ctx.tenant_id, list(roles), MAX_PEOPLE,
    )  # fmt: skip
    with use_locale(ctx.locale):
        me = [{"key": "me", "text": gettext("Me")}] if ctx.user and any(r["id"] == ctx.user_id for r in found) else []
    return [*me, *({"key": str(r["id"]), "text": r["name"]} for r in found)]


# ---- for spreadsheets --------------------------------------------------------------------------------------------------


async def report_rows(ctx: Context, key: str, params: Mapping[str, Any] | None, widget_key: str) -> dict[str, Any]:
    """One widget of a report as a sheet: {title, columns: [label], rows: [[value]]}; numbers are numbers.

    A table of records leaves the system here, so it shows what the person may export. Errors: NotFound, PermissionDenied, BadRequest.
    """
    report = report_of(ctx, key)
    widget = next((w for w in report.widgets if w.key == widget_key), None)
    if widget is None:
        raise NotFound(lazy("There is no such figure in this report."))
    extra = param_filter(ctx, report, widget, params or {})
    title = pick(widget.label, ctx.locale)
    if widget.type in ("table", "list") and widget.options.get("columns"):
        return {"title": title, **await _record_rows(ctx, widget, extra)}
    view = await load_widget(ctx, widget, extra)
    if view["denied"]:
        raise PermissionDenied()
    if view["error"]:
        raise BadRequest(view["error"])
    return {"title": title, **_figure_rows(ctx, view)}


async def report_sheets(ctx: Context, key: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """All widgets of a report as sheets, without those that the person may not see or take away."""
    sheets = []
    async with tenant_transaction(ctx.tenant_id) as conn:
        for widget in report_of(ctx, key).widgets:
            with contextlib.suppress(PermissionDenied, BadRequest):
                async with conn.transaction():
                    sheets.append(await report_rows(ctx, key, params, widget.key))
    return sheets


async def _record_rows(ctx: Context, widget: WidgetDef, extra: Any) -> dict[str, Any]:
    permissions.require(ctx, "export", widget.entity)
    columns = shown_columns(ctx, widget)
    async with tenant_transaction(ctx.tenant_id):
        records, more = await read_records(ctx, widget, columns, extra, MAX_SHEET_ROWS, right="export")
        others = await related(ctx, widget, columns, records)
    labels = [pick(resolve(ctx.config, widget.entity, c)[1].label, ctx.locale) for c in columns]
    rows = [[_sheet_value(r, c, others) for c in columns] for r in records]
    if more:
        with use_locale(ctx.locale):
            rows.append([gettext("Only the first %(count)s records stand here. Export the list itself to have them all.", count=f"{MAX_SHEET_ROWS:,}")])
    return {"columns": labels, "rows": rows}


def _sheet_value(record: ops.Record, column: str, others: Any) -> Any:
    head, _dot, rest = column.partition(".")
    source = others.get(head, {}).get(str(record.values.get(head))) if rest else record
    key = rest or head
    return plain(source.values.get(key), source.display.get(key, "")) if source else None


def plain(value: Any, text: str = "") -> Any:
    """A figure as a spreadsheet wants it: numbers and amounts as numbers, anything else as its text."""
    if isinstance(value, dict) and "amount" in value:
        return float(value["amount"])
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return text or (value if isinstance(value, str) else None)


def _figure_rows(ctx: Context, view: Mapping[str, Any]) -> dict[str, Any]:
    if view["type"] == "number":
        return {"columns": [view["label"]], "rows": [[plain(view["value"], view["text"])]]}
    if view["type"] == "table":
        rows = [[*r["labels"], *map(plain, r["values"], r["texts"])] for r in view["rows"]]
        with use_locale(ctx.locale):
            if view["totals"]:
                blank = [""] * (len(view["columns"]) - len(view["totals"]) - 1)
                rows.append([gettext("Total"), *blank, *map(plain, view["total_values"], view["totals"])])
        return {"columns": [c["label"] for c in view["columns"]], "rows": [*rows, *_noted(view)]}
    series = [s["name"] for s in view.get("series", ())]
    if view.get("sum_label"):
        series.append(view["sum_label"])
    rows = [[r["labels"][0], *map(plain, r["values"], r["texts"])] for r in (*view["rows"], *view.get("lost", ()))]
    return {"columns": [view.get("dimension", ""), *series], "rows": [*rows, *_noted(view)]}


def _noted(view: Mapping[str, Any]) -> list[list[str]]:
    """What the figures leave out, as a last line."""
    return [[view["note"]]] if view.get("note") else []


