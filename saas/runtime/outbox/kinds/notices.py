"""What somebody has not read under the bell, by e-mail or SMS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.metadata.property_words import CHANNELS
from saas.runtime.messages.telling import tell
from saas.runtime.outbox.messages import NotSent, OutboxKind, Sending, outbox_kinds


@outbox_kinds.register
class NoticesKind(OutboxKind):
    key = "notices"
    label = lazy("Notifications to somebody")
    icon = "bell"

    def about(self, payload: Mapping[str, Any]) -> str:
        return str(CHANNELS.get(str(payload.get("channel")), ""))

    async def send(self, message: Sending) -> str:
        found = await tell(message.tenant_id, message.id, UUID(message.payload["user"]), str(message.payload["channel"]), message.attempt, message.created_at)
        if found.error:
            raise NotSent(found.error, found.reply, for_good=not found.again)
        return found.reply
