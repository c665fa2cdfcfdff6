"""The list of actions that transitions, automations and schedules share: cards drawn from each action type's own schema, and the
controls that only actions need (people, record, text with fields in it)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from litestar.datastructures import FormMultiDict

from saas.i18n import LOCALES, listed, titled
from saas.i18n import gettext as _
from saas.metadata import edits
from saas.metadata.config import Entity
from saas.metadata.kinds import ActionType, action_types, field_types
from saas.ui.builder.assignments import made_label
from saas.ui.builder.conditions import in_words
from saas.ui.builder.controls import Control, ControlKind, control_kinds, controls_of, in_order, insertable, left_over
from saas.ui.builder.desk import Desk
from saas.ui.builder.stacks import (
    StackCard,
    StackControl,
    draw_nested,
    errors_at,
    gesture,
    is_gesture,
    moved,
    read_nested,
    row_numbers,
)
from saas.ui.views import Choice

OWN_FORMULA = "="
PLACE = re.compile(r"\{\{([^{}]*)\}\}")
FOLDED_FROM = 4  # cards of longer lists begin folded
STEPS = 2  # how far a target is offered over references
_ABOUT = ("values", "any_fields", "transition")  # hints that mean the record the action works on
_REDRAW = ("entity", "target")  # hints whose choice changes other controls
_KEY = re.compile(r"[a-z][a-z0-9_]{0,47}")


def actions_control(name: str, title: str, entity: str, *, help: str = "", required: bool = False, before_save: bool = False) -> Control:
    """A list of actions on records of `entity`."""
    more = {"before_save": before_save, "add": _("Add a step"), "empty_text": _("Nothing happens yet.")}
    return Control(name, "actions", title, help, required, entity=entity, more=more)


@control_kinds.register
class ActionsControl(StackControl):
    """`more`: before_save (only what is possible then)."""

    key = "actions"
    wide = True

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        numbers = row_numbers(form, control.name)
        rows: list[dict[str, Any]] = []
        for number in numbers:
            rows.append(self.entry(desk, control, form, f"{control.name}.{number}.", rows))
        rows = moved(form, control.name, numbers, rows)
        if gesture(form, control.name)[0] == "add":
            rows = [*rows, {"action": str(form.get(f"{control.name}.new") or "")}]
        return [row for row in rows if row.get("action")] if is_gesture(form) else [_clean(row) for row in rows if row.get("action")]

    def entry(self, desk: Desk, control: Control, form: FormMultiDict, prefix: str, before: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        named = {name: str(form.get(f"{prefix}{name}") or "") for name in ("action", "entity", "target")}
        columns = columns_of(desk, control, named, before)
        row = {"action": named["action"], **read_nested(desk, columns, prefix, form)}
        if alias := row.pop("as", None):
            taken = {r.get("as") for r in before}
            row["as"] = alias if _KEY.fullmatch(alias) else edits.key_for({"en": alias, "zh_CN": alias}, {str(t) for t in taken}, "record")
        return row

    def columns(self, desk: Desk, control: Control, rows: Sequence[Mapping[str, Any]], number: int) -> Sequence[Control]:
        return columns_of(desk, control, rows[number], rows[:number])

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        more = await super().view(desk, control, value)
        kinds = [Choice(k.key, str(k.label)) for k in _types() if k.before_save or not control.more["before_save"]]
        return {**more, "kinds": kinds}

    async def card(self, desk: Desk, control: Control, number: int, rows: Sequence[Mapping[str, Any]]) -> StackCard:
        row, errors = rows[number], errors_at(control, number)
        kind = action_types.find(str(row.get("action")))
        columns = self.columns(desk, control, rows, number)
        drawn = await draw_nested(desk, columns, f"{control.name}.{number}.", row, errors)
        entity = desk.config.entities.get(control.entity)
        detail = action_detail(desk, entity, row)
        is_open = bool(errors) or len(rows) < FOLDED_FROM or number == len(rows) - 1
        title = str(kind.label) if kind else str(row.get("action"))
        hidden = ((f"{control.name}.{number}.action", str(row.get("action"))),)
        return StackCard(number, title, detail, kind.icon if kind else "alert", drawn, left_over(errors, columns), is_open, hidden)


def _types() -> list[ActionType]:
    order = ("notify", "set", "create", "transition", "warn", "block", "delete")
    return sorted(action_types, key=lambda k: (order.index(k.key) if k.key in order else len(order), k.key))


def _clean(row: Mapping[str, Any]) -> dict[str, Any]:
    """Without what says nothing; maps as plain JSON."""
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in row.items() if value not in ({}, [], "", None)}


def columns_of(desk: Desk, control: Control, row: Mapping[str, Any], before: Sequence[Mapping[str, Any]]) -> list[Control]:
    """The controls of one action: its type's own, then condition and name."""
    kind = action_types.find(str(row.get("action") or ""))
    results = results_of(desk, control.entity, before)
    common = {"results": results, "names": ",".join(f"result.{name}:{entity}" for name, entity in results.items())}
    found: list[Control] = []
    if kind is not None:
        about = entity_of(desk, control.entity, row, results)
        properties = kind.options_schema.get("properties", {})
        far = {c.name: c for c in controls_of(desk, kind.options_schema, entity=about)}
        for column in controls_of(desk, kind.options_schema, entity=control.entity):
            hint, prop = properties[column.name].get("x-control"), properties[column.name]
            if control.more["before_save"] and hint == "target":
                continue
            column = replace(far[column.name], entity=control.entity) if hint in _ABOUT else column
            more = {**column.more, **common, "about": about, "rows": prop.get("x-rows", 1), "redraw": hint in _REDRAW}
            if column.required and column.kind == "choice" and not row.get(column.name):
                more["empty"] = _("Choose …")
            found.append(replace(column, more=more))
    found.append(Control("if", "condition", _("Only if"), _("Without a condition this always happens."), entity=control.entity, result="bool", advanced=not row.get("if"), more=common))
    if kind is None or kind.makes_record or row.get("as"):
        found.append(Control("as", "text", _("Name for later steps"), _("Later steps can use the new record under this name."), advanced=not row.get("as"), more={"maxlength": 48}))
    return found


