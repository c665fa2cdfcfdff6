"""A few stars."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.config import Config
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.numbers import IntegerType, bound
from saas.runtime.fields._shared.schemas import options, prop

_CELL = Markup(
    '<span class="stars"><span aria-hidden="true">%s<span class="off">%s</span></span><span class="sr-only">%s</span></span>'
)


@field_types.register
class Rating(IntegerType):
    key = "rating"
    label = lazy("Rating")
    description = lazy("A few stars, such as how satisfied a customer is.")
    group = "number"
    icon = "star"
    groupable = True
    align_end = False
    grouped = True
    default_min, default_max = 1, 5
    expects = lazy("Choose a number of stars")
    options_schema = options(
        {
            "min": prop(N_("Fewest stars"), N_("Worst rating"), 1, type="integer", minimum=0, maximum=1),
            "max": prop(N_("Most stars"), N_("Best rating"), 5, type="integer", minimum=2, maximum=10),
        }
    )
    EXAMPLES = (1, 3, 5)
    BAD_EXAMPLES = (0, 6, 2.5, "many", True, 10**400, [3], float("nan"))

    def from_form(self, field: FieldDef, raw: list[str], config: Config) -> Any:
        """ "4", and "4/5" or "★★★★" from a file."""
        text = raw[-1].strip() if raw else ""
        if text and set(text) <= {"★", "☆"}:
            return text.count("★")
        return super().from_form(field, [text.removesuffix(f"/{bound(field, 'max', 5)}")], config)

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        return f"{value}/{bound(field, 'max', 5)}"

    def cell(self, field: FieldDef, value: Any, text: str, config: Config, locale: str) -> Markup | None:
        most = bound(field, "max", 5)
        if not isinstance(value, int) or not 0 <= value <= most:
            return None
        return _CELL % ("★" * value, "★" * (most - value), text)
