"""Second factors of a tenant's people: six digits of an authenticator app (TOTP, RFC 6238), or one of ten recovery codes.

The app's secret is stored encrypted, recovery codes as hashes. Each code opens once: that of the app by remembering the half minute
it belongs to, in the statement that takes it; a recovery code by marking it used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import Conflict, FieldProblem, InvalidInput, NotFound
from saas.i18n import lazy
from saas.tenants.audit import record_audit
from saas.tenants.sealing import CannotUnseal, seal, unseal
from saas.tenants.totp import (
    Offer,
    digits_of,
    matching_step,
    new_offer,
    new_recovery_codes,
    open_offer,
    recovery_hash,
    same_offer_again,
)


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """How a person's second factor stands. `codes_left`: recovery codes not used yet."""

    since: datetime
    codes_left: int


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
    return new_offer(tenant_id, user_id, account=account, issuer=issuer)


def same_offer(tenant_id: UUID, user_id: UUID, sealed: str, *, account: str, issuer: str) -> Offer:
    """The offer of a form that came back. Errors: Conflict when it is over an hour old or not this person's."""
    return same_offer_again(sealed, tenant_id, user_id, account=account, issuer=issuer)


async def enable_second_factor(tenant_id: UUID, user_id: UUID, sealed: str, code: str) -> list[str]:
    """From now on signing in needs a code. Returns the recovery codes, which nobody can read again.

    Errors: InvalidInput (the code), Conflict (there is one already, or the offer is too old).
    """
    secret, _made_at = open_offer(sealed, tenant_id, user_id)
    step = matching_step(secret, digits_of(code))
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
    hashes = [recovery_hash(code, tenant_id, user_id) for code in codes]
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
    digits = digits_of(code)
    if digits:
        sealed = await conn.fetchval("SELECT secret FROM second_factor WHERE tenant_id = $1 AND user_id = $2", tenant_id, user_id)
        try:
            step = matching_step(unseal("second factor", sealed, tenant_id, user_id), digits) if sealed else None
        except CannotUnseal:  # another SAAS_SECRET_KEY: recovery codes still work, and an administrator can reset it
            step = None
        taken = step is not None and await conn.fetchval(
            "UPDATE second_factor SET last_step = $3 WHERE tenant_id = $1 AND user_id = $2 AND last_step < $3 RETURNING 1", tenant_id, user_id, step
        )
        return "app" if taken else None
    taken = await conn.fetchval(
        "UPDATE recovery_code SET used_at = now() WHERE tenant_id = $1 AND user_id = $2 AND code_hash = $3 AND used_at IS NULL RETURNING 1",
        tenant_id, user_id, recovery_hash(code, tenant_id, user_id),
    )
    return "recovery" if taken else None


# ---- recovery codes ------------------------------------------------------------------------------------------------------


async def _put_codes(conn: Any, tenant_id: UUID, user_id: UUID) -> list[str]:
    codes = new_recovery_codes()
    await conn.execute("DELETE FROM recovery_code WHERE tenant_id = $1 AND user_id = $2", tenant_id, user_id)
    await conn.executemany(
        "INSERT INTO recovery_code (tenant_id, user_id, code_hash) VALUES ($1, $2, $3)",
        [(tenant_id, user_id, recovery_hash(code, tenant_id, user_id)) for code in codes],
    )
    return codes
