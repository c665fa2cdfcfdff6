"""Controls of the designer's forms: each draws one property of a definition and reads it back from a posted form.

A form is a list of `Control`s. `await draw(desk, controls, values, errors)` gives what `builder/form.html` shows; `read(desk,
controls, form)` gives the JSON values. Kinds of controls are registered: adding one is a class here or in the page's module, and
a template in `templates/builder/controls/`.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from litestar.datastructures import FormMultiDict
from markupsafe import Markup

from saas.i18n import LOCALES, own_first
from saas.i18n import gettext as _
from saas.metadata.config import Config, Entity
from saas.metadata.expressions.errors import FilterError
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.metadata.property_words import ICONS
from saas.registry import Registry
from saas.runtime.sql import expr_type
from saas.ui import filters
from saas.ui.builder import conditions
from saas.ui.builder.desk import Desk
from saas.ui.filters import Condition
from saas.ui.forms import Option
from saas.ui.render import markup
from saas.ui.views import Choice

COLOURS = ("gray", "red", "orange", "yellow", "green", "teal", "blue", "indigo", "purple", "pink")
SPARE_ROWS = 1  # empty rows offered without scripts


class More(dict[str, Any]):
    """Templates may ask for what is not there."""

    def __missing__(self, key: str) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Control:
    """One property. `name` is the form's name and, read back, the property; `entity` the entity that fields, conditions and
    expressions are about; `result` what an expression must result in; `field` the field that a `value` is typed by; `show_if`
    {"other control": [values]} hides it by script otherwise; `more` what only its kind knows."""

    name: str
    kind: str
    title: str
    help: str = ""
    required: bool = False
    default: Any = None
    choices: tuple[Choice, ...] = ()
    entity: str = ""
    result: str = ""
    field: FieldDef | None = None  # hides dataclasses.field from here on
    show_if: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    advanced: bool = False
    more: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "more", More(self.more))


@dataclass(frozen=True, slots=True)
class Drawn:
    """A control as the template shows it."""

    name: str
    kind: str
    html: Markup
    advanced: bool
    show_if: str
    error: str


class ControlKind:
    """`key` also names the template. `grouped`: several inputs under one legend."""

    key: ClassVar[str]
    grouped: ClassVar[bool] = False
    wide: ClassVar[bool] = False  # takes the whole width of a form
    nested: ClassVar[bool] = False  # shows the messages of what is inside it itself: `more["errors"]`, by what follows its name

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        """The JSON value; None where nothing was given. What cannot be understood is returned as typed: the check says why."""
        text = str(form.get(control.name) or "").strip()
        return text or None

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        """What the template needs beside `c` (the control) and `value`."""
        return {}


control_kinds: Registry[ControlKind] = Registry("control")


async def draw(desk: Desk, controls: Iterable[Control], values: Mapping[str, Any], errors: Mapping[str, str] | None = None) -> list[Drawn]:
    """The controls with their values and messages. A message at `name.x` or `name[x]` shows at `name`."""
    drawn = []
    for control in controls:
        kind = control_kinds.get(control.kind)
        value = values.get(control.name, control.default)
        mine = {path[len(control.name) :]: text for path, text in (errors or {}).items() if path == control.name or path.startswith((f"{control.name}.", f"{control.name}["))}
        error = mine.get("", "") if kind.nested else next(iter(mine.values()), "")
        if kind.nested and mine:
            control = replace(control, more={**control.more, "errors": mine})
        more = await kind.view(desk, control, value)
        inner = markup(f"builder/controls/{kind.key}.html", c=control, value=value, error=error, id=f"c-{control.name}", locales=own_first(), locale=desk.locale, **more)
        html = markup("builder/_control.html", c=control, control=inner, error=error, id=f"c-{control.name}", grouped=kind.grouped, wide=kind.wide)
        show_if = json.dumps({k: list(v) for k, v in control.show_if.items()}) if control.show_if else ""
        drawn.append(Drawn(control.name, control.kind, html, control.advanced, show_if, error or next(iter(mine.values()), "")))
    return drawn


def read(desk: Desk, controls: Iterable[Control], form: FormMultiDict) -> dict[str, Any]:
    """JSON values of the controls; those that are empty, or say what is the default anyway, are left out."""
    found = {}
    for control in controls:
        value = control_kinds.get(control.kind).read(desk, control, form)
        if value is not None and value != "" and value != [] and value != {} and (value != control.default or control.required):
            found[control.name] = value
    return found


def laid(definition: Mapping[str, Any], controls: Iterable[Control], values: Mapping[str, Any]) -> dict[str, Any]:
    """The definition with what the controls say; properties without a control stay, and so do defaults that are written out. What
    is ticked keeps the order it was written in."""
    known = {c.name: c for c in controls}
    kept = {k: v for k, v in definition.items() if k not in known or (v is not None and v in (known[k].default, [], {}, ""))}
    ticked = {k: in_order(definition.get(k), v) for k, v in values.items() if k in known and known[k].kind == "choices"}
    return {**kept, **values, **ticked}


def in_order(before: Any, chosen: Any) -> Any:
    """The chosen keys: first those that were there before, in their order."""
    if not isinstance(before, list) or not isinstance(chosen, list):
        return chosen
    return [k for k in before if k in chosen] + [k for k in chosen if k not in before]


def left_over(errors: Mapping[str, str], controls: Iterable[Control]) -> list[str]:
    """Messages that no control shows."""
    names = [c.name for c in controls]
    return [text for path, text in errors.items() if not any(path == n or path.startswith((f"{n}.", f"{n}[")) for n in names)]


# ---- simple kinds -------------------------------------------------------------------------------------------------------


@control_kinds.register
class TextControl(ControlKind):
    """`more`: placeholder, pattern, maxlength, readonly."""

    key = "text"


@control_kinds.register
class LongText(ControlKind):
    key = "longtext"


@control_kinds.register
class NumberControl(ControlKind):
    """`more`: min, max, step, unit."""

    key = "number"

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        text = str(form.get(control.name) or "").strip().replace(",", "")
        if re.fullmatch(r"-?\d+", text):
            return int(text)
        if re.fullmatch(r"-?\d*\.\d+", text):
            return float(text)
        return text or None


@control_kinds.register
class AmountControl(ControlKind):
    """A whole number, or the setting that holds it. `more`: unit."""

    key = "amount"
    grouped = True

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        setting = str(form.get(f"{control.name}.setting") or "").strip()
        if setting:
            return setting
        text = str(form.get(control.name) or "").strip()
        return int(text) if re.fullmatch(r"\d{1,7}", text) else text or None

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        numbers = [s for s in desk.raw.get("settings", ()) if s.get("type") in ("int", "number") and s.get("key")]
        return {"settings": tuple(Choice(s["key"], desk.words(s.get("label"), s["key"]), s["key"] == value) for s in numbers)}


@control_kinds.register
class NumbersControl(ControlKind):
    """Several whole numbers, with commas between them."""

    key = "numbers"

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        text = str(form.get(control.name) or "").strip()
        parts = [p for p in re.split(r"[\s,，、;；]+", text) if p]
        return [int(p) if re.fullmatch(r"\d{1,7}", p) else p for p in parts] or None


@control_kinds.register
class Switch(ControlKind):
    """True or false; a hidden input tells an unticked box from a form without it."""

    key = "bool"

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        texts = form.getall(control.name, [])
        return None if not texts else "on" in texts


@control_kinds.register
class Select(ControlKind):
    """One of `choices`. `more`: empty (text of the empty choice), tiles (drawn as cards)."""

    key = "choice"


@control_kinds.register
class CheckList(ControlKind):
    """Several of `choices`, in their order."""

    key = "choices"
    grouped = True

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        return [str(v) for v in form.getall(control.name, []) if v]


@control_kinds.register
class Sorter(ControlKind):
    """Several of `choices`, in an order of one's own: ticked rows that can be dragged."""

    key = "sorter"
    grouped = True

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        return list(dict.fromkeys(str(v) for v in form.getall(control.name, []) if v))

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        chosen = [v for v in value if isinstance(v, str)] if isinstance(value, list | tuple) else []  # a draft may say anything
        by_key = {c.key: c for c in control.choices}
        rows = [replace(by_key.get(k, Choice(k, k)), on=True) for k in chosen]
        return {"rows": rows + [replace(c, on=False) for c in control.choices if c.key not in set(chosen)]}


