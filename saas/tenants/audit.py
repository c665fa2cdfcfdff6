"""The audit log of a tenant: facts about security, appended in the transaction of the act. Nobody can change it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.tenants.ids import new_id


async def record_audit(
    conn: Any,
    tenant_id: UUID,
    kind: str,
    *,
    actor_id: UUID | None = None,
    target: str | None = None,
    ip: str = "",
    request_id: str = "",
    data: Mapping[str, Any] | None = None,
) -> None:
    """Append one audit event. `kind` is a dotted past-tense name ("user.created"); `data` holds ids and names of what
    changed, never passwords, tokens or values of records."""
    await conn.execute(
        "INSERT INTO audit_event (tenant_id, id, actor_id, kind, target, ip, request_id, data) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb)",
        tenant_id, new_id(), actor_id, kind, target, ip[:64], request_id, json.dumps(data or {}, default=str),
    )


async def list_audit(
    tenant_id: UUID, *, limit: int = 100, before: UUID | None = None, kind: str | None = None
) -> list[dict[str, Any]]:
    """Newest first; `before` is the id of the last event seen (ids follow time)."""
    async with tenant_transaction(tenant_id) as conn:
        rows = await conn.fetch(
            "SELECT a.id, a.at, a.kind, a.target, a.ip, a.request_id, a.data, a.actor_id, u.name AS actor_name "
            "FROM audit_event a LEFT JOIN app_user u ON u.tenant_id = a.tenant_id AND u.id = a.actor_id "
            "WHERE a.tenant_id = $1 AND ($2::uuid IS NULL OR a.id < $2) AND ($3::text IS NULL OR a.kind = $3) "
            "ORDER BY a.at DESC, a.id DESC LIMIT $4",
            tenant_id, before, kind, limit,
        )
    return [{**dict(row), "data": json.loads(row["data"])} for row in rows]
