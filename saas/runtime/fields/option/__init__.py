"""One choice from a set or an inline list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import LazyString, lazy
from saas.metadata.config import Config
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.choices import ChoiceType, option_map, retired_problems
from saas.runtime.fields._shared.schemas import choice_options

EXAMPLE_CHOICES = [
    {"key": "gold", "label": {"en": "Gold", "zh_CN": "金牌"}, "color": "yellow"},
    {"key": "silver", "label": {"en": "Silver", "zh_CN": "银牌"}},
    {"key": "old", "label": {"en": "Old <b>"}, "active": False},
]


@field_types.register
class Option(ChoiceType):
    key = "option"
    label = lazy("Choice")
    description = lazy("One choice from a list of yours, shown as a coloured label.")
    group = "choice"
    options_schema = choice_options(depends=True)
    EXAMPLE_OPTIONS = {"options": EXAMPLE_CHOICES}
    EXAMPLES = ("gold", "silver", "old")
    BAD_EXAMPLES = ("bronze", "Gold", 5, True, ["gold"], {"key": "gold"}, "gold\x00", "\ud800")

    def problems_among(
        self, field: FieldDef, value: Any, old: Any, values: Mapping[str, Any], config: Config
    ) -> list[tuple[str, LazyString]]:
        depends_on = field.options.get("depends_on")
        option = option_map(field, config).get(value)
        if depends_on and option and option.parent and option.parent != values.get(depends_on):
            return [("wrong_parent", lazy("This option does not belong to the other choice."))]
        return retired_problems(field, [value], old, config)
