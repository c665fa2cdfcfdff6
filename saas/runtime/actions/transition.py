"""Move the record, or one reached from it, along its pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime.actions.set import TARGET, VALUES
from saas.runtime.acts import ActionRun
from saas.runtime.pipelines import move_record


@action_types.register
class Transition(ActionType):
    key = "transition"
    label = lazy("Move to another stage")
    icon = "pipeline"
    formulas = {"values": None}
    options_schema = {
        "type": "object",
        "description": N_("Moves a record along its pipeline, with everything that this causes."),
        "properties": {
            "target": TARGET,
            "transition": {"type": "string", "maxLength": 48, "title": N_("Transition"), "x-control": "transition"},
            "values": {**VALUES, "minProperties": 0},
        },
        "required": ["transition"],
        "additionalProperties": False,
    }

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        found = await run.target(options.get("target"))
        if found is None:
            return
        entity, record_id = found
        values = await run.values(options.get("values") or {}, entity)
        row, _ = await move_record(run.act, entity, UUID(str(record_id)), options["transition"], values)
        if not options.get("target"):
            run.row = row
