"""Sharing one record with a person, a department or a role: to read or to edit, for good or until a moment of the tenant's clock.

People who stand in a share by name with a part (“pre-sales”) are the record's team: the scope `participant` counts them. Who shares
needs the right to change the record by their own roles: what was shared with them is not theirs to share on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import BadRequest, FieldProblem, InvalidInput, NotFound, PermissionDenied
from saas.i18n import LOCALES, gettext, lazy, pick, use_locale
from saas.metadata.config import Entity
from saas.runtime import events, permissions
from saas.runtime.acts import Act
from saas.runtime.context import Context
from saas.runtime.notifications import Notice, deliver
from saas.runtime.records import entity_of, load
from saas.runtime.rows import Row
from saas.tenants import record_audit

LEVELS = ("read", "edit")
KINDS = ("user", "dept", "role")
MOST = 200  # of one record


@dataclass(frozen=True, slots=True)
class Share:
    """With whom (`subject` is user:<id>, dept:<id> or role:<key>; `name` what people call them), what they may, until when."""

    subject: str
    name: str
    level: str
    part: str
    until: datetime | None
    is_over: bool
    created_at: datetime
    by: str


def may_share(entity: Entity, row: Row, ctx: Context) -> bool:
    return entity.defn.sharing and (ctx.unrestricted or row.holds.get("own:update", False))


async def shares_of(ctx: Context, entity_key: str, record_id: UUID) -> list[Share]:
    """With whom a record is shared, for those who may read it. Errors: NotFound."""
    entity = entity_of(ctx, entity_key)
    async with tenant_transaction(ctx.tenant_id) as conn:
        await load(conn, ctx, entity, record_id)
        found = await conn.fetch(
            "SELECT s.subject, s.level, s.part, s.until, s.created_at, b.name AS by_name, u.name AS user_name, d.name AS dept_name FROM record_share s "
            "LEFT JOIN app_user b ON b.tenant_id = s.tenant_id AND b.id = s.created_by "
            "LEFT JOIN app_user u ON u.tenant_id = s.tenant_id AND u.id = s.user_id LEFT JOIN department d ON d.tenant_id = s.tenant_id AND d.id = s.department_id "
            "WHERE s.tenant_id = $1 AND s.entity_id = $2 AND s.record_id = $3 ORDER BY s.created_at, s.subject",
            ctx.tenant_id, entity.number, record_id,
        )  # fmt: skip
    return [
        Share(r["subject"], _name(ctx, r), r["level"], r["part"], r["until"], r["until"] is not None and r["until"] <= ctx.now, r["created_at"], r["by_name"] or "") for r in found
    ]


def _name(ctx: Context, row: Any) -> str:
    kind, _colon, key = row["subject"].partition(":")
    if kind == "role":
        role = ctx.config.roles.get(key)
        return pick(role.label, ctx.locale) if role else key
    if kind == "dept" and row["dept_name"]:
        label = row["dept_name"]
        return pick(json.loads(label) if isinstance(label, str) else label, ctx.locale)
    return row["user_name"] or key


async def share(ctx: Context, entity_key: str, record_id: UUID, subject: str, *, level: str = "read", until: datetime | None = None, part: str = "") -> None:
    """Open the record, or change how it is opened. Errors: NotFound, PermissionDenied, InvalidInput, BadRequest."""
    permissions.require_active(ctx)
    entity = entity_of(ctx, entity_key)
    async with tenant_transaction(ctx.tenant_id) as conn:
        await share_within(Act(conn, ctx.replace(fixed_now=ctx.now)), entity, record_id, subject, level=level, until=until, part=part)


async def share_within(act: Act, entity: Entity, record_id: UUID, subject: str, *, level: str = "read", until: datetime | None = None, part: str = "") -> None:
    """`share` inside an act that is under way."""
    ctx, conn = act.ctx, act.conn
    row = await _sharable(act, entity, record_id)
    if level not in LEVELS:
        raise InvalidInput([FieldProblem("level", "unknown_option", lazy("Choose whether they read or edit."), "/level")])
    if until is not None and until <= ctx.now:
        raise InvalidInput([FieldProblem("until", "past", lazy("Choose a day that is still to come."), "/until")])
    if len(part) > 60:
        raise InvalidInput([FieldProblem("part", "too_long", lazy("Use at most %(count)s characters", count=60), "/part")])
    people = await _meant(conn, ctx, subject)
    count = await conn.fetchval("SELECT count(*) FROM record_share WHERE tenant_id = $1 AND entity_id = $2 AND record_id = $3 AND subject <> $4", ctx.tenant_id, entity.number, record_id, subject)
    if count >= MOST:
        raise BadRequest(lazy("A record is shared with at most %(count)s people, departments and roles.", count=MOST), field="subject")
    await conn.execute(
        "INSERT INTO record_share (tenant_id, entity_id, record_id, user_id, department_id, role_key, level, part, until, created_at, created_by) "
        "VALUES ($1, $2, $3, CASE $4::text WHEN 'user' THEN $5::text::uuid END, CASE $4::text WHEN 'dept' THEN $5::text::uuid END, CASE $4::text WHEN 'role' THEN $5::text END, $6, $7, $8, $9, $10) "
        "ON CONFLICT (tenant_id, entity_id, record_id, subject) DO UPDATE SET level = EXCLUDED.level, part = EXCLUDED.part, until = EXCLUDED.until, "
        "created_at = EXCLUDED.created_at, created_by = EXCLUDED.created_by",
        ctx.tenant_id, entity.number, record_id, *subject.split(":", 1), level, part.strip(), until, ctx.now, ctx.user_id,
    )  # fmt: skip
    await _note(act, entity, row, "shared", subject, level=level, until=until.isoformat() if until else None)
    others = [p for p in people if p != ctx.user_id]
    if others:
        await deliver(conn, ctx, others, _notice(ctx, entity, row))
    act.effect("share", entity.key, record_id)


async def revoke(ctx: Context, entity_key: str, record_id: UUID, subject: str) -> None:
    """Close it again. Errors: NotFound, PermissionDenied."""
    permissions.require_active(ctx)
    entity = entity_of(ctx, entity_key)
    ctx = ctx.replace(fixed_now=ctx.now)
    async with tenant_transaction(ctx.tenant_id) as conn:
        act = Act(conn, ctx)
        row = await _sharable(act, entity, record_id)
        gone = await conn.fetchval(
            "DELETE FROM record_share WHERE tenant_id = $1 AND entity_id = $2 AND record_id = $3 AND subject = $4 RETURNING true", ctx.tenant_id, entity.number, record_id, subject
        )
        if not gone:
            raise NotFound(lazy("This record is not shared with them."))
        await _note(act, entity, row, "unshared", subject)


async def _sharable(act: Act, entity: Entity, record_id: UUID) -> Row:
    if not entity.defn.sharing:
        raise BadRequest(lazy("Records of this kind are not shared one by one."), field="entity")
    row = await load(act.conn, act.ctx, entity, record_id, lock=True)
    if not may_share(entity, row, act.ctx):
        raise PermissionDenied(lazy("Only who may change the record by their own role can share it."), right="share", entity=entity.key)
    return row


async def _meant(conn: Any, ctx: Context, subject: str) -> list[UUID]:
    """Checks whom a share names; people who are told by name. Errors: InvalidInput."""
    kind, _colon, key = subject.partition(":")
    try:
        if kind == "role" and key in ctx.config.roles and not ctx.config.roles[key].external:
            return []
        table = {"user": "app_user", "dept": "department"}[kind]
        active = " AND status = 'active'" if kind == "user" else ""
        if await conn.fetchval(f"SELECT true FROM {table} WHERE tenant_id = $1 AND id = $2{active}", ctx.tenant_id, UUID(key)):
            return [UUID(key)] if kind == "user" else []
    except (KeyError, ValueError):
        pass
    raise InvalidInput([FieldProblem("subject", "unknown", lazy("Choose a person, department or role."), "/subject")])


async def _note(act: Act, entity: Entity, row: Row, kind: str, subject: str, **data: Any) -> None:
    """History and audit log tell of it."""
    sql, args = events.appended(act.ctx, entity, row, kind, {})
    await act.conn.execute(sql, *args)
    await record_audit(
        act.conn, act.ctx.tenant_id, f"record.{kind}", actor_id=act.ctx.user_id, target=str(row.id), data={"entity": entity.key, "subject": subject, **{k: v for k, v in data.items() if v}}
    )


def _notice(ctx: Context, entity: Entity, row: Row) -> Notice:
    titles = {}
    for locale in LOCALES:
        with use_locale(locale):
            who = ctx.user.name if ctx.user else gettext("System")
            titles[locale] = gettext("%(who)s shared “%(name)s” with you", who=who, name=str(row.get(entity.defn.title) or pick(entity.defn.label, locale)))
    return Notice(titles, {}, entity.key, row.id, "share")
