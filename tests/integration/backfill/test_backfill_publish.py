"""Through the door that admins use: publish, and the records have followed; go back, and they have followed back."""

from __future__ import annotations

import copy
from typing import Any

from saas.db import indexes
from saas.runtime import configuration, jobs
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import options
from tests.integration.backfill.conftest import Shop


async def publish(shop: Shop, data: Any = ()) -> int:
    return (await configuration.publish(await shop.lab.ctx("admin"), raw=copy.deepcopy(shop.raw), data=data)).number


async def test_small_companies_see_everything_at_once(shop):
    for name, place, grade in (("a", "1", "vip"), ("b", "x", "gold")):
        await shop.lab.make("order", name=name, place=place)
        await shop.lab.make("customer", name=name, grade=grade, code="same")
    shop.put("order", fld("place", "int"))
    shop.put("order", fld("number", "auto", pattern="O-{seq:3}"))
    shop.field("customer", "code")["unique"] = True
    shop.raw["option_sets"][0]["options"] = options("gold", "silver")
    step = {"do": "replace", "entity": "customer", "field": "grade", "from": "vip", "to": "silver"}
    plan = await configuration.make_plan(await shop.lab.ctx("admin"), copy.deepcopy(shop.raw), data=[step])
    assert plan.report.can_publish and 0 < plan.report.seconds < 1
    await configuration.publish(await shop.lab.ctx("admin"), plan_id=plan.id)
    assert await shop.values("order", "place") == {"a": 1, "b": None}
    assert await shop.values("order", "number") == {"a": "O-001", "b": "O-002"}
    assert await shop.values("customer", "grade") == {"a": "silver", "b": "gold"}
    [job] = await jobs.list_of_kind(await shop.lab.ctx("admin"), "backfill")
    assert job.status == "done" and job.created_by == shop.lab.people["admin"]
    await configuration.revert(await shop.lab.ctx("admin"), 1)
    assert await shop.values("order", "place") == {"a": "1", "b": "x"}
    assert await shop.values("customer", "grade") == {"a": "vip", "b": "gold"}


async def test_an_entity_that_is_new_gets_its_indexes(shop, settings, database):
    fields = [fld("name", "text"), *(fld(f"n{i}", "int") for i in range(6)), fld("rank", "int", indexed=True)]
    shop.raw["entities"].append({"key": "part", "label": label("Part"), "plural": label("Parts"), "title": "name", "fields": fields})
    await publish(shop)
    entity = (await shop.lab.ctx("admin")).config.entity("part")
    [row] = await shop.lab.fetch("SELECT index_name, status FROM field_index WHERE tenant_id = $1")
    assert (row["index_name"], row["status"]) == (indexes.index_name(entity.number, entity.columns["rank"]), "ready")


async def test_going_back_moves_records_out_of_stages_that_are_gone(shop):
    stages = [{"key": k, "label": label(k), "kind": kind} for k, kind in (("new", "open"), ("won", "won"))]
    shop.put("order", fld("stage", "pipeline", pipeline="order"))
    move = [{"key": "win", "label": label("Win"), "from": ["*"], "to": "won"}]
    shop.raw["pipelines"] = [{"key": "order", "entity": "order", "field": "stage", "label": label("Order"), "stages": stages, "transitions": move}]
    first = await publish(shop)
    await shop.lab.make("order", name="a")
    shop.raw["pipelines"][0]["stages"] = [stages[0], {"key": "sent", "label": label("Sent")}, stages[1]]
    shop.raw["pipelines"][0]["transitions"] = [*move, {"key": "send", "label": label("Send"), "from": ["*"], "to": "sent"}]
    await publish(shop)
    from saas.runtime import execute
    from saas.runtime import operations as ops

    record = (await execute(await shop.lab.ctx("admin"), ops.List(entity="order"))).records[0]
    await execute(await shop.lab.ctx("admin"), ops.Transition(entity="order", id=record.id, key="send"))
    await configuration.revert(await shop.lab.ctx("admin"), first)
    assert await shop.values("order", "stage") == {"a": "new"}


async def test_a_purge_between_plan_and_publication_misleads_nobody(shop):
    """The place a field is given is settled when it is published, not when the plan was made."""
    for number in range(45):
        shop.put("order", fld(f"x{number}", "text"))
    await publish(shop)
    await shop.lab.make("order", name="a", place="7", x0="kept")
    shop.drop("order", "x1")
    await publish(shop)
    ctx = await shop.lab.ctx("admin")
    from saas.runtime import removed as gone
    from saas.runtime.worker import run_now

    item = next(i for i in await gone.removed(ctx) if i.field == "x1")
    shop.put("order", fld("place", "email"))
    raw = copy.deepcopy(shop.raw)
    original = configuration._commit

    async def purge_first(*args: Any, **kwargs: Any) -> Any:
        gone.SETTLED_SECONDS = -1.0
        try:
            await run_now(ctx, await gone.purge(ctx, item, typed="X1"))
        finally:
            gone.SETTLED_SECONDS = 60.0
        return await original(*args, **kwargs)

    configuration._commit = purge_first
    try:
        await configuration.publish(ctx, raw=raw)
    finally:
        configuration._commit = original
    shop.put("order", fld("place", "text"))
    await publish(shop)
    assert (await shop.values("order", "place"), await shop.values("order", "x0")) == ({"a": "7"}, {"a": "kept"})


async def test_fields_that_get_the_column_of_a_purge_at_the_last_moment_keep_their_values(shop, monkeypatch):
    """A column becomes free after the work was derived: the values of the field that gets it move there all the same."""
    from saas.runtime import removed as gone
    from saas.runtime.worker import run_now

    monkeypatch.setattr(gone, "SETTLED_SECONDS", -1.0)
    values = {f"x{number}": str(number) for number in range(45)}
    for key in values:
        shop.put("order", fld(key, "text"))
    await publish(shop)
    record_id = await shop.lab.make("order", name="a", **values)
    shop.drop("order", "x1")
    await publish(shop)
    ctx = await shop.lab.ctx("admin")
    item = next(i for i in await gone.removed(ctx) if i.field == "x1")
    original = configuration._commit

    async def purge_first(*args: Any, **kwargs: Any) -> Any:
        await run_now(ctx, await gone.purge(ctx, item, typed="X1"))
        return await original(*args, **kwargs)

    monkeypatch.setattr(configuration, "_commit", purge_first)
    shop.put("customer", fld("extra", "text"))
    await publish(shop)
    found = (await shop.lab.get("order", record_id)).values
    assert {key: found[key] for key in values if key != "x1"} == {key: text for key, text in values.items() if key != "x1"}
