"""Operators run the installation. Their tables are closed to the app role: everything here goes through the system role."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from saas.db import system_transaction
from saas.errors import (
    Conflict,
    FieldProblem,
    InvalidInput,
    NotAuthenticated,
    NotFound,
    PermissionDenied,
    SecondFactorNeeded,
    TooManyRequests,
    WrongCode,
)
from saas.i18n import lazy
from saas.observe.seen import somebody
from saas.tenants.auth import fingerprint
from saas.tenants.ids import new_id
from saas.tenants.operator_factor import take_operator_code
from saas.tenants.passwords import check_strength, hash_password, verify_password
from saas.tenants.sessions import hash_token
from saas.tenants.users import clean_email

MAXIMUM_FAILURES, LOCK_MINUTES = 5, 15
MAXIMUM_FAILURES_PER_ADDRESS = 50  # of one IP address, over all e-mail addresses
LIFETIME = {"web": timedelta(hours=12), "api": timedelta(days=30), "step": timedelta(minutes=10)}
ROLES = ("full", "read")


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
    role: str = "full"  # full read

    @property
    def may_change(self) -> bool:
        return self.role == "full"


async def create_operator(email: str, password: str, *, name: str = "", replace: bool = False, role: str = "full") -> UUID:
    """Add an operator; with `replace` an existing one gets the new password. They set up their second factor at the first sign-in.
    Errors: InvalidInput, Conflict."""
    email = clean_email(email)
    _check_role(role)
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
                "INSERT INTO operator_account (id, email, name, password_hash, role) VALUES ($1, $2, $3, $4, $5)",
                operator_id, email, name or email.split("@")[0], hashed, role,
            )
        except asyncpg.UniqueViolationError as error:
            raise Conflict(lazy("There is an operator with this e-mail address already")) from error
    return operator_id


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise InvalidInput([FieldProblem("role", "unknown", lazy("There is no such role."))])


async def list_operators() -> list[dict[str, Any]]:
    """All accounts, without anything secret."""
    async with system_transaction("operator_console") as conn:
        rows = await conn.fetch(
            "SELECT id, email, name, role, status, created_at, last_login_at, factor_since, "
            "(SELECT count(*) FROM operator_recovery_code c WHERE c.operator_id = o.id AND c.used_at IS NULL) AS codes_left "
            "FROM operator_account o ORDER BY status, email"
        )
    return [dict(row) for row in rows]


async def change_operator(operator_id: UUID, *, actor_id: UUID, role: str | None = None, active: bool | None = None, ip: str = "") -> None:
    """Another role, or whether they may sign in at all; their sessions end. Nobody changes themselves, so one full account is always left.
    Errors: PermissionDenied (the actor is no longer active and full), NotFound, Conflict, InvalidInput."""
    if operator_id == actor_id:
        raise Conflict(lazy("Nobody changes their own account here: ask another operator."))
    if role is not None:
        _check_role(role)
    status = None if active is None else "active" if active else "inactive"
    async with system_transaction("operator_console") as conn:
        # One after the other: two who take each other's account away at the same moment would leave none.
        await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('operators', 0))")
        if not await conn.fetchval("SELECT 1 FROM operator_account WHERE id = $1 AND status = 'active' AND role = 'full'", actor_id):
            raise PermissionDenied(lazy("Your operator's account may look at everything and change nothing."))
        before = await conn.fetchrow("SELECT email, role, status FROM operator_account WHERE id = $1 FOR UPDATE", operator_id)
        if before is None:
            raise NotFound()
        await conn.execute("UPDATE operator_account SET role = coalesce($2, role), status = coalesce($3, status) WHERE id = $1", operator_id, role, status)
        await conn.execute("UPDATE operator_session SET revoked_at = now() WHERE operator_id = $1 AND revoked_at IS NULL", operator_id)
        await record_operator_audit(
            conn, "operator.changed", operator_id=actor_id, ip=ip,
            data={"email": before["email"], "before": {"role": before["role"], "status": before["status"]}, "after": {"role": role or before["role"], "status": status or before["status"]}},
        )  # fmt: skip


async def change_operator_password(operator_id: UUID, password: str, *, email: str, keep: UUID, ip: str = "") -> None:
    """One's own, after `authenticate_operator`; sessions but `keep`, and tokens, end. Errors: InvalidInput."""
    check_strength(password, email=email)
    hashed = await hash_password(password)
    async with system_transaction("operator_console") as conn:
        await conn.execute("UPDATE operator_account SET password_hash = $2, failed_count = 0, locked_until = NULL WHERE id = $1", operator_id, hashed)
        await conn.execute("UPDATE operator_session SET revoked_at = now() WHERE operator_id = $1 AND id <> $2 AND revoked_at IS NULL", operator_id, keep)
        await record_operator_audit(conn, "password.changed", operator_id=operator_id, ip=ip)


