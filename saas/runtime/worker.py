"""The loop that runs due jobs and schedules of all tenants. Killed at any moment, it loses nothing: leases end, and what was
committed is not done again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog

from saas.db import fair, in_transaction, limits, tenant_transaction
from saas.errors import AppError, Conflict, InvalidInput, NotFound, Unavailable
from saas.i18n import gettext, lazy, use_locale
from saas.observe import metrics, tracing
from saas.observe.seen import Seen, seeing, seen
from saas.runtime import archive, files, jobs, nightly, resuming, timers, usage
from saas.runtime.context import Context
from saas.runtime.contexts import context_for_user, system_context
from saas.runtime.jobs import Claim, JobInfo, JobLost, JobRun, JobWaits, job_kinds
from saas.runtime.messages import telling
from saas.tenants import clean_up, figures, list_tenants, remove_due

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
BEAT_SECONDS = 15.0
TICK_SECONDS = 30.0
WAKE_SECONDS = 5.0
SETTLE_SECONDS = 60.0
RECOUNT_SECONDS = 3600.0
HOUSEKEEPING_SECONDS = 6 * 3600.0
HOUSEKEEPING_DELAY_SECONDS = 300.0
GRACE_SECONDS = 10.0


async def run_worker(stop: asyncio.Event, *, concurrency: int = 2, ticks: bool = True) -> None:
    """Run jobs, at most `concurrency` at once, and tick the schedules, until `stop` is set; then give unfinished jobs back. One more
    place is only for tenants of which no job is running: whoever has long ones, or ten thousand, keeps nobody else waiting."""
    helpers = [asyncio.create_task(helper(stop)) for helper in (_tick_schedules, _wake_runs, _settle_usage, _recount_usage, _measure_tenants, _keep_house, _search_twins, _announce_notices)] if ticks else []
    running: set[asyncio.Task[None]] = set()
    try:
        await _run_due(stop, running, concurrency)
    finally:
        if running:
            await asyncio.wait(running, timeout=GRACE_SECONDS)
        for task in (*running, *helpers):
            task.cancel()
        await asyncio.gather(*running, *helpers, return_exceptions=True)


async def _run_due(stop: asyncio.Event, running: set[asyncio.Task[None]], concurrency: int) -> None:
    with jobs.listening() as bell:
        while not stop.is_set():
            bell.clear()
            busy = set(running)
            claim = await _next(of_idle=len(busy) == concurrency) if len(busy) <= concurrency else None
            if claim is not None:
                task = asyncio.create_task(run_claim(claim))
                running.add(task)
                task.add_done_callback(running.discard)
                continue
            waits = [asyncio.ensure_future(event.wait()) for event in (stop, bell)]
            # A place that becomes free is taken at once: else a worker would do no more jobs in a second than it has places.
            places = busy if len(busy) >= concurrency else ()
            try:
                await asyncio.wait([*waits, *places], timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()


async def drain() -> int:
    """Run everything that is due now, one after the other; returns how many jobs. For tests and commands."""
    count = 0
    while (claim := await jobs.claim_next()) is not None:
        await run_claim(claim)
        count += 1
    return count


async def run_now(ctx: Context, job_id: UUID) -> JobInfo:
    """Run a job just put in, in the caller's task; small ones need no worker. A worker that was faster is left to it."""
    if in_transaction():
        raise RuntimeError("a job runs in transactions of its own: commit first")
    claim = await jobs.claim_this(ctx, job_id)
    if claim is not None:
        await run_claim(claim)
    return await jobs.get_job(ctx, job_id)


async def run_for(ctx: Context, job_id: UUID, seconds: float) -> JobInfo:
    """Like `run_now`, for at most so long: what is left then goes on in the background."""
    if in_transaction():
        raise RuntimeError("a job runs in transactions of its own: commit first")
    claim = await jobs.claim_this(ctx, job_id)
    if claim is not None:
        task = asyncio.create_task(run_claim(claim))
        try:
            await asyncio.wait({task}, timeout=seconds)
        finally:
            task.cancel()  # nothing to a task that is done
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return await jobs.get_job(ctx, job_id)


async def run_claim(claim: Claim) -> None:
    """One attempt at a job, under a lease that is renewed meanwhile."""
    what = Seen("job", route=claim.kind, tenant_id=claim.tenant_id, user_id=claim.created_by, job_id=claim.id, cause=claim.request_id)
    if (asking := seen()) is not None and asking.kind == "request":  # in the asking person's time (run_now, run_for)
        what.is_awaited, what.waited = True, asking.waited
    with seeing(what), tracing.span(what, f"job {claim.kind}", link=claim.traceparent):
        async with fair.working(claim.tenant_id):
            try:
                await _run_claim(claim, what)
            finally:
                if what.is_awaited and asking is not None:
                    asking.waited = what.waited


async def _run_claim(claim: Claim, what: Seen) -> None:
    started = time.monotonic()
    work = asyncio.create_task(_work(claim))
    beat = asyncio.create_task(_beat(claim, work))
    outcome = "done"
    try:
        if not await jobs.finish(claim, await work):
            raise JobLost
    except JobLost:
        outcome = "lost"
        with contextlib.suppress(Unavailable):
            await jobs.give_back(claim)
    except JobWaits as wait:
        outcome = "waits"
        await jobs.give_back(claim, seconds=wait.seconds)
    except asyncio.CancelledError:
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await work
        outcome = "lost"
        with contextlib.suppress(Unavailable):
            await jobs.give_back(claim)
        current = asyncio.current_task()
        if current is not None and current.cancelling():  # the worker stops; otherwise the heartbeat found the job gone
            raise
    except Unavailable:
        outcome = "interrupted"  # the lease ends by itself; another attempt follows when the database is back
    except AppError as error:
        outcome = "failed"
        await jobs.fail(claim, await _words(claim, error), again=isinstance(error, Conflict) and error.is_contention)
    except Exception:
        outcome = "crashed"
        log.exception("job.crashed", kind=claim.kind, attempt=claim.attempt)
        await jobs.fail(claim, jobs.CRASHED, again=True)
    finally:
        beat.cancel()
        seconds = time.monotonic() - started
        log.info("job.ended", kind=claim.kind, attempt=claim.attempt, outcome=outcome, ms=round(seconds * 1000))
        known = claim.kind if job_kinds.find(claim.kind) is not None else "unknown"
        metrics.jobs_ended.labels(known, outcome).inc()
        metrics.job_seconds.labels(known).observe(seconds)
        tracing.worked(what, outcome)


