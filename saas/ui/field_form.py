"""One field's form in the designer: its controls by group, what they show of a definition, and the definition they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from saas.errors import NotFound
from saas.i18n import gettext as _
from saas.i18n import noop as N_
from saas.metadata import blueprints
from saas.metadata.kinds import FieldType, field_types
from saas.metadata.models import FieldDef
from saas.metadata.shape import common_properties, option_defaults
from saas.ui import design_views as views
from saas.ui.builder.controls import Control, controls_of, laid
from saas.ui.builder.desk import Desk
from saas.ui.filters import has_options
from saas.ui.views import Choice

LIST = "/settings/entities"
ABOUT = ("entity", "relation")  # hints of properties that decide what a type's conditions are about
NOW = {"user": ("me()", N_("The person who creates the record")), "date": ("today()", N_("The day it is created")), "datetime": ("now()", N_("The moment it is created"))}
NAMED_BY_RECORDS = ("user", "dept", "ref")  # values that only records and people can name: no fixed default
TYPED = ("text", "int", "float", "time", "uuid")  # storages of single values
MADE_UP = frozenset(  # controls that are no property
    ("required_mode", "shown_mode", "edit_mode", "choices_from", "default_mode", "default_value", "default_expr", "fill_mode", "fill_value", "fill_expr", "places", "key")
)

Group = tuple[str, str, Sequence[Control]]  # key, title, controls


@dataclass(frozen=True, slots=True)
class Form:
    """One field being edited. `raw` is its definition (of a new one only what is known already); `was` the type it has so far."""

    entity: str
    raw: Mapping[str, Any]
    kind: FieldType
    is_new: bool
    was: FieldType
    defn: FieldDef
    groups: Sequence[Group] = field(default=())

    @classmethod
    def of(cls, desk: Desk, entity: str, raw: Mapping[str, Any], *, is_new: bool, was: FieldType | None = None) -> Form:
        kind = field_types.find(str(raw.get("type")))
        if kind is None:
            raise NotFound()
        defn = loose(raw, kind)
        bare = cls(entity, raw, kind, is_new, was or kind, defn)
        return cls(entity, raw, kind, is_new, was or kind, defn, _groups(desk, bare))

    @property
    def path(self) -> str:
        return f"entities[{self.entity}].fields[{self.raw.get('key', '')}]"

    @property
    def controls(self) -> list[Control]:
        return [c for _key, _title, controls in self.groups for c in controls]

    @property
    def is_input(self) -> bool:
        """Whether people fill it in."""
        return not self.kind.computed


def loose(raw: Mapping[str, Any], kind: FieldType) -> FieldDef:
    """A definition for a field that may not be finished, with the defaults of its type."""
    common = common_properties("field")
    options = {**dict(option_defaults(kind)), **{k: v for k, v in raw.items() if k not in common}}
    return FieldDef(str(raw.get("key") or "value"), kind.key, raw.get("label") or {}, options=options)


def _groups(desk: Desk, form: Form) -> list[Group]:
    """(key, title, controls); the first two are always open."""
    basics = [
        Control("label", "label", _("Name"), _("What people see beside it. One language is enough."), required=True),
        *_own_controls(desk, form),
        Control("help", "label", _("Help"), _("A sentence below the field.")),
    ]  # fmt: skip
    groups: list[Group] = [("basics", _("What it holds"), basics)]
    if form.is_input:
        groups += [("filling", _("Filling it in"), _filling(desk, form)), ("showing", _("When it shows and may be changed"), _showing(form))]
    else:
        groups.append(("showing", _("When it shows"), _showing(form)))
    if form.is_new and (places := _places(desk, form.entity)):
        groups.append(("places", _("Where it appears"), [Control("places", "choices", _("Also show it on"), choices=places)]))
    groups.append(("more", _("More"), _more(form)))
    return groups


def pivot_of(kind: FieldType) -> str | None:
    """The property a type has to know before its form can be drawn: where it leads, or which list it looks at."""
    return next((name for name, prop in kind.options_schema.get("properties", {}).items() if prop.get("x-control") in ABOUT), None)


# ---- what only its type has


def _own_controls(desk: Desk, form: Form) -> list[Control]:
    schema, found = form.kind.options_schema, []
    pivot = pivot_of(form.kind)
    about, names = _about(desk, form, pivot)
    for control in controls_of(desk, schema, entity=form.entity):
        hint = schema["properties"][control.name].get("x-control")
        more: dict[str, Any] = {}
        if control.name == pivot:
            found.append(_pivot_control(desk, form, control))
            continue
        if control.kind in ("options", "inverse"):
            more = {"before": form.raw.get(control.name), "taken": _taken_names(desk, form)}
        if control.kind in ("condition", "expression") and pivot:
            found.append(replace(control, entity=about, more={**control.more, "names": names}))
            continue
        choices = _field_choices(desk, form, control, hint, about)
        if hint == "field" and not choices:
            continue
        found.append(replace(control, choices=choices, more={**control.more, **more}))
    return _one_source_of_choices(form, found)


def _field_choices(desk: Desk, form: Form, control: Control, hint: Any, about: str) -> tuple[Choice, ...]:
    """The fields a property may name: of the list it looks at; of the own ones those with choices, where the type has some itself."""
    if hint == "target_fields":
        return tuple(views.field_choices(desk, desk.config.entities.get(about), of=("option", "pipeline"), declared=True))
    if hint == "child_field":
        return views.field_choices(desk, desk.config.entities.get(about), declared=True)
    if hint == "field" and "options" in form.kind.options_schema.get("properties", {}):
        entity = desk.config.entities.get(form.entity)
        with_choices = {f.key for f in (entity.declared.values() if entity else ()) if has_options(f)} - {form.raw.get("key")}
        return tuple(c for c in control.choices if c.key in with_choices)
    return tuple(control.choices)


def _about(desk: Desk, form: Form, pivot: str | None) -> tuple[str, str]:
    """The entity whose records a type's conditions are about, and further names they may use."""
    if pivot is None:
        return form.entity, ""
    value = str(form.raw.get(pivot, ""))
    if form.kind.options_schema["properties"][pivot].get("x-control") == "entity":
        return value, f"new:{form.entity}"
    entity = desk.config.entities.get(form.entity)
    relation = entity.children.get(value) if entity else None
    return (relation.child if relation else ""), f"parent:{form.entity}"


