"""A number judged by bands: cold, warm, hot."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from saas.i18n import lazy, pick
from saas.i18n import noop as N_
from saas.metadata.config import Config
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.choices import badge
from saas.runtime.fields._shared.numbers import INT8_MAX, INT8_MIN, IntegerType, band_of
from saas.runtime.fields._shared.schemas import bands, options, prop

_BOUND = {"type": ["integer", "null"], "minimum": INT8_MIN, "maximum": INT8_MAX}


@field_types.register
class Score(IntegerType):
    key = "score"
    label = lazy("Score")
    description = lazy("A number with named bands, such as cold, warm and hot.")
    group = "number"
    icon = "chart-bar"
    options_schema = options(
        {
            "min": prop(N_("Lowest"), N_("Smallest value allowed"), None, **_BOUND),
            "max": prop(N_("Highest"), N_("Largest value allowed"), None, **_BOUND),
            "bands": bands(N_("Names and colours from certain values on"), minimum=INT8_MIN, maximum=INT8_MAX),
        }
    )
    EXAMPLE_OPTIONS = {
        "min": 0, "max": 100,
        "bands": [{"from": 0, "label": {"en": "Cold", "zh_CN": "冷"}}, {"from": 60, "label": {"en": "Hot", "zh_CN": "热"}, "color": "red"}],
    }  # fmt: skip
    EXAMPLES = (0, 59, 60, 100)
    BAD_EXAMPLES = (-1, 101, 5.5, "high", True, [5], float("inf"))

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        text = super().display(field, value, config, locale)
        band = band_of(field, value)
        name = pick(band.get("label"), locale) if band else ""
        return f"{text} {name}" if name else text

    def cell(self, field: FieldDef, value: Any, text: str, config: Config, locale: str) -> Markup | None:
        band = band_of(field, value) if isinstance(value, int) else None
        return badge(band.get("color", "gray"), text) if band else None
