"""Single sign-on over HTTP, against a provider that keeps to the rules until it is told not to."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
from dataclasses import replace
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from joserfc import jwk, jwt

from saas.db import fair, tenant_transaction
from saas.errors import Conflict, InvalidInput
from saas.runtime import invitations, succession
from saas.runtime import sso as runtime_sso
from saas.runtime.contexts import context_for_user
from saas.tenants import auth, find_user, get_tenant, list_audit, open_session, sso, update_user
from saas.tenants.mail import send_due
from saas.tenants.sso import Identity, SingleSignOn
from tests.conftest import PASSWORD
from tests.integration.sso.browsing import path_of, shown
from tests.mailbox import mailed
from tests.oidc_provider.foreign import foreign_provider
from tests.oidc_provider.lying import CLIENT_ID, SECRET

WRONG, EMAIL, STATE, ISSUER = "could not be believed", "has verified", "began in another browser", "another sign-in service"


async def _why(company) -> str:
    events = await list_audit(company.id, limit=5)
    return next(e["data"]["detail"] for e in events if e["kind"] == "sso.refused")


# ---- the way it should go ------------------------------------------------------------------------------------------------


async def test_somebody_known_signs_in_and_is_bound(company, provider, name):
    user_id = await company.add(name)
    provider.person, browser = company.person(name), company.browser()
    page = await browser.get("/login?next=/r/customer")
    assert "Sign in with Corporate" in page.text and "/sso/start?next=/r/customer" in page.text and 'name="password"' in page.text
    there = await browser.begin("/sso/start?next=/r/customer")
    asked = {key: values[0] for key, values in parse_qs(urlsplit(there).query).items()}
    assert asked["redirect_uri"] == f"http://{company.host}:8000/sso/callback" and asked["scope"] == "openid email profile"
    cookie = next(c for c in browser.cookies if c.startswith("sso_"))
    answer = await browser.get(await browser.visit_provider(there))
    assert answer.status_code == 303 and answer.headers["location"] == "/r/customer"
    assert "session" in browser.cookies and cookie not in browser.cookies
    assert (await browser.get("/profile")).status_code == 200
    async with tenant_transaction(company.id) as conn:
        row = await conn.fetchrow("SELECT subject, email FROM sso_subject WHERE tenant_id = $1 AND user_id = $2", company.id, user_id)
        secret = await conn.fetchval("SELECT client_secret FROM sso_provider WHERE tenant_id = $1", company.id)
    assert tuple(row) == (f"sub-{name}", f"{name}@{company.slug}.example")
    assert SECRET.encode() not in bytes(secret)


async def test_people_are_made_with_roles_only_where_that_is_wanted(company, provider, name):
    provider.person = company.person(name, groups=["nobody"])
    answer = await company.browser().sign_in()
    assert answer.status_code == 401 and "no account" in shown(answer)
    await company.set(creates=True, default_role="sales", role_claim="groups", role_map=(("bosses", "manager"), ("gone", "no_such_role")))
    assert (await company.browser().sign_in()).status_code == 303
    made = await find_user(company.id, email=provider.person["email"])
    assert made["role_keys"] == ["sales"] and made["name"] == name.title()
    provider.person = company.person(name, groups=["bosses", "gone", "x"])
    assert (await company.browser().sign_in()).status_code == 303
    assert (await find_user(company.id, user_id=made["id"]))["role_keys"] == ["manager", "sales"]
    provider.person = company.person(name, groups="nobody")
    assert (await company.browser().sign_in()).status_code == 303
    assert (await find_user(company.id, user_id=made["id"]))["role_keys"] == ["sales"]


async def test_a_provider_that_says_nothing_of_roles_takes_none(company, provider, name):
    """The claim is not there, or the provider that would tell is away: neither is an empty list."""
    user_id = await company.add(name, "manager")
    await company.set(role_claim="groups", role_map=(("bosses", "manager"),), default_role="sales")
    provider.person = company.person(name)
    assert (await company.browser().sign_in()).status_code == 303
    assert (await find_user(company.id, user_id=user_id))["role_keys"] == ["manager"]
    provider.info_status = 500
    answer = await company.browser().sign_in()
    assert answer.status_code == 503 and "cannot be reached" in shown(answer)
    assert (await find_user(company.id, user_id=user_id))["role_keys"] == ["manager"]
    provider.person = company.person(name, groups=[])
    assert (await company.browser().sign_in()).status_code == 303
    assert (await find_user(company.id, user_id=user_id))["role_keys"] == ["sales"]


async def test_a_group_at_the_provider_does_not_take_the_last_administrator(make_company, provider):
    company = await make_company(role_claim="groups", role_map=(("admins", "admin"),))
    provider.person = {"sub": "boss", "email": company.admin_email, "email_verified": True, "groups": []}
    assert (await company.browser().sign_in()).status_code == 303
    assert (await find_user(company.id, user_id=company.admin_id))["role_keys"] == ["admin"]


async def test_the_address_may_change_at_the_provider_and_opens_nobody_elses_account(company, provider, name):
    mine, other = await company.add(name), await company.add(f"{name}-boss", "manager")
    provider.person = company.person(name)
    assert (await company.browser().sign_in()).status_code == 303
    provider.person = {**company.person(name), "email": f"{name}-boss@{company.slug}.example"}  # the same subject
    browser = company.browser()
    assert (await browser.sign_in()).status_code == 303
    assert f"{name}@{company.slug}.example" in (await browser.get("/profile")).text
    provider.person = {**company.person(name), "sub": "somebody-else"}  # a new subject with an address that has one
    answer = await company.browser().sign_in()
    assert answer.status_code == 401 and "another identity" in shown(answer)
    await sso.forget_subject(company.id, mine, actor_id=None)
    assert (await browser.get("/profile")).headers["location"].startswith("/login"), "the old identity's sessions end"
    assert (await company.browser().sign_in()).status_code == 303
    assert other not in [s["user_id"] for s in await sso.list_subjects(company.id)]


async def test_a_thin_id_token_is_completed_by_userinfo_of_the_same_person_only(company, provider, name):
    await company.add(name)
    provider.person = company.person(name)
    provider.lies = {"email": None, "email_verified": None}
    assert (await company.browser().sign_in()).status_code == 303
    provider.person = company.person(f"{name}-2")
    provider.info = company.person(name, sub="other")
    assert EMAIL in shown(await company.browser().sign_in())


async def test_two_first_sign_ins_at_once_make_one_person(company, provider, name):
    await company.set(creates=True, default_role="sales")
    provider.person = company.person(name)
    paths = []
    for browser in (browsers := [company.browser() for _ in range(3)]):
        paths.append(await browser.visit_provider(await browser.begin()))
    answers = await asyncio.gather(*(browser.get(path) for browser, path in zip(browsers, paths, strict=True)))
    assert [a.status_code for a in answers] == [303] * 3


async def test_a_second_factor_and_an_old_password_are_the_providers_matter(make_company, provider):
    company = await make_company()
    user_id = await company.add("anna")
    await update_user(company.id, user_id, {"must_change_password": True})
    async with tenant_transaction(company.id) as conn:
        await conn.execute("UPDATE tenant SET security = '{\"second_factor_for_all\": true}' WHERE id = $1", company.id)
    provider.person, browser = company.person("anna"), company.browser()
    assert (await browser.sign_in()).status_code == 303
    assert (await browser.get("/r/customer")).status_code == 200
    by_password = company.browser()
    await by_password.post("/login", {"email": f"anna@{company.slug}.example", "password": PASSWORD})
    assert (await by_password.get("/r/customer")).status_code in (303, 403)


async def test_no_seat_no_account(make_company, provider, monkeypatch):
    from saas.errors import PlanLimitReached
    from saas.tenants.sso import people

    company = await make_company(creates=True, default_role="sales")

    async def full(*_given, **_named):
        raise PlanLimitReached()

    monkeypatch.setattr(people, "insert_user", full)
    provider.person = company.person("late")
    answer = await company.browser().sign_in()
    assert answer.status_code == 401 and "no free seat" in shown(answer)


# ---- what a token must be ------------------------------------------------------------------------------------------------


def _none(header, claims):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none'})}.{part(claims)}."


def _hs256(key: bytes):
    """The classic: the public key, or the client secret, as the key of a MAC."""

    def make(header, claims):
        head, body = (base64.urlsafe_b64encode(json.dumps(v).encode()).rstrip(b"=").decode() for v in ({"alg": "HS256", "kid": "one"}, claims))
        mac = base64.urlsafe_b64encode(hmac.new(key, f"{head}.{body}".encode(), hashlib.sha256).digest()).rstrip(b"=").decode()
        return f"{head}.{body}.{mac}"

    return make


def _other_key(header, claims):
    return jwt.encode(header, claims, jwk.RSAKey.generate_key(2048))


def _embedded_key(header, claims):
    key = jwk.RSAKey.generate_key(2048)
    token = jwt.encode({**header, "kid": "two"}, claims, key)
    head = {"alg": "RS256", "jwk": key.as_dict(private=False), "jku": "http://127.0.0.1/evil"}
    return base64.urlsafe_b64encode(json.dumps(head).encode()).rstrip(b"=").decode() + token[token.index(".") :]


def _changed(header, claims, key):
    head, _body, mac = jwt.encode(header, claims, key).split(".")
    claims = {**claims, "email": "admin@x.example"}
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.{mac}"


LIES = {
    "wrong nonce": ({"nonce": "x" * 43}, "nonce"), "no nonce": ({"nonce": None}, "nonce"), "wrong audience": ({"aud": "another-client"}, "aud"), "no audience": ({"aud": None}, "aud"),
    "several audiences, nobody authorised": ({"aud": [CLIENT_ID, "another-client"]}, "azp"), "authorised is another": ({"aud": [CLIENT_ID, "another"], "azp": "another"}, "azp"),
    "authorised another of one": ({"azp": "another"}, "azp"), "too old": ({"exp": 1_600_000_000}, "exp"), "no end": ({"exp": None}, "exp"), "end is a text": ({"exp": "tomorrow"}, "exp"),
    "from tomorrow": ({"iat": 4_000_000_000}, "future"), "not yet": ({"nbf": 4_000_000_000}, "not yet"), "no subject": ({"sub": None}, "sub"), "empty subject": ({"sub": " "}, "sub"),
    "subject is a list": ({"sub": ["sub-a"]}, "sub"), "subject too long": ({"sub": "x" * 300}, "sub"), "nonce in a list": ({"nonce": ["x"]}, "nonce"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
async def test_claims_that_do_not_hold(lie, company, provider, name):
    await company.add(name)
    provider.person = company.person(name)
    provider.lies, word = LIES[lie]
    browser = company.browser()
    answer = await browser.sign_in()
    assert answer.status_code == 401 and WRONG in shown(answer), shown(answer)
    assert word in await _why(company) and "session" not in browser.cookies
    provider.lies = {}
    assert (await browser.sign_in()).status_code == 303, "the same person with a token that holds"


async def test_a_token_of_another_issuer(company, provider, name):
    await company.add(name)
    provider.person, provider.lies = company.person(name), {"iss": "https://evil.example"}
    answer = await company.browser().sign_in()
    assert ISSUER in shown(answer), shown(answer)


@pytest.mark.parametrize("kind", ["none", "hs256 with the public key", "hs256 with the secret", "another key", "a key in the token", "changed after signing", "garbage", "encrypted"])
async def test_signatures_that_are_none(kind, company, provider, name):
    await company.add(name)
    provider.person = company.person(name)
    public = provider.key.as_pem(private=False)
    provider.token = {
        "none": _none, "hs256 with the public key": _hs256(public), "hs256 with the secret": _hs256(SECRET.encode()), "another key": _other_key, "a key in the token": _embedded_key,
        "changed after signing": lambda header, claims: _changed(header, claims, provider.key), "garbage": lambda *_: "a.b.c", "encrypted": lambda *_: "a.b.c.d.e",
    }[kind]  # fmt: skip
    browser = company.browser()
    answer = await browser.sign_in()
    assert answer.status_code == 401 and WRONG in shown(answer) and "session" not in browser.cookies


async def test_other_algorithms_and_new_keys_are_fine_symmetric_and_small_ones_not(company, provider, name):
    await company.add(name)
    provider.person = company.person(name)
    assert (await company.browser().sign_in()).status_code == 303
    new = jwk.ECKey.generate_key("P-256", {"kid": "two"})
    provider.token = lambda header, claims: jwt.encode({"alg": "ES256", "kid": "two"}, claims, new)
    provider.jwks = {"keys": [provider.key.as_dict(private=False), new.as_dict(private=False)]}
    sso.provider._known[company.id, provider.issuer].keys_at -= 60  # keys were fetched a minute ago
    assert (await company.browser().sign_in()).status_code == 303, "an unknown key is looked for once more"
    small = {"kty": "oct", "k": "c2VjcmV0", "kid": "three"}, {**jwk.RSAKey.generate_key(1024, auto_kid=True).as_dict(private=False)}, {**new.as_dict(private=False), "use": "enc"}
    with pytest.raises(sso.SignInRefused, match="describe"):
        sso.provider.read_keys({"keys": list(small)})


@pytest.mark.parametrize("verified", [False, None, "false", 1, "yes"])
async def test_an_address_that_is_not_verified(verified, company, provider, name):
    await company.add(name)
    provider.person = company.person(name, email_verified=verified)
    assert EMAIL in shown(await company.browser().sign_in())


@pytest.mark.parametrize("email", ["{name}@evil.example", "{name}@x.{slug}.example", "{name}@{slug}.example.evil.org", "{name}@{slug}.example@evil.org", "@{slug}.example@", "", 5, ["a"]])
async def test_addresses_of_other_domains(email, company, provider, name):
    await company.add(name)
    await company.set(creates=True, default_role="sales")
    provider.person = company.person(name, email=email.format(name=name, slug=company.slug) if isinstance(email, str) else email)
    answer = await company.browser().sign_in()
    assert answer.status_code == 401 and shown(answer)


async def test_somebody_who_left(company, provider, name):
    user_id = await company.add(name)
    provider.person = company.person(name)
    await update_user(company.id, user_id, {"status": "inactive"})
    assert "not active" in shown(await company.browser().sign_in())
    await update_user(company.id, user_id, {"status": "active"})
    assert (await company.browser().sign_in()).status_code == 303
    await update_user(company.id, user_id, {"status": "inactive"})
    assert "not active" in shown(await company.browser().sign_in()), "bound, and still not"


# ---- state, codes, browsers, tenants ---------------------------------------------------------------------------------------


async def test_an_answer_counts_once_and_only_in_the_browser_that_asked(company, provider, name):
    await company.add(name)
    provider.person, browser = company.person(name), company.browser()
    back = await browser.visit_provider(await browser.begin())
    thief = company.browser()
    assert STATE in shown(await thief.get(back)) and "session" not in thief.cookies
    kept = dict(browser.cookies)
    assert (await browser.get(back)).status_code == 303
    again = company.browser()
    again.cookies.update(kept)  # even with the cookie of before: back button, a copied answer
    assert STATE in shown(await again.get(back))
    assert "session" not in again.cookies


async def test_the_same_answer_twice_at_once(company, provider, name):
    await company.add(name)
    provider.person, browser = company.person(name), company.browser()
    back = await browser.visit_provider(await browser.begin())
    twins = [company.browser() for _ in range(4)]
    for twin in twins:
        twin.cookies.update(browser.cookies)
    answers = await asyncio.gather(*(twin.get(back) for twin in twins))
    assert sorted(a.status_code for a in answers) == [303, 401, 401, 401]


async def test_a_code_of_somebody_elses_sign_in_is_refused_by_pkce(company, provider, name):
    """Login CSRF, and a stolen code: the code belongs to another browser's verifier and nonce."""
    await company.add(name)
    provider.person = company.person(name)
    attacker, victim = company.browser(), company.browser()
    code = parse_qs(urlsplit(await attacker.visit_provider(await attacker.begin())).query)["code"][0]
    state = parse_qs(urlsplit(await victim.begin()).query)["state"][0]
    answer = await victim.get(f"/sso/callback?{urlencode({'code': code, 'state': state})}")
    assert WRONG in shown(answer) and "session" not in victim.cookies and "verifier" in await _why(company)


