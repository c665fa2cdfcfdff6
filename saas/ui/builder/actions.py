"""The list of actions that transitions, automations and schedules share: cards drawn from each action type's own schema, and the
controls that only actions need (people, record, text with fields in it)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from litestar.datastructures import FormMultiDict

from saas.i18n import LOCALES, lazy, listed, ngettext, titled
from saas.i18n import gettext as _
from saas.metadata import edits
from saas.metadata.config import Entity
from saas.metadata.kinds import NESTS, ActionType, action_types, field_types
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
_ABOUT = ("values", "any_fields", "transition", "target_relation", "message_template")  # hints that mean the record the action works on
_REDRAW = ("entity", "target", "relation", "target_relation")  # hints whose choice changes other controls
_OF_CHILDREN = ("where", "map")  # properties about the records of the list that a step goes through
_KEY = re.compile(r"[a-z][a-z0-9_]{0,47}")


def actions_control(
    name: str, title: str, entity: str, *, help: str = "", required: bool = False, before_save: bool = False, may_wait: bool = False, outer: Mapping[str, str] | None = None
) -> Control:
    """A list of steps on records of `entity`. `may_wait`: steps can wait and be tried again; `outer`: {name: entity} of records made by
    steps further out."""
    more = {"before_save": before_save, "may_wait": may_wait, "outer": dict(outer or {}), "add": _("Add a step"), "empty_text": _("Nothing happens yet.")}
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
        verb, argument = gesture(form, control.name)
        if verb == "put":  # at a place, from the drawing
            place, _bar, kind = argument.partition("|")
            at = min(int(place), len(rows)) if place.isdigit() else len(rows)
            rows = [*rows[:at], *([{"action": kind}] if kind in action_types else []), *rows[at:]]
        if verb == "add":
            rows = [*rows, {"action": str(form.get(f"{control.name}.new") or "")}]
        return [row for row in rows if row.get("action")] if is_gesture(form) else [_clean(row) for row in rows if row.get("action")]

    def entry(self, desk: Desk, control: Control, form: FormMultiDict, prefix: str, before: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        named = {name: str(form.get(f"{prefix}{name}") or "") for name in ("action", "entity", "target", "of", "into")}
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
        kinds = [Choice(k.key, str(k.label)) for k in step_types(before_save=control.more["before_save"], may_wait=bool(control.more.get("may_wait")))]
        return {**more, "kinds": kinds}

    async def card(self, desk: Desk, control: Control, number: int, rows: Sequence[Mapping[str, Any]]) -> StackCard:
        row, errors = rows[number], errors_at(control, number)
        kind = action_types.find(str(row.get("action")))
        columns = self.columns(desk, control, rows, number)
        drawn = await draw_nested(desk, columns, f"{control.name}.{number}.", row, errors)
        entity = desk.config.entities.get(control.entity)
        detail = action_detail(desk, entity, row, results_of(desk, control.entity, rows[:number], control.more.get("outer")))
        is_open = bool(errors) or len(rows) < FOLDED_FROM or number == len(rows) - 1
        title = str(kind.label) if kind else str(row.get("action"))
        hidden = ((f"{control.name}.{number}.action", str(row.get("action"))),)
        return StackCard(number, title, detail, kind.icon if kind else "alert", drawn, left_over(errors, columns), is_open, hidden)


def step_types(*, before_save: bool, may_wait: bool) -> list[ActionType]:
    """What a list of steps can hold."""
    return [k for k in _types() if (k.before_save or not before_save) and (may_wait or not k.waits)]


def _types() -> list[ActionType]:
    order = ("notify", "set", "create", "transition", "branch", "each", "wait", "http", "tag", "score", "warn", "block", "delete")
    return sorted((k for k in action_types if not k.internal), key=lambda k: (order.index(k.key) if k.key in order else len(order), k.key))


def _clean(row: Mapping[str, Any]) -> dict[str, Any]:
    """Without what says nothing; maps as plain JSON."""
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in row.items() if value not in ({}, [], "", None)}


def columns_of(desk: Desk, control: Control, row: Mapping[str, Any], before: Sequence[Mapping[str, Any]]) -> list[Control]:
    """The controls of one action: its type's own, then condition and name."""
    kind = action_types.find(str(row.get("action") or ""))
    results = results_of(desk, control.entity, before, control.more.get("outer"))
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
            column = _fitted(desk, control, column, prop, kind, row, about)
            more = {**column.more, **common, "about": about, "rows": prop.get("x-rows", 1), "redraw": hint in _REDRAW, "addresses": bool(prop.get("x-addresses"))}
            if column.required and column.kind == "choice" and not row.get(column.name):
                more["empty"] = _("Choose …")
            found.append(replace(column, more={**more, **column.more.get("own", {})}))
    if kind is not None and "then" in kind.nests:
        found.insert(0, Control("if", "condition", _("If"), "", True, entity=control.entity, result="bool", more=common))
    else:
        found.append(Control("if", "condition", _("Only if"), _("Without a condition this always happens."), entity=control.entity, result="bool", advanced=not row.get("if"), more=common))
    if kind is not None and kind.nests:
        inner = inner_entity(desk, control.entity, row)
        waits = bool(control.more.get("may_wait")) and "do" not in kind.nests
        found += [actions_control(name, str(INSIDE[name]), inner, before_save=control.more["before_save"], may_wait=waits, outer=results) for name in kind.nests]
    if kind is not None and kind.can_retry and (control.more.get("may_wait") or row.get("retry")):
        found.append(Control("retry", "retry", _("When it fails, try again"), _("What was done before stays, and the step is done again later, waiting three times as long each time."), advanced=not row.get("retry")))
    if kind is None or kind.makes_record or row.get("as"):
        found.append(Control("as", "text", _("Name for later steps"), _("Later steps can use the new record under this name."), advanced=not row.get("as"), more={"maxlength": 48}))
    return found


