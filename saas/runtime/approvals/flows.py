"""Running approvals: start, decide, send back, ask somebody else, withdraw. Each act is one transaction under the record's lock, and the
last decision does its transition in the same one. Locks are taken in one order: the record, then the approval."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import asyncpg

from saas.errors import BadRequest, Conflict, FieldProblem, InvalidInput, NotFound, PermissionDenied
from saas.i18n import gettext as _
from saas.i18n import lazy, pick
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.models import ApprovalDef, ApprovalStepDef, ApprovalWayDef, ApproverDef
from saas.runtime import permissions, pipelines
from saas.runtime.acts import Act
from saas.runtime.approvals import notices, store
from saas.runtime.approvals.org import active, administrators, organisation
from saas.runtime.approvals.path import ASKED, CONDITION, NOBODY, Planned, Seat, Tally, plan_step
from saas.runtime.approvals.store import Flow, Task
from saas.runtime.context import Context
from saas.runtime.env import prepare, read_row
from saas.runtime.records import load
from saas.runtime.rows import Row
from saas.tenants import new_id

MAX_COMMENT = 2000
STANDING_IN = "SELECT d.user_id FROM approval_deputy d WHERE d.tenant_id = $1 AND d.deputy_id = $2 AND $3::date BETWEEN d.first_day AND d.last_day"


# ---- starting ------------------------------------------------------------------------------------------------------------


async def start(
    act: Act, entity: Entity, record_id: UUID, key: str, *, way: str | None = None, people: Sequence[UUID] = (), together: bool = False, comment: str = ""
) -> UUID:
    """Begin an approval, or send again the one that was returned. Errors: NotFound, PermissionDenied, Conflict (one is running, the
    condition does not hold, nobody would decide), InvalidInput (path, people)."""
    ctx = act.ctx
    row = await load(act.conn, ctx, entity, record_id, lock=True)
    under_way = await store.flow_under_way(act.conn, ctx, entity, record_id, lock=True)
    if under_way is not None and under_way.status == "returned" and under_way.key == key:
        await _require_applicant(act.conn, ctx, under_way)
        await _resubmit(act, entity, row, under_way, _comment(comment))
        return under_way.id
    if under_way is not None:
        raise Conflict(lazy("“%(label)s” is under way for this record already.", label=pick(under_way.definition.label)), reason="running", flow=str(under_way.id))
    approval = find_approval(ctx, entity, key)
    _require_start(ctx, approval, row)
    if not await _holds(act, entity, row, approval.start.condition):
        raise Conflict(lazy("“%(label)s” is not needed or not possible for this record now.", label=pick(approval.label)), reason="not_now")
    definition, way_key = await settled(act.conn, ctx, entity, row, approval, way, people, together=together)
    return await _begin(act, entity, row, definition, way_key, _comment(comment))


def find_approval(ctx: Context, entity: Entity, key: str) -> ApprovalDef:
    found = next((a for a in ctx.config.approvals(entity.key) if a.key == key), None)
    if found is None:
        raise NotFound(lazy("There is no approval “%(key)s” here.", key=key))
    return found


def may_start(ctx: Context, approval: ApprovalDef, row: Row) -> bool:
    """Whether the person may begin it by hand: by their role, or where none is named whoever may edit the record."""
    if ctx.unrestricted or permissions.is_admin(ctx):
        return True
    if not approval.start.button or ctx.user is None or ctx.support is not None or not _may_write(ctx, row.entity):
        return False
    return bool(set(approval.start.roles) & set(ctx.user.role_keys)) if approval.start.roles else row.holds.get("update", False)


def _may_write(ctx: Context, entity_key: str) -> bool:
    """What a key may not change it may not decide either."""
    return ctx.key is None or ("write" in ctx.key.scopes and ctx.key.reaches(entity_key))


def _require_start(ctx: Context, approval: ApprovalDef, row: Row) -> None:
    if not may_start(ctx, approval, row):
        raise PermissionDenied(lazy("You may not start “%(label)s” for this record.", label=pick(approval.label)), approval=approval.key)


async def settled(
    conn: Any, ctx: Context, entity: Entity, row: Row, approval: ApprovalDef, way: str | None, people: Sequence[UUID], *, together: bool = False
) -> tuple[ApprovalDef, str]:
    """The definition with the steps it will have: of the path that was picked, or of the people who were named; and the path's key."""
    if approval.model == "predefined":
        chosen = await _way(conn, ctx, entity, row, approval, way)
        return replace(approval, steps=chosen.steps), chosen.key
    if approval.model == "adhoc":
        return replace(approval, steps=(*await _named(conn, ctx, approval, people, together=together), *approval.steps)), ""
    return approval, ""


