"""Pools: who sees what lies in them, who takes and gives it back, the limits, and what comes back by itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from saas.i18n import use_locale
from saas.metadata.models import PoolDef
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.runtime.bulk import bulk
from saas.runtime.contexts import context_for_user
from saas.runtime.explain import explain
from saas.runtime.pools.holding import notice
from saas.runtime.rows import Row
from saas.runtime.schedules import run_due
from saas.ui.pages.pools import what_happens
from tests.factories import Lab, make_lab
from tests.pool_bundle import CLIENT, ROLES, pool_bundle

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)  # noon in Shanghai


@pytest_asyncio.fixture(scope="module")
async def firm(database) -> Lab:
    lab = await make_lab(pool_bundle(), people=False)
    for key, role, department in (
        ("ann", "seller", "north"), ("bob", "seller", "north"), ("cat", "seller", "south"), ("tang", "boss", "north"), ("gu", "boss", "south"),
        ("wim", "watcher", "north"), ("out", "outsider", "north"),
    ):  # fmt: skip
        await lab.person(key, [role], department)
    return lab


async def _pooled(lab: Lab, name: str, by: str = "admin", **more: Any) -> UUID:
    return await lab.make("client", by, name=name, owner=None, **more)


async def _held(lab: Lab, name: str, owner: str, *, at: datetime = NOON) -> UUID:
    record_id = await _pooled(lab, name)
    await execute(await lab.ctx(owner, at=at), ops.Claim(entity="client", id=record_id))
    return record_id


async def _reset(lab: Lab, *people: str) -> None:
    """Nobody of these holds anything any more."""
    ctx = await lab.system()
    for person in people:
        page = await execute(ctx, ops.List(entity="client", filter={"field": "owner", "op": "eq", "value": str(lab.people[person])}, limit=200))
        for record in page.records:
            await execute(ctx, ops.Delete(entity="client", id=record.id))


async def _names(lab: Lab, who: str, **asked: Any) -> set[str]:
    return {r.title for r in (await execute(await lab.ctx(who), ops.List(entity="client", limit=200, **asked))).records}


async def test_who_may_read_such_records_sees_the_pool_and_nobody_else(firm):
    await _pooled(firm, "Open for all")
    await _pooled(firm, "Deep south", by="cat", region="south")
    assert "Open for all" in await _names(firm, "ann") and "Open for all" in await _names(firm, "gu")
    assert "Open for all" not in await _names(firm, "wim"), "the pool is for other roles"
    assert "Deep south" in await _names(firm, "cat") and "Deep south" not in await _names(firm, "bob")
    with pytest.raises(PermissionDenied):
        await _names(firm, "out")


async def test_claiming_moves_the_stage_and_is_told_in_the_history(firm):
    await _reset(firm, "ann")
    record_id = await _pooled(firm, "Suzhou Precision")
    change = await execute(await firm.ctx("ann", origin="page"), ops.Claim(entity="client", id=record_id))
    assert change.record.owner == firm.people["ann"] and change.record.state == "potential" and not change.record.can.claim and change.record.can.release
    assert "Suzhou Precision" not in await _names(firm, "bob")
    history = await execute(await firm.ctx("ann"), ops.History(entity="client", id=record_id))
    assert history[0].kind == "transition" and history[0].actor == "Ann" and {"owner", "library"} <= {c["field"] for c in history[0].changes}
    [event] = await firm.fetch("SELECT kind, user_id, pool FROM ownership_event WHERE tenant_id = $1 AND record_id = $2", record_id)
    assert (event["kind"], event["user_id"], event["pool"]) == ("claimed", firm.people["ann"], "open")


async def test_what_somebody_has_cannot_be_claimed_and_the_answer_tells_nothing(firm):
    await _reset(firm, "ann")
    record_id = await _held(firm, "Taken already", "ann")
    for unknown in (record_id, UUID(int=7)):
        with pytest.raises(Conflict) as refused:
            await execute(await firm.ctx("bob"), ops.Claim(entity="client", id=unknown))
        assert refused.value.data == {"reason": "taken"}


async def test_who_may_claim_assign_and_release(firm):
    await _reset(firm, "ann", "bob", "cat")
    record_id = await _pooled(firm, "Rights", region="south", by="cat")
    with pytest.raises(Conflict):
        await execute(await firm.ctx("wim"), ops.Claim(entity="client", id=record_id))
    with pytest.raises(PermissionDenied):
        await execute(await firm.ctx("cat"), ops.Assign(entity="client", id=record_id, to=firm.people["bob"]))
    await execute(await firm.ctx("gu"), ops.Assign(entity="client", id=record_id, to=firm.people["cat"]))
    told = await firm.fetch("SELECT title FROM notification WHERE tenant_id = $1 AND user_id = $2 AND record_id = $3", firm.people["cat"], record_id)
    assert [r["title"] for r in told] == ["Client “Rights” was assigned to you"]
    with pytest.raises(NotFound):
        await execute(await firm.ctx("tang"), ops.Release(entity="client", id=record_id))
    await execute(await firm.ctx("cat"), ops.Release(entity="client", id=record_id))
    back = await firm.get("client", record_id)
    assert back.owner is None and back.state == "public" and back.can.pool == "south"
    assert back.department == firm.departments["south"], "it lies where it came from"


async def test_what_is_said_of_a_pool_calls_it_what_the_company_calls_it(firm):
    """In notices, refusals and questions, in each reader's language."""
    await _reset(firm, "cat")
    ctx, record_id = await firm.ctx("cat"), await _pooled(firm, "Named", region="south", by="cat")
    entity = ctx.config.entity("client")
    pools = {p.key: p for p in entity.defn.pools}
    row = await execute(ctx, ops.Get(entity="client", id=record_id))
    for key in ("recycled", "taken", "warned"):
        titles = notice(ctx, entity, Row(id=record_id, entity="client", version=1, values=row.values), key, pools["south"], 2).titles
        assert "“Southern pool”" in titles["en"] and "“Southern pool（中）”" in titles["zh_CN"] and "公海" not in titles["zh_CN"]
    with pytest.raises(Conflict) as refused:
        await execute(await firm.ctx("bob"), ops.Claim(entity="client", pool="south"))
    with use_locale("zh_CN"):
        assert "“Southern pool（中）”" in str(refused.value.message)
        said, lines = what_happens(ctx.replace(locale="zh_CN"), entity, pools["open"], [row, row])
        assert said == "将 2 条记录放入“Open pool（中）”？" and "有权从“Open pool（中）”领取的人可以立即领取。" in lines


