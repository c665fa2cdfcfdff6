"""A run of an automation goes on after a wait, or tries a step again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.runtime import runs
from saas.runtime.jobs import JobKind, JobRun, job_kinds
from saas.runtime.resuming import KIND, run_job


@job_kinds.register
class AutomationRun(JobKind):
    key = KIND
    label = lazy("Automation that goes on")
    right = "jobs"
    for_company = True
    resumable = True

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        return await run_job(job.ctx.replace(origin="automation"), UUID(job.payload["run"]))

    async def ended(self, conn: Any, tenant_id: UUID, payload: Mapping[str, Any], status: str, error: str) -> None:
        await runs.give_up(conn, tenant_id, UUID(payload["run"]), status, error or runs.CALLED_OFF)

    async def begins_again(self, conn: Any, tenant_id: UUID, payload: Mapping[str, Any]) -> None:
        await runs.begin_again(conn, tenant_id, UUID(payload["run"]))
