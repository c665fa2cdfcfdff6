"""What is made of values follows too: uniqueness, search, duplicates, rollups."""

from __future__ import annotations

import copy
from typing import Any
from uuid import UUID

import pytest

from saas.errors import DuplicateFound, InvalidInput
from saas.runtime import execute
from saas.runtime import operations as ops
from tests.bundles import field as fld
from tests.bundles import label
from tests.integration.backfill.conftest import Shop


async def found(shop: Shop, entity: str, text: str) -> set[str]:
    page = await execute(await shop.lab.ctx("admin"), ops.List(entity=entity, q=text))
    return {r.values["name"] for r in page.records}


async def claims(shop: Shop, rule: str) -> set[UUID]:
    return {r["record_id"] for r in await shop.lab.fetch("SELECT record_id FROM unique_value WHERE tenant_id = $1 AND rule_key = $2", rule)}


async def test_the_first_of_several_equal_ones_keeps_its_value(shop):
    ids = {name: await shop.lab.make("customer", name=name, code=code) for name, code in (("a", "X 1"), ("b", "x1"), ("c", "other"), ("d", None), ("e", "x1"))}
    gone = await shop.lab.make("customer", name="gone", code="other")
    await execute(await shop.lab.ctx("admin"), ops.Delete(entity="customer", id=gone))
    shop.field("customer", "code")["unique"] = True
    info = await shop.follow()
    assert await claims(shop, "code") == {ids["a"], ids["c"]}
    step = info.result["steps"][0]
    assert step["collisions"] == 2
    assert [(c["id"], c["holder"]) for c in step["collided"]] == [(str(ids["b"]), str(ids["a"])), (str(ids["e"]), str(ids["a"]))]
    assert [(line.state, "2 records have a value" in line.detail) for line in info.report()] == [("problem", True)]
    ctx = await shop.lab.ctx("clerk")
    with pytest.raises(InvalidInput):
        await shop.lab.make("customer", name="f", code="X1")
    await execute(ctx, ops.Update(entity="customer", id=ids["b"], values={"name": "still b"}))  # what was there may stay
    await execute(ctx, ops.Update(entity="customer", id=ids["b"], values={"code": "free"}))
    assert ids["b"] in await claims(shop, "code")


async def test_a_rule_that_comes_back_knows_nothing_of_what_was_before(shop):
    a = await shop.lab.make("customer", name="a", code="1")
    without = copy.deepcopy(shop.raw)
    shop.field("customer", "code")["unique"] = True
    ruled = copy.deepcopy(shop.raw)
    await shop.follow()
    removal = await shop.publish(raw=without)  # not carried out yet
    ctx = await shop.lab.ctx("admin")
    await execute(ctx, ops.Update(entity="customer", id=a, values={"code": "2"}))
    again = await shop.publish(raw=ruled)
    b = await shop.lab.make("customer", name="b", code="1")  # no longer anybody's
    assert (await shop.finish(removal)).result["steps"][0]["void"] == "back"
    await shop.finish(again)
    assert await claims(shop, "code") == {a, b}
    await shop.follow(raw=without)
    assert await claims(shop, "code") == set()


async def test_a_rule_with_a_condition_over_a_changed_type(shop):
    for name, code, status in (("a", "1", "5"), ("b", "01", "50"), ("c", "1", "60")):
        await shop.lab.make("order", name=name, place=code, status=status)
    shop.entity("order")["unique"] = [{"key": "big", "fields": ["place"], "when": "contains(status, '0')"}]
    await shop.follow()
    assert len(await claims(shop, "big")) == 2
    shop.put("order", fld("status", "int"))
    shop.put("order", fld("place", "int"))
    shop.entity("order")["unique"] = [{"key": "big", "fields": ["place"], "when": "status > 10"}]
    info = await shop.follow()
    assert len(await claims(shop, "big")) == 1
    assert sum(s.get("collisions", 0) for s in info.result["steps"]) == 1


async def test_search_follows_fields_types_and_words(shop):
    await shop.lab.make("customer", name="alpha", code="zebra", grade="gold")
    assert await found(shop, "customer", "zebra") == set()
    first = copy.deepcopy(shop.raw)
    shop.entity("customer")["search"] = ["name", "code", "grade"]
    await shop.follow()
    assert await found(shop, "customer", "zebra") == await found(shop, "customer", "gold") == {"alpha"}
    shop.raw["option_sets"][0]["options"][0]["label"] = label("Platinum")
    await shop.follow()
    assert await found(shop, "customer", "platinum") == {"alpha"} and await found(shop, "customer", "gold") == set()
    shop.put("customer", fld("code", "date"))
    await shop.follow()
    assert await found(shop, "customer", "zebra") == set()
    await shop.follow(raw=first)
    assert await found(shop, "customer", "platinum") == set() and await found(shop, "customer", "alpha") == {"alpha"}


