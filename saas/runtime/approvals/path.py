"""Who decides in a step: pure computation over what is known of the organisation. Reads nothing; org.py does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from saas.metadata.models import ApprovalStepDef, ApproverDef

ASKED, CONDITION, NOBODY, SKIPPED = "asked", "condition", "nobody", "skipped"


@dataclass(frozen=True, slots=True)
class Org:
    """What a path needs to know, active people only. `superiors`: of the applicant, the next one first; `heads`: of the applicant's
    department and those above it; `departments`: heads by department key; `people` by e-mail address."""

    superiors: Sequence[UUID] = ()
    heads: Sequence[UUID] = ()
    roles: Mapping[str, Sequence[UUID]] = field(default_factory=dict)
    departments: Mapping[str, UUID] = field(default_factory=dict)
    fields: Mapping[str, Sequence[UUID]] = field(default_factory=dict)
    people: Mapping[str, UUID] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seat:
    """One agreement that is wanted: any of `people` may give it. `passed`: it counts as given, because the applicant would give it."""

    people: tuple[UUID, ...]
    passed: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """What a step comes to. `state`: asked, condition (it does not hold), skipped (nobody fits, and that is allowed) or nobody (nobody
    fits, and that is not). `needed`: how many seats have to agree; `by_fallback`: a role stands in."""

    step: ApprovalStepDef
    number: int
    state: str
    seats: tuple[Seat, ...] = ()
    needed: int = 0
    by_fallback: bool = False

    @property
    def is_passed(self) -> bool:
        """Nobody has to be asked: enough seats count as agreed."""
        return self.state != ASKED or sum(seat.passed for seat in self.seats) >= self.needed


def plan_step(step: ApprovalStepDef, number: int, holds: bool, org: Org, applicant: UUID | None) -> Planned:
    """One step. `holds`: whether its condition does."""
    if not holds:
        return Planned(step, number, CONDITION)
    seats: list[Seat] = []
    empty = 0
    for approver in step.approvers:
        found = _seats(step, approver, org, applicant)
        seats += found
        empty += not found
    wanted = len(seats) + empty if step.mode == "all" else 1 if step.mode == "any" else step.count or 1
    if len(seats) >= wanted:
        return Planned(step, number, ASKED, tuple(seats), wanted)
    if step.if_nobody == "fallback" and step.fallback:
        stand_in = _without_applicant(step, tuple(org.roles.get(step.fallback, ())), org, applicant)
        if stand_in is not None:
            # One agreement of the role stands for all that are missing: nobody is asked the same thing twice.
            seats.append(stand_in)
            return Planned(step, number, ASKED, tuple(seats), min(wanted, len(seats)), by_fallback=True)
    if step.if_nobody == "skip":
        return Planned(step, number, ASKED, tuple(seats), len(seats)) if seats else Planned(step, number, SKIPPED)
    return Planned(step, number, NOBODY, tuple(seats), wanted)


def _seats(step: ApprovalStepDef, approver: ApproverDef, org: Org, applicant: UUID | None) -> list[Seat]:
    """The seats one approver stands for; none where nobody fits."""
    people = tuple(dict.fromkeys(_people(approver, org)))
    groups = [(person,) for person in people] if approver.each else [people] if people else []
    return [seat for group in groups if (seat := _without_applicant(step, group, org, applicant)) is not None]


def _people(approver: ApproverDef, org: Org) -> Sequence[UUID]:
    at = approver.level - 1
    match approver.by:
        case "superior":
            return org.superiors[at : at + 1]
        case "head":
            return org.heads[at : at + 1]
        case "role":
            return org.roles.get(approver.role or "", ())
        case "field":
            return org.fields.get(approver.field or "", ())
        case "department":
            head = org.departments.get(approver.department or "")
        case _:
            head = org.people.get((approver.person or "").lower())
    return (head,) if head is not None else ()


def _without_applicant(step: ApprovalStepDef, people: tuple[UUID, ...], org: Org, applicant: UUID | None) -> Seat | None:
    """People do not decide about their own wishes, unless the step says so."""
    if step.if_applicant == "decide" or applicant not in people:
        return Seat(people) if people else None
    others = tuple(p for p in people if p != applicant)
    if others:
        return Seat(others)
    if step.if_applicant == "skip":
        return Seat((), passed=True)
    above = next((p for p in org.superiors if p != applicant), None)
    return Seat((above,)) if above is not None else None


# ---- decisions ----------------------------------------------------------------------------------------------------------


OPEN = ("open", "waits")
AGREED = ("approved", "passed")


@dataclass(frozen=True, slots=True)
class Tally:
    """The tasks of a running step: kinds and states."""

    mode: str
    needed: int
    tasks: Sequence[tuple[str, str]]  # (kind, status)

    @property
    def verdict(self) -> str:
        """approved, rejected, or "" while others still have to decide. All: the first no decides. Any: the first word decides.
        Some: no decides when too few are left. Somebody who was asked as well always has to agree."""
        own = [status for kind, status in self.tasks if kind == "decide"]
        asked = [status for kind, status in self.tasks if kind in ("before", "after")]
        agreed, waiting = sum(s in AGREED for s in own), sum(s in OPEN for s in own)
        refused = "rejected" in own
        if "rejected" in asked or (refused and (self.mode != "count" or agreed + waiting < self.needed)):
            return "rejected"
        if agreed >= self.needed and not any(s in OPEN for s in asked):
            return "approved"
        return ""
