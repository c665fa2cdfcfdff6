"""The acceptance scenario of agent-referral through the API, all 17 steps, in both languages: agents and back office, each by the person who does it."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import timedelta

import pytest

from saas.runtime import clock
from saas.runtime.contexts import context_for_user
from saas.runtime.worker import run_for
from saas.tenants import create_user
from saas.tenants.features import set_tenant_feature
from tests.acceptance.api import Person, fields_of, refused
from tests.conftest import PASSWORD
from tests.integration.test_pages import Browser

ANNA, BOB = "seven blue kettles", "nine green ladders"


WORDS = {
    "zh_CN": {"tiles": ("新建客户信息", "未过信息", "审过信息", "本月报表"), "again": "以 A 登录", "known": "此电话已经录入过", "closed": "禁止登陆", "item": "验证信息不正确", "approved": "通过", "rejected": "审核不通过"},
    "en": {"tiles": ("New Referral", "Not yet approved", "Approved today", "This month"), "again": "Sign in as A", "known": "This phone number has been entered already", "closed": "This account is closed", "item": "The verification item is wrong", "approved": "Approved", "rejected": "Rejected"},
}  # fmt: skip


@pytest.mark.parametrize("locale", WORDS)
async def test_acceptance_scenario(http, tenant_factory, locale) -> None:
    words, language = WORDS[locale], locale.replace("_", "-")
    tenant = await tenant_factory(pack="agent-referral", locale=locale)
    host, email = f"{tenant.slug}.localhost", f"office@{tenant.slug}.example"
    await set_tenant_feature(tenant.id, "clock", True)
    await create_user(tenant.id, email, PASSWORD, "Office", ["office"], locale=locale)
    admin = await Person(http, host, language=language).sign_in(email, PASSWORD)

    # 1 accounts A and B: listed, both allowed
    agents = {}
    for login, name, area, password in (("jiayuan", "A", "Jiayuan", ANNA), ("lihua", "B", "Lihua", BOB)):
        made = await admin.create("agent", name=name, login=login, phone="13700000001", communities=area)
        agents[name] = made["id"]
        assert (await admin.get(f"/records/agent/{made['id']}/account"))["status"] == "none"
        assert "password" in fields_of(await admin.call("POST", f"/records/agent/{made['id']}/account", {"login": login, "password": "short"}, expect=422))
        account = await admin.call("POST", f"/records/agent/{made['id']}/account", {"login": login, "password": password}, expect=200)
        assert (account["status"], account["login"], account["role"]) == ("open", login, "agent")
    assert {(r["values"]["name"], r["values"]["login_state"]) for r in await admin.list("agent")} == {("A", "allowed"), ("B", "allowed")}

    # 2 price and notice
    await admin.create("settlement_price", price="50")
    await admin.create("notice", text="Report by 18:00 daily")
    await admin.create("notice", text="Another", expect=422)  # there is only one

    # 3 the notice stands before the four menus; the saved account needs no typing
    phone = Browser(http, host)
    answer = await phone.post("/login", {"email": "jiayuan", "password": ANNA, "remember": "on", "next": "/"})
    assert answer.status_code == 303, answer.text
    assert (await phone.get("/")).headers["location"].startswith("/notice")
    page = await phone.get("/notice")
    assert "Report by 18:00 daily" in page.text
    assert (await phone.post("/notice", {"shown": re.search(r'name="shown" value="([^"]+)"', page.text)[1], "next": "/start"})).status_code == 303
    page = (await phone.get("/start")).text
    assert page.count("data-tile") == 4 and all(name in page for name in words["tiles"])
    await phone.post("/logout", {})
    page = (await phone.get("/login")).text
    assert "data-known" in page and words["again"] in page
    before = dict(phone.cookies)
    assert (await phone.post("/login/device", {"next": "/start"})).headers["location"] == "/start"
    after, phone.cookies = phone.cookies, before  # a second tap, before the first one was answered
    assert (await phone.post("/login/device", {"next": "/start"})).headers["location"] == "/start"
    assert {k for k in after if "device" in k} and all(phone.cookies[k] == v for k, v in after.items() if "device" in k)
    assert (await phone.get("/start")).status_code == 200

    anna, bob = await Person(http, host, language=language).sign_in("jiayuan", ANNA), await Person(http, host, language=language).sign_in("LIHUA", BOB)
    await anna.create("agent", name="C", login="cc", expect=403)

    # 4 submitted
    one = await anna.create("referral", name="Mrs Lu", phone="13900000001", wechat="lu_wx")
    assert one["state"] == "unreviewed" and one["id"] in {r["id"] for r in await anna.list("referral", view="pending")}
    assert one["values"]["agent"] == agents["A"]

    # 5 the phone number is known, whoever entered it; nothing is told of the other record
    problem = await bob.create("referral", name="Lu", phone="139 0000 0001", expect=422)
    assert problem["errors"][0]["message"] == words["known"] and await bob.list("referral") == []
    assert one["id"] not in str(problem) and "Mrs Lu" not in str(problem)

    # 6 only B sees them
    two, three = [(await bob.create("referral", name=name, phone=phone_))["id"] for name, phone_ in (("Two", "13900000002"), ("Three", "13900000003"))]
    assert {r["id"] for r in await bob.list("referral")} == {two, three}
    assert {r["id"] for r in await anna.list("referral")} == {one["id"]}
    refused(await anna.send("GET", f"/records/referral/{two}"), 404)

    # 7 her own may be changed
    assert (await anna.change("referral", one["id"], wechat="lu_2"))["values"]["wechat"] == "lu_2"
    refused(await anna.send("PATCH", f"/records/referral/{two}", {"values": {"wechat": "x"}}), 404)

    # 8 approved together, one rejected with a reason
    done = await admin.call("POST", "/records/referral/bulk", {"action": "transition", "ids": [one["id"], two], "key": "approve"})
    assert (done["done"], done["failed"]) == (2, []), done
    assert "reason" in fields_of(await admin.move("referral", three, "reject", expect=422))
    await admin.move("referral", three, "reject", reason="wrong number")
    refused(await anna.send("POST", f"/records/referral/{one['id']}/transitions/approve", {"values": {}}), 403)

    # 9 the back office neither edits nor deletes
    refused(await admin.send("PATCH", f"/records/referral/{one['id']}", {"values": {"wechat": "x"}}), 403)
    refused(await admin.send("DELETE", f"/records/referral/{one['id']}"), 403)
    seen = await admin.get(f"/records/referral/{one['id']}")
    assert (seen["can"]["update"], seen["can"]["delete"], seen["values"]["agent"]) == (False, False, agents["A"])

    # 10 corrected: it is reviewed again
    rejected = (await bob.get(f"/records/referral/{three}"))["values"]
    assert (rejected["status"], rejected["reason"]) == ("rejected", "wrong number")
    assert [(await bob.get(f"/records/referral/{r}"))["display"]["status"] for r in (two, three)] == [words["approved"], words["rejected"]]
    await bob.change("referral", three, phone="13900000004")
    again = await bob.get(f"/records/referral/{three}")
    assert (again["state"], again["values"]["reason"]) == ("unreviewed", None)
    await bob.change("referral", two, wechat="x", expect=403)  # approved is final

    # 11 approved today, and no longer tomorrow; the month still has it
    assert [r["id"] for r in await anna.list("referral", view="approved_today")] == [one["id"]]
    month = (await admin.get("/statements/monthly"))["period"]
    await _tomorrow(tenant)
    assert await anna.list("referral", view="approved_today") == []
    mine = await anna.get("/statements/monthly", period=month)
    assert [r["values"]["name"] for r in mine["records"]] == ["Mrs Lu"]
    await _tomorrow(tenant, back=True)

    # 12 her own figures, and B's by no link and no id
    assert _figures(mine) == ([("A", 1.0, "50.00")], (1.0, "50.00"))
    assert _figures(await anna.get("/statements/monthly", period=month, party=agents["B"])) == ([], (0.0, "0.00"))
    refused(await anna.send("GET", f"/records/agent/{agents['B']}"), 404)
    refused(await anna.send("GET", f"/records/referral/{two}/history"), 404)
    refused(await anna.send("GET", f"/records/agent/{agents['A']}/account"), 403)
    refused(await anna.send("GET", "/reports/yearly"), 403)
    assert await anna.get("/search", q="Two") == {"data": [], "next": None} or not (await anna.get("/search", q="Two"))["data"]

    # 13 everybody's figures, those of one agent, and the same in Excel
    assert _figures(await admin.get("/statements/monthly", period=month)) == ([("A", 1.0, "50.00"), ("B", 1.0, "50.00")], (2.0, "100.00"))
    assert _figures(await admin.get("/statements/monthly", period=month, party=agents["B"])) == ([("B", 1.0, "50.00")], (1.0, "50.00"))
    desk = Browser(http, host)
    await desk.sign_in(f"office@{tenant.slug}.example")
    sheet = await desk.get(f"/statements/monthly/export?period={month}&party={agents['B']}")
    with zipfile.ZipFile(io.BytesIO(sheet.content)) as file:
        text = "".join(file.read(n).decode() for n in file.namelist() if n.endswith(".xml"))
    assert "13900000002" in text and "13900000001" not in text and ">50<" in text.replace("50.0<", "50<")

    third = (await bob.create("referral", name="Five", phone="13900000005"))["id"]  # so that three go in step 16

    # 14 forbidden: the open session ends, and the sign-in says whom to call
    await admin.change("agent", agents["B"], login_state="forbidden")
    refused(await bob.send("GET", "/me"), 401)
    answer = await Browser(http, host).post("/login", {"email": "lihua", "password": BOB}, accept_language=language)
    assert answer.status_code == 401 and "400-000-0000" in answer.text and words["closed"] in answer.text
    answer = await Browser(http, host).post("/login", {"email": "lihua", "password": "not the password"})
    assert "400-000-0000" not in answer.text  # only to who knows the password
    problem = await bob.send("POST", "/tokens", {"email": "lihua", "password": BOB})
    assert problem.status_code == 401 and problem.json()["code"] == "account_closed" and "400-000-0000" in problem.json()["detail"]

    # 15 her own password only with the verification item
    async def password(old, new, item):
        return await desk.post("/profile/password", {"current": old, "password": new, "item": item})

    assert (await password(PASSWORD, "another long password", "")).status_code == 422
    assert (await password(PASSWORD, "another long password", "my first dog")).status_code == 303  # chosen with the first change
    refusal = await password("another long password", "a third long password", "my second dog")
    assert refusal.status_code == 422 and words["item"] in refusal.text
    assert (await password("another long password", "a third long password", "my first dog")).status_code == 303
    admin = await Person(http, host, language=language).sign_in(f"office@{tenant.slug}.example", "a third long password")

    # 16 with the agent go the referrals, after the count was told
    preview = await admin.get(f"/records/agent/{agents['B']}/deletion")
    assert [(x["entity"], x["count"]) for x in preview["data"]] == [("referral", 3)], preview
    await admin.call("DELETE", f"/records/agent/{agents['B']}", expect=None)
    assert {r["id"] for r in await admin.list("referral")} == {one["id"]}
    for gone in (two, three, third):
        refused(await admin.send("GET", f"/records/referral/{gone}"), 404)
    assert _figures(await admin.get("/statements/monthly", period=month)) == ([("A", 1.0, "50.00")], (1.0, "50.00"))

    # 17 purged: everything is exported first, the count is confirmed, accounts are kept
    refused(await anna.send("POST", "/records/referral/purge", {"count": 1}), 403)
    plan = await admin.call("POST", "/records/referral/purge", {}, expect=200)
    assert plan["count"] == 4, "with those in the recycle bin"
    refused(await admin.send("POST", "/records/referral/purge", {"export": plan["export"], "count": 1}), 409)
    refused(await admin.send("POST", "/records/referral/purge", {"count": 4}), 422)
    done = await admin.call("POST", "/records/referral/purge", {"export": plan["export"], "count": 4}, expect=200)
    assert done["status"] == "done", done
    assert await admin.list("referral") == [] and [r["values"]["name"] for r in await admin.list("agent")] == ["A"]
    assert (await anna.send("GET", "/me")).status_code == 200
    assert (await anna.create("referral", name="Again", phone="13900000001"))["state"] == "unreviewed"


def _figures(found):
    lines = [(x["name"], x["count"], x["amount"]["amount"]) for x in found["data"]]
    return lines, (found["total"]["count"], (found["total"]["amount"] or {}).get("amount"))


async def _tomorrow(tenant, *, back: bool = False) -> None:
    ctx = await context_for_user(tenant.id, tenant.admin_id)
    if back:
        return await clock.reset(ctx)
    job = await run_for(ctx, await clock.begin_move(ctx, ctx.now + timedelta(days=1)), 600)
    assert job.status == "done", job
