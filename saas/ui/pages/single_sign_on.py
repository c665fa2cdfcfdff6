"""Single sign-on. Who sets it up: an administrator, once, with the provider's console in another window: they copy an address there, two
texts here, try it, see what came back, and only then switch it on. Who uses it: everybody, each morning, from the sign-in page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.db import tenant_transaction
from saas.errors import InvalidInput, PermissionDenied, TooManyRequests
from saas.i18n import gettext as _
from saas.i18n import pick
from saas.runtime import logins
from saas.runtime import sso as runtime_sso
from saas.runtime.permissions import require_active
from saas.tenants import TenantRow, auth, list_users, record_audit, sso
from saas.tenants.ids import uuid_of
from saas.tenants.links import address_of
from saas.tenants.sso import Identity, SignInRefused, SingleSignOn
from saas.tenants.sso.flow import LIFE_SECONDS, redirect_uri
from saas.ui import formats
from saas.ui.guards import (
    SESSION_COOKIE,
    Ask,
    add_cookie,
    client_ip,
    cookies_of,
    local_path,
    redirect,
    site_of,
    tenant_of,
)
from saas.ui.pages.sessions import SESSION_SECONDS, login_page
from saas.ui.pages.settings import open_as_admin, show_settings
from saas.ui.views import Choice, Toast

EMPTY_ROWS, MOST_SHOWN = 3, 4000
FIELDS = ("label", "issuer", "client_id", "client_secret", "email_domains", "default_role", "role_claim", "role_map", "emergency", "mode")


# ---- signing in ----------------------------------------------------------------------------------------------------------


def _query(request: Request) -> dict[str, str]:
    """Each parameter once; one that is there twice is none, so that nobody is asked which counts."""
    found = request.query_params
    return {name: values[0][:4000] for name in found if len(values := found.getall(name)) == 1}


def _elsewhere(request: Request, tenant: TenantRow, path: str) -> Response[Any] | None:
    """People who come by another of the workspace's addresses sign in at the main one: that is where the provider sends them back."""
    here = site_of(request).host.rsplit(":", 1)[0].lower().removesuffix(".")
    there = address_of(tenant, path)
    return redirect(request, there) if urlsplit(there).hostname != here else None


@get("/sso/start")
async def start(request: Request) -> Response[Any]:
    tenant, next_ = tenant_of(request), local_path(request.query_params.get("next"))
    if (elsewhere := _elsewhere(request, tenant, f"/sso/start?next={quote(next_)}")) is not None:
        return elsewhere
    try:
        await auth.refuse_flood_of(tenant.id, client_ip(request))
        started = await sso.begin(tenant, next_=next_)
    except TooManyRequests as error:
        return await login_page(request, next_=next_, error=str(error.message), status=error.status)
    except SignInRefused as error:
        return await login_page(request, next_=next_, error=str(error.message), status=503 if error.reason == "away" else error.status)
    response = redirect(request, started.url)
    add_cookie(request, response, started.cookie, started.value, seconds=LIFE_SECONDS)
    return response


@get("/sso/callback")
async def callback(request: Request) -> Response[Any]:
    tenant, query = tenant_of(request), _query(request)
    ip = client_ip(request)
    used = sso.flow.cookie_name(query.get("state", ""))
    identity: Identity | None = None
    try:
        await auth.refuse_flood_of(tenant.id, ip)
        identity = await sso.finish(tenant, query, cookies_of(request))
        if identity.trial_of is not None:
            response = await _tried(request, identity, None)
        else:
            user_id = await runtime_sso.sign_in(tenant, identity, locale=None, ip=ip)
            token = await sso.open_sso_session(tenant.id, user_id, identity.id_token, ip, request.headers.get("user-agent", ""))
            await logins.signed_in(tenant.id, user_id)
            response = redirect(request, local_path(identity.next))
            add_cookie(request, response, SESSION_COOKIE, token, seconds=SESSION_SECONDS)
    except SignInRefused as error:
        # Cookies tell a trial that failed on the way: only its administrator is told more than everybody.
        if error.reason != "state" and (trial := sso.flow.trial_of(tenant.id, query.get("state", ""), cookies_of(request))) is not None:
            response = await _tried(request, None, error, trial_of=trial)
        else:
            if error.reason != "state" or error.detail:  # an answer to nothing that began here is not worth a line: anybody can send it
                await _note(tenant, error, ip)
            response = await login_page(request, next_="/", error=str(error.message), status=503 if error.reason == "away" else error.status)
    except TooManyRequests as error:
        return await login_page(request, next_="/", error=str(error.message), status=error.status)
    if used in cookies_of(request):
        add_cookie(request, response, used, "", seconds=0)
    return response


