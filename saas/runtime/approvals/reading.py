"""What people see of approvals: their tasks, a record's approvals step by step, and a preview of one that has not begun.

Whoever is asked sees the record's title and the fields the approval shows, also where their role does not show the record itself:
the configuration asked them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import BadRequest, NotFound
from saas.i18n import gettext as _
from saas.i18n import lazy, pick
from saas.metadata import expressions as ex
from saas.metadata.build import approval_of
from saas.metadata.config import Entity
from saas.metadata.expression_words import expression_words
from saas.metadata.models import ApprovalDef, ApprovalStepDef
from saas.metadata.naming import Lookup
from saas.metadata.unbuild import bundle_to_raw
from saas.runtime import permissions
from saas.runtime.approvals import flows, store
from saas.runtime.approvals.path import AGREED, ASKED, CONDITION, NOBODY, SKIPPED, Planned
from saas.runtime.approvals.store import Flow, Task
from saas.runtime.context import Context
from saas.runtime.env import read_row
from saas.runtime.present import display_text, names_for, titles_of
from saas.runtime.records import entity_of, find, load
from saas.runtime.rows import Row
from saas.tenants import new_id, user_names

BOXES = ("mine", "started", "done")
MAX_TASKS = 200


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """A line of somebody's inbox. `task_id` is None where it is about the whole approval (what somebody started). `for_name`: whom
    the reader stands in for."""

    task_id: UUID | None
    flow_id: UUID
    approval: str
    approval_key: str
    step: str
    entity: str
    entity_label: str
    record_id: UUID
    title: str
    kind: str
    status: str  # of the task; of the approval where there is none
    flow_status: str
    applicant: str
    at: datetime
    due_at: datetime | None = None
    decided_at: datetime | None = None
    comment: str = ""
    for_name: str = ""


@dataclass(frozen=True, slots=True)
class SeatInfo:
    """One agreement that is wanted. `status` is a task's, or "planned"."""

    status: str
    people: tuple[str, ...]
    kind: str = "decide"
    decided_by: str = ""
    for_name: str = ""
    at: datetime | None = None
    due_at: datetime | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class StepInfo:
    """`state`: done current planned, not_needed (its condition does not hold), skipped, nobody, cut (it ended before)."""

    key: str
    label: str
    state: str
    condition: str
    holds: bool | None
    mode: str
    needed: int
    seats: tuple[SeatInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class EventInfo:
    at: datetime
    act: str
    actor: str
    step: str
    to: str = ""
    for_name: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class FlowInfo:
    """One approval of a record. `acts`: what the reader may do now; those of a task need `task_id`. `back_to`: steps it may be
    returned to, (key, label)."""

    id: UUID
    key: str
    label: str
    way: str
    status: str
    applicant_id: UUID | None
    applicant: str
    started_at: datetime
    ended_at: datetime | None
    comment: str
    round: int
    steps: tuple[StepInfo, ...]
    events: tuple[EventInfo, ...]
    task_id: UUID | None = None
    for_name: str = ""
    acts: tuple[str, ...] = ()
    back_to: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class StartInfo:
    """An approval the reader may start now."""

    key: str
    label: str
    description: str
    model: str
    ways: tuple[tuple[str, str, str], ...] = ()  # key, label, description
    least: int = 1
    most: int = 1
    people: tuple[tuple[UUID, str], ...] = field(default=())


# ---- tasks ---------------------------------------------------------------------------------------------------------------


async def tasks(ctx: Context, box: str = "mine", *, approval: str | None = None, limit: int = 50, before: datetime | None = None) -> list[TaskInfo]:
    """A box of the person's inbox: mine to decide (oldest first), what they started and what they decided (newest first)."""
    if box not in BOXES:
        raise BadRequest(lazy("“box” is one of: %(known)s.", known=", ".join(BOXES)), field="box")
    if ctx.viewer is not None or ctx.user is None:
        return []
    limit = min(max(limit, 1), MAX_TASKS)
    numbers = [e.number for e in ctx.config.entities.values() if ctx.key is None or ctx.key.reaches(e.key)]
    args = (ctx.tenant_id, ctx.user_id, ctx.today, numbers, approval, before, limit)
    flow = "f.id AS flow_id, f.approval_key, f.entity_id, f.record_id, f.status AS flow_status, f.applicant_id, f.definition, f.started_at"
    where = "f.entity_id = ANY($4::int[]) AND ($5::text IS NULL OR f.approval_key = $5)"
    if box == "started":
        sql = (
            f"SELECT {flow}, NULL::uuid AS id, f.step, 'flow' AS kind, f.status, f.started_at AS created_at, NULL::timestamptz AS due_at, f.ended_at AS decided_at, '' AS comment, "
            f"NULL::uuid AS person FROM approval_flow f WHERE f.tenant_id = $1 AND f.applicant_id = $2 AND $3::date IS NOT NULL AND {where} "
            "AND ($6::timestamptz IS NULL OR f.started_at < $6) ORDER BY f.started_at DESC LIMIT $7"
        )
    else:
        mine = f"p.is_open AND (p.user_id = $2 OR p.user_id IN ({flows.STANDING_IN}))" if box == "mine" else ""
        join = "JOIN approval_person p ON p.tenant_id = t.tenant_id AND p.task_id = t.id" if box == "mine" else ""
        chosen = mine if box == "mine" else "t.decided_by = $2 AND $3::date IS NOT NULL"
        moment = "t.created_at > $6" if box == "mine" else "t.decided_at < $6"
        order = "t.created_at, t.id" if box == "mine" else "t.decided_at DESC"
        sql = (
            f"SELECT {flow}, t.id, t.step, t.kind, t.status, t.created_at, t.due_at, t.decided_at, t.comment, {'p.user_id' if box == 'mine' else 't.for_id'} AS person "
            f"FROM approval_task t {join} JOIN approval_flow f ON f.tenant_id = t.tenant_id AND f.id = t.flow_id "
            f"WHERE t.tenant_id = $1 AND {chosen} AND {where} AND ($6::timestamptz IS NULL OR {moment}) ORDER BY {order} LIMIT $7"
        )
    async with tenant_transaction(ctx.tenant_id) as conn:
        rows = await conn.fetch(sql, *args)
        return await _task_infos(conn, ctx, rows)


async def _task_infos(conn: Any, ctx: Context, rows: Sequence[Any]) -> list[TaskInfo]:
    by_number = {e.number: e for e in ctx.config.entities.values()}
    titles: dict[UUID, str] = {}
    for number in {r["entity_id"] for r in rows}:
        titles |= await titles_of(conn, ctx.replace(elevated=True), by_number[number], [r["record_id"] for r in rows if r["entity_id"] == number])
    names = await user_names(conn, ctx.tenant_id, [p for r in rows for p in (r["applicant_id"], r["person"]) if p])
    found: dict[Any, TaskInfo] = {}
    for r in rows:
        entity, definition = by_number[r["entity_id"]], approval_of(json.loads(r["definition"]))
        step = definition.steps[r["step"]] if r["step"] < len(definition.steps) else None
        stands_in = r["person"] is not None and r["person"] != ctx.user_id
        info = TaskInfo(
            r["id"], r["flow_id"], pick(definition.label, ctx.locale), r["approval_key"], pick(step.label, ctx.locale) if step and r["flow_status"] == "running" else "",
            entity.key, pick(entity.defn.label, ctx.locale), r["record_id"], titles.get(r["record_id"], ""), r["kind"], r["status"], r["flow_status"],
            names.get(r["applicant_id"], _("System")), r["created_at"], r["due_at"], r["decided_at"], r["comment"], names.get(r["person"], "") if stands_in else "",
        )  # fmt: skip
        key = r["id"] or r["flow_id"]
        if key not in found or found[key].for_name:  # one's own task before the same one for somebody else
            found[key] = info
    return list(found.values())


async def task_place(ctx: Context, task_id: UUID) -> tuple[str, UUID, UUID]:
    """(entity, record, approval) of a task. Errors: NotFound."""
    async with tenant_transaction(ctx.tenant_id) as conn:
        row = await conn.fetchrow(
            "SELECT f.entity_id, f.record_id, f.id FROM approval_task t JOIN approval_flow f ON f.tenant_id = t.tenant_id AND f.id = t.flow_id WHERE t.tenant_id = $1 AND t.id = $2",
            ctx.tenant_id, task_id,
        )  # fmt: skip
    return _place(ctx, row)


async def flow_place(ctx: Context, flow_id: UUID) -> tuple[str, UUID, UUID]:
    """(entity, record, approval) of an approval. Errors: NotFound."""
    async with tenant_transaction(ctx.tenant_id) as conn:
        row = await conn.fetchrow("SELECT entity_id, record_id, id FROM approval_flow WHERE tenant_id = $1 AND id = $2", ctx.tenant_id, flow_id)
    return _place(ctx, row)


def _place(ctx: Context, row: Any) -> tuple[str, UUID, UUID]:
    entity = next((e for e in ctx.config.entities.values() if row is not None and e.number == row["entity_id"]), None)
    if entity is None or (ctx.key is not None and not ctx.key.reaches(entity.key)):
        raise NotFound(lazy("There is no such approval, or you may not see it."))
    return entity.key, row["record_id"], row["id"]


# ---- a record's approvals ------------------------------------------------------------------------------------------------


async def record_flows(ctx: Context, entity_key: str, record_id: UUID, limit: int = 5) -> list[FlowInfo]:
    """The approvals of a record, newest first, with what the reader may do. Errors: NotFound for who neither sees it nor is concerned."""
    entity = entity_of(ctx, entity_key)
    async with tenant_transaction(ctx.tenant_id) as conn:
        seen = await find(conn, ctx, entity, record_id) is not None
        row = await read_row(conn, ctx, entity, record_id)
        found = await store.flows_of(conn, ctx, entity, record_id, limit) if row is not None else []
        if not seen:
            found = [f for f in found if await _is_concerned(conn, ctx, f)]
            if not found or ctx.viewer is not None:
                raise NotFound(lazy("This record does not exist, or you may not see it."))
        assert row is not None
        return await _flow_infos(conn, ctx, entity, row, found)


async def _is_concerned(conn: Any, ctx: Context, flow: Flow) -> bool:
    return ctx.user_id is not None and (ctx.user_id == flow.applicant_id or await flows.is_asked(conn, ctx, flow.id))


async def _flow_infos(conn: Any, ctx: Context, entity: Entity, row: Row, found: Sequence[Flow]) -> list[FlowInfo]:
    if not found:
        return []
    ids = [f.id for f in found]
    asked = await store.tasks_of(conn, ctx, ids)
    people = await store.people_of(conn, ctx, [t.id for t in asked])
    events = await conn.fetch(
        "SELECT flow_id, at, act, actor_id, step, to_id, for_id, comment FROM approval_event WHERE tenant_id = $1 AND flow_id = ANY($2::uuid[]) ORDER BY number", ctx.tenant_id, ids
    )
    planned: dict[UUID, list[Planned]] = {f.id: await flows.plan(conn, ctx, entity, row, f) for f in found if f.status in store.RUNNING}
    everybody = {
        *(f.applicant_id for f in found), *(p for known in people.values() for p in known), *(t.decided_by for t in asked), *(t.for_id for t in asked),
        *(e[name] for e in events for name in ("actor_id", "to_id", "for_id")), *(p for plans in planned.values() for x in plans for s in x.seats for p in s.people),
    } - {None}  # fmt: skip
    names = await user_names(conn, ctx.tenant_id, [p for p in everybody if p])
    absent = {r[0] for r in await conn.fetch(flows.STANDING_IN, ctx.tenant_id, ctx.user_id, ctx.today)} if ctx.user_id else set()
    result = []
    for flow in found:
        own = [t for t in asked if t.flow_id == flow.id]
        mine = any(t.kind == "rework" and t.status == "open" and ctx.user_id in people.get(t.id, ()) for t in own)
        task, for_id = _my_task(ctx, flow, own, people, absent)
        told = tuple(
            EventInfo(e["at"], e["act"], names.get(e["actor_id"], _("System")), _step_label(ctx, flow, e["step"]), names.get(e["to_id"], ""), names.get(e["for_id"], ""), e["comment"])
            for e in events if e["flow_id"] == flow.id
        )  # fmt: skip
        way = next((w for w in flow.definition.ways if w.key == flow.way_key), None)
        steps = _steps(ctx, entity, flow, own, people, planned.get(flow.id), names)
        result.append(FlowInfo(
            flow.id, flow.key, pick(flow.definition.label, ctx.locale), pick(way.label, ctx.locale) if way else "", flow.status, flow.applicant_id,
            names.get(flow.applicant_id, _("System")) if flow.applicant_id else _("System"), flow.started_at, flow.ended_at, flow.comment, flow.round, steps, told,
            task.id if task else None, names.get(for_id, "") if for_id else "", _acts(ctx, flow, task, reworks=mine),
            tuple((s.key, pick(s.label, ctx.locale)) for s in flow.definition.steps[: flow.step] if any(t.step < flow.step and flow.definition.steps[t.step].key == s.key for t in own)),
        ))  # fmt: skip
    return result


def _step_label(ctx: Context, flow: Flow, number: int) -> str:
    steps = flow.definition.steps
    return pick(steps[number].label, ctx.locale) if number < len(steps) else ""


def _my_task(ctx: Context, flow: Flow, tasks: Sequence[Task], people: Mapping[UUID, Sequence[UUID]], absent: set[UUID]) -> tuple[Task | None, UUID | None]:
    """The open task the reader may decide, and whom they stand in for."""
    open_ = [t for t in tasks if t.status == "open" and t.kind != "rework"] if flow.status == "running" else []
    for task in open_:
        if ctx.user_id in people.get(task.id, ()):
            return task, None
    if ctx.user_id == flow.applicant_id:
        return None, None
    return next(((task, p) for task in open_ for p in people.get(task.id, ()) if p in absent), (None, None))


def _acts(ctx: Context, flow: Flow, task: Task | None, *, reworks: bool) -> tuple[str, ...]:
    if flow.status not in store.RUNNING or ctx.viewer is not None or ctx.support is not None or not permissions.is_open(ctx):
        return ()
    may, found = flow.definition.may, []
    if task is not None:
        found += ["approve", "reject"]
        found += ["return"] if "return" in may else []
        found += ["before", "after"] if "countersign" in may else []
        found += ["delegate"] if "delegate" in may else []
    admin = permissions.is_admin(ctx)
    if admin or reworks or ctx.user_id == flow.applicant_id:
        found += ["resubmit"] if flow.status == "returned" else []
        found += ["withdraw"] if "withdraw" in may else []
    if admin and flow.status == "running":
        found.append("reassign")
    return (*found, "comment")


def _steps(
    ctx: Context, entity: Entity, flow: Flow, tasks: Sequence[Task], people: Mapping[UUID, Sequence[UUID]], planned: Sequence[Planned] | None, names: Mapping[Any, str]
) -> tuple[StepInfo, ...]:
    """Each step with the tasks of the last round in which it was asked; those still to come as they would be asked now."""
    found = []
    for number, step in enumerate(flow.definition.steps):
        own = [t for t in tasks if t.step == number and t.kind != "rework"]
        last = max((t.round for t in own), default=0)
        own = [t for t in own if t.round == last]
        future = planned[number] if planned is not None else None
        is_past = number < flow.step or flow.status not in store.RUNNING
        is_now = flow.status == "running" and number == flow.step
        if own and (is_past or is_now):
            state = "current" if is_now else "done"
            if flow.status in ("rejected", "withdrawn") and not all(t.status in AGREED or t.status == "cancelled" for t in own):
                state = "cut"
            seats = tuple(
                SeatInfo(t.status, tuple(names.get(p, "?") for p in people.get(t.id, ())), t.kind, names.get(t.decided_by, "") if t.decided_by else "",
                         names.get(t.for_id, "") if t.for_id else "", t.decided_at, t.due_at, t.comment)
                for t in own
            )  # fmt: skip
            found.append(_step_info(ctx, entity, step, state, True if step.condition else None, flow.needed if is_now else 0, seats))
        elif future is not None and not (number < flow.step):
            found.append(planned_step(ctx, entity, future, names))
        else:
            state = "not_needed" if number <= flow.step and flow.status in (*store.RUNNING, "approved") else "cut"
            found.append(_step_info(ctx, entity, step, state, False if state == "not_needed" and step.condition else None, 0, ()))
    return tuple(found)


def planned_step(ctx: Context, entity: Entity, planned: Planned, names: Mapping[Any, str]) -> StepInfo:
    states = {ASKED: "planned", CONDITION: "not_needed", SKIPPED: "skipped", NOBODY: "nobody"}
    seats = tuple(SeatInfo("passed" if s.passed else "planned", tuple(names.get(p, "?") for p in s.people)) for s in planned.seats)
    holds = planned.state != CONDITION if planned.step.condition else None
    return _step_info(ctx, entity, planned.step, states[planned.state], holds, planned.needed, seats)


def _step_info(ctx: Context, entity: Entity, step: ApprovalStepDef, state: str, holds: bool | None, needed: int, seats: tuple[SeatInfo, ...]) -> StepInfo:
    told = step.condition if may_tell(ctx, entity, step.condition) else None
    return StepInfo(step.key, pick(step.label, ctx.locale), state, condition_words(ctx, entity, told), holds if told else None, step.mode, needed, seats)


def may_tell(ctx: Context, entity: Entity, text: str | None) -> bool:
    """Whether the reader may know a condition and whether it holds: it must not tell of a field what their role hides."""
    if not text or permissions.is_admin(ctx):
        return True
    try:
        needs = ex.needs(ex.parse(text))
    except ex.ExpressionError:
        return False
    access = permissions.static_access(ctx, entity)
    return permissions.may(ctx, "read", entity.key) and not needs.children and all(len(path) == 1 and access.get(path[0]) in ("read", "write") for path in needs.paths)


def condition_words(ctx: Context, entity: Entity, text: str | None) -> str:
    if not text:
        return ""
    lookup = ctx.config.cached("approvals.lookup", lambda: Lookup(ctx.config.raw or bundle_to_raw(ctx.config.bundle)))
    return str(expression_words(lookup, text, entity.key))


# ---- before it begins ----------------------------------------------------------------------------------------------------


async def startable(ctx: Context, entity_key: str, record_id: UUID) -> list[StartInfo]:
    """What the reader may start of a record now; nothing while an approval of it is under way."""
    entity = entity_of(ctx, entity_key)
    defined = ctx.config.approvals(entity.key)
    if not defined or ctx.viewer is not None or not permissions.is_open(ctx):
        return []
    async with tenant_transaction(ctx.tenant_id) as conn:
        row = await find(conn, ctx, entity, record_id)
        if row is None or await store.flow_under_way(conn, ctx, entity, record_id) is not None:
            return []
        found = []
        for approval in defined:
            if approval.start.button and flows.may_start(ctx, approval, row) and await flows.holds(conn, ctx, entity, row, approval.start.condition):
                found.append(await _start_info(conn, ctx, entity, row, approval))
    return found


async def _start_info(conn: Any, ctx: Context, entity: Entity, row: Row, approval: ApprovalDef) -> StartInfo:
    ways = await flows.ways_for(conn, ctx, entity, row, approval) if approval.model == "predefined" else []
    people = await offered(conn, ctx, approval.people.roles) if approval.model == "adhoc" else []
    return StartInfo(
        approval.key, pick(approval.label, ctx.locale), pick(approval.description, ctx.locale), approval.model,
        tuple((w.key, pick(w.label, ctx.locale), pick(w.description, ctx.locale)) for w in ways), approval.people.least, approval.people.most, tuple(people),
    )  # fmt: skip


async def offered(conn: Any, ctx: Context, roles: Iterable[str] = (), limit: int = 500) -> list[tuple[UUID, str]]:
    """Active people who may be asked, without the reader: those of the roles, or everybody. Outsiders find nobody."""
    if permissions.is_outsider(ctx):
        return []
    rows = await conn.fetch(
        "SELECT u.id, u.name FROM app_user u WHERE u.tenant_id = $1 AND u.status = 'active' AND u.id IS DISTINCT FROM $2 "
        "AND ($3::text[] = '{}' OR EXISTS (SELECT 1 FROM user_role r WHERE r.tenant_id = u.tenant_id AND r.user_id = u.id AND r.role_key = ANY($3))) ORDER BY u.name, u.id LIMIT $4",
        ctx.tenant_id, ctx.user_id, list(roles), limit,
    )  # fmt: skip
    return [(r["id"], r["name"]) for r in rows]


async def preview(
    ctx: Context, entity_key: str, record_id: UUID, key: str, *, way: str | None = None, people: Sequence[UUID] = (), together: bool = False
) -> tuple[StepInfo, ...]:
    """The steps it would have if it began now, with the people who would be asked. Errors as of `flows.start`."""
    entity = entity_of(ctx, entity_key)
    async with tenant_transaction(ctx.tenant_id) as conn:
        row = await load(conn, ctx, entity, record_id)
        approval = flows.find_approval(ctx, entity, key)
        definition, way_key = await flows.settled(conn, ctx, entity, row, approval, way, people, together=together)
        flow = Flow(new_id(ctx.now), key, entity.number, row.id, "running", definition, way_key, ctx.user_id or row.owner, ctx.now, None, 1, 0, 0, "")
        planned = await flows.plan(conn, ctx, entity, row, flow)
        names = await user_names(conn, ctx.tenant_id, [p for x in planned for s in x.seats for p in s.people])
    return tuple(planned_step(ctx, entity, x, names) for x in planned)


# ---- what is shown of the record -----------------------------------------------------------------------------------------


async def shown_fields(ctx: Context, entity_key: str, record_id: UUID, flow_id: UUID) -> tuple[str, list[tuple[str, str]]]:
    """The record's title, and (label, text) of what the approval shows to those it asks."""
    entity = entity_of(ctx, entity_key)
    inner = ctx.replace(elevated=True)
    async with tenant_transaction(ctx.tenant_id) as conn:
        row, flow = await read_row(conn, ctx, entity, record_id), await store.find_flow(conn, ctx, flow_id)
        if row is None or flow is None or flow.record_id != record_id or not (await _is_concerned(conn, ctx, flow) or await find(conn, ctx, entity, record_id)):
            raise NotFound(lazy("There is no such approval, or you may not see it."))
        keys = [k for k in flow.definition.shown if k in entity.fields]
        names = await names_for(conn, inner, [(entity.fields[k], row.get(k)) for k in keys])
        title = (await titles_of(conn, inner, entity, [record_id])).get(record_id, "")
    return title, [(pick(entity.fields[k].label, ctx.locale), display_text(inner, entity, entity.fields[k], row.get(k), names)) for k in keys]


async def timeline(ctx: Context, entity_key: str, record_id: UUID, limit: int = 50) -> list[EventInfo]:
    """What happened to the record's approvals, newest first, for who sees the record."""
    entity = entity_of(ctx, entity_key)
    async with tenant_transaction(ctx.tenant_id) as conn:
        rows = await conn.fetch(
            "SELECT e.at, e.act, e.actor_id, e.step, e.to_id, e.for_id, e.comment, f.definition FROM approval_event e "
            "JOIN approval_flow f ON f.tenant_id = e.tenant_id AND f.id = e.flow_id WHERE e.tenant_id = $1 AND e.entity_id = $2 AND e.record_id = $3 ORDER BY e.at DESC, f.started_at DESC, e.number DESC LIMIT $4",
            ctx.tenant_id, entity.number, record_id, limit,
        )  # fmt: skip
        names = await user_names(conn, ctx.tenant_id, [r[n] for r in rows for n in ("actor_id", "to_id", "for_id") if r[n]])
    found = []
    for r in rows:
        definition = approval_of(json.loads(r["definition"]))
        step = pick(definition.steps[r["step"]].label, ctx.locale) if r["step"] < len(definition.steps) else ""
        found.append(EventInfo(
            r["at"], r["act"], names.get(r["actor_id"], _("System")), step, names.get(r["to_id"], "") if r["to_id"] else "", names.get(r["for_id"], "") if r["for_id"] else "", r["comment"],
        ))  # fmt: skip
    return found
