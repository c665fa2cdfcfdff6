"""Settings: departments, who leads them, and where they stand in the tree.

Who opens it: whoever looks after people, when a team is founded, renamed or gets another head; approvals then ask the new one."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import AppError, InvalidInput, NotFound
from saas.i18n import LOCALES, pick
from saas.i18n import gettext as _
from saas.tenants import create_department, delete_department, list_departments, list_users, new_id, update_department
from saas.tenants.ids import uuid_of
from saas.ui.guards import Ask
from saas.ui.pages.settings import open_settings, show_settings
from saas.ui.views import Choice, Toast

URL = "/settings/departments"


@get(URL)
async def departments(request: Request) -> Response[Any]:
    ask = await open_settings(request, "users")
    rows = [
        {"id": str(d["id"]), "name": pick(d["name"], ask.ctx.locale) or d["key"], "depth": d["depth"], "indent": range(d["depth"]), "head": d["head"] or "", "people": d["people"]}
        for d in await list_departments(ask.ctx.tenant_id)
    ]  # fmt: skip
    return await show_settings(ask, "departments", "departments", rows=rows)


@get(f"{URL}/new")
async def new(request: Request) -> Response[Any]:
    return await _form(await open_settings(request, "users"), None, {}, {})


@get(f"{URL}/{{department_id:uuid}}")
async def show(request: Request, department_id: FromPath[UUID]) -> Response[Any]:
    ask = await open_settings(request, "users")
    return await _form(ask, await _found(ask, department_id), {}, {})


async def _found(ask: Ask, department_id: UUID) -> dict[str, Any]:
    found = next((d for d in await list_departments(ask.ctx.tenant_id) if d["id"] == department_id), None)
    if found is None:
        raise NotFound()
    return found


async def _form(ask: Ask, department: dict[str, Any] | None, typed: dict[str, str], errors: dict[str, str], *, status: int = 200) -> Response[Any]:
    ctx, every = ask.ctx, await list_departments(ask.ctx.tenant_id)
    name = (department or {}).get("name") or {}
    values = {**{f"name_{locale}": name.get(locale, "") for locale in LOCALES}, "parent": str((department or {}).get("parent_id") or ""), "head": str((department or {}).get("head_id") or ""), **typed}
    below = _below(every, department["id"]) if department else set()
    parents = [Choice(str(d["id"]), "  " * d["depth"] + (pick(d["name"], ctx.locale) or d["key"]), str(d["id"]) == values["parent"]) for d in every if d["id"] not in below]
    people = [Choice(str(u["id"]), u["name"], str(u["id"]) == values["head"]) for u in await list_users(ctx.tenant_id, only_active=True)]
    languages = [(f"name_{locale}", {"en": _("Name (English)"), "zh_CN": _("Name (Chinese)")}[locale]) for locale in LOCALES]
    return await show_settings(
        ask, "department", "departments", status=status, title=pick(name, ctx.locale) if department else _("New department"), url=f"{URL}/{department['id']}" if department else f"{URL}/new",
        values=values, parents=parents, people=people, languages=languages, errors={key: "" for key in (*values, "form")} | errors, is_new=department is None,
    )  # fmt: skip


def _below(every: list[dict[str, Any]], top: UUID) -> set[UUID]:
    """The department and all below it: it cannot be placed there."""
    found = {top}
    for department in every:  # parents come before children
        if department["parent_id"] in found:
            found.add(department["id"])
    return found


@post(f"{URL}/new", status_code=200)
async def create(request: Request) -> Response[Any]:
    return await _save(await open_settings(request, "users"), None)


@post(f"{URL}/{{department_id:uuid}}", status_code=200)
async def save(request: Request, department_id: FromPath[UUID]) -> Response[Any]:
    ask = await open_settings(request, "users")
    return await _save(ask, await _found(ask, department_id))


async def _save(ask: Ask, department: dict[str, Any] | None) -> Response[Any]:
    form = await ask.form()
    typed = {name: str(form.get(name) or "").strip()[:200] for name in (*(f"name_{locale}" for locale in LOCALES), "parent", "head")}
    names = {locale: typed[f"name_{locale}"] for locale in LOCALES if typed[f"name_{locale}"]}
    if not names:
        return await _form(ask, department, typed, {f"name_{ask.ctx.locale}": _("This field is required.")}, status=422)
    actor = ask.ctx.user_id
    try:
        if department is None:
            key = re.sub(r"[^a-z0-9]+", "_", names.get("en", "").lower()).strip("_")[:30] or "dept"
            if not key[0].isalpha() or any(d["key"] == key for d in await list_departments(ask.ctx.tenant_id)):
                key = f"d_{key}"[:30] + "_" + new_id().hex[-6:]
            target = await create_department(ask.ctx.tenant_id, key, names, actor_id=actor)
        else:
            target = department["id"]
        await update_department(ask.ctx.tenant_id, target, name={**(department or {}).get("name", {}), **names}, parent_id=uuid_of(typed["parent"]), move=True, head_id=uuid_of(typed["head"]), set_head=True, actor_id=actor)
    except InvalidInput as error:
        return await _form(ask, department, typed, error.by_field(), status=422)
    return ask.redirect(URL, Toast(_("Saved")))


@post(f"{URL}/{{department_id:uuid}}/remove", status_code=200)
async def remove(request: Request, department_id: FromPath[UUID]) -> Response[Any]:
    ask = await open_settings(request, "users")
    department = await _found(ask, department_id)
    try:
        await delete_department(ask.ctx.tenant_id, department_id, actor_id=ask.ctx.user_id)
    except AppError as error:
        return await _form(ask, department, {}, {"form": str(error.message)}, status=error.status)
    return ask.redirect(URL, Toast(_("Removed")))


router = Router("", route_handlers=[departments, new, create, show, save, remove])
