"""What the database does for the app's own queries: run once under EXPLAIN ANALYZE, as the app's role, in a transaction that only reads."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg

from saas.db.engine import DB
from saas.db.scope import tenant_transaction

# TIMING OFF: reading the clock for every row would take longer than the rows.
_EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) "


@dataclass(frozen=True, slots=True)
class Ran:
    """One query as it really ran. `rows_read` are those looked at in tables or indexes, `pages` of 8 KB."""

    milliseconds: float
    rows_read: int
    pages: int
    indexes: frozenset[str]
    sorts: bool


@dataclass(slots=True)
class Measured:
    """All queries of a piece of work. `is_stopped`: the last one took longer than it might."""

    queries: list[Ran] = field(default_factory=list)
    is_stopped: bool = False

    @property
    def milliseconds(self) -> float:
        return sum(q.milliseconds for q in self.queries)

    @property
    def rows_read(self) -> int:
        return sum(q.rows_read for q in self.queries)


@asynccontextmanager
async def measured(tenant_id: UUID, *, timeout_seconds: float) -> AsyncIterator[Measured]:
    """Everything the app reads inside, through whatever function, is measured: each query runs twice, first explained. A query that
    takes longer than `timeout_seconds` raises what it raises anywhere; the caller sees `is_stopped`.
    Errors: RuntimeError inside a transaction; Unavailable."""
    found = Measured()
    async with tenant_transaction(tenant_id, snapshot=True, timeout_seconds=timeout_seconds) as connection:
        scope = DB.current_transaction.get()
        assert scope is not None
        scope.connection = _Explaining(connection, found)
        try:
            yield found
        finally:
            scope.connection = connection


class _Explaining:
    """A connection that explains each query before it runs it."""

    def __init__(self, connection: Any, found: Measured) -> None:
        self._connection, self._found = connection, found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def fetch(self, sql: str, *args: Any, **more: Any) -> Any:
        return await self._measured(self._connection.fetch, sql, args, more)

    async def fetchrow(self, sql: str, *args: Any, **more: Any) -> Any:
        return await self._measured(self._connection.fetchrow, sql, args, more)

    async def fetchval(self, sql: str, *args: Any, **more: Any) -> Any:
        return await self._measured(self._connection.fetchval, sql, args, more)

    async def _measured(self, run: Any, sql: str, args: Any, more: Mapping[str, Any]) -> Any:
        try:
            if sql.lstrip().lower().startswith(("select", "with")):
                text = await self._connection.fetchval(_EXPLAIN + sql, *args)
                self._found.queries.append(_read(json.loads(text)[0]))
            return await run(sql, *args, **more)
        except asyncpg.QueryCanceledError:
            self._found.is_stopped = True
            raise


def _read(explained: Mapping[str, Any]) -> Ran:
    nodes = list(_nodes(explained["Plan"]))
    top = explained["Plan"]
    return Ran(
        milliseconds=float(explained["Execution Time"]),
        rows_read=sum(_rows(node) for node in nodes if "Relation Name" in node or node["Node Type"] == "Index Only Scan"),
        pages=int(top.get("Shared Hit Blocks", 0)) + int(top.get("Shared Read Blocks", 0)),
        indexes=frozenset(node["Index Name"] for node in nodes if "Index Name" in node),
        sorts=any("Sort" in node["Node Type"] for node in nodes),
    )


def _rows(node: Mapping[str, Any]) -> int:
    """Rows a scan looked at, kept or not; the numbers are means of its loops."""
    return round((node.get("Actual Rows", 0) + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)) * node.get("Actual Loops", 1))


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)