@control_kinds.register
class LabelControl(ControlKind):
    """A text in each language."""

    key = "label"
    grouped = True

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        found = {loc: text for loc in LOCALES if (text := str(form.get(f"{control.name}.{loc}") or "").strip())}
        return found or None


@control_kinds.register
class IconControl(ControlKind):
    key = "icon"
    grouped = True

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        return {"icons": [Choice(key, str(name), key == (value or "box")) for key, name in ICONS.items()]}


@control_kinds.register
class ColourControl(ControlKind):
    key = "color"
    grouped = True

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        return {"colours": [Choice(c, colour_name(c), c == (value or "gray"), c) for c in COLOURS]}


def colour_name(key: str) -> str:
    return {
        "gray": _("Gray"), "red": _("Red"), "orange": _("Orange"), "yellow": _("Yellow"), "green": _("Green"), "teal": _("Teal"), "blue": _("Blue"),
        "indigo": _("Indigo"), "purple": _("Purple"), "pink": _("Pink"),
    }[key]  # fmt: skip


# ---- expressions and conditions -----------------------------------------------------------------------------------------


@control_kinds.register
class ExpressionControl(ControlKind):
    """An expression over records of `entity`, checked while it is typed; `result` names what it must give. `more`: results
    ({name: entity}, records made by earlier actions, which conditions may name, too)."""

    key = "expression"

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        return {"fields": _insertable(desk, control)}


