"""Review queues: what waits, and the panel on which one record is compared and decided.

Who: somebody who checks applications all morning; one after the other, with the keyboard. What next: the next one that waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import AppError, BadRequest, Conflict, InvalidInput, NotFound, PermissionDenied, PlanLimitReached
from saas.i18n import gettext as _
from saas.i18n import pick
from saas.metadata.config import Entity
from saas.metadata.models import ReviewDef
from saas.runtime import execute, reviews
from saas.runtime import operations as ops
from saas.runtime.forms import form_state
from saas.ui import formats
from saas.ui.forms import Drawing, form_values, shown_problems
from saas.ui.guards import Ask, signed_in
from saas.ui.listing import is_uuid
from saas.ui.views import Problem, Toast


@dataclass(frozen=True, slots=True)
class CandidateView:
    """`value` is what is posted: a target's id, or a source's item. `lines`: (label, text, does it agree)."""

    value: str
    title: str
    url: str
    why: str
    lines: tuple[tuple[str, str, bool], ...]
    on: bool


@dataclass(frozen=True, slots=True)
class PanelView:
    title: str
    queue_label: str
    queue_url: str
    action: str
    record_url: str
    lines: tuple[tuple[str, str, bool], ...]
    targets: tuple[CandidateView, ...]
    sources: tuple[CandidateView, ...]
    target_label: str
    source_label: str
    cases: dict[str, str]
    fields: tuple[Any, ...]
    problem_title: str = ""
    problems: tuple[Problem, ...] = ()


@get("/reviews/{key:str}")
async def queue(request: Request, key: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    ctx = ask.ctx
    review, entity = reviews.review_of(ctx, key)
    async with ask.work() as conn:
        found = await reviews.waiting(conn, ctx, review, entity)
    keys = [k for k in dict.fromkeys((*review.exact, *review.similar)) if k != entity.defn.title and any(k in w.record.display for w in found)][:5]
    rows = [
        {"url": f"/reviews/{key}/{w.id}", "id": str(w.id), "title": w.record.title, "cells": [w.record.display.get(k, "") for k in keys], "since": formats.full(ctx, w.since)}
        for w in found
    ]  # fmt: skip
    return ask.page(
        "reviews/queue.html", title=pick(review.label, ctx.locale), about=pick(review.description, ctx.locale), rows=rows, heads=[pick(entity.fields[k].label, ctx.locale) for k in keys],
        list_url=f"/r/{entity.key}", plural=pick(entity.defn.plural, ctx.locale), name_head=pick(entity.fields[entity.defn.title].label, ctx.locale),
    )  # fmt: skip


@get("/reviews/{key:str}/{item:uuid}")
async def show(request: Request, key: FromPath[str], item: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    review, entity = reviews.review_of(ask.ctx, key)
    try:
        async with ask.work() as conn:
            view = await _view(ask, conn, review, entity, item, "", [], {})
    except NotFound as error:
        return ask.redirect(f"/reviews/{key}", Toast(str(error.message), "warn"))
    return ask.page("reviews/panel.html", panel=view)


async def _view(ask: Ask, conn: Any, review: ReviewDef, entity: Entity, item: UUID, target: str, sources: list[str], typed: dict[str, Any], error: AppError | None = None) -> PanelView:
    ctx = ask.ctx
    panel = await reviews.panel(conn, ctx, review, entity, item)
    record = panel.record
    agreed = {key for c in (*panel.targets, *panel.sources) for key, _score in c.why}
    shown_keys = [*panel.compared, *(k for k in record.display if k not in panel.compared and not entity.fields[k].system and entity.fields[k].type != "pipeline")]
    lines = tuple((pick(entity.fields[k].label, ctx.locale), record.display[k], k in agreed) for k in shown_keys if record.display.get(k))
    problems = list(error.problems) if isinstance(error, InvalidInput) else []
    state = await form_state(ctx, entity.key, record_id=record.id, typed=typed)
    drawing = Drawing(ctx, entity, state, prefix="v", typed=typed or None, problems=problems)
    await drawing.load(conn, panel.ask)
    fields = tuple([(await drawing.field(k, required=False, force=True)).html for k in panel.ask])
    words: dict[str, Any] = {}
    if error is not None:
        words = {
            "problem_title": str(type(error).title) if problems else str(error.message),
            "problems": shown_problems(entity, error, set(panel.ask), "v", ctx.locale),
        }  # fmt: skip
    other = panel.target_entity
    targets = tuple(_candidate(ctx, c, other, {panel.there.get(k, k): k for k in panel.compared}, str(c.record.id), str(c.record.id) == target) for c in panel.targets) if other else ()
    same = {k: k for k in panel.compared}
    return PanelView(
        record.title, pick(review.label, ctx.locale), f"/reviews/{review.key}", f"/reviews/{review.key}/{item}", f"/r/{entity.key}/{record.id}", lines, targets,
        tuple(_candidate(ctx, c, entity, same, str(c.item), str(c.item) in sources) for c in panel.sources), pick(other.defn.plural, ctx.locale) if other else "",
        pick(entity.defn.plural, ctx.locale), reviews.case_words(ctx, panel), fields, **words,
    )  # fmt: skip


def _candidate(ctx: Any, found: reviews.Candidate, entity: Entity, keys: dict[str, str], value: str, on: bool) -> CandidateView:
    """`keys`: {field there: the one here}."""
    agrees = dict(found.why)
    lines = tuple((pick(entity.fields[its].label, ctx.locale), found.record.display.get(its, ""), own in agrees) for its, own in keys.items() if its in found.record.display)
    best = max(agrees.values())
    why = _("equal") if best == 100 else _("%(percent)s %% alike", percent=best)
    return CandidateView(value, found.record.title, f"/r/{entity.key}/{found.record.id}", why, lines, on)


@post("/reviews/{key:str}/{item:uuid}", status_code=200)
async def decide(request: Request, key: FromPath[str], item: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    ctx, form = ask.ctx, await ask.form()
    review, entity = reviews.review_of(ctx, key)
    target = str(form.get("_target") or "")
    sources = [str(v) for v in form.getall("_sources", []) if is_uuid(str(v))]
    async with ask.work() as conn:
        typed: dict[str, Any] = {}
        try:
            panel = await reviews.panel(conn, ctx, review, entity, item)
            typed = form_values(ctx, entity, form, list(panel.ask))
            given = {k: v for k, v in typed.items() if v not in (None, "", []) or k in panel.record.display}
            asked = _asked(panel, "both" if target and sources else "target_only" if target else "sources_only" if sources else "nothing")
            values = {k: v for k, v in given.items() if k in asked}
            wanted = UUID(target) if is_uuid(target) else None
            await execute(ctx, ops.Decide(entity=entity.key, review=key, item=item, target=wanted, sources=[UUID(s) for s in sources], values=values))
        except (InvalidInput, Conflict, BadRequest, PlanLimitReached, PermissionDenied) as error:
            view = await _view(ask, conn, review, entity, item, target, sources, typed, error)
            return ask.page("reviews/panel.html", status=error.status, panel=view)
        except NotFound as error:
            return ask.redirect(f"/reviews/{key}", Toast(str(error.message), "warn"))
        left = await reviews.waiting(conn, ctx, review, entity)
    following = next((w.id for w in left), None)
    return ask.redirect(f"/reviews/{key}/{following}" if following else f"/reviews/{key}", Toast(_("Decided")))


def _asked(panel: reviews.Panel, case: str) -> set[str]:
    transition = panel.cases.get(case)
    return {*transition.require, *transition.ask} if transition else set()


router = Router("", route_handlers=[queue, show, decide])

__all__ = ["router"]
