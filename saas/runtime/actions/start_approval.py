"""Start an approval of the record, or of one reached from it; nothing happens where one is under way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime.actions.set import TARGET
from saas.runtime.acts import ActionRun
from saas.runtime.approvals import flows, store


@action_types.register
class StartApproval(ActionType):
    key = "start_approval"
    label = lazy("Start an approval")
    icon = "shield"
    options_schema = {
        "type": "object",
        "description": N_("Asks the people of an approval; the record waits for them."),
        "properties": {
            "target": TARGET,
            "approval": {"type": "string", "maxLength": 48, "title": N_("Approval"), "x-control": "approval"},
            "way": {"type": "string", "maxLength": 48, "title": N_("Path"), "description": N_("Of an approval with several paths; else the first one that is possible.")},
        },
        "required": ["approval"],
        "additionalProperties": False,
    }

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        found = await run.target(options.get("target"))
        if found is None:
            return
        entity, record_id = found[0], UUID(str(found[1]))
        under_way = await store.flow_under_way(run.act.conn, run.ctx, entity, record_id)
        if under_way is not None and not (under_way.status == "returned" and under_way.key == options["approval"]):
            return
        await flows.start(run.act, entity, record_id, options["approval"], way=options.get("way"))