async def operator_exists(email: str) -> bool:
    async with system_transaction("operator_console") as conn:
        return bool(await conn.fetchval("SELECT 1 FROM operator_account WHERE email = $1", email.strip().lower()))


async def authenticate_operator(email: str, password: str, *, totp: str = "", ip: str = "") -> UUID:
    """Return the operator's id. Who has a second factor needs `totp`, too: a code of the app, or a recovery code.

    Unknown addresses are counted by the audit log, as known ones by their account: both lock after five failures.
    Errors: NotAuthenticated (its kinds SecondFactorNeeded and WrongCode only after a right password), TooManyRequests(retry_after=seconds).
    """
    email = email.strip().lower()
    async with system_transaction("operator_console") as conn:
        await _refuse_flood(conn, ip)
        account = await _count_attempt(conn, email)
    right = await verify_password(account["password_hash"] if account else "", password)
    error: NotAuthenticated | None = None
    async with system_transaction("operator_console") as conn:
        if account is None or not right:
            await _failed(conn, email, ip)
            error = NotAuthenticated(lazy("The e-mail address or the password is wrong"))
        elif not account["has_factor"]:
            await _succeeded(conn, account["id"], ip)
        elif not totp:
            await _take_back_attempt(conn, account["id"])
            error = SecondFactorNeeded(user_id=account["id"])
        else:
            error = await _check_code(conn, account["id"], email, totp, ip)
    if error is not None:
        raise error
    assert account is not None
    return account["id"]


async def finish_operator_step(token: str, code: str, *, ip: str = "") -> UUID:
    """The code after the password: returns the operator's id and uses the step up. Errors: WrongCode, NotAuthenticated (begin again),
    TooManyRequests."""
    over = NotAuthenticated(lazy("That took too long. Please sign in again."))
    async with system_transaction("operator_console") as conn:
        step = await conn.fetchrow(f"{_STEP} WHERE {_IS_STEP}", hash_token(token))
        account = await _count_attempt(conn, step["email"]) if step else None
    if step is None or account is None:
        raise over
    async with system_transaction("operator_console") as conn:
        if await conn.fetchrow(f"{_STEP} WHERE {_IS_STEP} FOR UPDATE OF s", hash_token(token)) is None:  # used up meanwhile
            raise over
        error = await _check_code(conn, account["id"], step["email"], code, ip)
        if error is None:
            await conn.execute("UPDATE operator_session SET revoked_at = now() WHERE id = $1", step["id"])
    if error is not None:
        raise error
    return account["id"]


async def is_operator_step(token: str) -> bool:
    """Whether somebody may still enter their code with this token."""
    async with system_transaction("operator_console") as conn:
        return await conn.fetchrow(f"{_STEP} WHERE {_IS_STEP}", hash_token(token)) is not None


_STEP = "SELECT s.id, o.email FROM operator_session s JOIN operator_account o ON o.id = s.operator_id"
_IS_STEP = "s.token_hash = $1 AND s.kind = 'step' AND s.revoked_at IS NULL AND s.expires_at > now() AND o.status = 'active'"


async def _check_code(conn: Any, operator_id: UUID, email: str, code: str, ip: str) -> WrongCode | None:
    taken = await take_operator_code(conn, operator_id, code)
    if taken is None:
        await _failed(conn, email, ip)
        return WrongCode()
    await _succeeded(conn, operator_id, ip, second_factor=taken)
    return None


async def _failed(conn: Any, email: str, ip: str) -> None:
    await record_operator_audit(conn, "sign_in.failed", ip=ip, data={"who": fingerprint(email)})


async def _succeeded(conn: Any, operator_id: UUID, ip: str, **data: str) -> None:
    await conn.execute("UPDATE operator_account SET failed_count = 0, locked_until = NULL, last_login_at = now() WHERE id = $1", operator_id)
    await record_operator_audit(conn, "sign_in.succeeded", operator_id=operator_id, ip=ip, data=data)


async def _take_back_attempt(conn: Any, operator_id: UUID) -> None:
    """A right password alone is no failure, but sets no count back either: else each would allow four more guesses at the code."""
    await conn.execute(
        "UPDATE operator_account SET failed_count = greatest(failed_count - 1, 0), "
        "locked_until = CASE WHEN failed_count - 1 >= $2 THEN locked_until END WHERE id = $1",
        operator_id, MAXIMUM_FAILURES,
    )


