"""Several choices from a set or an inline list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import LazyString, lazy
from saas.metadata.config import Config
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.choices import ChoiceListType, find_option, option_map, retired_problems
from saas.runtime.fields._shared.schemas import choice_options


@field_types.register
class Multi(ChoiceListType):
    key = "multi"
    label = lazy("Several choices")
    description = lazy("Several choices from a list of yours.")
    group = "choice"
    icon = "list"
    grouped = True
    expects = lazy("Choose among the options")
    options_schema = choice_options(depends=True)
    EXAMPLE_OPTIONS = {
        "options": [
            {"key": "mail", "label": {"en": "Mail", "zh_CN": "邮件"}, "color": "blue"},
            {"key": "visit", "label": {"en": "Visit", "zh_CN": "拜访"}},
        ]
    }
    EXAMPLES = (["mail"], ["visit", "mail"])
    BAD_EXAMPLES = (["fax"], [5], {"mail": True}, 5, True, [["mail"]], ["mail\x00"], ["\ud800"])

    def value_schema(self, field: FieldDef, config: Config) -> dict[str, Any]:
        keys = list(option_map(field, config))
        items = {"enum": keys} if keys else {"not": {}}
        return {"type": "array", "items": items, "minItems": 1, "maxItems": 1000, "uniqueItems": True}

    def problems_among(
        self, field: FieldDef, value: Any, old: Any, values: Mapping[str, Any], config: Config
    ) -> list[tuple[str, LazyString]]:
        depends_on = field.options.get("depends_on")
        parent = values.get(depends_on) if depends_on else None
        allowed = parent if isinstance(parent, list) else [parent]
        options = option_map(field, config)
        if depends_on and any(key in options and options[key].parent and options[key].parent not in allowed for key in value):
            return [("wrong_parent", lazy("This option does not belong to the other choice."))]
        return retired_problems(field, value, old, config)

    def from_form(self, field: FieldDef, raw: list[str], config: Config) -> Any:
        """A hidden empty value comes first, so that nothing ticked is posted too."""
        return self.normalise(field, [find_option(field, item, config) for item in raw], config)
