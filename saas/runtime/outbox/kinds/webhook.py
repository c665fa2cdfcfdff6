"""Events for other systems: signed, to the address that the settings name, with a log of each attempt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from saas import outbound
from saas.db import tenant_transaction
from saas.errors import NotFound
from saas.i18n import lazy
from saas.runtime.exchanges import UNSET
from saas.runtime.outbox.messages import MAX_ATTEMPTS, NotSent, OutboxKind, Sending, outbox_kinds
from saas.runtime.webhooks import ask, note_out
from saas.tenants.integrations import get_integration


@outbox_kinds.register
class WebhookKind(OutboxKind):
    key = "webhook"
    label = lazy("Event for another system")
    icon = "world"

    def about(self, payload: Mapping[str, Any]) -> str:
        return f"{payload.get('webhook', '')}: {(payload.get('event') or {}).get('event', '')}"

    async def send(self, message: Sending) -> str:
        event = message.payload["event"]
        try:
            async with tenant_transaction(message.tenant_id) as conn:
                found = await get_integration(conn, message.tenant_id, "webhook", key=message.payload["webhook"])
        except NotFound as error:
            raise NotSent(UNSET.message, for_good=True) from error
        if not found.active:
            raise NotSent(lazy("It is switched off.").message, for_good=True)
        content = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        answer, trouble = None, None
        try:
            answer = await ask(found, event, content, message.idempotency_key)
        except outbound.OutboundFailed as error:
            trouble = NotSent(error.message.message, for_good=error.for_good)
        if answer is not None and not answer.is_good:
            said = f"{answer.status} {answer.content[:300].decode('utf-8', 'replace')}".strip()
            for_good = answer.status in (400, 404, 405, 410, 413, 415, 422, 501)
            trouble = NotSent("refused" if for_good else "busy", said, for_good=for_good)
        status = "done" if trouble is None else "failed" if trouble.for_good or message.attempt >= MAX_ATTEMPTS else "queued"
        await note_out(message.tenant_id, found, event, content, key=str(message.id), attempt=message.attempt, answer=answer, error=trouble.error if trouble else "", status=status)
        if trouble is not None:
            raise trouble
        assert answer is not None
        return f"{answer.status}"
