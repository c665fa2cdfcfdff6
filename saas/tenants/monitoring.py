"""Work of all tenants of all databases, for operators: jobs and messages. Facts about the work only, never its contents."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from saas.db import cells, system_transaction
from saas.errors import NotFound, Unavailable

LIMIT = 100
JOB_STATES = ("failed", "running", "queued", "paused")
MAIL_STATES = ("failed", "queued", "sending", "recorded")
_JOB_COUNTS = """
SELECT count(*) FILTER (WHERE status = 'queued' AND run_at <= now()) AS waiting, count(*) FILTER (WHERE status = 'running') AS running,
count(*) FILTER (WHERE status = 'failed' AND finished_at > now() - interval '24 hours') AS failed, min(run_at) FILTER (WHERE status = 'queued' AND run_at <= now()) AS oldest
FROM job WHERE status IN ('queued', 'running') OR (status = 'failed' AND finished_at > now() - interval '24 hours')
"""
_JOBS = """
SELECT j.tenant_id, j.id, j.kind, j.status, j.attempts, j.error, j.created_at, j.run_at, j.finished_at, t.slug, t.name FROM job j JOIN tenant t ON t.id = j.tenant_id
WHERE j.status = $1 AND t.cell = '' ORDER BY coalesce(j.finished_at, j.run_at) DESC LIMIT $2
"""
_MAIL = """
SELECT * FROM (
SELECT t.slug, m.id, m.kind, m.status, m.attempts, m.error, m.reply, m.created_at, m.next_attempt_at FROM mail m JOIN tenant t ON t.id = m.tenant_id AND t.cell = '' WHERE m.status = $1
{platform}) x ORDER BY created_at DESC LIMIT $2
"""
_OWN = "UNION ALL SELECT '' AS slug, id, kind, status, attempts, error, reply, created_at, next_attempt_at FROM platform_mail WHERE status = $1"


async def job_counts() -> dict[str, Any]:
    """{"waiting", "running", "failed" (of the last day), "oldest" (since when the first waits)} of all databases that answer."""
    found: dict[str, Any] = {"waiting": 0, "running": 0, "failed": 0, "oldest": None}
    for row in await _everywhere(_JOB_COUNTS):
        for name in ("waiting", "running", "failed"):
            found[name] += row[name]
        if row["oldest"] is not None:
            found["oldest"] = min(row["oldest"], found["oldest"] or row["oldest"])
    return found


async def list_all_jobs(status: str) -> list[dict[str, Any]]:
    """Newest first, at most LIMIT."""
    rows = await _everywhere(_JOBS, status, LIMIT)
    return sorted((dict(row) for row in rows), key=lambda row: row["finished_at"] or row["run_at"], reverse=True)[:LIMIT]


async def tenant_of_job(job_id: UUID) -> UUID:
    """Errors: NotFound."""
    for row in await _everywhere("SELECT tenant_id FROM job WHERE id = $1", job_id):
        return row["tenant_id"]
    raise NotFound()


async def list_all_mail(status: str) -> list[dict[str, Any]]:
    """Newest first, at most LIMIT; `slug` "" for the platform's own. Nobody's address, subject or text."""
    rows: list[Any] = []
    for number, cell in enumerate(cells()):
        rows += await _in(cell, _MAIL.format(platform=_OWN if number == 0 else ""), status, LIMIT)
    return sorted((dict(row) for row in rows), key=lambda row: row["created_at"], reverse=True)[:LIMIT]


async def mail_counts() -> dict[str, int]:
    """{status: how many} of what waits, and of what failed within a day."""
    found = dict.fromkeys(MAIL_STATES, 0)
    for row in await _everywhere("SELECT status, count(*) AS count FROM mail WHERE status IN ('queued', 'sending', 'recorded') OR (status = 'failed' AND created_at > now() - interval '24 hours') GROUP BY 1"):
        if row["status"] in found:
            found[row["status"]] += row["count"]
    return found


async def list_events() -> list[dict[str, Any]]:
    """The payment provider's events, newest first; what they carried is not kept."""
    async with system_transaction("billing") as conn:
        rows = await conn.fetch("SELECT id, kind, customer_id, state, attempts, error, received_at, applied_at FROM stripe_event ORDER BY received_at DESC LIMIT $1", LIMIT)
    return [dict(row) for row in rows]


async def _everywhere(sql: str, *args: Any) -> list[Any]:
    return [row for cell in cells() for row in await _in(cell, sql, *args)]


async def _in(cell: str, sql: str, *args: Any) -> list[Any]:
    try:
        async with system_transaction("operator_console", cell=cell, timeout_seconds=20) as conn:
            return await conn.fetch(sql, *args)
    except Unavailable:
        return []
