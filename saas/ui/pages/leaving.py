"""Everything in one file, and the end of a workspace.

Who: an administrator who keeps a copy once a quarter, or whose company leaves. When exporting they wait for minutes, go elsewhere and
come back by the message that it is ready. What next: they fetch the file, look into it, or import it elsewhere; who leaves asks for
the deletion then, has fourteen days to change their mind, and everybody sees on every page what is coming.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath
from litestar.response import Stream

from saas.errors import Conflict
from saas.i18n import gettext as _
from saas.i18n import ngettext
from saas.runtime import archive
from saas.runtime.archive.asking import HOURS
from saas.tenants import keep_tenant, request_deletion
from saas.tenants.leaving import GRACE_DAYS
from saas.ui import formats
from saas.ui.guards import Ask
from saas.ui.pages.settings import open_as_admin, show_settings
from saas.ui.settings_views import job_status
from saas.ui.views import Toast

UNITS = ("B", "KB", "MB", "GB", "TB")


@get("/settings/everything")
async def everything(request: Request) -> Response[Any]:
    ask = await open_as_admin(request)
    rows = [_row(ask, ready) for ready in await archive.list_archives(ask.ctx)]
    running = any(row["live"] for row in rows)
    if ask.target == "archives":
        return ask.fragment("settings/_archives.html", rows=rows, running=running)
    return await show_settings(ask, "everything", "everything", rows=rows, running=running, hours=HOURS)


def _row(ask: Ask, ready: archive.Ready) -> dict[str, Any]:
    job, result = ready.job, ready.job.result or {}
    text, color = job_status(job.status)
    facts = []
    if job.status == "done":
        facts = [size_text(result.get("bytes", 0)), ngettext("%(count)s row", "%(count)s rows", result.get("rows", 0)), ngettext("%(count)s file", "%(count)s files", result.get("files", 0))]
        if result.get("missing"):
            facts.append(ngettext("%(count)s file is missing", "%(count)s files are missing", result["missing"]))
    return {
        "id": str(job.id), "at": formats.full(ask.ctx, job.created_at), "status": text, "color": color, "live": not job.is_over, "progress": job.progress, "total": job.total or 0,
        "facts": " · ".join(facts), "error": _(job.error) if job.error else "", "url": f"/settings/everything/{job.id}" if ready.is_there else "",
        "until": formats.full(ask.ctx, ready.until) if ready.until and ready.is_there else "", "is_over": job.status == "done" and not ready.is_there,
    }  # fmt: skip


def size_text(size: int) -> str:
    """A number of bytes for people: 12.3 MB."""
    amount, unit = float(size), 0
    while amount >= 1000 and unit < len(UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.1f} {UNITS[unit]}" if unit else f"{size} B"


@post("/settings/everything", status_code=200)
async def export_everything(request: Request) -> Response[Any]:
    ask = await open_as_admin(request)
    await archive.start_archive(ask.ctx)
    return ask.redirect("/settings/everything", Toast(_("The archive is being made. You will get a message when it is ready.")))


@get("/settings/everything/{job_id:uuid}")
async def fetch_everything(request: Request, job_id: FromPath[UUID]) -> Stream:
    ask = await open_as_admin(request)
    found = await archive.archive_of(ask.ctx, job_id)
    return Stream(found.chunks(), media_type=found.content_type, headers={**found.headers, "Cache-Control": "private, no-store"})


# ---- the end -------------------------------------------------------------------------------------------------------------


@get("/settings/leave")
async def leave(request: Request) -> Response[Any]:
    return await _leave_page(await open_as_admin(request))


async def _leave_page(ask: Ask, *, error: str = "", typed: str = "", status: int = 200) -> Response[Any]:
    moment = ask.session.tenant.delete_after
    return await show_settings(
        ask, "leave", "leave", status=status, name=ask.ctx.tenant.name, days=GRACE_DAYS, after=formats.full(ask.ctx, moment) if moment else "", error=error, typed=typed
    )


@post("/settings/leave", status_code=200)
async def ask_deletion(request: Request) -> Response[Any]:
    ask = await open_as_admin(request)
    typed = str((await ask.form()).get("name") or "")
    if typed.strip() != ask.ctx.tenant.name.strip():
        return await _leave_page(ask, error=_("This is not the name of the workspace."), typed=typed, status=422)
    try:
        moment = await request_deletion(ask.ctx.tenant_id, actor_id=ask.ctx.user_id, request_id=ask.ctx.request_id)
    except Conflict as error:
        return ask.redirect("/settings/leave", Toast(str(error.message), "warn"))
    return ask.redirect("/settings/leave", Toast(_("The workspace will be deleted after %(when)s. Until then nothing can be changed in it.", when=formats.full(ask.ctx, moment)), "warn"))


@post("/settings/leave/undo", status_code=200)
async def stay(request: Request) -> Response[Any]:
    ask = await open_as_admin(request)
    try:
        await keep_tenant(ask.ctx.tenant_id, actor_id=ask.ctx.user_id, request_id=ask.ctx.request_id)
    except Conflict as error:
        return ask.redirect("/settings/leave", Toast(str(error.message), "warn"))
    return ask.redirect("/settings/leave", Toast(_("The workspace stays. Everybody can work again.")))


router = Router("", route_handlers=[everything, export_everything, fetch_everything, leave, ask_deletion, stay])
