"""A record was changed, by an edit or a transition; `fields` narrows to changes of these."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import TriggerType, trigger_types
from saas.metadata.models import TriggerDef
from saas.runtime.acts import Happening

FIELDS = {"type": "array", "items": {"type": "string"}, "maxItems": 50, "title": N_("Only when one of these changed"), "description": N_("Nothing ticked: any change counts."), "x-control": "any_fields"}


@trigger_types.register
class Updated(TriggerType):
    key = "update"
    label = lazy("When a record is changed")
    options_schema = {"type": "object", "properties": {"fields": FIELDS}, "additionalProperties": False}

    def matches(self, trigger: TriggerDef, change: Happening) -> bool:
        return change.kind == "update" and (not trigger.fields or bool(set(trigger.fields) & change.changed))
