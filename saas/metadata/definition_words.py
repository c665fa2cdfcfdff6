"""The value of any property of any definition as a person reads it: labels instead of keys, yes and no, conditions in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from saas.i18n import lazy
from saas.metadata.anatomy import part_of, sort_of
from saas.metadata.expression_words import expression_words
from saas.metadata.expressions.calendar import PERIODS
from saas.metadata.expressions.filters import OPS
from saas.metadata.far import entity_in
from saas.metadata.kinds import NESTS
from saas.metadata.naming import Joined, Lookup, Name, Short, Text, crumbs, definition_name, entity_of, items, texts, titled
from saas.metadata.property_words import ACCESS, NO, SCOPES, YES, choice_word, property_word

NONE = ""
SEMICOLON = lazy("; ")
ALL = lazy("all")


def value_words(lookup: Lookup, kind: str, name: str, value: Any, definition: Mapping[str, Any], entity: Any) -> Text:
    """The value of a property in words, as long as it is; "" for nothing. `entity` is the one whose fields the definition's
    keys name."""
    if value is None or value == "" or value == [] or value == {}:
        return SCOPES["none"] if kind == "right" and sort_of(kind, name) == "scope_rules" else NONE
    if isinstance(value, bool):
        return YES if value else NO
    part = part_of(kind, name)
    if part is not None:
        return _parts(lookup, part.kind, part.form, value, entity)
    sort = sort_of(kind, name, definition)
    if sort.startswith("far_"):  # about another entity, to which another property leads
        sort, entity = sort.removeprefix("far_"), entity_in(lookup, kind, name, definition, entity)
    make = _SORTS.get(sort)
    found = make(lookup, value, definition, entity) if make is not None else None
    if found is None:
        found = choice_word(kind, name, value, definition) or _plain(kind, name, value, definition)
    return found


def words_at(raw: Mapping[str, Any], path: str, value: Any) -> Text:
    """A value that stands, or could stand, at a path of a bundle, in words, cut when it is long."""
    lookup = Lookup(raw)
    found, rest = crumbs(lookup, path)
    last = found[-1] if found else None
    if last is None or not rest:
        if isinstance(value, Mapping) and last is not None:
            return Short(_definition(lookup, last.kind, value, last.entity))
        return Short(value if isinstance(value, str) else _json(value)) if value else NONE
    if len(rest) > 1:
        return Short(value_words(lookup, "", rest[-1], value, {}, last.entity))
    return Short(value_words(lookup, last.kind, rest[0], value, last.definition if isinstance(last.definition, Mapping) else {}, last.entity))


# ---- parts --------------------------------------------------------------------------------------------------------------


def _parts(lookup: Lookup, kind: str, form: str, value: Any, entity: Any) -> Text:
    """Definitions inside a definition: their names, or what they say where they have none."""
    if form == "map" and isinstance(value, Mapping):
        if kind == "field_right":
            return Joined(titled(lookup.field_name(entity, k), access_words(lookup, v, entity)) for k, v in value.items())
        return Joined(definition_name(lookup, kind, v, k, entity_of(lookup, kind, v, k, entity)) for k, v in value.items())
    if form == "one" and isinstance(value, Mapping):
        return _definition(lookup, kind, value, entity)
    if not isinstance(value, list):
        return _json(value)
    if kind == "action":
        entities = lookup.action_entities(entity, value)
        return Joined((action_words(lookup, a, entity, e) for a, e in zip(value, entities, strict=True)), SEMICOLON)
    if form == "steps":
        return Joined((step_words(lookup, kind, v, entity) for v in value), SEMICOLON)
    found = (v for v in value if isinstance(v, Mapping))
    return Joined(definition_name(lookup, kind, v, str(v.get("key")), entity_of(lookup, kind, v, "", entity), n) for n, v in enumerate(found))


def _definition(lookup: Lookup, kind: str, value: Mapping[str, Any], entity: Any) -> Text:
    """All of a small definition: “Field: Amount; Function: sum”."""
    entity = entity_of(lookup, kind, value, "", entity)
    names = [n for n, v in value.items() if n != "key" and v not in (None, "", [], {})]
    return Joined((titled(property_word(kind, n, value), value_words(lookup, kind, n, value[n], value, entity)) for n in names), SEMICOLON)


def step_words(lookup: Lookup, kind: str, value: Any, entity: Any) -> Text:
    """One entry of a list without keys."""
    raw: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
    if kind == "menu":
        return lazy("%(name)s (%(items)s)", name=Name(raw.get("label")), items=_menu_items(lookup, raw.get("items"), raw, entity))
    if kind == "branch":
        to = lookup.stage_name(lookup.pipeline(entity)[1], raw.get("to"))
        return lazy("to %(stage)s if %(condition)s", stage=to, condition=expression_words(lookup, raw["if"], entity)) if raw.get("if") else lazy("else to %(stage)s", stage=to)
    if kind == "measure" and raw.get("fn"):
        fn = choice_word(kind, "fn", raw["fn"]) or Name(None, str(raw["fn"]))
        return lazy("%(function)s of %(field)s", function=fn, field=lookup.path_name(entity, raw["field"])) if raw.get("field") else fn
    if kind == "dimension":
        field, bucket = lookup.path_name(entity, raw.get("field")), choice_word(kind, "bucket", raw.get("bucket"))
        return lazy("%(field)s by %(period)s", field=field, period=bucket) if bucket else field
    return _definition(lookup, kind, raw, entity)


def action_words(lookup: Lookup, action: Any, entity: Any, target: Any) -> Text:
    """“Create a record (Entity: Task; Field values: …) if Amount is more than 5”. `target` is the entity the action works on."""
    raw: Mapping[str, Any] = action if isinstance(action, Mapping) else {}
    name = choice_word("action", "action", raw.get("action")) or Name(None, str(raw.get("action")))
    told = []
    for key, value in raw.items():
        if key in ("action", "if", "as"):
            continue
        if key in NESTS:
            inner = lookup.inner_entity(entity, raw)
            steps = zip(value, lookup.action_entities(inner, value), strict=True) if isinstance(value, list) else ()
            told.append(titled(property_word("action", key, raw), Joined((action_words(lookup, a, inner, e) for a, e in steps), SEMICOLON)))
            continue
        if key == "retry" and isinstance(value, Mapping):
            told.append(titled(property_word("action", key, raw), lazy("%(count)s times", count=value.get("times"))))
            continue
        sort = sort_of("action", key, raw)
        seen_from = entity if sort in ("target", "people", "expression") else target
        words = titled_values(lookup, value, target, entity) if sort == "values" else value_words(lookup, "action", key, value, raw, seen_from)
        told.append(titled(property_word("action", key, raw), words))
    text = lazy("%(name)s (%(items)s)", name=name, items=Joined(told, SEMICOLON)) if told else name
    return lazy("%(text)s if %(condition)s", text=text, condition=expression_words(lookup, raw["if"], entity)) if isinstance(raw.get("if"), str) else text


# ---- sorts of values ----------------------------------------------------------------------------------------------------


def _fields(lookup: Lookup, value: Any, _definition: Any, entity: Any) -> Text | None:
    return Joined(lookup.path_name(entity, v) for v in texts(value)) if isinstance(value, (list, str)) else None


def _sort(lookup: Lookup, value: Any, _definition: Any, entity: Any) -> Text | None:
    orders = value.split(",") if isinstance(value, str) else texts(value)
    words = {"value": lazy("figure"), "label": lazy("name")}
    found: list[Text] = []
    for order in orders:
        name = words.get(order.lstrip("-")) or lookup.field_name(entity, order.lstrip("-"))
        found.append(lazy("%(name)s, descending", name=name) if order.startswith("-") else name)
    return Joined(found, SEMICOLON)


def _keys(section: str) -> Callable[..., Text | None]:
    def make(lookup: Lookup, value: Any, _definition: Any, _entity: Any) -> Text | None:
        if not isinstance(value, (list, str)):
            return None
        return Joined(ALL if v == "*" else lookup.name(section, v) for v in texts(value))

    return make


def _role(lookup: Lookup, value: Any, _definition: Any, _entity: Any) -> Text:
    return lazy("the system") if value == "system" and "system" not in lookup.section("roles") else lookup.name("roles", value)


def _stages(lookup: Lookup, value: Any, definition: Any, entity: Any) -> Text | None:
    return Joined(lookup.stage_name(lookup.pipeline(entity)[1], v) for v in texts(value))


def _transition(lookup: Lookup, value: Any, _definition: Any, entity: Any) -> Text:
    return lookup.transition_name(lookup.pipeline(entity)[1], value)


def _transitions(lookup: Lookup, value: Any, _definition: Any, entity: Any) -> Text:
    return Joined(lookup.transition_name(lookup.pipeline(entity)[1], v) for v in texts(value))


def _transition_rights(lookup: Lookup, value: Any, _definition: Any, _entity: Any) -> Text | None:
    if not isinstance(value, Mapping):
        return None
    pipelines = lookup.section("pipelines")
    return Joined(
        titled(lookup.name("pipelines", k), Joined(lookup.transition_name(pipelines.get(k), t) for t in texts(v)) if v else lazy("none")) for k, v in value.items()
    )


def _menu_items(lookup: Lookup, value: Any, _definition: Any, _entity: Any) -> Text:
    found: list[Text] = []
    for item in texts(value):
        first, _, second = item.partition(":")
        if (first in ("report", "dashboard") or (first in ("form", "statement") and first not in lookup.section("entities"))) and second:
            found.append(lookup.name(f"{first}s", second))
        elif first == "new" and second:
            found.append(lazy("New %(name)s", name=Name((lookup.entity(second) or {}).get("label"), second)))
        elif first == "board" and second:
            found.append(lazy("%(name)s as a board", name=Name((lookup.entity(second) or {}).get("plural"), second)))
        else:
            entity = Name((lookup.entity(first) or {}).get("plural"), first)
            found.append(Joined((entity, lookup.name("views", item)), " · ") if second else entity)
    return Joined(found)


def _target(lookup: Lookup, value: Any, _definition: Any, entity: Any) -> Text | None:
    """The record an action works on: a path, possibly from the result of an earlier action."""
    return lookup.path_name(entity, value) if isinstance(value, str) and not value.startswith("result.") else None


def _people(lookup: Lookup, value: Any, _definition: Any, entity: Any) -> Text:
    """Whom to tell: a role, a field, or an expression."""
    found: list[Text] = []
    for text in texts(value):
        if text.startswith("role:"):
            found.append(lazy("everybody with the role “%(role)s”", role=lookup.name("roles", text.removeprefix("role:").strip())))
        else:
            found.append(lookup.path_name(entity, text) if lookup.field(*lookup.along(entity, text)) else text)
    return Joined(found)


def _relation(lookup: Lookup, value: Any, _definition: Any, entity: Any) -> Text:
    return lookup.relation_name(entity, value)


def _relations(lookup: Lookup, value: Any, _definition: Any, entity: Any) -> Text | None:
    return Joined(lookup.relation_name(entity, v) for v in texts(value)) if isinstance(value, list) else None


def _amount(lookup: Lookup, value: Any, _definition: Any, _entity: Any) -> Text | None:
    """A number, or the setting that holds it."""
    return lookup.name("settings", value) if isinstance(value, str) else None


def _child_fields(lookup: Lookup, value: Any, definition: Any, entity: Any) -> Text:
    relation = lookup.relation(entity, definition.get("of") or definition.get("key"))
    return Joined(lookup.field_name(relation.child if relation else None, v) for v in texts(value))


def _target_fields(lookup: Lookup, value: Any, definition: Any, _entity: Any) -> Text:
    return Joined(lookup.field_name(definition.get("to"), v) for v in texts(value))


def _parent_option(lookup: Lookup, value: Any, _definition: Any, _entity: Any) -> Text:
    """The option another one belongs to: of the field that one's field depends on, or of the same tree."""
    for entity in lookup.section("entities"):
        for field in lookup.fields(entity).values():
            options = lookup.options(lookup.field(entity, field.get("depends_on")))[1]
            if found := next((o for o in options if o.get("key") == value), None):
                return Name(found.get("label"), str(value))
    trees = (o for s in lookup.section("option_sets").values() if s.get("tree") for o in items(s, "options"))
    return Name(next((o.get("label") for o in trees if o.get("key") == value), None), str(value))


