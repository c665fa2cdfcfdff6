"""Operators run the installation. Their tables are closed to the app role: everything here goes through the system role."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pyotp

from saas.db import system_transaction
from saas.errors import Conflict, NotAuthenticated, TooManyRequests
from saas.i18n import lazy
from saas.tenants.ids import new_id
from saas.tenants.passwords import check_strength, hash_password, verify_password
from saas.tenants.sessions import hash_token
from saas.tenants.users import clean_email

MAXIMUM_FAILURES, LOCK_MINUTES = 5, 15
LIFETIME = {"web": timedelta(hours=12), "api": timedelta(days=30)}


@dataclass(frozen=True, slots=True)
class OperatorInfo:
    """Who is signed in at the operator's console."""

    session_id: UUID
    kind: str
    csrf_secret: str
    expires_at: datetime
    id: UUID
    email: str
    name: str
    has_totp: bool


async def create_operator(email: str, password: str, *, name: str = "", replace: bool = False) -> UUID:
    """Add an operator; with `replace` an existing one gets the new password. Errors: InvalidInput, Conflict."""
    email = clean_email(email)
    check_strength(password, email=email)
    hashed = await hash_password(password)
    async with system_transaction("operator_console") as conn:
        if replace:
            operator_id = await conn.fetchval(
                "UPDATE operator_account SET password_hash = $2, failed_count = 0, locked_until = NULL WHERE email = $1 RETURNING id",
                email, hashed,
            )
            if operator_id is not None:
                return operator_id
        operator_id = new_id()
        try:
            await conn.execute(
                "INSERT INTO operator_account (id, email, name, password_hash) VALUES ($1, $2, $3, $4)",
                operator_id, email, name or email.split("@")[0], hashed,
            )
        except asyncpg.UniqueViolationError as error:
            raise Conflict(lazy("There is an operator with this e-mail address already")) from error
    return operator_id


async def operator_exists(email: str) -> bool:
    async with system_transaction("operator_console") as conn:
        return bool(await conn.fetchval("SELECT 1 FROM operator_account WHERE email = $1", email.strip().lower()))


async def authenticate_operator(email: str, password: str, *, totp: str = "", ip: str = "") -> UUID:
    """Return the operator's id. With TOTP set up, its code is needed too; a wrong one reads like a wrong password.

    Unknown addresses are counted by the audit log, as known ones by their account: both lock after five failures.
    Errors: NotAuthenticated, TooManyRequests(retry_after=seconds).
    """
    email = email.strip().lower()
    async with system_transaction("operator_console") as conn:
        account = await _count_attempt(conn, email)
    right = await verify_password(account["password_hash"] if account else "", password)
    if right and account["totp_secret"]:
        right = pyotp.TOTP(account["totp_secret"]).verify(totp.strip(), valid_window=1)
    async with system_transaction("operator_console") as conn:
        if account is None or not right:
            await record_operator_audit(conn, "sign_in.failed", ip=ip, data={"who": _fingerprint(email)})
        else:
            await conn.execute(
                "UPDATE operator_account SET failed_count = 0, locked_until = NULL, last_login_at = now() WHERE id = $1",
                account["id"],
            )
            await record_operator_audit(conn, "sign_in.succeeded", operator_id=account["id"], ip=ip)
    if account is None or not right:
        raise NotAuthenticated(lazy("The e-mail address, the password or the code is wrong"))
    return account["id"]


async def _count_attempt(conn: Any, email: str) -> Any:
    row = await conn.fetchrow(
        "SELECT id, locked_until > now() AS locked FROM operator_account WHERE email = $1 AND status = 'active' FOR UPDATE", email
    )
    if row is None:
        failures = await conn.fetchval(
            "SELECT count(*) FROM operator_audit WHERE at > now() - make_interval(mins => $2) "
            "AND kind = 'sign_in.failed' AND data ->> 'who' = $1",
            _fingerprint(email), LOCK_MINUTES,
        )
        if failures >= MAXIMUM_FAILURES:
            raise _too_many()
        return None
    if row["locked"]:
        raise _too_many()
    return await conn.fetchrow(
        "UPDATE operator_account SET failed_count = CASE WHEN locked_until IS NULL THEN failed_count + 1 ELSE 1 END, "
        "locked_until = CASE WHEN locked_until IS NULL AND failed_count + 1 >= $2 THEN now() + make_interval(mins => $3) END "
        "WHERE id = $1 RETURNING id, password_hash, totp_secret",
        row["id"], MAXIMUM_FAILURES, LOCK_MINUTES,
    )


