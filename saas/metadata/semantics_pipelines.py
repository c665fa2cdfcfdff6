"""Rules of meaning about pipelines: their field, their stages, their transitions."""

from __future__ import annotations

from collections import Counter

from saas.i18n import lazy
from saas.metadata import models as m
from saas.metadata.check import Check


def check_pipelines(check: Check) -> None:
    per_entity = Counter(p.entity for p in check.bundle.pipelines)
    for pipeline in check.bundle.pipelines:
        _pipeline(check, pipeline, per_entity)
    for entity in check.bundle.entities:
        for field in entity.fields:
            if field.type == "pipeline":
                _owner(check, f"entities[{entity.key}].fields[{field.key}].pipeline", entity, field)


def _pipeline(check: Check, pipeline: m.PipelineDef, per_entity: Counter[str]) -> None:
    path = f"pipelines[{pipeline.key}]"
    if per_entity[pipeline.entity] > 1:
        check.problems.add(
            f"{path}.entity", "second_pipeline", lazy("“%(entity)s” has more than one pipeline.", entity=pipeline.entity),
            lazy("Keep one, or turn the other into an option field."),
        )  # fmt: skip
    entity = check.entities.get(pipeline.entity)
    field = entity.fields.get(pipeline.field) if entity else None
    if field is not None and (field.type != "pipeline" or field.options.get("pipeline") != pipeline.key):
        check.problems.add(
            f"{path}.field", "field_disagrees", lazy("The field “%(field)s” does not belong to this pipeline.", field=field.key),
            lazy("Give that field \"type\": \"pipeline\" and \"pipeline\": \"%(key)s\".", key=pipeline.key),
        )  # fmt: skip
    if not any(s.is_final for s in pipeline.stages):
        check.problems.add(
            f"{path}.stages", "no_final_stage", lazy("No stage ends this pipeline."),
            lazy("Give at least one stage the kind “won”, “lost” or “done”."),
        )  # fmt: skip
    if pipeline.stages[0].condition:
        check.problems.add(
            f"{path}.stages[{pipeline.initial}].if", "first_stage_for_some", lazy("Every record begins in the first stage, so it must be there for all."),
            lazy("Remove the condition, or put a stage without one first."),
        )  # fmt: skip
    if field is not None and field.options.get("widget") == m.TRISTATE and sorted({"done": "won"}.get(s.kind, s.kind) for s in pipeline.stages) != ["lost", "open", "won"]:
        check.problems.add(
            f"entities[{pipeline.entity}].fields[{field.key}].widget", "not_three_states", lazy("A three-state box needs exactly three stages: one open, one that succeeds and one that fails."),
            lazy("Change the stages of “%(pipeline)s”, or show it as a badge.", pipeline=pipeline.key),
        )  # fmt: skip
    for transition in pipeline.transitions:
        _transition(check, f"{path}.transitions[{transition.key}]", pipeline, transition)


def _transition(check: Check, path: str, pipeline: m.PipelineDef, transition: m.TransitionDef) -> None:
    if (transition.to is None) == (not transition.branches):
        message = lazy("It is not said where this transition leads.") if transition.to is None else lazy("The target is given twice.")
        check.problems.add(f"{path}.to", "no_target", message, lazy("Write either “to” with a stage, or “branches”."))
    for branch in transition.branches[:-1]:
        if branch.condition is None:
            check.problems.add(
                f"{path}.branches", "branch_never_reached", lazy("A branch without “if” always wins, so those after it are never used."),
                lazy("Move it to the end, or give it a condition."),
            )  # fmt: skip
    if transition.branches and transition.branches[-1].condition is not None:
        check.problems.add(
            f"{path}.branches", "no_last_branch", lazy("If no condition holds, it is not said where this transition leads."),
            lazy("Add a last branch without “if”: {\"to\": \"…\"}."),
        )  # fmt: skip
    if transition.guard and not transition.guard_message:
        check.problems.add(
            f"{path}.guard_message", "missing", lazy("When the guard refuses, people need to be told why."),
            lazy("Add “guard_message”, for example {\"en\": \"Assign somebody first.\", \"zh_CN\": \"请先指派负责人\"}."),
        )  # fmt: skip
    fields = check.entities[pipeline.entity].fields if pipeline.entity in check.entities else {}
    for name in ("require", "ask"):
        for key in getattr(transition, name):
            field = fields.get(key)
            if field is not None and (field.type in ("formula", "rollup", "auto", "pipeline") or (field.system and key != "owner")):
                check.problems.add(
                    f"{path}.{name}[{key}]", "cannot_be_filled", lazy("Nobody can fill “%(field)s”: the system sets it.", field=key),
                    lazy("Remove it, or write a condition in “guard” instead."),
                )  # fmt: skip


def _owner(check: Check, path: str, entity: m.EntityDef, field: m.FieldDef) -> None:
    pipeline = check.config.pipelines.get(str(field.options.get("pipeline")))
    if pipeline is not None and (pipeline.entity, pipeline.field) != (entity.key, field.key):
        check.problems.add(
            path, "pipeline_disagrees",
            lazy("The pipeline “%(key)s” belongs to the field “%(field)s” of “%(entity)s”.", key=pipeline.key, field=pipeline.field, entity=pipeline.entity),
            lazy("A pipeline drives exactly one field: make another pipeline for this one."),
        )  # fmt: skip


def reachable(pipeline: m.PipelineDef) -> set[str]:
    """Stages a record can ever be in, starting from the first."""
    found, frontier = {pipeline.initial}, [pipeline.initial]
    while frontier:
        here = frontier.pop()
        for transition in pipeline.transitions:
            if here in transition.sources or "*" in transition.sources:
                for stage in (transition.to, *(b.to for b in transition.branches)):
                    if stage is not None and stage not in found:
                        found.add(stage)
                        frontier.append(stage)
    return found
