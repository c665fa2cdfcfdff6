"""The workspace's own address. Who: an administrator, once, with the console of their DNS provider in another window. They name a
domain, copy two records over there, come back minutes or hours later to see whether it worked, and then make it the main address."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get, post

from saas.db import current_database
from saas.errors import AppError, Conflict, InvalidInput
from saas.i18n import gettext as _
from saas.runtime.permissions import require_active
from saas.tenants import domains, get_tenant
from saas.tenants.domains import Domain
from saas.tenants.links import own_address_of
from saas.ui import formats
from saas.ui.guards import Ask, html, redirect, site_of
from saas.ui.pages.settings import open_as_admin, show_settings
from saas.ui.views import Toast


@get("/settings/domain")
async def domain(request: Request) -> Response[Any]:
    return await _page(await open_as_admin(request))


async def _page(ask: Ask, *, typed: str = "", error: str = "", status: int = 200) -> Response[Any]:
    settings, tenant = current_database().settings, await get_tenant(ask.ctx.tenant_id)
    rows = [_row(ask, found) for found in await domains.list_domains(tenant.id)]
    return await show_settings(
        ask, "domain", "domain", status=status, rows=rows, typed=typed, error=error, target=domains.target_of(settings), own=own_address_of(tenant, "").partition("://")[2],
        own_is_main=not tenant.domain, redirects=tenant.domain_redirects, verified=[row for row in rows if row["status"] == "verified"], days=domains.LOSE_DAYS,
    )  # fmt: skip


def _row(ask: Ask, found: Domain) -> dict[str, Any]:
    record, value = domains.challenge(found.name, found.token)
    words, color = {
        "pending": (_("Waiting for the record"), "yellow"), "verified": (_("Proved"), "green"), "lost": (_("Given up"), "red"),
    }[found.status] if not found.missing_since else (_("The record is missing"), "orange")  # fmt: skip
    said = {
        "right": "", "": _("Not looked at yet."), "missing": _("There is no such TXT record yet. New records can take minutes, sometimes hours, to be seen everywhere."),
        "other": _("There is a TXT record, but with another value."), "unknown": _("DNS could not be asked just now. It is tried again by itself."),
        "taken": _("The record is right, but another workspace has proved this domain. It must be removed there first."),
    }[found.found]  # fmt: skip
    here = {None: "", True: _("The name leads here."), False: _("The name does not lead here yet: set the CNAME record.")}[found.points_here]
    until = _("The domain is given up %(days)s days after the record went missing.", days=domains.LOSE_DAYS) if found.missing_since else ""
    return {
        "name": found.name, "shown": domains.shown(found.name), "status": found.status, "words": words, "color": color, "record": record, "value": value, "said": " ".join(filter(None, (said, until))),
        "here": here, "is_here": found.points_here, "is_main": found.is_main, "checked": formats.full(ask.ctx, found.checked_at) if found.checked_at else "",
    }  # fmt: skip


@post("/settings/domain", status_code=200)
async def add(request: Request) -> Response[Any]:
    ask = await open_as_admin(request)
    require_active(ask.ctx)
    typed = str((await ask.form()).get("name") or "").strip()[:300]
    try:
        await domains.add_domain(ask.ctx.tenant_id, typed, actor_id=ask.ctx.user_id)
    except (InvalidInput, Conflict) as error:
        words: AppError | Any = error.problems[0] if isinstance(error, InvalidInput) else error
        return await _page(ask, typed=typed, error=str(words.message), status=error.status)
    return ask.redirect("/settings/domain", Toast(_("Now set the two records at your DNS provider.")))


@post("/settings/domain/check", status_code=200)
async def check(request: Request) -> Response[Any]:
    ask = await open_as_admin(request)
    name = str((await ask.form()).get("name") or "")
    change = await domains.check_now(ask.ctx.tenant_id, name, actor_id=ask.ctx.user_id)
    state = next((d.status for d in await domains.list_domains(ask.ctx.tenant_id) if d.name == name), "")
    if change.kind == "verified":
        toast = Toast(_("%(name)s is proved. The workspace answers there now.", name=domains.shown(name)))
    else:
        toast = Toast(_("%(name)s is as it should be.", name=domains.shown(name))) if state == "verified" else Toast(_("%(name)s is not proved yet.", name=domains.shown(name)), "warn")
    return ask.redirect("/settings/domain", toast)


@post("/settings/domain/main", status_code=200)
async def make_main(request: Request) -> Response[Any]:
    ask = await open_as_admin(request)
    require_active(ask.ctx)
    form = await ask.form()
    await domains.set_main(ask.ctx.tenant_id, str(form.get("main") or ""), redirects=form.get("redirects") == "on", actor_id=ask.ctx.user_id)
    return ask.redirect("/settings/domain", Toast(_("Saved. Links in messages use this address from now on.")))


@post("/settings/domain/remove", status_code=200)
async def remove(request: Request) -> Response[Any]:
    ask = await open_as_admin(request)
    name = str((await ask.form()).get("name") or "")
    await domains.remove_domain(ask.ctx.tenant_id, name, actor_id=ask.ctx.user_id)
    if site_of(request).host.rsplit(":", 1)[0].lower().removesuffix(".") == name:  # nothing answers here any more
        own = own_address_of(await get_tenant(ask.ctx.tenant_id), "/settings/domain")
        # Not as a redirect: browsers refuse one to another host as the answer to a form (form-action).
        return redirect(request, own) if ask.is_fragment else html("", headers={"refresh": f"0;url={own}"})
    return ask.redirect("/settings/domain", Toast(_("%(name)s was removed.", name=domains.shown(name))))


router = Router("", route_handlers=[domain, add, check, make_main, remove])