def results_of(desk: Desk, here: str, actions: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """{name: entity} of the records that actions made."""
    found: dict[str, str] = {}
    for action in actions:
        if isinstance(action.get("as"), str) and (entity := entity_of(desk, here, action, found)):
            found[action["as"]] = entity
    return found


def entity_of(desk: Desk, here: str, action: Mapping[str, Any], results: Mapping[str, str]) -> str:
    """The entity an action works on; "" if that cannot be said."""
    kind = action_types.find(str(action.get("action") or ""))
    if kind is not None and "entity" in kind.options_schema.get("properties", {}):
        return str(action.get("entity") or "")
    entity, steps = here, [s for s in str(action.get("target") or "").split(".") if s]
    if steps[:1] == ["result"]:
        entity, steps = results.get(steps[1] if len(steps) > 1 else "", ""), steps[2:]
    for step in steps:
        found = desk.config.entities.get(entity)
        field = found.fields.get(step) if found else None
        entity = str(field.options.get("to") or "") if field else ""
    return entity


def settled(old: Any, new: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """New actions with ticked fields in the order they had in the old ones."""
    before = [a if isinstance(a, Mapping) else {} for a in old or ()]
    found = []
    for number, action in enumerate(new):
        kind, was = action_types.find(str(action.get("action"))), before[number] if number < len(before) else {}
        ticked = [n for n, p in (kind.options_schema.get("properties", {}) if kind else {}).items() if p.get("x-control") == "any_fields" and n in action]
        found.append({**action, **{n: in_order(was.get(n), action[n]) for n in ticked}})
    return found


# ---- in words -----------------------------------------------------------------------------------------------------------


def action_words(desk: Desk, entity: Entity | None, action: Mapping[str, Any]) -> str:
    """One line: the action's name and what it is about."""
    kind = action_types.find(str(action.get("action")))
    name, detail = str(kind.label) if kind else str(action.get("action")), action_detail(desk, entity, action)
    return titled(name, detail) if detail else name


def action_detail(desk: Desk, entity: Entity | None, action: Mapping[str, Any]) -> str:
    """What an action is about: the kind of record it makes, the transition, the fields, or its text."""
    here = entity.key if entity else ""
    about = desk.config.entities.get(entity_of(desk, here, action, {}))
    if isinstance(action.get("entity"), str):
        return desk.words(about.defn.label, about.key) if about else ""
    if action.get("transition"):
        found = about.pipeline.transition(action["transition"]) if about and about.pipeline else None
        return desk.words(found.label, found.key) if found else str(action["transition"])
    if isinstance(action.get("values"), Mapping):
        fields = about.fields if about else {}
        return listed(desk.words(fields[k].label, k) if k in fields else k for k in action["values"])
    return in_braces(desk, entity, desk.words(action.get("title") or action.get("message")))


def in_braces(desk: Desk, entity: Entity | None, text: str) -> str:
    """A text with places to fill, as people read it: “Quote {Number}” for “Quote {{ number }}”."""
    return PLACE.sub(lambda found: f"{{{in_words(desk.ctx, entity, found[1].strip())}}}", text)


# ---- people -------------------------------------------------------------------------------------------------------------


@control_kinds.register
class PeopleControl(ControlKind):
    """Who is told: people named in the record, roles, or a formula that gives people. `more`: results, names."""

    key = "people"
    grouped = True
    wide = True
    nested = True

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        verb, gone = gesture(form, control.name)
        found = []
        for number in row_numbers(form, control.name):
            who = str(form.get(f"{control.name}.{number}.who") or "")
            text = str(form.get(f"{control.name}.{number}.text") or "").strip()
            if not who or (verb == "remove" and number == gone):
                continue
            if who != OWN_FORMULA:
                found.append(who)
            elif text or is_gesture(form):
                found.append(text)
        return found if is_gesture(form) else list(dict.fromkeys(found))

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        people, roles = person_paths(desk, control), [Choice(f"role:{r.key}", desk.words(r.label, r.key)) for r in desk.config.bundle.roles]
        known = {c.key for c in (*people, *roles)}
        rows = []
        for number, who in enumerate(v for v in value or () if isinstance(v, str)):
            chosen = who if who in known or who.startswith("role:") else OWN_FORMULA
            rows.append({"number": number, "who": chosen, "text": who if chosen == OWN_FORMULA else "", "unknown": chosen != OWN_FORMULA and chosen not in known})
        problems = list(dict.fromkeys(text for path, text in control.more.get("errors", {}).items() if path))
        return {"rows": rows, "people": people, "roles": roles, "formula": OWN_FORMULA, "problems": problems}


def person_paths(desk: Desk, control: Control) -> list[Choice]:
    """Fields that name people: of the record, of those it links to, of records made before; and whoever does it."""
    here = desk.config.entities.get(control.entity)
    found = list(_persons(desk, here, "", ""))
    for field in here.fields.values() if here else ():
        if field.type == "ref":
            target = desk.config.entities.get(str(field.options.get("to")))
            found += _persons(desk, target, f"{field.key}.", f"{desk.words(field.label, field.key)} → ")
    for name, key in control.more.get("results", {}).items():
        made = desk.config.entities.get(key)
        if made is not None:
            found += _persons(desk, made, f"result.{name}.", f"{made_label(desk, name, made)} → ")
    return [*found, Choice("me()", _("the person doing it"))]


def _persons(desk: Desk, entity: Entity | None, path: str, text: str) -> Iterator[Choice]:
    for field in entity.fields.values() if entity else ():
        if field_types.get(field.type).holds == "user":
            yield Choice(f"{path}{field.key}", f"{text}{desk.words(field.label, field.key)}")


# ---- records and texts --------------------------------------------------------------------------------------------------


@control_kinds.register
class TargetControl(ControlKind):
    """The record an action works on, as a path of links. `more`: results."""

    key = "target"

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        choices = [Choice("", _("this record")), *targets(desk, control)]
        if value and value not in {c.key for c in choices}:
            choices.append(Choice(str(value), str(value)))
        return {"choices": choices}


def targets(desk: Desk, control: Control) -> list[Choice]:
    found: list[Choice] = []
    for name, key in control.more.get("results", {}).items():
        made = desk.config.entities.get(key)
        if made is not None:
            found.append(Choice(f"result.{name}", made_label(desk, name, made)))
    _links(desk, desk.config.entities.get(control.entity), "", "", STEPS, found)
    return found


def _links(desk: Desk, entity: Entity | None, path: str, text: str, steps: int, found: list[Choice]) -> None:
    """References breadth first, so that near ones come first."""
    refs = [f for f in entity.fields.values() if f.type == "ref"] if entity else []
    for field in refs:
        found.append(Choice(f"{path}{field.key}", f"{text}{desk.words(field.label, field.key)}"))
    for field in refs if steps > 1 else ():
        _links(desk, desk.config.entities.get(str(field.options.get("to"))), f"{path}{field.key}.", f"{text}{desk.words(field.label, field.key)} → ", steps - 1, found)


@control_kinds.register
class TemplateControl(ControlKind):
    """A text in each language with fields in it. `more`: rows (lines), results."""

    key = "template"
    grouped = True
    wide = True

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        found = {loc: text for loc in LOCALES if (text := str(form.get(f"{control.name}.{loc}") or "").strip())}
        return found or None

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        fields = [c for c in insertable(desk, control.entity) if "." not in c.key and "(" not in c.key]
        for name, key in control.more.get("results", {}).items():
            made = desk.config.entities.get(key)
            if made is not None:
                fields += [Choice(f"result.{name}.{f.key}", f"{made_label(desk, name, made)} → {desk.words(f.label, f.key)}") for f in made.fields.values()]
        return {"fields": [*fields, Choice("me", _("Name of the person doing it")), Choice("today", _("Today's date"))]}


__all__ = ["action_detail", "action_words", "actions_control", "columns_of", "entity_of", "person_paths", "results_of", "settled"]
