"""Values follow: types, places, fills, replacements, and everything comes back when the change is taken back."""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from saas.db import tenant_transaction
from saas.runtime import execute
from saas.runtime import operations as ops
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import options
from tests.integration.backfill.conftest import Shop


async def edit(shop: Shop, entity: str, record_id: UUID, by: str = "clerk", **values: Any) -> None:
    await execute(await shop.lab.ctx(by), ops.Update(entity=entity, id=record_id, values=values))


async def test_a_text_becomes_a_number_and_comes_back_as_it_was(shop):
    ids = {name: await shop.lab.make("order", name=name, place=place) for name, place in {"a": "12", "b": " 7.50", "c": "ground floor", "d": None, "e": "1,200"}.items()}
    first = copy.deepcopy(shop.raw)
    shop.put("order", fld("place", "number"))
    info = await shop.follow()
    assert await shop.values("order", "place") == {"a": 12, "b": 7.5, "c": None, "d": None, "e": 1200}
    step = info.result["steps"][0]
    assert (step["changed"], step["lost"], step["lost_ids"]) == (3, 1, [str(ids["c"])])
    await edit(shop, "order", ids["a"], place=99)
    await edit(shop, "order", ids["b"], place=None)
    await edit(shop, "order", ids["d"], place=5)
    await shop.follow(raw=first)
    assert await shop.values("order", "place") == {"a": "99", "b": None, "c": "ground floor", "d": "5", "e": "1,200"}


async def test_the_history_tells_who_changed_what_into_what(shop):
    record_id = await shop.lab.make("order", name="a", place="12")
    version = (await shop.lab.get("order", record_id)).version
    before = await shop.lab.fetch("SELECT updated_at, updated_by FROM record WHERE tenant_id = $1 AND id = $2", record_id)
    shop.put("order", fld("place", "int"))
    await shop.follow()
    assert (await shop.lab.get("order", record_id)).version == version + 1
    assert await shop.lab.fetch("SELECT updated_at, updated_by FROM record WHERE tenant_id = $1 AND id = $2", record_id) == before
    [event, created] = await execute(await shop.lab.ctx("clerk"), ops.History(entity="order", id=record_id))
    assert (event.origin, event.actor_id, event.kind) == ("configuration", shop.lab.people["admin"], "updated")
    assert [(c["field"], c["old"], c["new"]) for c in event.changes] == [("place", "12", "12")]
    assert next(c["new"] for c in created.changes if c["field"] == "place") == "12"  # of another type then, still told


async def test_history_of_values_that_the_new_type_does_not_understand_can_be_read(shop):
    record_id = await shop.lab.make("order", name="a", place="ground floor", status="on hold")
    shop.put("order", fld("place", "date"))
    shop.put("order", fld("status", "user"))
    await shop.follow()
    entries = await execute(await shop.lab.ctx("clerk"), ops.History(entity="order", id=record_id))
    told = {c["field"]: c["new"] for c in entries[-1].changes}
    assert (told["place"], told["status"]) == ("ground floor", "on hold")


async def test_types_that_share_a_column_are_not_read_as_each_other(shop):
    shop.put("order", fld("count", "int"))
    await shop.follow()
    await shop.lab.make("order", name="a", count=1250)
    first = copy.deepcopy(shop.raw)
    shop.put("order", fld("count", "money"))
    job = await shop.publish()
    assert await shop.values("order", "count") == {"a": None}  # not yet, rather than 12.50
    await shop.finish(job)
    assert await shop.values("order", "count") == {"a": {"amount": "1250.00", "currency": "CNY"}}
    await shop.follow(raw=first)
    assert await shop.values("order", "count") == {"a": 1250}


async def test_documents_and_links_change_type_too(shop):
    await shop.lab.make("customer", name="c", note="red, blue", kinds=["gold", "vip"])
    partner = await shop.lab.make("customer", name="p")
    await shop.lab.make("order", name="o", partner=[str(partner)])
    first = copy.deepcopy(shop.raw)
    shop.put("customer", fld("note", "tags"))
    shop.put("customer", fld("kinds", "text"))
    shop.put("order", fld("partner", "ref", to="customer", inverse={"key": "partner_orders", "label": label("Orders")}))
    job = await shop.publish()
    assert (await shop.values("customer", "note"))["c"] is None  # a text is no list of tags
    await shop.finish(job)
    assert (await shop.values("customer", "note"))["c"] == ["red", "blue"]
    assert (await shop.values("customer", "kinds"))["c"] == "Gold, Vip"
    assert await shop.values("order", "partner") == {"o": str(partner)}
    await shop.follow(raw=first)
    assert (await shop.values("customer", "note"))["c"] == "red, blue"
    assert (await shop.values("customer", "kinds"))["c"] == ["gold", "vip"]
    assert await shop.values("order", "partner") == {"o": [str(partner)]}


