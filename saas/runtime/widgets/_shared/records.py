"""Lists of records inside widgets: the chosen columns as texts, with links."""

from __future__ import annotations

from typing import Any

from saas.i18n import noop as N_
from saas.i18n import pick
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef, WidgetDef
from saas.runtime import operations as ops
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.door import execute
from saas.runtime.query import MAX_LIMIT
from saas.runtime.views import default_columns
from saas.runtime.widgets._shared.drill import Drill
from saas.runtime.widgets._shared.reading import resolve, visible

COLUMNS = {"type": "array", "title": N_("Columns"), "items": {"type": "string", "maxLength": 150}, "maxItems": 20, "default": [], "x-control": "paths"}


def shown_columns(ctx: Context, widget: WidgetDef) -> list[str]:
    """The columns the reader may see; masked ones stay (they show their mask), hidden ones are left out."""
    entity = ctx.config.entity(widget.entity)
    asked = widget.options.get("columns") or default_columns(entity)
    access = permissions.static_access(ctx, entity)
    return [c for c in asked if (visible(ctx, widget.entity, c) if "." in c else access.get(c, "hidden") != "hidden")]


async def read_records(ctx: Context, widget: WidgetDef, columns: list[str], extra: Any, limit: int, *, right: str = "read") -> tuple[list[ops.Record], bool]:
    """At most `limit` records in the widget's order, and whether there are more."""
    entity = ctx.config.entity(widget.entity)
    sort = [s for s in (widget.sort or "").split(",") if s and visible(ctx, widget.entity, s.lstrip("-"))]
    fields = list(dict.fromkeys(c.partition(".")[0] for c in columns if c.partition(".")[0] in entity.fields))
    found: list[ops.Record] = []
    after: str | None = None
    while True:
        page = await execute(
            ctx,
            ops.List(
                entity=widget.entity, within=widget.filter, filter=extra, sort=sort, fields=fields, limit=min(limit - len(found), MAX_LIMIT),
                after=after, right=right,
            ),
        )  # fmt: skip
        found += page.records
        after = page.next
        if after is None or len(found) >= limit:
            return found, after is not None


async def related(ctx: Context, widget: WidgetDef, columns: list[str], records: list[ops.Record]) -> dict[str, dict[str, ops.Record]]:
    """{ref field: {id: record}} for columns over a ref, one query each, under the reader's rights."""
    entity = ctx.config.entity(widget.entity)
    wanted: dict[str, list[str]] = {}
    for column in columns:
        head, _, rest = column.partition(".")
        if rest:
            wanted.setdefault(head, []).append(rest.partition(".")[0])
    found: dict[str, dict[str, ops.Record]] = {}
    for head, fields in wanted.items():
        ids = sorted({str(r.values[head]) for r in records if r.values.get(head)})
        found[head] = {}
        for start in range(0, len(ids), MAX_LIMIT):
            page = await execute(
                ctx,
                ops.List(
                    entity=entity.fields[head].options["to"], filter={"field": "id", "op": "in", "value": ids[start : start + MAX_LIMIT]},
                    fields=list(dict.fromkeys(fields)), limit=MAX_LIMIT,
                ),
            )  # fmt: skip
            found[head].update({str(r.id): r for r in page.records})
    return found


async def record_table(ctx: Context, widget: WidgetDef, extra: Any) -> dict[str, Any]:
    columns = shown_columns(ctx, widget)
    if not columns:
        return {"denied": True}
    records, more = await read_records(ctx, widget, columns, extra, widget.limit)
    others = await related(ctx, widget, columns, records)
    entity = ctx.config.entity(widget.entity)
    defs = [resolve(ctx.config, widget.entity, c) for c in columns]
    return {
        "columns": [_column(ctx, c, found) for c, found in zip(columns, defs, strict=True)],
        "rows": [
            {
                "id": str(r.id), "drill": f"/r/{widget.entity}/{r.id}", "title": r.title,
                "cells": [_cell(ctx, c, found, r, others, link=c == entity.defn.title) for c, found in zip(columns, defs, strict=True)],
            }
            for r in records
        ],
        "totals": [], "records": True, "more": more, "drill": Drill(ctx, widget, extra).url(), "empty": not records,
    }  # fmt: skip


def _column(ctx: Context, key: str, found: Any) -> dict[str, Any]:
    field: FieldDef = found[1]
    kind, _result = field_types.get(field.type).result_of(field, ctx.config)
    return {"key": key, "label": pick(field.label, ctx.locale), "num": kind.align_end}


def _cell(ctx: Context, column: str, found: Any, record: ops.Record, others: Any, *, link: bool) -> dict[str, Any]:
    entity, field = found
    head, _, rest = column.partition(".")
    source = others.get(head, {}).get(str(record.values.get(head))) if rest else record
    key = rest or head
    value = source.values.get(key) if source else None
    cell = {"value": value, "text": source.display.get(key, "") if source else "", "drill": None, "color": None}
    if link and not rest:
        cell["drill"] = f"/r/{record.entity}/{record.id}"
    elif field.type in ("option", "pipeline") and isinstance(value, str):
        cell["color"] = next((o.color for o in ctx.config.options(entity.key, field.key) if o.key == value), None)
    return cell
