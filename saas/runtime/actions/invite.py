"""Invite the person of a record: they get a link by e-mail, choose a password, and are its account from then on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.errors import AppError
from saas.i18n import LOCALES, lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime.acts import ActionRun
from saas.runtime.context import Context
from saas.runtime.notifications import people_with_role
from saas.tenants.invitations import create_invitation


@action_types.register
class Invite(ActionType):
    key = "invite"
    label = lazy("Invite somebody")
    icon = "user-plus"
    formulas = {"email": "text", "name": "text"}
    options_schema = {
        "type": "object",
        "description": N_("The link in the message proves the address. For a role of people who are a record, this record becomes theirs."),
        "properties": {
            "role": {"type": "string", "maxLength": 48, "title": N_("Role"), "x-control": "invited_role"},
            "email": {"type": "string", "maxLength": 2000, "title": N_("E-mail address"), "x-control": "expression"},
            "name": {"type": "string", "maxLength": 2000, "title": N_("Name"), "x-control": "expression"},
        },
        "required": ["role", "email"],
        "additionalProperties": False,
    }

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        role = run.ctx.config.roles.get(options["role"])
        env = await run.env(options["email"], options.get("name"))
        email = env.evaluate(options["email"])
        name = env.evaluate(options["name"]) if options.get("name") else ""
        inviter = await _inviter(run.act.conn, run.ctx)
        if role is None or role.admin or role.settings or not email or inviter is None:
            return
        try:
            async with run.act.conn.transaction():
                await create_invitation(
                    run.ctx.tenant_id, str(email), [role.key], inviter_id=inviter, name=str(name or "")[:200], locale=run.ctx.locale if run.ctx.locale in LOCALES else None
                )
        except AppError as error:  # somebody with this address is here already, no seat, too many: the record is kept all the same
            if error.status >= 500:
                raise
            if run.ctx.user is not None:
                run.act.warnings.append(str(error.message))
            return
        run.act.effect("invite", run.entity.key, run.row.id)


async def _inviter(conn: Any, ctx: Context) -> Any:
    """In whose name: of the company's first administrator; an invitation is worth no more than its inviter's rights."""
    for role in ctx.config.roles.values():
        if role.admin and (people := await people_with_role(conn, ctx, role.key)):
            return people[0]
    return None
