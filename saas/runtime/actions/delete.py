"""Delete the record, or one reached from it (into the recycle bin)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime.actions.set import TARGET
from saas.runtime.acts import ActionRun
from saas.runtime.records import delete


@action_types.register
class Delete(ActionType):
    key = "delete"
    label = lazy("Delete a record")
    icon = "trash"
    options_schema = {
        "type": "object",
        "description": N_("Moves a record to the recycle bin."),
        "properties": {"target": TARGET},
        "additionalProperties": False,
    }

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        found = await run.target(options.get("target"))
        if found is not None:
            await delete(run.act, found[0], UUID(str(found[1])))
