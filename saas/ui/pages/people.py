"""People of a workspace: who they are, their roles, departments and passwords."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.db import tenant_transaction
from saas.errors import AppError, Conflict, FieldProblem, InvalidInput, NotFound
from saas.i18n import gettext as _
from saas.i18n import lazy, pick
from saas.runtime import invitations, permissions
from saas.tenants import create_user, list_departments, list_users, set_password, update_user
from saas.tenants.mail import mail_is_sent
from saas.ui import settings_views as views
from saas.ui.guards import Ask
from saas.ui.pages.settings import open_settings, show_settings, uuid_of
from saas.ui.views import Choice, Toast


@get("/settings/users")
async def users(request: Request) -> Response[Any]:
    ask = await open_settings(request, "users")
    people, departments = await list_users(ask.ctx.tenant_id), await list_departments(ask.ctx.tenant_id)
    invited = views.invitations(ask.ctx, await invitations.waiting(ask.ctx), departments)
    return await show_settings(ask, "users", "users", rows=views.people(ask.ctx, people, departments), invited=invited, is_sent=mail_is_sent(), may_log=permissions.may_configure(ask.ctx, "audit"))


@get("/settings/users/new")
async def new_user(request: Request) -> Response[Any]:
    return await _user_form(await open_settings(request, "users"), None, {}, {})


@get("/settings/users/{user_id:uuid}")
async def user(request: Request, user_id: FromPath[UUID]) -> Response[Any]:
    ask = await open_settings(request, "users")
    return await _user_form(ask, await _person(ask, user_id), {}, {})


async def _person(ask: Ask, user_id: UUID) -> dict[str, Any]:
    found = next((u for u in await list_users(ask.ctx.tenant_id) if u["id"] == user_id), None)
    if found is None:
        raise NotFound()
    return found


async def _user_form(ask: Ask, person: dict[str, Any] | None, typed: Mapping[str, Any], errors: Mapping[str, str], *, status: int = 200) -> Response[Any]:
    ctx = ask.ctx
    values = {"email": "", "name": "", "title": "", "phone": "", "status": "active", **(person or {}), **typed}
    roles = typed.get("roles", (person or {}).get("role_keys", []))
    chosen = typed.get("department") or str(next(iter((person or {}).get("department_ids", [])), ""))
    superior = typed.get("superior") or str((person or {}).get("superior_id") or "")
    people = [Choice(str(u["id"]), u["name"], str(u["id"]) == superior) for u in await list_users(ctx.tenant_id, only_active=True) if not person or u["id"] != person["id"]]
    departments = [Choice(str(d["id"]), "  " * d["depth"] + pick(d["name"], ctx.locale), str(d["id"]) == chosen) for d in await list_departments(ctx.tenant_id)]
    return await show_settings(
        ask, "user", "users", status=status, person=person, values=values, people=people, departments=departments, errors={k: errors.get(k, "") for k in ("email", "name", "password", "roles", "department", "")},
        roles=[Choice(r.key, pick(r.label, ctx.locale), r.key in roles) for r in ctx.config.bundle.roles], action=f"/settings/users/{person['id']}" if person else "/settings/users/new",
    )  # fmt: skip


@post("/settings/users/new", status_code=200)
async def add_user(request: Request) -> Response[Any]:
    ask = await open_settings(request, "users")
    typed, changes, password = await _typed(ask)
    try:
        _check_roles(ask, typed["roles"], ())
        async with tenant_transaction(ask.ctx.tenant_id):
            user_id = await create_user(ask.ctx.tenant_id, typed["email"], password or "", typed["name"], typed["roles"], title=typed["title"], phone=typed["phone"], superior_id=changes["superior_id"], actor_id=ask.ctx.user_id)
            if changes["department_ids"]:
                await update_user(ask.ctx.tenant_id, user_id, {"department_ids": changes["department_ids"]}, actor_id=ask.ctx.user_id)
    except (InvalidInput, Conflict) as error:
        return await _user_form(ask, None, typed, _field_errors(error), status=error.status)
    return ask.redirect("/settings/users", Toast(_("%(name)s can sign in now.", name=typed["name"]) if password else _("%(name)s was added.", name=typed["name"])))


@post("/settings/users/{user_id:uuid}", status_code=200)
async def save_user(request: Request, user_id: FromPath[UUID]) -> Response[Any]:
    ask = await open_settings(request, "users")
    person = await _person(ask, user_id)
    typed, changes, password = await _typed(ask)
    try:
        _check_roles(ask, typed["roles"], person["role_keys"])
        if user_id == ask.ctx.user_id and (typed["status"] != "active" or (not any(ask.ctx.config.roles[r].admin for r in typed["roles"] if r in ask.ctx.config.roles) and permissions.is_admin(ask.ctx))):
            raise InvalidInput([FieldProblem("roles", "own_rights", lazy("You cannot take away your own access. Ask another administrator."))])
        async with tenant_transaction(ask.ctx.tenant_id):
            await update_user(ask.ctx.tenant_id, user_id, {"name": typed["name"], "title": typed["title"], "phone": typed["phone"], "status": typed["status"], "role_keys": typed["roles"], **changes}, actor_id=ask.ctx.user_id)
            if password:
                await set_password(ask.ctx.tenant_id, user_id, password, must_change=user_id != ask.ctx.user_id, keep_session=ask.session.id, actor_id=ask.ctx.user_id)
    except (InvalidInput, Conflict) as error:
        return await _user_form(ask, person, typed, _field_errors(error), status=error.status)
    return ask.redirect("/settings/users", Toast(_("Saved")))


async def _typed(ask: Ask) -> tuple[dict[str, Any], dict[str, Any], str]:
    form = await ask.form()
    typed: dict[str, Any] = {name: str(form.get(name) or "").strip() for name in ("email", "name", "title", "phone", "department", "superior")}
    typed["status"] = "inactive" if form.get("status") == "inactive" else "active"
    typed["roles"] = [str(r) for r in form.getall("roles", []) if str(r) in ask.ctx.config.roles]
    changes = {"superior_id": uuid_of(typed["superior"]), "department_ids": [d for d in [uuid_of(typed["department"])] if d]}
    return typed, changes, str(form.get("password") or "")


def _check_roles(ask: Ask, wanted: Any, before: Any) -> None:
    """Nobody may hand out more than they have, nor touch the account of somebody who has more: a new password would be theirs."""
    known = ask.ctx.config.roles
    if any(not permissions.may_give(ask.ctx, known[r]) for r in before if r in known):
        raise InvalidInput([FieldProblem("roles", "forbidden", lazy("Only an administrator can change this person."))])
    if any(not permissions.may_give(ask.ctx, known[r]) for r in wanted if r in known):
        raise InvalidInput([FieldProblem("roles", "forbidden", lazy("Only an administrator can give or take this role."))])
    if not wanted:
        raise InvalidInput([FieldProblem("roles", "required", lazy("Choose at least one role."))])


def _field_errors(error: AppError) -> dict[str, str]:
    if isinstance(error, Conflict):
        return {"email": str(error.message)}
    return {p.field if p.field in ("email", "name", "password", "roles", "department") else "": str(p.message) for p in error.problems if isinstance(p, FieldProblem)}


router = Router("", route_handlers=[users, new_user, user, add_user, save_user])
