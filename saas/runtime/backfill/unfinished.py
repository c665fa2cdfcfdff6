"""Conversions that were stopped for good before they came to every record: whoever changes the type again must know of them, or the
values that were never taken over would be gone from sight."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saas.runtime.backfill.model import Step

KINDS = ["convert", "move"]
LONGEST = 10  # conversions of one field that may wait for each other


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A step of a job that was cancelled or failed. `memory` is how far it came."""

    job_id: UUID
    payload: Mapping[str, Any]
    step: Step
    memory: Mapping[str, Any]

    @property
    def revision(self) -> int:
        return self.payload["revision"]

    @property
    def after(self) -> str | None:
        """The last record it came to; None where it never began."""
        return self.memory.get("after")


async def unfinished(conn: Any, tenant_id: UUID, number: int, field: str, place: str, shape: str) -> Unfinished | None:
    """The conversion that should have filled a field's place and never will by itself; None where the last one did or still may."""
    row = await conn.fetchrow(
        "SELECT j.id, j.status, j.payload, j.result, s.value AS step, s.ordinality - 1 AS position FROM job j "
        "CROSS JOIN jsonb_array_elements(j.payload -> 'steps') WITH ORDINALITY s WHERE j.tenant_id = $1 AND j.kind = 'backfill' "
        "AND s.value ->> 'kind' = ANY($2::text[]) AND s.value -> 'number' = to_jsonb($3::int) AND s.value ->> 'field' = $4 "
        "AND s.value -> 'options' ->> 'now' = $5 AND s.value -> 'options' ->> 'now_shape' = $6 "
        "ORDER BY (j.payload -> 'revision')::int DESC, j.created_at DESC, j.id DESC LIMIT 1",
        tenant_id, KINDS, number, field, place, shape,
    )  # fmt: skip
    if row is None or row["status"] not in ("cancelled", "failed"):
        return None
    steps = (json.loads(row["result"]) if row["result"] else {}).get("steps") or []
    memory = steps[row["position"]] if row["position"] < len(steps) else {}
    if memory.get("finished"):
        return None
    return Unfinished(row["id"], json.loads(row["payload"]), Step.from_json(json.loads(row["step"])), memory)


async def chain(conn: Any, tenant_id: UUID, step: Step) -> list[Unfinished]:
    """What has to be taken up again before the step can read its field's values, the earliest first."""
    found: list[Unfinished] = []
    while step.kind in KINDS and step.field and len(found) < LONGEST:
        places = step.options
        one = await unfinished(conn, tenant_id, step.number, step.field, places["was"], places["was_shape"])
        if one is None or (one.step.options["was"], one.step.options["was_shape"]) == (places["now"], places["now_shape"]):
            break  # going back: the values are where they were
        found.insert(0, one)
        step = one.step
    return found