def _report_widget(lookup: Lookup, value: Any, definition: Any, _entity: Any) -> Text:
    return Name((lookup.widget(definition.get("report"), value) or {}).get("label"), str(value))


def _settings(_lookup: Lookup, value: Any, _definition: Any, _entity: Any) -> Text:
    return Joined(choice_word("role", "settings", v) or v for v in texts(value))


def _expression(lookup: Lookup, value: Any, definition: Any, entity: Any) -> Text | None:
    if isinstance(definition, Mapping) and definition.get("type") == "rollup":  # what it says is about the records it sums up
        relation = lookup.relation(entity, definition.get("of"))
        entity = relation.child if relation else entity
    return expression_words(lookup, value, entity) if isinstance(value, str) else None


def _expressions(lookup: Lookup, value: Any, _definition: Any, entity: Any) -> Text:
    return Joined((expression_words(lookup, v, entity) for v in texts(value)), SEMICOLON)


def titled_values(lookup: Lookup, value: Any, entity: Any, source: Any = None) -> Text:
    """Fields with the expressions that give their values; these speak of the entity `source`, where it is another one."""
    found = value.items() if isinstance(value, Mapping) else ()
    return Joined((lazy("%(name)s = %(text)s", name=lookup.field_name(entity, k), text=expression_words(lookup, v, source or entity, lookup.field(entity, k)) if isinstance(v, str) else _json(v)) for k, v in found), SEMICOLON)