async def test_duplicates_are_found_among_older_records(shop):
    await shop.lab.make("customer", name="alpha", code="77")
    shop.entity("customer")["duplicates"] = [{"key": "same", "match": ["code"], "action": "block"}]
    await shop.follow()
    with pytest.raises(DuplicateFound):
        await shop.lab.make("customer", name="beta", code="77")
    shop.put("customer", fld("code", "int"))
    await shop.follow()
    with pytest.raises(DuplicateFound):
        await shop.lab.make("customer", name="beta", code=77)


async def test_rollups_follow_their_definition_and_what_they_are_made_of(shop):
    customer = str(await shop.lab.make("customer", name="c"))
    for name, amount, status in (("a", 5, "1"), ("b", 20, "2")):
        await shop.lab.make("order", name=name, amount=amount, status=status, customer=customer)
    shop.put("customer", fld("big", "rollup", of="orders", fn="count", where="amount > setting('limit')"))
    shop.put("customer", fld("sum2", "rollup", of="orders", fn="sum", field="twice"))
    shop.put("order", fld("twice", "formula", returns="number", expr="amount * 2"))
    await shop.follow()
    assert (await shop.values("customer", "big"), await shop.values("customer", "sum2")) == ({"c": 1}, {"c": 50})
    shop.raw["settings"][0]["default"] = 3
    shop.put("order", fld("twice", "formula", returns="number", expr="amount * 3"))
    _, steps = await shop.publish_steps()
    assert [(s.kind, s.field) for s in steps] == [("rollup", "big"), ("rollup", "sum2")]
    [job] = await shop.lab.fetch("SELECT id FROM job WHERE tenant_id = $1 AND status = 'queued' AND kind = 'backfill'")
    await shop.finish(job["id"])
    assert (await shop.values("customer", "big"), await shop.values("customer", "sum2")) == ({"c": 2}, {"c": 75})
    shop.put("order", fld("status", "int"))
    shop.put("customer", fld("best", "rollup", of="orders", fn="max", field="status"))
    await shop.follow()
    assert await shop.values("customer", "best") == {"c": 2}


async def test_values_that_follow_reach_the_parents_they_had_and_have(shop):
    one, two = [str(await shop.lab.make("customer", name=n)) for n in ("one", "two")]
    await shop.lab.make("order", name="a", amount=5, status=two, customer=one)
    shop.put("order", fld("other", "ref", to="customer", inverse={"key": "other_orders", "label": label("Other")}))
    shop.put("customer", fld("others", "rollup", of="other_orders", fn="sum", field="amount"))
    await shop.follow([{"do": "fill", "entity": "order", "field": "other", "expr": "customer"}])
    assert await shop.values("customer", "others") == {"one": 5, "two": 0}
    first: dict[str, Any] = copy.deepcopy(shop.raw)
    shop.put("order", fld("other", "ref", to="order", inverse={"key": "more", "label": label("More")}))
    shop.drop("customer", "others")
    await shop.follow()
    await shop.follow(raw=first)
    assert await shop.values("customer", "others") == {"one": 5, "two": 0}


async def test_an_entity_that_comes_back_stands_as_it_is_configured_now(shop):
    for name, code in (("a", "1"), ("b", "1")):
        await shop.lab.make("customer", name=name, code=code)
    raw = copy.deepcopy(shop.raw)
    shop.raw["entities"] = [e for e in shop.raw["entities"] if e["key"] != "customer"]
    for key in ("customer", "partner"):
        shop.drop("order", key)
    shop.raw["roles"][1]["entities"].pop("customer")
    assert await shop.follow() is None
    customer = next(e for e in raw["entities"] if e["key"] == "customer")
    customer["search"] = ["code"]
    next(f for f in customer["fields"] if f["key"] == "code")["unique"] = True
    info = await shop.follow(raw=raw)
    assert sum(s.get("collisions", 0) for s in info.result["steps"]) == 1
    assert await found(shop, "customer", "1") == {"a", "b"}
