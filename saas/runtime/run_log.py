"""The log of automations' runs: looking at them, letting one that failed go on, calling one off, and what going on would do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import AppError, BadRequest, Conflict, NotFound
from saas.i18n import gettext as _
from saas.i18n import lazy, pick
from saas.metadata.config import Entity
from saas.metadata.models import ActionDef
from saas.runtime import jobs, permissions, resuming, runs
from saas.runtime.context import Context
from saas.runtime.present import titles_of
from saas.runtime.said import moment
from saas.runtime.steps import Walk, words

RIGHT = "jobs"  # the part of the settings
STATUSES = ("done", "waiting", "queued", "failed", "undone", "stopped", "cancelled")
PREVIEW_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One run. `steps`: what was done, in order, each {"at", "action", "ms"?, "inputs"?, "effects"?, "error"?, "skipped"?, "way"?}.
    `rest`: the steps it would go on with, where it waits or failed; `place`: the first of them."""

    id: UUID
    automation: str
    label: str
    entity: Entity | None
    record_id: UUID | None
    title: str
    at: datetime
    status: str
    trigger: str
    actor: str
    ended_at: datetime | None
    work_us: int
    error: str
    due_at: datetime | None
    revision: int | None
    detail: Mapping[str, Any]
    steps: Sequence[Mapping[str, Any]] = ()
    rest: Sequence[ActionDef] = ()
    place: Sequence[Any] = ()

    @property
    def can_go_on(self) -> bool:
        return self.status in ("failed", "cancelled", "queued") and bool(self.rest)

    @property
    def can_cancel(self) -> bool:
        return self.status in ("waiting", "queued", "failed") and bool(self.rest)

    def to_json(self) -> dict[str, Any]:
        return {
            "id": str(self.id), "automation": self.automation, "label": self.label, "entity": self.entity.key if self.entity else None,
            "record": str(self.record_id) if self.record_id else None, "title": self.title, "at": moment(self.at), "status": self.status, "trigger": self.trigger, "actor": self.actor or None,
            "ended_at": moment(self.ended_at), "work_ms": round(self.work_us / 1000, 1), "error": self.error or None, "due_at": moment(self.due_at),
            "effects": list(self.detail.get("effects", ())), "steps": [dict(step) for step in self.steps], "place": list(self.place) or None,
        }  # fmt: skip


_SHOWN = (
    "l.id, l.automation_key, l.entity_id, l.record_id, l.at, l.status, l.trigger, l.ended_at, l.work_us, l.error, l.due_at, l.revision, l.detail, u.name AS actor, l.state IS NOT NULL AS kept"
)
_FROM = "FROM automation_log l LEFT JOIN app_user u ON u.tenant_id = l.tenant_id AND u.id = l.actor_id WHERE l.tenant_id = $1"


def may_see(ctx: Context) -> bool:
    return permissions.may_configure(ctx, RIGHT)


async def list_runs(
    ctx: Context, *, automation: str | None = None, status: str | None = None, record: UUID | None = None, before: UUID | None = None, limit: int = 50
) -> list[RunInfo]:
    """Runs, newest first; `before` is the id of the last one seen. Titles of records as far as the reader may see them.
    Errors: PermissionDenied, BadRequest for an unknown status."""
    permissions.require_setting(ctx, RIGHT)
    if status is not None and status not in STATUSES:
        raise BadRequest(lazy("“status” is done, waiting, queued, failed, undone, stopped or cancelled."), field="status")
    left = "AND l.status <> 'done' " if status not in (None, "done") else ""  # as an index says it: of a million that are done none is read
    async with tenant_transaction(ctx.tenant_id) as conn:
        rows = await conn.fetch(
            f"SELECT {_SHOWN} {_FROM} {left}AND ($2::text IS NULL OR l.automation_key = $2) AND ($3::text IS NULL OR l.status = $3) AND ($4::uuid IS NULL OR l.record_id = $4) "
            "AND ($5::uuid IS NULL OR (l.at, l.id) < (SELECT b.at, b.id FROM automation_log b WHERE b.tenant_id = $1 AND b.id = $5)) ORDER BY l.at DESC, l.id DESC LIMIT $6",
            ctx.tenant_id, automation, status, record, before, min(limit, 200),
        )  # fmt: skip
        titles = await _titles(conn, ctx, rows)
    return [_info(ctx, row, titles) for row in rows]


async def get_run(ctx: Context, run_id: UUID) -> RunInfo:
    """One run with its steps. What a step worked with is shown to administrators only: it may hold what others may not see.
    Errors: PermissionDenied, NotFound."""
    permissions.require_setting(ctx, RIGHT)
    async with tenant_transaction(ctx.tenant_id) as conn:
        row = await conn.fetchrow(f"SELECT {_SHOWN}, l.steps, l.state {_FROM} AND l.id = $2", ctx.tenant_id, run_id)
        if row is None:
            raise NotFound(lazy("There is no such run."))
        titles = await _titles(conn, ctx, [row])
    return _info(ctx, row, titles, whole=True)


