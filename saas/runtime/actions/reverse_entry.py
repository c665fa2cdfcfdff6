"""Undo an entry of a ledger by its counter-entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime.actions.set import TARGET
from saas.runtime.acts import ActionRun
from saas.runtime.postings import reverse


@action_types.register
class ReverseEntry(ActionType):
    key = "reverse_entry"
    label = lazy("Reverse an entry")
    icon = "undo"
    makes_record = True
    options_schema = {
        "type": "object",
        "description": N_("Posts the opposite of an entry, which names it. An entry is reversed once."),
        "properties": {"target": TARGET},
        "additionalProperties": False,
    }

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        found = await run.target(options.get("target"))
        if found is not None:
            entity, record_id = found
            run.remember(options.get("as"), entity, await reverse(run.act, entity, record_id))
