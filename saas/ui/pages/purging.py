"""Purging records for good.

Who: an administrator once a year, or when somebody asks that their data be destroyed; next they keep the export and look at an empty list.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import AppError, Conflict, InvalidInput, PermissionDenied
from saas.i18n import gettext as _
from saas.i18n import ngettext, pick
from saas.runtime import purging
from saas.runtime.records import entity_of
from saas.tenants.ids import uuid_of
from saas.ui.guards import Ask, signed_in, whole_number
from saas.ui.views import Toast


@get("/r/{entity:str}/purge")
async def show(request: Request, entity: FromPath[str]) -> Response[Any]:
    """First the question which records; with `before` (a day, or "all") what would go, and the export of it."""
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    if not purging.may_purge(ask.ctx, entity):
        raise PermissionDenied()
    return _page(ask, found, None, None, "")


def _page(ask: Ask, entity: Any, plan: purging.PurgePlan | None, before: date | None, error: str, *, status: int = 200) -> Response[Any]:
    file = (plan.export.result or {}).get("file_id") if plan else None
    return ask.page(
        "records/purge.html", status=status, plural=pick(entity.defn.plural, ask.ctx.locale), url=f"/r/{entity.key}", plan=plan, before=before.isoformat() if before else "", error=error,
        file_url=f"/files/{file}" if file else "", file_name=(plan.export.result or {}).get("name", "") if plan else "", is_ready=bool(plan) and plan.export.status == "done",
        job_url=f"/jobs/{plan.export.id}" if plan else "",
    )  # fmt: skip


@post("/r/{entity:str}/purge", status_code=200)
async def purge(request: Request, entity: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    found, form = entity_of(ask.ctx, entity), await ask.form()
    text = str(form.get("before") or "")
    try:
        before = date.fromisoformat(text) if text else None
    except ValueError:
        return _page(ask, found, None, None, _("This is no day."), status=422)
    if not form.get("export"):
        try:
            return _page(ask, found, await purging.plan(ask.ctx, entity, before=before), before, "")
        except Conflict as error:
            return _page(ask, found, None, before, str(error.message), status=409)
    try:
        job = await purging.begin(ask.ctx, entity, export_id=uuid_of(str(form.get("export"))), count=_number(str(form.get("count") or "")), before=before)
    except (Conflict, InvalidInput) as error:
        return _page(ask, found, await _again(ask, entity, before), before, _words(error), status=error.status)
    if not job.is_over:
        return ask.redirect(f"/jobs/{job.id}", Toast(_("The records are being purged.")))
    if job.status != "done":
        return ask.redirect(f"/jobs/{job.id}")
    done = (job.result or {}).get("done", 0)
    return ask.redirect(f"/r/{entity}", Toast(ngettext("%(count)s record destroyed.", "%(count)s records destroyed.", done)))


async def _again(ask: Ask, entity: str, before: date | None) -> purging.PurgePlan | None:
    """The plan as it is now, under a new export."""
    try:
        return await purging.plan(ask.ctx, entity, before=before)
    except Conflict:
        return None


def _words(error: AppError) -> str:
    return str(error.problems[0].message) if isinstance(error, InvalidInput) and error.problems else str(error.message)


def _number(text: str) -> int:
    found = whole_number(text.replace(",", "").strip())
    return -1 if found is None else found


router = Router("", route_handlers=[show, purge])
