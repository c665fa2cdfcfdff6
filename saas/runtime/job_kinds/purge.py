"""Values or records that were removed from the configuration are destroyed for good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import gettext as _
from saas.i18n import lazy, ngettext, pick
from saas.runtime.jobs import JobInfo, JobKind, JobLine, JobRun, job_kinds
from saas.runtime.removed import KIND, run_purge


@job_kinds.register
class Purge(JobKind):
    key = KIND
    label = lazy("Purge")
    kept_days = None
    right = "config"
    for_company = True
    resumable = True

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        return await run_purge(job)

    def report(self, info: JobInfo) -> list[JobLine]:
        item = info.payload.get("item")
        if not item:
            return []
        done = (info.result or {}).get("done", 0)
        state = "done" if info.status == "done" else "running" if info.status == "running" else "undone"
        if item["kind"] == "entity":
            return [JobLine(pick(item["label"]), state, ngettext("%(count)s record destroyed.", "%(count)s records destroyed.", done))]
        title = _("%(entity)s, %(field)s", entity=pick(item["entity_label"]), field=pick(item["label"]))
        return [JobLine(title, state, ngettext("%(count)s value destroyed.", "%(count)s values destroyed.", done))]