def _values(lookup: Lookup, value: Any, _definition: Any, entity: Any) -> Text:
    return titled_values(lookup, value, entity)


def _literals(lookup: Lookup, value: Any, _definition: Any, entity: Any) -> Text | None:
    if not isinstance(value, Mapping):
        return None
    return Joined((titled(lookup.field_name(entity, k), literal_words(lookup, v, lookup.field(entity, k))) for k, v in value.items()), SEMICOLON)


def _default(lookup: Lookup, value: Any, definition: Any, entity: Any) -> Text:
    if isinstance(value, Mapping) and isinstance(value.get("expr"), str) and len(value) == 1:
        return expression_words(lookup, value["expr"], entity, definition)
    return literal_words(lookup, value, definition)


def _literal(lookup: Lookup, value: Any, definition: Any, _entity: Any) -> Text:
    return literal_words(lookup, value, None)


def literal_words(lookup: Lookup, value: Any, field: Mapping[str, Any] | None) -> Text:
    """A fixed value of a field."""
    if isinstance(value, bool):
        return YES if value else NO
    if isinstance(value, list):
        return Joined(literal_words(lookup, v, field) for v in value)
    if isinstance(value, Mapping) and "amount" in value:
        return f"{value['amount']} {value.get('currency') or ''}".strip()
    if isinstance(value, str):
        return lookup.option_name(field, value)
    return "" if value is None else _json(value)