async def _work(claim: Claim) -> object:
    kind = job_kinds.find(claim.kind)
    if kind is None:
        raise NotFound(lazy("This version does not know the job “%(kind)s”.", kind=claim.kind))
    ctx = await _context(claim)
    with use_locale(ctx.locale), limits.statements_of("job"):
        return await kind.run(JobRun(ctx, claim.id, claim.kind, claim.payload, claim.attempt, claim.state))


async def _context(claim: Claim) -> Context:
    """The job's person with the rights of now; who has left runs nothing any more, except the company's own work."""
    kind = job_kinds.find(claim.kind)
    if claim.created_by is None or (kind is not None and kind.for_company):
        return await system_context(claim.tenant_id)
    async with tenant_transaction(claim.tenant_id) as conn:
        status = await conn.fetchval("SELECT status FROM app_user WHERE tenant_id = $1 AND id = $2", claim.tenant_id, claim.created_by)
    if status != "active":
        raise NotFound(lazy("The person who started this is no longer active."))
    return await context_for_user(claim.tenant_id, claim.created_by, origin="api")


async def _words(claim: Claim, error: AppError) -> str:
    try:
        ctx = await _context(claim)
    except AppError:  # the person has left: the company's language
        ctx = await system_context(claim.tenant_id)
    with use_locale(ctx.locale):
        details = [str(p.message) for p in error.problems][:3] if isinstance(error, InvalidInput) else []
        return " ".join([str(error.message), *details]) or gettext("Something went wrong")


async def _beat(claim: Claim, work: asyncio.Task[object]) -> None:
    """Renew the lease while the work goes on; stop the work when the job was paused, cancelled or given to another worker."""
    while not work.done():
        await asyncio.sleep(BEAT_SECONDS)
        try:
            if not await jobs.renew(claim):
                work.cancel()
                return
        except AppError:  # away, or too busy: the lease is long enough for another try
            continue


async def _next(*, of_idle: bool) -> Claim | None:
    try:
        return await jobs.claim_next(of_idle=of_idle)
    except Unavailable:
        return None
    except Exception:
        log.exception("job.claim_failed")
        return None


async def _tick_schedules(stop: asyncio.Event) -> None:
    while not stop.is_set():
        await _try(timers.tick, "schedule.tick_failed")
        await _pause(stop, TICK_SECONDS)


async def _wake_runs(stop: asyncio.Event) -> None:
    """Automations whose wait is over go on."""
    while not stop.is_set():
        await _try(resuming.wake_due, "automation.wake_failed")
        await _pause(stop, WAKE_SECONDS)


async def _announce_notices(stop: asyncio.Event) -> None:
    """Who wants to know by e-mail what waits under the bell is told."""
    while not stop.is_set():
        await _try(telling.announce_due, "notices.announcing_failed")
        await _pause(stop, SETTLE_SECONDS)


async def _measure_tenants(stop: asyncio.Event) -> None:
    """Figures for the operator's list."""
    while not stop.is_set():
        await _try(figures.measure, "figures.failed")
        await _pause(stop, figures.MEASURE_SECONDS)


async def _settle_usage(stop: asyncio.Event) -> None:
    """What tenants used since the last minute is put into the days, and who is near a limit is told."""
    while not stop.is_set():
        await _try(usage.settle, "usage.settle_failed")
        await _pause(stop, SETTLE_SECONDS)


async def _recount_usage(stop: asyncio.Event) -> None:
    """Each tenant's figures are compared with what there is, about once a day."""
    while not stop.is_set():
        await _try(usage.count_again, "usage.recount_failed")
        await _pause(stop, RECOUNT_SECONDS)


async def _try(work: Callable[[], Awaitable[object]], failed: str) -> None:
    try:
        await work()
    except Unavailable:
        pass
    except Exception:
        log.exception(failed)


async def _search_twins(stop: asyncio.Event) -> None:
    """The reports of possible duplicates follow what was changed during the day, at night where each company is."""
    await _pause(stop, HOUSEKEEPING_DELAY_SECONDS)
    while not stop.is_set():
        await _try(nightly.search_twins, "nightly.search_failed")
        await _pause(stop, RECOUNT_SECONDS)


async def _keep_house(stop: asyncio.Event) -> None:
    """Every few hours, but not in the first minutes: what is over is removed, and uploads that no record ever took."""
    await _pause(stop, HOUSEKEEPING_DELAY_SECONDS)
    while not stop.is_set():
        try:
            await remove_due()
            await clean_up()
            await archive.sweep_attempts()
            await jobs.remove_old()
            for tenant in await list_tenants():
                if tenant.config_revision:
                    await files.tidy(await system_context(tenant.id))
                    await archive.remove_old(tenant.id)
        except Unavailable:
            pass
        except Exception:
            log.exception("housekeeping.failed")
        await _pause(stop, HOUSEKEEPING_SECONDS)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