INSIDE = {"then": lazy("Then"), "else": lazy("Otherwise"), "do": lazy("For each of them")}


def _fitted(desk: Desk, control: Control, column: Control, prop: Mapping[str, Any], kind: ActionType, row: Mapping[str, Any], about: str) -> Control:
    """A control whose choices depend on what else the step says."""
    hint = prop.get("x-control")
    if column.name in _OF_CHILDREN and kind.relation(row) is not None:
        column = replace(column, entity=inner_entity(desk, control.entity, row))
    if hint == "target_field":
        entity = desk.config.entities.get(about)
        fields = [f for f in entity.declared.values() if f.type in prop["x-types"]] if entity else []
        return replace(column, choices=tuple(Choice(f.key, desk.words(f.label, f.key)) for f in fields))
    if hint == "copied_values":
        found = desk.config.relation(about, str(row.get("into") or row.get("of") or "")) if about in desk.config.entities else None
        return replace(column, more={**column.more, "own": {"about": found.child if found is not None else ""}})
    return column


def inner_entity(desk: Desk, here: str, row: Mapping[str, Any]) -> str:
    """What the steps inside a step are about; "" if that cannot be said."""
    kind = action_types.find(str(row.get("action") or ""))
    name = kind.relation(row) if kind is not None else None
    if name is None:
        return here
    found = desk.config.relation(here, name) if here in desk.config.entities else None
    return found.child if found is not None else ""


def results_of(desk: Desk, here: str, actions: Sequence[Mapping[str, Any]], outer: Mapping[str, str] | None = None) -> dict[str, str]:
    """{name: entity} of the records that actions made."""
    found: dict[str, str] = dict(outer or {})
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
        inside = {name: settled(was.get(name), action[name]) for name in NESTS if isinstance(action.get(name), list)}
        found.append({**action, **{n: in_order(was.get(n), action[n]) for n in ticked}, **inside})
    return found


# ---- in words -----------------------------------------------------------------------------------------------------------


NO_RESULTS: Mapping[str, str] = {}
NAMED = {"template": "templates", "approval": "approvals", "call": "calls", "document": "documents"}  # options of actions that name a definition


def steps_words(desk: Desk, entity: Entity | None, actions: Any) -> list[str]:
    """A line for each: the action's name and what it is about."""
    found, lines = [a for a in actions or () if isinstance(a, Mapping)], []
    for number, action in enumerate(found):
        kind = action_types.find(str(action.get("action")))
        results = results_of(desk, entity.key if entity else "", found[:number])
        name, detail = str(kind.label) if kind else str(action.get("action")), action_detail(desk, entity, action, results)
        lines.append(titled(name, detail) if detail else name)
    return lines


def action_detail(desk: Desk, entity: Entity | None, action: Mapping[str, Any], results: Mapping[str, str] = NO_RESULTS) -> str:
    """What an action is about: the kind of record it makes, the transition, the fields, the message it sends, or its text. `results`: as in
    `results_of`, for what works on a record of an earlier step."""
    here = entity.key if entity else ""
    kind = action_types.find(str(action.get("action")))
    if kind is not None and "then" in kind.nests:
        return in_words(desk.ctx, entity, str(action.get("if") or ""))
    if kind is not None and kind.waits:
        return wait_words(desk, entity, action)
    if kind is not None and kind.relation(action):
        children = desk.config.relation(here, str(kind.relation(action))) if here in desk.config.entities else None
        return desk.words(children.label, children.key) if children else str(kind.relation(action))
    if isinstance(action.get("url"), str):
        return action["url"]
    for name, section in NAMED.items():
        if isinstance(action.get(name), str):
            return next((desk.words(d.label, d.key) for d in getattr(desk.config.bundle, section) if d.key == action[name]), action[name])
    if isinstance(action.get("field"), str):
        found = desk.config.entities.get(entity_of(desk, here, action, results))
        field = found.fields.get(action["field"]) if found else None
        return desk.words(field.label, field.key) if field else action["field"]
    about = desk.config.entities.get(entity_of(desk, here, action, results))
    if isinstance(action.get("entity"), str):
        return desk.words(about.defn.label, about.key) if about else ""
    if action.get("transition"):
        found = about.pipeline.transition(action["transition"]) if about and about.pipeline else None
        return desk.words(found.label, found.key) if found else str(action["transition"])
    if isinstance(action.get("values"), Mapping):
        fields = about.fields if about else {}
        return listed(desk.words(fields[k].label, k) if k in fields else k for k in action["values"])
    return in_braces(desk, entity, desk.words(action.get("title") or action.get("message")))


