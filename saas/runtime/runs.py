"""Runs of automations as rows: what was done step by step, what a run waits for, and what it needs to go on.

    done                     all steps were done
    waiting -> queued -> …   a step waits, or is tried again later; then a job goes on (saas.runtime.resuming)
    failed                   a step failed; what was done before it stands, and the run can be done again from there
    undone                   a step failed or refused inside the caller's transaction: nothing of what caused it is left either
    stopped                  it ended before its last step, and `error` says why
    cancelled                somebody called it off, here or its job; it can be let go on like one that failed
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from saas.db import tenant_transaction
from saas.errors import AppError, Unavailable
from saas.i18n import noop as N_
from saas.metadata.build import build_steps
from saas.metadata.config import Entity
from saas.metadata.models import ActionDef, AutomationDef
from saas.metadata.unbuild import steps_to_raw
from saas.runtime import quota
from saas.runtime.acts import ActionRun, Happening
from saas.runtime.context import Context
from saas.runtime.env import RecordEnv, read_row
from saas.runtime.rows import Row
from saas.runtime.said import written
from saas.runtime.steps import Pause, words

# Why a run was stopped; kept in English and translated when shown.
RESTARTED = N_("It began anew because of another change.")
RECORD_GONE = N_("The record was deleted meanwhile.")
SWITCHED_OFF = N_("The automation was switched off or removed meanwhile.")
CHANGED = N_("The configuration has changed, and the remaining steps do not fit it any more.")
ENDED_WAITING = N_("What it waited for did not happen in time.")
CALLED_OFF = N_("Somebody called it off.")
CRASHED = N_("Something unexpected went wrong. The operator of this service can find the details in the log.")
OVER = ("done", "failed", "undone", "stopped", "cancelled")


@dataclass(slots=True)
class Story:
    """A run under way in the caller's transaction, with what its row will say."""

    run: ActionRun
    automation: AutomationDef
    happening: Happening
    work_us: int = 0

    def took(self, begun: float) -> None:
        self.work_us = round((time.perf_counter() - begun) * 1_000_000)


_INSERT = (
    "INSERT INTO automation_log (tenant_id, id, automation_key, entity_id, record_id, at, status, detail, trigger, revision, actor_id, ended_at, work_us, error, steps, state, due_at, watches) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $10, $11, $12, $13, $14, $15::jsonb, $16::jsonb, $17, $18)"
)


def _insert(story: Story, status: str, told: Sequence[Mapping[str, Any]], effects: Sequence[Mapping[str, Any]], *, error: str | None = None, pause: Pause | None = None) -> tuple[str, tuple[Any, ...]]:
    run, ctx = story.run, story.run.ctx
    detail = {"effects": list(effects[-20:]), "trigger": story.happening.kind, **detail_of(story.happening)}
    state = state_of(story, pause) if pause is not None and not pause.ends else None
    over = status in OVER
    values = (
        ctx.tenant_id, run.run_id, story.automation.key, run.entity.number, run.row.id, ctx.now, status, written(detail), story.happening.kind, ctx.config.revision, ctx.user_id,
        ctx.now if over else None, story.work_us, error, written(told), written(state) if state else None, pause.due if pause is not None and not over else None,
        pause is not None and pause.watches,
    )  # fmt: skip
    return _INSERT, values


async def write(story: Story, told: Sequence[Mapping[str, Any]], pause: Pause | None, effects: Sequence[Mapping[str, Any]]) -> None:
    """The row of a run that is done, or waits; it counts as one of the plan's."""
    ends = pause is not None and pause.ends
    status = "done" if pause is None else "stopped" if ends else "waiting"
    row = _insert(story, status, told, effects, pause=pause, error=ENDED_WAITING if ends else told[-1].get("error") if pause is not None and pause.attempt else None)
    await quota.write(story.run.act.conn, story.run.ctx, "automation_runs", 1, [row])


async def write_failed(story: Story, told: Sequence[Mapping[str, Any]], error: AppError) -> None:
    """The row of a run that failed while what caused it stands: all its steps were undone, so it can be done again from the first."""
    row = _insert(story, "failed", told, (), error=words(error), pause=Pause((0,)))
    await quota.write(story.run.act.conn, story.run.ctx, "automation_runs", 1, [row])


def remember_undone(error: AppError, story: Story, told: Sequence[Mapping[str, Any]]) -> None:
    """The transaction will be rolled back, the row with it: it is written afterwards (`keep_undone`). Of runs within runs only the
    innermost, which knows what went wrong."""
    if not hasattr(error, "undone_run"):
        error.undone_run = _insert(story, "undone", told, (), error=words(error))  # type: ignore[attr-defined]


async def keep_undone(ctx: Context, error: BaseException) -> None:
    """After the rollback: the log knows of a run that undid what caused it."""
    row = getattr(error, "undone_run", None)
    if row is None or (isinstance(error, AppError) and error.data.get("reason") == "deadlock"):
        return
    del error.undone_run  # type: ignore[attr-defined]
    try:
        async with tenant_transaction(ctx.tenant_id) as conn:
            await conn.execute(row[0], *row[1])
    except (Unavailable, asyncpg.PostgresError):  # a larger transaction that is lost as well
        return


