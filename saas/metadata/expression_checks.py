"""Every expression and filter of a bundle: it can be read, names what exists, and gives what is wanted there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from saas.i18n import LazyString, lazy
from saas.metadata import expressions as x
from saas.metadata import models as m
from saas.metadata.approval_checks import steps_of
from saas.metadata.check import Check, Scene
from saas.metadata.described import expression_places
from saas.metadata.kinds import action_types, field_types
from saas.metadata.references import target_entity

RETURNS = {"text": "text", "int": "number", "number": "number", "percent": "number", "money": "number", "bool": "bool", "date": "date", "datetime": "datetime", "phone": "text"}
EXAMPLES: dict[str, LazyString] = {
    "bool": lazy("Write a condition that is true or false, for example: amount > 1000."),
    "number": lazy("Write an expression that gives a number, for example: amount * 2."),
    "text": lazy("Write an expression that gives a text, for example: concat(name, ' (', code, ')')."),
    "date": lazy("Write an expression that gives a date, for example: add_days(today(), 7)."),
    "datetime": lazy("Write an expression that gives a time, for example: now()."),
    "user": lazy("Write an expression that gives a person, for example: me() or owner."),
    "people": lazy("Write an expression that gives a person, for example: me() or owner."),
}
ANY_EXAMPLE = lazy("Field names are written as they are; texts stand in single quotes, for example: status == 'open'.")
_WORD = re.compile(r"[a-z][a-z0-9_]*")


Names = Mapping[str, tuple[Any, str | None]]


class Place(NamedTuple):
    """One expression: where it stands, over which entity, what it must give, further names it may use, whether it selects
    records in the database, and the field its result goes into."""

    path: str
    text: str
    entity: str
    expect: str | tuple[str, ...] | None = None
    names: Names | None = None
    stored: bool = False
    into: tuple[str, m.FieldDef] | None = None


def check_expressions(check: Check) -> None:
    for place in _places(check):
        _check(check, place)
    _filters(check)


def _check(check: Check, place: Place) -> None:
    if place.entity not in check.entities or check.problems.ghosts.intersection(_WORD.findall(place.text)):
        return
    try:
        node = x.parse(place.text)
        x.check(node, check.config, place.entity, expect=place.expect, names=place.names, stored=place.stored)  # type: ignore[arg-type]
        if place.into is not None and isinstance(node, x.Literal) and isinstance(node.value, str):
            _known_option(check, place.path, *place.into, node.value)
    except x.ExpressionError as error:
        hint = EXAMPLES.get(place.expect if isinstance(place.expect, str) else "", ANY_EXAMPLE)
        for problem in error.problems:
            check.problems.add(place.path, "bad_expression", problem.message, hint)
            break


def _known_option(check: Check, path: str, entity: str, field: m.FieldDef, key: str) -> None:
    """A fixed choice put into a field of choices must be one of them."""
    if field.type not in ("option", "pipeline"):
        return
    try:
        known = [o.key for o in check.config.options(entity, field.key)]
    except KeyError:  # the set or pipeline does not exist: reported with the references
        return
    check.known(path, "option", key, known)


# ---- where expressions stand --------------------------------------------------------------------------------------------


def _places(check: Check) -> Iterator[Place]:
    for entity in check.bundle.entities:
        yield from _entity(check, entity)
    for pipeline in check.bundle.pipelines:
        for stage in pipeline.stages:
            if stage.condition:
                yield Place(f"pipelines[{pipeline.key}].stages[{stage.key}].if", stage.condition, pipeline.entity, "bool")
        for transition in pipeline.transitions:
            yield from _transition(check, pipeline, transition)
    for role in check.bundle.roles:
        yield from _role(role)
    for path, widget in check.widgets():
        if isinstance(widget.options.get("target"), str):
            yield Place(f"{path}.target", widget.options["target"], widget.entity, "number")
    for rule in check.bundle.automations:
        if rule.condition:
            yield Place(f"automations[{rule.key}].if", rule.condition, rule.entity, "bool")
    for schedule in check.bundle.schedules:
        if isinstance(schedule.where, str):
            yield Place(f"schedules[{schedule.key}].where", schedule.where, schedule.entity, "bool", stored=True)
    for approval in check.bundle.approvals:
        yield from _approval(approval)
    for hook in check.bundle.webhooks:
        if hook.condition:
            yield Place(f"webhooks[{hook.key}].if", hook.condition, hook.entity, "bool")
    for section, taken in (*(("web_forms", f) for f in check.bundle.web_forms), *(("inbound_hooks", h) for h in check.bundle.inbound_hooks)):
        for key, text in taken.values.items():
            field = check.entities[taken.entity].fields.get(key) if taken.entity in check.entities else None
            if field is not None:
                yield Place(f"{section}[{taken.key}].values.{key}", text, taken.entity, wanted(check, field), into=(taken.entity, field))
    for template in check.bundle.templates:
        if template.language:
            yield Place(f"templates[{template.key}].language", template.language, template.entity, "text")
        for number, text in enumerate(template.to):
            if not text.startswith("role:"):
                yield Place(f"templates[{template.key}].to[{number}]", text, template.entity)
    for scene in check.scenes():
        yield from _actions(check, scene)
    for path, text, entity, expect in expression_places(check):
        yield Place(path, text, entity, expect)
    for example in check.bundle.examples:
        for number, text in enumerate(example.then):
            yield Place(f"examples[{example.key}].then[{number}]", text, example.entity, "bool")


def _entity(check: Check, entity: m.EntityDef) -> Iterator[Place]:
    path = f"entities[{entity.key}]"
    for name in ("editable_if", "deletable_if"):
        if getattr(entity, name):
            yield Place(f"{path}.{name}", getattr(entity, name), entity.key, "bool")
    for rule in entity.rules:
        yield Place(f"{path}.rules[{rule.key}].expr", rule.expr, entity.key, "bool")
    for unique in entity.unique:
        if unique.when:
            yield Place(f"{path}.unique[{unique.key}].when", unique.when, entity.key, "bool")
    for duplicate in entity.duplicates:
        here = f"{path}.duplicates[{duplicate.key}]"
        if duplicate.where:
            yield Place(f"{here}.where", duplicate.where, entity.key, "bool", stored=True)
        if duplicate.against is not None and duplicate.against.where:
            yield Place(f"{here}.against.where", duplicate.against.where, duplicate.against.entity, "bool", stored=True)
    for pool in entity.pools:
        for name in ("when", "held_if", "recycle_unless"):
            if getattr(pool, name):
                yield Place(f"{path}.pools[{pool.key}].{name}", getattr(pool, name), entity.key, "bool", stored=True)
    for field in entity.fields:
        if not field.made:
            yield from _field(check, f"{path}.fields[{field.key}]", entity, field)


def _field(check: Check, path: str, entity: m.EntityDef, field: m.FieldDef) -> Iterator[Place]:
    for name in ("required_if", "visible_if", "read_only_if"):
        if getattr(field, name):
            yield Place(f"{path}.{name}", getattr(field, name), entity.key, "bool")
    if is_expression(field.default):
        yield Place(f"{path}.default", field.default["expr"], entity.key, wanted(check, field), into=(entity.key, field))
    options = field.options
    if field.type == "formula" and isinstance(options.get("expr"), str):
        yield Place(f"{path}.expr", options["expr"], entity.key, RETURNS.get(str(options.get("returns"))), stored=True)
    if field.type == "rollup" and isinstance(options.get("where"), str):
        relation = check.entities[entity.key].children.get(options.get("of") or "")
        if relation is not None:
            yield Place(f"{path}.where", options["where"], relation.child, "bool", {"parent": ("ref", entity.key)}, True)
    if field.type == "ref" and isinstance(options.get("filter"), str):
        yield Place(f"{path}.filter", options["filter"], str(options.get("to")), "bool", {"new": ("ref", entity.key)}, True)
    if field.type in ("date", "datetime"):
        for name in ("min", "max"):
            if isinstance(options.get(name), str) and not options[name][:1].isdigit():
                yield Place(f"{path}.{name}", options[name], entity.key, field.type)


def is_expression(value: Any) -> bool:
    """Whether a default is {"expr": text} rather than a literal."""
    return isinstance(value, Mapping) and set(value) == {"expr"} and isinstance(value["expr"], str)


def wanted(check: Check, field: m.FieldDef) -> str | tuple[str, ...] | None:
    """The type an expression must have to be put into the field; a list of ids may be given a single one."""
    kind = field_types.get(field.type)
    try:
        found = kind.expr_type_of(field, check.config)
        return (found, x.ID_TYPES[kind.holds]) if found == "list" and kind.holds in x.ID_TYPES else found
    except (KeyError, TypeError, AttributeError):  # a broken definition, reported elsewhere
        return None


def _transition(check: Check, pipeline: m.PipelineDef, transition: m.TransitionDef) -> Iterator[Place]:
    path = f"pipelines[{pipeline.key}].transitions[{transition.key}]"
    for name in ("allow_if", "guard"):
        if getattr(transition, name):
            yield Place(f"{path}.{name}", getattr(transition, name), pipeline.entity, "bool")
    for number, branch in enumerate(transition.branches):
        if branch.condition:
            yield Place(f"{path}.branches[{number}].if", branch.condition, pipeline.entity, "bool")
    yield from _values(check, f"{path}.set", pipeline.entity, transition.set, pipeline.entity, None)


def _approval(approval: m.ApprovalDef) -> Iterator[Place]:
    path = f"approvals[{approval.key}]"
    if approval.start.condition:
        yield Place(f"{path}.start.if", approval.start.condition, approval.entity, "bool")
    for way in approval.ways:
        if way.condition:
            yield Place(f"{path}.ways[{way.key}].if", way.condition, approval.entity, "bool")
    for here, step in steps_of(approval):
        if step.condition:
            yield Place(f"{here}.if", step.condition, approval.entity, "bool")


def _role(role: m.RoleDef) -> Iterator[Place]:
    if role.portal is not None and role.portal.open_if:
        yield Place(f"roles[{role.key}].portal.open_if", role.portal.open_if, role.portal.entity, "bool", stored=True)
    for key, rights in role.entities.items():
        path = f"roles[{role.key}].entities.{key}"
        for name in ("read", "update", "delete", "export"):
            for rule in getattr(rights, name):
                if rule.condition and key != "*":
                    yield Place(f"{path}.{name}", rule.condition, key, "bool", stored=True)
        if rights.create_if and key != "*":
            yield Place(f"{path}.create", rights.create_if, key, "bool")
        for field, right in rights.fields.items():
            if right.condition and key != "*":
                yield Place(f"{path}.fields.{field}", right.condition, key, "bool")


def _values(
    check: Check, path: str, entity: str, values: Mapping[str, str], here: str, names: Names | None
) -> Iterator[Place]:
    """Expressions over `here` whose results go into fields of `entity`."""
    fields = check.entities[entity].fields if entity in check.entities else {}
    for key, text in values.items():
        if key in fields and isinstance(text, str):
            yield Place(f"{path}.{key}", text, here, wanted(check, fields[key]), names, into=(entity, fields[key]))


def _actions(check: Check, scene: Scene) -> Iterator[Place]:
    aliases: dict[str, str | None] = dict(scene.known)
    for number, action in enumerate(scene.actions):
        path: str = f"{scene.path}[{number}]"
        names: Names = {f"result.{alias}": ("ref", entity) for alias, entity in aliases.items()}
        if action.condition:
            yield Place(f"{path}.if", action.condition, scene.entity, "bool", names)
        entity = _target(check, scene, path, action, aliases)
        if isinstance(action.options.get("values"), Mapping):
            yield from _values(check, f"{path}.values", entity or "", action.options["values"], scene.entity, names)
        kind = action_types.get(action.action)
        if kind.looks_among and entity is not None:
            yield Place(f"{path}.where", str(action.options["where"]), entity, "bool", {"new": ("ref", scene.entity)}, True)
        for where, text, hint, expect in kind.expressions(action.options):
            if not where.startswith("values."):  # those were checked against their fields above
                about = check.inner_entity(scene.entity, action) if where == "where" or where.startswith("map.") else hint
                yield Place(f"{path}.{where}", text, about or scene.entity, expect, names)
        if action.alias:
            aliases[action.alias] = entity


def _target(check: Check, scene: Scene, path: str, action: m.ActionDef, aliases: Mapping[str, Any]) -> str | None:
    if isinstance(action.options.get("entity"), str):
        return action.options["entity"]
    target = action.options.get("target")
    return target_entity(check, f"{path}.target", scene.entity, target, aliases) if isinstance(target, str) else scene.entity


# ---- filters ------------------------------------------------------------------------------------------------------------


def _filters(check: Check) -> None:
    for role in check.bundle.roles:
        if role.notice is not None:
            _filter(check, f"roles[{role.key}].notice.where", role.notice.entity, role.notice.where)
    for view in check.bundle.views:
        _filter(check, f"views[{view.entity}:{view.key}].filter", view.entity, view.filter)
    for path, widget in check.widgets():
        _filter(check, f"{path}.filter", widget.entity, widget.filter)
    for schedule in check.bundle.schedules:
        if not isinstance(schedule.where, str):
            _filter(check, f"schedules[{schedule.key}].where", schedule.entity, schedule.where)


def _filter(check: Check, path: str, entity: str, filter_: Any) -> None:
    if filter_ is None or entity not in check.entities:
        return
    if isinstance(filter_, Mapping) and isinstance(filter_.get("expr"), str) and len(filter_) == 1:
        _check(check, Place(path, filter_["expr"], entity, "bool", stored=True))
        return
    try:
        x.filter_to_node(filter_, check.config, entity)
    except x.FilterError as error:
        inner = str(error.path).strip("/").replace("/", ".")
        check.problems.add(
            f"{path}.{inner}" if inner else path, "bad_filter", error.message,
            lazy("Write a filter such as {\"field\": \"status\", \"op\": \"eq\", \"value\": \"open\"}, or an expression in quotes."),
        )  # fmt: skip
    except x.ExpressionError as error:
        check.problems.add(path, "bad_expression", error.message, EXAMPLES["bool"])
