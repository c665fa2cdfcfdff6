"""Each tenant's fair share of one process: how many of its requests run at once, how many connections it holds, and who goes first.

A tenant alone gets the whole process, up to its caps. With others there, the one that asks for most gets fewer places at the entrance, and
its requests let lighter tenants' requests go first, between two of their statements: nothing is interrupted, and nobody waits for long.
Figures are of this process only. docs/observability.md and docs/performance.md say what that means with several.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from saas.errors import TooManyRequests, Unavailable
from saas.i18n import lazy
from saas.observe import metrics
from saas.observe.seen import seen

MOST_WAITING = 100  # requests of one tenant at the entrance; more are refused at once
WAIT_SECONDS = 10.0
REMEMBERED_SECONDS = 1.0  # how long what somebody used counts, and somebody who left still counts as there
GIVE_WAY_SECONDS = 0.03  # before one statement
PATIENCE_SECONDS = 1.0  # in one request, and in a job it waits for; nobody waits for others
HEAVY = 0.6  # requests at once in the mean: below nobody gives way
CONTENDED = 1  # requests of a heavy tenant at once while lighter ones are there
BUSY = 0.5  # of a processor: below nobody gives way, because nobody would gain by it
RETRY_SECONDS = 2


@dataclass(slots=True)
class _Caps:
    """`requests` of a tenant that run at once, `slow` ones among them, `connections` it may hold."""

    requests: int = 6
    slow: int = 3
    connections: int = 6
    is_on: bool = True


@dataclass(slots=True)
class _Tenant:
    """`used`: how many requests ran at once, in the mean of the last second."""

    running: int = 0
    slow: int = 0
    connections: int = 0
    used: float = 0.0
    changed: float = 0.0
    left: float = -math.inf
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    slow_waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    connection_waiting: deque[asyncio.Future[None]] = field(default_factory=deque)

    def account(self, now: float) -> float:
        """Bring `used` up to now."""
        if now > self.changed:
            kept = math.exp((self.changed - now) / REMEMBERED_SECONDS)
            self.used = self.used * kept + self.running * (1 - kept)
            self.changed = now
        return self.used

    def wants(self, now: float) -> float:
        return self.account(now) + len(self.waiting)

    @property
    def is_idle(self) -> bool:
        return not (self.running or self.slow or self.connections or self.waiting or self.slow_waiting or self.connection_waiting)


_caps = _Caps()
_tenants: dict[UUID, _Tenant] = {}
_parked: list[asyncio.Future[None]] = []
_active = 0  # tenants with requests running


def configure(concurrency: int, pool_size: int) -> None:
    """`concurrency`: requests of a tenant at once in a process; 0 is without shares. A quarter of the pool is nobody's who has the rest."""
    _caps.is_on = concurrency > 0
    concurrency = concurrency or 1_000_000
    pool_size = pool_size if _caps.is_on else 1_000_000
    _caps.requests = concurrency
    _caps.slow = max(1, concurrency // 2)
    _caps.connections = max(2, min(concurrency, pool_size - max(1, pool_size // 4)))


def is_contended() -> bool:
    """Whether requests of several tenants are running: only then giving way is looked into."""
    return _active > 1 and _caps.is_on


def _of(tenant_id: UUID) -> _Tenant:
    found = _tenants.get(tenant_id)
    if found is None:
        if len(_tenants) > 1000:
            _forget_idle()
        found = _tenants[tenant_id] = _Tenant(changed=time.monotonic())
    return found


def _forget_idle() -> None:
    now = time.monotonic()
    for key in [key for key, tenant in _tenants.items() if tenant.is_idle and tenant.account(now) < 0.01]:
        del _tenants[key]


def _has_lighter(mine: _Tenant, now: float, *, running: bool) -> bool:
    """Whether somebody who wants less than half of what this tenant wants is there: running, or lately."""
    half = mine.wants(now) / 2
    for other in _tenants.values():
        if other is mine or not (other.running if running else other.running or now - other.left < REMEMBERED_SECONDS):
            continue
        if other.wants(now) < half:
            return True
    return False


# ---- the entrance ---------------------------------------------------------------------------------------------------------------


class Turn:
    """One request's place. It is left while the request waits for its body, and for good when an answer is sent part by part."""

    __slots__ = ("_slow", "_tenant", "is_held", "is_over")

    def __init__(self, tenant_id: UUID) -> None:
        self._tenant = _of(tenant_id)
        self.is_held = self.is_over = self._slow = False

    async def enter(self, *, again: bool = False) -> None:
        """`again`: the request was in already. It comes before those that were not, and is not refused half-way.
        Errors: TooManyRequests, when too many wait already or it took too long."""
        tenant = self._tenant
        if self.is_held or self.is_over:
            return
        if (tenant.waiting and not again) or tenant.running >= _places(tenant):
            await _wait(tenant.waiting, again=again)
        else:
            _begin(tenant)
        self.is_held = True

    def leave(self) -> None:
        if self.is_held:
            self.is_held = False
            _end(self._tenant)

    def close(self) -> None:
        """For good."""
        self.leave()
        self.is_over = True
        if self._slow:
            self._slow = False
            self._tenant.slow -= 1
            _wake_slow(self._tenant)

    async def slow(self) -> None:
        """This request reads very many records: few of them run at once, and those that wait keep no others out."""
        tenant = self._tenant
        if self._slow or self.is_over:
            return
        if tenant.slow >= _slow_places(tenant) or tenant.slow_waiting:
            self.leave()
            await _wait(tenant.slow_waiting)
        else:
            tenant.slow += 1
        self._slow = True
        await self.enter(again=True)


def _places(tenant: _Tenant) -> int:
    now = time.monotonic()
    return CONTENDED if _caps.is_on and len(_tenants) > 1 and tenant.wants(now) > 1 and _has_lighter(tenant, now, running=False) else _caps.requests


def _slow_places(tenant: _Tenant) -> int:
    return 1 if _caps.is_on and len(_tenants) > 1 and _has_lighter(tenant, time.monotonic(), running=False) else _caps.slow


def _begin(tenant: _Tenant) -> None:
    global _active
    tenant.account(time.monotonic())
    _active += not tenant.running
    tenant.running += 1


def _end(tenant: _Tenant) -> None:
    global _active
    now = time.monotonic()
    tenant.account(now)
    tenant.running -= 1
    tenant.left = now
    if not tenant.running:
        _active -= 1
        for one in _parked:  # whoever gave way to this tenant looks again
            if not one.done():
                one.set_result(None)
        _parked.clear()
    while tenant.waiting and tenant.running < _places(tenant):
        one = tenant.waiting.popleft()
        if not one.done():
            _begin(tenant)
            one.set_result(None)


def _wake_slow(tenant: _Tenant) -> None:
    while tenant.slow_waiting and tenant.slow < _slow_places(tenant):
        one = tenant.slow_waiting.popleft()
        if not one.done():
            tenant.slow += 1
            one.set_result(None)


def _refused(reason: str) -> TooManyRequests:
    metrics.requests_refused.labels(reason).inc()
    return TooManyRequests(lazy("Your company sends more requests at once than can be answered. Please try again in a moment."), retry_after=RETRY_SECONDS)


async def _wait(line: deque[asyncio.Future[None]], *, most: float | None = None, again: bool = False) -> None:
    if not again and len(line) >= (MOST_WAITING if most is None else most):
        raise _refused("full")
    place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    line.appendleft(place) if again else line.append(place)
    began = time.perf_counter()
    try:
        async with asyncio.timeout(None if again else WAIT_SECONDS):
            await place
    except TimeoutError:
        if not place.done() or place.cancelled():  # else it came at the last moment
            raise _refused("waited") from None
    except BaseException:
        if place.done() and not place.cancelled():  # it was given at the same moment: whoever has it gives it back
            _give_back_place(line)
        raise
    finally:
        if place in line:
            line.remove(place)
        metrics.turn_seconds.observe(time.perf_counter() - began)


def _give_back_place(line: deque[asyncio.Future[None]]) -> None:
    for tenant in _tenants.values():
        if tenant.waiting is line:
            _end(tenant)
        elif tenant.slow_waiting is line:
            tenant.slow -= 1
            _wake_slow(tenant)
        elif tenant.connection_waiting is line:
            tenant.connections -= 1
            _wake_connection(tenant)


@asynccontextmanager
async def working(tenant_id: UUID) -> AsyncIterator[None]:
    """A job in this process: it is never kept out, but counts as its tenant's use and gives way like a request."""
    tenant = _of(tenant_id)
    _begin(tenant)
    try:
        yield
    finally:
        _end(tenant)


# ---- between two statements -----------------------------------------------------------------------------------------------------


async def give_way() -> None:
    """Before a statement of a tenant that wants much more than another one whose request is running here: let that one go first."""
    what = seen()
    mine = _tenants.get(what.tenant_id) if what is not None and what.tenant_id is not None else None
    if what is None or mine is None or not mine.running:
        return
    now = time.monotonic()
    if mine.wants(now) < HEAVY or not _has_lighter(mine, now, running=True) or not _load.is_busy(now):
        return
    until = now + (GIVE_WAY_SECONDS if what.kind == "job" and not what.is_awaited else min(GIVE_WAY_SECONDS, PATIENCE_SECONDS - what.waited))
    loop = asyncio.get_running_loop()
    began = now
    while now < until and _has_lighter(mine, now, running=True):
        place: asyncio.Future[None] = loop.create_future()
        _parked.append(place)
        timer = loop.call_later(until - now, _let_go, place)
        try:
            await place
        finally:
            timer.cancel()
            if place in _parked:
                _parked.remove(place)
        now = time.monotonic()
    what.waited += now - began


def _let_go(place: asyncio.Future[None]) -> None:
    if not place.done():
        place.set_result(None)


class _Load:
    """How busy this thread and this machine are, looked at when somebody asks, at most every fifth of a second."""

    __slots__ = ("_at", "_busy", "_idle", "_thread", "_whole")

    def __init__(self) -> None:
        self._at, self._thread, self._busy = -math.inf, 0.0, True
        self._idle = self._whole = 0

    def is_busy(self, now: float) -> bool:
        if now - self._at >= 0.2:
            self._look(now)
        return self._busy

    def _look(self, now: float) -> None:
        thread, (idle, whole) = time.thread_time(), _machine()
        elapsed = now - self._at
        if elapsed < 2:  # else nothing is known of the last moment, and it is as well to be polite
            beside = 1 - (idle - self._idle) / (whole - self._whole) if whole > self._whole else 0.0
            self._busy = (thread - self._thread) / elapsed > BUSY or beside > 0.8
        else:
            self._busy = True
        self._at, self._thread, self._idle, self._whole = now, thread, idle, whole


def _machine() -> tuple[int, int]:
    """Ticks of all processors so far: idle, and in all. (0, 0) where the kernel does not tell."""
    if _stat is None:
        return 0, 0
    parts = os.pread(_stat, 256, 0).split(b"\n", 1)[0].split()[1:9]
    ticks = [int(part) for part in parts]
    return ticks[3] + ticks[4], sum(ticks)


def _open_stat() -> int | None:
    try:
        return os.open("/proc/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


_stat = _open_stat()
_load = _Load()


# ---- connections ----------------------------------------------------------------------------------------------------------------


async def take_connection(tenant_id: UUID) -> None:
    """Before a connection of the pool is asked for. Errors: TooManyRequests in a request; for others Unavailable, after which a job is
    tried again."""
    tenant = _of(tenant_id)
    if tenant.connections < _caps.connections and not tenant.connection_waiting:
        tenant.connections += 1
    else:
        try:
            await _wait(tenant.connection_waiting, most=math.inf)  # requests are bounded at the entrance
        except TooManyRequests as error:
            what = seen()
            if what is not None and what.kind == "request":
                raise
            raise Unavailable() from error


def give_connection(tenant_id: UUID) -> None:
    tenant = _of(tenant_id)
    tenant.connections = max(0, tenant.connections - 1)
    _wake_connection(tenant)


def _wake_connection(tenant: _Tenant) -> None:
    while tenant.connection_waiting and tenant.connections < _caps.connections:
        one = tenant.connection_waiting.popleft()
        if not one.done():
            tenant.connections += 1
            one.set_result(None)


@metrics.sampled
def _sample() -> None:
    metrics.requests_running.set(sum(tenant.running for tenant in _tenants.values()))
    metrics.requests_waiting.set(sum(len(tenant.waiting) + len(tenant.slow_waiting) for tenant in _tenants.values()))


def figures() -> dict[str, Any]:
    """For tests: what is held now, over all tenants."""
    every = _tenants.values()
    return {"running": sum(t.running for t in every), "slow": sum(t.slow for t in every), "connections": sum(t.connections for t in every), "active": _active, "parked": len(_parked)}
