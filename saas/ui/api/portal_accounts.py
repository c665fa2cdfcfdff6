"""Accounts of records that are people outside, over HTTP."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from saas.errors import BadRequest
from saas.i18n import lazy
from saas.runtime import portal_accounts
from saas.ui.api import access, shapes
from saas.ui.api.records import record_id


@get("/records/{entity:str}/{rid:str}/account")
async def show_account(request: Request, entity: FromPath[str], rid: FromPath[str]) -> Response[Any]:
    ctx = await access.context(request)
    return access.answer(_shape(await portal_accounts.account_of(ctx, entity, record_id(rid))))


def _shape(found: portal_accounts.PortalAccount) -> dict[str, Any]:
    return {
        "role": found.role, "status": found.status, "login": found.login, "user": str(found.user_id) if found.user_id else None,
        "last_login_at": shapes.moment(found.last_login_at) if found.last_login_at else None, "can_sign_in": found.can_sign_in,
    }  # fmt: skip


@post("/records/{entity:str}/{rid:str}/account", status_code=200)
async def give_account(request: Request, entity: FromPath[str], rid: FromPath[str]) -> Response[Any]:
    """{"login", "password"?, "role"?, "must_change"?}: makes the account, or changes the one there is."""
    ctx = await access.context(request)
    body = await access.body(request)
    for name in ("login", "password", "role"):
        if not isinstance(body.get(name, ""), str):
            raise BadRequest(lazy("“%(name)s” must be a text.", name=name), field=name)
    if not isinstance(body.get("must_change", False), bool):
        raise BadRequest(lazy("“%(name)s” must be true or false.", name="must_change"), field="must_change")
    made = await portal_accounts.give(
        ctx, entity, record_id(rid), login=body.get("login", ""), password=body.get("password", ""), role_key=body.get("role") or None, must_change=body.get("must_change", False)
    )
    return access.answer(_shape(made))


HANDLERS = [show_account, give_account]