async def ways_for(conn: Any, ctx: Context, entity: Entity, row: Row, approval: ApprovalDef) -> list[ApprovalWayDef]:
    """The paths that are possible for the record."""
    return [way for way in approval.ways if await holds(conn, ctx, entity, row, way.condition)]


async def _way(conn: Any, ctx: Context, entity: Entity, row: Row, approval: ApprovalDef, key: str | None) -> ApprovalWayDef:
    possible = await ways_for(conn, ctx, entity, row, approval)
    if key is None and (ctx.unrestricted or len(possible) == 1) and possible:
        return possible[0]
    found = next((w for w in possible if w.key == key), None)
    if found is None:
        raise InvalidInput([FieldProblem("way", "required" if not key else "unknown", lazy("Pick one of the paths that are offered."), "/way")])
    return found


async def _named(conn: Any, ctx: Context, approval: ApprovalDef, people: Sequence[UUID], *, together: bool) -> list[ApprovalStepDef]:
    """Steps of the people the applicant named, within the limits. Addresses stand for people: they stay right in a copy of the workspace."""
    limits, wanted = approval.people, list(dict.fromkeys(people))
    if not limits.least <= len(wanted) <= limits.most:
        message = lazy("Name at least %(least)s and at most %(most)s people.", least=limits.least, most=limits.most)
        raise InvalidInput([FieldProblem("people", "count", message, "/people")])
    rows = await conn.fetch(
        "SELECT u.id, u.email, u.name FROM app_user u WHERE u.tenant_id = $1 AND u.id = ANY($2::uuid[]) AND u.status = 'active' AND u.id IS DISTINCT FROM $4 "
        "AND ($3::text[] = '{}' OR EXISTS (SELECT 1 FROM user_role r WHERE r.tenant_id = u.tenant_id AND r.user_id = u.id AND r.role_key = ANY($3)))",
        ctx.tenant_id, wanted, list(limits.roles), ctx.user_id,
    )  # fmt: skip
    known = {r["id"]: r for r in rows}
    if len(known) < len(wanted):
        raise InvalidInput([FieldProblem("people", "unknown_user", lazy("Choose people who are offered; nobody decides about their own wishes."), "/people")])
    approvers = [ApproverDef("person", person=known[p]["email"]) for p in wanted]
    if together:
        return [ApprovalStepDef("named", {"en": "Named people", "zh_CN": "指定人员"}, tuple(approvers))]
    return [ApprovalStepDef(f"named_{n}", {"en": known[p]["name"]}, (approvers[n],)) for n, p in enumerate(wanted)]


async def _begin(act: Act, entity: Entity, row: Row, definition: ApprovalDef, way_key: str, comment: str) -> UUID:
    ctx = act.ctx
    if ctx.support is not None:
        raise PermissionDenied(lazy("Support may look, not change anything."), reason="support")
    applicant = ctx.user_id or row.owner or row.created_by
    flow = Flow(new_id(ctx.now), definition.key, entity.number, row.id, "running", definition, way_key, applicant, ctx.now, None, 1, 0, 0, comment)
    nobody = [p for p in await plan(act.conn, ctx, entity, row, flow) if p.state == NOBODY]
    if nobody:
        raise Conflict(lazy("Nobody could decide in the step “%(step)s”. Ask an administrator to say who does.", step=pick(nobody[0].step.label)), reason="nobody")
    try:
        async with act.conn.transaction():
            await store.insert_flow(act.conn, ctx, flow)
    except asyncpg.UniqueViolationError as error:
        raise Conflict(lazy("“%(label)s” is under way for this record already.", label=pick(definition.label)), reason="running") from error
    await store.freeze(act.conn, entity, row.id, definition.open_fields)
    await store.note(act.conn, ctx, flow, "started", comment=comment)
    act.effect("start_approval", entity.key, row.id)
    await _advance(act, entity, row, flow, 0)
    return flow.id


