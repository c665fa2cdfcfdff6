"""Sample data is taken out again, or brought back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy
from saas.runtime.jobs import JobKind, JobRun, job_kinds
from saas.runtime.sample_clearing import KIND, clear_in_job


@job_kinds.register
class ClearSample(JobKind):
    key = KIND
    label = lazy("Clearing of sample data")
    kept_days = None
    right = "config"
    resumable = True

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        return await clear_in_job(job)
