"""One message to the people of many records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.i18n import lazy
from saas.runtime.jobs import JobKind, JobRun, job_kinds
from saas.runtime.messages.bulk import check_request, send_some

BATCH = 50


@job_kinds.register
class SendMessages(JobKind):
    key = "send_messages"
    label = lazy("Messages to many")

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        wanted = job.payload
        ids = [UUID(i) for i in wanted["ids"]]
        check_request(job.ctx, wanted["entity"], wanted["template"], wanted["channel"], many=True)
        report = dict(job.state) or {"next": 0, "queued": 0, "recorded": 0, "left_out": 0, "unusable": 0}
        while report["next"] < len(ids):
            async with tenant_transaction(job.ctx.tenant_id) as conn:
                some = ids[report["next"] : report["next"] + BATCH]
                sent = await send_some(conn, job.ctx, wanted["entity"], wanted["template"], wanted["channel"], some, UUID(wanted["batch"]), report["next"])
                following = {**report, **{name: report[name] + count for name, count in asdict(sent).items()}, "next": report["next"] + len(some)}
                await job.checkpoint(conn, done=following["next"], total=len(ids), state=following)
            report = following
        return report
