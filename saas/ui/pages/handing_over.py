"""Giving records to somebody: which ones, with what below them, how many that are; and the way back.

Who: a manager who shares a colleague's customers out, or a salesperson who passes one on. What next: the page of the job, which says what
changed hands and what did not, and can take it back.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import AppError, BadRequest, InvalidInput
from saas.i18n import gettext as _
from saas.i18n import ngettext, pick
from saas.metadata.config import Entity
from saas.runtime import handing_over
from saas.runtime.bulk import person_of
from saas.runtime.forms import form_state
from saas.runtime.records import entity_of
from saas.ui import filters
from saas.ui.forms import Drawing, form_values
from saas.ui.guards import Ask, signed_in
from saas.ui.listing import is_uuid, open_listing


@get("/r/{entity:str}/transfer")
async def ask_whom(request: Request, entity: FromPath[str]) -> Response[Any]:
    """`?ids=` for some, else what the list in the address shows."""
    ask = await signed_in(request)
    return await page(ask, entity_of(ask.ctx, entity), request, request.query_params.getall("ids", []), {"owner": None})


@post("/r/{entity:str}/transfer", status_code=200)
async def hand_over(request: Request, entity: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    found, form = entity_of(ask.ctx, entity), await ask.form()
    ids, typed = form.getall("ids", []), form_values(ask.ctx, entity_of(ask.ctx, entity), form, ["owner"])
    try:
        asked = await _asked(ask, found, request, ids)
        job = await handing_over.hand_over(ask.ctx, found.key, person_of(typed.get("owner")), children=[str(c) for c in form.getall("children", [])], **asked)
    except (InvalidInput, BadRequest) as error:
        return await page(ask, found, request, ids, typed, error)
    return ask.redirect(f"/jobs/{job.id}")


async def _asked(ask: Ask, entity: Entity, request: Request, ids: Any) -> dict[str, Any]:
    if ids:
        return {"ids": [UUID(str(i)) for i in ids if is_uuid(str(i))]}
    async with ask.work() as conn:
        listing = await open_listing(conn, ask.ctx, entity, f"/r/{entity.key}", request.query_params, kind="list")
    return {"filter": filters.filter_json(ask.ctx, entity, listing.state), "view": listing.view.key or None, "q": listing.state.q or None}


async def page(ask: Ask, entity: Entity, request: Request, ids: Any, typed: dict[str, Any], error: AppError | None = None) -> Response[Any]:
    """The form, with what would change hands counted."""
    ctx = ask.ctx
    ids = [str(i) for i in ids if is_uuid(str(i))]
    counted = await handing_over.preview(ctx, entity.key, **await _asked(ask, entity, request, ids))
    async with ask.work() as conn:
        state = await form_state(ctx, entity.key, typed=typed)
        drawing = Drawing(ctx, entity, state, prefix="o", typed=typed, problems=list(error.problems) if isinstance(error, InvalidInput) else [])
        await drawing.load(conn, ["owner"])
        control = (await drawing.field("owner", required=True, force=True)).html
    left = counted.asked - counted.count
    data = {
        "title": _("Hand over: %(name)s", name=pick(entity.defn.plural, ctx.locale)), "action": f"/r/{entity.key}/transfer" + (f"?{request.url.query}" if request.url.query and not ids else ""),
        "text": ngettext("%(count)s record gets a new owner.", "%(count)s records get a new owner.", counted.count),
        "left": ngettext("%(count)s more stays as it is: you may not give it away.", "%(count)s more stay as they are: you may not give them away.", left) if left else "",
        "ids": ids, "below": counted.below, "control": control, "error": str(error.message) if isinstance(error, BadRequest) else "",
        "back": f"/r/{entity.key}/{ids[0]}" if len(ids) == 1 else f"/r/{entity.key}", "possible": bool(counted.count),
    }  # fmt: skip
    return ask.page("transfers/hand_over.html", status=422 if error else 200, **data)


router = Router("", route_handlers=[ask_whom, hand_over])
