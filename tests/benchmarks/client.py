"""An HTTP client that costs next to nothing: one kept connection, blocking, nothing decoded while the clock runs."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

IDLE_SECONDS = 2.0  # servers give up connections that nobody uses


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `page`: as a browser asks, with the session's cookie and compression; else as a program does, with a token."""

    method: str
    path: str
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    page: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    def json(self) -> Any:
        return json.loads(self.body)

    def text(self) -> str:
        if self.headers.get("content-encoding") == "br":
            import brotli

            return brotli.decompress(self.body).decode()
        return self.body.decode()


@dataclass(slots=True)
class Login:
    token: str
    cookie: str
    csrf: str = ""


@dataclass(slots=True)
class Client:
    """Errors: ConnectionError when the server goes away, RuntimeError for an answer that is no success."""

    port: int
    host: str
    login: Login
    timeout: float = 600.0
    _socket: socket.socket | None = field(default=None, repr=False)
    _used: float = 0.0

    def raw(self, ask: Ask) -> bytes:
        lines = [f"{ask.method} {ask.path} HTTP/1.1", f"Host: {self.host}"]
        if ask.page:
            lines += [f"Cookie: session={self.login.cookie}", "Accept-Encoding: br", "Accept: text/html"]
        else:
            lines += [f"Authorization: Bearer {self.login.token}", "Accept: application/json"]
        lines += [f"{name}: {value}" for name, value in ask.headers]
        if ask.body is not None:
            lines.append(f"Content-Length: {len(ask.body)}")
        return "\r\n".join([*lines, "", ""]).encode() + (ask.body or b"")

    def send(self, ask: Ask) -> Answer:
        """Ask and wait for the whole answer; also one that is no success."""
        data = self.raw(ask)
        if time.monotonic() - self._used > IDLE_SECONDS:
            self.close()
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=self.timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.perf_counter()
        self._socket.sendall(data)
        head, rest = self._head()
        status = int(head[9:12])
        headers = {}
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            headers[name.decode().lower()] = value.strip().decode("latin-1")
        body = self._chunks(rest) if headers.get("transfer-encoding") == "chunked" else self._exactly(rest, int(headers.get("content-length", 0)))
        seconds = time.perf_counter() - began
        self._used = time.monotonic()
        if headers.get("connection") == "close":
            self.close()
        return Answer(status, headers, body, seconds)

    def ok(self, ask: Ask) -> Answer:
        answer = self.send(ask)
        if not 200 <= answer.status < 300:
            raise RuntimeError(f"{ask.method} {ask.path}: {answer.status} {answer.body[:500]!r}")
        return answer

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _more(self) -> bytes:
        assert self._socket is not None
        data = self._socket.recv(262_144)
        if not data:
            self.close()
            raise ConnectionError("the server closed the connection")
        return data

    def _head(self) -> tuple[bytes, bytes]:
        data = self._more()
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more()
        return data[:end], data[end + 4 :]

    def _exactly(self, data: bytes, length: int) -> bytes:
        parts, have = [data], len(data)
        while have < length:
            parts.append(self._more())
            have += len(parts[-1])
        return b"".join(parts)

    def _chunks(self, data: bytes) -> bytes:
        body = bytearray()
        while True:
            while (end := data.find(b"\r\n")) < 0:
                data += self._more()
            size, data = int(data[:end].split(b";")[0], 16), data[end + 2 :]
            data = self._exactly(data, size + 2)
            body += data[:size]
            data = data[size + 2 :]
            if not size:
                return bytes(body)


def get(path: str, *, page: bool = False, **query: Any) -> Ask:
    """A query's dicts are sent as JSON."""
    found = {k: json.dumps(v, ensure_ascii=False) if isinstance(v, dict) else v for k, v in query.items() if v is not None}
    return Ask("GET", path + (f"?{urlencode(found, quote_via=quote)}" if found else ""), page=page)


def send(method: str, path: str, content: Any, **headers: str) -> Ask:
    body = json.dumps(content, ensure_ascii=False).encode()
    return Ask(method, path, body, (("Content-Type", "application/json"), *((k.replace("_", "-"), v) for k, v in headers.items())))


def upload(path: str, fields: dict[str, str], name: str, content: bytes) -> Ask:
    """A form with one file."""
    edge = "benchmark-7d1f0c2b"
    parts = [f'--{edge}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode() for key, value in fields.items()]
    head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: application/octet-stream\r\n\r\n'.encode()
    return Ask("POST", path, b"".join(parts) + head + content + f"\r\n--{edge}--\r\n".encode(), (("Content-Type", f"multipart/form-data; boundary={edge}"),))
