"""API keys: named sessions for programs, limited to scopes and entities. Shown once, stored as hashes; never more than their person."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import FieldProblem, InvalidInput, NotFound
from saas.i18n import lazy
from saas.tenants.audit import record_audit
from saas.tenants.ids import new_id
from saas.tenants.sessions import hash_token

SCOPES = ("read", "write", "config")
LONGEST_DAYS = 731
MOST_KEYS = 50  # of one person
_MARK = "saas_"


async def create_api_key(
    tenant_id: UUID,
    user_id: UUID,
    name: str,
    scopes: Collection[str],
    expires_at: datetime,
    *,
    entities: Collection[str] | None = None,
    actor_id: UUID | None = None,
) -> tuple[UUID, str]:
    """Returns (id, key); the key is shown this once. `write` comes with `read`; `entities` None: all.

    Errors: InvalidInput (name, scopes, entities, expires_at), NotFound (no such active person).
    """
    name, chosen = name.strip(), [s for s in SCOPES if s in scopes or (s == "read" and "write" in scopes)]
    now = datetime.now(UTC)
    problems = []
    if not name or len(name) > 100:
        problems.append(FieldProblem("name", "required", lazy("Please give a name of at most 100 characters.")))
    if not chosen or set(scopes) - set(SCOPES):
        problems.append(FieldProblem("scopes", "required", lazy("Choose what the key may do.")))
    if entities is not None and not entities:
        problems.append(FieldProblem("entities", "required", lazy("Choose at least one kind of records, or all.")))
    if not now < expires_at <= now + timedelta(days=LONGEST_DAYS):
        problems.append(FieldProblem("expires_at", "out_of_range", lazy("The key must end within two years, and not before tomorrow.")))
    if problems:
        raise InvalidInput(problems)
    prefix = f"{_MARK}{secrets.token_hex(4)}"
    token, key_id = f"{prefix}_{secrets.token_urlsafe(32)}", new_id()
    async with tenant_transaction(tenant_id) as conn:
        person = await conn.fetchval("SELECT 1 FROM app_user WHERE tenant_id = $1 AND id = $2 AND status = 'active' FOR UPDATE", tenant_id, user_id)
        if person is None:
            raise NotFound()
        there = await conn.fetchval(
            "SELECT count(*) FROM session WHERE tenant_id = $1 AND user_id = $2 AND kind = 'key' AND revoked_at IS NULL AND expires_at > now()", tenant_id, user_id
        )
        if there >= MOST_KEYS:
            raise InvalidInput([FieldProblem("name", "too_many", lazy("There are %(count)s keys already. Revoke one first.", count=there))])
        await conn.execute(
            "INSERT INTO session (tenant_id, id, token_hash, user_id, kind, csrf_secret, expires_at, name, prefix, scopes, entities, last_seen_at) "
            "VALUES ($1, $2, $3, $4, 'key', $5, $6, $7, $8, $9, $10, now() - interval '1 day')",  # seen before it was made: never used
            tenant_id, key_id, hash_token(token), user_id, secrets.token_urlsafe(24), expires_at, name, prefix, chosen,
            None if entities is None else sorted(entities),
        )
        data = {"name": name, "prefix": prefix, "scopes": chosen, "entities": None if entities is None else sorted(entities)}
        await record_audit(conn, tenant_id, "api_key.created", actor_id=actor_id or user_id, target=str(user_id), data=data)
    return key_id, token


async def list_api_keys(tenant_id: UUID, user_id: UUID | None = None) -> list[dict[str, Any]]:
    """Keys of one person or of everybody, also those over (they stay for a month): newest first. `used_at` None: never."""
    async with tenant_transaction(tenant_id) as conn:
        rows = await conn.fetch(
            "SELECT s.id, s.user_id, u.name AS user_name, s.name, s.prefix, s.scopes, s.entities, s.created_at, s.expires_at, s.revoked_at, "
            "CASE WHEN s.last_seen_at >= s.created_at THEN s.last_seen_at END AS used_at, "
            "s.revoked_at IS NULL AND s.expires_at > now() AND u.status = 'active' AS works "
            "FROM session s JOIN app_user u ON u.tenant_id = s.tenant_id AND u.id = s.user_id "
            "WHERE s.tenant_id = $1 AND s.kind = 'key' AND ($2::uuid IS NULL OR s.user_id = $2) ORDER BY s.created_at DESC, s.id DESC",
            tenant_id, user_id,
        )
    return [dict(row) for row in rows]


async def revoke_api_key(tenant_id: UUID, key_id: UUID, *, user_id: UUID | None = None, actor_id: UUID | None = None) -> None:
    """From the next request on it opens nothing. With `user_id` only that person's. Errors: NotFound."""
    async with tenant_transaction(tenant_id) as conn:
        row = await conn.fetchrow(
            "UPDATE session SET revoked_at = coalesce(revoked_at, now()) WHERE tenant_id = $1 AND id = $2 AND kind = 'key' "
            "AND ($3::uuid IS NULL OR user_id = $3) RETURNING user_id, name, prefix",
            tenant_id, key_id, user_id,
        )
        if row is None:
            raise NotFound()
        await record_audit(conn, tenant_id, "api_key.revoked", actor_id=actor_id, target=str(row["user_id"]), data={"name": row["name"], "prefix": row["prefix"]})
