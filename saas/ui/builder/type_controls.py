"""Controls for properties that only some field types have: choices of their own, bands, names on the other side, patterns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from litestar.datastructures import FormMultiDict

from saas.i18n import gettext as _
from saas.metadata.edits import key_for
from saas.runtime.numbers import render
from saas.ui.builder.controls import Control, ControlKind, control_kinds
from saas.ui.builder.desk import Desk
from saas.ui.builder.rows import RowsControl, kept_properties
from saas.ui.views import Choice

PATTERNS = ("letters", "digits", "letters_digits", "code", "hex")  # docs/packs.md, section 5
EXAMPLE_NUMBERS = (1, 2, 37)


class _OwnRows(RowsControl):
    """Rows whose columns the kind knows itself. `more`: before (the list as it was), so that what has no column stays."""

    def columns(self) -> tuple[Control, ...]:
        raise NotImplementedError

    def _full(self, control: Control, needs: str, add: str) -> Control:
        return replace(control, more={**control.more, "columns": self.columns(), "needs": needs, "add": add})


@control_kinds.register
class OptionsControl(_OwnRows):
    """The choices of one field. New ones get their keys here."""

    key = "options"

    def columns(self) -> tuple[Control, ...]:
        return (Control("key", "hidden", ""), Control("label", "label", _("Choice")), Control("color", "swatch", _("Colour"), default="gray"))

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        rows = super().read(desk, self._full(control, "label", ""), form)
        taken = {row.get("key") for row in rows} | {o.get("key") for o in control.more.get("before") or () if isinstance(o, Mapping)}
        for row in rows:
            if not row.get("key"):
                row["key"] = key_for(row["label"], taken, "option")
                taken.add(row["key"])
        return kept_properties(control.more.get("before"), rows, self.columns())

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        return await super().view(desk, self._full(control, "label", _("Add an option")), value)


@control_kinds.register
class BandsControl(_OwnRows):
    """Names and colours from certain values on."""

    key = "bands"

    def columns(self) -> tuple[Control, ...]:
        return (Control("from", "number", _("From")), Control("label", "label", _("Name")), Control("color", "swatch", _("Colour"), default="gray"))

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        rows = super().read(desk, self._full(control, "from", ""), form)
        return sorted(rows, key=lambda row: (not isinstance(row.get("from"), (int, float)), row.get("from") if isinstance(row.get("from"), (int, float)) else 0))

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        return await super().view(desk, self._full(control, "from", _("Add a band")), value)


@control_kinds.register
class InverseControl(ControlKind):
    """How the list of records is called on the other side; its key is made once and stays. `more`: before, taken (keys that are
    in use there)."""

    key = "inverse"
    wide = True
    grouped = True

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        label = control_kinds.get("label").read(desk, control, form)
        before = control.more.get("before") or {}
        if not label:
            return {"key": before["key"]} if before.get("key") else None
        return {**before, "key": before.get("key") or key_for(label, control.more.get("taken", ()), "related"), "label": label}


@control_kinds.register
class LinesControl(ControlKind):
    """Several words, each on a line of its own or with commas between them."""

    key = "lines"

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        return list(dict.fromkeys(w for w in re.split(r"[\s,;，；、]+", str(form.get(control.name) or "").strip().lower()) if w))


@control_kinds.register
class PatternControl(ControlKind):
    """Which characters a text may have: a kind with a name, or a pattern of one's own."""

    key = "pattern"
    grouped = True

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        chosen = str(form.get(f"{control.name}.kind") or "")
        if chosen == "own":
            return str(form.get(f"{control.name}.text") or "").strip() or None
        return chosen if chosen in PATTERNS else None

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        names = {
            "letters": _("Letters"), "digits": _("Digits"), "letters_digits": _("Letters and digits"), "code": _("Code: letters, digits, - and _"), "hex": _("Hexadecimal"),
        }  # fmt: skip
        chosen = "" if not value else value if value in PATTERNS else "own"
        choices = [Choice("", _("Any characters"), chosen == ""), *(Choice(k, names[k], k == chosen) for k in PATTERNS), Choice("own", _("A pattern of my own"), chosen == "own")]
        return {"choices": choices, "own": value if chosen == "own" else "", "is_own": chosen == "own"}


@control_kinds.register
class NumberPatternControl(ControlKind):
    """The pattern of automatic numbers, with what it gives."""

    key = "auto_pattern"
    wide = True

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        pieces = [
            Choice("{seq:4}", _("Number with 4 digits")), Choice("{yyyy}", _("Year, 4 digits")), Choice("{yy}", _("Year, 2 digits")), Choice("{mm}", _("Month")), Choice("{dd}", _("Day")),
        ]  # fmt: skip
        return {"pieces": pieces, "examples": number_examples(desk, value or control.default or "")}


def number_examples(desk: Desk, pattern: str) -> list[str]:
    return [render(pattern, number, desk.ctx.today) for number in EXAMPLE_NUMBERS]
