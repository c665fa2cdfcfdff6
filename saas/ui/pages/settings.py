"""Settings: the overview, the audit log, the log of what was done to records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, Router, get

from saas.errors import PermissionDenied
from saas.i18n import lazy, pick
from saas.runtime import activity, permissions
from saas.runtime.archive.asking import require_admin
from saas.tenants import (
    list_audit,
    list_users,
)
from saas.tenants.ids import uuid_of
from saas.ui import formats
from saas.ui import settings_views as views
from saas.ui.guards import Ask, signed_in
from saas.ui.record_page import act_text
from saas.ui.views import Choice

PAGE = 60


async def open_settings(request: Request, part: str) -> Ask:
    ask = await signed_in(request)
    permissions.require_setting(ask.ctx, part)
    return ask


async def open_as_admin(request: Request) -> Ask:
    """For pages that no other role may be given."""
    ask = await signed_in(request)
    require_admin(ask.ctx)
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


# ---- audit -------------------------------------------------------------------------------------------------------------


@get("/settings/audit")
async def audit(request: Request) -> Response[Any]:
    ask = await open_settings(request, "audit")
    before = uuid_of(request.query_params.get("before", ""))
    found = await list_audit(ask.ctx.tenant_id, limit=PAGE, before=before, kind=request.query_params.get("kind") or None)
    names = {str(u["id"]): u["name"] for u in await list_users(ask.ctx.tenant_id)}
    rows = [
        {"at": formats.full(ask.ctx, r["at"]), "actor": r["actor_name"] or "", "kind": r["kind"], "what": str(views.AUDIT_EVENTS.get(r["kind"], r["kind"])), "target": views.audit_target(ask.ctx, r["kind"], r["target"] or "", names, r["data"] or {}), "ip": r["ip"], "data": views.audit_facts(ask.ctx, r["data"] or {}, names)}
        for r in found
    ]  # fmt: skip
    return await show_settings(ask, "audit", "audit", rows=rows, next_url=f"/settings/audit?before={found[-1]['id']}" if len(found) == PAGE else "")


@get("/settings/log")
async def operations(request: Request) -> Response[Any]:
    """Who did what to which record. For whoever asks “who changed this, and when?”; next they open the record."""
    ask = await open_settings(request, "audit")
    ctx, query = ask.ctx, request.query_params
    asked = {name: query.get(name, "") for name in ("entity", "person", "first", "last")}
    first, last, person = date_of(asked["first"]), date_of(asked["last"]), uuid_of(asked["person"])
    moment, _tilde, event = query.get("before", "").partition("~")
    at, event_id = moment_of(moment), uuid_of(event)
    found = await activity.log(ctx, entity=asked["entity"] or None, person=person, first=first, last=last, before=(at, event_id) if at and event_id else None, limit=PAGE)
    rows = [
        {
            "at": formats.full(ctx, e.at), "iso": e.at.isoformat(), "actor": e.told.actor, "what": act_text(e.entity, e.told), "entity": pick(e.entity.defn.label, ctx.locale), "icon": e.entity.defn.icon, "title": e.title or str(e.record_id)[:8],
            "url": f"/r/{e.entity.key}/{e.record_id}" + ("?deleted=1" if e.is_deleted else ""), "changes": e.told.changes[:8] if e.told.kind != "created" else [],
        }
        for e in found
    ]  # fmt: skip
    first, last = activity.days(ctx, first, last)
    asked |= {"first": first.isoformat(), "last": last.isoformat()}
    entities = [Choice(e.key, pick(e.defn.plural, ctx.locale), e.key == asked["entity"]) for e in ctx.config.entities.values() if permissions.may(ctx, "read", e.key)]
    people = [Choice(str(u["id"]), u["name"], str(u["id"]) == asked["person"]) for u in await list_users(ctx.tenant_id)]
    next_url = f"/settings/log?{urlencode({**asked, 'before': f'{found[-1].at.isoformat()}~{found[-1].event_id}'})}" if len(found) == PAGE else ""
    return await show_settings(ask, "log", "log", rows=rows, asked=asked, entities=entities, people=people, next_url=next_url)


def date_of(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def moment_of(text: str) -> datetime | None:
    """As a link of ours to the next page names it: with its time zone."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None


router = Router(
    "",
    route_handlers=[
        overview, audit, operations,
    ],
)  # fmt: skip
