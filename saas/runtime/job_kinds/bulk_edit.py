"""The same act on many records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.i18n import lazy, use_locale
from saas.runtime.bulk import BATCH, BulkPlan, empty_report, run_batch
from saas.runtime.jobs import JobKind, JobRun, job_kinds


@job_kinds.register
class BulkEdit(JobKind):
    key = "bulk_edit"
    label = lazy("Change of many records")

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        plan = BulkPlan(**job.payload["plan"])
        ids = [UUID(i) for i in job.payload["ids"]]
        ctx = job.ctx.replace(locale=job.payload.get("locale", job.ctx.locale))
        report = dict(job.state) or {**empty_report(), "next": 0}
        with use_locale(ctx.locale):
            while report["next"] < len(ids):
                following = {**report, "failed": list(report["failed"])}
                async with tenant_transaction(ctx.tenant_id) as conn:
                    await run_batch(ctx, plan, ids[report["next"] : report["next"] + BATCH], following)
                    following["next"] = min(report["next"] + BATCH, len(ids))
                    await job.checkpoint(conn, done=following["next"], total=len(ids), state=following)
                report = following
        return report
