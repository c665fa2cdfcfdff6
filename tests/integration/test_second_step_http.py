"""Signing in with a second factor over HTTP, pages and API; sessions listed and ended; a workspace that asks for a second factor."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie

import httpx
import pyotp
import pytest_asyncio

from saas.tenants import (
    SecurityRules,
    create_user,
    enable_second_factor,
    find_session,
    get_second_factor,
    list_audit,
    list_sessions,
    offer_second_factor,
    open_session,
    set_security_rules,
)
from tests.acceptance.api import Person, refused
from tests.conftest import PASSWORD
from tests.integration.tenants.test_second_factor import Phone


class Browser:
    """Cookies and forms of one host."""

    def __init__(self, http: httpx.AsyncClient, slug: str) -> None:
        self.http, self.host, self.cookies, self.csrf = http, f"{slug}.localhost", {}, ""

    async def send(self, method: str, path: str, **data: object) -> httpx.Response:
        headers = {"host": self.host, "accept-language": "en", "cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items()), "x-csrf-token": self.csrf, "user-agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0 Safari/537.36"}
        answer = await self.http.request(method, path, data=data or None, headers=headers)
        for line in answer.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        if found := re.search(r'name="_csrf" value="([^"]+)"', answer.text):
            self.csrf = found[1]
        return answer

    async def sign_in(self, email: str, password: str = PASSWORD, **more: str) -> httpx.Response:
        return await self.send("POST", "/login", email=email, password=password, **more)


@pytest_asyncio.fixture
async def protected(tenant_factory):
    tenant = await tenant_factory(pack="baseline-crm")
    offer = offer_second_factor(tenant.id, tenant.admin_id, account="a", issuer="b")
    phone = Phone(offer.secret)
    return tenant, phone, await enable_second_factor(tenant.id, tenant.admin_id, offer.sealed, phone.code())


async def test_the_api_says_that_a_code_is_missing_or_wrong(http, protected):
    tenant, phone, codes = protected
    person = Person(http, f"{tenant.slug}.localhost", language="en")
    body = {"email": tenant.admin_email, "password": PASSWORD}
    for missing in ({}, {"totp": ""}, {"totp": None}):
        refused(await person.send("POST", "/tokens", {**body, **missing}), 401, "second_factor_required")
    refused(await person.send("POST", "/tokens", {**body, "totp": phone.wrong()}), 401, "second_factor_wrong")
    refused(await person.send("POST", "/tokens", {**body, "totp": 123456}), 422, field="totp")
    refused(await person.send("POST", "/tokens", {**body, "password": "wrong", "totp": codes[0]}), 401, "not_authenticated")
    code = phone.code()
    answer = await person.send("POST", "/tokens", {**body, "totp": code})
    assert answer.status_code == 201 and set(answer.json()) == {"token", "expires_at"}
    refused(await person.send("POST", "/tokens", {**body, "totp": code}), 401, "second_factor_wrong")
    assert (await person.send("POST", "/tokens", {**body, "totp": codes[0]})).status_code == 201


async def test_two_steps_on_pages_and_nothing_opens_between(http, protected, tenant_factory):
    tenant, phone, _codes = protected
    browser = Browser(http, tenant.slug)
    answer = await browser.sign_in(tenant.admin_email, next="/r/customer?q=x")
    assert answer.headers["location"] == "/login/code?next=/r/customer%3Fq%3Dx" and "session" not in browser.cookies
    step = browser.cookies["sign_in_step"]
    given = next(line.lower() for line in answer.headers.get_list("set-cookie") if line.startswith("sign_in_step"))
    assert "httponly" in given and "samesite=lax" in given and "domain=" not in given
    for name in ("session", "sign_in_step"):
        browser.cookies = {name: step}
        assert (await browser.send("GET", "/r/customer")).headers["location"].startswith("/login")
        assert (await browser.send("GET", "/api/v1/me")).status_code == 401
    refused(await Person(http, browser.host, language="en").send("GET", "/me", headers={"authorization": f"Bearer {step}"}), 401)
    other = Browser(http, (await tenant_factory(pack="baseline-crm")).slug)
    other.cookies = {"sign_in_step": step}
    assert (await other.send("GET", "/login/code")).headers["location"] == "/login"
    browser.cookies = {"sign_in_step": step}
    page = await browser.send("POST", "/login/code", code=phone.wrong(), next="//evil.example")
    assert page.status_code == 401 and "The code is wrong" in page.text and 'value="/"' in page.text
    answer = await browser.send("POST", "/login/code", code=phone.code(), next="/r/customer?q=x")
    assert answer.headers["location"] == "/r/customer?q=x" and "sign_in_step" not in browser.cookies
    assert (await browser.send("GET", "/r/customer")).status_code == 200
    browser.cookies = {"sign_in_step": step}  # used up
    assert (await browser.send("POST", "/login/code", code=phone.code())).headers["location"] == "/login"
    assert "session" not in browser.cookies


async def test_the_session_is_a_new_one_at_each_sign_in(http, protected):
    """Whoever plants a cookie beforehand holds nothing afterwards."""
    tenant, phone, _codes = protected
    plain = await create_user(tenant.id, "plain@x.example", PASSWORD, "Plain", ["sales"])
    planted, _csrf, _expires = await open_session(tenant.id, plain)
    for email, second in (("plain@x.example", False), (tenant.admin_email, True)):
        browser = Browser(http, tenant.slug)
        browser.cookies = {"session": planted}
        await browser.sign_in(email)
        if second:
            assert browser.cookies["session"] == planted  # nothing happened to it yet
            await browser.send("POST", "/login/code", code=phone.code())
        assert browser.cookies["session"] != planted
        assert (await find_session(tenant.id, browser.cookies["session"])).user.email == email
    assert (await find_session(tenant.id, planted)).user.id == plain


async def test_wrong_codes_lock_on_pages(http, protected):
    tenant, phone, codes = protected
    browser = Browser(http, tenant.slug)
    await browser.sign_in(tenant.admin_email)
    seen = [(await browser.send("POST", "/login/code", code=phone.wrong())).status_code for _ in range(7)]
    assert seen == [401] * 5 + [429] * 2
    assert (await browser.send("POST", "/login/code", code=codes[0])).status_code == 429
    assert (await browser.sign_in(tenant.admin_email)).status_code == 429


async def test_setting_up_and_switching_off_on_the_profile_page(http, tenant_factory):
    tenant = await tenant_factory(pack="baseline-crm")
    browser = Browser(http, tenant.slug)
    await browser.sign_in(tenant.admin_email)
    page = (await browser.send("GET", "/profile/second-factor")).text
    assert '<svg xmlns="http://www.w3.org/2000/svg"' in page and "style=" not in page
    secret = re.search(r"data-secret>([A-Z2-7 ]+)<", page)[1].replace(" ", "")
    offer = re.search(r'name="offer" value="([^"]+)"', page)[1]
    phone = Phone(secret)
    wrong = await browser.send("POST", "/profile/second-factor", offer=offer, code=phone.wrong())
    assert wrong.status_code == 422 and secret[:4] in wrong.text and "clock is right" in wrong.text
    done = await browser.send("POST", "/profile/second-factor", offer=offer, code=phone.code())
    codes = re.findall(r"<li>([A-Z0-9-]{19})</li>", done.text)
    assert len(codes) == 10
    text = await browser.send("POST", "/profile/second-factor/codes.txt", codes=codes)
    assert text.headers["content-disposition"].startswith("attachment") and all(code in text.text for code in codes)
    assert (await browser.send("POST", "/profile/second-factor/codes.txt", codes=["AAAA-BBBB-CCCC-DDDD"])).status_code == 403
    again = await browser.send("GET", "/profile/second-factor")
    assert not any(code in again.text for code in codes) and secret[:9] not in again.text
    assert (await browser.send("POST", "/profile/second-factor/off", password="wrong", code=codes[0])).status_code == 422
    assert (await browser.send("POST", "/profile/second-factor/off", password=PASSWORD, code="")).status_code == 422
    assert (await browser.send("POST", "/profile/second-factor/off", password=PASSWORD, code=phone.code())).headers["location"] == "/profile"
    assert await get_second_factor(tenant.id, tenant.admin_id) is None
    kinds = {e["kind"] for e in await list_audit(tenant.id)}
    assert {"second_factor.enabled", "second_factor.disabled"} <= kinds


async def test_a_workspace_that_asks_for_it_leads_everybody_there_first(http, tenant_factory):
    tenant = await tenant_factory(pack="baseline-crm")
    browser = Browser(http, tenant.slug)
    await browser.sign_in(tenant.admin_email)
    token = await Person(http, browser.host, language="en").sign_in(tenant.admin_email, PASSWORD)
    await set_security_rules(tenant.id, SecurityRules(second_factor_for_all=True))
    for path in ("/", "/r/customer", "/settings/security", "/profile", "/profile/keys", "/search?q=x", "/notifications"):
        assert (await browser.send("GET", path)).headers["location"] == "/profile/second-factor", path
    page = (await browser.send("GET", "/profile/second-factor")).text
    assert "Your workspace asks for a second factor" in page
    assert (await browser.send("POST", "/profile/keys", name="x", scopes="read", expires_at=f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}")).headers["location"] == "/profile/second-factor"
    assert refused(await token.send("GET", "/records/customer"), 403)["reason"] == "second_factor"
    code = pyotp.TOTP(re.search(r"data-secret>([A-Z2-7 ]+)<", page)[1].replace(" ", "")).now()
    await browser.send("POST", "/profile/second-factor", offer=re.search(r'name="offer" value="([^"]+)"', page)[1], code=code)
    assert (await browser.send("GET", "/r/customer")).status_code == 200
    assert (await token.send("GET", "/records/customer")).status_code == 200


async def test_sessions_are_listed_in_words_and_ended(http, tenant_factory):
    tenant = await tenant_factory(pack="baseline-crm")
    here, there = Browser(http, tenant.slug), Browser(http, tenant.slug)
    await here.sign_in(tenant.admin_email)
    await there.sign_in(tenant.admin_email)
    program = await Person(http, here.host, language="en").sign_in(tenant.admin_email, PASSWORD)
    stranger = await create_user(tenant.id, "stranger@x.example", PASSWORD, "Stranger", ["sales"])
    theirs, _csrf, _expires = await open_session(tenant.id, stranger)
    page = (await here.send("GET", "/profile")).text
    assert page.count("Chrome on Linux") == 2 and "Program (API)" in page and page.count("this one") == 1
    mine = (await find_session(tenant.id, here.cookies["session"])).id
    [other] = [s["id"] for s in await list_sessions(tenant.id, tenant.admin_id) if s["kind"] == "web" and s["id"] != mine]
    assert (await here.send("POST", f"/profile/sessions/{other}/end")).status_code == 303
    assert (await there.send("GET", "/profile")).headers["location"].startswith("/login")
    [foreign] = await list_sessions(tenant.id, stranger)
    await here.send("POST", f"/profile/sessions/{foreign['id']}/end")
    assert await find_session(tenant.id, theirs) is not None
    assert (await here.send("POST", "/profile/sessions/others/end", sure="yes")).status_code == 303
    refused(await program.send("GET", "/me"), 401)
    assert (await here.send("GET", "/profile")).status_code == 200 and await find_session(tenant.id, theirs) is not None


async def test_rules_page_and_reset_by_an_administrator(http, protected):
    tenant, _phone, codes = protected
    boss_id = await create_user(tenant.id, "boss@x.example", PASSWORD, "Boss", ["admin"])
    await create_user(tenant.id, "low@x.example", PASSWORD, "Low", ["sales"])
    boss, low = Browser(http, tenant.slug), Browser(http, tenant.slug)
    await boss.sign_in("boss@x.example")
    await low.sign_in("low@x.example")
    await low.send("GET", "/profile")
    assert (await low.send("GET", "/settings/security")).status_code == 403
    assert (await low.send("POST", f"/settings/users/{tenant.admin_id}/second-factor/reset")).status_code == 403
    page = (await boss.send("GET", "/settings/security")).text
    assert "have no second factor yet" in page
    form = {"minimum_length": "12", "refuse_common": "on", "maximum_days": "", "who": "roles", "roles": "sales"}
    for wrong in ({"minimum_length": "7"}, {"minimum_length": "x"}, {"maximum_days": "x"}, {"maximum_days": "0"}, {"roles": "nothing"}):
        assert (await boss.send("POST", "/settings/security", **{**form, **wrong})).status_code == 422, wrong
    assert (await boss.send("POST", "/settings/security", **form)).status_code == 303
    assert (await low.send("GET", "/r/customer")).headers["location"] == "/profile/second-factor"
    assert "data-second-factor" in (await boss.send("GET", f"/settings/users/{tenant.admin_id}")).text
    assert "data-second-factor" not in (await boss.send("GET", f"/settings/users/{boss_id}")).text
    assert (await boss.send("POST", f"/settings/users/{tenant.admin_id}/second-factor/reset")).status_code == 303
    back = Browser(http, tenant.slug)
    assert (await back.sign_in(tenant.admin_email)).headers["location"] == "/"
    page = (await boss.send("GET", "/settings/audit")).text
    assert "Second factor reset by an administrator" in page and "Security rules changed" in page and codes[0] not in page
