"""A record moved along its pipeline; `from`, `to` and `key` narrow it."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import TriggerType, trigger_types
from saas.metadata.models import TriggerDef
from saas.runtime.acts import Happening

_STAGE = {"type": "string", "maxLength": 48, "x-control": "stage"}


@trigger_types.register
class Moved(TriggerType):
    key = "transition"
    label = lazy("When a record moves to another stage")
    options_schema = {
        "type": "object",
        "description": N_("A stage or transition that is left open means any."),
        "properties": {
            "from": {**_STAGE, "title": N_("From stage")},
            "to": {**_STAGE, "title": N_("To stage")},
            "key": {"type": "string", "maxLength": 48, "title": N_("Transition"), "x-control": "transition"},
        },
        "additionalProperties": False,
    }

    def matches(self, trigger: TriggerDef, change: Happening) -> bool:
        return (
            change.kind == "transition"
            and trigger.source in (None, change.old.state if change.old else None)
            and trigger.to in (None, change.row.state)
            and trigger.transition in (None, change.transition)
        )
