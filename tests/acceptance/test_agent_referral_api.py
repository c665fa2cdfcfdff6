"""The acceptance scenario of agent-referral through the API, in Chinese: agents and back office, each by the person who does it.

Left out, because the engine cannot do them yet: a notice that has to be acknowledged before the menu opens (step 3; it stands on the agents' first page),
the telephone number in the refusal of a forbidden account (14), the administrator's own second channel for a new password (15; the product's own
rules for passwords hold), and a purge by right with counts (17).
"""

from __future__ import annotations

import io
import zipfile

import pytest_asyncio

from saas.tenants import create_user
from tests.acceptance.api import Person, fields_of, refused
from tests.conftest import PASSWORD


@pytest_asyncio.fixture(scope="module")
async def people(http, tenant_factory):
    tenant = await tenant_factory(pack="agent-referral", locale="zh_CN")
    host = f"{tenant.slug}.localhost"
    found = {"tenant": tenant, "system": await Person(http, host).sign_in(tenant.admin_email, tenant.admin_password)}
    for key, role in {"office": "office", "anna": "agent", "bob": "agent"}.items():
        email = f"{key}@{tenant.slug}.example"
        await create_user(tenant.id, email, PASSWORD, key.title(), [role])
        found[key] = await Person(http, host).sign_in(email, PASSWORD)
    return found


async def test_acceptance_scenario(people) -> None:
    admin, anna, bob = (people[k] for k in ("office", "anna", "bob"))

    # 1 accounts
    for person, name, area in ((anna, "A", "Jiayuan"), (bob, "B", "Lihua")):
        made = await admin.create("agent", name=name, account=person.id, phone="13700000001", communities=area)
        person.agent = made["id"]  # type: ignore[attr-defined]
    assert {(r["values"]["name"], r["values"]["login_state"]) for r in await admin.list("agent")} == {("A", "allowed"), ("B", "allowed")}
    await anna.create("agent", name="C", expect=403)

    # 2 price and notice
    price = await admin.create("settlement_price", price="50")
    assert (await admin.get(f"/records/settlement_price/{price['id']}"))["values"]["current"] is True
    await admin.create("notice", text="Report by 18:00 daily")
    await admin.create("notice", text="Another", expect=422)  # there is only one
    assert [r["values"]["text"] for r in await anna.list("notice")] == ["Report by 18:00 daily"]

    # 4 submitted
    one = await anna.create("referral", name="Mrs Lu", phone="13900000001", wechat="lu_wx")
    assert one["state"] == "unreviewed" and one["id"] in {r["id"] for r in await anna.list("referral", view="pending")}

    # 5 the phone number is known, whoever entered it
    problem = await bob.create("referral", name="Lu", phone="139 0000 0001", expect=422)
    assert problem["errors"][0]["message"] == "此电话已经录入过" and await bob.list("referral") == []

    # 6 only Bob sees his
    two, three = [(await bob.create("referral", name=name, phone=phone))["id"] for name, phone in (("Two", "13900000002"), ("Three", "13900000003"))]
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
    assert (seen["can"]["update"], seen["can"]["delete"], seen["values"]["agent"]) == (False, False, anna.agent)

    # 10 corrected: it is reviewed again
    rejected = (await bob.get(f"/records/referral/{three}"))["values"]
    assert (rejected["status"], rejected["reason"]) == ("rejected", "wrong number")
    await bob.change("referral", three, phone="13900000004")
    again = await bob.get(f"/records/referral/{three}")
    assert (again["state"], again["values"]["reason"]) == ("unreviewed", None)
    await bob.change("referral", two, wechat="x", expect=403)  # approved is final

    # 11, 12 approved today; her own report
    assert [r["id"] for r in await anna.list("referral", view="approved_today")] == [one["id"]]
    report = await anna.get("/reports/mine")
    assert _numbers(report) == ["1", "¥50.00"], report
    refused(await anna.send("GET", "/reports/monthly"), 403)

    # 13 the report of all, of one agent, and as a table file
    report = await admin.get("/reports/monthly")
    assert _numbers(report) == ["2", "¥100.00", "1"], report
    assert _numbers(await admin.get("/reports/monthly", agent=bob.id)) == ["1", "¥50.00", "1"]
    job = await admin.call("POST", "/exports", {"entity": "referral", "view": "all"})
    sheet = await admin.send("GET", f"/jobs/{job['id']}/result")
    with zipfile.ZipFile(io.BytesIO(sheet.content)) as file:
        assert "13900000002" in "".join(file.read(n).decode() for n in file.namelist() if n.endswith(".xml"))

    # 14 forbidden: no sign-in, open sessions end
    await people["system"].call("POST", f"/people/{bob.id}/deactivate", {"successor": None})
    refused(await bob.send("GET", "/me"), 401)
    refused(await bob.send("POST", "/tokens", {"email": f"bob@{people['tenant'].slug}.example", "password": PASSWORD}), 401)

    # 16 with the agent go the referrals
    await admin.call("DELETE", f"/records/agent/{bob.agent}", expect=None)
    assert {r["id"] for r in await admin.list("referral")} == {one["id"]}
    assert _numbers(await admin.get("/reports/monthly"))[:2] == ["1", "¥50.00"]


def _numbers(report) -> list[str]:
    return [w["text"] for w in report["widgets"] if w["type"] == "number"]
