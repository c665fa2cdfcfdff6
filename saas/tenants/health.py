"""Whether the installation is well: the database, its migrations, the workers; and the counts for metrics that only the database knows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from saas.db import cells, current_database, system_transaction
from saas.db.migrate import pending_migrations
from saas.errors import AppError, TooSlow, Unavailable
from saas.log import get_logger
from saas.observe.metrics import Told
from saas.settings import HOME
from saas.tenants import meters
from saas.tenants.ids import new_id

log = get_logger(__name__)
BEAT_SECONDS = 10.0
ALIVE_SECONDS = 60  # a worker not heard of for so long is taken for gone
USAGE_SECONDS = 60.0
TOLD_SECONDS = 5.0  # however often somebody reads, the database is asked that rarely
_TIMEOUT_SECONDS = 5


# ---- workers -----------------------------------------------------------------------------------------------------------------


async def beat_until(stop: asyncio.Event) -> None:
    """Say every few seconds that this worker lives, until `stop` is set; then that it has gone."""
    worker_id = new_id()
    while not stop.is_set():
        await _quietly(lambda: _beat(worker_id))
        try:
            await asyncio.wait_for(stop.wait(), BEAT_SECONDS)
        except TimeoutError:
            continue
    await _quietly(lambda: _gone(worker_id))


async def _quietly(act: Callable[[], Awaitable[Any]]) -> None:
    try:
        await act()
    except Unavailable:
        pass
    except Exception:
        log.exception("worker.beat_failed")


async def _beat(worker_id: UUID) -> None:
    async with system_transaction("health") as conn:
        await conn.execute("INSERT INTO worker_beat (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET seen_at = now()", worker_id)


async def _gone(worker_id: UUID) -> None:
    async with system_transaction("health") as conn:
        await conn.execute("DELETE FROM worker_beat WHERE id = $1", worker_id)


# ---- readiness ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Readiness:
    """`pending`: how many migrations the database has not run. `worker_age`: seconds since a worker was heard of, None if there is none."""

    pending: int
    workers: int
    worker_age: float | None

    @property
    def is_ready(self) -> bool:
        return self.pending == 0

    def to_json(self) -> dict[str, Any]:
        return {
            "status": "ready" if self.is_ready else "migrations pending", "database": "ok", "migrations_pending": self.pending,
            "workers": self.workers, "worker_age_seconds": None if self.worker_age is None else round(self.worker_age, 1),
        }  # fmt: skip


_migrated: set[str] = set()  # databases whose migrations were seen done: they stay done while this process lives


async def readiness() -> Readiness:
    """Errors: Unavailable, when the database does not answer, or not soon."""
    try:
        return await _readiness()
    except TooSlow as error:
        raise Unavailable() from error


async def _readiness() -> Readiness:
    async with system_transaction("health", timeout_seconds=_TIMEOUT_SECONDS) as conn:
        url = current_database().url
        pending = 0 if url in _migrated else len(await pending_migrations(conn))
        if not pending:
            _migrated.add(url)
            row = await conn.fetchrow(_WORKERS, ALIVE_SECONDS)
            return Readiness(0, row["workers"], row["age"])
    return Readiness(pending, 0, None)


_WORKERS = """
SELECT count(*) FILTER (WHERE seen_at > now() - make_interval(secs => $1)) AS workers, extract(epoch FROM now() - max(seen_at))::float8 AS age FROM worker_beat
"""

# ---- figures -----------------------------------------------------------------------------------------------------------------

_HERE = "EXISTS (SELECT 1 FROM tenant t WHERE t.id = tenant_id AND t.cell = '')"
_JOBS = f"""
SELECT kind, CASE WHEN status = 'running' AND locked_until >= now() THEN 'running' WHEN status = 'failed' THEN 'failed' WHEN run_at > now() THEN 'later' ELSE 'waiting' END AS state,
count(*) AS number, extract(epoch FROM now() - min(run_at))::float8 AS age
FROM job WHERE (status IN ('queued', 'running') OR (status = 'failed' AND finished_at > now() - interval '1 day')) AND {_HERE} GROUP BY 1, 2
"""  # noqa: S608  constants of this file
_MAIL_STATE = "CASE WHEN status = 'queued' THEN 'waiting' ELSE status END AS state, count(*) AS number, extract(epoch FROM now() - min(next_attempt_at))::float8 AS age"
_MAIL_OPEN = "(status IN ('queued', 'sending') OR (status = 'failed' AND created_at > now() - interval '1 day'))"
_MAILS = f"SELECT {_MAIL_STATE} FROM mail WHERE {_MAIL_OPEN} AND {_HERE} GROUP BY 1"  # noqa: S608
_PLATFORM_MAILS = f"SELECT {_MAIL_STATE} FROM platform_mail WHERE {_MAIL_OPEN} GROUP BY 1"  # noqa: S608
_EVENTS = "SELECT state, count(*) AS number FROM stripe_event WHERE state IN ('waiting', 'failed') GROUP BY 1"


@dataclass(slots=True)
class _Kept:
    at: float = float("-inf")
    url: str = ""
    told: Told | None = None


@dataclass(slots=True)
class _Usage:
    at: float = float("-inf")
    rows: list[tuple[tuple[str, ...], float]] = field(default_factory=list)


_kept = _Kept()
_usage = _Usage()
_asking = asyncio.Lock()


async def figures() -> Told:
    """What only the database knows, for `saas.observe.metrics.text`; at most some seconds old. One that is away, or too slow, is told as such."""
    database = current_database()
    async with _asking:
        if _kept.told is None or _kept.url != database.url or time.monotonic() - _kept.at > TOLD_SECONDS:
            try:
                _kept.told = await _ask()
            except AppError:
                _kept.told = {"saas_database_up": [((), 0.0)]}
            _kept.at, _kept.url = time.monotonic(), database.url
        return _kept.told


async def _ask() -> Told:
    jobs: dict[tuple[str, str], float] = {}
    oldest: dict[str, float] = {}
    mails: dict[str, float] = {"waiting": 0.0, "sending": 0.0, "failed": 0.0}
    mail_age = 0.0
    told: Told = {"saas_database_up": [((), 1.0)]}
    for cell in cells():
        try:
            async with system_transaction("health", timeout_seconds=_TIMEOUT_SECONDS, cell=cell) as conn:
                job_rows = await conn.fetch(_JOBS)
                mail_rows = list(await conn.fetch(_MAILS))
                if cell == HOME:
                    mail_rows += await conn.fetch(_PLATFORM_MAILS)
                    told["saas_tenants"] = [((row["status"],), float(row["number"])) for row in await conn.fetch("SELECT status, count(*) AS number FROM tenant GROUP BY 1")]
                    workers = await conn.fetchrow(_WORKERS, ALIVE_SECONDS)
                    told["saas_workers"] = [((), float(workers["workers"]))]
                    events = {row["state"]: float(row["number"]) for row in await conn.fetch(_EVENTS)}
                    told["saas_webhooks_stored"] = [((state,), events.get(state, 0.0)) for state in ("waiting", "failed")]
                    told["saas_worker_age_seconds"] = [((), workers["age"])] if workers["age"] is not None else []
        except AppError:
            if cell == HOME:
                raise
            continue
        for row in job_rows:
            key = (row["kind"], row["state"])
            jobs[key] = jobs.get(key, 0.0) + row["number"]
            if row["state"] == "waiting":
                oldest[row["kind"]] = max(oldest.get(row["kind"], 0.0), row["age"])
        for row in mail_rows:
            mails[row["state"]] = mails.get(row["state"], 0.0) + row["number"]
            if row["state"] == "waiting":
                mail_age = max(mail_age, row["age"])
    told["saas_tenant_usage"] = await _largest(current_database().settings.metrics_tenants)
    told["saas_jobs"] = [(key, number) for key, number in sorted(jobs.items())]
    told["saas_job_oldest_seconds"] = [((kind,), age) for kind, age in sorted(oldest.items())]
    told["saas_mails_queued"] = [((state,), number) for state, number in sorted(mails.items())]
    told["saas_mail_oldest_seconds"] = [((), mail_age)]
    return told


# The stocks of the newest day, the flows of today; of each meter the largest.
_LARGEST = """
SELECT slug, meter, amount FROM (
    SELECT t.slug, d.meter, d.amount, row_number() OVER (PARTITION BY d.meter ORDER BY d.amount DESC, t.slug) AS place
    FROM tenant t CROSS JOIN LATERAL (
        SELECT DISTINCT ON (u.meter) u.meter, u.amount, u.day FROM usage_day u WHERE u.tenant_id = t.id ORDER BY u.meter, u.day DESC
    ) d WHERE t.cell = '' AND (d.meter = ANY($2) OR d.day = (now() AT TIME ZONE 'UTC')::date)
) ranked WHERE place <= $1 ORDER BY meter, place
"""


async def _largest(count: int) -> list[tuple[tuple[str, ...], float]]:
    """Asked at most once a minute: it goes through all tenants."""
    if not count:
        return []
    if time.monotonic() - _usage.at > USAGE_SECONDS:
        _usage.at = time.monotonic()
        async with system_transaction("health", timeout_seconds=_TIMEOUT_SECONDS) as conn:
            _usage.rows = [((row["slug"], row["meter"]), float(row["amount"])) for row in await conn.fetch(_LARGEST, count, list(meters.STOCKS))]
    return _usage.rows


__all__ = ["Readiness", "beat_until", "figures", "readiness"]
