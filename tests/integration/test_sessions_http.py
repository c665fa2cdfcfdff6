"""Signing in, tokens, cookies, CSRF, repeated requests, headers and the operator's host, over HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import asyncpg
import httpx
import pytest
import pytest_asyncio

from saas.tenants import create_operator, find_tenant, open_session, update_user
from saas.tenants.operators import list_operator_audit
from tests.acceptance.api import Person, refused
from tests.conftest import PASSWORD


@pytest_asyncio.fixture(scope="module")
async def tenant(tenant_factory):
    return await tenant_factory(pack="baseline-crm")


@pytest_asyncio.fixture(scope="module")
async def admin(http, tenant) -> Person:
    return await Person(http, f"{tenant.slug}.localhost", language="en").sign_in(tenant.admin_email, tenant.admin_password)


@pytest_asyncio.fixture(scope="module")
async def operator(http, database) -> Person:
    await create_operator("op@example.com", PASSWORD)
    person = Person(http, "operator.localhost", language="en")
    person.token = (await person.call("POST", "/tokens", {"email": "op@example.com", "password": PASSWORD}, expect=201))["token"]
    return person


def guest(http, tenant) -> Person:
    return Person(http, f"{tenant.slug}.localhost", language="en")


# ---- signing in --------------------------------------------------------------------------------------------------------


async def test_guessing_is_stopped_alike_for_known_and_unknown_people(http, tenant_factory):
    tenant = await tenant_factory(pack="baseline-crm")
    answers = []
    for email in (tenant.admin_email, f"nobody@{tenant.slug}.example"):
        person, seen = guest(http, tenant), []
        for _ in range(7):
            answer = await person.send("POST", "/tokens", {"email": email, "password": "wrong"})
            seen.append((answer.status_code, answer.json()["title"], answer.json()["detail"], "retry-after" in answer.headers))
        assert 0 < int(answer.headers["retry-after"]) <= 900
        refused(answer, 429, "too_many_requests")
        answers.append(seen)
    assert answers[0] == answers[1]
    assert [a[0] for a in answers[0]] == [401] * 5 + [429] * 2
    refused(await guest(http, tenant).send("POST", "/tokens", {"email": tenant.admin_email, "password": PASSWORD}), 429)


@pytest.mark.parametrize("body", [{}, {"email": ""}, {"email": 5, "password": 6}, {"email": ["x"], "password": {}}])
async def test_credentials_that_are_none(http, tenant, body):
    refused(await guest(http, tenant).send("POST", "/tokens", body), 422, field="email", rule="required")


async def test_texts_that_are_no_credentials(http, tenant):
    for email, password in (("x" * 100_000, "y"), ("' OR 1=1 --", "' OR 1=1 --"), ("é\u202e@x", "\u202e"), ("a", "p" * 1_000_000)):
        assert (await guest(http, tenant).send("POST", "/tokens", {"email": email, "password": password})).status_code in (401, 422)


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Bearer nonsense", "Basic YTpi", "Bearer " + "x" * 5000, "Bearer é".encode("latin-1"), "Bearer a b"])
async def test_tokens_that_are_none(admin, value):
    answer = await admin.send("GET", "/me", headers={"authorization": value})
    refused(answer, 401, "not_authenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_token_ends_when_it_is_revoked_or_old_or_its_person_leaves(http, tenant, admin, settings):
    gone = await guest(http, tenant).sign_in(tenant.admin_email, tenant.admin_password)
    assert (await gone.send("DELETE", "/tokens")).status_code == 204
    refused(await gone.send("GET", "/me"), 401)
    old = await guest(http, tenant).sign_in(tenant.admin_email, tenant.admin_password)
    connection = await asyncpg.connect(settings.database_url)
    await connection.execute("UPDATE session SET expires_at = now() - interval '1 second' WHERE tenant_id = $1 AND token_hash = sha256($2)", tenant.id, old.token.encode())
    await connection.close()
    refused(await old.send("GET", "/me"), 401)
    from saas.tenants import create_user

    leaver = await create_user(tenant.id, "leaver@x.example", PASSWORD, "Leaver", ["sales"])
    person = await guest(http, tenant).sign_in("leaver@x.example", PASSWORD)
    await update_user(tenant.id, leaver, {"status": "inactive"})
    refused(await person.send("GET", "/me"), 401)
    refused(await guest(http, tenant).send("POST", "/tokens", {"email": "leaver@x.example", "password": PASSWORD}), 401)


# ---- cookies -----------------------------------------------------------------------------------------------------------


async def test_a_cookie_session_needs_the_csrf_token_to_change_anything(http, tenant):
    token, csrf, _expires = await open_session(tenant.id, tenant.admin_id, "web")
    person, cookie = guest(http, tenant), {"cookie": f"session={token}"}
    assert (await person.send("GET", "/me", headers=cookie)).status_code == 200
    body = {"values": {"name": "By cookie"}}
    for more in ({}, {"x-csrf-token": "wrong"}, {"x-csrf-token": csrf + "x"}, {"x-csrf-token": csrf, "sec-fetch-site": "cross-site"}, {"x-csrf-token": csrf, "origin": "https://evil.example"}):
        refused(await person.send("POST", "/records/customer", body, headers={**cookie, **more}), 403, "permission_denied")
    assert (await person.send("POST", "/records/customer", body, headers={**cookie, "x-csrf-token": csrf, "sec-fetch-site": "same-origin"})).status_code == 201
    form = {**cookie, "content-type": "application/x-www-form-urlencoded"}
    refused(await person.send("POST", "/records/customer", content=b"name=x", headers=form), 403)
    refused(await person.send("POST", "/records/customer", content=b"name=x&_csrf=" + csrf.encode(), headers=form), 415)


async def test_a_token_works_only_as_what_it_was_made_for(http, tenant, admin):
    web, _csrf, _expires = await open_session(tenant.id, tenant.admin_id, "web")
    refused(await admin.send("GET", "/me", headers={"authorization": f"Bearer {web}"}), 401)
    refused(await admin.send("GET", "/me", headers={"cookie": f"session={admin.token}"}), 401)


async def test_the_session_cookie_is_guarded(http, tenant):
    host = {"host": f"{tenant.slug}.localhost"}
    answer = await http.post("http://localhost/login", data={"email": tenant.admin_email, "password": tenant.admin_password}, headers=host)
    given = [c for c in answer.headers.get_list("set-cookie") if c.startswith("session=")]
    assert len(given) == 1, answer.text[:500]
    flags = given[0].lower()
    assert "httponly" in flags and "samesite=lax" in flags and "path=/" in flags and "domain=" not in flags


async def test_outside_of_a_developers_machine_cookies_insist_on_https(tenant, settings, database):
    from saas.app import create_app

    transport = httpx.ASGITransport(app=create_app(replace(settings, base_domain="crm.example.com")))
    async with httpx.AsyncClient(transport=transport, base_url="https://crm.example.com") as client:
        host = {"host": f"{tenant.slug}.crm.example.com"}
        answer = await client.post("/login", data={"email": tenant.admin_email, "password": tenant.admin_password}, headers=host)
        given = [c.lower() for c in answer.headers.get_list("set-cookie")]
        assert given and all("secure" in c and "httponly" in c and c.startswith("__host-") and "path=/;" in c and "domain=" not in c for c in given)
        ours = next(c.partition(";")[0] for c in answer.headers.get_list("set-cookie") if c.startswith("__Host-session="))
        # What another host of the same domain gave the browser stands before ours, and is nothing to us.
        client.cookies.clear()
        for sent, status in ((f"session=planted; {ours}", 200), (f"session={ours.partition('=')[2]}", 303)):
            assert (await client.get("/profile", headers={**host, "cookie": sent})).status_code == status
        assert answer.headers["strict-transport-security"]
        assert (await client.get("/api/v1/me", headers={"host": f"{tenant.slug}.localhost"})).status_code == 404


# ---- the same request again --------------------------------------------------------------------------------------------


async def test_an_idempotency_key_makes_one_record(http, tenant, admin):
    body = {"values": {"name": "Once Ltd"}}

    async def post(values=body, key="key-1"):
        return await admin.send("POST", "/records/customer", values, headers={"idempotency-key": key})

    first, second = await post(), await post()
    assert first.status_code == second.status_code == 201 and first.json() == second.json()
    refused(await post({"values": {"name": "Other Ltd"}}), 409, "conflict")
    both = await asyncio.gather(*(post({"values": {"name": "Twice Ltd"}}, "key-2") for _ in range(4)))
    assert {a.status_code for a in both} == {201} and len({a.json()["id"] for a in both}) == 1
    refused(await post({"values": {}}, "key-3"), 422, field="name")
    assert (await post({"values": {"name": "Mended Ltd"}}, "key-3")).status_code == 201  # a refused request used nothing up
    refused(await post(key="x" * 201), 400, field="Idempotency-Key")
    assert (await admin.get("/records/customer", q="Once", count="exact"))["count"]["value"] == 1
    assert (await admin.get("/records/customer", q="Twice", count="exact"))["count"]["value"] == 1


async def test_a_transition_with_an_idempotency_key_happens_once(admin):
    customer = (await admin.create("customer", name="Steps"))["id"]
    rid = (await admin.create("opportunity", name="Steps", customer=customer))["id"]
    path = f"/records/opportunity/{rid}/transitions/qualify"
    both = await asyncio.gather(*(admin.send("POST", path, {}, headers={"idempotency-key": "step-1"}) for _ in range(3)))
    assert {a.status_code for a in both} == {200} and all(a.json() == both[0].json() for a in both)
    assert [e["transition"] for e in (await admin.get(f"/records/opportunity/{rid}/history"))["data"]].count("qualify") <= 1
    refused(await admin.send("POST", path, {}), 409)


async def test_an_idempotency_key_belongs_to_its_person(http, tenant, admin):
    from saas.tenants import create_user

    await create_user(tenant.id, "second@x.example", PASSWORD, "Second", ["sales"])
    second = await guest(http, tenant).sign_in("second@x.example", PASSWORD)
    mine, theirs = [
        await p.send("POST", "/records/customer", {"values": {"name": "Shared key"}, "confirm_duplicates": True}, headers={"idempotency-key": "shared"}) for p in (admin, second)
    ]
    assert mine.status_code == theirs.status_code == 201 and mine.json()["id"] != theirs.json()["id"]


# ---- headers -----------------------------------------------------------------------------------------------------------

SAFE = {"x-content-type-options": "nosniff", "x-frame-options": "DENY", "referrer-policy": "same-origin", "cross-origin-opener-policy": "same-origin"}


@pytest.mark.parametrize("path", ["/api/v1/me", "/api/v1/records/customer", "/api/v1/nothing", "/login", "/nothing", "/api/v1/openapi.json"])
async def test_every_answer_is_guarded(http, admin, path):
    answer = await admin.send("GET", f"http://localhost{path}", headers={"origin": "https://evil.example"})
    for name, value in SAFE.items():
        assert answer.headers[name] == value
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert answer.headers["x-request-id"] and "server" not in answer.headers
    if path.startswith("/api"):
        assert answer.headers["cache-control"] == "no-store"


async def test_no_other_site_is_allowed_in(http, tenant):
    headers = {"host": f"{tenant.slug}.localhost", "origin": "https://evil.example", "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    answer = await http.options("http://localhost/api/v1/records/customer", headers=headers)
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_a_failure_of_ours_shows_nothing(admin, monkeypatch):
    async def broken(*_):
        raise RuntimeError("secret details")

    monkeypatch.setattr("saas.ui.api.records.execute", broken)
    answer = await admin.send("GET", "/records/customer")
    problem = refused(answer, 500, "error")
    assert "secret" not in answer.text and "RuntimeError" not in answer.text and problem["request_id"] == answer.headers["x-request-id"]


# ---- the operator's host -----------------------------------------------------------------------------------------------

OPERATOR_CALLS = [("GET", "/tenants"), ("POST", "/tenants"), ("GET", "/tenants/{slug}"), ("PATCH", "/tenants/{slug}"), ("POST", "/tenants/{slug}/suspend"), ("POST", "/tenants/{slug}/resume"), ("GET", "/tenants/{slug}/usage")]


@pytest.mark.parametrize(("method", "path"), OPERATOR_CALLS)
async def test_operators_are_served_on_their_host_only(http, tenant, admin, operator, method, path):
    path = path.format(slug=tenant.slug)
    for host in (f"{tenant.slug}.localhost", "localhost"):
        for token in (operator.token, admin.token, ""):
            answer = await admin.send(method, path, {} if method != "GET" else None, headers={"host": host, "authorization": f"Bearer {token}"})
            refused(answer, 404, "not_found")
    refused(await admin.send(method, path, headers={"host": "operator.localhost"}), 401)
    refused(await operator.send(method, path, headers={"authorization": ""}), 401)
    web = await open_session(tenant.id, tenant.admin_id, "web")
    refused(await operator.send(method, path, headers={"cookie": f"session={web[0]}"}), 401)


@pytest.mark.parametrize("path", ["/me", "/records/customer", "/schema", "/config", "/users", "/reports", "/jobs", "/search", "/openapi.json"])
async def test_tenants_routes_are_not_on_other_hosts(operator, admin, path):
    for host in ("operator.localhost", "localhost"):
        for token in (operator.token, admin.token):
            refused(await admin.send("GET", path, headers={"host": host, "authorization": f"Bearer {token}"}), 404, "not_found")


async def test_an_operators_token_opens_no_tenant(tenant, operator, admin):
    refused(await operator.send("GET", "/me", headers={"host": f"{tenant.slug}.localhost"}), 401)


async def test_a_suspended_workspace_reads_but_does_not_write(http, operator, tenant_factory):
    tenant = await tenant_factory(pack="baseline-crm")
    person = await guest(http, tenant).sign_in(tenant.admin_email, tenant.admin_password)
    made = await person.create("customer", name="Before")
    assert (await operator.call("POST", f"/tenants/{tenant.slug}/suspend", {"reason": "Spam was sent"}))["status"] == "suspended"
    assert (await find_tenant(tenant.slug)).status_reason == "Spam was sent"
    assert await person.get(f"/records/customer/{made['id']}")
    for method, path, body in (
        ("POST", "/records/customer", {"values": {"name": "After"}}), ("PATCH", f"/records/customer/{made['id']}", {"values": {"name": "After"}}), ("DELETE", f"/records/customer/{made['id']}", None),
        ("POST", "/imports", {"entity": "customer", "rows": [{"name": "After"}]}), ("POST", "/config/publish", {"patch": {}, "base_revision": 1}),
    ):  # fmt: skip
        answer = await person.send(method, path, body)
        assert answer.status_code == 403 or (answer.status_code == 200 and answer.json().get("status") == "failed"), (path, answer.text[:300])
    await operator.call("POST", f"/tenants/{tenant.slug}/resume")
    await person.create("customer", name="After")
    assert [row["kind"] for row in await list_operator_audit(tenant=tenant.slug, limit=2)] == ["tenant.resumed", "tenant.suspended"]


@pytest.mark.parametrize(("body", "field"), [({}, "slug"), ({"slug": "A b", "name": "x", "pack": "baseline-crm", "admin_email": "a@x.example", "admin_password": PASSWORD}, "slug"),
    ({"slug": "operator", "name": "x", "pack": "baseline-crm", "admin_email": "a@x.example", "admin_password": PASSWORD}, "slug"),
    ({"slug": "fine-slug", "name": "x", "pack": "baseline-crm", "admin_email": "a@x.example", "admin_password": "short"}, "password"),
    ({"slug": "fine-slug", "name": "x", "pack": "baseline-crm", "admin_email": "nonsense", "admin_password": PASSWORD}, "email"),
    ({"slug": "fine-slug", "name": "x", "pack": "baseline-crm", "admin_email": "a@x.example", "admin_password": PASSWORD, "locale": "xx"}, "locale"),
    ({"slug": "fine-slug", "name": "x", "pack": "baseline-crm", "admin_email": "a@x.example", "admin_password": PASSWORD, "plan": 5}, "plan"),
    ({"slug": "fine-slug", "name": "x", "pack": "baseline-crm", "admin_email": "a@x.example", "admin_password": PASSWORD, "sample_data": "yes"}, "sample_data")])  # fmt: skip
async def test_tenants_that_cannot_be_made(operator, body, field):
    answer = await operator.send("POST", "/tenants", body)
    assert answer.status_code in (400, 422), answer.text
    assert field in " ".join(e["field"] for e in answer.json()["errors"]), answer.text
    refused(await operator.send("GET", "/tenants/fine-slug"), 404)


async def test_a_pack_that_does_not_exist_makes_no_tenant(operator):
    body = {"slug": "no-pack", "name": "x", "pack": "../../etc/passwd", "admin_email": "a@x.example", "admin_password": PASSWORD}
    refused(await operator.send("POST", "/tenants", body), 404)
    refused(await operator.send("GET", "/tenants/no-pack"), 404)
