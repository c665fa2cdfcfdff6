"""Moving tenants between databases, and the log of it. The log and the directory stand in the home database."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from saas.db import cells, current_database, moving, system_transaction
from saas.db.places import place_of
from saas.errors import BadRequest, NotFound
from saas.i18n import lazy
from saas.log import get_logger
from saas.settings import HOME
from saas.tenants.ids import new_id
from saas.tenants.operators import record_operator_audit
from saas.tenants.tenants import forget_host

log = get_logger(__name__)


async def cell_of(tenant_id: UUID) -> str:
    """The key of the database where the tenant lives."""
    return await place_of(current_database(), tenant_id, fresh=True)


async def move_tenant(slug: str, target: str, *, keep_days: int = 0, say: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """Move a tenant to another cell while people work in it; says what was moved and for how long nothing could be changed.

    With `keep_days` the old rows are deleted so many days later, by the worker. Errors: NotFound; BadRequest for an unknown cell;
    those of saas.db.moving.move, after which the tenant lives where it did.
    """
    if target not in cells():
        raise BadRequest(lazy("There is no cell %(name)s; known: %(known)s", name=target, known=", ".join(cells())))
    async with system_transaction("operator_console") as conn:
        tenant_id = await conn.fetchval("SELECT id FROM tenant WHERE slug = $1", slug)
    if tenant_id is None:
        raise NotFound(lazy("There is no tenant %(slug)s", slug=slug))
    move_id = new_id()
    async with system_transaction("operator_console") as conn:
        await conn.execute(
            "INSERT INTO tenant_move (id, moved_id, slug, source, target, status) VALUES ($1, $2, $3, $4, $5, 'running')",
            move_id, tenant_id, slug, await _cell_of_row(conn, tenant_id), target,
        )  # fmt: skip
    try:
        moved = await moving.move(current_database(), tenant_id, target, keep=keep_days > 0, say=say)
    except BaseException as error:
        await _note(move_id, "failed", detail={"error": str(error)})
        raise
    forget_host(slug)
    kept_until = datetime.now(UTC) + timedelta(days=keep_days) if keep_days else None
    await _note(move_id, "kept" if keep_days else "done", read_only=moved.read_only_seconds, purge_after=kept_until, detail=asdict(moved))
    async with system_transaction("operator_console") as conn:
        await record_operator_audit(conn, "tenant.moved", tenant=slug, data={"from": moved.source, "to": moved.target})
    return {"slug": slug, "id": tenant_id, "kept_until": kept_until, **asdict(moved)}


async def _cell_of_row(conn: Any, tenant_id: UUID) -> str:
    return await conn.fetchval("SELECT coalesce(nullif(cell, ''), 'home') FROM tenant WHERE id = $1", tenant_id)


async def _note(
    move_id: UUID, status: str, *, read_only: float | None = None, purge_after: datetime | None = None, detail: dict[str, Any]
) -> None:
    async with system_transaction("operator_console") as conn:
        await conn.execute(
            "UPDATE tenant_move SET status = $2, finished_at = now(), read_only_ms = $3, purge_after = $4, detail = $5::jsonb WHERE id = $1",
            move_id, status, None if read_only is None else round(read_only * 1000), purge_after, json.dumps(detail, default=str),
        )  # fmt: skip


async def purge_kept() -> int:
    """Delete what was kept after moves whose time is over; returns how many tenants' rows. Never where the tenant lives now."""
    async with system_transaction("housekeeping") as conn:
        due = await conn.fetch("SELECT id, moved_id, slug, source FROM tenant_move WHERE status = 'kept' AND purge_after < now()")
    for row in due:
        if row["source"] not in cells():
            continue
        async with system_transaction("housekeeping", timeout_seconds=3600, cell=row["source"]) as conn:
            if await conn.fetchval("SELECT cell <> '' FROM tenant WHERE id = $1 FOR UPDATE", row["moved_id"]):
                left = await moving.clear(conn, row["moved_id"])
                if row["source"] != HOME:
                    await conn.execute("DELETE FROM tenant WHERE id = $1", row["moved_id"])
                log.info("tenant.kept_rows_deleted", slug=row["slug"], cell=row["source"], left=left)
        async with system_transaction("housekeeping") as conn:
            await conn.execute("UPDATE tenant_move SET status = 'done' WHERE id = $1", row["id"])
    return len(due)
