"""Links from a figure to exactly the records behind it."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

from saas.errors import AppError
from saas.metadata.models import DimensionDef, WidgetDef
from saas.runtime.aggregates import bucket_end
from saas.runtime.context import Context
from saas.runtime.query import Query
from saas.runtime.sql import expr_type
from saas.runtime.widgets._shared.reading import both, resolve


def list_url(entity_key: str, filter_: Any = None) -> str:
    if not filter_:
        return f"/r/{entity_key}"
    return f"/r/{entity_key}?filter={quote(json.dumps(filter_, ensure_ascii=False, separators=(',', ':')), safe='')}"


class Drill:
    """Links for one widget. Where the widget's own filter names what the reader may not, the list would refuse it, so there
    are no links."""

    def __init__(self, ctx: Context, widget: WidgetDef, extra: Any = None) -> None:
        self.ctx, self.widget = ctx, widget
        self.base = both(widget.filter, extra)
        self.possible = True
        try:
            Query(ctx, ctx.config.entity(widget.entity)).filter(self.base)
        except AppError:
            self.possible = False

    def url(self, *conditions: Any) -> str | None:
        """`conditions`: filters to add; None among them means that one cannot be stated, so there is no link."""
        if not self.possible or any(c is None for c in conditions):
            return None
        return list_url(self.widget.entity, both(self.base, *conditions))

    def at(self, dimensions: Any, keys: Any) -> str | None:
        """The records of one row of figures."""
        return self.url(*(condition(self.ctx, self.widget.entity, d, k) for d, k in zip(dimensions, keys, strict=False)))


def condition(ctx: Context, entity_key: str, dimension: DimensionDef, key: Any) -> dict[str, Any] | None:
    """The filter that a dimension has this value."""
    if key is None or key == "":
        return {"field": dimension.field, "op": "is_empty", "value": True}
    found = resolve(ctx.config, entity_key, dimension.field)
    if found is None:
        return None
    entity, field = found
    kind = expr_type(ctx.config, field)
    if dimension.bucket:
        first = date.fromisoformat(key)
        return between(dimension.field, first, bucket_end(first, dimension.bucket) - timedelta(days=1))
    if kind == "list":
        return {"field": dimension.field, "op": "contains", "value": key}
    if kind == "option" and field.type in ("option", "pipeline") and key not in {o.key for o in ctx.config.options(entity.key, field.key)}:
        return None  # an option that was removed: the filter would not know it
    return {"field": dimension.field, "op": "eq", "value": key}


def between(field: str, first: date, last: date) -> dict[str, Any]:
    """Days in the tenant's zone, both included; suits dates and moments."""
    return {"field": field, "op": "between", "value": [first.isoformat(), last.isoformat()]}
