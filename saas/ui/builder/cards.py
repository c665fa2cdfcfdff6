"""Choices that need a picture and a sentence: cards to tick, several or one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar.datastructures import FormMultiDict

from saas.ui.builder.controls import Control, ControlKind, control_kinds
from saas.ui.builder.desk import Desk


@dataclass(frozen=True, slots=True)
class Card:
    key: str
    text: str
    note: str = ""
    icon: str = ""


@control_kinds.register
class CardsControl(ControlKind):
    """`more`: cards; one (only one may be chosen)."""

    key = "cards"
    grouped = True
    wide = True

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        known = [card.key for card in control.more["cards"]]
        chosen = [str(v) for v in form.getall(control.name, []) if v in known]
        if control.more.get("one"):
            return chosen[-1] if chosen else None
        return [key for key in known if key in chosen]
