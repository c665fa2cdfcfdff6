"""Several writes sent as one statement."""

from __future__ import annotations

import asyncpg
import pytest

from saas.db import count_queries, query_count, tenant_transaction, write_together


async def test_writes_sent_together_are_all_done_or_none(tenant_factory):
    tenant = await tenant_factory()
    put = "INSERT INTO counter (tenant_id, entity_id, field_key, period, value) VALUES ($1, $2, $3, $4, $5)"
    grow = "UPDATE counter SET value = value + $2 WHERE tenant_id = $1 AND field_key = $3"
    async with tenant_transaction(tenant.id) as conn:
        await conn.execute(put, tenant.id, 1, "old", "", 1)
        with count_queries():
            await write_together(conn, [(put, (tenant.id, 1, f"k{i}", "", i)) for i in range(12)] + [(grow, (tenant.id, 10, "old"))])
            assert query_count() == 1
        rows = await conn.fetch("SELECT field_key, value FROM counter WHERE tenant_id = $1", tenant.id)
        assert dict(rows) == {"old": 11, **{f"k{i}": i for i in range(12)}}
        with pytest.raises(asyncpg.UniqueViolationError):
            async with conn.transaction():
                await write_together(conn, [(grow, (tenant.id, 100, "old")), (put, (tenant.id, 1, "k1", "", 1))])
        assert await conn.fetchval("SELECT value FROM counter WHERE tenant_id = $1 AND field_key = 'old'", tenant.id) == 11
        await write_together(conn, [])
