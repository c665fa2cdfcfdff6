"""Notifications that leave the product, for people who chose so: some minutes later, those still unread, all of them in one e-mail or text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.db import cells, system_transaction, tenant_transaction
from saas.errors import PlanLimitReached, Unavailable
from saas.i18n import gettext as _
from saas.i18n import lazy, ngettext, use_locale
from saas.log import get_logger
from saas.runtime import outbox, quota
from saas.runtime.contexts import system_context
from saas.runtime.messages.delivering import Delivery, send_mail
from saas.runtime.messages.opt_outs import clean_address, is_out
from saas.runtime.messages.sms import PROVIDERS, provider_of
from saas.runtime.words import kept
from saas.tenants import get_tenant, links
from saas.tenants.mail import mail_is_sent

log = get_logger(__name__)
SHOWN = 20
FULL = lazy("The plan allows no more e-mails this month.")
MAIL, TEXT = "email", "sms"


@dataclass(frozen=True, slots=True)
class _Text:
    subject: str
    body: str
    link: str


# Those for whom a message was put out already wait for it, or for something new: they must not stand in the others' way. One that is
# on its way says all that is there when it leaves: a second one beside it would say the same.
_DUE = """
SELECT d.tenant_id, d.user_id, d.channel, k.key FROM (
    SELECT n.tenant_id, n.user_id, c.channel, concat_ws(' ', 'notices', c.channel, n.user_id) AS about, max(n.id::text) AS last
    FROM notification n JOIN tenant t ON t.id = n.tenant_id AND t.cell = '' CROSS JOIN LATERAL unnest(n.due_by) AS c (channel)
    WHERE n.due_at IS NOT NULL GROUP BY 1, 2, 3 HAVING min(n.due_at) <= now()
) d CROSS JOIN LATERAL (SELECT d.about || ' ' || d.last AS key) k
WHERE NOT EXISTS (SELECT 1 FROM outbox o WHERE o.tenant_id = d.tenant_id AND o.key = k.key)
AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.tenant_id = d.tenant_id AND o.status IN ('queued', 'sending') AND o.key LIKE d.about || ' %') ORDER BY 1, 2, 3 LIMIT 1000"""


async def announce_due() -> int:
    """Put a message into the outbox for everybody who is to be told of something by now, in all tenants; returns how many. Called by the
    worker: not the transaction that notifies, so that two of them that tell the same people never wait for each other."""
    put = 0
    for cell in cells():
        try:
            async with system_transaction("send_outbox", cell=cell) as conn:
                due = await conn.fetch(_DUE)
        except Unavailable:
            if len(cells()) == 1:
                raise
            continue
        for row in due:
            try:
                async with tenant_transaction(row["tenant_id"]) as conn:
                    await outbox.put(conn, kind="notices", key=row["key"], payload={"user": str(row["user_id"]), "channel": row["channel"]})
                put += 1
            except Unavailable:
                log.warning("notices wait for a database", tenant=str(row["tenant_id"]))
    return put


async def tell(tenant_id: UUID, message_id: UUID, user_id: UUID, channel: str, attempt: int, created_at: datetime) -> Delivery:
    """One attempt to tell somebody by "email" or "sms" what they have not read meanwhile. Nothing is sent where nothing is left, nor to
    who has left, changed their mind or opted out."""
    ctx = await system_context(tenant_id)
    async with tenant_transaction(tenant_id) as conn:
        person = await conn.fetchrow("SELECT email, phone, locale, told_by FROM app_user WHERE tenant_id = $1 AND id = $2 AND status = 'active'", tenant_id, user_id)
        notes = await conn.fetch(
            "SELECT id, title, body, read_at IS NULL AS unread, count(*) FILTER (WHERE read_at IS NULL) OVER () AS count, max(id::text) OVER () AS last "
            "FROM notification WHERE tenant_id = $1 AND user_id = $2 AND due_at IS NOT NULL AND $3 = ANY(due_by) ORDER BY read_at IS NOT NULL, id LIMIT $4",
            tenant_id, user_id, channel, SHOWN,
        )  # fmt: skip
        unread = [n for n in notes if n["unread"]]
        address = clean_address(channel, str(person["email" if channel == MAIL else "phone"] or "")) if person is not None else ""
        wanted = bool(unread and person is not None and channel in person["told_by"] and address) and not any(await is_out(conn, ctx, channel, [address], [user_id]))
        provider = await provider_of(conn, tenant_id) if wanted and channel == TEXT else None
    if not wanted or (channel == MAIL and not mail_is_sent()) or (channel == TEXT and provider is None):
        await _told(tenant_id, user_id, channel, notes)
        return Delivery()
    tenant = await get_tenant(tenant_id)
    with use_locale(person["locale"] or tenant.locale):
        text = _text(unread, tenant, channel)
    if channel == MAIL:
        try:
            async with tenant_transaction(tenant_id) as conn:
                await quota.write(conn, ctx, "mails", int(attempt == 1), [])
        except PlanLimitReached:
            await _told(tenant_id, user_id, channel, notes)
            return Delivery(error=kept(FULL))
        found = await send_mail(tenant, message_id, attempt, created_at, recipient=address, locale=person["locale"] or tenant.locale, subject=text.subject, body=text.body, link=text.link)
    else:
        assert provider is not None
        carried = await PROVIDERS[provider.settings["mode"]].carry(provider, message_id, address, f"{text.body}\n{text.link}")
        found = Delivery(carried.reply, carried.error, carried.again, carried.ref)
    if not found.again:
        await _told(tenant_id, user_id, channel, notes)
    return found


def _text(notes: list[Any], tenant: Any, channel: str) -> _Text:
    """One notification in its own words, several as a list; its page, or that of all."""
    count = notes[0]["count"]
    title = notes[0]["title"] if count == 1 else ngettext("%(count)s new notification", "%(count)s new notifications", count, count=count)
    link = links.address_of(tenant, f"/notifications/{notes[0]['id']}" if count == 1 else "/notifications")
    if channel == TEXT:
        first = notes[0]["title"]
        return _Text(title, f"{tenant.name}: {first}" if count == 1 else f"{tenant.name}: {first} ({title})", link)
    lines = [n["body"] or n["title"] if count == 1 else "\n".join(t for t in (f"• {n['title']}", n["body"]) if t) for n in notes[:SHOWN]]
    if count > SHOWN:
        lines.append(ngettext("and %(count)s more", "and %(count)s more", count - SHOWN, count=count - SHOWN))
    lines.append(_("You get this because your profile says so: %(url)s", url=links.address_of(tenant, "/profile")))
    return _Text(title, "\n\n".join(lines), link)


async def _told(tenant_id: UUID, user_id: UUID, channel: str, notes: list[Any]) -> None:
    """All that were there when `notes`, the first of them, were read."""
    if notes:
        async with tenant_transaction(tenant_id) as conn:
            await conn.execute(
                "UPDATE notification SET due_by = array_remove(due_by, $3), due_at = CASE WHEN array_remove(due_by, $3) <> '{}' THEN due_at END "
                "WHERE tenant_id = $1 AND user_id = $2 AND due_at IS NOT NULL AND $3 = ANY(due_by) AND id <= $4",
                tenant_id, user_id, channel, UUID(notes[0]["last"]),
            )  # fmt: skip
