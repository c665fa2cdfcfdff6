"""One request to another system and its answer, or why there is none. Never inside a transaction."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from saas import outbound
from saas.db import current_database, let_go, tenant_transaction
from saas.errors import NotFound
from saas.i18n import LazyString, lazy
from saas.metadata.models import ConnectorDef
from saas.runtime.connectors import samples
from saas.runtime.context import Context
from saas.runtime.exchanges import UNSET
from saas.runtime.messages.sms import auth_headers
from saas.runtime.words import kept
from saas.tenants.integrations import Integration, get_integration, save_integration

KIND = "connector"
MODES = ("live", "stub")
LATER = (408, 425, 429)  # not now, but another time
FIXED = (400, 404, 405, 410, 413, 415, 422, 501)  # the same request will never be taken
MOST_BYTES = 1_000_000
_NAMED = re.compile(r"\{([^{}]*)\}")

OFF = lazy("This connector is switched off.")
REFUSED = lazy("The other system refused this.")
TROUBLE = lazy("The other system has a problem of its own.")
NOT_JSON = lazy("The other system did not answer in JSON.")
ODD_PATH = lazy("A value of the record would lead to another address of the other system.")


class NoAnswer(Exception):
    """Why there is none, in words; `for_good`: asking again is no use. `status`, `reply`: what was answered, if anything."""

    def __init__(self, error: LazyString, *, for_good: bool = False, status: int | None = None, reply: str = "") -> None:
        super().__init__(kept(error))
        self.error, self.for_good, self.status, self.reply = error, for_good, status, reply


def mode_of(connector: ConnectorDef, found: Integration | None) -> str:
    """What the installation chose, else what the configuration says."""
    chosen = str(found.settings.get("mode") or "") if found is not None else ""
    return chosen if chosen in MODES else connector.mode


def is_on(connector: ConnectorDef, found: Integration | None) -> bool:
    return connector.active and (found is None or found.active)


def is_ready(connector: ConnectorDef, found: Integration | None) -> bool:
    """Whether asking makes sense: it is on, and somewhere."""
    return is_on(connector, found) and (mode_of(connector, found) == "stub" or bool(found is not None and found.settings.get("url")))


async def connection_of(tenant_id: UUID, key: str) -> Integration | None:
    async with tenant_transaction(tenant_id, only_reads=True) as conn:
        return await connection_in(conn, tenant_id, key)


async def connection_in(conn: Any, tenant_id: UUID, key: str) -> Integration | None:
    try:
        return await get_integration(conn, tenant_id, KIND, key=key)
    except NotFound:
        return None


async def ensure(conn: Any, ctx: Context, connector: ConnectorDef, name: str) -> Integration:
    """The connection a log can be kept for."""
    found = await connection_in(conn, ctx.tenant_id, connector.key)
    if found is None:
        await save_integration(conn, ctx.tenant_id, KIND, connector.key, name, {})
        found = await get_integration(conn, ctx.tenant_id, KIND, key=connector.key)
    return found


async def ask(
    ctx: Context, connector: ConnectorDef, found: Integration | None, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None, key: str = "",
    timeout_seconds: float = outbound.TIMEOUT_SECONDS,
) -> Any:  # fmt: skip
    """The answer's JSON. `path` follows the connector's address; names in braces are taken from `query`, whose rest stands behind it.
    `key` is the same whenever the same request is made again. Raises NoAnswer; RuntimeError inside a transaction."""
    await let_go()  # no connection is held while somebody else is waited for
    if leads_elsewhere(path, query or {}):
        raise NoAnswer(ODD_PATH, for_good=True)
    if not is_on(connector, found):
        raise NoAnswer(OFF, for_good=True)
    if mode_of(connector, found) == "stub":
        return await samples.answer(ctx, connector, method, path, query or {}, body, key)
    if found is None or not found.settings.get("url"):
        raise NoAnswer(UNSET, for_good=True)
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() if body is not None else b""
    headers = {
        "accept": "application/json", "user-agent": "saas-connector", **({"content-type": "application/json"} if content else {}), **({"idempotency-key": key} if key else {}),
        **auth_headers(str(found.settings.get("auth") or "bearer"), found, content),
    }  # fmt: skip
    try:
        answer = await outbound.request(
            method, address(str(found.settings["url"]), path, query or {}), settings=current_database().settings, headers=headers, content=content, max_bytes=MOST_BYTES, timeout_seconds=timeout_seconds,
        )  # fmt: skip
    except outbound.OutboundFailed as error:
        raise NoAnswer(outbound.REASONS[error.reason], for_good=error.for_good) from error
    said = answer.content[:300].decode("utf-8", "replace")
    if not answer.is_good:
        fixed = answer.status in FIXED
        raise NoAnswer(REFUSED if 400 <= answer.status < 500 and answer.status not in LATER else TROUBLE, for_good=fixed, status=answer.status, reply=said)
    try:
        return json.loads(answer.content or b"null")
    except (ValueError, RecursionError) as error:
        raise NoAnswer(NOT_JSON, for_good=method != "GET", status=answer.status, reply=said) from error


def address(base: str, path: str, query: Mapping[str, Any]) -> str:
    """Where a request goes."""
    inside = set(_NAMED.findall(path))
    filled = _NAMED.sub(lambda found: quote(_text(query.get(found[1])), safe=""), path)
    rest = {name: _text(value) for name, value in query.items() if name not in inside and value is not None}
    return base.rstrip("/") + filled + (f"?{urlencode(rest)}" if rest else "")


def leads_elsewhere(path: str, query: Mapping[str, Any]) -> bool:
    """Whether a value in a path is one of the names that stand for another place."""
    filled = (_NAMED.sub(lambda found: _text(query.get(found[1])), part) for part in path.split("/") if _NAMED.search(part))
    return any(name.strip() in (".", "..") for text in filled for name in re.split(r"[/\\]", text))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
