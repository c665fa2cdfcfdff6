"""Connections and transactions. The only place that opens a pool and the only place where the tenant setting is written."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, get_args
from uuid import UUID

import asyncpg

from saas.db import embedded, limits
from saas.db.engine import DB
from saas.db.reasons import SystemReason
from saas.db.roles import APP, SYSTEM, role_login
from saas.errors import BadRequest, Conflict, PermissionDenied, TooSlow, Unavailable
from saas.i18n import lazy
from saas.settings import Settings

_ACQUIRE_SECONDS = 10.0
_CONNECT_SECONDS = 5.0
# Each entity, role and kind of reading has a statement of its own; with too few kept, most requests are planned anew.
_STATEMENTS = 500
GONE = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    ConnectionError,
    OSError,
    TimeoutError,
)
_counter: ContextVar[list[int] | None] = ContextVar("statements", default=None)
_only_read: ContextVar[bool] = ContextVar("only_read", default=False)


# ---- counting ------------------------------------------------------------------------------------------------------------


@contextmanager
def count_queries() -> Iterator[None]:
    """Start counting at zero for this context, e.g. for one request."""
    before = _counter.get()
    _counter.set([0])
    try:
        yield
    finally:
        _counter.set(before)


def query_count() -> int:
    """Statements sent since `count_queries` began; the frame of a transaction (begin, setting, commit) is not counted."""
    counter = _counter.get()
    return counter[0] if counter else 0


def _counted(method: Any) -> Any:
    @functools.wraps(method)
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        counter = _counter.get()
        if counter is not None:
            counter[0] += 1
        return await method(self, *args, **kwargs)

    return call


class CountingConnection(asyncpg.Connection):
    """asyncpg's connection, counting the statements of its context."""

    execute = _counted(asyncpg.Connection.execute)
    executemany = _counted(asyncpg.Connection.executemany)
    fetch = _counted(asyncpg.Connection.fetch)
    fetchrow = _counted(asyncpg.Connection.fetchrow)
    fetchval = _counted(asyncpg.Connection.fetchval)
    fetchmany = _counted(asyncpg.Connection.fetchmany)


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


# ---- the database of this process ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Database:
    """The pools of this process, one a role; `url` is the administrator's."""

    url: str = field(repr=False)
    settings: Settings
    app: asyncpg.Pool
    system: asyncpg.Pool
    server: embedded.EmbeddedServer | None = None
    openings: int = 1


_database: Database | None = None


