"""Send a message of the configuration: by e-mail, SMS or in the product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime.actions.set import TARGET
from saas.runtime.acts import ActionRun
from saas.runtime.env import read_row
from saas.runtime.messages.sending import send, template_of
from saas.runtime.surveys import survey_path


@action_types.register
class Send(ActionType):
    key = "send"
    label = lazy("Send a message")
    icon = "mail"
    formulas = {"to": None}
    options_schema = {
        "type": "object",
        "description": N_("Sends one of the messages of the workspace. It leaves once the change is saved."),
        "properties": {
            "template": {"type": "string", "maxLength": 48, "title": N_("Message"), "x-control": "message_template"},
            "channel": {
                "type": "string", "enum": ["email", "sms", "in_app"], "default": "email", "title": N_("By"),
                "x-labels": {"email": N_("E-mail"), "sms": N_("SMS"), "in_app": N_("In the product")},
            },
            "survey": {"type": "string", "maxLength": 48, "title": N_("Survey to answer"), "description": N_("The message leads to its page, for this record only."), "x-control": "survey", "x-advanced": True},
            "to": {"type": "array", "items": {"type": "string", "maxLength": 2000}, "maxItems": 20, "title": N_("Who gets it"),
                   "description": N_("Without: whom the message itself names."), "x-control": "people", "x-addresses": True},
            "target": {**TARGET, "title": N_("About"), "description": N_("The record that the message is about.")},
        },
        "required": ["template"],
        "additionalProperties": False,
    }  # fmt: skip

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        about = run
        if options.get("target"):
            found = await run.target(options["target"])
            row = await read_row(run.act.conn, run.ctx, *found) if found is not None else None
            if found is None or row is None:
                return
            about = ActionRun(run.act, found[0], row)
        # Whom this action names is said of its own record; whom the message names, of the record it is about.
        to = options.get("to")
        survey = next((f for f in run.ctx.config.bundle.web_forms if f.key == options.get("survey")), None)
        link = survey_path(run.ctx, survey, about.row.id) if survey is not None else ""
        await send(about, template_of(run.ctx, options["template"]), options.get("channel") or "email", to=to or None, named_by=run if to else None, link=link)
        run.act.effect("send", about.entity.key, about.row.id)
