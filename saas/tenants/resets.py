"""A new password by e-mail. Unknown addresses are answered like known ones: same words, same time, same throttle.

A link works once, for an hour, in its own tenant; the database knows only its hash. Using it, or changing the password in any
other way, makes all links of the person worthless.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import InvalidInput, NotFound, TooManyRequests
from saas.i18n import lazy
from saas.tenants.audit import record_audit
from saas.tenants.auth import check_new_password, fingerprint, set_password, verify
from saas.tenants.ids import new_id
from saas.tenants.links import address_of
from saas.tenants.mail.messages import compose
from saas.tenants.mail.outbox import check_recipient, queue_mail
from saas.tenants.sessions import hash_token
from saas.tenants.tenants import TenantRow, get_tenant

LIFE_MINUTES = 60
MOST_PER_ACCOUNT, MOST_PER_ADDRESS, WINDOW_MINUTES = 3, 20, 60
ANSWER_SECONDS = 0.5  # every answer takes at least this long, so that its time tells nothing
_ASKED, _DONE = "password_reset.asked", "password_reset.done"
# A person made without a password cannot sign in, and gets none this way either.
_PERSON = "SELECT id, email, name, locale FROM app_user WHERE tenant_id = $1 AND email = $2 AND status = 'active' AND password_hash <> ''"
_OPEN = (
    "SELECT p.id, p.user_id, u.email, u.name, u.locale FROM password_reset p JOIN app_user u ON u.tenant_id = p.tenant_id AND u.id = p.user_id "
    "WHERE p.tenant_id = $1 AND p.token_hash = $2 AND p.used_at IS NULL AND p.expires_at > now() AND u.status = 'active'"
)


async def ask_reset(tenant_id: UUID, email: str, ip: str = "") -> None:
    """Send a link if the address is somebody's; whether it is shows nowhere. More than a few for one address are asked in vain.
    Errors: TooManyRequests(retry_after=seconds) for one IP address that asks for many."""
    started = time.monotonic()
    try:
        await _ask(await get_tenant(tenant_id), email.strip().lower()[:300], ip)
    finally:
        await asyncio.sleep(max(0.0, ANSWER_SECONDS - (time.monotonic() - started)))


async def _ask(tenant: TenantRow, email: str, ip: str) -> None:
    token = secrets.token_urlsafe(32)
    async with tenant_transaction(tenant.id) as conn:
        # One after the other, so that a hundred at once are still only a few.
        await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('password_reset:' || $1::text, 0))", str(tenant.id))
        asked = await conn.fetchrow(
            "SELECT count(*) FILTER (WHERE target = $3) AS here, count(*) FILTER (WHERE ip = $4 AND ip <> '') AS there FROM audit_event "
            "WHERE tenant_id = $1 AND at > now() - make_interval(mins => $5) AND kind = $2",
            tenant.id, _ASKED, fingerprint(email), ip[:64], WINDOW_MINUTES,
        )  # fmt: skip
        if asked["there"] >= MOST_PER_ADDRESS:
            raise TooManyRequests(lazy("Too many attempts from your network; try again in an hour"), retry_after=WINDOW_MINUTES * 60)
        await record_audit(conn, tenant.id, _ASKED, target=fingerprint(email), ip=ip)
        person = await conn.fetchrow(_PERSON, tenant.id, email)
        message = compose(
            "password_reset", tenant, (person["locale"] if person else None) or tenant.locale,
            {"name": person["name"] if person else email, "url": address_of(tenant, f"/reset/{token}"), "minutes": LIFE_MINUTES},
        )  # fmt: skip
        if person is None or asked["here"] >= MOST_PER_ACCOUNT or not _can_receive(email):
            return
        await conn.execute(
            "INSERT INTO password_reset (tenant_id, id, user_id, token_hash, expires_at) VALUES ($1, $2, $3, $4, $5)",
            tenant.id, new_id(), person["id"], hash_token(token), datetime.now(UTC) + timedelta(minutes=LIFE_MINUTES),
        )  # fmt: skip
        await queue_mail(conn, tenant.id, message, email, name=person["name"], is_secret=True)


def _can_receive(email: str) -> bool:
    try:
        return bool(check_recipient(email))
    except InvalidInput:
        return False


async def find_reset(tenant_id: UUID, token: str) -> dict[str, Any]:
    """Whose link this is: `email`, `name`, `locale`. Looking at it does not use it up. Errors: NotFound (unknown, used, run out, or
    another tenant's)."""
    async with tenant_transaction(tenant_id) as conn:
        row = await conn.fetchrow(_OPEN, tenant_id, hash_token(token))
    if row is None:
        raise NotFound(lazy("This link does not work any more."))
    return dict(row)


async def use_reset(tenant_id: UUID, token: str, password: str, ip: str = "", *, item: str = "") -> None:
    """Set the password and end all sessions of the person; the link and any other of theirs are used up by it.
    `item`: the verification item of those who need one.
    Errors: NotFound as `find_reset`; InvalidInput for a password or an item that is none (the link can be used again then)."""
    tenant = await get_tenant(tenant_id)
    user_id = (await find_reset(tenant_id, token))["user_id"]
    await check_new_password(tenant_id, user_id, password)
    await verify(tenant_id, user_id, item, ip)
    async with tenant_transaction(tenant_id) as conn:
        row = await conn.fetchrow(f"{_OPEN} FOR UPDATE OF p", tenant_id, hash_token(token))
        if row is None:
            raise NotFound(lazy("This link does not work any more."))
        await set_password(tenant_id, row["user_id"], password, actor_id=row["user_id"])
        await record_audit(conn, tenant_id, _DONE, actor_id=row["user_id"], target=str(row["user_id"]), ip=ip)
        values = {"name": row["name"], "url": address_of(tenant, "/login"), "at": datetime.now(UTC)}
        await queue_mail(conn, tenant_id, compose("password_changed", tenant, row["locale"] or tenant.locale, values), row["email"], name=row["name"])
