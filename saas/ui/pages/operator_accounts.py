"""Operators' own accounts. Who: an operator at the first sign-in, who must set up a second factor before anything else; and one who adds
a colleague, takes a right away, or helps somebody whose phone is gone."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.enums import MediaType
from litestar.params import FromPath

from saas.errors import (
    AppError,
    Conflict,
    InvalidInput,
    PermissionDenied,
    SecondFactorNeeded,
    TooManyRequests,
    WrongCode,
)
from saas.errors import NotAuthenticated as Wrong
from saas.i18n import gettext as _
from saas.i18n import lazy
from saas.tenants import (
    Offer,
    are_operator_codes,
    authenticate_operator,
    change_operator,
    change_operator_password,
    create_operator,
    enable_operator_factor,
    list_operators,
    note_act,
    renew_operator_codes,
    reset_operator_factor,
)
from saas.tenants.rules import STANDARD
from saas.tenants.totp import new_offer, same_offer_again
from saas.ui.console import SETUP, Console, opened
from saas.ui.render import qr_code
from saas.ui.views import Toast

ISSUER = "Operator console"
PASSWORD = "/account/password"
ROLES = {"full": lazy("may do everything"), "read": lazy("may look only")}
_CODE = re.compile(r"[A-Z0-9]{4}(-[A-Z0-9]{4}){3}\Z")
FEW_CODES = 3


# ---- one's own second factor -----------------------------------------------------------------------------------------------


@get(SETUP)
async def second_factor(request: Request) -> Response[Any]:
    return await _factor_page(await opened(request))


async def _factor_page(console: Console, *, offer: Offer | None = None, errors: dict[str, str] | None = None, status: int = 200, codes: list[str] | None = None) -> Response[Any]:
    me = console.operator
    account = next(o for o in await list_operators() if o["id"] == me.id)
    is_on = account["factor_since"] is not None
    if not is_on and offer is None:
        offer = new_offer(me.id, account=me.email, issuer=ISSUER)
    return console.page(
        "operator/second_factor.html", "", status=status, errors={"password": "", "code": "", "": "", **(errors or {})}, codes=codes, on=is_on,
        since=console.moment(account["factor_since"]), left=account["codes_left"], few=is_on and account["codes_left"] < FEW_CODES,
        required=console.request.app.state.settings.operator_totp != "optional",
        drawing=qr_code(offer.address) if offer and not is_on else "", secret=" ".join(re.findall("....", offer.secret)) if offer else "", offer=offer.sealed if offer else "",
    )  # fmt: skip


@post(SETUP, status_code=200)
async def enable(request: Request) -> Response[Any]:
    console = await opened(request)
    form, me = await request.form(), console.operator
    sealed = str(form.get("offer") or "")
    try:
        codes = await enable_operator_factor(me.id, sealed, str(form.get("code") or ""), keep=me.session_id)
    except InvalidInput as error:
        offer = same_offer_again(sealed, me.id, account=me.email, issuer=ISSUER)
        return await _factor_page(console, offer=offer, errors=error.by_field(), status=422)
    except Conflict as error:
        return await _factor_page(console, errors={"": str(error.message)}, status=409)
    await note_act(me, "second_factor.enabled", ip=console.ip)
    return await _factor_page(console, codes=codes)


@post(f"{SETUP}/codes", status_code=200)
async def new_codes(request: Request) -> Response[Any]:
    console = await opened(request)
    form, me = await request.form(), console.operator
    try:
        await authenticate_operator(me.email, str(form.get("password") or ""), totp=str(form.get("code") or ""), ip=console.ip)
    except (SecondFactorNeeded, WrongCode) as error:
        return await _factor_page(console, errors={"code": str(error.message)}, status=422)
    except Wrong:
        return await _factor_page(console, errors={"password": _("The password is wrong")}, status=422)
    except TooManyRequests as error:
        return await _factor_page(console, errors={"": str(error.message)}, status=429)
    codes = await renew_operator_codes(me.id)
    await note_act(me, "recovery_codes.renewed", ip=console.ip)
    return await _factor_page(console, codes=codes)


@post(f"{SETUP}/codes.txt", status_code=200)
async def download_codes(request: Request) -> Response[Any]:
    """The codes just shown, as a file: they come back from the page, as we keep only hashes."""
    console = await opened(request)
    codes = [str(code) for code in (await request.form()).getall("codes", [])]
    if len(codes) > 20 or not all(_CODE.match(code) for code in codes) or not await are_operator_codes(console.operator.id, codes):
        raise PermissionDenied()
    lines = [_("Recovery codes of %(name)s", name=_("Operator console")), console.operator.email, _("Each opens once, in place of a code from the app."), "", *codes, ""]
    return Response("\r\n".join(lines), media_type=MediaType.TEXT, headers={"content-disposition": 'attachment; filename="recovery-codes-operator.txt"', "cache-control": "no-store"})


# ---- one's own password ----------------------------------------------------------------------------------------------------


@get(PASSWORD)
async def password(request: Request) -> Response[Any]:
    return _password_page(await opened(request))


def _password_page(console: Console, *, errors: dict[str, str] | None = None, status: int = 200) -> Response[Any]:
    return console.page("operator/password.html", "", status=status, errors={"current": "", "code": "", "password": "", "": "", **(errors or {})}, asks_code=console.operator.has_totp, minimum=STANDARD.minimum_length)


@post(PASSWORD, status_code=200)
async def change_password(request: Request) -> Response[Any]:
    console = await opened(request)
    form, me = await request.form(), console.operator
    try:
        await authenticate_operator(me.email, str(form.get("current") or ""), totp=str(form.get("code") or ""), ip=console.ip)
        await change_operator_password(me.id, str(form.get("password") or ""), email=me.email, keep=me.session_id, ip=console.ip)
    except (SecondFactorNeeded, WrongCode) as error:
        return _password_page(console, errors={"code": str(error.message)}, status=422)
    except Wrong:
        return _password_page(console, errors={"current": _("The password is wrong")}, status=422)
    except InvalidInput as error:
        return _password_page(console, errors=error.by_field(), status=422)
    except TooManyRequests as error:
        return _password_page(console, errors={"": str(error.message)}, status=429)
    return console.redirect("/", Toast(_("Password changed. You were signed out everywhere else.")))


# ---- the operators ---------------------------------------------------------------------------------------------------------


@get("/operators")
async def operators(request: Request) -> Response[Any]:
    return await _list(await opened(request))


async def _list(console: Console, *, values: dict[str, str] | None = None, errors: dict[str, str] | None = None, status: int = 200) -> Response[Any]:
    rows = [
        {
            "id": str(o["id"]), "name": o["name"], "email": o["email"], "role": o["role"], "role_name": str(ROLES[o["role"]]), "active": o["status"] == "active", "me": o["id"] == console.operator.id,
            "factor": o["factor_since"] is not None, "seen": console.moment(o["last_login_at"]), "created": console.moment(o["created_at"]),
        }
        for o in await list_operators()
    ]  # fmt: skip
    blank = dict.fromkeys(("email", "name", "password", "role"), "")
    return console.page("operator/operators.html", "operators", status=status, rows=rows, values={**blank, "role": "full", **(values or {})}, errors={**blank, "": "", **(errors or {})}, roles=ROLES)


@post("/operators", status_code=200)
async def add(request: Request) -> Response[Any]:
    console = await opened(request, change=True)
    form = await request.form()
    values = {name: str(form.get(name) or "").strip() for name in ("email", "name", "role")}
    try:
        await create_operator(values["email"], str(form.get("password") or ""), name=values["name"], role=values["role"] or "full")
    except InvalidInput as error:
        return await _list(console, values=values, errors=error.by_field(), status=422)
    except Conflict as error:
        return await _list(console, values=values, errors={"email": str(error.message)}, status=409)
    await note_act(console.operator, "operator.created", ip=console.ip, data={"email": values["email"].lower(), "role": values["role"] or "full"})
    return console.redirect("/operators", Toast(_("Added. At the first sign-in they set up their second factor.")))


@post("/operators/{operator_id:uuid}", status_code=200)
async def change(request: Request, operator_id: FromPath[UUID]) -> Response[Any]:
    """`act`: deactivate, activate, full, read, reset."""
    console = await opened(request, change=True)
    act = str((await request.form()).get("act") or "")
    try:
        if act == "reset":
            if operator_id == console.operator.id:
                raise Conflict(lazy("Nobody changes their own account here: ask another operator."))
            email = await reset_operator_factor(operator_id)
            await note_act(console.operator, "operator.factor_reset", ip=console.ip, data={"email": email})
        elif act in ROLES:
            await change_operator(operator_id, actor_id=console.operator.id, role=act, ip=console.ip)
        elif act in ("activate", "deactivate"):
            await change_operator(operator_id, actor_id=console.operator.id, active=act == "activate", ip=console.ip)
    except AppError as error:
        return await _list(console, errors={"": str(error.message)}, status=error.status)
    return console.redirect("/operators", Toast(_("Saved. They are signed out everywhere.")))


router = Router("", route_handlers=[second_factor, password, change_password, enable, new_codes, download_codes, operators, add, change])
