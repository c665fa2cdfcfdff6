"""The apex host: what the product is, and how a company gets its workspace.

Who: somebody who has heard of the product, often on a telephone, or an employee who has forgotten their company's address. What next: they
fill in the form, open the link in their mailbox, choose a password, and stand signed in on their workspace's own host.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any
from urllib.parse import quote

from babel.numbers import format_currency
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.db import current_database
from saas.errors import AppError, FieldProblem, InvalidInput, NotFound, PermissionDenied, TooManyRequests
from saas.i18n import LOCALES, get_locale, pick, set_locale
from saas.i18n import gettext as _
from saas.metadata.packs import list_packs
from saas.runtime import logins
from saas.tenants import open_session, signups
from saas.tenants.hand_over import take_hand_over
from saas.tenants.links import platform_address
from saas.tenants.mail import mail_is_sent
from saas.tenants.plans import catalogue
from saas.tenants.rules import STANDARD
from saas.tenants.workspaces import send_addresses
from saas.ui.guards import SESSION_COOKIE, add_cookie, client_ip, cookies_of, html, page_data, redirect, refuse_foreign, site_of
from saas.ui.pack_gallery import gallery
from saas.ui.pages.sessions import SESSION_SECONDS
from saas.ui.render import render
from saas.ui.views import Choice

MOST = 500  # characters of a field
FIELDS = ("company", "slug", "pack", "plan", "name", "email", "locale", "password")


def _page(request: Request, template: str, /, *, status: int = 200, headers: dict[str, str] | None = None, errors: dict[str, str] | None = None, **data: Any) -> Response[Any]:
    settings = current_database().settings
    known = {key: (errors or {}).get(key, "") for key in (*FIELDS, "")}
    base = platform_address("").partition("://")[2]
    shown = {**page_data(request), "product": settings.product_name, "base": base, "is_open": signups.is_open(), "closed": _closed_words(), "errors": known, **data}
    # Addresses of confirmation pages hold a secret: no page that is left from here is told where somebody came from.
    return html(render(f"signup/{template}.html", **shown), status=status, headers={"referrer-policy": "no-referrer", **(headers or {})})


def _closed_words() -> str:
    settings = current_database().settings
    if settings.signup_open and not mail_is_sent() and not settings.is_local:
        return _("This installation cannot send e-mail yet, so nobody can confirm a sign-up. Its operator has to set up a mail server first.")
    return _("New companies cannot sign up here at the moment.")


def _apex(request: Request) -> None:
    """Errors: NotFound on other hosts."""
    if site_of(request).kind != "apex":
        raise NotFound()


# ---- the landing page --------------------------------------------------------------------------------------------------------


def landing(request: Request, *, slug: str = "", error: str = "", status: int = 200) -> Response[Any]:
    """What the product is; also the answer to an address of a workspace that cannot be one."""
    packs = gallery()
    points = (
        ("adjustments", _("Yours to change"), _("Fields, stages, roles and reports are configuration: versioned, checked before they go live, and reversible.")),
        ("shield", _("One door"), _("The same rules hold for people, imports, automations and the API. Nothing goes around them.")),
        ("bolt", _("Fast all day"), _("Lists, search and reports stay quick with a million records, on the desk and on the phone.")),
        ("language", _("Two languages"), _("English and Chinese throughout, also in what you define yourself. Everybody works in their own.")),
        ("lock", _("Apart from others"), _("Every company's data is kept apart by the database itself, and a self-test proves it at any time.")),
        ("package-export", _("Free to leave"), _("One button exports everything: configuration, records, files and history, in an open format.")),
    )
    return _page(request, "landing", packs=packs, cover=packs[0].pictures[0], points=points, slug=slug, error=error, status=status)


@post("/find", status_code=200)
async def find(request: Request) -> Response[Any]:
    """The addresses of one's workspaces by e-mail; the page is the same whoever asks."""
    _apex(request)
    refuse_foreign(request)
    email = str((await request.form()).get("email") or "").strip()[:254]
    try:
        await send_addresses(email, request.scope["state"]["locale"], client_ip(request))
    except TooManyRequests as error:
        return _page(request, "found", status=error.status, email=email, is_sent=True, errors=_words(error), headers={"retry-after": str(error.data["retry_after"])})
    return _page(request, "found", email=email, is_sent=mail_is_sent())


# ---- the form ----------------------------------------------------------------------------------------------------------------


@get("/signup")
async def show_form(request: Request) -> Response[Any]:
    _apex(request)
    if not signups.is_open():
        return _page(request, "closed", status=403)
    return _form(request, {"pack": request.query_params.get("pack", "")[:MOST]})


