"""Signing in and out, language and theme; the same addresses serve a tenant's people and operators."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from litestar import Request, Response, Router, get, post

from saas.errors import AccountClosed, NotAuthenticated, NotFound, SecondFactorNeeded, TooManyRequests
from saas.i18n import LOCALES
from saas.i18n import gettext as _
from saas.runtime import logins, portal_accounts
from saas.tenants import (
    authenticate,
    authenticate_operator,
    begin_second_step,
    close_operator_session,
    close_session,
    end_support_access,
    find_session,
    get_security_rules,
    open_operator_session,
    open_session,
    remember_device,
    remembered,
    sign_in_by_device,
    sso,
    update_user,
)
from saas.ui import brand_text
from saas.ui.guards import (
    SESSION_COOKIE,
    add_cookie,
    check_token,
    client_ip,
    cookies_of,
    html,
    local_path,
    page_data,
    read_toasts,
    redirect,
    refuse_foreign,
    site_of,
)
from saas.ui.render import render
from saas.ui.support import is_support, look_in

SESSION_SECONDS = 14 * 24 * 3600
STEP_COOKIE, STEP_SECONDS = "sign_in_step", 600  # after the password, before the code: opens nothing but the page that asks for it
MOST_HINT = 2500  # characters of an ID token that fit into a cookie
DEVICE_COOKIE = "device"  # of somebody who let this device remember them
DAY = 24 * 3600
YEAR = 365 * DAY


@get("/login")
async def show_login(request: Request) -> Response[Any]:
    if site_of(request).kind not in ("tenant", "operator"):
        raise NotFound()
    return await login_page(request, next_=request.query_params.get("next", "/"))


async def login_page(request: Request, *, next_: str, email: str = "", error: str = "", status: int = 200) -> Response[Any]:
    """The sign-in page. Where single sign-on is required, the password's fields are one click away, for emergencies."""
    site = site_of(request)
    single = await sso.get_single_sign_on(site.tenant.id) if site.tenant else None
    mode, asked = single.mode if single else "off", "password" in request.query_params or bool(email)
    ways = {"mode": mode, "label": single.label if single else "", "with_password": mode != "required" or asked, "out": "sso_out" in cookies_of(request) and mode != "off"}
    words = str(site.tenant.brand.get(f"login_{request.scope['state']['locale']}") or "") if site.tenant else ""
    device, tenant = cookies_of(request).get(DEVICE_COOKIE), site.tenant
    known = await remembered(tenant.id, device) if tenant is not None and device and not email and not error and not asked else None
    remember = (await get_security_rules(tenant.id)).remember_days is not None if tenant is not None else False
    data = {"known": known, "remember": remember, "register": await portal_accounts.registering(tenant.id, request.scope["state"]["locale"]) if tenant is not None else (), **login_data(request), "welcome": brand_text.paragraphs(words), "sso": ways, "next": local_path(next_), "email": email, "error": error, "operator": site_of(request).kind == "operator", "toasts": read_toasts(request)}
    response = html(render("auth/login.html", **data), status=status)
    if data["toasts"]:
        add_cookie(request, response, "toasts", "", seconds=0)
    return response


def login_data(request: Request) -> dict[str, Any]:
    """What every page before signing in shows: whose it is."""
    site = site_of(request)
    name = site.tenant.name if site.tenant else _("Operator console")
    logo = f"/brand/logo?v={site.tenant.brand['logo']}" if site.tenant and site.tenant.brand.get("logo") else ""
    return {**page_data(request), "brand_name": name, "mark": name[:1].upper(), "logo": logo}


@post("/login", status_code=200)
async def login(request: Request) -> Response[Any]:
    refuse_foreign(request)
    site, form = site_of(request), await request.form()
    email, password, next_ = (str(form.get(name) or "") for name in ("email", "password", "next"))
    ip, agent = client_ip(request), request.headers.get("user-agent", "")
    device: tuple[str, int] | None = None
    try:
        if site.tenant is not None:
            user_id = await authenticate(site.tenant.id, email, password, ip)
            token, _csrf, _expires = await open_session(site.tenant.id, user_id, "web", ip, agent)
            await logins.signed_in(site.tenant.id, user_id)
            if form.get("remember"):
                device = await remember_device(site.tenant.id, user_id, ip, agent)
        elif site.kind == "operator":
            operator_id = await authenticate_operator(email, password, ip=ip)
            token, _csrf, _expires = await open_operator_session(operator_id, "web", ip, agent)
        else:
            raise NotFound()
    except SecondFactorNeeded as error:
        return await _ask_for_code(request, error, local_path(next_))
    except (NotAuthenticated, TooManyRequests) as error:
        words = str(error.message)
        if isinstance(error, AccountClosed) and site.tenant is not None:
            words = await portal_accounts.closed_words(site.tenant.id, error.data["user_id"], request.scope["state"]["locale"]) or words
        response = await login_page(request, next_=next_, email=email, error=words, status=error.status)
        if error.data.get("retry_after"):
            response.headers["retry-after"] = str(error.data["retry_after"])
        return response
    response = redirect(request, local_path(next_))
    add_cookie(request, response, SESSION_COOKIE, token, seconds=SESSION_SECONDS)
    if device is not None:
        add_cookie(request, response, DEVICE_COOKIE, device[0], seconds=device[1] * DAY)
    return response


