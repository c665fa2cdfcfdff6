"""A balance changed: an entry was posted, approved or reversed. The automation is about the record whose balance it is."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import TriggerType, trigger_types
from saas.metadata.models import TriggerDef
from saas.runtime.acts import Happening


@trigger_types.register
class LedgerPosted(TriggerType):
    key = "ledger_posted"
    label = lazy("When a balance changes")
    options_schema = {
        "type": "object",
        "description": N_("After an entry of a ledger about this record counts. old('…') is a figure before it."),
        "properties": {"ledger": {"type": "string", "maxLength": 48, "title": N_("Ledger"), "description": N_("Nothing chosen: any ledger counts."), "x-control": "ledger"}},
        "additionalProperties": False,
    }

    def matches(self, trigger: TriggerDef, change: Happening) -> bool:
        return change.kind == "ledger_posted" and trigger.options.get("ledger") in (None, change.ledger)
