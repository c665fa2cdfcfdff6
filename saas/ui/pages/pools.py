"""Pools on pages: claim a record or the next one, give it to somebody, put it back.

Who: a salesperson between two calls, who wants the next record in one click; their manager, who hands out what came in overnight. Claiming
takes nothing from anybody and is not asked about; who puts a record back is told first who loses it, and who may have it then.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import AppError, Conflict, InvalidInput, NotFound, PermissionDenied
from saas.i18n import gettext as _
from saas.i18n import lazy, listed, ngettext, pick
from saas.metadata.config import Entity
from saas.metadata.models import PoolDef, StageDef
from saas.runtime import Context, execute, permissions
from saas.runtime import operations as ops
from saas.runtime.bulk import person_of
from saas.runtime.forms import form_state
from saas.runtime.pools.rights import amount, asked_of, claims, name_of
from saas.runtime.records import entity_of
from saas.ui import formats
from saas.ui.forms import Drawing, form_values, shown_problems, without_unseen
from saas.ui.guards import Ask, local_path, signed_in
from saas.ui.pages.records import toasts
from saas.ui.record_page import CSS
from saas.ui.values import put_into
from saas.ui.views import FormSection, FormView, Problem, Toast

MOST_NAMES = 5  # of those who lose records


async def _try(ask: Ask, operation: Any, back: str, gone: str) -> Response[Any]:
    """Do it; what is refused because of others or of a limit is said where the person was."""
    try:
        async with ask.work():
            change = await execute(ask.ctx, operation)
    except Conflict as error:
        return ask.redirect(gone if error.data.get("reason") == "taken" else back, Toast(str(error.message), "warn"))
    return ask.redirect(f"/r/{operation.entity}/{change.record.id}" if change.record and isinstance(operation, ops.Claim) else back if change.record else gone, *toasts(change))


@post("/r/{entity:str}/claim", status_code=200)
async def claim_next(request: Request, entity: FromPath[str]) -> Response[Any]:
    """The next record of a pool; it opens."""
    ask = await signed_in(request)
    found, form = entity_of(ask.ctx, entity), await ask.form()
    back = local_path(str(form.get("next") or ""), f"/r/{found.key}")
    return await _try(ask, ops.Claim(entity=found.key, pool=str(form.get("pool") or "") or None), back, back)


@post("/r/{entity:str}/{record_id:uuid}/claim", status_code=200)
async def claim(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    return await _try(ask, ops.Claim(entity=found.key, id=record_id), f"/r/{found.key}/{record_id}", f"/r/{found.key}")


@get("/r/{entity:str}/{record_id:uuid}/release")
async def ask_release(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    return await _release_dialog(ask, entity_of(ask.ctx, entity), record_id, {})


@post("/r/{entity:str}/{record_id:uuid}/release", status_code=200)
async def release(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    found, form = entity_of(ask.ctx, entity), await ask.form()
    typed = without_unseen(ask.ctx, found, form_values(ask.ctx, found, form, [key for pool in found.defn.pools for key in asked_of(found, pool)]))
    try:
        return await _try(ask, ops.Release(entity=found.key, id=record_id, values=typed), f"/r/{found.key}/{record_id}", f"/r/{found.key}")
    except InvalidInput as error:
        return await _release_dialog(ask, found, record_id, typed, error)


async def _release_dialog(ask: Ask, entity: Entity, record_id: UUID, typed: dict[str, Any], error: InvalidInput | None = None) -> Response[Any]:
    ctx = ask.ctx
    async with ask.work() as conn:
        record = await execute(ctx, ops.Get(entity=entity.key, id=record_id))
        pool = next((p for p in entity.defn.pools if record.can and record.can.release and p.key == record.can.home), None)
        if pool is None:
            raise PermissionDenied(lazy("Your role may not put this record back."))
        asked = list(asked_of(entity, pool))
        state = await form_state(ctx, entity.key, record_id=record_id, typed=typed)
        drawing = Drawing(ctx, entity, state, prefix="r", typed=typed, problems=list(error.problems) if error else [])
        await drawing.load(conn, asked)
        fields = tuple([await drawing.field(key, force=True) for key in asked if state.fields[key].access != "hidden"])
    said, lines = what_happens(ctx, entity, pool, [record])
    problems = tuple(shown_problems(entity, error, set(asked), "r", ctx.locale)) if error else ()
    return _asking(ask, entity, record, "release", put_into([pool], ctx.locale), fields, error, problems, confirm=said, lines=lines)


def _asking(
    ask: Ask, entity: Entity, record: ops.Record, act: str, title: str, fields: tuple[Any, ...], error: AppError | None, problems: tuple[Problem, ...], **more: Any
) -> Response[Any]:
    """The dialog before an act on a record, or the page of it; again, with what is wrong, after it was refused."""
    url = f"/r/{entity.key}/{record.id}"
    view = FormView(
        title=title, action=f"{url}/{act}", submit=title, submit_css=CSS["primary"], cancel_url=url, id=f"{act}-form", record_url=url, record_title=record.title,
        entity_plural=pick(entity.defn.plural, ask.ctx.locale), list_url=f"/r/{entity.key}", sections=(FormSection("", fields, 1),) if fields else (), dialog=ask.target == "dialog",
        problem_title=_("This is not possible now") if error is not None else "", problems=problems, **more,
    )  # fmt: skip
    status = 200 if error is None else error.status
    if view.dialog:
        return ask.fragment("records/_transition.html", status=status, form=view)
    return ask.page("records/transition.html", status=status, form=view)


def what_happens(ctx: Context, entity: Entity, pool: PoolDef, records: Sequence[ops.Record]) -> tuple[str, tuple[str, ...]]:
    """The question before records go back into this pool, and what follows: who loses them, who may have them then, when the same people may
    again, and where they stand."""
    count, name, claimable = len(records), name_of(pool, ctx.locale), pool.claimable
    people = list(dict.fromkeys(r.display.get("owner", "") for r in records if r.owner != ctx.user_id))
    mine = sum(r.owner == ctx.user_id for r in records)
    if count == 1:
        said = _("Put “%(title)s” into “%(pool)s”?", title=records[0].title, pool=name)
    else:
        said = ngettext("Put %(count)s record into “%(pool)s”?", "Put %(count)s records into “%(pool)s”?", count, pool=name)
    lines = []
    if mine:
        lines.append(ngettext("You lose %(count)s record.", "You lose %(count)s records.", mine) if count > 1 else _("You are not responsible for it any more."))
    if named := [p for p in people if p]:
        shown = listed([*named[:MOST_NAMES], *(["…"] if len(named) > MOST_NAMES else [])])
        lines.append(_("Not responsible any more, and told so: %(people)s.", people=shown))
    lines.append(_("Whoever may claim from “%(pool)s” can take it at once.", pool=name) if claimable else _("It lies in “%(pool)s” until it is given to somebody.", pool=name))
    if claimable and (days := amount(ctx, pool.cooldown_days)):
        when = formats.day(ctx, (ctx.now + timedelta(days=days)).astimezone(ctx.zone).date())
        if mine and not people:
            if claims(ctx, pool, may_update=permissions.may(ctx, "update", entity.key)):
                lines.append(ngettext("You can claim it again in %(count)s day (%(when)s).", "You can claim it again in %(count)s days (%(when)s).", days, when=when))
        else:
            lines.append(
                ngettext("Who had it can claim it again in %(count)s day (%(when)s).", "Who had it can claim it again in %(count)s days (%(when)s).", days, when=when)
            )
    stage = _stage_after(entity, pool)
    if stage is not None:
        lines.append(_("Its stage becomes “%(stage)s”.", stage=pick(stage.label, ctx.locale)))
    return said, tuple(lines)


def _stage_after(entity: Entity, pool: PoolDef) -> StageDef | None:
    """None where it does not change, or depends on the record."""
    found = entity.pipeline.transition(pool.release_transition or "") if entity.pipeline else None
    return entity.pipeline.stage(found.to) if entity.pipeline and found is not None and found.to and not found.branches else None


@get("/r/{entity:str}/{record_id:uuid}/assign")
async def ask_whom(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    return await _dialog(ask, entity_of(ask.ctx, entity), record_id, {})


@post("/r/{entity:str}/{record_id:uuid}/assign", status_code=200)
async def assign(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    found, form = entity_of(ask.ctx, entity), await ask.form()
    typed = form_values(ask.ctx, found, form, ["owner"])
    try:
        async with ask.work():
            change = await execute(ask.ctx, ops.Assign(entity=found.key, id=record_id, to=person_of(typed.get("owner"))))
    except (InvalidInput, Conflict) as error:
        return await _dialog(ask, found, record_id, typed, error)
    return ask.redirect(f"/r/{found.key}/{record_id}" if change.record else f"/r/{found.key}", *toasts(change))


async def _dialog(ask: Ask, entity: Entity, record_id: UUID, typed: dict[str, Any], error: AppError | None = None) -> Response[Any]:
    ctx = ask.ctx
    if not entity.defn.owned:
        raise NotFound()
    async with ask.work() as conn:
        record = await execute(ctx, ops.Get(entity=entity.key, id=record_id))
        if not (record.can and record.can.assign):
            raise PermissionDenied(lazy("Your role may not give this record to somebody."))
        state = await form_state(ctx, entity.key, record_id=record_id, typed=typed)
        drawing = Drawing(ctx, entity, state, prefix="a", typed=typed, problems=list(error.problems) if isinstance(error, InvalidInput) else [])
        await drawing.load(conn, ["owner"])
        field = await drawing.field("owner", required=True, force=True)
    said: tuple[Problem, ...] = ()
    if isinstance(error, InvalidInput) and error.problems:
        said = tuple(shown_problems(entity, error, {"owner"}, "a", ctx.locale))
    elif error is not None:
        said = (Problem("", str(error.message)),)
    return _asking(ask, entity, record, "assign", _("Assign"), (field,), error, said, enctype="application/x-www-form-urlencoded")


router = Router("", route_handlers=[claim_next, claim, ask_release, release, ask_whom, assign])
