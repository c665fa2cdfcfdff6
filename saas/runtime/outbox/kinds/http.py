"""A request to an address that the configuration names. Payload: {"method", "url", "headers"?: {name: text}, "body"?: any JSON or text}."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from saas import outbound
from saas.db import current_database
from saas.i18n import lazy
from saas.runtime.outbox.messages import NotSent, OutboxKind, Sending, outbox_kinds

PATIENCE = (408, 425, 429)  # not now, but later
SHOWN_BYTES = 300  # of an answer
RECEIVED_BYTES = 100_000


@outbox_kinds.register
class Http(OutboxKind):
    key = "http"
    label = lazy("Request")
    icon = "world"
    secret = ("headers",)

    def about(self, payload: Mapping[str, Any]) -> str:
        parts = urlsplit(str(payload.get("url") or ""))
        return f"{payload.get('method', 'POST')} {parts.hostname or ''}{parts.path}"

    async def send(self, message: Sending) -> str:
        payload = message.payload
        headers, content = encoded(payload)
        return await deliver(str(payload.get("method") or "POST"), str(payload["url"]), {**headers, "Idempotency-Key": message.idempotency_key}, content)


def encoded(payload: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
    """Headers and body of a payload: text goes as it is, everything else as JSON."""
    headers = {str(name): str(value) for name, value in (payload.get("headers") or {}).items()}
    body = payload.get("body")
    if body is None:
        return headers, b""
    named = {name.lower() for name in headers}
    kind = "text/plain; charset=utf-8" if isinstance(body, str) else "application/json"
    content = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return {**({} if "content-type" in named else {"Content-Type": kind}), **headers}, content.encode()


async def deliver(method: str, url: str, headers: Mapping[str, str], content: bytes) -> str:
    """Ask, and judge the answer: “200” and what it said, or NotSent. For other kinds that speak HTTP, too."""
    try:
        answer = await outbound.request(method, url, settings=current_database().settings, headers={"User-Agent": "saas-outbox", **headers}, content=content, max_bytes=RECEIVED_BYTES)
    except outbound.OutboundFailed as error:
        raise NotSent(error.message.message, for_good=error.for_good) from error
    said = f"{answer.status} {answer.content[:SHOWN_BYTES].decode('utf-8', 'replace')}".strip()
    if answer.is_good:
        return said
    if answer.status in PATIENCE or answer.status >= 500:
        raise NotSent("busy", said, seconds=_asked(answer.headers.get("retry-after", "")))
    raise NotSent("refused", said, for_good=True)


def _asked(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 9 else None
