"""The outbox: messages that wait, are being sent, were sent, or could not be. Written inside the transaction that causes them.

    queued -> sending -> sent
                      -> queued again, later (the server was away or busy)
                      -> failed (the server refused it for good, or we tried often enough)
    recorded           no mail server is set up: kept for the tenant's administrator to read

A message is sent at least once: a sender that dies between sending and marking leaves a lease that ends, and the next one sends
it again under the same Message-ID. The text of a message with a secret link is emptied once the message is over.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.db import cells, current_database, hold, system_transaction, tenant_transaction
from saas.errors import FieldProblem, InvalidInput, NotFound, Unavailable
from saas.i18n import lazy
from saas.tenants.ids import new_id
from saas.tenants.limits import write_metered
from saas.tenants.mail.messages import Message, plain_name
from saas.tenants.plans import Limits

LEASE_SECONDS = 180
# Seconds until the next attempt; after the last one the message has failed.
BACK_OFF = (30, 120, 600, 1800, 7200, 21600, 43200)
MAX_ATTEMPTS = len(BACK_OFF) + 1
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")
_DOMAIN = re.compile(r"(?=.{1,190}\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\Z")


def check_recipient(address: str) -> str:
    """An address that can stand in an envelope and a header as exactly one person's; its domain in ASCII. Errors: InvalidInput.

    Stricter than what people may sign in with: no quotes, lists, comments, line ends or letters outside ASCII before the @.
    """
    local, sign, domain = address.strip().rpartition("@")
    try:
        domain = domain.encode("idna").decode("ascii") if not domain.isascii() else domain
    except UnicodeError:
        domain = ""
    if not sign or len(local) > 64 or not _LOCAL.match(local) or not _DOMAIN.match(domain):
        raise InvalidInput([FieldProblem("email", "invalid", lazy("Please give a valid e-mail address"))])
    return f"{local}@{domain}"


def mail_is_sent() -> bool:
    """Whether there is a mail server; otherwise messages are only recorded."""
    return bool(current_database().settings.smtp_url)


_INSERT = (
    "id, kind, sender_name, recipient, recipient_name, locale, subject, body_text, body_html, is_secret, status, reply_to"
)  # fmt: skip


def _row(message: Message, recipient: str, name: str, *, is_secret: bool) -> tuple[Any, ...]:
    return (
        new_id(), message.kind, plain_name(message.sender_name), check_recipient(recipient), plain_name(name), message.locale, message.subject[:300], message.text,
        message.html, is_secret, "queued" if mail_is_sent() else "recorded", _reply_to(message),
    )  # fmt: skip


def _reply_to(message: Message) -> str:
    """The company's address for answers; one that cannot stand in a header is left out, the message goes all the same."""
    try:
        return check_recipient(message.reply_to) if message.reply_to else ""
    except InvalidInput:
        return ""


async def queue_mail(
    conn: Any, tenant_id: UUID, message: Message, recipient: str, *, name: str = "", is_secret: bool = False, limits: Limits = Limits()
) -> UUID:
    """Put a message of a tenant into the outbox, as part of the caller's transaction, and count it. `is_secret`: its text is kept no
    longer than needed. `limits`: those of the tenant's plan for what people send; without, for what must arrive, such as the way to a
    new password. Errors: InvalidInput for an address that cannot be one; PlanLimitReached."""
    row = _row(message, recipient, name, is_secret=is_secret)
    sql = f"INSERT INTO mail (tenant_id, {_INSERT}) VALUES ($13, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"  # noqa: S608  constants of this file
    await write_metered(conn, tenant_id, limits, "mails", 1, [(sql, (*row, tenant_id))])
    return row[0]


async def queue_platform_mail(conn: Any, message: Message, recipient: str, *, name: str = "", is_secret: bool = False) -> UUID:
    """The same for a message that belongs to no tenant yet or any more (sign-up, the operator's), in a transaction of the system's
    role at home."""
    row = _row(message, recipient, name, is_secret=is_secret)
    await conn.execute(f"INSERT INTO platform_mail ({_INSERT}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)", *row)  # noqa: S608  constants of this file
    return row[0]


# ---- for the tenant's administrator ------------------------------------------------------------------------------------

_SHOWN = "id, kind, recipient, recipient_name, locale, subject, status, attempts, next_attempt_at, error, reply, created_at, sent_at, is_secret"


async def list_mail(tenant_id: UUID, *, limit: int = 60, before: datetime | None = None) -> list[dict[str, Any]]:
    """Messages, newest first, without their texts; `before` is the `created_at` of the last one seen."""
    async with tenant_transaction(tenant_id) as conn:
        rows = await conn.fetch(
            f"SELECT {_SHOWN} FROM mail WHERE tenant_id = $1 AND ($2::timestamptz IS NULL OR created_at < $2) ORDER BY created_at DESC, id DESC LIMIT $3",  # noqa: S608  constants of this file
            tenant_id, before, limit,
        )  # fmt: skip
    return [dict(row) for row in rows]


async def get_mail(tenant_id: UUID, mail_id: UUID) -> dict[str, Any]:
    """One message with `body_text`, which is empty when it is over or was never for other eyes: a secret link is shown only where
    nobody sends it. Errors: NotFound."""
    async with tenant_transaction(tenant_id) as conn:
        row = await conn.fetchrow(f"SELECT {_SHOWN}, body_text FROM mail WHERE tenant_id = $1 AND id = $2", tenant_id, mail_id)  # noqa: S608  constants of this file
    if row is None:
        raise NotFound()
    shown = row["body_text"] if row["status"] == "recorded" or not row["is_secret"] else ""
    return {**dict(row), "body_text": shown}


