"""Transactions. The only place where the tenant setting is written."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import Any, get_args
from uuid import UUID

import asyncpg

from saas.db import fair, limits, places
from saas.db.engine import DB
from saas.db.pools import (
    ACQUIRE_SECONDS,
    CONNECT_SECONDS,
    GONE,
    REPLICA_SECONDS,
    Database,
    close_database,
    current_database,
    describe,
    is_database_open,
    open_database,
)
from saas.db.reading import count_queries, query_count, reading, right_after, uncounted
from saas.db.reasons import SystemReason
from saas.db.roles import APP, role_login
from saas.errors import BadRequest, Conflict, PermissionDenied, TooSlow, Unavailable
from saas.i18n import lazy
from saas.log import get_logger
from saas.observe import metrics
from saas.settings import HOME

__all__ = [
    "APP",
    "GONE",
    "Database",
    "Scope",
    "cells",
    "close_database",
    "count_queries",
    "current_database",
    "describe",
    "direct_connection",
    "hold",
    "in_transaction",
    "is_database_open",
    "is_frozen",
    "let_go",
    "may_write",
    "one_transaction",
    "only_read",
    "open_database",
    "open_tenant",
    "own_limits",
    "plan_by_values",
    "query_count",
    "set_tenant",
    "system_transaction",
    "tenant_transaction",
]  # fmt: skip
log = get_logger(__name__)
_LOOKS = 5  # at the directory, while a tenant's row and the directory say different things
_LATE_SECONDS = 30  # a replica further behind answers nobody
_MARK = "UPDATE session SET writes = writes + 1 WHERE tenant_id = $1 AND id = $2"
_REPLAYED = f"""
SELECT writes, coalesce(now() - pg_last_xact_replay_timestamp() > interval '{_LATE_SECONDS} seconds', false) AS is_late
FROM session WHERE tenant_id = $1 AND id = $2
"""  # noqa: S608  constants of this file
_only_read: ContextVar[bool] = ContextVar("only_read", default=False)


# ---- requests that may not write -------------------------------------------------------------------------------------------


@contextmanager
def own_limits() -> Iterator[None]:
    """What `only_read` forbids inside, e.g. in one request, is allowed again afterwards."""
    before = _only_read.get()
    try:
        with limits.own_limit():
            yield
    finally:
        _only_read.set(before)


def only_read() -> None:
    """From here on every tenant transaction of this context is read-only: the database itself refuses to write."""
    if in_transaction():
        raise RuntimeError("a transaction that may write is open already")
    _only_read.set(True)


def may_write() -> bool:
    """Whether this context's transactions may."""
    return not _only_read.get()


# A database that is being restored or renamed, met when connecting: it worked before, so it will again.
_CLOSED = (asyncpg.ObjectNotInPrerequisiteStateError, asyncpg.InvalidCatalogNameError)


# ---- transactions -----------------------------------------------------------------------------------------------------------


