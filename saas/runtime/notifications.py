"""Notifications: written in the transaction that causes them, read by their person only. Whoever chose so is told of those still unread
some minutes later by e-mail or SMS as well (saas.runtime.messages.telling)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from saas.errors import PermissionDenied
from saas.runtime.context import Context
from saas.tenants import new_id, update_user

CHANNELS = ("email", "sms")  # besides the bell
WAIT = timedelta(minutes=5)  # real time: what comes within so long is told together, and what is read meanwhile not at all


@dataclass(frozen=True, slots=True)
class Notice:
    """Titles and bodies by locale, and the record it is about. `has_mail`: an e-mail of its own says the same."""

    titles: Mapping[str, str]
    bodies: Mapping[str, str]
    entity_key: str | None
    record_id: UUID | None
    kind: str
    has_mail: bool = False


async def people_with_role(conn: Any, ctx: Context, role_key: str) -> list[UUID]:
    found = await conn.fetch(
        "SELECT u.id FROM app_user u JOIN user_role r ON r.tenant_id = u.tenant_id AND r.user_id = u.id "
        "WHERE u.tenant_id = $1 AND r.role_key = $2 AND u.status = 'active' ORDER BY u.id",
        ctx.tenant_id, role_key,
    )  # fmt: skip
    return [r[0] for r in found]


async def deliver(conn: Any, ctx: Context, user_ids: Sequence[UUID], notice: Notice) -> int:
    """Write one notification for each active person. Returns how many."""
    people = await conn.fetch("SELECT id, locale, told_by FROM app_user WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND status = 'active'", ctx.tenant_id, list(user_ids))
    for person in people:
        locale = person["locale"] if person["locale"] in notice.titles else ctx.tenant.locale
        channels = [] if notice.has_mail else person["told_by"]
        await conn.execute(
            "INSERT INTO notification (tenant_id, id, user_id, created_at, title, body, entity_key, record_id, kind, due_by, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            ctx.tenant_id, new_id(ctx.now), person["id"], ctx.now, notice.titles.get(locale, ""), notice.bodies.get(locale, ""),
            notice.entity_key, notice.record_id, notice.kind, channels, ctx.real_now + WAIT if channels else None,
        )  # fmt: skip
    return len(people)


async def told_by(conn: Any, ctx: Context) -> tuple[list[str], bool]:
    """By which of CHANNELS the person who asks is told besides the bell, and whether their telephone number is known."""
    row = await conn.fetchrow("SELECT told_by, phone <> '' AS has_phone FROM app_user WHERE tenant_id = $1 AND id = $2", ctx.tenant_id, ctx.user_id)
    return (list(row["told_by"]), bool(row["has_phone"])) if row is not None else ([], False)


async def tell_by(ctx: Context, channels: Sequence[str]) -> list[str]:
    """The person's choice from now on. Returns it. Errors: PermissionDenied (nobody of the workspace)."""
    if ctx.user_id is None or ctx.viewer is not None:
        raise PermissionDenied()
    chosen = [channel for channel in CHANNELS if channel in channels]
    await update_user(ctx.tenant_id, ctx.user_id, {"told_by": chosen}, actor_id=ctx.user_id)
    return chosen


async def unread_count(conn: Any, ctx: Context) -> int:
    if ctx.viewer is not None:  # notifications are nobody else's business
        return 0
    return await conn.fetchval(
        "SELECT count(*) FROM (SELECT 1 FROM notification WHERE tenant_id = $1 AND user_id = $2 AND read_at IS NULL LIMIT 100) n", ctx.tenant_id, ctx.user_id
    )


async def waiting(conn: Any, ctx: Context) -> tuple[int, int]:
    """What every page shows: unread notifications, and decisions that wait for the person (or for somebody they stand in for); each at most 100."""
    if ctx.viewer is not None:
        return 0, 0
    row = await conn.fetchrow(
        "SELECT (SELECT count(*) FROM (SELECT 1 FROM notification WHERE tenant_id = $1 AND user_id = $2 AND read_at IS NULL LIMIT 100) n), "
        "(SELECT count(*) FROM (SELECT 1 FROM approval_person p WHERE p.tenant_id = $1 AND p.is_open AND (p.user_id = $2 OR p.user_id IN ("
        "SELECT d.user_id FROM approval_deputy d WHERE d.tenant_id = $1 AND d.deputy_id = $2 AND $3::date BETWEEN d.first_day AND d.last_day)) LIMIT 100) n)",
        ctx.tenant_id, ctx.user_id, ctx.today,
    )  # fmt: skip
    return row[0], row[1]


async def inbox(conn: Any, ctx: Context, *, limit: int = 50, before: UUID | None = None, unread: bool = False) -> list[Any]:
    """The person's notifications, newest first (ids are time-ordered)."""
    only = "AND read_at IS NULL " if unread else ""  # as the index of the unread ones says it
    return await conn.fetch(
        "SELECT id, created_at, read_at, title, body, entity_key, record_id, kind FROM notification WHERE tenant_id = $1 AND user_id = $2 "
        f"AND ($3::uuid IS NULL OR id < $3) {only}ORDER BY id DESC LIMIT $4",
        ctx.tenant_id, ctx.user_id, before, limit,
    )  # fmt: skip


async def mark_read(conn: Any, ctx: Context, ids: Sequence[UUID] | None = None) -> None:
    """Mark some (None: all) of the person's notifications as read."""
    await conn.execute(
        "UPDATE notification SET read_at = $3, due_by = '{}', due_at = NULL WHERE tenant_id = $1 AND user_id = $2 AND read_at IS NULL AND ($4::uuid[] IS NULL OR id = ANY($4))",
        ctx.tenant_id, ctx.user_id, ctx.now, list(ids) if ids is not None else None,
    )  # fmt: skip