async def start_after(act: Act, entity: Entity, record_id: UUID, transition: str) -> None:
    """What a transition begins by itself, where the condition holds; a returned one goes on."""
    for approval in act.ctx.config.approvals(entity.key):
        if transition not in approval.start.transitions:
            continue
        row = await read_row(act.conn, act.ctx, entity, record_id)
        if row is None or not await _holds(act, entity, row, approval.start.condition):
            continue
        under_way = await store.flow_under_way(act.conn, act.ctx, entity, record_id, lock=True)
        if under_way is not None and under_way.key == approval.key and under_way.status == "returned":
            await _resubmit(act, entity, row, under_way, "", moved=True)
        elif under_way is None:
            inner = act.under(elevated=True)
            definition, way_key = await settled(act.conn, inner.ctx, entity, row, approval, None, ())
            await _begin(act, entity, row, definition, way_key, "")


pipelines.after_moves.append(start_after)


# ---- going on ------------------------------------------------------------------------------------------------------------


async def holds(conn: Any, ctx: Context, entity: Entity, row: Row, condition: str | None) -> bool:
    """Whether a step's condition holds. One that names what the configuration has no more does: rather one question too many."""
    if not condition:
        return True
    try:
        return (await prepare(conn, ctx, entity, row, [condition])).holds(condition)
    except (ex.ExpressionError, LookupError, AttributeError, TypeError):
        return True


async def _holds(act: Act, entity: Entity, row: Row, condition: str | None) -> bool:
    return await holds(act.conn, act.ctx, entity, row, condition)


async def plan(conn: Any, ctx: Context, entity: Entity, row: Row, flow: Flow, first: int = 0) -> list[Planned]:
    """What the steps from `first` on come to, as things are now."""
    steps = flow.definition.steps[first:]
    org = await organisation(conn, ctx, entity, row, steps, flow.applicant_id)
    return [plan_step(step, n, await holds(conn, ctx, entity, row, step.condition), org, flow.applicant_id) for n, step in enumerate(steps, first)]


async def _advance(act: Act, entity: Entity, row: Row, flow: Flow, number: int) -> None:
    """Ask the people of the next step in which somebody has to be asked; without one it is approved."""
    for planned in await plan(act.conn, act.ctx, entity, row, flow, number):
        flow.step = planned.number
        if planned.state == NOBODY:  # they were there when it began
            planned = Planned(planned.step, planned.number, ASKED, (Seat(await _stand_ins(act, flow)),), 1, by_fallback=True)
        if planned.state != ASKED:
            await store.note(act.conn, act.ctx, flow, "not_needed" if planned.state == CONDITION else "skipped")
            continue
        flow.needed = planned.needed
        await store.ask_seats(act.conn, act.ctx, flow, planned)
        if not planned.is_passed:
            await store.save_flow(act.conn, act.ctx, flow)
            await notices.asked(act, entity, flow, [p for seat in planned.seats if not seat.passed for p in seat.people])
            return
        await store.cancel_open(act.conn, act.ctx, flow)
        await store.note(act.conn, act.ctx, flow, "passed")
    await _finish(act, entity, flow, "approved")


async def _stand_ins(act: Act, flow: Flow) -> tuple[UUID, ...]:
    found = await administrators(act.conn, act.ctx)
    people = tuple(p for p in found if p != flow.applicant_id) or tuple(found)
    if not people:
        raise Conflict(lazy("Nobody could decide in the step “%(step)s”. Ask an administrator to say who does.", step=pick(flow.definition.steps[flow.step].label)), reason="nobody")
    return people


