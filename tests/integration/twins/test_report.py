"""The report of possible duplicates: found by a job and when somebody saves all the same, settled by merging or by saying no."""

from __future__ import annotations

from uuid import UUID

import pytest

from saas.db import tenant_transaction
from saas.errors import DuplicateFound, PermissionDenied
from saas.runtime import configuration, execute, twins
from saas.runtime import operations as ops
from saas.runtime.worker import drain
from tests.factories import make_lab
from tests.integration.twins.conftest import bundle


async def groups(lab, by="lin", **asked) -> list[set[UUID]]:
    ctx = await lab.ctx(by)
    async with tenant_transaction(lab.tenant_id) as conn:
        found, _more = await twins.twin_groups(conn, ctx, ctx.config.entity("customer"), **asked)
    return [{r.id for r in g.records} for g in found]


async def search(lab, by="lin") -> None:
    ctx = await lab.ctx(by)
    async with tenant_transaction(lab.tenant_id) as conn:
        assert await twins.start_search(conn, ctx, ctx.config.entity("customer"))
        assert await twins.start_search(conn, ctx, ctx.config.entity("customer")) is None
    await drain()


async def test_found_settled_and_not_found_again(database):
    raw = bundle()
    rules = raw["entities"][0]["duplicates"]
    raw["entities"][0]["duplicates"] = []
    lab = await make_lab(raw, people=False)
    for name, role in {"dong": "sales", "lin": "lead", "sub": "sub"}.items():
        await lab.person(name, [role])
    one = await lab.make("customer", by="dong", name="Tianhe Pumps", city="Harbin")
    two = await lab.make("customer", by="sub", name="Tianhe Pump Co.", city="harbin")
    three = await lab.make("customer", by="sub", name="Thianhe Pumps", city="Harbin")
    phones = [await lab.make("customer", by="lin", name=f"Phone {n}", phone="13812340000") for n in ("Alpha", "Omega")]
    await lab.make("customer", by="lin", name="Somebody else", city="Harbin")
    raw["entities"][0]["duplicates"] = rules
    await configuration.publish(await lab.ctx("admin"), raw=raw)
    await drain()  # the index follows the new rules
    await search(lab)
    assert await groups(lab) == [set(phones), {one, two, three}] or await groups(lab) == [{one, two, three}, set(phones)]
    assert await groups(lab, rule="phone") == [set(phones)] and await groups(lab, mine=True) == [set(phones)]
    assert await groups(lab, by="sub") == [{two, three}]  # of those they may see
    with pytest.raises(PermissionDenied):
        await groups(lab, by="dong")

    ctx = await lab.ctx("lin")
    async with tenant_transaction(lab.tenant_id) as conn:
        await twins.dismiss(conn, ctx, ctx.config.entity("customer"), phones)
    assert await groups(lab) == [{one, two, three}]
    await execute(ctx, ops.Merge(entity="customer", survivor=one, losers=[two]))
    assert await groups(lab) == [{one, three}]
    await search(lab)
    assert await groups(lab) == [{one, three}]
    # Nor is somebody asked again who changes one of those that are not the same.
    await execute(ctx, ops.Update(entity="customer", id=phones[0], values={"phone": "13812340001"}))
    await execute(ctx, ops.Update(entity="customer", id=phones[0], values={"phone": "13812340000"}))

    with pytest.raises(DuplicateFound):
        await execute(ctx, ops.Create(entity="customer", values={"name": "Tianhe Pumps", "city": "Harbin"}))
    saved = await execute(ctx, ops.Create(entity="customer", values={"name": "Tianhe Pumps", "city": "Harbin"}, confirm_duplicates=True, reason="Twins"))
    assert {one, three, saved.record.id} in await groups(lab)
