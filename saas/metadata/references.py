"""References: every key that is used anywhere in a bundle exists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from saas.i18n import lazy
from saas.metadata import models as m
from saas.metadata.approval_checks import check_approval_references
from saas.metadata.check import Check
from saas.metadata.described import check_described
from saas.metadata.kinds import action_types, field_types, trigger_types
from saas.metadata.pools import POOL_VIEW

SOURCES_OF_TIME = ("date", "datetime")


def check_references(check: Check, raw: Mapping[str, Any]) -> None:
    _lost_relations(check)
    _departments(check)
    for options in check.bundle.option_sets:
        _roles(check, f"option_sets[{options.key}].edit_roles", options.edit_roles)
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
    check_approval_references(check)
    for template in check.bundle.templates:
        _template(check, template)
    for form in check.bundle.web_forms:
        _web_form(check, form)
    for hook in check.bundle.webhooks:
        if check.known(f"webhooks[{hook.key}].entity", "entity", hook.entity, check.entities):
            _fields(check, f"webhooks[{hook.key}].fields", hook.entity, hook.fields)
    for taken in check.bundle.inbound_hooks:
        path = f"inbound_hooks[{taken.key}]"
        if check.known(f"{path}.entity", "entity", taken.entity, check.entities):
            _fields(check, f"{path}.map", taken.entity, taken.map)
            _fields(check, f"{path}.values", taken.entity, taken.values)
            for key, by in taken.lookup.items():
                if check.known(f"{path}.lookup[{key}]", "field", key, taken.map) and (linked := check.field(f"{path}.lookup[{key}]", taken.entity, key)) is not None:
                    if linked.type == "ref":
                        check.field(f"{path}.lookup.{key}", str(linked.options.get("to")), by)
                    else:
                        check.problems.add(
                            f"{path}.lookup[{key}]", "not_a_reference", lazy("“%(field)s” does not refer to another record.", field=key), lazy("Choose a field of type ref.")
                        )  # fmt: skip
            for key in taken.match:
                check.known(f"{path}.match[{key}]", "field", key, {**taken.map, **taken.values})
    check_described(check)
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
        _duplicate(check, f"{path}.duplicates[{duplicate.key}]", entity, duplicate)
    check.field(f"{path}.segment_field", entity.key, entity.segment_field)
    _roles(check, f"{path}.segment_roles", entity.segment_roles)
    for pool in entity.pools:
        _pool(check, f"{path}.pools[{pool.key}]", entity, pool)
    if entity.tree:
        _points_to(check, f"{path}.tree.parent", entity.key, entity.tree["parent"], entity.key, ("ref",))
    for number, source in enumerate(entity.timeline):
        _timeline(check, f"{path}.timeline.sources[{number}]", entity.key, source)
    for field in entity.fields:
        if not field.made:
            _field(check, f"{path}.fields[{field.key}]", entity, field)


def _pool(check: Check, path: str, entity: m.EntityDef, pool: m.PoolDef) -> None:
    for name in ("see_roles", "claim_roles", "assign_roles", "release_roles"):
        _roles(check, f"{path}.{name}", getattr(pool, name))
    pipeline = check.entities[entity.key].pipeline
    known = [t.key for t in pipeline.transitions] if pipeline else []
    for name in ("claim_transition", "release_transition"):
        check.known(f"{path}.{name}", "transition", getattr(pool, name), known)
    for key in pool.touch_lists:
        check.known(f"{path}.touch_lists[{key}]", "relation", key, check.entities[entity.key].children)
    for name in ("max_held", "cooldown_days", "claims_per_day", "recycle_days"):
        if isinstance(getattr(pool, name), str):
            check.known(f"{path}.{name}", "setting", getattr(pool, name), check.config.settings)


def _duplicate(check: Check, path: str, entity: m.EntityDef, rule: m.DuplicateDef) -> None:
    for name in ("match", "similar", "names", "reveal"):
        _fields(check, f"{path}.{name}", entity.key, getattr(rule, name))
    _roles(check, f"{path}.confirm_roles", rule.confirm_roles)
    check.known(f"{path}.review", "review", rule.review, [r.key for r in check.bundle.reviews])
    if rule.against is not None and check.known(f"{path}.against.entity", "entity", rule.against.entity, check.entities):
        for name in ("fields", "reveal"):
            _fields(check, f"{path}.against.{name}", rule.against.entity, getattr(rule.against, name))


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
        for key in options.get("picker") or () if options.get("to") in check.entities else ():
            chosen = check.field(f"{path}.picker[{key}]", options["to"], key)
            if chosen is not None and chosen.type not in ("option", "pipeline"):
                check.problems.add(f"{path}.picker[{key}]", "not_an_option_field", lazy("“%(field)s” is not a choice.", field=key), lazy("Write fields of type option of “%(entity)s”.", entity=options["to"]))
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


def _portal(check: Check, role: m.RoleDef) -> None:
    path, portal, notice = f"roles[{role.key}]", role.portal, role.notice
    if portal is not None and check.known(f"{path}.portal.entity", "entity", portal.entity, check.entities):
        link = check.field(f"{path}.portal.link", portal.entity, portal.link)
        if link is not None and (field_types.get(link.type).holds != "user" or field_types.get(link.type).many or link.system):
            check.problems.add(
                f"{path}.portal.link", "not_a_person", lazy("“%(field)s” does not hold one person.", field=portal.link), lazy("Write a field of type user that holds the account of the record's person.")
            )
        check.field(f"{path}.portal.email", portal.entity, portal.email)
        login = check.field(f"{path}.portal.login", portal.entity, portal.login)
        if login is not None and login.type not in ("text", "email"):
            check.problems.add(f"{path}.portal.login", "not_a_text", lazy("“%(field)s” does not hold a text.", field=portal.login), lazy("Write a field of type text or e-mail that holds the login name."))
        _roles(check, f"{path}.portal.makers", portal.makers)
        if portal.register is not None:
            check.known(f"{path}.portal.register", "web_form", portal.register, [f.key for f in check.bundle.web_forms])
    if notice is not None and check.known(f"{path}.notice.entity", "entity", notice.entity, check.entities):
        check.field(f"{path}.notice.text", notice.entity, notice.text)


def _role(check: Check, role: m.RoleDef) -> None:
    path = f"roles[{role.key}]"
    _portal(check, role)
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
    elif first == "form" and second and "form" not in check.entities:
        check.known(path, "form", second, {f.key for f in check.bundle.forms})
    elif first in ("board", "new") and second:
        check.known(path, "entity", second, check.entities)
    elif first == "statement" and second and "statement" not in check.entities:
        check.known(path, "statement", second, {s.key for s in check.bundle.statements})
    elif check.known(path, "entity", first, check.entities) and second:
        check.known(path, "view", second, [*(v.key for v in check.config.views(first)), *(f"{POOL_VIEW}{p.key}" for e in check.bundle.entities if e.key == first for p in e.pools)])


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


def check_automation(check: Check, rule: m.AutomationDef) -> None:
    """The references of one automation; the check's bundle has no other."""
    _automation(check, rule)
    _actions(check)


