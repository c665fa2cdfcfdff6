"""Buttons of automations on a record's page: somebody working with the record presses one; next they see what it did to the record."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import Conflict, InvalidInput, NotFound
from saas.i18n import gettext as _
from saas.i18n import lazy, pick
from saas.metadata.config import Entity
from saas.runtime import Context, execute
from saas.runtime import operations as ops
from saas.runtime.previews import foretells
from saas.runtime.records import entity_of
from saas.runtime.steps import words
from saas.ui.foretelling import foretold_view
from saas.ui.guards import signed_in
from saas.ui.pages.records import toasts
from saas.ui.record_page import CSS, steps_of
from saas.ui.views import ForetoldView, FormView, Toast


@get("/r/{entity:str}/{record_id:uuid}/buttons/{key:str}")
async def ask_first(request: Request, entity: FromPath[str], record_id: FromPath[UUID], key: FromPath[str]) -> Response[Any]:
    """The question before a button does what it does."""
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    async with ask.work():
        record = await execute(ask.ctx, ops.Get(entity=found.key, id=record_id))
    view = _dialog(ask.ctx, found, record, key, dialog=ask.target == "dialog")
    return ask.fragment("records/_transition.html", form=view) if view.dialog else ask.page("records/transition.html", form=view)


def _dialog(ctx: Context, entity: Entity, record: ops.Record, key: str, *, dialog: bool, foretold: ForetoldView | None = None) -> FormView:
    offer = next((b for b in (record.can.buttons if record.can else ()) if b.key == key), None)
    if offer is None:
        raise NotFound(lazy("There is no button “%(key)s” here.", key=key))
    url = f"/r/{entity.key}/{record.id}"
    return FormView(
        title=offer.label, action=f"{url}/buttons/{quote(key)}", submit=offer.label, cancel_url=url, id="button-form", entity_plural=pick(entity.defn.plural, ctx.locale), list_url=f"/r/{entity.key}",
        record_url=url, record_title=record.title, version=None, sections=(), confirm=offer.confirm, dialog=dialog, submit_css={"danger": "danger solid"}.get(offer.style, CSS["primary"]),
        foretold_url=f"{url}/buttons/{quote(key)}/foretold" if foretells(steps_of(ctx, key)) else "", foretold=foretold,
    )  # fmt: skip


@post("/r/{entity:str}/{record_id:uuid}/buttons/{key:str}", status_code=200)
async def press(request: Request, entity: FromPath[str], record_id: FromPath[UUID], key: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    back = f"/r/{found.key}/{record_id}"
    async with ask.work():
        try:
            change = await execute(ask.ctx, ops.Press(entity=found.key, id=record_id, key=key))
        except (InvalidInput, Conflict) as error:
            return ask.redirect(back, Toast(words(error) or _("This is not possible now"), "error"))
    return ask.redirect(back if change.record else f"/r/{found.key}", *toasts(change))


@post("/r/{entity:str}/{record_id:uuid}/buttons/{key:str}/foretold", status_code=200)
async def foretell(request: Request, entity: FromPath[str], record_id: FromPath[UUID], key: FromPath[str]) -> Response[Any]:
    """What the button would make. Nothing is kept."""
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    async with ask.work():
        record = await execute(ask.ctx, ops.Get(entity=found.key, id=record_id))
        view = await foretold_view(ask.ctx, ops.Press(entity=found.key, id=record_id, key=key))
    if ask.is_fragment:
        return ask.fragment("records/_foretold.html", foretold=view)
    return ask.page("records/transition.html", form=_dialog(ask.ctx, found, record, key, dialog=False, foretold=view))


router = Router("", route_handlers=[ask_first, press, foretell])
