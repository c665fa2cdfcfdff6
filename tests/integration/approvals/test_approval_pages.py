"""Approvals as people and programs meet them: inbox, deciding, starting, the API; in both languages, with somebody who may not see the record."""

from __future__ import annotations

import pytest_asyncio

from saas.runtime import execute
from saas.runtime import operations as ops
from saas.tenants import open_session


class Caller:
    """One person of the company, with a page's cookie and a program's token."""

    def __init__(self, http, host, token, csrf, bearer):
        self.http, self.host, self.token, self.csrf, self.bearer = http, host, token, csrf, bearer

    async def page(self, path, *, locale="en", expect=200):
        answer = await self.http.get(path, headers={"host": self.host, "cookie": f"session={self.token}", "accept-language": locale})
        assert answer.status_code == expect, answer.text[:2000]
        return answer.text

    async def fill(self, path, data, *, expect=303):
        answer = await self.http.post(path, data={"_csrf": self.csrf, **data}, headers={"host": self.host, "cookie": f"session={self.token}"})
        assert answer.status_code == expect, answer.text[:2000]
        return answer

    async def api(self, method, path, body=None, *, expect=200):
        answer = await self.http.request(method, f"/api/v1{path}", json=body, headers={"host": self.host, "authorization": f"Bearer {self.bearer}"})
        assert answer.status_code == expect, answer.text[:2000]
        return answer.json() if answer.content else None


@pytest_asyncio.fixture
async def people(http, buying):
    found = {}
    for name in ("clerk", "lead", "legal", "outside", "admin"):
        token, csrf, _ = await open_session(buying.tenant_id, buying.people[name], "web")
        bearer, _, _ = await open_session(buying.tenant_id, buying.people[name], "api")
        found[name] = Caller(http, f"{buying.slug}.localhost", token, csrf, bearer)
    return found


async def submitted(buying, **values):
    record_id = await buying.make("purchase", "clerk", **{"subject": "Forty chairs", "amount": 10, **values})
    await execute(await buying.ctx("clerk"), ops.Transition(entity="purchase", id=record_id, key="submit"))
    return record_id


async def test_from_the_inbox_to_the_decision(buying, people):
    record_id = await submitted(buying)
    text = await people["lead"].page("/approvals")
    assert "Forty chairs" in text and "data-waiting" in text
    page = await people["lead"].page(f"/r/purchase/{record_id}/approval")
    assert 'data-flow-state="current"' in page and "Fourty" not in page
    api = await people["lead"].api("GET", f"/records/purchase/{record_id}/approvals")
    flow = api["data"][0]
    refused = await people["lead"].fill(f"/r/purchase/{record_id}/approval/{flow['id']}", {"act": "reject", "task": flow["task_id"]}, expect=422)
    assert 'data-error-for="comment"' in refused.text
    await people["lead"].fill(f"/r/purchase/{record_id}/approval/{flow['id']}", {"act": "approve", "task": flow["task_id"], "comment": "fine <b>"})
    again = await people["lead"].fill(f"/r/purchase/{record_id}/approval/{flow['id']}", {"act": "approve", "task": flow["task_id"]}, expect=409)
    assert "Lead has decided this already" in again.text
    record = await people["clerk"].page(f"/r/purchase/{record_id}")
    assert "approved" in record and "fine &lt;b&gt;" in record and "<b>" not in record
    assert "Forty chairs" in await people["lead"].page("/approvals?box=done") and "Forty chairs" in await people["clerk"].page("/approvals?box=started")


async def test_many_at_once_each_for_itself(buying, people):
    good, cursed = await submitted(buying, subject="Good"), await submitted(buying, subject="cursed")
    tasks = {t["record_id"]: t["task_id"] for t in (await people["lead"].api("GET", "/approvals/tasks"))["data"]}
    answer = await people["lead"].fill("/approvals/bulk", {"ids": [tasks[str(good)], tasks[str(cursed)]], "comment": "all of them"}, expect=422)
    assert "1 approved" in answer.text and "Cursed" in answer.text
    assert (await buying.get("purchase", good)).state == "agreed" and (await buying.get("purchase", cursed)).state == "asked"