@control_kinds.register
class ConditionControl(ControlKind):
    """A condition as rows or as an expression; stored as expression text."""

    key = "condition"
    grouped = True

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        entity = desk.config.entities.get(control.entity)
        was = str(form.get(f"{control.name}.was") or "")
        if entity is None or form.get(f"{control.name}.mode") == "text":
            return conditions.kept(str(form.get(f"{control.name}.text") or "").strip(), was) or None
        try:
            return conditions.kept(conditions.to_expression(desk.ctx, entity, read_rows(desk, entity, control.name, form)), was, desk.ctx, entity)
        except FilterError as error:
            return f"⟨{error.message}⟩"  # no expression: refused with the reason in it

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        entity = desk.config.entities.get(control.entity)
        rows = conditions.from_expression(desk.ctx, entity, value) if entity else None
        return await _rows_view(desk, control, entity, rows, value or "")


@control_kinds.register
class FilterControl(ConditionControl):
    """As a condition, stored as a filter."""

    key = "filter"

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        entity = desk.config.entities.get(control.entity)
        if entity is None or form.get(f"{control.name}.mode") == "text":
            text = str(form.get(f"{control.name}.text") or "").strip()
            return {"expr": text} if text else None
        return conditions.to_filter(desk.ctx, entity, read_rows(desk, entity, control.name, form))

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        entity = desk.config.entities.get(control.entity)
        rows = conditions.from_filter(desk.ctx, entity, value) if entity else None
        return await _rows_view(desk, control, entity, rows, conditions.text_of(value, desk.ctx, entity) if entity else "")


async def _rows_view(desk: Desk, control: Control, entity: Entity | None, rows: conditions.Rows | None, text: str) -> dict[str, Any]:
    shown = [await row_view(desk, entity, control.name, n, c) for n, c in enumerate(rows.conditions)] if rows and entity else []
    spare = await row_view(desk, entity, control.name, len(shown), None) if entity else None
    return {
        "rows": shown, "spare": spare, "join": rows.join if rows else "and", "mode": "rows" if rows is not None else "text", "text": text,
        "fields": _insertable(desk, control), "row_url": f"/settings/builder/condition?entity={control.entity}&name={control.name}",
    }  # fmt: skip


def read_rows(desk: Desk, entity: Entity, name: str, form: FormMultiDict) -> conditions.Rows:
    """The rows of a posted condition editor; half-filled ones are left out."""
    numbers = sorted({int(m[1]) for key in form if (m := re.fullmatch(rf"{re.escape(name)}\.(\d+)\.field", key))})
    found = [c for number in numbers if (c := _read_row(desk, entity, f"{name}.{number}", form))]
    return conditions.Rows("or" if form.get(f"{name}.join") == "or" else "and", tuple(found))


