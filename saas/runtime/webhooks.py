"""Telling other systems what happens to records: an event is written into the outbox in the transaction that causes it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas import outbound
from saas.db import current_database, tenant_transaction
from saas.metadata.config import Config, Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import WebhookDef
from saas.runtime import exchanges, outbox
from saas.runtime.acts import Act, ActionRun, Happening
from saas.runtime.rows import Row
from saas.runtime.said import moment
from saas.runtime.signatures import HEADER, signature
from saas.tenants import new_id
from saas.tenants.integrations import Integration

KIND = "webhook"
TEST = "test"


def hooks_of(config: Config, entity_key: str) -> list[WebhookDef]:
    """Those that listen to an entity. Costs nothing where there are none."""
    if not config.bundle.webhooks:
        return []
    return [h for h in config.bundle.webhooks if h.entity == entity_key and h.active]


async def announce(act: Act, happening: Happening) -> None:
    """Write an event for each webhook that listens to what happened."""
    for hook in hooks_of(act.ctx.config, happening.entity.key):
        if happening.kind not in hook.events or not await ActionRun(act, happening.entity, happening.row, happening.old).holds(hook.condition):
            continue
        event_id = new_id(act.ctx.now)
        body = event_of(act, hook, happening, event_id)
        await outbox.put(act, kind=KIND, key=f"webhook {hook.key} {event_id}", payload={"webhook": hook.key, "event": body}, origin={"entity": happening.entity.key, "record": str(happening.row.id)})


def event_of(act: Act, hook: WebhookDef, happening: Happening, event_id: UUID) -> dict[str, Any]:
    """What is told: the record's values as they are in the API, as they were at this moment."""
    keys = hook.fields or standard_fields(happening.entity)
    found: dict[str, Any] = {
        "id": str(event_id), "event": happening.kind, "webhook": hook.key, "entity": happening.entity.key, "at": moment(act.ctx.now),
        "record": {"id": str(happening.row.id), "version": happening.row.version, "state": happening.row.state, "values": _values(happening.row, keys)},
    }  # fmt: skip
    if happening.kind in ("update", "transition"):
        found["changed"] = sorted(k for k in happening.changed if k in keys)
    if happening.transition:
        found["transition"] = happening.transition
    return found


def standard_fields(entity: Entity) -> list[str]:
    return [key for key, field in entity.declared.items() if not field.sensitive and not field_types.get(field.type).computed]


def _values(row: Row, keys: Any) -> dict[str, Any]:
    return {key: row.get(key) for key in keys}


async def send_test(conn: Any, tenant_id: UUID, hook: WebhookDef, at: str) -> UUID:
    """An event that says nothing but that it is a test; returns the outbox's id."""
    event_id = new_id()
    body = {"id": str(event_id), "event": TEST, "webhook": hook.key, "entity": hook.entity, "at": at, "record": None}
    return await outbox.put(conn, kind=KIND, key=f"webhook {hook.key} {event_id}", payload={"webhook": hook.key, "event": body})


async def ask(integration: Integration, event: Mapping[str, Any], content: bytes, idempotency_key: str) -> outbound.Answer:
    """One request. Redirects are not followed: where events go is said in the settings. Errors: OutboundFailed."""
    headers = {
        "content-type": "application/json", "user-agent": "saas-webhook", "idempotency-key": idempotency_key, "x-event": str(event.get("event")), "x-event-id": str(event.get("id")),
        HEADER.lower(): signature(integration.secrets, content, time.time()),
    }  # fmt: skip
    return await outbound.request("POST", str(integration.settings.get("url") or ""), settings=current_database().settings, headers=headers, content=content)


async def note_out(
    tenant_id: UUID, integration: Integration, event: Mapping[str, Any], content: bytes, *, key: str, attempt: int, answer: outbound.Answer | None, error: str, status: str
) -> None:  # fmt: skip
    record = event.get("record") or {}
    async with tenant_transaction(tenant_id) as conn:
        await exchanges.note(
            conn, tenant_id, integration.id, direction="out", event=str(event.get("event")), status=status, key=key, request=content.decode(), error=error, attempt=attempt,
            answer=answer.content[:2000].decode("utf-8", "replace") if answer else "", http_status=answer.status if answer else None, record_id=UUID(record["id"]) if record.get("id") else None,
        )  # fmt: skip
        if status == "done":
            await exchanges.succeeded(conn, tenant_id, integration)
    if status != "done":
        await exchanges.failed(tenant_id, integration)
