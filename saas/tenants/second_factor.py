"""Second factors of a tenant's people: six digits of an authenticator app (TOTP, RFC 6238), or one of ten recovery codes.

The app's secret is stored encrypted, recovery codes as hashes. Each code opens once: that of the app by remembering the half minute
it belongs to, in the statement that takes it; a recovery code by marking it used.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import pyotp

from saas.db import tenant_transaction
from saas.errors import Conflict, FieldProblem, InvalidInput, NotFound
from saas.i18n import lazy
from saas.tenants.audit import record_audit
from saas.tenants.sealing import CannotUnseal, seal, unseal

RECOVERY_CODES = 10
_STEP_SECONDS, _DIGITS = 30, 6
_EARLY, _LATE = 1, 1  # half minutes a phone's clock may go wrong
_OFFER_SECONDS = 3600
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # nothing that is read as something else
_GROUPS, _GROUP = 4, 4  # 80 bits: a plain hash is enough


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """How a person's second factor stands. `codes_left`: recovery codes not used yet."""

    since: datetime
    codes_left: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A secret for an authenticator app, of which nothing is stored before a code proves that the app has it. `address` is what the
    QR code says; `sealed` goes through the page's form and back."""

    secret: str
    address: str
    sealed: str


async def get_second_factor(tenant_id: UUID, user_id: UUID) -> SecondFactor | None:
    async with tenant_transaction(tenant_id) as conn:
        row = await conn.fetchrow(
            "SELECT f.created_at, (SELECT count(*) FROM recovery_code c WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.used_at IS NULL) AS left "
            "FROM second_factor f WHERE f.tenant_id = $1 AND f.user_id = $2",
            tenant_id, user_id,
        )
    return SecondFactor(row["created_at"], row["left"]) if row else None


# ---- setting up ----------------------------------------------------------------------------------------------------------


def offer_second_factor(tenant_id: UUID, user_id: UUID, *, account: str, issuer: str) -> Offer:
    """`account` and `issuer` are what the app shows."""
    return _offer(tenant_id, user_id, pyotp.random_base32(), int(time.time()), account, issuer)


def same_offer(tenant_id: UUID, user_id: UUID, sealed: str, *, account: str, issuer: str) -> Offer:
    """The offer of a form that came back. Errors: Conflict when it is over an hour old or not this person's."""
    secret, made_at = _open_offer(tenant_id, user_id, sealed)
    return _offer(tenant_id, user_id, secret, made_at, account, issuer)


async def enable_second_factor(tenant_id: UUID, user_id: UUID, sealed: str, code: str) -> list[str]:
    """From now on signing in needs a code. Returns the recovery codes, which nobody can read again.

    Errors: InvalidInput (the code), Conflict (there is one already, or the offer is too old).
    """
    secret, _made_at = _open_offer(tenant_id, user_id, sealed)
    step = _matching_step(secret, _digits(code))
    if step is None:
        raise InvalidInput([FieldProblem("code", "wrong", lazy("The code is wrong. Use the newest one, and check that your device's clock is right"))])
    async with tenant_transaction(tenant_id) as conn:
        made = await conn.fetchval(
            "INSERT INTO second_factor (tenant_id, user_id, secret, last_step) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING 1",
            tenant_id, user_id, seal("second factor", secret, tenant_id, user_id), step,
        )
        if made is None:
            raise Conflict(lazy("You have a second factor already. Switch it off first."))
        codes = await _put_codes(conn, tenant_id, user_id)
        await record_audit(conn, tenant_id, "second_factor.enabled", actor_id=user_id, target=str(user_id))
    return codes


async def renew_recovery_codes(tenant_id: UUID, user_id: UUID) -> list[str]:
    """Ten new ones; the old ones open nothing any more. Ask for password and code before. Errors: NotFound without a second factor."""
    async with tenant_transaction(tenant_id) as conn:
        if not await conn.fetchval("SELECT 1 FROM second_factor WHERE tenant_id = $1 AND user_id = $2 FOR UPDATE", tenant_id, user_id):
            raise NotFound()
        codes = await _put_codes(conn, tenant_id, user_id)
        await record_audit(conn, tenant_id, "recovery_codes.renewed", actor_id=user_id, target=str(user_id))
    return codes


async def are_recovery_codes(tenant_id: UUID, user_id: UUID, codes: Iterable[str]) -> bool:
    """Whether all of them are the person's: what is offered as a file is theirs and nothing else."""
    hashes = [_hash(tenant_id, user_id, _clean(code)) for code in codes]
    async with tenant_transaction(tenant_id) as conn:
        found = await conn.fetchval(
            "SELECT count(*) FROM recovery_code WHERE tenant_id = $1 AND user_id = $2 AND code_hash = ANY($3::bytea[])", tenant_id, user_id, hashes
        )
    return bool(hashes) and found == len(hashes)


