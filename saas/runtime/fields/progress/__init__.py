"""How far something has come: 0 to 100, drawn as a bar."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup, escape

from saas.i18n import lazy, pick
from saas.i18n import noop as N_
from saas.metadata.config import Config
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.numbers import IntegerType, band_of, format_number
from saas.runtime.fields._shared.schemas import COLORS, bands, options, prop
from saas.runtime.fields._shared.texts import encodable, narrow


@field_types.register
class Progress(IntegerType):
    key = "progress"
    label = lazy("Progress")
    description = lazy("How far something has come, from 0 to 100 %, drawn as a bar.")
    group = "number"
    icon = "progress"
    align_end = False
    default_min, default_max = 0, 100
    expects = lazy("Enter a whole number from 0 to 100")
    options_schema = options(
        {
            "step": prop(N_("Step"), N_("The slider moves by this much; any whole number can be typed"), 5, type="integer", minimum=1, maximum=50),
            "slider": prop(N_("Slider"), N_("Offer a slider beside the number"), True, type="boolean"),
            "bands": bands(N_("Names and colours of the bar from certain values on"), minimum=0, maximum=100),
        }
    )
    EXAMPLE_OPTIONS = {"step": 10, "bands": [{"from": 0, "color": "red"}, {"from": 80, "label": {"en": "Nearly", "zh_CN": "将近完成"}, "color": "green"}]}
    EXAMPLES = (0, 40, 80, 100)
    BAD_EXAMPLES = (-1, 101, 40.5, "half", True, [40], float("nan"), 10**400)

    def from_form(self, field: FieldDef, raw: list[str], config: Config) -> Any:
        text = encodable(raw[-1]).strip() if raw else ""
        found = super().from_form(field, [narrow(text).removesuffix("%")], config)
        return text if isinstance(found, str) else found

    def normalise(self, field: FieldDef, value: Any, config: Config) -> Any:
        return super().normalise(field, narrow(encodable(value)).strip().removesuffix("%") if isinstance(value, str) else value, config)

    def to_text(self, field: FieldDef, value: Any, text: str, config: Config) -> str:
        return f"{value}%"

    def without_unit(self, field: FieldDef, text: str) -> str:
        return text

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        text = format_number(value, 0 if isinstance(value, int) else 1, locale, trim=True) + "%"
        band = band_of(field, value)
        name = pick(band.get("label"), locale) if band else ""
        return f"{text} {name}" if name else text

    def cell(self, field: FieldDef, value: Any, text: str, config: Config, locale: str) -> Markup | None:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
            return None
        colour = (band_of(field, value) or {}).get("color")
        css = f" c-{colour}" if colour in COLORS else ""
        bar = f'<progress value="{value}" max="100" aria-hidden="true"></progress>'
        return Markup(f'<span class="progress-cell{css}">{bar}<span class="num">{escape(text)}</span></span>')
