"""The acceptance scenario of tiannuo-club through the API, once in each language, each step by the person who does it. The website, the marketing system and
the card reader speak over their own doors: signed and secret addresses; texts go to a provider over real HTTP."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio

from saas.db import tenant_transaction
from saas.runtime import inbound_hooks, outbox, timers
from saas.runtime.contexts import system_context
from saas.runtime.schedules import run_due
from saas.runtime.signatures import signature
from saas.tenants import create_user, integrations
from saas.tenants.clock import set_offset
from tests.acceptance.api import Person, fields_of, refused
from tests.conftest import PASSWORD
from tests.integration.outbox.receiver import receiving

ROLES = {"hu": ("service", "service"), "xie": ("approver", "service"), "jin": ("site", "sales_site")}
HE_FANG = "320106198503010011"
WORDS = {
    "en": {"list": "Exit type", "known": "This member already exists", "welcome": "Dear He Fang, welcome", "no_main": "The holder has no main card", "birthday": "happy birthday", "overdue": "Overdue complaint", "left": "has ended", "participants": "after the approval"},
    "zh_CN": {"list": "退会类型", "known": "会员已存在", "welcome": "尊敬的He Fang，欢迎", "no_main": "该会员没有主卡", "birthday": "生日快乐", "overdue": "投诉处理超时", "left": "已退出", "participants": "批准后"},
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", params=list(WORDS))
async def people(http, database, tenant_factory, request):
    locale = request.param
    tenant = await tenant_factory(pack="tiannuo-club", locale=locale)
    host, language = f"{tenant.slug}.localhost", locale.replace("_", "-")
    found: dict[str, Any] = {"tenant": tenant, "host": host, "words": WORDS[locale], "admin": await Person(http, host, language=language).sign_in(tenant.admin_email, tenant.admin_password)}
    for key, (role, department) in ROLES.items():
        email = f"{key}@{tenant.slug}.example"
        await create_user(tenant.id, email, PASSWORD, key.title(), [role], department_key=department)
        found[key] = await Person(http, host, language=language).sign_in(email, PASSWORD)
    async with receiving() as provider:
        before, database.settings = database.settings, replace(database.settings, outbound_allow=frozenset({("127.0.0.1", provider.port)}))
        ctx = await system_context(tenant.id)
        async with tenant_transaction(tenant.id) as conn:
            await integrations.save_integration(conn, tenant.id, "sms", "sms", "SMS", {"mode": "http", "url": f"{provider.url}/sms", "auth": "none"})
            hooks = {h.key: await inbound_hooks.ensure(conn, tenant.id, h, h.key) for h in ctx.config.bundle.inbound_hooks}

        async def knock(key: str, body: dict[str, Any], *, signed: bool = True) -> Any:
            content = json.dumps(body).encode()
            headers = {"host": host, "content-type": "application/json", "accept-language": language} | ({"x-signature": signature(hooks[key].secrets, content, time.time())} if signed else {})
            return await http.post(inbound_hooks.path_of(tenant.id, hooks[key]), content=content, headers=headers)

        yield {**found, "provider": provider, "knock": knock}
        database.settings = before


async def _deliver(people) -> list[str]:
    """Send what waits; the texts the provider got."""
    seen = len(people["provider"].asked)
    async with tenant_transaction(people["tenant"].id) as conn:
        await conn.execute("UPDATE outbox SET due_at = now() WHERE tenant_id = $1 AND status = 'queued'", people["tenant"].id)
    await outbox.send_due()
    return [json.loads(a.body)["text"] for a in people["provider"].asked[seen:]]


async def _clock(tenant, days: int) -> None:
    """The company's clock, so many days ahead."""
    async with tenant_transaction(tenant.id) as conn:
        await set_offset(conn, tenant.id, days * 86400)


