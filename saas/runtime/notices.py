"""Texts that people confirm after signing in: records that their role names, until they have confirmed this very version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.metadata.models import NoticeDef
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.present import display_text, names_for
from saas.runtime.query import Query
from saas.runtime.rows import Projection

MOST = 10


@dataclass(frozen=True, slots=True)
class LoginNotice:
    entity: str
    record_id: UUID
    version: int
    title: str
    text: str


def has_any(ctx: Context) -> bool:
    """Whether a role of the person wants something confirmed at all. Costs nothing."""
    return any(role.notice is not None for role in permissions.roles(ctx))


async def waiting(ctx: Context) -> list[LoginNotice]:
    """Those not confirmed yet. The configuration shows them, so no right to read is asked."""
    found: list[LoginNotice] = []
    async with tenant_transaction(ctx.tenant_id) as conn:
        for notice in _wanted(ctx):
            entity, as_system = ctx.config.entity(notice.entity), ctx.replace(elevated=True)
            query = Query(as_system, entity)
            query.filter(notice.where, trusted=True)
            query.where.append(
                f"NOT EXISTS (SELECT 1 FROM notice_seen s WHERE s.tenant_id = {query.statement.param(ctx.tenant_id, 'uuid')} AND s.user_id = {query.statement.param(ctx.user_id, 'uuid')} "
                f"AND s.entity_id = {entity.number} AND s.record_id = t.id AND s.version >= t.version)"
            )
            projection = Projection(query.scope)
            for item in await conn.fetch(*query.statement.finish(f"SELECT {projection.sql} {query.sql} ORDER BY t.created_at, t.id LIMIT {MOST}")):
                row = projection.row(item)
                texts = [await _text(conn, as_system, entity, row, key) for key in (entity.defn.title, notice.text)]
                if texts[1]:
                    found.append(LoginNotice(entity.key, row.id, row.version, "" if texts[0] == texts[1] else texts[0], texts[1]))
    return found


def _wanted(ctx: Context) -> list[NoticeDef]:
    found: list[NoticeDef] = []
    for role in permissions.roles(ctx):
        if role.notice is not None and role.notice not in found:
            found.append(role.notice)
    return found


async def _text(conn: Any, ctx: Context, entity: Any, row: Any, key: str) -> str:
    field, value = entity.fields[key], row.get(key)
    return display_text(ctx, entity, field, value, await names_for(conn, ctx, [(field, value)])) if value not in (None, "") else ""


async def confirm(ctx: Context, seen: list[LoginNotice]) -> None:
    async with tenant_transaction(ctx.tenant_id) as conn:
        for notice in seen:
            await conn.execute(
                "INSERT INTO notice_seen (tenant_id, user_id, entity_id, record_id, version, at) VALUES ($1, $2, $3, $4, $5, now()) "
                "ON CONFLICT (tenant_id, user_id, entity_id, record_id) DO UPDATE SET version = excluded.version, at = excluded.at",
                ctx.tenant_id, ctx.user_id, ctx.config.entity(notice.entity).number, notice.record_id, notice.version,
            )  # fmt: skip