def _pivot_control(desk: Desk, form: Form, control: Control) -> Control:
    value = str(form.raw.get(control.name, ""))
    entity = desk.config.entities.get(form.entity)
    relation = entity.children.get(value) if entity else None
    text = desk.words(relation.label, value) if relation else views.entity_words(desk, value)
    again = f"{LIST}/{form.entity}/fields/new?type={form.kind.key}" if form.is_new else ""
    return replace(control, kind="fixed", help="", more={"text": text, "url": again})


def _taken_names(desk: Desk, form: Form) -> set[str]:
    """Names of fields and lists on the other side of a link."""
    target = desk.config.entities.get(str(form.raw.get("to", "")))
    return {*blueprints.TAKEN, *(target.fields if target else ()), *(target.children if target else ())}


def _one_source_of_choices(form: Form, controls: list[Control]) -> list[Control]:
    """Where a type takes its choices from a shared list or has its own, one is chosen first."""
    names = {c.name for c in controls}
    if not {"set", "options"} <= names:
        return controls
    ways = (Choice("own", _("Choices of this field alone")), Choice("set", _("An option list that other fields may share")))
    source = Control("choices_from", "choice", _("People choose from"), choices=ways, default="own", required=True, more={"tiles": True})
    shown = {"options": {"choices_from": ["own"]}, "set": {"choices_from": ["set"]}}
    return [source, *(replace(c, show_if=shown[c.name]) if c.name in shown else c for c in controls)]


# ---- what all fields have


def _filling(desk: Desk, form: Form) -> list[Control]:
    modes = (Choice("never", _("No")), Choice("always", _("Yes, always")), Choice("if", _("Only if …")))
    controls = [
        Control("required_mode", "choice", _("Must it be filled in?"), choices=modes, default="never", required=True),
        Control("required_if", "condition", _("It must be filled in if"), entity=form.entity, show_if={"required_mode": ["if"]}),
    ]  # fmt: skip
    controls += _fill_controls(desk, form)
    controls += _default_controls(desk, form)
    if form.kind.storage in TYPED:
        controls.append(Control("unique", "bool", _("No two records may have the same value"), default=False))
    return controls


