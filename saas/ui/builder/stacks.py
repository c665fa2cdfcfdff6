"""Cards one below the other, each with controls of its own: lists of actions, branches, rules of a right. Cards are added, removed
and moved by the server, so that they work without scripts; with scripts only the editor is exchanged.

A button in a form may carry a gesture, `_gesture=<name>|<verb>|<number>`: the form is shown again with the gesture done, and nothing
is saved. Pages ask `is_gesture(form)` after reading their controls.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from litestar.datastructures import FormMultiDict

from saas.i18n import gettext as _
from saas.ui.builder.controls import Control, ControlKind, Drawn, control_kinds, draw, left_over, read
from saas.ui.builder.desk import Desk, Errors

GESTURE = "_gesture"
MOST = 60  # cards that can be added on a page
READ = 2_000  # cards read from one form: a pack may bring more than are added by hand, and saving must not lose them


def is_gesture(form: FormMultiDict) -> bool:
    """Whether the form was sent by a button that only changes the form itself."""
    return bool(form.get(GESTURE))


def gesture(form: FormMultiDict, name: str) -> tuple[str, str]:
    """What to do to the editor of this name, and with which row; ("", "") for nothing."""
    target, _bar, rest = str(form.get(GESTURE) or "").partition("|")
    verb, _bar, argument = rest.partition("|")
    return (verb, argument) if target == name else ("", "")


def row_numbers(form: FormMultiDict, name: str) -> list[str]:
    """The numbers of posted rows, in the order in which they stand on the page."""
    pattern = re.compile(rf"{re.escape(name)}\.(\d{{1,4}})\.")
    return list(dict.fromkeys(m[1] for key in form if (m := pattern.match(key))))[:READ]


def moved(form: FormMultiDict, name: str, numbers: Sequence[str], rows: list[Any]) -> list[Any]:
    """The rows after a gesture that removes one or moves it up or down."""
    verb, number = gesture(form, name)
    if number not in numbers:
        return rows
    at = numbers.index(number)
    if verb == "remove":
        return rows[:at] + rows[at + 1 :]
    to = at + {"up": -1, "down": 1}.get(verb, 0)
    if to != at and 0 <= to < len(rows):
        rows = [*rows]
        rows[at], rows[to] = rows[to], rows[at]
    return rows


def fresh_key(desk: Desk, label: Any, section: str, fallback: str) -> str:
    """A key for a new definition whose page stands beside its section's "new"."""
    key = desk.key(label or {}, section, fallback)
    return f"{key}_{fallback}" if key == "new" else key


# ---- controls inside controls -------------------------------------------------------------------------------------------


def nested(controls: Iterable[Control], prefix: str) -> list[Control]:
    """The controls under names that begin with `prefix`."""
    return [replace(c, name=f"{prefix}{c.name}", show_if={f"{prefix}{k}": v for k, v in c.show_if.items()}) for c in controls]


def read_nested(desk: Desk, controls: Sequence[Control], prefix: str, form: FormMultiDict) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in read(desk, nested(controls, prefix), form).items()}


async def draw_nested(desk: Desk, controls: Sequence[Control], prefix: str, values: Mapping[str, Any], errors: Mapping[str, str]) -> list[Drawn]:
    return await draw(desk, nested(controls, prefix), {f"{prefix}{k}": v for k, v in values.items()}, {f"{prefix}{k}": v for k, v in errors.items()})


def errors_at(control: Control, number: int) -> dict[str, str]:
    """The messages about one entry of a list, by property path below it."""
    start = f"[{number}]"
    return {path[len(start) :].lstrip("."): text for path, text in control.more.get("errors", {}).items() if path.startswith(start)}


# ---- what must be said --------------------------------------------------------------------------------------------------


