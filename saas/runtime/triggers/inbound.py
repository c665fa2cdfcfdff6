"""A record came from outside: by a web form, a webhook, an e-mail or an answer to a survey. `via` and `key` narrow that down."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import TriggerType, trigger_types
from saas.metadata.models import TriggerDef
from saas.runtime.acts import Happening


@trigger_types.register
class Inbound(TriggerType):
    key = "inbound"
    label = lazy("When something comes in from outside")
    options_schema = {
        "type": "object",
        "description": N_("After the record was made, or found again, by a web form, a webhook, an e-mail or an answer to a survey."),
        "properties": {
            "via": {
                "type": "string", "enum": ["form", "webhook", "mail", "survey"], "title": N_("By"),
                "x-labels": {"form": N_("Web form"), "webhook": N_("Webhook"), "mail": N_("E-mail"), "survey": N_("Survey")},
            },
            "named": {"type": "string", "maxLength": 48, "title": N_("Only by the one with this key"), "x-advanced": True},
        },
        "additionalProperties": False,
    }  # fmt: skip

    def matches(self, trigger: TriggerDef, change: Happening) -> bool:
        if change.kind != "inbound":
            return False
        via, _colon, key = (change.source or "").partition(":")
        return trigger.options.get("via") in (None, via) and trigger.options.get("named") in (None, "", key)
