"""Ledgers: entries are only added, say where they come from, and no balance goes where it must not, however many post at once."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from uuid import UUID

import pytest

from saas.errors import AppError, Conflict, InvalidInput, NotFound, PermissionDenied
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.runtime.schedules import run_due
from tests.factories import Lab


async def post(lab: Lab, entity: str, by: str = "admin", **values):
    return await execute(await lab.ctx(by), ops.Create(entity=entity, values=values))


async def codes(awaitable) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        await awaitable
    return {p.field: p.code for p in caught.value.problems}


async def member(lab: Lab, points: int = 0, **values) -> str:
    made = str(await lab.make("member", name="Mei", **values))
    if points:
        await grant(lab, made, points)
    return made


async def grant(lab: Lab, to: str, points: int, **values):
    return await post(lab, "entry", **{"member": to, "amount": points, "event": "issue", "way": "automatic", **values})


async def points(lab: Lab, of: str) -> int:
    return (await lab.get("member", UUID(of))).values["points"] or 0


async def move(lab: Lab, record_id, key: str, by: str = "admin", entity: str = "entry"):
    return await execute(await lab.ctx(by), ops.Transition(entity=entity, id=record_id, key=key))


async def test_an_entry_says_where_it_comes_from(trade):
    who = await member(trade)
    assert await codes(post(trade, "entry", member=who, amount=100)) == {"event": "origin_required"}
    assert await codes(post(trade, "entry", member=who, amount=100, event="purchase")) == {"purchase": "origin_required"}
    bought = await trade.make("purchase", name="Flat", member=who)
    assert (await post(trade, "entry", member=who, amount=100, event="purchase", purchase=str(bought))).record.state == "pending"
    assert await codes(post(trade, "entry", member=who, amount=0, event="issue")) == {"amount": "not_positive"}
    assert await codes(post(trade, "entry", member=who, amount=-5, event="issue")) == {"amount": "not_positive"}


async def test_what_waits_counts_once_it_is_approved(trade):
    who = await member(trade)
    first = (await post(trade, "entry", member=who, amount=100, event="issue")).record
    second = (await post(trade, "entry", member=who, amount=30, event="issue")).record
    found = (await trade.get("member", UUID(who))).values
    assert (found["points"], found["waiting"]) == (0, 130)
    await move(trade, first.id, "approve")
    await move(trade, second.id, "reject")
    found = (await trade.get("member", UUID(who))).values
    assert (found["points"], found["waiting"]) == (100, 0)
    with pytest.raises(PermissionDenied):
        await move(trade, (await post(trade, "entry", "clerk", member=who, amount=1, event="issue")).record.id, "approve", "clerk")


async def test_entries_are_never_changed_or_deleted_on_any_path(trade):
    who = await member(trade)
    entry = (await grant(trade, who, 10)).record
    for ctx in (await trade.ctx(), (await trade.ctx()).replace(elevated=True), await trade.system(), await trade.system(origin="schedule")):
        for operation in (ops.Update(entity="entry", id=entry.id, values={"amount": 11}), ops.Delete(entity="entry", id=entry.id)):
            with pytest.raises(PermissionDenied):
                await execute(ctx, operation)
    with pytest.raises(Conflict):  # nor with the record they are about
        await execute(await trade.ctx(), ops.Delete(entity="member", id=UUID(who)))
    assert await points(trade, who) == 10


async def test_a_reversal_names_the_entry_and_happens_once(trade):
    who = await member(trade, 50)
    entry = (await grant(trade, who, 20)).record
    undone = (await execute(await trade.ctx(), ops.Reverse(entity="entry", id=entry.id, reason="a typing error"))).record
    assert (undone.values["reverses"], undone.values["direction"], undone.values["amount"], undone.values["note"]) == (str(entry.id), "subtract", 20, "a typing error")
    assert await points(trade, who) == 50
    for record_id in (entry.id, undone.id):
        with pytest.raises((InvalidInput, Conflict)):
            await execute(await trade.ctx(), ops.Reverse(entity="entry", id=record_id))
    other = await member(trade, 5)
    wrong = {"amount": 50, "direction": "subtract", "event": "issue", "way": "automatic"}
    free = (await grant(trade, who, 50)).record
    assert await codes(post(trade, "entry", member=other, reverses=str(free.id), **wrong)) == {"reverses": "no_reversal"}
    assert await codes(post(trade, "entry", member=who, reverses=str(free.id), **{**wrong, "amount": 49})) == {"reverses": "no_reversal"}
    waiting = (await post(trade, "entry", member=who, amount=5, event="issue")).record
    with pytest.raises(Conflict):
        await execute(await trade.ctx(), ops.Reverse(entity="entry", id=waiting.id))
    with pytest.raises(PermissionDenied):
        await execute(await trade.ctx("reader"), ops.Reverse(entity="entry", id=free.id))
    with pytest.raises(NotFound):
        await execute(await trade.ctx(), ops.Reverse(entity="member", id=UUID(who)))


async def test_no_balance_below_zero_and_nobody_learns_a_hidden_one(trade):
    who = await member(trade, 200)
    with pytest.raises(InvalidInput, match="200"):
        await grant(trade, who, 201, direction="subtract")
    with pytest.raises(InvalidInput) as caught:
        await post(trade, "entry", "clerk", member=who, amount=201, direction="subtract", event="redeem", way="automatic")
    assert "200" not in str(caught.value.message) and caught.value.problems[0].field == "amount"
    await grant(trade, who, 200, direction="subtract")
    assert await points(trade, who) == 0
    late = (await post(trade, "entry", member=who, amount=1, direction="subtract", event="redeem")).record
    with pytest.raises(InvalidInput):  # judged when it is to count
        await move(trade, late.id, "approve")


async def test_a_sub_account_posts_into_its_main_one(trade):
    main = await member(trade, 5)
    sub = await member(trade, main=main)
    entry = (await grant(trade, sub, 20)).record
    assert (entry.values["member"], entry.values["account"]) == (main, sub)
    assert (await points(trade, main), await points(trade, sub)) == (25, 0)


async def test_automations_post_and_hear_of_postings(trade):
    who = await member(trade)
    bought = await trade.make("purchase", name="Flat", member=who)
    for rate in (80, 100):
        await execute(await trade.ctx(), ops.Update(entity="purchase", id=bought, values={"rate": rate}))
    [entry] = (await execute(await trade.ctx(), ops.List(entity="entry", filter={"field": "member", "op": "eq", "value": who}))).records
    assert (entry.values["amount"], entry.state, await points(trade, who)) == (500, "pending", 0)
    await move(trade, entry.id, "approve")
    found = (await trade.get("member", UUID(who))).values
    assert (found["points"], found["level"]) == (500, "vip")


async def test_what_was_not_used_expires_once(trade):
    who = await member(trade)
    ctx = await trade.ctx()
    yesterday, later = ((ctx.today + timedelta(days=n)).isoformat() for n in (-1, 30))
    await grant(trade, who, 100, expires=yesterday)
    await grant(trade, who, 40, expires=later)
    await grant(trade, who, 30, direction="subtract")
    for _ in range(2):
        night = (ctx.now + timedelta(days=1)).replace(hour=18, minute=0)
        await run_due(await trade.system(at=night))
        assert await points(trade, who) == 40


async def test_stock_is_reserved_and_released(trade):
    made = await trade.make("product", name="Desk", minimum=20)
    product = {"product": str(made)}

    async def stock() -> tuple[float, float, float]:
        found = (await trade.get("product", made)).values
        return found["stock"] or 0, found["reserved"] or 0, found["available"]

    await post(trade, "move", kind="in", quantity=55, **product)
    held = (await post(trade, "move", kind="reserve", quantity=50, **product)).record
    assert await stock() == (55, 50, 5)
    assert await codes(post(trade, "move", kind="out", quantity=6, **product)) == {"quantity": "ledger.balance"}
    assert await codes(post(trade, "move", kind="reserve", quantity=6, **product)) == {"quantity": "ledger.balance"}
    assert await codes(post(trade, "move", kind="release", quantity=51, **product)) == {"quantity": "ledger.balance"}
    await execute(await trade.ctx(), ops.Reverse(entity="move", id=held.id))
    sold = await post(trade, "move", kind="out", quantity=40, **product)
    assert await stock() == (15, 0, 15) and "20" in sold.warnings[0] and "Desk" in sold.warnings[0]
    assert (await post(trade, "move", kind="out", quantity=1, **product)).warnings == []  # said once
    low = await execute(await trade.ctx(), ops.List(entity="product", filter="stock < minimum", sort=["-stock"]))
    assert made in [r.id for r in low.records]


async def test_no_more_than_is_owed(trade):
    contract = await trade.make("contract", name="School")
    plan = await trade.make("plan", name="First", contract=str(contract), amount="100.00")
    await post(trade, "payment", plan=str(plan), amount="60.00")
    assert await codes(post(trade, "payment", plan=str(plan), amount="40.01")) == {"amount": "ledger.balance"}
    await post(trade, "payment", plan=str(plan), amount="40.00")
    assert (await trade.get("contract", contract)).values["owed"]["amount"] == "0.00"
    with pytest.raises(InvalidInput):  # nor may the plan fall below what came in
        await execute(await trade.ctx(), ops.Update(entity="plan", id=plan, values={"amount": "99.00"}))


async def test_a_gift_takes_points_and_stock_or_neither(trade):
    who, kettle = await member(trade, 250), await trade.make("product", name="Kettle")
    gift = {"member": who, "product": str(kettle), "cost": 200}
    with pytest.raises(InvalidInput):  # none in stock: the points stay
        await trade.make("gift", **gift)
    assert await points(trade, who) == 250
    await post(trade, "move", product=str(kettle), kind="in", quantity=2)
    await trade.make("gift", **gift)
    with pytest.raises(InvalidInput):  # not enough points: the stock stays
        await trade.make("gift", **gift)
    assert (await points(trade, who), (await trade.get("product", kettle)).values["stock"]) == (50, 1)


async def test_replacing_a_card_voids_its_sub_cards(trade):
    who = await member(trade)
    numbers = [{"number": f"{who[:8]}-{n}", "member": who} for n in range(3)]
    main, *subs = await execute(await trade.ctx(), ops.CreateMany(entity="card", rows=numbers))  # issued in a batch
    for sub in subs:
        await execute(await trade.ctx(), ops.Update(entity="card", id=sub, values={"main": str(main)}))
    await move(trade, subs[0], "cancel", entity="card")
    await move(trade, main, "replace", entity="card")
    assert [(await trade.get("card", c)).state for c in (main, *subs)] == ["replaced", "void", "void"]


async def test_imports_of_many_keep_the_rule(trade):
    made = await trade.make("product", name="Chair")
    await post(trade, "move", product=str(made), kind="in", quantity=25)
    rows = [{"product": str(made), "kind": "out", "quantity": 10} for _ in range(5)]
    found = await execute(await trade.ctx(), ops.CreateMany(entity="move", rows=rows))
    assert [isinstance(x, AppError) for x in found] == [False, False, True, True, True]
    assert (await trade.get("product", made)).values["stock"] == 5


async def test_200_postings_at_once_keep_every_invariant(trade):
    """Checked behind the door: what the accounts say is the sum of their entries, never below zero, and each entry is reversed once."""
    accounts = [await member(trade, 100) for _ in range(4)]
    entries = [(await grant(trade, a, 10)).record.id for a in accounts]
    dice, gate = random.Random(7), asyncio.Semaphore(16)

    async def one(number: int) -> bool:
        async with gate:
            account = dice.choice(accounts)
            try:
                if number % 10 == 0:
                    await execute(await trade.ctx(), ops.Reverse(entity="entry", id=dice.choice(entries)))
                else:
                    await grant(trade, account, dice.randint(5, 40), direction=dice.choice(("add", "subtract", "subtract")))
            except (InvalidInput, Conflict):
                return False
            return True

    done = await asyncio.gather(*(one(n) for n in range(200)))
    assert 50 < sum(done) < 200
    config = (await trade.ctx()).config
    entity, parties = config.entity("entry"), config.entity("member")
    column = {key: entity.columns[key] for key in ("amount", "direction", "member", "reverses")}
    signed = f"CASE WHEN e.{column['direction']} = 'add' THEN e.{column['amount']} ELSE -e.{column['amount']} END"
    counted = f"SELECT sum({signed}) FROM record e WHERE e.tenant_id = $1 AND e.entity_id = {entity.number} AND e.state = 'approved' AND e.{column['member']} = m.id"  # noqa: S608  the test's own names
    kept = f"SELECT m.id, m.{parties.columns['points']} AS kept, ({counted}) AS counted FROM record m WHERE m.tenant_id = $1 AND m.entity_id = {parties.number} AND m.id = ANY($2::uuid[])"  # noqa: S608
    rows = await trade.fetch(kept, accounts)
    assert len(rows) == 4 and all(r["kept"] == r["counted"] and r["kept"] >= 0 for r in rows), rows
    reversed_ = f"SELECT {column['reverses']} FROM record WHERE tenant_id = $1 AND entity_id = {entity.number} AND {column['reverses']} IS NOT NULL"  # noqa: S608
    assert await trade.fetch(f"{reversed_} GROUP BY 1 HAVING count(*) > 1") == []