async def test_only_who_may_claim_from_a_pool_is_told_when_they_may_again(firm):
    ctx = await firm.ctx("ann")
    entity, record = ctx.config.entity("client"), await execute(ctx, ops.Get(entity="client", id=await _pooled(firm, "Cooling")))
    pool, record = next(p for p in entity.defn.pools if p.key == "open"), replace(record, owner=firm.people["ann"])

    def told(pool: PoolDef) -> bool:
        return any("claim it again" in line for line in what_happens(ctx, entity, pool, [record])[1])

    assert told(pool) and not told(replace(pool, claim_roles=("boss",)))


# ---- the rights, made from the definitions: every role x every act x every place a record can be in ---------------------------

PLACES = ("open", "south", "theirs", "somebodys", "somebodys in the south")
ACTS = ("claim", "assign", "release")
WHO = {"ann": ("seller", "north"), "cat": ("seller", "south"), "tang": ("boss", "north"), "gu": ("boss", "south"), "wim": ("watcher", "north"), "out": ("outsider", "north"), "admin": ("admin", None)}
BELOW = {"north": {"north"}, "south": {"south"}}  # the departments a person's tree holds


def _verdict(who: str, act: str, place: str) -> str:
    """What a person would read out of the pools and roles of the bundle."""
    role, department = WHO[who]
    pool = next(p for p in CLIENT["pools"] if p["key"] == ("south" if "south" in place else "open"))
    rights = next(r for r in ROLES if r["key"] == role).get("entities", {}).get("client", {})
    admin, lies, at = role == "admin", place in PLACES[:2], "south" if "south" in place else "north"
    opened = rights and role in pool.get("see_roles", [role]) and (pool.get("see") != "dept_tree" or at in BELOW[department]) if not admin else True
    reach = {"own": place == "theirs", "dept_tree": place == "theirs" or at in BELOW.get(department or "", ())}
    reads, updates = (admin or reach.get(rights.get(right, "none"), False) for right in ("read", "update"))
    if act == "claim":
        if not lies or not (reads or opened):
            return "Conflict"  # the same whatever the reason
        return "done" if admin or "update" in rights else "PermissionDenied"
    if not reads and not (lies and opened):
        return "NotFound"
    if act == "assign":
        return "done" if admin or role in pool["assign_roles"] else "PermissionDenied"
    if lies:
        return "Conflict"
    return "done" if admin or (updates and role in pool.get("release_roles", [role])) else "PermissionDenied"


