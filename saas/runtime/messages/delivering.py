"""Giving a message to the mail server or the provider of SMS. Called by the outbox, outside of transactions, for each attempt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.db import current_database, tenant_transaction
from saas.i18n import LazyString
from saas.runtime.contexts import system_context
from saas.runtime.messages import sms
from saas.runtime.messages.opt_outs import unsubscribe_path
from saas.runtime.messages.outcomes import tell
from saas.runtime.messages.sms import PROVIDERS, Carried, provider_of
from saas.tenants import TenantRow, get_tenant, links
from saas.tenants.mail import ERRORS as MAIL_ERRORS
from saas.tenants.mail import check_recipient, compose_own, mail_is_sent
from saas.tenants.mail.outbox import Claim
from saas.tenants.mail.smtp import NotSent, deliver

ERRORS: dict[str, LazyString] = {**MAIL_ERRORS, **sms.ERRORS}


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of an attempt. `error`: a key of ERRORS, empty when it was sent; `again`: another attempt may succeed."""

    reply: str = ""
    error: str = ""
    again: bool = False
    ref: str = ""


async def deliver_message(tenant_id: UUID, message_id: UUID, attempt: int) -> Delivery | None:
    """One attempt at a message that waits; None for one that does not any more. Its state is noted."""
    async with tenant_transaction(tenant_id) as conn:
        row = await conn.fetchrow(
            "SELECT id, channel, template_key, recipient, user_id, locale, subject, body, link, essential, created_at FROM message WHERE tenant_id = $1 AND id = $2 AND status = 'queued'", tenant_id, message_id
        )
        if row is None:
            return None
        tenant, provider = await get_tenant(tenant_id), await provider_of(conn, tenant_id) if row["channel"] == "sms" else None
    if row["channel"] == "email":
        found = await _mail(tenant, row, attempt)
    elif provider is None:
        found = Delivery(error="no_provider")
    else:
        text = f"{row['body']}\n{row['link']}" if row["link"] else row["body"]
        carried: Carried = await PROVIDERS[provider.settings["mode"]].carry(provider, row["id"], row["recipient"], text)
        found = Delivery(carried.reply, carried.error, carried.again, carried.ref)
    await _note(tenant_id, message_id, found, attempt)
    return found


async def _mail(tenant: TenantRow, row: Any, attempt: int) -> Delivery:
    if not mail_is_sent():
        return Delivery(error="unreachable", again=True)
    unsubscribe = "" if row["essential"] else links.address_of(tenant, unsubscribe_path(tenant.id, "email", row["recipient"]))
    return await send_mail(
        tenant, row["id"], attempt, row["created_at"], recipient=row["recipient"], locale=row["locale"], subject=row["subject"], body=row["body"], link=row["link"], unsubscribe=unsubscribe
    )


async def send_mail(
    tenant: TenantRow, message_id: UUID, attempt: int, created_at: datetime, *, recipient: str, locale: str, subject: str, body: str, link: str, unsubscribe: str = ""
) -> Delivery:
    """One e-mail of a tenant to one address; `message_id` stays the same for every attempt."""
    composed = compose_own(tenant, locale, subject, body, link=link, unsubscribe=unsubscribe)
    headers = (("List-Unsubscribe", f"<{unsubscribe}>"), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")) if unsubscribe else ()
    claim = Claim(
        tenant.id, message_id, attempt, "record_message", composed.sender_name, check_recipient(recipient), "", locale, composed.subject, composed.text, composed.html, created_at,
        composed.reply_to, headers,
    )  # fmt: skip
    try:
        return Delivery(await deliver(claim, current_database().settings))
    except NotSent as trouble:
        return Delivery(trouble.reply, trouble.error, not trouble.for_good)


async def _note(tenant_id: UUID, message_id: UUID, found: Delivery, attempt: int) -> None:
    status = "sent" if not found.error else "queued" if found.again else "failed"
    ctx = await system_context(tenant_id) if status != "queued" else None
    async with tenant_transaction(tenant_id) as conn:
        await conn.execute(
            "UPDATE message SET status = $3, attempts = $4, error = $5, reply = $6, provider_ref = $7, sent_at = CASE WHEN $3 = 'sent' THEN now() END "
            "WHERE tenant_id = $1 AND id = $2 AND status = 'queued'",
            tenant_id, message_id, status, attempt, found.error, found.reply[:300].replace("\x00", ""), found.ref,
        )  # fmt: skip
        if ctx is not None:
            await tell(conn, ctx, [message_id])


async def give_up(tenant_id: UUID, message_id: UUID) -> None:
    """The last attempt failed, too: the message waits no more."""
    ctx = await system_context(tenant_id)
    async with tenant_transaction(tenant_id) as conn:
        if await conn.fetchval("UPDATE message SET status = 'failed' WHERE tenant_id = $1 AND id = $2 AND status = 'queued' RETURNING true", tenant_id, message_id):
            await tell(conn, ctx, [message_id])
