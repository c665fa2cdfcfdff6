"""API keys. Who: somebody who connects a program, once for each; they copy the key into it and come back when it ends or must end.
An administrator looks at everybody's, and revokes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import FieldProblem, InvalidInput, NotFound
from saas.i18n import gettext as _
from saas.i18n import listed, pick
from saas.runtime import Context, permissions
from saas.tenants import create_api_key, list_api_keys, list_users, revoke_api_key
from saas.tenants.features import require_feature
from saas.ui import formats
from saas.ui.guards import Ask, signed_in
from saas.ui.pages.settings import open_settings, show_settings
from saas.ui.views import Choice, Toast

STANDARD_DAYS = 90


def scope_name(key: str) -> str:
    return {"read": _("Read"), "write": _("Write"), "config": _("Configuration")}.get(key, key)


def _rows(ctx: Context, keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
    def state(key: Mapping[str, Any]) -> tuple[str, str]:
        if key["revoked_at"]:
            return _("revoked"), "gray"
        if key["expires_at"] <= datetime.now(UTC):
            return _("expired"), "gray"
        return (_("works"), "green") if key["works"] else (_("person inactive"), "gray")

    return [
        {
            "id": str(k["id"]), "name": k["name"], "prefix": f"{k['prefix']}_…", "who": k["user_name"], "scopes": listed(scope_name(s) for s in k["scopes"]),
            "entities": _("all records") if k["entities"] is None else listed(pick(ctx.config.entities[e].defn.plural, ctx.locale) if e in ctx.config.entities else e for e in k["entities"]),
            "used": formats.moment(ctx, k["used_at"]) if k["used_at"] else "", "expires": formats.full(ctx, k["expires_at"]), "works": k["works"], "state": state(k)[0], "color": state(k)[1],
        }
        for k in keys
    ]  # fmt: skip


# ---- one's own -----------------------------------------------------------------------------------------------------------


@get("/profile/keys")
async def my_keys(request: Request) -> Response[Any]:
    return await _mine(await signed_in(request))


async def _mine(ask: Ask, *, typed: Mapping[str, Any] | None = None, errors: Mapping[str, str] | None = None, status: int = 200, token: str = "") -> Response[Any]:
    ctx = ask.ctx
    assert ctx.user_id is not None
    async with ask.work():
        keys = await list_api_keys(ctx.tenant_id, ctx.user_id)
    values = {"name": "", "expires_at": (ctx.today + timedelta(days=STANDARD_DAYS)).isoformat(), "scopes": ["read"], "all": True, "entities": [], **(typed or {})}
    wanted = set(values["entities"])
    readable = [e for e in ctx.config.entities.values() if permissions.may(ctx, "read", e.key) or permissions.may(ctx, "create", e.key)]
    scopes = ["read", "write", *(["config"] if permissions.may_configure(ctx, "config") else [])]
    return ask.page(
        "api_keys.html", status=status, rows=_rows(ctx, keys), values=values, errors={k: (errors or {}).get(k, "") for k in ("name", "scopes", "entities", "expires_at")}, token=token,
        scopes=[Choice(s, scope_name(s), s in values["scopes"]) for s in scopes], entities=[Choice(e.key, pick(e.defn.plural, ctx.locale), e.key in wanted) for e in readable],
        first_day=(ctx.today + timedelta(days=1)).isoformat(),
    )  # fmt: skip


@post("/profile/keys", status_code=200)
async def make_key(request: Request) -> Response[Any]:
    ask = await signed_in(request)
    form, ctx = await ask.form(), ask.ctx
    assert ctx.user_id is not None
    require_feature(ctx.tenant, "api_keys")
    everything = form.get("reach") != "chosen"
    typed = {
        "name": str(form.get("name") or "").strip(), "expires_at": str(form.get("expires_at") or ""), "scopes": [str(s) for s in form.getall("scopes", [])],
        "all": everything, "entities": [str(e) for e in form.getall("entities", []) if str(e) in ctx.config.entities],
    }  # fmt: skip
    try:
        if "config" in typed["scopes"] and not permissions.may_configure(ctx, "config"):
            raise InvalidInput([FieldProblem("scopes", "forbidden", _("Your role does not include the configuration."))])
        _id, token = await create_api_key(
            ctx.tenant_id, ctx.user_id, typed["name"], typed["scopes"], _end_of(ctx, typed["expires_at"]), entities=None if everything else typed["entities"], actor_id=ctx.user_id
        )
    except InvalidInput as error:
        return await _mine(ask, typed=typed, errors=error.by_field(), status=422)
    return await _mine(ask, token=token)


def _end_of(ctx: Context, text: str) -> datetime:
    """The end of that day where the company is; the real clock counts, so keys end in reality. Errors: InvalidInput."""
    try:
        return datetime.combine(date.fromisoformat(text), time(23, 59, 59), ctx.zone).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput([FieldProblem("expires_at", "invalid", _("Please give a date."))]) from error


@post("/profile/keys/{key_id:uuid}/revoke", status_code=200)
async def revoke_mine(request: Request, key_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    assert ask.ctx.user_id is not None
    await revoke_api_key(ask.ctx.tenant_id, key_id, user_id=ask.ctx.user_id, actor_id=ask.ctx.user_id)
    return ask.redirect("/profile/keys", Toast(_("The key is revoked.")))


# ---- everybody's ---------------------------------------------------------------------------------------------------------


@get("/settings/keys")
async def all_keys(request: Request) -> Response[Any]:
    ask = await open_settings(request, "users")
    return await show_settings(ask, "keys", "keys", rows=_rows(ask.ctx, await list_api_keys(ask.ctx.tenant_id)))


@post("/settings/keys/{key_id:uuid}/revoke", status_code=200)
async def revoke_any(request: Request, key_id: FromPath[UUID]) -> Response[Any]:
    ask = await open_settings(request, "users")
    found = next((k for k in await list_api_keys(ask.ctx.tenant_id) if k["id"] == key_id), None)
    if found is None:
        raise NotFound()
    await require_may_change(ask, found["user_id"])
    await revoke_api_key(ask.ctx.tenant_id, key_id, actor_id=ask.ctx.user_id)
    return ask.redirect("/settings/keys", Toast(_("The key is revoked.")))


async def require_may_change(ask: Ask, user_id: UUID) -> dict[str, Any]:
    """The person, whose account somebody wants to touch; nobody does that to one who has more rights. Errors: NotFound, PermissionDenied."""
    person = next((u for u in await list_users(ask.ctx.tenant_id) if u["id"] == user_id), None)
    if person is None:
        raise NotFound()
    known = ask.ctx.config.roles
    if any(not permissions.may_give(ask.ctx, known[r]) for r in person["role_keys"] if r in known):
        permissions.require_setting(ask.ctx, "security")
    return person


router = Router("", route_handlers=[my_keys, make_key, revoke_mine, all_keys, revoke_any])
