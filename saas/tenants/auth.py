"""Signing in with a password. Unknown addresses answer like wrong passwords: same words, same time, same lockout."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import (
    AccountClosed,
    FieldProblem,
    InvalidInput,
    NotAuthenticated,
    NotFound,
    SecondFactorNeeded,
    TooManyRequests,
    WrongCode,
)
from saas.i18n import lazy
from saas.tenants.audit import record_audit
from saas.tenants.ids import new_id
from saas.tenants.limits import require_seat
from saas.tenants.passwords import hash_password, needs_rehash, verify_password
from saas.tenants.rules import security_rules
from saas.tenants.sealing import derived
from saas.tenants.second_factor import has_second_factor, take_code
from saas.tenants.sessions import DEVICE, hash_token
from saas.tenants.sso.provider import SignInRefused
from saas.tenants.sso.store import password_opens

MAXIMUM_FAILURES = 5
MAXIMUM_FAILURES_PER_ADDRESS = 100  # of one IP address, over all e-mail addresses: slows guessing one password for many
LOCK_MINUTES = 15
SHORTEST_ITEM = 4  # characters of a verification item
SECOND_TAP_SECONDS = 10  # so long a device's former token still counts: the answer to the first tap may not have come
STEP_MINUTES = 10  # between the password and the code
_FAILED, _DONE, _REFUSED, _WRONG_ITEM = "sign_in.failed", "sign_in.succeeded", "sso.refused", "verification.failed"


async def authenticate(tenant_id: UUID, email: str, password: str, ip: str = "", *, code: str | None = None, signs_in: bool = True) -> UUID:
    """Return the user's id. `email` may be a login name, too. Who has a second factor needs `code`, too. `signs_in` false: only who is signed in confirms their password,
    which also counts where single sign-on is required.

    Errors: NotAuthenticated (its kinds AccountClosed, SecondFactorNeeded and WrongCode only after a right password); TooManyRequests(retry_after=seconds)
    after five failures, wrong codes among them.
    """
    email = email.strip().lower()
    async with tenant_transaction(tenant_id) as conn:
        user = await _count_attempt(conn, tenant_id, email)
        await _refuse_flood(conn, tenant_id, email, ip, known=user is not None)
    right = await verify_password(user["password_hash"] if user else "", password)
    error: NotAuthenticated | None = None
    async with tenant_transaction(tenant_id) as conn:
        if user is None or not right:
            await _failed(conn, tenant_id, email, ip)
            error = NotAuthenticated(lazy("The e-mail address or the password is wrong"))
        elif user["is_closed"]:  # told only to who knows the password
            await _take_back_attempt(conn, tenant_id, user["id"])
            error = AccountClosed(lazy("This account is closed"), user_id=user["id"])
        elif signs_in and not await password_opens(conn, tenant_id, user["id"]):
            await _take_back_attempt(conn, tenant_id, user["id"])
            error = SignInRefused(reason="required")
        elif not await has_second_factor(conn, tenant_id, user["id"]):
            await _succeeded(conn, tenant_id, user["id"], ip)
        elif code is None:
            await _take_back_attempt(conn, tenant_id, user["id"])
            error = SecondFactorNeeded(user_id=user["id"])
        else:
            error = await _check_code(conn, tenant_id, user["id"], email, code, ip)
    if user is not None and right and needs_rehash(user["password_hash"]):
        await _store_password(tenant_id, user["id"], password)
    if error is not None:
        raise error
    assert user is not None
    return user["id"]


async def sign_in_by_device(tenant_id: UUID, token: str, ip: str = "") -> tuple[UUID, str, int]:
    """(the user's id, the device's new token, days) for a device that its person let remember them; the old token is used up, but for a
    second tap within seconds, which gets the same new one.
    Errors: NotAuthenticated (SecondFactorNeeded among them, then the token stays), TooManyRequests."""
    await refuse_flood_of(tenant_id, ip)
    async with tenant_transaction(tenant_id) as conn:
        days = (await security_rules(conn, tenant_id)).remember_days
        new = derived("device", token)
        found = await conn.fetchrow(DEVICE + " FOR UPDATE OF s", tenant_id, hash_token(token)) if days is not None else None
        if found is None and days is not None:
            found = await conn.fetchrow(f"{DEVICE} AND s.last_seen_at > now() - interval '{SECOND_TAP_SECONDS} seconds' FOR UPDATE OF s", tenant_id, hash_token(new))
        if found is None or days is None or not await password_opens(conn, tenant_id, found["user_id"]):
            await _failed(conn, tenant_id, "device", ip)
            refused = True
        elif await has_second_factor(conn, tenant_id, found["user_id"]):
            raise SecondFactorNeeded(user_id=found["user_id"])
        else:
            refused = False
            await conn.execute(
                "UPDATE session SET token_hash = $3, last_seen_at = now(), ip = $4, expires_at = now() + make_interval(days => $5) WHERE tenant_id = $1 AND id = $2",
                tenant_id, found["id"], hash_token(new), ip[:64], days,
            )  # fmt: skip
            await conn.execute("UPDATE app_user SET last_login_at = now() WHERE tenant_id = $1 AND id = $2", tenant_id, found["user_id"])
            await record_audit(conn, tenant_id, _DONE, actor_id=found["user_id"], ip=ip, data={"by": "device"})
    if refused:
        raise NotAuthenticated(lazy("This device is not remembered any more. Please sign in with your password."))
    return found["user_id"], new, days


async def begin_second_step(tenant_id: UUID, user_id: UUID) -> str:
    """After a right password: a token that is good for entering the code within ten minutes, and for nothing else."""
    token = secrets.token_urlsafe(32)
    async with tenant_transaction(tenant_id) as conn:
        await conn.execute("DELETE FROM sign_in_step WHERE tenant_id = $1 AND user_id = $2 AND expires_at < now()", tenant_id, user_id)
        await conn.execute(
            "INSERT INTO sign_in_step (tenant_id, id, token_hash, user_id, expires_at) VALUES ($1, $2, $3, $4, now() + make_interval(mins => $5))",
            tenant_id, new_id(), hash_token(token), user_id, STEP_MINUTES,
        )
    return token


async def is_second_step(tenant_id: UUID, token: str) -> bool:
    """Whether somebody may still enter their code with this token."""
    async with tenant_transaction(tenant_id) as conn:
        return await _step(conn, tenant_id, token) is not None


async def finish_second_step(tenant_id: UUID, token: str, code: str, ip: str = "") -> UUID:
    """Return the user's id; the token is used up. Errors: WrongCode, NotAuthenticated (begin again), TooManyRequests."""
    async with tenant_transaction(tenant_id) as conn:
        step = await _step(conn, tenant_id, token)
        user = await _count_attempt(conn, tenant_id, step["email"]) if step else None
        if step is not None:
            await _refuse_flood(conn, tenant_id, step["email"], ip, known=True)
    if step is None or user is None:
        raise NotAuthenticated(lazy("That took too long. Please sign in again."))
    error: NotAuthenticated | None
    async with tenant_transaction(tenant_id) as conn:
        if await _step(conn, tenant_id, token, lock=True) is None:  # used up meanwhile
            error = NotAuthenticated(lazy("That took too long. Please sign in again."))
        else:
            error = await _check_code(conn, tenant_id, user["id"], step["email"], code, ip)
            if error is None:
                await conn.execute("DELETE FROM sign_in_step WHERE tenant_id = $1 AND id = $2", tenant_id, step["id"])
    if error is not None:
        raise error
    return user["id"]


