"""Rehearsing an automation: what it would have done with what happened lately. Everything runs for real in a transaction that is rolled
back; nothing is sent, and waits are only told of.

The cause of each case is taken from the history. The record itself is read as it is now, with what was changed then laid over it: a
rehearsal shows what the rule would do with such cases, not what the past would have been.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import AppError, NotFound
from saas.i18n import lazy
from saas.metadata.config import Entity
from saas.metadata.kinds import trigger_types
from saas.metadata.models import AutomationDef
from saas.runtime.acts import Act, ActionRun, Happening
from saas.runtime.context import Context
from saas.runtime.env import read_row
from saas.runtime.outbox import outbox_kinds
from saas.runtime.present import titles_of
from saas.runtime.rows import Row
from saas.runtime.said import moment
from saas.runtime.simulation import require_trial
from saas.runtime.steps import Walk, words
from saas.runtime.trial import trial
from saas.runtime.validate import Draft, linked
from saas.tenants import new_id

DAYS, MOST, SECONDS = 31, 200, 12.0
_KINDS = {"create": ("created",), "update": ("updated", "transition"), "transition": ("transition",), "delete": ("deleted",), "restore": ("restored",), "before_save": ("created", "updated")}
_OF_KIND = {"created": "create", "updated": "update", "transition": "update", "deleted": "delete", "restored": "restore"}


@dataclass(slots=True)
class Case:
    """One cause that the rule would have acted on. `sent`: what would have gone out, as (kind, where to)."""

    at: datetime
    record_id: UUID
    title: str
    steps: list[dict[str, Any]] = field(default_factory=list)
    effects: list[dict[str, Any]] = field(default_factory=list)
    sent: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    error: str = ""


@dataclass(slots=True)
class Rehearsal:
    """`looked`: causes that were looked at; `matched`: those the condition held for. `cut`: there are more than were looked at."""

    since: datetime
    looked: int = 0
    matched: int = 0
    cut: bool = False
    cases: list[Case] = field(default_factory=list)

    @property
    def failed(self) -> int:
        return sum(bool(case.error) for case in self.cases)

    def to_json(self) -> dict[str, Any]:
        return {
            "since": moment(self.since), "looked": self.looked, "matched": self.matched, "failed": self.failed, "cut": self.cut,
            "cases": [
                {
                    "at": moment(c.at), "record": str(c.record_id), "title": c.title, "steps": c.steps, "effects": c.effects,
                    "sent": [{"kind": kind, "to": to} for kind, to in c.sent], "warnings": c.warnings, "error": c.error or None,
                }
                for c in self.cases
            ],
        }  # fmt: skip


async def rehearse(ctx: Context, key: str, *, bundle: Mapping[str, Any] | None = None, days: int = DAYS, most: int = MOST, seconds: float = SECONDS) -> Rehearsal:
    """What the automation `key` of the published configuration, or of a draft's `bundle`, would have done in the last `days`: at most
    `most` causes are looked at, newest first, for at most `seconds`. Administrators only: it shows what others may not see.
    Errors: PermissionDenied, NotFound, InvalidDefinition."""
    require_trial(ctx)
    async with _stage(ctx, bundle, seconds) as inner:
        automation = next((a for a in inner.config.bundle.automations if a.key == key), None)
        if automation is None:
            raise NotFound(lazy("There is no such automation."))
        return await _Stage(inner, automation, days, most, seconds).play()


class _RollBack(Exception):
    pass


@asynccontextmanager
async def _stage(ctx: Context, bundle: Mapping[str, Any] | None, seconds: float) -> AsyncIterator[Context]:
    fixed = ctx.replace(fixed_now=ctx.now)
    if bundle is not None:
        async with trial(fixed, bundle, write=True, timeout_seconds=seconds) as inner:
            yield inner
        return
    try:
        async with tenant_transaction(ctx.tenant_id, timeout_seconds=seconds):
            yield fixed
            raise _RollBack
    except _RollBack:
        pass


class _Stage:
    """One rehearsal, inside the transaction that is rolled back."""

    def __init__(self, ctx: Context, automation: AutomationDef, days: int, most: int, seconds: float) -> None:
        self.ctx, self.automation, self.most = ctx, automation, most
        self.entity = ctx.config.entity(automation.entity)
        self.kind = trigger_types.get(automation.on.trigger)
        self.report = Rehearsal(ctx.now - timedelta(days=min(max(days, 1), 366)))
        self.until = time.monotonic() + seconds * 0.9

    async def play(self) -> Rehearsal:
        if not self.entity.number:  # of the draft only: nothing has happened to it
            return self.report
        async with tenant_transaction(self.ctx.tenant_id) as conn:
            async for at, happening in self._causes(conn):
                if self.report.looked >= self.most or time.monotonic() > self.until:
                    self.report.cut = True
                    break
                self.report.looked += 1
                await self._try(conn, at, happening)
            titles = await titles_of(conn, self.ctx, self.entity, [case.record_id for case in self.report.cases])
        for case in self.report.cases:
            case.title = titles.get(case.record_id, "")
        return self.report

    async def _causes(self, conn: Any) -> AsyncIterator[tuple[datetime, Happening]]:
        relation = self.kind.relation(self.automation.on)
        if relation is not None:
            async for cause in self._of_children(conn):
                yield cause
        elif self.automation.on.trigger in _KINDS:
            async for cause in self._of_records(conn):
                yield cause
        else:  # a button, a date: as if it were so now, for what was changed lately
            rows = await conn.fetch(
                f"SELECT id, updated_at FROM record WHERE entity_id = {self.entity.number} AND deleted_at IS NULL AND updated_at >= $1 ORDER BY updated_at DESC LIMIT $2",
                self.report.since, self.most + 1,
            )  # fmt: skip
            for found in rows:
                row = await read_row(conn, self.ctx, self.entity, found["id"])
                if row is not None:
                    yield found["updated_at"], Happening(self.automation.on.trigger, self.entity, row)

    async def _events(self, conn: Any, entity: Entity, kinds: tuple[str, ...]) -> list[Any]:
        return await conn.fetch(
            "SELECT record_id, at, kind, transition, changes FROM record_event WHERE tenant_id = $1 AND entity_id = $2 AND at >= $3 AND kind = ANY($4::text[]) "
            "ORDER BY at DESC LIMIT $5",
            self.ctx.tenant_id, entity.number, self.report.since, list(kinds), self.most * 5,
        )  # fmt: skip

    async def _of_records(self, conn: Any) -> AsyncIterator[tuple[datetime, Happening]]:
        kind = self.automation.on.trigger
        for event in await self._events(conn, self.entity, _KINDS[kind]):
            happened = await self._happened(conn, self.entity, event, kind if kind == "transition" else None)
            if happened is None:
                continue
            if kind == "before_save":
                happened = Happening("before_save", self.entity, happened.row, happened.old, happened.changed)
            if self.kind.matches(self.automation.on, happened):
                yield event["at"], happened

    async def _of_children(self, conn: Any) -> AsyncIterator[tuple[datetime, Happening]]:
        known = self.ctx.config.relation(self.entity.key, self.kind.relation(self.automation.on) or "")
        if known is None:
            return
        child = self.ctx.config.entity(known.child)
        for event in await self._events(conn, child, ("created", "updated", "transition", "deleted", "restored")):
            happened = await self._happened(conn, child, event, None)
            if happened is None or not self.kind.matches_child(self.automation.on, happened, known.field):
                continue
            for parent_id in sorted(linked(happened.row.get(known.field))):
                row = await read_row(conn, self.ctx, self.entity, parent_id)
                if row is not None and row.deleted_at is None:
                    yield event["at"], Happening("child_change", self.entity, row, child=happened)

    async def _happened(self, conn: Any, entity: Entity, event: Any, kind: str | None) -> Happening | None:
        row = await read_row(conn, self.ctx, entity, event["record_id"])
        if row is None or (row.deleted_at is not None) != (event["kind"] == "deleted"):
            return None
        changes = {k: v for k, v in json.loads(event["changes"]).items() if k in entity.fields or k == "owner"}
        old: Row | None = None
        if event["kind"] in ("updated", "transition"):
            old = row.copy()
        for name, (before, after) in changes.items():
            _lay(entity, row, name, after)
            if old is not None:
                _lay(entity, old, name, before)
        return Happening(kind or _OF_KIND[event["kind"]], entity, row, old, frozenset(changes), event["transition"])

    async def _try(self, conn: Any, at: datetime, happening: Happening) -> None:
        """One cause, in a savepoint of its own that is rolled back, so that no case sees another's effects."""
        case = Case(at, happening.row.id, "")
        key = self.automation.key
        act = Act(conn, self.ctx.replace(elevated=True, origin="automation", depth=1, running=(key,), operation_id=new_id(self.ctx.now)))
        draft = Draft(self.entity, happening.row.copy(), happening.old, {}) if happening.kind == "before_save" else None
        row = draft.row if draft is not None else happening.row
        run = ActionRun(act, self.entity, row, happening.old, draft, run_id=new_id(self.ctx.now), automation=key)
        walk = Walk(may_pause=draft is None, passes=True)
        try:
            async with conn.transaction():
                if not await run.holds(self.automation.condition):
                    raise _RollBack
                self.report.matched += 1
                self.report.cases.append(case)
                before = await conn.fetchval("SELECT count(*) FROM outbox WHERE tenant_id = $1 AND created_at = now()", self.ctx.tenant_id)
                try:
                    await walk.through(run, self.automation.do)
                except AppError as error:
                    case.error = words(error)
                else:
                    case.sent = await self._sent(conn, before)
                raise _RollBack
        except _RollBack:
            case.steps, case.effects, case.warnings = walk.told, list(act.effects), list(act.warnings)

    async def _sent(self, conn: Any, before: int) -> list[tuple[str, str]]:
        rows = await conn.fetch("SELECT kind, payload FROM outbox WHERE tenant_id = $1 AND created_at = now() ORDER BY id OFFSET $2", self.ctx.tenant_id, before)
        kinds = [(outbox_kinds.find(r["kind"]), r["kind"], json.loads(r["payload"])) for r in rows]
        return [(str(kind.label) if kind else name, kind.about(payload) if kind else "") for kind, name, payload in kinds]


def _lay(entity: Entity, row: Row, name: str, value: Any) -> None:
    """A value of the history over a record that was read."""
    if name == "owner":
        row.owner = UUID(value) if value else None
    elif entity.fields[name].type == "pipeline":
        row.state = row.values[name] = value
    elif name in entity.declared:
        row.values[name] = value


__all__ = ["DAYS", "Case", "Rehearsal", "rehearse"]
