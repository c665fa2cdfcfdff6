"""How many records there are, for pages about the configuration: numbers, nobody's records."""

from __future__ import annotations

from saas.db import tenant_transaction
from saas.runtime.context import Context

ENOUGH = 1_000


async def record_counts(ctx: Context, *, most: int = ENOUGH) -> dict[str, int]:
    """Records of each live entity by its key, deleted ones left out, counted up to `most`."""
    numbers = {entity.number: key for key, entity in ctx.config.entities.items() if entity.number}
    async with tenant_transaction(ctx.tenant_id) as conn:
        rows = await conn.fetch(
            "SELECT n, (SELECT count(*) FROM (SELECT 1 FROM record r WHERE r.tenant_id = $1 AND r.entity_id = n AND r.deleted_at IS NULL LIMIT $3) found) AS count "
            "FROM unnest($2::int[]) AS n",
            ctx.tenant_id, list(numbers), most,
        )  # fmt: skip
    return {numbers[row["n"]]: row["count"] for row in rows}