def _fill_controls(desk: Desk, form: Form) -> list[Control]:
    """What records get that exist already, when a field becomes required."""
    if form.entity not in desk.ask.ctx.config.entities:
        return []
    ways = [Choice("", _("Leave them empty: people fill it in when they next change the record"))]
    more: list[Control] = []
    if _takes_literal(desk, form):
        ways.append(Choice("value", _("Give them a value")))
        more.append(Control("fill_value", "value", _("Value for existing records"), field=form.defn, show_if={"required_mode": ["always"], "fill_mode": ["value"]}))
    ways.append(Choice("expr", _("Compute a value for each")))
    more.append(Control("fill_expr", "expression", _("Formula for existing records"), entity=form.entity, show_if={"required_mode": ["always"], "fill_mode": ["expr"]}))
    first = Control("fill_mode", "choice", _("Existing records without a value"), choices=tuple(ways[1:]), more={"empty": ways[0].text}, show_if={"required_mode": ["always"]})
    return [first, *more]


def _default_controls(desk: Desk, form: Form) -> list[Control]:
    ways = []
    more: list[Control] = []
    if _takes_literal(desk, form):
        ways.append(Choice("value", _("A fixed value")))
        more.append(Control("default_value", "value", _("Value of new records"), field=form.defn, show_if={"default_mode": ["value"]}))
    if form.kind.expr_type in NOW:
        ways.append(Choice("now", _(NOW[form.kind.expr_type][1])))
    ways.append(Choice("expr", _("A formula")))
    more.append(Control("default_expr", "expression", _("Formula for new records"), entity=form.entity, result=_expr_type(form.kind), show_if={"default_mode": ["expr"]}))
    return [Control("default_mode", "choice", _("A new record starts with"), choices=tuple(ways), more={"empty": _("Nothing")}), *more]


def _expr_type(kind: FieldType) -> str:
    return kind.expr_type if kind.expr_type in ("text", "number", "bool", "date", "datetime", "user") else ""


def _takes_literal(desk: Desk, form: Form) -> bool:
    """Whether a fixed value can be chosen now: not of records and people, nor before its choices are known."""
    if form.kind.expr_type in NAMED_BY_RECORDS or getattr(form.kind, "holds", ""):
        return False
    options = form.defn.options
    if {"set", "options"} <= set(form.kind.options_schema.get("properties", {})):
        return bool(options.get("options")) or options.get("set") in desk.config.option_sets
    return True


def _showing(form: Form) -> list[Control]:
    shown = (Choice("always", _("Always")), Choice("if", _("Only if …")))
    controls = [
        Control("shown_mode", "choice", _("Shown on forms"), choices=shown, default="always", required=True),
        Control("visible_if", "condition", _("It is shown if"), entity=form.entity, show_if={"shown_mode": ["if"]}),
    ]  # fmt: skip
    if form.is_input:
        changes = (Choice("free", _("Always")), Choice("if", _("Not if …")), Choice("never", _("Never: only rules and formulas fill it")))
        controls += [
            Control("edit_mode", "choice", _("May be changed"), choices=changes, default="free", required=True),
            Control("read_only_if", "condition", _("It may not be changed if"), entity=form.entity, show_if={"edit_mode": ["if"]}),
            Control("set_once", "bool", _("Filled in only once: it stays as the record was first saved with it"), default=False),
        ]  # fmt: skip
    return [*controls, Control("hidden", "bool", _("Only on layouts that name it"), default=False)]


def _more(form: Form) -> list[Control]:
    found = []
    if "indexed" in common_properties("field") and form.kind.sortable and form.kind.storage in TYPED:
        found.append(Control("indexed", "bool", _("Fast to sort and filter"), _("Worth it from about 20,000 records on. Prepared in the background while people work."), default=False))
    found.append(Control("sensitive", "bool", _("Sensitive"), _("Masked in exports for roles that see it masked."), default=False))
    if form.is_input:
        found.append(Control("message", "label", _("Message for a wrong value"), _("Shown instead of the standard words.")))
    if form.is_new:
        found.append(Control("key", "text", _("Key"), _("Used in formulas and the API; made from the name when left empty. It stays when the name changes."), more={"maxlength": 48, "placeholder": _("made from the name")}))
    return found


