"""Support access: asked for, allowed by the tenant, one hour, one tenant, every look in the tenant's audit log, nothing written unless the
tenant said so, and over when it says so."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio

from saas.app import routes as all_routes
from saas.db import system_transaction, tenant_transaction
from saas.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from saas.runtime import execute, jobs
from saas.runtime import operations as ops
from saas.runtime.contexts import context_of
from saas.runtime.forms import form_state
from saas.runtime.support import tell_of_request
from saas.settings import Settings
from saas.tenants import (
    OperatorInfo,
    SupportRules,
    ask_support_access,
    change_operator,
    create_operator,
    decide_support_access,
    end_support_access,
    find_operator_session,
    find_support_session,
    find_tenant,
    find_user,
    list_audit,
    list_support_accesses,
    open_operator_session,
    open_support_session,
    set_support_rules,
    support_ticket,
    withdraw_support_access,
)
from saas.ui.console import OPERATOR_PATHS
from tests.factories import PASSWORD
from tests.integration.rights.test_view_as import OUTSIDE
from tests.integration.test_pages import Browser

PACK = "baseline-crm"
REASON = "The list of customers is empty"


@pytest_asyncio.fixture(scope="module")
async def tenant(tenant_factory):
    return await tenant_factory(pack=PACK)


@pytest_asyncio.fixture(scope="module")
async def other(tenant_factory):
    return await tenant_factory(pack=PACK)


async def make_operator(name: str, role: str = "full") -> OperatorInfo:
    operator = await create_operator(f"{name}@platform.example", PASSWORD, name=name.title(), role=role)
    token, _csrf, _end = await open_operator_session(operator)
    found = await find_operator_session(token)
    assert found is not None
    return found


@pytest_asyncio.fixture(scope="module")
async def operator(database) -> OperatorInfo:
    return await make_operator("olga")


@pytest_asyncio.fixture(autouse=True)
async def nothing_open(tenant, operator):
    yield
    await set_support_rules(tenant.id, SupportRules(), actor_id=None)
    for row in await list_support_accesses(tenant.id):
        if row["status"] != "over":
            await end_support_access(tenant.id, row["id"], actor_id=None)


async def admin_id(tenant: Any) -> UUID:
    return (await find_user(tenant.id, email=tenant.admin_email))["id"]


async def allowed(tenant: Any, operator: OperatorInfo, mode: str = "read", role: str = "") -> UUID:
    access, ready = await ask_support_access(await find_tenant(tenant.slug), operator, mode=mode, reason=REASON)
    if not ready:
        await decide_support_access(tenant.id, access, approve=True, actor_id=await admin_id(tenant), role_key=role)
    return access


async def look_in(http: httpx.AsyncClient, tenant: Any, operator: OperatorInfo, mode: str = "read", role: str = "") -> tuple[Browser, UUID]:
    access = await allowed(tenant, operator, mode, role)
    browser = Browser(http, f"{tenant.slug}.localhost")
    answer = await browser.get(f"/support/enter/{await support_ticket(await find_tenant(tenant.slug), operator, access)}")
    assert answer.status_code == 303 and browser.cookies["session"].startswith("support.")
    assert (await browser.get("/r/customer")).status_code == 200
    return browser, access


async def customer(tenant: Any, name: str) -> UUID:
    from saas.runtime.contexts import context_for_user

    ctx = await context_for_user(tenant.id, await admin_id(tenant))
    return (await execute(ctx, ops.Create(entity="customer", values={"name": name}))).record.id


# ---- asking and allowing -----------------------------------------------------------------------------------------------------


async def test_nothing_opens_before_the_tenant_says_yes(tenant, operator):
    row = await find_tenant(tenant.slug)
    with pytest.raises(InvalidInput):
        await ask_support_access(row, operator, mode="all", reason="x")
    access, ready = await ask_support_access(row, operator, mode="read", reason=REASON)
    assert not ready
    with pytest.raises(Conflict):
        await support_ticket(row, operator, access)
    with pytest.raises(Conflict):
        await ask_support_access(row, operator, mode="write", reason=REASON)
    await decide_support_access(tenant.id, access, approve=False, actor_id=await admin_id(tenant))
    with pytest.raises(Conflict):
        await support_ticket(row, operator, access)
    with pytest.raises(Conflict):
        await decide_support_access(tenant.id, access, approve=True, actor_id=await admin_id(tenant))


async def test_consent_lets_look_at_once_but_never_write(tenant, operator):
    row = await find_tenant(tenant.slug)
    await set_support_rules(tenant.id, SupportRules(consent=True), actor_id=await admin_id(tenant))
    access, ready = await ask_support_access(row, operator, mode="write", reason=REASON)
    assert not ready
    await withdraw_support_access(row, operator, access)
    assert (await ask_support_access(row, operator, mode="read", reason=REASON))[1]


async def test_another_operator_cannot_use_it(tenant, operator, database):
    access = await allowed(tenant, operator)
    with pytest.raises(NotFound):
        await support_ticket(await find_tenant(tenant.slug), await make_operator("otto"), access)


async def test_administrators_are_told(tenant, operator):
    assert await tell_of_request(tenant.id, operator="Olga", mode="write", reason=REASON) == 1
    async with tenant_transaction(tenant.id) as conn:
        assert await conn.fetchval("SELECT count(*) FROM notification WHERE tenant_id = $1 AND kind = 'support'", tenant.id) == 1
        text = await conn.fetchval("SELECT body_text FROM mail WHERE tenant_id = $1 AND kind = 'support_request'", tenant.id)
    assert REASON in text and f"{tenant.slug}.localhost/settings/support" in text.replace(":8000", "")


# ---- the session --------------------------------------------------------------------------------------------------------------


async def test_the_link_opens_once_here_and_nowhere_else(http, tenant, other, operator):
    access = await allowed(tenant, operator)
    ticket = await support_ticket(await find_tenant(tenant.slug), operator, access)
    elsewhere = Browser(http, f"{other.slug}.localhost")
    assert (await elsewhere.get(f"/support/enter/{ticket}")).status_code == 403 and not elsewhere.cookies
    browser = Browser(http, f"{tenant.slug}.localhost")
    assert (await browser.get(f"/support/enter/{ticket}")).status_code == 303
    again = Browser(http, f"{tenant.slug}.localhost")
    assert (await again.get(f"/support/enter/{ticket}")).status_code == 403 and not again.cookies
    elsewhere.cookies = dict(browser.cookies)
    assert (await elsewhere.get("/r/customer")).status_code == 303  # another workspace's host knows nobody of this token
    assert (await http.get("/api/v1/me", headers={"host": f"{tenant.slug}.localhost", "authorization": f"Bearer {browser.cookies['session']}"})).status_code == 401


async def test_a_ticket_runs_out_in_a_minute(http, tenant, operator):
    access = await allowed(tenant, operator)
    ticket = await support_ticket(await find_tenant(tenant.slug), operator, access)
    async with tenant_transaction(tenant.id) as conn:
        await conn.execute("UPDATE support_access SET ticket_until = now() - interval '1 second' WHERE tenant_id = $1 AND id = $2", tenant.id, access)
    assert await open_support_session(tenant.id, ticket) is None


async def test_the_hour_is_one_hour(http, tenant, operator):
    browser, access = await look_in(http, tenant, operator)
    async with tenant_transaction(tenant.id) as conn:
        until, minutes = await conn.fetchrow("SELECT until, round(extract(epoch FROM until - opened_at) / 60) FROM support_access WHERE tenant_id = $1 AND id = $2", tenant.id, access)
    assert minutes == 60
    ticket = await support_ticket(await find_tenant(tenant.slug), operator, access)  # another browser, not another hour
    token, again = await open_support_session(tenant.id, ticket)
    assert again == until and (await browser.get("/r/customer")).status_code == 303  # the first browser is out
    browser.cookies["session"] = token
    assert (await browser.get("/r/customer")).status_code == 200
    async with tenant_transaction(tenant.id) as conn:
        await conn.execute("UPDATE support_access SET until = now() - interval '1 second' WHERE tenant_id = $1 AND id = $2", tenant.id, access)
    assert (await browser.get("/r/customer")).status_code == 303
    with pytest.raises(Conflict):
        await support_ticket(await find_tenant(tenant.slug), operator, access)


async def test_it_ends_when_the_tenant_wants_it_to(http, tenant, operator):
    await set_support_rules(tenant.id, SupportRules(consent=True), actor_id=None)
    browser, _access = await look_in(http, tenant, operator)
    await set_support_rules(tenant.id, SupportRules(), actor_id=await admin_id(tenant))
    assert (await browser.get("/r/customer")).status_code == 303
    browser, access = await look_in(http, tenant, operator)
    await end_support_access(tenant.id, access, actor_id=await admin_id(tenant))
    assert (await browser.get("/r/customer")).status_code == 303
    assert [r["outcome"] for r in (await list_support_accesses(tenant.id))[:2]] == ["ended_by_tenant", "consent"]


async def test_it_ends_with_the_operators_account(http, tenant, operator, database):
    leaver, boss = await make_operator("leaver"), operator
    browser, _access = await look_in(http, tenant, leaver, "write")
    await change_operator(leaver.id, actor_id=boss.id, role="read")
    assert (await browser.get("/r/customer")).status_code == 303  # who only looks does not write, and this is a session that may
    await change_operator(leaver.id, actor_id=boss.id, role="full")
    assert (await browser.get("/r/customer")).status_code == 200
    await change_operator(leaver.id, actor_id=boss.id, active=False)
    assert (await browser.get("/r/customer")).status_code == 303


async def test_everybody_sees_it_and_every_look_is_noted(http, tenant, operator):
    browser, _access = await look_in(http, tenant, operator)
    page = await browser.get("/r/customer")
    assert 'data-banner="support"' in page.text and "minutes left" in page.text and "Olga" in page.text
    await browser.get("/api/v1/records/customer", accept="application/json")
    closed = await browser.get("/settings/keys")  # closed, and noted all the same
    assert closed.status_code == 403 and 'data-banner="support"' in closed.text
    seen = [(e["kind"], e["target"], e["data"]["operator"]) for e in await list_audit(tenant.id, limit=4) if e["kind"].startswith("support.")]
    assert seen[:3] == [("support.viewed", p, operator.email) for p in ("/settings/keys", "/api/v1/records/customer", "/r/customer")]
    async with tenant_transaction(tenant.id) as conn:
        assert await conn.fetchval("SELECT count(*) FROM app_user WHERE tenant_id = $1", tenant.id) == 1  # no seat
        assert await conn.fetchval("SELECT count(*) FROM session WHERE tenant_id = $1", tenant.id) == 0
    assert (await browser.post("/support/leave")).status_code == 303
    assert (await browser.get("/r/customer")).status_code == 303
    assert (await list_audit(tenant.id, limit=1))[0]["kind"] == "support.ended"


# ---- what it may not -------------------------------------------------------------------------------------------------------


OPERATORS = ("/api/v1/tokens", *OPERATOR_PATHS)
READING = {"/api/v1/records/{entity:str}/aggregate", "/r/{entity:str}/form", "/entry/{key:str}/live", "/r/{entity:str}/{record_id:uuid}/transitions/{key:str}/form"}


def closed_routes(methods: str) -> list[tuple[str, str]]:
    """Routes of a signed-in person."""
    app = all_routes(Settings(secret_key="x" * 40))
    return [(m, r.path) for r in app.routes for m in r.methods if m in methods.split() and r.path not in OUTSIDE and not r.path.startswith(OPERATORS) and "token:str" not in r.path]


def url_of(path: str, values: dict[str, str]) -> str:
    return re.sub(r"\{(\w+):(\w+)\}", lambda m: quote(values.get(m[1], str(uuid4()) if m[2] == "uuid" else "1" if m[2] == "int" else "x")), path)


@pytest.mark.parametrize("mode", ["read", "write"])
async def test_every_path_that_changes_something_is_refused(http, tenant, operator, mode):
    """Read-only: all of them. With the tenant's leave to write: all but those of records."""
    browser, _access = await look_in(http, tenant, operator, mode)
    one = str(await customer(tenant, f"Path {mode}"))
    values = {"entity": "customer", "record_id": one, "rid": one, "key": "win"}
    tried = 0
    for method, path in closed_routes("POST PUT PATCH DELETE"):
        if path in READING or (mode == "write" and path.startswith(("/r/", "/entry/", "/api/v1/records/", "/api/v1/forms/")) and not re.search(r"/(import|export|views)", path)):
            continue
        headers = browser._headers({"x-csrf-token": browser.csrf, "content-type": "application/json" if "/api/" in path else "application/x-www-form-urlencoded"})
        answer = await http.request(method, url_of(path, values), headers=headers, content="{}" if "/api/" in path else "")
        if answer.status_code in (404, 303) and answer.headers.get("location", "/login").startswith("/login"):
            pytest.fail(f"{method} {path}: is it a page of operators or of strangers? Then name it in OPERATORS or OUTSIDE")
        assert answer.status_code == 403 and "upport" in answer.text, (method, path, answer.status_code)
        tried += 1
    assert tried > 60
    ctx_page = await http.get(f"/api/v1/records/customer/{one}", headers=browser._headers({}))
    assert ctx_page.json()["version"] == 1


