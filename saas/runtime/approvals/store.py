"""Rows of running approvals: reading them under lock, tasks and who may decide them, what happened. No rule lives here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from saas.metadata.build import approval_of
from saas.metadata.config import Entity
from saas.metadata.models import ApprovalDef, ApprovalStepDef
from saas.metadata.unbuild import definition_to_raw
from saas.runtime.approvals.path import Planned
from saas.runtime.context import Context
from saas.tenants import new_id

RUNNING = ("running", "returned")


@dataclass(slots=True)
class Flow:
    """One approval of one record. `definition` is the one it began with, its `steps` those of the path that was picked or named.
    `step`: which of them is under way, from 0; `round` grows whenever it is sent back."""

    id: UUID
    key: str
    entity_id: int
    record_id: UUID
    status: str
    definition: ApprovalDef
    way_key: str
    applicant_id: UUID | None
    started_at: datetime
    ended_at: datetime | None
    round: int
    step: int
    needed: int
    comment: str

    @property
    def current(self) -> ApprovalStepDef | None:
        steps = self.definition.steps
        return steps[self.step] if self.step < len(steps) else None


@dataclass(frozen=True, slots=True)
class Task:
    """Something one person is asked. kind: decide, before or after (asked as well by `parent`'s person), rework (the applicant's)."""

    id: UUID
    flow_id: UUID
    round: int
    step: int
    seat: int
    kind: str
    parent_id: UUID | None
    status: str
    created_at: datetime
    due_at: datetime | None
    decided_at: datetime | None
    decided_by: UUID | None
    for_id: UUID | None
    comment: str


_FLOW = "id, approval_key, entity_id, record_id, status, definition, way_key, applicant_id, started_at, ended_at, round, step, needed, comment"
_TASK = "id, flow_id, round, step, seat, kind, parent_id, status, created_at, due_at, decided_at, decided_by, for_id, comment"


def flow_of(row: Any) -> Flow:
    values = list(row)
    values[5] = approval_of(json.loads(values[5]))
    return Flow(*values)


async def find_flow(conn: Any, ctx: Context, flow_id: UUID, *, lock: bool = False) -> Flow | None:
    row = await conn.fetchrow(f"SELECT {_FLOW} FROM approval_flow WHERE tenant_id = $1 AND id = $2{' FOR UPDATE' if lock else ''}", ctx.tenant_id, flow_id)
    return flow_of(row) if row else None


async def flow_under_way(conn: Any, ctx: Context, entity: Entity, record_id: UUID, *, lock: bool = False) -> Flow | None:
    """The one approval of a record that is not over."""
    row = await conn.fetchrow(
        f"SELECT {_FLOW} FROM approval_flow WHERE tenant_id = $1 AND entity_id = $2 AND record_id = $3 AND status IN ('running', 'returned'){' FOR UPDATE' if lock else ''}",
        ctx.tenant_id, entity.number, record_id,
    )  # fmt: skip
    return flow_of(row) if row else None


async def flows_of(conn: Any, ctx: Context, entity: Entity, record_id: UUID, limit: int = 20) -> list[Flow]:
    """The record's approvals, newest first."""
    rows = await conn.fetch(
        f"SELECT {_FLOW} FROM approval_flow WHERE tenant_id = $1 AND entity_id = $2 AND record_id = $3 ORDER BY started_at DESC, id DESC LIMIT $4",
        ctx.tenant_id, entity.number, record_id, limit,
    )  # fmt: skip
    return [flow_of(row) for row in rows]


async def insert_flow(conn: Any, ctx: Context, flow: Flow) -> None:
    await conn.execute(
        "INSERT INTO approval_flow (tenant_id, id, approval_key, entity_id, record_id, status, definition, way_key, applicant_id, started_at, comment) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9, $10, $11)",
        ctx.tenant_id, flow.id, flow.key, flow.entity_id, flow.record_id, flow.status, json.dumps(definition_to_raw(flow.definition), ensure_ascii=False), flow.way_key,
        flow.applicant_id, flow.started_at, flow.comment,
    )  # fmt: skip


async def save_flow(conn: Any, ctx: Context, flow: Flow) -> None:
    await conn.execute(
        "UPDATE approval_flow SET status = $3, ended_at = $4, round = $5, step = $6, needed = $7 WHERE tenant_id = $1 AND id = $2",
        ctx.tenant_id, flow.id, flow.status, flow.ended_at, flow.round, flow.step, flow.needed,
    )  # fmt: skip


async def freeze(conn: Any, entity: Entity, record_id: UUID, open_fields: Sequence[str] | None) -> None:
    """Close the record to changes but of these fields; None opens it again."""
    await conn.execute(f"UPDATE record SET frozen = $2 WHERE entity_id = {entity.number} AND id = $1", record_id, None if open_fields is None else list(open_fields))


# ---- tasks ---------------------------------------------------------------------------------------------------------------


async def find_task(conn: Any, ctx: Context, task_id: UUID) -> Task | None:
    row = await conn.fetchrow(f"SELECT {_TASK} FROM approval_task WHERE tenant_id = $1 AND id = $2", ctx.tenant_id, task_id)
    return Task(*row) if row else None


async def tasks_of(conn: Any, ctx: Context, flow_ids: Iterable[UUID]) -> list[Task]:
    """All tasks of some approvals, oldest first."""
    rows = await conn.fetch(f"SELECT {_TASK} FROM approval_task WHERE tenant_id = $1 AND flow_id = ANY($2::uuid[]) ORDER BY round, step, seat, created_at, id", ctx.tenant_id, list(flow_ids))
    return [Task(*row) for row in rows]


