"""The tenant's own archive: asked for by an administrator, made by a job, fetched for a day by administrators only."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import NotFound, PermissionDenied
from saas.i18n import lazy
from saas.runtime import jobs, permissions
from saas.runtime.context import Context
from saas.runtime.files import Download, FileInfo, tenant_folder
from saas.tenants import record_audit
from saas.tenants.features import require_feature

KIND = "export_tenant"
HOURS = 24  # how long an archive can be fetched
_NAME = re.compile(r"[0-9a-f-]{36}\.zip(\.part)?\Z")


@dataclass(frozen=True, slots=True)
class Ready:
    """An archive as the settings show it. `until` is None while it is made; then it can be fetched until that moment (UTC)."""

    job: jobs.JobInfo
    until: datetime | None
    is_there: bool


def require_admin(ctx: Context) -> None:
    """Everything of everybody: administrators only, as themselves. Raises PermissionDenied."""
    if ctx.user is not None and (ctx.viewer is not None or ctx.support is not None or not permissions.is_admin(ctx)):
        raise PermissionDenied(lazy("Only administrators may export or delete the whole workspace."), reason="admin")


async def start_archive(ctx: Context) -> jobs.JobInfo:
    """Have the archive made in the background; the job that is making one already, if there is one. Errors: PermissionDenied."""
    require_admin(ctx)
    require_feature(ctx.tenant, "tenant_export")
    async with tenant_transaction(ctx.tenant_id) as conn:
        # Two at once would be written to the same disk for the same reader.
        await conn.execute("SELECT 1 FROM tenant WHERE id = $1 FOR NO KEY UPDATE", ctx.tenant_id)
        job_id = await conn.fetchval("SELECT id FROM job WHERE tenant_id = $1 AND kind = $2 AND status IN ('queued', 'running', 'paused') LIMIT 1", ctx.tenant_id, KIND)
        if job_id is not None:
            return await jobs.get_job(ctx.replace(user=None), job_id)
        job_id = await jobs.enqueue(conn, ctx, KIND, {})
        await record_audit(conn, ctx.tenant_id, "tenant.export_started", actor_id=ctx.user_id, request_id=ctx.request_id, data={"job": str(job_id)})
    jobs.ring()
    return await jobs.get_job(ctx, job_id)


async def list_archives(ctx: Context, *, limit: int = 10) -> list[Ready]:
    """The archives asked for last, newest first. Errors: PermissionDenied."""
    require_admin(ctx)
    async with tenant_transaction(ctx.tenant_id) as conn:
        ids = await conn.fetch("SELECT id FROM job WHERE tenant_id = $1 AND kind = $2 ORDER BY created_at DESC, id DESC LIMIT $3", ctx.tenant_id, KIND, limit)
    return [await _ready(ctx, row[0]) for row in ids]


async def archive_of(ctx: Context, job_id: UUID) -> Download:
    """The file of a job that is done, for its day; who fetches it stands in the audit log. Errors: PermissionDenied, NotFound."""
    require_admin(ctx)
    found = await _ready(ctx, job_id)
    if not found.is_there:
        raise NotFound(lazy("This archive is not there any more. Export again."))
    result = found.job.result or {}
    async with tenant_transaction(ctx.tenant_id) as conn:
        await record_audit(conn, ctx.tenant_id, "tenant.export_fetched", actor_id=ctx.user_id, request_id=ctx.request_id, data={"job": str(job_id)})
    path = path_of(ctx.tenant_id, job_id)
    info = FileInfo(job_id, str(result.get("name") or "archive.zip"), (await asyncio.to_thread(path.stat)).st_size, "application/zip", "")
    return Download(info, path, inline=False)


async def _ready(ctx: Context, job_id: UUID) -> Ready:
    job = await jobs.get_job(ctx.replace(user=None), job_id)  # as the company: any administrator sees them all
    if job.kind != KIND:
        raise NotFound(lazy("There is no such job."))
    if job.status != "done" or job.finished_at is None:
        return Ready(job, None, False)
    until = job.finished_at + timedelta(hours=HOURS)
    async with tenant_transaction(ctx.tenant_id) as conn:
        is_over = await conn.fetchval("SELECT now() > $1", until)  # the database's clock wrote the end of the job
    return Ready(job, until, not is_over and await asyncio.to_thread(path_of(ctx.tenant_id, job_id).is_file))


def folder_of(tenant_id: UUID) -> Path:
    """Beside the tenant's files, so that they go together."""
    return tenant_folder(tenant_id) / "archives"


def path_of(tenant_id: UUID, job_id: UUID) -> Path:
    return folder_of(tenant_id) / f"{job_id}.zip"


async def remove_old(tenant_id: UUID, *, hours: float = HOURS) -> int:
    """Archives whose day is over, and what killed attempts left. Returns how many."""
    return len(await asyncio.to_thread(_remove, folder_of(tenant_id), time.time() - hours * 3600))


def _remove(folder: Path, before: float) -> Sequence[Path]:
    old = [path for path in folder.glob("*") if _NAME.match(path.name) and path.stat().st_mtime < before]
    for path in old:
        path.unlink(missing_ok=True)
    return old
