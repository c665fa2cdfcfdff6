"""Who may read the metrics, and the little application that tells those of a worker."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from litestar.types import ASGIApp, Receive, Scope, Send
from prometheus_client import CONTENT_TYPE_LATEST

from saas.observe import metrics
from saas.settings import Settings
from saas.tenants import health

_HERE = ("127.0.0.1", "::1")
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")


def may_read(headers: Mapping[str, str], client: str, settings: Settings) -> bool:
    """With SAAS_METRICS_TOKEN: whoever sends it as a bearer token, by whatever address. Without: only who asks this machine, from this
    machine, by its own name (on a developer's machine by any), and not through a proxy."""
    if settings.metrics_token:
        return hmac.compare_digest(headers.get("authorization", "").encode(), f"Bearer {settings.metrics_token}".encode())
    host = headers.get("host", "").strip("[]").rsplit(":", 1)[0].strip("[]") if not headers.get("host", "").endswith("]") else headers["host"].strip("[]")
    return client in _HERE and (settings.is_local or host in (*_HERE, "localhost")) and not any(name in headers for name in _FORWARDED)


async def figures() -> bytes:
    """What Prometheus reads."""
    return metrics.text(await health.figures())


def worker_app(settings: Settings) -> ASGIApp:
    """`/metrics` and `/healthz` of a worker."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        status, body, kind = 404, b"", "text/plain"
        if scope["path"] == "/healthz":
            status, body, kind = 200, b'{"status":"ok"}', "application/json"
        elif scope["path"] == "/metrics" and may_read(headers, (scope.get("client") or ("", 0))[0], settings):
            status, body, kind = 200, await figures(), CONTENT_TYPE_LATEST
        sent = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return answer
