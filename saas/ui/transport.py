"""How answers travel: compressed where that pays, and not at all when the reader has them already (ETag, 304).

Measured on pages of 30 to 90 KB: brotli at quality 4 takes 0.3 to 0.6 ms and leaves an eighth; quality 5 takes nearly twice as long for
a tenth less, 9 takes fifty times as long. An ETag takes 0.1 ms, which a 304 wins back by not compressing.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from typing import Any, Protocol

import brotli
from litestar.types import ASGIApp, Message, Receive, Scope, Send

MIN_BYTES = 1000  # with its headers a smaller answer is one packet either way
QUALITY, WINDOW = 4, 18  # of brotli; a window of 256 KB holds any page and spares the megabytes of the usual one
LEVEL = 5  # of gzip, for programs that know nothing else
PACKED = ("text/", "application/json", "application/problem+json", "application/javascript", "image/svg+xml")
# Fragments may be kept by the browser and asked for again each time. Whole pages are not kept: browsers show them from their cache on
# “back” without asking, also after the person has signed out.
KEPT = b"private, no-cache"


class Packer(Protocol):
    def process(self, data: bytes) -> bytes: ...

    def finish(self) -> bytes: ...


class _Gzip:
    def __init__(self) -> None:
        self._inner = zlib.compressobj(LEVEL, zlib.DEFLATED, 31)

    def process(self, data: bytes) -> bytes:
        return self._inner.compress(data) + self._inner.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._inner.flush()


class _Brotli:
    def __init__(self) -> None:
        self._inner = brotli.Compressor(quality=QUALITY, lgwin=WINDOW)

    def process(self, data: bytes) -> bytes:
        return self._inner.process(data) + self._inner.flush()

    def finish(self) -> bytes:
        return self._inner.finish()


_PACKERS: dict[str, tuple[Callable[[bytes], bytes], Callable[[], Packer]]] = {
    "br": (lambda body: brotli.compress(body, quality=QUALITY, lgwin=WINDOW), _Brotli),
    "gzip": (lambda body: _gzip(body), _Gzip),
}


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


def best_encoding(accept: str) -> str:
    """The encoding of ours the client likes: "br", "gzip" or "" for none. One that it refuses (q=0) is not taken."""
    refused, taken = set(), set()
    for part in accept.lower().split(","):
        name, _semicolon, rest = part.partition(";")
        (refused if rest.replace(" ", "") in ("q=0", "q=0.0", "q=0.00", "q=0.000") else taken).add(name.strip())
    return next((name for name in _PACKERS if name in taken or ("*" in taken and name not in refused)), "")


def etag_of(body: bytes) -> bytes:
    """Weak: the same content, however it is packed."""
    return b'W/"' + hashlib.blake2b(body, digest_size=12).hexdigest().encode() + b'"'


class Transport:
    """Around the application: sees each answer before the wire does."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        await self.app(scope, receive, _Answer(scope, send).take)


class _Answer:
    def __init__(self, scope: Any, send: Send) -> None:
        asked = {name: value for name, value in scope["headers"] if name in (b"accept-encoding", b"if-none-match", b"hx-request")}
        self.encoding = best_encoding(asked.get(b"accept-encoding", b"").decode("latin-1"))
        self.known = asked.get(b"if-none-match", b"")
        self.is_fragment = asked.get(b"hx-request") == b"true"
        self.is_read = scope["method"] == "GET"
        self.send = send
        self.start: Any = None
        self.packer: Packer | None = None

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start = message
            return
        if message["type"] != "http.response.body" or self.start is None:
            await self._go_on(message)
            return
        start, self.start = self.start, None
        if message.get("more_body"):
            await self._begin_stream(start, message)
        else:
            await self._whole(start, message)

    async def _whole(self, start: Any, message: Any) -> None:
        headers, body = _Headers(start), message.get("body", b"")
        if self._may_be_known(start, headers, body):
            tag = etag_of(body)
            headers.put(b"etag", tag)
            if self.is_fragment:
                headers.put(b"cache-control", KEPT)
            if self.known and any(part.strip() in (tag, tag[2:], b"*") for part in self.known.split(b",")):
                headers.drop(b"content-length", b"content-type")
                headers.vary()
                start["status"], message["body"] = 304, b""
                await self._both(start, headers, message)
                return
        if len(body) >= MIN_BYTES and headers.is_packable():
            headers.vary()
            if self.encoding:
                message["body"] = _PACKERS[self.encoding][0](body)
                headers.put(b"content-encoding", self.encoding.encode())
                headers.put(b"content-length", str(len(message["body"])).encode())
        await self._both(start, headers, message)

    def _may_be_known(self, start: Any, headers: _Headers, body: bytes) -> bool:
        """Whether the same answer may be given again by saying that it is the same: for fragments of pages and for programs."""
        if not self.is_read or start["status"] != 200 or not body or headers.get(b"etag") or headers.get(b"set-cookie"):
            return False
        kind = headers.get(b"content-type")
        return kind.startswith(b"application/json") or (self.is_fragment and kind.startswith(b"text/html"))

    async def _begin_stream(self, start: Any, message: Any) -> None:
        headers = _Headers(start)
        if headers.is_packable() and not headers.get(b"content-type").startswith(b"text/event-stream"):
            headers.vary()
            if self.encoding:
                self.packer = _PACKERS[self.encoding][1]()
                headers.put(b"content-encoding", self.encoding.encode())
                headers.drop(b"content-length")
        start["headers"] = headers.pairs
        await self.send(start)
        await self._go_on(message)

    async def _go_on(self, message: Any) -> None:
        if self.packer is not None and message["type"] == "http.response.body":
            body = message.get("body", b"")
            packed = self.packer.process(body) if body else b""
            message["body"] = packed if message.get("more_body") else packed + self.packer.finish()
        await self.send(message)

    async def _both(self, start: Any, headers: _Headers, message: Any) -> None:
        start["headers"] = headers.pairs
        await self.send(start)
        await self.send(message)


class _Headers:
    """The headers of an answer that has not begun; names in small letters."""

    def __init__(self, start: Any) -> None:
        self.is_part = start["status"] == 206  # of a file, counted in its own bytes
        self.pairs: list[tuple[bytes, bytes]] = [(name.lower(), value) for name, value in start["headers"]]

    def get(self, name: bytes) -> bytes:
        return next((value for key, value in self.pairs if key == name), b"")

    def drop(self, *names: bytes) -> None:
        self.pairs = [pair for pair in self.pairs if pair[0] not in names]

    def put(self, name: bytes, value: bytes) -> None:
        self.drop(name)
        self.pairs.append((name, value))

    def vary(self) -> None:
        known = self.get(b"vary")
        if b"accept-encoding" not in known.lower():
            self.put(b"vary", known + b", Accept-Encoding" if known else b"Accept-Encoding")

    def is_packable(self) -> bool:
        """Text that is not packed yet. A page's own files are packed once and for all (saas.ui.assets)."""
        return not self.is_part and not self.get(b"content-encoding") and self.get(b"content-type").startswith(tuple(kind.encode() for kind in PACKED))