def _form(request: Request, typed: dict[str, Any], *, errors: dict[str, str] | None = None, status: int = 200, headers: dict[str, str] | None = None) -> Response[Any]:
    packs = gallery()
    values = {"company": "", "slug": "", "proposed": "", "name": "", "email": "", "locale": request.scope["state"]["locale"], "sample": True, "plan": "", **typed}
    if values.get("pack") not in {p.key for p in packs}:
        values["pack"] = packs[0].key
    said = (errors or {}).get("slug", "")
    plans = [Choice(key, _plan_words(key), key == values["plan"]) for key in signups.offered_plans()]
    return _page(request, "form", packs=packs, values=values, plans=plans, began=_stamp(), state="malformed" if said else "", said=said, errors=errors, status=status, headers=headers)


def _plan_words(key: str) -> str:
    plan = catalogue()[key]
    name, limits = pick(plan.label), plan.limits
    currency = "CNY" if get_locale() == "zh_CN" and "CNY" in plan.prices else "USD"
    minor = plan.prices.get(currency, 0)
    if not minor:
        if limits.seats is None or limits.records is None:
            return name
        return _("%(plan)s: free, for up to %(people)s people and %(records)s records", plan=name, people=limits.seats, records=f"{limits.records:,}")
    price = format_currency(minor / 100, currency, locale=get_locale())
    if plan.trial_days:
        return _("%(plan)s: %(days)s days for nothing, then %(price)s per person and month", plan=name, days=plan.trial_days, price=price)
    return _("%(plan)s: %(price)s per person and month", plan=name, price=price)


@get("/signup/address")
async def check_address(request: Request) -> Response[Any]:
    """While somebody types: proposes an address from the company's name as long as nobody chose one, and says whether it is free."""
    _apex(request)
    typed = {key: request.query_params.get(key, "")[:MOST] for key in ("company", "slug", "proposed")}
    slug, status, headers = typed["slug"].strip().lower(), 200, {}
    whole = request.headers.get("hx-target", "").rpartition("#")[2] == "address"
    try:
        if not signups.is_open():
            raise PermissionDenied()
        if whole and slug in ("", typed["proposed"]):
            found = await signups.propose(typed["company"], client_ip(request))
            slug = typed["proposed"] = found.slug if found else ""
            state = found.state if found else ""
        else:
            state = (await signups.look_up(slug, client_ip(request))).state if slug else ""
        said = "" if not state else _("%(host)s is free", host=platform_address("", slug=slug).partition("://")[2]) if state == "free" else str(signups.said_of(state))
    except TooManyRequests as error:
        state, said, status, headers = "wait", str(error.message), error.status, {"retry-after": str(error.data["retry_after"]), "x-reason": quote(str(error.message))}
    if not whole:
        return html(render("signup/_state.html", **page_data(request), state=state, said=said), status=status, headers=headers)
    errors = {"slug": ""}
    base = platform_address("").partition("://")[2]
    return html(render("signup/_address.html", **page_data(request), values={"slug": slug, "proposed": typed["proposed"]}, errors=errors, base=base, state=state, said=said), status=status, headers=headers)


@post("/signup", status_code=200)
async def send(request: Request) -> Response[Any]:
    _apex(request)
    refuse_foreign(request)
    if not signups.is_open():
        return _page(request, "closed", status=403)
    form = await request.form()
    typed: dict[str, Any] = {key: str(form.get(key) or "").strip()[:MOST] for key in ("company", "slug", "proposed", "pack", "plan", "name", "email", "locale", "time_zone")}
    typed["slug"], typed["sample"] = typed["slug"].lower(), bool(form.get("sample"))
    if form.get("website"):  # a box that people do not see: who fills it in is no person, and is told what people are told
        return _sent(request, typed, "")
    if not _stamp_fits(str(form.get("began") or "")):
        return _form(request, typed, errors={"": _("That was very quick, or a long time ago. Please look over the form and send it again.")}, status=422)
    wanted = signups.Wanted(
        typed["company"], typed["slug"], typed["email"], typed["name"], typed["locale"] if typed["locale"] in LOCALES else "", typed["pack"], typed["plan"], typed["sample"],
        typed["time_zone"],
    )  # fmt: skip
    try:
        link = await signups.ask(wanted, known_packs=[p.key for p in list_packs()], ip=client_ip(request))
    except (InvalidInput, TooManyRequests) as error:
        headers = {"retry-after": str(error.data["retry_after"])} if isinstance(error, TooManyRequests) else None
        return _form(request, typed, errors=_words(error), status=error.status, headers=headers)
    return _sent(request, typed, link)


def _sent(request: Request, typed: dict[str, Any], link: str) -> Response[Any]:
    host = platform_address("", slug=typed["slug"]).partition("://")[2]
    return _page(request, "sent", email=typed["email"], host=host, link=link, hours=signups.LIFE_HOURS, held=signups.HELD_HOURS)