async def _refuse_flood(conn: Any, ip: str) -> None:
    """Many addresses guessed from one place."""
    found = ip and await conn.fetchval(
        "SELECT count(*) FROM operator_audit WHERE kind = 'sign_in.failed' AND at > now() - make_interval(mins => $2) AND ip = $1", ip[:64], LOCK_MINUTES
    )
    if found and found >= MAXIMUM_FAILURES_PER_ADDRESS:
        raise _too_many()


async def _count_attempt(conn: Any, email: str) -> Any:
    row = await conn.fetchrow(
        "SELECT id, locked_until > now() AS locked FROM operator_account WHERE email = $1 AND status = 'active' FOR UPDATE", email
    )
    if row is None:
        failures = await conn.fetchval(
            "SELECT count(*) FROM operator_audit WHERE at > now() - make_interval(mins => $2) "
            "AND kind = 'sign_in.failed' AND data ->> 'who' = $1",
            fingerprint(email), LOCK_MINUTES,
        )
        if failures >= MAXIMUM_FAILURES:
            raise _too_many()
        return None
    if row["locked"]:
        raise _too_many()
    return await conn.fetchrow(
        "UPDATE operator_account SET failed_count = CASE WHEN locked_until IS NULL THEN failed_count + 1 ELSE 1 END, "
        "locked_until = CASE WHEN locked_until IS NULL AND failed_count + 1 >= $2 THEN now() + make_interval(mins => $3) END "
        "WHERE id = $1 RETURNING id, password_hash, factor_secret IS NOT NULL AS has_factor",
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
            "o.factor_secret IS NOT NULL AS has_totp, o.role FROM operator_session s JOIN operator_account o ON o.id = s.operator_id "
            "WHERE s.token_hash = $1 AND s.kind <> 'step' AND s.revoked_at IS NULL AND s.expires_at > now() AND o.status = 'active'",
            hash_token(token),
        )
    if row is None:
        return None
    somebody(row["operator_id"])
    return OperatorInfo(
        row["id"], row["kind"], row["csrf_secret"], row["expires_at"], row["operator_id"], row["email"], row["name"],
        row["has_totp"], row["role"],
    )


async def close_operator_session(token: str) -> None:
    async with system_transaction("operator_console") as conn:
        await conn.execute("UPDATE operator_session SET revoked_at = now() WHERE token_hash = $1", hash_token(token))


# ---- log ----------------------------------------------------------------------------------------------------------------------


async def note_act(operator: OperatorInfo, kind: str, *, tenant: str = "", ip: str = "", data: Mapping[str, Any] | None = None) -> None:
    """An operator's act, in a transaction of its own. `data`: with `before` and `after` where something changed."""
    async with system_transaction("operator_console") as conn:
        await record_operator_audit(conn, kind, operator_id=operator.id, tenant=tenant, ip=ip, data=data)


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


async def list_operator_audit(
    *, kind: str = "", tenant: str = "", email: str = "", since: datetime | None = None, until: datetime | None = None, before: UUID | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Newest first. `kind` and `tenant` match beginnings; `until` is a day, itself included; `before` the id of the last one seen."""
    async with system_transaction("operator_console", timeout_seconds=30) as conn:
        rows = await conn.fetch(
            "SELECT a.id, a.at, a.kind, a.tenant_id_text AS tenant, a.ip, a.data, o.email FROM operator_audit a LEFT JOIN operator_account o ON o.id = a.operator_id "
            "WHERE ($1 = '' OR starts_with(a.kind, $1)) AND ($2 = '' OR starts_with(a.tenant_id_text, $2)) AND ($3 = '' OR o.email = $3) AND ($4::timestamptz IS NULL OR a.at >= $4) "
            "AND ($5::timestamptz IS NULL OR a.at < $5 + interval '1 day') AND ($6::uuid IS NULL OR a.id < $6) ORDER BY a.id DESC LIMIT $7",
            kind, tenant, email, since, until, before, limit,
        )
    return [{**dict(row), "data": json.loads(row["data"])} for row in rows]


def _too_many() -> TooManyRequests:
    return TooManyRequests(lazy("Too many failed attempts; try again in a few minutes"), retry_after=LOCK_MINUTES * 60)


async def note_sign_up(slug: str, ip: str = "") -> None:
    """A company has made its workspace by itself."""
    async with system_transaction("sign_up") as conn:
        await record_operator_audit(conn, "tenant.signed_up", tenant=slug, ip=ip)
