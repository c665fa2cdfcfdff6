"""Areas over time, stacked by a second dimension."""

from __future__ import annotations

from saas.i18n import lazy
from saas.metadata.kinds import widget_types
from saas.runtime.widgets._shared.charts import ChartWidget


@widget_types.register
class Area(ChartWidget):
    key = "area"
    label = lazy("Area chart")
    icon = "chart-area"
    about = lazy("How much, over time")
    over_time = True
