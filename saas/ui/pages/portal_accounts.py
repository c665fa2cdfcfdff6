"""The account of a record that is somebody outside: a login name and a password.

Who: whoever looks after agents, members or dealers, right after entering one, or when one forgot the password; next they pass both on and go
back to the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import Conflict, InvalidInput, PlanLimitReached
from saas.i18n import gettext as _
from saas.i18n import pick
from saas.runtime import execute, portal_accounts
from saas.runtime import operations as ops
from saas.runtime.records import entity_of
from saas.tenants import get_security_rules
from saas.ui import formats
from saas.ui.guards import Ask, signed_in
from saas.ui.views import Toast

FIELDS = ("login", "password", "")


@get("/r/{entity:str}/{record_id:uuid}/account")
async def show(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    return await _page(await signed_in(request), entity, record_id, {}, {})


async def _page(ask: Ask, key: str, record_id: UUID, typed: Mapping[str, str], errors: Mapping[str, str], *, status: int = 200) -> Response[Any]:
    ctx = ask.ctx
    async with ask.work():
        found = await portal_accounts.account_of(ctx, key, record_id)
        record = await execute(ctx, ops.Get(entity=key, id=record_id))
    entity = entity_of(ctx, key)
    words = {
        "none": (_("No account yet"), "gray"), "open": (_("Can sign in"), "green"), "closed": (_("Closed by the record"), "red"), "inactive": (_("Inactive"), "red"), "foreign": (_("Somebody of your company"), "orange"),
    }  # fmt: skip
    text, color = words[found.status]
    data = {
        "title": record.title, "plural": pick(entity.defn.plural, ctx.locale), "list_url": f"/r/{key}", "url": f"/r/{key}/{record_id}", "account": found, "state": text, "color": color,
        "role": pick(ctx.config.roles[found.role].label, ctx.locale), "last": formats.full(ctx, found.last_login_at) if found.last_login_at else "", "typed": {"login": found.login, **typed},
        "errors": {**dict.fromkeys(FIELDS, ""), **errors}, "minimum": (await get_security_rules(ctx.tenant_id)).minimum_length,
    }  # fmt: skip
    return ask.page("records/account.html", status=status, **data)


@post("/r/{entity:str}/{record_id:uuid}/account", status_code=200)
async def save(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    form = await ask.form()
    typed = {"login": str(form.get("login") or "").strip()[:200]}
    try:
        made = await portal_accounts.give(ask.ctx, entity, record_id, login=typed["login"], password=str(form.get("password") or "")[:300], must_change=bool(form.get("must_change")))
    except InvalidInput as error:
        return await _page(ask, entity, record_id, typed, {p.field if p.field in FIELDS else "": str(p.message) for p in error.problems}, status=422)
    except (Conflict, PlanLimitReached) as error:
        return await _page(ask, entity, record_id, typed, {"": str(error.message)}, status=error.status)
    return ask.redirect(f"/r/{entity}/{record_id}", Toast(_("Saved. They sign in as “%(login)s”.", login=made.login)))


router = Router("", route_handlers=[show, save])
