"""What a stub answers: the rows of the connector's samples that fit what is asked, and those it was sent. The same question gives the same
answer; the same message sent again is the same row."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from saas.db import tenant_transaction
from saas.i18n import LOCALES, lazy, pick
from saas.metadata.models import ConnectorDef
from saas.runtime.context import Context
from saas.runtime.said import moment

MOST_ROWS = 500  # of what was sent to one path; older ones are forgotten
_SEQ = re.compile(r"\{seq(?::(\d))?\}")
_KEY, _SEQ_NUMBER = "_key", "_seq"


async def answer(ctx: Context, connector: ConnectorDef, method: str, path: str, query: Mapping[str, Any], body: Any, key: str) -> Any:
    """Rows for what is asked; the row that a message became for what is sent. Raises NoAnswer for a path without samples."""
    sample = connector.sample(path)
    if not sample:
        from saas.runtime.connectors.asking import NoAnswer  # which asks here

        raise NoAnswer(lazy("There are no sample answers for “%(path)s”.", path=path), for_good=True)
    if method == "GET":
        async with tenant_transaction(ctx.tenant_id, only_reads=True) as conn:
            sent = await _sent(conn, ctx, connector, path)
        return [_plain(row) for row in (*(_said(ctx, row) for row in sample.get("rows", ())), *sent) if _fits(row, query)]
    async with tenant_transaction(ctx.tenant_id) as conn:
        await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"sample {ctx.tenant_id} {connector.key} {path}")
        sent = await _sent(conn, ctx, connector, path)
        known = next((row for row in sent if key and row.get(_KEY) == key), None)
        if known is not None:
            return _plain(known)
        number = max((int(row.get(_SEQ_NUMBER) or 0) for row in sent), default=0) + 1
        row = {**(body if isinstance(body, dict) else {"body": body}), **{name: _filled(ctx, value) for name, value in sample.get("adds", {}).items()}, _KEY: key, _SEQ_NUMBER: number}
        if sample.get("number"):
            row[sample["number"]] = _SEQ.sub(lambda found: str(number).zfill(int(found[1] or 1)), sample.get("pattern", "{seq}"))
        await conn.execute(
            "INSERT INTO connector_state (tenant_id, connector, part, rows) VALUES ($1, $2, $3, $4::jsonb) ON CONFLICT (tenant_id, connector, part) DO UPDATE SET rows = excluded.rows",
            ctx.tenant_id, connector.key, _part(path), json.dumps([*sent, row][-MOST_ROWS:], ensure_ascii=False),
        )  # fmt: skip
        return _plain(row)


def _part(path: str) -> str:
    return f"sample {path}"


async def _sent(conn: Any, ctx: Context, connector: ConnectorDef, path: str) -> list[dict[str, Any]]:
    found = await conn.fetchval("SELECT rows FROM connector_state WHERE tenant_id = $1 AND connector = $2 AND part = $3", ctx.tenant_id, connector.key, _part(path))
    return json.loads(found) if found else []


def _fits(row: Mapping[str, Any], query: Mapping[str, Any]) -> bool:
    """A parameter that rows have a property of is a condition; others say something to a real system."""
    return all(str(row[name]) == str(value) for name, value in query.items() if name in row)


def _said(ctx: Context, row: Mapping[str, Any]) -> dict[str, Any]:
    """A text that is written in several languages is answered in the workspace's."""
    return {name: pick(value, ctx.tenant.locale) if isinstance(value, Mapping) and value and set(value) <= set(LOCALES) else value for name, value in row.items()}


def _filled(ctx: Context, value: Any) -> Any:
    return {"{today}": ctx.today.isoformat(), "{now}": moment(ctx.now)}.get(value, value) if isinstance(value, str) else value


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in (_KEY, _SEQ_NUMBER)}
