"""Records follow a change of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy
from saas.runtime.backfill import KIND, lines_of, run_steps
from saas.runtime.jobs import JobInfo, JobKind, JobLine, JobRun, job_kinds


@job_kinds.register
class Backfill(JobKind):
    key = KIND
    label = lazy("Change to records")
    kept_days = None
    right = "config"
    for_company = True
    resumable = True

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        return await run_steps(job)

    def report(self, info: JobInfo) -> list[JobLine]:
        return lines_of(info)
