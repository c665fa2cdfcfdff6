"""Data steps: what an admin orders for existing data together with a change of the configuration. Their form and meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from saas.errors import DefinitionProblem
from saas.i18n import LazyString, lazy
from saas.metadata import expressions as ex
from saas.metadata import models as m
from saas.metadata.compile import value_problems
from saas.metadata.config import Config, Entity
from saas.metadata.kinds import field_types
from saas.metadata.problems import unknown_text

MOST = 500
PROPERTIES = {
    "fill": {"do", "entity", "field", "value", "expr"}, "convert": {"do", "entity", "field", "from"},
    "replace": {"do", "entity", "field", "from", "rules", "to", "rest"}, "role": {"do", "from", "to"},
}  # fmt: skip
RIGHT_FORM = lazy("See “Data steps” in docs/configuration.md.")


def problems_of_steps(data: Any, after: Config) -> list[DefinitionProblem]:
    """What is wrong with the data steps given with a bundle; paths read `data[0].value`."""
    if not isinstance(data, (list, tuple)):
        return [DefinitionProblem("data", "wrong_type", lazy("Data steps are a list."), RIGHT_FORM)]
    if len(data) > MOST:
        return [DefinitionProblem("data", "too_many", lazy("At most %(count)s data steps are possible.", count=MOST), RIGHT_FORM)]
    return [problem for number, step in enumerate(data) for problem in _problems(f"data[{number}]", step, after)]


def _problems(path: str, step: Any, after: Config) -> Iterator[DefinitionProblem]:
    do = step.get("do") if isinstance(step, Mapping) else None
    if not isinstance(do, str) or do not in PROPERTIES:
        yield _problem(path, "unknown_step", lazy("A data step says what to “do”: fill, convert, replace or role."))
        return
    if surplus := sorted(set(step) - PROPERTIES[do]):
        yield _problem(f"{path}.{surplus[0]}", "unknown_property", lazy("A data step “%(do)s” has no “%(name)s”.", do=do, name=str(surplus[0])[:60]))
        return
    if do == "role":
        yield from _role(path, step, after)
        return
    entity = after.entities.get(step["entity"]) if isinstance(step.get("entity"), str) else None
    if entity is None:
        yield _unknown(f"{path}.entity", "entity", step.get("entity"), list(after.entities))
        return
    declared = _writable(entity).get(step["field"]) if isinstance(step.get("field"), str) else None
    if declared is None:
        yield _unknown(f"{path}.field", "field", step.get("field"), list(_writable(entity)))
        return
    if do == "fill":
        yield from _fill(path, step, after, entity, declared)
    elif do == "replace":
        yield from _replace(path, step, after, entity, declared)


def _problem(path: str, code: str, message: LazyString) -> DefinitionProblem:
    return DefinitionProblem(path, code, message, RIGHT_FORM)


def _unknown(path: str, noun: str, key: Any, known: Sequence[str]) -> DefinitionProblem:
    return DefinitionProblem(path, f"unknown_{noun}", *unknown_text(noun, key, known))


def _writable(entity: Entity) -> dict[str, m.FieldDef]:
    """Fields whose values people give, and the stage."""
    found = {k: f for k, f in entity.declared.items() if f.type == "pipeline" or not field_types.get(f.type).computed}
    return {**found, **({"owner": entity.fields["owner"]} if "owner" in entity.fields else {})}


def _fill(path: str, step: Mapping[str, Any], after: Config, entity: Entity, field: m.FieldDef) -> Iterator[DefinitionProblem]:
    if field.type == "pipeline":
        yield _problem(f"{path}.field", "not_fillable", lazy("A stage cannot be filled in: records start in the first stage."))
    elif ("value" in step) == ("expr" in step):
        yield _problem(path, "value_or_expr", lazy("Say either which value is filled in, or the expression that gives it."))
    elif "expr" in step:
        yield from _expression(f"{path}.expr", step["expr"], after, entity, None)
    elif step["value"] is None or (found := value_problems(after, field, step["value"])):
        reason = found[0][1] if step["value"] is not None else lazy("This field is required.")
        yield _problem(f"{path}.value", "bad_value", lazy("This value would be refused: %(reason)s", reason=reason))


def _replace(path: str, step: Mapping[str, Any], after: Config, entity: Entity, field: m.FieldDef) -> Iterator[DefinitionProblem]:
    if not isinstance(step.get("from"), str):
        yield _problem(f"{path}.from", "required", lazy("Say which choice is replaced."))
        return
    rules = step.get("rules") or []
    if not isinstance(rules, (list, tuple)) or not all(isinstance(r, Mapping) and set(r) <= {"if", "to"} for r in rules):
        yield _problem(f"{path}.rules", "wrong_type", lazy("Rules are a list of conditions, each with the choice that takes the place."))
        return
    known = _choices(after, entity, field)
    for number, rule in enumerate(rules):
        yield from _expression(f"{path}.rules[{number}].if", rule.get("if"), after, entity, "bool")
        yield from _target(f"{path}.rules[{number}].to", rule.get("to"), known, field)
    yield from _target(f"{path}.to", step.get("to"), known, field)


def _target(path: str, to: Any, known: Sequence[str] | None, field: m.FieldDef) -> Iterator[DefinitionProblem]:
    if to is None:
        if field.type == "pipeline":
            yield _problem(path, "required", lazy("Say into which stage the records move."))
    elif not isinstance(to, str) or (known is not None and to not in known):
        yield _unknown(path, "stage" if field.type == "pipeline" else "option", to, list(known or ()))


def _choices(after: Config, entity: Entity, field: m.FieldDef) -> list[str] | None:
    """None where anything can be chosen."""
    try:
        return [o.key for o in after.options(entity.key, field.key)] or None
    except KeyError:  # the set does not exist: a problem of the bundle
        return None


def _expression(path: str, text: Any, after: Config, entity: Entity, expect: Any) -> Iterator[DefinitionProblem]:
    try:
        ex.check(ex.parse(text), after, entity.key, expect=expect, stored=True)
    except ex.ExpressionError as error:
        yield DefinitionProblem(path, "bad_expression", error.message, RIGHT_FORM)


def _role(path: str, step: Mapping[str, Any], after: Config) -> Iterator[DefinitionProblem]:
    if not isinstance(step.get("from"), str):
        yield _problem(f"{path}.from", "required", lazy("Say whose role is replaced."))
    if step.get("to") is not None and step.get("to") not in after.roles:
        yield _unknown(f"{path}.to", "role", step.get("to"), list(after.roles))
