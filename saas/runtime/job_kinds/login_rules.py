"""What happens by itself when somebody signs in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy
from saas.runtime import logins
from saas.runtime.jobs import JobKind, JobRun, job_kinds


@job_kinds.register
class LoginRules(JobKind):
    key = logins.KIND
    label = lazy("Automations after signing in")
    right = "jobs"

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        return {"runs": await logins.run(job.ctx)}
