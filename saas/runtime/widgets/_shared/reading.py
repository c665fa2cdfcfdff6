"""Base of all widgets: what the reader may see of one, and the calm answer when that is nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from asyncpg import DataError
from babel.numbers import format_decimal

from saas.db import tenant_transaction
from saas.errors import BadRequest, PermissionDenied, TooSlow
from saas.i18n import gettext, pick, use_locale
from saas.metadata.config import Config, Entity
from saas.metadata.kinds import WidgetType
from saas.metadata.models import FieldDef, MeasureDef, WidgetDef
from saas.runtime import operations as ops
from saas.runtime import permissions
from saas.runtime.aggregates import MAX_ROWS
from saas.runtime.context import Context
from saas.runtime.door import execute

COUNT = MeasureDef("count")
TEXT = {"type": ["string", "null"], "maxLength": 200, "default": None}


class FigureWidget(WidgetType):
    """A subclass reads its figures in `figures`; `load` keeps what the reader may not see away from it.

    `load` answers a JSON-serialisable dict, the same for page and API: always type, title, help, width; then either
    "denied" (true), "error" (text), or the figures, with "empty" true when there are none.
    """

    async def load(self, ctx: Context, widget: WidgetDef, extra_filter: Any = None) -> dict[str, Any]:
        head = self.head(ctx, widget)
        if not self.allowed(ctx, widget):
            return {**head, "denied": True}
        try:
            # A savepoint: figures that cannot be computed (a division by zero) leave the page's transaction usable.
            async with tenant_transaction(ctx.tenant_id) as conn, conn.transaction():
                return {**head, **await self.figures(ctx, widget, extra_filter)}
        except PermissionDenied:
            return {**head, "denied": True}
        except (BadRequest, TooSlow) as error:
            return {**head, "error": str(error.message)}
        except DataError:
            with use_locale(ctx.locale):
                return {**head, "error": gettext("These figures cannot be computed from the present values.")}

    def head(self, ctx: Context, widget: WidgetDef) -> dict[str, Any]:
        """What every answer begins with. "note": a sentence about what the figures leave out, "" where they are whole."""
        return {
            "key": widget.key, "type": self.key, "title": pick(widget.label, ctx.locale), "help": pick(widget.help, ctx.locale),
            "entity": widget.entity, "width": widget.width, "denied": False, "error": None, "empty": False, "note": "",
        }  # fmt: skip

    def unread(self, ctx: Context, widget: WidgetDef) -> dict[str, Any]:
        """The answer when the page's time was used up by the figures before."""
        with use_locale(ctx.locale):
            text = gettext("The figures above took so long that these were not read. Narrow the report down, or open it again later.")
        return {**self.head(ctx, widget), "error": text}

    def allowed(self, ctx: Context, widget: WidgetDef) -> bool:
        """May the reader see the entity and every field the figures are made of?"""
        return permissions.may(ctx, "read", widget.entity) and all(visible(ctx, widget.entity, path) for path in self.paths(widget))

    def paths(self, widget: WidgetDef) -> Iterable[str]:
        yield from (m.field for m in widget.measures if m.field)
        yield from (d.field for d in widget.dimensions)

    async def figures(self, ctx: Context, widget: WidgetDef, extra: Any) -> dict[str, Any]:
        raise NotImplementedError


def resolve(config: Config, entity_key: str, path: str) -> tuple[Entity, FieldDef] | None:
    """The entity and field a path over refs ends at; None where there is no such field."""
    entity = config.entities.get(entity_key)
    parts = path.split(".")
    for part in parts[:-1]:
        field = entity.fields.get(part) if entity else None
        entity = config.entities.get(field.options.get("to", "")) if field else None
    field = entity.fields.get(parts[-1]) if entity else None
    return (entity, field) if entity and field else None


def visible(ctx: Context, entity_key: str, path: str) -> bool:
    """May the reader name this field in figures: each step readable, none hidden or masked?"""
    entity = ctx.config.entities.get(entity_key)
    for part in path.split("."):
        if entity is None or part not in entity.fields or not permissions.may(ctx, "read", entity.key):
            return False
        if not ctx.unrestricted and permissions.static_access(ctx, entity).get(part, "hidden") in ("hidden", "masked"):
            return False
        entity = ctx.config.entities.get(entity.fields[part].options.get("to", ""))
    return True


async def aggregate(
    ctx: Context,
    widget: WidgetDef,
    measures: Iterable[MeasureDef],
    dimensions: Iterable[Any] = (),
    extra: Any = None,
    *,
    sort: str | None = None,
    limit: int = MAX_ROWS,
) -> list[ops.AggregateRow]:
    """The widget's rows through the one door: its own filter is the configuration's, `extra` the reader's."""
    return await execute(
        ctx,
        ops.Aggregate(
            entity=widget.entity,
            measures=[ops.Measure(fn=m.fn, field=m.field) for m in measures],
            dimensions=[ops.Dimension(field=d.field, bucket=d.bucket) for d in dimensions],
            within=widget.filter, filter=extra, sort=sort, limit=limit,
        ),
    )  # fmt: skip


def shortened(ctx: Context, rows: int, shown: int, *, cut: bool) -> str:
    """The note of figures that leave something out, "" where they are whole: `rows` groups were read, of which the first `shown` stand
    here when they were `cut`."""
    with use_locale(ctx.locale):
        if rows >= MAX_ROWS:
            return gettext("Only the first %(count)s groups were read. Narrow the figures down, or group them by something coarser.", count=format_decimal(MAX_ROWS, locale=ctx.locale))
        return gettext("Only the first %(count)s are shown.", count=format_decimal(shown, locale=ctx.locale)) if cut else ""


def both(*filters: Any) -> Any:
    """One filter of several; None where all are empty. Nested "and"s are made flat, so that depth stays small."""
    parts: list[Any] = []
    for item in filters:
        if item in (None, "", {}, []):
            continue
        if isinstance(item, str):
            item = {"expr": item}
        if isinstance(item, Mapping) and set(item) == {"and"}:
            parts.extend(item["and"])
        else:
            parts.append(item)
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else {"and": parts}
