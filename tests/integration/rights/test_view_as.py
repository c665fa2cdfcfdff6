"""Looking at the pages as a role or a person: the real pages under their rights, nothing written, nothing more than one may see,
and a way back at any time."""

from __future__ import annotations

import html
import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
import pytest
import pytest_asyncio

from saas.app import routes as all_routes
from saas.db import in_transaction, only_read, own_limits, tenant_transaction
from saas.errors import PermissionDenied
from saas.metadata import drafts, edits
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.settings import Settings
from saas.tenants import list_audit, open_session, update_user
from saas.ui.console import OPERATOR_PATHS
from tests.factories import PASSWORD
from tests.integration.rights.conftest import Office
from tests.integration.test_pages import Browser

SIMULATOR, ALL = "/settings/simulator", "/r/account?view=all&limit=100"


async def browser_of(http: httpx.AsyncClient, office: Office, who: str) -> Browser:
    browser = Browser(http, f"{office.lab.slug}.localhost")
    email = f"admin@{office.lab.slug}.example" if who == "admin" else f"{who.replace('_', '-')}@{office.lab.slug}.example"
    assert (await browser.sign_in(email, PASSWORD)).status_code == 303
    return browser


@pytest_asyncio.fixture
async def admin(http: httpx.AsyncClient, office: Office) -> AsyncIterator[Browser]:
    browser = await browser_of(http, office, "admin")
    yield browser
    await drafts.discard(office.lab.tenant_id, office.lab.people["admin"])


async def look(browser: Browser, who: str, **more: str) -> httpx.Response:
    answer = await browser.post(SIMULATOR, {"who": who, **more})
    if answer.status_code == 303:
        await browser.get("/search")
    return answer


def listed(answer: httpx.Response) -> set[str]:
    return set(re.findall(r'data-record-id="([0-9a-f-]{36})"', answer.text))


async def seen(office: Office, who: str, entity: str = "account") -> set[str]:
    return {str(r.id) for r in (await execute(await office.lab.ctx(who), ops.List(entity=entity, limit=200))).records}


async def edit_draft(office: Office, path: str, definition: Any) -> None:
    await drafts.edit(office.lab.tenant_id, office.lab.people["admin"], "Change", lambda raw, data: (edits.put(raw, path, definition), data))


# ---- whose eyes --------------------------------------------------------------------------------------------------------


