"""The outbox as the company's administrators see it: what left, what waits, what could not be sent; trying again and calling off."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import BadRequest, Conflict, NotFound
from saas.i18n import lazy
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.outbox.messages import ERRORS, outbox_kinds
from saas.runtime.said import moment
from saas.runtime.words import told

STATUSES = ("queued", "sending", "sent", "failed", "cancelled")
RIGHT = "jobs"  # the part of the settings
_SHOWN = "id, kind, key, payload, origin, status, attempts, due_at, error, reply, created_at, created_by, sent_at"


@dataclass(frozen=True, slots=True)
class OutboxInfo:
    """A message. `due_at`: when it is tried next, while it waits. What its kind calls secret is not in `payload`."""

    id: UUID
    kind: str
    key: str
    payload: Mapping[str, Any]
    origin: Mapping[str, Any]
    status: str
    attempts: int
    due_at: datetime
    error: str
    reply: str
    created_at: datetime
    created_by: UUID | None
    sent_at: datetime | None

    @property
    def label(self) -> str:
        kind = outbox_kinds.find(self.kind)
        return str(kind.label) if kind else self.kind

    @property
    def about(self) -> str:
        kind = outbox_kinds.find(self.kind)
        return kind.about(self.payload) if kind else ""

    @property
    def problem(self) -> str:
        """The error in words."""
        known = ERRORS.get(self.error)
        return str(known) if known is not None else told(self.error)

    @property
    def can_retry(self) -> bool:
        return self.status in ("failed", "cancelled") or (self.status == "queued" and self.attempts > 0)

    @property
    def can_cancel(self) -> bool:
        return self.status in ("queued", "failed")

    def to_json(self) -> dict[str, Any]:
        return {
            "id": str(self.id), "kind": self.kind, "label": self.label, "about": self.about, "key": self.key, "status": self.status, "attempts": self.attempts,
            "error": self.problem or None, "reply": self.reply or None, "origin": dict(self.origin), "payload": dict(self.payload),
            "next_attempt_at": moment(self.due_at) if self.status == "queued" else None, "created_at": moment(self.created_at), "sent_at": moment(self.sent_at),
        }  # fmt: skip


def _info(row: Any) -> OutboxInfo:
    values = dict(row)
    kind = outbox_kinds.find(values["kind"])
    payload = json.loads(values["payload"])
    values["payload"] = {name: "…" if kind is not None and name in kind.secret else value for name, value in payload.items()}
    values["origin"] = json.loads(values["origin"])
    return OutboxInfo(**values)


async def list_messages(ctx: Context, *, status: str | None = None, kind: str | None = None, before: UUID | None = None, limit: int = 50) -> list[OutboxInfo]:
    """Messages, newest first; `before` is the id of the last one seen. Errors: PermissionDenied, BadRequest for an unknown status."""
    permissions.require_setting(ctx, RIGHT)
    if status is not None and status not in STATUSES:
        raise BadRequest(lazy("“status” is queued, sending, sent, failed or cancelled."), field="status")
    left = "AND status <> 'sent' " if status not in (None, "sent") else ""  # as an index says it: of a million that were sent none is read
    async with tenant_transaction(ctx.tenant_id) as conn:
        rows = await conn.fetch(
            f"SELECT {_SHOWN} FROM outbox WHERE tenant_id = $1 {left}AND ($2::text IS NULL OR status = $2) AND ($3::text IS NULL OR kind = $3) "
            "AND ($4::uuid IS NULL OR (created_at, id) < (SELECT b.created_at, b.id FROM outbox b WHERE b.tenant_id = $1 AND b.id = $4)) "
            "ORDER BY created_at DESC, id DESC LIMIT $5",
            ctx.tenant_id, status, kind, before, min(limit, 200),
        )  # fmt: skip
    return [_info(row) for row in rows]


async def get_message(ctx: Context, message_id: UUID) -> OutboxInfo:
    """Errors: PermissionDenied, NotFound."""
    permissions.require_setting(ctx, RIGHT)
    async with tenant_transaction(ctx.tenant_id) as conn:
        row = await conn.fetchrow(f"SELECT {_SHOWN} FROM outbox WHERE tenant_id = $1 AND id = $2", ctx.tenant_id, message_id)
    if row is None:
        raise NotFound(lazy("There is no such message."))
    return _info(row)


async def retry(ctx: Context, message_id: UUID) -> OutboxInfo:
    """Send it again now, under the same key, with all its attempts. Errors: PermissionDenied, NotFound, Conflict."""
    if not await _changed(ctx, message_id, "status = 'queued', attempts = 0, due_at = now(), error = ''", "(status IN ('failed', 'cancelled') OR (status = 'queued' AND attempts > 0))"):
        raise Conflict(lazy("Only what could not be sent can be tried again."))
    return await get_message(ctx, message_id)


async def cancel(ctx: Context, message_id: UUID) -> OutboxInfo:
    """Call it off. One that is being sent at this moment cannot be. Errors: PermissionDenied, NotFound, Conflict."""
    if not await _changed(ctx, message_id, "status = 'cancelled'", "status IN ('queued', 'failed')"):
        raise Conflict(lazy("This message was sent, or is on its way."))
    return await get_message(ctx, message_id)


async def _changed(ctx: Context, message_id: UUID, change: str, where: str) -> bool:
    permissions.require_active(ctx)
    await get_message(ctx, message_id)
    async with tenant_transaction(ctx.tenant_id) as conn:
        sql = f"UPDATE outbox SET {change} WHERE tenant_id = $1 AND id = $2 AND {where} RETURNING true"
        return bool(await conn.fetchval(sql, ctx.tenant_id, message_id))
