"""Somebody else's system: a small HTTP server that keeps the keys it has seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass(slots=True)
class Receiver:
    """`answer` gives the status for a request; `effects` are what it did, once a key."""

    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    effects: dict[str, Asked] = field(default_factory=dict)
    answer: Callable[[Asked], str] = lambda _asked: "200 OK"
    content: Callable[[Asked], str] = lambda _asked: "seen"  # of an answer
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = (await reader.readexactly(int(headers.get("content-length", 0)))).decode()
        method, path, _ = first.split(" ", 2)
        found = Asked(method, path, headers, body)
        self.asked.append(found)
        status = self.answer(found)
        if status.startswith("2") and "idempotency-key" in headers:
            self.effects.setdefault(headers["idempotency-key"], found)
        self.arrived.set()
        more = "retry-after: 900\r\n" if status.startswith("429") else ""
        content = self.content(found).encode()
        writer.write(f"HTTP/1.1 {status}\r\n{more}content-length: {len(content)}\r\nconnection: close\r\n\r\n".encode() + content)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    found = Receiver()
    server = await asyncio.start_server(found.handle, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    async with server:
        yield found