def _automation(check: Check, rule: m.AutomationDef) -> None:
    path = f"automations[{rule.key}]"
    if not check.known(f"{path}.entity", "entity", rule.entity, check.entities):
        return
    _fields(check, f"{path}.on.fields", rule.entity, rule.on.fields)
    _trigger(check, f"{path}.on", rule)
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


def _trigger(check: Check, path: str, rule: m.AutomationDef) -> None:
    """What only some triggers have."""
    kind, options = trigger_types.get(rule.on.trigger), rule.on.options
    if (relation := kind.relation(rule.on)) is not None:
        children = check.entities[rule.entity].children
        if check.known(f"{path}.of", "relation", relation, children):
            _fields(check, f"{path}.changed", children[relation].child, options.get("changed") or ())
    _roles(check, f"{path}.roles", options.get("roles") or ())
    if options.get("template"):
        check.known(f"{path}.template", "template", options["template"], [t.key for t in check.bundle.templates if t.entity == rule.entity])
    if options.get("person"):
        field = check.field(f"{path}.person", rule.entity, options["person"])
        if field is not None and field_types.get(field.type).holds != "user":
            check.problems.add(f"{path}.person", "not_a_person", lazy("“%(field)s” does not name a person.", field=field.key), lazy("Write a field of type user, or owner."))
    if options.get("date"):
        field = check.field(f"{path}.date", rule.entity, options["date"])
        if field is not None and (field.options.get("returns") if field.type == "formula" else field.type) not in ("date", "datetime"):
            check.problems.add(f"{path}.date", "not_a_date", lazy("“%(field)s” is no date.", field=field.key), lazy("Write a field that holds a date, or a date and a time."))