async def test_as_a_person(office: Office, admin: Browser) -> None:
    assert listed(await admin.get(ALL)) >= set(map(str, office.accounts.values()))
    answer = await look(admin, f"user:{office.lab.people['seller']}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    page = await admin.get(ALL)
    assert listed(page) == await seen(office, "seller") != set()
    assert "You see this as Seller." in page.text and "data-viewing" in page.text
    theirs, others = office.accounts["seller-b"], office.accounts["south_chief-b"]
    assert (await admin.get(f"/r/account/{theirs}")).status_code == 200
    assert (await admin.get(f"/r/account/{others}")).status_code == 404
    left = await admin.post(f"{SIMULATOR}/leave")
    assert (left.status_code, left.headers["location"]) == (303, SIMULATOR)
    page = await admin.get(f"/r/account/{others}")
    assert page.status_code == 200 and "data-viewing" not in page.text


async def test_as_a_role_one_stays_oneself(office: Office, admin: Browser) -> None:
    own = await office.lab.make("account", name="The admin's own", owner=str(office.lab.people["admin"]))
    assert (await look(admin, "role:seller")).status_code == 303
    shown = listed(await admin.get(ALL))
    assert str(own) in shown and not shown & {str(a) for a in office.accounts.values()}
    assert (await admin.get("/settings")).status_code == 403
    await admin.post(f"{SIMULATOR}/leave")
    await look(admin, "role:blind")
    page = await admin.get(f"/r/account/{office.accounts['seller-b']}")
    assert page.status_code == 200 and 'data-field="name"' in page.text and 'data-field="bank"' not in page.text and "13800138000" not in page.text
    await admin.post(f"{SIMULATOR}/leave")


async def test_with_the_draft(office: Office, admin: Browser) -> None:
    """What is not published yet: a field that goes dark, records that open, a new label. Others and the live pages see nothing of it."""
    await edit_draft(office, "roles[seller].entities.account.read", "all")
    await edit_draft(office, "roles[seller].entities.account.fields", {"phone": "hidden"})
    await edit_draft(office, "entities[account].plural", {"en": "Trial partners", "zh_CN": "试用伙伴"})
    await edit_draft(office, "entities[account].fields[hobby]", {"key": "hobby", "type": "text", "label": {"en": "Hobby of the draft", "zh_CN": "爱好"}})
    person = f"user:{office.lab.people['seller']}"
    await look(admin, person)
    page = await admin.get(ALL)
    assert "Trial partners" not in page.text and listed(page) == await seen(office, "seller")
    await admin.post(f"{SIMULATOR}/leave")
    assert (await look(admin, person, draft="1")).status_code == 303
    page = await admin.get(ALL)
    assert "You see this as Seller, with your unpublished changes." in page.text and "Trial partners" in page.text
    assert listed(page) >= set(map(str, office.accounts.values()))
    record = await admin.get(f"/r/account/{office.accounts['south_chief-b']}")
    assert record.status_code == 200 and "Hobby of the draft" in record.text and "13800138000" not in record.text
    for path in ("/", "/r/account/board", "/r/account/new", "/r/deal/board", "/reports", "/search?q=seller", "/r/account/bin", f"/r/account/{office.accounts['seller-b']}/edit", "/r/account/export"):
        assert (await admin.get(path)).status_code < 400, path
    await admin.post(f"{SIMULATOR}/leave")
    assert "Trial partners" not in (await admin.get(ALL)).text


async def test_a_draft_with_problems_is_said_and_can_be_left(office: Office, admin: Browser) -> None:
    await edit_draft(office, "roles[seller].entities.account.read", "all")
    await look(admin, "role:seller", draft="1")
    await edit_draft(office, "entities[account].title", "nothing_of_the_kind")
    page = await admin.get("/r/account")
    assert page.status_code == 422 and "Your draft has problems" in page.text and "data-viewing" in page.text
    assert (await admin.post(f"{SIMULATOR}/leave")).status_code == 303
    assert (await admin.get("/r/account")).status_code == 200
    refused = await look(admin, "role:seller", draft="1")
    assert refused.status_code == 422 and "Your draft has problems" in refused.text
    await drafts.discard(office.lab.tenant_id, office.lab.people["admin"])
    refused = await look(admin, "role:seller", draft="1")
    assert refused.status_code == 422 and "no unpublished changes" in refused.text


# ---- nothing is changed ------------------------------------------------------------------------------------------------

OUTSIDE = {"/login", "/login/code", "/login/device", "/forgot", "/reset/{token:str}", "/invitation/{token:str}", "/logout", "/locale", "/theme", "/go", "/find", "/signup", "/signup/confirm/{token:str}", "/unsubscribe/{token:str}", "/hooks/sms/{token:str}", "/hooks/in/{token:str}", "/f/{key:str}", "/notice", "/support/leave"}  # before signing in, or the reader's own taste


async def test_every_unsafe_route_is_refused(office: Office, admin: Browser) -> None:
    """All there are, with a valid token and ids that exist; leaving and looking as somebody else excepted."""
    app = all_routes(Settings(secret_key="x" * 40))
    routes = [(m, r.path) for r in app.routes for m in r.methods - {"GET", "HEAD", "OPTIONS"}]
    await look(admin, "role:chief")
    one = str(office.accounts["seller-b"])
    values = {"entity": "account", "record_id": one, "rid": one, "key": "win", "number": "1", "user_id": str(office.lab.people["seller"]), "field": "name"}
    async with tenant_transaction(office.lab.tenant_id) as conn:
        before = await conn.fetchval("SELECT sum(version) FROM record WHERE tenant_id = $1", office.lab.tenant_id)
    tried = 0
    for method, path in routes:
        if path in OUTSIDE or path.startswith((SIMULATOR, "/api/v1/tokens", *OPERATOR_PATHS)):
            continue
        url = re.sub(r"\{(\w+):(\w+)\}", lambda m: quote(values.get(m[1], one if m[2] == "uuid" else "1" if m[2] == "int" else "x")), path)
        headers = admin._headers({"x-csrf-token": admin.csrf, "content-type": "application/json" if "/api/" in path else "application/x-www-form-urlencoded"})
        answer = await admin.http.request(method, url, headers=headers, content="{}" if "/api/" in path else "")
        assert answer.status_code == 403, (method, path, answer.status_code)
        assert "looking" in answer.text, (method, path)
        tried += 1
    assert tried > 30
    async with tenant_transaction(office.lab.tenant_id) as conn:
        assert await conn.fetchval("SELECT sum(version) FROM record WHERE tenant_id = $1", office.lab.tenant_id) == before
    page = await admin.get("/r/account")
    assert "nothing can be changed" in html.unescape((await admin.post("/r/account/new", {"name": "x"})).text) and page.status_code == 200
    await admin.post(f"{SIMULATOR}/leave")
    assert (await admin.post("/r/account/new", {"name": "Made after leaving"})).status_code == 303


async def test_the_database_itself_refuses(office: Office) -> None:
    """Also where a page that only shows something would write."""
    with own_limits():
        only_read()
        with pytest.raises(PermissionDenied):
            async with tenant_transaction(office.lab.tenant_id) as conn:
                await conn.execute("UPDATE record SET version = version + 1 WHERE tenant_id = $1", office.lab.tenant_id)
        with pytest.raises(PermissionDenied):
            await execute(await office.lab.ctx("admin"), ops.Create(entity="account", values={"name": "x"}))
    async with tenant_transaction(office.lab.tenant_id) as conn:
        assert in_transaction() and await conn.fetchval("SHOW transaction_read_only") == "off"
        with pytest.raises(RuntimeError):
            only_read()
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with tenant_transaction(office.lab.tenant_id) as conn:
            await conn.execute("SET TRANSACTION READ ONLY")
            try:
                async with conn.transaction():
                    await conn.execute("DELETE FROM counter WHERE tenant_id = $1", office.lab.tenant_id)
            except asyncpg.ReadOnlySQLTransactionError as error:
                caught = error
        raise caught


async def test_what_is_personal_stays_closed(office: Office, admin: Browser) -> None:
    """Messages, downloads, the profile, private views and files nobody has attached yet."""
    seller = office.lab.people["seller"]
    async with tenant_transaction(office.lab.tenant_id) as conn:
        note = await conn.fetchval(
            "INSERT INTO notification (tenant_id, id, user_id, title) VALUES ($1, gen_random_uuid(), $2, 'Private words') RETURNING id", office.lab.tenant_id, seller
        )
        definition = json.dumps({"label": {"en": "Private list"}})
        await conn.execute(
            "INSERT INTO saved_view (tenant_id, id, entity_key, key, user_id, shared, definition) VALUES ($1, gen_random_uuid(), 'account', 'u_private00001', $2, false, $3::jsonb)",
            office.lab.tenant_id, seller, definition,
        )  # fmt: skip
        upload = await conn.fetchval(
            "INSERT INTO file (tenant_id, id, name, size_bytes, content_type, sha256, created_by) VALUES ($1, gen_random_uuid(), 'x.txt', 1, 'text/plain', $3, $2) RETURNING id",
            office.lab.tenant_id, seller, "0" * 64,
        )  # fmt: skip
    await look(admin, f"user:{seller}")
    for path in ("/notifications", f"/notifications/{note}", "/profile", f"/jobs/{upload}"):
        answer = await admin.get(path)
        assert answer.status_code == 403 and "Private words" not in answer.text, path
    assert "Private list" not in (await admin.get("/r/account")).text
    assert (await admin.get(f"/files/{upload}")).status_code == 404
    async with tenant_transaction(office.lab.tenant_id) as conn:
        assert await conn.fetchval("SELECT read_at FROM notification WHERE id = $1 AND tenant_id = $2", note, office.lab.tenant_id) is None
    await admin.post(f"{SIMULATOR}/leave")


async def test_drafts_of_others_stay_closed(office: Office, admin: Browser) -> None:
    """Also where the person looked through may configure: their unpublished changes are theirs."""
    await look(admin, f"user:{office.lab.people['builder']}")
    assert (await admin.get("/settings")).status_code == 200
    for path in ("/settings/draft", "/settings/entities", "/settings/entities/account", "/settings/examples", "/settings/roles", "/settings/builder/condition?entity=account"):
        assert (await admin.get(path)).status_code == 403, path
    assert (await admin.get(SIMULATOR)).status_code == 200
    await admin.post(f"{SIMULATOR}/leave")
    assert (await admin.get("/settings/examples")).status_code == 200


async def test_programs_are_never_somebody_else(http: httpx.AsyncClient, office: Office, admin: Browser) -> None:
    """The page's cookie opens no API meanwhile; a token asks for its person as ever."""
    ctx = await office.lab.ctx("admin")
    token, _csrf, _expires = await open_session(office.lab.tenant_id, ctx.user_id, "api")
    await look(admin, "role:seller")
    assert (await admin.get("/api/v1/records/account")).status_code == 403
    async with tenant_transaction(office.lab.tenant_id) as conn:  # even if it stood there
        await conn.execute("""UPDATE session SET view_as = '{"roles": ["nobody"], "user_id": null, "draft": false}' WHERE tenant_id = $1 AND kind = 'api'""", office.lab.tenant_id)
    answer = await http.get("/api/v1/records/account?count=exact", headers={"host": admin.host, "authorization": f"Bearer {token}"})
    assert answer.status_code == 200 and answer.json()["count"]["value"] >= len(office.accounts)
    await admin.post(f"{SIMULATOR}/leave")
    assert (await admin.get("/api/v1/records/account")).status_code == 200


# ---- nobody rises by it ------------------------------------------------------------------------------------------------


async def test_only_those_who_may_configure(http: httpx.AsyncClient, office: Office) -> None:
    seller = await browser_of(http, office, "seller")
    for path in (SIMULATOR, f"{SIMULATOR}?who=role:admin", f"{SIMULATOR}/records?entity=account"):
        assert (await seller.get(path)).status_code == 403
    assert (await seller.post(SIMULATOR, {"who": "role:admin"})).status_code == 403
    async with tenant_transaction(office.lab.tenant_id) as conn:  # even if somebody wrote it there
        await conn.execute(
            "UPDATE session SET view_as = $3::jsonb WHERE tenant_id = $1 AND user_id = $2", office.lab.tenant_id, office.lab.people["seller"],
            json.dumps({"roles": ["admin"], "user_id": None, "draft": False}),
        )  # fmt: skip
    page = await seller.get("/r/account")
    assert page.status_code == 403 and "data-viewing" in page.text
    assert (await seller.post(f"{SIMULATOR}/leave")).headers["location"] == "/"
    assert (await seller.get("/r/account")).status_code == 200


async def test_who_is_no_administrator_sees_no_more_than_before(http: httpx.AsyncClient, office: Office) -> None:
    builder = await browser_of(http, office, "builder")
    page = await builder.get(SIMULATOR)
    assert 'value="role:chief"' in page.text and 'value="role:admin"' not in page.text and 'value="role:keeper"' not in page.text
    assert f'value="user:{office.lab.people["admin"]}"' not in page.text
    for data in ({"who": "role:admin"}, {"who": "role:keeper"}, {"who": f"user:{office.lab.people['admin']}"}):
        assert (await builder.post(SIMULATOR, data)).status_code == 403, data
    mine = {str(office.accounts["builder-b"]), str(office.accounts["builder-c"])}
    assert (await look(builder, f"user:{office.lab.people['south_chief']}")).status_code == 303
    page = await builder.get(ALL)
    assert listed(page) == mine and "gold" not in page.text and "13800138000" not in page.text
    for path in (f"/r/account/{office.accounts['south_chief-b']}", f"/r/account/{office.accounts['seller-b']}"):
        assert (await builder.get(path)).status_code == 404
    own = await builder.get(f"/r/account/{office.accounts['builder-b']}")
    assert own.status_code == 200 and 'data-field="name"' in own.text and 'data-field="bank"' not in own.text
    assert "Nothing found" in (await builder.get("/search?q=gold")).text
    await builder.post(f"{SIMULATOR}/leave")
    await drafts.edit(office.lab.tenant_id, office.lab.people["builder"], "Change", lambda raw, data: (edits.put(raw, "roles[builder].entities.account.read", "all"), data))
    refused = await look(builder, "role:builder", draft="1")
    assert refused.status_code == 422
    async with tenant_transaction(office.lab.tenant_id) as conn:
        await conn.execute(
            "UPDATE session SET view_as = $3::jsonb WHERE tenant_id = $1 AND user_id = $2", office.lab.tenant_id, office.lab.people["builder"],
            json.dumps({"roles": ["builder"], "user_id": None, "draft": True}),
        )  # fmt: skip
    assert (await builder.get("/r/account")).status_code == 403
    await builder.post(f"{SIMULATOR}/leave")
    await drafts.discard(office.lab.tenant_id, office.lab.people["builder"])


async def test_a_right_that_is_lost_ends_it(http: httpx.AsyncClient, office: Office) -> None:
    await office.lab.person("temporary", ["admin"], "north")
    browser = await browser_of(http, office, "temporary")
    await look(browser, "role:chief")
    assert (await browser.get("/r/account")).status_code == 200
    await update_user(office.lab.tenant_id, office.lab.people["temporary"], {"role_keys": ["seller"]})
    assert (await browser.get("/r/account")).status_code == 403
    assert (await browser.post(f"{SIMULATOR}/leave")).status_code == 303
    assert listed(await browser.get(ALL)) == set()


async def test_it_stands_in_the_audit_log(office: Office, admin: Browser) -> None:
    await look(admin, f"user:{office.lab.people['seller']}")
    await admin.post(f"{SIMULATOR}/leave")
    ended, started = (await list_audit(office.lab.tenant_id, limit=2))[:2]
    assert (ended["kind"], started["kind"]) == ("simulation.ended", "simulation.started")
    assert started["target"] == ended["target"] == str(office.lab.people["seller"]) and started["actor_id"] == office.lab.people["admin"]
    assert started["data"] == {"roles": [], "user_id": str(office.lab.people["seller"]), "draft": False}
    page = await admin.get("/settings/audit")
    assert "Started to look as somebody else" in page.text


# ---- the page ----------------------------------------------------------------------------------------------------------


async def test_the_page_compares(office: Office, admin: Browser) -> None:
    page = await admin.get(f"{SIMULATOR}?who=role:chief&with=role:reader")
    text = html.unescape(page.text)
    assert page.status_code == 200 and "Chief, compared with Reader" in text
    account = re.search(r'<tr data-entity="account">.*?</tr>', text, re.DOTALL)[0]
    assert "+ Create, Export, Change many at once" in account and "read-only → editable: Name" in account
    alone = html.unescape((await admin.get(f"{SIMULATOR}?who=role:blind")).text)
    assert "What Blind may" in alone and "hidden: Bank" in alone
    await edit_draft(office, "roles[seller].entities.account.read", "all")
    draft = html.unescape((await admin.get(f"{SIMULATOR}?who=user:{office.lab.people['seller']}&draft=1")).text)
    assert "Seller with your changes, compared with now" in draft and "Read, gained:" in draft and f'/r/account/{office.accounts["south_chief-b"]}"' in draft


async def test_the_page_explains(office: Office, admin: Browser) -> None:
    seller, record = office.lab.people["seller"], office.accounts["south_chief-b"]
    url = f"{SIMULATOR}?who=user:{seller}&entity=account&was=account&record={record}&right=read"
    text = html.unescape((await admin.get(url)).text)
    assert 'data-verdict="no"' in text and "Seller: own records" in text and "Owner: South_Chief" in text
    await edit_draft(office, "roles[seller].entities.account.read", "all")
    assert 'data-verdict="yes"' in (await admin.get(f"{url}&draft=1")).text
    field = html.unescape((await admin.get(f"{SIMULATOR}?who=role:blind&entity=account&record={record}&right=see_field&field=phone")).text)
    assert 'data-verdict="no"' in field and "masked" in field
    move = html.unescape((await admin.get(f"{SIMULATOR}?who=role:reader&entity=deal&right=transition&transition=win")).text)
    assert 'data-verdict="no"' in move
    other = await admin.get(f"{SIMULATOR}?who=role:reader&entity=deal&was=account&record={record}&right=see_field&field=phone")
    assert other.status_code == 200 and "data-verdict" not in other.text
    await look(admin, f"user:{seller}")
    page = html.unescape((await admin.get(f"/r/account/{office.accounts['seller-b']}")).text)
    why = re.search(r'href="(/settings/simulator\?[^"]*)#why"', page)[1]
    assert 'data-verdict="yes"' in (await admin.get(why)).text
    assert (await admin.get(f"{SIMULATOR}/records?entity=account&q=south")).json()["items"]
    await admin.post(f"{SIMULATOR}/leave")


@pytest.mark.parametrize("query", ["who=role:no_such", "who=user:x", "who=user:00000000-0000-0000-0000-000000000000"])
async def test_odd_questions(admin: Browser, query: str) -> None:
    assert (await admin.get(f"{SIMULATOR}?{query}")).status_code == 404
    for more in ("entity=no_such", "entity=account&right=no_such", "entity=account&record=x&right=read", "entity=account&right=see_field&field=no_such", "entity=deal&right=transition&transition=no", "with=role:nope"):
        assert (await admin.get(f"{SIMULATOR}?who=role:chief&{more}")).status_code in (200, 404), more


async def test_previews_show_nobody_more_than_they_may_see(http, office):
    """Whoever configures without being an administrator could make themselves one in a draft that nobody else sees."""
    me = office.lab.people["builder"]
    try:
        builder = await browser_of(http, office, "builder")
        await drafts.edit(office.lab.tenant_id, me, "Mine", lambda raw, data: (edits.put(raw, "roles[builder].admin", True), data))
        verdict = await builder.post("/settings/builder/check?entity=account", {"text": "bank"})
        assert verdict.status_code == 200 and "This gives" in verdict.text and "gold" not in verdict.text
        page = await builder.get("/settings/views/account/grades")
        assert page.status_code == 200 and "Only an administrator can try unpublished changes" in page.text
        assert "seller b" not in page.text and "gold" not in page.text
    finally:
        await drafts.discard(office.lab.tenant_id, me)
