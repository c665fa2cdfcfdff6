"""Who has the list of first steps, and whether they have put it away. What stands in it is said by saas.runtime.first_steps."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from saas.db import tenant_transaction


async def begin_first_steps(conn: Any, tenant_id: UUID, user_id: UUID) -> None:
    """Give somebody the list, also again after they have put it away; within an open transaction of the tenant."""
    await conn.execute(
        "INSERT INTO first_steps (tenant_id, user_id) VALUES ($1, $2) ON CONFLICT (tenant_id, user_id) DO UPDATE SET put_away_at = NULL", tenant_id, user_id
    )  # fmt: skip


async def bring_back(tenant_id: UUID, user_id: UUID) -> None:
    async with tenant_transaction(tenant_id) as conn:
        await begin_first_steps(conn, tenant_id, user_id)


async def put_away(tenant_id: UUID, user_id: UUID) -> None:
    """One who has no list is no error."""
    async with tenant_transaction(tenant_id) as conn:
        await conn.execute("UPDATE first_steps SET put_away_at = now() WHERE tenant_id = $1 AND user_id = $2", tenant_id, user_id)


async def has_first_steps(conn: Any, tenant_id: UUID, user_id: UUID) -> bool:
    """Within an open transaction of the tenant."""
    return bool(await conn.fetchval("SELECT true FROM first_steps WHERE tenant_id = $1 AND user_id = $2 AND put_away_at IS NULL", tenant_id, user_id))
