"""A list of small definitions edited in one place: rows with the same controls, which can be added, removed and dragged. Also the
controls that only make sense in rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from litestar.datastructures import FormMultiDict
from markupsafe import Markup

from saas.i18n import own_first
from saas.ui.builder.controls import COLOURS, CheckList, Control, ControlKind, colour_name, control_kinds
from saas.ui.builder.desk import Desk
from saas.ui.render import markup
from saas.ui.views import Choice

SPARE = "__n__"  # stands for the number of a row that scripts add
MOST = 5_000  # as many as the longest list of a pack may have: what is not read would be lost


@control_kinds.register
class RowsControl(ControlKind):
    """`more`: columns (Controls; of their names one is `needs`), needs (the column without which a row is nothing), add (text of the
    button), fixed (rows cannot be removed). A row's other properties survive by its hidden `was` number."""

    key = "rows"
    grouped = True
    wide = True

    def read(self, desk: Desk, control: Control, form: FormMultiDict) -> Any:
        numbers = list(dict.fromkeys(m[1] for key in form if (m := re.match(rf"{re.escape(control.name)}\.(\d+)\.", key))))
        found = [self._row(desk, control, form, number) for number in numbers[:MOST]]
        return [row for row in found if row is not None]

    def _row(self, desk: Desk, control: Control, form: FormMultiDict, number: str) -> dict[str, Any] | None:
        row = {}
        for column in control.more["columns"]:
            name = f"{control.name}.{number}.{column.name}"
            value = control_kinds.get(column.kind).read(desk, replace(column, name=name), form)
            if value not in (None, "", [], {}) and value != column.default:
                row[column.name] = value
        return row if row.get(control.more["needs"]) else None

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        rows = [r for r in value or () if isinstance(r, Mapping)]
        shown = [await self._drawn(desk, control, str(n), row) for n, row in enumerate(rows)]
        empty = await self._drawn(desk, control, str(len(rows)), {})
        return {"rows": shown, "empty": empty, "spare": await self._drawn(desk, control, SPARE, {}), "columns": control.more["columns"], "add_text": control.more.get("add", "")}

    async def _drawn(self, desk: Desk, control: Control, number: str, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        cells = []
        for column in control.more["columns"]:
            named = replace(column, name=f"{control.name}.{number}.{column.name}")
            cells.append({"kind": column.kind, "title": column.title, "id": f"c-{named.name}", "html": await inner(desk, named, row.get(column.name, column.default))})
        return cells


async def inner(desk: Desk, control: Control, value: Any) -> Markup:
    """A control without its label and message."""
    kind = control_kinds.get(control.kind)
    more = await kind.view(desk, control, value)
    return markup(f"builder/controls/{kind.key}.html", c=control, value=value, error="", id=f"c-{control.name}", locales=own_first(), locale=desk.locale, **more)


def kept_properties(before: Any, rows: list[dict[str, Any]], columns: tuple[Control, ...], by: str = "key") -> list[dict[str, Any]]:
    """The rows with what has no column, and defaults that were written out, from those that were there before."""
    known = {c.name: c.default for c in columns}
    old = {r.get(by): r for r in before or () if isinstance(r, Mapping)}
    return [{**{k: v for k, v in old.get(row.get(by), {}).items() if k not in known or v == known[k]}, **row} for row in rows]


@control_kinds.register
class PickList(CheckList):
    """Several of many `choices`: ticks in a list that can be searched."""

    key = "picklist"
    wide = True


@control_kinds.register
class HiddenControl(ControlKind):
    """A value that goes along unseen."""

    key = "hidden"


@control_kinds.register
class FixedControl(ControlKind):
    """A value that was decided before: shown, not changed here. `more`: text, icon, url (where to decide again)."""

    key = "fixed"
    grouped = True


@control_kinds.register
class SwatchControl(ControlKind):
    """A colour in little room: a dot that opens the colours."""

    key = "swatch"
    grouped = True

    async def view(self, desk: Desk, control: Control, value: Any) -> dict[str, Any]:
        return {"colours": [Choice(c, colour_name(c), c == (value or "gray"), c) for c in COLOURS]}