SECRET = ("/profile", "/settings/keys", "/settings/security", "/settings/everything", "/settings/leave", "/settings/support", "/settings/users/", "/settings/mail/", "/notifications", "/jobs/", "/settings/packs", "/api/v1/jobs", "/api/v1/archives", "/api/v1/invitations", "/settings/simulator")


async def test_what_is_nobodys_business_stays_closed(http, tenant, operator):
    browser, _access = await look_in(http, tenant, operator, "write")
    paths = [p for _m, p in closed_routes("GET") if p.startswith(SECRET) or "export" in p or "import" in p]
    assert len(paths) > 15
    for path in paths:
        answer = await http.get(url_of(path, {"entity": "customer"}), headers=browser._headers({}))
        assert answer.status_code == 403 and "closed to support" in answer.text, (path, answer.status_code)


async def test_the_context_refuses_by_itself(tenant, operator):
    """Whatever path it came by: the door, jobs, and the database."""
    access = await allowed(tenant, operator)
    token, _until = await open_support_session(tenant.id, await support_ticket(await find_tenant(tenant.slug), operator, access))
    session = await find_support_session(tenant.id, token, method="GET", path="/")
    ctx = await context_of(session, origin="page")
    one = await customer(tenant, "Stays")
    attempts = [
        ops.Create(entity="customer", values={"name": "New"}), ops.Update(entity="customer", id=one, values={"name": "Other"}), ops.Delete(entity="customer", id=one),
        ops.CreateMany(entity="customer", rows=[{"name": "Many"}]),
    ]  # fmt: skip
    for attempt in attempts:
        with pytest.raises(PermissionDenied):
            await execute(ctx, attempt)
    with pytest.raises(PermissionDenied):
        async with tenant_transaction(tenant.id) as conn:
            await jobs.enqueue(conn, ctx, "export_records", {})
    assert (await execute(ctx, ops.Get(entity="customer", id=one))).title == "Stays"


