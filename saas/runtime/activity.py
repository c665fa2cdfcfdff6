"""The log of what was done to records: who made, changed, moved or deleted which, when, and what it was before; across all kinds of records
and only of those the reader may see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.metadata.config import Entity
from saas.runtime import events, permissions
from saas.runtime import operations as ops
from saas.runtime.context import Context
from saas.runtime.present import title_sql, title_text
from saas.runtime.sql import RecordScope, Statement

MOST_DAYS = 92  # of one look: history is kept by the month
USUAL_DAYS = 7
EARLIEST, LATEST = date(1970, 1, 1), date(9000, 1, 1)  # beyond there is nothing, and days cannot be counted on for ever


@dataclass(frozen=True, slots=True)
class Entry:
    """An act with the record it was done to. `title` is "" where the person may not see it."""

    event_id: UUID
    at: datetime
    entity: Entity
    record_id: UUID
    title: str
    is_deleted: bool
    told: ops.HistoryEntry


def days(ctx: Context, first: date | None, last: date | None) -> tuple[date, date]:
    """The days that a look really is at: the usual ones where none are named, no more than MOST_DAYS, none that cannot be."""
    last = _within(last or ctx.today)
    return max(_within(first) if first else last - timedelta(days=USUAL_DAYS - 1), last - timedelta(days=MOST_DAYS - 1)), last


def _within(day: date) -> date:
    return min(max(day, EARLIEST), LATEST)


async def log(
    ctx: Context, *, entity: str | None = None, person: UUID | None = None, first: date | None = None, last: date | None = None, before: tuple[datetime, UUID] | None = None, limit: int = 50
) -> list[Entry]:
    """Newest first, of the days `first` to `last` in the tenant's zone. Errors: PermissionDenied without the right to read logs."""
    permissions.require_setting(ctx, "audit")
    first, last = days(ctx, first, last)
    wanted = [e for e in ctx.config.entities.values() if e.number and (entity is None or e.key == entity) and permissions.may(ctx, "read", e.key)]
    if not wanted:
        return []
    statement = Statement(ctx)
    begin, end = (datetime.combine(day, time(), ctx.zone) for day in (first, last + timedelta(days=1)))
    where = [f"e.tenant_id = {statement.param(ctx.tenant_id, 'uuid')}", f"e.at >= {statement.param(begin, 'timestamptz')}", f"e.at < {statement.param(end, 'timestamptz')}"]
    if person is not None:
        where.append(f"e.actor_id = {statement.param(person, 'uuid')}")
    if before is not None:
        where.append(f"(e.at, e.id) < ({statement.param(before[0], 'timestamptz')}, {statement.param(before[1], 'uuid')})")
    where.append(f"({' OR '.join(_seen(statement, e) for e in wanted)})")
    sql = (
        "SELECT e.id AS event_id, e.entity_id, e.record_id, e.version, e.at, e.kind, e.actor_id, e.origin, e.changes, e.transition FROM record_event e "
        f"WHERE {' AND '.join(where)} ORDER BY e.at DESC, e.id DESC LIMIT {statement.param(min(max(limit, 1), 200), 'int8')}"
    )
    async with tenant_transaction(ctx.tenant_id) as conn:
        found = await conn.fetch(*statement.finish(sql))
        entries: list[Entry] = []
        for one in wanted:
            entries += await _told(conn, ctx, one, [r for r in found if r["entity_id"] == one.number])
    return sorted(entries, key=lambda e: (e.at, e.event_id), reverse=True)


def _seen(statement: Statement, entity: Entity) -> str:
    """Acts on records of an entity that the person may read, deleted or not."""
    scope = RecordScope(statement, entity, f"r{entity.number}")
    readable = permissions.right_sql("read", scope)
    if readable == "true":
        return f"e.entity_id = {entity.number}"
    return f"(e.entity_id = {entity.number} AND EXISTS (SELECT 1 FROM record {scope.alias} WHERE {scope.alias}.entity_id = {entity.number} AND {scope.alias}.id = e.record_id AND {readable}))"


async def _told(conn: Any, ctx: Context, entity: Entity, rows: Sequence[Any]) -> list[Entry]:
    if not rows:
        return []
    # Each condition of a field's right counts as met: a log of many records shows no more of any than each of them would.
    access = permissions.access(ctx, entity, dict.fromkeys(permissions.conditions(ctx, entity), True))
    told = await events.entries(conn, ctx, entity, rows, access)
    statement = Statement(ctx)
    scope = RecordScope(statement, entity, "t")
    ids = statement.param(list({r["record_id"] for r in rows}), "uuid[]")
    titles = {r[0]: r for r in await conn.fetch(*statement.finish(f"SELECT t.id, {title_sql(scope)}, t.deleted_at IS NOT NULL FROM record t WHERE t.entity_id = {entity.number} AND t.id = ANY({ids})"))}
    return [
        Entry(row["event_id"], row["at"], entity, row["record_id"], title_text(ctx, entity, titles[row["record_id"]][1]), titles[row["record_id"]][2], line)
        for row, line in zip(rows, told, strict=True)
        if row["record_id"] in titles
    ]