class _Undo(Exception):
    pass


@pytest.mark.parametrize("who", WHO)
async def test_every_act_of_every_role_on_every_place(firm, who: str):
    got, want = {}, {}
    for place in PLACES:
        south = {"region": "south"} if "south" in place else {}
        for act in ACTS:
            verdict = "done"
            try:
                async with tenant_transaction(firm.tenant_id):
                    maker = "cat" if south else "bob"
                    record_id = await _pooled(firm, place, by=maker, **south)
                    if place not in PLACES[:2]:
                        holder = who if place == "theirs" else "gu" if south else "bob"
                        await execute(await firm.ctx("admin"), ops.Assign(entity="client", id=record_id, to=firm.people[holder]))
                    asked = {"claim": ops.Claim(entity="client", id=record_id), "assign": ops.Assign(entity="client", id=record_id, to=firm.people["bob"]), "release": ops.Release(entity="client", id=record_id)}[act]
                    try:
                        await execute(await firm.ctx(who), asked)
                    except (Conflict, NotFound, PermissionDenied) as error:
                        verdict = type(error).__name__
                    raise _Undo
            except _Undo:
                pass
            got[place, act], want[place, act] = verdict, _verdict(who, act, place)
    assert got == want


async def test_nobody_goes_round_the_rules_by_a_plain_edit(firm):
    await _reset(firm, "ann", "bob")
    lying, mine = await _pooled(firm, "By edit"), await _held(firm, "By edit too", "ann")
    for who, record_id, owner in (("ann", mine, None), ("admin", lying, str(firm.people["bob"])), ("admin", mine, None)):
        with pytest.raises(InvalidInput) as refused:
            await execute(await firm.ctx(who), ops.Update(entity="client", id=record_id, values={"owner": owner}))
        assert [p.code for p in refused.value.problems] == ["by_button"]


async def test_a_person_holds_no_more_than_the_setting_says_by_any_way(firm):
    await _reset(firm, "ann")
    held = [await _held(firm, f"Held {n}", "ann") for n in range(3)]
    more = await _pooled(firm, "One more")
    with pytest.raises(Conflict) as refused:
        await execute(await firm.ctx("ann"), ops.Claim(entity="client", id=more))
    assert refused.value.data == {"reason": "max_held", "most": 3}
    with pytest.raises(Conflict):
        await execute(await firm.ctx("tang"), ops.Assign(entity="client", id=more, to=firm.people["ann"]))
    with pytest.raises(Conflict):
        await execute(await firm.ctx("ann"), ops.Create(entity="client", values={"name": "My own"}))
    results = await execute(await firm.ctx("ann"), ops.CreateMany(entity="client", rows=[{"name": "Row 1"}, {"name": "Row 2", "owner": None}]))
    assert isinstance(results[0], Conflict) and isinstance(results[1], UUID)
    await execute(await firm.ctx("ann"), ops.Transition(entity="client", id=held[0], key="win"))  # what is won does not count
    await execute(await firm.ctx("ann"), ops.Claim(entity="client", id=more))


async def test_what_was_given_up_waits_and_a_day_has_so_many_claims(database):
    bundle = pool_bundle()
    bundle["settings"][1]["default"] = 4
    firm = await make_lab(bundle, people=False)
    await firm.person("bob", ["seller"], "north")
    day = NOON + timedelta(days=40)
    record_id = await _held(firm, "Given up", "bob", at=day)
    await execute(await firm.ctx("bob", at=day), ops.Release(entity="client", id=record_id))
    with pytest.raises(Conflict) as refused:
        await execute(await firm.ctx("bob", at=day + timedelta(days=6)), ops.Claim(entity="client", id=record_id))
    assert refused.value.data == {"reason": "cooling", "days": 1}
    await execute(await firm.ctx("bob", at=day + timedelta(days=7, hours=1)), ops.Claim(entity="client", id=record_id))
    for _ in range(3):
        other = await _held(firm, "Quick", "bob", at=day + timedelta(days=7, hours=1))
        await execute(await firm.ctx("bob", at=day + timedelta(days=7, hours=1)), ops.Release(entity="client", id=other))
    with pytest.raises(Conflict) as refused:
        await _held(firm, "Too quick", "bob", at=day + timedelta(days=7, hours=2))
    assert refused.value.data == {"reason": "claims_per_day", "most": 4}


