"""Writing a message into the outbox, as part of the transaction that causes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.db import open_tenant
from saas.errors import Conflict
from saas.i18n import lazy
from saas.observe.seen import seen
from saas.runtime.outbox.messages import MAX_PAYLOAD_BYTES, outbox_kinds
from saas.runtime.said import written
from saas.tenants import new_id


async def put(
    where: Any, *, kind: str, key: str, payload: Mapping[str, Any], origin: Mapping[str, Any] | None = None, created_by: UUID | None = None, due_at: datetime | None = None
) -> UUID:
    """Put a message into the outbox; it leaves only if the caller's transaction commits. `where`: an Act, or the connection of the
    open tenant transaction.

    `key` names the effect within the tenant (such as "run 7f…, step 2"): a second message of the same key is not written, and the
    first one's id is returned. `origin` says for people what caused it: {"automation", "entity", "record", "run"}. `due_at` is real
    time, not the tenant's clock. Errors: Conflict for a payload of more than MAX_PAYLOAD_BYTES.
    """
    conn, ctx = getattr(where, "conn", where), getattr(where, "ctx", None)
    tenant_id = ctx.tenant_id if ctx is not None else open_tenant()
    if tenant_id is None:
        raise RuntimeError("a message is put into the outbox inside a tenant's transaction")
    outbox_kinds.get(kind)
    body = written(payload)
    if len(body.encode()) > MAX_PAYLOAD_BYTES:
        raise Conflict(lazy("This message is too long to be sent."))
    by = created_by or (ctx.user_id if ctx is not None else None)
    what = seen()
    found = await conn.fetchval(
        "INSERT INTO outbox (tenant_id, id, kind, key, payload, origin, due_at, created_by, request_id) VALUES ($1, $2, $3, $4, $5::jsonb, $6::jsonb, coalesce($7, now()), $8, $9) "
        "ON CONFLICT (tenant_id, key) DO NOTHING RETURNING id",
        tenant_id, new_id(), kind, key[:500], body, json.dumps(dict(origin or {}), default=str), due_at, by, (what.request_id or what.cause) if what is not None else "",
    )  # fmt: skip
    return found or await conn.fetchval("SELECT id FROM outbox WHERE tenant_id = $1 AND key = $2", tenant_id, key[:500])
