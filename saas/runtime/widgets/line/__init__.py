"""A line over time or another order."""

from __future__ import annotations

from saas.i18n import lazy
from saas.metadata.kinds import widget_types
from saas.runtime.widgets._shared.charts import ChartWidget


@widget_types.register
class Line(ChartWidget):
    key = "line"
    label = lazy("Line chart")
    icon = "chart-line"
    about = lazy("How something moves over time")
    over_time = True
