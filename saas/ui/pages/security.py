"""Rules for accounts (who: an administrator, rarely, when the company's rules say so), sessions on the profile page (who: somebody who
left a device somewhere), and taking away the second factor of somebody who lost their phone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import BadRequest, InvalidInput, PermissionDenied
from saas.i18n import gettext as _
from saas.i18n import lazy, pick
from saas.tenants import (
    SecurityRules,
    get_security_rules,
    list_users,
    remove_second_factor,
    remove_verification,
    revoke_other_sessions,
    revoke_session,
    set_security_rules,
)
from saas.ui.guards import Ask, signed_in, whole_number
from saas.ui.pages.api_keys import require_may_change
from saas.ui.pages.settings import open_settings, show_settings
from saas.ui.views import Choice, Toast


@get("/settings/security")
async def security(request: Request) -> Response[Any]:
    ask = await open_settings(request, "security")
    return await _page(ask, _shown(await get_security_rules(ask.ctx.tenant_id)), {})


def _shown(rules: SecurityRules) -> dict[str, Any]:
    who = "all" if rules.second_factor_for_all else "roles" if rules.second_factor_roles else "nobody"
    return {**rules.to_json(), "maximum_days": rules.maximum_days or "", "remember_days": rules.remember_days or "", "who": who}


async def _page(ask: Ask, values: Mapping[str, Any], errors: Mapping[str, str], *, status: int = 200) -> Response[Any]:
    ctx = ask.ctx
    people = await list_users(ctx.tenant_id, only_active=True)
    return await show_settings(
        ask, "security", "security", status=status, values=values, errors={k: errors.get(k, "") for k in ("minimum_length", "maximum_days", "remember_days", "roles")},
        roles=[Choice(r.key, pick(r.label, ctx.locale), r.key in values["second_factor_roles"]) for r in ctx.config.bundle.roles],
        without=[u["name"] for u in people if not u["has_second_factor"]], people=len(people),
    )  # fmt: skip


@post("/settings/security", status_code=200)
async def save_security(request: Request) -> Response[Any]:
    ask = await open_settings(request, "security")
    form = await ask.form()
    typed = {name: str(form.get(name) or "").strip() for name in ("minimum_length", "maximum_days", "remember_days", "who")}
    chosen = [str(r) for r in form.getall("roles", []) if str(r) in ask.ctx.config.roles]
    values = {**typed, "refuse_common": "on" in form.getall("refuse_common", []), "refuse_personal": "on" in form.getall("refuse_personal", []), "second_factor_roles": chosen}
    values["successor_required"] = "on" in form.getall("successor_required", [])
    if typed["who"] == "roles" and not chosen:
        return await _page(ask, values, {"roles": _("Choose at least one role.")}, status=422)
    days = whole_number(typed["maximum_days"]) if typed["maximum_days"] else None
    remember = whole_number(typed["remember_days"]) if typed["remember_days"] else None
    rules = SecurityRules(
        remember_days=-1 if typed["remember_days"] and remember is None else remember or None,
        minimum_length=whole_number(typed["minimum_length"]) or 0, refuse_common=bool(values["refuse_common"]), refuse_personal=bool(values["refuse_personal"]),
        maximum_days=-1 if typed["maximum_days"] and days is None else days, second_factor_for_all=typed["who"] == "all",
        second_factor_roles=tuple(chosen) if typed["who"] == "roles" else (), successor_required=bool(values["successor_required"]),
    )  # fmt: skip
    try:
        await set_security_rules(ask.ctx.tenant_id, rules, actor_id=ask.ctx.user_id)
    except InvalidInput as error:
        return await _page(ask, values, error.by_field(), status=422)
    return ask.redirect("/settings/security", Toast(_("Saved. The rules count from now on.")))


@post("/settings/users/{user_id:uuid}/second-factor/reset", status_code=200)
async def reset_second_factor(request: Request, user_id: FromPath[UUID]) -> Response[Any]:
    """For somebody who has neither phone nor recovery codes: they are signed out everywhere and come back with the password alone."""
    ask = await open_settings(request, "users")
    person = await require_may_change(ask, user_id)
    await remove_second_factor(ask.ctx.tenant_id, user_id, actor_id=ask.ctx.user_id)
    return ask.redirect(f"/settings/users/{user_id}", Toast(_("%(name)s signs in with the password alone now, and can set up a new second factor.", name=person["name"])))


@post("/profile/sessions/others/end", status_code=200)
async def end_others(request: Request) -> Response[Any]:
    ask = await signed_in(request)
    assert ask.ctx.user_id is not None
    if (await ask.form()).get("sure") != "yes":
        raise BadRequest()
    await revoke_other_sessions(ask.ctx.tenant_id, ask.ctx.user_id, ask.session.id)
    return ask.redirect("/profile", Toast(_("All other sessions have ended.")))


@post("/profile/sessions/{session_id:uuid}/end", status_code=200)
async def end_session(request: Request, session_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    assert ask.ctx.user_id is not None
    await revoke_session(ask.ctx.tenant_id, ask.ctx.user_id, session_id)
    return ask.redirect("/profile", Toast(_("The session has ended.")))


@post("/settings/users/{user_id:uuid}/verification/reset", status_code=200)
async def reset_verification(request: Request, user_id: FromPath[UUID]) -> Response[Any]:
    """For somebody who forgot their verification item; nobody does it for themselves."""
    ask = await open_settings(request, "users")
    person = await require_may_change(ask, user_id)
    if user_id == ask.ctx.user_id:
        raise PermissionDenied(lazy("Somebody else has to do this for you."))
    await remove_verification(ask.ctx.tenant_id, user_id, actor_id=ask.ctx.user_id)
    return ask.redirect(f"/settings/users/{user_id}", Toast(_("%(name)s chooses a new verification item with their next password.", name=person["name"])))


router = Router("", route_handlers=[reset_verification, security, save_security, reset_second_factor, end_others, end_session])
