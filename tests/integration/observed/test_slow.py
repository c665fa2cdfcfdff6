"""Slow statements: named without values, kept in bounded number, by tenant; the operator sees them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from saas.db import tenant_transaction
from saas.observe import statements
from saas.observe.seen import Seen, seeing
from saas.tenants import create_operator, delete_tenant, health, open_session, resolve_host, slow
from saas.tenants.housekeeping import clean_up
from saas.tenants.operators import open_operator_session
from tests.conftest import PASSWORD


@pytest.mark.parametrize(
    ("text", "name", "told"),
    [
        ("SELECT a FROM record WHERE x = 'Se''cret' AND n > 4711", "select record", "SELECT a FROM record WHERE x = ? AND n > ?"),
        ("SELECT E'a\\'b', $1::text, t1 FROM record -- Secret", "select record", "SELECT ?, $1::text, t1 FROM record"),
        ("INSERT INTO job (a) VALUES (1, 2, 3)", "insert job", "INSERT INTO job (a) VALUES (?)"),
        ("SELECT $x$ Secret $x$ AS \"Secret Name\" FROM unnest($1) JOIN tenant ON true", "select tenant", "SELECT ? AS \"?\" FROM unnest($1) JOIN tenant ON true"),
        ("WITH w0 AS (INSERT INTO record_event (a) VALUES ($1) ON CONFLICT DO UPDATE SET a = -1.5e3) SELECT extract(epoch FROM at)", "insert record_event", None),
        ("UPDATE /* Secret */ app_user SET n = 1", "update app_user", "UPDATE app_user SET n = ?"),
    ],
)
def test_names_hold_no_constants(text, name, told):
    found = statements.name_of(text)
    assert found.name == name and "ecret" not in found.text
    assert told is None or found.text == told
    assert found.fingerprint == statements.name_of(text.replace("4711", "12")).fingerprint


async def test_the_operator_sees_whose_they_were(office, http, all_slow, settings):
    admin, other = (await office("baseline-crm"))["admin"], (await office("baseline-crm"))["admin"]
    await admin.create("customer", name="Marked Ltd")
    await admin.get("/records/customer", q="Marked")
    assert await slow.store() > 5
    slug = admin.host.partition(".")[0]
    kept = await slow.slow_of(slug)
    assert {row["route"] for row in kept} >= {"/api/v1/records/{entity}"} and all(row["milliseconds"] >= 0 for row in kept)
    assert "Marked" not in repr(kept)
    await create_operator("slow@platform.example", PASSWORD, name="Slow", role="read")
    operator = (await http.post("http://x/api/v1/tokens", json={"email": "slow@platform.example", "password": PASSWORD}, headers={"host": "operator.localhost"})).json()["token"]
    sent = {"host": "operator.localhost", "authorization": f"Bearer {operator}"}
    answer = await http.get(f"http://x/api/v1/tenants/{slug}/slow-queries", headers=sent)
    assert answer.status_code == 200 and len(answer.json()["data"]) == len(kept) and answer.json()["data"][0]["statement"]
    assert (await http.get("http://x/api/v1/tenants/nobody/slow-queries", headers=sent)).status_code == 404
    for headers in ({"host": "operator.localhost"}, {"host": admin.host, "authorization": f"Bearer {admin.token}"}):
        assert (await http.get(f"http://x/api/v1/tenants/{slug}/slow-queries", headers=headers)).status_code in (401, 403, 404)
    tenant = await resolve_host(admin.host, "localhost")
    async with tenant_transaction((await resolve_host(other.host, "localhost")).id) as conn:
        assert not await conn.fetchval("SELECT count(*) FROM slow_query WHERE tenant_id = $1", tenant.id)


async def test_the_page(office, http, all_slow, settings):
    from saas.app import create_app

    admin = (await office("baseline-crm"))["admin"]
    slug = admin.host.partition(".")[0]
    await admin.get("/records/customer")
    await slow.store()
    operator = await create_operator("page@platform.example", PASSWORD, name="Page", role="read")
    token, _, _ = await open_operator_session(operator)
    import httpx

    transport = httpx.ASGITransport(app=create_app(replace(settings, operator_totp="optional")))
    async with httpx.AsyncClient(transport=transport, base_url="http://operator.localhost") as console:
        for locale, word in (("en", "Slow statements"), ("zh_CN", "慢查询")):
            cookies = {"cookie": f"session={token}; locale={locale}"}
            whole = await console.get("/monitor/slow", headers=cookies)
            assert whole.status_code == 200 and word in whole.text and f"tenant={slug}" in whole.text
            one = await console.get("/monitor/slow", params={"tenant": slug}, headers=cookies)
            assert one.status_code == 200 and "SELECT" in one.text and "data-slow" in one.text
        assert (await console.get("/monitor/slow?tenant=nobody", headers=cookies)).status_code == 404
    web, _, _ = await open_session((await resolve_host(admin.host, "localhost")).id, admin.id, "web", "", "")
    assert (await http.get(f"http://{admin.host}/monitor/slow", headers={"host": admin.host, "cookie": f"session={web}"})).status_code == 404


async def test_only_so_many_are_kept(tenant_factory, all_slow, monkeypatch):
    tenant = await tenant_factory()
    monkeypatch.setattr(slow, "_TRIM", slow._TRIM.replace(f"OFFSET {slow.KEPT - 1}", "OFFSET 9"))
    for _ in range(3):
        with seeing(Seen("request", tenant_id=tenant.id, route="/a")):
            for _ in range(60):
                statements.ended("SELECT 1 FROM record", 0.0, [])
        await slow.store()
    kept = await slow.list_slow(tenant.id, limit=500)
    assert 10 <= len(kept) < 60 and {row["name"] for row in kept} <= {"select record", "insert slow_query", "delete slow_query"}


async def test_usage_of_the_largest_only_where_asked_for(office, database, monkeypatch):
    admin = (await office("baseline-crm"))["admin"]
    await admin.create("customer", name="Counted")
    from saas.tenants import meters

    tenant = await resolve_host(admin.host, "localhost")
    async with tenant_transaction(tenant.id) as conn:
        await meters.fold(conn, tenant.id)
    assert await health._largest(0) == []
    health._usage.at = float("-inf")
    found = await health._largest(500)
    assert (tenant.slug, "records") in {labels for labels, _ in found}
    health._usage.at = float("-inf")
    assert [meter for (_, meter), _ in await health._largest(1)].count("records") == 1


async def test_a_deleted_tenant_leaves_no_statements_behind(office, all_slow, database):
    admin = (await office("baseline-crm"))["admin"]
    tenant = await resolve_host(admin.host, "localhost")
    await admin.get("/records/customer")
    found = statements.take_slow()
    mine = [each for each in found if each.tenant_id == tenant.id]
    assert mine
    await delete_tenant(tenant.slug)
    statements._waiting.extend(mine)
    await slow.store()
    assert not await slow.list_slow(tenant.id)
    async with tenant_transaction(tenant.id) as conn:  # one that was stored at the very moment
        await conn.execute("INSERT INTO slow_query (tenant_id, id, at, name, fingerprint, statement, milliseconds) VALUES ($1, gen_random_uuid(), now() - interval '2 hours', '', '', '', 1)", tenant.id)
    await clean_up()
    assert not await slow.list_slow(tenant.id)