async def _finish(act: Act, entity: Entity, flow: Flow, status: str) -> None:
    """It is over: the record opens, and what was to happen happens."""
    flow.status, flow.ended_at = status, act.ctx.now
    await store.cancel_open(act.conn, act.ctx, flow)
    await store.save_flow(act.conn, act.ctx, flow)
    await store.freeze(act.conn, entity, flow.record_id, None)
    await store.note(act.conn, act.ctx, flow, f"ended_{status}")
    await notices.ended(act, entity, flow)
    await _move(act, entity, flow, getattr(flow.definition.outcome, status))


async def _move(act: Act, entity: Entity, flow: Flow, transition: str | None) -> None:
    """A transition of the outcome. One that the configuration has no more is left out, and stands in the timeline."""
    if transition is None:
        return
    if entity.pipeline is None or entity.pipeline.transition(transition) is None:
        await store.note(act.conn, act.ctx, flow, "transition_gone", comment=transition)
        return
    inner = act.under(elevated=True, granted=(flow.record_id, transition))
    await pipelines.move_record(inner, entity, flow.record_id, transition, {})


async def _resubmit(act: Act, entity: Entity, row: Row, flow: Flow, comment: str, *, moved: bool = False) -> None:
    """The applicant sends it again. Where it begins with a transition that is possible now, that is done, and leads here again."""
    if not moved and entity.pipeline is not None:
        approval = next((a for a in act.ctx.config.approvals(entity.key) if a.key == flow.key), None)
        for key in approval.start.transitions if approval else ():
            transition = entity.pipeline.transition(key)
            if transition is not None and (row.state in transition.sources or "*" in transition.sources):
                await pipelines.move_record(act, entity, row.id, key, {})
                return
    flow.status, flow.round = "running", flow.round + 1
    await store.cancel_open(act.conn, act.ctx, flow)
    await store.freeze(act.conn, entity, row.id, flow.definition.open_fields)
    await store.note(act.conn, act.ctx, flow, "resubmitted", comment=comment)
    await _advance(act, entity, row, flow, 0)


# ---- acts ----------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Turn:
    """One act on one approval, both locked. `for_id` is who the person stands in for, if for somebody else."""

    act: Act
    entity: Entity
    row: Row
    flow: Flow
    task: Task | None
    comment: str
    to: str | None
    person: UUID | None
    for_id: UUID | None = None

    @property
    def conn(self) -> Any:
        return self.act.conn

    @property
    def ctx(self) -> Context:
        return self.act.ctx

    async def note(self, what: str, *, to_id: UUID | None = None) -> None:
        await store.note(self.conn, self.ctx, self.flow, what, comment=self.comment, for_id=self.for_id, to_id=to_id)


async def act_on(
    act: Act, entity: Entity, record_id: UUID, flow_id: UUID, what: str, *, task_id: UUID | None = None, comment: str = "", to: str | None = None, person: UUID | None = None
) -> str:
    """One act of `ops.ActOnApproval`; returns what the person is told. Errors: NotFound, PermissionDenied, Conflict (somebody was
    quicker, it is over), InvalidInput (comment, person), and whatever a transition of the outcome says."""
    handler = ACTS.get(what)
    if handler is None:
        raise BadRequest(lazy("“act” is one of: %(known)s.", known=", ".join(ACTS)), field="act")
    ctx = act.ctx
    row = await read_row(act.conn, ctx, entity, record_id, lock=True)
    flow = await store.find_flow(act.conn, ctx, flow_id, lock=True)
    if row is None or flow is None or (flow.entity_id, flow.record_id) != (entity.number, record_id):
        raise NotFound(lazy("There is no such approval, or you may not see it."))
    if ctx.support is not None or not _may_write(ctx, entity.key):
        raise PermissionDenied(lazy("Your role does not allow this."))
    turn = Turn(act, entity, row, flow, None, _comment(comment), to, person)
    if not await _is_concerned(turn):
        raise NotFound(lazy("There is no such approval, or you may not see it."))
    if handler.of_task:
        await _take_task(turn, task_id)
    if handler.needs_comment and not turn.comment:
        raise InvalidInput([FieldProblem("comment", "required", lazy("Say why, so that the others understand it."), "/comment")])
    if handler.right and handler.right not in flow.definition.may:
        raise PermissionDenied(lazy("This approval does not allow that."), reason="not_offered")
    await handler.run(turn)
    return handler.done()


