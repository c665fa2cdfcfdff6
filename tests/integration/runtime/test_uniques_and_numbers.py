"""Unique values under races, soft duplicates, numbers without gaps."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from saas.db import tenant_transaction
from saas.errors import DuplicateFound, InvalidInput
from saas.runtime import execute
from saas.runtime import operations as ops
from tests.factories import rich_bundle

_names = iter(f"Unique {i}" for i in range(100000))


async def create(lab, by="chief", confirm=False, **values):
    values.setdefault("name", next(_names))
    return (await execute(await lab.ctx(by), ops.Create(entity="account", values=values, confirm_duplicates=confirm))).record


async def change(lab, record, **values):
    return (await execute(await lab.ctx("chief"), ops.Update(entity="account", id=record.id, values=values))).record


async def taken(awaitable) -> str:
    with pytest.raises(InvalidInput) as caught:
        await awaitable
    [problem] = caught.value.problems
    assert problem.code == "not_unique"
    return problem.field


async def test_single_values_compare_without_case_space_and_width(lab):
    await create(lab, taxno="Tax 001")
    for same in ("TAX001", "ｔａｘ　００１", " tax 0 0 1 "):
        assert await taken(create(lab, taxno=same)) == "taxno"
    await create(lab, taxno="tax 0011")


async def test_several_fields_together(lab):
    await create(lab, name="Pair", region="north", city="harbin")
    await create(lab, name="Pair", region="south", city="canton", confirm=True)
    assert await taken(create(lab, name="pair", region="north", city="harbin", confirm=True)) == "name"
    await create(lab, name="Pair", confirm=True)  # a missing part: the rule does not apply
    await create(lab, name="Pair", confirm=True)


async def test_a_rule_with_a_condition(lab):
    first = await create(lab, bank="when-1", grade="a", remark="x")
    second = await create(lab, bank="when-1")
    assert await taken(change(lab, second, grade="a", remark="x")) == "bank"
    await change(lab, first, grade="b")
    await change(lab, second, grade="a", remark="x")
    assert await taken(change(lab, first, grade="a")) == "bank"


async def test_values_are_freed_by_change_and_deletion(lab):
    one = await create(lab, taxno="freed")
    await change(lab, one, taxno="other")
    two = await create(lab, taxno="freed")
    await execute(await lab.ctx("chief"), ops.Delete(entity="account", id=two.id))
    three = await create(lab, taxno="freed")
    assert await taken(execute(await lab.ctx("chief"), ops.Restore(entity="account", id=two.id))) == "taxno"
    await change(lab, three, taxno=None)
    await execute(await lab.ctx("chief"), ops.Restore(entity="account", id=two.id))
    assert await taken(create(lab, taxno="freed")) == "taxno"


async def test_of_fifty_at_once_one_wins(lab):
    ctx = await lab.ctx("chief")
    done = await asyncio.gather(
        *(execute(ctx, ops.Create(entity="account", values={"name": f"Race {i}", "taxno": "race"})) for i in range(50)), return_exceptions=True
    )
    assert sum(isinstance(d, ops.Change) for d in done) == 1 and sum(isinstance(d, InvalidInput) for d in done) == 49
    assert len((await execute(ctx, ops.List(entity="account", filter="taxno == 'race'"))).records) == 1
    [stored] = await lab.fetch("SELECT count(*) FROM unique_value WHERE tenant_id = $1 AND rule_key = 'taxno' AND record_id = $2", next(d.record.id for d in done if isinstance(d, ops.Change)))
    assert stored[0] == 1


async def test_values_swapped_in_opposite_orders_do_not_hang(lab):
    """Each takes what the other is about to give: the database ends one, which is then tried again and told the plain truth."""
    one, two = await create(lab, taxno="cross-1", mail="cross1@x.example"), await create(lab, taxno="cross-2", mail="cross2@x.example")
    done = await asyncio.wait_for(asyncio.gather(change(lab, one, taxno="cross-2"), change(lab, two, taxno="cross-1"), return_exceptions=True), 60)
    assert all(isinstance(d, InvalidInput | ops.Record) for d in done)
    values = [(await lab.get("account", r.id)).values["taxno"] for r in (one, two)]
    assert len(set(values)) == 2


# ---- soft --------------------------------------------------------------------------------------------------------------


async def test_a_warning_must_be_confirmed(lab):
    first = await create(lab, phone="13800138000")
    with pytest.raises(DuplicateFound) as caught:
        await create(lab, phone="138 0013 8000")
    assert caught.value.data["rule"] == "same_phone" and caught.value.data["action"] == "warn"
    [match] = caught.value.data["matches"]
    assert (match["id"], match["title"], match["owner"]) == (str(first.id), first.title, "Chief")
    change_ = await execute(await lab.ctx("chief"), ops.Create(entity="account", values={"name": next(_names), "phone": "13800138000"}, confirm_duplicates=True))
    assert change_.warnings == ["Same phone"]


async def test_what_cannot_be_read_is_not_named(lab):
    await create(lab, phone="13900139000")
    with pytest.raises(DuplicateFound) as caught:
        await create(lab, by="seller", phone="13900139000")
    assert caught.value.data["matches"] == [{"entity": "account", "id": None, "title": None, "owner": "Chief", "score": None, "shown": []}]


async def test_a_block_cannot_be_confirmed(lab):
    await create(lab, mail="block@x.example")
    with pytest.raises(DuplicateFound) as caught:
        await create(lab, mail="Block@X.example", confirm=True)
    assert caught.value.data["action"] == "block"


async def test_a_match_is_found_among_many_that_begin_alike(lab):
    """The duplicate is the last of many whose words begin like it."""
    ctx = await lab.ctx("chief")
    for i in range(25):
        await execute(ctx, ops.Create(entity="account", values={"name": f"Alike{i:02}", "region": "north"}))
    await create(lab, name="Alike", region="north")
    with pytest.raises(DuplicateFound):
        await create(lab, name="alike", region="north")
    with pytest.raises(DuplicateFound):
        await create(lab, name="A LI KE", region="north")
    await create(lab, name="alike", region="south")


async def test_an_unrelated_change_is_not_asked_about(lab):
    first = await create(lab, phone="13700137000")
    second = await create(lab, phone="13700137000", confirm=True)
    await change(lab, second, region="north")
    await execute(await lab.ctx("chief"), ops.Delete(entity="account", id=first.id))
    await create(lab, phone="13700137001")
    with pytest.raises(DuplicateFound):
        await create(lab, phone="13700137000")
    await execute(await lab.ctx("chief"), ops.Delete(entity="account", id=second.id))
    await create(lab, phone="13700137000")


async def test_a_transition_warns_and_goes_on(lab):
    """A transition cannot be asked to confirm, so a soft rule must not end it."""
    ctx = await lab.ctx("chief")
    await execute(ctx, ops.Create(entity="deal", values={"name": "First", "contact": "13800138002"}))
    deal = (await execute(ctx, ops.Create(entity="deal", values={"name": "Second"}))).record
    moved = await execute(ctx, ops.Transition(entity="deal", id=deal.id, key="phone", values={"contact": "13800138002"}))
    assert moved.record.values["contact"] == "+8613800138002" and moved.warnings


# ---- numbers -----------------------------------------------------------------------------------------------------------


async def test_numbers_have_no_gaps_under_concurrency_and_failure(fresh_lab):
    lab = fresh_lab
    ctx = await lab.ctx()
    values = [{"name": f"N{i}", "grade": "c" if i % 3 == 0 else "b"} for i in range(24)]  # a third fails: grade c needs a reason
    done = await asyncio.gather(*(execute(ctx, ops.Create(entity="account", values=v)) for v in values), return_exceptions=True)
    made = [d.record.values["code"] for d in done if isinstance(d, ops.Change)]
    assert sorted(made) == [f"A{ctx.today.year}-{n:03}" for n in range(1, 17)]


async def test_a_number_taken_and_rolled_back_is_given_again(fresh_lab):
    lab = fresh_lab
    bundle = rich_bundle()
    bundle["automations"].append({"key": "no", "label": {"en": "No"}, "entity": "account", "on": {"trigger": "create"}, "if": "name == 'no'", "do": [{"action": "block", "message": {"en": "No"}}]})
    await lab.publish(bundle)
    ctx = await lab.ctx()

    async def make(name: str) -> str:
        return (await execute(ctx, ops.Create(entity="account", values={"name": name}))).record.values["code"]

    year = ctx.today.year
    assert await make("one") == f"A{year}-001"
    with pytest.raises(InvalidInput):
        await make("no")
    assert await make("two") == f"A{year}-002"
    async with tenant_transaction(lab.tenant_id):  # inside a larger act, a failed part leaves nothing
        assert await make("three") == f"A{year}-003"
        with pytest.raises(InvalidInput):
            await make("no")
        assert await make("four") == f"A{year}-004"
    assert await make("five") == f"A{year}-005"


async def test_numbers_begin_again_each_year(fresh_lab):
    ctx = await fresh_lab.ctx()
    later = ctx.now.replace(year=ctx.today.year + 1, month=2, day=1)
    codes = []
    for at in (ctx.now, later, ctx.now, later):
        made = await execute(ctx.replace(fixed_now=at), ops.Create(entity="account", values={"name": f"Y{len(codes)}"}))
        codes.append(made.record.values["code"])
    this, following = ctx.today.year, ctx.today.year + 1
    assert codes == [f"A{this}-001", f"A{following}-001", f"A{this}-002", f"A{following}-002"]
    assert isinstance(made.record.id, UUID)
