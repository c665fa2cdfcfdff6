"""What became of a message about the record: it was sent, delivered, could not be, was only recorded, or left out because nobody wants it."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import TriggerType, trigger_types
from saas.metadata.models import TriggerDef
from saas.runtime.acts import Happening

STATES = {"sent": N_("Sent"), "delivered": N_("Delivered"), "failed": N_("Failed"), "recorded": N_("Recorded only"), "left_out": N_("Left out")}


@trigger_types.register
class Message(TriggerType):
    key = "message"
    label = lazy("When it is known what became of a message")
    options_schema = {
        "type": "object",
        "description": N_("After a message about the record left, arrived, or could not be sent for good. Attempts that are made again by themselves do not count."),
        "properties": {
            "states": {"type": "array", "items": {"type": "string", "enum": list(STATES)}, "maxItems": 5, "uniqueItems": True, "title": N_("What became of it"), "description": N_("Nothing chosen: anything."), "x-labels": STATES},
            "template": {"type": "string", "maxLength": 48, "title": N_("Message"), "description": N_("Nothing chosen: any message."), "x-control": "message_template"},
            "channel": {"type": "string", "enum": ["email", "sms", "in_app"], "title": N_("Way"), "x-labels": {"email": N_("E-mail"), "sms": N_("Text message"), "in_app": N_("In the product")}},
        },
        "additionalProperties": False,
    }  # fmt: skip

    def matches(self, trigger: TriggerDef, change: Happening) -> bool:
        if change.kind != "message":
            return False
        template, channel, state = (change.source or "::").split(":")
        options = trigger.options
        return (not options.get("states") or state in options["states"]) and options.get("template") in (None, "", template) and options.get("channel") in (None, "", channel)
