"""Notifications, search, the person's own profile."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import BadRequest, InvalidInput, TooManyRequests
from saas.i18n import LOCALES, listed, pick
from saas.i18n import gettext as _
from saas.metadata.property_words import CHANNELS
from saas.runtime.approvals.notices import KIND as APPROVAL
from saas.runtime.finding import find_everywhere
from saas.runtime.messages.opt_outs import channels_off, opt_in, opt_out
from saas.runtime.notifications import CHANNELS as TOLD
from saas.runtime.notifications import inbox, mark_read, tell_by, told_by
from saas.tenants import (
    change_password,
    change_verification,
    get_second_factor,
    get_security_rules,
    list_departments,
    list_sessions,
    update_user,
    verification_of,
)
from saas.ui import formats
from saas.ui.devices import device_words
from saas.ui.errors import wants_json
from saas.ui.guards import Ask, add_cookie, signed_in
from saas.ui.pages.sessions import YEAR
from saas.ui.views import Choice, Empty, Hit, NoteView, Profile, Toast

PAGE = 50
PLACES = {"support": "/settings/support", "operator_export": "/settings/audit", "usage": "/settings/plan", "connection": "/settings/connections"}  # where messages lead that are about no record, by their kind


@get("/notifications")
async def notifications(request: Request) -> Response[Any]:
    ask = await signed_in(request)
    before = request.query_params.get("before")
    try:
        last = UUID(before) if before else None
    except ValueError as error:
        raise BadRequest() from error
    async with ask.work() as conn:
        rows = await inbox(conn, ask.ctx, limit=PAGE, before=last)
    notes = [
        NoteView(str(r["id"]), f"/notifications/{r['id']}", r["title"], r["body"] or "", r["created_at"].isoformat(), formats.moment(ask.ctx, r["created_at"]), formats.full(ask.ctx, r["created_at"]), r["read_at"] is not None)
        for r in rows
    ]  # fmt: skip
    empty = Empty("bell", _("No notifications"), _("When something needs you, it appears here."))
    return ask.page("notifications.html", notes=notes, unread=ask.unread, empty=empty, next_url=f"/notifications?before={notes[-1].id}" if len(notes) == PAGE else "")


@get("/notifications/{note_id:uuid}")
async def open_notification(request: Request, note_id: FromPath[UUID]) -> Response[Any]:
    """Mark it as read and go to what it is about."""
    ask = await signed_in(request)
    async with ask.work() as conn:
        row = await conn.fetchrow("SELECT entity_key, record_id, kind FROM notification WHERE tenant_id = $1 AND user_id = $2 AND id = $3", ask.ctx.tenant_id, ask.ctx.user_id, note_id)
        await mark_read(conn, ask.ctx, [note_id])
    there = row is not None and row["entity_key"] in ask.ctx.config.entities and row["record_id"]
    if there and row is not None and row["kind"] == APPROVAL:
        return ask.redirect(f"/r/{row['entity_key']}/{row['record_id']}/approval")
    if row is not None and row["kind"] in PLACES:
        return ask.redirect(PLACES[row["kind"]])
    return ask.redirect(f"/r/{row['entity_key']}/{row['record_id']}" if there else "/notifications")


@post("/notifications/read", status_code=200)
async def read_all(request: Request) -> Response[Any]:
    ask = await signed_in(request)
    async with ask.work() as conn:
        await mark_read(conn, ask.ctx)
    return ask.redirect("/notifications")


@get("/search")
async def search(request: Request) -> Response[Any]:
    ask = await signed_in(request)
    q = request.query_params.get("q", "").strip()[:200]
    async with ask.work():
        found = await find_everywhere(ask.ctx, q, limit=8 if wants_json(request) else 60)
    config, locale = ask.ctx.config, ask.ctx.locale
    hits = [
        Hit(str(f.record.id), f"/r/{f.entity}/{f.record.id}", f.record.title, config.entity(f.entity).defn.icon, pick(config.entity(f.entity).defn.label, locale), f.subtitle)
        for f in found
    ]  # fmt: skip
    if wants_json(request):
        items = [{"url": h.url, "text": h.text, "note": h.note, "icon": h.icon} for h in hits]
        return Response({"items": items}, headers={"cache-control": "no-store"})
    return ask.page("search.html", q=q, hits=hits, empty=Empty("search", _("Nothing found"), _("Try fewer or other words.")))


@get("/profile")
async def profile(request: Request) -> Response[Any]:
    return await _profile(await signed_in(request), {})


async def _profile(ask: Ask, errors: dict[str, str], *, status: int = 200) -> Response[Any]:
    ctx = ask.ctx
    user = ctx.user
    assert user is not None
    async with ask.work() as conn:
        departments = await list_departments(ctx.tenant_id)
        sessions, factor = await list_sessions(ctx.tenant_id, user.id), await get_second_factor(ctx.tenant_id, user.id)
        rules = await get_security_rules(ctx.tenant_id)
        off, (told, has_phone) = await channels_off(conn, ctx), await told_by(conn, ctx)
    department = next((pick(d["name"], ctx.locale) for d in departments if d["id"] == user.department_id), "")
    roles = [pick(ctx.config.roles[k].label, ctx.locale) for k in user.role_keys if k in ctx.config.roles]
    shown = Profile(user.name, user.email, listed(roles), department)
    rows = [
        {"id": str(s["id"]), "device": device_words(s["user_agent"]) if s["kind"] == "web" else _("%(device)s, remembered", device=device_words(s["user_agent"])) if s["kind"] == "device" else _("Program (API)"), "here": s["id"] == ask.session.id, "ip": s["ip"],
         "seen": formats.moment(ctx, s["last_seen_at"]), "since": formats.full(ctx, s["created_at"])}
        for s in sessions
    ]  # fmt: skip
    return ask.page(
        "profile.html", status=status, profile=shown, errors={**dict.fromkeys(("current", "password", "item", "item_password", "old_item", "new_item"), ""), **errors}, sessions=rows, verification=await verification_of(ctx.tenant_id, user.id), factor=factor, minimum=rules.minimum_length,
        needs_factor=ask.session.user.needs_second_factor, channels=[Choice(key, str(label), key not in off) for key, label in CHANNELS.items()],
        told=[Choice(key, str(CHANNELS[key]), key in told) for key in TOLD], has_phone=has_phone,
    )  # fmt: skip


@post("/profile", status_code=200)
async def save_profile(request: Request) -> Response[Any]:
    ask = await signed_in(request)
    form = await ask.form()
    locale = str(form.get("locale") or "")
    if locale in LOCALES and ask.ctx.user_id:
        await update_user(ask.ctx.tenant_id, ask.ctx.user_id, {"locale": locale}, actor_id=ask.ctx.user_id)
    response = ask.redirect("/profile", Toast(_("Saved")))
    add_cookie(request, response, "keys", "on" if "on" in form.getall("keys", []) else "off", seconds=YEAR)
    return response


@post("/profile/channels", status_code=200)
async def save_channels(request: Request) -> Response[Any]:
    """By which ways the person wants messages of this workspace."""
    ask = await signed_in(request)
    wanted = {str(c) for c in (await ask.form()).getall("channels", [])}
    async with ask.work() as conn:
        for channel in CHANNELS:
            await (opt_in if channel in wanted else opt_out)(conn, ask.ctx, channel, user_id=ask.ctx.user_id)
    return ask.redirect("/profile", Toast(_("Saved")))


@post("/profile/notifications", status_code=200)
async def save_told(request: Request) -> Response[Any]:
    """How the person learns of notifications they have not read after some minutes."""
    ask = await signed_in(request)
    await tell_by(ask.ctx, [str(c) for c in (await ask.form()).getall("told", [])])
    return ask.redirect("/profile", Toast(_("Saved")))


@post("/profile/password", status_code=200)
async def save_password(request: Request) -> Response[Any]:
    ask = await signed_in(request)
    form = await ask.form()
    assert ask.ctx.user_id is not None
    try:
        await change_password(ask.ctx.tenant_id, ask.ctx.user_id, str(form.get("current") or ""), str(form.get("password") or ""), item=str(form.get("item") or "")[:200], keep_session=ask.session.id)
    except InvalidInput as error:
        names = {"old_password": "current"}
        return await _profile(ask, {names.get(p.field, p.field): str(p.message) for p in error.problems}, status=422)
    except TooManyRequests as error:
        return await _profile(ask, {"current": str(error.message)}, status=429)
    return ask.redirect("/profile", Toast(_("Your password has been changed. Other sessions have ended.")))


@post("/profile/verification", status_code=200)
async def save_verification(request: Request) -> Response[Any]:
    """Another verification item, for those whose password is changed by showing it."""
    ask = await signed_in(request)
    form = await ask.form()
    assert ask.ctx.user_id is not None
    typed = [str(form.get(name) or "")[:200] for name in ("item_password", "old_item", "new_item")]
    try:
        await change_verification(ask.ctx.tenant_id, ask.ctx.user_id, *typed)
    except InvalidInput as error:
        names = {"password": "item_password", "item": "old_item"}
        return await _profile(ask, {names.get(p.field, p.field): str(p.message) for p in error.problems}, status=422)
    except TooManyRequests as error:
        return await _profile(ask, {"item_password": str(error.message)}, status=429)
    return ask.redirect("/profile", Toast(_("Your verification item has been changed.")))


router = Router("", route_handlers=[save_verification, notifications, open_notification, read_all, search, profile, save_profile, save_channels, save_told, save_password])
