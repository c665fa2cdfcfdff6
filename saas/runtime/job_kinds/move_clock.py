"""The clock of the company goes forward; what is due on the way runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy
from saas.runtime import date_rules, resuming, schedules
from saas.runtime.clock import KIND, move_in_job
from saas.runtime.jobs import WAITED_FOR, JobKind, JobRun, job_kinds

assert date_rules and resuming and schedules  # follow the clock: registered by their imports


@job_kinds.register
class MoveClock(JobKind):
    key = KIND
    label = lazy("The clock goes forward")
    right = "config"
    priority = WAITED_FOR

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        return await move_in_job(job)
