"""Send the record to another system by a connector: a message of the outbox, whose answer comes back into the record's fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.errors import Conflict
from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.metadata.models import CallDef
from saas.runtime import outbox
from saas.runtime.actions.relink import children
from saas.runtime.acts import ActionRun
from saas.runtime.env import read_row
from saas.runtime.said import plain

MOST_LINES = 200


@action_types.register
class Call(ActionType):
    key = "call"
    label = lazy("Send by a connector")
    icon = "link"
    can_retry = False  # the outbox tries again
    options_schema = {
        "type": "object",
        "description": N_("Sends the record to another system when the change is saved, once, and takes the answer into its fields, such as the number of an order there."),
        "properties": {"call": {"type": "string", "maxLength": 48, "title": N_("Call"), "x-control": "call"}},
        "required": ["call"],
        "additionalProperties": False,
    }

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        call = next((c for c in run.ctx.config.bundle.calls if c.key == options["call"]), None)
        if call is None or call.entity != run.entity.key:
            raise Conflict(lazy("There is no such call any more."))
        if not call.active:
            return
        payload = {"call": call.key, "entity": run.entity.key, "record": str(run.row.id), "body": await body_of(run, call)}
        message = await outbox.put(run.act, kind="connector", key=await _key(run, call), payload=payload, origin=run.origin)
        run.note(call=call.key)
        run.act.effect("send", "outbox", message)


async def _key(run: ActionRun, call: CallDef) -> str:
    """A record sends it once, and again only after it failed for good or was called off."""
    if not call.once:
        return f"{run.place} {call.key}"
    base = f"call {call.key} {run.row.id}"
    over = await run.act.conn.fetchval(
        "SELECT count(*) FROM outbox WHERE tenant_id = $1 AND (key = $2 OR key LIKE $3) AND status IN ('failed', 'cancelled')", run.ctx.tenant_id, base, f"{base} %"
    )
    return f"{base} {over}" if over else base


async def body_of(run: ActionRun, call: CallDef) -> dict[str, Any]:
    """What is sent, with its lines."""
    env = await run.env(*call.body.values())
    body = {name: plain(env.evaluate(text)) for name, text in call.body.items()}
    if call.lines:
        _, child, ids = await children(run, {"of": call.lines}, MOST_LINES)
        lines = []
        for record_id in ids:
            row = await read_row(run.act.conn, run.ctx, child, record_id)
            if row is not None:
                within = await run.over(child, row).env(*call.line.values())
                lines.append({name: plain(within.evaluate(text)) for name, text in call.line.items()})
        body[call.lines_as] = lines
    return body