class Scope:
    """One open transaction: its connection, and the tenant it belongs to (None: the system role)."""

    __slots__ = (
        "_cell", "_database", "_leave_open", "_of", "_only_reads", "_pool", "_prelude", "_previous", "_transaction", "connection", "has_written", "is_closed", "is_frozen", "on_replica", "plans_by_values", "tenant_id",
    )  # fmt: skip

    def __init__(
        self, database: Database, prelude: list[str], *, tenant_id: UUID | None, of: UUID | None = None, cell: str = HOME, leave_open: bool = False, only_reads: bool = False
    ) -> None:
        """Where the tenant `tenant_id` lives, or for the system's role the tenant `of`; else in the database `cell`."""
        self._database, self._prelude = database, prelude
        self._of, self._cell, self._leave_open, self._only_reads = of, cell, leave_open, only_reads
        self.tenant_id = tenant_id
        self.is_closed = False
        self.is_frozen = False  # the tenant is being moved: this transaction may only read
        self.on_replica = False
        self.plans_by_values = False
        self.has_written = False  # watched only where there is a replica
        self.connection: Any = None

    async def __aenter__(self) -> Any:
        with uncounted():
            await self._begin()
        self._previous = DB.current_transaction.get()
        DB.current_transaction.set(self)
        return self.connection

    async def _begin(self) -> None:
        database = self._database
        tenant = self.tenant_id or self._of
        if self.tenant_id is not None and ((relay := _relay.get()) is not None and await relay.go_on(self)):
            return
        if self.tenant_id is not None and await self._begin_on_replica(database):
            return
        if tenant is not None and database.has_cells:
            await self._begin_in_cell(database, tenant)
            return
        pool = self._pool_of(database, self._cell)
        self._take(pool, *await self._begin_on(pool))

    def _pool_of(self, database: Database, cell: str) -> asyncpg.Pool:
        return database.cells[cell].system if self.tenant_id is None else database.cells[cell].app

    def _take(self, pool: asyncpg.Pool, connection: Any, transaction: Any) -> None:
        self._pool, self.connection, self._transaction = pool, connection, transaction

    async def _begin_on(self, pool: asyncpg.Pool) -> tuple[Any, Any]:
        """Begin and set the tenant. Nothing has been done yet, so a connection that died while idle is simply replaced."""
        for attempt in (1, 2, 3):
            connection = None
            try:
                connection = await self._acquire(pool)
                return connection, await self._start(connection)
            except BaseException as error:
                if connection is not None:
                    await _give_back(pool, connection)
                if not _is_gone(error, connection):
                    raise
                if attempt == 3 or connection is None:
                    raise _unavailable() from error
                await pool.expire_connections()
        raise AssertionError("unreachable")

    async def _acquire(self, pool: asyncpg.Pool) -> Any:
        """A connection of the pool; a tenant has only so many of them at once."""
        began = time.perf_counter()
        tenant = self.tenant_id
        if tenant is not None:
            await fair.take_connection(tenant)
        try:
            connection = await pool.acquire(timeout=ACQUIRE_SECONDS)
        except BaseException:
            if tenant is not None:
                fair.give_connection(tenant)
            raise
        if tenant is not None:
            _holders[id(connection)] = tenant
        metrics.connection_took["system" if tenant is None else "app"](time.perf_counter() - began)
        return connection

    async def _start(self, connection: Any) -> Any:
        transaction = connection.transaction()
        if self._database.settings.database_citus:
            await transaction.start()
            for statement in self._prelude:
                await connection.execute(statement)  # alone: only so does it reach the workers
            return transaction
        with right_after(self._prelude):
            await transaction.start()
        return transaction

    async def _begin_in_cell(self, database: Database, tenant: UUID) -> None:
        """In the database where the tenant lives; read-only while it moves (saas.db.places)."""
        for attempt in range(_LOOKS):
            try:
                key = await places.place_of(database, tenant, fresh=attempt > 0)
            except GONE as error:
                raise _unavailable() from error
            pool = self._pool_of(database, key)
            connection, transaction = await self._begin_on(pool)
            try:
                row = await connection.fetchrow(places.HOLD, places.lock_key(tenant), tenant)
                here = places.lives_here(row, key)
                self.is_frozen = here and not row["free"]
                if self.is_frozen:
                    await connection.execute("SET TRANSACTION READ ONLY")
            except BaseException as error:
                await _give_back(pool, connection)
                if _is_gone(error, connection):
                    raise _unavailable() from error
                raise
            if here:
                self._take(pool, connection, transaction)
                return
            await _end(pool, connection, transaction)
            places.forget_place(tenant)
            await asyncio.sleep(0.05 * attempt)
        raise places.moving()

    async def _begin_on_replica(self, database: Database) -> bool:
        """True if this transaction reads from the replica: its request only reads, and the replica has replayed what the session
        wrote. How many of its transactions wrote stands in the row of the session, written by each of them, so the row of the
        replica tells what it has replayed."""
        request = reading()
        if request is None or not request.safe or request.stays or request.tenant_id != self.tenant_id:
            return False
        replica = database.cells[await places.place_of(database, self.tenant_id)].replica
        if replica is None or not replica.is_awake:
            return False
        connection = None
        try:
            connection = await replica.pool.acquire(timeout=REPLICA_SECONDS)
            transaction = await self._start(connection)
            row = await connection.fetchrow(_REPLAYED, self.tenant_id, request.session_id)
        except (*GONE, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            if connection is not None:
                await _give_back(replica.pool, connection)
            if _is_dead(connection):
                replica.rest(error)
            request.stays = True
            return False
        except BaseException:
            if connection is not None:
                await _give_back(replica.pool, connection)
            raise
        if row is None or row["writes"] < request.writes or row["is_late"]:
            await _end(replica.pool, connection, transaction)
            request.stays = True  # one request, one moment: not half from here and half from there
            return False
        self.on_replica = True
        self._take(replica.pool, connection, transaction)
        return True

    async def _mark(self) -> None:
        """Before the commit: the session whose request this is has written once more."""
        request = reading()
        if not self.has_written or request is None or request.session_id is None or request.tenant_id != self.tenant_id:
            return
        request.stays = True
        await self.connection.execute(_MARK, self.tenant_id, request.session_id)

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if error is None and (relay := _relay.get()) is not None and (self._leave_open or (self._only_reads and relay.only_reads)) and relay.wait(self):
            self.is_closed = True
            DB.current_transaction.set(self._previous)
            return False
        lost = error is not None and _is_gone(error, self.connection)
        try:
            with uncounted():
                if error is None:
                    await self._mark()
                    await self._transaction.commit()
                elif not _is_dead(self.connection):
                    await self._transaction.rollback()
        except BaseException as failure:
            if error is None and not _is_gone(failure, self.connection):
                raise
            if error is None:
                raise _unavailable() from failure
        finally:
            # Here and nowhere else: a failed commit must give its connection back like a good one.
            self.is_closed = True
            DB.current_transaction.set(self._previous)
            await _give_back(self._pool, self.connection)
        if lost and self.on_replica and (request := reading()) is not None:
            request.fail("lost")
        if lost:
            raise _unavailable() from error
        if _said(error, asyncpg.DeadlockDetectedError):
            raise Conflict(lazy("Somebody changed the same records at this moment, please try again"), reason="deadlock") from error
        if _said(error, asyncpg.LockNotAvailableError):
            raise Conflict(lazy("Somebody changed the same records at this moment, please try again"), reason="locked") from error
        if isinstance(error, (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)):  # NUL: whatever page or body it came in by
            raise BadRequest(lazy("This text contains characters that cannot be stored.")) from error
        if isinstance(error, asyncpg.ReadOnlySQLTransactionError) and self.is_frozen:
            raise places.moving() from error
        if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
            raise PermissionDenied(lazy("Nothing can be changed here."), reason="only_read") from error
        if isinstance(error, asyncpg.QueryCanceledError):
            raise TooSlow() from error
        return False


async def plan_by_values(connection: Any) -> None:
    """From here on each statement of this transaction is planned for its own values, not once for all."""
    scope = _open_scope()
    if scope is None or not scope.plans_by_values:
        with uncounted():
            await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
    if scope is not None:
        scope.plans_by_values = True


class Relay:
    """One request. The transaction that found who asks waits, open, for the first that does the work: begin,
    setting and commit are sent once. Where the request `only_reads`, those that only read go on with each other, too. When the
    answer begins, `end_beside` ends what waits: nobody holds a connection for a slow client, and no client waits for the commit
    of what was only read."""

    __slots__ = ("_ending", "_is_over", "_waiting", "only_reads")

    def __init__(self, *, only_reads: bool) -> None:
        self.only_reads = only_reads
        self._waiting: Scope | None = None
        self._ending: asyncio.Task[None] | None = None
        self._is_over = False

    def wait(self, scope: Scope) -> bool:
        """True if the transaction of `scope` stays open. Not where a replica may do the work, nor once the answer has begun."""
        if self._is_over or self._waiting is not None or reading() is not None:
            return False
        self._waiting = scope
        return True

    async def go_on(self, scope: Scope) -> bool:
        """True if `scope` has taken the transaction over; it must be the same tenant's, under the same limits."""
        waiting = self._waiting
        if waiting is None:
            return False
        if waiting._prelude != scope._prelude or waiting._database is not scope._database:  # the prelude names the tenant
            await self.end()
            return False
        self._waiting = None
        scope._take(waiting._pool, waiting.connection, waiting._transaction)
        scope.is_frozen, scope.plans_by_values = waiting.is_frozen, waiting.plans_by_values
        return True

    def end_beside(self) -> None:
        """Begin to end what waits; nothing waits from here on."""
        self._is_over = True
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._ending = asyncio.create_task(self._commit(waiting))

    async def close(self) -> None:
        """Nothing of the request is left open."""
        self._is_over = True
        await self.end()
        if self._ending is not None:
            await self._ending

    async def end(self) -> None:
        """Commit what waits."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            await self._commit(waiting)

    @staticmethod
    async def _commit(waiting: Scope) -> None:
        """An error loses nothing but the note of a visit."""
        try:
            await waiting._transaction.commit()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
            log.info("request.transaction_lost")
        finally:
            await _give_back(waiting._pool, waiting.connection)


_relay: ContextVar[Relay | None] = ContextVar("relay", default=None)


@asynccontextmanager
async def one_transaction(*, only_reads: bool = False) -> AsyncIterator[Relay]:
    """The frame of a request (see `Relay`)."""
    relay = Relay(only_reads=only_reads)
    token = _relay.set(relay)
    try:
        yield relay
    finally:
        _relay.reset(token)
        await relay.close()


async def let_go() -> None:
    """Before something else is waited for: the transaction of this request that waits for more work is ended, so that no connection is
    held meanwhile. Errors: RuntimeError inside a transaction, whose connection nobody else can have."""
    if in_transaction():
        raise RuntimeError("nothing else is waited for inside a transaction")
    if (relay := _relay.get()) is not None:
        await relay.end()


async def _end(pool: asyncpg.Pool, connection: Any, transaction: Any) -> None:
    """Leave a transaction in which nothing was done."""
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
        await transaction.rollback()
    await _give_back(pool, connection)


_holders: dict[int, UUID] = {}  # whose transaction each connection in use serves


async def _give_back(pool: asyncpg.Pool, connection: Any) -> None:
    try:
        await _release(pool, connection)
    finally:
        tenant = _holders.pop(id(connection), None)
        if tenant is not None:
            fair.give_connection(tenant)


async def _release(pool: asyncpg.Pool, connection: Any) -> None:
    if not _is_dead(connection) and connection.is_in_transaction():
        connection.terminate()  # neither commit nor rollback went through: this connection must not serve again
    try:
        await asyncio.shield(pool.release(connection))
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):  # or the pool has it back already
        if not _is_dead(connection):
            connection.terminate()


_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"


def tenant_transaction(tenant_id: UUID | str, *, timeout_seconds: float | None = None, snapshot: bool = False, leave_open: bool = False, only_reads: bool = False) -> Any:
    """A transaction of the app role that sees and writes one tenant only: `async with tenant_transaction(id) as conn`.

    Joins the transaction open in this context if it is the same tenant's (an error caught inside needs
    `conn.transaction()`, a savepoint); refuses to nest in another tenant's. jsonb travels as text.
    With `snapshot` all its statements see the same moment, and it writes nothing; it joins no other. With `leave_open` the next one
    of this request goes on with it (`one_transaction`), so it must hold no locks; with `only_reads`, which writes nothing, it does so
    in requests that only read.
    A statement may take `timeout_seconds`, else what its kind of request may (saas.db.limits).
    Errors: Unavailable if the database is away; TooSlow; ValueError for an id that is none.
    """
    tenant = tenant_id if isinstance(tenant_id, UUID) else UUID(str(tenant_id))
    open_scope = _open_scope()
    if open_scope is not None and snapshot:
        raise RuntimeError("a snapshot is a transaction of its own")
    if open_scope is not None:
        if open_scope.tenant_id != tenant:
            raise RuntimeError("a transaction of another tenant, or of the system, is open in this context")
        return _Join(open_scope)
    seconds = limits.statement_seconds() if timeout_seconds is None else timeout_seconds
    rules = ["SET TRANSACTION READ ONLY"] if _only_read.get() else []
    rules += _timeout(seconds) if seconds != limits.ROLE_SECONDS else []
    prelude = [*([_SNAPSHOT] if snapshot else []), _set_tenant(tenant), *(["; ".join(rules)] if rules else [])]
    return Scope(current_database(), prelude, tenant_id=tenant, leave_open=leave_open, only_reads=only_reads)


def _set_tenant(tenant: UUID | None) -> str:
    """SET LOCAL and not set_config(): only the former reaches the workers of Citus. A UUID needs no quoting."""
    return f"SET LOCAL app.tenant_id = '{tenant or ''}'"


async def set_tenant(connection: Any, tenant: UUID | None) -> None:
    """For the doctor's probes, which change tenants inside one transaction that they roll back. Nobody else may."""
    await connection.execute(_set_tenant(tenant))


