"""Put the record, or one reached from it, back into its pool."""

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
from saas.runtime.pools.moves import release

POOL = {"type": "string", "maxLength": 48, "title": N_("Pool"), "description": N_("Only records of this pool. Empty: whichever pool the record belongs to.")}


@action_types.register
class ToPool(ActionType):
    key = "to_pool"
    label = lazy("Put into the pool")
    icon = "inbox"
    options_schema = {
        "type": "object",
        "description": N_("Takes the record from its owner, who is told; it can be claimed again."),
        "properties": {"target": TARGET, "pool": POOL, "overdue": {"type": "boolean", "title": N_("Because nobody worked on it in time"), "default": False}},
        "additionalProperties": False,
    }

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        found = await run.target(options.get("target"))
        if found is None:
            return
        entity, record_id = found
        row = await read_row(run.act.conn, run.ctx, entity, UUID(str(record_id)))
        if row is None or row.owner is None:  # it is there already
            return
        row, _pool = await release(run.act, entity, row.id, deed="recycled" if options.get("overdue") else "released", key=options.get("pool"))
        run.act.effect("to_pool", entity.key, row.id)
        if not options.get("target"):
            run.row = row
