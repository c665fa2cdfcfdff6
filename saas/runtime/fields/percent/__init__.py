"""Percentages: 40 is 40 %."""

from __future__ import annotations

from typing import Any

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.config import Config
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.numbers import NumberType
from saas.runtime.fields._shared.schemas import options, prop
from saas.runtime.fields._shared.texts import encodable, narrow


@field_types.register
class Percent(NumberType):
    key = "percent"
    label = lazy("Percent")
    description = lazy("A share in percent, such as a discount or a probability.")
    group = "number"
    icon = "percent"
    storage = "float"
    default_min, default_max = 0, 100
    expects = lazy("Enter a percentage such as 40")
    options_schema = options(
        {
            "scale": prop(N_("Decimals"), N_("How many decimals are kept and shown"), 0, type="integer", minimum=0, maximum=6),
            "min": prop(N_("Lowest"), N_("Smallest value allowed"), 0, type="number", minimum=-1_000_000, maximum=1_000_000),
            "max": prop(N_("Highest"), N_("Largest value allowed"), 100, type="number", minimum=-1_000_000, maximum=1_000_000),
        }
    )
    EXAMPLE_OPTIONS = {"scale": 1}
    EXAMPLES = (0, 40, 99.5, 100)
    BAD_EXAMPLES = (101, -1, 40.25, "forty", True, float("nan"))

    def digits_of(self, field: FieldDef) -> int:
        return field.options.get("scale", 0)

    def from_form(self, field: FieldDef, raw: list[str], config: Config) -> Any:
        text = encodable(raw[-1]).strip() if raw else ""
        bare = narrow(text).removesuffix("%")
        found = super().from_form(field, [bare], config)
        return text if isinstance(found, str) else found

    def to_text(self, field: FieldDef, value: Any, text: str, config: Config) -> str:
        return super().to_text(field, value, text, config) + "%"

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        return super().display(field, value, config, locale) + "%"