def system_transaction(
    reason: SystemReason, *, timeout_seconds: float | None = None, of: UUID | None = None, cell: str = HOME
) -> Any:
    """A transaction of the role that sees all tenants. `reason` is one of the uses listed in docs/tenancy.md.

    In the database where the tenant `of` lives, or in that of a `cell` (saas.db.cells lists them); home without either.
    """
    if reason not in get_args(SystemReason):
        raise ValueError(f"unknown reason for the system role: {reason!r}")
    open_scope = _open_scope()
    if open_scope is not None:
        if open_scope.tenant_id is not None:
            raise RuntimeError("a tenant's transaction is open in this context; the system role may not join it")
        return _Join(open_scope)
    return Scope(current_database(), _timeout(timeout_seconds), tenant_id=None, of=of, cell=cell)


def cells() -> list[str]:
    """The keys of all databases with tenants, home first: for what goes through all of them."""
    return list(current_database().cells)


async def hold(connection: Any, tenant_id: UUID, cell: str) -> bool:
    """In a system transaction that came upon a tenant's row: whether the tenant lives in this database and may be written. It then
    stays so until the transaction ends."""
    if not current_database().has_cells:
        return True
    row = await connection.fetchrow(places.HOLD, places.lock_key(tenant_id), tenant_id)
    return row["free"] and await connection.fetchval("SELECT cell = '' FROM tenant WHERE id = $1", tenant_id) is True