async def test_deleted_records_are_converted_before_somebody_restores_them(shop):
    record_id = await shop.lab.make("order", name="a", place="12")
    ctx = await shop.lab.ctx("admin")
    await execute(ctx, ops.Delete(entity="order", id=record_id))
    shop.put("order", fld("place", "int"))
    await shop.follow()
    await execute(await shop.lab.ctx("admin"), ops.Restore(entity="order", id=record_id))
    assert (await shop.lab.get("order", record_id)).values["place"] == 12


async def test_a_formula_made_a_field_keeps_what_it_computed(shop):
    customer = await shop.lab.make("customer", name="c")
    await shop.lab.make("order", name="o", amount=4, customer=str(customer))
    first = copy.deepcopy(shop.raw)
    shop.put("customer", fld("double", "number"))
    shop.put("customer", fld("total", "number"))
    await shop.follow()
    assert (await shop.values("customer", "double"), await shop.values("customer", "total")) == ({"c": 8}, {"c": 4})
    await shop.lab.make("order", name="o2", amount=1, customer=str(customer))
    await shop.follow(raw=first)
    assert (await shop.values("customer", "double"), await shop.values("customer", "total")) == ({"c": 10}, {"c": 5})


async def test_what_is_taken_back_before_it_was_carried_out_leaves_no_trace(shop):
    record_id = await shop.lab.make("order", name="a", place="12")
    first = copy.deepcopy(shop.raw)
    shop.put("order", fld("place", "int"))
    forth = await shop.publish()
    back = await shop.publish(raw=first)
    assert (await shop.finish(forth)).result["steps"][0]["void"] == "reverted"
    await shop.finish(back)
    assert await shop.values("order", "place") == {"a": "12"}
    assert (await shop.lab.get("order", record_id)).version == 1


async def test_two_changes_in_a_row_are_both_carried_out_in_order(shop):
    await shop.lab.make("order", name="a", place="12.00")
    shop.put("order", fld("place", "number"))
    first = await shop.publish()
    shop.put("order", fld("place", "text"))
    shop.put("order", fld("place", "int"))
    second = await shop.publish()
    await shop.finish(first)  # nobody sees these values, the next change goes on from them
    await shop.finish(second)
    assert await shop.values("order", "place") == {"a": 12}


async def test_a_change_of_a_field_that_was_removed_meanwhile_is_found_when_it_comes_back(shop):
    await shop.lab.make("order", name="a", place="12")
    shop.put("order", fld("place", "int"))
    changed, first = copy.deepcopy(shop.raw), await shop.publish()
    shop.drop("order", "place")
    assert await shop.publish() is None
    await shop.finish(first)
    await shop.follow(raw=changed)
    assert await shop.values("order", "place") == {"a": 12}


async def test_fill_with_a_value_and_with_an_expression(shop):
    for name, amount, status in (("a", 5, None), ("b", None, None), ("c", 2, "open")):
        await shop.lab.make("order", name=name, amount=amount, status=status)
    shop.put("order", fld("rank", "int", required=True))
    data = [
        {"do": "fill", "entity": "order", "field": "rank", "expr": "amount * 2"}, {"do": "fill", "entity": "order", "field": "rank", "value": 1},
        {"do": "fill", "entity": "order", "field": "status", "expr": "if(amount > 3, 'big', 'small')"},
    ]  # fmt: skip
    await shop.follow(data)
    assert await shop.values("order", "rank") == {"a": 10, "b": 1, "c": 4}
    assert await shop.values("order", "status") == {"a": "big", "b": "small", "c": "open"}


async def test_what_cannot_be_computed_is_told_and_the_rest_is_filled(shop):
    for name, amount in (("a", 5), ("b", 0), ("c", 2)):
        await shop.lab.make("order", name=name, amount=amount)
    shop.put("order", fld("rank", "int", min=0))
    info = await shop.follow([{"do": "fill", "entity": "order", "field": "rank", "expr": "amount - 3"}])
    assert await shop.values("order", "rank") == {"a": 2, "b": None, "c": None}
    assert info.result["steps"][0]["failed"] == 2


async def test_an_owner_can_be_filled_in(shop):
    entity = shop.entity("order")
    entity["owned"] = False
    await shop.follow()
    await shop.lab.make("order", name="a", by="clerk")
    entity = shop.entity("order")
    entity["owned"] = True
    await shop.follow([{"do": "fill", "entity": "order", "field": "owner", "expr": "created_by"}])
    [record] = (await execute(await shop.lab.ctx("admin"), ops.List(entity="order"))).records
    assert record.owner == shop.lab.people["clerk"]


