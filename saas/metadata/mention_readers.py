"""What each sort of value in a bundle refers to, and what could be taken away to get rid of that. Walked by mentions.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from saas.metadata.anatomy import DESCRIBED_KINDS, is_required, property_schemas
from saas.metadata.far import entity_in
from saas.metadata.mention_expressions import Names, along, field_path, in_expression, in_filter, in_literal, in_template
from saas.metadata.naming import Lookup, texts

Pointer = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Spot:
    """A definition on the walk: what it is, where it stands, which entity its keys are about, and what its expressions may name."""

    kind: str
    path: str
    at: Pointer
    raw: Mapping[str, Any]
    entity: Any = None
    owner: str = ""
    outer: Spot | None = None
    names: Names = field(default_factory=dict)


Read = tuple[str, str, Pointer, Pointer | None]  # target, path, pointer, what can be cut


def _around(spot: Spot, kind: str) -> Spot | None:
    """The definition of a kind that a spot is, or is in."""
    here: Spot | None = spot
    while here is not None and here.kind != kind:
        here = here.outer
    return here


def _owning(spot: Spot, kind: str) -> Pointer | None:
    found = _around(spot, kind)
    return found.at if found is not None else None


def _one(target: Callable[[Lookup, Spot, Any], str | None]) -> Callable[..., Iterator[Read]]:
    """A property that holds one key."""

    def read(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
        found = target(lookup, spot, value) if isinstance(value, str) else None
        if found is not None:
            at = (*spot.at, name)
            yield found, f"{spot.path}.{name}", at, _cut(spot, name, at)

    return read


def _cut(spot: Spot, name: str, at: Pointer) -> Pointer | None:
    """What goes when the single thing a property names goes: the property, the definition it is essential to, or nothing."""
    if spot.kind in DESCRIBED_KINDS:  # a part that leads nowhere is nothing
        return spot.at if is_required(spot.kind, name) or name in _ESSENTIAL.get(spot.kind, ()) else at
    rule = _SINGLE.get((spot.kind, name))
    if rule == "property":
        return at
    if rule == "definition":
        return spot.at
    if rule == "measure":  # one of several, else the whole widget
        measures = spot.outer.raw.get("measures") if spot.outer is not None else None
        return spot.at if isinstance(measures, list) and len(measures) > 1 else _owning(spot, "widget")
    return _owning(spot, rule) if rule else None


# Properties of described definitions that may be missing in some of them, but without which this one means nothing.
_ESSENTIAL: Mapping[str, tuple[str, ...]] = {"form_part": ("ref", "list"), "chart": ("list", "planned_end", "parent", "links", "link_from", "link_to"), "document_part": ("ref", "list", "image")}

# (kind, property) -> "property", "definition", or the kind of the definition around it that goes with it.
_SINGLE: Mapping[tuple[str, str], str] = {
    ("entity", "subtitle"): "property", ("rule", "field"): "property", ("tree", "parent"): "definition", ("source", "entity"): "definition",
    ("against", "entity"): "duplicate", ("duplicate", "review"): "definition", ("source", "via"): "definition", ("source", "at"): "property", ("field", "depends_on"): "property", ("field", "to"): "definition",
    ("field", "pipeline"): "definition", ("pipeline", "entity"): "definition", ("pipeline", "field"): "definition",
    ("transition", "to"): "definition", ("view", "entity"): "definition", ("view", "group"): "property", ("board", "sum"): "property",
    ("layout", "entity"): "definition", ("related", "key"): "definition", ("param", "field"): "definition", ("widget", "entity"): "definition",
    ("widget", "pipeline"): "definition", ("widget", "date"): "property", ("widget", "sum"): "property", ("widget", "report"): "definition",
    ("widget", "widget"): "definition", ("measure", "field"): "measure", ("dimension", "field"): "widget", ("automation", "entity"): "definition",
    ("schedule", "entity"): "definition", ("approval", "entity"): "definition", ("action", "approval"): "definition", ("example", "entity"): "definition", ("example_record", "entity"): "example", ("action", "entity"): "definition",
    ("webhook", "entity"): "definition", ("portal", "email"): "property", ("portal", "login"): "property", ("portal", "register"): "property", ("action", "role"): "definition", ("notice", "entity"): "definition", ("notice", "text"): "definition", ("inbound_hook", "entity"): "definition", ("web_form", "entity"): "definition", ("web_form", "owner_role"): "property", ("web_form", "answers_to"): "definition", ("action", "survey"): "property", ("template", "entity"): "definition", ("template", "language"): "property", ("action", "template"): "definition",
    ("role", "home"): "property", ("department", "parent"): "property", ("pool", "claim_transition"): "property", ("pool", "release_transition"): "property",
    **{("approval_outcome", name): "property" for name in ("approved", "rejected", "withdrawn", "returned")},
}  # fmt: skip

# Lists in which one key less says something else: "nobody in particular" would mean everybody, two fields together are unique.
_ALL_OR_NONE = frozenset((("unique", "fields"), ("duplicate", "match"), ("against", "fields"), ("web_form", "match"), ("inbound_hook", "match"), ("mirror", "match")))
NEVER_EMPTY = frozenset(
    (("webhook", "fields"), ("view", "roles"), ("layout", "roles"), ("transition", "roles"), ("duplicate", "confirm_roles"), ("entity", "owner_roles"), ("form", "roles"), ("field", "roles"), ("trigger", "fields"), ("action", "unless_exists"),
     ("approval_start", "roles"), ("approval_people", "roles"), ("pool", "see_roles"), ("pool", "claim_roles"), ("pool", "assign_roles"), ("pool", "release_roles"))
)


def _many(target: Callable[[Lookup, Spot, Any], str | None], *, named: bool = True) -> Callable[..., Iterator[Read]]:
    """A property that holds a list of keys. `named`: problems name the entry by its key, else only the property."""

    def read(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
        for number, key in enumerate(value if isinstance(value, list) else ()):
            found = target(lookup, spot, key) if isinstance(key, str) else None
            if found is None:
                continue
            at: Pointer = (*spot.at, name, number)
            cut: Pointer | None = at
            if (spot.kind, name) in _ALL_OR_NONE:
                cut = spot.at if len(value) == 1 else None
            elif (spot.kind, name) in NEVER_EMPTY and len(value) == 1:
                cut = None
            yield found, f"{spot.path}.{name}[{key}]" if named else f"{spot.path}.{name}", at, cut

    return read


def _paths(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    """Fields, each possibly one step over a reference: every step is referred to."""
    many = isinstance(value, list)
    for number, dotted in enumerate(value if many else [value]):
        at: Pointer = (*spot.at, name, number) if many else (*spot.at, name)
        for step in along(lookup, spot.entity, dotted.split(".")) if isinstance(dotted, str) else ():
            yield field_path(*step), f"{spot.path}.{name}[{dotted}]" if many else f"{spot.path}.{name}", at, at if many else _cut(spot, name, at)


def _sorts(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    for number, text in enumerate(value if isinstance(value, list) else ()):
        if isinstance(text, str):
            at = (*spot.at, name, number)
            yield field_path(spot.entity, text.lstrip("-")), f"{spot.path}.{name}[{text.lstrip('-')}]", at, at


def _widget_sort(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    for text in value.split(",") if isinstance(value, str) else texts(value):
        if text.lstrip("-") not in ("", "value", "label"):
            yield field_path(spot.entity, text.lstrip("-")), f"{spot.path}.{name}", (*spot.at, name), (*spot.at, name)


def _field_of(lookup: Lookup, spot: Spot, key: Any) -> str | None:
    return field_path(spot.entity, key) if spot.entity is not None else None


def _child_of(lookup: Lookup, spot: Spot, key: Any) -> str | None:
    relation = lookup.relation(spot.entity, spot.raw.get("of") or spot.raw.get("key"))
    return field_path(relation.child, key) if relation is not None else None


def _target_of(lookup: Lookup, spot: Spot, key: Any) -> str | None:
    return field_path(spot.raw.get("to"), key)


def _relation_of(lookup: Lookup, spot: Spot, key: Any) -> str | None:
    relation = lookup.relation(spot.entity, key)
    return f"{field_path(relation.child, relation.field)}.inverse" if relation is not None else None


def _in_section(section: str) -> Callable[[Lookup, Spot, Any], str | None]:
    return lambda _lookup, _spot, key: f"{section}[{key}]" if key != "*" else None


def _pipeline_key(lookup: Lookup, spot: Spot) -> Any:
    own = _around(spot, "pipeline")
    return own.raw.get("key") if own is not None else lookup.pipeline(spot.entity)[0]


def _stage_of(lookup: Lookup, spot: Spot, key: Any) -> str | None:
    return f"pipelines[{_pipeline_key(lookup, spot)}].stages[{key}]" if key != "*" else None


def _transition_of(lookup: Lookup, spot: Spot, key: Any) -> str | None:
    return f"pipelines[{_pipeline_key(lookup, spot)}].transitions[{key}]" if spot.kind != "action" else None


def _transition_rights(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    for pipeline, keys in value.items() if isinstance(value, Mapping) else ():
        path, at = f"{spot.path}.{name}.{pipeline}", (*spot.at, name, pipeline)
        yield f"pipelines[{pipeline}]", path, at, at
        for number, key in enumerate(keys if isinstance(keys, list) else ()):
            if key != "*":
                yield f"pipelines[{pipeline}].transitions[{key}]", path, (*at, number), (*at, number)


def _menu_items(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    for number, item in enumerate(value if isinstance(value, list) else ()):
        if not isinstance(item, str):
            continue
        path, at = f"{spot.path}.{name}[{number}]", (*spot.at, name, number)
        first, _, second = item.partition(":")
        if (first in ("report", "dashboard") or (first in ("form", "statement") and first not in lookup.section("entities"))) and second:
            yield f"{first}s[{second}]", path, at, at
        else:
            yield f"entities[{second if first in ('board', 'new') and second else first}]", path, at, at
            if second and first not in ("board", "new"):
                yield f"views[{item}]", path, at, at


def _report_widget(lookup: Lookup, spot: Spot, value: Any) -> str | None:
    return f"reports[{spot.raw.get('report')}].widgets[{value}]"


def _parent_option(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    """The option another belongs to: of the same tree, or of the field that the fields using this list depend on."""
    outer = spot.outer
    if outer is None or not isinstance(value, str):
        return
    found: dict[str, None] = {}
    if outer.kind == "option_set" and outer.raw.get("tree"):
        found[f"{outer.path}.options[{value}]"] = None
    for entity in lookup.section("entities"):
        for fld in lookup.fields(entity).values():
            uses = fld.get("set") == outer.raw.get("key") if outer.kind == "option_set" else (fld is outer.raw)
            if uses and isinstance(fld.get("depends_on"), str):
                found.update(dict.fromkeys(in_literal(lookup, value, entity, fld["depends_on"])))
    yield from ((target, f"{spot.path}.{name}", (*spot.at, name), None) for target in found)


def _expression(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    entity, names, parents = spot.entity, dict(spot.names), ()
    if (spot.kind, name) == ("field", "filter"):  # over the record that can be chosen
        entity, names = spot.raw.get("to"), {**names, "new": spot.entity}
    elif (spot.kind, name) == ("field", "where"):  # over the children of a rollup
        relation = lookup.relation(spot.entity, spot.raw.get("of"))
        entity, parents = relation.child if relation else None, (spot.entity,)
    path = spot.path if spot.kind == "field_right" else f"{spot.path}.{name}"
    yield from ((t, path, (*spot.at, name), None) for t in in_expression(lookup, value, entity, names, parents=parents))


def _expressions(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    for number, text in enumerate(value if isinstance(value, list) else ()):
        yield from ((t, f"{spot.path}.{name}[{number}]", (*spot.at, name, number), None) for t in in_expression(lookup, text, spot.entity))


def _bound(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    if isinstance(value, str) and not value[:1].isdigit():
        yield from _expression(lookup, spot, name, value)


def _filter(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    """People see at once what a list shows: there a condition may go. What is counted or done to records never grows by itself."""
    at = (*spot.at, name)
    if spot.kind == "field":
        yield from _expression(lookup, spot, name, value)
        return
    yield from ((t, f"{spot.path}.{name}", at, at if spot.kind == "view" else None) for t in in_filter(lookup, value, spot.entity))


def _default(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    path, at, key = f"{spot.path}.{name}", (*spot.at, name), str(spot.raw.get("key"))
    if isinstance(value, Mapping) and isinstance(value.get("expr"), str):
        yield from ((t, path, at, None) for t in in_expression(lookup, value["expr"], spot.entity, into=(spot.entity, key)))
    else:
        yield from ((t, path, at, at) for t in in_literal(lookup, value, spot.entity, key))


def _values(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    for key, text in value.items() if isinstance(value, Mapping) else ():
        at = (*spot.at, name, key)
        yield field_path(spot.entity, key), f"{spot.path}.{name}[{key}]", at, at
        for target in in_expression(lookup, text, spot.entity, spot.names, into=(spot.entity, key)):
            yield target, f"{spot.path}.{name}.{key}", at, None


def _field_map(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    """What is put into which field."""
    for key in value if isinstance(value, Mapping) else ():
        at = (*spot.at, name, key)
        yield field_path(spot.entity, key), f"{spot.path}.{name}.{key}", at, at


def _lookups(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    """Link fields, and the fields of the linked records by which these are found."""
    for key, by in value.items() if isinstance(value, Mapping) else ():
        at = (*spot.at, name, key)
        yield field_path(spot.entity, key), f"{spot.path}.{name}[{key}]", at, at
        yield field_path((lookup.field(spot.entity, key) or {}).get("to"), str(by)), f"{spot.path}.{name}.{key}", at, at


def _literals(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    for key, given in value.items() if isinstance(value, Mapping) else ():
        path, at = f"{spot.path}.{name}.{key}", (*spot.at, name, key)
        yield field_path(spot.entity, key), path, at, at
        yield from ((t, path, at, None) for t in in_literal(lookup, given, spot.entity, key))
        yield from ((f"roles[{t[6:]}]", path, at, None) for t in texts(given) if t.startswith("@role:"))


def _scope_rules(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    rules = value if isinstance(value, list) else [value]
    for rule in rules:
        if isinstance(rule, Mapping) and isinstance(rule.get("if"), str):
            yield from ((t, f"{spot.path}.{name}", (*spot.at, name), None) for t in in_expression(lookup, rule["if"], spot.entity))


def _target(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    """The way from the record to the one an action works on."""
    if not isinstance(value, str):
        return
    parts, entity = value.split("."), spot.entity
    if parts[0] == "result":
        entity, parts = spot.names.get(".".join(parts[:2])), parts[2:]
    yield from ((field_path(*step), f"{spot.path}.{name}", (*spot.at, name), None) for step in along(lookup, entity, parts))


def _people(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    for number, text in enumerate(value if isinstance(value, list) else ()):
        if not isinstance(text, str):
            continue
        at = (*spot.at, name, number)
        if text.startswith("role:"):
            yield f"roles[{text.removeprefix('role:').strip()}]", f"{spot.path}.{name}", at, at
        else:
            found = in_expression(lookup, text, spot.entity, spot.names)
            yield from ((t, f"{spot.path}.{name}[{number}]", at, at if len(found) == 1 and text.isidentifier() else None) for t in found)


def _label(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    """Texts of actions and messages may show fields."""
    if spot.kind not in ("action", "template", "document", "document_part") or not isinstance(value, Mapping):
        return
    for locale, text in value.items():
        for target in in_template(lookup, text, spot.entity, spot.names):
            yield target, f"{spot.path}.{name}.{locale}", (*spot.at, name, locale), None


# ---- definitions whose schema says what they hold ------------------------------------------------------------------------


def _far(reader: Callable[..., Iterator[Read]]) -> Callable[..., Iterator[Read]]:
    """The same, seen from the entity the property leads to."""

    def read(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
        entity = entity_in(lookup, spot.kind, name, spot.raw, spot.entity)
        if entity is not None:
            yield from reader(lookup, replace(spot, entity=entity), name, value)

    return read


def _options(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    """Keys of options of the field that another property names."""
    field = spot.raw.get(property_schemas(spot.kind).get(name, {}).get("x-of", ""))
    for number, key in enumerate(value if isinstance(value, list) else ()):
        at = (*spot.at, name, number)
        yield from ((t, f"{spot.path}.{name}[{key}]", at, at) for t in in_literal(lookup, key, spot.entity, str(field)))


def _far_values(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    """Fields of another entity with expressions over the definition's own."""
    entity = entity_in(lookup, spot.kind, name, spot.raw, spot.entity)
    for key, text in value.items() if isinstance(value, Mapping) else ():
        at = (*spot.at, name, key)
        yield field_path(entity, key), f"{spot.path}.{name}[{key}]", at, at
        yield from ((target, f"{spot.path}.{name}.{key}", at, None) for target in in_expression(lookup, text, spot.entity))


