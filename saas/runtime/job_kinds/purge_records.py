"""Records are purged for good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy, ngettext, pick
from saas.runtime import purging
from saas.runtime.jobs import JobInfo, JobKind, JobLine, JobRun, job_kinds


@job_kinds.register
class PurgeRecords(JobKind):
    key = purging.KIND
    label = lazy("Purge of records")
    kept_days = None
    resumable = True

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        return await purging.run(job)

    def report(self, info: JobInfo) -> list[JobLine]:
        done = (info.result or {}).get("done", 0)
        state = "done" if info.status == "done" else "running" if info.status == "running" else "undone"
        return [JobLine(pick(info.payload.get("label") or {}), state, ngettext("%(count)s record destroyed.", "%(count)s records destroyed.", done))]
