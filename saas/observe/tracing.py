"""Traces by OpenTelemetry, where OTEL_EXPORTER_OTLP_ENDPOINT is set: a span for each request, job and statement. Without it nothing is
imported, and all that is left is a look at one variable.

Installed by `pip install saas[otel]`. The exporter, its address, headers and sampling are told by OpenTelemetry's own variables.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from saas.log import get_logger
from saas.observe.seen import Seen, seen
from saas.settings import traced_as

if TYPE_CHECKING:
    from saas.observe.statements import Name

log = get_logger(__name__)
_tracer: Any = None
_provider: Any = None


def is_on() -> bool:
    return _tracer is not None


def start(service: str = "saas") -> None:
    """Begin to trace if the environment says where to; once a process. Errors: RuntimeError without the libraries."""
    global _tracer, _provider
    name = traced_as(service)
    if _tracer is not None or name is None:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise RuntimeError("OTEL_EXPORTER_OTLP_ENDPOINT is set, but the libraries are not installed: pip install 'saas[otel]'") from error
    _provider = TracerProvider(resource=Resource.create({"service.name": name}))
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = _provider.get_tracer("saas")
    log.info("traces.started")


def stop() -> None:
    """Send what waits, and end."""
    global _tracer, _provider
    if _provider is not None:
        _provider.shutdown()
    _tracer = _provider = None


def flush() -> None:
    if _provider is not None:
        _provider.force_flush()


@contextmanager
def span(what: Seen, name: str, *, link: str = "") -> Iterator[None]:
    """The span of a request or job, into `what.span`. `link`: the traceparent of what caused it, which may be somebody else's."""
    if _tracer is None:
        yield
        return
    from opentelemetry.trace import SpanKind

    kind = SpanKind.SERVER if what.kind == "request" else SpanKind.CONSUMER
    what.span = _tracer.start_span(name, kind=kind, links=_links(link))
    try:
        yield
    finally:
        for key, value in what.fields().items():
            what.span.set_attribute(f"saas.{key}", value)
        what.span.end()


def answered(what: Seen, method: str, status: int, queries: int) -> None:
    """What is known of a request when it is over."""
    if what.span is None:
        return
    what.span.update_name(f"{method} {what.route}")
    for key, value in (("http.request.method", method), ("http.route", what.route), ("http.response.status_code", status), ("saas.queries", queries)):
        what.span.set_attribute(key, value)
    if status >= 500:
        _failed(what.span)


def worked(what: Seen, outcome: str) -> None:
    """How a job's attempt ended."""
    if what.span is None:
        return
    what.span.set_attribute("saas.outcome", outcome)
    if outcome in ("failed", "crashed"):
        _failed(what.span)


def statement(name: Name, seconds: float, *, failed: bool) -> None:
    """A statement that has just ended, inside the request or job of this context; others are left out."""
    what = seen()
    if what is None or what.span is None:
        return
    from opentelemetry.trace import SpanKind, set_span_in_context

    until = time.time_ns()
    made = _tracer.start_span(
        name.name, context=set_span_in_context(what.span), kind=SpanKind.CLIENT, start_time=until - int(seconds * 1e9),
        attributes={"db.system.name": "postgresql", "db.query.summary": name.name, "saas.fingerprint": name.fingerprint},
    )  # fmt: skip
    if failed:
        _failed(made)
    made.end(until)


def traceparent() -> str:
    """Of the span of this context, for what it causes; empty without one (W3C Trace Context)."""
    what = seen()
    if what is None or what.span is None:
        return ""
    found = what.span.get_span_context()
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{int(found.trace_flags):02x}"


def _links(text: str) -> list[Any]:
    from opentelemetry.trace import Link, SpanContext, TraceFlags

    parts = text.split("-")
    try:
        trace_id, span_id, flags = int(parts[1], 16), int(parts[2], 16), int(parts[3][:2], 16)
    except (IndexError, ValueError):
        return []
    found = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    return [Link(found)] if found.is_valid and len(parts[1]) == 32 and len(parts[2]) == 16 else []


def _failed(span: Any) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_status(Status(StatusCode.ERROR))
