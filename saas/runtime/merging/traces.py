"""Where the ids of records lead that were merged away."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from saas.errors import Conflict
from saas.i18n import lazy
from saas.metadata.config import Entity
from saas.runtime.context import Context

LONGEST = 20  # merges one after the other


async def survivor_of(conn: Any, ctx: Context, entity: Entity, record_id: UUID) -> UUID | None:
    """The record that a merged one lives on in; None where it was not merged."""
    return await conn.fetchval(
        "WITH RECURSIVE way AS (SELECT survivor_id, 1 AS step FROM record_trace WHERE tenant_id = $1 AND entity_id = $2 AND loser_id = $3 "
        f"UNION ALL SELECT t.survivor_id, way.step + 1 FROM record_trace t JOIN way ON t.tenant_id = $1 AND t.entity_id = $2 AND t.loser_id = way.survivor_id WHERE way.step < {LONGEST}) "
        "SELECT survivor_id FROM way ORDER BY step DESC LIMIT 1",
        ctx.tenant_id, entity.number, record_id,
    )  # fmt: skip


async def refuse_traced(conn: Any, ctx: Context, entity: Entity, record_id: UUID) -> None:
    """A merged record does not come back alone: what belonged to it belongs to the survivor. Raises Conflict."""
    if await survivor_of(conn, ctx, entity, record_id) is not None:
        raise Conflict(lazy("This record was merged into another one. Undo the merge to bring it back."), reason="merged")


def untraced_sql(entity: Entity, tenant: str) -> str:
    """SQL condition: the record `t` was not merged away. `tenant` is the parameter with the tenant's id."""
    return f"NOT EXISTS (SELECT 1 FROM record_trace m WHERE m.tenant_id = {tenant} AND m.entity_id = {entity.number} AND m.loser_id = t.id)"
