"""The same steps for each of the record's children. Its steps are walked by saas.runtime.steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime.steps import EACH_LIMIT, EACH_MOST


@action_types.register
class Each(ActionType):
    key = "each"
    label = lazy("For each …")
    icon = "list-details"
    nests = ("do",)
    can_retry = False
    formulas = {"where": "bool"}
    options_schema = {
        "type": "object",
        "description": N_("Does the steps inside once for each record that belongs to this one, in the order in which they were made."),
        "properties": {
            "of": {"type": "string", "maxLength": 100, "title": N_("Of which list"), "x-control": "relation"},
            "where": {"type": "string", "maxLength": 2000, "title": N_("Only those for which"), "x-control": "condition"},
            "limit": {"type": "integer", "minimum": 1, "maximum": EACH_MOST, "default": EACH_LIMIT, "title": N_("At most so many"), "description": N_("If there are more, the run fails instead of leaving some out.")},
        },
        "required": ["of"],
        "additionalProperties": False,
    }  # fmt: skip

    def relation(self, options: Mapping[str, Any]) -> str | None:
        return str(options.get("of") or "")
