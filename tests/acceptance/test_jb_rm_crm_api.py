"""The 18 steps of the jb-rm-crm acceptance scenario through the API, in Chinese, each by the person who does it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest_asyncio

from saas.runtime.contexts import system_context
from saas.runtime.schedules import run_due
from saas.tenants import create_user
from tests.acceptance.api import Person, fields_of
from tests.conftest import PASSWORD


@pytest_asyncio.fixture(scope="module")
async def people(http, tenant_factory) -> dict[str, Person]:
    tenant = await tenant_factory(pack="jb-rm-crm", locale="zh_CN")
    host = f"{tenant.slug}.localhost"
    roles = {"wang": "supervisor", "li": "account_manager", "zhao": "account_manager", "chen": "executive"}
    for key, role in roles.items():
        await create_user(tenant.id, f"{key}@{tenant.slug}.example", PASSWORD, key.title(), [role], department_key="sales")
    found = {"admin": await Person(http, host).sign_in(tenant.admin_email, PASSWORD)}
    for key in roles:
        found[key] = await Person(http, host).sign_in(f"{key}@{tenant.slug}.example", PASSWORD)
    found["tenant"] = tenant
    return found


async def test_acceptance_scenario(people) -> None:
    admin, wang, li, zhao, chen = (people[k] for k in ("admin", "wang", "li", "zhao", "chen"))

    # 1 dictionary values
    config = await admin.get("/config")
    bundle = config["bundle"]
    sets = {s["key"]: s for s in bundle["option_sets"]}
    for name, key, en, zh in (("region", "north_china_plain", "North China", "华北"), ("grade", "key_new", "Key", "重点")):
        sets[name]["options"].append({"key": key, "label": {"en": en, "zh_CN": zh}})
    await admin.call("POST", "/config/publish", {"bundle": bundle, "base_revision": config["revision"], "message": "字典"})
    schema = await zhao.get("/schema/customer")
    assert "north_china_plain" in str(schema["properties"]["region"]) and "key_new" in str(schema["properties"]["grade"])
    await li.call("POST", "/config/publish", {"bundle": bundle}, expect=403)

    # 2 Li creates an opportunity
    made = await li.create(
        "opportunity", source="展会", customer_name="Huabei Machinery", probability=60, summary="10 台车床", contact="Sun Jie", contact_phone="010-88886666"
    )
    opportunity = made["id"]
    assert made["state"] == "unassigned" and made["values"]["code"] and made["created_by"] == li.id
    assert made["message"] == "保存成功"

    # 3 refused values
    assert "probability" in fields_of(await li.create("opportunity", customer_name="X", probability=120, summary="y", expect=422))
    assert "summary" in fields_of(await li.create("opportunity", customer_name="X", probability=20, summary="", expect=422))

    # 4 Zhao may not delete
    await zhao.call("DELETE", f"/records/opportunity/{opportunity}", expect=403)

    # 5 Li edits, code and creator are locked
    changed = await li.change("opportunity", opportunity, probability=70)
    assert changed["values"]["probability"] == 70
    assert "code" in fields_of(await li.change("opportunity", opportunity, code="X-1", expect=422))

    # 6 Wang assigns
    assigned = await wang.move("opportunity", opportunity, "assign", assigned_to=zhao.id)
    assert assigned["record"]["state"] == "assigned" and assigned["record"]["values"]["assigned_at"] and assigned["message"] == "指派成功"
    assert any(opportunity == n["record"] for n in (await zhao.get("/notifications"))["data"])
    unassigned = await wang.list("opportunity", filter='{"field":"status","op":"eq","value":"unassigned"}')
    assert opportunity not in {r["id"] for r in unassigned}
    await li.change("opportunity", opportunity, probability=10, expect=403)
    await li.call("DELETE", f"/records/opportunity/{opportunity}", expect=403)

    # 7 plan items
    items = [
        (await zhao.create("plan_item", opportunity=opportunity, date=day, content=text))["id"]
        for day, text in (("2025-03-03", "电话调研"), ("2025-03-10", "现场拜访"))
    ]
    listed = await zhao.list("plan_item", filter=f'{{"field":"opportunity","op":"eq","value":"{opportunity}"}}')
    assert {r["id"] for r in listed} == set(items)
    await li.create("plan_item", opportunity=opportunity, date="2025-03-11", content="别人的", expect=403)

    # 8 content changes, the date does not
    assert (await zhao.change("plan_item", items[1], content="现场拜访(改)"))["values"]["content"] == "现场拜访(改)"
    assert "date" in fields_of(await zhao.change("plan_item", items[1], date="2025-03-12", expect=422))

    # 9 result
    assert (await zhao.change("plan_item", items[1], result="同意拜访,需要报价"))["values"]["result"]

    # 10 won
    won = await zhao.move("opportunity", opportunity, "win")
    assert won["record"]["state"] == "won"
    created = {e["entity"]: e["id"] for e in won["effects"] if e["action"] == "create"}
    customer = await zhao.get(f"/records/customer/{created['customer']}")
    assert customer["values"]["name"] == "Huabei Machinery" and customer["owner"] == zhao.id
    contact = await zhao.get(f"/records/contact/{created['contact']}")
    assert contact["values"]["name"] == "Sun Jie" and contact["display"]["office_phone"].replace(" ", "").replace("-", "").endswith("88886666")

    # 11 a second one is stopped
    second = (await zhao.create("opportunity", customer_name="Dongshan Tools", probability=30, summary="试用"))["id"]
    await wang.move("opportunity", second, "assign", assigned_to=zhao.id)
    offered = next(o for o in (await zhao.get(f"/records/opportunity/{second}"))["can"]["offers"] if o["key"] == "stop")
    stopped = await zhao.move("opportunity", second, "stop", **{key: "没有需求" for key in offered["missing"]})
    assert stopped["record"]["state"] == "failed" and not [e for e in stopped["effects"] if e["entity"] == "customer"]

    # 12 customer data
    cid = customer["id"]
    await zhao.change("customer", cid, region="north_china_plain", grade="key_new", satisfaction=4, credit=5)
    assert "satisfaction" in fields_of(await zhao.change("customer", cid, satisfaction=6, expect=422))
    await li.change("customer", cid, credit=1, expect=403)

    # 13 contacts need their four fields
    values = {"customer": cid, "name": "王芳", "gender": "female", "position": "经理"}
    assert "office_phone" in fields_of(await zhao.create("contact", **values, expect=422))
    await zhao.create("contact", **values, office_phone="010-66668888")

    # 14 a complaint
    service = (await li.create("service", customer=cid, service_type="complaint", summary="机床异响", request="请尽快派人检查"))["id"]
    assert (await wang.get(f"/records/service/{service}"))["state"] == "new"

    # 15 dispatch, handle, feedback
    await wang.move("service", service, "assign", handler=zhao.id)
    await zhao.move("service", service, "handle", handling="更换轴承")
    done = await zhao.move("service", service, "feedback", result="客户满意", satisfaction=4)
    assert done["record"]["state"] == "archived"

    # 16 the nightly scan, seven months later
    tenant = people["tenant"]
    later = datetime.now(UTC) + timedelta(days=214)
    first = await run_due(await system_context(tenant.id, at=later))
    assert sum(r.done for r in first) >= 1
    warnings = await zhao.list("churn", filter=f'{{"field":"customer","op":"eq","value":"{cid}"}}')
    assert len(warnings) == 1 and warnings[0]["state"] == "warning"
    assert any(n["record"] == warnings[0]["id"] and "流失" in n["title"] for n in (await zhao.get("/notifications"))["data"])
    await run_due(await system_context(tenant.id, at=later + timedelta(days=1)))
    assert len(await zhao.list("churn", filter=f'{{"field":"customer","op":"eq","value":"{cid}"}}')) == 1

    # 17 postpone with a measure, confirm with a reason
    churn = warnings[0]["id"]
    await zhao.move("churn", churn, "postpone")
    await zhao.create("measure", churn=churn, content="赠送春季折扣")
    assert "reason" in fields_of(await zhao.move("churn", churn, "confirm", expect=422))
    await zhao.move("churn", churn, "confirm", reason="更换供应商")
    lost = await zhao.get(f"/records/customer/{cid}")
    assert lost["values"]["status"] == "lost" and lost["can"]["update"] is False
    await zhao.change("customer", cid, credit=2, expect=403)

    # 18 the executive's reports
    reports = {r["key"] for r in (await chen.get("/reports"))["data"]}
    assert {"contribution", "composition", "service", "churn"} <= reports
    composition = await chen.get("/reports/composition")
    assert "重点" in str(composition)
    service_report = await chen.get("/reports/service")
    assert "投诉" in str(service_report)
    assert "更换供应商" in str(await chen.get("/reports/churn")) or "Zhao" in str(await chen.get("/reports/churn"))
    seen = await chen.get(f"/records/customer/{cid}")
    assert not any(seen["can"].values()), seen["can"]
    assert not any(e["can"]["create"] or e["can"]["update"] for e in (await chen.get("/schema"))["entities"])
