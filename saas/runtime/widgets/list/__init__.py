"""A few records, such as my open tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from saas.i18n import lazy
from saas.metadata.kinds import WidgetParts, widget_types
from saas.metadata.models import WidgetDef
from saas.runtime.context import Context
from saas.runtime.widgets._shared.reading import FigureWidget
from saas.runtime.widgets._shared.records import COLUMNS, record_table


@widget_types.register
class RecordList(FigureWidget):
    key = "list"
    label = lazy("List of records")
    icon = "list"
    about = lazy("A few records, such as my open tasks")
    options_schema = {"type": "object", "properties": {"columns": COLUMNS}, "additionalProperties": False}

    def parts(self, options: Mapping[str, Any]) -> WidgetParts:
        return WidgetParts(orders="records")

    def paths(self, widget: WidgetDef) -> Iterable[str]:
        return ()

    async def figures(self, ctx: Context, widget: WidgetDef, extra: Any) -> dict[str, Any]:
        return await record_table(ctx, widget, extra)