async def _run(lab: Lab, at: datetime) -> dict[str, Any]:
    return {r.schedule: r for r in await run_due(await lab.system(at=at, origin="schedule"))}


async def _told(lab: Lab, who: str, record_id: UUID) -> list[str]:
    rows = await lab.fetch("SELECT title FROM notification WHERE tenant_id = $1 AND user_id = $2 AND record_id = $3 ORDER BY id", lab.people[who], record_id)
    return [r["title"] for r in rows]


async def test_records_nobody_works_on_are_warned_of_once_and_come_back(database):
    lab = await make_lab(pool_bundle(), people=False)
    await lab.person("ann", ["seller"], "north")
    mine, worked, kept = [await _held(lab, name, "ann") for name in ("Idle", "Worked on", "Key account")]
    await execute(await lab.system(), ops.Update(entity="client", id=kept, values={"key": True}))
    seen = await execute(await lab.ctx("ann", at=NOON), ops.Get(entity="client", id=mine))
    assert seen.values["days_left"] == 30 and seen.display["days_left"] == "30"

    for day, left, told in ((26, 4, 0), (27, 3, 1), (28, 2, 1), (29, 1, 2)):
        at = NOON + timedelta(days=day)
        await _run(lab, at)
        await _run(lab, at)
        seen = await execute(await lab.ctx("ann", at=at), ops.Get(entity="client", id=mine))
        assert seen.values["days_left"] == left and len(await _told(lab, "ann", mine)) == told, day
    assert await _told(lab, "ann", mine) == ["Client “Idle” goes back to “Open pool” in 3 days", "Client “Idle” goes back to “Open pool” in 1 day"]
    await execute(await lab.ctx("ann", at=NOON + timedelta(days=29)), ops.Create(entity="call", values={"text": "Called", "client": str(worked)}))

    reports = await _run(lab, NOON + timedelta(days=30))
    assert reports["pool_client_open_return"].done == 1 and not reports["pool_client_open_return"].failed
    back = await lab.get("client", mine)
    assert back.owner is None and back.state == "public" and back.values["days_left"] is None
    assert (await _told(lab, "ann", mine))[-1] == "Client “Idle” went back to “Open pool”: nobody worked on it in time"
    third = await _held(lab, "Quite new", "ann", at=NOON + timedelta(days=30))
    for sort, titles in (("days_left", ["Worked on", "Quite new"]), ("-days_left", ["Quite new", "Worked on"])):
        found, after = [], None
        for _ in range(4):  # page by page; what has no days comes last
            page = await execute(await lab.ctx("ann", at=NOON + timedelta(days=30)), ops.List(entity="client", fields=["days_left"], sort=[sort], limit=1, after=after))
            found, after = [*found, *(r.title for r in page.records)], page.next
        assert found[:2] == titles and set(found[2:]) == {"Idle", "Key account"}, sort
    await execute(await lab.system(), ops.Delete(entity="client", id=third))
    later = await execute(await lab.ctx("ann", at=NOON + timedelta(days=30)), ops.List(entity="client", fields=["days_left"]))
    assert {r.title: r.values["days_left"] for r in later.records} == {"Idle": None, "Worked on": 29, "Key account": None}
    with pytest.raises(Conflict) as refused:
        await execute(await lab.ctx("ann", at=NOON + timedelta(days=31)), ops.Claim(entity="client", id=mine))
    assert refused.value.data["reason"] == "cooling"
    rows = await lab.fetch("SELECT kind, count(*) AS n FROM ownership_event WHERE tenant_id = $1 GROUP BY 1")
    assert {r["kind"]: r["n"] for r in rows} == {"warned": 4, "recycled": 1, "claimed": 4}


async def test_only_peoples_work_counts(firm):
    await _reset(firm, "ann")
    record_id = await _held(firm, "Touched", "ann", at=NOON)

    async def touched() -> datetime:
        [row] = await firm.fetch("SELECT touched_at FROM record WHERE tenant_id = $1 AND id = $2", record_id)
        return row["touched_at"]

    assert await touched() == NOON
    await execute(await firm.system(at=NOON + timedelta(days=1)), ops.Update(entity="client", id=record_id, values={"note": "by itself"}))
    assert await touched() == NOON
    later = NOON + timedelta(days=2)
    await execute(await firm.ctx("ann", at=later), ops.Update(entity="client", id=record_id, values={"note": "by hand"}))
    assert await touched() == later
    await execute(await firm.ctx("ann", at=later + timedelta(days=1)), ops.Transition(entity="client", id=record_id, key="win"))
    assert await touched() == later, "moving a stage does not count in this pool"


