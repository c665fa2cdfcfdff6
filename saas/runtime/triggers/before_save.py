"""A record is about to be written; its actions may only set, block or warn."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import TriggerType, trigger_types
from saas.metadata.models import TriggerDef
from saas.runtime.acts import Happening
from saas.runtime.triggers.update import FIELDS


@trigger_types.register
class BeforeSave(TriggerType):
    key = "before_save"
    label = lazy("Before a record is saved")
    options_schema = {
        "type": "object",
        "description": N_("Checks or completes the record while somebody saves it. It can set values, warn and refuse, nothing else."),
        "properties": {"fields": FIELDS},
        "additionalProperties": False,
    }

    def matches(self, trigger: TriggerDef, change: Happening) -> bool:
        return change.kind == "before_save" and (not trigger.fields or bool(set(trigger.fields) & change.changed))
