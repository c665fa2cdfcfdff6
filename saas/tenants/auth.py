"""Signing in with a password. Unknown addresses answer like wrong passwords: same words, same time, same lockout."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import FieldProblem, InvalidInput, NotAuthenticated, NotFound, TooManyRequests
from saas.i18n import lazy
from saas.tenants.audit import record_audit
from saas.tenants.passwords import check_strength, hash_password, needs_rehash, verify_password

MAXIMUM_FAILURES = 5
MAXIMUM_FAILURES_PER_ADDRESS = 100  # of one IP address, over all e-mail addresses: slows guessing one password for many
LOCK_MINUTES = 15
_FAILED, _DONE = "sign_in.failed", "sign_in.succeeded"


async def authenticate(tenant_id: UUID, email: str, password: str, ip: str = "") -> UUID:
    """Return the user's id. Errors: NotAuthenticated; TooManyRequests(retry_after=seconds) after five failures."""
    email = email.strip().lower()
    async with tenant_transaction(tenant_id) as conn:
        user = await _count_attempt(conn, tenant_id, email)
        await _refuse_flood(conn, tenant_id, email, ip, known=user is not None)
    right = await verify_password(user["password_hash"] if user else "", password)
    async with tenant_transaction(tenant_id) as conn:
        if user is None or not right:
            await record_audit(conn, tenant_id, _FAILED, actor_id=None, target=fingerprint(email), ip=ip)
        else:
            await conn.execute(
                "UPDATE app_user SET failed_count = 0, locked_until = NULL, last_login_at = now() "
                "WHERE tenant_id = $1 AND id = $2",
                tenant_id, user["id"],
            )
            await record_audit(conn, tenant_id, _DONE, actor_id=user["id"], ip=ip)
    if user is None or not right:
        raise NotAuthenticated(lazy("The e-mail address or the password is wrong"))
    if needs_rehash(user["password_hash"]):
        await _store_password(tenant_id, user["id"], password)
    return user["id"]


async def change_password(tenant_id: UUID, user_id: UUID, old: str, new: str, *, keep_session: UUID | None = None) -> None:
    """Change one's own password; every other session ends. Errors: InvalidInput, TooManyRequests."""
    async with tenant_transaction(tenant_id) as conn:
        email = await conn.fetchval("SELECT email FROM app_user WHERE tenant_id = $1 AND id = $2", tenant_id, user_id)
    if email is None:
        raise NotFound()
    try:
        await authenticate(tenant_id, email, old)
    except NotAuthenticated as error:
        raise InvalidInput([FieldProblem("old_password", "wrong", lazy("The present password is wrong"))]) from error
    await set_password(tenant_id, user_id, new, keep_session=keep_session, actor_id=user_id)


async def set_password(
    tenant_id: UUID,
    user_id: UUID,
    password: str,
    *,
    must_change: bool = False,
    keep_session: UUID | None = None,
    actor_id: UUID | None = None,
) -> None:
    """Set somebody's password, unlock them, and end their sessions but `keep_session`; links for a new password end with it."""
    check_strength(password)
    hashed = await hash_password(password)
    async with tenant_transaction(tenant_id) as conn:
        found = await conn.fetchval(
            "UPDATE app_user SET password_hash = $3, failed_count = 0, locked_until = NULL, must_change_password = $4 "
            "WHERE tenant_id = $1 AND id = $2 RETURNING id",
            tenant_id, user_id, hashed, must_change,
        )
        if found is None:
            raise NotFound()
        await conn.execute(
            "UPDATE session SET revoked_at = now() WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL "
            "AND id IS DISTINCT FROM $3",
            tenant_id, user_id, keep_session,
        )
        await conn.execute("UPDATE password_reset SET used_at = now() WHERE tenant_id = $1 AND user_id = $2 AND used_at IS NULL", tenant_id, user_id)
        await record_audit(conn, tenant_id, "password.changed", actor_id=actor_id, target=str(user_id))


async def _count_attempt(conn: Any, tenant_id: UUID, email: str) -> Any:
    """Count before checking, so that a hundred guesses at once are still five. A right password sets it back."""
    row = await conn.fetchrow(
        "SELECT id, status, locked_until > now() AS locked, extract(epoch FROM locked_until - now())::int AS seconds "
        "FROM app_user WHERE tenant_id = $1 AND email = $2 FOR UPDATE",
        tenant_id, email,
    )
    if row is None or row["status"] != "active":
        return None
    if row["locked"]:
        raise _too_many(row["seconds"])
    return await conn.fetchrow(
        "UPDATE app_user SET "
        "failed_count = CASE WHEN locked_until IS NULL THEN failed_count + 1 ELSE 1 END, "  # an old lock has run out
        "locked_until = CASE WHEN locked_until IS NULL AND failed_count + 1 >= $3 "
        "THEN now() + make_interval(mins => $4) END "
        "WHERE tenant_id = $1 AND id = $2 RETURNING id, password_hash",
        tenant_id, row["id"], MAXIMUM_FAILURES, LOCK_MINUTES,
    )


async def _refuse_flood(conn: Any, tenant_id: UUID, email: str, ip: str, *, known: bool) -> None:
    row = await conn.fetchrow(
        "SELECT count(*) FILTER (WHERE target = $3) AS here, count(*) FILTER (WHERE ip = $4 AND ip <> '') AS there "
        "FROM audit_event WHERE tenant_id = $1 AND at > now() - make_interval(mins => $5) AND kind = $2",
        tenant_id, _FAILED, fingerprint(email), ip[:64], LOCK_MINUTES,
    )
    if (not known and row["here"] >= MAXIMUM_FAILURES) or row["there"] >= MAXIMUM_FAILURES_PER_ADDRESS:
        raise _too_many(LOCK_MINUTES * 60)


async def _store_password(tenant_id: UUID, user_id: UUID, password: str) -> None:
    hashed = await hash_password(password)
    async with tenant_transaction(tenant_id) as conn:
        await conn.execute(
            "UPDATE app_user SET password_hash = $3 WHERE tenant_id = $1 AND id = $2", tenant_id, user_id, hashed
        )


def fingerprint(email: str) -> str:
    """The log needs to tell addresses apart, not to know them: a failed one may be a password typed into the wrong box."""
    return hashlib.sha256(email.encode()).hexdigest()[:32]


def _too_many(seconds: int) -> TooManyRequests:
    return TooManyRequests(lazy("Too many failed attempts; try again in a few minutes"), retry_after=max(1, seconds))
