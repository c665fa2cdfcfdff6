"""The history of records: append and read. Values are raw JSON; what a reader may see is decided when it is read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from saas.db import Write
from saas.errors import BadRequest
from saas.i18n import gettext, lazy, pick
from saas.metadata.compile import fast_validator, value_schema
from saas.metadata.config import Entity
from saas.metadata.models import FieldDef
from saas.runtime import operations as ops
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.present import display_text, names_for
from saas.runtime.rows import Row
from saas.tenants import new_id, support_names

ORIGIN_NAMES = {
    "automation": lazy("Automation"), "schedule": lazy("Scheduled rule"), "import": lazy("Import"), "system": lazy("System"), "sample": lazy("Sample data"),
    "configuration": lazy("Configuration"), "form": lazy("Web form"), "webhook": lazy("Webhook"), "survey": lazy("Survey"), "connector": lazy("Connector"),
}  # fmt: skip


_encode = json.JSONEncoder(ensure_ascii=False).encode  # as json.dumps does it, but made once
_APPEND = (
    "INSERT INTO record_event (tenant_id, entity_id, record_id, id, at, actor_id, origin, kind, operation_id, transition, version, changes) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::jsonb)"
)


def appended(ctx: Context, entity: Entity, row: Row, kind: str, changes: Mapping[str, tuple[Any, Any]], transition: str | None = None) -> Write:
    """The statement for one act. kind: created updated deleted restored transition merged merged_away unmerged."""
    return _APPEND, _event(ctx, entity, row, kind, changes, transition)


REASON = "_reason"  # beside the fields of a change: why something was saved although it looked like another record
MERGE = "_merge"  # and the id of the merge that was done or undone


def with_reason(changes: Mapping[str, tuple[Any, Any]], reason: str) -> Mapping[str, tuple[Any, Any]]:
    """What the history is told, with the reason somebody gave."""
    return {**changes, REASON: (None, reason.strip())} if reason.strip() else changes


async def append_many(conn: Any, ctx: Context, entity: Entity, updates: Iterable[tuple[Row, Mapping[str, tuple[Any, Any]]]]) -> None:
    """An update of each of several records."""
    await conn.executemany(_APPEND, [_event(ctx, entity, row, "updated", changes) for row, changes in updates])


Beginning = tuple[UUID, UUID, datetime | None, UUID, str]  # record, event, moment, operation, changes


def beginning(row: Row, changes: Mapping[str, tuple[Any, Any]]) -> Beginning:
    """The creation of one of several records, each an act of its own at the moment it was created."""
    return row.id, new_id(row.created_at), row.created_at, new_id(row.created_at), _json(changes)


async def append_created(conn: Any, ctx: Context, entity: Entity, made: Sequence[Beginning]) -> None:
    """The beginning of several records; one statement."""
    await conn.execute(
        "INSERT INTO record_event (tenant_id, entity_id, record_id, id, at, actor_id, origin, kind, operation_id, version, changes) "
        "SELECT $1, $2, r, i, a, $3, $4, 'created', o, 1, c::jsonb FROM unnest($5::uuid[], $6::uuid[], $7::timestamptz[], $8::uuid[], $9::text[]) AS n (r, i, a, o, c)",
        ctx.tenant_id, entity.number, ctx.user_id, ctx.origin, *(list(column) for column in zip(*made, strict=True)),
    )  # fmt: skip


def _json(changes: Mapping[str, tuple[Any, Any]]) -> str:
    return _encode(changes)


def _event(ctx: Context, entity: Entity, row: Row, kind: str, changes: Mapping[str, tuple[Any, Any]], transition: str | None = None) -> tuple[Any, ...]:
    return (
        ctx.tenant_id, entity.number, row.id, new_id(ctx.now), ctx.now, ctx.user_id, ctx.origin, kind, ctx.operation_id, transition, row.version,
        _json(changes),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Touch:
    """What somebody last made of a field, and of what. `by_configuration`: that was no person's act."""

    value: Any
    by_configuration: bool
    before: Any = None
    operation_id: UUID | None = None


async def last_touches(conn: Any, ctx: Context, entity: Entity, key: str, ids: Sequence[UUID], since: datetime | None = None) -> dict[UUID, Touch]:
    """The last change of a field of each of these records, as far as the history knows: by version, because the time of an act is
    that of its beginning."""
    rows = await conn.fetch(
        "SELECT DISTINCT ON (record_id) record_id, origin, operation_id, changes -> $4 AS pair FROM record_event WHERE tenant_id = $1 AND entity_id = $2 "
        "AND record_id = ANY($3::uuid[]) AND changes ? $4 AND at >= coalesce($5, '-infinity'::timestamptz) ORDER BY record_id, version DESC, at DESC",
        ctx.tenant_id, entity.number, list(ids), key, since,
    )  # fmt: skip
    found = [(r, json.loads(r["pair"])) for r in rows]
    return {r["record_id"]: Touch(new, r["origin"] == "configuration", old, r["operation_id"]) for r, (old, new) in found}