def _read_row(desk: Desk, entity: Entity, name: str, form: FormMultiDict) -> Condition | None:
    values = [str(v) for v in form.getall(f"{name}.value", [])]
    query = FormMultiDict(
        [
            ("add_field", str(form.get(f"{name}.field") or "")), ("add_op", str(form.get(f"{name}.op") or "")),
            ("add_period", str(form.get(f"{name}.period") or "")), *(("add_value", v) for v in values),
        ]
    )  # fmt: skip
    return filters.added(query, entity, desk.ctx)


async def row_view(desk: Desk, entity: Entity | None, name: str, number: int, c: Condition | None) -> dict[str, Any]:
    """One row of a condition editor: the fields to choose from; with a field also its operators and value control."""
    assert entity is not None
    fields = [Choice(f.key, desk.words(f.label, f.key), c is not None and c.field == f.key) for f in entity.fields.values() if filters.filterable(desk.ctx, f)]
    row: dict[str, Any] = {"number": number, "fields": fields, "kind": "", "ops": (), "options": (), "value": "", "value2": "", "lookup": "", "name": f"{name}.{number}", "many": False}
    if c is None:
        return row
    field_def = entity.fields[c.field]
    kind = filters.editor_kind(desk.ctx, field_def)
    ops = [Choice(op, str(filters.OPS[op].label), op == c.op) for op in filters.operators(desk.ctx, field_def) if op != "is_empty"]
    ops += [Choice("is_empty", _("is empty"), c.op == "is_empty" and c.values != ("false",)), Choice("not_empty", _("is not empty"), c.op == "is_empty" and c.values == ("false",))]
    options: Sequence[Choice] = ()
    if kind == "options":
        options = [Choice(o.key, desk.words(o.label, o.key), o.key in c.values, o.color) for o in desk.config.options(entity.key, c.field)]
    elif kind == "picker":
        options = await _people(desk, entity, field_def, c)
    elif kind == "date":
        options = filters.period_choices(c.values)
    plain = [v for v in c.values if c.op not in ("relative", "is_empty")]
    return {
        **row, "kind": kind, "ops": ops, "options": options, "value": plain[0] if plain else "", "value2": plain[1] if len(plain) > 1 else "",
        "lookup": f"/lookup/{entity.key}/{c.field}?filter=1", "many": c.op in ("in", "not_in"),
    }  # fmt: skip


async def _people(desk: Desk, entity: Entity, field_def: FieldDef, c: Condition) -> list[Choice]:
    """Whom a condition may name: oneself, one's department, and who is chosen already; others come by searching."""
    special = {"user": ("me()", _("the person looking")), "dept": ("my_dept()", _("the department of the person looking"))}
    kind = field_types.get(field_def.type)
    found = [Choice(*special[t], on=special[t][0] in c.values) for t in (kind.holds,) if t in special]
    names = {v: filters.value_text(desk.ctx, entity, Condition(c.field, "eq", (v,)), {}) for v in c.values if not v.endswith("()")}
    return found + [Choice(v, names[v], True) for v in names]


def _insertable(desk: Desk, control: Control) -> list[Choice]:
    found = insertable(desk, control.entity)
    for name, entity_key in control.more.get("results", {}).items():
        entity = desk.config.entities.get(entity_key)
        found += [Choice(f"result.{name}.{f.key}", f"{name} → {desk.words(f.label, f.key)}") for f in entity.fields.values()] if entity else []
    return found


def insertable(desk: Desk, entity_key: str) -> list[Choice]:
    """The fields an expression over an entity may name, one step over references included; `text` is what people call them."""
    entity = desk.config.entities.get(entity_key)
    if entity is None:
        return []
    found = []
    for field_def in entity.fields.values():
        label = desk.words(field_def.label, field_def.key)
        found.append(Choice(field_def.key, label))
        target = desk.config.entities.get(field_def.options.get("to", "")) if field_def.type == "ref" else None
        for far in target.declared.values() if target else ():
            found.append(Choice(f"{field_def.key}.{far.key}", f"{label} → {desk.words(far.label, far.key)}"))
    for relation in entity.children.values():
        found.append(Choice(f"count({relation.key})", _("Number of %(list)s", list=desk.words(relation.label, relation.key))))
    return found


