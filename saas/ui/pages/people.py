"""People of a workspace: who they are, their roles, departments and passwords."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.db import tenant_transaction
from saas.errors import AppError, Conflict, FieldProblem, InvalidInput, NotFound, PlanLimitReached
from saas.i18n import gettext as _
from saas.i18n import lazy, ngettext, pick
from saas.runtime import invitations, permissions, succession
from saas.runtime.approvals.leaving import hand_over_tasks
from saas.runtime.jobs import JobInfo
from saas.tenants import create_user, list_departments, list_users, set_password, update_user, verification_of
from saas.tenants.ids import uuid_of
from saas.tenants.mail import mail_is_sent
from saas.ui import settings_views as views
from saas.ui.guards import Ask
from saas.ui.pages.settings import open_settings, show_settings
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
    gone = await _gone(ask, person) if person and person["status"] != "active" else None
    return await show_settings(
        ask, "user", "users", segmented=any(e.defn.segment_field for e in ctx.config.entities.values()), status=status, gone=gone, resets_item=bool(person) and person["id"] != ctx.user_id and await verification_of(ctx.tenant_id, person["id"]) == "set", person=person, values=values, people=people, departments=departments, errors={k: errors.get(k, "") for k in ("email", "name", "password", "roles", "department", "")},
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
    except (InvalidInput, Conflict, PlanLimitReached) as error:
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
        if password and user_id == ask.ctx.user_id and await verification_of(ask.ctx.tenant_id, user_id):
            raise InvalidInput([FieldProblem("password", "verification", lazy("Change your own password on your profile page, with your verification item."))])
        async with tenant_transaction(ask.ctx.tenant_id) as conn:
            if typed["status"] != "active" or not any(ask.ctx.config.roles[r].admin for r in typed["roles"]):
                await succession.require_other_admin(conn, ask.ctx, user_id)
            await update_user(ask.ctx.tenant_id, user_id, {"name": typed["name"], "title": typed["title"], "phone": typed["phone"], "status": typed["status"], "role_keys": typed["roles"], **changes}, actor_id=ask.ctx.user_id)
            if typed["status"] != "active" == person["status"]:
                await hand_over_tasks(conn, ask.ctx, user_id, None)
            if password:
                await set_password(ask.ctx.tenant_id, user_id, password, must_change=user_id != ask.ctx.user_id, keep_session=ask.session.id, actor_id=ask.ctx.user_id)
    except (InvalidInput, Conflict, PlanLimitReached) as error:
        errors = {"roles": str(error.message)} if error.data.get("reason") == "last_admin" else _field_errors(error)
        return await _user_form(ask, person, typed, errors, status=error.status)
    return ask.redirect("/settings/users", Toast(_("Saved")))


# ---- somebody leaves -----------------------------------------------------------------------------------------------------------


async def _gone(ask: Ask, person: Mapping[str, Any]) -> dict[str, Any]:
    """What became of the records of somebody who is inactive."""
    job = await succession.last_hand_over(ask.ctx, person["id"])
    successor = next((u["name"] for u in await list_users(ask.ctx.tenant_id) if u["id"] == person["successor_id"]), "")
    result = (job.result or {}) if job else {}
    live = job is not None and not job.is_over
    return {"successor": successor, "job": str(job.id) if job else "", "live": live, "done": result.get("done", 0), "failed": result.get("failed_count", 0), "can_undo": not live}


@get("/settings/users/{user_id:uuid}/deactivate")
async def show_deactivation(request: Request, user_id: FromPath[UUID]) -> Response[Any]:
    """Opened by whoever says goodbye to somebody; next they look whether everything has found a new owner."""
    return await _deactivation(await open_settings(request, "users"), user_id)


async def _deactivation(ask: Ask, user_id: UUID, *, chosen: str = "", scope: str = "open", error: str = "", status: int = 200) -> Response[Any]:
    ctx, person = ask.ctx, await _person(ask, user_id)
    if person["status"] != "active":
        return ask.redirect(f"/settings/users/{user_id}")
    duties = await succession.duties(ctx, user_id)
    rows = [
        {"entity": pick(ctx.config.entity(p.entity).defn.plural), "field": pick(ctx.config.entity(p.entity).fields[p.field].label), "open": p.open, "closed": p.closed}
        for p in duties.parts
    ]  # fmt: skip
    chosen = chosen or str(person["successor_id"] or person["superior_id"] or "")
    people = [Choice(str(u["id"]), u["name"], str(u["id"]) == chosen) for u in await list_users(ctx.tenant_id, only_active=True) if u["id"] != user_id]
    return await show_settings(ask, "deactivate", "users", status=status, person=person, duties=duties, rows=rows, people=people, nobody=chosen == "-", scope=scope, error=error)


@post("/settings/users/{user_id:uuid}/deactivate", status_code=200)
async def deactivate(request: Request, user_id: FromPath[UUID]) -> Response[Any]:
    ask = await open_settings(request, "users")
    form = await ask.form()
    chosen, scope = str(form.get("successor") or ""), "all" if form.get("scope") == "all" else "open"
    if not chosen:
        return await _deactivation(ask, user_id, scope=scope, error=_("Choose who takes over, or that nobody does."), status=422)
    try:
        job = await succession.deactivate(ask.ctx, user_id, successor_id=None if chosen == "-" else uuid_of(chosen) or user_id, scope=scope)
    except (InvalidInput, Conflict) as error:
        text = str(error.problems[0].message if isinstance(error, InvalidInput) else error.message)
        return await _deactivation(ask, user_id, chosen=chosen, scope=scope, error=text, status=error.status)
    return ask.redirect(f"/settings/users/{user_id}", _changed_hands(job) if job else Toast(_("Signed out everywhere. This person cannot sign in any more.")))


@post("/settings/users/{user_id:uuid}/reactivate", status_code=200)
async def reactivate(request: Request, user_id: FromPath[UUID]) -> Response[Any]:
    ask = await open_settings(request, "users")
    try:
        job = await succession.reactivate(ask.ctx, user_id)
    except (Conflict, PlanLimitReached) as error:
        return ask.redirect(f"/settings/users/{user_id}", Toast(str(error.message), "error"))
    return ask.redirect(f"/settings/users/{user_id}", _changed_hands(job) if job else Toast(_("This person can sign in again.")))


def _changed_hands(job: JobInfo) -> Toast:
    if not job.is_over:
        return Toast(_("Done. Records are changing hands; that goes on in the background."))
    result = job.result or {}
    if result.get("failed_count"):
        return Toast(_("%(done)s records have changed hands, %(failed)s could not.", done=result.get("done", 0), failed=result["failed_count"]), "warn")
    return Toast(ngettext("%(count)s record has changed hands.", "%(count)s records have changed hands.", result.get("done", 0)))


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
    if isinstance(error, PlanLimitReached):
        return {"": str(error.message)}
    return {p.field if p.field in ("email", "name", "password", "roles", "department") else "": str(p.message) for p in error.problems if isinstance(p, FieldProblem)}


router = Router("", route_handlers=[users, new_user, user, add_user, save_user, show_deactivation, deactivate, reactivate])
