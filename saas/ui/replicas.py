"""Requests that only read may be answered by a replica (saas.db.reading). When it turns out that it cannot, because the page
writes after all, or because the replica went away half-way, nothing of that answer is shown: the request is done again on the
primary, and nobody notices but the log."""

from __future__ import annotations

import re

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from saas.db import current_database, is_database_open, request_reads
from saas.log import get_logger
from saas.tenants.support import is_support

log = get_logger(__name__)
_SAFE = ("GET", "HEAD")
_PART = re.compile(r"/(?:[0-9a-fA-F-]{32,36}|\d+)(?=/|\Z)")
_MOST = 500
_writers: set[str] = set()  # addresses whose pages write: not tried again


async def serve(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """One request. Without replicas this is `app` and nothing else."""
    if not is_database_open() or not current_database().has_replicas:
        await app(scope, receive, send)
        return
    kind = _PART.sub("/*", scope["path"])
    safe = scope["method"] in _SAFE and kind not in _writers and not is_support(scope["state"].get("cookies", {}).get("session"))  # each of their looks is noted
    first = _Once(receive)
    held = _Held(send)
    trial = {**scope, "state": dict(scope["state"])} if safe else scope
    with request_reads(safe=safe) as reading:
        held.reading = reading
        await app(trial, first.receive, held.send)  # type: ignore[arg-type]
    if not held.is_dropped:
        return
    log.info("replica.done_again", reason=reading.failed)
    if reading.failed == "writes" and len(_writers) < _MOST:
        _writers.add(kind)
    with request_reads(safe=False):
        await app(scope, first.again().receive, send)


class _Held:
    """Lets an answer through, unless the replica has failed by the time it begins."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._has_begun = False
        self.is_dropped = False
        self.reading = None

    async def send(self, message: Message) -> None:
        if not self._has_begun and not self.is_dropped and message["type"] == "http.response.start":
            self.is_dropped = bool(self.reading and self.reading.failed)
            self._has_begun = not self.is_dropped
        if not self.is_dropped:
            await self._send(message)


class _Once:
    """The request's body is read once from the server; done again, it is told again."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._told: list[Message] = []
        self._waiting: list[Message] = []

    async def receive(self) -> Message:
        if self._waiting:
            return self._waiting.pop(0)
        message = await self._receive()
        if message["type"] == "http.request":
            self._told.append(message)
        return message

    def again(self) -> _Once:
        self._waiting = list(self._told)
        return self
