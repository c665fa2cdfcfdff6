"""Moving a record along its pipeline: who, guard, required fields, the stage change and its effects, in one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import Conflict, FieldProblem, InvalidInput, NotFound, PermissionDenied
from saas.i18n import lazy, pick
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import PipelineDef, TransitionDef
from saas.runtime import permissions
from saas.runtime.acts import Act, ActionRun, Happening
from saas.runtime.automations import dispatch, run_actions
from saas.runtime.context import Context
from saas.runtime.env import prepare
from saas.runtime.records import in_approval, load, refuse_stale, save
from saas.runtime.rows import Row
from saas.runtime.validate import EMPTY, Draft, put, take, take_links

# What else follows a move, in its transaction: (act, entity, record, transition). Filled by modules that stand on this one.
after_moves: list[Callable[[Act, Entity, UUID, str], Awaitable[None]]] = []


async def stage_counts(ctx: Context, entity_key: str) -> dict[str, int]:
    """How many records are in each stage, whoever may see them; {} for an entity that is not published yet."""
    entity = ctx.config.entities.get(entity_key)
    if entity is None or not entity.number:
        return {}
    async with tenant_transaction(ctx.tenant_id) as conn:
        rows = await conn.fetch(
            "SELECT state, count(*) FROM record WHERE tenant_id = $1 AND entity_id = $2 AND deleted_at IS NULL AND state IS NOT NULL GROUP BY 1", ctx.tenant_id, entity.number
        )
    return {row["state"]: row["count"] for row in rows}


async def move_record(act: Act, entity: Entity, record_id: UUID, key: str, values: Mapping[str, Any], *, version: int | None = None) -> tuple[Row, TransitionDef]:
    """Run one transition. Raises NotFound for an unknown one, PermissionDenied, Conflict (wrong stage, guard), InvalidInput."""
    ctx, pipeline = act.ctx, entity.pipeline
    transition = pipeline.transition(key) if pipeline else None
    if pipeline is None or transition is None:
        raise NotFound(lazy("There is no transition “%(key)s” here.", key=key))
    old = await load(act.conn, ctx, entity, record_id, lock=True)
    act.held.add((entity.key, record_id))
    _refuse(act, pipeline, transition, old)
    refuse_stale(old, version)
    if old.frozen is not None:
        raise in_approval(entity, old)
    await _refuse_unapproved(act, entity, transition, old)
    draft = Draft(entity, old.copy(), old, permissions.access(ctx, entity, old.holds))
    asked = (*transition.require, *transition.ask)
    may_edit = old.holds.get("update", False) or ctx.unrestricted
    for name in values:
        if name not in asked and not may_edit:
            draft.problem(name, "forbidden", lazy("This field cannot be set here."))
    take(ctx, draft, {k: v for k, v in values.items() if k in asked or may_edit}, also=asked)
    await take_links(act.conn, ctx, draft)
    for name in transition.require:
        if draft.row.get(name) in EMPTY and not any(p.field == name for p in draft.problems):
            draft.problem(name, "required", lazy("This field is required."))
    if draft.problems:
        raise InvalidInput(draft.problems)
    await _guard(act, transition, draft)
    await _stamp(act, transition, draft)
    target = await _target(act, transition, draft)
    draft.row.state = draft.row.values[pipeline.field] = target
    draft.changed.add(pipeline.field)
    if target != old.state:
        draft.row.state_since = ctx.now
    row = await save(act, draft, transition=key)
    act.effect("transition", entity.key, row.id)
    inner = act.under(elevated=True, origin="automation" if ctx.user is None else ctx.origin)
    run = ActionRun(inner, entity, row, old)
    await run_actions(run, transition.effects)
    if run.row.state == row.state:  # what follows sees what the effects wrote into the record itself
        row = run.row
    changed = frozenset(k for k in draft.changed if old.get(k) != row.get(k))
    await dispatch(act, Happening("transition", entity, row, old, changed, key))
    await dispatch(act, Happening("update", entity, row, old, changed))
    for follow in after_moves:
        await follow(act, entity, row.id, key)
    return row, transition


async def _refuse_unapproved(act: Act, entity: Entity, transition: TransitionDef, row: Row) -> None:
    """Transitions that only an approval does, where its condition holds."""
    if act.ctx.granted == (row.id, transition.key):
        return
    for approval in act.ctx.config.approvals(entity.key):
        if transition.key in approval.start.guards:
            env = await prepare(act.conn, act.ctx, entity, row, [approval.start.condition])
            if env.holds(approval.start.condition):
                raise Conflict(
                    lazy("“%(label)s” needs an approval first: start “%(approval)s”.", label=pick(transition.label), approval=pick(approval.label)),
                    reason="needs_approval", transition=transition.key, approval=approval.key,
                )  # fmt: skip


def _refuse(act: Act, pipeline: PipelineDef, transition: TransitionDef, row: Row) -> None:
    if not row.holds.get(f"t:{transition.key}") and not act.ctx.unrestricted:
        raise PermissionDenied(lazy("You may not do “%(label)s” on this record.", label=pick(transition.label)), transition=transition.key)
    if row.state not in transition.sources and "*" not in transition.sources:
        stage = pipeline.stage(row.state or "")
        raise Conflict(
            lazy("“%(label)s” is not possible while the stage is “%(stage)s”.", label=pick(transition.label), stage=pick(stage.label) if stage else row.state),
            reason="wrong_stage", transition=transition.key,
        )  # fmt: skip


async def _guard(act: Act, transition: TransitionDef, draft: Draft) -> None:
    if not transition.guard:
        return
    env = await prepare(act.conn, act.ctx, draft.entity, draft.row, [transition.guard], old=draft.old)
    if not env.holds(transition.guard):
        message = pick(transition.guard_message) or lazy("The conditions for “%(label)s” are not met yet.", label=pick(transition.label))
        raise InvalidInput([FieldProblem(field="", code="guard", message=message)], message)


async def _stamp(act: Act, transition: TransitionDef, draft: Draft) -> None:
    if transition.set:
        env = await prepare(act.conn, act.ctx, draft.entity, draft.row, transition.set.values(), old=draft.old)
        for key, text in transition.set.items():
            declared = draft.entity.fields[key]
            value = env.evaluate(text)
            put(draft, key, None if value is None else field_types.get(declared.type).from_expr(declared, value, act.ctx.config))


async def _target(act: Act, transition: TransitionDef, draft: Draft) -> str:
    to = await _leads_to(act, transition, draft)
    stage = draft.entity.pipeline.stage(to) if draft.entity.pipeline else None
    if stage is not None and stage.condition and to != draft.old.state:
        env = await prepare(act.conn, act.ctx, draft.entity, draft.row, [stage.condition], old=draft.old)
        if not env.holds(stage.condition):
            raise Conflict(lazy("The stage “%(stage)s” is not for this record.", stage=pick(stage.label)), reason="other_stages", transition=transition.key)
    return to


async def _leads_to(act: Act, transition: TransitionDef, draft: Draft) -> str:
    if not transition.branches:
        return transition.to or draft.old.state
    env = await prepare(act.conn, act.ctx, draft.entity, draft.row, [b.condition for b in transition.branches], old=draft.old)
    for branch in transition.branches:
        if env.holds(branch.condition):
            return branch.to
    raise Conflict(lazy("None of the ways of “%(label)s” fits this record.", label=pick(transition.label)), reason="no_branch")
