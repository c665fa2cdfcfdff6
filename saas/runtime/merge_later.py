"""Merging, and undoing it, where so much belongs to the records that nobody should wait for it: the same operation in a job, in one transaction."""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import Conflict
from saas.runtime import jobs
from saas.runtime import operations as ops
from saas.runtime.context import Context
from saas.runtime.door import execute

KIND = "merge_records"


async def merge_or_later(ctx: Context, op: ops.Merge | ops.UndoMerge) -> ops.Change | UUID:
    """Do it now, or have it done: then the id of the job. Errors: as `execute`."""
    try:
        return await execute(ctx, op)
    except Conflict as error:
        if error.data.get("reason") != "many":
            raise
    async with tenant_transaction(ctx.tenant_id) as conn:
        job_id = await jobs.enqueue(conn, ctx, KIND, payload_of(op))
    jobs.ring()
    return job_id


def payload_of(op: ops.Merge | ops.UndoMerge) -> dict[str, Any]:
    if isinstance(op, ops.UndoMerge):
        return {"entity": op.entity, "undo": str(op.merge)}
    return {
        "entity": op.entity, "survivor": str(op.survivor), "losers": [str(i) for i in op.losers], "choices": {k: str(v) for k, v in op.choices.items()}, "winner": op.winner,
        "versions": {str(i): n for i, n in op.versions.items()},
    }  # fmt: skip


def operation_of(payload: dict[str, Any]) -> ops.Merge | ops.UndoMerge:
    if "undo" in payload:
        return ops.UndoMerge(entity=payload["entity"], merge=UUID(payload["undo"]), patient=True)
    choices = {k: v if v == "all" else UUID(v) for k, v in payload["choices"].items()}
    found = ops.Merge(entity=payload["entity"], survivor=UUID(payload["survivor"]), losers=[UUID(i) for i in payload["losers"]], choices=choices, winner=payload["winner"])
    return dataclasses.replace(found, versions={UUID(i): n for i, n in payload["versions"].items()}, patient=True)
