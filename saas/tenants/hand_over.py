"""From the apex host into a workspace: cookies are never shared between hosts, so whoever has just made a workspace takes a token along
that opens one session on that workspace's own host, once, within a minute or two."""

from __future__ import annotations

import secrets
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import NotFound
from saas.i18n import lazy
from saas.tenants.audit import record_audit
from saas.tenants.ids import new_id
from saas.tenants.sessions import hash_token

LIFE_SECONDS = 120


async def begin_hand_over(tenant_id: UUID, user_id: UUID) -> str:
    """A token that signs this person in once, on this tenant's host only. It is shown this once and stored as a hash."""
    token = secrets.token_urlsafe(32)
    async with tenant_transaction(tenant_id) as conn:
        await conn.execute(
            "INSERT INTO hand_over (tenant_id, id, token_hash, user_id, expires_at) VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))",
            tenant_id, new_id(), hash_token(token), user_id, float(LIFE_SECONDS),
        )  # fmt: skip
    return token


async def take_hand_over(tenant_id: UUID, token: str, ip: str = "") -> UUID:
    """Use it up; returns whose it is. Errors: NotFound (unknown, used, too late, or another tenant's)."""
    async with tenant_transaction(tenant_id) as conn:
        row = await conn.fetchrow("DELETE FROM hand_over WHERE tenant_id = $1 AND token_hash = $2 RETURNING user_id, expires_at > now() AS is_valid", tenant_id, hash_token(token))
        active = row is not None and row["is_valid"] and await conn.fetchval("SELECT status = 'active' FROM app_user WHERE tenant_id = $1 AND id = $2", tenant_id, row["user_id"])
        if active:
            await record_audit(conn, tenant_id, "sign_in.succeeded", actor_id=row["user_id"], target=str(row["user_id"]), ip=ip)
    if not active:
        raise NotFound(lazy("This link does not work any more."))
    return row["user_id"]
