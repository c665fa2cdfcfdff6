"""The log of messages: of one record, of the workspace; sending one again by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.errors import Conflict, NotFound
from saas.i18n import lazy
from saas.runtime import outbox, permissions, quota
from saas.runtime.context import Context
from saas.runtime.messages.sending import OUTBOX_KIND, outbox_key
from saas.tenants import record_audit

RIGHT = "audit"  # the part of the settings
STATUSES = ("queued", "sent", "delivered", "failed", "recorded", "left_out")


@dataclass(frozen=True, slots=True)
class Message:
    """A message as the log shows it. `error` is a key of delivering.ERRORS; `sender`: who caused it, by name."""

    id: UUID
    created_at: datetime
    sender: str | None
    entity_id: int | None
    record_id: UUID | None
    template_key: str
    channel: str
    recipient: str
    locale: str
    subject: str
    body: str
    status: str
    attempts: int
    error: str
    reply: str
    sent_at: datetime | None
    delivered_at: datetime | None

    @property
    def can_send_again(self) -> bool:
        return self.status == "failed" or (self.status == "recorded" and self.channel != "in_app")


# What was called off in the outbox, or died there too often, waits no more.
_STATUS = "CASE WHEN m.status = 'queued' AND o.status IN ('failed', 'cancelled') THEN 'failed' ELSE m.status END"
_SHOWN = (
    f"m.id, m.created_at, u.name AS sender, m.entity_id, m.record_id, m.template_key, m.channel, m.recipient, m.locale, m.subject, m.body, {_STATUS} AS status, m.attempts, "
    "m.error, m.reply, m.sent_at, m.delivered_at"
)
_FROM = (
    "FROM message m LEFT JOIN app_user u ON u.tenant_id = m.tenant_id AND u.id = m.created_by "
    "LEFT JOIN outbox o ON o.tenant_id = m.tenant_id AND o.key = 'message ' || m.id::text"
)


async def list_messages(
    conn: Any, ctx: Context, *, status: str | None = None, channel: str | None = None, before: UUID | None = None, limit: int = 60,
) -> list[Message]:  # fmt: skip
    """Newest first (ids are time-ordered); `before` is the id of the last one seen. Errors: PermissionDenied."""
    permissions.require_setting(ctx, RIGHT)
    rows = await conn.fetch(
        f"SELECT {_SHOWN} {_FROM} WHERE m.tenant_id = $1 AND ($2::text IS NULL OR {_STATUS} = $2) AND ($3::text IS NULL OR m.channel = $3) "
        "AND ($4::uuid IS NULL OR m.id < $4) ORDER BY m.created_at DESC, m.id DESC LIMIT $5",
        ctx.tenant_id, status, channel, before, min(limit, 200),
    )  # fmt: skip
    return [Message(**dict(row)) for row in rows]


async def get_message(conn: Any, ctx: Context, message_id: UUID) -> Message:
    """Errors: PermissionDenied, NotFound."""
    permissions.require_setting(ctx, RIGHT)
    row = await conn.fetchrow(f"SELECT {_SHOWN} {_FROM} WHERE m.tenant_id = $1 AND m.id = $2", ctx.tenant_id, message_id)
    if row is None:
        raise NotFound()
    return Message(**dict(row))


async def messages_of(conn: Any, ctx: Context, entity_number: int, record_id: UUID, *, limit: int = 20) -> list[Message]:
    """Those about a record that the caller has read under its reader's rights, newest first."""
    rows = await conn.fetch(
        f"SELECT {_SHOWN} {_FROM} WHERE m.tenant_id = $1 AND m.entity_id = $2 AND m.record_id = $3 ORDER BY m.created_at DESC, m.id DESC LIMIT $4",
        ctx.tenant_id, entity_number, record_id, limit,
    )  # fmt: skip
    return [Message(**dict(row)) for row in rows]


async def send_again(conn: Any, ctx: Context, message_id: UUID) -> None:
    """Try a message again that could not be sent, as it was written. Errors: PermissionDenied, NotFound, Conflict, PlanLimitReached."""
    permissions.require_setting(ctx, RIGHT)
    permissions.require_active(ctx)
    found = await get_message(conn, ctx, message_id)
    if not found.can_send_again:
        raise Conflict(lazy("Only what could not be sent can be sent again."))
    changed = "UPDATE message SET status = 'queued', error = '', reply = '' WHERE tenant_id = $1 AND id = $2"
    await quota.write(conn, ctx, "mails", int(found.channel == "email"), [(changed, (ctx.tenant_id, message_id))])
    again = "UPDATE outbox SET status = 'queued', attempts = 0, due_at = now(), error = '' WHERE tenant_id = $1 AND key = $2 RETURNING true"
    if not await conn.fetchval(again, ctx.tenant_id, outbox_key(message_id)):
        await outbox.put(conn, kind=OUTBOX_KIND, key=outbox_key(message_id), payload={"message": str(message_id)})
    await record_audit(conn, ctx.tenant_id, "message.sent_again", actor_id=ctx.user_id, target=str(message_id))