async def confirm_person(tenant_id: UUID, user_id: UUID, password: str, code: str | None = None, ip: str = "") -> None:
    """Before something grave: the signed-in person's password, and the code of their second factor where they have one.
    Errors: InvalidInput (field password or code), TooManyRequests, NotFound."""
    async with tenant_transaction(tenant_id) as conn:
        email = await conn.fetchval("SELECT email FROM app_user WHERE tenant_id = $1 AND id = $2", tenant_id, user_id)
    if email is None:
        raise NotFound()
    try:
        await authenticate(tenant_id, email, password, ip, code=code, signs_in=False)
    except (SecondFactorNeeded, WrongCode) as error:
        raise InvalidInput([FieldProblem("code", "wrong", error.message)]) from error
    except NotAuthenticated as error:
        raise InvalidInput([FieldProblem("password", "wrong", lazy("The password is wrong"))]) from error


async def change_password(tenant_id: UUID, user_id: UUID, old: str, new: str, *, item: str = "", keep_session: UUID | None = None) -> None:
    """Change one's own password; every other session ends. `item`: the verification item of those who need one.
    Errors: InvalidInput, TooManyRequests."""
    async with tenant_transaction(tenant_id) as conn:
        email = await conn.fetchval("SELECT email FROM app_user WHERE tenant_id = $1 AND id = $2", tenant_id, user_id)
    if email is None:
        raise NotFound()
    try:
        await authenticate(tenant_id, email, old, signs_in=False)
    except SecondFactorNeeded:
        pass  # the password is right; who is signed in has given a code before
    except NotAuthenticated as error:
        raise InvalidInput([FieldProblem("old_password", "wrong", lazy("The present password is wrong"))]) from error
    if old == new:
        raise InvalidInput([FieldProblem("password", "unchanged", lazy("Choose another password than the present one"))])
    await check_new_password(tenant_id, user_id, new)
    await verify(tenant_id, user_id, item)
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
    """Set somebody's password, unlock them, and end their sessions but `keep_session`; links for a new
    password end with it, API keys stay. Errors: InvalidInput (the tenant's rules), NotFound, PlanLimitReached (a sample person, who took no
    seat until now)."""
    await check_new_password(tenant_id, user_id, password)
    async with tenant_transaction(tenant_id) as conn:
        person = await conn.fetchrow("SELECT name, email, ARRAY(SELECT r.role_key FROM user_role r WHERE r.tenant_id = app_user.tenant_id AND r.user_id = app_user.id) AS roles, sample_key IS NOT NULL AND password_hash = '' AND status = 'active' AS takes_seat FROM app_user WHERE tenant_id = $1 AND id = $2", tenant_id, user_id)
    if person is None:
        raise NotFound()
    hashed = await hash_password(password)
    async with tenant_transaction(tenant_id) as conn:
        if person["takes_seat"]:
            await require_seat(conn, tenant_id, person["roles"])
        found = await conn.fetchval(
            "UPDATE app_user SET password_hash = $3, failed_count = 0, locked_until = NULL, must_change_password = $4, password_changed_at = now() "
            "WHERE tenant_id = $1 AND id = $2 RETURNING id",
            tenant_id, user_id, hashed, must_change,
        )
        if found is None:
            raise NotFound()
        await conn.execute(
            "UPDATE session SET revoked_at = now() WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL AND kind <> 'key' "
            "AND id IS DISTINCT FROM $3",
            tenant_id, user_id, keep_session,
        )
        await conn.execute("UPDATE password_reset SET used_at = now() WHERE tenant_id = $1 AND user_id = $2 AND used_at IS NULL", tenant_id, user_id)
        await conn.execute("DELETE FROM sign_in_step WHERE tenant_id = $1 AND user_id = $2", tenant_id, user_id)
        await record_audit(conn, tenant_id, "password.changed", actor_id=actor_id, target=str(user_id))