async def _take_task(turn: Turn, task_id: UUID | None) -> None:
    """The task the act is about, still open, and the person's to decide."""
    task = await store.find_task(turn.conn, turn.ctx, task_id) if task_id is not None else None
    if task is None or task.flow_id != turn.flow.id or task.kind == "rework":
        raise NotFound(lazy("There is no such task."))
    people = (await store.people_of(turn.conn, turn.ctx, [task.id])).get(task.id, [])
    if turn.flow.status != "running" or task.status != "open":
        raise Conflict(await _what_was(turn, task), reason="decided", status=turn.flow.status)
    if turn.ctx.user_id not in people:
        absent = {r[0] for r in await turn.conn.fetch(STANDING_IN, turn.ctx.tenant_id, turn.ctx.user_id, turn.ctx.today)}
        turn.for_id = next((p for p in people if p in absent), None)
        if turn.for_id is None or turn.ctx.user_id == turn.flow.applicant_id:
            raise PermissionDenied(lazy("This is not yours to decide."), reason="not_asked")
    turn.task = task


async def _what_was(turn: Turn, task: Task) -> Any:
    if turn.flow.status == "withdrawn":
        return lazy("The applicant has withdrawn this in the meantime.")
    if task.status == "waits":
        return lazy("This waits for somebody who was asked as well.")
    name = await turn.conn.fetchval("SELECT name FROM app_user WHERE tenant_id = $1 AND id = $2", turn.ctx.tenant_id, task.decided_by) if task.decided_by else None
    return lazy("%(name)s has decided this already.", name=name) if name else lazy("This has been decided already.")


async def _is_concerned(turn: Turn) -> bool:
    """Who may know of it: who sees the record, the applicant, whoever is or was asked, and who stands in for them."""
    ctx = turn.ctx
    if ctx.unrestricted or permissions.is_admin(ctx) or ctx.user_id == turn.flow.applicant_id:
        return True
    try:
        await load(turn.conn, ctx, turn.entity, turn.row.id)
        return True
    except NotFound:
        return await is_asked(turn.conn, ctx, turn.flow.id)


async def is_asked(conn: Any, ctx: Context, flow_id: UUID) -> bool:
    return bool(await conn.fetchval(
        "SELECT true FROM approval_task t JOIN approval_person p ON p.tenant_id = t.tenant_id AND p.task_id = t.id WHERE t.tenant_id = $1 AND t.flow_id = $4 "
        f"AND (p.user_id = $2 OR p.user_id IN ({STANDING_IN}) OR t.decided_by = $2) LIMIT 1",
        ctx.tenant_id, ctx.user_id, ctx.today, flow_id,
    ))  # fmt: skip


def _comment(text: str) -> str:
    text = text.strip()
    if len(text) > MAX_COMMENT:
        raise InvalidInput([FieldProblem("comment", "too_long", lazy("At most %(count)s characters.", count=MAX_COMMENT), "/comment")])
    return text


async def _require_applicant(conn: Any, ctx: Context, flow: Flow) -> None:
    """The applicant, or whoever took over from them what was returned."""
    if not (ctx.unrestricted or permissions.is_admin(ctx) or ctx.user_id == flow.applicant_id or await store.reworks(conn, ctx, flow)):
        raise PermissionDenied(lazy("Only the applicant may do this."), reason="not_applicant")


async def _approve(turn: Turn) -> None:
    assert turn.task is not None
    await store.settle(turn.conn, turn.ctx, turn.task.id, "approved", comment=turn.comment, for_id=turn.for_id)
    await turn.note("approved")
    if turn.task.kind == "before" and turn.task.parent_id is not None:  # whoever asked goes on
        await store.set_status(turn.conn, turn.ctx, turn.task.parent_id, "open")
        people = (await store.people_of(turn.conn, turn.ctx, [turn.task.parent_id])).get(turn.task.parent_id, [])
        await notices.asked(turn.act, turn.entity, turn.flow, people)
    await _count(turn)


