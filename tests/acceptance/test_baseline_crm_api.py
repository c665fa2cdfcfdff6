"""The acceptance scenario of the general CRM (baseline-crm) through the API, each step by the person who does it.

Left out, because the engine cannot do them yet: sending the bulk e-mail of step 7 (what was sent is logged by hand here), a
complaint that arrives by e-mail in step 9 and the customer's own rating in step 10 (staff enter both), and merging the
duplicates of step 13 (they are found and warned about).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest_asyncio

from saas.runtime.contexts import system_context
from saas.runtime.schedules import run_due
from saas.tenants import create_user
from tests.acceptance.api import Person, fields_of, refused
from tests.conftest import PASSWORD

ROLES = {"tao": "sales", "yu": "service", "mei": "marketing", "boss": "manager", "chief": "management"}
DEPARTMENTS = {"tao": "sales_east", "boss": "sales", "yu": "service", "mei": "marketing", "chief": "management"}


@pytest_asyncio.fixture(scope="module")
async def people(http, tenant_factory):
    tenant = await tenant_factory(pack="baseline-crm")
    host = f"{tenant.slug}.localhost"
    found = {"admin": await Person(http, host, language="en").sign_in(tenant.admin_email, tenant.admin_password)}
    for key, role in ROLES.items():
        email = f"{key}@{tenant.slug}.example"
        await create_user(tenant.id, email, PASSWORD, key.title(), [role], department_key=DEPARTMENTS.get(key))
        found[key] = await Person(http, host, language="en").sign_in(email, PASSWORD)
    return {**found, "tenant": tenant}


async def test_acceptance_scenario(people) -> None:
    admin, tao, yu, mei, boss, chief = (people[k] for k in ("admin", *ROLES))
    today = datetime.now(UTC).date()
    next_month = (today.replace(day=28) + timedelta(days=10)).replace(day=15)

    # 1 a team; people see what their role gives them
    team = (await admin.create("team", name="East", leader=boss.id))["id"]
    for person in (tao, yu):
        await admin.create("team_member", team=team, person=person.id)
    seen = {name: {e["key"] for e in (await people[name].get("/schema"))["entities"] if e["can"]["read"]} for name in ("tao", "yu", "mei")}
    assert "quotation" in seen["tao"] and "campaign" in seen["mei"] and len({frozenset(s) for s in seen.values()}) == 3
    assert {r["key"] for r in (await tao.get("/reports"))["data"]} != {r["key"] for r in (await yu.get("/reports"))["data"]}
    refused(await tao.send("GET", "/config"), 403)

    # 2 a customer with a preference, in a group
    group = (await mei.create("group", name="VIP"))["id"]
    customer = (await tao.create("customer", name="Mingda Co.", preferences="blue series", group=[group], team=team, phone="+86 10 6666 8888"))["id"]
    found = await tao.get(f"/records/customer/{customer}")
    assert found["values"]["preferences"] == "blue series" and found["values"]["group"] == [group] and found["owner"] == tao.id
    assert found["display"]["group"] == "VIP"

    # 3 five rows from a file, one without a name
    rows = [{"Name": name, "Phone": f"010-5555000{i}"} for i, name in enumerate(("Alpha", "Beta", "", "Gamma", "Delta"))]
    job = await tao.call("POST", "/imports", {"entity": "customer", "rows": rows})
    assert (job["status"], job["result"]["created"], job["result"]["failed"]) == ("done", 4, 1)
    assert job["result"]["errors"][0]["row"] == 4 and job["result"]["errors"][0]["field"] == "name" and job["result"]["errors"][0]["message"]
    assert (await tao.send("GET", f"/jobs/{job['id']}/result")).status_code == 200

    # 4 an opportunity at proposal, 40 %: the forecast
    opportunity = (await tao.create("opportunity", name="Blue line", customer=customer, team=team))["id"]
    assert {"expected_amount", "expected_close"} <= fields_of(await tao.move("opportunity", opportunity, "propose", expect=422))
    moved = (await tao.move("opportunity", opportunity, "propose", expected_amount="50000", expected_close=next_month.isoformat()))["record"]
    assert moved["state"] == "proposal" and moved["values"]["probability"] == 40
    assert moved["values"]["forecast"] == {"amount": "20000.00", "currency": moved["values"]["forecast"]["currency"]}
    report = await boss.get("/reports/forecast")
    assert "20000" in str(report) or "20,000" in str(report)

    # 5 a call and an e-mail stand with the customer and the opportunity
    for channel in ("phone", "email"):
        await tao.create("interaction", customer=customer, opportunity=opportunity, channel=channel, subject=f"By {channel}", content="Talked about the blue series")
    for field, rid in (("customer", customer), ("opportunity", opportunity)):
        listed = await tao.list("interaction", filter=f'{{"field": "{field}", "op": "eq", "value": "{rid}"}}')
        assert {r["values"]["channel"] for r in listed} == {"phone", "email"}

    # 6 a task due tomorrow, not done: a reminder
    task = (await boss.create("task", subject="Send samples", assignee=tao.id, due=(today + timedelta(days=1)).isoformat(), customer=customer))["id"]
    assert any(n["record"] == task for n in (await tao.get("/notifications"))["data"])
    before = len((await tao.get("/notifications"))["data"])
    tenant = people["tenant"]
    later = datetime.now(UTC) + timedelta(days=3)
    due = await run_due(await system_context(tenant.id, at=later))
    assert sum(r.done for r in due if r.schedule == "task_overdue") == 1
    assert len((await tao.get("/notifications"))["data"]) > before
    for again in (False, True):
        await run_due(await system_context(tenant.id, at=later), again=again)
    reminders = [n for n in (await tao.get("/notifications"))["data"] if n["record"] == task]
    assert len(reminders) == 2  # the assignment and one reminder, however often the rule runs

    # 7 a marketing activity for the group
    campaign = (await mei.create("campaign", name="Spring", budget="3000", target_group=[group], start=today.isoformat()))["id"]
    await mei.move("campaign", campaign, "launch")
    await mei.create("interaction", customer=customer, campaign=campaign, channel="email", subject="Spring offer", content="Sent to VIP", direction="outbound")
    assert (await mei.get(f"/records/campaign/{campaign}"))["values"]["sent"] == 1

    # 8 won: an order, and half of the target
    month = date(today.year, today.month, 1)
    target = (await boss.create("target", person=tao.id, period=month.isoformat(), amount="100000"))["id"]
    won = await tao.move("opportunity", opportunity, "win")
    assert won["record"]["state"] == "won"
    order = next(e["id"] for e in won["effects"] if e["action"] == "create" and e["entity"] == "order")
    assert (await tao.get(f"/records/order/{order}"))["values"]["total"]["amount"] == "50000.00"
    reached = (await boss.get(f"/records/target/{target}"))["values"]
    assert reached["attainment"] == 50 and reached["actual"]["amount"] == "50000.00"

    # 9 a complaint goes to Yu by itself
    await boss.change("customer", customer, service_rep=yu.id)
    request = (await boss.create("request", customer=customer, kind="complaint", subject="Blue is green", content="The colour is wrong"))["id"]
    ticket = await yu.get(f"/records/request/{request}")
    assert ticket["state"] == "assigned" and ticket["values"]["assigned_to"] == yu.id
    assert any(n["record"] == request for n in (await yu.get("/notifications"))["data"])

    # 10 solved with an article; a low rating makes a call-back
    article = (await yu.create("article", title="Colours", body="<p>How to match colours</p>"))["id"]
    assert "solution" in fields_of(await yu.move("request", request, "solve", expect=422))
    solved = await yu.move("request", request, "solve", solution="Exchanged", article=article)
    assert solved["record"]["state"] == "solved"
    await yu.change("request", request, rating=2)
    calls = await admin.list("task", filter=f'{{"and": [{{"field": "request", "op": "eq", "value": "{request}"}}, {{"field": "kind", "op": "eq", "value": "call_back"}}]}}')
    assert len(calls) == 1 and calls[0]["values"]["assignee"]

    # 11 the activity is evaluated
    done = await mei.move("campaign", campaign, "evaluate", cost="2800", evaluation="Good", **({"revenue": "50000"}))
    assert done["record"]["state"] == "evaluated" and done["record"]["values"]["return_rate"] == round((50000 - 2800) / 2800 * 100)

    # 12 management's reports, one exported
    keys = {r["key"] for r in (await chief.get("/reports"))["data"]}
    assert {"sales", "funnel", "service", "customers"} <= keys
    for key in sorted(keys):
        widgets = (await chief.get(f"/reports/{key}"))["widgets"]
        assert widgets and all(w["label"] and not w.get("error") for w in widgets), key
    assert "50,000" in str(await chief.get("/reports/sales")) or "50000" in str(await chief.get("/reports/sales"))
    export = await boss.call("POST", "/exports", {"entity": "order", "format": "xlsx"})
    assert export["result"]["rows"] == 1 and (await boss.send("GET", f"/jobs/{export['id']}/result")).content[:2] == b"PK"

    # 13 a second customer with the same phone is noticed
    duplicate = refused(await tao.send("POST", "/records/customer", {"values": {"name": "Mingda Company", "phone": "+861066668888"}}), 409, "duplicate_found")
    assert duplicate["matches"]
    await tao.call("POST", "/records/customer", {"values": {"name": "Mingda Company", "phone": "+861066668888"}, "confirm_duplicates": True}, expect=201)
