"""What somebody who left was responsible for goes to their successor, or comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy
from saas.runtime.jobs import JobInfo, JobKind, JobLine, JobRun, failed_lines, job_kinds
from saas.runtime.succession import KIND, hand_over_in_job


@job_kinds.register
class HandOverRecords(JobKind):
    key = KIND
    label = lazy("Records change hands")
    kept_days = None
    right = "users"
    resumable = True

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        return await hand_over_in_job(job)

    def report(self, info: JobInfo) -> list[JobLine]:
        return failed_lines(info)
