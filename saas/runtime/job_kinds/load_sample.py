"""Sample data is filled in while people look around already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy
from saas.runtime.jobs import JobKind, JobRun, job_kinds
from saas.runtime.sample_data import KIND, load_in_job


@job_kinds.register
class LoadSample(JobKind):
    key = KIND
    label = lazy("Sample data")
    kept_days = None
    right = "config"
    for_company = True
    resumable = True

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        return await load_in_job(job)
