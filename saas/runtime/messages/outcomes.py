"""What became of messages is told to the automations of the records they are about (trigger `message`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from saas.errors import AppError
from saas.log import get_logger
from saas.metadata.config import Config
from saas.runtime.acts import Act, Happening
from saas.runtime.automations import dispatch
from saas.runtime.context import Context
from saas.runtime.env import read_row

TRIGGER = "message"
log = get_logger(__name__)


def listens(config: Config, entity_key: str) -> bool:
    """Whether an automation of this kind of record waits for what becomes of messages."""
    return any(a.on.trigger == TRIGGER for a in config.automations(entity_key))


async def tell(conn: Any, ctx: Context, message_ids: Sequence[UUID]) -> None:
    """Run the automations that follow from the state these messages have now. An automation that refuses is undone alone: what became of
    a message stands whatever follows from it."""
    if not message_ids or not any(a.on.trigger == TRIGGER for a in ctx.config.bundle.automations):
        return
    by_number = {entity.number: entity for entity in ctx.config.entities.values()}
    rows = await conn.fetch(
        "SELECT entity_id, record_id, template_key, channel, status FROM message WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND status <> 'queued' ORDER BY id", ctx.tenant_id, list(message_ids)
    )
    for row in rows:
        entity = by_number.get(row["entity_id"])
        if entity is None or row["record_id"] is None or not listens(ctx.config, entity.key):
            continue
        try:
            async with conn.transaction():
                record = await read_row(conn, ctx, entity, row["record_id"], lock=True)
                if record is not None and record.deleted_at is None:
                    await dispatch(Act(conn, ctx), Happening(TRIGGER, entity, record, source=f"{row['template_key']}:{row['channel']}:{row['status']}"))
        except AppError as error:
            log.warning("message_outcome_refused", tenant_id=str(ctx.tenant_id), entity=entity.key, record=str(row["record_id"]), error=error.code)
