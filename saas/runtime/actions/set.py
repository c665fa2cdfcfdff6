"""Set fields of the record, or of a record reached from it by `target`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime.acts import ActionRun
from saas.runtime.records import find, update, update_if_there
from saas.runtime.validate import put

VALUES = {
    "type": "object", "title": N_("Field values"), "description": N_("Which fields get which values."), "x-control": "values",
    "additionalProperties": {"type": "string", "maxLength": 2000}, "minProperties": 1, "maxProperties": 100,
}  # fmt: skip
TARGET = {"type": "string", "maxLength": 200, "title": N_("Record"), "description": N_("This record, one it links to, or one made by an earlier step."), "x-control": "target"}


@action_types.register
class Set(ActionType):
    key = "set"
    label = lazy("Set values")
    icon = "pencil"
    before_save = True
    formulas = {"values": None}
    options_schema = {
        "type": "object",
        "description": N_("Fills or changes fields."),
        "properties": {"target": TARGET, "values": VALUES},
        "required": ["values"],
        "additionalProperties": False,
    }

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        found = await run.target(options.get("target"), unseen=True)
        if found is None:
            return
        entity, record_id = found
        if options.get("target"):
            await find(run.act.conn, run.ctx, entity, record_id, lock=True)  # before the values are computed: “one more than before” of two at once counts both
        values = await run.values(options["values"], entity)
        if run.draft is not None and not options.get("target"):
            for key, value in values.items():
                put(run.draft, key, value)
            return
        if options.get("target"):
            await update_if_there(run.act, entity, record_id, values)
        else:
            run.row = await update(run.act, entity, record_id, values)
