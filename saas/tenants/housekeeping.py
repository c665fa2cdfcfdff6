"""What nobody misses: sessions long over, answers kept for repeated requests. For all tenants at once, by the worker."""

from __future__ import annotations

from saas.db import indexes, system_transaction

_OLD = {
    "session": "least(expires_at, coalesce(revoked_at, expires_at)) < now() - interval '30 days'",
    "operator_session": "least(expires_at, coalesce(revoked_at, expires_at)) < now() - interval '30 days'",
    "idempotency_key": "created_at < now() - interval '2 days'",
}


async def clean_up() -> dict[str, int]:
    """Remove what is over; returns rows removed per table. Safe to repeat; once a day is enough."""
    removed: dict[str, int] = {}
    for table, condition in _OLD.items():
        async with system_transaction("housekeeping", timeout_seconds=600) as conn:
            status = await conn.execute(f"DELETE FROM {table} WHERE {condition}")  # noqa: S608  constants of this file
        removed[table] = int(status.rsplit(" ", 1)[1])
    async with system_transaction("housekeeping", timeout_seconds=60) as conn:
        kept = {row["index_name"] for row in await conn.fetch("SELECT index_name FROM field_index")}
        orphans = [name for name in await indexes.existing(conn) if name not in kept]  # of tenants deleted while one was made
    await indexes.drop(orphans)
    return {**removed, "field_index": len(orphans)}