def _words(error: AppError) -> dict[str, str]:
    if isinstance(error, InvalidInput):
        return {p.field if p.field in FIELDS else "": str(p.message) for p in error.problems if isinstance(p, FieldProblem)}
    return {"": str(error.message)}


def _stamp() -> str:
    """When the form was shown, signed: programs that send forms without reading them have none."""
    at = str(int(time.time() * 10))
    return f"{at}.{_signature(at)}"


def _signature(text: str) -> str:
    return hmac.new(current_database().settings.secret_key.encode(), b"signup form " + text.encode(), hashlib.sha256).hexdigest()[:24]


def _stamp_fits(stamp: str) -> bool:
    at, _dot, signature = stamp.partition(".")
    if not (at.isascii() and at.isdigit() and len(at) < 15 and hmac.compare_digest(signature.encode(), _signature(at).encode())):
        return False
    return signups.LEAST_SECONDS <= time.time() - int(at) / 10 <= signups.MOST_HOURS * 3600


# ---- the link in the message -------------------------------------------------------------------------------------------------


@get("/signup/confirm/{token:str}")
async def show_confirmation(request: Request, token: FromPath[str]) -> Response[Any]:
    _apex(request)
    try:
        found = await signups.find(token[:MOST], client_ip(request))
    except (NotFound, TooManyRequests) as error:
        return _over(request, status=error.status)
    _speak(request, found["locale"])
    return _over(request, found) if found["is_done"] else _confirmation(request, found)


def _speak(request: Request, locale: str) -> None:
    """The language that was asked for, unless the browser's owner has chosen one here."""
    if not cookies_of(request).get("locale"):
        request.scope["state"]["locale"] = locale
        set_locale(locale)


def _over(request: Request, found: dict[str, Any] | None = None, *, status: int = 200) -> Response[Any]:
    return _page(request, "over", status=status, workspace=platform_address("/login", slug=found["slug"]) if found else "", hours=signups.LIFE_HOURS)


def _confirmation(request: Request, found: dict[str, Any], *, slug: str = "", errors: dict[str, str] | None = None, status: int = 200) -> Response[Any]:
    pack = next((p for p in list_packs() if p.key == found["pack_key"]), None)
    host = platform_address("", slug=found["slug"]).partition("://")[2]
    return _page(
        request, "confirm", status=status, errors=errors, name=found["name"], company=found["company"], email=found["email"], host=host, slug=slug, sample=found["with_sample"],
        pack=pick(pack.label) if pack else found["pack_key"], minimum=STANDARD.minimum_length, action=request.url.path,
    )  # fmt: skip


@post("/signup/confirm/{token:str}", status_code=200)
async def confirm(request: Request, token: FromPath[str]) -> Response[Any]:
    """Makes the workspace, and leads on to it with a token that signs in there once."""
    _apex(request)
    refuse_foreign(request)
    form = await request.form()
    slug, password = str(form.get("slug") or "").strip().lower()[:MOST], str(form.get("password") or "")[:MOST]
    try:
        found = await signups.find(token[:MOST], client_ip(request))
        _speak(request, found["locale"])
        if found["is_done"]:
            return _over(request, found)
        url = await request.app.state.open_workspace(token[:MOST], found, password=password, slug=slug, ip=client_ip(request))
    except (NotFound, TooManyRequests) as error:
        return _over(request, status=error.status)
    except InvalidInput as error:
        errors = _words(error)
        return _confirmation(request, found, slug=slug or (found["slug"] if "slug" in errors else ""), errors=errors, status=error.status)
    return redirect(request, url, headers={"referrer-policy": "no-referrer", "cache-control": "no-store"})


# ---- on the workspace's own host ---------------------------------------------------------------------------------------------


@get("/welcome/{token:str}")
async def welcome(request: Request, token: FromPath[str]) -> Response[Any]:
    """The way in from the apex host. A token that was used, or belongs elsewhere, leads to the sign-in page."""
    tenant = site_of(request).tenant
    if tenant is None:
        raise NotFound()
    try:
        user_id = await take_hand_over(tenant.id, token[:MOST], client_ip(request))
    except NotFound:
        return redirect(request, "/login")
    session, _csrf, _expires = await open_session(tenant.id, user_id, "web", client_ip(request), request.headers.get("user-agent", ""))
    await logins.signed_in(tenant.id, user_id)
    response = redirect(request, "/", headers={"referrer-policy": "no-referrer", "cache-control": "no-store"})
    add_cookie(request, response, SESSION_COOKIE, session, seconds=SESSION_SECONDS)
    return response


router = Router("", route_handlers=[find, show_form, check_address, send, show_confirmation, confirm, welcome])
