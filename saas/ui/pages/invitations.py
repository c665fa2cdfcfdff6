"""Inviting people: opened by whoever gets a new colleague; next they see in the list of people whether the invitation was accepted,
send it again or withdraw it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import AppError, Conflict, FieldProblem, InvalidInput, PlanLimitReached, TooManyRequests
from saas.i18n import LOCALES, pick
from saas.i18n import gettext as _
from saas.runtime import invitations, permissions
from saas.tenants import list_departments
from saas.tenants.ids import uuid_of
from saas.tenants.mail import mail_is_sent
from saas.ui.guards import Ask
from saas.ui.pages.settings import open_settings, show_settings
from saas.ui.views import Choice, Toast

FIELDS = ("email", "name", "roles", "department", "locale")


@get("/settings/users/invite")
async def new_invitation(request: Request) -> Response[Any]:
    return await _form(await open_settings(request, "users"), {}, {})


@post("/settings/users/invite", status_code=200)
async def send_invitation(request: Request) -> Response[Any]:
    ask = await open_settings(request, "users")
    form = await ask.form()
    typed: dict[str, Any] = {name: str(form.get(name) or "").strip() for name in ("email", "name", "department", "locale")}
    typed["roles"] = [str(r) for r in form.getall("roles", []) if str(r) in ask.ctx.config.roles]
    try:
        await invitations.invite(
            ask.ctx, typed["email"], typed["roles"], name=typed["name"], department_id=uuid_of(typed["department"]), locale=typed["locale"] if typed["locale"] in LOCALES else None
        )
    except (InvalidInput, Conflict, TooManyRequests, PlanLimitReached) as error:
        return await _form(ask, typed, _words(error), status=error.status)
    return ask.redirect("/settings/users", _told(typed["email"]))


@post("/settings/users/invitations/{invitation_id:uuid}/resend", status_code=200)
async def resend(request: Request, invitation_id: FromPath[UUID]) -> Response[Any]:
    ask = await open_settings(request, "users")
    try:
        await invitations.resend(ask.ctx, invitation_id)
    except (InvalidInput, TooManyRequests, PlanLimitReached) as error:
        return ask.redirect("/settings/users", Toast(next(iter(_words(error).values())), "error"))
    return ask.redirect("/settings/users", _told(""))


@post("/settings/users/invitations/{invitation_id:uuid}/withdraw", status_code=200)
async def withdraw(request: Request, invitation_id: FromPath[UUID]) -> Response[Any]:
    ask = await open_settings(request, "users")
    await invitations.withdraw(ask.ctx, invitation_id)
    return ask.redirect("/settings/users", Toast(_("The invitation was withdrawn; its link does not work any more.")))


def _told(email: str) -> Toast:
    if not mail_is_sent():
        return Toast(_("The invitation is recorded, but nothing was sent: no mail server is set up. An administrator finds its link under Settings, Mail."), "warn")
    return Toast(_("The invitation is on its way to %(email)s.", email=email) if email else _("The invitation is on its way again."))


def _words(error: AppError) -> dict[str, str]:
    if isinstance(error, Conflict):
        return {"email": str(error.message)}
    if isinstance(error, InvalidInput):
        return {p.field if p.field in FIELDS else "": str(p.message) for p in error.problems if isinstance(p, FieldProblem)}
    return {"": str(error.message)}


async def _form(ask: Ask, typed: Mapping[str, Any], errors: Mapping[str, str], *, status: int = 200) -> Response[Any]:
    """Only roles that the person may give are offered."""
    ctx = ask.ctx
    values = {"email": "", "name": "", "department": "", "locale": ctx.tenant.locale, "roles": [], **typed}
    return await show_settings(
        ask, "invite", "users", status=status, values=values, errors={k: errors.get(k, "") for k in (*FIELDS, "")}, is_sent=mail_is_sent(),
        roles=[Choice(r.key, pick(r.label, ctx.locale), r.key in values["roles"]) for r in ctx.config.bundle.roles if permissions.may_give(ctx, r)],
        departments=[Choice(str(d["id"]), "  " * d["depth"] + pick(d["name"], ctx.locale), str(d["id"]) == values["department"]) for d in await list_departments(ctx.tenant_id)],
    )  # fmt: skip


router = Router("", route_handlers=[new_invitation, send_invitation, resend, withdraw])
