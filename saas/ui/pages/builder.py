"""What the designer's controls ask for while somebody types: a row of a condition, the verdict on a formula."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, Router, get, post

from saas.errors import AppError, NotFound
from saas.i18n import gettext as _
from saas.i18n import titled
from saas.metadata import expressions as ex
from saas.metadata.expressions.check import NOUNS
from saas.metadata.expressions.errors import ExpressionError
from saas.runtime.preview import sample_values
from saas.runtime.simulation import require_trial
from saas.runtime.trial import trial
from saas.ui.builder.controls import row_view
from saas.ui.builder.desk import Desk, open_desk
from saas.ui.filters import Condition, operators
from saas.ui.guards import whole_number


@get("/settings/builder/condition")
async def condition_row(request: Request) -> Response[Any]:
    """A row of a condition editor, for the field chosen (`entity`, `name`, `number`, `field`)."""
    desk = await open_desk(request)
    query = request.query_params
    entity = desk.entity(query.get("entity", ""))
    field = query.get("field", "")
    chosen = None
    if field:
        if field not in entity.fields or not operators(desk.ctx, entity.fields[field]):
            raise NotFound()
        chosen = Condition(field, operators(desk.ctx, entity.fields[field])[0], ())
    row = await row_view(desk, entity, query.get("name", "condition"), whole_number(query.get("number", "")) or 0, chosen)
    return desk.fragment("builder/condition_row", r=row)


@post("/settings/builder/check", status_code=200)
async def check_formula(request: Request) -> Response[Any]:
    """Whether an expression makes sense for `entity`, what it results in, and what it gives on three records."""
    desk = await open_desk(request)
    text = str((await desk.ask.form()).get("text") or "").strip()
    entity, result = request.query_params.get("entity", ""), request.query_params.get("result", "")
    names = _names(request.query_params.get("names", ""))
    if entity not in desk.config.entities:
        raise NotFound()
    return desk.fragment("builder/verdict", **await judge(desk, entity, text, result, names))


async def judge(desk: Desk, entity: str, text: str, result: str = "", names: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The verdict on an expression, as `builder/verdict.html` shows it. `names`: records it may name beside the entity's fields."""
    shown: dict[str, Any] = {"text": text, "problem": "", "kind": "", "samples": []}
    if text:
        try:
            kind = ex.check(ex.parse(text), desk.config, entity, expect=_expected(result), names=names)
            shown["kind"] = _("This gives %(kind)s.", kind=NOUNS[kind])
            if not names:
                shown["samples"] = [{"title": t, "value": v} for t, v in await _samples(desk, entity, text)]
        except ExpressionError as error:
            shown["problem"] = str(error.message)
    return shown


def _names(text: str) -> dict[str, Any]:
    """Further names an expression may use: "new:order,parent:customer" are records of these entities."""
    pairs = (part.partition(":") for part in text.split(",") if part)
    return {name: ("ref", entity) for name, _colon, entity in pairs}


def _expected(result: str) -> Any:
    """The type of the expression language for a formula's `returns`, or nothing when any will do."""
    return {"int": "number", "percent": "number", "money": "number", "": None}.get(result, result)


async def _samples(desk: Desk, entity: str, text: str) -> list[tuple[str, str]]:
    """On the draft's configuration; nothing where that has problems, the formula asks what only a change knows, or somebody who is no
    administrator asks."""
    if desk.problems:
        return []
    try:
        require_trial(desk.ask.ctx)
        async with trial(desk.ask.ctx, desk.draft.examined.bundle, timeout_seconds=2) as ctx:
            return await sample_values(ctx, entity, text)
    except (AppError, ExpressionError):
        return []


def heading(*parts: str) -> str:
    """"Customer · Phone" for the title of a page or a step of the draft."""
    text = ""
    for part in parts:
        text = titled(text, part) if text else part
    return text


router = Router(path="/", route_handlers=[condition_row, check_formula])
