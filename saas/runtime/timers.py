"""What goes by the tenants' clocks: schedules, rules that wait for a date, and whatever else registers here. The worker's tick asks for
each tenant whether something is due and puts one job into the queue; there it waits for its turn like all other work, so that a tenant
whose rules never end delays nobody else's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from saas.db import cells, tenant_transaction
from saas.errors import Unavailable
from saas.i18n import gettext
from saas.runtime import jobs
from saas.runtime.context import Context
from saas.runtime.contexts import system_context
from saas.runtime.sample_data import is_loading
from saas.tenants import list_tenants

log = structlog.get_logger(__name__)

JOB = "run_schedules"


@dataclass(frozen=True, slots=True)
class Ran:
    """One thing that ran because its moment had come. `what`: the key of a definition of this `kind`."""

    kind: str
    what: str
    at: datetime
    matched: int = 0
    done: int = 0
    failed: int = 0
    errors: Sequence[str] = field(default=())

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "what": self.what, "at": self.at.isoformat(), "matched": self.matched, "done": self.done, "failed": self.failed, "errors": list(self.errors)[:3]}


@dataclass(frozen=True, slots=True)
class Timer:
    """`is_due(ctx)`: whether something is to be done at `ctx.now`; `run(ctx)` does it, and must be safe to run again and twice at once;
    `next_moment(ctx, until)`: the first moment after `ctx.now` and not after `until` at which there will be something. `ctx` is the system's."""

    is_due: Callable[[Context], Awaitable[bool]]
    run: Callable[[Context], Awaitable[list[Ran]]]
    next_moment: Callable[[Context, datetime], Awaitable[datetime | None]]


_timers: dict[str, Timer] = {}


def register(key: str, timer: Timer) -> None:
    """The same key again replaces it."""
    _timers[key] = timer


async def tick() -> int:
    """Have run what is due in every active tenant, by its own clock. Returns how many jobs were put in; called by the worker."""
    put = 0
    for tenant in await list_tenants():
        if tenant.is_active and tenant.config_revision:
            try:
                put += await _put_job(await system_context(tenant.id, origin="schedule"))
            except Unavailable:
                if len(cells()) == 1:
                    raise
                log.warning("schedules wait for a database", tenant=tenant.slug)
            except Exception:
                # One company's rules must not keep those of the others from running; the next tick tries again.
                log.exception("schedules failed", tenant=tenant.slug)
    if put:
        jobs.ring()
    return put


async def _put_job(ctx: Context) -> bool:
    """A job for what is due, unless one waits already. Two at once do no harm: each thing is claimed in the transaction that does it."""
    if not await is_due(ctx) or await is_loading(ctx):
        return False
    async with tenant_transaction(ctx.tenant_id) as conn:
        if await conn.fetchval("SELECT true FROM job WHERE tenant_id = $1 AND kind = $2 AND payload = '{}' AND status IN ('queued', 'running') LIMIT 1", ctx.tenant_id, JOB):
            return False
        await jobs.enqueue(conn, ctx, JOB, {})
    return True


async def is_due(ctx: Context) -> bool:
    for timer in _timers.values():
        if await timer.is_due(ctx):
            return True
    return False


async def run_all(ctx: Context) -> list[Ran]:
    """Everything that is due at `ctx.now`. What goes wrong in one of them is told, and the others run. Errors: Unavailable."""
    ran: list[Ran] = []
    for key in sorted(_timers):
        try:
            ran += await _timers[key].run(ctx)
        except (Unavailable, jobs.JobLost, jobs.JobWaits):
            raise
        except Exception:
            log.exception("timer failed", timer=key, tenant=ctx.tenant.slug)
            ran.append(Ran("timer", key, ctx.now, failed=1, errors=[gettext(jobs.CRASHED)]))
    return ran


async def next_moment(ctx: Context, until: datetime) -> datetime | None:
    """The next moment after `ctx.now` at which something will be due."""
    found = [await timer.next_moment(ctx, until) for timer in _timers.values()]
    return min((moment for moment in found if moment is not None and moment > ctx.now), default=None)


__all__ = ["JOB", "Ran", "Timer", "is_due", "next_moment", "register", "run_all", "tick"]
