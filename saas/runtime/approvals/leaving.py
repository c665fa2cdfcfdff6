"""What becomes of the decisions that somebody was asked for who leaves: they go to the successor, or where nobody takes over and nobody else
is asked to the administrators, who are told and may put somebody else in their place (`reassign`)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from saas.runtime.acts import Act
from saas.runtime.approvals import notices, store
from saas.runtime.approvals.org import active, administrators
from saas.runtime.approvals.store import Flow, Task
from saas.runtime.context import Context

UNDECIDED = ("open", "waits")
_ASKED = (
    "FROM approval_person p JOIN approval_task t ON t.tenant_id = p.tenant_id AND t.id = p.task_id "
    "WHERE p.tenant_id = $1 AND p.user_id = $2 AND t.status = ANY($3::text[])"
)


async def asked_of(conn: Any, ctx: Context, user_id: UUID) -> int:
    """How many decisions wait for somebody, also those that wait for another word first."""
    return await conn.fetchval(f"SELECT count(*) {_ASKED}", ctx.tenant_id, user_id, list(UNDECIDED))


async def hand_over_tasks(conn: Any, ctx: Context, user_id: UUID, successor_id: UUID | None) -> int:
    """Take somebody who is not active any more out of everything that is not decided. Returns how many tasks that were."""
    ids = sorted({r[0] for r in await conn.fetch(f"SELECT t.flow_id {_ASKED}", ctx.tenant_id, user_id, list(UNDECIDED))})
    entities = {entity.number: entity for entity in ctx.config.entities.values()}
    # Nobody acts as the person who asks for it here: an administrator hears of what falls to them also when they ordered it themselves.
    quiet = Act(conn, ctx.replace(user=None))
    count = 0
    for flow_id in ids:
        flow = await store.find_flow(conn, ctx, flow_id, lock=True)
        if flow is None:
            continue
        tasks = [t for t in await store.tasks_of(conn, ctx, [flow_id]) if t.status in UNDECIDED]
        people = await store.people_of(conn, ctx, [t.id for t in tasks])
        told: dict[UUID, None] = {}
        for task in tasks:
            if user_id not in people.get(task.id, ()):
                continue
            count += 1
            others = await active(conn, ctx, [p for p in people[task.id] if p != user_id])
            instead = await _instead(conn, ctx, flow, task, user_id, successor_id, others)
            await conn.execute("DELETE FROM approval_person WHERE tenant_id = $1 AND task_id = $2 AND user_id = $3", ctx.tenant_id, task.id, user_id)
            await conn.executemany(
                "INSERT INTO approval_person (tenant_id, user_id, task_id, is_open) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
                [(ctx.tenant_id, person, task.id, task.status == "open") for person in instead],
            )
            what = "left_to" if successor_id is not None else "left_open" if instead else "left"
            await store.note(conn, ctx, flow, what, for_id=user_id, to_id=successor_id)
            told |= dict.fromkeys(p for p in instead if p not in others and task.status == "open")
        entity = entities.get(flow.entity_id)
        if entity is not None and told:
            await (notices.asked(quiet, entity, flow, list(told)) if flow.status == "running" else notices.left(quiet, entity, flow, list(told)))
    return count


async def _instead(conn: Any, ctx: Context, flow: Flow, task: Task, user_id: UUID, successor_id: UUID | None, others: list[UUID]) -> list[UUID]:
    """Who is asked instead: nobody, where others are asked the same."""
    if successor_id is not None:
        return [successor_id]
    if others:
        return []
    found = [p for p in await administrators(conn, ctx) if p != user_id]
    return [p for p in found if p != flow.applicant_id] or found
