"""One message to one mail server: the envelope, the headers, the connection, and what its refusals mean."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from saas.i18n import LazyString, lazy
from saas.settings import Settings
from saas.tenants.mail.outbox import Claim

STEP_SECONDS, WHOLE_SECONDS = 30, 120
_POLICY = SMTP.clone(cte_type="7bit", max_line_length=200)
# What went wrong, for the tenant's administrator.
ERRORS: Mapping[str, LazyString] = {
    "unreachable": lazy("The mail server could not be reached."),
    "login": lazy("The mail server did not accept our login."),
    "busy": lazy("The mail server could not take the message at this moment."),
    "recipient": lazy("The mail server knows no such recipient or refuses mail to them."),
    "refused": lazy("The mail server refused the message."),
    "interrupted": lazy("It was interrupted too often."),
    "address": lazy("This address cannot receive mail."),
}


@dataclass(frozen=True, slots=True)
class Server:
    """Where messages go. `start_tls`: True demands it, None takes it where it is offered, False never."""

    host: str
    port: int
    use_tls: bool
    start_tls: bool | None
    user: str = ""
    password: str = field(default="", repr=False)


class NotSent(Exception):
    """The server did not take the message. `error`: a key of ERRORS; `reply`: its own words; `for_good`: trying again is no use."""

    def __init__(self, error: str, reply: str = "", *, for_good: bool = False) -> None:
        super().__init__(error)
        self.error, self.reply, self.for_good = error, reply, for_good


def server_of(url: str) -> Server:
    """`smtp://user:password@host:587?tls=require` (off, offered), or `smtps://` for TLS from the first byte. A login is never sent
    over an open line unless `tls=off` says so, or the server is on this machine."""
    parts = urlsplit(url)
    secure = parts.scheme == "smtps"
    host, user = parts.hostname or "localhost", unquote(parts.username or "")
    here = host in ("localhost", "127.0.0.1", "::1")
    wanted = parse_qs(parts.query).get("tls", ["require" if user and not here else "offered"])[0]
    start = False if secure else {"require": True, "off": False}.get(wanted)
    return Server(host, parts.port or (465 if secure else 587), secure, start, user, unquote(parts.password or ""))


def envelope(claim: Claim, settings: Settings) -> EmailMessage:
    """The message as it goes out. The Message-ID belongs to the message, not to the attempt: servers and mail programs know one
    that comes twice. Errors: ValueError for what can stand in no header."""
    mail, sender = EmailMessage(policy=_POLICY), settings.mail_sender
    mail["From"] = Address(claim.sender_name, addr_spec=sender)
    mail["To"] = Address(claim.recipient_name, addr_spec=claim.recipient)
    if claim.reply_to:
        mail["Reply-To"] = Address(addr_spec=claim.reply_to)
    mail["Subject"] = claim.subject
    mail["Date"] = claim.created_at
    mail["Message-ID"] = f"<{claim.id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["Content-Language"] = claim.locale.replace("_", "-")
    for name, value in claim.headers:
        mail[name] = value
    mail.set_content(claim.text)
    if claim.html:
        mail.add_alternative(claim.html, subtype="html")
    return mail


async def deliver(claim: Claim, settings: Settings) -> str:
    """Send it; returns what the server answered. Errors: NotSent."""
    server = server_of(settings.smtp_url or "")
    try:
        mail = envelope(claim, settings)
    except (ValueError, IndexError) as error:
        raise NotSent("address", for_good=True) from error
    try:
        async with asyncio.timeout(WHOLE_SECONDS):
            _refused, answer = await aiosmtplib.send(
                mail, sender=settings.mail_sender, recipients=[claim.recipient], hostname=server.host, port=server.port, username=server.user or None,
                password=server.password if server.user else None, use_tls=server.use_tls, start_tls=server.start_tls, timeout=STEP_SECONDS,
            )  # fmt: skip
    except aiosmtplib.SMTPRecipientsRefused as error:
        first = error.recipients[0]
        raise NotSent("recipient" if first.code >= 500 else "busy", _words(first), for_good=first.code >= 500) from error
    except aiosmtplib.SMTPAuthenticationError as error:
        raise NotSent("login") from error
    except aiosmtplib.SMTPDataError as error:
        raise NotSent("refused" if error.code >= 500 else "busy", _words(error), for_good=error.code >= 500) from error
    except aiosmtplib.SMTPResponseException as error:  # also a sender it does not know: the operator's to mend, so it is tried again
        raise NotSent("busy", _words(error)) from error
    except (aiosmtplib.SMTPException, OSError, ssl.SSLError, TimeoutError) as error:
        raise NotSent("unreachable") from error
    return answer


def _words(error: aiosmtplib.SMTPResponseException) -> str:
    return " ".join(f"{error.code} {error.message}".split())
