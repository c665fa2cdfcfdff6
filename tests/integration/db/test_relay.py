"""A read request is one transaction: what found its session goes on with its work, for the same tenant under the same limits only."""

from __future__ import annotations

import asyncio

import pytest

from saas.db import current_database, one_transaction, only_read, own_limits, tenant_transaction


async def at(tenant, **options):
    """Which transaction this is: its backend and the moment it began."""
    async with tenant_transaction(tenant.id, **options) as conn:
        return (await conn.fetchrow("SELECT pg_backend_pid(), now(), current_setting('app.tenant_id'), current_setting('transaction_read_only')"))[:]


async def test_the_first_work_goes_on_with_the_transaction_of_the_session(tenant_factory):
    tenant = await tenant_factory()
    async with one_transaction():
        first, second, third = await at(tenant, leave_open=True), await at(tenant), await at(tenant)
    assert first == second and third[1] > first[1]
    assert await at(tenant, leave_open=True) != await at(tenant)  # without the frame of a request nothing waits


async def test_what_only_reads_goes_on_with_what_only_read_before(tenant_factory):
    tenant = await tenant_factory()
    async with one_transaction(only_reads=True) as relay:
        first, second, writing = await at(tenant, only_reads=True), await at(tenant, only_reads=True), await at(tenant)
        assert first == second == writing
        again = await at(tenant, only_reads=True)
        assert again[1] > first[1]  # what may have written has been committed
        relay.end_beside()  # the answer begins: a stream that goes on reading holds no connection
        assert (await at(tenant, only_reads=True))[1] > again[1]
        assert (await at(tenant, only_reads=True)) != await at(tenant, only_reads=True)
    async with one_transaction():  # a request that may still be on its way
        assert (await at(tenant, only_reads=True)) != await at(tenant, only_reads=True)
    assert current_database().app.get_idle_size() == current_database().app.get_size()


async def test_other_tenants_limits_and_snapshots_begin_their_own(tenant_factory):
    one, other = await tenant_factory(), await tenant_factory()
    async with one_transaction():
        first, foreign = await at(one, leave_open=True), await at(other)
        assert foreign[1] > first[1] and foreign[2] == str(other.id)
    for options in ({"timeout_seconds": 3}, {"snapshot": True}):
        async with one_transaction():
            assert (await at(one, leave_open=True))[1] < (await at(one, **options))[1], options
    with own_limits():
        async with one_transaction():
            await at(one, leave_open=True)
            only_read()
            assert (await at(one))[3] == "on"


async def test_nothing_stays_open_when_the_work_fails_or_never_comes(tenant_factory):
    tenant = await tenant_factory()
    pool = current_database().app
    for _ in range(pool.get_max_size() + 3):
        async with one_transaction() as relay:
            await at(tenant, leave_open=True)
            relay.end_beside()  # the answer begins
            async with asyncio.timeout(60):
                while pool.get_idle_size() < pool.get_size():  # noqa: ASYNC110  the pool tells nobody
                    await asyncio.sleep(0.01)
        async with one_transaction():
            await at(tenant, leave_open=True)
        with pytest.raises(LookupError):
            async with one_transaction():
                await at(tenant, leave_open=True)
                async with tenant_transaction(tenant.id) as conn:
                    await conn.execute("UPDATE tenant SET name = 'lost'")
                    raise LookupError
    async with asyncio.timeout(60):
        async with tenant_transaction(tenant.id) as conn:
            assert await conn.fetchval("SELECT name FROM tenant") != "lost"
    assert pool.get_idle_size() == pool.get_size()