def is_frozen() -> bool:
    """True inside the transaction of a tenant that is being moved: it may only read."""
    scope = _open_scope()
    return scope is not None and scope.is_frozen


def in_transaction() -> bool:
    """True inside tenant_transaction or system_transaction."""
    return _open_scope() is not None


def open_tenant() -> UUID | None:
    """The tenant whose transaction is open; None without one."""
    scope = _open_scope()
    return scope.tenant_id if scope is not None else None


class _Join:
    """Takes part in the transaction that is open; only that one commits."""

    __slots__ = ("_scope",)

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def __aenter__(self) -> Any:
        return self._scope.connection

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        return False


def _open_scope() -> Scope | None:
    scope = DB.current_transaction.get()
    return scope if scope is not None and not scope.is_closed else None


def _timeout(seconds: float | None) -> list[str]:
    return [] if seconds is None else [f"SET LOCAL statement_timeout = {int(seconds * 1000)}"]


def _is_gone(error: BaseException, connection: Any) -> bool:
    """The database went away, as opposed to a statement that is wrong, or to somebody else's file or network."""
    if _said(error, asyncpg.InternalClientError):  # a farewell of the server arrived between two of our statements
        return True
    return _said(error, *GONE, *_CLOSED, asyncpg.InterfaceError) and _is_dead(connection)


def _said(error: BaseException | None, *kinds: type[BaseException]) -> bool:
    """Whether the error is of such a kind, or what somebody made of one on the way: the transaction is lost all the same."""
    while error is not None and not isinstance(error, kinds):
        error = error.__cause__
    return error is not None


def _is_dead(connection: Any) -> bool:
    try:
        return connection is None or connection.is_closed()
    except asyncpg.InterfaceError:  # lost, and the pool has taken it back already
        return True


def _unavailable() -> Unavailable:
    return Unavailable()


@asynccontextmanager
async def direct_connection(role: str = APP, *, of: UUID | None = None, cell: str = HOME) -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own, past any pooler: for LISTEN, and for the owner's indexes. It has no tenant, so it sees no rows.
    To the database of the tenant `of`, else of `cell`."""
    database = current_database()
    try:
        key = cell if of is None else await places.place_of(database, of, fresh=True)
        connection = await asyncpg.connect(
            **role_login(database.cells[key].url, database.settings.secret_key, role), timeout=CONNECT_SECONDS
        )
    except GONE as error:
        raise _unavailable() from error
    try:
        yield connection
    finally:
        connection.terminate()
