"""Stop with a message; everything in the transaction is undone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.errors import FieldProblem, InvalidInput
from saas.i18n import lazy, pick
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime.acts import ActionRun
from saas.runtime.templates import render

MESSAGE = {"type": "object", "title": N_("Message"), "x-control": "template", "additionalProperties": {"type": "string", "maxLength": 1000}, "minProperties": 1}


@action_types.register
class Block(ActionType):
    key = "block"
    label = lazy("Refuse with a message")
    icon = "ban"
    can_retry = False
    before_save = True
    options_schema = {
        "type": "object",
        "description": N_("Stops here: nothing is saved, and the person reads why."),
        "properties": {"message": {**MESSAGE, "x-rows": 2}},
        "required": ["message"],
        "additionalProperties": False,
    }

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        message = await render(run, pick(options["message"], run.ctx.locale), run.ctx.locale)
        raise InvalidInput([FieldProblem(field="", code="blocked", message=message)], message)
