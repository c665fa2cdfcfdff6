"""A run of an automation goes on after a wait, or tries a step again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.runtime.jobs import JobKind, JobRun, job_kinds
from saas.runtime.resuming import KIND, run_job


@job_kinds.register
class AutomationRun(JobKind):
    key = KIND
    label = lazy("Automation that goes on")
    right = "jobs"
    for_company = True

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        return await run_job(job.ctx.replace(origin="automation"), UUID(job.payload["run"]))
