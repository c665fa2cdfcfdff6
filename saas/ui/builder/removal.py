"""Taking a definition away: first a page that says what refers to it, then one step of the draft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Response
from litestar.datastructures import FormMultiDict

from saas.metadata import edits
from saas.metadata.removal import removal
from saas.metadata.usages import usages
from saas.ui.builder.controls import Drawn
from saas.ui.builder.desk import Desk

SHOWN = 60


async def ask_removal(
    desk: Desk, path: str, current: str, *, name: str, back: str, action: str, notes: Sequence[str] = (), drawn: Sequence[Drawn] = (), errors: Sequence[str] = (),
    status: int = 200,
) -> Response[Any]:  # fmt: skip
    """The page that asks: `name` of what goes, `back` where people come from, `action` the address its form is sent to, `notes` on
    what becomes of the data; `drawn` are controls of one's own. Its form says `clean` for "with everything that refers to it"."""
    desk.find(path)
    found, planned = usages(desk.raw, path), removal(desk.raw, path)
    return await desk.page(
        "builder/remove", current, status=status, name=name, back=back, action=action, notes=list(notes), drawn=list(drawn), errors=list(errors),
        uses=[{"label": u.label, "text": u.text} for u in found[:SHOWN]], more=max(0, len(found) - SHOWN), cleaned=[str(c) for c in planned.cleaned[:SHOWN]],
        left=[{"label": u.label, "text": u.text} for u in planned.left[:SHOWN]],
    )  # fmt: skip


async def take_out(desk: Desk, form: FormMultiDict, path: str, title: str, *, data: Sequence[Mapping[str, Any]] = ()) -> None:
    """Remove what stands at the path; with `clean` in the form also what refers to it. What then still refers to it is listed
    as a problem of the draft."""
    desk.find(path)
    new = removal(desk.raw, path).bundle if form.get("clean") == "yes" else edits.remove(desk.raw, path)
    await desk.take(new, title, data=data, forget=lambda step: path in _places(step))


def _places(step: Mapping[str, Any]) -> tuple[str, str]:
    """What an order for existing data is about: when that goes, so does the order."""
    entity = f"entities[{step.get('entity')}]"
    return entity, f"{entity}.fields[{step.get('field')}]"
