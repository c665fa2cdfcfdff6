"""Something happened to a record that belongs to this one: its rules look at children, and run for the parent."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import TriggerType, trigger_types
from saas.metadata.models import TriggerDef
from saas.runtime.acts import Happening

KINDS = ("create", "update", "delete", "restore")


@trigger_types.register
class ChildChange(TriggerType):
    key = "child_change"
    label = lazy("When something belonging to it changes")
    options_schema = {
        "type": "object",
        "description": N_("Runs for the record when one of the records in a list of it is made, changed or removed, or leaves the list."),
        "properties": {
            "of": {"type": "string", "maxLength": 100, "title": N_("Which list"), "x-control": "relation"},
            "kinds": {
                "type": "array", "items": {"type": "string", "enum": list(KINDS)}, "uniqueItems": True, "title": N_("What happens to it"), "description": N_("Nothing ticked: any of these."), "x-control": "choices",
                "x-labels": {"create": N_("is created"), "update": N_("is changed"), "delete": N_("is deleted"), "restore": N_("comes back")},
            },
            "changed": {"type": "array", "items": {"type": "string", "maxLength": 48}, "maxItems": 50, "title": N_("Only when one of these fields changed"), "x-control": "child_fields"},
        },
        "required": ["of"],
        "additionalProperties": False,
    }  # fmt: skip

    def matches(self, trigger: TriggerDef, change: Happening) -> bool:
        return False  # asked of the children

    def relation(self, trigger: TriggerDef) -> str | None:
        return str(trigger.options.get("of") or "")

    def matches_child(self, trigger: TriggerDef, change: Happening, field: str) -> bool:
        kinds, changed = trigger.options.get("kinds") or KINDS, trigger.options.get("changed")
        if change.kind not in KINDS:  # a transition is told of as an update, too
            return False
        if change.kind == "update" and field in change.changed:  # it left, or came
            return True
        return change.kind in kinds and (change.kind != "update" or not changed or bool(set(changed) & change.changed))


