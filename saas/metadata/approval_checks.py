"""Checks of approvals: what they name exists, and every path can come to an end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from saas.i18n import lazy
from saas.metadata import models as m
from saas.metadata.check import Check
from saas.metadata.kinds import field_types

NEEDS = {"role": "role", "department": "department", "field": "field", "person": "person"}  # what each way to say who needs


def steps_of(approval: m.ApprovalDef) -> Iterator[tuple[str, m.ApprovalStepDef]]:
    """Every step with its path."""
    path = f"approvals[{approval.key}]"
    yield from ((f"{path}.steps[{step.key}]", step) for step in approval.steps)
    for way in approval.ways:
        yield from ((f"{path}.ways[{way.key}].steps[{step.key}]", step) for step in way.steps)


def check_approval_references(check: Check) -> None:
    for approval in check.bundle.approvals:
        _references(check, approval)


def _references(check: Check, approval: m.ApprovalDef) -> None:
    path = f"approvals[{approval.key}]"
    if not check.known(f"{path}.entity", "entity", approval.entity, check.entities):
        return
    for name, roles in ((f"{path}.start.roles", approval.start.roles), (f"{path}.people.roles", approval.people.roles)):
        for role in roles:
            check.known(name, "role", role, check.roles)
    for name in ("open_fields", "shown"):
        for key in getattr(approval, name):
            check.field(f"{path}.{name}[{key}]", approval.entity, key)
    pipeline = check.entities[approval.entity].pipeline
    known = [t.key for t in pipeline.transitions] if pipeline else []
    for name in ("transitions", "guards"):
        for key in getattr(approval.start, name):
            check.known(f"{path}.start.{name}", "transition", key, known)
    for name in ("approved", "rejected", "withdrawn", "returned"):
        check.known(f"{path}.outcome.{name}", "transition", getattr(approval.outcome, name), known)
    for here, step in steps_of(approval):
        check.known(f"{here}.fallback", "role", step.fallback, check.roles)
        for number, approver in enumerate(step.approvers):
            _approver(check, f"{here}.approvers[{number}]", approval.entity, approver)


def _approver(check: Check, path: str, entity: str, approver: m.ApproverDef) -> None:
    check.known(f"{path}.role", "role", approver.role, check.roles)
    field = check.field(f"{path}.field", entity, approver.field)
    if field is not None and field_types.get(field.type).holds not in ("user", "dept"):
        check.problems.add(
            f"{path}.field", "not_a_person", lazy("“%(field)s” names nobody.", field=field.key),
            lazy("Write a field that holds people, or one that holds a department: then its head decides."),
        )  # fmt: skip


def check_approvals(check: Check) -> None:
    for approval in check.bundle.approvals:
        _meaning(check, approval)
    adhoc = {a.key for a in check.bundle.approvals if a.model == "adhoc"}
    for scene in check.scenes():
        for number, action in enumerate(scene.actions):
            if action.action == "start_approval" and action.options.get("approval") in adhoc:
                check.problems.add(
                    f"{scene.path}[{number}].approval", "nobody_named", lazy("Somebody has to name the people, so it cannot start by itself."),
                    lazy("Let people start it with the button, or choose another model."),
                )  # fmt: skip


def _meaning(check: Check, approval: m.ApprovalDef) -> None:
    path = f"approvals[{approval.key}]"
    if approval.model == "fixed" and not approval.steps:
        check.problems.add(f"{path}.steps", "no_steps", lazy("Nobody decides: there is no step."), lazy("Add a step that says who has to agree."))
    if approval.model == "predefined" and not approval.ways:
        check.problems.add(f"{path}.ways", "no_steps", lazy("There is no path to pick."), lazy("Add at least one path with steps, or choose another model."))
    if approval.people.least > approval.people.most:
        check.problems.add(
            f"{path}.people.least", "out_of_order", lazy("At least %(least)s and at most %(most)s people cannot both hold.", least=approval.people.least, most=approval.people.most),
            lazy("Make the first number the smaller one."),
        )  # fmt: skip
    for here, keys in [(f"{path}.steps", approval.steps), *((f"{path}.ways[{w.key}].steps", w.steps) for w in approval.ways), (f"{path}.ways", approval.ways)]:
        for key, count in Counter(d.key for d in keys).items():
            if count > 1:
                check.problems.add(f"{here}[{key}]", "duplicate_key", lazy("The key “%(key)s” is used %(count)s times.", key=key, count=count), lazy("Give each its own key."))
    if approval.model == "adhoc" and approval.start.transitions:
        check.problems.add(
            f"{path}.start.transitions", "nobody_named", lazy("Somebody has to name the people, so it cannot start by itself."), lazy("Let people start it with the button, or choose another model.")
        )
    for key in approval.start.guards:
        if key != approval.outcome.approved:
            check.problems.add(
                f"{path}.start.guards", "never_done", lazy("“%(key)s” waits for this approval, but is not done by it.", key=key),
                lazy("Write it as what happens when approved, or do not guard it."),
            )  # fmt: skip
    for key in approval.start.transitions:
        if key in (approval.outcome.approved, approval.outcome.rejected, approval.outcome.withdrawn, approval.outcome.returned):
            check.problems.add(
                f"{path}.start.transitions", "starts_again", lazy("“%(key)s” ends this approval and would start it again.", key=key),
                lazy("Use one transition to begin and another one to end."),
            )  # fmt: skip
    for here, step in steps_of(approval):
        _step(check, here, step)


def _step(check: Check, path: str, step: m.ApprovalStepDef) -> None:
    if step.mode == "count" and step.count is None:
        check.problems.add(f"{path}.count", "missing", lazy("It is not said how many must agree."), lazy("Write a number, or choose all or any."))
    if step.mode == "count" and (step.count or 0) > len(step.approvers) and not any(a.each for a in step.approvers):
        check.problems.add(
            f"{path}.count", "too_many", lazy("%(count)s must agree, but only %(known)s are asked.", count=step.count, known=len(step.approvers)),
            lazy("Ask more people, or want fewer of them."),
        )  # fmt: skip
    if step.if_nobody == "fallback" and step.fallback is None:
        check.problems.add(f"{path}.fallback", "missing", lazy("It is not said which role decides when nobody fits."), lazy("Name a role."))
    for number, approver in enumerate(step.approvers):
        needed = NEEDS.get(approver.by)
        if needed is not None and getattr(approver, needed) is None:
            check.problems.add(
                f"{path}.approvers[{number}].{needed}", "missing", lazy("It is not said who this is."), lazy("Fill in “%(name)s”.", name=needed)
            )  # fmt: skip