async def check_new_password(tenant_id: UUID, user_id: UUID, password: str) -> None:
    """Errors: InvalidInput (the tenant's rules), NotFound."""
    async with tenant_transaction(tenant_id) as conn:
        person = await conn.fetchrow("SELECT name, email FROM app_user WHERE tenant_id = $1 AND id = $2", tenant_id, user_id)
        rules = await security_rules(conn, tenant_id)
    if person is None:
        raise NotFound()
    rules.check_password(password, name=person["name"], email=person["email"])


# ---- the verification item ------------------------------------------------------------------------------------------------------


async def verification_of(tenant_id: UUID, user_id: UUID) -> str:
    """Whether somebody shows an item before their password is changed: "" (no), "new" (they choose it with the next change), "set"."""
    async with tenant_transaction(tenant_id) as conn:
        needed, hashed = await _verification(conn, tenant_id, user_id)
    return "" if not needed else "set" if hashed else "new"


async def _verification(conn: Any, tenant_id: UUID, user_id: UUID) -> tuple[bool, str]:
    """Whether a role of theirs asks for it, as the live configuration has it; the hash of the item."""
    row = await conn.fetchrow(
        "SELECT u.verification_hash, EXISTS(SELECT 1 FROM tenant t JOIN config_revision c ON c.tenant_id = t.id AND c.number = t.config_revision "
        "JOIN user_role r ON r.tenant_id = t.id AND r.user_id = u.id WHERE t.id = u.tenant_id "
        "AND jsonb_path_query_array(c.bundle, '$.roles[*] ? (@.verification == true).key') ? r.role_key) AS needed FROM app_user u WHERE u.tenant_id = $1 AND u.id = $2",
        tenant_id, user_id,
    )  # fmt: skip
    if row is None:
        raise NotFound()
    return row["needed"], row["verification_hash"]