async def test_many_at_once_by_program(buying, people):
    good, cursed = await submitted(buying, subject="Well"), await submitted(buying, subject="cursed")
    tasks = {t["record_id"]: t["task_id"] for t in (await people["lead"].api("GET", "/approvals/tasks"))["data"]}
    ids = [tasks[str(cursed)], tasks[str(good)], str(good)]
    told = (await people["lead"].api("POST", "/approvals/tasks", {"ids": ids, "act": "approve", "comment": "all"}))["data"]
    assert [(t["id"], t["done"]) for t in told] == [(ids[0], False), (ids[1], True), (ids[2], False)]
    assert (told[0]["code"], told[2]["code"]) == ("invalid_input", "not_found") and "Cursed" in told[0]["message"]
    assert (await buying.get("purchase", good)).state == "agreed" and (await buying.get("purchase", cursed)).state == "asked"
    again = (await people["lead"].api("POST", "/approvals/tasks", {"ids": ids[:1], "act": "reject"}))["data"]
    assert again[0]["code"] == "invalid_input"  # a refusal says why


async def test_starting_with_a_preview(buying, people):
    record_id = await buying.make("purchase", "clerk", subject="Desk", amount=100)
    page = await people["clerk"].page(f"/r/purchase/{record_id}")
    assert "data-start-approval" in page
    dialog = await people["clerk"].page(f"/r/purchase/{record_id}/approval/start/pick")
    assert 'value="short"' in dialog and "Boss" in dialog
    answer = await people["clerk"].fill(f"/r/purchase/{record_id}/approval/start/pick/preview", {"way": "long"}, expect=200)
    assert "Legal" in answer.text and 'data-flow-state="planned"' in answer.text
    assert (await people["clerk"].fill(f"/r/purchase/{record_id}/approval/start/named", {}, expect=422)).text.count("data-error-summary") == 1
    await people["clerk"].fill(f"/r/purchase/{record_id}/approval/start/named", {"people": [str(buying.people["legal"])], "comment": "please"})
    edit = await people["clerk"].page(f"/r/purchase/{record_id}")
    assert "waits" in edit and f"/r/purchase/{record_id}/edit" not in edit


async def test_over_the_api(buying, people):
    clerk, legal = people["clerk"], people["legal"]
    record_id = await buying.make("purchase", "clerk", subject="Lamp", amount=5)
    path = f"/records/purchase/{record_id}/approvals"
    offered = (await clerk.api("GET", path))["start"]
    assert {s["key"] for s in offered} >= {"any_one", "pick", "named"} and "stuck" in {s["key"] for s in offered}
    steps = (await clerk.api("POST", path, {"approval": "any_one", "preview": True}))["steps"]
    assert [s["state"] for s in steps] == ["planned"]
    await clerk.api("POST", path, {"approval": "nothing"}, expect=404)
    await clerk.api("POST", path, {"approval": "stuck"}, expect=409)
    made = await clerk.api("POST", path, {"approval": "any_one", "comment": "please"}, expect=201)
    assert made["approval"]["status"] == "running"
    refused = await clerk.api("PATCH", f"/records/purchase/{record_id}", {"subject": "x"}, expect=409)
    assert refused["reason"] == "in_approval"
    [task] = [t for t in (await legal.api("GET", "/approvals/tasks"))["data"] if t["record_id"] == str(record_id)]
    await clerk.api("POST", f"/approvals/tasks/{task['task_id']}", {"act": "approve"}, expect=403)
    await legal.api("POST", f"/approvals/tasks/{task['task_id']}", {"act": "dance"}, expect=400)
    await legal.api("POST", f"/approvals/{task['flow_id']}", {"act": "comment", "comment": "hm"})
    done = await legal.api("POST", f"/approvals/tasks/{task['task_id']}", {"act": "approve", "comment": "ok"})
    assert (done["approval"]["status"], [e["act"] for e in done["approval"]["events"]]) == ("approved", ["started", "commented", "approved", "ended_approved"])
    document = await clerk.api("GET", "/openapi.json")
    assert "/records/purchase/{id}/approvals" in str(document["paths"].keys()) and "/approvals/tasks/{id}" in document["paths"]


