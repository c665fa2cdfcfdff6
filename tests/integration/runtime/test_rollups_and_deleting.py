"""Rollups that are always right; what deleting and restoring does to children."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal
from uuid import UUID

import pytest

from saas.errors import Conflict, NotFound
from saas.runtime import execute
from saas.runtime import operations as ops
from tests.factories import rich_bundle

_names = iter(f"Parent {i}" for i in range(100000))


async def account(lab, **values) -> UUID:
    return await lab.make("account", by="chief", name=next(_names), **values)


async def line(lab, parent: UUID, **values) -> UUID:
    return await lab.make("line", by="chief", account=str(parent), **values)


async def run(lab, operation):
    return await execute(await lab.ctx("chief"), operation)


async def figures(lab, rid: UUID) -> tuple:
    v = (await lab.get("account", rid)).values
    return v["line_count"], Decimal(v["line_sum"]["amount"]), v["line_last"], v["big_sum"], v["average"]


async def check_all(lab) -> None:
    """Every stored rollup equals what the children give when counted anew."""
    system = await lab.system()
    accounts = (await execute(system, ops.List(entity="account", limit=200))).records
    lines = (await execute(system, ops.List(entity="line", limit=200))).records
    assert len(lines) < 200 and len(accounts) < 200
    counts = {a.id: sum(1 for x in lines if x.values["account"] == str(a.id)) for a in accounts}
    for a in accounts:
        own = [x.values for x in lines if x.values["account"] == str(a.id)]
        assert a.values["line_count"] == len(own)
        assert Decimal(a.values["line_sum"]["amount"]) == sum((Decimal(x["amount"]["amount"]) for x in own if x["amount"] and x["status"] != "void"), Decimal(0))
        assert a.values["line_last"] == max((x["date"] for x in own if x["date"]), default=None)
        assert a.values["branch_sum"] == sum(counts[b.id] for b in accounts if b.values["above"] == str(a.id))
        assert (a.values["big_sum"] or 0) == sum(x["qty"] or 0 for x in own if (x["value"] or 0) > 100)


async def test_children_come_change_move_and_go(lab):
    one, two = await account(lab), await account(lab)
    assert await figures(lab, one) == (0, 0, None, 0, None)
    a = await line(lab, one, amount="10.50", date="2025-01-01")
    b = await line(lab, one, amount="4.50", date="2025-03-01", qty=30)
    assert await figures(lab, one) == (2, Decimal("15.00"), "2025-03-01", 30, 7.5)
    await run(lab, ops.Update(entity="line", id=a, values={"amount": "20"}))
    await run(lab, ops.Update(entity="line", id=b, values={"status": "void"}))
    assert await figures(lab, one) == (2, Decimal("20.00"), "2025-03-01", 30, 10)
    await run(lab, ops.Update(entity="line", id=b, values={"amount": "1"}))  # the formula in the condition falls to 30
    assert (await figures(lab, one))[3] == 0
    await run(lab, ops.Update(entity="line", id=b, values={"account": str(two), "status": "open"}))
    assert await figures(lab, one) == (1, Decimal("20.00"), "2025-01-01", 0, 20)
    assert await figures(lab, two) == (1, Decimal("1.00"), "2025-03-01", 0, 1)
    await run(lab, ops.Delete(entity="line", id=b))
    assert await figures(lab, two) == (0, 0, None, 0, None)
    await run(lab, ops.Restore(entity="line", id=b))
    assert (await figures(lab, two))[:2] == (1, Decimal("1.00"))


async def test_rollups_of_rollups(lab):
    top, below = await account(lab), None
    below = await account(lab, above=str(top))
    other = await account(lab)
    for _ in range(3):
        await line(lab, below)
    assert (await lab.get("account", top)).values["branch_sum"] == 3
    await run(lab, ops.Update(entity="account", id=below, values={"above": str(other)}))
    assert [(await lab.get("account", i)).values["branch_sum"] for i in (top, other)] == [0, 3]
    await run(lab, ops.Delete(entity="account", id=below))
    assert (await lab.get("account", other)).values["branch_sum"] == 0


async def test_many_changes_at_once(fresh_lab):
    """Children created, changed, moved and deleted by twelve people at once; every figure is right after it."""
    lab = fresh_lab
    ctx = await lab.ctx()
    rng = random.Random(3)
    parents = [str(await lab.make("account", name=f"P{i}")) for i in range(4)]
    for i in range(1, 4):
        await execute(ctx, ops.Update(entity="account", id=UUID(parents[i]), values={"above": parents[0]}))
    children = [await lab.make("line", account=rng.choice(parents), amount=i) for i in range(12)]

    async def somebody(number: int) -> None:
        mine = random.Random(number)
        for _ in range(6):
            child = mine.choice(children)
            values = mine.choice([{"amount": mine.randint(1, 99)}, {"account": mine.choice(parents)}, {"status": mine.choice(["open", "void"])}, {"qty": mine.randint(1, 50)}, {"date": f"2025-01-{mine.randint(10, 28)}"}])
            try:
                match mine.randint(0, 5):
                    case 0:
                        await execute(ctx, ops.Create(entity="line", values={"account": mine.choice(parents), "amount": 1}))
                    case 1:
                        await execute(ctx, ops.Delete(entity="line", id=child))
                    case 2:
                        await execute(ctx, ops.Restore(entity="line", id=child))
                    case _:
                        await execute(ctx, ops.Update(entity="line", id=child, values=values))
            except NotFound:
                pass

    await asyncio.wait_for(asyncio.gather(*(somebody(n) for n in range(12))), 60)
    await check_all(lab)


# ---- deleting ----------------------------------------------------------------------------------------------------------


async def test_restrict(lab):
    parent = await account(lab)
    contracts = [await lab.make("contract", by="chief", name=f"c{i}", account=str(parent)) for i in range(2)]
    with pytest.raises(Conflict) as caught:
        await run(lab, ops.Delete(entity="account", id=parent))
    assert caught.value.data == {"reason": "children", "entity": "contract"} and "2 records in “Contracts”" in str(caught.value.message)
    for contract in contracts:
        await run(lab, ops.Delete(entity="contract", id=contract))
    await run(lab, ops.Delete(entity="account", id=parent))


async def test_set_null(lab):
    parent = await account(lab)
    thing = await lab.make("thing", by="chief", account=str(parent), accounts=[str(parent)])
    deal = await lab.make("deal", by="chief", name="d", account=str(parent))
    await run(lab, ops.Delete(entity="account", id=parent))
    assert (await lab.get("deal", deal)).values["account"] is None
    found = await lab.get("thing", thing)
    assert found.values["account"] is None
    history = await run(lab, ops.History(entity="deal", id=deal))
    assert [(c["field"], c["new"]) for c in history[0].changes] == [("account", "")]


async def test_cascade_and_restore(lab):
    """Back come the children that went with their parent, not those deleted before."""
    parent = await account(lab)
    early, late, last = [await line(lab, parent, amount=n) for n in (1, 2, 3)]
    await run(lab, ops.Delete(entity="line", id=early))
    deleted = await run(lab, ops.Delete(entity="account", id=parent))
    assert {e["id"] for e in deleted.effects if e["action"] == "delete"} == {str(i) for i in (late, last, parent)}
    for gone in (late, last):
        with pytest.raises(NotFound):
            await lab.get("line", gone)
    await run(lab, ops.Restore(entity="account", id=parent))
    assert (await lab.get("line", late)).values["amount"]["amount"] == "2.00"
    with pytest.raises(NotFound):
        await lab.get("line", early)
    assert (await figures(lab, parent))[:2] == (2, 5)


async def test_cascade_goes_through_automations_and_pipelines(lab):
    deal = await lab.make("deal", by="chief", name="gone")
    await lab.make("task", by="chief", name="gone with it", deal=str(deal))
    await run(lab, ops.Delete(entity="deal", id=deal))
    logged = await run(lab, ops.List(entity="log", filter="task == 'gone with it' and text == 'deleted'"))
    assert len(logged.records) == 1


async def test_records_in_a_ring_are_deleted_once(fresh_lab):
    lab = fresh_lab
    bundle = rich_bundle()
    deal = next(e for e in bundle["entities"] if e["key"] == "deal")
    deal["fields"].append({"key": "following", "type": "ref", "to": "deal", "label": {"en": "Next"}, "on_delete": "cascade", "inverse": {"key": "prior", "label": {"en": "Prior"}}})
    await lab.publish(bundle)
    a = await lab.make("deal", name="a")
    b = await lab.make("deal", name="b", following=str(a))
    await execute(await lab.ctx(), ops.Update(entity="deal", id=a, values={"following": str(b)}))
    await execute(await lab.ctx(), ops.Delete(entity="deal", id=a))
    assert (await execute(await lab.ctx(), ops.List(entity="deal"))).records == []
    await execute(await lab.ctx(), ops.Restore(entity="deal", id=a))
    assert len((await execute(await lab.ctx(), ops.List(entity="deal"))).records) == 2


async def test_more_children_than_a_page(fresh_lab):
    lab = fresh_lab
    parent = await lab.make("account", name="Many")
    first = await lab.make("line", account=str(parent), name="one")
    await lab.fetch(
        "INSERT INTO record (tenant_id, entity_id, id, version, doc, created_at, updated_at, "  # noqa: S608  a number
        + (columns := ", ".join(c for c in (await lab.ctx()).config.entity("line").columns.values()))
        + f") SELECT tenant_id, entity_id, gen_random_uuid(), 1, doc, created_at, updated_at, {columns} FROM record, generate_series(1, 1100) "  # noqa: S608
        "WHERE tenant_id = $1 AND id = $2 RETURNING 1", first,
    )  # fmt: skip
    await execute(await lab.ctx(), ops.Delete(entity="account", id=parent))
    assert (await execute(await lab.ctx(), ops.List(entity="line", count="exact"))).count.value == 0


async def test_the_recycle_bin(lab):
    gone = await account(lab)
    await run(lab, ops.Delete(entity="account", id=gone))
    with pytest.raises(NotFound):
        await lab.get("account", gone)
    assert (await run(lab, ops.Get(entity="account", id=gone, deleted=True))).deleted_at is not None
    assert gone in {r.id for r in (await run(lab, ops.List(entity="account", deleted=True, sort=["-updated_at"], limit=200))).records}
    assert not (await run(lab, ops.Get(entity="account", id=gone, deleted=True))).can.update
    for operation in (ops.Update(entity="account", id=gone, values={"credit": 1}), ops.Delete(entity="account", id=gone)):
        with pytest.raises(NotFound):
            await run(lab, operation)
    await run(lab, ops.Restore(entity="account", id=gone))
    with pytest.raises(NotFound):
        await run(lab, ops.Restore(entity="account", id=gone))
    assert [h.kind for h in await run(lab, ops.History(entity="account", id=gone))] == ["restored", "deleted", "created"]
