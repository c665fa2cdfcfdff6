"""The acceptance scenario of kingdee-k3-crm through the API, once in each language, each step by the person who does it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest_asyncio

from saas.db import tenant_transaction
from saas.runtime import connectors, outbox, timers
from saas.runtime.contexts import system_context
from saas.runtime.schedules import run_due
from saas.tenants import create_user, integrations
from saas.tenants.clock import set_offset
from tests.acceptance.api import Person, fields_of, refused
from tests.conftest import PASSWORD
from tests.integration.outbox.receiver import receiving

PEOPLE = {"dong": ("sales", "sales"), "ma": ("sales", "sales"), "cai": ("support", "technical"), "lin": ("manager", "sales")}
LATE = 52  # days from now, when the tender should have been over for three
WORDS = {
    "en": {"needs": "Needs confirmed", "signing": "Signing", "task": "Task: Technical evaluation", "late": "Late: Tender issued of Pump station", "today": "Birthday today: Gao", "no_contract": "Only a won opportunity that is not closed gives a contract", "closed": "Closed"},
    "zh_CN": {"needs": "需求确认", "signing": "签约", "task": "新任务：Technical evaluation", "late": "进度延误：Pump station · 招标发布", "today": "今日生日：Gao", "no_contract": "只有已赢单且未关闭的商机才能生成合同", "closed": "已关闭"},
}  # fmt: skip
STAGES = ["lead", "follow_up", "needs", "proposal", "tender", "bid", "signing"]


@pytest_asyncio.fixture(scope="module", params=list(WORDS))
async def people(http, tenant_factory, request):
    """The company is the same Chinese one; its people read their own language."""
    tenant, language = await tenant_factory(pack="kingdee-k3-crm", locale="zh_CN"), request.param.replace("_", "-")
    host = f"{tenant.slug}.localhost"
    found = {"tenant": tenant, "words": WORDS[request.param], "admin": await Person(http, host, language=language).sign_in(tenant.admin_email, tenant.admin_password)}
    for key, (role, department) in PEOPLE.items():
        email = f"{key}@{tenant.slug}.example"
        await create_user(tenant.id, email, PASSWORD, key.title(), [role], department_key=department, locale=request.param)
        found[key] = await Person(http, host, language=language).sign_in(email, PASSWORD)
    return found


async def at(tenant, days=0, hour=9):
    ctx = await system_context(tenant.id)
    return ctx.replace(fixed_now=(ctx.now.astimezone(ctx.zone) + timedelta(days=days)).replace(hour=hour, minute=0).astimezone(UTC), locale="zh_CN")


def day(days):
    return (datetime.now(UTC) + timedelta(hours=8, days=days)).date().isoformat()


async def test_acceptance_scenario(people, database) -> None:
    admin, dong, ma, cai, lin = (people[k] for k in ("admin", *PEOPLE))
    tenant, w = people["tenant"], people["words"]

    # 1 the administrator defines the seven stages for the industry "equipment": there for new opportunities from then on
    assert "equipment" not in json.dumps(await dong.get("/schema/opportunity"))
    config = await admin.get("/config")
    bundle = config.get("bundle", config)
    next(s for s in bundle["option_sets"] if s["key"] == "industry")["options"].append({"key": "equipment", "label": {"en": "Equipment", "zh_CN": "装备制造"}})
    fields = next(e for e in bundle["entities"] if e["key"] == "opportunity")["fields"]
    next(f for f in fields if f["key"] == "by_tender")["expr"] = "industry in ['engineering', 'equipment']"
    await admin.call("POST", "/config/publish", {"bundle": bundle, "base_revision": config["revision"], "message": "Stages of equipment"})
    assert '"equipment"' in json.dumps(await dong.get("/schema/opportunity"))
    await connectors.pull_connector(await at(tenant), "erp")  # products are shared with the ERP
    product = next(p for p in await dong.list("product") if p["values"]["code"] == "P-400")

    # 2 a potential customer with an organisation
    tianhe = await dong.create("customer", name="Tianhe Pumps", phone="0512-68000001", industry="equipment")
    assert tianhe["values"]["kind"] == "potential" and tianhe["values"]["code"] == "KH00001"
    gao = await dong.create("contact", name="Gao", position="Director", customer=tianhe["id"], phone="13900000001", birthday=f"1976-{day(LATE + 2)[5:]}")
    pan = await dong.create("contact", name="Pan", position="Engineer", customer=tianhe["id"], superior=gao["id"])
    chart = await dong.get("/charts/organisation", record=tianhe["id"])
    [top] = chart["roots"]
    assert top["id"] == gao["id"] and [x["id"] for x in top["below"]] == [pan["id"]]
    group = await dong.create("customer", name="Tianhe Group", phone="0512-68000009")

    # 3 the same telephone number is told, and the collision analysis lists both
    twin = refused(await ma.send("POST", "/records/customer", {"values": {"name": "Tianhe Pump Co.", "phone": "0512-68000001"}}), 409, "duplicate_found")
    assert twin["matches"]
    twin = (await ma.call("POST", "/records/customer", {"values": {"name": "Tianhe Pump Co.", "phone": "0512-68000001"}, "confirm_duplicates": True}, expect=201))["id"]
    visit = (await ma.create("activity", subject="Visit", customer=twin, time=f"{day(0)}T02:00:00Z"))["id"]
    report = json.dumps(await lin.get("/records/customer/twins"))
    assert tianhe["id"] in report and twin in report

    # 4 Lin merges them: one customer, the activity moved, the merge in the history
    await lin.call("POST", "/records/customer/merge", {"survivor": tianhe["id"], "losers": [twin]})
    assert (await lin.get(f"/records/activity/{visit}"))["values"]["customer"] == tianhe["id"]
    assert (await lin.send("GET", f"/records/customer/{twin}")).status_code in (308, 410)
    assert "merged" in [e["kind"] for e in (await lin.get(f"/records/customer/{tianhe['id']}/history"))["data"]]

    # 5 shared with Ma: read, not delete
    assert (await ma.send("GET", f"/records/customer/{tianhe['id']}")).status_code == 404
    await dong.call("POST", f"/records/customer/{tianhe['id']}/shares", {"with": f"user:{ma.id}", "level": "read"}, expect=None)
    assert (await ma.get(f"/records/customer/{tianhe['id']}"))["values"]["name"] == "Tianhe Pumps"
    refused(await ma.send("DELETE", f"/records/customer/{tianhe['id']}"), 403)

    # 6 an opportunity with seven planned stages
    deal = await dong.create("opportunity", name="Pump station", customer=tianhe["id"], customers=[group["id"]], industry="equipment", income="800000", probability=40)
    assert (deal["values"]["customers"], deal["values"]["income"]["amount"], deal["values"]["probability"], deal["values"]["weighted"]["amount"]) == ([group["id"]], "800000.00", 40, "320000.00")
    rows = sorted(await dong.list("stage_log", filter=json.dumps({"field": "opportunity", "op": "eq", "value": deal["id"]})), key=lambda r: r["values"]["step"])
    assert [r["values"]["stage"] for r in rows] == STAGES
    for n, row in enumerate(rows):
        await dong.change("stage_log", row["id"], planned_start=day(n * 10), planned_end=day(n * 10 + 9))
    gantt = await dong.get("/charts/plan", record=deal["id"])
    bars = {r["id"]: r["planned"] for r in gantt["rows"]}
    assert [bars[row["id"]] for row in rows] == [[day(n * 10), day(n * 10 + 9)] for n in range(7)], bars
    other = await dong.create("opportunity", name="Software", customer=group["id"], industry="it", income="1000")
    assert "to_tender" not in other["can"]["transitions"] and "to_tender" in deal["can"]["transitions"]
    refused(await dong.send("POST", f"/records/opportunity/{other['id']}/transitions/to_tender", {"values": {}}), 409)

    # 7 from the lead to confirmed needs, one stage skipped
    deal = await dong.move("opportunity", deal["id"], "to_needs")
    deal = deal.get("record", deal)
    assert (deal["state"], deal["display"]["stage"]) == ("needs", w["needs"])
    by_stage = {r["values"]["stage"]: r for r in await dong.list("stage_log", filter=json.dumps({"field": "opportunity", "op": "eq", "value": deal["id"]}))}
    assert by_stage["lead"]["values"]["actual_end"] and by_stage["needs"]["values"]["actual_start"] and by_stage["follow_up"]["values"]["skipped"] is True
    assert by_stage["lead"]["values"]["by"] == dong.id

    # 8 Cai gets a task, is told, sees this project only and completes it with a file
    assert await cai.list("opportunity") == []
    unit = (await cai.get("/me"))["department"]
    task = await dong.create("task", subject="Technical evaluation", opportunity=deal["id"], unit=unit["id"] if isinstance(unit, dict) else unit, assignee=cai.id, due=day(5))
    assert w["task"] in [n["title"] for n in (await cai.get("/notifications"))["data"]]
    assert [r["id"] for r in await cai.list("opportunity")] == [deal["id"]]
    assert (await cai.send("GET", f"/records/opportunity/{other['id']}")).status_code == 404
    sent = await cai.client.post("/api/v1/files", files={"file": ("report.pdf", b"%PDF-1.4 evaluated", "application/pdf")}, data={"entity": "task", "field": "file"}, headers={"host": cai.host, "authorization": f"Bearer {cai.token}"})
    assert sent.status_code == 201, sent.text
    done = await cai.move("task", task["id"], "finish", result="Feasible", file=[sent.json()["id"]])
    assert done.get("record", done)["state"] == "done"

    # 9 a sample, a quotation of 780,000 and a travel expense of 3,200
    await dong.create("sample", opportunity=deal["id"], product=product["id"], kind="provide", needed_on=day(7))
    quote = await dong.create("quotation", opportunity=deal["id"])
    await dong.create("quotation_line", quotation=quote["id"], product=product["id"], quantity=1, price="780000")
    assert (await dong.get(f"/records/quotation/{quote['id']}"))["values"]["total"]["amount"] == "780000.00"
    await dong.create("expense", opportunity=deal["id"], type="travel", amount="3200")
    assert (await dong.get(f"/records/opportunity/{deal['id']}"))["values"]["total_expense"]["amount"] == "3200.00"

    # 10 competition and SWOT
    await dong.create("competitor", opportunity=deal["id"], name="Beiyang", price="750000", strength="Cheap", weakness="Slow")
    swot = {"strengths": "Service", "weaknesses": "Delivery", "chances": "Second phase", "threats": "Beiyang"}
    deal = await dong.change("opportunity", deal["id"], **swot)
    assert {k: deal["values"][k] for k in swot} == swot and len(await dong.list("competitor")) == 1

    # 11 the planned tender date passes: Dong and Lin are alerted, the drawing shows the slip
    await dong.move("opportunity", deal["id"], "to_tender")
    await timers.run_all(await system_context(tenant.id))
    async with tenant_transaction(tenant.id) as conn:
        await set_offset(conn, tenant.id, LATE * 86400)
    await timers.run_all(await at(tenant))
    for person in (dong, lin):
        assert w["late"] in [n["title"] for n in (await person.get("/notifications"))["data"]]
    gantt = await dong.get("/charts/plan", record=deal["id"])
    assert [r["late_days"] for r in gantt["rows"] if r["id"] == by_stage["tender"]["id"]] == [3]

    # 12 won: the contract is made from the quotation, the customer is a trading one
    assert "quotation" in fields_of(await dong.move("opportunity", deal["id"], "win", expect=422))
    await dong.move("opportunity", deal["id"], "win", quotation=quote["id"])
    [contract] = await dong.list("contract")
    assert contract["values"]["amount"]["amount"] == "780000.00" and contract["values"]["customer"] == tianhe["id"]
    assert (await dong.get(f"/records/customer/{tianhe['id']}"))["values"]["kind"] == "trading"

    # 13 the order in the ERP: its number comes back, and how far it is
    await dong.call("POST", f"/records/contract/{contract['id']}/buttons/send_order", {}, expect=None)
    await outbox.send_due()
    assert (await dong.get(f"/records/contract/{contract['id']}"))["values"]["erp_number"] == "XSDD000001"
    await timers.run_all(await at(tenant, days=1, hour=1))
    [order] = await dong.list("erp_order")
    assert order["values"]["number"] == "XSDD000001" and order["values"]["progress"] == "shipped"
    assert (await dong.get(f"/records/contract/{contract['id']}"))["values"]["progress"] == "shipped"
    live = await dong.get(f"/records/customer/{tianhe['id']}/live/transactions")
    assert [(r["no"], r["amount"]) for r in live["data"]] == [("XSDD000001", 780000)] and live["error"] is None

    # 14 by night the overview is made anew
    await run_due(await at(tenant, days=1, hour=3), again=True)
    values = (await dong.get(f"/records/customer/{tianhe['id']}"))["values"]
    assert values["orders_count"] == 1 and values["orders_amount"]["amount"] == "780000.00" and values["class"] == "a"

    # 15 Gao's birthday: an SMS leaves, Dong is reminded
    async with receiving() as provider:
        before, database.settings = database.settings, replace(database.settings, outbound_allow=frozenset({("127.0.0.1", provider.port)}))
        async with tenant_transaction(tenant.id) as conn:
            await integrations.save_integration(conn, tenant.id, "sms", "sms", "SMS", {"mode": "http", "url": provider.url})
        try:
            await run_due(await at(tenant, days=2), again=True)
            await outbox.send_due()
        finally:
            database.settings = before
        texts = [json.loads(a.body) for a in provider.asked]
        assert [t["to"] for t in texts] == ["+8613900000001"] and "生日快乐" in texts[0]["text"]
    assert w["today"] in [n["title"] for n in (await dong.get("/notifications"))["data"]]

    # 16 the summary closes the project; no further contract, by no way
    assert "summary" in fields_of(await dong.move("opportunity", deal["id"], "close", expect=422))
    second = await dong.create("quotation", opportunity=deal["id"])
    await dong.create("quotation_line", quotation=second["id"], product=product["id"], quantity=1, price="1000")
    assert "accept" in (await dong.get(f"/records/quotation/{second['id']}"))["can"]["transitions"]  # while it is won and open
    closed = (await dong.move("opportunity", deal["id"], "close", summary="Delivered well"))["record"]
    assert (closed["state"], closed["display"]["stage"], closed["values"]["summary"]) == ("closed", w["closed"], "Delivered well")
    problem = refused(await dong.send("POST", f"/records/quotation/{second['id']}/transitions/accept", {"values": {}}), 422)
    assert w["no_contract"] in json.dumps(problem, ensure_ascii=False)
    assert [c["id"] for c in await dong.list("contract")] == [contract["id"]]

    # 17 funnel, and plan against actual: the figures
    month = day(LATE)[:8] + "01"
    plans = [p for p in await lin.list("sales_plan") if p["values"]["person"] == dong.id]
    assert [p["values"]["period"] for p in plans] == [month] and plans[0]["values"]["actual"]["amount"] == "780000.00"
    await lin.change("sales_plan", plans[0]["id"], target="1000000")

    async def figures(report: str) -> dict[str, dict]:
        return {x["key"]: x for x in (await lin.get(f"/reports/{report}"))["widgets"]}

    plan = await figures("plans")
    assert [plan[k]["value"]["amount"] for k in ("target", "actual")] == ["1000000.00", "780000.00"]
    assert [(r["labels"], [v["amount"] for v in r["values"]]) for r in plan["people"]["rows"]] == [(["Dong"], ["1000000.00", "780000.00"])]
    await dong.create("opportunity", name="Second station", customer=tianhe["id"], industry="equipment", income="500000")
    funnel = {r["keys"][0]: (r["labels"][0], r["values"][0], r["values"][1]["amount"]) for r in (await figures("funnel"))["funnel"]["rows"]}
    assert funnel["lead"][1:] == (2, "501000.00") and funnel["needs"] == (w["needs"], 0, "0.00") and funnel["closed"] == (w["closed"], 1, "800000.00")
    assert list(funnel)[:7] == STAGES and funnel["signing"][0] == w["signing"]