async def open_database(settings: Settings) -> Database:
    """Open the pools, starting the embedded server if no DATABASE_URL is set. One database a process: opening it again
    gives the same, until it has been closed as often."""
    global _database
    if _database is not None:
        if _database.settings != settings:
            raise RuntimeError("another database is open in this process")
        _database.openings += 1
        return _database
    server = None
    url = settings.database_url
    if url is None:
        server = await asyncio.to_thread(embedded.start, settings.data_dir)
        url = server.url
    app = system = None
    try:
        app = await _open_pool(url, settings, APP, settings.pool_size)
        system = await _open_pool(url, settings, SYSTEM, max(2, settings.pool_size // 4))
    except BaseException:
        for pool in (app, system):
            if pool is not None:
                pool.terminate()
        if server is not None:
            await asyncio.to_thread(server.stop)
        raise
    _database = Database(url, settings, app, system, server)
    return _database


async def close_database() -> None:
    """Close the pools; stop the embedded server if no other process uses it."""
    global _database
    database = _database
    if database is None:
        return
    database.openings -= 1
    if database.openings:
        return
    _database = None
    for pool in (database.app, database.system):
        try:
            async with asyncio.timeout(5):
                await pool.close()
        except TimeoutError:
            pool.terminate()
    if database.server is not None:
        await asyncio.to_thread(database.server.stop)


def is_database_open() -> bool:
    return _database is not None


def current_database() -> Database:
    if _database is None:
        raise RuntimeError("open_database() has not been called")
    return _database


async def _open_pool(url: str, settings: Settings, role: str, size: int) -> asyncpg.Pool:
    login = role_login(url, settings.secret_key, role)
    options: dict[str, Any] = {"statement_cache_size": 0 if settings.database_pooler else _STATEMENTS}
    try:
        pool = await asyncpg.create_pool(
            **login,
            min_size=0,  # else the pool itself keeps trying, with a stack trace a second, while the database is away
            max_size=size,
            max_inactive_connection_lifetime=300,
            timeout=_CONNECT_SECONDS,
            # Nothing of a session outlives a transaction here, so the reset query of each release is saved.
            reset=_keep,
            connection_class=CountingConnection,
            # Poolers refuse settings they do not know; behind one the role's own limit holds (saas.db.migrate).
            server_settings={"statement_timeout": f"{limits.ROLE_SECONDS * 1000:.0f}"} if role == APP and not settings.database_pooler else None,
            **options,
        )
        async with pool.acquire(timeout=_ACQUIRE_SECONDS):
            return pool
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        raise Unavailable(
            lazy("The database refused the login of %(role)s: run `saas migrate` with this SAAS_SECRET_KEY first", role=role)
        ) from error
    except GONE as error:
        raise Unavailable(lazy("The database cannot be reached: %(where)s", where=describe(url))) from error


def describe(url: str) -> str:
    """Server and database of a URL, without its login."""
    tail = url.split("://", 1)[-1].rsplit("@", 1)[-1]
    return tail.split("?", 1)[0]


async def _keep(connection: asyncpg.Connection) -> None:
    """No query on release. asyncpg has already rolled back what was open."""


# A database that is being restored or renamed, met when connecting: it worked before, so it will again.
_CLOSED = (asyncpg.ObjectNotInPrerequisiteStateError, asyncpg.InvalidCatalogNameError)


# ---- transactions -----------------------------------------------------------------------------------------------------------


class Scope:
    """One open transaction: its connection, and the tenant it belongs to (None: the system role)."""

    __slots__ = ("_pool", "_prelude", "_previous", "_transaction", "connection", "is_closed", "tenant_id")

    def __init__(self, pool: asyncpg.Pool, prelude: list[str], *, tenant_id: UUID | None) -> None:
        self._pool = pool
        self._prelude = prelude
        self.tenant_id = tenant_id
        self.is_closed = False
        self.connection: Any = None

    async def __aenter__(self) -> Any:
        counter = _counter.get()
        counted = counter[0] if counter else 0
        self.connection, self._transaction = await self._begin()
        if counter:
            counter[0] = counted
        self._previous = DB.current_transaction.get()
        DB.current_transaction.set(self)
        return self.connection

    async def _begin(self) -> tuple[Any, Any]:
        """Begin and set the tenant. Nothing has been done yet, so a connection that died while idle is simply replaced."""
        for attempt in (1, 2, 3):
            connection = None
            try:
                connection = await self._pool.acquire(timeout=_ACQUIRE_SECONDS)
                transaction = connection.transaction()
                await transaction.start()
                for statement in self._prelude:
                    await connection.execute(statement)  # alone: Citus and poolers see it as it is
                return connection, transaction
            except BaseException as error:
                if connection is not None:
                    await self._give_back(connection)
                if not _is_gone(error, connection):
                    raise
                if attempt == 3 or connection is None:
                    raise _unavailable() from error
                await self._pool.expire_connections()
        raise AssertionError("unreachable")

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        counter = _counter.get()
        counted = counter[0] if counter else 0
        lost = error is not None and _is_gone(error, self.connection)
        try:
            if error is None:
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
            if counter:
                counter[0] = counted
            await self._give_back(self.connection)
        if lost:
            raise _unavailable() from error
        if isinstance(error, asyncpg.DeadlockDetectedError):
            raise Conflict(lazy("Somebody changed the same records at this moment, please try again"), reason="deadlock") from error
        if isinstance(error, asyncpg.LockNotAvailableError):
            raise Conflict(lazy("Somebody changed the same records at this moment, please try again"), reason="locked") from error
        if isinstance(error, (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)):  # NUL: whatever page or body it came in by
            raise BadRequest(lazy("This text contains characters that cannot be stored.")) from error
        if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
            raise PermissionDenied(lazy("Nothing can be changed here."), reason="only_read") from error
        if isinstance(error, asyncpg.QueryCanceledError):
            raise TooSlow() from error
        return False

    async def _give_back(self, connection: Any) -> None:
        if not _is_dead(connection) and connection.is_in_transaction():
            connection.terminate()  # neither commit nor rollback went through: this connection must not serve again
        try:
            await asyncio.shield(self._pool.release(connection))
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):  # or the pool has it back already
            if not _is_dead(connection):
                connection.terminate()


_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"


def tenant_transaction(tenant_id: UUID | str, *, timeout_seconds: float | None = None, snapshot: bool = False) -> Any:
    """A transaction of the app role that sees and writes one tenant only: `async with tenant_transaction(id) as conn`.

    Joins the transaction open in this context if it is the same tenant's (an error caught inside needs
    `conn.transaction()`, a savepoint); refuses to nest in another tenant's. jsonb travels as text.
    With `snapshot` all its statements see the same moment, and it writes nothing; it joins no other.
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
    return Scope(current_database().app, prelude, tenant_id=tenant)


def _set_tenant(tenant: UUID | None) -> str:
    """SET LOCAL and not set_config(): only the former reaches the workers of Citus. A UUID needs no quoting."""
    return f"SET LOCAL app.tenant_id = '{tenant or ''}'"


async def set_tenant(connection: Any, tenant: UUID | None) -> None:
    """For the doctor's probes, which change tenants inside one transaction that they roll back. Nobody else may."""
    await connection.execute(_set_tenant(tenant))


def system_transaction(reason: SystemReason, *, timeout_seconds: float | None = None) -> Any:
    """A transaction of the role that sees all tenants. `reason` is one of the uses listed in docs/tenancy.md."""
    if reason not in get_args(SystemReason):
        raise ValueError(f"unknown reason for the system role: {reason!r}")
    open_scope = _open_scope()
    if open_scope is not None:
        if open_scope.tenant_id is not None:
            raise RuntimeError("a tenant's transaction is open in this context; the system role may not join it")
        return _Join(open_scope)
    return Scope(current_database().system, _timeout(timeout_seconds), tenant_id=None)


def in_transaction() -> bool:
    """True inside tenant_transaction or system_transaction."""
    return _open_scope() is not None


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
    if isinstance(error, asyncpg.InternalClientError):  # a farewell of the server arrived between two of our statements
        return True
    if isinstance(error, (asyncpg.InterfaceError, OSError, asyncpg.PostgresError)):
        return _is_dead(connection) and isinstance(error, (*GONE, *_CLOSED, asyncpg.InterfaceError))
    return False


def _is_dead(connection: Any) -> bool:
    try:
        return connection is None or connection.is_closed()
    except asyncpg.InterfaceError:  # lost, and the pool has taken it back already
        return True


def _unavailable() -> Unavailable:
    return Unavailable()


@asynccontextmanager
async def direct_connection(role: str = APP) -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own, past any pooler's transactions: for LISTEN. It has no tenant, so it sees no rows."""
    database = current_database()
    try:
        connection = await asyncpg.connect(
            **role_login(database.url, database.settings.secret_key, role), timeout=_CONNECT_SECONDS
        )
    except GONE as error:
        raise _unavailable() from error
    try:
        yield connection
    finally:
        connection.terminate()
