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
from saas.runtime.fields._shared.numbers import INT8_MAX, INT8_MIN, IntegerType
from saas.runtime.fields._shared.schemas import COLORS, label_map, options, prop

_BOUND = {"type": ["integer", "null"], "minimum": INT8_MIN, "maximum": INT8_MAX}
_BAND = {
    "type": "object",
    "properties": {
        "from": prop(N_("From"), N_("Lowest value of the band"), 0, type="integer", minimum=INT8_MIN, maximum=INT8_MAX),
        "label": label_map(N_("Label"), N_("What people see")),
        "color": prop(N_("Colour"), N_("Colour of the badge"), "gray", type="string", enum=list(COLORS)),
    },
    "required": ["from"],
    "additionalProperties": False,
}


@field_types.register
class Score(IntegerType):
    key = "score"
    label = lazy("Score")
    icon = "chart-bar"
    options_schema = options(
        {
            "min": prop(N_("Lowest"), N_("Smallest value allowed"), None, **_BOUND),
            "max": prop(N_("Highest"), N_("Largest value allowed"), None, **_BOUND),
            "bands": prop(
                N_("Bands"), N_("Names and colours from certain values on"), [], type="array", items=_BAND, maxItems=20
            ),
        }
    )
    EXAMPLE_OPTIONS = {
        "min": 0, "max": 100,
        "bands": [{"from": 0, "label": {"en": "Cold", "zh_CN": "冷"}}, {"from": 60, "label": {"en": "Hot", "zh_CN": "热"}, "color": "red"}],
    }  # fmt: skip
    EXAMPLES = (0, 59, 60, 100)
    BAD_EXAMPLES = (-1, 101, 5.5, "high", True, [5], float("inf"))

    def band_of(self, field: FieldDef, value: int) -> Any:
        """The highest band that starts at or below the value, or None."""
        bands = [band for band in field.options.get("bands") or () if band["from"] <= value]
        return max(bands, key=lambda band: band["from"], default=None)

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        text = super().display(field, value, config, locale)
        band = self.band_of(field, value)
        name = pick(band.get("label"), locale) if band else ""
        return f"{text} {name}" if name else text

    def cell(self, field: FieldDef, value: Any, text: str, config: Config, locale: str) -> Markup | None:
        band = self.band_of(field, value) if isinstance(value, int) else None
        return badge(band.get("color", "gray"), text) if band else None