async def test_states_that_are_none(company, provider):
    browser = company.browser()
    await browser.begin()
    cookie = next(c for c in browser.cookies if c.startswith("sso_"))
    for query in ("", "state=", "state=x&code=y", "code=y", f"state={'x' * 4000}&code=y", f"state={cookie[4:]}&code=y", "state=a&state=b&code=y", "state=%00&code=%00"):
        assert (await browser.get(f"/sso/callback?{query}")).status_code == 401
    assert (await company.browser().get("/sso/callback", headers={"cookie": "sso_=x; sso_a=%F0; session=" + "a" * 43})).status_code == 401


async def test_a_state_of_another_tenant(company, make_company, provider, name):
    other = await make_company()
    await company.add(name)
    await other.add(name)
    provider.person, browser = {**company.person(name)}, other.browser()
    back = await browser.visit_provider(await browser.begin())
    stray = company.browser()
    stray.cookies.update(browser.cookies)  # as if cookies crossed
    assert STATE in shown(await stray.get(back))


async def test_a_state_that_is_too_old(company, provider, monkeypatch):
    browser = company.browser()
    back = await browser.visit_provider(await browser.begin())
    now = time.time()
    monkeypatch.setattr(sso.flow.time, "time", lambda: now + 601)
    assert STATE in shown(await browser.get(back))


