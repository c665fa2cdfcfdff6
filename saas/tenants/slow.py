"""Statements that took long, by tenant: stored by every process in bounded number, shown to operators. Without constants and parameters."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from saas.db import system_transaction, tenant_transaction
from saas.errors import AppError, NotFound
from saas.log import get_logger
from saas.observe import metrics, statements
from saas.observe.statements import Slow
from saas.tenants.ids import new_id

log = get_logger(__name__)
STORE_SECONDS = 5.0
KEPT = 200  # of a tenant; older than 14 days go, too (saas.tenants.housekeeping)
_AT_ONCE = 40  # of a tenant, each time: the slowest

_INSERT = (
    "INSERT INTO slow_query (tenant_id, id, at, name, fingerprint, statement, milliseconds, row_count, failed, route, request_id) "
    "SELECT $1::uuid, $2::uuid, $3::timestamptz, $4::text, $5::text, $6::text, $7::float8, $8::bigint, $9::boolean, $10::text, $11::text "
    "WHERE EXISTS (SELECT 1 FROM tenant WHERE id = $1::uuid)"  # one that was deleted meanwhile leaves nothing behind
)
_TRIM = f"DELETE FROM slow_query WHERE tenant_id = $1 AND at < (SELECT at FROM slow_query WHERE tenant_id = $1 ORDER BY at DESC OFFSET {KEPT - 1} LIMIT 1)"  # noqa: S608  a constant
_SHOWN = "id, at, name, fingerprint, statement, milliseconds, row_count AS rows, failed, route, request_id"


async def store() -> int:
    """Write down what was slow in this process since the last time; returns how many."""
    by_tenant: dict[UUID, list[Slow]] = defaultdict(list)
    for slow in statements.take_slow():
        by_tenant[slow.tenant_id].append(slow)
    count = 0
    for tenant_id, found in by_tenant.items():
        found = sorted(found, key=lambda slow: slow.milliseconds)[-_AT_ONCE:]
        rows = [
            (tenant_id, new_id(), datetime.fromtimestamp(s.at, UTC), s.name.name, s.name.fingerprint, s.name.text, s.milliseconds, s.rows, s.failed, s.route, s.request_id) for s in found
        ]  # fmt: skip
        with contextlib.suppress(AppError):  # the database is away or the tenant is being moved: they are lost, the log has them
            async with tenant_transaction(tenant_id) as conn:
                await conn.executemany(_INSERT, rows)
                await conn.execute(_TRIM, tenant_id)
            count += len(rows)
    return count


async def keep_storing() -> None:
    """Until cancelled; then once more. Also keeps the gauges of this process fresh for others that read them."""
    try:
        while True:
            await asyncio.sleep(STORE_SECONDS)
            await _store_safely()
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await _store_safely()


async def _store_safely() -> None:
    try:
        metrics.sample()
        await store()
    except Exception:
        log.exception("slow_queries.failed")


async def list_slow(tenant_id: UUID, *, limit: int = 50) -> list[dict[str, Any]]:
    """For operators: the last slow statements of a tenant, newest first, as JSON can say them. At most 200."""
    async with system_transaction("operator_console", of=tenant_id) as conn:
        rows = await conn.fetch(f"SELECT {_SHOWN} FROM slow_query WHERE tenant_id = $1 ORDER BY at DESC, id DESC LIMIT $2", tenant_id, min(limit, KEPT))  # noqa: S608  constants of this file
    return [{**dict(row), "id": str(row["id"]), "at": row["at"].isoformat().replace("+00:00", "Z")} for row in rows]


async def slow_of(slug: str, *, limit: int = 50) -> list[dict[str, Any]]:
    """The same by the tenant's address. Errors: NotFound."""
    async with system_transaction("operator_console") as conn:
        tenant_id = await conn.fetchval("SELECT id FROM tenant WHERE slug = $1", slug)
    if tenant_id is None:
        raise NotFound()
    return await list_slow(tenant_id, limit=limit)


async def slowest(*, hours: int = 24, limit: int = 50) -> list[dict[str, Any]]:
    """For operators: over all tenants of the home database, which statements took most of all, with whose they were."""
    async with system_transaction("operator_console") as conn:
        rows = await conn.fetch(
            "SELECT t.slug, s.name, s.fingerprint, s.route, count(*) AS number, max(s.milliseconds) AS longest, sum(s.milliseconds) AS whole, max(s.at) AS last "
            "FROM slow_query s JOIN tenant t ON t.id = s.tenant_id AND t.cell = '' WHERE s.at > now() - make_interval(hours => $1) "
            "GROUP BY 1, 2, 3, 4 ORDER BY whole DESC LIMIT $2",
            hours, limit,
        )  # fmt: skip
    return [{**dict(row), "last": row["last"].isoformat().replace("+00:00", "Z")} for row in rows]


__all__ = ["KEPT", "keep_storing", "list_slow", "slow_of", "slowest", "store"]
