"""Somebody leaves: everything they are responsible for finds a new person, through the one door, and can be given back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.errors import Conflict, InvalidInput, PermissionDenied
from saas.runtime import execute, succession
from saas.runtime import operations as ops
from saas.runtime.contexts import context_for_user
from saas.runtime.worker import drain
from saas.tenants import create_api_key, create_user, find_session, find_user, list_audit, open_session, update_user
from tests.conftest import PASSWORD


class Office:
    def __init__(self, tenant, ctx) -> None:
        self.tenant, self.ctx = tenant, ctx

    async def person(self, name: str, role: str = "sales") -> UUID:
        return await create_user(self.tenant.id, f"{name}@{self.tenant.slug}.example", PASSWORD, name.title(), [role])

    async def make(self, entity: str, **values):
        return (await execute(self.ctx, ops.Create(entity=entity, values=values, confirm_duplicates=True))).record

    async def get(self, record):
        return await execute(self.ctx, ops.Get(entity=record.entity, id=record.id))


@pytest_asyncio.fixture
async def office(tenant_factory):
    tenant = await tenant_factory(pack="baseline-crm")
    return Office(tenant, await context_for_user(tenant.id, tenant.admin_id))


@pytest_asyncio.fixture
async def leaving(office):
    """Anna leaves, Ben takes over: she owns a customer, an open and a lost deal, and is assigned a task of somebody else's."""
    anna, ben, carl = [await office.person(n) for n in ("anna", "ben", "carl")]
    await update_user(office.tenant.id, carl, {"superior_id": anna})
    customer = await office.make("customer", name="Kept", owner=str(anna))
    open_, lost = [await office.make("opportunity", name=n, customer=str(customer.id), owner=str(anna)) for n in ("Open", "Lost")]
    async with tenant_transaction(office.tenant.id) as conn:
        await conn.execute("UPDATE record SET state = 'lost' WHERE tenant_id = $1 AND id = $2", office.tenant.id, lost.id)
    task = await office.make("task", subject="Call back", due="2030-01-01", assignee=str(anna), owner=str(carl))
    other = await office.make("customer", name="Not hers", owner=str(carl))
    return office, anna, ben, carl, {"customer": customer, "open": open_, "lost": lost, "task": task, "other": other}


async def owners(office, records) -> dict[str, UUID | None]:
    return {name: (await office.get(r)).owner for name, r in records.items()}


async def test_the_successor_takes_over_what_is_open_and_gives_it_back(leaving):
    office, anna, ben, carl, records = leaving
    token, _csrf, _until = await open_session(office.tenant.id, anna)
    key = await create_api_key(office.tenant.id, anna, "robot", ["read"], datetime.now(UTC) + timedelta(days=30))
    found = await succession.duties(office.ctx, anna)
    assert {(p.entity, p.field): (p.open, p.closed) for p in found.parts} == {("customer", "owner"): (1, 0), ("opportunity", "owner"): (1, 1), ("task", "assignee"): (1, 0)}
    assert (found.led, found.keys, found.open, found.all) == (1, 1, 3, 4)

    job = await succession.deactivate(office.ctx, anna, successor_id=ben)
    assert job is not None and job.status == "done" and (job.result["done"], job.result["failed_count"]) == (3, 0)
    assert await owners(office, records) == {"customer": ben, "open": ben, "lost": anna, "task": carl, "other": carl}
    assert (await office.get(records["task"])).values["assignee"] == str(ben)
    history = await execute(office.ctx, ops.History(entity="customer", id=records["customer"].id))
    assert history[0].actor_id == office.tenant.admin_id and history[0].origin == "bulk" and [c["field"] for c in history[0].changes] == ["owner"]
    assert (await find_user(office.tenant.id, user_id=carl))["superior_id"] == ben
    person = await find_user(office.tenant.id, user_id=anna)
    assert person["status"] == "inactive" and person["successor_id"] == ben
    assert await find_session(office.tenant.id, token) is None and await find_session(office.tenant.id, key[1]) is None
    async with tenant_transaction(office.tenant.id) as conn:
        notes = await conn.fetch("SELECT title FROM notification WHERE tenant_id = $1 AND user_id = $2 AND kind = $3", office.tenant.id, ben, succession.KIND)
    assert [n["title"] for n in notes] == ["You have taken over from Anna"], "told once, not record by record"

    carls = await execute(office.ctx, ops.Update(entity="opportunity", id=records["open"].id, values={"owner": str(carl)}))
    assert carls.record.owner == carl
    job = await succession.reactivate(office.ctx, anna)
    assert job is not None and job.status == "done" and job.result["done"] == 2
    assert await owners(office, records) == {"customer": anna, "open": carl, "lost": anna, "task": carl, "other": carl}, "what went on to somebody else stays there"
    assert (await office.get(records["task"])).values["assignee"] == str(anna) and (await find_user(office.tenant.id, user_id=carl))["superior_id"] == anna
    assert {"user.deactivated", "user.reactivated"} <= {e["kind"] for e in await list_audit(office.tenant.id)}
    with pytest.raises(Conflict):
        await succession.reactivate(office.ctx, anna)


