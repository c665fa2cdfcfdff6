"""Give the record a number of its own now, where its field waits for that: a contract's at its approval, not for every draft."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime import numbers
from saas.runtime.actions.set import TARGET
from saas.runtime.acts import ActionRun
from saas.runtime.records import find, save
from saas.runtime.validate import Draft


@action_types.register
class AllocateNumber(ActionType):
    key = "allocate_number"
    label = lazy("Give a number")
    icon = "hash"
    options_schema = {
        "type": "object",
        "description": N_("Fills the automatic numbers that are given only by a step like this, without gaps. A record that has one keeps it."),
        "properties": {"target": TARGET},
        "additionalProperties": False,
    }

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        found = await run.target(options.get("target"))
        if found is None:
            return
        entity, record_id = found
        old = await find(run.act.conn, run.ctx, entity, record_id, lock=True)
        if old is None:
            return
        draft = Draft(entity, old.copy(), old, {})
        for declared in entity.declared.values():
            if declared.type == "auto" and declared.options.get("later") and not old.values.get(declared.key):
                [draft.row.values[declared.key]] = await numbers.give(run.act.conn, run.ctx, entity, declared, [run.ctx.today])
                draft.changed.add(declared.key)
        if draft.changed:
            row = await save(run.act, draft)
            if not options.get("target"):
                run.row = row