async def _reject(turn: Turn) -> None:
    assert turn.task is not None
    await store.settle(turn.conn, turn.ctx, turn.task.id, "rejected", comment=turn.comment, for_id=turn.for_id)
    await turn.note("rejected")
    await _count(turn)


async def _count(turn: Turn) -> None:
    flow = turn.flow
    tasks = [t for t in await store.tasks_of(turn.conn, turn.ctx, [flow.id]) if (t.round, t.step) == (flow.round, flow.step)]
    step = flow.current
    verdict = Tally(step.mode if step else "all", flow.needed, [(t.kind, t.status) for t in tasks]).verdict
    if verdict == "rejected":
        await _finish(turn.act, turn.entity, flow, "rejected")
    elif verdict == "approved":
        await store.cancel_open(turn.conn, turn.ctx, flow)
        await _advance(turn.act, turn.entity, turn.row, flow, flow.step + 1)


async def _return(turn: Turn) -> None:
    """To the applicant, whose record opens; or to an earlier step, which is then asked anew."""
    assert turn.task is not None
    flow = turn.flow
    await store.settle(turn.conn, turn.ctx, turn.task.id, "returned", comment=turn.comment, for_id=turn.for_id)
    if turn.to in (None, "", "applicant"):
        if flow.applicant_id is None:
            raise Conflict(lazy("Nobody applied for this, so it cannot be returned."), reason="no_applicant")
        await turn.note("returned", to_id=flow.applicant_id)
        flow.status = "returned"
        await store.cancel_open(turn.conn, turn.ctx, flow)
        await store.ask(turn.conn, turn.ctx, flow, [flow.applicant_id], kind="rework")
        await store.save_flow(turn.conn, turn.ctx, flow)
        await store.freeze(turn.conn, turn.entity, flow.record_id, None)
        await notices.returned(turn.act, turn.entity, flow, turn.comment)
        await _move(turn.act, turn.entity, flow, flow.definition.outcome.returned)
        return
    number = next((n for n, step in enumerate(flow.definition.steps[: flow.step]) if step.key == turn.to), None)
    if number is None:
        raise InvalidInput([FieldProblem("to", "unknown", lazy("Choose a step that comes before this one, or the applicant."), "/to")])
    await turn.note("returned_to_step")
    await store.cancel_open(turn.conn, turn.ctx, flow)
    flow.round += 1
    await _advance(turn.act, turn.entity, turn.row, flow, number)


async def _other(turn: Turn) -> UUID:
    """The person who is to be asked instead or as well."""
    found = await active(turn.conn, turn.ctx, [turn.person]) if turn.person is not None else []
    if not found:
        raise InvalidInput([FieldProblem("person", "unknown_user", lazy("Choose one of the people offered."), "/person")])
    assert turn.task is not None
    already = (await store.people_of(turn.conn, turn.ctx, [turn.task.id])).get(turn.task.id, [])
    if turn.person in already or turn.person == turn.ctx.user_id:
        raise InvalidInput([FieldProblem("person", "already", lazy("This person is asked already."), "/person")])
    _refuse_applicant(turn)
    return found[0]


def _refuse_applicant(turn: Turn) -> None:
    if turn.person == turn.flow.applicant_id and (turn.flow.current is None or turn.flow.current.if_applicant != "decide"):
        raise InvalidInput([FieldProblem("person", "applicant", lazy("Nobody decides about their own wishes."), "/person")])


async def _before(turn: Turn) -> None:
    assert turn.task is not None
    person = await _other(turn)
    await store.set_status(turn.conn, turn.ctx, turn.task.id, "waits")
    await store.ask(turn.conn, turn.ctx, turn.flow, [person], seat=turn.task.seat, kind="before", parent=turn.task.id)
    await turn.note("asked_before", to_id=person)
    await notices.asked(turn.act, turn.entity, turn.flow, [person])


async def _after(turn: Turn) -> None:
    """The person agrees, and somebody else has to as well."""
    assert turn.task is not None
    person = await _other(turn)
    await store.ask(turn.conn, turn.ctx, turn.flow, [person], seat=turn.task.seat, kind="after", parent=turn.task.id)
    await turn.note("asked_after", to_id=person)
    await notices.asked(turn.act, turn.entity, turn.flow, [person])
    turn.comment = ""
    await _approve(turn)


