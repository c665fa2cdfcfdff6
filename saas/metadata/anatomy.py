"""How a bundle is put together: which parts each kind of definition has, and what sort of value each property holds.

Read by what works on JSON that may have problems: merging, comparing, finding usages. The JSON Schemas say what is allowed;
here stands what it means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from saas.metadata.kinds import NESTS, action_types, field_types, trigger_types, widget_types
from saas.metadata.problems import PER_ENTITY
from saas.metadata.shape import common_properties, schemas

# list: of definitions with keys. map: of definitions by the key of what they are about. one: a single definition.
# steps: a list whose entries have no keys.
Form = Literal["list", "map", "one", "steps"]


class Part(NamedTuple):
    """Definitions inside a definition. `named`: each is worth a line of its own when it changes."""

    kind: str
    form: Form = "list"
    named: bool = True


ROOT = "bundle"
PARTS: Mapping[str, Mapping[str, Part]] = {
    ROOT: {
        "pack": Part("pack", "one"),
        "settings": Part("setting"),
        "option_sets": Part("option_set"),
        "departments": Part("department"),
        "entities": Part("entity"),
        "pipelines": Part("pipeline"),
        "roles": Part("role"),
        "views": Part("view"),
        "layouts": Part("layout"),
        "reports": Part("report"),
        "dashboards": Part("dashboard"),
        "automations": Part("automation"),
        "schedules": Part("schedule"),
        "forms": Part("form"),
        "pricing": Part("pricing"),
        "approvals": Part("approval"),
        "templates": Part("template"),
        "web_forms": Part("web_form"),
        "webhooks": Part("webhook"),
        "inbound_hooks": Part("inbound_hook"),
        "connectors": Part("connector"),
        "mirrors": Part("mirror"),
        "live_lists": Part("live_list"),
        "calls": Part("call"),
        "charts": Part("chart"),
        "documents": Part("document"),
        "statements": Part("statement"),
        "ledgers": Part("ledger"),
        "reviews": Part("review"),
        "examples": Part("example"),
    },
    "option_set": {"options": Part("option")},
    "entity": {
        "fields": Part("field"),
        "rules": Part("rule"),
        "unique": Part("unique"),
        "duplicates": Part("duplicate"),
        "merge": Part("merge", "one", named=False),
        "pools": Part("pool"),
        "tree": Part("tree", "one", named=False),
        "timeline": Part("timeline", "one", named=False),
        "messages": Part("messages", "one", named=False),
    },
    "duplicate": {"against": Part("against", "one", named=False)},
    "timeline": {"sources": Part("source", "steps", named=False)},
    "field": {"options": Part("option"), "bands": Part("band", "steps", named=False), "inverse": Part("inverse", "one", named=False)},
    "pipeline": {"stages": Part("stage"), "transitions": Part("transition")},
    "transition": {"branches": Part("branch", "steps", named=False), "effects": Part("action", "steps", named=False)},
    "role": {"portal": Part("portal", "one", named=False), "notice": Part("notice", "one", named=False), "entities": Part("right", "map"), "menu": Part("menu", "steps", named=False)},
    "right": {"fields": Part("field_right", "map", named=False)},
    "view": {"board": Part("board", "one", named=False)},
    "layout": {"tabs": Part("tab")},
    "tab": {"sections": Part("section"), "related": Part("related")},
    "report": {"params": Part("param"), "widgets": Part("widget")},
    "dashboard": {"widgets": Part("widget")},
    "widget": {"measures": Part("measure", "steps", named=False), "dimensions": Part("dimension", "steps", named=False)},
    "automation": {"on": Part("trigger", "one", named=False), "do": Part("action", "steps", named=False)},
    "action": {**{name: Part("action", "steps", named=False) for name in NESTS}, "retry": Part("retry", "one", named=False)},
    "schedule": {"every": Part("every", "one", named=False), "do": Part("action", "steps", named=False)},
    "form": {"parts": Part("form_part")},
    "live_list": {"columns": Part("live_column")},
    "document": {"parts": Part("document_part")},
    "approval": {
        "start": Part("approval_start", "one", named=False), "steps": Part("approval_step"), "ways": Part("approval_way"),
        "people": Part("approval_people", "one", named=False), "outcome": Part("approval_outcome", "one", named=False),
    },
    "approval_way": {"steps": Part("approval_step")},
    "approval_step": {"approvers": Part("approver", "steps", named=False)},
    "example": {"records": Part("example_record", named=False), "when": Part("example_act", "one", named=False), "decisions": Part("example_decision", "steps", named=False)},
}  # fmt: skip

# The property that decides which further properties a definition has.
TYPES: Mapping[str, tuple[str, Any]] = {
    "field": ("type", field_types),
    "widget": ("type", widget_types),
    "trigger": ("trigger", trigger_types),
    "action": ("action", action_types),
}

# What a property holds, where its name alone does not say. "*" stands for every kind.
# Of keys: field(s), path(s) (a field or one step further), entity, option_set, role(s), pipeline, report(s), dashboard(s), department,
# stage(s), transition(s), relation; sort and widget_sort are field keys with a sign. Of texts: label, expression, filter, values
# (expressions by field). Of rights: scope_rules, create, export, access; keys_or_all. The rest is plain.
SORTS: Mapping[str, Mapping[str, str]] = {
    "*": {
        "label": "label", "plural": "label", "help": "label", "description": "label", "message": "label", "icon": "icon", "color": "color",
        "entity": "entity", "filter": "filter", "where": "filter", "if": "expression", "expr": "expression", "when": "expression", "roles": "roles",
    },
    "setting": {"default": "literal"},
    "option": {"parent": "option"},
    "department": {"parent": "department"},
    "entity": {
        "title": "field", "subtitle": "field", "owner_label": "label", "owner_roles": "roles", "search": "fields", "assignees": "fields",
        "editable_if": "expression", "deletable_if": "expression", "countdown_label": "label", "segment_field": "field", "segment_roles": "roles",
    },
    "pool": {
        "see_roles": "roles", "claim_roles": "roles", "assign_roles": "roles", "release_roles": "roles", "claim_transition": "transition", "release_transition": "transition",
        "held_if": "expression", "recycle_unless": "expression", "touch_lists": "relations", "max_held": "amount", "cooldown_days": "amount", "claims_per_day": "amount",
        "recycle_days": "amount",
    },
    "rule": {"field": "field"},
    "unique": {"fields": "fields"},
    "duplicate": {
        "match": "fields", "similar": "fields", "names": "fields", "reveal": "fields", "where": "expression", "confirm_roles": "roles", "review": "review",
    },
    "against": {"fields": "fields", "reveal": "fields", "where": "expression"},
    "tree": {"parent": "field"},
    "source": {"via": "field", "at": "field"},
    "messages": {"created": "label", "updated": "label", "deleted": "label", "confirm_delete": "label"},
    "field": {
        "type": "field_type", "required_if": "expression", "visible_if": "expression", "read_only_if": "expression", "default": "default", "unit": "label",
        "set": "option_set", "depends_on": "field", "to": "entity", "pipeline": "pipeline", "of": "relation", "field": "child_field",
        "min": "bound", "max": "bound", "filter": "expression", "where": "expression",
    },
    "band": {"label": "label"},
    "inverse": {"label": "label"},
    "pipeline": {"field": "field"},
    "transition": {
        "from": "stages", "to": "stage", "allow_if": "expression", "guard": "expression", "guard_message": "label", "require": "fields", "ask": "fields",
        "set": "values", "confirm": "label", "done": "label",
    },
    "branch": {"to": "stage"},
    "action": {
        "title": "label", "body": "label", "missing": "label", "values": "values", "transition": "transition", "unless_exists": "fields", "action": "action_type",
        "target": "target", "to": "people", "template": "message_template", "survey": "web_form", "role": "role", "approval": "approval", "loser": "target",
    },
    "portal": {"link": "field", "email": "field", "login": "field", "open_if": "expression", "closed": "label", "makers": "roles", "register": "web_form"},
    "notice": {"text": "field"},
    "webhook": {"fields": "fields"},
    "option_set": {"edit_roles": "roles"},
    "inbound_hook": {"map": "field_map", "lookup": "lookups", "values": "values", "match": "fields"},
    "web_form": {
        "fields": "fields", "required": "fields", "values": "values", "match": "fields", "answers_to": "field", "owner_role": "role", "intro": "label", "button": "label", "thanks": "label",
    },
    "document": {"heading": "label", "signatures": "label"},
    "document_part": {"text": "label"},
    "template": {"subject": "label", "body": "label", "to": "people", "language": "expression"},
    "role": {"transitions": "transition_rights", "reports": "reports", "dashboards": "dashboards", "settings": "settings", "home": "dashboard"},
    "right": {"create": "create", "read": "scope_rules", "update": "scope_rules", "delete": "scope_rules", "export": "scope_rules"},
    "menu": {"items": "menu_items"},
    "view": {"columns": "fields", "sort": "sort", "group": "field"},
    "board": {"by": "field", "sum": "field", "card": "fields"},
    "layout": {"header": "fields"},
    "section": {"fields": "fields"},
    "related": {"key": "relation", "columns": "child_fields"},
    "param": {"field": "path"},
    "widget": {
        "type": "widget_type", "sort": "widget_sort", "pipeline": "pipeline", "columns": "paths", "date": "path", "sum": "path", "target": "expression",
        "report": "report", "widget": "report_widget",
    },
    "measure": {"field": "field"},
    "dimension": {"field": "path"},
    "approval": {"open_fields": "fields", "shown": "fields"},
    "approval_start": {"transitions": "transitions", "guards": "transitions"},
    "approval_step": {"fallback": "role"},
    "approval_outcome": {"approved": "transition", "rejected": "transition", "withdrawn": "transition", "returned": "transition"},
    "approver": {"role": "role", "field": "field", "department": "department"},
    "example": {"as": "role", "given": "literals", "state": "stage", "message": "plain", "then": "expressions"},
    "example_record": {"values": "literals"},
    "example_decision": {"as": "role"},
    "example_act": {"create": "literals", "update": "literals", "values": "literals", "transition": "transition"},
    "trigger": {"trigger": "trigger_type", "fields": "fields", "from": "stage", "to": "stage", "key": "transition"},
}  # fmt: skip

# Kinds whose JSON Schema says what each property holds: `x-control` the sort, `x-of` the property that leads to the entity it is about
# (described.py). Sections of the bundle by kind, and kinds inside these.
DESCRIBED: Mapping[str, str] = {"form": "forms", "pricing": "pricing", "statement": "statements", "ledger": "ledgers", "review": "reviews", "mirror": "mirrors", "live_list": "live_lists", "call": "calls", "chart": "charts", "document": "documents"}
DESCRIBED_KINDS = frozenset((*DESCRIBED, "form_part", "live_column", "document_part"))

# Sorts whose value is one thing: two changes to it cannot be put together. The order of a sort is its meaning.
WHOLE = frozenset(("filter", "expression", "default", "literal", "bound", "scope_rules", "create", "sort", "widget_sort"))


# What the designer asks a type's own property with, where that says which sort of value it is.
_CONTROLS: Mapping[str, str] = {
    **{name: name for name in ("entity", "field", "fields", "relation", "child_field", "option_set", "roles", "pipeline", "expression", "label")},
    "condition": "expression", "child_fields": "child_fields", "target_fields": "target_fields", "person_field": "field", "date_field": "field", "stage": "stage", "transition": "transition", "options": "options", "ledger": "ledger", "review": "review", "document": "document", "relations": "relations", "values": "values",
    "connector": "connector", "call": "call", "field_map": "field_map", "named_expressions": "named_expressions",
}


def sort_of(kind: str, name: str, definition: Any = None) -> str:
    """What sort of value a property holds; "plain" where nothing special is known. `definition` tells the type, whose own properties
    say it in its schema."""
    found = SORTS.get(kind, {}).get(name) or SORTS["*"].get(name)
    if kind in DESCRIBED_KINDS and (own := property_schemas(kind).get(name, {})).get("x-control"):
        return f"far_{_CONTROLS[own['x-control']]}" if "x-of" in own else _CONTROLS[own["x-control"]]
    if found is None and definition is not None and not is_common(kind, name):
        found = _CONTROLS.get(type_property(kind, name, definition).get("x-control", ""))
    return found or "plain"


def part_of(kind: str, name: str) -> Part | None:
    """The definitions a property holds, if it holds any."""
    return PARTS.get(kind, {}).get(name)


def key_of(section: str, item: Any) -> str | None:
    """What an item of a list is called in paths: its key; of views and layouts with the entity in front."""
    key = item.get("key") if isinstance(item, Mapping) else None
    if not isinstance(key, str) or not key:
        return None
    return f"{item.get('entity')}:{key}" if section in PER_ENTITY else key


def type_of(kind: str, definition: Any) -> Any:
    """The registered type of a field, widget, trigger or action; None for other kinds and unknown types."""
    if kind not in TYPES or not isinstance(definition, Mapping):
        return None
    name, registry = TYPES[kind]
    return registry.find(definition[name]) if isinstance(definition.get(name), str) else None


def type_property(kind: str, name: str, definition: Any) -> Mapping[str, Any]:
    """The schema of a property that only the definition's type has; empty where it has none."""
    found = type_of(kind, definition)
    schema = found.options_schema.get("properties", {}).get(name) if found is not None else None
    return schema if isinstance(schema, Mapping) else {}


