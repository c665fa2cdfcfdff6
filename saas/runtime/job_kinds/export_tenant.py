"""The whole tenant as one file, for its administrators."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from saas.db import tenant_transaction
from saas.errors import Conflict
from saas.i18n import LOCALES, gettext, lazy, use_locale
from saas.runtime.archive.asking import KIND, path_of, require_admin
from saas.runtime.archive.writing import write_archive
from saas.runtime.jobs import JobKind, JobRun, JobWaits, job_kinds
from saas.runtime.notifications import Notice, deliver
from saas.tenants import record_audit

BEAT_SECONDS = 1.0
WAIT_SECONDS = 30.0


@job_kinds.register
class ExportTenant(JobKind):
    key = KIND
    label = lazy("Export of everything")

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        require_admin(job.ctx)
        seen = (0, 0)

        def report(done: int, total: int) -> None:
            nonlocal seen
            seen = done, total

        path = path_of(job.ctx.tenant_id, job.id)
        # A task of its own: the snapshot's transaction writes nothing, so progress is written beside it.
        work = asyncio.create_task(write_archive(job.ctx.tenant_id, path, report=report))
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=BEAT_SECONDS)
                await job.progress(*seen)
            written = work.result()
        except Conflict as error:
            if error.data.get("reason") == "rewriting":
                raise JobWaits(WAIT_SECONDS) from error
            raise
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        ctx = job.ctx
        name = f"{re.sub(r'[^a-z0-9-]', '', ctx.tenant.slug)}-{ctx.today.isoformat()}.zip"
        async with tenant_transaction(ctx.tenant_id) as conn:
            await record_audit(conn, ctx.tenant_id, "tenant.exported", actor_id=ctx.user_id, data={"job": str(job.id), "rows": written.rows, "bytes": written.bytes})
            if ctx.user_id is not None:
                await deliver(conn, ctx, [ctx.user_id], _notice())
        return {"name": name, "rows": written.rows, "bytes": written.bytes, "files": written.manifest["files"]["count"], "missing": len(written.missing)}


def _notice() -> Notice:
    titles, bodies = {}, {}
    for locale in LOCALES:
        with use_locale(locale):
            titles[locale] = gettext("The export of everything is ready")
            bodies[locale] = gettext("It can be fetched for 24 hours under Settings → Export everything.")
    return Notice(titles, bodies, None, None, KIND)
