"""Tell people in the product: one notification a person, in the person's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas.i18n import lazy, pick
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime.actions.block import MESSAGE
from saas.runtime.actions.set import TARGET
from saas.runtime.acts import ActionRun
from saas.runtime.notifications import Notice, deliver, people_with_role
from saas.runtime.templates import render


@action_types.register
class Notify(ActionType):
    key = "notify"
    label = lazy("Notify people")
    icon = "bell"
    formulas = {"to": "people"}
    options_schema = {
        "type": "object",
        "description": N_("Each person finds a message under the bell, in their own language."),
        "properties": {
            "to": {"type": "array", "items": {"type": "string", "maxLength": 2000}, "minItems": 1, "maxItems": 20, "title": N_("Who is told"),
                   "description": N_("People named in the record, or everybody with a role."), "x-control": "people"},
            "title": {**MESSAGE, "title": N_("Title")},
            "body": {**MESSAGE, "title": N_("Text"), "x-rows": 2},
            "target": {**TARGET, "title": N_("Opens"), "description": N_("The record that the message leads to.")},
        },
        "required": ["to", "title"],
        "additionalProperties": False,
    }  # fmt: skip

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        ids: dict[UUID, None] = {}
        for text in options["to"]:
            if text.startswith("role:"):
                ids.update(dict.fromkeys(await people_with_role(run.act.conn, run.ctx, text[5:])))
                continue
            value = (await run.env(text)).evaluate(text)
            ids.update({UUID(str(v)): None for v in (value if isinstance(value, list) else [value]) if v})

        run.note(people=len(ids))

        async def text(label: Mapping[str, str] | None, locale: str) -> str:
            return await render(run, pick(label, locale), locale) if label else ""

        locales = {run.ctx.tenant.locale, "en", "zh_CN"}
        titles = {locale: await text(options["title"], locale) for locale in locales}
        bodies = {locale: await text(options.get("body"), locale) for locale in locales}
        entity, record_id = await run.target(options.get("target")) or (run.entity, run.row.id)
        await deliver(run.act.conn, run.ctx, list(ids), Notice(titles, bodies, entity.key, record_id, "automation"))
