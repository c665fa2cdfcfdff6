"""What is seen of each request: its line in the log, its measures, its span, and its tenant's turn (saas.db.fair)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from litestar.types import Message, Receive, Send

from saas.db import count_queries, query_count
from saas.db.fair import Turn
from saas.log import request_ended
from saas.observe import metrics, tracing
from saas.observe.seen import Seen, seeing

UNMATCHED = "unmatched"  # no handler was reached: such addresses are anybody's text
ABANDONED = 499  # the browser left before the answer began
HELD_BYTES = 262_144  # of a body, before its turn
_BODILESS = ("GET", "HEAD", "OPTIONS")
_QUIET = frozenset(("/static/{name}", "/healthz", "/readyz", "/metrics"))


class Watched:
    """One request. `what.route` is set when a handler is found (saas.ui.attention)."""

    __slots__ = ("_is_whole", "_receive", "_told", "_turn", "status", "what")

    def __init__(self, what: Seen, receive: Receive, *, has_body: bool) -> None:
        self.what = what
        self.status = 0
        self._receive, self._is_whole = receive, not has_body
        self._told: list[Message] = []  # read before the request's turn, in their order
        self._turn: Turn | None = None

    async def turn_of(self, tenant_id: UUID) -> None:
        """Wait for the turn of this request among its tenant's. What it sends is read before, so that a slow sender takes nobody's place.
        Errors: TooManyRequests."""
        self.what.tenant_id = tenant_id
        room = HELD_BYTES
        while not self._is_whole and room > 0:
            message = await self._next()
            self._told.append(message)
            room -= len(message.get("body", b""))
        self._told.reverse()
        self._turn = self.what.turn = Turn(tenant_id)
        await self._turn.enter()

    async def receive(self) -> Message:
        """For the application. The rest of a large body is waited for without a place."""
        if self._told:
            return self._told.pop()
        turn = self._turn
        if self._is_whole or turn is None or not turn.is_held:
            return await self._next()
        turn.leave()
        try:
            return await self._next()
        finally:
            await turn.enter()

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body"):
            self._is_whole = True
        return message

    def answer(self, send: Send) -> Send:
        """Notes the status. An answer in several parts waits for a slow reader, and keeps no place for that."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
            elif message.get("more_body") and self._turn is not None:
                self._turn.close()
            await send(message)

        return sent

    def close(self) -> None:
        if self._turn is not None:
            self._turn.close()


@contextmanager
def request(method: str, request_id: str, traceparent: str, receive: Receive) -> Iterator[Watched]:
    """The frame of one request."""
    what = Seen("request", request_id)
    watched = Watched(what, receive, has_body=method not in _BODILESS)
    began = time.perf_counter()
    with seeing(what), tracing.span(what, "request", link=traceparent), count_queries():
        try:
            yield watched
        except BaseException:
            watched.status = watched.status or 500
            raise
        finally:
            watched.close()
            _tell(watched, method, time.perf_counter() - began)


def _tell(watched: Watched, method: str, seconds: float) -> None:
    what, queries, status = watched.what, query_count(), watched.status or ABANDONED
    what.route = what.route or UNMATCHED
    metrics.request_ended(what.route, method, status, seconds)
    tracing.answered(what, method, status, queries)
    level = logging.DEBUG if what.route in _QUIET and status < 500 else logging.ERROR if status == 500 else logging.WARNING if status > 500 else logging.INFO
    request_ended(level, method=method, status=status, ms=round(seconds * 1000, 1), queries=queries)
