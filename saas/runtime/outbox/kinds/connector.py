"""Calls of connectors: the request, its log, and what the record takes of the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import AppError, Conflict, Unavailable
from saas.i18n import lazy, pick, use_locale
from saas.log import get_logger
from saas.metadata.models import CallDef
from saas.runtime import connectors, exchanges
from saas.runtime.connectors.asking import ensure
from saas.runtime.context import Context
from saas.runtime.contexts import system_context
from saas.runtime.outbox.messages import ERRORS, MAX_ATTEMPTS, NotSent, OutboxKind, Sending, outbox_kinds
from saas.runtime.words import clean, kept, reason_of
from saas.tenants import new_id

log = get_logger(__name__)
TRIES = 3  # of taking an answer
GONE = lazy("The configuration knows no such call any more.")


@outbox_kinds.register
class ConnectorKind(OutboxKind):
    key = "connector"
    label = lazy("Call of another system")
    icon = "link"

    def about(self, payload: Mapping[str, Any]) -> str:
        return str(payload.get("call") or "")

    async def send(self, message: Sending) -> str:
        ctx = await system_context(message.tenant_id, origin="connector")
        call = next((c for c in ctx.config.bundle.calls if c.key == message.payload["call"]), None)
        if call is None:
            raise NotSent(GONE.message, for_good=True)
        connector = next(c for c in ctx.config.bundle.connectors if c.key == call.connector)
        async with tenant_transaction(ctx.tenant_id) as conn:
            found = await ensure(conn, ctx, connector, pick(connector.label, ctx.locale))
        answer, trouble, status = None, None, None
        try:
            answer, has_answered = await connectors.ask(ctx, connector, found, call.method, call.path, query={"id": message.payload["record"]}, body=message.payload["body"], key=message.idempotency_key), True
        except connectors.NoAnswer as error:
            trouble, status, has_answered = NotSent(kept(error.error), f"{error.status or ''} {error.reply}".strip(), for_good=error.for_good), error.status, False
        if has_answered:
            trouble = await _taken(ctx, call, UUID(message.payload["record"]), answer)
        over = trouble is None or trouble.for_good or message.attempt >= MAX_ATTEMPTS
        async with tenant_transaction(ctx.tenant_id) as conn:
            await exchanges.note(
                conn, ctx.tenant_id, found.id, direction="out", event=call.key, status="done" if trouble is None else "failed" if over else "queued", key=str(message.id),
                request=f"{call.method} {call.path}\n{json.dumps(message.payload['body'], ensure_ascii=False, indent=1)}", answer=json.dumps(answer, ensure_ascii=False) if has_answered else trouble.reply if trouble else "",
                http_status=status, error=trouble.error if trouble else "", attempt=message.attempt, entity_id=ctx.config.entity(call.entity).number, record_id=UUID(message.payload["record"]),
            )  # fmt: skip
            if has_answered:
                await exchanges.succeeded(conn, ctx.tenant_id, found)
        if trouble is not None:
            if not has_answered and connectors.mode_of(connector, found) == "live":
                await exchanges.failed(ctx.tenant_id, found)
            raise trouble
        return _short(answer)


async def _taken(ctx: Context, call: CallDef, record_id: UUID, answer: Any) -> NotSent | None:
    """Have the record take the answer; else why it does not, for good: the other system has what was sent, and is not sent it again."""
    trouble = None
    for _attempt in range(TRIES):
        try:
            with use_locale(ctx.locale):
                await connectors.take_answer(ctx.replace(fixed_now=ctx.now, operation_id=new_id(ctx.now)), call, record_id, answer)
            return None
        except Unavailable:
            raise
        except Conflict as error:  # somebody changes the same records: a moment later it may go
            trouble = NotSent(kept(reason_of(error)), _short(answer), for_good=True)
        except AppError as error:
            return NotSent(kept(reason_of(error)), _short(answer), for_good=True)
        except Exception:
            log.exception("connector.answer_not_taken", call=call.key)
            return NotSent(ERRORS["crashed"].message, _short(answer), for_good=True)
    return trouble


def _short(answer: Any) -> str:
    return clean(json.dumps(answer, ensure_ascii=False)[:300])