async def test_with_leave_records_change_under_the_operators_name(http, tenant, operator):
    browser, _access = await look_in(http, tenant, operator, "write")
    one = await customer(tenant, "Wrng name")
    page = await browser.get(f"/r/customer/{one}/edit")
    assert page.status_code == 200
    headers = browser._headers({"x-csrf-token": browser.csrf, "content-type": "application/json"})
    assert (await http.patch(f"/api/v1/records/customer/{one}", headers=headers, json={"values": {"name": "Right name"}})).status_code == 200
    answer = await http.get(f"/api/v1/records/customer/{one}/history", headers=browser._headers({}))
    assert answer.json()["data"][0]["actor"] == "Support: Olga"
    assert (await list_audit(tenant.id, kind="support.acted", limit=1))[0]["target"] == f"/api/v1/records/customer/{one}"


async def test_what_support_makes_belongs_to_nobody(http, tenant, operator):
    browser, access = await look_in(http, tenant, operator, "write")
    await browser.get("/r/customer/new")
    headers = browser._headers({"x-csrf-token": browser.csrf, "content-type": "application/json"})
    made = await http.post("/api/v1/records/customer", headers=headers, json={"values": {"name": "Made by support"}})
    assert made.status_code == 201, made.text
    async with tenant_transaction(tenant.id) as conn:
        row = await conn.fetchrow("SELECT owner_id, created_by FROM record WHERE tenant_id = $1 AND id = $2", tenant.id, UUID(made.json()["id"]))
    assert row["owner_id"] is None and row["created_by"] == access
    ctx = await context_of(await find_support_session(tenant.id, browser.cookies["session"], method="GET", path="/"), origin="page")
    assert (await form_state(ctx, "customer")).values.get("owner") is None
    for entity in ctx.config.entities.values():  # defaults of “me()”, too
        for field in entity.defn.fields:
            if field.type == "user":
                assert (await form_state(ctx, entity.key)).values.get(field.key) is None, (entity.key, field.key)


