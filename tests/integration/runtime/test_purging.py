"""Purging: what was exported and confirmed and nothing else, with all that belongs to it, however much; and accounts of people who are gone."""

from __future__ import annotations

import pytest

from saas.errors import Conflict, InvalidInput
from saas.runtime import execute, jobs, portal_accounts, purging
from saas.runtime import operations as ops
from saas.runtime.worker import run_now
from saas.tenants import find_user
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import make_lab

pytestmark = pytest.mark.asyncio(loop_scope="session")


def bundle():
    def entity(key, *fields):
        return {"key": key, "label": label(key), "plural": label(f"{key}s"), "title": "name", "owned": True, "fields": [fld("name", "text"), *fields]}

    def ref(key, to, on_delete, inverse):
        return fld(key, "ref", to=to, on_delete=on_delete, inverse={"key": inverse, "label": label(inverse)})

    def guest(key, entity, maker):
        return {"key": key, "label": label(key), "portal": {"entity": entity, "link": "account", "makers": [maker]}, "entities": {entity: {"read": "portal_self"}}}

    every = {"create": True, "read": "all", "update": "all", "delete": "all", "export": "all"}
    return {
        "format": 1, "pack": {"key": "purging", "version": "1.0.0", "label": label("Purging")},
        "entities": [
            entity("box", fld("account", "user"), ref("inside", "box", "set_null", "holds")), entity("item", ref("box", "box", "cascade", "items")), entity("part", ref("item", "item", "cascade", "parts")),
            entity("good"), entity("offer", ref("good", "good", "keep", "offers")), entity("claim", ref("part", "part", "restrict", "claims")), entity("node", fld("account", "user"), ref("up", "node", "restrict", "down")),
        ],
        "roles": [
            {"key": "admin", "label": label("Admin"), "admin": True},
            {"key": "keeper", "label": label("Keeper"), "entities": {"box": {**every, "export": "own", "purge": True}, "item": every, "node": every}},
            {"key": "second", "label": label("Second"), "entities": {"box": every, "node": every}},
            guest("guest", "box", "keeper"), guest("visitor", "box", "second"), guest("leaf", "node", "keeper"),
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
async def lab(database):
    found = await make_lab(bundle(), people=False)
    for who in ("keeper", "second", "guest", "visitor", "leaf"):
        await found.person(who, [who])
    return found


async def purge(lab, entity, who="admin", **more):
    ctx = await lab.ctx(who)
    plan = await purging.plan(ctx, entity, **more)
    return await purging.begin(ctx, entity, export_id=plan.export.id, count=plan.count, **more)


async def left(lab, entity):
    return {r.title for r in (await execute(await lab.ctx(), ops.List(entity=entity))).records}


async def test_everything_below_goes_with_what_is_told_of_it_and_nothing_that_came_later(lab, monkeypatch):
    monkeypatch.setattr(purging, "PAGE", 2)
    monkeypatch.setattr(purging, "BATCH", 1)
    first = await lab.make("box", name="First", account=str(lab.people["guest"]))
    await lab.make("box", name="Inside", inside=str(first))
    for n in range(5):
        item = await lab.make("item", name=f"Item {n}", box=str(first))
        part = await lab.make("part", name=f"Part {n}", item=str(item))
    claim = await lab.make("claim", name="Claim", part=str(part))
    with pytest.raises(Conflict) as caught:  # two levels down
        await purge(lab, "box")
    assert caught.value.data["reason"] == "children"
    await execute(await lab.ctx(), ops.Delete(entity="claim", id=claim))
    await lab.fetch("INSERT INTO outbox (tenant_id, id, kind, key, payload, origin) VALUES ($1, gen_random_uuid(), 'x', 'x', '{}', jsonb_build_object('record', $2::text))", str(first))
    done = await purge(lab, "box")
    assert (done.status, done.result["done"]) == ("done", 2), done
    assert [await left(lab, e) for e in ("box", "item", "part")] == [set(), set(), set()]
    [row] = await lab.fetch("SELECT (SELECT count(*) FROM outbox WHERE tenant_id = $1 AND origin ->> 'record' = $2::text) + (SELECT count(*) FROM record_event WHERE tenant_id = $1 AND record_id = $3)", str(first), first)
    assert row[0] == 0
    assert (await find_user(lab.tenant_id, user_id=lab.people["guest"]))["status"] == "inactive"
    # Tried again weeks later: what was made since, or is old and was changed since, stays.
    later = await lab.make("box", name="Later")
    await lab.fetch("UPDATE record SET created_at = '2020-01-01' WHERE tenant_id = $1 AND id = $2", later)
    await lab.make("box", name="Latest")
    await lab.fetch("UPDATE job SET status = 'failed', result = NULL WHERE tenant_id = $1 AND id = $2", done.id)
    ctx = await lab.ctx()
    again = await run_now(ctx, (await jobs.retry_job(ctx, done.id)).id)
    assert again.status == "done" and await left(lab, "box") == {"Later", "Latest"}


async def test_records_of_one_kind_that_must_not_be_without_each_other_go_together(lab, monkeypatch):
    monkeypatch.setattr(purging, "BATCH", 1)
    first = await lab.make("node", name="One")
    await lab.make("node", name="Two", up=str(first))
    assert (await purge(lab, "node")).status == "done" and await left(lab, "node") == set()


async def test_only_what_is_exported_goes_and_nothing_is_told_of_what_may_not_be_read(lab):
    other = await lab.make("box", name="Of somebody else")
    mine = await lab.make("box", by="keeper", name="Mine")
    item = await lab.make("item", name="Item", box=str(mine))
    await lab.make("part", name="Part", item=str(item))
    below = await purging.below_one(await lab.ctx("keeper"), "box", mine)
    assert [(b.entity, b.count) for b in below] == [("item", 1), ("", 1)]
    plan = await purging.plan(await lab.ctx("keeper"), "box")
    assert (plan.count, [(b.entity, b.label) for b in plan.below]) == (1, [("item", "items"), ("", "Other records")])
    ctx = await lab.ctx("keeper")
    await lab.fetch("UPDATE job SET result = jsonb_set(result, '{rows}', '7') WHERE tenant_id = $1 AND id = $2", plan.export.id)
    with pytest.raises(Conflict):
        await purging.begin(ctx, "box", export_id=plan.export.id, count=1)
    assert (await purge(lab, "box", "keeper")).status == "done"
    assert (await lab.get("box", other)).title == "Of somebody else" and "Mine" not in await left(lab, "box")


async def test_a_merged_records_account_closes_and_opens_again(lab):
    await lab.person("merged", ["guest"])
    stays, goes = await lab.make("box", name="Stays", account=str(lab.people["visitor"])), await lab.make("box", name="Goes", account=str(lab.people["merged"]))

    def person():
        return find_user(lab.tenant_id, user_id=lab.people["merged"])

    assert (await person())["status"] == "active"
    await execute(await lab.ctx(), ops.Merge(entity="box", survivor=stays, losers=[goes]))
    assert (await person())["status"] == "inactive"
    [merge] = await lab.fetch("SELECT id FROM record_merge WHERE tenant_id = $1 AND survivor_id = $2", stays)
    await execute(await lab.ctx(), ops.UndoMerge(entity="box", merge=merge[0]))
    assert (await person())["status"] == "active"


async def test_makers_change_the_accounts_of_their_own_role_and_no_others(lab):
    node, box = await lab.make("node", name="Leaf", account=str(lab.people["leaf"])), await lab.make("box", name="Taken", account=str(lab.people["leaf"]))
    mine = await lab.make("box", name="Visitor's", account=str(lab.people["visitor"]))
    for who, entity, record, status in (("keeper", "node", node, "open"), ("keeper", "box", box, "foreign"), ("admin", "box", box, "foreign"), ("keeper", "box", mine, "foreign"), ("second", "box", mine, "open")):
        assert (await portal_accounts.account_of(await lab.ctx(who), entity, record)).status == status, (who, entity)
    with pytest.raises(Conflict):
        await portal_accounts.give(await lab.ctx("keeper"), "box", box, login="taken", password="a long new password")
    given = await portal_accounts.give(await lab.ctx("second"), "box", await lab.make("box", name="New"), login="newcomer", password="a long new password")
    assert given.role == "visitor"


async def test_what_is_deleted_is_still_shown_where_it_is_kept_and_not_purged_before_that_goes(lab):
    good = await lab.make("good", name="Desk")
    offer = await lab.make("offer", name="Ten desks", good=str(good))
    await execute(await lab.ctx(), ops.Delete(entity="good", id=good))
    kept = (await execute(await lab.ctx(), ops.Get(entity="offer", id=offer))).display["good"]
    changed = (await execute(await lab.ctx(), ops.Update(entity="offer", id=offer, values={"name": "Twelve desks"}))).record
    assert await left(lab, "good") == set() and (kept, changed.display["good"], changed.title) == ("Desk", "Desk", "Twelve desks")
    with pytest.raises(InvalidInput):
        await lab.make("offer", name="Another", good=str(good))
    with pytest.raises(Conflict) as caught:
        await purge(lab, "good")
    assert caught.value.data["reason"] == "children"
    await execute(await lab.ctx(), ops.Delete(entity="offer", id=offer))
    assert (await purge(lab, "good")).status == "done"