async def test_mix_up(company, provider, name):
    """RFC 9207: an answer that names another issuer than the one asked, or none although the provider always does."""
    await company.add(name)
    provider.person, provider.answer = company.person(name), {"iss": "https://evil.example"}
    assert ISSUER in shown(await company.browser().sign_in())
    provider.answer, provider.metadata = {}, {"authorization_response_iss_parameter_supported": True}
    sso.forget_provider(company.id)
    assert ISSUER in shown(await company.browser().sign_in())
    provider.answer = {"iss": provider.issuer}
    assert (await company.browser().sign_in()).status_code == 303


async def test_settings_changed_while_somebody_signs_in(company, provider, name):
    await company.add(name)
    provider.person, browser = company.person(name), company.browser()
    back = await browser.visit_provider(await browser.begin())
    await company.set(client_id="another")
    assert STATE in shown(await browser.get(back))
    await company.set(mode="off", client_id=CLIENT_ID)
    assert (await company.browser().get("/sso/start")).status_code == 401


async def test_a_planted_session_is_not_the_one_that_is_signed_in(company, provider, name):
    """Session fixation: what the browser had before does not become what it has after."""
    user_id = await company.add(name)
    planted, _csrf, _expires = await open_session(company.id, company.admin_id, "web")
    for cookie in (planted, "a" * 43):
        browser = company.browser()
        browser.cookies["session"] = cookie
        provider.person = company.person(name)
        assert (await browser.sign_in()).status_code == 303
        assert browser.cookies["session"] != cookie
        assert f"{name}@{company.slug}.example" in (await browser.get("/profile")).text
        browser = company.browser()
        browser.cookies["session"] = cookie
        answer = await browser.post("/login", {"email": f"{name}@{company.slug}.example", "password": PASSWORD})
        assert answer.status_code == 303 and browser.cookies["session"] != cookie
    async with tenant_transaction(company.id) as conn:
        assert await conn.fetchval("SELECT user_id FROM session WHERE tenant_id = $1 AND token_hash = sha256($2)", company.id, planted.encode()) == company.admin_id
        assert await conn.fetchval("SELECT count(*) FROM session WHERE tenant_id = $1 AND user_id = $2", company.id, user_id) == 4