async def test_they_see_what_the_chosen_role_sees(http, tenant, operator):
    browser, _access = await look_in(http, tenant, operator, "read", "sales")
    assert (await http.get("/api/v1/me", headers=browser._headers({}))).json()["roles"] == ["sales"]
    assert (await browser.get("/settings/audit")).status_code == 403


# ---- the pages ------------------------------------------------------------------------------------------------------------------


async def test_what_was_looked_at_is_listed_page_by_page(http, tenant, operator, monkeypatch):
    from saas.ui.pages import support as page_of

    monkeypatch.setattr(page_of, "LINES", 2)
    browser, access = await look_in(http, tenant, operator)
    for path in ("/r/opportunity", "/r/task"):
        await browser.get(path)
    await end_support_access(tenant.id, access, actor_id=await admin_id(tenant))
    _again, later = await look_in(http, tenant, operator)
    admin = Browser(http, f"{tenant.slug}.localhost")
    await admin.sign_in(tenant.admin_email, tenant.admin_password)
    newest = await admin.get(f"/settings/support/{access}")
    assert "<td>/r/task" in newest.text and "<td>/r/opportunity" in newest.text and "<td>/r/customer" not in newest.text
    older = await admin.get(re.search(r'href="([^"]+)" data-more', newest.text)[1])
    assert "<td>/r/customer" in older.text and "<td>/r/task" not in older.text and "data-more" not in older.text
    other = await admin.get(f"/settings/support/{later}")
    assert "<td>/r/customer" in other.text and "<td>/r/task" not in other.text


