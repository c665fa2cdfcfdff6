"""Put tags on the record, or on one reached from it, and take tags off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime.actions.set import TARGET
from saas.runtime.acts import ActionRun
from saas.runtime.records import find, update

WORDS = {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 50}, "maxItems": 50, "uniqueItems": True, "x-control": "words"}


@action_types.register
class Tag(ActionType):
    key = "tag"
    label = lazy("Tag")
    icon = "tag"
    options_schema = {
        "type": "object",
        "description": N_("Adds tags and takes tags away; others stay."),
        "properties": {
            "target": TARGET,
            "field": {"type": "string", "maxLength": 48, "title": N_("Field with the tags"), "x-control": "target_field", "x-types": ["tags", "multi"]},
            "add": {**WORDS, "title": N_("Tags to add")},
            "remove": {**WORDS, "title": N_("Tags to take away")},
        },
        "required": ["field"],
        "additionalProperties": False,
    }  # fmt: skip

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        found = await run.target(options.get("target"))
        if found is None:
            return
        entity, record_id = found[0], UUID(str(found[1]))
        row = await find(run.act.conn, run.ctx, entity, record_id, lock=True)
        if row is None:
            return
        before = list(row.get(options["field"]) or ())
        after = [tag for tag in dict.fromkeys((*before, *options.get("add", ()))) if tag not in options.get("remove", ())]
        run.note(**{options["field"]: after})
        if after != before:
            changed = await update(run.act, entity, record_id, {options["field"]: after or None})
            if not options.get("target"):
                run.row = changed
