"""What is due by the company's clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy
from saas.runtime import date_rules, schedules, timers
from saas.runtime.contexts import system_context
from saas.runtime.jobs import SCHEDULED, JobKind, JobRun, job_kinds
from saas.runtime.timers import JOB


@job_kinds.register
class RunSchedules(JobKind):
    key = JOB
    label = lazy("Schedules")
    right = "config"
    for_company = True
    priority = SCHEDULED

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        ctx = await system_context(job.ctx.tenant_id, origin="schedule")
        if key := job.payload.get("only"):
            report = await schedules.run_by_hand(ctx, key)
            ran = [schedules.as_ran(ctx, report).to_json()] if report else []
        elif key := job.payload.get("only_rule"):
            found = await date_rules.run_by_hand(ctx, key)
            ran = [found.to_json()] if found else []
        else:
            ran = [one.to_json() for one in await timers.run_all(ctx)]
        return {"ran": ran[:200], "done": sum(one["done"] for one in ran), "failed": sum(one["failed"] for one in ran)}
