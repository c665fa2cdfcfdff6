"""Support access. Who: an administrator who got the message “support asks to look in”, decides, and later reads what was looked at; and
the operator, who comes in by a one-time link from the console and leaves by the banner."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import AppError, BadRequest, NotAuthenticated, NotFound
from saas.i18n import gettext as _
from saas.i18n import pick
from saas.tenants import (
    SupportRules,
    decide_support_access,
    end_support_access,
    get_support_rules,
    list_support_accesses,
    open_support_session,
    set_support_rules,
)
from saas.tenants.support import list_looks
from saas.ui import formats
from saas.ui.guards import (
    SESSION_COOKIE,
    Ask,
    add_cookie,
    check_token,
    cookies_of,
    html,
    page_data,
    redirect,
    refuse_foreign,
    site_of,
)
from saas.ui.pages.settings import open_as_admin, show_settings
from saas.ui.render import render
from saas.ui.support import LEAVE, is_support, look_in
from saas.ui.views import Choice, Link, Toast

PAGE = "/settings/support"
LINES = 200  # on a page


@get(PAGE)
async def support(request: Request) -> Response[Any]:
    return await _page(await open_as_admin(request))


async def _page(ask: Ask, *, error: str = "", status: int = 200) -> Response[Any]:
    ctx = ask.ctx
    rules = await get_support_rules(ctx.tenant_id)
    found = await list_support_accesses(ctx.tenant_id)
    shown = [_row(ask, row) for row in found]
    roles = [Choice("", _("Administrator"), not rules.role_key), *(Choice(r.key, pick(r.label, ctx.locale), r.key == rules.role_key) for r in ctx.config.bundle.roles if not r.admin)]
    return await show_settings(
        ask, "support", "support", status=status, error=error, rules=rules, roles=roles, asked=[r for r in shown if r["state"] == "asked"], ready=[r for r in shown if r["state"] in ("ready", "open")],
        over=[r for r in shown if r["state"] == "over"],
    )  # fmt: skip


def _row(ask: Ask, row: dict[str, Any]) -> dict[str, Any]:
    ctx = ask.ctx
    state = row["status"] if row["live"] else "over"
    minutes = max(0, -(-int((row["until"] - datetime.now(UTC)).total_seconds()) // 60))
    outcomes = {
        "refused": _("refused"), "withdrawn": _("withdrawn by support"), "ended": _("ended by support"), "ended_by_tenant": _("ended by an administrator"), "consent": _("ended: consent taken back"),
    }  # fmt: skip
    role = ctx.config.roles.get(row["role_key"])
    return {
        "id": str(row["id"]), "who": row["operator_name"], "email": row["operator_email"], "mode": row["mode"], "reason": row["reason"], "asked": formats.full(ctx, row["asked_at"]), "state": state,
        "minutes": minutes, "until": formats.full(ctx, row["until"]), "opened": formats.full(ctx, row["opened_at"]) if row["opened_at"] else "",
        "by": row["decided_name"] or (_("by your consent") if row["by_consent"] else ""), "outcome": outcomes.get(row["outcome"]) or (_("the hour was over") if row["opened_at"] else _("never opened")),
        "role": pick(role.label, ctx.locale) if role else _("Administrator"), "url": f"{PAGE}/{row['id']}" if row["opened_at"] else "",
    }  # fmt: skip


@post(PAGE, status_code=200)
async def save(request: Request) -> Response[Any]:
    ask = await open_as_admin(request)
    form = await ask.form()
    role = str(form.get("role") or "")
    if role and role not in ask.ctx.config.roles:
        raise BadRequest()
    rules = SupportRules("on" in form.getall("consent", []), role)
    await set_support_rules(ask.ctx.tenant_id, rules, actor_id=ask.ctx.user_id)
    return ask.redirect(PAGE, Toast(_("Saved. Support may look for an hour at a time.") if rules.consent else _("Saved. Support asks each time, and waits for your answer.")))


@post(f"{PAGE}/{{access_id:uuid}}", status_code=200)
async def decide(request: Request, access_id: FromPath[UUID]) -> Response[Any]:
    """`act`: approve, refuse, end."""
    ask = await open_as_admin(request)
    form, ctx = await ask.form(), ask.ctx
    act, role = str(form.get("act") or ""), str(form.get("role") or "")
    assert ctx.user_id is not None
    if act not in ("approve", "refuse", "end") or (role and role not in ctx.config.roles):
        raise BadRequest()
    try:
        if act == "end":
            await end_support_access(ctx.tenant_id, access_id, actor_id=ctx.user_id)
        else:
            row = next((r for r in await list_support_accesses(ctx.tenant_id) if r["id"] == access_id), None)
            if row is not None and row["mode"] == "write" and act == "approve" and "on" not in form.getall("sure", []):
                return await _page(ask, error=_("To let support change records, tick the box as well."), status=422)
            await decide_support_access(ctx.tenant_id, access_id, approve=act == "approve", actor_id=ctx.user_id, role_key=role)
    except AppError as error:
        return await _page(ask, error=str(error.message), status=error.status)
    return ask.redirect(PAGE, Toast({"approve": _("Approved. Support may open this workspace once, for an hour."), "refuse": _("Refused."), "end": _("The access has ended.")}[act]))


@get(f"{PAGE}/{{access_id:uuid}}")
async def seen(request: Request, access_id: FromPath[UUID]) -> Response[Any]:
    """What was looked at: the lines of the audit log about one access."""
    ask = await open_as_admin(request)
    row = next((r for r in await list_support_accesses(ask.ctx.tenant_id, limit=500) if r["id"] == access_id), None)
    if row is None or row["opened_at"] is None:
        raise NotFound()
    try:
        before = UUID(request.query_params["before"]) if "before" in request.query_params else None
    except ValueError as error:
        raise BadRequest() from error
    found = await list_looks(ask.ctx.tenant_id, row, before=before, limit=LINES + 1)
    more = f"{PAGE}/{access_id}?before={found[LINES - 1]['id']}" if len(found) > LINES else ""
    rows = [{"at": formats.full(ask.ctx, e["at"]), "path": e["target"], "wrote": e["kind"] == "support.acted", "ip": e["ip"]} for e in found[:LINES]]
    return await show_settings(ask, "support_seen", "support", rows=rows, more=more, access=_row(ask, row))


# ---- the operator ----------------------------------------------------------------------------------------------------------


@get("/support/enter/{ticket:str}")
async def enter(request: Request, ticket: FromPath[str]) -> Response[Any]:
    """From the console, once. A ticket of another workspace is nothing here."""
    tenant = site_of(request).tenant
    if tenant is None:
        raise NotFound()
    opened = await open_support_session(tenant.id, ticket[:200], ip=request.client.host if request.client else "")
    if opened is None:
        text = {"code": 403, "title": _("This link opens nothing any more"), "message": _("It works once and for a minute. Open the access again from the operator console."), "details": [], "actions": [Link(_("Sign in"), "/login")], "request_id": ""}
        return html(render("errors/page.html", **page_data(request), **text), status=403)
    token, until = opened
    response = redirect(request, "/")
    add_cookie(request, response, SESSION_COOKIE, token, seconds=max(1, int((until - datetime.now(UTC)).total_seconds())))
    response.headers["referrer-policy"] = "no-referrer"
    return response


@post(LEAVE, status_code=200)
async def leave(request: Request) -> Response[Any]:
    refuse_foreign(request)
    site, token = site_of(request), cookies_of(request).get(SESSION_COOKIE)
    if site.tenant is None:
        raise NotFound()
    session = await look_in(request, token) if token and is_support(token) else None
    if session is None:
        raise NotAuthenticated()
    await check_token(request, session.csrf_secret)
    await end_support_access(site.tenant.id, session.id, actor_id=None)
    response = redirect(request, "/login", Toast(_("The support access has ended.")))
    add_cookie(request, response, SESSION_COOKIE, "", seconds=0)
    return response


router = Router("", route_handlers=[support, save, decide, seen, enter, leave])
