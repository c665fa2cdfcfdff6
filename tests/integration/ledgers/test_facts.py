"""Facts: loaded by key, again and again, from two sides at once, each row for itself."""

from __future__ import annotations

import asyncio

from saas.runtime import execute
from saas.runtime import operations as ops
from tests.acceptance.api import Person, refused
from tests.factories import PASSWORD


async def test_loading_twice_changes_nothing(trade, http):
    agent = str(await trade.make("agent", name="Bank"))
    boss = await Person(http, f"{trade.slug}.localhost", language="en").sign_in(f"admin@{trade.slug}.example", PASSWORD)
    rows = [{"agent": agent, "day": f"2026-01-0{n}", "amount": n * 10} for n in range(1, 5)]

    async def load(*given, expect=200):
        return await boss.call("POST", "/records/fact/upsert", {"by": "daily", "rows": [*given]}, expect=expect)

    assert (await load(*rows))["counts"] == {"created": 4, "changed": 0, "same": 0, "failed": 0}
    assert (await load(*rows))["counts"] == {"created": 0, "changed": 0, "same": 4, "failed": 0}
    found = await load({**rows[0], "amount": 11}, {**rows[1], "amount": -1}, {"agent": agent, "amount": 1}, {**rows[3], "day": "2026-01-05"})
    assert [r["status"] for r in found["results"]] == ["changed", "failed", "failed", "created"]
    assert {r["errors"][0]["field"] for r in found["results"] if r["status"] == "failed"} == {"amount", "day"}
    by_month = await boss.call("POST", "/records/fact/aggregate", {"measures": [{"fn": "sum", "field": "amount"}], "dimensions": [{"field": "day", "bucket": "month"}], "filter": {"field": "agent", "op": "eq", "value": agent}})
    assert by_month["rows"][0]["values"] == [11 + 20 + 30 + 40 + 40]
    refused(await boss.send("POST", "/records/fact/upsert", {"by": "nothing", "rows": []}), 400)
    refused(await boss.send("POST", "/records/fact/upsert", {"by": "daily", "rows": [1]}), 400)
    reader = await Person(http, f"{trade.slug}.localhost", language="en").sign_in(f"reader@{trade.slug}.example", PASSWORD)
    refused(await reader.send("POST", "/records/fact/upsert", {"by": "daily", "rows": rows}), 403)
    assert "/records/fact/upsert" in (await boss.get("/openapi.json"))["paths"]


async def test_two_loads_at_once_meet(trade):
    agent = str(await trade.make("agent", name="Twice"))
    rows = [{"agent": agent, "day": f"2026-02-{n:02}", "amount": n} for n in range(1, 21)]
    ctx = await trade.ctx()
    both = await asyncio.gather(*(execute(ctx, ops.UpsertMany(entity="fact", by="daily", rows=rows)) for _ in range(2)))
    assert all(x.status in ("created", "same") for load in both for x in load)
    page = await execute(ctx, ops.List(entity="fact", filter={"field": "agent", "op": "eq", "value": agent}))
    assert len(page.records) == 20