async def remove_second_factor(tenant_id: UUID, user_id: UUID, *, actor_id: UUID | None) -> None:
    """The person's own switching off (ask for password and code before), or an administrator's reset, which also signs them out
    everywhere. Errors: NotFound."""
    mine = actor_id == user_id
    async with tenant_transaction(tenant_id) as conn:
        if not await conn.fetchval("DELETE FROM second_factor WHERE tenant_id = $1 AND user_id = $2 RETURNING 1", tenant_id, user_id):
            raise NotFound()
        for table in ("recovery_code", "sign_in_step"):
            await conn.execute(f"DELETE FROM {table} WHERE tenant_id = $1 AND user_id = $2", tenant_id, user_id)  # noqa: S608  constants
        if not mine:
            await conn.execute(
                "UPDATE session SET revoked_at = now() WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL AND kind <> 'key'", tenant_id, user_id
            )
        await record_audit(conn, tenant_id, "second_factor.disabled" if mine else "second_factor.reset", actor_id=actor_id, target=str(user_id))


# ---- asking for it -------------------------------------------------------------------------------------------------------


async def has_second_factor(conn: Any, tenant_id: UUID, user_id: UUID) -> bool:
    return bool(await conn.fetchval("SELECT 1 FROM second_factor WHERE tenant_id = $1 AND user_id = $2", tenant_id, user_id))


async def take_code(conn: Any, tenant_id: UUID, user_id: UUID, code: str) -> str | None:
    """Use a code up: "app" or "recovery" for a right one, None for any other. Count the attempt before."""
    digits = _digits(code)
    if digits:
        sealed = await conn.fetchval("SELECT secret FROM second_factor WHERE tenant_id = $1 AND user_id = $2", tenant_id, user_id)
        try:
            step = _matching_step(unseal("second factor", sealed, tenant_id, user_id), digits) if sealed else None
        except CannotUnseal:  # another SAAS_SECRET_KEY: recovery codes still work, and an administrator can reset it
            step = None
        taken = step is not None and await conn.fetchval(
            "UPDATE second_factor SET last_step = $3 WHERE tenant_id = $1 AND user_id = $2 AND last_step < $3 RETURNING 1", tenant_id, user_id, step
        )
        return "app" if taken else None
    taken = await conn.fetchval(
        "UPDATE recovery_code SET used_at = now() WHERE tenant_id = $1 AND user_id = $2 AND code_hash = $3 AND used_at IS NULL RETURNING 1",
        tenant_id, user_id, _hash(tenant_id, user_id, _clean(code)),
    )
    return "recovery" if taken else None


def _matching_step(secret: str, digits: str) -> int | None:
    """The half minute this code belongs to; all are compared, in the same time."""
    now, totp, found = int(time.time()) // _STEP_SECONDS, pyotp.TOTP(secret), None
    for step in range(now - _LATE, now + _EARLY + 1):
        if hmac.compare_digest(totp.generate_otp(step), digits):
            found = step
    return found


def _digits(code: str) -> str:
    text = "".join(code.split())
    return text if len(text) == _DIGITS and text.isascii() and text.isdigit() else ""


# ---- recovery codes, offers ----------------------------------------------------------------------------------------------


async def _put_codes(conn: Any, tenant_id: UUID, user_id: UUID) -> list[str]:
    codes = ["-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS)) for _ in range(RECOVERY_CODES)]
    await conn.execute("DELETE FROM recovery_code WHERE tenant_id = $1 AND user_id = $2", tenant_id, user_id)
    await conn.executemany(
        "INSERT INTO recovery_code (tenant_id, user_id, code_hash) VALUES ($1, $2, $3)",
        [(tenant_id, user_id, _hash(tenant_id, user_id, _clean(code))) for code in codes],
    )
    return codes


def _clean(code: str) -> str:
    """As people type it: small letters, spaces, without hyphens."""
    return "".join(c for c in code.upper() if c in _ALPHABET)[:64]


def _hash(tenant_id: UUID, user_id: UUID, code: str) -> bytes:
    return hashlib.sha256(tenant_id.bytes + user_id.bytes + code.encode()).digest()


def _offer(tenant_id: UUID, user_id: UUID, secret: str, made_at: int, account: str, issuer: str) -> Offer:
    sealed = base64.urlsafe_b64encode(seal("second factor offer", f"{made_at} {secret}", tenant_id, user_id)).decode()
    return Offer(secret, pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=issuer), sealed)


def _open_offer(tenant_id: UUID, user_id: UUID, sealed: str) -> tuple[str, int]:
    try:
        made_at, secret = unseal("second factor offer", base64.urlsafe_b64decode(sealed.encode()), tenant_id, user_id).split(" ")
    except ValueError as error:  # CannotUnseal is one, too
        raise Conflict(lazy("This page is out of date. Please begin again.")) from error
    if int(made_at) < time.time() - _OFFER_SECONDS:
        raise Conflict(lazy("This page is out of date. Please begin again."))
    return secret, int(made_at)
