"""Telling people that a decision is due, once a task, by the tenant's clock."""

from __future__ import annotations

from saas.db import tenant_transaction
from saas.runtime.acts import Act
from saas.runtime.approvals import notices, store
from saas.runtime.context import Context

BATCH = 100


async def remind(ctx: Context) -> int:
    """Remind of everything that is due at the context's moment. Two at once remind nobody twice: each task is taken under its lock."""
    count = 0
    entities = {entity.number: entity for entity in ctx.config.entities.values()}
    while True:
        async with tenant_transaction(ctx.tenant_id) as conn:
            rows = await conn.fetch(
                "UPDATE approval_task t SET reminded_at = $2 WHERE t.tenant_id = $1 AND t.id IN ("
                "SELECT id FROM approval_task WHERE tenant_id = $1 AND status = 'open' AND reminded_at IS NULL AND remind_at <= $2 ORDER BY remind_at LIMIT $3 FOR UPDATE SKIP LOCKED"
                ") RETURNING t.id, t.flow_id",
                ctx.tenant_id, ctx.now, BATCH,
            )  # fmt: skip
            people = await store.people_of(conn, ctx, [r["id"] for r in rows])
            for row in rows:
                flow = await store.find_flow(conn, ctx, row["flow_id"])
                entity = entities.get(flow.entity_id) if flow is not None else None
                if flow is not None and entity is not None:
                    await notices.reminded(Act(conn, ctx), entity, flow, people.get(row["id"], []))
        count += len(rows)
        if len(rows) < BATCH:
            return count
