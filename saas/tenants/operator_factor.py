"""The second factor of operators: like that of tenants' people (saas.tenants.totp), in the operators' own tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from saas.db import system_transaction
from saas.errors import Conflict, FieldProblem, InvalidInput, NotFound
from saas.i18n import lazy
from saas.tenants.sealing import CannotUnseal, seal, unseal
from saas.tenants.totp import digits_of, matching_step, new_recovery_codes, open_offer, recovery_hash

_PURPOSE = "operator second factor"


async def enable_operator_factor(operator_id: UUID, sealed: str, code: str, *, keep: UUID | None = None) -> list[str]:
    """From now on signing in needs a code; every session and token got without one ends, but the one that asks (`keep`). Returns the recovery
    codes, which nobody can read again.
    Errors: InvalidInput (the code), Conflict (there is one already, or the offer is too old)."""
    secret, _made_at = open_offer(sealed, operator_id)
    step = matching_step(secret, digits_of(code))
    if step is None:
        raise InvalidInput([FieldProblem("code", "wrong", lazy("The code is wrong. Use the newest one, and check that your device's clock is right"))])
    async with system_transaction("operator_console") as conn:
        made = await conn.fetchval(
            "UPDATE operator_account SET factor_secret = $2, factor_step = $3, factor_since = now() WHERE id = $1 AND factor_secret IS NULL RETURNING 1",
            operator_id, seal(_PURPOSE, secret, operator_id), step,
        )
        if made is None:
            raise Conflict(lazy("You have a second factor already. Switch it off first."))
        await conn.execute("UPDATE operator_session SET revoked_at = now() WHERE operator_id = $1 AND id IS DISTINCT FROM $2 AND revoked_at IS NULL", operator_id, keep)
        return await _put_codes(conn, operator_id)


async def renew_operator_codes(operator_id: UUID) -> list[str]:
    """Ten new recovery codes; the old ones open nothing any more. Errors: NotFound without a second factor."""
    async with system_transaction("operator_console") as conn:
        if not await conn.fetchval("SELECT 1 FROM operator_account WHERE id = $1 AND factor_secret IS NOT NULL FOR UPDATE", operator_id):
            raise NotFound()
        return await _put_codes(conn, operator_id)


async def reset_operator_factor(operator_id: UUID, *, reactivate: bool = False) -> str:
    """For somebody who lost phone and codes: signed out everywhere, they set up a new one at the next sign-in. `reactivate`: also one who was
    made inactive, for whoever has the server. Returns their address.
    Errors: NotFound."""
    async with system_transaction("operator_console") as conn:
        email = await conn.fetchval("UPDATE operator_account SET factor_secret = NULL, factor_since = NULL, status = CASE WHEN $2 THEN 'active' ELSE status END WHERE id = $1 RETURNING email", operator_id, reactivate)
        if email is None:
            raise NotFound()
        await conn.execute("DELETE FROM operator_recovery_code WHERE operator_id = $1", operator_id)
        await conn.execute("UPDATE operator_session SET revoked_at = now() WHERE operator_id = $1 AND revoked_at IS NULL", operator_id)
    return email


async def are_operator_codes(operator_id: UUID, codes: Iterable[str]) -> bool:
    """Whether all of them are the operator's."""
    hashes = [recovery_hash(code, operator_id) for code in codes]
    async with system_transaction("operator_console") as conn:
        found = await conn.fetchval("SELECT count(*) FROM operator_recovery_code WHERE operator_id = $1 AND code_hash = ANY($2::bytea[])", operator_id, hashes)
    return bool(hashes) and found == len(hashes)


async def take_operator_code(conn: Any, operator_id: UUID, code: str) -> str | None:
    """Use a code up: "app" or "recovery" for a right one, None for any other. Count the attempt before."""
    digits = digits_of(code)
    if digits:
        sealed = await conn.fetchval("SELECT factor_secret FROM operator_account WHERE id = $1", operator_id)
        try:
            step = matching_step(unseal(_PURPOSE, sealed, operator_id), digits) if sealed else None
        except CannotUnseal:  # another SAAS_SECRET_KEY: recovery codes still work
            step = None
        taken = step is not None and await conn.fetchval("UPDATE operator_account SET factor_step = $2 WHERE id = $1 AND factor_step < $2 RETURNING 1", operator_id, step)
        return "app" if taken else None
    taken = await conn.fetchval(
        "UPDATE operator_recovery_code SET used_at = now() WHERE operator_id = $1 AND code_hash = $2 AND used_at IS NULL RETURNING 1", operator_id, recovery_hash(code, operator_id)
    )
    return "recovery" if taken else None


async def _put_codes(conn: Any, operator_id: UUID) -> list[str]:
    codes = new_recovery_codes()
    await conn.execute("DELETE FROM operator_recovery_code WHERE operator_id = $1", operator_id)
    await conn.executemany("INSERT INTO operator_recovery_code (operator_id, code_hash) VALUES ($1, $2)", [(operator_id, recovery_hash(code, operator_id)) for code in codes])
    return codes
