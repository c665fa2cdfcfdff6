"""Requests of tenants by the hour, and their last errors: counted in memory by each process, folded into two small tables at home."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from saas.db import system_transaction
from saas.errors import AppError
from saas.log import get_logger
from saas.tenants.ids import new_id

log = get_logger(__name__)
STORE_SECONDS = 15.0
_MOST_ERRORS = 200  # of a process, between two times of storing
_FOLD = (
    "INSERT INTO traffic_hour (tenant, hour, requests, errors, milliseconds, last_at) SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::bigint[], $4::bigint[], $5::bigint[], $6::timestamptz[]) "
    "ON CONFLICT (tenant, hour) DO UPDATE SET requests = traffic_hour.requests + excluded.requests, errors = traffic_hour.errors + excluded.errors, "
    "milliseconds = traffic_hour.milliseconds + excluded.milliseconds, last_at = greatest(traffic_hour.last_at, excluded.last_at)"
)


@dataclass(slots=True)
class _Hour:
    requests: int = 0
    errors: int = 0
    milliseconds: float = 0.0
    last_at: float = 0.0


_hours: dict[tuple[UUID, int], _Hour] = {}
_errors: deque[tuple[Any, ...]] = deque(maxlen=_MOST_ERRORS)


def note(tenant_id: UUID, *, method: str, route: str, status: int, seconds: float, request_id: str) -> None:
    """A request is answered. `route` is the pattern, not the address: no value of a record, no token stands in it."""
    now = time.time()
    hour = _hours.setdefault((tenant_id, int(now) // 3600), _Hour())
    hour.requests += 1
    hour.milliseconds += seconds * 1000
    hour.last_at = now
    if status >= 500:
        hour.errors += 1
        _errors.append((tenant_id, new_id(), datetime.fromtimestamp(now, UTC), method, route[:200], status, request_id[:64]))


async def store() -> int:
    """Fold what this process counted; returns how many tenants' hours. What cannot be written now is written later."""
    if not _hours and not _errors:
        return 0
    taken, errors = dict(_hours), list(_errors)
    _hours.clear()
    _errors.clear()
    found = sorted(taken.items(), key=lambda entry: (entry[0][0], entry[0][1]))  # everybody locks in the same order
    columns = [
        [key[0] for key, _ in found], [datetime.fromtimestamp(key[1] * 3600, UTC) for key, _ in found], [h.requests for _, h in found], [h.errors for _, h in found],
        [round(h.milliseconds) for _, h in found], [datetime.fromtimestamp(h.last_at, UTC) for _, h in found],
    ]  # fmt: skip
    try:
        async with system_transaction("operator_console") as conn:
            await conn.execute(_FOLD, *columns)
            await conn.executemany("INSERT INTO recent_error (tenant, id, at, method, path, status, request_id) VALUES ($1, $2, $3, $4, $5, $6, $7)", errors)
    except BaseException:
        for key, hour in taken.items():
            kept = _hours.setdefault(key, _Hour())
            kept.requests, kept.errors, kept.milliseconds = kept.requests + hour.requests, kept.errors + hour.errors, kept.milliseconds + hour.milliseconds
            kept.last_at = max(kept.last_at, hour.last_at)
        raise
    return len(found)


async def keep_storing() -> None:
    """Until cancelled; then once more."""
    try:
        while True:
            await asyncio.sleep(STORE_SECONDS)
            await _safely()
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await _safely()


async def _safely() -> None:
    try:
        await store()
    except AppError:
        pass
    except Exception:
        log.exception("traffic.store_failed")


async def recent_errors(tenant_id: UUID, *, limit: int = 20) -> list[dict[str, Any]]:
    """A tenant's last errors, newest first."""
    async with system_transaction("operator_console") as conn:
        rows = await conn.fetch("SELECT at, method, path, status, request_id FROM recent_error WHERE tenant = $1 ORDER BY at DESC LIMIT $2", tenant_id, limit)
    return [dict(row) for row in rows]
