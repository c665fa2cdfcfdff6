"""Limits of a plan where something is made: at once by many, in batches, given back by deleting, apart from other tenants."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from saas.db import tenant_transaction
from saas.errors import PermissionDenied, PlanLimitReached
from saas.i18n import use_locale
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.tenants import create_user, meters, set_tenant_limits, update_user
from tests.factories import make_lab


async def limited(lab, who="admin", **limits):
    await set_tenant_limits(lab.slug, limits)
    return await lab.ctx(who)


async def live(lab) -> int:
    async with tenant_transaction(lab.tenant_id) as conn:
        return await conn.fetchval("SELECT count(*) FROM record WHERE tenant_id = $1 AND deleted_at IS NULL", lab.tenant_id)


async def test_many_at_once_stay_within_the_bound(database, monkeypatch):
    monkeypatch.setattr("saas.db.fair.WAIT_SECONDS", 300.0)  # that the last of them wait long is not the question
    lab = await make_lab()
    ctx = await limited(lab, records=20)

    async def one(number):
        try:
            return await execute(ctx, ops.Create(entity="account", values={"name": f"a{number}"}, brief=True))
        except PlanLimitReached as error:
            return error

    found = await asyncio.gather(*[one(n) for n in range(200)])
    refused = [f for f in found if isinstance(f, PlanLimitReached)]
    assert 20 <= await live(lab) <= 60  # connections of the process
    assert refused and refused[0].code == "limit_reached" and refused[0].data["limit"] == "records" and refused[0].data["allowed"] == 20
    assert await meters.reconcile(lab.tenant_id) == {"records": 0, "storage": 0}


async def test_a_batch_takes_what_fits_and_deleting_makes_room(database):
    lab = await make_lab()
    ctx = await limited(lab, records=5)
    found = await execute(ctx, ops.CreateMany(entity="account", rows=[{"name": f"b{n}"} for n in range(9)]))
    made = [f for f in found if not isinstance(f, Exception)]
    assert len(made) == 5 and all(f.code == "limit_reached" for f in found if isinstance(f, Exception))
    await execute(ctx, ops.Delete(entity="account", id=made[0]))
    await execute(ctx, ops.Create(entity="account", values={"name": "again"}))
    with pytest.raises(PlanLimitReached):
        await execute(ctx, ops.Restore(entity="account", id=made[0]))
    other = await make_lab()
    await other.make("account", name="elsewhere")


@pytest.mark.parametrize("origin", ["page", "api", "import", "bulk", "automation", "schedule"])
async def test_every_way_in_is_counted(database, origin):
    lab = await make_lab()
    ctx = (await limited(lab, records=1)).replace(origin=origin)
    if origin in ("automation", "schedule"):
        ctx = ctx.replace(elevated=True)
    await execute(ctx, ops.Create(entity="account", values={"name": "one"}))
    for locale, words in (("en", "limit is reached"), ("zh_CN", "")):
        with pytest.raises(PlanLimitReached) as caught:
            await execute(ctx, ops.Create(entity="account", values={"name": "two"}))
        with use_locale(locale):
            assert words in str(caught.value.message)
    assert await live(lab) == 1


async def test_people_are_exact(database):
    lab = await make_lab()
    await set_tenant_limits(lab.slug, {"seats": len(lab.people) + 2})
    found = await asyncio.gather(*[create_user(lab.tenant_id, f"p{n}@x.example", "", f"P{n}", ["seller"]) for n in range(6)], return_exceptions=True)
    made = [f for f in found if not isinstance(f, Exception)]
    async with tenant_transaction(lab.tenant_id) as conn:
        assert await conn.fetchval(meters.SEATS, lab.tenant_id) == len(lab.people) + 2
    await update_user(lab.tenant_id, made[0], {"status": "inactive"})
    await create_user(lab.tenant_id, "late@x.example", "", "Late", ["seller"])
    with pytest.raises(PlanLimitReached):
        await update_user(lab.tenant_id, made[0], {"status": "active"})


async def test_read_only_says_why(database):
    lab = await make_lab()
    ctx = await lab.ctx("admin")
    late = ctx.replace(tenant=replace(ctx.tenant, status="past_due"))
    await execute(late, ops.Create(entity="account", values={"name": "works"}))
    with pytest.raises(PermissionDenied) as caught:
        await execute(ctx.replace(tenant=replace(ctx.tenant, status="read_only")), ops.Create(entity="account", values={"name": "no"}))
    assert caught.value.data["reason"] == "read_only"
