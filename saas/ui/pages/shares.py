"""With whom a record is shared: a colleague helps with one customer for a week, a department reads along.

Who: the owner of a record, when somebody else has to see it; next they go back to the record. Whoever reads the record sees the list.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import InvalidInput, NotFound
from saas.i18n import gettext as _
from saas.i18n import pick
from saas.metadata.config import Entity
from saas.runtime import execute, shares
from saas.runtime import operations as ops
from saas.runtime.records import entity_of
from saas.tenants import list_departments, list_users
from saas.ui import formats
from saas.ui.guards import Ask, signed_in
from saas.ui.views import Toast

FIELDS = ("subject", "level", "until", "part")


@get("/r/{entity:str}/{record_id:uuid}/shares")
async def show(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    return await _page(ask, _sharing(ask, entity), record_id, {}, {})


def _sharing(ask: Ask, key: str) -> Entity:
    entity = entity_of(ask.ctx, key)
    if not entity.defn.sharing:
        raise NotFound()
    return entity


async def _page(ask: Ask, entity: Entity, record_id: UUID, typed: Mapping[str, Any], errors: Mapping[str, str]) -> Response[Any]:
    ctx = ask.ctx
    async with ask.work():
        record = await execute(ctx, ops.Get(entity=entity.key, id=record_id))
        found = await shares.shares_of(ctx, entity.key, record_id)
        people = await list_users(ctx.tenant_id, only_active=True)
        departments = await list_departments(ctx.tenant_id)
    levels = {"read": _("can read"), "edit": _("can edit")}
    rows = [
        {
            "subject": s.subject, "name": s.name, "part": s.part, "level": levels.get(s.level, s.level), "over": s.is_over, "by": s.by, "at": formats.full(ctx, s.created_at),
            "until": formats.day(ctx, (s.until - timedelta(seconds=1)).astimezone(ctx.zone).date()) if s.until else "",
        }
        for s in found
    ]  # fmt: skip
    choices = [
        (_("People"), [(f"user:{u['id']}", u["name"]) for u in people if u["id"] not in (record.owner, ctx.user_id)]),
        (_("Departments"), [(f"dept:{d['id']}", pick(d["name"], ctx.locale)) for d in departments]),
        (_("Roles"), [(f"role:{r.key}", pick(r.label, ctx.locale)) for r in ctx.config.bundle.roles if not r.external]),
    ]  # fmt: skip
    data = {
        "title": record.title, "plural": pick(entity.defn.plural, ctx.locale), "list_url": f"/r/{entity.key}", "url": f"/r/{entity.key}/{record_id}", "rows": rows,
        "may": bool(record.can and record.can.share), "choices": choices, "typed": {**dict.fromkeys(FIELDS, ""), **typed}, "errors": {**dict.fromkeys(FIELDS, ""), **errors}, "levels": levels,
    }  # fmt: skip
    return ask.page("records/shares.html", status=422 if errors else 200, **data)


@post("/r/{entity:str}/{record_id:uuid}/shares", status_code=200)
async def save(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    found, form = _sharing(ask, entity), await ask.form()
    typed = {name: str(form.get(name) or "").strip() for name in FIELDS}
    url = f"/r/{found.key}/{record_id}/shares"
    try:
        if form.get("revoke"):
            await shares.revoke(ask.ctx, found.key, record_id, str(form.get("revoke")))
            return ask.redirect(url, Toast(_("Not shared with them any more.")))
        until = _end_of(ask, typed["until"])
        await shares.share(ask.ctx, found.key, record_id, typed["subject"], level=typed["level"] or "read", until=until, part=typed["part"])
    except InvalidInput as error:
        return await _page(ask, found, record_id, typed, error.by_field())
    return ask.redirect(url, Toast(_("Shared.")))


def _end_of(ask: Ask, day: str) -> datetime | None:
    """The end of that day where the company is. Errors: InvalidInput."""
    if not day:
        return None
    try:
        return (datetime.combine(datetime.fromisoformat(day).date(), time(), ask.ctx.zone) + timedelta(days=1)).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)  # no day that is still to come


router = Router("", route_handlers=[show, save])