async def test_many_at_once_never_get_the_same_record_nor_pass_a_limit(database, monkeypatch):
    monkeypatch.setattr("saas.db.fair.WAIT_SECONDS", 300.0)  # nobody is sent away here, on whatever machine
    bundle = pool_bundle()
    bundle["entities"][0]["pools"][1] |= {"max_held": 2, "claims_per_day": 50}
    lab = await make_lab(bundle, people=False)
    people = [await lab.person(f"p{n}", ["seller"], "north") for n in range(50)]
    records = [UUID(str(i)) for i in await execute(await lab.ctx("admin"), ops.CreateMany(entity="client", rows=[{"name": f"C{n}", "owner": None} for n in range(120)]))]
    contexts = [await context_for_user(lab.tenant_id, person) for person in people]

    async def one(n: int) -> str:
        try:
            with use_locale("en"):
                # 200 at once: half of them ask for the next one, the others all want the same few.
                await execute(contexts[n % 50], ops.Claim(entity="client", brief=True, **({} if n % 2 else {"id": records[n % 20]})))
            return "claimed"
        except Conflict as error:
            return str(error.data["reason"])

    outcomes = await asyncio.gather(*(one(n) for n in range(200)))
    claims = await lab.fetch("SELECT record_id, count(*) AS n FROM ownership_event WHERE tenant_id = $1 AND kind = 'claimed' GROUP BY 1")
    assert claims and all(row["n"] == 1 for row in claims) and len(claims) == outcomes.count("claimed")
    held = await lab.fetch("SELECT owner_id, count(*) AS n FROM record WHERE tenant_id = $1 AND owner_id IS NOT NULL GROUP BY 1")
    assert sum(r["n"] for r in held) == len(claims) and max(r["n"] for r in held) <= 2
    assert set(outcomes) <= {"claimed", "taken", "max_held"}, set(outcomes)
    [odd] = await lab.fetch("SELECT count(*) AS n FROM record WHERE tenant_id = $1 AND (owner_id IS NULL) <> (state = 'public')")
    assert odd["n"] == 0


async def test_the_next_one_is_the_oldest_and_an_empty_pool_says_so(firm):
    lab = await make_lab(pool_bundle(), people=False)
    await lab.person("ann", ["seller"], "north")
    first = await _pooled(lab, "First")
    await _pooled(lab, "Second")
    change = await execute(await lab.ctx("ann"), ops.Claim(entity="client"))
    assert change.record.id == first
    await execute(await lab.ctx("ann"), ops.Release(entity="client", id=first))
    assert (await execute(await lab.ctx("ann"), ops.Claim(entity="client", pool="open"))).record.title == "Second", "the first one cools down"
    with pytest.raises(Conflict) as refused:
        await execute(await lab.ctx("ann"), ops.Claim(entity="client"))
    assert refused.value.data == {"reason": "empty"}
    with pytest.raises(NotFound):
        await execute(await lab.ctx("ann"), ops.Claim(entity="client", pool="nowhere"))


async def test_many_records_at_once_report_what_could_not_be_claimed(firm):
    await _reset(firm, "cat")
    ids = [await _pooled(firm, f"Bulk {n}") for n in range(4)]
    report = await bulk(await firm.ctx("cat"), "client", "claim", ids=ids)
    assert report["done"] == 3 and report["failed_count"] == 1 and "which is the most" in report["failed"][0]["message"]
    report = await bulk(await firm.ctx("cat"), "client", "release", ids=ids)
    assert report["done"] == 3 and report["failed_count"] == 1


async def test_the_simulator_tells_why_somebody_sees_it(firm):
    record_id = await _pooled(firm, "Explain me")
    ctx = await firm.ctx("admin")
    for who, allowed in (("bob", True), ("wim", False)):
        person = (await firm.ctx(who)).user
        verdict = await explain(ctx, person, "client", record_id, "read")
        [step] = [s for grant in verdict.steps for s in grant.steps if "Open pool" in s.text]
        assert verdict.allowed is allowed and step.holds is allowed