async def test_imports_meet_the_frozen_record(buying, people):
    record_id = await submitted(buying, subject="Frozen one")
    plan = {"entity": "purchase", "rows": [{"Subject": "Frozen one", "Amount": "7"}], "duplicates": "update", "match": "subject"}
    job = await people["clerk"].api("POST", "/imports", plan)
    assert job["result"]["failed"] == 1, job
    assert (await buying.get("purchase", record_id)).values["amount"] == 10


async def test_who_is_asked_decides_without_seeing_the_record(buying, people):
    record_id = await submitted(buying, subject="Hidden one")
    flow = (await people["lead"].api("GET", f"/records/purchase/{record_id}/approvals"))["data"][0]
    await people["outside"].page(f"/r/purchase/{record_id}/approval", expect=404)
    await people["lead"].fill(f"/r/purchase/{record_id}/approval/{flow['id']}", {"act": "delegate", "task": flow["task_id"], "person": str(buying.people["outside"])})
    page = await people["outside"].page(f"/r/purchase/{record_id}/approval")
    assert "Hidden one" in page and f'href="/r/purchase/{record_id}"' not in page
    await people["outside"].page(f"/r/purchase/{record_id}", expect=404)
    await people["outside"].fill(f"/r/purchase/{record_id}/approval/{flow['id']}", {"act": "approve", "task": flow["task_id"]})
    assert (await buying.get("purchase", record_id)).state == "agreed"


async def test_deputies_and_heads_on_their_pages(buying, people):
    wrong = await people["legal"].fill("/approvals/deputies", {"deputy": str(buying.people["legal"]), "first_day": "2030-02-02", "last_day": "2030-02-01"}, expect=422)
    assert "Choose one of the people offered" in wrong.text and "The last day comes after" in wrong.text
    await people["legal"].fill("/approvals/deputies", {"deputy": str(buying.people["clerk"]), "first_day": "2030-02-02", "last_day": "2030-02-04"})
    assert "<td>Clerk" in await people["legal"].page("/approvals/deputies")
    ill = f"/approvals/deputies?person={buying.people['legal']}"
    await people["legal"].page(f"/approvals/deputies?person={buying.people['clerk']}", expect=403)
    await people["admin"].fill("/approvals/deputies", {"person": str(buying.people["legal"]), "deputy": "", "first_day": "2030-03-02", "last_day": "2030-03-04"})
    page = await people["admin"].page(ill)
    assert "nobody: decisions wait" in page and "When Legal is away" in page and "<td>Clerk" in page
    answer = await people["legal"].api("POST", "/deputies", {"person": str(buying.people["clerk"]), "first_day": "2030-03-02", "last_day": "2030-03-04"}, expect=403)
    assert answer["code"] == "permission_denied"
    assert any(d["deputy_id"] is None for d in (await people["admin"].api("GET", "/deputies?everybody=true"))["data"])
    await people["legal"].page("/settings/departments", expect=403)
    await people["admin"].fill("/settings/departments/new", {"name_en": "Field work", "name_zh_CN": "外勤", "parent": str(buying.departments["sales"]), "head": str(buying.people["legal"])})
    text = await people["admin"].page("/settings/departments")
    assert "Field work" in text and "Legal" in text
    sales = f"/settings/departments/{buying.departments['sales']}"
    assert "Lead" in await people["admin"].page(sales)
    circle = await people["admin"].fill(sales, {"name_en": "Sales", "parent": str(buying.departments["sales"]), "head": str(buying.people["lead"])}, expect=422)
    assert "below itself" in circle.text
    assert "still has people" in (await people["admin"].fill(f"{sales}/remove", {}, expect=409)).text


async def test_every_page_in_chinese(buying, people):
    from saas.tenants import update_user

    record_id = await submitted(buying, subject="椅子")
    for name, path in (
        ("lead", "/approvals"), ("lead", f"/r/purchase/{record_id}/approval"), ("lead", f"/r/purchase/{record_id}"), ("lead", "/approvals/deputies"), ("admin", "/settings/departments"),
    ):  # fmt: skip
        await update_user(buying.tenant_id, buying.people[name], {"locale": "zh_CN"})
        text = await people[name].page(path, locale="zh_CN")
        assert "审批" in text
        await update_user(buying.tenant_id, buying.people[name], {"locale": "en"})


