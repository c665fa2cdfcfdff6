"""Share the record, or one reached from it, with people named in it or with a role."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime.actions.set import TARGET
from saas.runtime.acts import ActionRun
from saas.runtime.shares import share_within


@action_types.register
class Share(ActionType):
    key = "share"
    label = lazy("Share with people")
    icon = "users"
    formulas = {"to": "people"}
    options_schema = {
        "type": "object",
        "description": N_("Opens this one record to people who could not see it otherwise."),
        "properties": {
            "target": TARGET,
            "to": {"type": "array", "items": {"type": "string", "maxLength": 2000}, "minItems": 1, "maxItems": 20, "title": N_("With whom"),
                   "description": N_("People named in the record, or everybody with a role."), "x-control": "people"},
            "level": {"type": "string", "enum": ["read", "edit"], "default": "read", "title": N_("They may"), "x-labels": {"read": N_("read it"), "edit": N_("edit it")}},
            "days": {"type": "integer", "minimum": 1, "maximum": 3650, "title": N_("For so many days"), "description": N_("Empty: for good.")},
        },
        "required": ["to"],
        "additionalProperties": False,
    }  # fmt: skip

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        found = await run.target(options.get("target"))
        if found is None:
            return
        entity, record_id = found
        subjects: dict[str, None] = {}
        for text in options["to"]:
            if text.startswith("role:"):
                subjects[f"role:{text[5:].strip()}"] = None
                continue
            value = (await run.env(text)).evaluate(text)
            subjects.update({f"user:{v}": None for v in (value if isinstance(value, list) else [value]) if v})
        until = run.ctx.now + timedelta(days=options["days"]) if options.get("days") else None
        for subject in subjects:
            await share_within(run.act, entity, UUID(str(record_id)), subject, level=options.get("level", "read"), until=until)
