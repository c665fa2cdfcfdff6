"""Records that are the same become one, with all that belongs to them; and the way back."""

from __future__ import annotations

from uuid import UUID

import pytest

from saas.db import tenant_transaction
from saas.errors import BadRequest, Conflict, InvalidInput, NotFound, PermissionDenied, RecordMerged, StaleVersion
from saas.runtime import execute, shares
from saas.runtime import operations as ops

_names = iter(f"Company {i}" for i in range(1000))


async def make(club, entity="customer", by="lin", **values):
    if entity == "customer":
        values.setdefault("name", next(_names))
    return await club.make(entity, by=by, **values)


async def merge(club, survivor, *losers, by="lin", **more):
    return await execute(await club.ctx(by), ops.Merge(entity="customer", survivor=survivor, losers=losers, **more))


async def undo(club, change, by="lin"):
    return await execute(await club.ctx(by), ops.UndoMerge(entity="customer", merge=change.merge))


async def everything(club, *records: tuple[str, UUID]) -> list[dict]:
    return [{k: v for k, v in (await club.get(entity, record_id)).values.items()} for entity, record_id in records]


async def test_one_remains_with_all_that_belonged_to_both(club):
    dong, ma = await make(club, name="Tianhe Pumps", city="Harbin", tags=["old"]), await make(club, by="ma", name="Tianhe Pump Co.", phone="13912345678", tags=["new"], taxno="M-1")
    visit = await make(club, "visit", by="ma", subject="First call", customer=str(ma))
    closed = await make(club, "visit", by="ma", subject="Closed", customer=str(ma), closed=True)
    entry = await make(club, "entry", by=None, text="never changed", customer=str(ma))
    group = await make(club, "group", by=None, name="Group", members=[str(dong), str(ma)])
    above = await make(club, name="Holding")
    await execute(await club.ctx("lin"), ops.Update(entity="customer", id=ma, values={"parent": str(above)}))
    before = await everything(club, ("customer", dong), ("customer", ma), ("visit", visit), ("visit", closed), ("entry", entry), ("group", group))

    change = await merge(club, dong, ma)
    one = await club.get("customer", dong)
    assert (one.values["name"], one.values["city"], one.values["phone"], one.values["taxno"]) == ("Tianhe Pumps", "Harbin", "+8613912345678", "M-1")
    assert one.values["tags"] == ["old", "new"] and one.values["parent"] == str(above) and one.values["visit_count"] == 2
    assert [v["customer"] for v in await everything(club, ("visit", visit), ("visit", closed), ("entry", entry))] == [str(dong)] * 3
    assert (await club.get("group", group)).values["members"] == [str(dong)]
    with pytest.raises(RecordMerged) as caught:
        await club.get("customer", ma)
    assert caught.value.data["merged_into"] == str(dong)
    found = await execute(await club.ctx("lin"), ops.List(entity="customer", q="Tianhe Pump Co"))
    assert [r.id for r in found.records] == []
    assert ma not in [r.id for r in (await execute(await club.ctx("admin"), ops.List(entity="customer", deleted=True, limit=200))).records]
    with pytest.raises(Conflict):
        await execute(await club.ctx("admin"), ops.Restore(entity="customer", id=ma))
    history = await execute(await club.ctx("lin"), ops.History(entity="customer", id=dong))
    assert history[0].kind == "merged" and history[0].merge == str(change.merge)

    undone = await undo(club, change)
    assert undone.record.id == dong and undone.warnings == []
    assert await everything(club, ("customer", dong), ("customer", ma), ("visit", visit), ("visit", closed), ("entry", entry), ("group", group)) == before
    with pytest.raises(InvalidInput):  # the tax number is the other one's again
        await make(club, name="Third", taxno="m1")
    with pytest.raises(Conflict) as caught:
        await undo(club, change)
    assert caught.value.data["reason"] == "undone"


async def test_field_by_field(club):
    one, two, three = await make(club, name="A", city="Harbin", secret="s1"), await make(club, name="B", city="Canton"), await make(club, name="C", phone="13911112222")
    sheet = await execute(await club.ctx("lin"), ops.CompareForMerge(entity="customer", survivor=one, losers=[two, three]))
    fields = {f.key: f for f in sheet.fields}
    assert fields["name"].chosen == str(one) and fields["phone"].chosen == str(three) and fields["tags"].chosen == "all" and fields["name"].differs and not fields["taxno"].differs
    newest = await execute(await club.ctx("lin"), ops.CompareForMerge(entity="customer", survivor=one, losers=[two, three], winner="newest"))
    assert {f.key: f for f in newest.fields}["name"].chosen == str(three)
    await merge(club, one, two, three, choices={"name": two, "city": three})
    found = await club.get("customer", one)
    assert (found.values["name"], found.values["city"], found.values["phone"], found.values["secret"]) == ("B", None, "+8613911112222", "s1")
    with pytest.raises(InvalidInput):
        await merge(club, one, await make(club), choices={"nope": one, "name": two})