async def test_the_redirect_address_is_ours_whatever_the_request_says(company, provider):
    for headers in ({"x-forwarded-host": "evil.example"}, {"forwarded": "host=evil.example"}, {"x-forwarded-proto": "https", "x-forwarded-port": "444"}, {"origin": "https://evil.example"}):
        answer = await company.browser().get("/sso/start", headers=headers)
        assert parse_qs(urlsplit(answer.headers["location"]).query)["redirect_uri"] == [f"http://{company.host}:8000/sso/callback"]
    answer = await company.browser().get("/sso/start?next=https://evil.example/", host=f"{company.host.upper()}:1234")
    assert answer.status_code == 303 and "redirect_uri=http%3A%2F%2F" + company.host in answer.headers["location"]


# ---- the provider is away, or elsewhere ------------------------------------------------------------------------------------


async def test_the_provider_is_down_and_passwords_still_work(company, provider, name):
    await company.add(name)
    provider.failing = 503
    sso.forget_provider(company.id)
    answer = await company.browser().get("/sso/start")
    assert answer.status_code == 503 and "cannot be reached" in shown(answer) and 'name="password"' in answer.text
    provider.failing = 0
    assert (await company.browser().get("/sso/start")).status_code == 503 and len(provider.seen) == 1, "a while nobody asks again"
    sso.forget_provider(company.id)
    provider.person, browser = company.person(name), company.browser()
    back = await browser.visit_provider(await browser.begin())
    provider.failing = 503
    answer = await browser.get(back)
    assert answer.status_code == 503 and "cannot be reached" in shown(answer)
    assert (await browser.post("/login", {"email": f"{name}@{company.slug}.example", "password": PASSWORD})).status_code == 303


