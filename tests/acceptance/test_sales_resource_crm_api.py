"""The 18 steps of the sales-resource-crm acceptance scenario through the API, in both languages, each by the person who does it."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime, timedelta

import pytest

from saas.runtime.contexts import system_context
from saas.runtime.schedules import run_due
from saas.tenants import create_user
from tests.acceptance.api import Person, fields_of, refused
from tests.conftest import PASSWORD

ROLES = {"qian": ("manager", "sales"), "zhou": ("sales", "sales"), "wu": ("sales", "sales"), "fu": ("gm", "management")}
WORDS = {
    "zh_CN": {"deep": "级", "person": "人", "columns": ("客户名称", "电话"), "known": "已有相同电话的客户", "potential": "潜在客户库", "today": "今日跟进：Suzhou Precision", "gm": "总经理", "libraries": ("公共资源库", "成交客户库"), "soon": "将在 3 天后退回“公共资源库”", "shared": "共享"},
    "en": {"deep": "level", "person": "Person", "columns": ("Name", "Phone"), "known": "A customer with this phone number exists already", "potential": "Potential", "today": "Follow up with Suzhou Precision today", "gm": "General manager", "libraries": ("Public library", "Deal"), "soon": "goes back to “Public library” in 3 days", "shared": "shared"},
}  # fmt: skip
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.mark.parametrize("locale", WORDS)
async def test_acceptance_scenario(http, tenant_factory, locale) -> None:
    words, language, sign = WORDS[locale], locale.replace("_", "-"), {"zh_CN": "¥", "en": "$"}[locale]
    tenant = await tenant_factory(pack="sales-resource-crm", locale=locale)
    admin = await Person(http, f"{tenant.slug}.localhost", language=language).sign_in(tenant.admin_email, tenant.admin_password)
    people = []
    for key, (role, department) in ROLES.items():
        email = f"{key}@{tenant.slug}.example"
        await create_user(tenant.id, email, PASSWORD, key.title(), [role], department_key=department, locale=locale)
        people.append(await Person(http, f"{tenant.slug}.localhost", language=language).sign_in(email, PASSWORD))
    qian, zhou, wu, fu = people

    async def told(person: Person, record: str) -> str:
        return " | ".join(n["title"] for n in (await person.get("/notifications"))["data"] if n["record"] == record)

    async def table(report: str, key: str) -> dict[str, str]:
        """What a figure of a report says, by the first column."""
        widget = next(w for w in (await qian.get(f"/reports/{report}"))["widgets"] if w["key"] == key)
        return {row["labels"][0]: row["texts"][0] for row in widget["rows"]}

    async def decide(person: Person, act: str = "approve") -> None:
        task = (await person.get("/approvals/tasks", box="mine"))["data"][0]
        await person.call("POST", f"/approvals/tasks/{task['task_id']}", {"act": act, "comment": "同意"})

    # 1 categories in two levels
    top = await admin.create("category", name="Recruitment")
    sub = await admin.create("category", name="Headhunting", parent=top["id"])
    problem = await admin.create("category", name="Third", parent=sub["id"], expect=422)
    assert fields_of(problem) == {"parent"} and words["deep"] in problem["errors"][0]["message"], problem
    assert top["values"]["code"] == "LB001" and sub["values"]["code"] == "LB002"

    # 2 a product: listed with a code, found by a part of its name
    product = (await admin.create("product", name="Executive search", category=sub["id"], unit="person", fee="30000"))["id"]
    [listed] = await zhou.list("product", q="exec")
    assert (listed["id"], listed["values"]["code"], listed["display"]["unit"], listed["display"]["fee"]) == (product, "CP0001", words["person"], f"{sign}30,000.00")

    # 3 deleted: gone from the list, still shown where it is used; restored
    used = await zhou.create("customer", name="Reference Works", phone="0512-77000000", intended=[product])
    quoting = (await qian.create("supplier", name="Quoting Works"))["id"]
    quote = (await qian.create("supplier_quote", supplier=quoting, product=product, price="28000"))["id"]
    await admin.call("DELETE", f"/records/product/{product}", expect=204)
    assert await zhou.list("product", q="exec") == []
    assert (await zhou.get(f"/records/customer/{used['id']}"))["display"]["intended"] == "Executive search"
    assert (await qian.change("supplier_quote", quote, price="27000"))["display"]["product"] == "Executive search"
    assert fields_of(await qian.create("supplier_quote", supplier=quoting, product=product, price="1", expect=422)) == {"product"}
    await admin.call("POST", f"/records/product/{product}/restore")
    assert [r["id"] for r in await zhou.list("product", q="exec")] == [product]

    # 4 a supplier; cities are those of the province
    supplier = await qian.create("supplier", name="Ruicai Consulting", province="jiangsu", city="suzhou")
    assert supplier["values"]["number"] == "GYS0002"
    assert "city" in fields_of(await qian.create("supplier", name="Other", province="jiangsu", city="hangzhou", expect=422))

    # 5 twelve rows, one telephone number twice: eleven are made, one is reported
    name, phone = words["columns"]
    rows = [{name: f"Company {n}" if n else "Suzhou Precision", phone: f"0512-660000{min(n, 10):02d}"} for n in range(12)]
    job = await qian.call("POST", "/imports", {"entity": "customer", "rows": rows})
    assert (job["status"], job["result"]["created"], job["result"]["failed"]) == ("done", 11, 1), job
    [reported] = job["result"]["errors"]
    assert reported["row"] == 13 and words["known"] in reported["message"], reported
    public = await qian.list("customer", view="pool_public", limit=50)
    assert len(public) == 11 and all(r["owner"] is None and r["state"] == "public" for r in public)

    # 6 claimed
    precision = next(r["id"] for r in public if r["values"]["name"] == "Suzhou Precision")
    claimed = (await zhou.call("POST", f"/records/customer/{precision}/claim"))["record"]
    assert (claimed["state"], claimed["owner"]) == ("potential", zhou.id)
    assert precision not in {r["id"] for r in await wu.list("customer", view="pool_public", limit=50)}

    # 7 the same number again: blocked, with library and owner
    problem = refused(await wu.send("POST", "/records/customer", {"values": {"name": "Precision Works", "phone": "0512-66000000"}}), 409, "duplicate_found")
    assert words["potential"] in str(problem) and "Zhou" in str(problem) and words["known"] in str(problem)

    # 8 product and follow-up: in the timeline, and the last follow-up is that one
    tomorrow = (datetime.now((await system_context(tenant.id)).zone) + timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0).astimezone(UTC)
    assert (await zhou.get(f"/records/customer/{precision}"))["values"]["last_follow_up"] is None
    changed = await zhou.change("customer", precision, intended=[product])
    assert changed["display"]["intended"] == "Executive search"
    followed = await zhou.create("follow_up", customer=precision, method="visit", content="Two vacancies", next_time=tomorrow.isoformat())
    assert (await zhou.get(f"/records/customer/{precision}"))["values"]["last_follow_up"] == followed["values"]["time"]
    assert [r["id"] for r in await zhou.list("follow_up", filter=f'{{"field": "customer", "op": "eq", "value": "{precision}"}}')] == [followed["id"]]

    # 9 reminded the day after, not before
    await run_due(await system_context(tenant.id, at=tomorrow - timedelta(hours=13)))
    assert await told(zhou, precision) == ""
    await run_due(await system_context(tenant.id, at=tomorrow))
    assert words["today"] in await told(zhou, precision)

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
    [task] = (await fu.get("/approvals/tasks", box="mine"))["data"]
    assert words["gm"] in str(task)
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
    for days, said in ((26, ""), (27, words["soon"])):
        await run_due(await system_context(tenant.id, at=start + timedelta(days=days)))
        assert said in (heard := await told(wu, quiet)) and bool(said) == bool(heard), (days, heard)
    assert (await qian.get(f"/records/customer/{quiet}"))["owner"] == wu.id
    await run_due(await system_context(tenant.id, at=start + timedelta(days=30)))
    back = await qian.get(f"/records/customer/{quiet}")
    assert (back["state"], back["owner"]) == ("public", None)
    assert (await qian.get(f"/records/customer/{precision}"))["owner"] == zhou.id  # a deal stays

    # 16 served customers stand on both sides
    await admin.change("supplier", supplier["id"], served=[precision])
    assert (await zhou.get(f"/records/supplier/{supplier['id']}"))["display"]["served"] == "Suzhou Precision"
    assert [r["id"] for r in await zhou.list("supplier", filter=f'{{"field": "served", "op": "contains", "value": "{precision}"}}')] == [supplier["id"]]

    # 17 the drive: shared with everybody in sales, and with nobody else
    upload = await qian.client.post(
        "/api/v1/files", files={"file": ("HR contract template.docx", _docx(), DOCX)}, data={"entity": "drive_file", "field": "file"},
        headers={"host": qian.host, "authorization": f"Bearer {qian.token}"},
    )  # fmt: skip
    assert upload.status_code == 201, upload.text
    file = upload.json()["id"]
    kept = (await qian.create("drive_file", name="HR contract template.docx", file=[file]))["id"]
    assert await wu.list("drive_file") == [] and (await wu.send("GET", f"/files/{file}")).status_code == 404
    department = next(d["id"] for u in (await qian.get("/users", department="sales"))["data"] for d in u["departments"] if d["key"] == "sales")
    shared = (await qian.call("POST", f"/records/drive_file/{kept}/shares", {"with": f"dept:{department}"}))["data"]
    assert [(s["with"], s["level"]) for s in shared] == [(f"dept:{department}", "read")] and shared[0]["name"] == {"zh_CN": "销售部", "en": "Sales department"}[locale]
    for person in (wu, zhou):
        assert [r["id"] for r in await person.list("drive_file")] == [kept]
        assert (await person.send("GET", f"/files/{file}")).content == _docx()
        refused(await person.send("PATCH", f"/records/drive_file/{kept}", {"values": {"name": "Other"}}), 403)
    assert await fu.list("drive_file") == [] and (await fu.send("GET", f"/files/{file}")).status_code == 404

    # 18 the figures agree: eleven imported and the one of step 3, which step 15 took back as well; one of them has a contract
    public, deal = words["libraries"]
    counted = await table("customers", "by_library")
    assert {k: v for k, v in counted.items() if v != "0"} == {public: "11", deal: "1"}, counted
    assert await table("sales", "by_person") == {"Zhou": f"{sign}150,000.00"}
    assert [w["text"] for w in (await qian.get("/reports/sales"))["widgets"] if w["type"] == "number"] == [f"{sign}150,000.00", f"{sign}50,000.00", "1"]
    assert await table("performance", "attainment") == {"Zhou": "75.00"}


def _docx() -> bytes:
    """The smallest file Word opens."""
    kinds = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
    links = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>'
    text = '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>Contract</w:t></w:r></w:p></w:body></w:document>'
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        for name, part in (("[Content_Types].xml", kinds), ("_rels/.rels", links), ("word/document.xml", text)):
            file.writestr(zipfile.ZipInfo(name), part)
    return held.getvalue()
