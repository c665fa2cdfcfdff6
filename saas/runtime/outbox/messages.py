"""What a message of the outbox is, and what a kind of message must offer.

    queued -> sending -> sent
                      -> queued again, later (no answer, or one that asks for patience)
                      -> failed (refused for good, or tried often enough)
    queued or failed  -> cancelled, by an administrator

A message is sent at least once: a sender that dies between sending and marking leaves a lease that ends, and the next one sends the
same message under the same idempotency key. Whoever keeps the keys they have seen therefore sees each effect exactly once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from saas.i18n import LazyString, lazy
from saas.registry import Registry

LEASE_SECONDS = 60
SEND_SECONDS = 40  # an attempt that takes longer has failed; well within the lease, so that no two senders are at the same message
BACK_OFF = (5, 30, 120, 600, 3600, 14400, 43200)  # seconds until the next attempt; after the last one the message has failed
MAX_ATTEMPTS = len(BACK_OFF) + 1
MOST_WAIT_SECONDS = 86400
MAX_PAYLOAD_BYTES = 256_000

# What the log says of a failure, by the key that is stored.
ERRORS: dict[str, LazyString] = {
    "interrupted": lazy("It was interrupted too often."),
    "crashed": lazy("Something unexpected went wrong. The operator of this service can find the details in the log."),
    "timeout": lazy("The receiver took too long."),
    "unknown_kind": lazy("This version does not know this kind of message."),
    "refused": lazy("The receiver refused it."),
    "busy": lazy("The receiver is busy or has a problem of its own."),
}


class NotSent(Exception):
    """An attempt that failed. `error`: a key of ERRORS, or words; `reply`: what the receiver said; `for_good`: trying again is no
    use; `seconds`: how long the receiver asks to wait."""

    def __init__(self, error: str, reply: str = "", *, for_good: bool = False, seconds: float | None = None) -> None:
        super().__init__(error)
        self.error, self.reply, self.for_good, self.seconds = error, reply, for_good, seconds


@dataclass(frozen=True, slots=True)
class Sending:
    """A message taken to be sent, the `attempt`th time."""

    tenant_id: UUID
    id: UUID
    kind: str
    key: str
    payload: Mapping[str, Any]
    attempt: int
    created_at: datetime

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt, and no other message's ever."""
        return str(self.id)


class OutboxKind:
    """How one kind of message is sent. Registered in saas/runtime/outbox/kinds/, one file each."""

    key: ClassVar[str]
    label: ClassVar[LazyString]
    icon: ClassVar[str] = "send"
    secret: ClassVar[tuple[str, ...]] = ()  # properties of the payload that are never shown

    def about(self, payload: Mapping[str, Any]) -> str:
        """One line for people: where it goes."""
        return ""

    async def send(self, message: Sending) -> str:
        """Send it, outside of any transaction, with `message.idempotency_key`; what the receiver said. Raises NotSent."""
        raise NotImplementedError


outbox_kinds: Registry[OutboxKind] = Registry("kind of outbox message")