# ---- sessions ----------------------------------------------------------------------------------------------------------------


async def open_operator_session(
    operator_id: UUID, kind: str = "web", ip: str = "", user_agent: str = ""
) -> tuple[str, str, datetime]:
    """Start a session; returns (token, csrf, expires_at)."""
    token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
    expires_at = datetime.now(UTC) + LIFETIME[kind]
    async with system_transaction("operator_console") as conn:
        await conn.execute(
            "INSERT INTO operator_session (id, token_hash, operator_id, kind, csrf_secret, expires_at, ip, user_agent) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            new_id(), hash_token(token), operator_id, kind, csrf, expires_at, ip[:64], user_agent[:300],
        )
    return token, csrf, expires_at


async def find_operator_session(token: str) -> OperatorInfo | None:
    async with system_transaction("operator_console") as conn:
        row = await conn.fetchrow(
            "SELECT s.id, s.kind, s.csrf_secret, s.expires_at, o.id AS operator_id, o.email, o.name, "
            "o.totp_secret IS NOT NULL AS has_totp FROM operator_session s JOIN operator_account o ON o.id = s.operator_id "
            "WHERE s.token_hash = $1 AND s.revoked_at IS NULL AND s.expires_at > now() AND o.status = 'active'",
            hash_token(token),
        )
    if row is None:
        return None
    return OperatorInfo(
        row["id"], row["kind"], row["csrf_secret"], row["expires_at"], row["operator_id"], row["email"], row["name"],
        row["has_totp"],
    )


async def close_operator_session(token: str) -> None:
    async with system_transaction("operator_console") as conn:
        await conn.execute("UPDATE operator_session SET revoked_at = now() WHERE token_hash = $1", hash_token(token))


# ---- second factor and log ------------------------------------------------------------------------------------------------------


def new_totp_secret(email: str) -> tuple[str, str]:
    """A fresh secret and the otpauth:// address an authenticator app reads. Stored only by `enable_totp`."""
    secret = pyotp.random_base32()
    return secret, pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="SaaS operator")


async def enable_totp(operator_id: UUID, secret: str, code: str) -> None:
    """Require the second factor from now on; `code` proves that the app has the secret."""
    if not pyotp.TOTP(secret).verify(code.strip(), valid_window=1):
        raise NotAuthenticated(lazy("The code is wrong"))
    async with system_transaction("operator_console") as conn:
        await conn.execute("UPDATE operator_account SET totp_secret = $2 WHERE id = $1", operator_id, secret)
        await record_operator_audit(conn, "totp.enabled", operator_id=operator_id)


async def record_operator_audit(
    conn: Any,
    kind: str,
    *,
    operator_id: UUID | None = None,
    tenant: str = "",
    ip: str = "",
    data: Mapping[str, Any] | None = None,
) -> None:
    """Append to the operators' own log. Acts on a tenant stand in that tenant's log as well."""
    await conn.execute(
        "INSERT INTO operator_audit (id, operator_id, kind, tenant_id_text, ip, data) VALUES ($1, $2, $3, $4, $5, $6::jsonb)",
        new_id(), operator_id, kind, tenant, ip[:64], json.dumps(data or {}, default=str),
    )


def _fingerprint(email: str) -> str:
    return hashlib.sha256(email.encode()).hexdigest()[:32]


def _too_many() -> TooManyRequests:
    return TooManyRequests(lazy("Too many failed attempts; try again in a few minutes"), retry_after=LOCK_MINUTES * 60)


async def note_sign_up(slug: str, ip: str = "") -> None:
    """A company has made its workspace by itself."""
    async with system_transaction("sign_up") as conn:
        await record_operator_audit(conn, "tenant.signed_up", tenant=slug, ip=ip)
