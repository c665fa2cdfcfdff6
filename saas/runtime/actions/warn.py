"""Show a message with the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy, pick
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime.actions.block import MESSAGE
from saas.runtime.acts import ActionRun
from saas.runtime.templates import render


@action_types.register
class Warn(ActionType):
    key = "warn"
    label = lazy("Show a warning")
    icon = "alert"
    can_retry = False
    before_save = True
    options_schema = {
        "type": "object",
        "description": N_("The change is made, and the person is told something about it."),
        "properties": {"message": {**MESSAGE, "x-rows": 2}},
        "required": ["message"],
        "additionalProperties": False,
    }

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        run.act.warnings.append(await render(run, pick(options["message"], run.ctx.locale), run.ctx.locale))
