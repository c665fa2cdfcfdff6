"""A review: applications wait until somebody has compared them with the members there are and with each other."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.errors import AppError, Conflict, InvalidInput, NotFound, PermissionDenied
from saas.metadata.parse import problems_of
from saas.runtime import execute, reviews
from saas.runtime import operations as ops
from tests.acceptance.api import Person, refused
from tests.bundles import field as fld
from tests.bundles import label
from tests.conftest import PASSWORD
from tests.factories import Lab, make_lab
from tests.integration.test_pages import Browser

_numbers = iter(range(20000000, 99999999))


def number() -> str:
    return f"139{next(_numbers)}"


def club_bundle() -> dict[str, Any]:
    member = {
        "key": "member", "label": label("Member"), "plural": label("Members"), "title": "name", "owned": False,
        "fields": [fld("name", "text", required=True), fld("identity", "text", unique=True), fld("mobile", "phone"), fld("address", "text"), fld("active", "bool", default=True),
                   fld("purchases", "int", default=0)],
    }  # fmt: skip
    application = {
        "key": "application", "label": label("Application"), "plural": label("Applications"), "title": "name",
        "fields": [
            fld("name", "text", required=True), fld("id_no", "text"), fld("mobile", "phone"), fld("address", "text"), fld("channel", "option", options=[{"key": k, "label": label(k.title())} for k in ("site", "website")], default="site"),
            fld("member", "ref", to="member", on_delete="set_null"), fld("merged_into", "ref", to="application", on_delete="set_null"), fld("status", "pipeline", pipeline="application"),
        ],
    }  # fmt: skip
    adopt = {"action": "set", "target": "member", "values": {"purchases": "member.purchases + 1"}}
    pipeline = {
        "key": "application", "entity": "application", "field": "status", "label": label("Application"),
        "stages": [{"key": "pending", "label": label("Pending")}, {"key": "approved", "label": label("Approved"), "kind": "won"}, {"key": "merged", "label": label("Merged"), "kind": "done"}],
        "transitions": [
            {"key": "match", "label": label("Match to the member"), "from": ["pending"], "to": "merged", "roles": ["service"], "effects": [adopt]},
            {"key": "known", "label": label("Known already"), "from": ["pending"], "to": "merged", "roles": ["service"],
             "effects": [{"action": "block", "if": "channel == 'website'", "message": label("Member already exists")}, adopt]},
            {"key": "unite", "label": label("One new member of all"), "from": ["pending"], "to": "approved", "roles": ["service"], "require": ["mobile", "address"],
             "effects": [{"action": "create", "entity": "member", "as": "made", "values": {"name": "name", "identity": "id_no", "mobile": "mobile", "address": "address"}}, {"action": "set", "values": {"member": "result.made"}}]},
            {"key": "admit", "label": label("New member"), "from": ["pending"], "to": "approved", "roles": ["service"], "ask": ["address"],
             "effects": [{"action": "create", "entity": "member", "as": "made", "values": {"name": "name", "identity": "id_no", "mobile": "mobile"}}, {"action": "set", "values": {"member": "result.made"}}]},
            {"key": "absorb", "label": label("Merged into another"), "from": ["pending"], "to": "merged", "roles": ["service"]},
        ],
    }  # fmt: skip
    all_ = {"create": True, "read": "all", "update": "all", "delete": "all"}
    return {
        "format": 1, "pack": {"key": "club", "version": "1.0.0", "label": label("Club")}, "entities": [member, application], "pipelines": [pipeline],
        "roles": [
            {"key": "admin", "label": label("Admin"), "admin": True}, {"key": "service", "label": label("Service"), "entities": {"*": all_}},
            {"key": "site", "label": label("Site"), "entities": {"application": {"create": True, "read": "own", "update": "own"}, "member": {"read": "none"}}, "transitions": {}},
        ],
        "reviews": [
            {"key": "membership", "label": label("Membership"), "entity": "application", "stage": "pending", "target": "member", "source": "merged_into", "target_if": "active == true",
             "exact": ["id_no"], "exact_there": ["identity"], "similar": ["name", "mobile"], "exact_found": "known", "both": "match", "target_only": "match", "sources_only": "unite",
             "nothing": "admit", "each_source": "absorb"},
        ],
        "automations": [
            {"key": "wait", "label": label("Wait"), "entity": "application", "on": {"trigger": "create"}, "do": [{"action": "enqueue_review", "review": "membership"}]},
        ],
    }  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def desk(database) -> Lab:
    lab = await make_lab(club_bundle(), people=False)
    for name, role in {"hu": "service", "jin": "site"}.items():
        await lab.person(name, [role])
    return lab


async def apply(desk, by="jin", **values) -> UUID:
    return await desk.make("application", by=by, **values)


async def items(desk, by="hu") -> dict[UUID, UUID]:
    ctx = await desk.ctx(by)
    async with tenant_transaction(desk.tenant_id) as conn:
        return {w.record.id: w.id for w in await reviews.waiting(conn, ctx, *reviews.review_of(ctx, "membership"))}


async def panel(desk, item) -> reviews.Panel:
    ctx = await desk.ctx("hu")
    async with tenant_transaction(desk.tenant_id) as conn:
        return await reviews.panel(conn, ctx, *reviews.review_of(ctx, "membership"), item)


async def decide(desk, record, target=None, sources=(), by="hu", **values) -> ops.Change:
    waits = await items(desk)
    return await execute(await desk.ctx(by), ops.Decide(entity="application", review="membership", item=waits[record], target=target, sources=[waits.get(s, s) for s in sources], values=values))


async def member(desk, record) -> Any:
    found = await desk.get("application", record)
    return found, (await desk.get("member", UUID(found.values["member"]))) if found.values["member"] else None


async def test_others_that_wait_become_one_new_member(desk):
    phone = number()
    first = await apply(desk, name="He Fang", id_no="A-1", mobile=phone)
    second = await apply(desk, name="He Fang", mobile=phone)
    stranger = await apply(desk, name="Zhou Qi", mobile=number())
    waits = await items(desk)
    seen = await panel(desk, waits[second])
    assert [c.record.id for c in seen.sources] == [first] and dict(seen.sources[0].why) == {"name": 100, "mobile": 100} and seen.targets == []
    with pytest.raises(InvalidInput) as caught:  # what the transition requires
        await decide(desk, second, sources=[first])
    assert [p.field for p in caught.value.problems] == ["address"]
    assert set(await items(desk)) >= {first, second}  # and nothing of it was done
    assert (await decide(desk, second, sources=[first], address="1 Park Road")).case == "sources_only"
    record, made = await member(desk, second)
    assert (record.state, made.values["address"], made.values["name"]) == ("approved", "1 Park Road", "He Fang")
    other = await desk.get("application", first)
    assert (other.state, other.values["merged_into"]) == ("merged", str(second))
    assert set(await items(desk)) == {stranger}
    assert (await decide(desk, stranger, address="x")).case == "nothing"


async def test_a_member_wins_over_others_that_wait(desk):
    phone = number()
    known = await desk.make("member", by=None, name="Lu Yan", identity="L-1", mobile=phone)
    gone = await desk.make("member", by=None, name="Lu Yan", mobile=phone, active=False)
    first, second = await apply(desk, name="Lu Yann", mobile=phone), await apply(desk, name="Lu Yan", mobile=number())
    seen = await panel(desk, (await items(desk))[first])
    assert [c.record.id for c in seen.targets] == [known]
    with pytest.raises(Conflict):
        await decide(desk, first, target=gone)
    assert (await decide(desk, first, target=known, sources=[second])).case == "both"
    assert (await member(desk, first))[1].values["purchases"] == 1
    assert [(await desk.get("application", i)).state for i in (first, second)] == ["merged", "merged"]
    assert (await desk.get("application", second)).values["member"] == str(known)


async def test_an_exact_match_needs_nobody(desk):
    known = await desk.make("member", by=None, name="Gao", identity="G-1")
    record = await apply(desk, name="Somebody", id_no=" g-1 ")
    found, found_member = await member(desk, record)
    assert (found.state, found_member.id, found_member.values["purchases"]) == ("merged", known, 1) and record not in await items(desk)
    with pytest.raises(AppError) as caught:
        await apply(desk, name="Somebody", id_no="G-1", channel="website")
    assert str(caught.value.message) == "Member already exists"


async def test_who_may_and_what_they_learn(desk):
    record = await apply(desk, name="Private person", mobile=number())
    waits = await items(desk)
    with pytest.raises(NotFound):
        await items(desk, by="jin")
    with pytest.raises(NotFound):
        await execute(await desk.ctx("jin"), ops.Decide(entity="application", review="membership", item=waits[record]))
    with pytest.raises((NotFound, PermissionDenied)):
        await decide(desk, record, target=record)
    await execute(await desk.ctx("hu"), ops.Delete(entity="application", id=record))
    assert record not in await items(desk)


async def test_two_reviewers_at_once(desk):
    record = await apply(desk, name="Contested", mobile=number())
    waits = await items(desk)
    ctx = await desk.ctx("hu")
    done = await asyncio.gather(*(execute(ctx, ops.Decide(entity="application", review="membership", item=waits[record], values={"address": str(i)})) for i in range(4)), return_exceptions=True)
    assert sorted(type(d).__name__ for d in done) == ["Change", "NotFound", "NotFound", "NotFound"]
    members = await execute(ctx, ops.List(entity="member", filter="name == 'Contested'"))
    assert len(members.records) == 1


async def test_pages_and_program(desk, http):
    phone = number()
    host = f"{desk.slug}.localhost"
    hu, api = Browser(http, host), await Person(http, host, language="en").sign_in(f"hu@{desk.slug}.example", PASSWORD)
    jin = await Person(http, host, language="en").sign_in(f"jin@{desk.slug}.example", PASSWORD)
    assert (await hu.sign_in(f"hu@{desk.slug}.example")).status_code == 303
    await desk.make("member", by=None, name="Page Member", mobile=phone)
    first, second = await apply(desk, name="Page Membr", mobile=phone), await apply(desk, name="Page Member", mobile=number())
    waits = await items(desk)
    assert "Membership" in (await hu.get("/")).text or "Membership" in (await hu.get("/r/application")).text
    listed = await hu.get("/reviews/membership")
    assert str(waits[first]) in listed.text and "Begin" in listed.text
    page = await hu.get(f"/reviews/membership/{waits[first]}")
    assert page.status_code == 200 and 'name="_target"' in page.text and f'value="{waits[second]}"' in page.text and "Match to the member" in page.text
    target = re.search(r'name="_target" value="([0-9a-f-]{36})"', page.text)[1]
    wrong = await hu.post(f"/reviews/membership/{waits[first]}", {"_sources": str(waits[second])})
    assert wrong.status_code == 422 and f'value="{waits[second]}" checked' in wrong.text
    done = await hu.post(f"/reviews/membership/{waits[first]}", {"_target": target})
    assert done.status_code == 303 and done.headers["location"].startswith("/reviews/membership")
    assert (await hu.get(f"/reviews/membership/{waits[first]}")).status_code == 303
    assert [q["key"] for q in (await api.get("/reviews"))["data"]] == ["membership"] and (await jin.get("/reviews"))["data"] == []
    refused(await jin.send("GET", "/reviews/membership"), 404)
    shown = await api.get(f"/reviews/membership/{waits[second]}")
    assert shown["targets"][0]["record"]["id"] == target and shown["cases"]["sources_only"]["require"] == ["mobile", "address"]
    assert (await api.call("POST", f"/reviews/membership/{waits[second]}", {"target": target}))["case"] == "target_only"


async def test_a_rule_lets_look_alikes_wait(database):
    raw = club_bundle()
    raw["automations"] = []
    raw["entities"][1]["duplicates"] = [{"key": "mobile", "match": ["mobile"], "action": "queue", "review": "membership"}]
    lab = await make_lab(raw, people=False)
    for name, role in {"hu": "service", "jin": "site"}.items():
        await lab.person(name, [role])
    phone = number()
    first = await apply(lab, name="Queue one", mobile=phone)
    assert await items(lab) == {}
    change = await execute(await lab.ctx("jin"), ops.Create(entity="application", values={"name": "Queue two", "mobile": phone}))
    assert change.warnings == [] and set(await items(lab)) == {change.record.id} and first != change.record.id


def test_what_does_not_fit_is_told():
    raw = club_bundle()
    review = raw["reviews"][0]
    review |= {"exact_there": ["purchases"], "target_only": "nowhere", "source": "member"}
    del review["each_source"]
    found = {(p.path, p.code) for p in problems_of(raw)}
    assert {("reviews[membership].exact_there[purchases]", "unlike_fields"), ("reviews[membership].each_source", "missing"), ("reviews[membership].source", "wrong_target")} <= found
    assert any(path.startswith("reviews[membership].target_only") for path, _ in found)
