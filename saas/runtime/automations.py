"""Automations: which run on what happened, and running their steps inside the caller's transaction, up to the first wait."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from saas.errors import AppError, Conflict, Unavailable
from saas.i18n import lazy
from saas.metadata.config import Config, Entity, Relation
from saas.metadata.kinds import action_types, trigger_types
from saas.metadata.models import ActionDef, AutomationDef
from saas.runtime import runs
from saas.runtime.acts import Act, ActionRun, Happening
from saas.runtime.env import read_row
from saas.runtime.rows import Row
from saas.runtime.steps import Pause, Walk
from saas.runtime.validate import Draft, linked
from saas.runtime.webhooks import announce
from saas.tenants import new_id

MAX_DEPTH = 5
_ENDS_WAITS = ("update", "transition", "delete")


async def dispatch(act: Act, happening: Happening, draft: Draft | None = None) -> None:
    """Run the automations that match, in their order, inside the caller's transaction."""
    if draft is None and act.ctx.config.bundle.webhooks:
        await announce(act, happening)
    if happening.kind in _ENDS_WAITS and watching(act.ctx.config, happening.entity.key):  # before new ones begin to wait
        await runs.wake_watching(act.conn, act.ctx, happening.entity, happening.row.id)
    for automation in act.ctx.config.automations(happening.entity.key):
        if automation.key in act.ctx.running or not trigger_types.get(automation.on.trigger).matches(automation.on, happening):
            continue
        if await run_automation(act, automation, happening, draft) and automation.stop:
            break
    if draft is None:
        await _tell_parents(act, happening)


async def run_automation(act: Act, automation: AutomationDef, happening: Happening, draft: Draft | None = None) -> bool:
    """Run one automation on what happened; False when its condition does not hold. Errors: those of its steps; Conflict when automations
    call each other in a circle."""
    inner = act.under(
        elevated=True, origin="automation", depth=act.ctx.depth + 1, running=(*act.ctx.running, automation.key)
    )
    entity, row = happening.entity, happening.row
    run = ActionRun(inner, entity, row, happening.old, draft, run_id=new_id(act.ctx.now), automation=automation.key)
    if not await run.holds(automation.condition):
        return False
    if act.ctx.depth >= MAX_DEPTH:
        raise Conflict(lazy("Automations call each other in a circle; the chain was stopped after %(count)s steps.", count=MAX_DEPTH))
    if draft is not None:
        await run_actions(run, automation.do)
        return True
    if not await _begins(act, automation, entity, row):
        return False
    story = runs.Story(run, automation, happening)
    walk, begun, effects = Walk(may_pause=True), time.perf_counter(), len(act.effects)
    try:
        if automation.on_error == "keep":
            pause = await _kept(run, walk, automation.do)
        else:
            pause = await walk.through(run, automation.do)
    except AppError as error:
        story.took(begun)
        if isinstance(error, Unavailable):
            raise
        if automation.on_error == "keep" and not _is_refusal(walk, error):
            await runs.write_failed(story, walk.told, error)
            return True
        runs.remember_undone(error, story, walk.told)
        raise
    story.took(begun)
    await runs.write(story, walk.told, pause, act.effects[effects:])
    return True


async def run_actions(run: ActionRun, actions: Iterable[ActionDef]) -> None:
    """Do steps in order; the first that fails undoes them all, by the caller's transaction."""
    await Walk().through(run, tuple(actions))


async def _kept(run: ActionRun, walk: Walk, steps: Sequence[ActionDef]) -> Pause | None:
    """In a savepoint: what caused it stands, whatever becomes of the run."""
    act = run.act
    effects, warnings, held = len(act.effects), len(act.warnings), set(act.held)
    try:
        async with act.conn.transaction():
            return await walk.through(run, steps)
    except BaseException:
        del act.effects[effects:], act.warnings[warnings:]
        act.held.clear()
        act.held.update(held)
        raise


def _is_refusal(walk: Walk, error: AppError) -> bool:
    """Whether a step said no on purpose: that is heard, whatever else."""
    return bool(walk.told) and walk.told[-1].get("action") == "block" and "error" in walk.told[-1]


async def _begins(act: Act, automation: AutomationDef, entity: Entity, row: Row) -> bool:
    """Whether a run begins beside those of the same automation that wait for the same record."""
    if automation.overlap == "each" or not waits(automation.do):
        return True
    if automation.overlap == "skip":
        return not await runs.is_waiting(act.conn, act.ctx, automation.key, entity, row.id)
    await runs.stop_waiting(act.conn, act.ctx, automation.key, entity, row.id, runs.RESTARTED)
    return True


# ---- what follows from the configuration, worked out once -----------------------------------------------------------------


def waits(steps: Iterable[ActionDef]) -> bool:
    """Whether any of the steps can end the caller's transaction."""
    return any(action_types.get(s.action).waits or s.retry or any(waits(inner) for _, inner in s.inside) for s in steps)


def watching(config: Config, entity_key: str) -> bool:
    """Whether a run about such a record may be waiting for something that a change of the record brings about."""
    return config.cached(("automations.watching", entity_key), lambda: any(_watches(a.do) for a in config.bundle.automations if a.entity == entity_key))


def _watches(steps: Iterable[ActionDef]) -> bool:
    return any((("until" in s.options or "condition" in s.options) and action_types.get(s.action).waits) or any(_watches(inner) for _, inner in s.inside) for s in steps)


# ---- parents --------------------------------------------------------------------------------------------------------------


def of_children(config: Config, child_key: str) -> list[tuple[AutomationDef, Entity, Relation]]:
    """Automations of other records that look at this kind of record: with their entity, and the relation they look along."""

    def find() -> list[tuple[AutomationDef, Entity, Relation]]:
        found = []
        for automation in config.bundle.automations:
            relation = trigger_types.get(automation.on.trigger).relation(automation.on) if automation.active else None
            known = config.relation(automation.entity, relation) if relation else None
            if known is not None and known.child == child_key:
                found.append((automation, config.entity(automation.entity), known))
        return found

    return config.cached(("automations.of_children", child_key), find)


async def _tell_parents(act: Act, happening: Happening) -> None:
    """Automations of the records that this one belongs to, or belonged to before."""
    for automation, entity, relation in of_children(act.ctx.config, happening.entity.key):
        kind = trigger_types.get(automation.on.trigger)
        if automation.key in act.ctx.running or not kind.matches_child(automation.on, happening, relation.field):
            continue
        parents = linked(happening.row.get(relation.field)) | (linked(happening.old.get(relation.field)) if happening.old else set())
        for parent_id in sorted(parents):
            row = await read_row(act.conn, act.ctx, entity, parent_id, lock=True)
            if row is not None and row.deleted_at is None:
                act.held.add((entity.key, row.id))
                await run_automation(act, automation, Happening("child_change", entity, row, child=happening))


__all__ = ["MAX_DEPTH", "dispatch", "of_children", "run_actions", "run_automation", "waits", "watching"]