async def test_a_provider_that_hangs_takes_nobodys_place(company, provider, settings):
    """Anybody may begin a sign-in: the workspace goes on meanwhile, and the provider is asked once for all of them."""
    provider.gate = threading.Event()
    try:
        beginning = [asyncio.create_task(company.browser().get("/sso/start")) for _ in range(settings.tenant_concurrency + 2)]
        for _ in range(500):
            if provider.seen:
                break
            await asyncio.sleep(0.01)
        assert (await asyncio.wait_for(company.browser().get("/forgot"), 5)).status_code == 200
    finally:
        provider.gate.set()
    assert {answer.status_code for answer in await asyncio.gather(*beginning)} == {303}
    assert len(provider.seen) == 1 and fair.figures()["running"] == 0


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:1025/", "http://localhost:{port}", "http://169.254.169.254/latest", "http://[::ffff:127.0.0.1]:{port}", "http://2130706433:{port}", "http://10.0.0.1"])
async def test_the_issuer_leads_into_our_own_network(issuer, company, provider, name):
    """SSRF: accepted as an address, refused when it is asked; nothing arrives."""
    await company.set(issuer=issuer.format(port=provider.port))
    answer = await company.browser().get("/sso/start")
    assert answer.status_code == 401 and "describe itself" in shown(answer)
    assert provider.seen == []


