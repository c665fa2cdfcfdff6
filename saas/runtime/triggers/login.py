"""Somebody signed in: for each record that belongs to them."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import TriggerType, trigger_types
from saas.metadata.models import TriggerDef
from saas.runtime.acts import Happening


@trigger_types.register
class Login(TriggerType):
    key = "login"
    label = lazy("When somebody signs in")
    options_schema = {
        "type": "object",
        "description": N_("Runs for each record in which this field names the person, at most a hundred, the newest first."),
        "properties": {"person": {"type": "string", "maxLength": 48, "title": N_("Field with the person"), "x-control": "person_field"}},
        "required": ["person"],
        "additionalProperties": False,
    }

    def matches(self, trigger: TriggerDef, change: Happening) -> bool:
        return False  # saas.runtime.logins begins these