def _places(desk: Desk, entity: str) -> tuple[Choice, ...]:
    """Layouts and views a new field can be put on at once."""
    layouts = [
        Choice(f"layout:{x['key']}", _("Form and page: %(name)s", name=views.layout_words(desk, x))) for x in desk.raw.get("layouts", ()) if x.get("entity") == entity and x.get("tabs")
    ]  # fmt: skip
    lists = [
        Choice(f"view:{v['key']}", _("List: %(name)s", name=desk.words(v.get("label"), v["key"]))) for v in desk.raw.get("views", ()) if v.get("entity") == entity and v.get("kind", "list") == "list"
    ]  # fmt: skip
    return (*layouts, *lists)


# ---- values of the form


def form_values(desk: Desk, form: Form) -> dict[str, Any]:
    """What the controls show of a definition."""
    raw, default = form.raw, form.raw.get("default")
    values: dict[str, Any] = {
        **raw, "required_mode": "always" if raw.get("required") else "if" if raw.get("required_if") else "never",
        "shown_mode": "if" if raw.get("visible_if") else "always", "edit_mode": "never" if raw.get("read_only") else "if" if raw.get("read_only_if") else "free",
        "choices_from": "set" if raw.get("set") else "own",
    }  # fmt: skip
    if isinstance(default, Mapping) and set(default) == {"expr"}:
        is_now = default["expr"] == NOW.get(form.kind.expr_type, ("",))[0]
        values.update(default_mode="now" if is_now else "expr", default_expr="" if is_now else default["expr"])
    elif default is not None:
        values.update(default_mode="value", default_value=default)
    for step in desk.draft.data:
        if is_fill(step, form.entity, str(raw.get("key"))):
            values.update({"fill_mode": "expr", "fill_expr": step["expr"]} if "expr" in step else {"fill_mode": "value", "fill_value": step.get("value")})
    return values


def definition_of(form: Form, values: Mapping[str, Any]) -> dict[str, Any]:
    """The definition the controls say."""
    plain = [c for c in form.controls if c.name not in MADE_UP]
    made = laid(form.raw, plain, {k: v for k, v in values.items() if k not in MADE_UP})
    shown = {c.name for c in form.controls}
    if "required_mode" in shown:
        _set(made, values.get("required_mode"), {"always": ("required", True), "if": ("required_if", values.get("required_if"))})
        made.pop("default", None)
        if (default := _default_of(form, values)) is not None:
            made["default"] = default
    if "edit_mode" in shown:
        _set(made, values.get("edit_mode"), {"never": ("read_only", True), "if": ("read_only_if", values.get("read_only_if"))})
    _set(made, values.get("shown_mode"), {"if": ("visible_if", values.get("visible_if"))})
    if "choices_from" in shown:
        made.pop("options" if values.get("choices_from") == "set" else "set", None)
    return {k: v for k, v in made.items() if v not in (None, "", [], {}) or k == "label"}


def _set(made: dict[str, Any], mode: Any, ways: Mapping[str, tuple[str, Any]]) -> None:
    """One of several properties that exclude each other."""
    for name, _value in ways.values():
        made.pop(name, None)
    if mode in ways and ways[mode][1]:
        made[ways[mode][0]] = ways[mode][1]


def _default_of(form: Form, values: Mapping[str, Any]) -> Any:
    match values.get("default_mode"):
        case "value":
            return values.get("default_value")
        case "now" if form.kind.expr_type in NOW:
            return {"expr": NOW[form.kind.expr_type][0]}
        case "expr" if values.get("default_expr"):
            return {"expr": values["default_expr"]}
    return None


def fill_steps(form: Form, key: str, made: Mapping[str, Any], values: Mapping[str, Any]) -> list[dict[str, Any]]:
    if not made.get("required"):
        return []
    if values.get("fill_mode") == "value" and values.get("fill_value") is not None:
        return [{"do": "fill", "entity": form.entity, "field": key, "value": values["fill_value"]}]
    if values.get("fill_mode") == "expr" and values.get("fill_expr"):
        return [{"do": "fill", "entity": form.entity, "field": key, "expr": values["fill_expr"]}]
    return []


def is_fill(step: Mapping[str, Any], entity: str, name: str) -> bool:
    return (step.get("do"), step.get("entity"), step.get("field")) == ("fill", entity, name)
