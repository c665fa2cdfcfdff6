"""References: every key that is used anywhere in a bundle exists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from saas.i18n import lazy
from saas.metadata import models as m
from saas.metadata.check import Check
from saas.metadata.kinds import field_types

SOURCES_OF_TIME = ("date", "datetime")


def check_references(check: Check, raw: Mapping[str, Any]) -> None:
    _lost_relations(check)
    _departments(check)
    for entity in check.bundle.entities:
        _entity(check, entity)
    for pipeline in check.bundle.pipelines:
        _pipeline(check, pipeline)
    for role in check.bundle.roles:
        _role(check, role)
    for view in check.bundle.views:
        _view(check, view)
    for layout in check.bundle.layouts:
        _layout(check, layout)
    for path, widget in check.widgets():
        _widget(check, path, widget)
    _params(check)
    _dashboard_references(check, raw)
    for rule in check.bundle.automations:
        _automation(check, rule)
    for schedule in check.bundle.schedules:
        check.known(f"schedules[{schedule.key}].entity", "entity", schedule.entity, check.entities)
    _actions(check)


def _lost_relations(check: Check) -> None:
    """A reference to nowhere has no other side: whatever uses that is not a second mistake."""
    for entity in check.bundle.entities:
        for field in entity.fields:
            if field.type in ("ref", "m2m") and field.options.get("to") not in check.entities:
                check.problems.ghosts.add((field.options.get("inverse") or {}).get("key") or f"{entity.key}_{field.key}")


def _roles(check: Check, path: str, keys: Iterable[str]) -> None:
    for key in keys:
        check.known(path, "role", key, check.roles)


def _fields(check: Check, path: str, entity_key: str, keys: Iterable[str]) -> None:
    for key in keys:
        check.field(f"{path}[{key}]", entity_key, key)


def _departments(check: Check) -> None:
    known = {d.key for d in check.bundle.departments}
    for department in check.bundle.departments:
        check.known(f"departments[{department.key}].parent", "department", department.parent, known)


# ---- entities -----------------------------------------------------------------------------------------------------------


def _entity(check: Check, entity: m.EntityDef) -> None:
    path = f"entities[{entity.key}]"
    check.field(f"{path}.title", entity.key, entity.title)
    check.field(f"{path}.subtitle", entity.key, entity.subtitle)
    _roles(check, f"{path}.owner_roles", entity.owner_roles)
    _fields(check, f"{path}.search", entity.key, entity.search)
    _fields(check, f"{path}.assignees", entity.key, entity.assignees)
    for rule in entity.rules:
        check.field(f"{path}.rules[{rule.key}].field", entity.key, rule.field)
    for unique in entity.unique:
        _fields(check, f"{path}.unique[{unique.key}].fields", entity.key, unique.fields)
    for duplicate in entity.duplicates:
        _fields(check, f"{path}.duplicates[{duplicate.key}].match", entity.key, duplicate.match)
    if entity.tree:
        _points_to(check, f"{path}.tree.parent", entity.key, entity.tree["parent"], entity.key, ("ref",))
    for number, source in enumerate(entity.timeline):
        _timeline(check, f"{path}.timeline.sources[{number}]", entity.key, source)
    for field in entity.fields:
        _field(check, f"{path}.fields[{field.key}]", entity, field)


def _timeline(check: Check, path: str, entity_key: str, source: m.TimelineSource) -> None:
    if not check.known(f"{path}.entity", "entity", source.entity, check.entities):
        return
    _points_to(check, f"{path}.via", source.entity, source.via, entity_key, ("ref", "m2m"))
    at = check.field(f"{path}.at", source.entity, source.at)
    if at is not None and check.type_of(at).key not in SOURCES_OF_TIME:
        check.problems.add(
            f"{path}.at", "not_a_date", lazy("“%(field)s” is not a date or time.", field=source.at),
            lazy("Write a field of type date or datetime, or leave it out for the time of creation."),
        )  # fmt: skip


def _points_to(check: Check, path: str, entity_key: str, field_key: str, target: str, types: tuple[str, ...]) -> None:
    field = check.field(path, entity_key, field_key)
    if field is not None and field.type in types and field.options.get("to") not in check.entities:
        return  # reported at the field
    if field is not None and (field.type not in types or field.options.get("to") != target):
        check.problems.add(
            path, "wrong_target", lazy("“%(field)s” does not refer to “%(target)s”.", field=field_key, target=target),
            lazy("Write a field of “%(entity)s” that has the type ref and \"to\": \"%(target)s\".", entity=entity_key, target=target),
        )  # fmt: skip


def _field(check: Check, path: str, entity: m.EntityDef, field: m.FieldDef) -> None:
    options = field.options
    if options.get("set"):
        check.known(f"{path}.set", "option_set", options["set"], check.config.option_sets)
    if field.type in ("ref", "m2m"):
        check.known(f"{path}.to", "entity", options.get("to"), check.entities)
    if options.get("depends_on"):
        parent = check.field(f"{path}.depends_on", entity.key, options["depends_on"])
        if parent is not None and parent.type not in ("option", "multi", "pipeline"):
            check.problems.add(
                f"{path}.depends_on", "not_an_option_field", lazy("“%(field)s” is not a choice.", field=parent.key),
                lazy("Write a field of type option of the same entity."),
            )  # fmt: skip
    if field_types.get(field.type).holds == "user":
        _roles(check, f"{path}.roles", options.get("roles") or ())
    if field.type == "pipeline":
        check.known(f"{path}.pipeline", "pipeline", options.get("pipeline"), check.config.pipelines)
    if field.type == "rollup":
        _rollup(check, path, entity.key, field)


def _rollup(check: Check, path: str, entity_key: str, field: m.FieldDef) -> None:
    children = check.entities[entity_key].children
    if check.known(f"{path}.of", "relation", field.options.get("of"), children) and field.options.get("field"):
        check.field(f"{path}.field", children[field.options["of"]].child, field.options["field"])


# ---- pipelines and roles ------------------------------------------------------------------------------------------------


def _pipeline(check: Check, pipeline: m.PipelineDef) -> None:
    path = f"pipelines[{pipeline.key}]"
    if check.known(f"{path}.entity", "entity", pipeline.entity, check.entities):
        check.field(f"{path}.field", pipeline.entity, pipeline.field)
    stages = [s.key for s in pipeline.stages]
    for transition in pipeline.transitions:
        here = f"{path}.transitions[{transition.key}]"
        for stage in transition.sources:
            if stage != "*":
                check.known(f"{here}.from", "stage", stage, stages)
        check.known(f"{here}.to", "stage", transition.to, stages)
        for number, branch in enumerate(transition.branches):
            check.known(f"{here}.branches[{number}].to", "stage", branch.to, stages)
        _roles(check, f"{here}.roles", transition.roles)
        _fields(check, f"{here}.require", pipeline.entity, transition.require)
        _fields(check, f"{here}.ask", pipeline.entity, transition.ask)
        _fields(check, f"{here}.set", pipeline.entity, transition.set)


def _role(check: Check, role: m.RoleDef) -> None:
    path = f"roles[{role.key}]"
    for key, rights in role.entities.items():
        if key != "*" and check.known(f"{path}.entities.{key}", "entity", key, check.entities):
            _fields(check, f"{path}.entities.{key}.fields", key, rights.fields)
    for key, transitions in (role.transitions or {}).items():
        if check.known(f"{path}.transitions.{key}", "pipeline", key, check.config.pipelines):
            known = [t.key for t in check.config.pipelines[key].transitions]
            for transition in transitions:
                if transition != "*":
                    check.known(f"{path}.transitions.{key}", "transition", transition, known)
    for noun, keys, known in (("report", role.reports, check.config.reports), ("dashboard", role.dashboards, check.config.dashboards)):
        for key in keys:
            if key != "*":
                check.known(f"{path}.{noun}s", noun, key, known)
    check.known(f"{path}.home", "dashboard", role.home, check.config.dashboards)
    for number, group in enumerate(role.menu):
        for position, item in enumerate(group.items):
            _menu_item(check, f"{path}.menu[{number}].items[{position}]", item)


def _menu_item(check: Check, path: str, item: str) -> None:
    first, _, second = item.partition(":")
    if first == "report" and second:
        check.known(path, "report", second, check.config.reports)
    elif first == "dashboard" and second:
        check.known(path, "dashboard", second, check.config.dashboards)
    elif first == "board" and second:
        check.known(path, "entity", second, check.entities)
    elif check.known(path, "entity", first, check.entities) and second:
        check.known(path, "view", second, [v.key for v in check.config.views(first)])


# ---- what people see ----------------------------------------------------------------------------------------------------


def _view(check: Check, view: m.ViewDef) -> None:
    path = f"views[{view.entity}:{view.key}]"
    if not check.known(f"{path}.entity", "entity", view.entity, check.entities):
        return
    _fields(check, f"{path}.columns", view.entity, view.columns)
    _fields(check, f"{path}.sort", view.entity, (s.lstrip("-") for s in view.sort))
    check.field(f"{path}.group", view.entity, view.group)
    _roles(check, f"{path}.roles", view.roles)
    if view.board:
        check.field(f"{path}.board.by", view.entity, view.board["by"])
        check.field(f"{path}.board.sum", view.entity, view.board.get("sum"))
        _fields(check, f"{path}.board.card", view.entity, view.board.get("card", ()))


def _layout(check: Check, layout: m.LayoutDef) -> None:
    path = f"layouts[{layout.entity}:{layout.key}]"
    if not check.known(f"{path}.entity", "entity", layout.entity, check.entities):
        return
    _roles(check, f"{path}.roles", layout.roles)
    _fields(check, f"{path}.header", layout.entity, layout.header)
    children = check.entities[layout.entity].children
    for tab in layout.tabs:
        for section in tab.sections:
            _fields(check, f"{path}.tabs[{tab.key}].sections[{section.key}].fields", layout.entity, section.fields)
        for related in tab.related:
            here = f"{path}.tabs[{tab.key}].related[{related.key}]"
            if check.known(f"{here}.key", "relation", related.key, children):
                _fields(check, f"{here}.columns", children[related.key].child, related.columns)


def _widget(check: Check, path: str, widget: m.WidgetDef) -> None:
    if not check.known(f"{path}.entity", "entity", widget.entity, check.entities):
        return
    for number, measure in enumerate(widget.measures):
        check.field(f"{path}.measures[{number}].field", widget.entity, measure.field)
    for number, dimension in enumerate(widget.dimensions):
        check.field_at(f"{path}.dimensions[{number}].field", widget.entity, dimension.field)
    for column in widget.options.get("columns") or ():
        check.field_at(f"{path}.columns[{column}]", widget.entity, column)
    for name in ("date", "sum"):
        if isinstance(widget.options.get(name), str):
            check.field_at(f"{path}.{name}", widget.entity, widget.options[name])
    if widget.options.get("pipeline"):
        check.known(f"{path}.pipeline", "pipeline", widget.options["pipeline"], check.config.pipelines)


def _params(check: Check) -> None:
    for report in check.bundle.reports:
        entities = [check.entities[w.entity] for w in report.widgets if w.entity in check.entities]
        for param in report.params:
            first = param.field.partition(".")[0]
            if entities and not any(first in e.fields for e in entities):
                path = f"reports[{report.key}].params[{param.key}].field"
                check.problems.unknown(path, "field", first, sorted({key for e in entities for key in e.fields}))


def _dashboard_references(check: Check, raw: Mapping[str, Any]) -> None:
    for dashboard in raw.get("dashboards", ()):
        for number, widget in enumerate(dashboard["widgets"]):
            if "report" not in widget:
                continue
            path = f"dashboards[{dashboard['key']}].widgets[{number}]"
            if check.known(f"{path}.report", "report", widget["report"], check.config.reports):
                known = [w.key for w in check.config.reports[widget["report"]].widgets]
                check.known(f"{path}.widget", "widget", widget["widget"], known)


# ---- automations and actions --------------------------------------------------------------------------------------------


def _automation(check: Check, rule: m.AutomationDef) -> None:
    path = f"automations[{rule.key}]"
    if not check.known(f"{path}.entity", "entity", rule.entity, check.entities):
        return
    _fields(check, f"{path}.on.fields", rule.entity, rule.on.fields)
    if not (rule.on.source or rule.on.to or rule.on.transition):
        return
    pipeline = check.entities[rule.entity].pipeline
    if pipeline is None:
        check.problems.add(
            f"{path}.on", "no_pipeline", lazy("“%(entity)s” has no pipeline, so it has no stages.", entity=rule.entity),
            lazy("Add a pipeline for it, or use the trigger “update”."),
        )  # fmt: skip
        return
    for name, stage in (("from", rule.on.source), ("to", rule.on.to)):
        check.known(f"{path}.on.{name}", "stage", stage, [s.key for s in pipeline.stages])
    check.known(f"{path}.on.key", "transition", rule.on.transition, [t.key for t in pipeline.transitions])


def _actions(check: Check) -> None:
    for scene in check.scenes():
        aliases: dict[str, str | None] = {}
        for number, action in enumerate(scene.actions):
            path = f"{scene.path}[{number}]"
            entity = action_entity(check, path, scene.entity, action, aliases)
            if entity is not None and isinstance(action.options.get("values"), Mapping):
                _fields(check, f"{path}.values", entity, action.options["values"])
            for key in action.options.get("unless_exists") or ():
                check.field(f"{path}.unless_exists[{key}]", entity or "", key)
            for target in _texts(action.options.get("to")):
                if target.startswith("role:"):
                    check.known(f"{path}.to", "role", target.removeprefix("role:").strip(), check.roles)
            if "transition" in action.options and entity in check.entities:
                pipeline = check.entities[entity].pipeline
                known = [t.key for t in pipeline.transitions] if pipeline else []
                check.known(f"{path}.transition", "transition", action.options["transition"], known)
            if action.alias:
                aliases[action.alias] = entity


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [v for v in values if isinstance(v, str)]


def action_entity(check: Check, path: str, here: str, action: m.ActionDef, aliases: Mapping[str, str | None]) -> str | None:
    """The entity an action works on, following `entity` and `target`."""
    if isinstance(action.options.get("entity"), str):
        key = action.options["entity"]
        return key if check.known(f"{path}.entity", "entity", key, check.entities) else None
    target = action.options.get("target")
    return target_entity(check, f"{path}.target", here, target, aliases) if isinstance(target, str) else here


def target_entity(check: Check, path: str, here: str, target: str, aliases: Mapping[str, str | None]) -> str | None:
    """The entity at the end of a path such as `customer` or `result.x.customer`."""
    steps = target.split(".")
    entity: str | None = here
    if steps[0] == "result":
        name = steps[1] if len(steps) > 1 else ""
        if name not in aliases:
            check.problems.add(
                path, "unknown_result", lazy("No earlier action here is named “%(name)s”.", name=name),
                lazy("Give an action further up \"as\": \"%(name)s\", or correct the name.", name=name or "x"),
            )  # fmt: skip
            return None
        entity, steps = aliases[name], steps[2:]
    for step in steps:
        field = check.field(path, entity or "", step)
        if field is None:
            return None
        if field.type not in ("ref", "m2m"):
            check.problems.add(
                path, "not_a_reference", lazy("“%(field)s” does not refer to another record.", field=step),
                lazy("Write a field of type ref, or leave the target out to use the record itself."),
            )  # fmt: skip
            return None
        entity = field.options.get("to")
    return entity
