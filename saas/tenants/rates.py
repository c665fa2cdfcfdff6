"""How many API requests a tenant may send in a minute, over all processes.

Each process counts in memory and tells the database every two seconds, which tells it what the others counted. A request therefore
costs no statement; beyond the limit may pass what the other processes took in the last two seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import AppError, RateLimitReached
from saas.i18n import lazy
from saas.log import get_logger
from saas.tenants import meters

TELL_SECONDS = 2.0
log = get_logger(__name__)


@dataclass(slots=True)
class Window:
    """One tenant's running minute. `waiting`: what the database does not know yet, by the minute in which it came."""

    minute: int
    mine: int = 0
    others: int = 0
    waiting: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rate:
    """For the headers of an answer. `reset`: seconds until the next minute."""

    limit: int
    remaining: int
    reset: int

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        named = (("limit", self.limit), ("remaining", self.remaining), ("reset", self.reset))
        return [(f"x-ratelimit-{name}".encode(), str(value).encode()) for name, value in named]


_windows: dict[UUID, Window] = {}


def _window(tenant_id: UUID) -> Window:
    minute = int(time.time() // 60)
    window = _windows.setdefault(tenant_id, Window(minute))
    if window.minute != minute:
        window.minute, window.mine, window.others = minute, 0, 0
    return window


def take(tenant_id: UUID, allowed: int | None) -> Rate | None:
    """Count one request; None where there is no limit. Errors: RateLimitReached."""
    window = _window(tenant_id)
    reset = 60 - int(time.time() % 60)
    used = window.mine + window.others
    if allowed is not None and used >= allowed:
        text = lazy(
            "Your plan allows %(allowed)s API requests a minute. Wait %(seconds)s seconds; administrators find the way to more under Settings, Plan and usage.",
            allowed=f"{allowed:,}", seconds=reset,
        )  # fmt: skip
        raise RateLimitReached(text, limit="api_requests", allowed=allowed, used=used, retry_after=reset)
    window.mine += 1
    window.waiting[window.minute] = window.waiting.get(window.minute, 0) + 1
    return None if allowed is None else Rate(allowed, allowed - used - 1, reset)


async def tell() -> None:
    """Tell the database what was counted here, and hear what was counted elsewhere."""
    for tenant_id in [key for key, window in _windows.items() if window.waiting]:
        window = _window(tenant_id)
        waiting, mine, minute = dict(window.waiting), window.mine, window.minute
        try:
            async with tenant_transaction(tenant_id) as conn:
                for came, count in waiting.items():
                    sql, args = meters.entry(tenant_id, "api_requests", count) if came == minute else meters.entry_of(tenant_id, "api_requests", count, datetime.fromtimestamp(came * 60 + 59, UTC))
                    await conn.execute(sql, *args)
                total = await conn.fetchval(
                    "SELECT coalesce(sum(amount), 0)::bigint FROM usage_delta WHERE tenant_id = $1 AND meter = 'api_requests' AND at >= to_timestamp($2)",
                    tenant_id, float(minute * 60),
                )  # fmt: skip
        except (AppError, OSError):  # away, or being moved: told later
            continue
        for came, count in waiting.items():
            window.waiting[came] -= count
        window.waiting = {came: count for came, count in window.waiting.items() if count}
        if window.minute == minute:
            window.others = max(0, total - mine)
    now = int(time.time() // 60)
    for tenant_id in [key for key, window in _windows.items() if not window.waiting and window.minute < now]:
        _windows.pop(tenant_id, None)


async def keep_telling() -> None:
    """Until cancelled; then once more."""
    try:
        while True:
            await asyncio.sleep(TELL_SECONDS)
            await _tell_safely()
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await _tell_safely()


async def _tell_safely() -> None:
    try:
        await tell()
    except Exception:
        log.exception("rates.failed")


def forget(tenant_id: UUID | None = None) -> None:
    """What this process counted: of one tenant, or all."""
    if tenant_id is None:
        _windows.clear()
    else:
        _windows.pop(tenant_id, None)


__all__ = ["Rate", "forget", "keep_telling", "take", "tell"]