# ---- going on later -------------------------------------------------------------------------------------------------------


def state_of(story: Story, pause: Pause) -> dict[str, Any]:
    """What the run needs to go on. Its steps stay as they were when it began, whatever the configuration becomes."""
    run, old = story.run, story.happening.old
    return {
        **place_of(pause), "steps": steps_to_raw(story.automation.do), "results": results_of(run), "depth": run.ctx.depth, "running": list(run.ctx.running),
        "deleted": run.row.deleted_at is not None, "old": {"values": old.values, "state": old.state, "owner": str(old.owner) if old.owner else None} if old is not None else None,
    }  # fmt: skip


def place_of(pause: Pause) -> dict[str, Any]:
    return {"place": list(pause.place), "began": pause.began.isoformat() if pause.began else None, "attempt": pause.attempt}


def results_of(run: ActionRun) -> dict[str, Any]:
    return {alias: {"entity": made.entity.key, "id": str(made.row.id)} for alias, made in run.results.items() if isinstance(made, RecordEnv)}


def steps_in(state: Mapping[str, Any]) -> tuple[ActionDef, ...]:
    return build_steps(state["steps"])


def old_row(entity: Entity, record_id: UUID, state: Mapping[str, Any]) -> Row | None:
    """The record as it was before what began the run."""
    kept = state.get("old")
    if kept is None:
        return None
    found = Row(record_id, entity.key, 0, owner=UUID(kept["owner"]) if kept.get("owner") else None, state=kept.get("state"))
    found.values = dict(kept["values"])
    return found


async def results_from(conn: Any, ctx: Context, state: Mapping[str, Any]) -> dict[str, Any]:
    """The records made by earlier steps, as they are now; without those that are gone."""
    found: dict[str, Any] = {}
    for alias, kept in state["results"].items():
        entity = ctx.config.entities.get(kept["entity"])
        row = await read_row(conn, ctx, entity, UUID(kept["id"])) if entity is not None else None
        if entity is not None and row is not None and row.deleted_at is None:
            found[alias] = RecordEnv(ctx, entity, row)
    return found


async def wake_watching(conn: Any, ctx: Context, entity: Entity, record_id: UUID) -> None:
    """A record changed: whatever waits for something about it looks again."""
    await conn.execute(
        "UPDATE automation_log SET due_at = $4 WHERE tenant_id = $1 AND record_id = $3 AND entity_id = $2 AND status = 'waiting' AND watches AND due_at > $4",
        ctx.tenant_id, entity.number, record_id, ctx.now,
    )  # fmt: skip


async def is_waiting(conn: Any, ctx: Context, key: str, entity: Entity, record_id: UUID) -> bool:
    return bool(await conn.fetchval(f"SELECT EXISTS (SELECT 1 FROM automation_log WHERE {_WAITING})", ctx.tenant_id, entity.number, record_id, key))


async def stop_waiting(conn: Any, ctx: Context, key: str, entity: Entity, record_id: UUID, why: str) -> None:
    await conn.execute(
        f"UPDATE automation_log SET status = 'stopped', error = $5, ended_at = $6, state = NULL, due_at = NULL WHERE {_WAITING}", ctx.tenant_id, entity.number, record_id, key, why, ctx.now
    )


async def give_up(conn: Any, tenant_id: UUID, run_id: UUID, status: str, error: str, *, due: datetime | None = None) -> None:
    """What would have gone on with the run is over without having done so: it ends as failed or cancelled, and can be let go on.
    `due`: also one that waits until then at most."""
    await conn.execute(
        "UPDATE automation_log l SET status = $3, error = $4, due_at = NULL, watches = false, ended_at = now() + make_interval(secs => t.clock_offset_seconds) FROM tenant t "
        "WHERE t.id = l.tenant_id AND l.tenant_id = $1 AND l.id = $2 AND (l.status = 'queued' OR (l.status = 'waiting' AND l.due_at <= $5))",
        tenant_id, run_id, status, error[:2000], due,
    )  # fmt: skip


async def begin_again(conn: Any, tenant_id: UUID, run_id: UUID) -> bool:
    """Let a run that failed or was called off go on from where it stands; whoever calls puts a job for it. False when there is nothing to do."""
    sql = (
        "UPDATE automation_log SET status = 'queued', error = NULL, ended_at = NULL, due_at = NULL, state = state || '{\"attempt\": 0, \"put_off\": 0}' "
        "WHERE tenant_id = $1 AND id = $2 AND status IN ('failed', 'cancelled', 'queued') AND state IS NOT NULL RETURNING true"
    )
    return bool(await conn.fetchval(sql, tenant_id, run_id))


_WAITING = "tenant_id = $1 AND entity_id = $2 AND record_id = $3 AND automation_key = $4 AND status IN ('waiting', 'queued')"


def detail_of(happening: Happening) -> dict[str, Any]:
    """What the log says of the cause, beside its kind."""
    found: dict[str, Any] = {}
    if happening.transition:
        found["transition"] = happening.transition
    if happening.changed:
        found["changed"] = sorted(happening.changed)[:50]
    if happening.child is not None:
        found |= {"child": happening.child.entity.key, "child_id": str(happening.child.row.id), "child_kind": happening.child.kind}
    return found


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
