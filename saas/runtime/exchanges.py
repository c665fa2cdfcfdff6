"""The log of what was said with other programs: written for each message, whatever became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.i18n import lazy
from saas.runtime.notifications import Notice, deliver, people_with_role
from saas.runtime.words import clean
from saas.tenants import new_id, record_audit
from saas.tenants.integrations import Integration

KEPT_CHARACTERS = 10_000
PATIENCE = timedelta(days=3)  # of failing without a single success; then it is switched off


@dataclass(frozen=True, slots=True)
class Exchange:
    id: UUID
    at: datetime
    direction: str
    event: str
    entity_id: int | None
    record_id: UUID | None
    key: str | None
    status: str
    attempts: int
    request: str
    answer: str
    http_status: int | None
    error: str
    finished_at: datetime | None


_SHOWN = "id, at, direction, event, entity_id, record_id, key, status, attempts, request, answer, http_status, error, finished_at"


async def list_exchanges(conn: Any, tenant_id: UUID, integration_id: UUID, *, limit: int = 60) -> list[Exchange]:
    """Newest first."""
    sql = f"SELECT {_SHOWN} FROM exchange WHERE tenant_id = $1 AND integration_id = $2 ORDER BY at DESC, id DESC LIMIT $3"
    return [Exchange(**dict(row)) for row in await conn.fetch(sql, tenant_id, integration_id, limit)]


async def note(
    conn: Any, tenant_id: UUID, integration_id: UUID, *, direction: str, event: str, status: str, key: str | None = None, request: str = "", answer: str = "", http_status: int | None = None,
    error: str = "", entity_id: int | None = None, record_id: UUID | None = None, attempt: int = 1,
) -> None:  # fmt: skip
    """Write down an exchange, or another attempt at the one of this key."""
    await conn.execute(
        "INSERT INTO exchange (tenant_id, id, integration_id, at, direction, event, entity_id, record_id, key, status, attempts, request, answer, http_status, error, finished_at) "
        "VALUES ($1, $2, $3, now(), $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, CASE WHEN $9 <> 'queued' THEN now() END) "
        "ON CONFLICT (tenant_id, integration_id, key) DO UPDATE SET status = excluded.status, attempts = excluded.attempts, answer = excluded.answer, "
        "http_status = excluded.http_status, error = excluded.error, finished_at = excluded.finished_at",
        tenant_id, new_id(), integration_id, direction, event[:100], entity_id, record_id, key, status, attempt, _kept(request), _kept(answer), http_status, error[:500],
    )  # fmt: skip


def _kept(text: str) -> str:
    return clean(text[:KEPT_CHARACTERS])


async def succeeded(conn: Any, tenant_id: UUID, integration: Integration) -> None:
    if integration.failing_since is not None:
        await conn.execute("UPDATE integration SET failing_since = NULL WHERE tenant_id = $1 AND id = $2", tenant_id, integration.id)


async def failed(tenant_id: UUID, integration: Integration) -> bool:
    """Whether it was switched off: it has failed for so long that nobody can be there any more. Its administrators are told."""
    async with tenant_transaction(tenant_id) as conn:
        stopped = await conn.fetchval(
            "UPDATE integration SET failing_since = coalesce(failing_since, now()), active = coalesce(failing_since, now()) > now() - $3::interval, "
            "stopped_at = CASE WHEN coalesce(failing_since, now()) <= now() - $3::interval THEN now() END WHERE tenant_id = $1 AND id = $2 AND active RETURNING NOT active",
            tenant_id, integration.id, PATIENCE,
        )  # fmt: skip
        if stopped:
            await record_audit(conn, tenant_id, "integration.stopped", target=f"{integration.kind}:{integration.name}")
    if stopped:
        await _tell(tenant_id, integration)
    return bool(stopped)


async def _tell(tenant_id: UUID, integration: Integration) -> None:
    from saas.runtime.contexts import system_context  # contexts read the configuration, which knows the actions that write here

    ctx = await system_context(tenant_id)
    titles = {"en": f"{integration.name}: switched off", "zh_CN": f"{integration.name}：已关闭"}
    bodies = {"en": "It has failed for three days. See Settings, Connections.", "zh_CN": "已连续失败三天。请查看“设置 → 连接”。"}
    async with tenant_transaction(tenant_id) as conn:
        people = [p for role in ctx.config.roles.values() if role.admin for p in await people_with_role(conn, ctx, role.key)]
        await deliver(conn, ctx, people, Notice(titles, bodies, None, None, "connection"))


UNSET = lazy("No address is set for it: Settings, Connections.")