async def verify(tenant_id: UUID, user_id: UUID, item: str, ip: str = "") -> None:
    """Whoever needs a verification item shows it; who has none yet chooses it by this. Wrong ones count like wrong passwords.
    Errors: InvalidInput (item), TooManyRequests."""
    item, error = item.strip(), None
    async with tenant_transaction(tenant_id) as conn:
        needed, hashed = await _verification(conn, tenant_id, user_id)
        if not needed:
            return
        # One after the other, so that a hundred guesses at once are still five.
        await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('verification:' || $1::uuid::text, 0))", user_id)
        if not hashed:
            if len(item) < SHORTEST_ITEM:
                raise InvalidInput([FieldProblem("item", "too_short", lazy("Use at least %(count)s characters", count=SHORTEST_ITEM))])
            await _keep_item(conn, tenant_id, user_id, item, ip)
            return
        failed = await conn.fetchval(
            "SELECT count(*) FROM audit_event WHERE tenant_id = $1 AND kind = $2 AND target = $3 AND at > now() - make_interval(mins => $4)", tenant_id, _WRONG_ITEM, str(user_id), LOCK_MINUTES
        )
        if failed >= MAXIMUM_FAILURES:
            raise _too_many(LOCK_MINUTES * 60)
        if not await verify_password(hashed, item):
            await record_audit(conn, tenant_id, _WRONG_ITEM, actor_id=user_id, target=str(user_id), ip=ip)
            error = InvalidInput([FieldProblem("item", "wrong" if item else "required", lazy("The verification item is wrong") if item else lazy("This field is required."))])
    if error is not None:  # the attempt stays counted
        raise error


async def _keep_item(conn: Any, tenant_id: UUID, user_id: UUID, item: str, ip: str) -> None:
    await conn.execute("UPDATE app_user SET verification_hash = $3 WHERE tenant_id = $1 AND id = $2", tenant_id, user_id, await hash_password(item))
    await record_audit(conn, tenant_id, "verification.set", actor_id=user_id, target=str(user_id), ip=ip)


async def change_verification(tenant_id: UUID, user_id: UUID, password: str, old: str, new: str, ip: str = "") -> None:
    """Another item in place of the one somebody has. Errors: InvalidInput (password, item, new_item), TooManyRequests."""
    await confirm_password(tenant_id, user_id, password, ip)
    if len(new.strip()) < SHORTEST_ITEM:
        raise InvalidInput([FieldProblem("new_item", "too_short", lazy("Use at least %(count)s characters", count=SHORTEST_ITEM))])
    await verify(tenant_id, user_id, old, ip)
    async with tenant_transaction(tenant_id) as conn:
        await _keep_item(conn, tenant_id, user_id, new.strip(), ip)


async def remove_verification(tenant_id: UUID, user_id: UUID, *, actor_id: UUID | None) -> None:
    """For somebody who forgot theirs: they choose another one with their next password."""
    async with tenant_transaction(tenant_id) as conn:
        await conn.execute("UPDATE app_user SET verification_hash = '' WHERE tenant_id = $1 AND id = $2", tenant_id, user_id)
        await record_audit(conn, tenant_id, "verification.removed", actor_id=actor_id, target=str(user_id))


