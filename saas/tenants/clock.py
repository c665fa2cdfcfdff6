"""The clock of a tenant: how far it is ahead of real time. Everything the engine does for the tenant follows it; what protects accounts,
counts limits or takes money never does."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from saas.tenants.audit import record_audit
from saas.tenants.features import HasFeatures, is_on

FEATURE = "clock"


def may_move(tenant: HasFeatures) -> bool:
    """Whether the operator lets this tenant's administrators move its clock."""
    return is_on(tenant, FEATURE)


async def set_offset(conn: Any, tenant_id: UUID, seconds: int) -> int:
    """Put the clock that far ahead of real time, in the caller's transaction of the tenant; returns the seconds before. The cached row of
    the host follows within seconds (`forget_host`), requests at once: they read it with their session."""
    return int(await conn.fetchval("UPDATE tenant t SET clock_offset_seconds = $2 FROM (SELECT clock_offset_seconds FROM tenant WHERE id = $1) b WHERE t.id = $1 RETURNING b.clock_offset_seconds", tenant_id, seconds))


async def note(conn: Any, tenant_id: UUID, kind: str, *, actor_id: UUID | None, request_id: str = "", **data: Any) -> None:
    """In the audit log: `clock.moved`, `clock.reset`."""
    await record_audit(conn, tenant_id, kind, actor_id=actor_id, request_id=request_id, data=data)


__all__ = ["FEATURE", "may_move", "note", "set_offset"]
