"""The 15 steps of the customer-pool-crm acceptance scenario through the API, in both languages, each by the person who does it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from saas.runtime.contexts import system_context
from saas.runtime.schedules import run_due
from saas.tenants import create_user
from tests.acceptance.api import Person, fields_of, refused
from tests.conftest import PASSWORD

ROLES = {"han": ("employee", "dept_a"), "yang": ("employee", "dept_a"), "tang": ("manager", "dept_a"), "gu": ("employee", "dept_b")}


WORDS = {
    "zh_CN": {"no_name": "请填写客户名", "saved": "保存成功", "industry": "教育培训", "web": "网络营销", "soon": "将在 3 天后退回“客户池”", "given": "已分配给您", "lost": "客户池"},
    "en": {"no_name": "Enter the customer's name", "saved": "Saved", "industry": "Education and training", "web": "Web marketing", "soon": "goes back to “Customer pool” in 3 days", "given": "was assigned to you", "lost": "went back to “Customer pool”"},
}  # fmt: skip


@pytest.mark.parametrize("locale", WORDS)
async def test_acceptance_scenario(http, tenant_factory, locale) -> None:
    words, tenant = WORDS[locale], await tenant_factory(pack="customer-pool-crm", locale=locale)
    people = {}
    for key, (role, department) in ROLES.items():
        email = f"{key}@{tenant.slug}.example"
        await create_user(tenant.id, email, PASSWORD, key.title(), [role], department_key=department, locale=locale)
        people[key] = await Person(http, f"{tenant.slug}.localhost", language=locale.replace("_", "-")).sign_in(email, PASSWORD)
    await create_user(tenant.id, f"other@{tenant.slug}.example", PASSWORD, "Yang Other", ["employee"], department_key="dept_b")
    han, yang, tang, gu = people.values()

    async def names(person: Person, view: str, **params) -> list[str]:
        return [r["values"]["name"] for r in await person.list("customer", view=view, **params)]

    async def told(person: Person, record: str) -> str:
        return " | ".join(n["title"] for n in (await person.get("/notifications"))["data"] if n["record"] == record)

    # 1 the owner is Han; it is an id, and never a typed name
    owner = (await han.get("/schema/customer"))["properties"]["owner"]
    assert owner["format"] == "uuid"
    assert "owner" in fields_of(await han.create("customer", name="Bright Education", owner="Yang", expect=422))

    # 2 found by department and name
    assert len((await han.get("/users", q="Yang"))["data"]) == 2
    [found] = (await han.get("/users", q="Yang", department="dept_a"))["data"]
    assert (found["id"], found["name"], [d["key"] for d in found["departments"]]) == (yang.id, "Yang", ["dept_a"])

    # 3, 4 the name
    problem = await han.create("customer", name="", expect=422)
    assert words["no_name"] in problem["errors"][0]["message"] and fields_of(problem) == {"name"}
    assert fields_of(await han.create("customer", name="名" * 51, expect=422)) == {"name"}

    # 5 a new customer, with a full countdown
    made = await han.create("customer", name="Bright Education", industry="education", source="web")
    bright = made["id"]
    assert made["message"] == words["saved"] and made["owner"] == han.id and made["values"]["days_left"] == 30
    assert (made["display"]["industry"], made["display"]["source"], made["display"]["owner"]) == (words["industry"], words["web"], "Han")
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

    # 13 not yet warned after 26 days, warned after 27, back in the pool after 30
    start = datetime.now(UTC)
    for days, said, owner in ((26, "", yang.id), (27, words["soon"], yang.id), (29, words["soon"], yang.id), (30, words["lost"], None)):
        await run_due(await system_context(tenant.id, at=start + timedelta(days=days)))
        assert said in (heard := await told(yang, bright)) and bool(said) == bool(heard), (days, heard)
        assert (await tang.get(f"/records/customer/{bright}"))["owner"] == owner, days
    assert "Bright Education" in await names(gu, "pool_public")

    # 14 the manager gives it to Han, who is told
    refused(await yang.send("POST", f"/records/customer/{bright}/assign", {"owner": han.id}), 403)
    assert (await tang.call("POST", f"/records/customer/{bright}/assign", {"owner": han.id}))["record"]["owner"] == han.id
    assert words["given"] in await told(han, bright)

    # 15 the newest change stands on top (of those up to now: step 13 has written in the future)
    await han.change("customer", bright, address={"city": "上海", "street": "Pudong 9"})
    assert (await names(han, "recent", filter="updated_at <= now()"))[0] == "Bright Education"
