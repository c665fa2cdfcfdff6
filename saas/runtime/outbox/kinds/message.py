"""Messages to people: by mail server or the provider of SMS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.runtime.messages.delivering import deliver_message, give_up
from saas.runtime.outbox.messages import MAX_ATTEMPTS, NotSent, OutboxKind, Sending, outbox_kinds


@outbox_kinds.register
class MessageKind(OutboxKind):
    key = "message"
    label = lazy("Message to somebody")
    icon = "mail"

    def about(self, payload: Mapping[str, Any]) -> str:
        return ""

    async def send(self, message: Sending) -> str:
        message_id = UUID(message.payload["message"])
        found = await deliver_message(message.tenant_id, message_id, message.attempt)
        if found is None:
            return ""
        if found.error:
            if found.again and message.attempt >= MAX_ATTEMPTS:
                await give_up(message.tenant_id, message_id)
            raise NotSent(found.error, found.reply, for_good=not found.again)
        return found.reply