def _named_expressions(lookup: Lookup, spot: Spot, name: str, value: Any) -> Iterator[Read]:
    """{name that is none of ours: expression}."""
    for key, text in value.items() if isinstance(value, Mapping) else ():
        yield from ((t, f"{spot.path}.{name}.{key}", (*spot.at, name, key), None) for t in in_expression(lookup, text, spot.entity, spot.names))


READERS: Mapping[str, Callable[..., Iterator[Read]]] = {
    "field": _one(_field_of), "fields": _many(_field_of), "path": _paths, "paths": _paths, "sort": _sorts, "widget_sort": _widget_sort,
    "child_field": _one(_child_of), "child_fields": _many(_child_of), "target_fields": _many(_target_of), "relation": _one(_relation_of), "relations": _many(_relation_of), "amount": _one(_in_section("settings")), "entity": _one(_in_section("entities")),
    "option_set": _one(_in_section("option_sets")), "message_template": _one(_in_section("templates")), "web_form": _one(_in_section("web_forms")), "role": _one(_in_section("roles")), "roles": _many(_in_section("roles"), named=False),
    "pipeline": _one(_in_section("pipelines")), "report": _one(_in_section("reports")), "reports": _many(_in_section("reports"), named=False),
    "dashboard": _one(_in_section("dashboards")), "dashboards": _many(_in_section("dashboards"), named=False),
    "department": _one(_in_section("departments")), "report_widget": _one(_report_widget), "stage": _one(_stage_of),
    "stages": _many(_stage_of, named=False), "transition": _one(_transition_of), "transitions": _many(_transition_of, named=False), "approval": _one(_in_section("approvals")), "transition_rights": _transition_rights, "menu_items": _menu_items,
    "option": _parent_option, "expression": _expression, "expressions": _expressions, "bound": _bound, "filter": _filter, "default": _default,
    "far_field": _far(_one(_field_of)), "far_fields": _far(_many(_field_of)), "far_relation": _far(_one(_relation_of)), "far_expression": _far(_expression),
    "far_options": _options, "far_values": _far_values, "ledger": _one(_in_section("ledgers")), "review": _one(_in_section("reviews")), "document": _one(_in_section("documents")),
    "connector": _one(_in_section("connectors")), "call": _one(_in_section("calls")), "named_expressions": _named_expressions, "far_named_expressions": _far(_named_expressions),
    "values": _values, "field_map": _field_map, "lookups": _lookups, "literals": _literals, "scope_rules": _scope_rules, "create": _scope_rules, "target": _target, "people": _people, "label": _label,
}  # fmt: skip