async def test_who_may(club):
    mine, theirs = await make(club, by="dong"), await make(club, by="ma")
    with pytest.raises(PermissionDenied):
        await merge(club, mine, await make(club, by="dong"), by="dong")  # no right to merge
    with pytest.raises(NotFound):
        await merge(club, mine, theirs, by="sub")  # has it, but does not see one of them
    with pytest.raises(BadRequest):
        await merge(club, mine, mine)
    with pytest.raises(StaleVersion):
        await merge(club, mine, theirs, versions={theirs: 7})
    assert (await club.get("customer", theirs)).id == theirs


async def test_a_hidden_field_is_neither_chosen_nor_lost(club):
    one, two = await make(club, by="sub"), await make(club, by="sub")
    await execute(await club.ctx("lin"), ops.Update(entity="customer", id=two, values={"secret": "kept"}))
    sheet = await execute(await club.ctx("sub"), ops.CompareForMerge(entity="customer", survivor=one, losers=[two]))
    assert "secret" not in {f.key for f in sheet.fields} and "kept" not in repr(sheet)
    with pytest.raises(InvalidInput):
        await merge(club, one, two, by="sub", choices={"secret": one})
    await merge(club, one, two, by="sub")
    assert (await club.get("customer", one)).values["secret"] == "kept"


async def test_what_later_changes_forbid(club):
    one, two = await make(club, city="Harbin"), await make(club, phone="13933334444", mail="later@x.example")
    visit = await make(club, "visit", subject="Moved later", customer=str(two))
    change = await merge(club, one, two)
    await execute(await club.ctx("lin"), ops.Update(entity="customer", id=one, values={"phone": "13955556666"}))
    with pytest.raises(Conflict) as caught:
        await undo(club, change)
    assert caught.value.data["reason"] == "changed" and caught.value.data["fields"] == ["phone"] and "Phone" in str(caught.value.message)
    await execute(await club.ctx("lin"), ops.Update(entity="customer", id=one, values={"phone": "13933334444"}))
    third = await make(club)
    await execute(await club.ctx("lin"), ops.Update(entity="visit", id=visit, values={"customer": str(third)}))
    again = await merge(club, third, one)
    with pytest.raises(Conflict) as caught:
        await undo(club, change)
    assert caught.value.data["reason"] == "merged_again"
    with pytest.raises(RecordMerged) as led:  # through both merges
        await club.get("customer", two)
    assert led.value.data["merged_into"] == str(third)
    await undo(club, again)
    undone = await undo(club, change)
    assert len(undone.warnings) == 1 and (await club.get("visit", visit)).values["customer"] == str(third)


async def test_the_window_and_values_taken_meanwhile(club):
    one, two = await make(club, taxno="W-1"), await make(club, taxno="W-2")
    change = await merge(club, one, two)
    taker = await make(club, taxno="W-2")
    with pytest.raises(Conflict) as caught:
        await undo(club, change)
    assert caught.value.data["reason"] == "taken"
    with pytest.raises(RecordMerged):
        await club.get("customer", two)  # nothing of it was done
    await execute(await club.ctx("lin"), ops.Update(entity="customer", id=taker, values={"taxno": None}))
    async with tenant_transaction(club.tenant_id) as conn:
        await conn.execute("UPDATE record_merge SET undo_until = now() WHERE tenant_id = $1 AND id = $2", club.tenant_id, change.merge)
    with pytest.raises(Conflict) as caught:
        await undo(club, change)
    assert caught.value.data["reason"] == "too_late"


async def test_children_that_would_be_the_same(club):
    one, two = await make(club), await make(club)
    await make(club, "visit", subject="Fair", code="F-1", customer=str(one))
    await make(club, "visit", subject="Fair", code="F-1", customer=str(two))
    with pytest.raises(Conflict) as caught:
        await merge(club, one, two)
    assert "Visits" in str(caught.value.message) and (await club.get("customer", two)).id == two


async def test_a_ring_of_the_merged_records_leads_nowhere(club):
    top, child = await make(club, name="Top"), await make(club, name="Child")
    await execute(await club.ctx("lin"), ops.Update(entity="customer", id=child, values={"parent": str(top)}))
    below = await make(club, name="Below", parent=str(child))
    await merge(club, child, top)
    assert (await club.get("customer", child)).values["parent"] is None and (await club.get("customer", below)).values["parent"] == str(child)


async def test_shares_go_along(club):
    one, two = await make(club), await make(club, by="dong")
    await shares.share(await club.ctx("admin"), "customer", two, f"user:{club.people['ma']}")
    change = await merge(club, one, two)
    assert (await club.get("customer", one, by="ma")).id == one
    await undo(club, change)
    with pytest.raises(NotFound):
        await club.get("customer", one, by="ma")
    assert (await club.get("customer", two, by="ma")).id == two


async def test_an_automation_merges(club):
    keep, gone = await make(club, name="Keep"), await make(club, name="Gone", city="Dalian", same_as=None)
    await execute(await club.ctx("lin"), ops.Update(entity="customer", id=gone, values={"same_as": str(keep)}))
    with pytest.raises(RecordMerged):
        await club.get("customer", gone)
    assert (await club.get("customer", keep)).values["city"] == "Dalian"
