"""The list of first steps, and the sample data of the workspace.

Who: the administrator of a company that signed up minutes ago; with sample data also weeks later, when real work begins. What next: one of
the steps, or the list is put away; whoever has cleared the sample data works on, or brings it back.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get, post

from saas.errors import Conflict, NotFound
from saas.i18n import gettext as _
from saas.i18n import pick
from saas.metadata.packs import list_packs
from saas.runtime import first_steps, jobs, sample_clearing
from saas.runtime.context import Context
from saas.tenants.first_steps import bring_back, has_first_steps, put_away
from saas.ui import formats
from saas.ui.guards import Ask, signed_in
from saas.ui.pages.settings import show_settings
from saas.ui.views import Toast


async def _admin(request: Request) -> Ask:
    ask = await signed_in(request)
    sample_clearing.require_admin(ask.ctx)
    return ask


@get("/first-steps")
async def card(request: Request) -> Response[Any]:
    """The list as it stands on the home page; asked again and again while sample data is being filled in."""
    ask = await _admin(request)
    async with ask.work() as conn:
        steps = await first_steps.shown_to(conn, ask.ctx)
    if steps is None:
        raise NotFound()
    if steps.loading is None:
        return ask.redirect("/", Toast(_("The sample data could not be filled in completely."), "warn") if steps.failed else Toast(_("The sample data is complete.")))
    return ask.fragment("partials/first_steps.html", steps=steps, at_home=True)


@get("/settings/first-steps")
async def page(request: Request) -> Response[Any]:
    ask = await _admin(request)
    async with ask.work() as conn:
        steps = await first_steps.first_steps(conn, ask.ctx)
        shown = ask.ctx.user_id is not None and await has_first_steps(conn, ask.ctx.tenant_id, ask.ctx.user_id)
    return await show_settings(ask, "first_steps", "first-steps", steps=steps, shown=shown, at_home=False)


@post("/first-steps/away", status_code=200)
async def away(request: Request) -> Response[Any]:
    ask = await _admin(request)
    if ask.ctx.user_id is not None:
        await put_away(ask.ctx.tenant_id, ask.ctx.user_id)
    return ask.redirect("/", Toast(_("Put away. You find the first steps again under Settings.")))


@post("/first-steps/back", status_code=200)
async def back(request: Request) -> Response[Any]:
    ask = await _admin(request)
    if ask.ctx.user_id is not None:
        await bring_back(ask.ctx.tenant_id, ask.ctx.user_id)
    return ask.redirect("/")


# ---- sample data -----------------------------------------------------------------------------------------------------------------


@get("/settings/sample")
async def sample(request: Request) -> Response[Any]:
    ask = await _admin(request)
    state = await sample_clearing.state_of(ask.ctx)
    job = state.clearing or (state.loading if state.loading and not state.loading.is_over else None)
    if ask.target == "sample-job":
        if job is None:
            return ask.redirect("/settings/sample")
        return ask.fragment("settings/_sample_job.html", job=_job(job))
    plan = await sample_clearing.preview(ask.ctx) if state.is_there and job is None else None
    return await show_settings(
        ask, "sample", "sample", state=state, job=_job(job) if job else None, rows=_rows(ask.ctx, plan) if plan else [], plan=plan,
        can_fill=not state.was_there and job is None and _has_sample(ask.ctx), cleared=_cleared(ask.ctx, state.cleared) if state.cleared else None,
    )  # fmt: skip


def _has_sample(ctx: Context) -> bool:
    return any(p.key == ctx.config.bundle.pack.key and p.has_sample for p in list_packs())


def _job(job: jobs.JobInfo) -> dict[str, Any]:
    return {"title": job.label, "progress": job.progress, "total": job.total or 0, "id": str(job.id)}


def _rows(ctx: Context, plan: sample_clearing.Clearing) -> list[dict[str, Any]]:
    """Counts of each entity, in the order of the configuration."""
    keys = [e for e in ctx.config.entities if any(e in part for part in (plan.goes, plan.changed, plan.linked, plan.own))]
    return [
        {"name": pick(ctx.config.entity(key).defn.plural), "goes": len(plan.goes.get(key, ())), "changed": plan.changed.get(key, 0), "linked": plan.linked.get(key, 0), "own": plan.own.get(key, 0)}
        for key in keys
    ]  # fmt: skip


def _cleared(ctx: Context, job: jobs.JobInfo) -> dict[str, Any]:
    result = job.result or {}
    return {"left": result.get("left", 0) + len(result.get("people", [])) if job.payload.get("undo") else 0, "count": sum(result.get("gone", {}).values()), "people": len(result.get("people", [])), "when": formats.full(ctx, job.finished_at) if job.finished_at else ""}


@post("/settings/sample/clear", status_code=200)
async def clear(request: Request) -> Response[Any]:
    return await _begun(await _admin(request), sample_clearing.begin_clearing)


@post("/settings/sample/undo", status_code=200)
async def undo(request: Request) -> Response[Any]:
    return await _begun(await _admin(request), sample_clearing.begin_undoing)


async def _begun(ask: Ask, begin: Any) -> Response[Any]:
    try:
        await begin(ask.ctx)
    except Conflict as error:
        return ask.redirect("/settings/sample", Toast(str(error.message), "warn"))
    return ask.redirect("/settings/sample")


@post("/settings/sample/fill", status_code=200)
async def fill(request: Request) -> Response[Any]:
    ask = await _admin(request)
    if not _has_sample(ask.ctx):
        return ask.redirect("/settings/sample")
    return await _begun(ask, sample_clearing.begin_filling)


router = Router("", route_handlers=[card, page, away, back, sample, clear, undo, fill])