def wait_words(desk: Desk, entity: Entity | None, action: Mapping[str, Any]) -> str:
    """How long, until when or until what a step waits."""
    much = [
        ngettext(one, many, int(action[name]))
        for name, one, many in (("days", "%(count)s day", "%(count)s days"), ("hours", "%(count)s hour", "%(count)s hours"), ("minutes", "%(count)s minute", "%(count)s minutes"))
        if isinstance(action.get(name), int) and action[name]
    ]
    long = " ".join(much)
    if action.get("condition"):
        return _("until %(condition)s, at most %(time)s", condition=in_words(desk.ctx, entity, str(action["condition"])), time=long or "0")
    if action.get("until"):
        until = in_words(desk.ctx, entity, str(action["until"]))
        return _("until %(moment)s, and then %(time)s", moment=until, time=long) if long else _("until %(moment)s", moment=until)
    return long


def in_braces(desk: Desk, entity: Entity | None, text: str) -> str:
    """A text with places to fill, as people read it: “Quote {Number}” for “Quote {{ number }}”."""
    return PLACE.sub(lambda found: f"{{{in_words(desk.ctx, entity, found[1].strip())}}}", text)


# ---- retries, words, names with values --------------------------------------------------------------------------------------


@control_kinds.register
class RetryControl(ControlKind):
    """How often and when a step is tried again: {"times", "minutes"}."""

    key = "retry"
    grouped = True

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        times, minutes = (str(form.get(f"{control.name}.{name}") or "").strip() for name in ("times", "minutes"))
        if not times:
            return None
        found = {"times": int(times) if times.isdigit() else times, "minutes": int(minutes) if minutes.isdigit() else minutes or 1}
        return {"times": found["times"]} if found["minutes"] == 1 else found


@control_kinds.register
class WordsControl(ControlKind):
    """A list of words, separated by commas."""

    key = "words"

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        return list(dict.fromkeys(word for part in re.split(r"[,，;；\n]", str(form.get(control.name) or "")) if (word := part.strip())))


@control_kinds.register
class NamedTexts(ControlKind):
    """{name: text} as rows."""

    key = "named_texts"
    grouped = True
    nested = True
    wide = True
    mono = False

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        verb, gone = gesture(form, control.name)
        found: dict[str, str] = {}
        for number in row_numbers(form, control.name):
            name, text = (str(form.get(f"{control.name}.{number}.{part}") or "").strip() for part in ("name", "text"))
            if name and not (verb == "remove" and number == gone):
                found[name] = text
        return found

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        errors = control.more.get("errors", {})
        rows = [{"name": name, "text": text, "error": errors.get(f".{name}", "")} for name, text in (value or {}).items()]
        return {"rows": [*rows, {"name": "", "text": "", "error": ""}], "mono": self.mono, "problems": [text for path, text in errors.items() if path.lstrip(".") not in (value or {})]}


@control_kinds.register
class NamedExpressions(NamedTexts):
    """{name: expression} as rows."""

    key = "named_expressions"
    mono = True


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
    if control.more["addresses"]:
        found += _addresses(desk, here)
    for field in here.fields.values() if here else ():
        if field.type == "ref":
            target = desk.config.entities.get(str(field.options.get("to")))
            found += _persons(desk, target, f"{field.key}.", f"{desk.words(field.label, field.key)} → ")
    for name, key in control.more.get("results", {}).items():
        made = desk.config.entities.get(key)
        if made is not None:
            found += _persons(desk, made, f"result.{name}.", f"{made_label(desk, name, made)} → ")
    return [*found, Choice("me()", _("the person doing it"))]


def _addresses(desk: Desk, here: Entity | None) -> Iterator[Choice]:
    """Fields that hold an e-mail address or a number: of the record, and of those it links to."""
    for field in here.fields.values() if here else ():
        if field.type in ("email", "phone"):
            yield Choice(field.key, desk.words(field.label, field.key))
        target = desk.config.entities.get(str(field.options.get("to"))) if field.type == "ref" else None
        for far in target.fields.values() if target else ():
            if far.type in ("email", "phone"):
                yield Choice(f"{field.key}.{far.key}", f"{desk.words(field.label, field.key)} → {desk.words(far.label, far.key)}")


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


__all__ = ["action_detail", "actions_control", "columns_of", "entity_of", "person_paths", "results_of", "settled", "steps_words"]