def is_common(kind: str, name: str) -> bool:
    """Whether the property belongs to all definitions of the kind, not only to those of a type."""
    return kind not in TYPES or name in common_properties(kind)


def property_schemas(kind: str) -> Mapping[str, Any]:
    """The JSON Schemas of a kind's properties, without those of its types."""
    return _schemas_by_kind().get(kind, {})


def fixed_values(kind: str, name: str, definition: Any = None) -> tuple[Any, ...]:
    """The values a property's JSON Schema lists, if it lists any."""
    schema = _resolved(property_schemas(kind).get(name) or type_property(kind, name, definition))
    return tuple(v for v in schema.get("enum", ()) if v is not None)


def is_required(kind: str, name: str, definition: Any = None) -> bool:
    """Whether a definition cannot be without a property."""
    _schemas_by_kind()
    found = type_of(kind, definition)
    return name in _required.get(kind, ()) or (found is not None and name in found.options_schema.get("required", ()))


_by_kind: dict[str, Mapping[str, Any]] = {}
_required: dict[str, frozenset[str]] = {}


def _schemas_by_kind() -> Mapping[str, Mapping[str, Any]]:
    if not _by_kind:
        for kind, schema, properties in _kinds_below(ROOT, schemas()[ROOT]):
            _by_kind[kind] = {**properties, **_by_kind.get(kind, {})}
            _required[kind] = _required.get(kind, frozenset()) | frozenset(schema.get("required", ()))
    return _by_kind


def _kinds_below(kind: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    properties = dict(schema.get("properties", {}))
    for branch in ("then", "else"):
        properties.update(schema.get(branch, {}).get("properties", {}))
    yield kind, schema, properties
    for name, part in PARTS.get(kind, {}).items():
        if part.kind == kind:  # steps within steps: told already
            continue
        below = _resolved(properties.get(name, {}))
        if part.form in ("list", "steps"):
            below = _resolved(below.get("items", {}))
        elif part.form == "map":
            below = _resolved(below.get("additionalProperties", {}))
        yield from _kinds_below(part.kind, below)
        if "else" in below:  # a widget, or a reference to a report's
            yield from _kinds_below(part.kind, _resolved(below["else"]))


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    ref = schema.get("$ref")
    if ref is None:
        return schema
    file, _, inner = ref.partition("#/$defs/")
    found = schemas()[file.removesuffix(".schema.json")]
    return found["$defs"][inner] if inner else found


def default_of(kind: str, name: str, definition: Mapping[str, Any]) -> Any:
    """What a property that is left out means; None for nothing."""
    own = property_schemas(kind).get(name)
    if own is None:
        own = type_property(kind, name, definition)
    return own.get("default") if isinstance(own, Mapping) else None