async def test_an_option_is_split_by_a_rule_and_comes_back_with_the_revision(shop):
    ids = {}
    for name, grade in (("a", "vip"), ("b", "vip"), ("c", "silver"), ("d", None), ("e", "vip")):
        kinds = [grade, "gold"] if grade and name != "e" else [grade] if grade else None
        ids[name] = await shop.lab.make("customer", name=name, grade=grade, code="x" if name == "a" else None, kinds=kinds)
    first = copy.deepcopy(shop.raw)
    shop.raw["option_sets"][0]["options"] = options("gold", "silver", "star")
    rules = [{"if": "code == 'x'", "to": "star"}]
    data = [
        {"do": "replace", "entity": "customer", "field": "grade", "from": "vip", "rules": rules, "to": "gold"},
        {"do": "replace", "entity": "customer", "field": "kinds", "from": "vip", "rules": [], "to": None},
    ]
    await shop.follow(data)
    assert await shop.values("customer", "grade") == {"a": "star", "b": "gold", "c": "silver", "d": None, "e": "gold"}
    assert await shop.values("customer", "kinds") == {"a": ["gold"], "b": ["gold"], "c": ["silver", "gold"], "d": None, "e": None}
    await edit(shop, "customer", ids["b"], grade="silver")
    shop.put("customer", fld("more", "text"))
    await shop.follow()
    await shop.follow(raw=first)  # two revisions back
    assert await shop.values("customer", "grade") == {"a": "vip", "b": "silver", "c": "silver", "d": None, "e": "vip"}
    assert await shop.values("customer", "kinds") == {"a": ["vip", "gold"], "b": ["vip", "gold"], "c": ["silver", "gold"], "d": None, "e": ["vip"]}


async def test_a_choice_that_is_added_again_later_does_not_reach_into_the_past(shop):
    await shop.lab.make("customer", name="a", grade="vip")
    shop.raw["option_sets"][0]["options"] = options("gold", "silver")
    await shop.follow([{"do": "replace", "entity": "customer", "field": "grade", "from": "vip", "rules": [], "to": "gold"}])
    shop.put("customer", fld("more", "text"))
    await shop.follow()
    shop.raw["option_sets"][0]["options"] = options("gold", "silver", "vip")
    await shop.follow()
    assert await shop.values("customer", "grade") == {"a": "gold"}
    shop.raw["option_sets"][0]["options"] = options("gold", "silver", "vip", "new")
    assert "undo" not in {s.kind for s in (await shop.publish_steps())[1] if s.options.get("lost")}
    assert not await shop.lab.fetch("SELECT 1 FROM job WHERE tenant_id = $1 AND kind = 'backfill' AND status = 'queued'")


async def test_a_pipeline_is_entered_and_stages_give_way(shop):
    for name, status in (("a", "won"), ("b", "anything"), ("c", None)):
        await shop.lab.make("order", name=name, status=status)
    first = copy.deepcopy(shop.raw)
    shop.put("order", fld("status", "pipeline", pipeline="order"))
    stages = [{"key": k, "label": label(k), "kind": kind} for k, kind in (("new", "open"), ("won", "won"), ("lost", "lost"))]
    shop.raw["pipelines"] = [{"key": "order", "entity": "order", "field": "status", "label": label("Order"), "stages": stages, "transitions": []}]
    await shop.follow()
    assert await shop.values("order", "status") == {"a": "won", "b": "new", "c": "new"}
    rows = await shop.lab.fetch("SELECT stage, left_at FROM stage_history WHERE tenant_id = $1")
    assert sorted(r["stage"] for r in rows) == ["new", "new", "won"] and not any(r["left_at"] for r in rows)
    second = copy.deepcopy(shop.raw)
    shop.raw["pipelines"][0]["stages"] = [stages[0], {"key": "done", "label": label("Done"), "kind": "done"}]
    await shop.follow([{"do": "replace", "entity": "order", "field": "status", "from": s, "rules": [], "to": "done"} for s in ("won", "lost")])
    assert await shop.values("order", "status") == {"a": "done", "b": "new", "c": "new"}
    assert len(await shop.lab.fetch("SELECT 1 FROM stage_history WHERE tenant_id = $1 AND left_at IS NULL")) == 3
    await shop.follow(raw=second)
    assert (await shop.values("order", "status"))["a"] == "won"
    await shop.follow(raw=first)
    assert await shop.values("order", "status") == {"a": "won", "b": "anything", "c": None}


async def test_records_are_numbered_in_the_order_of_their_making(shop):
    ids = [await shop.lab.make("order", name=name) for name in "abc"]
    for day, record_id in zip(("2024-03-01", "2023-05-05", "2023-05-04"), ids, strict=True):
        moment = datetime.fromisoformat(f"{day}T12:00:00Z")
        await shop.lab.fetch("UPDATE record SET created_at = $3 WHERE tenant_id = $1 AND id = $2 RETURNING 1", record_id, moment)
    shop.put("order", fld("number", "auto", pattern="O-{yyyy}-{seq:2}", reset="year"))
    await shop.follow()
    assert await shop.values("order", "number") == {"a": "O-2024-01", "b": "O-2023-02", "c": "O-2023-01"}
    await shop.lab.make("order", name="d")
    assert (await shop.values("order", "number"))["d"].endswith("-01")


