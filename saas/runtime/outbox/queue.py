"""The outbox as the sender sees it: taking the next message, marking it.

Each tenant's oldest due messages stand for it, as many as it may still have on their way, so that senders that look at the same moment find
one each; and the tenant with the fewest messages on their way comes first, so a tenant with a hundred thousand of them keeps nobody else
waiting. Finding it costs a few steps in an index for each tenant that has any.
"""

from __future__ import annotations

import itertools
import json
from typing import Any
from uuid import UUID

from saas.db import cells, hold, system_transaction, tenant_transaction
from saas.errors import Unavailable
from saas.runtime.outbox.messages import BACK_OFF, LEASE_SECONDS, MAX_ATTEMPTS, MOST_WAIT_SECONDS, Sending

AT_ONCE = 4  # messages of one tenant on their way at the same time, over all workers

_WAITING = "status IN ('queued', 'sending')"
_CLAIM = f"""
WITH RECURSIVE tenants AS (
    (SELECT o.tenant_id FROM outbox o WHERE {_WAITING} ORDER BY o.tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT o.tenant_id FROM outbox o WHERE {_WAITING} AND o.tenant_id > w.tenant_id ORDER BY o.tenant_id LIMIT 1) FROM tenants w WHERE w.tenant_id IS NOT NULL
)
UPDATE outbox SET status = 'sending', attempts = attempts + 1, due_at = now() + interval '{LEASE_SECONDS} seconds'
WHERE (tenant_id, id) = (
    SELECT o.tenant_id, o.id FROM tenants w
    JOIN tenant t ON t.id = w.tenant_id AND t.cell = '' AND t.status <> 'suspended'
    CROSS JOIN LATERAL (SELECT count(*) AS busy FROM outbox b WHERE b.tenant_id = w.tenant_id AND b.status = 'sending' AND b.due_at > now()) now_sent
    CROSS JOIN LATERAL (
        SELECT f.id FROM outbox f WHERE f.tenant_id = w.tenant_id AND f.{_WAITING} AND f.due_at <= now() ORDER BY f.due_at LIMIT greatest(0, {AT_ONCE} - now_sent.busy)
    ) first
    JOIN outbox o ON o.tenant_id = w.tenant_id AND o.id = first.id
    WHERE o.{_WAITING} AND o.due_at <= now() AND now_sent.busy < {AT_ONCE}
    ORDER BY now_sent.busy, o.due_at LIMIT 1 FOR UPDATE OF o SKIP LOCKED
) RETURNING tenant_id, id, attempts"""
_turns = itertools.count()


class _Moving(Exception):
    """The message's tenant is being moved to another database: it is sent from there."""


async def claim_next() -> Sending | None:
    """Take the next due message of any tenant. A database that is away keeps nobody else's from being sent."""
    databases = cells()
    turn = next(_turns) % len(databases)
    for cell in databases[turn:] + databases[:turn]:
        try:
            async with system_transaction("send_outbox", cell=cell) as conn:
                row = await conn.fetchrow(_CLAIM)
                if row is not None and not await hold(conn, row["tenant_id"], cell):
                    raise _Moving
        except _Moving:
            continue
        except Unavailable:
            if len(databases) == 1:
                raise
            continue
        if row is not None:
            return await _read(row["tenant_id"], row["id"], row["attempts"])
    return None


async def _read(tenant_id: UUID, message_id: UUID, attempt: int) -> Sending:
    async with tenant_transaction(tenant_id) as conn:
        row = await conn.fetchrow("SELECT kind, key, payload, created_at FROM outbox WHERE tenant_id = $1 AND id = $2", tenant_id, message_id)
    return Sending(tenant_id, message_id, row["kind"], row["key"], json.loads(row["payload"]), attempt, row["created_at"])


async def mark_sent(message: Sending, reply: str) -> None:
    await _mark(message, "status = 'sent', sent_at = now(), error = '', reply = $4", reply)


async def mark_failed(message: Sending, error: str, reply: str, *, for_good: bool, seconds: float | None = None) -> bool:
    """Try again later, or not any more; True when it is over."""
    over = for_good or message.attempt >= MAX_ATTEMPTS
    if over:
        await _mark(message, "status = 'failed', reply = $4, error = $5", reply, error[:500])
    else:
        wait = max(BACK_OFF[message.attempt - 1], min(seconds or 0, MOST_WAIT_SECONDS))
        await _mark(message, "status = 'queued', reply = $4, error = $5, due_at = now() + make_interval(secs => $6)", reply, error[:500], float(wait))
    return over


async def _mark(message: Sending, change: str, reply: str, *more: Any) -> None:
    """Only while this attempt still holds the message: a slow sender undoes nothing of the next one's."""
    sql = f"UPDATE outbox SET {change} WHERE tenant_id = $1 AND id = $2 AND attempts = $3 AND status = 'sending'"
    async with tenant_transaction(message.tenant_id) as conn:
        await conn.execute(sql, message.tenant_id, message.id, message.attempt, reply[:500].replace("\x00", ""), *more)
