"""The pools of this process: for each database with tenants one of the app's role and one of the system's, and one to its
replica if there is one. The only place that opens a pool."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import asyncpg

from saas.db import embedded, fair
from saas.db.limits import ROLE_SECONDS
from saas.db.reading import CountingConnection
from saas.db.roles import APP, SYSTEM, role_login
from saas.errors import Unavailable
from saas.i18n import lazy
from saas.log import get_logger
from saas.observe import metrics, statements
from saas.settings import HOME, Cell, Settings

log = get_logger(__name__)

ACQUIRE_SECONDS = 10.0
CONNECT_SECONDS = 5.0
# A replica that does not answer is left alone for so long; waiting for it must not be felt.
REPLICA_SECONDS = 1.0
REPLICA_REST_SECONDS = 10.0
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


@dataclass(slots=True)
class Replica:
    """A streaming replica: it may be away at any time."""

    pool: asyncpg.Pool
    where: str
    _rests_until: float = 0.0

    @property
    def is_awake(self) -> bool:
        return time.monotonic() >= self._rests_until

    def rest(self, error: BaseException) -> None:
        """It did not answer: the primary serves for a while."""
        log.warning("replica.away", where=self.where, reason=type(error).__name__, rest_seconds=REPLICA_REST_SECONDS)
        self._rests_until = time.monotonic() + REPLICA_REST_SECONDS


@dataclass(slots=True)
class Pools:
    """One database with tenants. `url` is the administrator's, and the direct address."""

    key: str
    url: str = field(repr=False)
    app: asyncpg.Pool
    system: asyncpg.Pool
    replica: Replica | None = None

    def all(self) -> list[asyncpg.Pool]:
        return [self.app, self.system, *([self.replica.pool] if self.replica else [])]


@dataclass(slots=True)
class Database:
    """What this process has open: the home database and the other cells, by key."""

    settings: Settings
    cells: Mapping[str, Pools]
    server: embedded.EmbeddedServer | None = None
    openings: int = 1

    @property
    def home(self) -> Pools:
        return self.cells[HOME]

    @property
    def url(self) -> str:
        """The administrator's URL of the home database."""
        return self.home.url

    @property
    def app(self) -> asyncpg.Pool:
        return self.home.app

    @property
    def system(self) -> asyncpg.Pool:
        return self.home.system

    @property
    def has_cells(self) -> bool:
        """True if tenants live in several databases."""
        return len(self.cells) > 1

    @property
    def has_replicas(self) -> bool:
        return any(pools.replica for pools in self.cells.values())


_database: Database | None = None


async def open_database(settings: Settings) -> Database:
    """Open the pools, starting the embedded server if no DATABASE_URL is set. One database a process: opening it again
    gives the same, until it has been closed as often. Only the home database must answer: a cell or a replica that is away
    now is asked again when it is needed."""
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
    cells: dict[str, Pools] = {}
    try:
        for cell in (Cell(HOME, 0, url, settings.pooler_url, settings.replica_url), *settings.cells.values()):
            cells[cell.key] = await _open_pools(cell, settings)
        await _check_logins(cells[HOME])
    except BaseException:
        for pools in cells.values():
            for pool in pools.all():
                pool.terminate()
        if server is not None:
            await asyncio.to_thread(server.stop)
        raise
    _database = Database(settings, cells, server)
    fair.configure(settings.tenant_concurrency, settings.pool_size)
    statements.slow_from(settings.slow_query_ms)
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
    for pools in database.cells.values():
        for pool in pools.all():
            try:
                async with asyncio.timeout(5):
                    await pool.close()
            except TimeoutError:
                pool.terminate()
    if database.server is not None:
        await asyncio.to_thread(database.server.stop)


@metrics.sampled
def _sample() -> None:
    """How full the pools of this process are, over all its databases."""
    for name in ("app", "system", "replica"):
        pools = [pool for cell in (_database.cells.values() if _database else ()) if (pool := cell.replica.pool if name == "replica" and cell.replica else getattr(cell, name) if name != "replica" else None)]
        idle = sum(pool.get_idle_size() for pool in pools)
        for state, number in (("used", sum(pool.get_size() for pool in pools) - idle), ("idle", idle), ("allowed", sum(pool.get_max_size() for pool in pools))):
            metrics.pool_connections.labels(name, state).set(number)


def is_database_open() -> bool:
    return _database is not None


def current_database() -> Database:
    if _database is None:
        raise RuntimeError("open_database() has not been called")
    return _database


async def _open_pools(cell: Cell, settings: Settings) -> Pools:
    pooled = settings.database_pooler or cell.pooler_url is not None
    address = cell.pooler_url or cell.url
    app = await _open_pool(address, settings, APP, settings.pool_size, pooled=pooled)
    system = await _open_pool(address, settings, SYSTEM, max(2, settings.pool_size // 4), pooled=pooled)
    replica = None
    if cell.replica_url is not None:
        pool = await _open_pool(cell.replica_url, settings, APP, settings.pool_size, pooled=settings.database_pooler, connect_seconds=REPLICA_SECONDS)
        replica = Replica(pool, describe(cell.replica_url))
    return Pools(cell.key, cell.url, app, system, replica)


async def _open_pool(
    url: str, settings: Settings, role: str, size: int, *, pooled: bool, connect_seconds: float = CONNECT_SECONDS
) -> asyncpg.Pool:
    return await asyncpg.create_pool(
        **role_login(url, settings.secret_key, role),
        min_size=0,  # else the pool itself keeps trying, with a stack trace a second, while the database is away
        max_size=size,
        max_inactive_connection_lifetime=300,
        timeout=connect_seconds,
        # Nothing of a session outlives a transaction here, so the reset query of each release is saved.
        reset=_keep,
        connection_class=CountingConnection,
        # A pooler gives each transaction another connection, which does not know what was prepared on the last one.
        statement_cache_size=0 if pooled else _STATEMENTS,
        # Poolers refuse settings they do not know; behind one the role's own limit holds (saas.db.migrate).
        server_settings={"application_name": application_name(settings), **({"statement_timeout": f"{ROLE_SECONDS * 1000:.0f}"} if role == APP and not pooled else {})},
    )


def application_name(settings: Settings) -> str:
    """What the database calls us; who knows of several cells says so, and nobody else may write while a tenant moves."""
    return "saas-cells" if settings.cells else "saas"


async def _check_logins(pools: Pools) -> None:
    for role, pool in ((APP, pools.app), (SYSTEM, pools.system)):
        try:
            async with pool.acquire(timeout=ACQUIRE_SECONDS):
                pass
        except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
            raise Unavailable(
                lazy("The database refused the login of %(role)s: run `saas migrate` with this SAAS_SECRET_KEY first", role=role)
            ) from error
        except GONE as error:
            raise Unavailable(lazy("The database cannot be reached: %(where)s", where=describe(pools.url))) from error


def describe(url: str) -> str:
    """Server and database of a URL, without its login."""
    tail = url.split("://", 1)[-1].rsplit("@", 1)[-1]
    return tail.split("?", 1)[0]


async def _keep(connection: asyncpg.Connection) -> None:
    """No query on release. asyncpg has already rolled back what was open."""
