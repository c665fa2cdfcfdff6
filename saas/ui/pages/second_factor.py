"""One's own second factor. Who: anybody, once, because they want to or the workspace asks for it; with a new phone again. They scan the
code, type six digits, keep the recovery codes, and go on with their work. Also the second step of signing in."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.enums import MediaType

from saas.errors import (
    Conflict,
    InvalidInput,
    NotAuthenticated,
    NotFound,
    PermissionDenied,
    TooManyRequests,
    WrongCode,
)
from saas.i18n import gettext as _
from saas.runtime import logins
from saas.tenants import (
    Offer,
    are_recovery_codes,
    confirm_person,
    enable_second_factor,
    finish_operator_step,
    finish_second_step,
    get_second_factor,
    is_operator_step,
    is_second_step,
    offer_second_factor,
    open_operator_session,
    open_session,
    remove_second_factor,
    renew_recovery_codes,
    same_offer,
)
from saas.ui import formats
from saas.ui.guards import (
    SECOND_FACTOR,
    SESSION_COOKIE,
    Ask,
    add_cookie,
    client_ip,
    cookies_of,
    html,
    local_path,
    redirect,
    refuse_foreign,
    signed_in,
    site_of,
)
from saas.ui.pages.sessions import SESSION_SECONDS, STEP_COOKIE, login_data
from saas.ui.render import qr_code, render
from saas.ui.views import Toast

_CODE = re.compile(r"[A-Z0-9]{4}(-[A-Z0-9]{4}){3}\Z")
FEW_CODES = 3


# ---- setting up ----------------------------------------------------------------------------------------------------------


@get(SECOND_FACTOR)
async def second_factor(request: Request) -> Response[Any]:
    return await _page(await signed_in(request))


async def _page(ask: Ask, *, offer: Offer | None = None, errors: dict[str, str] | None = None, status: int = 200, codes: list[str] | None = None) -> Response[Any]:
    ctx = ask.ctx
    assert ctx.user is not None
    async with ask.work():
        state = await get_second_factor(ctx.tenant_id, ctx.user.id)
    if state is None and offer is None:
        offer = offer_second_factor(ctx.tenant_id, ctx.user.id, account=ctx.user.email, issuer=ctx.tenant.name)
    shown = {"password": "", "code": "", "": "", **(errors or {})}
    return ask.page(
        "second_factor.html", status=status, errors=shown, codes=codes, on=state is not None, since=formats.full(ctx, state.since) if state else "",
        left=state.codes_left if state else 0, few=state is not None and state.codes_left < FEW_CODES, required=ask.session.user.needs_second_factor,
        drawing=qr_code(offer.address) if offer and not state else "", secret=_spaced(offer.secret) if offer else "", offer=offer.sealed if offer else "",
    )  # fmt: skip


def _spaced(secret: str) -> str:
    return " ".join(secret[i : i + 4] for i in range(0, len(secret), 4))


@post(SECOND_FACTOR, status_code=200)
async def enable(request: Request) -> Response[Any]:
    ask = await signed_in(request)
    form = await ask.form()
    user = ask.ctx.user
    assert user is not None
    sealed = str(form.get("offer") or "")
    try:
        codes = await enable_second_factor(ask.ctx.tenant_id, user.id, sealed, str(form.get("code") or ""))
    except InvalidInput as error:
        offer = same_offer(ask.ctx.tenant_id, user.id, sealed, account=user.email, issuer=ask.ctx.tenant.name)
        return await _page(ask, offer=offer, errors=error.by_field(), status=422)
    except Conflict as error:
        return await _page(ask, errors={"": str(error.message)}, status=409)
    return await _page(ask, codes=codes)


# ---- changing ------------------------------------------------------------------------------------------------------------


@post(f"{SECOND_FACTOR}/codes", status_code=200)
async def new_codes(request: Request) -> Response[Any]:
    ask = await signed_in(request)
    if refused := await _confirmed(ask):
        return refused
    assert ask.ctx.user_id is not None
    return await _page(ask, codes=await renew_recovery_codes(ask.ctx.tenant_id, ask.ctx.user_id))


@post(f"{SECOND_FACTOR}/off", status_code=200)
async def switch_off(request: Request) -> Response[Any]:
    ask = await signed_in(request)
    if refused := await _confirmed(ask):
        return refused
    assert ask.ctx.user_id is not None
    await remove_second_factor(ask.ctx.tenant_id, ask.ctx.user_id, actor_id=ask.ctx.user_id)
    return ask.redirect(SECOND_FACTOR if ask.session.user.needs_second_factor else "/profile", Toast(_("The second factor is switched off.")))


async def _confirmed(ask: Ask) -> Response[Any] | None:
    """None when password and code are right; else the page that says what is wrong."""
    form = await ask.form()
    ctx = ask.ctx
    assert ctx.user_id is not None
    if await get_second_factor(ctx.tenant_id, ctx.user_id) is None:
        raise NotFound()
    ip = client_ip(ask.request)
    try:
        await confirm_person(ctx.tenant_id, ctx.user_id, str(form.get("password") or ""), str(form.get("code") or ""), ip)
    except InvalidInput as error:
        return await _page(ask, errors=error.by_field(), status=422)
    except TooManyRequests as error:
        return await _page(ask, errors={"": str(error.message)}, status=429)
    return None


@post(f"{SECOND_FACTOR}/codes.txt", status_code=200)
async def download_codes(request: Request) -> Response[Any]:
    """The codes just shown, as a file: they come back from the page, as we keep only hashes."""
    ask = await signed_in(request)
    codes = [str(code) for code in (await ask.form()).getall("codes", [])]
    assert ask.ctx.user is not None
    if len(codes) > 20 or not all(_CODE.match(code) for code in codes) or not await are_recovery_codes(ask.ctx.tenant_id, ask.ctx.user.id, codes):
        raise PermissionDenied()
    lines = [_("Recovery codes of %(name)s", name=ask.ctx.tenant.name), ask.ctx.user.email, _("Each opens once, in place of a code from the app."), "", *codes, ""]
    headers = {"content-disposition": f'attachment; filename="recovery-codes-{quote(ask.ctx.tenant.slug)}.txt"', "cache-control": "no-store"}
    return Response("\r\n".join(lines), media_type=MediaType.TEXT, headers=headers)


# ---- signing in ----------------------------------------------------------------------------------------------------------


@get("/login/code")
async def show_code(request: Request) -> Response[Any]:
    site, token = site_of(request), cookies_of(request).get(STEP_COOKIE)
    if site.kind not in ("tenant", "operator"):
        raise NotFound()
    if not token or not (await is_second_step(site.tenant.id, token) if site.tenant else await is_operator_step(token)):
        return redirect(request, "/login")
    return _code_page(request, next_=request.query_params.get("next", "/"))


def _code_page(request: Request, *, next_: str, error: str = "", status: int = 200) -> Response[Any]:
    return html(render("auth/code.html", **login_data(request), next=local_path(next_), error=error, operator=site_of(request).kind == "operator"), status=status)


@post("/login/code", status_code=200)
async def enter_code(request: Request) -> Response[Any]:
    refuse_foreign(request)
    site, token = site_of(request), cookies_of(request).get(STEP_COOKIE)
    if site.kind not in ("tenant", "operator"):
        raise NotFound()
    form = await request.form()
    next_ = local_path(str(form.get("next") or ""))
    ip, agent = client_ip(request), request.headers.get("user-agent", "")
    code, messages = str(form.get("code") or "")[:200], []
    try:
        if site.tenant is not None:
            user_id = await finish_second_step(site.tenant.id, token or "", code, ip)
            session, _csrf, _expires = await open_session(site.tenant.id, user_id, "web", ip, agent)
            await logins.signed_in(site.tenant.id, user_id)
            messages = await _few_codes(site.tenant.id, user_id)
        else:
            session, _csrf, _expires = await open_operator_session(await finish_operator_step(token or "", code, ip=ip), "web", ip, agent)
    except (WrongCode, TooManyRequests) as error:
        response = _code_page(request, next_=next_, error=str(error.message), status=error.status)
        if error.data.get("retry_after"):
            response.headers["retry-after"] = str(error.data["retry_after"])
        return response
    except NotAuthenticated as error:  # too late, or no such step
        response = redirect(request, "/login", Toast(str(error.message), "warn"))
        add_cookie(request, response, STEP_COOKIE, "", seconds=0)
        return response
    response = redirect(request, next_, *messages)
    add_cookie(request, response, SESSION_COOKIE, session, seconds=SESSION_SECONDS)
    add_cookie(request, response, STEP_COOKIE, "", seconds=0)
    return response


async def _few_codes(tenant_id: UUID, user_id: UUID) -> list[Toast]:
    state = await get_second_factor(tenant_id, user_id)
    if state is None or state.codes_left >= FEW_CODES:
        return []
    return [Toast(_("Recovery codes left: %(count)s. Make new ones on your profile page.", count=state.codes_left), "warn")]


router = Router("", route_handlers=[second_factor, enable, new_codes, switch_off, download_codes, show_code, enter_code])
