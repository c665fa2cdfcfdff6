"""Tell the owner that a record will go back to its pool; written by the scheduled rules that follow from pools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.metadata.pools import COUNTDOWN
from saas.runtime.actions.to_pool import POOL
from saas.runtime.acts import ActionRun
from saas.runtime.pools.holding import warn


@action_types.register
class WarnOwner(ActionType):
    key = "warn_owner"
    label = lazy("Warn the owner that it goes back to the pool")
    icon = "alert"
    internal = True
    options_schema = {
        "type": "object",
        "description": N_("Once for each time the record was worked on."),
        "properties": {"pool": POOL, "days": {"type": "integer", "minimum": 1, "title": N_("Days before")}},
        "required": ["pool", "days"],
        "additionalProperties": False,
    }

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        pool = next((p for p in run.entity.defn.pools if p.key == options["pool"]), None)
        if pool is None or COUNTDOWN not in run.entity.fields:
            return
        left = (await run.env(COUNTDOWN)).evaluate(COUNTDOWN)
        if left is not None and await warn(run.act, run.entity, run.row, pool, options["days"], int(left)):
            run.act.effect("warn_owner", run.entity.key, run.row.id)
