"""Records are given to somebody, with records below them, or taken back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy
from saas.runtime.handing_over import KIND, work
from saas.runtime.jobs import JobInfo, JobKind, JobLine, JobRun, failed_lines, job_kinds


@job_kinds.register
class TransferRecords(JobKind):
    key = KIND
    label = lazy("Records are given away")
    kept_days = None  # it can be taken back, and tells who gave what to whom
    resumable = True

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        return await work(job)

    def report(self, info: JobInfo) -> list[JobLine]:
        return failed_lines(info)
