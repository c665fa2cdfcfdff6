"""Automations: which run on what happened, and running lists of actions with a loop guard."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from saas.errors import Conflict
from saas.i18n import lazy
from saas.metadata.kinds import action_types, trigger_types
from saas.metadata.models import ActionDef
from saas.runtime import quota
from saas.runtime.acts import Act, ActionRun, Happening
from saas.runtime.validate import Draft
from saas.tenants import new_id

MAX_DEPTH = 5


async def dispatch(act: Act, happening: Happening, draft: Draft | None = None) -> None:
    """Run the automations that match, in their order, inside the caller's transaction."""
    for automation in act.ctx.config.automations(happening.entity.key):
        if automation.key in act.ctx.running or not trigger_types.get(automation.on.trigger).matches(automation.on, happening):
            continue
        inner = act.under(
            elevated=True, origin="automation", depth=act.ctx.depth + 1, running=(*act.ctx.running, automation.key)
        )
        run = ActionRun(inner, happening.entity, happening.row, happening.old, draft)
        if await run.holds(automation.condition):
            if act.ctx.depth >= MAX_DEPTH:
                raise Conflict(lazy("Automations call each other in a circle; the chain was stopped after %(count)s steps.", count=MAX_DEPTH))
            await run_actions(run, automation.do)
            if draft is None:
                await _log(inner, automation.key, happening)


async def run_actions(run: ActionRun, actions: Iterable[ActionDef]) -> None:
    """Run actions in order; the first that fails undoes them all, by the caller's transaction."""
    for action in actions:
        if await run.holds(action.condition):
            await action_types.get(action.action).run(run, {**action.options, "as": action.alias})


async def _log(act: Act, key: str, happening: Happening) -> None:
    detail: dict[str, Any] = {"effects": act.effects[-20:], "trigger": happening.kind}
    logged = (
        "INSERT INTO automation_log (tenant_id, id, automation_key, entity_id, record_id, at, status, detail) VALUES ($1, $2, $3, $4, $5, $6, 'done', $7::jsonb)",
        (act.ctx.tenant_id, new_id(act.ctx.now), key, happening.entity.number, happening.row.id, act.ctx.now, json.dumps(detail)),
    )  # fmt: skip
    await quota.write(act.conn, act.ctx, "automation_runs", 1, [logged])
