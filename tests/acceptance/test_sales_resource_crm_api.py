"""The acceptance scenario of sales-resource-crm through the API, in Chinese, each step by the person who does it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest_asyncio

from saas.runtime.contexts import system_context
from saas.runtime.schedules import run_due
from saas.tenants import create_user
from tests.acceptance.api import Person, fields_of, refused
from tests.conftest import PASSWORD

ROLES = {"qian": "manager", "zhou": "sales", "wu": "sales", "fu": "gm"}


@pytest_asyncio.fixture(scope="module")
async def people(http, tenant_factory):
    tenant = await tenant_factory(pack="sales-resource-crm", locale="zh_CN")
    host = f"{tenant.slug}.localhost"
    found = {"tenant": tenant, "admin": await Person(http, host).sign_in(tenant.admin_email, tenant.admin_password)}
    for key, role in ROLES.items():
        email = f"{key}@{tenant.slug}.example"
        await create_user(tenant.id, email, PASSWORD, key.title(), [role], department_key="sales")
        found[key] = await Person(http, host).sign_in(email, PASSWORD)
    return found


async def test_acceptance_scenario(people) -> None:
    admin, qian, zhou, wu, fu = (people[k] for k in ("admin", *ROLES))
    tenant = people["tenant"]

    async def decide(person: Person, act: str = "approve") -> None:
        task = (await person.get("/approvals/tasks", box="mine"))["data"][0]
        await person.call("POST", f"/approvals/tasks/{task['task_id']}", {"act": act, "comment": "同意"})

    # 1 categories in two levels
    top = await admin.create("category", name="Recruitment")
    sub = await admin.create("category", name="Headhunting", parent=top["id"])
    assert "parent" in fields_of(await admin.create("category", name="Third", parent=sub["id"], expect=422))
    assert top["values"]["code"] == "LB001" and sub["values"]["code"] == "LB002"

    # 2, 3 a product: found, deleted and restored
    product = (await admin.create("product", name="Executive search", category=sub["id"], unit="person", fee="30000"))["id"]
    assert [r["id"] for r in await zhou.list("product", q="exec")] == [product]
    await admin.call("DELETE", f"/records/product/{product}", expect=None)
    assert await zhou.list("product", q="exec") == []
    await admin.call("POST", f"/records/product/{product}/restore")
    assert [r["id"] for r in await zhou.list("product", q="exec")] == [product]

    # 4 a supplier; cities are those of the province
    supplier = await qian.create("supplier", name="Ruicai Consulting", province="jiangsu", city="suzhou")
    assert supplier["values"]["number"] == "GYS0001"
    assert "city" in fields_of(await qian.create("supplier", name="Other", province="jiangsu", city="hangzhou", expect=422))

    # 5 twelve rows, one telephone number twice
    rows = [{"客户名称": f"Company {n}", "电话": f"0512-660000{min(n, 10):02d}"} for n in range(12)]
    rows[0]["客户名称"] = "Suzhou Precision"
    job = await qian.call("POST", "/imports", {"entity": "customer", "rows": rows})
    assert (job["status"], job["result"]["created"]) == ("done", 11), job
    public = await qian.list("customer", view="pool_public", limit=50)
    assert len(public) == 11 and all(r["owner"] is None and r["state"] == "public" for r in public)

    # 6 claimed
    precision = next(r["id"] for r in public if r["values"]["name"] == "Suzhou Precision")
    claimed = (await zhou.call("POST", f"/records/customer/{precision}/claim"))["record"]
    assert (claimed["state"], claimed["owner"]) == ("potential", zhou.id)
    assert precision not in {r["id"] for r in await wu.list("customer", view="pool_public", limit=50)}

    # 7 the same number again: blocked, with library and owner
    problem = refused(await wu.send("POST", "/records/customer", {"values": {"name": "Precision Works", "phone": "0512-66000000"}}), 409, "duplicate_found")
    assert "潜在客户库" in str(problem) and "Zhou" in str(problem)

    # 8, 9 product and follow-up; reminded the day after
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    changed = await zhou.change("customer", precision, intended=[product])
    assert changed["display"]["intended"] == "Executive search"
    followed = await zhou.create("follow_up", customer=precision, method="visit", content="Two vacancies", next_time=tomorrow.isoformat())
    assert (await zhou.get(f"/records/customer/{precision}"))["values"]["last_follow_up"] == followed["values"]["time"]
    await run_due(await system_context(tenant.id, at=tomorrow))
    assert any(n["record"] == precision for n in (await zhou.get("/notifications"))["data"])

    # 10 a contract: its total is computed; submitted
    contract = (await zhou.create("contract", name="Search 2025", customer=precision))["id"]
    assert (await zhou.create("contract_line", contract=contract, product=product, quantity=5))["values"]["price"]["amount"] == "30000.00"
    assert (await zhou.get(f"/records/contract/{contract}"))["values"]["total"]["amount"] == "150000.00"
    refused(await zhou.send("POST", f"/records/contract/{contract}/transitions/take_effect", {"values": {}}), 409)
    await zhou.move("contract", contract, "submit")
    refused(await zhou.send("PATCH", f"/records/contract/{contract}", {"values": {"name": "Other"}}), 403)

    # 11 above 100,000 the general manager decides, too; then it is effective and the customer a deal
    assert (await fu.get("/approvals/tasks", box="mine"))["data"] == []
    await decide(qian)
    assert (await zhou.get(f"/records/contract/{contract}"))["state"] == "in_approval"
    await decide(fu)
    done = await zhou.get(f"/records/contract/{contract}")
    assert (done["state"], done["values"]["agreed"]["amount"]) == ("effective", "150000.00")
    assert (await zhou.get(f"/records/customer/{precision}"))["state"] == "deal"

    # 12 received in part, never more than the total
    await zhou.create("receipt", contract=contract, amount="50000")
    assert (await zhou.get(f"/records/contract/{contract}"))["values"]["outstanding"]["amount"] == "100000.00"
    assert "amount" in fields_of(await zhou.create("receipt", contract=contract, amount="100001", expect=422))

    # 13 the month's target
    target = (await qian.list("target"))[0]
    reached = await qian.change("target", target["id"], amount="200000")
    assert target["values"]["person"] == zhou.id and float(reached["values"]["attainment"]) == 75
    assert [r["id"] for r in await zhou.list("target")] == [target["id"]] and await wu.list("target") == []

    # 14 marked invalid with a reason; the manager restores it
    lost = (await zhou.call("POST", "/records/customer/claim", {}))["record"]["id"]
    assert "invalid_reason" in fields_of(await zhou.move("customer", lost, "invalidate", expect=422))
    assert (await zhou.move("customer", lost, "invalidate", invalid_reason="wrong_number"))["record"]["state"] == "invalid"
    restored = (await qian.move("customer", lost, "restore"))["record"]
    assert (restored["state"], restored["owner"]) == ("public", None)

    # 15 nothing done for 30 days: warned, then back in the public library
    quiet = (await wu.call("POST", "/records/customer/claim", {}))["record"]["id"]
    start = datetime.now(UTC)
    await run_due(await system_context(tenant.id, at=start + timedelta(days=27, hours=12)))
    assert any(n["record"] == quiet for n in (await wu.get("/notifications"))["data"])
    assert (await qian.get(f"/records/customer/{quiet}"))["owner"] == wu.id
    await run_due(await system_context(tenant.id, at=start + timedelta(days=31, hours=12)))
    back = await qian.get(f"/records/customer/{quiet}")
    assert (back["state"], back["owner"]) == ("public", None)
    assert (await qian.get(f"/records/customer/{precision}"))["owner"] == zhou.id  # a deal stays

    # 16 served customers stand on both sides
    await admin.change("supplier", supplier["id"], served=[precision])
    assert [r["id"] for r in await zhou.list("supplier", filter=f'{{"field": "served", "op": "contains", "value": "{precision}"}}')] == [supplier["id"]]

    # 17 the drive
    upload = await qian.client.post(
        "/api/v1/files", files={"file": ("HR contract template.txt", b"template", "text/plain")}, data={"entity": "drive_file", "field": "file"},
        headers={"host": qian.host, "authorization": f"Bearer {qian.token}"},
    )  # fmt: skip
    assert upload.status_code == 201, upload.text
    file = upload.json()["id"]
    shared = (await qian.create("drive_file", name="HR contract template", file=[file], shared_with=[wu.id]))["id"]
    assert [r["id"] for r in await wu.list("drive_file")] == [shared] and await zhou.list("drive_file") == []
    assert (await wu.send("GET", f"/files/{file}")).content == b"template"

    # 18 the figures agree
    statistics, sales = await qian.get("/reports/customers"), await qian.get("/reports/sales")
    assert "成交客户库" in str(statistics)
    assert [w["text"] for w in sales["widgets"] if w["type"] == "number"] == ["¥150,000.00", "¥50,000.00", "1"]
    assert "Zhou" in str(sales)
