"""Numbering: all automatic numbers of the workspace, their pattern, when they start again, the next one.

Who: the office that wants INV-2026-0001. What next: the next record made carries the number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import InvalidInput, NotFound
from saas.i18n import gettext as _
from saas.metadata.kinds import field_types
from saas.runtime.numbers import continue_from, next_numbers, render
from saas.ui import design_views as views
from saas.ui.builder import words
from saas.ui.builder.controls import Control, controls_of, draw, laid, left_over, read
from saas.ui.builder.desk import Desk, Errors, open_desk
from saas.ui.builder.type_controls import number_examples
from saas.ui.guards import whole_number

LIST = "/settings/numbering"


def _numbered(desk: Desk) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """(entity, field) of every automatic number."""
    return [(e, f) for e in desk.raw.get("entities", ()) for f in e.get("fields", ()) if f.get("type") == "auto"]


@get("/settings/numbering")
async def numbering(request: Request) -> Response[Any]:
    desk = await open_desk(request)
    coming = await next_numbers(desk.ask.ctx)
    rows = [_row(desk, e, f, coming) for e, f in _numbered(desk)]
    with_number = {e["key"] for e, _f in _numbered(desk)}
    others = [(c.text, f"/settings/entities/{c.key}/fields/new?type=auto") for c in views.entity_choices(desk) if c.key not in with_number]
    return await desk.page("settings/design/numbering", "numbering", rows=rows, others=others)


def _row(desk: Desk, entity: Mapping[str, Any], field: Mapping[str, Any], coming: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    pattern = str(field.get("pattern") or field_types.get("auto").options_schema["properties"]["pattern"]["default"])
    number = coming.get((entity["key"], field["key"]))
    return {
        "url": f"{LIST}/{entity['key']}/{field['key']}", "entity": desk.words(entity.get("plural") or entity.get("label"), entity["key"]), "icon": entity.get("icon", "box"),
        "field": desk.words(field.get("label"), field["key"]), "pattern": pattern, "reset": reset_words(str(field.get("reset", "never"))), "next": render(pattern, number or 1, desk.ctx.today),
        "is_new": number is None,
    }  # fmt: skip


def reset_words(reset: str) -> str:
    return {"never": _("never"), "year": _("every year"), "month": _("every month"), "day": _("every day")}.get(reset, reset)


@post("/settings/numbering/example", status_code=200)
async def example(request: Request) -> Response[Any]:
    """What a pattern gives, while it is typed (`text`)."""
    desk = await open_desk(request)
    text = str((await desk.ask.form()).get("text") or "").strip()
    fits = re.fullmatch(field_types.get("auto").options_schema["properties"]["pattern"]["pattern"], text) and len(text) <= 80
    return desk.fragment("settings/design/_number_examples", examples=number_examples(desk, text) if fits else [])


@get("/settings/numbering/{entity:str}/{field:str}")
async def show_numbering(request: Request, entity: FromPath[str], field: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    return await _page(desk, entity, field, _found(desk, entity, field))


def _found(desk: Desk, entity: str, field: str) -> Mapping[str, Any]:
    found = desk.find(f"entities[{entity}].fields[{field}]")
    if found.get("type") != "auto":
        raise NotFound()
    return found


def _controls(desk: Desk) -> list[Control]:
    return controls_of(desk, field_types.get("auto").options_schema)


async def _page(desk: Desk, entity: str, field: str, values: Mapping[str, Any], errors: Errors | None = None) -> Response[Any]:
    found, controls = _found(desk, entity, field), _controls(desk)
    coming = (await next_numbers(desk.ask.ctx)).get((entity, field))
    return await desk.page(
        "settings/design/number", "numbering", status=422 if errors else 200, title=words.place(views.entity_words(desk, entity), desk.words(found.get("label"), field)), url=f"{LIST}/{entity}/{field}",
        drawn=await draw(desk, controls, values, errors), mark=desk.mark(f"entities[{entity}].fields[{field}]"), coming=coming, errors=errors or {}, problems=left_over(_without_next(errors), controls),
        field_url=f"/settings/entities/{entity}/fields/{field}",
    )  # fmt: skip


def _without_next(errors: Errors | None) -> Errors:
    return {path: text for path, text in (errors or {}).items() if path != "next"}


@post("/settings/numbering/{entity:str}/{field:str}", status_code=200)
async def save_numbering(request: Request, entity: FromPath[str], field: FromPath[str]) -> Response[Any]:
    desk = await open_desk(request)
    form = await desk.ask.form()
    found, controls = _found(desk, entity, field), _controls(desk)
    values = read(desk, controls, form)
    title = words.changed(views.entity_words(desk, entity), desk.words(found.get("label"), field))
    errors = await desk.save(f"entities[{entity}].fields[{field}]", laid(found, controls, values), title, mark=str(form.get("_mark") or "") or None)
    if errors:
        return await _page(desk, entity, field, {**found, **values}, errors)
    return desk.done(LIST)


@post("/settings/numbering/{entity:str}/{field:str}/next", status_code=200)
async def set_next(request: Request, entity: FromPath[str], field: FromPath[str]) -> Response[Any]:
    """Counting goes on from another number: no configuration, so it counts at once."""
    desk = await open_desk(request)
    number = whole_number(str((await desk.ask.form()).get("next") or "").strip())
    if not number:
        return await _page(desk, entity, field, _found(desk, entity, field), {"next": _("Type a number.")})
    try:
        await continue_from(desk.ask.ctx, entity, field, number)
    except InvalidInput as error:
        return await _page(desk, entity, field, _found(desk, entity, field), {"next": str(error.problems[0].message)})
    return desk.done(f"{LIST}/{entity}/{field}", _("The next record gets number %(number)s.", number=number))


router = Router("", route_handlers=[numbering, example, show_numbering, save_numbering, set_next])