def _template(check: Check, template: m.TemplateDef) -> None:
    path = f"templates[{template.key}]"
    check.known(f"{path}.entity", "entity", template.entity, check.entities)
    _role_names(check, f"{path}.to", template.to)


# What somebody may fill in who is signed in nowhere: no people, departments, other records or files of the workspace.
PUBLIC_TYPES = (
    "text", "longtext", "int", "number", "percent", "bool", "date", "datetime", "time", "phone", "email", "url", "address", "national_id", "code", "money", "option", "multi", "rating", "score",
)  # fmt: skip


def _public_fields(check: Check, path: str, entity: str, keys: Iterable[str]) -> None:
    for key in keys:
        field = check.field(f"{path}[{key}]", entity, key)
        if field is not None and field.type not in PUBLIC_TYPES:
            check.problems.add(
                f"{path}[{key}]", "not_public", lazy("“%(field)s” cannot be filled in by somebody who is not signed in.", field=key),
                lazy("Leave it out, or set it by an expression under “values”."),
            )  # fmt: skip


def _web_form(check: Check, form: m.WebFormDef) -> None:
    path = f"web_forms[{form.key}]"
    if not check.known(f"{path}.entity", "entity", form.entity, check.entities):
        return
    _public_fields(check, f"{path}.fields", form.entity, form.fields)
    for name in ("required", "match"):
        for key in getattr(form, name):
            check.known(f"{path}.{name}[{key}]", "field", key, form.fields)
    _fields(check, f"{path}.values", form.entity, form.values)
    about = check.field(f"{path}.answers_to", form.entity, form.answers_to)
    if about is not None and about.type != "ref":
        check.problems.add(
            f"{path}.answers_to", "not_a_reference", lazy("“%(field)s” does not refer to another record.", field=about.key), lazy("Write a field of type ref: it will hold the record that was asked about.")
        )
    if form.owner_role is not None:
        check.known(f"{path}.owner_role", "role", form.owner_role, check.roles)


def _role_names(check: Check, path: str, names: Iterable[str]) -> None:
    """The roles among whom somebody is told."""
    for name in names:
        if name.startswith("role:"):
            check.known(path, "role", name.removeprefix("role:").strip(), check.roles)


def _sent(check: Check, path: str, entity: str | None, action: m.ActionDef) -> None:
    """A message that is sent: its template exists, is about the record, and may go that way."""
    known = {t.key: t for t in check.bundle.templates}
    if not check.known(f"{path}.template", "template", action.options["template"], known):
        return
    template = known[action.options["template"]]
    if entity is not None and template.entity != entity:
        check.problems.add(
            f"{path}.template", "wrong_entity", lazy("The message “%(template)s” is about other records: “%(entity)s”.", template=template.key, entity=template.entity),
            lazy("Choose a message about “%(entity)s”, or say by “target” which record it is about.", entity=entity),
        )  # fmt: skip
    if action.options.get("channel", "email") not in template.channels:
        check.problems.add(
            f"{path}.channel", "wrong_channel", lazy("The message “%(template)s” is not sent that way.", template=template.key),
            lazy("Write one of: %(known)s, or allow the way in the message.", known=", ".join(template.channels)),
        )  # fmt: skip
    if isinstance(action.options.get("survey"), str):
        surveys = {f.key: f for f in check.bundle.web_forms if f.answers_to}
        if check.known(f"{path}.survey", "web_form", action.options["survey"], surveys) and entity in check.entities:
            survey = surveys[action.options["survey"]]
            about = check.entities[survey.entity].fields.get(survey.answers_to or "") if survey.entity in check.entities else None
            if about is not None and about.options.get("to") != entity:
                check.problems.add(
                    f"{path}.survey", "wrong_entity", lazy("The survey “%(survey)s” asks about other records.", survey=survey.key), lazy("Choose a survey whose answers are about “%(entity)s”.", entity=entity or "")
                )
    if not template.to and not action.options.get("to"):
        check.problems.add(
            f"{path}.to", "nobody", lazy("Nobody is named who gets the message."), lazy("Say it here or in the message “%(template)s”, for example by a field that holds an e-mail address.", template=template.key),
        )  # fmt: skip