async def test_numbers_given_by_hand_are_kept_and_not_given_again(shop):
    for name, code in (("a", "K-0007"), ("b", None), ("c", "old one")):
        await shop.lab.make("customer", name=name, code=code)
    shop.put("customer", fld("code", "auto", pattern="K-{seq:4}"))
    await shop.follow()
    assert await shop.values("customer", "code") == {"a": "K-0007", "b": "K-0008", "c": "old one"}
    await shop.lab.make("customer", name="d")
    assert (await shop.values("customer", "code"))["d"] == "K-0009"


async def test_a_column_that_becomes_free_is_moved_into(shop):
    """300 fields: most lie in the document, and can be changed, moved and taken back like any other."""
    for number in range(294):
        shop.put("order", fld(f"f{number}", ("text", "int", "date")[number % 3]))
    await shop.follow()
    values = {f"f{n}": ("12", 12, "2025-01-12")[n % 3] for n in range(294)}
    record_id = await shop.lab.make("order", name="a", **values)
    [doc] = await shop.lab.fetch("SELECT doc->>'f292' AS x FROM record WHERE tenant_id = $1")
    assert doc["x"] == "12"  # an int that found no column
    first = copy.deepcopy(shop.raw)
    shop.put("order", fld("f291", "int"))  # a text in the document
    shop.put("order", fld("f292", "text"))
    await shop.follow()
    record = await shop.lab.get("order", record_id)
    assert (record.values["f291"], record.values["f292"]) == (12, "12")
    assert {k: v for k, v in record.values.items() if k in values and k not in ("f291", "f292")} == {k: v for k, v in values.items() if k not in ("f291", "f292")}
    await shop.follow(raw=first)
    record = await shop.lab.get("order", record_id)
    assert {k: record.values[k] for k in values} == values
    async with tenant_transaction(shop.lab.tenant_id) as conn:  # as purging does
        number = await conn.fetchval("SELECT id FROM entity WHERE tenant_id = $1 AND key = 'order'", shop.lab.tenant_id)
        column = await conn.fetchval("DELETE FROM field_column WHERE tenant_id = $1 AND entity_id = $2 AND field_key = 'f1' RETURNING column_name", shop.lab.tenant_id, number)
        await conn.execute(f"UPDATE record SET {column} = NULL WHERE entity_id = {number}")  # noqa: S608  our own names
    shop.drop("order", "f1")
    _, steps = await shop.publish_steps()
    assert [(s.kind, s.options["now"]) for s in steps] == [("move", column)]
    moved = steps[0].field
    assert (await shop.lab.get("order", record_id)).values[moved] is None
    [job] = await shop.lab.fetch("SELECT id FROM job WHERE tenant_id = $1 AND status = 'queued' AND kind = 'backfill'")
    await shop.finish(job["id"])
    assert (await shop.lab.get("order", record_id)).values[moved] == values[moved]
    assert (await shop.lab.fetch("SELECT doc ? $2 AS there FROM record WHERE tenant_id = $1", moved))[0]["there"] is False
    assert not await shop.lab.fetch("SELECT 1 FROM field_column WHERE tenant_id = $1 AND field_key LIKE $2", f"{moved}~%")


@pytest.mark.parametrize("type_", ["date", "user", "email"])
async def test_a_type_that_cannot_hold_them_loses_values_until_it_is_taken_back(shop, type_):
    await shop.lab.make("order", name="a", place="whatever it is")
    first = copy.deepcopy(shop.raw)
    shop.put("order", fld("place", type_))
    info = await shop.follow()
    assert await shop.values("order", "place") == {"a": None} and info.result["steps"][0]["lost"] == 1
    await shop.follow(raw=first)
    assert await shop.values("order", "place") == {"a": "whatever it is"}


@pytest.mark.parametrize(("type_", "options", "typed"), [("text", {}, "O-07"), ("longtext", {}, "O-07"), ("int", {}, 7)])
async def test_a_record_added_before_the_numbers_are_reserved_gets_none_that_was_typed(shop, type_, options, typed):
    pattern = "{seq}" if type_ == "int" else "O-{seq:2}"
    shop.put("order", fld("no", type_, **options))
    await shop.follow()
    await shop.lab.make("order", name="a", no=typed)
    shop.put("order", fld("no", "auto", pattern=pattern, reset="year"))
    job_id = await shop.publish()
    await shop.lab.make("order", name="b")
    await shop.finish(job_id)
    assert await shop.values("order", "no") == {"a": str(typed), "b": "8" if type_ == "int" else "O-08"}