@pytest.mark.parametrize("field", ["token_endpoint", "jwks_uri", "userinfo_endpoint"])
async def test_other_addresses_of_the_provider_lead_into_our_own_network(field, company, provider, name):
    await company.add(name)
    provider.person, provider.lies = company.person(name), {"email": None} if field == "userinfo_endpoint" else {}
    provider.metadata = {field: f"http://localhost:{provider.port}/secret"}
    answer = await company.browser().sign_in()
    assert answer.status_code == 401 and not any("secret" in path for _method, path in provider.seen)


@pytest.mark.parametrize("change", [{"issuer": "https://evil.example"}, {"issuer": None}, {"token_endpoint": None}, {"jwks_uri": "file:///etc/passwd"}, {"authorization_endpoint": "javascript:alert(1)"}, {"token_endpoint": "http://u:p@127.0.0.1/"}, {"jwks_uri": ["x"]}])
async def test_a_provider_that_does_not_describe_itself(change, company, provider):
    provider.metadata = change
    answer = await company.browser().get("/sso/start")
    assert answer.status_code == 401 and "describe itself" in shown(answer)


async def test_what_it_says_is_kept_for_a_while(company, provider, name):
    await company.add(name)
    provider.person = company.person(name)
    for _ in range(3):
        assert (await company.browser().sign_in()).status_code == 303
    asked = [path for _method, path in provider.seen]
    assert asked.count("/.well-known/openid-configuration") == 1 and asked.count("/keys") == 1


async def test_refused_answers_of_one_address_are_counted(make_company, provider, monkeypatch):
    company = await make_company()
    monkeypatch.setattr(auth, "MAXIMUM_FAILURES_PER_ADDRESS", 2)
    for code, noted in (("access_denied", "access_denied"), ("call 555 0100 now", "")):
        provider.answer = {"code": None, "error": code, "error_description": "anybody's words"}
        assert "did not let you in" in shown(await company.browser().sign_in())
        assert await _why(company) == noted
    answer = await company.browser().get("/sso/start")
    assert answer.status_code == 429 and "Too many" in shown(answer)
    answer = await company.browser().get("/sso/callback?state=x&error=y")
    assert answer.status_code == 429


async def test_the_person_says_no_there(company, provider):
    provider.answer = {"code": None, "error": "access_denied", "error_description": "<script>alert(1)</script>"}
    answer = await company.browser().sign_in()
    assert answer.status_code == 401 and "did not let you in" in shown(answer) and "<script>alert" not in answer.text


# ---- required --------------------------------------------------------------------------------------------------------------


async def test_required_means_no_passwords_but_for_emergencies(make_company, provider, http):
    company = await make_company()
    await company.add("anna")
    admin, anna = await company.admin(), company.browser()
    assert (await anna.post("/login", {"email": f"anna@{company.slug}.example", "password": PASSWORD})).status_code == 303
    csrf = await admin.token("/settings/sso")
    form = {
        "_csrf": csrf, "mode": "required", "label": "Corporate", "issuer": provider.issuer, "client_id": CLIENT_ID, "client_secret": "", "email_domains": f"@{company.slug}.example", "creates": "no",
        "default_role": "", "role_claim": "", "emergency": "",
    }  # fmt: skip
    assert (await admin.post("/settings/sso", form)).status_code == 422
    assert (await admin.post("/settings/sso", {**form, "emergency": str((await find_user(company.id, email=f"anna@{company.slug}.example"))["id"])})).status_code == 422, "no administrator"
    assert (await admin.post("/settings/sso", {**form, "emergency": str(company.admin_id)})).status_code == 303
    assert (await sso.get_single_sign_on(company.id)).client_secret == SECRET, "left empty, it stays"
    assert (await anna.get("/profile")).status_code == 303, "signed out"
    assert (await admin.get("/profile")).status_code == 200
    page = await anna.get("/login")
    assert 'name="password"' not in page.text and "/login?password=1" in page.text
    refused = await anna.post("/login", {"email": f"anna@{company.slug}.example", "password": PASSWORD})
    assert refused.status_code == 401 and "single sign-on" in shown(refused)
    wrong = await anna.post("/login", {"email": f"anna@{company.slug}.example", "password": "not this one"})
    assert "wrong" in shown(wrong), "who does not know the password is told nothing else"
    token = await http.post("/api/v1/tokens", json={"email": f"anna@{company.slug}.example", "password": PASSWORD}, headers={"host": company.host})
    assert token.status_code == 401
    assert (await company.browser().post("/login", {"email": company.admin_email, "password": PASSWORD})).status_code == 303
    provider.person = company.person("anna")
    assert (await anna.sign_in()).status_code == 303


