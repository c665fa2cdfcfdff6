"""Merge this record into one it links to, or one it links to into this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.errors import Conflict
from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime import merging
from saas.runtime.actions.set import TARGET
from saas.runtime.acts import ActionRun


@action_types.register
class Merge(ActionType):
    key = "merge"
    label = lazy("Merge two records")
    icon = "copy"
    options_schema = {
        "type": "object",
        "description": N_("Makes one record of two of the same kind, with all that belongs to both; it can be undone for a while."),
        "properties": {
            "target": {**TARGET, "title": N_("The record that stays")},
            "loser": {**TARGET, "title": N_("The record that goes")},
            "winner": {
                "type": "string", "enum": ["survivor", "newest"], "title": N_("Whose value wins"), "x-control": "choice",
                "x-labels": {"survivor": N_("that of the record that stays"), "newest": N_("that of the record changed last")},
            },
        },
        "additionalProperties": False,
    }  # fmt: skip

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        stays, goes = await run.target(options.get("target")), await run.target(options.get("loser"))
        if stays is None or goes is None or stays[1] == goes[1]:
            return
        if stays[0].key != goes[0].key:
            raise Conflict(lazy("Only records of one kind can be merged."))
        await merging.merge(run.act, stays[0], stays[1], [goes[1]], winner=options.get("winner"))