async def people_of(conn: Any, ctx: Context, task_ids: Iterable[UUID]) -> dict[UUID, list[UUID]]:
    found: dict[UUID, list[UUID]] = {}
    for row in await conn.fetch("SELECT task_id, user_id FROM approval_person WHERE tenant_id = $1 AND task_id = ANY($2::uuid[]) ORDER BY task_id, user_id", ctx.tenant_id, list(task_ids)):
        found.setdefault(row["task_id"], []).append(row["user_id"])
    return found


async def reworks(conn: Any, ctx: Context, flow: Flow) -> bool:
    """Whether the person is the one to whom it was returned."""
    return bool(await conn.fetchval(
        "SELECT true FROM approval_task t JOIN approval_person p ON p.tenant_id = t.tenant_id AND p.task_id = t.id "
        "WHERE t.tenant_id = $1 AND t.flow_id = $2 AND t.kind = 'rework' AND t.status = 'open' AND p.user_id = $3 LIMIT 1",
        ctx.tenant_id, flow.id, ctx.user_id,
    ))  # fmt: skip


async def ask(
    conn: Any, ctx: Context, flow: Flow, people: Iterable[UUID], *, seat: int = 0, kind: str = "decide", status: str = "open", parent: UUID | None = None
) -> UUID:
    """One task of the step under way, for any of these people."""
    task_id, step = new_id(ctx.now), flow.current
    due = ctx.now + timedelta(hours=step.due_hours) if step is not None and step.due_hours and kind != "rework" else None
    remind = due - timedelta(hours=step.remind_hours) if due is not None and step is not None else None
    await conn.execute(
        "INSERT INTO approval_task (tenant_id, id, flow_id, round, step, seat, kind, parent_id, status, created_at, remind_at, due_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        ctx.tenant_id, task_id, flow.id, flow.round, flow.step, seat, kind, parent, status, ctx.now, remind, due,
    )  # fmt: skip
    await conn.executemany(
        "INSERT INTO approval_person (tenant_id, user_id, task_id, is_open) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        [(ctx.tenant_id, person, task_id, status == "open") for person in people],
    )
    return task_id


async def ask_seats(conn: Any, ctx: Context, flow: Flow, planned: Planned) -> None:
    for number, seat in enumerate(planned.seats):
        await ask(conn, ctx, flow, seat.people, seat=number, status="passed" if seat.passed else "open")


async def settle(conn: Any, ctx: Context, task_id: UUID, status: str, *, comment: str = "", for_id: UUID | None = None) -> None:
    """A person's word on a task; `for_id`: on whose behalf."""
    await conn.execute(
        "UPDATE approval_task SET status = $3, decided_at = $4, decided_by = $5, for_id = $6, comment = $7 WHERE tenant_id = $1 AND id = $2",
        ctx.tenant_id, task_id, status, ctx.now, ctx.user_id, for_id, comment,
    )  # fmt: skip
    await conn.execute("UPDATE approval_person SET is_open = false WHERE tenant_id = $1 AND task_id = $2", ctx.tenant_id, task_id)


async def set_status(conn: Any, ctx: Context, task_id: UUID, status: str) -> None:
    """Let a task wait for another one, or go on."""
    await conn.execute("UPDATE approval_task SET status = $3 WHERE tenant_id = $1 AND id = $2", ctx.tenant_id, task_id, status)
    await conn.execute("UPDATE approval_person SET is_open = $3 WHERE tenant_id = $1 AND task_id = $2", ctx.tenant_id, task_id, status == "open")


async def cancel_open(conn: Any, ctx: Context, flow: Flow, *, kinds: Sequence[str] = ("decide", "before", "after", "rework")) -> None:
    """Nobody is asked any more."""
    rows = await conn.fetch(
        "UPDATE approval_task SET status = 'cancelled' WHERE tenant_id = $1 AND flow_id = $2 AND status IN ('open', 'waits') AND kind = ANY($3::text[]) RETURNING id",
        ctx.tenant_id, flow.id, list(kinds),
    )  # fmt: skip
    await conn.execute("UPDATE approval_person SET is_open = false WHERE tenant_id = $1 AND task_id = ANY($2::uuid[])", ctx.tenant_id, [r[0] for r in rows])


async def replace_person(conn: Any, ctx: Context, task_id: UUID, old: UUID, new: UUID) -> None:
    await conn.execute("DELETE FROM approval_person WHERE tenant_id = $1 AND task_id = $2 AND user_id = $3", ctx.tenant_id, task_id, old)
    await conn.execute("INSERT INTO approval_person (tenant_id, user_id, task_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", ctx.tenant_id, new, task_id)


async def note(
    conn: Any, ctx: Context, flow: Flow, what: str, *, comment: str = "", for_id: UUID | None = None, to_id: UUID | None = None, step: int | None = None
) -> None:
    """Append what happened; the app's role can do nothing else with it."""
    await conn.execute(
        # Of one moment there may be several; the approval is locked, so the numbers have no gaps and no doubles.
        "INSERT INTO approval_event (tenant_id, id, flow_id, entity_id, record_id, number, at, actor_id, act, step, for_id, to_id, comment) "
        "SELECT $1, $2, $3, $4, $5, (SELECT count(*) + 1 FROM approval_event WHERE tenant_id = $1 AND flow_id = $3), $6, $7, $8, $9, $10, $11, $12",
        ctx.tenant_id, new_id(ctx.now), flow.id, flow.entity_id, flow.record_id, ctx.now, ctx.user_id, what, flow.step if step is None else step, for_id, to_id, comment,
    )  # fmt: skip
