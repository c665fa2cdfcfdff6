"""Moving a record along its pipeline: the transition's dialog, cards dropped on a board, the keyboard's "Move to …"."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import AppError, Conflict, InvalidInput, NotFound, PermissionDenied, PlanLimitReached, StaleVersion
from saas.i18n import gettext as _
from saas.i18n import lazy, pick
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.models import TransitionDef
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.runtime.forms import form_state
from saas.runtime.previews import foretells
from saas.runtime.records import entity_of
from saas.ui.foretelling import foretold_view
from saas.ui.forms import Drawing, depends_on, form_values, has_uploads, shown_problems, version_of, without_unseen
from saas.ui.guards import Ask, local_path, signed_in
from saas.ui.pages.records import FORM_BYTES, toasts
from saas.ui.record_page import CSS, button
from saas.ui.uploads import store_uploads
from saas.ui.views import ForetoldView, FormSection, FormView, MoveView, Problem


def transition_of(entity: Entity, key: str) -> TransitionDef:
    found = entity.pipeline.transition(key) if entity.pipeline else None
    if found is None:
        raise NotFound(lazy("There is no transition “%(key)s” here.", key=key))
    return found


@get("/r/{entity:str}/{record_id:uuid}/transitions/{key:str}")
async def ask_values(request: Request, entity: FromPath[str], record_id: FromPath[UUID], key: FromPath[str]) -> Response[Any]:
    """The dialog of a transition: exactly the missing required fields and those it asks for."""
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    async with ask.work() as conn:
        record = await execute(ask.ctx, ops.Get(entity=found.key, id=record_id))
        offer = _offer(record, key)
        if offer is None:
            transition = transition_of(found, key)
            raise PermissionDenied(lazy("“%(label)s” is not possible for this record now.", label=pick(transition.label)))
        view = await _dialog(ask, conn, found, record, offer, next_=request.query_params.get("next"))
    return _show(ask, view)


@post("/r/{entity:str}/{record_id:uuid}/transitions/{key:str}", status_code=200, request_max_body_size=FORM_BYTES)
async def run(request: Request, entity: FromPath[str], record_id: FromPath[UUID], key: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    ctx, found, form = ask.ctx, entity_of(ask.ctx, entity), await ask.form()
    transition = transition_of(found, key)
    back = local_path(str(form.get("next") or ""), f"/r/{found.key}/{record_id}")
    async with ask.work() as conn:
        asked = (*transition.require, *transition.ask)
        typed = form_values(ctx, found, form, asked)
        try:
            if has_uploads(form):
                typed = form_values(ctx, found, await store_uploads(ctx, found.key, form), asked)
            typed = without_unseen(ctx, found, typed)
            change = await execute(ctx, ops.Transition(entity=found.key, id=record_id, key=key, values=typed, version=version_of(form)))
        except (InvalidInput, Conflict, PlanLimitReached) as error:
            record = await execute(ctx, ops.Get(entity=found.key, id=record_id))
            offer = _offer(record, key)
            if offer is None:
                raise
            view = await _dialog(ask, conn, found, record, offer, next_=str(form.get("next") or ""), error=error, typed=typed)
            return _show(ask, view, status=error.status)
    return ask.redirect(back if change.record else f"/r/{found.key}", *toasts(change))


def _offer(record: ops.Record, key: str) -> ops.TransitionOffer | None:
    return next((o for o in (record.can.transitions if record.can else ()) if o.key == key), None)


async def _dialog(
    ask: Ask, conn: Any, entity: Entity, record: ops.Record, offer: ops.TransitionOffer, *, next_: str | None = None, error: AppError | None = None,
    typed: dict[str, Any] | None = None, foretold: ForetoldView | None = None,
) -> FormView:  # fmt: skip
    ctx = ask.ctx
    transition = transition_of(entity, offer.key)
    asked = [*offer.missing, *offer.ask]
    problems = list(error.problems) if isinstance(error, InvalidInput) else []
    asked += [k for k in transition.require if k not in asked and any(p.field == k for p in problems)]
    state = await form_state(ctx, entity.key, record_id=record.id, typed=typed or {})
    drawing = Drawing(ctx, entity, state, prefix="t", typed=typed, problems=problems)
    await drawing.load(conn, asked)
    drawn = [k for k in asked if k in transition.require or (state.fields[k].access != "hidden" and (state.fields[k].visible or not _asked_about(entity, k, asked)))]
    fields = tuple([await drawing.field(k, required=k in transition.require, force=True) for k in drawn])
    files = any("max_mb" in entity.fields[k].options for k in asked)
    url = f"/r/{entity.key}/{record.id}"
    shown: dict[str, Any] = {}
    if isinstance(error, StaleVersion):
        shown = {"problem_title": str(error.message), "problems": (Problem("", _("Look at the record again, then repeat this step.")),)}
    elif error is not None:
        shown = {
            "problem_title": str(type(error).title) if problems else _("This is not possible now"),
            "problems": shown_problems(entity, error, set(asked), "t", ctx.locale) if problems else (Problem("", str(error.message)),),
        }  # fmt: skip
    return FormView(
        title=offer.label, action=f"{url}/transitions/{quote(offer.key)}", submit=offer.label, cancel_url=local_path(next_, url), id="transition-form",
        entity_plural=pick(entity.defn.plural, ctx.locale), list_url=f"/r/{entity.key}", record_url=url, record_title=record.title, version=record.version,
        sections=(FormSection("", fields, 1),) if fields else (), hidden=(("next", next_),) if next_ else (), confirm=offer.confirm, dialog=ask.target in ("dialog", "board"),
        depends=" ".join(k for k in depends_on(entity).split() if k in asked), refresh_url=f"{url}/transitions/{quote(offer.key)}/form",
        foretold_url=f"{url}/transitions/{quote(offer.key)}/foretold" if foretells(transition.effects) else "", foretold=foretold,
        submit_css={"danger": "danger solid"}.get(offer.style, CSS["primary"]), enctype="multipart/form-data" if files else "application/x-www-form-urlencoded", **shown,
    )  # fmt: skip


def _asked_about(entity: Entity, key: str, asked: list[str]) -> bool:
    """Whether the field's condition looks at another answer of the same dialog. Conditions on the stage say nothing about
    what leads to it."""
    condition = entity.fields[key].visible_if
    return bool(condition) and any(path[0] in asked for path in ex.needs(ex.parse(condition)).paths if path[0] != key)


@post("/r/{entity:str}/{record_id:uuid}/transitions/{key:str}/form", status_code=200, request_max_body_size=FORM_BYTES)
async def refresh(request: Request, entity: FromPath[str], record_id: FromPath[UUID], key: FromPath[str]) -> Response[Any]:
    """What the dialog asks, again, after an answer that others depend on has changed. Nothing is written."""
    ask = await signed_in(request)
    found, form = entity_of(ask.ctx, entity), await ask.form()
    transition = transition_of(found, key)
    async with ask.work() as conn:
        record = await execute(ask.ctx, ops.Get(entity=found.key, id=record_id))
        offer = _offer(record, key)
        if offer is None:
            raise PermissionDenied(lazy("“%(label)s” is not possible for this record now.", label=pick(transition.label)))
        typed = form_values(ask.ctx, found, form, (*transition.require, *transition.ask))
        view = await _dialog(ask, conn, found, record, offer, typed=typed)
    return ask.fragment("records/_sections.html", form=view)


@post("/r/{entity:str}/{record_id:uuid}/transitions/{key:str}/foretold", status_code=200, limit="report", request_max_body_size=FORM_BYTES)
async def foretell(request: Request, entity: FromPath[str], record_id: FromPath[UUID], key: FromPath[str]) -> Response[Any]:
    """What the transition would make, with what stands in its dialog now. Nothing is kept."""
    ask = await signed_in(request)
    ctx, found, form = ask.ctx, entity_of(ask.ctx, entity), await ask.form()
    transition = transition_of(found, key)
    async with ask.work() as conn:
        record = await execute(ctx, ops.Get(entity=found.key, id=record_id))
        offer = _offer(record, key)
        if offer is None:
            raise PermissionDenied(lazy("“%(label)s” is not possible for this record now.", label=pick(transition.label)))
        typed = without_unseen(ctx, found, form_values(ctx, found, form, (*transition.require, *transition.ask)))
        view = await foretold_view(ctx, ops.Transition(entity=found.key, id=record_id, key=key, values=typed))
        if ask.is_fragment:
            return ask.fragment("records/_foretold.html", foretold=view)
        dialog = await _dialog(ask, conn, found, record, offer, next_=str(form.get("next") or ""), typed=typed, foretold=view)
    return _show(ask, dialog)


def _show(ask: Ask, view: FormView, *, status: int = 200, move: str = "") -> Response[Any]:
    if view.dialog:
        return ask.fragment("records/_transition.html", status=status, form=view, headers={"X-Move": move} if move else None)
    return ask.page("records/transition.html", status=status, form=view)


# ---- boards ------------------------------------------------------------------------------------------------------------


@get("/r/{entity:str}/{record_id:uuid}/move")
async def moves(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    """All moves on offer: what dragging a card does, for keyboards and screen readers."""
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    async with ask.work():
        record = await execute(ask.ctx, ops.Get(entity=found.key, id=record_id))
    offers = record.can.transitions if record.can else ()
    view = MoveView(record.title, tuple(button(ask.ctx, found, record, o) for o in offers), f"/r/{found.key}/{record_id}", f"/r/{found.key}/board", ask.target == "dialog")
    if ask.target == "dialog":
        return ask.fragment("records/_move.html", move=view)
    return ask.page("records/move.html", move=view)


@post("/r/{entity:str}/{record_id:uuid}/move", status_code=200)
async def drop(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    """A card was dropped on the column `to`: run the transition that leads there, or ask for what it needs."""
    ask = await signed_in(request)
    ctx, found, form = ask.ctx, entity_of(ask.ctx, entity), await ask.form()
    to, board = str(form.get("to") or ""), f"/r/{found.key}/board"
    async with ask.work() as conn:
        record = await execute(ctx, ops.Get(entity=found.key, id=record_id))
        if record.state == to:
            return ask.redirect(board)
        offer = _leading_to(found, record, to)
        if offer is None:
            stage = found.pipeline.stage(to) if found.pipeline else None
            raise Conflict(lazy("From here it cannot go to “%(stage)s”.", stage=pick(stage.label) if stage else to))
        if not button(ctx, found, record, offer).direct:
            view = await _dialog(ask, conn, found, record, offer, next_=board)
            return _show(ask, view, move="ask")
        change = await execute(ctx, ops.Transition(entity=found.key, id=record_id, key=offer.key, version=version_of(form)))
    return ask.redirect(board, *toasts(change))


def _leading_to(entity: Entity, record: ops.Record, to: str) -> ops.TransitionOffer | None:
    offers = record.can.transitions if record.can else ()
    for offer in offers:
        if offer.to == to:
            return offer
    for offer in offers:
        if offer.to is None and any(b.to == to for b in transition_of(entity, offer.key).branches):
            return offer
    return None


router = Router("", route_handlers=[ask_values, run, refresh, foretell, moves, drop])
