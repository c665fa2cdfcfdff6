"""The acceptance scenario of hualei-ebseries through the API, once in each language, each step by the person who does it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest_asyncio

from saas.runtime.contexts import system_context
from saas.runtime.schedules import run_due
from saas.tenants import create_user
from tests.acceptance.api import Person, fields_of, refused
from tests.conftest import PASSWORD

ROLES = {"su": ("executor", "team_a"), "lin": ("executor", "team_a"), "ou": ("project_owner", "team_a"), "far": ("project_owner", "team_b"), "dai": ("director", "sales")}


WORDS = {
    "en": {"type": "Choose the customer type", "distributor": "Distributor", "chain": "Retail chain", "promotion": "Promotion", "better": "better", "cash": "Cash", "due": "due", "money": "CN¥63,112.00", "term": "Payment term"},
    "zh_CN": {"type": "请选择客户类型", "distributor": "经销商", "chain": "连锁零售", "promotion": "促销", "better": "更", "cash": "现金", "due": "到期", "money": "¥63,112.00", "term": "付款条件"},
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", params=list(WORDS))
async def people(http, tenant_factory, request):
    """The company is the same Chinese one; its people read their own language."""
    tenant, language = await tenant_factory(pack="hualei-ebseries", locale="zh_CN"), request.param.replace("_", "-")
    host = f"{tenant.slug}.localhost"
    found = {"tenant": tenant, "words": WORDS[request.param], "admin": await Person(http, host, language=language).sign_in(tenant.admin_email, tenant.admin_password)}
    for key, (role, department) in ROLES.items():
        email = f"{key}@{tenant.slug}.example"
        await create_user(tenant.id, email, PASSWORD, key.title(), [role], department_key=department, locale=request.param)
        found[key] = await Person(http, host, language=language).sign_in(email, PASSWORD)
    return found


def amounts(values: dict, *keys: str) -> list[str]:
    return [values[k]["amount"] for k in keys]


async def test_acceptance_scenario(people) -> None:
    admin, su, lin, ou, far, dai = (people[k] for k in ("admin", *ROLES))
    tenant, w, today = people["tenant"], people["words"], datetime.now(ZoneInfo("Asia/Shanghai")).date()

    async def decide(person: Person, act: str = "approve", comment: str = "同意") -> None:
        task = (await person.get("/approvals/tasks", box="mine"))["data"][0]
        await person.call("POST", f"/approvals/tasks/{task['task_id']}", {"act": act, "comment": comment})

    async def lines_of(person: Person, entity: str, link: str, rid: str) -> list[dict]:
        return await person.list(entity, filter=f'{{"field": "{link}", "op": "eq", "value": "{rid}"}}')

    # 1 code rules as the administrator writes them; the next records follow
    config = await admin.get("/config")
    bundle = config["bundle"]
    for entity, pattern, reset in (("customer", "C-{yyyy}-{seq:4}", "year"), ("product", "P{seq:5}", "never")):
        code = next(f for e in bundle["entities"] if e["key"] == entity for f in e["fields"] if f["key"] == "code")
        code.update(pattern=pattern, reset=reset)
    published = await admin.call("POST", "/config/publish", {"bundle": bundle, "base_revision": config["revision"], "message": "编码规则"})
    refused(await su.send("POST", "/config/publish", {"bundle": bundle}), 403)

    # 2 a product; a customer type; the type of a customer is asked for
    category = (await admin.create("category", name="Pumps"))["id"]
    pump = await admin.create("product", name="Pump 200", list_price="1000", category=category)
    assert (pump["values"]["code"], pump["values"]["list_price"]["amount"], pump["values"]["tax_rate"]) == ("P00001", "1000.00", 13)
    refused(await su.send("POST", "/records/customer", {"values": {"name": "Chain", "type": "retail_chain"}}), 422, field="type")
    types = next(s for s in bundle["option_sets"] if s["key"] == "customer_type")["options"]
    types.append({"key": "retail_chain", "label": {"en": "Retail chain", "zh_CN": "连锁零售"}, "color": "orange"})
    await admin.call("POST", "/config/publish", {"bundle": bundle, "base_revision": published["revision"], "message": "客户类型"})
    [problem] = (await su.create("customer", name="Kaida", expect=422))["errors"]
    assert (problem["field"], problem["message"]) == ("type", w["type"])
    chain = await su.create("customer", name="Chain", type="retail_chain")
    assert (chain["values"]["code"], chain["display"]["type"]) == (f"C-{today.year}-0001", w["chain"])
    kaida = await su.create("customer", name="Kaida", type="distributor")
    assert (kaida["values"]["code"], kaida["display"]["type"]) == (f"C-{today.year}-0002", w["distributor"])

    # 3 the four strategies; each asks for what makes it one
    last = (today.replace(day=1) - timedelta(days=1)).isoformat()
    assert fields_of(await admin.create("strategy", name="Volume", kind="volume", percent=5, expect=422)) == {"min_quantity"}
    for values in (
        {"name": "50 起", "kind": "volume", "percent": 5, "min_quantity": 50}, {"name": "经销商", "kind": "customer_type", "percent": 8, "customer_type": "distributor"},
        {"name": "现金", "kind": "cash", "percent": 2, "payment_term": "cash"}, {"name": "上月促销", "kind": "promotion", "percent": 10, "valid_from": last[:8] + "01", "valid_to": last},
    ):
        await admin.create("strategy", **values)
    refused(await su.send("POST", "/records/strategy", {"values": {"name": "Mine", "kind": "promotion", "percent": 50}}), 403)
    assert len(await su.list("strategy", view="in_force")) == 3 and len(await su.list("strategy", view="all")) == 4

    # 4 sixty pumps for a distributor: both discounts fit, the better one counts, last month's promotion does not
    opportunity = (await su.create("opportunity", subject="Kaida pumps", customer=kaida["id"], amount="60000"))["id"]
    head = {"customer": kaida["id"], "opportunity": opportunity}
    quotation = (await su.call("POST", "/forms/quote", {"values": head, "parts": {"lines": [{"values": {"product": pump["id"], "quantity": 60}}]}}, expect=201))["record"]["id"]
    line = (await lines_of(su, "quotation_line", "quotation", quotation))[0]
    why = line["values"]["why"].splitlines()
    assert amounts(line["values"], "list_price", "suggested", "price") == ["1000.00", "920.00", "920.00"]
    assert why[1].startswith("✓") and "经销商" in why[1] and "8 %" in why[1] and why[2].startswith("–") and "5 %" in why[2] and w["better"] in why[2]
    assert not any("✓" in line and w["promotion"] in line for line in why)

    # 5 cash: the price follows by itself
    assert (await su.change("quotation", quotation, term="cash"))["values"]["net"]["amount"] == "54096.00"
    line = await su.get(f"/records/quotation_line/{line['id']}")
    assert amounts(line["values"], "suggested", "price") == ["901.60", "901.60"] and w["cash"] in line["values"]["why"]

    # 6 asked for exactly that; less is flagged, and not for an executor to approve
    await su.change("quotation_line", line["id"], price="890")
    flagged = await su.get(f"/records/quotation/{quotation}")
    assert flagged["values"]["below_lines"] == 1 and (await su.get(f"/records/quotation_line/{line['id']}"))["values"]["below"] is True
    refused(await su.send("POST", f"/records/quotation/{quotation}/transitions/approve", {"values": {}}), 422)
    await su.change("quotation_line", line["id"], price="901.60")
    totals = (await su.get(f"/records/quotation/{quotation}"))["values"]
    assert amounts(totals, "net", "tax", "total") == ["54096.00", "7032.48", "61128.48"] and totals["below_lines"] == 0

    # 7 a task of three levels: steps, then the project owner and the director, in this order
    who = {"director": dai.id, "project_owner": ou.id, "executors": [su.id]}
    task = (await su.create("task", subject="Win Kaida", opportunity=opportunity, due=(today + timedelta(days=20)).isoformat(), **who))["id"]
    assert (await su.get(f"/records/opportunity/{opportunity}"))["state"] == "tasking"
    done = (await su.create("step", task=task, activity="visit", result="Samples shown"))["id"]
    refused(await su.send("PATCH", f"/records/step/{done}", {"values": {"result": "Other"}}), 403)
    await su.move("task", task, "submit")
    refused(await su.send("PATCH", f"/records/task/{task}", {"values": {"subject": "Other"}}), 403)
    assert (await dai.get("/approvals/tasks", box="mine"))["data"] == []
    await decide(ou)
    assert (await su.get(f"/records/task/{task}"))["state"] == "in_approval"
    await decide(dai)
    assert (await su.get(f"/records/task/{task}"))["state"] == "approved"
    told = (await su.get(f"/records/task/{task}/approvals"))["data"][0]["events"]
    assert [(e["actor"], e["act"]) for e in told if e["act"] == "approved"] == [("Ou", "approved"), ("Dai", "approved")], told

    # 8 the quotation becomes an order: foreseen first, then done, once, with the same lines, discount and tax
    await su.move("quotation", quotation, "approve")
    foreseen = await su.call("POST", f"/records/quotation/{quotation}/transitions/convert", {"values": {}}, preview="true")
    made = {e["entity"]: e for e in foreseen["effects"] if e["action"] == "create"}
    assert made["order_line"]["values"]["price"]["amount"] == "901.60" and await su.list("sales_order") == []
    done = await su.move("quotation", quotation, "convert")
    order = await su.get(f"/records/sales_order/{next(e['id'] for e in done['effects'] if e['entity'] == 'sales_order' and e['action'] == 'create')}")
    assert amounts(order["values"], "net", "tax", "total") == ["54096.00", "7032.48", "61128.48"] and (order["values"]["mode"], order["values"]["quotation"]) == ("stage", quotation)
    copied = (await lines_of(su, "order_line", "order", order["id"]))[0]
    same = ("product", "quantity", "list_price", "suggested", "price", "discount", "tax_rate", "tax", "why")
    assert {k: copied["values"][k] for k in same} == {k: (await su.get(f"/records/quotation_line/{line['id']}"))["values"][k] for k in same}
    refused(await su.send("PATCH", f"/records/order_line/{copied['id']}", {"values": {"price": "1"}}), 403)
    refused(await su.send("POST", f"/records/quotation/{quotation}/transitions/convert", {"values": {}}), 409)
    await su.move("sales_order", order["id"], "confirm")
    assert (await su.get(f"/records/opportunity/{opportunity}"))["state"] == "won"

    # 9 an order straight from the customer; prices follow the strategies, too
    parts = {"lines": [{"values": {"product": pump["id"], "quantity": 10}}]}
    direct = (await su.call("POST", "/forms/direct_order", {"values": {"customer": kaida["id"]}, "parts": parts}, expect=201))["record"]
    direct = await su.get(f"/records/sales_order/{direct['id']}")
    assert (direct["values"]["mode"], direct["values"]["opportunity"], direct["values"]["net"]["amount"]) == ("customer", None, "9200.00")
    assert (await su.change("sales_order", direct["id"], term="cash"))["values"]["net"]["amount"] == "9016.00"
    await su.move("sales_order", direct["id"], "confirm")

    # 10 an expense level by level; sent back with a comment, submitted again
    expense = (await su.create("expense", task=task, type="travel", amount="800"))["id"]
    assert (await su.get(f"/records/expense/{expense}"))["values"]["project_owner"] == ou.id
    await su.move("expense", expense, "submit")
    refused(await dai.send("POST", f"/records/expense/{expense}/transitions/approve", {"values": {}}), 409)
    await decide(ou, "reject", "缺少车票")
    assert (await su.get(f"/records/expense/{expense}"))["state"] == "draft"
    assert "缺少车票" in str((await su.get(f"/records/expense/{expense}/approvals"))["data"])
    await su.move("expense", expense, "submit")
    await decide(ou)
    await decide(dai)
    assert (await su.get(f"/records/expense/{expense}"))["state"] == "approved"
    assert (await dai.get(f"/records/task/{task}"))["values"]["cost"]["amount"] == "800.00"

    # 11 who stands higher sees who stands lower, not the other way round, and nobody beside
    assert [r["id"] for r in await dai.list("opportunity")] == [r["id"] for r in await ou.list("opportunity")] == [opportunity]
    assert await lin.list("opportunity") == await far.list("opportunity") == [] and await lin.list("quotation_line") == []
    refused(await lin.send("GET", f"/records/quotation/{quotation}"), 404)
    other = (await dai.create("opportunity", subject="Director's own", customer=kaida["id"]))["id"]
    refused(await su.send("GET", f"/records/opportunity/{other}"), 404)

    # 12 the log: who changed which quotation, and when; for those who may read it
    told = await admin.get("/log", entity="quotation", person=su.id)
    mine = [e for e in told["data"] if e["record"] == quotation]
    assert {(e["entity"], e["actor_id"], e["title"]) for e in mine} == {("quotation", su.id, totals["number"])} and all(e["at"] for e in mine)
    assert [(c["label"], c["new"]) for e in mine for c in e["changes"] if c["field"] == "term" and c["old"]] == [(w["term"], w["cash"])]
    paged, following = [], None
    while True:
        page = await admin.get("/log", limit=7, **({"before": following} if following else {}))
        paged, following = paged + [e["id"] for e in page["data"]], page["next"]
        if not following:
            break
    assert len(paged) == len(set(paged)) >= 30 and set(e["id"] for e in mine) <= {e["id"] for e in (await admin.get("/log", limit=200))["data"]}
    refused(await su.send("GET", "/log"), 403)
    refused(await admin.send("GET", "/log", entity="nothing"), 404)
    for name, value in (("first", "soon"), ("person", "su"), ("before", "x")):
        refused(await admin.send("GET", "/log", **{name: value}), 400)
    history = (await admin.get(f"/records/quotation/{quotation}/history"))["data"]
    assert {h["actor"] for h in history} == {"Su"} and any(c["field"] == "term" for h in history for c in h["changes"])

    # executors are reminded of the day, once; the figures agree with the above
    soon = (await ou.create("task", subject="Next pumps", opportunity=opportunity, due=(today + timedelta(days=2)).isoformat(), **who))["id"]
    nine = datetime.combine(today, time(9), ZoneInfo("Asia/Shanghai"))
    for days in (1, 2):
        await run_due(await system_context(tenant.id, at=(nine + timedelta(days=days)).astimezone(UTC)))
    reminded = [n for n in (await su.get("/notifications"))["data"] if n["record"] == soon]
    assert len([n for n in reminded if w["due"] in n["title"].lower()]) == 1, reminded
    sales = await dai.get("/reports/sales")
    assert [w["text"] for w in sales["widgets"] if w["type"] == "number"][:2] == [w["money"], "2"]