async def _delegate(turn: Turn) -> None:
    assert turn.task is not None and turn.ctx.user_id is not None
    person = await _other(turn)
    await store.replace_person(turn.conn, turn.ctx, turn.task.id, turn.for_id or turn.ctx.user_id, person)
    await turn.note("delegated", to_id=person)
    await notices.asked(turn.act, turn.entity, turn.flow, [person])


async def _withdraw(turn: Turn) -> None:
    await _require_applicant(turn.conn, turn.ctx, turn.flow)
    _require_under_way(turn.flow)
    await turn.note("withdrawn")
    await _finish(turn.act, turn.entity, turn.flow, "withdrawn")


async def _send_again(turn: Turn) -> None:
    await _require_applicant(turn.conn, turn.ctx, turn.flow)
    if turn.flow.status != "returned":
        raise Conflict(lazy("Only what was returned can be sent again."), reason="not_returned", status=turn.flow.status)
    await _resubmit(turn.act, turn.entity, turn.row, turn.flow, turn.comment)


async def _remark(turn: Turn) -> None:
    await turn.note("commented")
    await notices.commented(turn.act, turn.entity, turn.flow, turn.comment)


async def _reassign(turn: Turn) -> None:
    """An administrator puts somebody else in the place of all who are asked and do not answer."""
    if not permissions.is_admin(turn.ctx):
        raise PermissionDenied(lazy("Only administrators may do this."))
    _require_under_way(turn.flow)
    person = (await active(turn.conn, turn.ctx, [turn.person]) if turn.person else [None])[:1]
    if not person or person[0] is None:
        raise InvalidInput([FieldProblem("person", "unknown_user", lazy("Choose one of the people offered."), "/person")])
    _refuse_applicant(turn)
    waiting = [t for t in await store.tasks_of(turn.conn, turn.ctx, [turn.flow.id]) if t.status == "open" and t.kind != "rework"]
    people = await store.people_of(turn.conn, turn.ctx, [t.id for t in waiting])
    for task in waiting:
        for old in people.get(task.id, []):
            await store.replace_person(turn.conn, turn.ctx, task.id, old, person[0])
        if not people.get(task.id):
            await store.replace_person(turn.conn, turn.ctx, task.id, person[0], person[0])
    await turn.note("reassigned", to_id=person[0])
    await notices.asked(turn.act, turn.entity, turn.flow, [person[0]])


def _require_under_way(flow: Flow) -> None:
    if flow.status not in store.RUNNING:
        raise Conflict(lazy("This approval is over."), reason="over", status=flow.status)


@dataclass(frozen=True, slots=True)
class _Handler:
    run: Callable[[Turn], Awaitable[None]]
    done: Callable[[], str]
    of_task: bool = True
    needs_comment: bool = False
    right: str = ""


ACTS: dict[str, _Handler] = {
    "approve": _Handler(_approve, lambda: _("Approved")),
    "reject": _Handler(_reject, lambda: _("Rejected"), needs_comment=True),
    "return": _Handler(_return, lambda: _("Returned"), needs_comment=True, right="return"),
    "before": _Handler(_before, lambda: _("Asked as well"), right="countersign"),
    "after": _Handler(_after, lambda: _("Approved, and somebody else is asked as well"), right="countersign"),
    "delegate": _Handler(_delegate, lambda: _("Passed on"), right="delegate"),
    "withdraw": _Handler(_withdraw, lambda: _("Withdrawn"), of_task=False, right="withdraw"),
    "resubmit": _Handler(_send_again, lambda: _("Sent again"), of_task=False),
    "comment": _Handler(_remark, lambda: _("Comment added"), of_task=False, needs_comment=True),
    "reassign": _Handler(_reassign, lambda: _("Somebody else is asked now"), of_task=False),
}
OF_TASK = tuple(key for key, handler in ACTS.items() if handler.of_task)

__all__ = ["ACTS", "OF_TASK", "act_on", "find_approval", "is_asked", "may_start", "plan", "settled", "start", "ways_for"]
