"""How many statements an operation sends does not grow with the number of records."""

from __future__ import annotations

from uuid import UUID

import pytest_asyncio

from saas.db import count_queries, query_count
from saas.metadata.config import Entity
from saas.runtime import execute
from saas.runtime import operations as ops
from tests.factories import Lab, make_lab


@pytest_asyncio.fixture(scope="module")
async def crowded(database) -> Lab:
    lab = await make_lab()
    accounts = [await lab.make("account", by="chief", name=f"Q{i}", credit=i, helper=str(lab.people["seller"])) for i in range(8)]
    for i in range(24):
        await lab.make(
            "thing", by="chief", name=f"T{i}", helper=str(lab.people["seller"]), unit=str(lab.departments["north"]), account=str(accounts[i % 8]),
            accounts=[str(accounts[0]), str(accounts[i % 7])], color=["red", "green", "blue"][i % 3],
        )  # fmt: skip
        await lab.make("deal", by="chief", name=f"D{i}", account=str(accounts[i % 8]), winner=str(lab.people["chief"]), amount=i + 1)
    return lab


async def counted(ctx, operation) -> int:
    with count_queries():
        await execute(ctx, operation)
        return query_count()


def kinds_of_links(entity: Entity, fields: list[str]) -> int:
    """People and departments are read together, records once for each entity they belong to."""
    links = [entity.fields[f] for f in fields if entity.fields[f].type in ("user", "dept", "ref", "m2m")]
    found = {"people" if f.type in ("user", "dept") else f.options["to"] for f in links}
    return len(found)


async def test_lists(crowded) -> None:
    ctx = await crowded.ctx("chief")
    entity = ctx.config.entity("thing")
    for fields in (["name"], ["name", "helper"], ["name", "helper", "owner", "created_by"], ["name", "account", "accounts"], ["helper", "unit", "account"]):
        links = kinds_of_links(entity, fields)
        for limit in (1, 5, 24):
            assert await counted(ctx, ops.List(entity="thing", fields=fields, sort=["-created_at"], limit=limit)) == 1 + bool(links), fields
        assert await counted(ctx, ops.List(entity="thing", fields=fields, sort=["-created_at"], count="exact")) == 2 + bool(links)
        assert await counted(ctx, ops.List(entity="thing", fields=fields, sort=["-created_at"], count="capped", can=True)) == 2 + bool(links)
        # By a field that may be empty: a second statement reads the records without a value.
        assert await counted(ctx, ops.List(entity="thing", fields=fields, sort=["name"], limit=5)) == 1 + bool(links)
        assert await counted(ctx, ops.List(entity="thing", fields=fields, sort=["rank"], limit=5)) <= 2 + bool(links)
    assert await counted(ctx, ops.List(entity="thing", filter="account.credit > 2", sort=["-created_at"], fields=["name"])) == 1
    # How many records have each word is asked first.
    assert await counted(ctx, ops.List(entity="thing", q="t1", sort=["-created_at"], fields=["name"])) == 2


async def test_get_and_history(crowded) -> None:
    ctx = await crowded.ctx("chief")
    [record] = (await execute(ctx, ops.List(entity="thing", limit=1))).records
    # Names of single links come with the record; those of lists of records take a statement of their own.
    assert await counted(ctx, ops.Get(entity="thing", id=record.id)) <= 1 + 1
    [deal] = (await execute(ctx, ops.List(entity="deal", limit=1))).records
    assert await counted(ctx, ops.Get(entity="deal", id=deal.id)) == 1
    assert await counted(ctx, ops.History(entity="thing", id=record.id)) <= 3 + 3


async def test_boards_and_figures(crowded) -> None:
    ctx = await crowded.ctx("chief")
    stages = len(ctx.config.entity("deal").pipeline.stages)
    for limit in (1, 5, 30):
        # figures, cards of each filled column (set and unset sort keys), names of people and of accounts
        assert await counted(ctx, ops.Board(entity="deal", view="board", limit=limit)) <= 1 + stages + 2
    assert await counted(ctx, ops.Aggregate(entity="deal", measures=[ops.Measure(fn="sum", field="amount"), ops.Measure(fn="count")], dimensions=[ops.Dimension(field="account")])) == 2


async def test_writes_do_not_grow_with_what_is_there(crowded) -> None:
    ctx = await crowded.ctx("chief")
    few, many = (UUID(str(r.id)) for r in (await execute(ctx, ops.List(entity="account", sort=["name"], limit=2))).records)
    for _ in range(10):
        await crowded.make("line", by="chief", account=str(many), amount=5)
    made = [await counted(ctx, ops.Create(entity="line", values={"account": str(parent), "amount": 1})) for parent in (few, many)]
    # The link checked; the record with its history and tokens; the parent locked, its rollups read and written; the record as it stands: that is 6, and its number.
    assert made == [7, 7]
    changed = [await counted(ctx, ops.Update(entity="account", id=rid, values={"credit": 77})) for rid in (few, many)]
    assert changed == [3, 3]  # read, written with its history, read as it stands