def _actions(check: Check) -> None:
    for scene in check.scenes():
        aliases: dict[str, str | None] = dict(scene.known)
        for number, action in enumerate(scene.actions):
            path = f"{scene.path}[{number}]"
            if (relation := action_types.get(action.action).relation(action.options)) is not None and scene.entity in check.entities:
                check.known(f"{path}.of", "relation", relation, check.entities[scene.entity].children)
            entity = action_entity(check, path, scene.entity, action, aliases)
            if entity in check.entities and isinstance(action.options.get("into") or action.options.get("map"), (str, Mapping)):
                _copied(check, path, entity, action.options)
            if isinstance(action.options.get("field"), str) and is_of_target(action.action, "field"):
                check.field(f"{path}.field", entity or "", action.options["field"])
            if entity is not None and isinstance(action.options.get("values"), Mapping):
                _fields(check, f"{path}.values", entity, action.options["values"])
            for key in action.options.get("unless_exists") or ():
                check.field(f"{path}.unless_exists[{key}]", entity or "", key)
            for key in (action.options.get("order") or ()) if action_types.get(action.action).looks_among else ():
                check.field(f"{path}.order[{key}]", entity or "", str(key).removeprefix("-"))
            if isinstance(action.options.get("role"), str):
                check.known(f"{path}.role", "role", action.options["role"], check.roles)
            for name in ("to", "otherwise"):
                for target in _texts(action.options.get(name)):
                    if target.startswith("role:"):
                        check.known(f"{path}.{name}", "role", target.removeprefix("role:").strip(), check.roles)
            if isinstance(action.options.get("skill_entity"), str) and check.known(f"{path}.skill_entity", "entity", action.options["skill_entity"], check.entities):
                for name in ("skill_person", "skill_field"):
                    check.field(f"{path}.{name}", action.options["skill_entity"], action.options.get(name))
            if isinstance(action.options.get("template"), str):
                _sent(check, path, entity, action)
            if "transition" in action.options and entity in check.entities:
                pipeline = check.entities[entity].pipeline
                known = [t.key for t in pipeline.transitions] if pipeline else []
                check.known(f"{path}.transition", "transition", action.options["transition"], known)
            if "review" in action.options:
                check.known(f"{path}.review", "review", action.options["review"], [r.key for r in check.bundle.reviews])
            if isinstance(action.options.get("call"), str):
                check.known(f"{path}.call", "call", action.options["call"], [c.key for c in check.bundle.calls if entity in (None, c.entity)])
            if isinstance(action.options.get("document"), str):
                check.known(f"{path}.document", "document", action.options["document"], [d.key for d in check.bundle.documents if entity in (None, d.entity)])
            if isinstance(action.options.get("approval"), str):
                check.known(f"{path}.approval", "approval", action.options["approval"], [a.key for a in check.bundle.approvals if entity in (None, a.entity)])
            if isinstance(action.options.get("loser"), str):
                loser = target_entity(check, f"{path}.loser", scene.entity, action.options["loser"], aliases)
                if loser is not None and entity is not None and loser != entity:
                    check.problems.add(
                        f"{path}.loser", "unlike_records", lazy("Only records of one kind can be merged: “%(one)s” and “%(other)s” are not.", one=entity, other=loser),
                        lazy("Write a path that leads to a record of “%(one)s”.", one=entity),
                    )  # fmt: skip
            if action.alias:
                aliases[action.alias] = entity


def _copied(check: Check, path: str, entity: str, options: Mapping[str, Any]) -> None:
    """The list of another record that copies go into, and the fields they get."""
    relation = str(options.get("into") or options.get("of") or "")
    found = check.config.relation(entity, relation)
    if found is None:
        check.known(f"{path}.into", "relation", relation, check.entities[entity].children)
    else:
        _fields(check, f"{path}.map", found.child, options.get("map") or {})


def is_of_target(action: str, name: str) -> bool:
    """Whether a property of an action names a field of the record it works on."""
    kind = action_types.find(action)
    prop = kind.options_schema.get("properties", {}).get(name) if kind is not None else None
    return isinstance(prop, Mapping) and prop.get("x-control") == "target_field"


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
