"""A record was created."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import TriggerType, trigger_types
from saas.metadata.models import TriggerDef
from saas.runtime.acts import Happening


@trigger_types.register
class Created(TriggerType):
    key = "create"
    label = lazy("When a record is created")
    options_schema = {"type": "object", "description": N_("Also when it is imported, or made by another rule."), "properties": {}, "additionalProperties": False}

    def matches(self, trigger: TriggerDef, change: Happening) -> bool:
        return change.kind == "create"
