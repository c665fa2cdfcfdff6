"""Settings: the overview, the audit log, jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get

from saas.errors import PermissionDenied
from saas.i18n import lazy, pick
from saas.runtime import permissions
from saas.tenants import (
    list_audit,
    list_users,
)
from saas.ui import formats
from saas.ui import settings_views as views
from saas.ui.guards import Ask, signed_in

PAGE = 60


async def open_settings(request: Request, part: str) -> Ask:
    ask = await signed_in(request)
    permissions.require_setting(ask.ctx, part)
    return ask


async def show_settings(ask: Ask, template: str, current: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **data: Any) -> Response[Any]:
    async with ask.work():
        pass
    return ask.page(f"settings/{template}.html", status=status, headers=headers, nav=views.navigation(ask.ctx, current), current=current, **data)


@get("/settings")
async def overview(request: Request) -> Response[Any]:
    ask = await signed_in(request)
    groups = views.navigation(ask.ctx, "")
    if not groups:
        raise PermissionDenied(lazy("Your role does not include this part of the settings."))
    return await show_settings(ask, "index", "", pack=ask.ctx.config.bundle.pack, pack_label=pick(ask.ctx.config.bundle.pack.label), revision=ask.ctx.config.revision)


def uuid_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


# ---- audit, jobs -------------------------------------------------------------------------------------------------------


@get("/settings/audit")
async def audit(request: Request) -> Response[Any]:
    ask = await open_settings(request, "audit")
    before = uuid_of(request.query_params.get("before", ""))
    found = await list_audit(ask.ctx.tenant_id, limit=PAGE, before=before, kind=request.query_params.get("kind") or None)
    names = {str(u["id"]): u["name"] for u in await list_users(ask.ctx.tenant_id)}
    rows = [
        {"at": formats.full(ask.ctx, r["at"]), "actor": r["actor_name"] or "", "kind": r["kind"], "what": str(views.AUDIT_EVENTS.get(r["kind"], r["kind"])), "target": names.get(r["target"], r["target"] or ""), "ip": r["ip"], "data": views.audit_facts(ask.ctx, r["data"] or {})}
        for r in found
    ]  # fmt: skip
    return await show_settings(ask, "audit", "audit", rows=rows, next_url=f"/settings/audit?before={found[-1]['id']}" if len(found) == PAGE else "")


@get("/settings/jobs")
async def jobs(request: Request) -> Response[Any]:
    ask = await open_settings(request, "jobs")
    async with ask.work() as conn:
        found = await conn.fetch(
            "SELECT j.id, j.kind, j.status, j.progress, j.total, j.error, j.attempts, j.run_at, j.created_at, j.finished_at, u.name AS who "
            "FROM job j LEFT JOIN app_user u ON u.tenant_id = j.tenant_id AND u.id = j.created_by WHERE j.tenant_id = $1 ORDER BY j.created_at DESC LIMIT $2",
            ask.ctx.tenant_id, PAGE,
        )  # fmt: skip
    return await show_settings(ask, "jobs", "jobs", rows=views.jobs(ask.ctx, found))


router = Router(
    "",
    route_handlers=[
        overview, audit, jobs,
    ],
)  # fmt: skip
