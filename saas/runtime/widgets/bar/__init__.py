"""Bars by category; a second dimension stacks them."""

from __future__ import annotations

from saas.i18n import lazy
from saas.metadata.kinds import widget_types
from saas.runtime.widgets._shared.charts import ChartWidget


@widget_types.register
class Bar(ChartWidget):
    key = "bar"
    label = lazy("Bar chart")
    icon = "chart-bar"
    about = lazy("Compares a few things, or stacks them")