def _filter(lookup: Lookup, value: Any, _definition: Any, entity: Any) -> Text:
    return filter_words(lookup, value, entity)


def filter_words(lookup: Lookup, value: Any, entity: Any, inner: bool = False) -> Text:
    """A filter as a sentence: “Grade is A and Amount is more than 5”."""
    if isinstance(value, str):
        return expression_words(lookup, value, entity)
    if not isinstance(value, Mapping):
        return _json(value)
    if isinstance(value.get("expr"), str):
        return expression_words(lookup, value["expr"], entity)
    for word, sign in (("and", lazy(" and ")), ("or", lazy(" or "))):
        if isinstance(value.get(word), list):
            joined = Joined((filter_words(lookup, v, entity, inner=True) for v in value[word]), sign)
            return lazy("(%(text)s)", text=joined) if inner and len(value[word]) > 1 else joined
    if "not" in value:
        return lazy("not (%(text)s)", text=filter_words(lookup, value["not"], entity))
    if "field" not in value:
        return _json(value)
    return _condition(lookup, value, entity)


def _condition(lookup: Lookup, value: Mapping[str, Any], entity: Any) -> Text:
    owner, last = lookup.along(entity, value["field"])
    field, op = lookup.field(owner, last), OPS.get(str(value.get("op")))
    name, given = lookup.path_name(entity, value["field"]), value.get("value")
    if op is None:
        return Joined((name, str(value.get("op")), literal_words(lookup, given, field)), " ")
    if op.takes == "flag":
        return lazy("%(field)s is empty", field=name) if given else lazy("%(field)s is not empty", field=name)
    if op.takes == "pair" and isinstance(given, list) and len(given) == 2:
        low, high = (literal_words(lookup, v, field) for v in given)
        return lazy("%(field)s is between %(low)s and %(high)s", field=name, low=low, high=high)
    if op.takes == "period" and given in PERIODS:
        return Joined((name, *(() if given in ("past", "future") else (op.label,)), PERIODS[given]), " ")
    return Joined((name, op.label, literal_words(lookup, given, field) if given is not None else lazy("empty")), " ")