async def test_an_administrator_decides_on_the_page(http, tenant, operator):
    admin = Browser(http, f"{tenant.slug}.localhost")
    assert (await admin.sign_in(tenant.admin_email, tenant.admin_password)).status_code == 303
    assert "never looked in" in (await admin.get("/settings/support")).text or await list_support_accesses(tenant.id)
    access, _ready = await ask_support_access(await find_tenant(tenant.slug), operator, mode="write", reason=REASON)
    page = await admin.get("/settings/support")
    assert REASON in page.text and f'data-asked="{access}"' in page.text
    assert (await admin.post(f"/settings/support/{access}", {"act": "approve"})).status_code == 422  # the box was not ticked
    assert (await admin.post(f"/settings/support/{access}", {"act": "approve", "sure": "on", "role": "nothing"})).status_code == 400
    assert (await admin.post(f"/settings/support/{access}", {"act": "approve", "sure": "on"})).status_code == 303
    token, _until = await open_support_session(tenant.id, await support_ticket(await find_tenant(tenant.slug), operator, access))
    await find_support_session(tenant.id, token, method="GET", path="/r/customer")
    page = await admin.get(f"/settings/support/{access}")
    assert page.status_code == 200 and "/r/customer" in page.text
    assert (await admin.post(f"/settings/support/{access}", {"act": "end"})).status_code == 303
    assert "ended by an administrator" in (await admin.get("/settings/support")).text
    await admin.post("/settings/support", {"consent": "on", "role": ""})
    assert (await ask_support_access(await find_tenant(tenant.slug), operator, mode="read", reason=REASON))[1]
    async with system_transaction("operator_console") as conn:
        kinds = [r[0] for r in await conn.fetch("SELECT kind FROM operator_audit WHERE tenant_id_text = $1 AND operator_id = $2", tenant.slug, operator.id)]
    assert {"support.asked", "support.opened"} <= set(kinds)