async def test_all_or_nobody(leaving):
    office, anna, ben, carl, records = leaving
    assert await succession.deactivate(office.ctx, ben, successor_id=None) is None
    await succession.deactivate(office.ctx, anna, successor_id=carl, scope="all")
    assert await owners(office, records) == dict.fromkeys(records, carl)
    assert (await find_user(office.tenant.id, user_id=carl))["superior_id"] is None, "nobody is their own superior"
    with pytest.raises(InvalidInput):
        await succession.deactivate(office.ctx, carl, successor_id=anna)  # inactive
    with pytest.raises(InvalidInput):
        await succession.deactivate(office.ctx, carl, successor_id=carl)


async def test_what_a_rule_refuses_is_told_and_the_rest_is_done(leaving, monkeypatch):
    office, anna, ben, _carl, records = leaving
    give = succession._give

    async def refuses(conn, ctx, entity, record_id, *rest, **options):
        if entity.key == "task":
            raise Conflict("held by something")
        await give(conn, ctx, entity, record_id, *rest, **options)

    monkeypatch.setattr(succession, "_give", refuses)
    job = await succession.deactivate(office.ctx, anna, successor_id=ben)
    assert (job.result["done"], job.result["failed_count"]) == (2, 1) and job.result["failed"][0]["message"] == "held by something"
    assert (await office.get(records["task"])).values["assignee"] == str(anna)


async def test_many_records_go_on_in_the_background(leaving, monkeypatch):
    office, anna, ben, _carl, _records = leaving
    monkeypatch.setattr(succession, "INLINE_SECONDS", 0.0)
    monkeypatch.setattr(succession, "BATCH", 1)
    job = await succession.deactivate(office.ctx, anna, successor_id=ben)
    assert not job.is_over
    with pytest.raises(Conflict):
        await succession.reactivate(office.ctx, anna)
    await drain()
    assert (await succession.duties(office.ctx, anna)).open == 0
    assert (await succession.last_hand_over(office.ctx, anna)).result["done"] == 3


async def test_the_last_administrator_stays(office):
    low = await office.person("low")
    boss = await office.person("boss", "admin")
    ctx = await context_for_user(office.tenant.id, boss)
    await succession.deactivate(ctx, office.tenant.admin_id, successor_id=None)
    with pytest.raises(Conflict):
        await succession.deactivate(ctx, boss, successor_id=low)  # oneself
    async with tenant_transaction(office.tenant.id) as conn:
        with pytest.raises(Conflict) as refused:
            await succession.require_other_admin(conn, ctx, boss)
        assert refused.value.data["reason"] == "last_admin"
        await succession.require_other_admin(conn, ctx, low)
    ghost = await create_user(office.tenant.id, "ghost@x.example", "", "Cannot sign in", ["admin"])
    async with tenant_transaction(office.tenant.id) as conn:
        with pytest.raises(Conflict):
            await succession.require_other_admin(conn, ctx, boss)
    assert ghost


async def test_who_may(office):
    """Nobody without the right, and nobody who could not give the person's roles."""
    low, boss = await office.person("low"), await office.person("boss", "admin")
    ctx = await context_for_user(office.tenant.id, low)
    for act in (succession.duties(ctx, boss), succession.deactivate(ctx, boss, successor_id=None), succession.reactivate(ctx, boss)):
        with pytest.raises(PermissionDenied):
            await act


async def test_over_http(http, leaving):
    office, anna, ben, _carl, _records = leaving
    token, _csrf, _until = await open_session(office.tenant.id, office.tenant.admin_id, "api")
    headers = {"host": f"{office.tenant.slug}.localhost", "authorization": f"Bearer {token}"}
    found = await http.get(f"/api/v1/people/{anna}/duties", headers=headers)
    assert found.status_code == 200 and {(r["entity"], r["field"]) for r in found.json()["records"]} == {("customer", "owner"), ("opportunity", "owner"), ("task", "assignee")}
    assert (await http.post(f"/api/v1/people/{anna}/deactivate", headers=headers, json={"successor": "nobody"})).status_code == 400
    assert (await http.post(f"/api/v1/people/{anna}/deactivate", headers=headers, json={"successor": str(anna)})).status_code == 422
    assert (await http.post(f"/api/v1/people/{anna}/deactivate", headers=headers, json={"records": 7})).status_code == 422
    done = await http.post(f"/api/v1/people/{anna}/deactivate", headers=headers, json={"successor": str(ben), "records": "all"})
    assert done.status_code == 200 and done.json()["status"] == "inactive" and done.json()["job"]["result"]["done"] == 4
    assert (await http.post(f"/api/v1/people/{anna}/deactivate", headers=headers, json={})).status_code == 409
    back = await http.post(f"/api/v1/people/{anna}/reactivate", headers=headers)
    assert back.status_code == 200 and back.json()["status"] == "active" and back.json()["job"]["result"]["done"] == 4
    own = await http.post(f"/api/v1/people/{office.tenant.admin_id}/deactivate", headers=headers)
    assert own.status_code == 409
