"""A real SMTP server for tests, on a port of its own."""

from __future__ import annotations

import asyncio
import email
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult

from saas.db.scope import Database

LINK = re.compile(r"https?://\S+/(?:reset|invitation|signup/confirm)/[\w-]+")


@dataclass
class Mailbox:
    """What arrived. `answers`: what the server says to the next messages instead of taking them; `refuse`: to a recipient;
    `on_taken`: called before the server says that it has one."""

    port: int = 0
    envelopes: list[Any] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)
    on_taken: Callable[[], None] | None = None
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answers:
            return self.answers.pop(0)
        self.envelopes.append(envelope)
        if self.on_taken:
            self.on_taken()
        return "250 taken"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"right", handled=False)

    @property
    def messages(self) -> list[EmailMessage]:
        return [email.message_from_bytes(e.content, policy=default) for e in self.envelopes]  # type: ignore[misc]

    def to(self, address: str) -> list[EmailMessage]:
        return [m for e, m in zip(self.envelopes, self.messages, strict=True) if address in e.rcpt_tos]

    def link(self, address: str) -> str:
        """The link in the newest message to somebody."""
        return LINK.findall(text_of(self.to(address)[-1]))[0]


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    return message.get_body((kind,)).get_content()  # type: ignore[union-attr]


@asynccontextmanager
async def mailbox_open(*, auth: bool = False, **options: Any) -> AsyncIterator[Mailbox]:
    box = Mailbox()
    if auth:
        options |= {"authenticator": box.authenticate, "auth_require_tls": False}
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(box, hostname="mail.test", **options), "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()


@asynccontextmanager
async def mailed(database: Database, **options: Any) -> AsyncIterator[Mailbox]:
    """The installation sends its mail to this mailbox meanwhile."""
    before = database.settings
    async with mailbox_open(**options) as box:
        database.settings = replace(before, smtp_url=f"smtp://127.0.0.1:{box.port}")
        try:
            yield box
        finally:
            database.settings = before
