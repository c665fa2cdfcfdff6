"""What is told of a statement that was sent to the database: its name and fingerprint, never a value.

A statement's name is its verb and its first table ("select record"); its fingerprint belongs to the text without what stands in it as a
constant. Both are made once for a text, and only when somebody wants them: for a slow statement or a trace.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from saas.log import get_logger
from saas.observe import metrics, tracing
from saas.observe.seen import Seen, seen

log = get_logger(__name__)
DEFAULT_MS = 500.0
MOST_WAITING = 500  # slow statements of this process that were not stored yet
_FRAME = ("BEGIN", "COMMIT", "ROLLBACK", "SET ", "SAVEPOINT", "RELEASE")
_DOLLARS = re.compile(r"\$([A-Za-z_]\w*)?\$.*?\$\1\$", re.DOTALL)
_STRINGS = re.compile(r"\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'", re.DOTALL)
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_NUMBERS = re.compile(r"(?<![\w$.])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b")
_ODD_NAMES = re.compile(r'"(?![a-z_][a-z0-9_]*")(?:[^"]|"")*"')
_LISTS = re.compile(r"\?(?:\s*,\s*\?)+")
_VERB = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|MERGE|EXPLAIN|COPY|LOCK|NOTIFY|LISTEN|CREATE|DROP|ANALYZE)\b", re.IGNORECASE)
# Not functions ("FROM unnest("), not "extract(epoch FROM at)", not "DO UPDATE SET".
_TABLE = re.compile(r"\bINTO\s+([a-z_][a-z0-9_]*)|\b(?:FROM|UPDATE|JOIN)\s+(?:ONLY\s+)?(?!SET\b|SKIP\b|OF\b)([a-z_][a-z0-9_]*)(?!\w|\s*[()-])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Name:
    """`text`: without constants, at most 4,000 characters."""

    name: str
    fingerprint: str
    text: str


@dataclass(frozen=True, slots=True)
class Slow:
    """One statement that took long. `at`: seconds of the epoch."""

    tenant_id: UUID
    at: float
    name: Name
    milliseconds: float
    rows: int | None
    route: str
    request_id: str
    failed: bool


@dataclass(slots=True)
class _Threshold:
    seconds: float = DEFAULT_MS / 1000


_threshold = _Threshold()
_waiting: deque[Slow] = deque(maxlen=MOST_WAITING)


def slow_from(milliseconds: float) -> None:
    """Statements that take longer are told of. 0: every one."""
    _threshold.seconds = milliseconds / 1000


@lru_cache(maxsize=4096)
def name_of(query: str) -> Name:
    """What may be told of a statement."""
    text = _COMMENTS.sub(" ", _STRINGS.sub("?", _DOLLARS.sub("?", query)))
    text = _LISTS.sub("?", _NUMBERS.sub("?", _ODD_NAMES.sub('"?"', text)))
    text = " ".join(text.split())
    verb, table = _VERB.search(text), _TABLE.search(text)
    name = " ".join([verb[1].lower() if verb else "other", *([(table[1] or table[2]).lower()] if table else [])])
    return Name(name, hashlib.sha256(text.encode()).hexdigest()[:12], text[:4000])


def is_frame(query: str) -> bool:
    """Begin, settings and commit: part of every transaction, and not counted."""
    return query.startswith(_FRAME)


def ended(query: str, began: float, result: Any, *, failed: bool = False) -> None:
    """After each statement. `began`: of time.perf_counter."""
    seconds = time.perf_counter() - began
    what = seen()
    origin = what.kind if what is not None else "other"
    metrics.query_took[origin](seconds)
    if tracing.is_on():
        tracing.statement(name_of(query), seconds, failed=failed)
    if seconds >= _threshold.seconds:
        _slow(query, seconds, result, what, origin, failed=failed)


def _slow(query: str, seconds: float, result: Any, what: Seen | None, origin: str, *, failed: bool) -> None:
    name, rows = name_of(query), rows_of(result)
    milliseconds = round(seconds * 1000, 1)
    metrics.slow_queries.labels(origin).inc()
    log.warning("query.slow", statement=name.name, fingerprint=name.fingerprint, ms=milliseconds, rows=rows, failed=failed)
    if what is not None and what.tenant_id is not None:
        _waiting.append(Slow(what.tenant_id, time.time(), name, milliseconds, rows, what.route, what.request_id, failed))


def rows_of(result: Any) -> int | None:
    """How many rows a statement gave or wrote, if its result tells."""
    if isinstance(result, list):
        return len(result)
    if isinstance(result, str):
        number = result.rpartition(" ")[2]
        return int(number) if number.isdigit() else None
    return None if result is None else 1


def take_slow() -> list[Slow]:
    """Those not stored yet, oldest first; of more than MOST_WAITING the newest."""
    found = list(_waiting)
    _waiting.clear()
    return found