async def test_the_one_kept_for_emergencies_stays_an_administrator(make_company, provider):
    company = await make_company(role_claim="groups", role_map=(("admins", "admin"),), default_role="sales")
    other_id = await company.add("other", "admin")
    await company.set(mode="required", emergency_user_id=company.admin_id)
    provider.person = {"sub": "boss", "email": company.admin_email, "email_verified": True, "groups": []}
    assert (await company.browser().sign_in()).status_code == 303
    assert "admin" in (await find_user(company.id, user_id=company.admin_id))["role_keys"]
    other = await context_for_user(company.id, other_id)
    with pytest.raises(Conflict, match="Choose another one first"):
        await succession.deactivate(other, company.admin_id, successor_id=None)
    await company.set(emergency_user_id=other_id)
    await succession.deactivate(other, company.admin_id, successor_id=None)


async def test_two_administrators_who_come_at_once_do_not_both_lose_it(make_company, provider):
    company = await make_company(role_claim="groups", role_map=(("admins", "admin"),), default_role="sales")
    people = {company.admin_id: company.admin_email, await company.add("other", "admin"): f"other@{company.slug}.example"}
    tenant = await get_tenant(company.id)
    known = [Identity(company.single.issuer, str(user_id), email, "X", {"groups": []}, "/", None, "") for user_id, email in people.items()]
    await asyncio.gather(*(runtime_sso.sign_in(tenant, each, locale=None) for each in known))
    assert len([user_id for user_id in people if "admin" in (await find_user(company.id, user_id=user_id))["role_keys"]]) == 1


async def test_an_invitation_makes_the_account_and_single_sign_on_opens_it(make_company, provider, database):
    company = await make_company()
    await company.set(mode="required", emergency_user_id=company.admin_id)
    email = f"guest@{company.slug}.example"
    async with mailed(database) as box:
        await invitations.invite(await context_for_user(company.id, company.admin_id, origin="page"), email, ["sales"])
        await send_due()
        path = urlsplit(box.link(email)).path
    browser = company.browser()
    answer = await browser.post(path, {"name": "Guest", "password": PASSWORD})
    assert answer.status_code == 303 and answer.headers["location"] == "/login" and "session" not in browser.cookies
    provider.person = company.person("guest")
    assert (await browser.sign_in()).status_code == 303


# ---- settings, trial, signing out --------------------------------------------------------------------------------------------


async def test_only_administrators_set_it_up_and_the_secret_is_never_shown(company, provider, name):
    await company.add(name)
    sales = company.browser()
    await sales.post("/login", {"email": f"{name}@{company.slug}.example", "password": PASSWORD})
    for path in ("/settings/sso", "/settings/sso/try"):
        assert (await sales.get(path)).status_code == 403
    assert (await sales.post("/settings/sso", {"_csrf": await sales.token("/profile")})).status_code == 403
    await company.set(client_secret="another")
    await company.set(client_secret=SECRET)
    admin = await company.admin()
    page = await admin.get("/settings/sso")
    assert page.status_code == 200 and SECRET not in page.text and f"http://{company.host}:8000/sso/callback" in page.text
    events = json.dumps([dict(e, at="", id="", actor_id="") for e in await list_audit(company.id, limit=50)], default=str)
    assert SECRET not in events and '"secret": true' in events


async def test_a_stored_secret_does_not_follow_to_another_provider(make_company, provider):
    company = await make_company()
    admin = await company.admin()
    form = {"_csrf": await admin.token("/settings/sso"), "mode": "off", "issuer": "https://evil.example", "client_id": CLIENT_ID, "client_secret": "", "email_domains": "x.example"}
    assert (await admin.post("/settings/sso", form)).status_code == 303
    assert (await sso.get_single_sign_on(company.id)).client_secret == ""


