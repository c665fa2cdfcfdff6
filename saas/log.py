"""One event a line on stderr: a dotted past-tense name, fields, and whose request or job it was. JSON, or readable on a terminal.

Never values of records, passwords, tokens, addresses, query strings or e-mail addresses. Messages of exceptions are left out of JSON,
because the database and the interpreter put values into them; where and what kind they are is told.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec
import structlog

from saas.observe.seen import seen
from saas.settings import Settings

_HIDDEN = ("password", "token", "secret", "authorization", "cookie", "values", "email", "database_url", "dsn")
_FRAMES = 25  # the innermost ones of a traceback
# What an exception says of itself that is a name of ours or a code, never a value.
_TELLING = ("sqlstate", "constraint_name", "table_name", "column_name", "data_type_name", "code", "status", "errno")
_CODE = re.compile(r"[A-Za-z0-9_]{1,60}")
_LEVELS = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warning", logging.ERROR: "error"}
_requests = logging.getLogger("saas.request")


def get_logger(name: str = "saas") -> Any:
    return structlog.get_logger(name)


def bind_context(**fields: Any) -> None:
    """Add fields to every event of this context."""
    structlog.contextvars.bind_contextvars(**fields)


def clear_context() -> None:
    structlog.contextvars.clear_contextvars()


def configure_logging(level: str = "INFO", stream: TextIO | None = None, *, form: str = "auto", full_errors: bool = False) -> None:
    """Once, at the start of a process. Libraries that use `logging` come out in the same form, from WARNING on and with the first line of
    what they say. `form`: json, text, or auto, which is text on a terminal. `full_errors`: exceptions with their messages, which may
    hold values."""
    stream = stream or sys.stderr
    readable = form == "text" or (form == "auto" and stream.isatty())
    before = [
        structlog.contextvars.merge_contextvars,
        _add_seen,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
    ]
    structlog.configure(
        processors=[*before, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    last: list[Any]
    if readable:
        last = [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)]
    else:
        last = [structlog.processors.format_exc_info if full_errors else _tell_exception, structlog.processors.JSONRenderer(default=str, ensure_ascii=False)]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_first_line, *before], processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.getLevelNamesMapping()[level], logging.WARNING))
    logging.getLogger("saas").setLevel(level)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(level)
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    _lines.clear()
    if not readable:
        _lines.append(handler)


def log_as(settings: Settings, *, level: str = "") -> None:
    """As the environment says; `level` goes before it."""
    configure_logging(level or settings.log_level, form=settings.log_format, full_errors=settings.log_errors == "full")


_lines: list[logging.StreamHandler] = []  # where finished lines may be written at once


def request_ended(level: int, **fields: Any) -> None:
    """One line for each request. It is written without the detour that other events take, because there are so many of them."""
    if not _requests.isEnabledFor(level):
        return
    if not _lines:
        get_logger("saas.request").log(level, "request.ended", **fields)
        return
    what = seen()
    line = {"event": "request.ended", **(what.known() if what else {}), **fields, "level": _LEVELS.get(level, "info"), "logger": "saas.request", "timestamp": datetime.now(UTC)}
    text = msgspec.json.encode(line).decode() + "\n"
    handler = _lines[0]
    handler.acquire()
    try:
        handler.stream.write(text)
        handler.stream.flush()
    except ValueError:  # the stream was closed while the process ends
        pass
    finally:
        handler.release()


def hide_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last line of defence: a field whose name says secret is never written, however deep it lies."""
    return {key: _hidden(key, value) for key, value in event.items()}


def _hidden(key: str, value: Any) -> Any:
    if any(word in key.lower() for word in _HIDDEN):
        return "[hidden]"
    if isinstance(value, dict):
        return {str(inner): _hidden(str(inner), deep) for inner, deep in value.items()}
    return value


def _add_seen(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    what = seen()
    return {**what.fields(), **event} if what is not None else event


def _first_line(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """asyncio puts the exception with its message into the lines below the first."""
    event["event"] = str(event.get("event", "")).partition("\n")[0]
    return event


def _tell_exception(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else sys.exc_info()[1] if given else None
    if error is not None:
        event["exception"] = told(error)
    return event


def told(error: BaseException) -> list[dict[str, Any]]:
    """An exception and what caused it, innermost first: kind, codes, places in the source. Without messages."""
    found: list[dict[str, Any]] = []
    known: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in known and len(found) < 8:
        known.add(id(current))
        found.insert(0, _one(current))
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return found


def _one(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    codes: Mapping[str, str] = {name: str(value) for name in _TELLING if _CODE.fullmatch(str(value := getattr(error, name, None))) and value is not None}
    inner = [_one(part) for part in error.exceptions[:3]] if isinstance(error, BaseExceptionGroup) else []
    return {
        "kind": f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins."), **codes,
        "at": [f"{frame.filename.rpartition('/saas/')[2] if '/saas/' in frame.filename else frame.filename.rpartition('site-packages/')[2]}:{frame.lineno} {frame.name}" for frame in frames],
        **({"group": inner} if inner else {}),
    }  # fmt: skip