async def _note(tenant: TenantRow, error: SignInRefused, ip: str) -> None:
    async with tenant_transaction(tenant.id) as conn:
        await record_audit(conn, tenant.id, "sso.refused", actor_id=None, ip=ip, data={"reason": str(sso.REASONS[error.reason]), "detail": error.noted})


@get("/sso/logout")
async def log_out_there(request: Request) -> Response[Any]:
    """After signing out here: at the provider, too, where it offers that."""
    tenant = tenant_of(request)
    hint = sso.flow.read_hint(tenant.id, cookies_of(request).get("sso_out", ""))
    try:
        url = await sso.log_out_address(tenant, hint)
    except SignInRefused:
        url = None
    response = redirect(request, url or "/login")
    add_cookie(request, response, "sso_out", "", seconds=0)
    return response


# ---- settings ------------------------------------------------------------------------------------------------------------


@get("/settings/sso")
async def settings(request: Request) -> Response[Any]:
    ask = await open_as_admin(request)
    single = await sso.get_single_sign_on(ask.ctx.tenant_id)
    return await _page(ask, _values(single), {}, has_secret=bool(single and single.client_secret), saved=single is not None)


def _values(single: SingleSignOn | None) -> dict[str, Any]:
    single = single or SingleSignOn("", "")
    return {
        "mode": single.mode, "label": single.label, "issuer": single.issuer, "client_id": single.client_id, "email_domains": ", ".join(single.email_domains), "creates": single.creates,
        "default_role": single.default_role, "role_claim": single.role_claim, "role_map": list(single.role_map), "emergency": str(single.emergency_user_id or ""),
    }  # fmt: skip


async def _page(ask: Ask, values: Mapping[str, Any], errors: Mapping[str, str], *, has_secret: bool, saved: bool, status: int = 200) -> Response[Any]:
    ctx = ask.ctx
    tenant = site_of(ask.request).tenant
    assert tenant is not None
    people = await list_users(ctx.tenant_id, only_active=True)
    admins = {key for key, role in ctx.config.roles.items() if role.admin}
    subjects = [{"id": str(s["user_id"]), "name": s["name"], "email": s["email"], "first": s["first_email"], "at": formats.full(ctx, s["last_used_at"])} for s in await sso.list_subjects(ctx.tenant_id)]
    return await show_settings(
        ask, "sso", "sso", status=status, values=values, errors={key: errors.get(key, "") for key in FIELDS}, has_secret=has_secret, saved=saved, subjects=subjects,
        redirect_uri=redirect_uri(tenant), after_logout=address_of(tenant, "/login"), rows=[*values["role_map"], *([("", "")] * EMPTY_ROWS)],
        roles=[Choice(r.key, pick(r.label, ctx.locale)) for r in ctx.config.bundle.roles], emergencies=[Choice(str(u["id"]), f"{u['name']} ({u['email']})") for u in people if set(u["role_keys"]) & admins],
    )  # fmt: skip


