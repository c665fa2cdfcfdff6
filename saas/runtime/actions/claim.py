"""Give the record, or one reached from it, to the person who acts, out of its pool and within its limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime.actions.set import TARGET
from saas.runtime.acts import ActionRun
from saas.runtime.env import read_row
from saas.runtime.pools.moves import claim


@action_types.register
class Claim(ActionType):
    key = "claim"
    label = lazy("Claim from the pool")
    icon = "user-circle"
    options_schema = {
        "type": "object",
        "description": N_("Whoever acts becomes the owner of a record that lies in a pool, as if they had claimed it."),
        "properties": {"target": TARGET},
        "additionalProperties": False,
    }

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        found = await run.target(options.get("target"))
        if found is None:
            return
        entity, record_id = found
        row = await read_row(run.act.conn, run.ctx, entity, UUID(str(record_id)))
        if row is None or (row.owner is not None and row.owner == run.ctx.user_id):  # it is theirs already
            return
        row = await claim(run.act, entity, row.id)
        run.act.effect("claim", entity.key, row.id)
        if not options.get("target"):
            run.row = row
