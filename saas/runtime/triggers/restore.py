"""A record was restored from the recycle bin."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import TriggerType, trigger_types
from saas.metadata.models import TriggerDef
from saas.runtime.acts import Happening


@trigger_types.register
class Restored(TriggerType):
    key = "restore"
    label = lazy("When a record is restored")
    options_schema = {"type": "object", "description": N_("When it comes back from the recycle bin."), "properties": {}, "additionalProperties": False}

    def matches(self, trigger: TriggerDef, change: Happening) -> bool:
        return change.kind == "restore"
