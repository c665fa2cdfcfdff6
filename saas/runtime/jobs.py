"""The queue of background work: putting jobs in, looking at them, taking the next one. Running them is saas.runtime.worker.

A job belongs to a tenant and to the person who started it. It is put in inside the caller's transaction, taken under a lease
(`locked_until`) that its worker renews, and marked with the number of the attempt: a worker that lost its lease can write
nothing any more. Times here are the database's, not the tenant's clock.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from saas.db import cells, hold, system_transaction, tenant_transaction
from saas.errors import Conflict, NotFound, PermissionDenied, Unavailable
from saas.i18n import LazyString, gettext, lazy
from saas.i18n import noop as N_
from saas.log import get_logger
from saas.observe import tracing
from saas.observe.seen import seen
from saas.registry import Registry
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.said import moment, written
from saas.tenants import new_id

log = get_logger(__name__)
WAITED_FOR, BULK, SCHEDULED = 0, 1, 2  # whose turn is first within a round: somebody looks at the screen, work on many records, the clock
LEASE_SECONDS = 60
MAX_ATTEMPTS = 5
# Errors that no reader's context is at hand for are kept in English and translated when shown.
INTERRUPTED = N_("It was interrupted too often.")
CRASHED = N_("Something unexpected went wrong. The operator of this service can find the details in the log.")


class JobKind:
    """What a job does. Registered in saas/runtime/job_kinds/, one file each. `run` must be safe to run again after it was
    interrupted: what it has done is in `job.state`, written together with the work by `job.checkpoint`.

    `right`: the part of the settings whose holders see and steer these jobs, beside those who may see all jobs.
    `for_company`: it goes on when its person has left, as the system. `resumable`: cancelled, it can go on from where it stopped.
    `priority`: WAITED_FOR, BULK or SCHEDULED. `kept_days`: after its end; None: for good, because something looks into it later.
    """

    key: ClassVar[str]
    label: ClassVar[LazyString]
    right: ClassVar[str | None] = None
    for_company: ClassVar[bool] = False
    resumable: ClassVar[bool] = False
    priority: ClassVar[int] = BULK
    kept_days: ClassVar[int | None] = 30

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        """Do the work as `job.ctx`; the result is kept with the job. Raises JobWaits when it is not its turn yet."""
        raise NotImplementedError

    def report(self, info: JobInfo) -> list[JobLine]:
        """What is done and what is not, for the page of the job."""
        return []

    async def ended(self, conn: Any, tenant_id: UUID, payload: Mapping[str, Any], status: str, error: str) -> None:
        """A job ended without having been done: `status` is failed or cancelled. In the transaction that says so."""

    async def begins_again(self, conn: Any, tenant_id: UUID, payload: Mapping[str, Any]) -> None:
        """Such a job is put back into the queue. In the transaction that does so."""


@dataclass(frozen=True, slots=True)
class JobLine:
    """A part of a job in words. `state`: done, running, undone or problem."""

    text: str
    state: str
    detail: str = ""


job_kinds: Registry[JobKind] = Registry("job kind")


def failed_lines(info: JobInfo) -> list[JobLine]:
    """The report of a job whose result names the records it left alone, and why."""
    failed = (info.result or {}).get("failed", [])
    return [JobLine(str(f["title"]), "problem", f["message"]) for f in failed if isinstance(f, dict)][:50]


class JobLost(Exception):
    """The job was paused or cancelled, or its lease ended and another worker has it."""


class JobWaits(Exception):
    """Something else must be over first: the job is put back for a while."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@dataclass(slots=True)
