"""Pools as people meet them: pages without scripts, and the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest_asyncio

from saas.metadata.parse import problems_of
from saas.runtime import execute
from saas.runtime import operations as ops
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import PASSWORD, Lab, _role, make_lab
from tests.integration.test_pages import Browser
from tests.pool_bundle import pool_bundle


@pytest_asyncio.fixture(scope="module")
async def firm(database) -> Lab:
    bundle = pool_bundle()
    bundle["entities"][0]["fields"] += [fld("phone", "text"), fld("code", "text", set_once=True)]
    next(t for t in bundle["pipelines"][0]["transitions"] if t["key"] == "give_up")["ask"] += ["phone", "code"]
    bundle["roles"].append(_role("veiled", {"client": {"read": "own", "update": "own", "bulk": True, "fields": {"phone": "masked", "owner": "hidden"}}}))
    lab = await make_lab(bundle, people=False)
    for key, role in (("ann", "seller"), ("bob", "seller"), ("tang", "boss"), ("vera", "veiled")):
        await lab.person(key, [role], "north")
    return lab


async def _in(http: Any, lab: Lab, who: str) -> Browser:
    browser = Browser(http, f"{lab.slug}.localhost")
    email = f"{who}@{lab.slug}.example"
    assert (await browser.sign_in(email, PASSWORD)).status_code == 303
    return browser


async def _token(http: Any, lab: Lab, who: str) -> dict[str, str]:
    answer = await http.post("/api/v1/tokens", json={"email": f"{who}@{lab.slug}.example", "password": PASSWORD}, headers={"host": f"{lab.slug}.localhost"})
    return {"host": f"{lab.slug}.localhost", "authorization": f"Bearer {answer.json()['token']}"}


async def test_claiming_and_giving_back_on_pages(firm, http):
    first = await firm.make("client", name="First in line", owner=None)
    ann = await _in(http, firm, "ann")
    pool = await ann.get("/r/client?view=pool_open")
    assert "First in line" in pool.text and "Claim next" in pool.text and "You hold 0 of 3" in pool.text
    opened = await ann.post("/r/client/claim", {"pool": "open"})
    assert opened.headers["location"] == f"/r/client/{first}"
    page = await ann.get(f"/r/client/{first}")
    assert 'data-pool-act="release"' in page.text and 'data-pool-act="claim"' not in page.text
    assert "Days to go" in (await ann.get("/r/client?cols=name&cols=days_left")).text
    asked = await ann.get(f"/r/client/{first}/release")
    for said in ("Put “First in line” into “Open pool”?", "You are not responsible for it any more.", "Whoever may claim from “Open pool” can take it at once.", "You can claim it again in 7 days", "Its stage becomes “Public”.", 'name="note"'):
        assert said in asked.text, said
    too_long = await ann.post(f"/r/client/{first}/release", {"note": "x" * 5000})
    assert too_long.status_code == 422 and (await firm.get("client", first)).owner == firm.people["ann"]
    assert (await ann.post(f"/r/client/{first}/release", {"note": "moved away", "name": "not asked for"})).status_code == 303
    back = await firm.get("client", first)
    assert (back.owner, back.title, back.values["note"]) == (None, "First in line", "moved away")
    assert "Back in “Open pool”" in (await ann.get("/r/client")).text
    assert (await ann.get(f"/r/client/{first}/release")).status_code == 403
    assert "First in line" in (await ann.get("/r/client?view=pool_open")).text
    refused = await ann.post(f"/r/client/{first}/claim")
    assert refused.status_code == 303 and "7" in (await ann.get("/r/client?view=pool_open")).text


async def test_ticked_rows_and_assigning(firm, http):
    ids = [str(await firm.make("client", name=f"Row {n}", owner=None)) for n in range(4)]
    bob = await _in(http, firm, "bob")
    await bob.get("/r/client?view=pool_open")
    assert (await bob.post("/r/client/bulk", {"act": "claim", "ids": ids, "next": "/r/client?view=pool_open"})).status_code == 303
    assert "3 records are yours now" in (shown := (await bob.get("/r/client?view=pool_open")).text) and "1 record was left as it is" in shown
    mine = [i for i in ids if (await firm.get("client", UUID(i))).owner]
    asked = await bob.post("/r/client/bulk", {"act": "release", "ids": ids, "next": "/r/client"})
    for said in ("Put 3 records into “Open pool”?", "You lose 3 records.", "You can claim it again in 7 days", "1 of them stays as it is"):
        assert said in asked.text, said
    assert all([(await firm.get("client", UUID(i))).owner for i in mine]), "asked first"
    await bob.post("/r/client/bulk", {"act": "release", "ids": mine, "next": "/r/client", "confirmed": "1"})
    assert not any([(await firm.get("client", UUID(i))).owner for i in ids])
    tang = await _in(http, firm, "tang")
    dialog = await tang.get(f"/r/client/{ids[0]}/assign")
    assert 'name="owner"' in dialog.text
    assert (await tang.post(f"/r/client/{ids[0]}/assign", {"owner": ""})).status_code == 422
    assert (await tang.post(f"/r/client/{ids[0]}/assign", {"owner": str(firm.people["ann"])})).status_code == 303
    assert (await firm.get("client", UUID(ids[0]))).owner == firm.people["ann"]


async def test_putting_back_neither_empties_what_one_may_not_see_nor_writes_over_what_is_set_once(firm, http):
    """Nor does it need to see whose the records are."""
    record_id = await firm.make("client", name="Veiled", owner=None, phone="13900000777", code="C-1")
    await execute(await firm.ctx("tang"), ops.Assign(entity="client", id=record_id, to=firm.people["vera"]))
    vera = await _in(http, firm, "vera")
    ticked = await vera.post("/r/client/bulk", {"act": "release", "ids": [str(record_id)], "next": "/r/client"})
    assert ticked.status_code == 200 and "Put “Veiled” into “Open pool”?" in ticked.text
    dialog = await vera.get(f"/r/client/{record_id}/release")
    assert 'name="phone"' in dialog.text and "13900000777" not in dialog.text and 'value="C-1"' in dialog.text
    refused = await vera.post(f"/r/client/{record_id}/release", {"note": "", "phone": "", "code": "C-2"})
    assert refused.status_code == 422 and "This cannot change after it was first saved." in refused.text
    assert (await vera.post(f"/r/client/{record_id}/release", {"note": "gone", "phone": "", "code": "C-1"})).status_code == 303
    back = await firm.get("client", record_id)
    assert (back.owner, back.values["note"], back.values["phone"], back.values["code"]) == (None, "gone", "13900000777", "C-1")


async def test_the_same_over_the_api(firm, http):
    record_id = await firm.make("client", name="By API", owner=None, region="south")
    seller = await _token(http, firm, "bob")
    found = (await http.get("/api/v1/records/client/pools", headers=seller)).json()["data"]
    assert [(p["key"], p["can_claim"], p["most_held"]) for p in found] == [("south", True, None), ("open", True, 3)]
    assert (await http.post(f"/api/v1/records/client/{record_id}/claim", headers=seller, json={})).status_code == 409, "it lies in another department"
    boss = await _token(http, firm, "tang")
    other = await firm.make("client", "tang", name="Ours", owner=None, region="south")
    claimed = await http.post(f"/api/v1/records/client/{other}/claim", headers=seller, json={})
    assert claimed.status_code == 200 and claimed.json()["record"]["can"]["release"] is True and claimed.json()["record"]["state"] == "potential"
    assert (await http.post(f"/api/v1/records/client/{other}/assign", headers=boss, json={"owner": str(firm.people["tang"])})).json()["record"]["owner"] == str(firm.people["tang"])
    assert (await http.post(f"/api/v1/records/client/{other}/release", headers=boss, json={})).json()["record"]["owner"] is None
    document = (await http.get("/api/v1/openapi.json", headers=seller)).json()
    assert "/records/client/{id}/claim" in document["paths"] and "/records/call/{id}/claim" not in document["paths"]


async def test_a_menu_names_a_pool_and_lists_are_filtered_by_the_days_that_are_left(database, http):
    """The view of what lies in a pool stands in a menu like any other, for those who see the pool; an unknown one is a problem."""
    bundle = pool_bundle()
    roles = {r["key"]: r for r in bundle["roles"]}
    pool = bundle["entities"][0]["pools"][0]["key"]
    roles["seller"]["menu"] = [{"label": label("Work"), "items": ["client", f"client:pool_{pool}"]}]
    lab = await make_lab(bundle, people=False)
    await lab.person("ann", ["seller"], "north")
    ann = Browser(http, f"{lab.slug}.localhost")
    assert (await ann.sign_in(f"ann@{lab.slug}.example")).status_code == 303
    ctx = await lab.ctx("ann")
    for name, days in (("Old", 20), ("New", 1)):
        then = await lab.ctx("ann", at=ctx.now - timedelta(days=days))
        made = (await execute(await lab.system(at=then.now), ops.Create(entity="client", values={"name": name, "owner": None}))).effects[0]["id"]
        await execute(then, ops.Claim(entity="client", id=UUID(made)))
    page = (await ann.get("/r/client?cols=name&cols=days_left&f=days_left:lt:25")).text
    assert f'href="/r/client?view=pool_{pool}"' in page and (await ann.get(f"/r/client?view=pool_{pool}")).status_code == 200
    found = {r.id: r.values["days_left"] for r in (await execute(ctx, ops.List(entity="client", fields=["days_left"]))).records}
    least = min(found.values())
    some = await execute(ctx, ops.List(entity="client", filter={"field": "days_left", "op": "lt", "value": least + 1}))
    assert {r.id for r in some.records} == {i for i, left in found.items() if left == least} and len(found) == 2
    broken = pool_bundle()
    next(r for r in broken["roles"] if r["key"] == "seller")["menu"] = [{"label": label("Work"), "items": ["client:pool_nothing"]}]
    assert any("menu" in p.path for p in problems_of(broken))
