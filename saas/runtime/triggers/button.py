"""Somebody pressed a button on the record's page. The rule's condition says when the button is there."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import TriggerType, trigger_types
from saas.metadata.models import TriggerDef
from saas.runtime.acts import Happening

TEXT = {"type": "object", "additionalProperties": {"type": "string", "maxLength": 200}, "x-control": "label"}


@trigger_types.register
class Button(TriggerType):
    key = "button"
    label = lazy("When somebody presses a button")
    options_schema = {
        "type": "object",
        "description": N_("The button stands on the record's page, for those who may press it, while the condition below holds."),
        "properties": {
            "text": {**TEXT, "title": N_("Text of the button"), "description": N_("Empty: the rule's name.")},
            "roles": {"type": "array", "items": {"type": "string", "maxLength": 48}, "maxItems": 50, "title": N_("Who may press it"), "description": N_("Nobody ticked: whoever may change the record."), "x-control": "roles"},
            "confirm": {**TEXT, "title": N_("Question before")},
            "style": {"type": "string", "enum": ["default", "primary", "danger"], "default": "default", "title": N_("Look of the button"), "x-labels": {"default": N_("plain"), "primary": N_("important"), "danger": N_("dangerous")}},
        },
        "additionalProperties": False,
    }  # fmt: skip

    def matches(self, trigger: TriggerDef, change: Happening) -> bool:
        return False  # only by being pressed
