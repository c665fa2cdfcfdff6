"""Writing a message into the log and the outbox, for one record: to whom, in which language, with which text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from saas.errors import BadRequest, InvalidInput
from saas.i18n import LOCALES, lazy, pick
from saas.metadata.models import TemplateDef
from saas.runtime import outbox, quota
from saas.runtime.acts import ActionRun
from saas.runtime.context import Context
from saas.runtime.messages.opt_outs import clean_address, is_out
from saas.runtime.messages.outcomes import tell
from saas.runtime.messages.sms import has_provider
from saas.runtime.notifications import Notice, deliver, people_with_role
from saas.runtime.templates import render
from saas.tenants import get_tenant, links, new_id
from saas.tenants.mail import check_recipient, mail_is_sent

MOST = 200  # people one message goes to
OUTBOX_KIND = "message"
PER_MINUTE = 300  # of one act of sending to many: receivers' servers take no more from somebody


def outbox_key(message_id: UUID) -> str:
    """What the outbox knows a message by."""
    return f"message {message_id}"


@dataclass(frozen=True, slots=True)
class Receiver:
    """Somebody by one channel. `address` is clean; for a message in the product it is the person's name."""

    address: str
    user_id: UUID | None = None
    locale: str | None = None


@dataclass(slots=True)
class Sent:
    """What became of one act of sending."""

    queued: int = 0
    recorded: int = 0  # nothing is sent in this installation, or by this workspace
    left_out: int = 0  # opted out
    unusable: int = 0  # no address, or none that can be one

    def add(self, other: Sent) -> None:
        for name in ("queued", "recorded", "left_out", "unusable"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def template_of(ctx: Context, key: str) -> TemplateDef:
    """Errors: BadRequest."""
    found = next((t for t in ctx.config.bundle.templates if t.key == key), None)
    if found is None:
        raise BadRequest(lazy("There is no message “%(key)s”.", key=key), field="template")
    return found


async def receivers(run: ActionRun, texts: Sequence[str], channel: str) -> tuple[list[Receiver], int]:
    """Whom expressions (or "role:key") over the record name, each once, and how many of them cannot be reached by the channel."""
    found: dict[str, Receiver] = {}
    unusable = 0
    for value in await _named(run, texts):
        receiver = await _person(run, value, channel) if isinstance(value, UUID) else _outside(run.ctx, str(value), channel)
        if receiver is None:
            unusable += 1
        else:
            found.setdefault(str(receiver.user_id or receiver.address) if channel == "in_app" else receiver.address, receiver)
    return list(found.values())[:MOST], unusable


async def _named(run: ActionRun, texts: Sequence[str]) -> list[Any]:
    """People by id, addresses as text; in order, without empty ones."""
    found: dict[Any, None] = {}
    for text in texts:
        if text.startswith("role:"):
            found.update(dict.fromkeys(await people_with_role(run.act.conn, run.ctx, text[5:].strip())))
            continue
        value = (await run.env(text)).evaluate(text)
        for item in value if isinstance(value, list) else [value]:
            if item not in (None, ""):
                found[_id_or_text(item)] = None
    return list(found)


def _id_or_text(value: Any) -> Any:
    try:
        return UUID(str(value))
    except ValueError:
        return str(value)


async def _person(run: ActionRun, user_id: UUID, channel: str) -> Receiver | None:
    row = await run.act.conn.fetchrow(
        "SELECT id, name, email, phone, locale FROM app_user WHERE tenant_id = $1 AND id = $2 AND status = 'active'", run.ctx.tenant_id, user_id
    )
    if row is None:
        return None
    address = {"email": row["email"], "sms": row["phone"], "in_app": row["name"]}[channel]
    known = _outside(run.ctx, address or "", channel) if channel != "in_app" else Receiver(row["name"])
    return Receiver(known.address, user_id, row["locale"]) if known is not None else None


def _outside(ctx: Context, address: str, channel: str) -> Receiver | None:
    """Somebody known by an address only; None where nothing can be sent there."""
    if channel == "email":
        try:
            return Receiver(clean_address(channel, check_recipient(address)))
        except InvalidInput:
            return None
    if channel == "sms":
        number = clean_address(channel, address)
        return Receiver(number) if 5 <= len(number.lstrip("+")) <= 20 and number.count("+") <= number.startswith("+") else None
    return None  # only people who sign in find messages in the product


async def send(
    run: ActionRun, template: TemplateDef, channel: str, *, to: Sequence[str] | None = None, batch_id: UUID | None = None, after_seconds: float = 0, named_by: ActionRun | None = None, extra: Mapping[str, Any] | None = None, link: str = "",
) -> Sent:  # fmt: skip
    """Write the message to each of its receivers as part of the caller's transaction. `extra`: further names its text may use; `link`: a
    path of this workspace shown as a button in an e-mail, and put under a text; `after_seconds`: not before;
    `named_by`: the record that `to` is said of, if it is another. Errors: BadRequest, PlanLimitReached."""
    ctx, conn, done = run.ctx, run.act.conn, Sent()
    if channel not in template.channels:
        raise BadRequest(lazy("The message “%(key)s” is not sent that way.", key=template.key), field="channel")
    people, done.unusable = await receivers(named_by or run, to or template.to, channel)
    addresses, user_ids = await is_out(conn, ctx, channel, [p.address for p in people if channel != "in_app"], [p.user_id for p in people if p.user_id])
    wanted = str((await run.env(template.language)).evaluate(template.language) or "") if template.language else ""
    shown_link = links.address_of(await get_tenant(ctx.tenant_id), link) if link else ""
    due_at = datetime.now(UTC) + timedelta(seconds=after_seconds) if after_seconds else None
    standard = await _status(conn, ctx, channel)
    texts: dict[str, tuple[str, str]] = {}
    settled: list[UUID] = []
    for person in people:
        locale = wanted if wanted in template.body else person.locale if person.locale in template.body else ctx.tenant.locale
        if locale not in texts:
            known = {"company": ctx.tenant.name, **(extra or {})}
            subject = " ".join((await render(run, pick(template.subject, locale), locale, known)).split())[:200] if template.subject else ""
            texts[locale] = subject, await render(run, pick(template.body, locale), locale, known)
        subject, body = texts[locale]
        is_left_out = not template.essential and (person.address in addresses or (person.user_id is not None and person.user_id in user_ids))
        status = "left_out" if is_left_out else standard
        row = (
            ctx.tenant_id, new_id(ctx.now), ctx.now, ctx.user_id, run.entity.number, run.row.id, batch_id, template.key, channel, person.address, person.user_id, locale, subject, body,
            shown_link, status, template.essential,
        )  # fmt: skip
        await quota.write(conn, ctx, "mails", int(channel == "email" and status == "queued"), [(_INSERT, row)])
        if status == "queued":
            await outbox.put(run.act, kind=OUTBOX_KIND, key=outbox_key(row[1]), payload={"message": str(row[1])}, due_at=due_at)
        elif status == "delivered":
            notice = Notice(dict.fromkeys(_SPOKEN, subject or body[:200]), dict.fromkeys(_SPOKEN, body if subject else ""), run.entity.key, run.row.id, "message")
            await deliver(conn, ctx, [person.user_id], notice)  # type: ignore[list-item]  only people of the workspace
        name = _COUNTED[status]
        setattr(done, name, getattr(done, name) + 1)
        if status != "queued":
            settled.append(row[1])
    await tell(conn, ctx, settled)
    return done


_COUNTED = {"queued": "queued", "delivered": "queued", "recorded": "recorded", "left_out": "left_out"}
_SPOKEN = tuple(LOCALES)


async def _status(conn: Any, ctx: Context, channel: str) -> str:
    """How a message begins: one in the product is there at once; without a server or provider it is recorded only."""
    if channel == "in_app":
        return "delivered"
    if channel == "email":
        return "queued" if mail_is_sent() else "recorded"
    return "queued" if await has_provider(conn, ctx.tenant_id) else "recorded"


_INSERT = (
    "INSERT INTO message (tenant_id, id, created_at, created_by, entity_id, record_id, batch_id, template_key, channel, recipient, user_id, locale, subject, body, link, status, essential, delivered_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, CASE WHEN $16 = 'delivered' THEN $3::timestamptz END)"
)

