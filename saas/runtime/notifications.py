"""In-app notifications: written in the transaction that causes them, read by their person only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saas.runtime.context import Context
from saas.tenants import new_id


@dataclass(frozen=True, slots=True)
class Notice:
    """Titles and bodies by locale, and the record it is about."""

    titles: Mapping[str, str]
    bodies: Mapping[str, str]
    entity_key: str | None
    record_id: UUID | None
    kind: str


async def people_with_role(conn: Any, ctx: Context, role_key: str) -> list[UUID]:
    found = await conn.fetch(
        "SELECT u.id FROM app_user u JOIN user_role r ON r.tenant_id = u.tenant_id AND r.user_id = u.id "
        "WHERE u.tenant_id = $1 AND r.role_key = $2 AND u.status = 'active' ORDER BY u.id",
        ctx.tenant_id, role_key,
    )  # fmt: skip
    return [r[0] for r in found]


async def deliver(conn: Any, ctx: Context, user_ids: Sequence[UUID], notice: Notice) -> int:
    """Write one notification for each active person. Returns how many."""
    people = await conn.fetch("SELECT id, locale FROM app_user WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND status = 'active'", ctx.tenant_id, list(user_ids))
    for person in people:
        locale = person["locale"] if person["locale"] in notice.titles else ctx.tenant.locale
        await conn.execute(
            "INSERT INTO notification (tenant_id, id, user_id, created_at, title, body, entity_key, record_id, kind) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            ctx.tenant_id, new_id(ctx.now), person["id"], ctx.now, notice.titles.get(locale, ""), notice.bodies.get(locale, ""),
            notice.entity_key, notice.record_id, notice.kind,
        )  # fmt: skip
    return len(people)


async def unread_count(conn: Any, ctx: Context) -> int:
    if ctx.viewer is not None:  # notifications are nobody else's business
        return 0
    return await conn.fetchval(
        "SELECT count(*) FROM (SELECT 1 FROM notification WHERE tenant_id = $1 AND user_id = $2 AND read_at IS NULL LIMIT 100) n", ctx.tenant_id, ctx.user_id
    )


async def inbox(conn: Any, ctx: Context, *, limit: int = 50, before: UUID | None = None, unread: bool = False) -> list[Any]:
    """The person's notifications, newest first (ids are time-ordered)."""
    return await conn.fetch(
        "SELECT id, created_at, read_at, title, body, entity_key, record_id, kind FROM notification WHERE tenant_id = $1 AND user_id = $2 "
        "AND ($3::uuid IS NULL OR id < $3) AND (NOT $4 OR read_at IS NULL) ORDER BY id DESC LIMIT $5",
        ctx.tenant_id, ctx.user_id, before, unread, limit,
    )  # fmt: skip


async def mark_read(conn: Any, ctx: Context, ids: Sequence[UUID] | None = None) -> None:
    """Mark some (None: all) of the person's notifications as read."""
    await conn.execute(
        "UPDATE notification SET read_at = $3 WHERE tenant_id = $1 AND user_id = $2 AND read_at IS NULL AND ($4::uuid[] IS NULL OR id = ANY($4))",
        ctx.tenant_id, ctx.user_id, ctx.now, list(ids) if ids is not None else None,
    )  # fmt: skip