async def history(conn: Any, ctx: Context, entity: Entity, row: Row, limit: int, before: str | None) -> list[ops.HistoryEntry]:
    """Events of a record, newest first (those of one act by the record's version); fields the reader may not see are left out."""
    params: list[Any] = [ctx.tenant_id, entity.number, row.id, row.created_at, min(max(limit, 1), 200)]
    clause = ""
    if before:
        try:
            moment, _, version = before.partition("~")
            params += [datetime.fromisoformat(moment).astimezone(UTC), min(int(version), 2**31 - 1)]
        except (ValueError, OverflowError) as error:
            raise BadRequest(lazy("This page link is broken; start again from the first page."), field="before") from error
        clause = " AND (at, version) < ($6, $7)"
    found = await conn.fetch(
        "SELECT version, at, kind, actor_id, origin, changes, transition FROM record_event "
        f"WHERE tenant_id = $1 AND entity_id = $2 AND record_id = $3 AND at >= $4{clause} ORDER BY at DESC, version DESC LIMIT $5",
        *params,
    )
    return await entries(conn, ctx, entity, found, permissions.access(ctx, entity, row.holds))


async def entries(conn: Any, ctx: Context, entity: Entity, found: Sequence[Any], access: Mapping[str, str]) -> list[ops.HistoryEntry]:
    """Rows of the history as they are told to somebody with this access to the fields."""
    events = [(item, {k: v for k, v in json.loads(item["changes"]).items() if access.get(k, "hidden") != "hidden"}) for item in found]
    pairs = [(entity.fields[k], v) for _, changes in events for k, both in changes.items() for v in both if _fits(ctx, entity.fields[k], v)]
    names = await names_for(conn, ctx, pairs)
    actors = {r["id"]: r["name"] for r in await conn.fetch("SELECT id, name FROM app_user WHERE tenant_id = $1 AND id = ANY($2::uuid[])", ctx.tenant_id, list({i["actor_id"] for i, _ in events if i["actor_id"]}))}
    strangers = [i["actor_id"] for i, _ in events if i["actor_id"] and i["actor_id"] not in actors]
    if strangers:
        actors |= await support_names(conn, ctx.tenant_id, strangers)
    told = []
    for item, changes in events:
        lines = []
        for key, (old, new) in changes.items():
            field = entity.fields[key]
            texts = [display_text(ctx, entity, field, v, names) if _fits(ctx, field, v) else _plain(v) for v in (old, new)]
            if access[key] == "masked":
                texts = [permissions.masked(t, permissions.mask_of(ctx, entity, key)) if t else t for t in texts]
            lines.append({"field": key, "label": pick(field.label, ctx.locale), "old": texts[0], "new": texts[1]})
        if (reason := json.loads(item["changes"]).get(REASON)) is not None:
            lines.append({"field": "", "label": gettext("Saved although similar"), "old": "", "new": str(reason[1])})
        label = entity.pipeline.transition(item["transition"]) if entity.pipeline and item["transition"] else None
        told.append(
            ops.HistoryEntry(
                id=f"{item['at'].isoformat()}~{item['version']}", at=item["at"], kind=item["kind"], actor_id=item["actor_id"],
                actor=actors.get(item["actor_id"]) or str(ORIGIN_NAMES.get(item["origin"], gettext("System"))),
                origin=item["origin"], changes=lines, transition=pick(label.label, ctx.locale) if label else item["transition"],
                merge=next(iter(json.loads(item["changes"]).get(MERGE, ())[1:]), None),
            )
        )
    return told


def _fits(ctx: Context, field: FieldDef, value: Any) -> bool:
    """Whether it is a value of the field's present type: what was written before a change of type may be anything."""
    if value in (None, "", []):
        return True
    fits = ctx.config.cached(("events.fits", id(field)), lambda: (fast_validator(value_schema(ctx.config, field)), field))[0]
    try:
        return fits.is_valid(value)
    except (ValueError, TypeError, OverflowError):
        return False


def _plain(value: Any) -> str:
    """A value without its type: its texts."""
    if isinstance(value, Mapping):
        return " ".join(str(v) for v in value.values())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