async def confirm_password(tenant_id: UUID, user_id: UUID, password: str, ip: str = "") -> None:
    """The signed-in person's password. Errors: InvalidInput (password), TooManyRequests."""
    try:
        await confirm_person(tenant_id, user_id, password, ip=ip)
    except InvalidInput as error:
        if error.problems[0].field != "code":  # the password is right; who is signed in has given a code before
            raise


async def _check_code(conn: Any, tenant_id: UUID, user_id: UUID, email: str, code: str, ip: str) -> WrongCode | None:
    """Use the code up and note what came of it; the attempt has been counted."""
    taken = await take_code(conn, tenant_id, user_id, code)
    if taken is None:
        await _failed(conn, tenant_id, email, ip)
        return WrongCode()
    await _succeeded(conn, tenant_id, user_id, ip, second_factor=taken)
    return None


async def _failed(conn: Any, tenant_id: UUID, email: str, ip: str) -> None:
    await record_audit(conn, tenant_id, _FAILED, actor_id=None, target=fingerprint(email), ip=ip)


async def _succeeded(conn: Any, tenant_id: UUID, user_id: UUID, ip: str, **data: str) -> None:
    await conn.execute(
        "UPDATE app_user SET failed_count = 0, locked_until = NULL, last_login_at = now() WHERE tenant_id = $1 AND id = $2", tenant_id, user_id
    )
    await record_audit(conn, tenant_id, _DONE, actor_id=user_id, ip=ip, data=data)


async def _take_back_attempt(conn: Any, tenant_id: UUID, user_id: UUID) -> None:
    """A right password alone is no failure, but sets no count back either: else each would allow four more guesses at the code."""
    await conn.execute(
        "UPDATE app_user SET failed_count = greatest(failed_count - 1, 0), "
        "locked_until = CASE WHEN failed_count - 1 >= $3 THEN locked_until END WHERE tenant_id = $1 AND id = $2",
        tenant_id, user_id, MAXIMUM_FAILURES,
    )


async def _step(conn: Any, tenant_id: UUID, token: str, *, lock: bool = False) -> Any:
    return await conn.fetchrow(
        "SELECT s.id, u.email FROM sign_in_step s JOIN app_user u ON u.tenant_id = s.tenant_id AND u.id = s.user_id "  # noqa: S608  one of two texts of our own
        f"WHERE s.tenant_id = $1 AND s.token_hash = $2 AND s.expires_at > now() AND u.status = 'active'{' FOR UPDATE OF s' if lock else ''}",
        tenant_id, hash_token(token),
    )


async def _count_attempt(conn: Any, tenant_id: UUID, email: str) -> Any:
    """Count before checking, so that a hundred guesses at once are still five. A right password sets it back."""
    row = await conn.fetchrow(
        "SELECT id, status = 'active' OR closed_at IS NOT NULL AS is_known, locked_until > now() AS locked, extract(epoch FROM locked_until - now())::int AS seconds "
        "FROM app_user WHERE tenant_id = $1 AND email = $2 FOR UPDATE",
        tenant_id, email,
    )
    if row is None or not row["is_known"]:
        return None
    if row["locked"]:
        raise _too_many(row["seconds"])
    return await conn.fetchrow(
        "UPDATE app_user SET "
        "failed_count = CASE WHEN locked_until IS NULL THEN failed_count + 1 ELSE 1 END, "  # an old lock has run out
        "locked_until = CASE WHEN locked_until IS NULL AND failed_count + 1 >= $3 "
        "THEN now() + make_interval(mins => $4) END "
        "WHERE tenant_id = $1 AND id = $2 RETURNING id, password_hash, status <> 'active' AS is_closed",
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


async def refuse_flood_of(tenant_id: UUID, ip: str) -> None:
    """For other ways in than a password: refused attempts of one network address, of all ways together. Errors: TooManyRequests."""
    if not ip:
        return
    async with tenant_transaction(tenant_id) as conn:
        count = await conn.fetchval(
            "SELECT count(*) FROM audit_event WHERE tenant_id = $1 AND at > now() - make_interval(mins => $4) AND kind = ANY($2::text[]) AND ip = $3",
            tenant_id, [_FAILED, _REFUSED], ip[:64], LOCK_MINUTES,
        )  # fmt: skip
    if count >= MAXIMUM_FAILURES_PER_ADDRESS:
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