# ---- a value typed by a field -------------------------------------------------------------------------------------------


@control_kinds.register
class ValueControl(ControlKind):
    """A literal of `field`'s type, with that type's own control."""

    key = "value"

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        assert control.field is not None
        kind = field_types.get(control.field.type)
        texts = [v for v in form.getall(control.name, []) if isinstance(v, str)]
        value = kind.from_form(control.field, texts, desk.config) if texts else None
        return None if value is None else kind.normalise(control.field, value, desk.config)

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        assert control.field is not None
        kind, found = field_types.get(control.field.type), control.field
        chosen = value if isinstance(value, list) else [value]
        options: list[Option] = []
        if filters.has_options(found):
            options = [Option(o.key, desk.words(o.label, o.key), o.color, o.active, o.parent, o.key in chosen) for o in desk.config.field_options(found)]
        inner = markup(
            f"fields/{found.type}/input.html", id=f"c-{control.name}", name=control.name, field=found, value=kind.to_form(found, value, desk.config),
            text="" if value is None else str(value), options=options, required=False, disabled=False, invalid=False, describedby=f"e-c-{control.name}",
            locale=desk.locale, choices_url="", end=kind.align_end, config=desk.config,
        )  # fmt: skip
        return {"inner": inner}


def is_time(config: Config, field: FieldDef) -> bool:
    """Whether a field holds days or moments."""
    return expr_type(config, field) in ("date", "datetime")


def is_summable(config: Config, field: FieldDef) -> bool:
    """Whether sums and averages of a field mean something."""
    kind, _result = field_types.get(field.type).result_of(field, config)
    return kind.summable and expr_type(config, field) == "number"


# ---- from a JSON Schema -------------------------------------------------------------------------------------------------


def controls_of(desk: Desk, schema: Mapping[str, Any], *, entity: str = "", own: FieldDef | None = None) -> list[Control]:
    """Controls for the properties of a JSON Schema (a field type's or widget's options): by `x-control`, else by type and enum."""
    required = set(schema.get("required", ()))
    found = []
    for name, prop in schema.get("properties", {}).items():
        kind = _kind_of(prop)
        if kind is None:
            continue
        choices = _schema_choices(desk, prop, entity)
        more: dict[str, Any] = {k: prop[j] for k, j in (("min", "minimum"), ("max", "maximum"), ("maxlength", "maxLength")) if j in prop}
        if kind == "choice" and name not in required:
            more["empty"] = _("None") if prop.get("default") is None else ""
        found.append(
            Control(
                name, kind, _(prop.get("title", name)), _(prop["description"]) if prop.get("description") else "", name in required, prop.get("default"), choices, entity,
                prop.get("x-result", ""), show_if=prop.get("x-show-if", {}), advanced=bool(prop.get("x-advanced")), more=more,
            )
        )  # fmt: skip
    return found


_BY_HINT = {
    "entity": "choice", "field": "choice", "child_field": "choice", "relation": "choice", "option_set": "choice", "pipeline": "choice", "roles": "choices", "fields": "sorter",
    "condition": "condition", "expression": "expression", "label": "label", "lines": "longtext", "pattern": "text", "auto_pattern": "text", "choice": "choice",
    "message_template": "choice", "invited_role": "choice", "survey": "choice", "any_fields": "choices", "ledger": "choice", "review": "choice", "document": "choice", "call": "choice", "relations": "choices", "stage": "choice", "transition": "choice", "approval": "choice",
    "date_field": "choice", "number_field": "choice", "paths": "sorter", "target_field": "choice", "target_relation": "choice", "copied_values": "values",
    "child_fields": "choices", "target_fields": "choices", "person_field": "choice",
}  # fmt: skip