def _entity_of(ctx: Context, number: int | None) -> Entity | None:
    return next((e for e in ctx.config.entities.values() if e.number == number), None)


async def _titles(conn: Any, ctx: Context, rows: Sequence[Any]) -> dict[UUID, str]:
    found: dict[UUID, str] = {}
    for number in {row["entity_id"] for row in rows}:
        entity = _entity_of(ctx, number)
        if entity is not None and permissions.may(ctx, "read", entity.key):
            found |= await titles_of(conn, ctx, entity, [row["record_id"] for row in rows if row["entity_id"] == number])
    return found


def _info(ctx: Context, row: Any, titles: Mapping[UUID, str], *, whole: bool = False) -> RunInfo:
    automation = next((a for a in ctx.config.bundle.automations if a.key == row["automation_key"]), None)
    steps, rest, place = (), (), ()
    if whole:
        steps = json.loads(row["steps"])
        if not permissions.is_admin(ctx):
            steps = [{**step, "inputs": {name: "…" for name in step["inputs"]}} if "inputs" in step else step for step in steps]
        if row["state"]:
            state = json.loads(row["state"])
            place, rest = state["place"], runs.steps_in(state)
    return RunInfo(
        row["id"], row["automation_key"], pick(automation.label, ctx.locale) if automation else row["automation_key"], _entity_of(ctx, row["entity_id"]), row["record_id"],
        titles.get(row["record_id"], ""), row["at"], row["status"], row["trigger"], row["actor"] or "", row["ended_at"], row["work_us"], _(row["error"]) if row["error"] else "",
        row["due_at"], row["revision"], json.loads(row["detail"]), steps, rest, place,
    )  # fmt: skip


async def replay(ctx: Context, run_id: UUID) -> RunInfo:
    """Let a run that failed or was called off go on from where it stands, in the background. Errors: PermissionDenied, NotFound, Conflict."""
    permissions.require_active(ctx)
    info = await get_run(ctx, run_id)
    async with tenant_transaction(ctx.tenant_id) as conn:
        again = info.can_go_on and await runs.begin_again(conn, ctx.tenant_id, run_id)
        if again:
            await jobs.enqueue(conn, ctx.replace(user=None), resuming.KIND, {"run": str(run_id)})
    if not again:
        raise Conflict(lazy("Only a run that failed or was called off, and whose change stands, can go on."))
    jobs.ring()
    return await get_run(ctx, run_id)


async def cancel(ctx: Context, run_id: UUID) -> RunInfo:
    """Call off a run that waits or failed; what it has done stays. Errors: PermissionDenied, NotFound, Conflict."""
    permissions.require_active(ctx)
    await get_run(ctx, run_id)
    async with tenant_transaction(ctx.tenant_id) as conn:
        done = await conn.fetchval(
            "UPDATE automation_log SET status = 'cancelled', error = $3, ended_at = $4, due_at = NULL, watches = false WHERE tenant_id = $1 AND id = $2 "
            "AND status IN ('waiting', 'queued', 'failed') AND state IS NOT NULL RETURNING true",
            ctx.tenant_id, run_id, runs.CALLED_OFF, ctx.now,
        )  # fmt: skip
    if not done:
        raise Conflict(lazy("This run is over."))
    return await get_run(ctx, run_id)


@dataclass(slots=True)
class Preview:
    """What going on would do now, found out by doing it in a transaction that was rolled back."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    effects: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""


class _RollBack(Exception):
    pass


async def preview(ctx: Context, run_id: UUID) -> Preview:
    """What letting the run go on would do at this moment; waits are passed over. Errors: PermissionDenied, NotFound, Conflict."""
    info = await get_run(ctx, run_id)
    if not info.can_go_on:
        raise Conflict(lazy("Only a run that failed or was called off, and whose change stands, can go on."))
    found = Preview()
    try:
        async with tenant_transaction(ctx.tenant_id, timeout_seconds=PREVIEW_SECONDS) as conn:
            ready = await resuming.ready(conn, ctx.replace(fixed_now=ctx.now), run_id)
            if isinstance(ready, str):
                found.error = _(ready)
                return found
            run, steps, state = ready
            walk = Walk(start=state["place"], may_pause=True, passes=True)
            try:
                await walk.through(run, steps)
            except AppError as error:
                found.error = words(error)
            found.steps, found.effects = walk.told, list(run.act.effects)
            raise _RollBack
    except _RollBack:
        return found
