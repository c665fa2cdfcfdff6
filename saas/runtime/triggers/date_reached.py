"""A date of the record has come, or is so many days and hours away or past: once for each value of the date."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import TriggerType, trigger_types
from saas.metadata.models import TriggerDef
from saas.runtime.acts import Happening


@trigger_types.register
class DateReached(TriggerType):
    key = "date_reached"
    label = lazy("When a date is reached")
    options_schema = {
        "type": "object",
        "description": N_("Runs once for each value of the date, by the workspace's clock. When the date is changed it counts anew; what lies before the day the rule was switched on is not made up for."),
        "properties": {
            "date": {"type": "string", "maxLength": 48, "title": N_("Which date"), "x-control": "date_field"},
            "days": {"type": "integer", "minimum": -3650, "maximum": 3650, "default": 0, "title": N_("Days after it"), "description": N_("-3: three days before.")},
            "hours": {"type": "integer", "minimum": -8760, "maximum": 8760, "default": 0, "title": N_("Hours after it"), "description": N_("Together with the days.")},
            "at": {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "title": N_("At this time of the day"), "description": N_("For dates without a time, such as 08:00; empty: as the day begins.")},
        },
        "required": ["date"],
        "additionalProperties": False,
    }  # fmt: skip

    def matches(self, trigger: TriggerDef, change: Happening) -> bool:
        return False  # saas.runtime.date_rules begins these
