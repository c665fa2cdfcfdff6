"""The report of possible duplicates: found by a job and when somebody saves all the same, settled by merging or by saying no."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import UUID

import pytest

from saas.db import tenant_transaction
from saas.errors import DuplicateFound, PermissionDenied
from saas.runtime import configuration, execute, nightly, twins
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


async def test_kept_up_to_date_at_night(database, monkeypatch):
    """Once a night, by the company's hours: all records the first time and when the rules change, what was changed since otherwise."""
    lab = await make_lab(bundle(), people=False)
    await lab.person("lin", ["lead"])
    local = (await lab.system()).real_now.astimezone((await lab.system()).zone)
    monkeypatch.setattr(nightly, "HOURS", range(0))
    assert await nightly.search_twins() == 0
    monkeypatch.setattr(nightly, "HOURS", range(24))

    async def night(number: int) -> dict:
        system = await lab.system()
        async with tenant_transaction(lab.tenant_id) as conn:
            put = [await twins.search_at_night(conn, system, system.config.entity("customer"), local.date() + timedelta(days=number)) for _ in range(2)]
        await drain()
        async with tenant_transaction(lab.tenant_id) as conn:
            again = await twins.search_at_night(conn, system, system.config.entity("customer"), local.date() + timedelta(days=number))
        assert put == [True, False] and not again
        row = (await lab.fetch("SELECT result, payload FROM job WHERE tenant_id = $1 AND kind = 'find_twins' ORDER BY created_at DESC LIMIT 1"))[0]
        return {**json.loads(row["result"]), "since": "since" in json.loads(row["payload"])}

    system = await lab.system()
    one, two = [await lab.make("customer", by=None, name=name, city="Harbin") for name in ("Nightly Pumps", "Nightly Pump")]
    other = await lab.make("customer", by=None, name="Quite different", city="Harbin")
    assert await night(1) == {"looked_at": 3, "found": 1, "since": False} and await groups(lab) == [{one, two}]
    assert await night(2) == {"looked_at": 0, "found": 0, "since": True} and await groups(lab) == [{one, two}]
    for record_id, name in ((two, "Quite differend"), (other, "Quite differently")):
        await execute(system, ops.Update(entity="customer", id=record_id, values={"name": name}, confirm_duplicates=True))
    assert (await night(3))["looked_at"] == 2 and await groups(lab) == [{two, other}]
    raw = bundle()
    raw["entities"][0]["duplicates"] = [r for r in raw["entities"][0]["duplicates"] if r["key"] != "mine"]
    await configuration.publish(await lab.ctx("admin"), raw=raw)
    await drain()
    assert (await night(4))["since"] is False
