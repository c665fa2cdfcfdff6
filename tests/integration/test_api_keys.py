"""API keys over HTTP: what they open, what they do not, on every kind of route."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from saas.app import routes as all_routes
from saas.db import tenant_transaction
from saas.errors import InvalidInput
from saas.settings import Settings
from saas.tenants import (
    SecurityRules,
    create_api_key,
    create_user,
    list_api_keys,
    list_audit,
    open_session,
    revoke_api_key,
    set_security_rules,
    update_user,
)
from saas.ui.api.scopes import needed_scope
from tests.acceptance.api import Person, refused
from tests.conftest import PASSWORD

SOON = timedelta(days=30)


@pytest_asyncio.fixture(scope="module")
async def tenant(tenant_factory):
    return await tenant_factory(pack="baseline-crm")


@pytest_asyncio.fixture(scope="module")
async def admin(http, tenant) -> Person:
    return await Person(http, f"{tenant.slug}.localhost", language="en").sign_in(tenant.admin_email, tenant.admin_password)


@pytest.fixture(scope="module")
def keyed(http, tenant):
    """A program with a key of the administrator; those of `scoped` are made once."""

    async def make(*scopes: str, entities=None, user_id=None) -> Person:
        person = Person(http, f"{tenant.slug}.localhost", language="en")
        person.id, person.token = await create_api_key(tenant.id, user_id or tenant.admin_id, "Shop", scopes, datetime.now(UTC) + SOON, entities=entities)
        return person

    return make


@pytest_asyncio.fixture(scope="module")
async def scoped(keyed):
    return {scopes: await keyed(*scopes) for scopes in (("read",), ("write",), ("config",), ("read", "config"), ("read", "write"))}


async def test_a_key_acts_as_its_person_and_is_listed_with_its_last_use(tenant, keyed):
    key = await keyed("read", "write")
    [row] = [r for r in await list_api_keys(tenant.id, tenant.admin_id) if r["id"] == key.id]
    assert row["used_at"] is None and row["works"] and key.token.startswith(row["prefix"] + "_") and len(row["prefix"]) < 16
    assert (await key.get("/me"))["email"] == tenant.admin_email
    made = await key.create("customer", name="By key")
    assert (await key.get(f"/records/customer/{made['id']}/history"))["data"]
    [row] = [r for r in await list_api_keys(tenant.id, tenant.admin_id) if r["id"] == key.id]
    assert row["used_at"] is not None
    async with tenant_transaction(tenant.id) as conn:
        stored = dict(await conn.fetchrow("SELECT * FROM session WHERE id = $1", key.id))
    assert key.token not in repr(stored)
    assert {"api_key.created"} <= {e["kind"] for e in await list_audit(tenant.id)}


async def test_keys_that_open_nothing(http, tenant, keyed, admin, tenant_factory):
    revoked, old, leaver = await keyed("read"), await keyed("read"), None
    await revoke_api_key(tenant.id, revoked.id, actor_id=tenant.admin_id)
    async with tenant_transaction(tenant.id) as conn:
        await conn.execute("UPDATE session SET expires_at = now() - interval '1 second' WHERE id = $1", old.id)
    gone = await create_user(tenant.id, "keyleaver@x.example", PASSWORD, "Leaver", ["sales"])
    leaver = await keyed("read", user_id=gone)
    await leaver.get("/me")
    await update_user(tenant.id, gone, {"status": "inactive"})
    other = await tenant_factory(pack="baseline-crm")
    foreign = Person(http, f"{other.slug}.localhost", language="en")
    foreign.token = (await keyed("read")).token
    for person in (revoked, old, leaver, foreign):
        refused(await person.send("GET", "/me"), 401, "not_authenticated")
    refused(await admin.send("GET", "/me", headers={"authorization": f"Bearer {foreign.token[:-1]}"}), 401)
    refused(await admin.send("GET", "/me", headers={"cookie": f"session={foreign.token}"}), 401)  # a key is no browser's session
    host = {"host": admin.host, "cookie": f"session={foreign.token}"}
    assert (await http.get("/profile", headers=host)).headers["location"].startswith("/login")


def _calls() -> list[tuple[str, str]]:
    app = all_routes(Settings(secret_key="x" * 40))
    closed = ("/api/v1/tenants", "/api/v1/tokens", "/api/v1/me", "/api/v1/openapi.json")
    return sorted({(m, r.path) for r in app.routes for m in r.methods - {"OPTIONS", "HEAD"} if r.path.startswith("/api/v1/") and not r.path.startswith(closed)})


def _address(path: str) -> str:
    found = path.removeprefix("/api/v1")
    nothing = "00000000-0000-7000-8000-000000000000"
    for name, value in (("{entity:str}", "customer"), ("{key:str}", "sales"), ("{plan_id:str}", "1-x")):
        found = found.replace(name, value)
    found = re.sub(r"\{\w+:int\}", "1", re.sub(r"\{\w+:str\}", nothing, found))
    assert "{" not in found, f"say what to put into {path}"
    return found


@pytest.mark.parametrize(("method", "path"), _calls())
async def test_every_call_needs_its_scope(scoped, method, path):
    """Each key without the scope is refused before anything happens; the one with it is not refused for its scope."""
    address = _address(path)
    needed = needed_scope(method, address.strip("/").split("/"))
    others = {"read": ("config",), "write": ("read", "config"), "config": ("read", "write")}[needed]
    body = {} if method in ("POST", "PATCH") else None
    problem = refused(await scoped[others].send(method, address, body), 403, "key_limited")
    assert problem["scope"] == needed
    answer = await scoped[(needed,)].send(method, address, body)
    assert answer.status_code != 401 and "lacks the scope" not in answer.text


def test_which_scopes_calls_need():
    """The table behind the test above, by hand for what is easily got wrong."""
    assert needed_scope("GET", ["config"]) == needed_scope("POST", ["config", "publish"]) == needed_scope("GET", ["invitations"]) == "config"
    assert needed_scope("POST", ["option-lists", "exit"]) == needed_scope("PATCH", ["option-lists", "exit", "x"]) == "config"  # they publish
    assert needed_scope("POST", ["imports"]) == needed_scope("POST", ["files"]) == needed_scope("POST", ["records", "customer", "bulk"]) == "write"
    assert needed_scope("POST", ["records", "customer", "aggregate"]) == needed_scope("POST", ["exports"]) == "read"
    assert needed_scope("POST", ["jobs", "x", "cancel"]) == needed_scope("DELETE", ["records", "customer", "x"]) == "write"


async def test_a_key_of_chosen_entities_reaches_no_others(keyed, admin):
    rid = (await admin.create("customer", name="Zqkeyhole Ltd"))["id"]
    deal = (await admin.create("opportunity", name="Zqkeyhole deal", customer=rid))["id"]
    exported = await admin.call("POST", "/exports", {"entity": "customer", "format": "csv"})
    key = await keyed("read", "write", entities=["opportunity"])
    record = await key.get(f"/records/opportunity/{deal}")
    assert record["values"]["name"] == "Zqkeyhole deal" and "Zqkeyhole Ltd" not in str(record), "the name of a linked record is of another entity"
    for method, path, body in (
        ("GET", "/records/customer", None), ("GET", f"/records/customer/{rid}", None), ("POST", "/records/customer", {"values": {"name": "x"}}), ("PATCH", f"/records/customer/{rid}", {"values": {"name": "x"}}),
        ("DELETE", f"/records/customer/{rid}", None), ("POST", "/records/customer/bulk", {"action": "delete", "ids": [rid]}), ("POST", "/records/customer/aggregate", {"measures": [{"fn": "count"}]}),
        ("POST", "/exports", {"entity": "customer", "format": "csv"}), ("POST", "/imports", {"entity": "customer", "rows": [{"name": "x"}]}), ("GET", "/schema/customer", None), ("GET", "/views/customer", None),
        ("GET", "/reports/sales", None), ("GET", "/reports", None), ("GET", "/notifications", None),
    ):  # fmt: skip
        refused(await key.send(method, path, body), 403, "key_limited")
    assert "customer" not in {e["key"] for e in (await key.get("/schema"))["entities"]}
    assert {hit["entity"] for hit in (await key.get("/search", q="Zqkeyhole"))["data"]} == {"opportunity"}
    refused(await key.send("GET", f"/jobs/{exported['id']}"), 404)
    refused(await key.send("GET", f"/jobs/{exported['id']}/result"), 404)
    assert exported["id"] not in str(await key.get("/jobs"))
    refused(await key.send("GET", "/records/opportunity", None, filter='{"field": "customer.name", "op": "contains", "value": "Zq"}'), 403)
    assert (await key.change("opportunity", deal, name="Changed by key"))["values"]["name"] == "Changed by key"


async def test_a_reading_key_changes_nothing(keyed, admin):
    rid = (await admin.create("customer", name="Fixed Ltd"))["id"]
    key = await keyed("read")
    record = await key.get(f"/records/customer/{rid}")
    assert record["can"]["update"] is False and record["can"]["delete"] is False
    assert "/imports" not in (await key.get("/openapi.json"))["paths"]
    refused(await key.send("PATCH", f"/records/customer/{rid}", {"values": {"name": "x"}}), 403, "key_limited")


async def test_a_key_never_exceeds_its_person(tenant, keyed):
    seller = await create_user(tenant.id, "keyseller@x.example", PASSWORD, "Keyseller", ["sales"])
    key = await keyed("read", "write", "config", user_id=seller)
    refused(await key.send("GET", "/config"), 403, "permission_denied")
    await update_user(tenant.id, seller, {"role_keys": []})
    refused(await key.send("GET", "/records/customer"), 403)


async def test_keys_live_on_through_a_new_password_and_wait_for_a_second_factor(tenant_factory, http):
    from saas.tenants import set_password

    tenant = await tenant_factory(pack="baseline-crm")
    key = Person(http, f"{tenant.slug}.localhost", language="en")
    _id, key.token = await create_api_key(tenant.id, tenant.admin_id, "Shop", ["read"], datetime.now(UTC) + SOON)
    await set_password(tenant.id, tenant.admin_id, "quite another secret")
    await key.get("/records/customer")
    await set_security_rules(tenant.id, SecurityRules(second_factor_for_all=True))
    assert refused(await key.send("GET", "/records/customer"), 403)["reason"] == "second_factor"


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"name": " "}, "name"), ({"scopes": []}, "scopes"), ({"scopes": ["all"]}, "scopes"), ({"entities": []}, "entities"), ({"days": -1}, "expires_at"), ({"days": 800}, "expires_at")],
)
async def test_keys_that_cannot_be_made(tenant, changed, field):
    asked = {"name": "x", "scopes": ["read"], "entities": None, "days": 5, **changed}
    with pytest.raises(InvalidInput) as caught:
        await create_api_key(tenant.id, tenant.admin_id, asked["name"], asked["scopes"], datetime.now(UTC) + timedelta(days=asked["days"]), entities=asked["entities"])
    assert [p.field for p in caught.value.problems] == [field]


async def test_pages_make_and_revoke_keys_of_ones_own_only(http, tenant):
    seller = await create_user(tenant.id, "keypages@x.example", PASSWORD, "Keypages", ["sales"])
    token, csrf, _expires = await open_session(tenant.id, seller)
    headers = {"host": f"{tenant.slug}.localhost", "cookie": f"session={token}", "x-csrf-token": csrf}
    end = (datetime.now(UTC) + SOON).date().isoformat()
    form = {"name": "Mine", "scopes": ["read"], "reach": "all", "expires_at": end}
    assert "Your role does not include" in (await http.post("/profile/keys", data={**form, "scopes": ["config"]}, headers=headers)).text
    for wrong in ({"expires_at": "2001-01-01"}, {"expires_at": "x"}, {"name": ""}, {"scopes": []}, {"reach": "chosen"}):
        assert (await http.post("/profile/keys", data={**form, **wrong}, headers=headers)).status_code == 422
    page = await http.post("/profile/keys", data=form, headers=headers)
    assert page.status_code == 200 and "data-new-key" in page.text
    assert "data-new-key" not in (await http.get("/profile/keys", headers=headers)).text
    admins, _token = await create_api_key(tenant.id, tenant.admin_id, "Theirs", ["read"], datetime.now(UTC) + SOON)
    assert (await http.post(f"/profile/keys/{admins}/revoke", headers=headers)).status_code == 404
    [mine] = await list_api_keys(tenant.id, seller)
    assert (await http.post(f"/profile/keys/{mine['id']}/revoke", headers=headers)).status_code == 303
    assert not (await list_api_keys(tenant.id, seller))[0]["works"]
    assert (await http.get("/settings/keys", headers=headers)).status_code == 403
