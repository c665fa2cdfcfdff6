"""A record was deleted."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import TriggerType, trigger_types
from saas.metadata.models import TriggerDef
from saas.runtime.acts import Happening


@trigger_types.register
class Deleted(TriggerType):
    key = "delete"
    label = lazy("When a record is deleted")
    options_schema = {"type": "object", "description": N_("When it goes to the recycle bin."), "properties": {}, "additionalProperties": False}

    def matches(self, trigger: TriggerDef, change: Happening) -> bool:
        return change.kind == "delete"