@pytest.mark.parametrize(("change", "field"), [
    ({"issuer": "http://user:pw@x.example"}, "issuer"), ({"issuer": "file:///etc/passwd"}, "issuer"), ({"issuer": "https://x.example/?a=b"}, "issuer"), ({"client_id": ""}, "client_id"),
    ({"email_domains": ()}, "email_domains"), ({"email_domains": ("*.example",)}, "email_domains"), ({"creates": True}, "default_role"), ({"role_map": (("a", "sales"),)}, "role_claim"),
    ({"mode": "required"}, "emergency"),
])  # fmt: skip
async def test_settings_that_make_no_sense(change, field, company):
    with pytest.raises(InvalidInput) as caught:
        await sso.set_single_sign_on(company.id, replace(SingleSignOn("https://idp.example", "x", email_domains=("x.example",)), **change))
    assert [p.field for p in caught.value.problems] == [field]


async def test_a_trial_shows_what_came_back_and_changes_nothing(company, provider, name):
    await company.set(mode="off", creates=True, default_role="sales", role_claim="groups", role_map=(("bosses", "manager"),))
    admin = await company.admin()
    session = admin.cookies["session"]
    provider.person = company.person(name, groups=["bosses"], odd="<b>&</b>")
    page = await admin.sign_in("/settings/sso/try")
    assert page.status_code == 200 and "would be made and signed in" in page.text and "Sales manager" in page.text and "&lt;b&gt;" in page.text and "<b>&" not in page.text
    assert admin.cookies["session"] == session
    async with tenant_transaction(company.id) as conn:
        assert await conn.fetchval("SELECT count(*) FROM app_user WHERE tenant_id = $1 AND email = $2", company.id, provider.person["email"]) == 0
        assert await conn.fetchval("SELECT count(*) FROM sso_subject WHERE tenant_id = $1 AND subject = $2", company.id, f"sub-{name}") == 0
    provider.person = company.person(name, email_verified=False)
    page = await admin.sign_in("/settings/sso/try")
    assert EMAIL in shown(page) and "groups" not in shown(page)
    provider.lies = {"aud": "another"}
    page = await admin.sign_in("/settings/sso/try")
    assert WRONG in shown(page) and "aud" in page.text
    back = await admin.visit_provider(await admin.begin("/settings/sso/try"))
    stranger = company.browser()
    stranger.cookies.update({k: v for k, v in admin.cookies.items() if k != "session"})
    assert (await stranger.get(back)).headers.get("location", "").startswith("/login"), "only who tries it sees it"


async def test_signing_out_there_too(company, provider, name):
    await company.add(name)
    provider.person, browser = company.person(name), company.browser()
    await browser.sign_in()
    answer = await browser.post("/logout", {"_csrf": await browser.token("/profile")})
    assert answer.status_code == 303 and answer.headers["location"] == "/login"
    assert "Sign out of Corporate" in (await browser.get("/login")).text
    there = urlsplit((await browser.get("/sso/logout")).headers["location"])
    query = {key: values[0] for key, values in parse_qs(there.query).items()}
    assert there.path == "/bye" and query["post_logout_redirect_uri"] == f"http://{company.host}:8000/login" and query["client_id"] == CLIENT_ID
    assert jwt.decode(query["id_token_hint"], provider.key).claims["sub"] == f"sub-{name}"
    assert "sso_out" not in browser.cookies
    provider.metadata = {"end_session_endpoint": None}
    sso.forget_provider(company.id)
    assert (await browser.get("/sso/logout")).headers["location"] == "/login"


# ---- somebody else's provider ------------------------------------------------------------------------------------------------


async def test_with_a_provider_written_by_others(make_company, database):
    company = await make_company()
    await company.add("anna")
    with foreign_provider(company.person("anna")) as issuer:
        database.settings = replace(database.settings, outbound_allow=frozenset({("127.0.0.1", urlsplit(issuer).port)}))
        await company.set(issuer=issuer)
        browser = company.browser()
        there = await browser.begin()
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(there, data={"sub": "sub-anna"})
        assert answer.status_code == 302, answer.text
        assert (await browser.get(path_of(answer.headers["location"]))).status_code == 303
        assert f"anna@{company.slug}.example" in (await browser.get("/profile")).text