# ---- for the sender ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claim:
    """A message taken to be sent. `tenant_id` None: the platform's own."""

    tenant_id: UUID | None
    id: UUID
    attempt: int
    kind: str
    sender_name: str
    recipient: str
    recipient_name: str
    locale: str
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)
    created_at: datetime
    reply_to: str = ""
    headers: tuple[tuple[str, str], ...] = ()  # further ones


_CONTENT = "id, attempts, kind, sender_name, recipient, recipient_name, locale, subject, body_text, body_html, created_at, reply_to"
_DUE = "((m.status = 'queued' AND m.next_attempt_at <= now()) OR (m.status = 'sending' AND m.locked_until < now()))"
_TAKE = f"SET status = 'sending', attempts = attempts + 1, locked_until = now() + interval '{LEASE_SECONDS} seconds'"
# The condition is checked again after the lock was got, so no two senders take the same message.
_CLAIM = f"""
UPDATE mail {_TAKE} WHERE (tenant_id, id) = (
    SELECT m.tenant_id, m.id FROM mail m JOIN tenant t ON t.id = m.tenant_id AND t.cell = '' WHERE {_DUE} ORDER BY m.next_attempt_at LIMIT 1 FOR UPDATE OF m SKIP LOCKED
) RETURNING tenant_id, id, attempts"""  # noqa: S608  constants of this file
_CLAIM_PLATFORM = f"""
UPDATE platform_mail {_TAKE} WHERE id = (
    SELECT m.id FROM platform_mail m WHERE {_DUE} ORDER BY m.next_attempt_at LIMIT 1 FOR UPDATE OF m SKIP LOCKED
) RETURNING {_CONTENT}"""  # noqa: S608  constants of this file
_turns = itertools.count()


class _Moving(Exception):
    """The message's tenant is being moved to another database: it is sent from there."""


async def claim_next() -> Claim | None:
    """Take the next due message of any tenant or of the platform. A database that is away keeps nobody else's from being sent."""
    databases = cells()
    turn = next(_turns) % len(databases)
    for cell in databases[turn:] + databases[:turn]:
        try:
            async with system_transaction("send_mail", cell=cell) as conn:
                row = await conn.fetchrow(_CLAIM)
                if row is not None and not await hold(conn, row["tenant_id"], cell):
                    raise _Moving
        except _Moving:
            continue
        except Unavailable:
            if len(databases) == 1:
                raise
            continue
        if row is not None:
            async with tenant_transaction(row["tenant_id"]) as conn:
                content = await conn.fetchrow(f"SELECT {_CONTENT} FROM mail WHERE tenant_id = $1 AND id = $2", row["tenant_id"], row["id"])  # noqa: S608  constants of this file
            return _claim(content, row["tenant_id"])
    async with system_transaction("send_mail") as conn:
        row = await conn.fetchrow(_CLAIM_PLATFORM)
    return _claim(row, None) if row is not None else None


def _claim(row: Any, tenant_id: UUID | None) -> Claim:
    return Claim(
        tenant_id, row["id"], row["attempts"], row["kind"], row["sender_name"], row["recipient"], row["recipient_name"], row["locale"], row["subject"], row["body_text"],
        row["body_html"], row["created_at"], row["reply_to"],
    )  # fmt: skip


async def mark_sent(claim: Claim, reply: str) -> None:
    await _mark(claim, "status = 'sent', sent_at = now(), error = '', reply = $4", reply, is_over=True)


async def mark_failed(claim: Claim, error: str, reply: str, *, for_good: bool) -> bool:
    """Try again later, or not any more; True when it is over. `error` is a key of saas.tenants.mail.smtp.ERRORS."""
    over = for_good or claim.attempt >= MAX_ATTEMPTS
    if over:
        await _mark(claim, "status = 'failed', error = $5, reply = $4", reply, error, is_over=True)
    else:
        wait = f"next_attempt_at = now() + interval '{BACK_OFF[claim.attempt - 1]} seconds'"
        await _mark(claim, f"status = 'queued', {wait}, error = $5, reply = $4", reply, error, is_over=False)
    return over


async def _mark(claim: Claim, change: str, reply: str, *more: str, is_over: bool) -> None:
    """Only while this attempt still holds the message: a slow sender undoes nothing of the next one's."""
    emptied = ", body_text = CASE WHEN is_secret THEN '' ELSE body_text END, body_html = ''" if is_over else ""
    table, mine = ("platform_mail", "$1::uuid IS NULL") if claim.tenant_id is None else ("mail", "tenant_id = $1")
    sql = f"UPDATE {table} SET {change}, locked_until = NULL{emptied} WHERE {mine} AND id = $2 AND attempts = $3 AND status = 'sending'"  # noqa: S608  constants of this file
    values = (claim.tenant_id, claim.id, claim.attempt, reply[:300], *more)
    if claim.tenant_id is None:
        async with system_transaction("send_mail") as conn:
            await conn.execute(sql, *values)
    else:
        async with tenant_transaction(claim.tenant_id) as conn:
            await conn.execute(sql, *values)