def _kind_of(prop: Mapping[str, Any]) -> str | None:
    """None for what only its own page can draw (inline options, bands, …): registered kinds of that name take it."""
    hint = prop.get("x-control")
    if hint:
        return hint if control_kinds.find(hint) else _BY_HINT.get(hint)
    types = prop.get("type", "string")
    types = [types] if isinstance(types, str) else types
    if "enum" in prop:
        return "choice"
    if "boolean" in types:
        return "bool"
    if "integer" in types or "number" in types:
        return "number"
    return "text" if "string" in types else None


def _schema_choices(desk: Desk, prop: Mapping[str, Any], entity_key: str) -> tuple[Choice, ...]:
    config, hint = desk.config, prop.get("x-control")
    entity = config.entities.get(entity_key)
    pairs: Iterable[tuple[str, Any]] = ()
    if "enum" in prop:
        labels = prop.get("x-labels", {})
        return tuple(Choice(str(v), _(str(labels.get(v, v)))) for v in prop["enum"] if v is not None)
    if hint == "entity":
        pairs = ((e.key, e.defn.label) for e in config.entities.values())
    elif hint in ("field", "fields", "any_fields") and entity:
        pairs = ((f.key, f.label) for f in entity.fields.values())
    elif hint in ("date_field", "number_field") and entity:
        pairs = ((f.key, f.label) for f in entity.fields.values() if (is_time if hint == "date_field" else is_summable)(config, f))
    elif hint == "paths":
        return tuple(c for c in insertable(desk, entity_key) if "(" not in c.key)
    elif hint == "choices":
        labels = prop.get("x-labels", {})
        return tuple(Choice(str(v), _(str(labels.get(v, v)))) for v in prop.get("items", {}).get("enum", ()))
    elif hint == "person_field" and entity:
        pairs = ((f.key, f.label) for f in entity.fields.values() if field_types.get(f.type).holds == "user" and not field_types.get(f.type).many)
    elif hint in ("relation", "relations", "target_relation") and entity:
        pairs = ((r.key, r.label) for r in entity.children.values())
    elif hint in ("child_field", "child_fields") and entity:
        pairs = {(f.key, desk.words(f.label, f.key)): (f.key, f.label) for r in entity.children.values() for f in config.entities[r.child].declared.values()}.values()
    elif hint == "option_set":
        pairs = ((s.key, s.label) for s in config.bundle.option_sets)
    elif hint == "survey":
        pairs = ((f.key, f.label) for f in config.bundle.web_forms if f.answers_to)
    elif hint == "invited_role":
        pairs = ((r.key, r.label) for r in config.bundle.roles if not r.admin and not r.settings)
    elif hint == "message_template":
        pairs = ((t.key, t.label) for t in config.bundle.templates if not entity_key or t.entity == entity_key)
    elif hint == "pipeline":
        pairs = ((p.key, p.label) for p in config.bundle.pipelines if not entity_key or p.entity == entity_key)
    elif hint == "document":
        pairs = ((x.key, x.label) for x in config.bundle.documents)
    elif hint == "review":
        pairs = ((x.key, x.label) for x in config.bundle.reviews)
    elif hint == "call":
        pairs = ((x.key, x.label) for x in config.bundle.calls if not entity_key or x.entity == entity_key)
    elif hint == "ledger":
        pairs = ((x.key, x.label) for x in config.bundle.ledgers)
    elif hint == "stage" and entity and entity.pipeline:
        pairs = ((s.key, s.label) for s in entity.pipeline.stages)
    elif hint == "transition" and entity and entity.pipeline:
        pairs = ((t.key, t.label) for t in entity.pipeline.transitions)
    elif hint == "approval":
        pairs = ((a.key, a.label) for a in config.bundle.approvals if not entity_key or a.entity == entity_key)
    elif hint == "roles":
        pairs = ((r.key, r.label) for r in config.bundle.roles)
    return tuple(Choice(key, desk.words(label, key)) for key, label in pairs)


__all__ = [
    "COLOURS", "Control", "ControlKind", "Drawn", "colour_name", "control_kinds", "controls_of", "draw", "in_order", "insertable", "is_summable", "is_time",
    "laid", "left_over", "read", "read_rows", "row_view",
]  # fmt: skip