@post("/settings/sso", status_code=200)
async def save(request: Request) -> Response[Any]:
    ask = await open_as_admin(request)
    require_active(ask.ctx)
    ctx, form = ask.ctx, await ask.form()
    before = await sso.get_single_sign_on(ctx.tenant_id)
    typed = {name: str(form.get(name) or "").strip() for name in ("label", "issuer", "client_id", "client_secret", "email_domains", "default_role", "role_claim", "emergency")}
    mode = str(form.get("mode") or "off")
    pairs = list(zip((str(v).strip() for v in form.getall("value", [])), (str(r) for r in form.getall("role", [])), strict=False))
    mapped = tuple((value, role) for value, role in pairs if value or role)
    # The secret belongs to the provider it was entered for: it does not go to another one unseen.
    same = before is not None and (before.issuer, before.client_id) == (typed["issuer"], typed["client_id"])
    secret = typed["client_secret"] or (before.client_secret if before and same and form.get("client_secret.remove") != "on" else "")
    given = SingleSignOn(
        typed["issuer"], typed["client_id"], secret, mode, typed["label"], tuple(dict.fromkeys(d.lstrip("@").lower() for d in typed["email_domains"].replace(",", " ").split())),
        form.get("creates") == "yes", typed["default_role"], typed["role_claim"], mapped, uuid_of(typed["emergency"]),
    )  # fmt: skip
    errors = {}
    if typed["default_role"] and typed["default_role"] not in ctx.config.roles:
        errors["default_role"] = _("There is no such role.")
    if any(role not in ctx.config.roles or not value for value, role in mapped):
        errors["role_map"] = _("Each line needs a value and a role.")
    people = {str(u["id"]): u for u in await list_users(ctx.tenant_id, only_active=True)}
    if mode == "required" and not any(ctx.config.roles[r].admin for r in people.get(typed["emergency"], {"role_keys": ()})["role_keys"] if r in ctx.config.roles):
        errors["emergency"] = _("Choose an administrator with a password, who can still come in when the provider cannot be reached.")
    try:
        if errors:
            raise InvalidInput(sso.store.check(given))
        await sso.set_single_sign_on(ctx.tenant_id, given, actor_id=ctx.user_id)
    except InvalidInput as error:
        errors = {**error.by_field(), **errors}
        return await _page(ask, {**_values(given), **{k: typed[k] for k in ("email_domains", "emergency")}}, errors, has_secret=bool(secret), saved=before is not None, status=422)
    sso.forget_provider(ctx.tenant_id)
    if mode == "required" and (before is None or before.mode != "required"):
        await sso.end_password_sessions(ctx.tenant_id, keep=ask.session.id, actor_id=ctx.user_id)
    said = {"off": _("Saved. It is not switched on yet: try it first."), "on": _("Saved. The sign-in page offers it from now on."), "required": _("Saved. From now on everybody comes by single sign-on.")}
    return ask.redirect("/settings/sso", Toast(said[mode]))


@get("/settings/sso/try")
async def try_it(request: Request) -> Response[Any]:
    """Off to the provider and back, as at signing in; at the end stands what came back instead of a session."""
    ask = await open_as_admin(request)
    tenant = tenant_of(request)
    if (elsewhere := _elsewhere(request, tenant, "/settings/sso")) is not None:
        return elsewhere
    try:
        started = await sso.begin(tenant, trial_of=ask.ctx.user_id)
    except SignInRefused as error:
        return await _tried(request, None, error, trial_of=ask.ctx.user_id)
    response = redirect(request, started.url)
    add_cookie(request, response, started.cookie, started.value, seconds=LIFE_SECONDS)
    return response


async def _tried(request: Request, identity: Identity | None, error: SignInRefused | None, *, trial_of: UUID | None = None) -> Response[Any]:
    """What came back, for the administrator who wanted to see it and nobody else."""
    ask = await open_as_admin(request)
    if ask.ctx.user_id != (identity.trial_of if identity else trial_of):
        raise PermissionDenied()
    ctx, outcome, roles = ask.ctx, "", ""
    single = await sso.get_single_sign_on(ctx.tenant_id)
    if identity is not None and single is not None:
        try:
            verdict = await sso.what_would_happen(ctx.tenant_id, single, identity)
            outcome = {
                "known": _("%(name)s would be signed in: this identity is theirs.", name=verdict.user_name),
                "link": _("%(name)s would be signed in, and from then on only by this identity.", name=verdict.user_name),
                "create": _("A person with the address %(email)s would be made and signed in.", email=identity.email),
            }[verdict.kind]
            mapped = runtime_sso.mapped_roles(single, identity, ctx.config.roles) or ([single.default_role] if verdict.kind == "create" else [])
            roles = ", ".join(pick(ctx.config.roles[key].label, ctx.locale) for key in mapped if key in ctx.config.roles)
        except SignInRefused as refused:
            error = refused
    claims = [(name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)) for name, value in sorted((identity.claims if identity else {}).items())]
    return await show_settings(
        ask, "sso_tried", "sso", outcome=outcome, roles=roles, error=str(error.message) if error else "", detail=error.detail if error else "",
        claims=[(name[:200], str(value)[:MOST_SHOWN]) for name, value in claims[:100]],
    )  # fmt: skip


@post("/settings/sso/forget/{user_id:uuid}", status_code=200)
async def forget(request: Request, user_id: FromPath[UUID]) -> Response[Any]:
    ask = await open_as_admin(request)
    await sso.forget_subject(ask.ctx.tenant_id, user_id, actor_id=ask.ctx.user_id)
    return ask.redirect("/settings/sso", Toast(_("The connection is gone. The next sign-in with this person's verified address makes a new one.")))


router = Router("", route_handlers=[start, callback, log_out_there, settings, save, try_it, forget])
