"""Which fields get which values: {field: expression} as rows. What people choose or type is stored as the expression it means, and an
expression that is simple enough is shown as a choice again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from litestar.datastructures import FormMultiDict

from saas.i18n import gettext as _
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.expressions.calendar import parse_date, parse_datetime
from saas.metadata.expressions.errors import ExpressionError
from saas.metadata.expressions.nodes import number as number_node
from saas.metadata.expressions.nodes import text as text_node
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.ui.builder import conditions
from saas.ui.builder.controls import Control, ControlKind, control_kinds, insertable
from saas.ui.builder.desk import Desk
from saas.ui.builder.rows import inner
from saas.ui.builder.stacks import gesture, row_numbers
from saas.ui.views import Choice

VALUE, FIELD, FORMULA, EMPTY = "value", "field", "formula", "empty"
CALLS = {"me": "me()", "my_dept": "my_dept()", "today": "today()", "now": "now()"}
_LITERAL = ("text", "number", "bool", "date", "datetime", "option", "list")
_SPECIAL = {"user": ("me",), "dept": ("my_dept",), "date": ("today",), "datetime": ("now",)}


@dataclass(frozen=True, slots=True)
class Assignment:
    """One row: how the field gets its value, and what belongs to that: JSON of a value, a path, or a formula."""

    field: str
    how: str = ""
    value: Any = None
    text: str = ""
    was: str = ""


class Posted(dict[str, str]):
    """The map of expressions as a form meant it, with its rows as they were."""

    rows: tuple[Assignment, ...] = ()


@control_kinds.register
class AssignmentsControl(ControlKind):
    """`entity`: whose fields the expressions see. `more`: about (the entity whose fields get the values), results, names."""

    key = "values"
    grouped = True
    nested = True
    wide = True

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        about = _about(desk, control)
        numbers = row_numbers(form, control.name)
        rows = [_row(desk, about, form, f"{control.name}.{number}.") for number in numbers]
        verb, gone = gesture(form, control.name)
        if verb == "remove":
            rows = [row for number, row in zip(numbers, rows, strict=True) if number != gone]
        found = Posted({row.field: expression_of(desk, about, row) for row in rows if row.field})
        found.rows = tuple(row for row in rows if row.field)
        return found

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        about, here = _about(desk, control), desk.config.entities.get(control.entity)
        if isinstance(value, Posted):
            rows = list(value.rows)
        else:
            rows = [assignment_of(desk, about, here, control, key, text) for key, text in (value or {}).items() if isinstance(text, str)]
        shown = [await self._shown(desk, control, about, here, row, number) for number, row in enumerate(rows)]
        spare = {"number": len(rows), "fields": _fields(desk, about, {r.field for r in rows}), "field": ""}
        return {"rows": shown, "spare": spare if about else None}

    async def _shown(self, desk: Desk, control: Control, about: Entity | None, here: Entity | None, row: Assignment, number: int) -> dict[str, Any]:
        field = about.fields.get(row.field) if about else None
        ways = ways_of(desk, field) if field else [Choice(FORMULA, _("a formula"))]
        how = row.how if row.how in {w.key for w in ways} else ways[0].key
        name = f"{control.name}.{number}"
        errors = control.more.get("errors", {})
        shown: dict[str, Any] = {
            "number": number, "name": name, "field": row.field, "fields": _fields(desk, about, set(), row.field), "ways": ways, "how": how, "was": row.was, "text": row.text,
            "value": "", "paths": (), "error": errors.get(f".{row.field}") or errors.get(f"[{row.field}]") or "",
        }  # fmt: skip
        if how == VALUE and field:
            shown["value"] = await inner(desk, Control(f"{name}.value", "value", desk.words(field.label, field.key), field=field), row.value)
        elif how == FIELD and field and about:
            shown["paths"] = paths_for(desk, control, here, about, field, row.text)
        elif how == FORMULA:
            formula = Control(f"{name}.text", "expression", _("Formula"), entity=control.entity, result=_result(desk, field), more=control.more)
            shown["value"] = await inner(desk, formula, row.text)
        return shown


def _about(desk: Desk, control: Control) -> Entity | None:
    return desk.config.entities.get(control.more.get("about", control.entity))


def _result(desk: Desk, field: FieldDef | None) -> str:
    """The type a formula must give, as the live check wants it; "" for any."""
    found = _type(desk, field) if field else "any"
    return "" if found in ("any", "option", "list") else found


def _type(desk: Desk, field: FieldDef) -> str:
    return field_types.get(field.type).expr_type_of(field, desk.config)


def _fields(desk: Desk, about: Entity | None, taken: set[str], chosen: str = "") -> list[Choice]:
    """Fields that can be given a value; one that is there already stays, whatever it is."""
    found = [f for f in (about.fields.values() if about else ()) if f.key not in taken and (can_be_set(f) or f.key == chosen)]
    choices = [Choice(f.key, desk.words(f.label, f.key), f.key == chosen) for f in found]
    return choices if not chosen or any(c.on for c in choices) else [*choices, Choice(chosen, chosen, True)]


def can_be_set(field: FieldDef) -> bool:
    kind = field_types.get(field.type)
    return not kind.computed and field.type not in ("auto", "pipeline", "file", "image") and (not field.system or field.key == "owner")


def ways_of(desk: Desk, field: FieldDef) -> list[Choice]:
    """How a field can be given a value."""
    type_ = _type(desk, field)
    special = {"me": _("the person doing it"), "my_dept": _("their department"), "today": _("the day it happens"), "now": _("the moment it happens")}
    found = [Choice(VALUE, _("this value"))] if type_ in _LITERAL else []
    found += [Choice(key, special[key]) for key in _SPECIAL.get(type_, ())]
    return [*found, Choice(FIELD, _("the same as")), Choice(EMPTY, _("nothing: it is emptied")), Choice(FORMULA, _("a formula"))]


# ---- rows and expressions -----------------------------------------------------------------------------------------------


def _row(desk: Desk, about: Entity | None, form: FormMultiDict, prefix: str) -> Assignment:
    key = str(form.get(f"{prefix}field") or "")
    field = about.fields.get(key) if about else None
    value = None
    texts = [v for v in form.getall(f"{prefix}value", []) if isinstance(v, str)]
    if field is not None and texts:
        kind = field_types.get(field.type)
        value = kind.from_form(field, texts, desk.config)
        value = None if value is None else kind.normalise(field, value, desk.config)
    text = str(form.get(f"{prefix}text") or form.get(f"{prefix}path") or "").strip()
    return Assignment(key, str(form.get(f"{prefix}how") or ""), value, text, str(form.get(f"{prefix}was") or ""))


def expression_of(desk: Desk, about: Entity | None, row: Assignment) -> str:
    """What a row means; "" where it does not say."""
    field = about.fields.get(row.field) if about else None
    if row.how in CALLS:
        return CALLS[row.how]
    if row.how == EMPTY:
        return "null"
    if row.how == VALUE and field is not None:
        return conditions.kept("" if row.value in (None, "", []) else literal(desk, field, row.value), row.was) or ""
    return conditions.kept(row.text, row.was) or ""


def assignment_of(desk: Desk, about: Entity | None, here: Entity | None, control: Control, key: str, text: str) -> Assignment:
    """The row an expression is shown as."""
    formula = Assignment(key, FORMULA, None, text, text)
    field = about.fields.get(key) if about else None
    if field is None or about is None:
        return formula
    try:
        node = ex.parse(text)
    except ExpressionError:
        return formula
    if isinstance(node, ex.Literal) and node.kind == "null":
        return Assignment(key, EMPTY, was=text)
    how = next((name for name, call in CALLS.items() if call == ex.dump(node)), "")
    if how in _SPECIAL.get(_type(desk, field), ()):
        return Assignment(key, how, was=text)
    if isinstance(node, ex.Path) and fits(desk, control, here, field, ".".join(node.parts)):
        return Assignment(key, FIELD, None, ex.dump(node), text)
    if _type(desk, field) in _LITERAL:
        found, value = constant(node)
        if found and (json := _json(desk, field, value)) is not None and literal(desk, field, json) == ex.dump(node):
            return Assignment(key, VALUE, json, was=text)
    return formula


def literal(desk: Desk, field: FieldDef, value: Any) -> str:
    """The expression that gives a JSON value of a field."""
    try:
        return ex.dump(_node(field_types.get(field.type).to_expr(field, value, desk.config)))
    except (ValueError, TypeError, ArithmeticError, KeyError):  # not understood: the check says why
        return ex.dump(text_node(str(value)))


def _node(value: Any) -> ex.Node:
    match value:
        case None:
            return ex.Literal(None, "null")
        case bool():
            return ex.Literal(value, "bool")
        case int() | Decimal():
            return number_node(value)
        case float():
            return number_node(Decimal(str(value)))
        case datetime():
            return ex.Call("datetime", (text_node(value.isoformat()),))
        case date():
            return ex.Call("date", (text_node(value.isoformat()),))
        case list() | tuple():
            return ex.List(tuple(_node(v) for v in value))
    return text_node(str(value))


def constant(node: ex.Node) -> tuple[bool, Any]:
    """(whether the node is a constant, its Python value)."""
    match node:
        case ex.Literal(value=value):
            return True, value
        case ex.Unary(op="-", operand=ex.Literal(kind="number", value=Decimal() as value)):
            return True, -value
        case ex.Call(name="date", args=(ex.Literal(kind="text", value=text),)) if (day := parse_date(str(text))):
            return True, day
        case ex.Call(name="datetime", args=(ex.Literal(kind="text", value=text),)) if (moment := parse_datetime(str(text))):
            return True, moment
        case ex.List(items=items):
            found = [constant(item) for item in items]
            return all(f for f, _v in found), [v for _f, v in found]
    return False, None


def _json(desk: Desk, field: FieldDef, value: Any) -> Any:
    try:
        return field_types.get(field.type).from_expr(field, value, desk.config)
    except (ValueError, TypeError, ArithmeticError, KeyError, AttributeError):
        return None


# ---- values taken from another field -----------------------------------------------------------------------------------


def paths_for(desk: Desk, control: Control, here: Entity | None, about: Entity, field: FieldDef, chosen: str) -> list[Choice]:
    """Fields, one step over references included, whose value suits `field`."""
    offered = _offered(desk, control, here)
    found = [Choice(path, text, path == chosen) for path, text in offered if fits(desk, control, here, field, path) and not (about is here and path == field.key)]
    return found if not chosen or any(c.on for c in found) else [*found, Choice(chosen, chosen, True)]


def _offered(desk: Desk, control: Control, here: Entity | None) -> Iterator[tuple[str, str]]:
    if here is None:
        return
    yield "id", _("this record")
    for choice in insertable(desk, here.key):
        if "(" not in choice.key:
            yield choice.key, choice.text
    for name, key in control.more.get("results", {}).items():
        made = desk.config.entities.get(key)
        if made is not None:
            label = made_label(desk, name, made)
            yield f"result.{name}", label
            yield from ((f"result.{name}.{f.key}", f"{label} → {desk.words(f.label, f.key)}") for f in made.fields.values())


def made_label(desk: Desk, name: str, made: Entity) -> str:
    """What a record that an earlier action makes is called."""
    return _("the new %(kind)s “%(name)s”", kind=desk.words(made.defn.label, made.key), name=name)


def fits(desk: Desk, control: Control, here: Entity | None, field: FieldDef, path: str) -> bool:
    """Whether the value at a path can be put into the field."""
    wanted = _type(desk, field)
    names: Mapping[str, Any] = {f"result.{name}": ("ref", entity) for name, entity in control.more.get("results", {}).items()}
    if here is None or wanted == "any":
        return False
    try:
        kind = ex.kind_of(ex.parse(path), desk.config, here.key, expect=wanted, names=names)  # type: ignore[arg-type]
    except ExpressionError:
        return False
    if kind.type == "any":
        return False
    if wanted == "option":
        return bool(kind.options) and {o.key for o in desk.config.field_options(field)} >= set(kind.options)
    return wanted != "ref" or kind.entity == field.options.get("to")
