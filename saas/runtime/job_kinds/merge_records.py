"""Merging records to which very much belongs, or undoing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.i18n import lazy
from saas.runtime import merging
from saas.runtime import operations as ops
from saas.runtime.door import execute
from saas.runtime.jobs import JobKind, JobRun, job_kinds
from saas.runtime.merge_later import KIND, operation_of
from saas.runtime.records import entity_of


@job_kinds.register
class MergeRecords(JobKind):
    """All in one transaction. Tried again after it was committed, it finds the losers gone and is done."""

    key = KIND
    label = lazy("Merge records")

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        op = operation_of(job.payload)
        if isinstance(op, ops.Merge):
            async with tenant_transaction(job.ctx.tenant_id, only_reads=True) as conn:
                if await merging.survivor_of(conn, job.ctx, entity_of(job.ctx, op.entity), UUID(str(op.losers[0]))) == op.survivor:
                    return {"entity": op.entity, "survivor": str(op.survivor)}
        change = await execute(job.ctx, op)
        return {"entity": op.entity, "survivor": str(change.record.id) if change.record else "", "merge": str(change.merge)}
