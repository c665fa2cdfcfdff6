"""The 15 steps of the customer-pool-crm acceptance scenario through the API, in Chinese, each by the person who does it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest_asyncio

from saas.runtime.contexts import system_context
from saas.runtime.schedules import run_due
from saas.tenants import create_user
from tests.acceptance.api import Person, fields_of, refused
from tests.conftest import PASSWORD

ROLES = {"han": ("employee", "dept_a"), "yang": ("employee", "dept_a"), "tang": ("manager", "dept_a"), "gu": ("employee", "dept_b")}


@pytest_asyncio.fixture(scope="module")
async def people(http, tenant_factory):
    tenant = await tenant_factory(pack="customer-pool-crm", locale="zh_CN")
    host = f"{tenant.slug}.localhost"
    found = {"tenant": tenant}
    for key, (role, department) in ROLES.items():
        email = f"{key}@{tenant.slug}.example"
        await create_user(tenant.id, email, PASSWORD, key.title(), [role], department_key=department)
        found[key] = await Person(http, host).sign_in(email, PASSWORD)
    return found


async def test_acceptance_scenario(people) -> None:
    han, yang, tang, gu = (people[k] for k in ROLES)

    async def names(person: Person, view: str, **params) -> list[str]:
        return [r["values"]["name"] for r in await person.list("customer", view=view, **params)]

    # 1, 2 the owner is chosen from people, by id and never by a typed name
    owner = (await han.get("/schema/customer"))["properties"]["owner"]
    assert owner["format"] == "uuid"
    assert "owner" in fields_of(await han.create("customer", name="Bright Education", owner="Yang", expect=422))
    assert [u["id"] for u in (await han.get("/users"))["data"] if u["name"] == "Yang"] == [yang.id]

    # 3, 4 the name
    problem = await han.create("customer", name="", expect=422)
    assert "请填写客户名" in problem["errors"][0]["message"] and fields_of(problem) == {"name"}
    assert fields_of(await han.create("customer", name="名" * 51, expect=422)) == {"name"}

    # 5 a new customer, with a full countdown
    made = await han.create("customer", name="Bright Education", industry="education", source="web")
    bright = made["id"]
    assert made["message"] == "保存成功" and made["owner"] == han.id and made["values"]["days_left"] == 30
    for view in ("all", "mine", "created_today"):
        assert "Bright Education" in await names(han, view)

    # 6 contacts, one of them primary
    qin = (await han.create("contact", customer=bright, name="Qin"))["id"]
    liu = (await han.create("contact", customer=bright, name="Liu"))["id"]
    changed = await han.change("customer", bright, primary_contact=liu)
    assert changed["display"]["primary_contact"] == "Liu"
    assert [(await han.get(f"/records/contact/{c}"))["values"]["is_primary"] for c in (liu, qin)] == [True, False]
    other = await han.create("customer", name="Bright Books")
    assert "primary_contact" in fields_of(await han.change("customer", other["id"], primary_contact=liu, expect=422))

    # 7 saved together with an opportunity
    delta = await han.create("customer", name="Delta Trade", first_opportunity="Delta 2025", nature="private", address={"region": "上海", "street": "Pudong 1"})
    linked = [e["id"] for e in delta["effects"] if e["entity"] == "opportunity" and e["action"] == "create"]
    assert len(linked) == 1
    opportunity = await han.get(f"/records/opportunity/{linked[0]}")
    assert opportunity["values"]["customer"] == delta["id"] and opportunity["values"]["name"] == "Delta 2025" and opportunity["owner"] == han.id

    # 8 a lead becomes a customer, a contact and an opportunity
    lead = (await han.create("lead", name="Ms Fang", company="Fang Trading", phone="13900000001"))["id"]
    converted = await han.move("lead", lead, "convert")
    made_of = {e["entity"]: e["id"] for e in converted["effects"] if e["action"] == "create"}
    assert set(made_of) >= {"customer", "contact", "opportunity"} and converted["record"]["state"] == "converted"
    fang = await han.get(f"/records/customer/{made_of['customer']}")
    assert fang["values"]["name"] == "Fang Trading" and fang["values"]["primary_contact"] == made_of["contact"]
    await han.change("lead", lead, name="Other", expect=403)

    # 9 by address and nature
    await han.create("customer", name="Pudong State Works", nature="state", address={"street": "Pudong 2"})
    assert await names(han, "all", q="Pudong", filter='{"field": "nature", "op": "eq", "value": "private"}') == ["Delta Trade"]

    # 10 into the pool
    await han.call("POST", f"/records/customer/{bright}/release")
    assert "Bright Education" in await names(han, "pool_public") and "Bright Education" not in await names(han, "mine")
    pooled = await han.get(f"/records/customer/{bright}")
    assert pooled["owner"] is None and pooled["values"]["days_left"] is None
    assert (await han.create("customer", name="Straight to the pool", owner=None))["owner"] is None

    # 11 another department sees the pool, not Han's customers
    assert set(await names(gu, "all")) == {"Bright Education", "Straight to the pool"}
    refused(await gu.send("GET", f"/records/customer/{delta['id']}"), 404)

    # 12 claimed: the countdown restarts
    claimed = (await yang.call("POST", f"/records/customer/{bright}/claim"))["record"]
    assert claimed["owner"] == yang.id and claimed["values"]["days_left"] == 30
    refused(await gu.send("POST", f"/records/customer/{bright}/claim"), 409)

    # 13 warned after 27 days, back in the pool after 30; what is worked on stays
    tenant = people["tenant"]
    start = datetime.now(UTC)
    await run_due(await system_context(tenant.id, at=start + timedelta(days=27)))
    assert any(n["record"] == bright for n in (await yang.get("/notifications"))["data"])
    assert (await yang.get(f"/records/customer/{bright}"))["owner"] == yang.id
    await run_due(await system_context(tenant.id, at=start + timedelta(days=31)))
    assert (await yang.get(f"/records/customer/{bright}"))["owner"] is None

    # 14 the manager gives it to Han, who is told
    refused(await yang.send("POST", f"/records/customer/{bright}/assign", {"owner": han.id}), 403)
    assert (await tang.call("POST", f"/records/customer/{bright}/assign", {"owner": han.id}))["record"]["owner"] == han.id
    assert any(n["record"] == bright for n in (await han.get("/notifications"))["data"])

    # 15 the newest change stands on top (of those up to now: step 13 has written in the future)
    await han.change("customer", bright, address={"city": "上海", "street": "Pudong 9"})
    assert (await names(han, "recent", filter="updated_at <= now()"))[0] == "Bright Education"
