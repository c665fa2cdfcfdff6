"""What is seen of each request: its line in the log, its measures, its span, and its tenant's turn (saas.db.fair)."""

from __future__ import annotations

import logging
import time
from typing import Any
from uuid import UUID

from litestar.types import Message, Receive, Send

from saas.db.fair import Turn
from saas.db.reading import begin_counting, end_counting
from saas.log import request_ended
from saas.observe import metrics, seen, tracing
from saas.observe.seen import Seen
from saas.tenants import traffic

UNMATCHED = "unmatched"  # no handler was reached: such addresses are anybody's text
ABANDONED = 499  # the browser left before the answer began
HELD_BYTES = 262_144  # of a body, before its turn
_BODILESS = ("GET", "HEAD", "OPTIONS")
_QUIET = frozenset(("/static/{name}", "/healthz", "/readyz", "/metrics"))


class Watched:
    """One request. `what.route` is set when a handler is found (saas.ui.attention)."""

    __slots__ = ("_began", "_counting", "_is_whole", "_method", "_receive", "_seeing", "_span", "_told", "_turn", "status", "what")

    def __init__(self, method: str, request_id: str, traceparent: str, receive: Receive) -> None:
        self.what = Seen("request", request_id)
        self.status = 0
        self._method, self._receive, self._is_whole = method, receive, method in _BODILESS
        self._span = tracing.span(self.what, "request", link=traceparent) if tracing.is_on() else None
        self._told: list[Message] = []  # read before the request's turn, in their order
        self._turn: Turn | None = None

    def __enter__(self) -> Watched:
        self._began = time.perf_counter()
        self._seeing, self._counting = seen.begin(self.what), begin_counting()
        if self._span is not None:
            self._span.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if self._turn is not None:
            self._turn.close()
        if error is not None:
            self.status = self.status or 500
        _tell(self, self._method, time.perf_counter() - self._began, end_counting(self._counting))
        if self._span is not None:
            self._span.__exit__(None, None, None)
        seen.end(self._seeing)

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
            await turn.enter(again=True)

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


def _tell(watched: Watched, method: str, seconds: float, queries: int) -> None:
    what, status = watched.what, watched.status or ABANDONED
    what.route = what.route or UNMATCHED
    metrics.request_ended(what.route, method, status, seconds)
    tracing.answered(what, method, status, queries)
    if what.tenant_id is not None and what.route not in _QUIET:
        traffic.note(what.tenant_id, method=method, route=what.route, status=status, seconds=seconds, request_id=what.request_id)
    level = logging.DEBUG if what.route in _QUIET and status < 500 else logging.ERROR if status == 500 else logging.WARNING if status > 500 else logging.INFO
    request_ended(level, method=method, status=status, ms=round(seconds * 1000, 1), queries=queries)