def missing(desk: Desk, controls: Iterable[Control], values: Mapping[str, Any]) -> Errors:
    """Messages for required controls without a value, also inside others; what another control hides is not missing."""
    found: Errors = {}
    for control in controls:
        value, kind = values.get(control.name, control.default), control_kinds.get(control.kind)
        if any(str(values.get(name) or "") not in wanted for name, wanted in control.show_if.items()):
            continue
        if control.required and value in (None, "", [], {}):
            found[control.name] = _missing_text(control)
        if isinstance(kind, StackControl):
            found |= kind.missing(desk, control, value or [])
    return found


def _missing_text(control: Control) -> str:
    if control.kind in ("label", "template"):
        return _("Write something in at least one language.")
    return {"choices": _("Tick at least one."), "actions": _("Say at least one thing that happens."), "people": _("Say who is told."), "values": _("Choose at least one field.")}.get(
        control.kind, _("Please fill this in.")
    )


# ---- the editor ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StackCard:
    """One entry as the template shows it."""

    number: int
    title: str
    note: str
    icon: str
    drawn: list[Drawn]
    problems: list[str]
    is_open: bool = True
    hidden: tuple[tuple[str, str], ...] = ()  # what goes along unseen


@control_kinds.register
class StackControl(ControlKind):
    """A list of objects. `more`: columns (Controls of an entry, or a function of it that gives them), needs (the property without which
    an entry is nothing), add (text of the button), entry (what one is called), most, compact (entries are short: no head; the text
    under which what is advanced folds away)."""

    key = "stack"
    grouped = True
    nested = True
    wide = True

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        numbers = row_numbers(form, control.name)
        rows: list[dict[str, Any]] = []
        for number in numbers:
            rows.append(self.entry(desk, control, form, f"{control.name}.{number}.", rows))
        if not is_gesture(form):
            return [row for row in rows if self.is_something(control, row)]
        rows = moved(form, control.name, numbers, rows)
        if gesture(form, control.name)[0] == "add":
            rows = [*rows, self.fresh(control, form)]
        return rows

    def entry(self, desk: Desk, control: Control, form: FormMultiDict, prefix: str, before: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return read_nested(desk, columns_of(control, {}), prefix, form)

    def is_something(self, control: Control, row: Mapping[str, Any]) -> bool:
        return bool(row.get(control.more["needs"]))

    def missing(self, desk: Desk, control: Control, rows: Sequence[Mapping[str, Any]]) -> Errors:
        """What the entries lack, by path below the list."""
        found: Errors = {}
        for number, row in enumerate(rows):
            below = missing(desk, self.columns(desk, control, rows, number), row)
            found |= {f"{control.name}[{number}].{path}": text for path, text in below.items()}
        return found

    def columns(self, desk: Desk, control: Control, rows: Sequence[Mapping[str, Any]], number: int) -> Sequence[Control]:
        """The controls of one entry."""
        return columns_of(control, rows[number])

    def fresh(self, control: Control, form: FormMultiDict) -> dict[str, Any]:
        return {}

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        rows = [r for r in value or () if isinstance(r, Mapping)]
        cards = [await self.card(desk, control, number, rows) for number in range(len(rows))]
        return {"cards": cards, "kinds": [], "full": len(rows) >= control.more.get("most", MOST)}

    async def card(self, desk: Desk, control: Control, number: int, rows: Sequence[Mapping[str, Any]]) -> StackCard:
        columns, errors = self.columns(desk, control, rows, number), errors_at(control, number)
        drawn = await draw_nested(desk, columns, f"{control.name}.{number}.", rows[number], errors)
        return StackCard(number, control.more.get("entry") or _("Entry"), "", "", drawn, left_over(errors, columns))


def columns_of(control: Control, row: Mapping[str, Any]) -> Sequence[Control]:
    """The controls of one entry; of a function they may only be drawn differently, never have other names."""
    columns = control.more["columns"]
    return columns(row) if callable(columns) else columns


__all__ = ["GESTURE", "StackCard", "StackControl", "columns_of", "draw_nested", "errors_at", "fresh_key", "gesture", "is_gesture", "missing", "moved", "nested", "read_nested", "row_numbers"]
