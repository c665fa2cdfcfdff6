"""Live lists: rows of another system that belong to a record, asked for when somebody looks and not kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saas.db import may_write, primary, tenant_transaction
from saas.errors import AppError, NotFound
from saas.i18n import LazyString, pick
from saas.log import get_logger
from saas.metadata.config import Entity
from saas.metadata.models import LiveListDef
from saas.runtime import exchanges, permissions
from saas.runtime.connectors.asking import NoAnswer, address, ask, connection_of, ensure, mode_of
from saas.runtime.connectors.mirrors import connector_of, rows_in
from saas.runtime.context import Context
from saas.runtime.env import prepare
from saas.runtime.messages.sms import at as value_at
from saas.runtime.records import load
from saas.runtime.said import plain
from saas.runtime.words import kept

log = get_logger(__name__)
SECONDS, MOST_ROWS = 6.0, 200  # somebody waits for it


@dataclass(frozen=True, slots=True)
class LiveRows:
    """What was answered, column by column; or why nothing was."""

    defn: LiveListDef
    rows: tuple[tuple[Any, ...], ...] = ()
    more: bool = False
    error: LazyString | None = None
    mode: str = "live"


def lists_of(ctx: Context, entity_key: str) -> list[LiveListDef]:
    """Those that a person sees with records of an entity."""
    mine = set(ctx.user.role_keys) if ctx.user is not None else set()
    return [x for x in ctx.config.bundle.live_lists if x.entity == entity_key and x.active and (not x.roles or ctx.unrestricted or permissions.is_admin(ctx) or mine & set(x.roles))]


async def look_up(ctx: Context, entity: Entity, record_id: UUID, key: str) -> LiveRows:
    """Ask for the rows. Errors: NotFound, for records and lists a person does not see."""
    shown = next((x for x in lists_of(ctx, entity.key) if x.key == key), None)
    if shown is None:
        raise NotFound()
    async with tenant_transaction(ctx.tenant_id) as conn:
        row = await load(conn, ctx, entity, record_id)
        # The configuration says what is asked with, whatever the person sees of it.
        env = await prepare(conn, ctx.replace(elevated=True), entity, row, list(shown.query.values()))
        query = {name: plain(env.evaluate(text)) for name, text in shown.query.items()}
    connector, found = connector_of(ctx, shown.connector), await connection_of(ctx.tenant_id, shown.connector)
    mode = mode_of(connector, found)
    if any(value in (None, "") for value in query.values()):
        return LiveRows(shown, mode=mode)  # nothing there could belong to it
    try:
        rows = rows_in(await ask(ctx, connector, found, "GET", shown.path, query=query, timeout_seconds=SECONDS), shown.rows)
    except NoAnswer as error:
        await _note(ctx, shown, query, error)
        return LiveRows(shown, error=error.error, mode=mode)
    cells = tuple(tuple(value_at(row, c.path) for c in shown.columns) for row in rows[:MOST_ROWS])
    return LiveRows(shown, cells, len(rows) > MOST_ROWS, mode=mode)


async def _note(ctx: Context, shown: LiveListDef, query: Mapping[str, Any], trouble: NoAnswer) -> None:
    """What went wrong stands in the connection's log; what went well is looked at and gone. Where only reading is allowed, e.g. through
    somebody else's eyes, nothing is noted: whoever looks is told anyway."""
    if ctx.viewer is not None or ctx.support is not None or not ctx.tenant.is_writable or not may_write():
        return
    connector = connector_of(ctx, shown.connector)
    try:
        with primary():
            async with tenant_transaction(ctx.tenant_id) as conn:
                found = await ensure(conn, ctx, connector, pick(connector.label, ctx.locale))
                await exchanges.note(
                    conn, ctx.tenant_id, found.id, direction="out", event=shown.key, status="failed", request="GET " + address("", shown.path, query), answer=trouble.reply,
                    http_status=trouble.status, error=kept(trouble.error),
                )  # fmt: skip
    except AppError:
        log.warning("connector.not_noted", list=shown.key, exc_info=True)
