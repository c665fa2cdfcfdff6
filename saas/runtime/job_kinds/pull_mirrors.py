"""Fetching what a connector mirrors, because somebody asked for it now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy
from saas.runtime import connectors
from saas.runtime.contexts import system_context
from saas.runtime.jobs import WAITED_FOR, JobKind, JobRun, job_kinds


@job_kinds.register
class PullMirrors(JobKind):
    """Payload: {"connector", "mirrors"?: only these}. Fetching twice changes nothing, so it has no state."""

    key = "pull_mirrors"
    label = lazy("Fetch from another system")
    right = "config"
    priority = WAITED_FOR

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        ctx = await system_context(job.ctx.tenant_id, origin="connector")
        done = await connectors.pull_connector(ctx, job.payload["connector"], only=job.payload.get("mirrors"))
        return {"mirrors": [pulled.to_json() for pulled in done]}
