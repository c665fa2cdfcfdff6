"""Invitations: somebody gets a link by e-mail, chooses a password and is a person of the tenant. Who may give which role is asked in
saas.runtime.invitations.

A link works once, for a week; the database knows only its hash. Sending it again makes a new one and ends the old.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from saas.db import tenant_transaction
from saas.errors import Conflict, FieldProblem, InvalidInput, NotFound, TooManyRequests
from saas.i18n import LOCALES, lazy
from saas.tenants.audit import record_audit
from saas.tenants.ids import new_id
from saas.tenants.limits import require_seat
from saas.tenants.links import address_of
from saas.tenants.mail.messages import compose
from saas.tenants.mail.outbox import check_recipient, queue_mail
from saas.tenants.sessions import hash_token
from saas.tenants.tenants import get_tenant
from saas.tenants.users import clean_email, insert_user, update_user

LIFE_DAYS = 7
MOST_A_DAY = 50  # of one tenant, sent again or new: nobody writes to the world at our expense
_IS_OPEN = "accepted_at IS NULL AND withdrawn_at IS NULL"
_SHOWN = (
    "i.id, i.email, i.name, i.role_keys, i.department_id, i.locale, i.invited_by, u.name AS inviter, i.created_at, i.sent_at, i.expires_at, "
    "i.expires_at <= now() AS is_over, m.status AS mail_status, m.error AS mail_error, m.id AS mail_id"
)
_FROM = (
    "FROM invitation i JOIN app_user u ON u.tenant_id = i.tenant_id AND u.id = i.invited_by "
    "LEFT JOIN mail m ON m.tenant_id = i.tenant_id AND m.id = i.mail_id WHERE i.tenant_id = $1 AND i.accepted_at IS NULL AND i.withdrawn_at IS NULL"
)


async def create_invitation(
    tenant_id: UUID, email: str, role_keys: Sequence[str], *, inviter_id: UUID, name: str = "", department_id: UUID | None = None, locale: str | None = None
) -> UUID:
    """Invite somebody. Errors: InvalidInput (address, language, department), Conflict (is here already, or has an open invitation),
    TooManyRequests, PlanLimitReached (no seat for one more, or no mail)."""
    email = clean_email(email)
    check_recipient(email)
    if locale is not None and locale not in LOCALES:
        raise InvalidInput([FieldProblem("locale", "unknown", lazy("This language is not available"))])
    if len(name) > 200:
        raise InvalidInput([FieldProblem("name", "too_long", lazy("Use at most %(count)s characters", count=200))])
    tenant = await get_tenant(tenant_id)
    invitation_id = new_id()
    async with tenant_transaction(tenant_id) as conn:
        await _refuse_flood(conn, tenant_id)
        if await conn.fetchval("SELECT true FROM app_user WHERE tenant_id = $1 AND email = $2", tenant_id, email):
            raise Conflict(lazy("Somebody with this e-mail address exists already"))
        if department_id and not await conn.fetchval("SELECT true FROM department WHERE tenant_id = $1 AND id = $2", tenant_id, department_id):
            raise InvalidInput([FieldProblem("department", "unknown", lazy("There is no such department"))])
        await require_seat(conn, tenant_id, role_keys, invited=True)
        await conn.execute(f"UPDATE invitation SET withdrawn_at = now() WHERE tenant_id = $1 AND email = $2 AND {_IS_OPEN} AND expires_at <= now()", tenant_id, email)  # noqa: S608  constants of this file
        try:
            async with conn.transaction():
                await conn.execute(
                    "INSERT INTO invitation (tenant_id, id, email, name, role_keys, department_id, locale, token_hash, invited_by, expires_at) "
                    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now())",
                    tenant_id, invitation_id, email, name.strip(), list(role_keys), department_id, locale or tenant.locale, secrets.token_bytes(32), inviter_id,
                )  # fmt: skip
        except asyncpg.UniqueViolationError as error:
            raise Conflict(lazy("This address has an open invitation already. You can send it again.")) from error
        await _send(conn, tenant_id, invitation_id, sender_id=inviter_id)
        await record_audit(conn, tenant_id, "invitation.sent", actor_id=inviter_id, target=str(invitation_id), data={"email": email, "roles": list(role_keys)})
    return invitation_id


async def resend_invitation(tenant_id: UUID, invitation_id: UUID, *, actor_id: UUID) -> None:
    """Send a new link, good for another week; the old one ends. Errors: NotFound, TooManyRequests."""
    async with tenant_transaction(tenant_id) as conn:
        await _refuse_flood(conn, tenant_id)
        await _send(conn, tenant_id, invitation_id, sender_id=actor_id)
        await record_audit(conn, tenant_id, "invitation.resent", actor_id=actor_id, target=str(invitation_id))


async def withdraw_invitation(tenant_id: UUID, invitation_id: UUID, *, actor_id: UUID) -> None:
    """End it; its link works no more. Errors: NotFound."""
    async with tenant_transaction(tenant_id) as conn:
        email = await conn.fetchval(
            f"UPDATE invitation SET withdrawn_at = now() WHERE tenant_id = $1 AND id = $2 AND {_IS_OPEN} RETURNING email", tenant_id, invitation_id  # noqa: S608  constants of this file
        )  # fmt: skip
        if email is None:
            raise NotFound(lazy("There is no such invitation."))
        await record_audit(conn, tenant_id, "invitation.withdrawn", actor_id=actor_id, target=str(invitation_id), data={"email": email})


async def list_invitations(tenant_id: UUID) -> list[dict[str, Any]]:
    """Those neither accepted nor withdrawn, newest first, with how their message is getting on. No tokens."""
    async with tenant_transaction(tenant_id) as conn:
        rows = await conn.fetch(f"SELECT {_SHOWN} {_FROM} ORDER BY i.created_at DESC, i.id DESC LIMIT 500", tenant_id)
    return [dict(row) for row in rows]


async def get_invitation(tenant_id: UUID, invitation_id: UUID) -> dict[str, Any]:
    """One of `list_invitations`. Errors: NotFound."""
    async with tenant_transaction(tenant_id) as conn:
        row = await conn.fetchrow(f"SELECT {_SHOWN} {_FROM} AND i.id = $2", tenant_id, invitation_id)
    if row is None:
        raise NotFound(lazy("There is no such invitation."))
    return dict(row)


async def find_invitation(tenant_id: UUID, token: str) -> dict[str, Any]:
    """The invitation behind a link, while its inviter is still here. Errors: NotFound (unknown, used, withdrawn, run out, or another
    tenant's)."""
    async with tenant_transaction(tenant_id) as conn:
        row = await conn.fetchrow(
            f"SELECT {_SHOWN} {_FROM} AND i.token_hash = $2 AND i.expires_at > now() AND u.status = 'active'", tenant_id, hash_token(token)
        )  # fmt: skip
    if row is None:
        raise NotFound(lazy("This link does not work any more."))
    return dict(row)


async def accept_invitation(tenant_id: UUID, token: str, *, name: str, password: str, ip: str = "") -> UUID:
    """Make the person; returns the new user's id. Errors: NotFound as `find_invitation`; InvalidInput (name, password) and Conflict
    (the address is somebody's meanwhile), after which the link still works."""
    if not password:  # people without one are for those who add them, not for those who come
        raise InvalidInput([FieldProblem("password", "required", lazy("Please choose a password"))])
    async with tenant_transaction(tenant_id) as conn:
        # Taken first: whoever comes with the same link at the same moment waits here, and then finds nothing.
        taken = await conn.fetchrow(
            f"UPDATE invitation SET accepted_at = now() WHERE tenant_id = $1 AND token_hash = $2 AND {_IS_OPEN} AND expires_at > now() "  # noqa: S608  constants of this file
            "RETURNING id, email, role_keys, department_id, locale, invited_by",
            tenant_id, hash_token(token),
        )  # fmt: skip
        if taken is None or not await conn.fetchval("SELECT true FROM app_user WHERE tenant_id = $1 AND id = $2 AND status = 'active'", tenant_id, taken["invited_by"]):
            raise NotFound(lazy("This link does not work any more."))
        user_id = await insert_user(conn, tenant_id, taken["email"], password, name=name, role_keys=taken["role_keys"], locale=taken["locale"])
        if taken["department_id"] and await conn.fetchval("SELECT true FROM department WHERE tenant_id = $1 AND id = $2", tenant_id, taken["department_id"]):
            await update_user(tenant_id, user_id, {"department_ids": [taken["department_id"]]}, actor_id=user_id)
        await conn.execute("UPDATE invitation SET accepted_by = $3 WHERE tenant_id = $1 AND id = $2", tenant_id, taken["id"], user_id)
        await record_audit(conn, tenant_id, "user.created", actor_id=taken["invited_by"], target=str(user_id), data={"roles": list(taken["role_keys"])})
        await record_audit(conn, tenant_id, "invitation.accepted", actor_id=user_id, target=str(taken["id"]), ip=ip)
    return user_id


async def _refuse_flood(conn: Any, tenant_id: UUID) -> None:
    """Counted one after the other, so that a hundred at once are still the limit."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('invitation:' || $1::text, 0))", str(tenant_id))
    sent = await conn.fetchval("SELECT count(*) FROM mail WHERE tenant_id = $1 AND kind = 'invitation' AND created_at > now() - interval '1 day'", tenant_id)
    if sent >= MOST_A_DAY:
        raise TooManyRequests(lazy("At most %(count)s invitations can be sent in a day. Please go on tomorrow.", count=MOST_A_DAY), retry_after=3600)


async def _send(conn: Any, tenant_id: UUID, invitation_id: UUID, *, sender_id: UUID) -> None:
    tenant = await get_tenant(tenant_id)
    token, until = secrets.token_urlsafe(32), datetime.now(UTC) + timedelta(days=LIFE_DAYS)
    row = await conn.fetchrow(
        f"UPDATE invitation SET token_hash = $3, sent_at = now(), expires_at = $4, invited_by = $5 WHERE tenant_id = $1 AND id = $2 AND {_IS_OPEN} "  # noqa: S608  constants of this file
        "RETURNING email, name, locale, (SELECT u.name FROM app_user u WHERE u.tenant_id = $1 AND u.id = $5) AS inviter",
        tenant_id, invitation_id, hash_token(token), until, sender_id,
    )  # fmt: skip
    if row is None:
        raise NotFound(lazy("There is no such invitation."))
    values = {"name": row["name"], "inviter": row["inviter"], "url": address_of(tenant, f"/invitation/{token}"), "until": until}
    mail_id = await queue_mail(conn, tenant_id, compose("invitation", tenant, row["locale"], values), row["email"], name=row["name"], is_secret=True, limits=tenant.limits)
    await conn.execute("UPDATE invitation SET mail_id = $3 WHERE tenant_id = $1 AND id = $2", tenant_id, invitation_id, mail_id)
