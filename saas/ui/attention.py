"""How much of the database a request may use: how long its statements may take, and none at all once nobody waits for the answer."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Request
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from saas.db import limits
from saas.log import get_logger
from saas.observe.seen import seen

log = get_logger(__name__)
# Requests that are answered sooner, nearly all, never start to watch their connection.
WATCH_AFTER_SECONDS = 0.2
READS = ("GET", "HEAD")


async def choose_limit(request: Request) -> None:
    """Called before each handler: notes the pattern of its address, waits for its turn if it takes long. In its task (a plain function would be run in another thread). One that takes another kind of time than its method says so: `@get(path, limit="report")`."""
    kind = request.route_handler.opt.get("limit")
    what = seen()
    if what is not None:
        what.route = request.scope["path_template"]
    if kind is None:
        kind = "write" if request.method not in READS else "api" if request.scope["path"].startswith("/api/") else "page"
    elif what is not None and what.turn is not None:
        await what.turn.slow()
    limits.limit_statements(kind)


class AbandonedReads:
    """Ends a read, and the query it is in, when the browser has gone away before the answer began: the tab was closed, another
    filter was typed. Writes are never ended: who saved and left wants it saved. An answer that has begun ends itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in READS:
            await self.app(scope, receive, send)
            return
        first = await receive()  # there at once: a read has no body to wait for
        if first["type"] != "http.request" or first.get("more_body"):
            await self.app(scope, _after([first], receive), send)
            return
        await _Watch(scope, first, receive, send).run(self.app)


class _Watch:
    """One read. From `WATCH_AFTER_SECONDS` on a task waits for the end of the connection, in the application's stead."""

    def __init__(self, scope: Scope, first: Message, receive: Receive, send: Send) -> None:
        self.scope, self.first, self.real_receive, self.real_send = scope, first, receive, send
        self.has_begun = self.is_abandoned = False
        self.watching: asyncio.Task[None] | None = None
        self.reader: Any = None

    async def run(self, app: ASGIApp) -> None:
        loop = asyncio.get_running_loop()
        self.reader = asyncio.current_task()
        timer = loop.call_later(WATCH_AFTER_SECONDS, self._begin)
        try:
            await app(self.scope, self._receive, self._send)
        except asyncio.CancelledError:
            if not self.is_abandoned:
                raise  # the server itself is ending
            self.reader.uncancel()
            log.info("request.abandoned")
        finally:
            self.reader = None  # from here on nothing is left to cancel
            timer.cancel()
            if self.watching is not None:
                self.watching.cancel()

    def _begin(self) -> None:
        if self.watching is None and self.reader is not None:
            self.watching = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while (await self.real_receive())["type"] != "http.disconnect":
            pass
        if self.reader is not None and not self.has_begun:
            self.is_abandoned = True
            self.reader.cancel()

    async def _receive(self) -> Message:
        """What the application hears: the request, then nothing until the connection ends."""
        if self.first is not None:
            message, self.first = self.first, None  # type: ignore[assignment]
            return message
        self._begin()
        assert self.watching is not None
        await asyncio.wait([self.watching])
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.has_begun = True
        await self.real_send(message)


def _after(messages: list[Message], receive: Receive) -> Receive:
    """These messages first, then what comes."""

    async def following() -> Message:
        return messages.pop(0) if messages else await receive()

    return following