# ---- rights -------------------------------------------------------------------------------------------------------------


def scope_words(lookup: Lookup, value: Any, _definition: Any = None, entity: Any = None) -> Text | None:
    """A right: “own records; all records if Grade is C”."""
    rules = value if isinstance(value, list) else [value]
    found: list[Text] = []
    for rule in rules:
        scope = rule.get("scope") if isinstance(rule, Mapping) else rule
        words = SCOPES.get(scope) if isinstance(scope, str) else None
        if words is None:
            return None
        condition = rule.get("if") if isinstance(rule, Mapping) else None
        found.append(lazy("%(text)s if %(condition)s", text=words, condition=expression_words(lookup, condition, entity)) if condition else words)
    return Joined(found, SEMICOLON)


def _create(lookup: Lookup, value: Any, _definition: Any, entity: Any) -> Text | None:
    condition = value.get("if") if isinstance(value, Mapping) else None
    return lazy("%(text)s if %(condition)s", text=YES, condition=expression_words(lookup, condition, entity)) if isinstance(condition, str) else None


def access_words(lookup: Lookup, value: Any, entity: Any = None) -> Text:
    """A right on a field: “masked if Status is Draft”."""
    raw = value if isinstance(value, Mapping) else {"access": value}
    text: Text = ACCESS.get(str(raw.get("access"))) or _json(value)
    if raw.get("mask"):
        text = lazy("%(name)s (%(items)s)", name=text, items=raw["mask"])
    return lazy("%(text)s if %(condition)s", text=text, condition=expression_words(lookup, raw["if"], entity)) if raw.get("if") else text


# ---- the rest -----------------------------------------------------------------------------------------------------------


def _label(_lookup: Lookup, value: Any, _definition: Any, _entity: Any) -> Text | None:
    return Name(value) if isinstance(value, Mapping) else None


def _plain(kind: str, name: str, value: Any, definition: Any) -> Text:
    if isinstance(value, list) and all(isinstance(v, (str, int, float)) for v in value):
        return Joined(choice_word(kind, name, v, definition) or str(v) for v in value)
    if isinstance(value, Mapping) and value and all(isinstance(v, str) for v in value.values()):
        return Name(value)
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError):
        return str(value)


_SORTS: Mapping[str, Callable[..., Text | None]] = {
    "label": _label, "field": _fields, "fields": _fields, "path": _fields, "paths": _fields, "sort": _sort, "widget_sort": _sort,
    "entity": _keys("entities"), "option_set": _keys("option_sets"), "roles": _keys("roles"), "role": _role, "pipeline": _keys("pipelines"),
    "message_template": _keys("templates"), "web_form": _keys("web_forms"), "report": _keys("reports"), "reports": _keys("reports"), "dashboard": _keys("dashboards"), "dashboards": _keys("dashboards"),
    "department": _keys("departments"), "stage": _stages, "stages": _stages, "transition": _transition, "transitions": _transitions, "approval": _keys("approvals"), "transition_rights": _transition_rights,
    "menu_items": _menu_items, "relation": _relation, "relations": _relations, "amount": _amount, "option": _parent_option, "report_widget": _report_widget,
    "target": _target, "people": _people, "child_field": _child_fields, "child_fields": _child_fields, "target_fields": _target_fields, "settings": _settings,
    "expression": _expression, "expressions": _expressions, "bound": _literal, "values": _values, "literals": _literals, "literal": _literal,
    "connector": _keys("connectors"), "call": _keys("calls"), "ledger": _keys("ledgers"), "review": _keys("reviews"), "document": _keys("documents"), "default": _default, "filter": _filter, "scope_rules": scope_words, "create": _create,
}  # fmt: skip
