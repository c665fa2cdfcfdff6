"""A last look at records that were written while a change of the configuration was not known everywhere yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy
from saas.runtime.backfill import sweep_steps
from saas.runtime.backfill.driving import SWEEP
from saas.runtime.jobs import JobKind, JobRun, job_kinds


@job_kinds.register
class BackfillSweep(JobKind):
    key = SWEEP
    label = lazy("Last look after a change to records")
    kept_days = None
    right = "config"
    for_company = True
    resumable = True

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        return await sweep_steps(job)