@post("/login/device", status_code=200)
async def login_by_device(request: Request) -> Response[Any]:
    """One tap by somebody whom this device remembers, or the end of remembering."""
    refuse_foreign(request)
    tenant, form, token = site_of(request).tenant, await request.form(), cookies_of(request).get(DEVICE_COOKIE) or ""
    if tenant is None:
        raise NotFound()
    next_ = local_path(str(form.get("next") or ""))
    if form.get("forget"):
        await close_session(tenant.id, token)
        response = redirect(request, "/login" + (f"?next={quote(next_)}" if next_ != "/" else ""))
        add_cookie(request, response, DEVICE_COOKIE, "", seconds=0)
        return response
    ip, agent = client_ip(request), request.headers.get("user-agent", "")
    try:
        user_id, new, days = await sign_in_by_device(tenant.id, token, ip)
    except SecondFactorNeeded as error:
        return await _ask_for_code(request, error, next_)
    except (NotAuthenticated, TooManyRequests) as error:
        response = await login_page(request, next_=next_, error=str(error.message), status=error.status)
        add_cookie(request, response, DEVICE_COOKIE, "", seconds=0)
        return response
    session, _csrf, _expires = await open_session(tenant.id, user_id, "web", ip, agent)
    await logins.signed_in(tenant.id, user_id)
    response = redirect(request, next_)
    add_cookie(request, response, SESSION_COOKIE, session, seconds=SESSION_SECONDS)
    add_cookie(request, response, DEVICE_COOKIE, new, seconds=days * DAY)
    return response


async def _ask_for_code(request: Request, error: SecondFactorNeeded, next_: str) -> Response[Any]:
    tenant, user_id = site_of(request).tenant, error.data["user_id"]
    token = await begin_second_step(tenant.id, user_id) if tenant else (await open_operator_session(user_id, "step"))[0]
    response = redirect(request, "/login/code" + (f"?next={quote(next_)}" if next_ != "/" else ""))
    add_cookie(request, response, STEP_COOKIE, token, seconds=STEP_SECONDS)
    return response


@post("/logout", status_code=200)
async def logout(request: Request) -> Response[Any]:
    site, token = site_of(request), cookies_of(request).get(SESSION_COOKIE)
    refuse_foreign(request)
    hint: str | None = None
    if token and site.tenant is not None and is_support(token):
        found = await look_in(request, token)
        if found is not None:
            await check_token(request, found.csrf_secret)
            await end_support_access(site.tenant.id, found.id, actor_id=None)
    elif token and site.tenant is not None:
        session = await find_session(site.tenant.id, token)
        if session is not None:
            await check_token(request, session.csrf_secret)
            hint = await sso.load_hint(site.tenant.id, token)
            await close_session(site.tenant.id, token)
    elif token and site.kind == "operator":
        await close_operator_session(token)
    response = redirect(request, "/login")
    add_cookie(request, response, SESSION_COOKIE, "", seconds=0)
    if hint is not None and site.tenant is not None:  # the sign-in page offers to sign out at the provider, too
        add_cookie(request, response, "sso_out", sso.flow.seal_hint(site.tenant.id, hint) if len(hint) < MOST_HINT else "-", seconds=STEP_SECONDS)
    return response


@post("/locale", status_code=200)
async def choose_locale(request: Request) -> Response[Any]:
    """Kept with the person when signed in, else in a cookie."""
    refuse_foreign(request)
    form = await request.form()
    locale = str(form.get("locale") or "")
    response = redirect(request, local_path(str(form.get("next") or "")))
    if locale not in LOCALES:
        return response
    site, token = site_of(request), cookies_of(request).get(SESSION_COOKIE)
    session = await find_session(site.tenant.id, token) if site.tenant and token else None
    if session is not None and site.tenant is not None:
        await check_token(request, session.csrf_secret)
        await update_user(site.tenant.id, session.user.id, {"locale": locale}, actor_id=session.user.id)
    add_cookie(request, response, "locale", locale, seconds=YEAR)
    return response


@post("/theme", status_code=200)
async def choose_theme(request: Request) -> Response[Any]:
    refuse_foreign(request)
    form = await request.form()
    response = redirect(request, local_path(str(form.get("next") or "")))
    theme = str(form.get("theme") or "")
    add_cookie(request, response, "theme", theme if theme in ("light", "dark") else "", seconds=YEAR)
    return response


router = Router("", route_handlers=[show_login, login, login_by_device, logout, choose_locale, choose_theme])