class JobRun:
    """One attempt at a job. `state` is what the last checkpoint kept."""

    ctx: Context
    id: UUID
    kind: str
    payload: Mapping[str, Any]
    attempt: int
    state: dict[str, Any] = field(default_factory=dict)

    async def checkpoint(self, conn: Any, *, done: int, total: int | None = None, state: Mapping[str, Any] | None = None) -> None:
        """Keep progress and state inside the transaction of the work they speak of. Raises JobLost, which must roll it back."""
        if state is not None:
            self.state = dict(state)
        kept = await conn.fetchval(
            "UPDATE job SET progress = $4, total = coalesce($5, total), result = coalesce($6::jsonb, result), "
            f"locked_until = now() + interval '{LEASE_SECONDS} seconds' "
            "WHERE tenant_id = $1 AND id = $2 AND attempts = $3 AND status = 'running' RETURNING true",
            self.ctx.tenant_id, self.id, self.attempt, done, total, written(state) if state is not None else None,
        )  # fmt: skip
        if not kept:
            raise JobLost

    async def progress(self, done: int, total: int | None = None) -> None:
        async with tenant_transaction(self.ctx.tenant_id) as conn:
            await self.checkpoint(conn, done=done, total=total)


@dataclass(frozen=True, slots=True)
class JobInfo:
    """A job as its person sees it. `result` grows while it runs."""

    id: UUID
    kind: str
    status: str
    progress: int
    total: int | None
    payload: Mapping[str, Any]
    result: Mapping[str, Any] | None
    error: str | None
    attempts: int
    created_at: datetime
    created_by: UUID | None
    finished_at: datetime | None
    run_at: datetime | None = None
    started_at: datetime | None = None
    priority: int = BULK

    @property
    def label(self) -> str:
        kind = job_kinds.find(self.kind)
        return str(kind.label) if kind else self.kind

    @property
    def is_over(self) -> bool:
        return self.status in ("done", "failed", "cancelled")

    @property
    def can_retry(self) -> bool:
        kind = job_kinds.find(self.kind)
        return self.status == "failed" or (self.status == "cancelled" and kind is not None and kind.resumable)

    def report(self) -> list[JobLine]:
        kind = job_kinds.find(self.kind)
        return kind.report(self) if kind else []

    def to_json(self) -> dict[str, Any]:
        return {
            "id": str(self.id), "kind": self.kind, "label": self.label, "status": self.status, "progress": self.progress, "total": self.total,
            "result": self.result, "error": gettext(self.error) if self.error else None, "attempts": self.attempts, "created_at": moment(self.created_at),
            "created_by": str(self.created_by) if self.created_by else None, "finished_at": moment(self.finished_at),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Claim:
    tenant_id: UUID
    id: UUID
    kind: str
    payload: Mapping[str, Any]
    state: dict[str, Any]
    attempt: int
    created_by: UUID | None
    request_id: str = ""  # what it was put in by
    traceparent: str = ""


# ---- for the people ----------------------------------------------------------------------------------------------------


async def enqueue(
    conn: Any, ctx: Context, kind: str, payload: Mapping[str, Any], *, total: int | None = None, run_at: datetime | None = None, priority: int | None = None
) -> UUID:
    """Put a job into the queue as part of the caller's transaction; it will run with the rights this person then has. `run_at`: not
    before this moment of the real clock. `priority`: else that of its kind."""
    declared = job_kinds.get(kind)
    if ctx.support is not None:  # it would go on when their hour is over, for somebody who is nobody here
        raise PermissionDenied(lazy("Support starts nothing that runs in the background."), reason="support")
    job_id = new_id()
    await conn.execute(
        "INSERT INTO job (tenant_id, id, kind, payload, total, run_at, created_by, request_id, traceparent, priority) VALUES ($1, $2, $3, $4::jsonb, $5, coalesce($6, now()), $7, $8, $9, $10)",
        ctx.tenant_id, job_id, kind, written(payload), total, run_at, ctx.user_id, _cause(), tracing.traceparent(), declared.priority if priority is None else priority,
    )  # fmt: skip
    return job_id


def _cause() -> str:
    """The request that a new job comes from, also by way of other jobs."""
    what = seen()
    return (what.request_id or what.cause) if what is not None else ""


_bells: set[asyncio.Event] = set()


@contextmanager
def listening() -> Iterator[asyncio.Event]:
    """An event that is set when `ring` says that there is work; whoever waits for it clears it before looking."""
    bell = asyncio.Event()
    _bells.add(bell)
    try:
        yield bell
    finally:
        _bells.discard(bell)


def ring() -> None:
    """After the commit of a new job: workers of this process look at once, those elsewhere when they look anyway."""
    for bell in _bells:
        bell.set()


_COLUMNS = "id, kind, status, progress, total, payload, result, error, attempts, created_at, created_by, finished_at, run_at, started_at, priority"


def _info(ctx: Context, row: Any) -> JobInfo:
    values = dict(row)
    values["payload"] = json.loads(values["payload"])
    values["result"] = json.loads(values["result"]) if values["result"] else None
    if not ctx.unrestricted and values["created_by"] != ctx.user_id and not _has_right(ctx, values["kind"]):
        # Whoever watches the jobs sees that they go well, not the records they are about.
        values["payload"] = {}
        values["result"] = {k: v for k, v in (values["result"] or {}).items() if isinstance(v, int)} or None
    return JobInfo(**values)


def _has_right(ctx: Context, kind_key: str) -> bool:
    kind = job_kinds.find(kind_key)
    return kind is not None and kind.right is not None and permissions.may_configure(ctx, kind.right)


async def get_job(ctx: Context, job_id: UUID) -> JobInfo:
    """A job of one's own, or any with the right to see jobs or those of its kind. Raises NotFound."""
    async with tenant_transaction(ctx.tenant_id) as conn:
        row = await conn.fetchrow(f"SELECT {_COLUMNS} FROM job WHERE tenant_id = $1 AND id = $2", ctx.tenant_id, job_id)
    if row is None or not (ctx.unrestricted or row["created_by"] == ctx.user_id or permissions.may_configure(ctx, "jobs") or _has_right(ctx, row["kind"])):
        raise NotFound(lazy("There is no such job."))
    info = _info(ctx, row)
    if not _within_key(ctx, info):
        raise NotFound(lazy("There is no such job."))
    return info


def _within_key(ctx: Context, info: JobInfo) -> bool:
    """A key of chosen entities sees the jobs about these: an export of others would tell what the key may not read."""
    if ctx.key is None or ctx.key.entities is None:
        return True
    plan = info.payload.get("plan")
    entity = info.payload.get("entity") or (plan.get("entity") if isinstance(plan, Mapping) else None)
    return isinstance(entity, str) and ctx.key.reaches(entity)


async def list_of_kind(ctx: Context, kind_key: str, *, limit: int = 50) -> list[JobInfo]:
    """All jobs of a kind, newest first, for those who have its right. Raises PermissionDenied."""
    if not (ctx.unrestricted or _has_right(ctx, kind_key)):
        raise PermissionDenied()
    async with tenant_transaction(ctx.tenant_id) as conn:
        rows = await conn.fetch(
            f"SELECT {_COLUMNS} FROM job WHERE tenant_id = $1 AND kind = $2 ORDER BY created_at DESC, id DESC LIMIT $3", ctx.tenant_id, kind_key, min(limit, 200)
        )
    return [_info(ctx, row) for row in rows]


async def list_jobs(
    ctx: Context, *, everybody: bool = False, status: str | Sequence[str] | None = None, kind: str | None = None, before: UUID | None = None, limit: int = 50
) -> list[JobInfo]:
    """Jobs, newest first: one's own, or everybody's for those who may see them (that is where dead ones are found). `before`: older than
    this one (ids follow time)."""
    if everybody:
        permissions.require_setting(ctx, "jobs")
    states = [status] if isinstance(status, str) else list(status) if status is not None else None
    whose = "($2::boolean OR created_by = $3)" if everybody else "NOT $2::boolean AND created_by = $3"  # the second as an index says it
    async with tenant_transaction(ctx.tenant_id) as conn:
        rows = await conn.fetch(
            f"SELECT {_COLUMNS} FROM job WHERE tenant_id = $1 AND {whose} AND ($4::text[] IS NULL OR status = ANY($4)) "
            "AND ($6::text IS NULL OR kind = $6) AND ($7::uuid IS NULL OR (created_at, id) < (SELECT b.created_at, b.id FROM job b WHERE b.tenant_id = $1 AND b.id = $7)) "
            "ORDER BY created_at DESC, id DESC LIMIT $5",
            ctx.tenant_id, everybody, ctx.user_id, states, min(limit, 200), kind, before,
        )  # fmt: skip
    return [info for info in (_info(ctx, row) for row in rows) if _within_key(ctx, info)]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many jobs of a kind are in a state. `later`: queued, but not before a later moment."""

    kind: str
    status: str
    count: int
    later: int


async def tallies(ctx: Context) -> list[Tally]:
    """All jobs that are kept, counted. Errors: PermissionDenied without the right to see jobs."""
    permissions.require_setting(ctx, "jobs")
    async with tenant_transaction(ctx.tenant_id) as conn:
        rows = await conn.fetch("SELECT kind, status, count(*) AS count, count(*) FILTER (WHERE status = 'queued' AND run_at > now()) AS later FROM job WHERE tenant_id = $1 GROUP BY 1, 2", ctx.tenant_id)
    return [Tally(row["kind"], row["status"], row["count"], row["later"]) for row in rows]


async def cancel_job(ctx: Context, job_id: UUID) -> JobInfo:
    """Stop a job; what it has committed stays. Raises NotFound, Conflict when it is over."""
    await get_job(ctx, job_id)
    async with tenant_transaction(ctx.tenant_id) as conn:
        # The lease stays until its worker has noticed, so that nobody starts the job again beside it.
        stopped = await conn.fetchrow(
            "UPDATE job SET status = 'cancelled', finished_at = now() WHERE tenant_id = $1 AND id = $2 "
            "AND status IN ('queued', 'running', 'paused') RETURNING kind, payload",
            ctx.tenant_id, job_id,
        )  # fmt: skip
        if stopped and (kind := job_kinds.find(stopped["kind"])) is not None:
            await kind.ended(conn, ctx.tenant_id, json.loads(stopped["payload"]), "cancelled", "")
    if not stopped:
        raise Conflict(lazy("This job is over already."))
    return await get_job(ctx, job_id)


async def pause_job(ctx: Context, job_id: UUID) -> JobInfo:
    """Let a job rest: it stops at its next checkpoint and keeps what it has done. Raises NotFound, Conflict when it is over."""
    await _steered(ctx, job_id)
    async with tenant_transaction(ctx.tenant_id) as conn:
        paused = await conn.fetchval(
            "UPDATE job SET status = 'paused' WHERE tenant_id = $1 AND id = $2 AND status IN ('queued', 'running') RETURNING true", ctx.tenant_id, job_id
        )
    if not paused:
        raise Conflict(lazy("Only a job that is waiting or running can be paused."))
    return await get_job(ctx, job_id)


async def resume_job(ctx: Context, job_id: UUID) -> JobInfo:
    """Let a paused job go on, from where it stopped. Raises NotFound, Conflict when it is not paused."""
    await _steered(ctx, job_id)
    async with tenant_transaction(ctx.tenant_id) as conn:
        # While its worker has not noticed the pause it still has the job, and simply goes on.
        resumed = await conn.fetchval(
            "UPDATE job SET status = CASE WHEN locked_until IS NULL THEN 'queued' ELSE 'running' END WHERE tenant_id = $1 AND id = $2 "
            "AND status = 'paused' RETURNING true",
            ctx.tenant_id, job_id,
        )  # fmt: skip
    if not resumed:
        raise Conflict(lazy("Only a paused job can go on."))
    return await get_job(ctx, job_id)


async def _steered(ctx: Context, job_id: UUID) -> JobInfo:
    """A job the person may pause and let go on. Raises NotFound, PermissionDenied."""
    info = await get_job(ctx, job_id)
    if not (ctx.unrestricted or info.created_by == ctx.user_id or permissions.may_configure(ctx, "jobs") or _has_right(ctx, info.kind)):
        raise PermissionDenied()
    return info


async def retry_job(ctx: Context, job_id: UUID) -> JobInfo:
    """Let a failed job try again, or one that was cancelled where its kind can go on: from where it stopped.
    Raises NotFound, Conflict when there is nothing to try again."""
    info = await _steered(ctx, job_id)
    async with tenant_transaction(ctx.tenant_id) as conn:
        again = info.can_retry and await conn.fetchrow(
            "UPDATE job SET status = 'queued', attempts = 0, error = NULL, finished_at = NULL, run_at = now(), locked_until = NULL "
            "WHERE tenant_id = $1 AND id = $2 AND (status = 'failed' OR (status = 'cancelled' AND coalesce(locked_until, now()) <= now())) RETURNING kind, payload",
            ctx.tenant_id, job_id,
        )  # fmt: skip
        if again and (kind := job_kinds.find(again["kind"])) is not None:
            await kind.begins_again(conn, ctx.tenant_id, json.loads(again["payload"]))
    if not again and info.can_retry:
        raise Conflict(lazy("This job is still stopping. Try again in a moment."))
    if not again:
        raise Conflict(lazy("Only a failed job can be tried again."))
    return await get_job(ctx, job_id)


# ---- for the worker ----------------------------------------------------------------------------------------------------

# One that was lost as often as that is not taken again: it is to be ended, which may have to wait (`_end_lost`).
_DUE = f"((j.status = 'queued' AND j.run_at <= now()) OR (j.status = 'running' AND j.locked_until < now() AND j.attempts < {MAX_ATTEMPTS}))"
_TAKE = f"UPDATE job SET status = 'running', attempts = attempts + 1, error = NULL, started_at = clock_timestamp(), locked_until = now() + interval '{LEASE_SECONDS} seconds' "
_RETURNING = "RETURNING tenant_id, id, kind, payload, result, attempts, created_by, request_id, traceparent"
_LOOKED_AT = 64  # jobs that are next: more workers do not look at the same moment
_AHEAD = 3  # jobs of a tenant that one look takes in: of workers who look at once each finds one
# From tenant to tenant, each with its first due jobs. Who has fewer running comes first. A tenant's turn is when it was last served or when its job became due, whichever
# is later. Who has been served since the longest waiting job became due is after everybody who has not, however urgent: so no
# tenant comes twice before another comes once. Within a round the most urgent job is first. The condition is repeated where the
# row is locked: PostgreSQL checks it again after it got the lock. Locked one by one, in their order: `next` is looked up by key, never joined to all that are due.
_CLAIM = f"""
{_TAKE} WHERE (tenant_id, id) = (
    WITH RECURSIVE line AS (
        (SELECT tenant_id FROM job WHERE status IN ('queued', 'running') ORDER BY tenant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT n.tenant_id FROM job n WHERE n.status IN ('queued', 'running') AND n.tenant_id > l.tenant_id ORDER BY n.tenant_id LIMIT 1) FROM line l WHERE l.tenant_id IS NOT NULL
    ), head AS MATERIALIZED (
        SELECT l.tenant_id, h.id, h.priority, h.place, r.running, s.served, greatest(first_value(h.run_at) OVER (PARTITION BY l.tenant_id ORDER BY h.place), s.served) AS turn
        FROM line l JOIN tenant t ON t.id = l.tenant_id AND t.cell = ''
        CROSS JOIN LATERAL (SELECT d.*, row_number() OVER () AS place FROM (SELECT j.id, j.priority, j.run_at FROM job j WHERE j.tenant_id = l.tenant_id AND {_DUE} ORDER BY j.priority, j.run_at, j.id LIMIT {_AHEAD}) d) h
        CROSS JOIN LATERAL (SELECT max(b.started_at) AS served FROM job b WHERE b.tenant_id = l.tenant_id AND b.started_at IS NOT NULL) s
        CROSS JOIN LATERAL (SELECT count(*) AS running FROM job b WHERE b.tenant_id = l.tenant_id AND b.status = 'running' AND b.locked_until >= now()) r
        WHERE true
    ), turns AS (SELECT h.*, coalesce(h.served > min(h.turn) OVER (), false) AS is_served FROM head h),
    next AS MATERIALIZED (SELECT * FROM turns d ORDER BY d.place, d.running, d.is_served, d.priority, d.turn, d.id LIMIT {_LOOKED_AT})
    SELECT j.tenant_id, j.id FROM next d
    CROSS JOIN LATERAL (SELECT j.tenant_id, j.id FROM job j WHERE j.tenant_id = d.tenant_id AND j.id = d.id AND {_DUE} FOR UPDATE SKIP LOCKED) j
    LIMIT 1
) {_RETURNING}"""
_CLAIM_OF_IDLE = _CLAIM.replace("WHERE true", "WHERE r.running = 0")


async def claim_next(*, of_idle: bool = False) -> Claim | None:
    """Take the next due job of any tenant, also one whose worker died. Of several databases each has its turn to be asked first;
    one that is away keeps nobody else's jobs from running. `of_idle`: only of a tenant that has no job running."""
    databases = cells()
    turn = next(_turns) % len(databases)
    for cell in databases[turn:] + databases[:turn]:
        try:
            claim = await _claim_in(cell, _CLAIM_OF_IDLE if of_idle else _CLAIM)
        except _Moving:
            continue
        except Unavailable:
            if len(databases) == 1:
                raise
            continue
        if claim is not None:
            return claim
    return None


class _Moving(Exception):
    """The job's tenant is being moved: its job is left for later."""


_turns = itertools.count()


async def _claim_in(cell: str, claiming: str) -> Claim | None:
    async with system_transaction("claim_jobs", cell=cell) as conn:
        lost = await conn.fetch(
            "SELECT tenant_id, id, kind, payload, attempts FROM job WHERE status = 'running' AND locked_until < now() AND attempts >= $1 "
            "AND EXISTS (SELECT 1 FROM tenant t WHERE t.id = tenant_id AND t.cell = '') LIMIT 20",
            MAX_ATTEMPTS,
        )  # fmt: skip
        row = await _take_in(conn, cell, claiming) if not lost else None
    if not lost:
        return _claimed(row)
    for gone in lost:  # nobody came back to them
        await _end_lost(gone)
    async with system_transaction("claim_jobs", cell=cell) as conn:
        return _claimed(await _take_in(conn, cell, claiming))


async def _take_in(conn: Any, cell: str, claiming: str) -> Any:
    row = await conn.fetchrow(claiming)
    if row is not None and not await hold(conn, row["tenant_id"], cell):
        raise _Moving
    return row


async def _end_lost(gone: Any) -> None:
    """Whatever is wrong with one that was lost, or with its tenant, keeps nobody else's from running; it is tried again after a while."""
    try:
        await _over(gone["tenant_id"], gone["id"], gone["kind"], json.loads(gone["payload"]), gone["attempts"], INTERRUPTED, "AND locked_until < now()")
        return
    except Exception:
        log.exception("job.not_ended", kind=gone["kind"], job_id=str(gone["id"]))
    try:
        async with tenant_transaction(gone["tenant_id"]) as conn:
            await conn.execute(
                f"UPDATE job SET locked_until = now() + interval '{LEASE_SECONDS} seconds' {_MINE} AND locked_until < now()", gone["tenant_id"], gone["id"], gone["attempts"]
            )
    except Exception:
        log.exception("job.not_put_off", kind=gone["kind"], job_id=str(gone["id"]))


async def _over(tenant_id: UUID, job_id: UUID, kind_key: str, payload: Mapping[str, Any], attempt: int, error: str, still: str = "") -> None:
    """The job has failed for good, if this attempt still holds it."""
    async with tenant_transaction(tenant_id) as conn:
        sql = f"UPDATE job SET status = 'failed', finished_at = now(), locked_until = NULL, error = $4 {_MINE} {still} RETURNING true"
        kind = job_kinds.find(kind_key)
        if await conn.fetchval(sql, tenant_id, job_id, attempt, error[:2000]) and kind is not None:
            await kind.ended(conn, tenant_id, payload, "failed", error)


async def claim_this(ctx: Context, job_id: UUID) -> Claim | None:
    """Take one queued job, to run it here and now; None if a worker was faster."""
    async with tenant_transaction(ctx.tenant_id) as conn:
        row = await conn.fetchrow(
            f"{_TAKE} WHERE tenant_id = $1 AND id = $2 AND status = 'queued' {_RETURNING}",
            ctx.tenant_id, job_id,
        )  # fmt: skip
    return _claimed(row)


def _claimed(row: Any) -> Claim | None:
    if row is None:
        return None
    return Claim(
        row["tenant_id"], row["id"], row["kind"], json.loads(row["payload"]), json.loads(row["result"]) if row["result"] else {},
        row["attempts"], row["created_by"], row["request_id"], row["traceparent"],
    )  # fmt: skip


_MINE = "WHERE tenant_id = $1 AND id = $2 AND attempts = $3 AND status = 'running'"


async def renew(claim: Claim) -> bool:
    """Keep the lease; False when the job is no longer ours."""
    async with tenant_transaction(claim.tenant_id) as conn:
        sql = f"UPDATE job SET locked_until = now() + interval '{LEASE_SECONDS} seconds' {_MINE} RETURNING true"
        return bool(await conn.fetchval(sql, claim.tenant_id, claim.id, claim.attempt))


async def finish(claim: Claim, result: Mapping[str, Any]) -> bool:
    """Keep the result; False when the job is no longer ours."""
    async with tenant_transaction(claim.tenant_id) as conn:
        sql = f"UPDATE job SET status = 'done', result = $4::jsonb, finished_at = now(), locked_until = NULL, progress = coalesce(total, progress) {_MINE}"
        return bool(await conn.fetchval(f"{sql} RETURNING true", claim.tenant_id, claim.id, claim.attempt, written(result)))


async def fail(claim: Claim, error: str, *, again: bool) -> None:
    """Note a failure: `again` puts it back with a growing pause until its attempts are used up."""
    if not again or claim.attempt >= MAX_ATTEMPTS:
        await _over(claim.tenant_id, claim.id, claim.kind, claim.payload, claim.attempt, error)
        return
    async with tenant_transaction(claim.tenant_id) as conn:
        await conn.execute(
            f"UPDATE job SET status = 'queued', error = $4, locked_until = NULL, run_at = now() + make_interval(secs => $5) {_MINE}",
            claim.tenant_id, claim.id, claim.attempt, error[:2000], 5.0 * 3 ** (claim.attempt - 1),
        )  # fmt: skip


async def give_back(claim: Claim, *, seconds: float = 0) -> None:
    """The worker stops although the job is not over: it goes on elsewhere or later, and this attempt does not count. One that
    was paused or cancelled stays so, and its lease ends."""
    async with tenant_transaction(claim.tenant_id) as conn:
        await conn.execute(
            "UPDATE job SET status = CASE status WHEN 'running' THEN 'queued' ELSE status END, locked_until = NULL, attempts = attempts - 1, "
            "run_at = now() + make_interval(secs => $4) "
            "WHERE tenant_id = $1 AND id = $2 AND attempts = $3 AND status IN ('running', 'paused', 'cancelled') AND locked_until IS NOT NULL",
            claim.tenant_id, claim.id, claim.attempt, float(seconds),
        )  # fmt: skip


async def remove_old() -> int:
    """Forget jobs that ended long ago: each kind says how long they are kept, failed ones stay three times as long. Returns how many."""
    kept = {kind.key: kind.kept_days for kind in job_kinds}
    kinds, days = [key for key, found in kept.items() if found is not None], [found for found in kept.values() if found is not None]
    removed = 0
    for cell in cells():
        async with system_transaction("housekeeping", timeout_seconds=600, cell=cell) as conn:
            status = await conn.execute(
                "DELETE FROM job j USING unnest($1::text[], $2::int[]) AS k (kind, days) WHERE j.kind = k.kind AND j.status IN ('done', 'cancelled', 'failed') "
                "AND j.finished_at < now() - make_interval(days => k.days * CASE j.status WHEN 'failed' THEN 3 ELSE 1 END) "
                "AND EXISTS (SELECT 1 FROM tenant t WHERE t.id = j.tenant_id AND t.cell = '')",
                kinds, days,
            )  # fmt: skip
        removed += int(status.rsplit(" ", 1)[1])
    return removed
