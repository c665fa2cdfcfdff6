"""A log that is read, statements that all count as slow, and a listener that takes traces."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio

from saas.log import configure_logging
from saas.observe import statements, tracing


class Written:
    """What stands in the log, as text and by event."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, self.text.splitlines()) if line["event"] == name]


@pytest.fixture
def written() -> Iterator[Written]:
    root, ours = logging.getLogger(), logging.getLogger("saas")
    before = root.handlers[:], root.level, ours.level
    found = Written()
    configure_logging("DEBUG", found.stream)
    yield found
    configure_logging("WARNING", io.StringIO())
    root.handlers[:], root.level, ours.level = before[0], before[1], before[2]


@pytest.fixture
def all_slow() -> Iterator[None]:
    statements.take_slow()
    statements.slow_from(0)
    yield
    statements.slow_from(statements.DEFAULT_MS)
    statements.take_slow()


class Listener:
    """An OTLP receiver: real HTTP, the protocol's own messages."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.port = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                assert head.startswith(b"post /v1/traces ")
                [length] = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")]
                self.bodies.append(await reader.readexactly(length))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def spans(self) -> list[Any]:
        """All that were sent so far."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        await asyncio.to_thread(tracing.flush)
        found = []
        for body in self.bodies:
            request = ExportTraceServiceRequest()
            request.ParseFromString(body)
            found += [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
        return found


@pytest_asyncio.fixture
async def traces(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Listener]:
    listener = Listener()
    server = await asyncio.start_server(listener, "127.0.0.1", 0)
    listener.port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{listener.port}")
    tracing.start()
    yield listener
    await asyncio.to_thread(tracing.stop)
    server.close()


def attributes(span: Any) -> dict[str, Any]:
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


Make = Callable[..., Any]
