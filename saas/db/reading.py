"""What one request may read from a replica, and the counting of its statements. Both live in the context of the request.

A request that only reads (GET) is answered by the replica once its session is known and the replica has replayed what this
session wrote last. Whatever goes wrong there is no error for anybody: the request is done again on the primary (saas.ui).
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from saas.db import fair
from saas.db.engine import DB
from saas.observe import statements

_counter: ContextVar[list[int] | None] = ContextVar("statements", default=None)
_reading: ContextVar[Reading | None] = ContextVar("reading", default=None)
_along: ContextVar[list[str] | None] = ContextVar("along", default=None)
_BEGIN = "BEGIN;"  # as asyncpg writes it
# What may have written. Too many matches (FOR UPDATE, a column's name) only cost a mark; none is missed.
_WRITES = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE|TRUNCATE)\b", re.IGNORECASE)
# The replica refuses to write, or takes rows away that the primary has cleaned up while they were being read.
_REFUSALS = (asyncpg.ReadOnlySQLTransactionError, asyncpg.ObjectNotInPrerequisiteStateError, asyncpg.SerializationError)


@dataclass(slots=True)
class Reading:
    """One request. `safe`: it only reads. `session_id` and `writes` (how many transactions of this session wrote so far, as the
    primary says) become known with its session; before that, and once it `stays`, the primary is asked."""

    safe: bool
    tenant_id: UUID | None = None
    session_id: UUID | None = None
    writes: int = 0
    stays: bool = False
    failed: str = ""  # why the replica could not answer; what was made of it must not be shown

    def fail(self, reason: str) -> None:
        self.failed, self.stays = self.failed or reason, True


@contextmanager
def request_reads(*, safe: bool) -> Iterator[Reading]:
    """The frame of one request in a process that has replicas."""
    reading = Reading(safe)
    token = _reading.set(reading)
    try:
        yield reading
    finally:
        _reading.reset(token)


def reading() -> Reading | None:
    """The request of this context; None where there are no replicas, or no request."""
    return _reading.get()


def session_known(tenant_id: UUID, session_id: UUID, writes: int) -> None:
    """Said by the query that finds the session, which always asks the primary."""
    found = _reading.get()
    if found is not None:
        found.tenant_id, found.session_id, found.writes = tenant_id, session_id, writes


@contextmanager
def primary() -> Iterator[None]:
    """What is read inside comes from the primary; inside a transaction on the replica, the whole request will."""
    found, scope = _reading.get(), DB.current_transaction.get()
    if found is not None and scope is not None and not scope.is_closed and scope.on_replica:
        found.fail("primary")
    token = _reading.set(None)
    try:
        yield
    finally:
        _reading.reset(token)


# ---- counting ------------------------------------------------------------------------------------------------------------


@contextmanager
def count_queries() -> Iterator[None]:
    """Start counting at zero for this context, e.g. for one request; who counts already counts these, too."""
    before = _counter.get()
    own = [0]
    _counter.set(own)
    try:
        yield
    finally:
        _counter.set(before)
        if before is not None:
            before[0] += own[0]


def begin_counting() -> tuple[Any, list[int] | None]:
    """`count_queries` for whoever cannot have a `with`; what it gives belongs to `end_counting`."""
    before = _counter.get()
    return _counter.set([0]), before


def end_counting(begun: tuple[Any, list[int] | None]) -> int:
    """How many there were."""
    token, before = begun
    count = query_count()
    _counter.reset(token)
    if before is not None:
        before[0] += count
    return count


def query_count() -> int:
    """Statements sent since `count_queries` began; the frame of a transaction (begin, setting, commit) is not counted."""
    counter = _counter.get()
    return counter[0] if counter else 0


@contextmanager
def uncounted() -> Iterator[None]:
    """Statements of the frame of a transaction."""
    counter = _counter.get()
    counted = counter[0] if counter else 0
    try:
        yield
    finally:
        if counter:
            counter[0] = counted


def _counted(method: Any) -> Any:
    @functools.wraps(method)
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        counter = _counter.get()
        if counter is not None:
            counter[0] += 1
        query = args[0]
        if not isinstance(query, str) or statements.is_frame(query):
            return await _asked(method, self, args, kwargs)
        if fair.is_contended():
            await fair.give_way()
        began = time.perf_counter()
        try:
            result = await _asked(method, self, args, kwargs)
        except BaseException:
            statements.ended(query, began, None, failed=True)
            raise
        statements.ended(query, began, result)
        return result

    return call


def _asked(method: Any, connection: Any, args: Any, kwargs: Any) -> Any:
    return method(connection, *args, **kwargs) if _reading.get() is None else _watched(method, connection, *args, **kwargs)


async def _watched(method: Any, connection: Any, query: str, *args: Any, **kwargs: Any) -> Any:
    scope = DB.current_transaction.get()
    if scope is None or scope.is_closed:
        return await method(connection, query, *args, **kwargs)
    if _WRITES.search(query):
        scope.has_written = True
    try:
        return await method(connection, query, *args, **kwargs)
    except _REFUSALS as error:
        if scope.on_replica and (found := _reading.get()) is not None:
            found.fail("writes" if isinstance(error, asyncpg.ReadOnlySQLTransactionError) else "conflict")
        raise


@contextmanager
def right_after(statements: Sequence[str]) -> Iterator[None]:
    """The first statement inside, a BEGIN, takes these along: one trip to the server instead of several."""
    waiting = list(statements)
    token = _along.set(waiting)
    try:
        yield
        if waiting:  # limits would be missing
            raise RuntimeError("no transaction was begun")
    finally:
        _along.reset(token)


async def _execute(self: Any, query: str, *args: Any, **kwargs: Any) -> Any:
    waiting = _along.get()
    if waiting and query == _BEGIN:
        query += "; ".join(waiting)
        waiting.clear()
    return await asyncpg.Connection.execute(self, query, *args, **kwargs)


class CountingConnection(asyncpg.Connection):
    """asyncpg's connection, counting the statements of its context."""

    execute = _counted(_execute)
    executemany = _counted(asyncpg.Connection.executemany)
    fetch = _counted(asyncpg.Connection.fetch)
    fetchrow = _counted(asyncpg.Connection.fetchrow)
    fetchval = _counted(asyncpg.Connection.fetchval)
    fetchmany = _counted(asyncpg.Connection.fetchmany)
