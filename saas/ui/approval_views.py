"""What templates show of approvals: words, colours and marks for the drawing of a running one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from saas.i18n import LazyString, lazy, listed, ngettext
from saas.i18n import gettext as _
from saas.runtime import Context
from saas.runtime.approvals.reading import EventInfo, FlowInfo, SeatInfo, StepInfo, TaskInfo
from saas.ui import formats

STATUS = {
    "running": (lazy("under way"), "blue"), "returned": (lazy("returned"), "orange"), "approved": (lazy("approved"), "green"), "rejected": (lazy("rejected"), "red"),
    "withdrawn": (lazy("withdrawn"), "gray"),
}  # fmt: skip
TASK = {
    "open": lazy("waits"), "waits": lazy("waits for somebody else"), "approved": lazy("approved"), "rejected": lazy("rejected"), "returned": lazy("returned"),
    "passed": lazy("counts as agreed"), "cancelled": lazy("not needed any more"), "done": lazy("done"), "planned": lazy("will be asked"),
}  # fmt: skip
SEAT_ICONS = {"approved": "check", "passed": "check", "rejected": "x", "returned": "undo", "open": "hourglass", "waits": "hourglass", "cancelled": "ban"}
KINDS = {"before": lazy("asked as well, before"), "after": lazy("asked as well, after")}
STATES = {
    "done": lazy("done"), "current": lazy("now"), "planned": lazy("to come"), "not_needed": lazy("not needed"), "skipped": lazy("left out: nobody fits"),
    "nobody": lazy("nobody fits: an administrator decides"), "cut": lazy("not reached"),
}  # fmt: skip
EVENTS: dict[str, LazyString] = {
    "started": lazy("started the approval"), "approved": lazy("approved “%(step)s”"), "rejected": lazy("rejected “%(step)s”"), "returned": lazy("returned it to %(to)s"),
    "returned_to_step": lazy("returned it to an earlier step"), "asked_before": lazy("asked %(to)s first"), "asked_after": lazy("agreed, and asked %(to)s as well"),
    "delegated": lazy("passed it on to %(to)s"), "reassigned": lazy("put %(to)s in the place of those who were asked"), "withdrawn": lazy("withdrew it"),
    "left_to": lazy("put %(to)s in the place of %(name)s, who has left"), "left_open": lazy("put the administrators in the place of %(name)s, who has left"),
    "left": lazy("took %(name)s out, who has left"),
    "resubmitted": lazy("sent it again"), "commented": lazy("commented"), "not_needed": lazy("“%(step)s” was not needed"), "skipped": lazy("“%(step)s” was left out: nobody fits"),
    "passed": lazy("“%(step)s” counts as agreed"), "ended_approved": lazy("The approval ended: approved"), "ended_rejected": lazy("The approval ended: rejected"),
    "ended_withdrawn": lazy("The approval ended: withdrawn"), "transition_gone": lazy("The step that was to follow does not exist any more: %(comment)s"),
}  # fmt: skip
ICONS = {
    "started": "shield", "approved": "check", "rejected": "x", "returned": "undo", "returned_to_step": "undo", "asked_before": "users", "asked_after": "users", "delegated": "arrow-right",
    "reassigned": "exchange", "left_to": "exchange", "left_open": "exchange", "left": "exchange", "withdrawn": "ban", "resubmitted": "restore", "commented": "message", "ended_approved": "circle-check", "ended_rejected": "ban", "ended_withdrawn": "ban",
}  # fmt: skip
LEFT = ("left_to", "left_open", "left")
BY_ITSELF = frozenset(("not_needed", "skipped", "passed", "ended_approved", "ended_rejected", "ended_withdrawn", "transition_gone"))


@dataclass(frozen=True, slots=True)
class SeatView:
    status: str
    icon: str
    people: str
    word: str
    kind: str
    detail: str
    comment: str
    late: bool


@dataclass(frozen=True, slots=True)
class StepView:
    key: str
    number: int
    label: str
    state: str
    state_word: str
    rule: str
    condition: str
    holds: bool | None
    seats: tuple[SeatView, ...]


@dataclass(frozen=True, slots=True)
class ToldView:
    icon: str
    actor: str
    text: str
    comment: str
    iso: str
    time: str
    full: str


@dataclass(frozen=True, slots=True)
class FlowView:
    """One approval with its drawing; `acts` are what the reader may do."""

    id: str
    label: str
    way: str
    status: str
    status_word: str
    color: str
    applicant: str
    started: str
    comment: str
    steps: tuple[StepView, ...]
    events: tuple[ToldView, ...]
    task: str
    for_name: str
    acts: tuple[str, ...]
    back_to: tuple[tuple[str, str], ...]
    summary: str
    url: str
    round: int


def flow(ctx: Context, found: FlowInfo, url: str) -> FlowView:
    word, color = STATUS[found.status]
    now = next((s for s in found.steps if s.state == "current"), None)
    waiting = listed(dict.fromkeys(p for s in (now.seats if now else ()) if s.status == "open" for p in s.people))
    summary = _("waits for %(people)s", people=waiting) if waiting else str(word)
    return FlowView(
        str(found.id), found.label, found.way, found.status, str(word), color, found.applicant, formats.moment(ctx, found.started_at), found.comment,
        steps(ctx, found.steps), tuple(told(ctx, e) for e in found.events), str(found.task_id or ""), found.for_name, found.acts, found.back_to, summary,
        f"{url}/{found.id}", found.round,
    )  # fmt: skip


def steps(ctx: Context, found: Sequence[StepInfo]) -> tuple[StepView, ...]:
    return tuple(
        StepView(s.key, n, s.label, s.state, str(STATES[s.state]), _rule(s), s.condition, s.holds, tuple(_seat(ctx, x) for x in s.seats)) for n, s in enumerate(found, 1)
    )


def _rule(step: StepInfo) -> str:
    if len(step.seats) < 2:
        return ""
    if step.mode == "any":
        return _("any one of them")
    if step.mode == "count" and step.needed:
        return ngettext("%(count)s of them", "%(count)s of them", step.needed)
    return _("all of them") if step.mode == "all" else ""


def _seat(ctx: Context, seat: SeatInfo) -> SeatView:
    people = seat.decided_by or _shortened(seat.people)
    detail = []
    if seat.for_name:
        detail.append(_("for %(name)s", name=seat.for_name))
    if seat.at is not None:
        detail.append(formats.moment(ctx, seat.at))
    late = seat.status == "open" and seat.due_at is not None and seat.due_at < ctx.now
    if seat.status == "open" and seat.due_at is not None:
        detail.append(_("until %(when)s", when=formats.full(ctx, seat.due_at)))
    return SeatView(
        seat.status, SEAT_ICONS.get(seat.status, "user"), people or _("the applicant"), str(TASK[seat.status]), str(KINDS.get(seat.kind, "")), " · ".join(detail), seat.comment, late
    )


def _shortened(people: Sequence[str], most: int = 4) -> str:
    if len(people) <= most:
        return _(" or ").join(people)
    return _("%(people)s or %(count)s others", people=", ".join(people[: most - 1]), count=len(people) - most + 1)


def told(ctx: Context, event: EventInfo) -> ToldView:
    text = EVENTS.get(event.act)
    words = str(lazy(text.message, step=event.step, to=event.to or _("the applicant"), comment=event.comment, name=event.for_name)) if text else event.act
    if event.for_name and event.act not in LEFT:
        words = _("%(text)s for %(name)s", text=words, name=event.for_name)
    comment = "" if event.act == "transition_gone" else event.comment
    actor = "" if event.act in BY_ITSELF else event.actor
    return ToldView(ICONS.get(event.act, "circle-dot"), actor, words, comment, event.at.isoformat(), formats.clock(ctx, event.at), formats.full(ctx, event.at))


def task(ctx: Context, found: TaskInfo) -> dict[str, Any]:
    """A row of the inbox."""
    word, color = STATUS[found.flow_status]
    late = found.due_at is not None and found.due_at < ctx.now
    return {
        "id": str(found.task_id or found.flow_id), "url": f"/r/{found.entity}/{found.record_id}/approval", "title": found.title or str(found.record_id)[:8],
        "entity": found.entity_label, "approval": found.approval, "step": _("correct and send again") if found.kind == "rework" else found.step, "applicant": found.applicant,
        "at": formats.moment(ctx, found.at), "full": formats.full(ctx, found.at), "due": _due(ctx, found.due_at) if found.due_at else "", "late": late,
        "status": str(TASK[found.status]) if found.kind != "flow" else str(word), "color": _color(found), "flow": str(word), "flow_color": color, "for_name": found.for_name,
        "comment": found.comment, "can": found.task_id is not None and found.status == "open" and found.kind != "rework",
        "decided": formats.moment(ctx, found.decided_at) if found.decided_at else "",
    }  # fmt: skip


def _color(found: TaskInfo) -> str:
    if found.kind == "flow":
        return STATUS[found.flow_status][1]
    return {"approved": "green", "rejected": "red", "returned": "orange"}.get(found.status, "gray")


def _due(ctx: Context, at: datetime) -> str:
    hours = (at - ctx.now).total_seconds() / 3600
    if hours < 0:
        return _("overdue")
    if hours < 48:
        return ngettext("%(count)s hour left", "%(count)s hours left", max(1, round(hours)))
    return formats.full(ctx, at)