async def test_acceptance_scenario(people) -> None:
    admin, hu, xie, jin, knock, provider = (people[k] for k in ("admin", "hu", "xie", "jin", "knock", "provider"))
    tenant, w = people["tenant"], people["words"]

    async def decide(act: str = "approve") -> None:
        task = (await xie.get("/approvals/tasks", box="mine"))["data"][0]
        await xie.call("POST", f"/approvals/tasks/{task['task_id']}", {"act": act, "comment": "同意"})

    async def values(entity: str, rid: str, who: Person = hu) -> dict[str, Any]:
        return (await who.get(f"/records/{entity}/{rid}"))["values"]

    await timers.run_all(await system_context(tenant.id))  # the worker's clock goes by while all this happens
    # before the scenario: kinds of cards, a rule for purchases, a project, and a customer of the marketing system
    vip = (await hu.create("card_kind", name="VIP卡", group="main"))["id"]
    ordinary = (await hu.create("card_kind", name="普通卡", group="main", upgrade_points=500, upgrade_to=vip))["id"]
    discount = (await hu.create("card_kind", name="优惠卡", group="sub", base_points=20))["id"]
    await hu.create("points_rule", name="购房", event="purchase", points=500)
    project = (await hu.create("project", name="天诺花园", old_project=True))["id"]
    customer = (await knock("customers", {"code": "K1", "name": "He Fang", "id_no": HE_FANG, "mobile": "13900000001", "state": "prospect"})).json()["record"]

    # 1 the dictionary of exit types, at once
    assert next(s for s in (await hu.get("/option-lists"))["data"] if s["key"] == "exit_type")["label"] == w["list"]
    added = await hu.call("POST", "/option-lists/exit_type", {"label": {"en": "Moved abroad", "zh_CN": "移居国外"}}, expect=201)
    assert f"'{added['key']}'" in str(await hu.get("/schema/member"))
    refused(await jin.send("POST", "/option-lists/exit_type", {"label": {"en": "Other"}}), 403)
    refused(await hu.send("POST", "/option-lists/exit_type", {"label": {"en": "Moved  abroad"}}), 422)
    refused(await hu.send("POST", "/option-lists/card_group", {"label": {"en": "Other"}}), 404)
    await hu.call("PATCH", "/option-lists/exit_type/data_error", {"active": False})
    assert {o["key"]: o["active"] for o in next(s for s in (await hu.get("/option-lists"))["data"] if s["key"] == "exit_type")["options"]}["data_error"] is False

    # 2, 3 two applications wait
    first = await jin.create("application", name="He Fang", id_no=HE_FANG, mobile="13900000001", channel="sales_site")
    refused(await knock("website", {"id": 1, "name": "He Fang", "mobile": "13900000001"}, signed=False), 401)
    second = (await knock("website", {"id": 1, "name": "He Fang", "mobile": "13900000001"})).json()["record"]
    assert first["state"] == "pending" and (await hu.get(f"/records/application/{second}"))["state"] == "pending"
    assert {r["id"] for r in await jin.list("application")} == {first["id"]}
    refused(await jin.send("GET", "/records/member"), 403)

    # 4 both become one member with a card; the customer of the marketing system is flagged
    waits = {i["record"]["id"]: i["item"] for i in (await hu.get("/reviews/membership"))["data"]}
    panel = await hu.get(f"/reviews/membership/{waits[second]}")
    assert [s["record"]["id"] for s in panel["sources"]] == [first["id"]] and panel["targets"] == []
    decision = {"sources": [waits[first["id"]]], "values": {"address": "1 Park Road", "card_no": "VIP-0001", "card_kind": vip}}
    assert (await hu.call("POST", f"/reviews/membership/{waits[second]}", decision))["case"] == "sources_only"
    [member] = await hu.list("member")
    he = member["id"]
    assert (member["values"]["id_no"], member["values"]["address"], member["display"]["level"]) == (HE_FANG, "1 Park Road", "VIP卡")
    [card] = await hu.list("card")
    assert (card["values"]["number"], card["state"], card["values"]["member"]) == ("VIP-0001", "active", he)
    assert (await values("buyer", customer))["is_member"] is True and (await hu.get("/reviews/membership"))["data"] == []

    # 5 the same ID number again: refused on the website, associated from the sales site
    known = refused(await knock("website", {"id": 2, "name": "He Fang", "id_no": HE_FANG, "mobile": "13900000001"}), 422)
    assert w["known"] in known["detail"]
    again = await jin.create("application", name="He Fang", id_no=HE_FANG, mobile="13900000001", channel="sales_site", project=project)
    assert again["state"] == "merged" and len(await hu.list("member")) == 1
    [bought] = await hu.list("purchase")
    assert (bought["values"]["customer"], bought["values"]["project"]) == (customer, project)

    # 6 the welcome text fails once: flagged, listed, and tried again
    provider.answer = lambda asked: "400 no such number"
    assert len(await _deliver(people)) == 1
    [notice] = await hu.list("notice", view="retry")
    assert notice["state"] == "not_reached" and he in {r["id"] for r in await hu.list("member", view="not_notified")}
    provider.answer = lambda asked: "200 OK"
    await run_due(await system_context(tenant.id, at=datetime.now(UTC) + timedelta(days=1)))
    assert [w["welcome"] in text for text in await _deliver(people)] == [True]
    assert await hu.list("notice", view="retry") == [] and (await values("member", he))["notified"] is True

    # 7 the change log
    await hu.change("member", he, mobile="13900000099")
    refused(await xie.send("PATCH", f"/records/member/{he}", {"values": {"mobile": "13900000098"}}), 403)
    [line] = [c for e in (await hu.get(f"/records/member/{he}/history"))["data"] for c in e["changes"] if c["field"] == "mobile" and c["old"]]
    assert [line[k].replace(" ", "").removeprefix("+86") for k in ("old", "new")] == ["13900000001", "13900000099"]  # as the company's country writes them

    # 8 base points of a sub-card; none without a main card
    sub = await hu.create("card", number="D-9", kind=discount, member=he)
    assert sub["values"]["main_card"] == card["id"] and (await values("member", he))["points"] == 20
    assert (await values("card", card["id"]))["balance"] == 20
    lonely = (await hu.create("member", name="No Card", mobile="13900000055"))["id"]
    refusal = await hu.create("card", number="D-10", kind=discount, member=lonely, expect=422)
    assert [w["no_main"] in e["message"] for e in refusal["errors"] if e["field"] == "main_card"] == [True], refusal

    # 9 no points without an origin
    problem = await hu.create("points_entry", member=he, direction="add", points=100, expect=422)
    assert "event" in fields_of(problem)
    await hu.create("points_entry", member=he, direction="add", points=100, event="activity", expect=422)

    # 10 points when the whole price was received, after approval
    paid = {"number": "C-1", "customer": "K1", "project": "天诺花园", "unit": "3-1201", "date": "2026-05-01", "price": "2000000", "rate": 80}
    purchase = (await knock("purchases", paid)).json()["record"]
    assert await hu.list("points_entry", view="pending") == []
    assert (await knock("purchases", {**paid, "rate": 100})).json() == {"record": purchase, "made": False, "again": False}
    [entry] = await hu.list("points_entry", view="pending")
    assert (entry["values"]["points"], entry["values"]["purchase"]) == (500, purchase)
    assert (await values("member", he))["points"] == 20
    refused(await hu.send("POST", f"/records/points_entry/{entry['id']}/transitions/approve", {"values": {}}), 403)
    await xie.move("points_entry", entry["id"], "approve")
    assert (await values("member", he))["points"] == 520

    # 11 the threshold: a request, executed with a new main card; old sub-cards are void
    lu = (await hu.create("member", name="Lu Yan", mobile="13900000002", birthday="1990-01-01"))["id"]
    main = (await hu.create("card", number="P-1", kind=ordinary, member=lu))["id"]
    their_sub = (await hu.create("card", number="D-11", kind=discount, member=lu))["id"]
    await knock("customers", {"code": "K2", "name": "Lu Yan", "mobile": "13900000002", "state": "buyer"})
    application = await jin.create("application", name="Lu Yan", mobile="13900000002", channel="sales_site")
    [item] = [i["item"] for i in (await hu.get("/reviews/membership"))["data"] if i["record"]["id"] == application["id"]]
    assert (await hu.call("POST", f"/reviews/membership/{item}", {"target": lu}))["case"] == "target_only"
    await knock("purchases", {**paid, "number": "C-2", "customer": "K2", "unit": "3-1202", "rate": 100})
    [entry] = await xie.list("points_entry", view="pending")
    await xie.move("points_entry", entry["id"], "approve")
    [upgrade] = await hu.list("upgrade", view="pending")
    assert (upgrade["values"]["member"], upgrade["values"]["points"]) == (lu, 520)
    assert "new_number" in fields_of(await hu.move("upgrade", upgrade["id"], "execute", expect=422))
    await hu.move("upgrade", upgrade["id"], "execute", new_number="VIP-0002")
    states = {r["values"]["number"]: r["state"] for r in await hu.list("card")}
    assert (states["P-1"], states["D-11"], states["VIP-0002"]) == ("replaced", "void", "active") and main != their_sub
    assert (await hu.get(f"/records/member/{lu}"))["display"]["level"] == "VIP卡"

    # 12 an activity: participants after the approval only; the reader adds twenty cards
    start = datetime.now(UTC) + timedelta(days=3)
    salon = await hu.create("activity", name="茶艺沙龙", type="salon", start=start.isoformat(), end=(start + timedelta(hours=3)).isoformat(), place="会所", expected=30, expected_cost="6000", points_each=10)
    assert w["participants"] in refused(await hu.send("POST", "/records/participation", {"values": {"activity": salon["id"], "member": he}}), 422)["detail"]
    await hu.move("activity", salon["id"], "submit")
    refused(await hu.send("POST", f"/records/activity/{salon['id']}/transitions/approve", {"values": {}}), 403)
    await decide()
    assert (await hu.get(f"/records/activity/{salon['id']}"))["state"] == "approved"
    batch = [{"member": (await hu.create("member", name=f"Guest {n}", mobile=f"1390000{n:04}"))["id"], "card_no": f"P-{n}"} for n in range(100, 119)]
    issue = await hu.call("POST", "/forms/batch", {"values": {"kind": ordinary}, "parts": {"lines": [{"values": line} for line in batch]}}, expect=201)
    await hu.move("card_batch", issue["record"]["id"], "issue")
    for number in ["VIP-0001", *(line["card_no"] for line in batch)]:
        answer = await knock("reader", {"id": f"r {number}", "activity": salon["values"]["number"], "card": number})
        assert answer.status_code == 200, answer.text
    refused(await knock("reader", {"id": "twice", "activity": salon["values"]["number"], "card": "VIP-0001"}), 422)
    refused(await knock("reader", {"id": "unknown", "activity": salon["values"]["number"], "card": "X-1"}), 422)
    assert (await values("activity", salon["id"]))["participants"] == 20 and (await values("member", he))["points"] == 530

    # 13 costs; after the end nobody takes part
    cost = await hu.create("activity_cost", activity=salon["id"], public_cost="4000", per_head="50")
    assert [cost["values"][k]["amount"] for k in ("apportioned", "total", "per_capita")] == ["1000.00", "5000.00", "250.00"]
    await hu.move("activity", salon["id"], "finish")
    assert (await knock("reader", {"id": "late", "activity": salon["values"]["number"], "card": "VIP-0002"})).status_code == 422
    await _deliver(people)

    # 14 her birthday
    await hu.change("member", he, birthday="1985-03-01")
    day = datetime(datetime.now(UTC).year + 1, 3, 1, 1, tzinfo=UTC)
    await run_due(await system_context(tenant.id, at=day))
    assert any(w["birthday"] in text for text in await _deliver(people))
    [care] = await hu.list("care", filter=json.dumps({"expr": "trigger == 'birthday'"}))
    assert (care["values"]["member"], care["state"], care["values"]["outcome"]) == (he, "done", "sent")
    assert care["id"] in {r["id"] for r in await hu.list("care", filter=json.dumps({"field": "member", "op": "eq", "value": he}))}
    assert [r["id"] for r in await hu.list("member", filter=json.dumps({"expr": "exists(cares where trigger == 'birthday')"}))] == [he]

    # 15 a complaint whose step is overdue
    complaint = await hu.create("complaint", member=he, channel="phone", type="house_quality", importance="high", content="wall crack", card_no="VIP-0001")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    await hu.create("complaint_step", complaint=complaint["id"], opinion="派人查看", expected=tomorrow.isoformat())
    assert (await hu.get(f"/records/complaint/{complaint['id']}"))["state"] == "in_progress"
    assert await hu.list("complaint", view="overdue") == []
    await _clock(tenant, days=3)
    await timers.run_all(await system_context(tenant.id))
    assert [r["id"] for r in await hu.list("complaint", view="overdue")] == [complaint["id"]]
    assert [n["title"].startswith(w["overdue"]) for n in (await hu.get("/notifications"))["data"] if n["record"] == complaint["id"]] == [True]
    await hu.create("complaint_step", complaint=complaint["id"], opinion="已修补")
    assert (await hu.move("complaint", complaint["id"], "close"))["record"]["state"] == "done"
    assert await hu.list("complaint", view="overdue") == []
    await _clock(tenant, days=0)
    refused(await hu.send("PATCH", f"/records/complaint/{complaint['id']}", {"values": {"content": "x"}}), 403)

    # 16 a kettle for 200 points; she sees it on the website
    plan = (await hu.create("redemption_plan", name="水壶", item="电水壶", points_needed=200, stock=5))["id"]
    await hu.create("redemption_plan", name="内部", item="x", points_needed=1, public=False)
    redeemed = await hu.create("redemption", plan=plan, member=he)
    assert redeemed["values"]["points"] == 200 and (await values("member", he))["points"] == 330 and (await values("redemption_plan", plan))["left"] == 4
    refused(await hu.send("POST", "/records/redemption", {"values": {"plan": plan, "member": he, "quantity": 2}}), 422)
    account = await create_user(tenant.id, f"fang@{tenant.slug}.example", PASSWORD, "He Fang", ["member"])
    await admin.change("member", he, account=str(account))
    fang = await Person(admin.client, people["host"], language=hu.language).sign_in(f"fang@{tenant.slug}.example", PASSWORD)
    assert [r["id"] for r in await fang.list("redemption")] == [redeemed["id"]] and {r["id"] for r in await fang.list("redemption_plan")} == {plan}
    assert [r["id"] for r in await fang.list("member")] == [he] and (await fang.list("member"))[0]["values"]["points"] == 330

    # 17 she leaves: approved, archived, cards void, a notice is sent
    assert "exit_type" in fields_of(await hu.move("member", he, "request_exit", expect=422))
    assert (await hu.move("member", he, "request_exit", exit_type="contact_invalid"))["record"]["state"] == "pending_exit"
    await decide()
    left = await hu.get(f"/records/member/{he}")
    assert left["state"] == "exited" and he in {r["id"] for r in await hu.list("member", view="archive")}
    assert {r["state"] for r in await hu.list("card") if r["values"]["member"] == he} == {"void"}
    assert any(w["left"] in text for text in await _deliver(people))
    refused(await hu.send("PATCH", f"/records/member/{he}", {"values": {"mobile": "13900000097"}}), 403)
    assert (await values("buyer", customer))["is_member"] is False

    # 18 merchants by the discount of their services
    for number, name, offer in (("S-1", "绿茶餐厅", "会员8折"), ("S-2", "悦动健身", "免费体验")):
        made = (await hu.create("merchant", number=number, name=name))["id"]
        await hu.create("merchant_service", merchant=made, name="会员服务", discount=offer)
    [merchant] = await hu.list("merchant", filter=json.dumps({"expr": "exists(offers where contains(discount, '8折'))"}))
    assert merchant["values"]["name"] == "绿茶餐厅"
    assert [r["values"]["discount"] for r in await hu.list("merchant_service", q="8折")] == ["会员8折"]
