"""Bring a database to the present schema: roles, then Piccolo's migrations as the owner, one process at a time."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from saas.db import embedded
from saas.db.engine import DB
from saas.db.limits import ROLE_SECONDS
from saas.db.partitions import extend_months
from saas.db.roles import APP, OWNER, ROLES, SYSTEM, role_login, role_password
from saas.db.scope import GONE, cells, current_database, describe, system_transaction
from saas.errors import Unavailable
from saas.i18n import lazy, lazy_plural
from saas.settings import HOME, Cell, Settings, point_piccolo_here

_LOCK = 7_225_001  # any number, as long as every release uses the same
_LOCK_TIMEOUT = "10s"
ENTITIES_OF_A_CELL = 10_000_000
_APP_TIMEOUTS = {
    APP: {"statement_timeout": f"{ROLE_SECONDS:.0f}s", "lock_timeout": "10s", "idle_in_transaction_session_timeout": "60s"},
    SYSTEM: {"statement_timeout": "60s", "lock_timeout": "10s", "idle_in_transaction_session_timeout": "60s"},
}


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What `migrate` did."""

    applied: tuple[str, ...]
    partitions: tuple[str, ...]


async def migrate(settings: Settings, *, wait_seconds: float = 0) -> MigrationReport:
    """Create the roles and run what has not run, in the home database and in each cell. Safe to repeat, and to start several times
    at once.

    Errors: Unavailable if the server cannot be reached (after waiting `wait_seconds`), or if the login may not create roles.
    """
    async with admin_url(settings) as url:
        report = await _migrate(url, settings, wait_seconds)
    for cell in settings.cells.values():
        found = await _migrate(cell.url, settings, wait_seconds)
        await _number_entities(cell, settings)
        report = MigrationReport(
            (*report.applied, *(f"{cell.key}: {name}" for name in found.applied)), (*report.partitions, *(f"{cell.key}: {name}" for name in found.partitions))
        )
    return report


async def _migrate(url: str, settings: Settings, wait_seconds: float) -> MigrationReport:
    admin = await _connect(url, wait_seconds)
    try:
        # The advisory lock is the session's, so the administrator's connection stays open throughout.
        await admin.fetchval(
            "SELECT pg_advisory_lock($1)", _LOCK
        )
        await _make_roles(admin, url, settings.secret_key)
        return await _run(url, settings)
    finally:
        await admin.close()


async def _number_entities(cell: Cell, settings: Settings) -> None:
    """Numbers of entities stay with a tenant that moves, and their indexes carry them, so each cell has ten million of its own."""
    async with owner_scope(cell.url, settings.secret_key) as owner:
        first = cell.number * ENTITIES_OF_A_CELL + 1
        sequence = await owner.fetchval("SELECT pg_get_serial_sequence('entity', 'id')")
        if await owner.fetchval(f"SELECT last_value < $1 FROM {sequence}", first):  # noqa: S608  from the catalogue
            await owner.fetchval("SELECT setval($1::text::regclass, $2, false)", sequence, first)


async def pending_migrations(connection: asyncpg.Connection) -> list[str]:
    """Migrations that the code knows and the database has not run."""
    known = {_migration_id(path) for path in _versions()}
    if await connection.fetchval("SELECT to_regclass('public.migration')") is None:
        return sorted(known)
    done = {row["name"] for row in await connection.fetch("SELECT name FROM migration WHERE app_name = 'saas'")}
    return sorted(known - done)


async def require_migrated() -> None:
    """Errors: Unavailable, where home or a cell has not run every migration that the code knows. A cell that is away stops nobody: it takes
    only its own tenants with it."""
    for cell in cells():
        try:
            async with system_transaction("health", cell=cell) as conn:
                waiting = await pending_migrations(conn)
        except Unavailable:
            if cell == HOME:
                raise
            continue
        except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
            raise Unavailable(lazy("The database refused the login of %(role)s: run `saas migrate` with this SAAS_SECRET_KEY first", role=SYSTEM)) from error
        if waiting:
            where = describe(current_database().cells[cell].url)
            raise Unavailable(
                lazy_plural(
                    "The database %(where)s has not run %(count)s migration of this version: run `saas migrate` first",
                    "The database %(where)s has not run %(count)s migrations of this version: run `saas migrate` first", len(waiting), where=where,
                )
            )  # fmt: skip


@asynccontextmanager
async def admin_url(settings: Settings) -> AsyncIterator[str]:
    """The administrator's URL; the embedded server runs meanwhile if there is no DATABASE_URL."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    server = await asyncio.to_thread(embedded.start, settings.data_dir)
    try:
        yield server.url
    finally:
        await asyncio.to_thread(server.stop)


async def _connect(url: str, wait_seconds: float) -> asyncpg.Connection:
    deadline = asyncio.get_running_loop().time() + wait_seconds
    while True:
        try:
            return await asyncpg.connect(url, timeout=10)
        except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
            raise Unavailable(
                lazy("The database %(where)s refused the login of DATABASE_URL: %(reason)s", where=describe(url), reason=str(error))
            ) from error
        except GONE as error:
            if asyncio.get_running_loop().time() >= deadline:
                raise Unavailable(lazy("The database cannot be reached: %(where)s", where=describe(url))) from error
            await asyncio.sleep(0.5)


async def _make_roles(admin: asyncpg.Connection, url: str, secret_key: str) -> None:
    attributes = {OWNER: "NOBYPASSRLS", APP: "NOBYPASSRLS", SYSTEM: "BYPASSRLS"}
    missing = [role for role in ROLES if not await _can_log_in(url, secret_key, role)]
    may_create = await admin.fetchval(
        "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
    )
    if missing and not may_create:
        raise Unavailable(
            lazy(
                "The login of DATABASE_URL may not create roles, and %(roles)s cannot log in with this SAAS_SECRET_KEY",
                roles=", ".join(missing),
            )
        )
    database = await admin.fetchval("SELECT quote_ident(current_database())")
    if may_create:
        for role in ROLES:
            exists = await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
            options = f"LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION INHERIT {attributes[role]}"
            password = f"PASSWORD '{role_password(secret_key, role)}'" if role in missing else ""
            if exists is None:
                await admin.execute(f"CREATE ROLE {role} {options} {password}")
            elif role in missing or not await _is_as_meant(admin, role):
                await admin.execute(f"ALTER ROLE {role} {options} {password}")
        for role, timeouts in _APP_TIMEOUTS.items():
            for name, value in timeouts.items():
                await admin.execute(f"ALTER ROLE {role} IN DATABASE {database} SET {name} = '{value}'")
    await admin.execute(f"GRANT CONNECT ON DATABASE {database} TO {', '.join(ROLES)}")
    await admin.execute(f"GRANT TEMPORARY ON DATABASE {database} TO {OWNER}")
    await admin.execute(f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC, {APP}, {SYSTEM}")
    await admin.execute(f"GRANT USAGE, CREATE ON SCHEMA public TO {OWNER}")
    await admin.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")


async def _can_log_in(url: str, secret_key: str, role: str) -> bool:
    try:
        connection = await asyncpg.connect(**role_login(url, secret_key, role), timeout=10)
    except asyncpg.PostgresError:
        return False
    await connection.close()
    return True


async def _is_as_meant(admin: asyncpg.Connection, role: str) -> bool:
    row = await admin.fetchrow(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = $1", role
    )
    return tuple(row) == (False, False, False, False, role == SYSTEM)


class OwnerScope:
    """Lets Piccolo work on the owner's connection: outside a transaction until it opens one itself."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self.is_closed = False
        self.tenant_id = None


@asynccontextmanager
async def owner_scope(url: str, secret_key: str) -> AsyncIterator[asyncpg.Connection]:
    """Log in as the owner; Piccolo's queries run there meanwhile. For migrations and the doctor only."""
    connection = await asyncpg.connect(**role_login(url, secret_key, OWNER), timeout=10)
    scope, previous = OwnerScope(connection), DB.current_transaction.get()
    DB.current_transaction.set(scope)
    try:
        yield connection
    finally:
        scope.is_closed = True
        DB.current_transaction.set(previous)
        await connection.close()


async def _run(url: str, settings: Settings) -> MigrationReport:
    point_piccolo_here()
    from piccolo.apps.migrations.commands.forwards import run_forwards  # looks for the configuration when imported

    async with owner_scope(url, settings.secret_key) as owner:
        await owner.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
        waiting = await pending_migrations(owner)
        if waiting:
            with contextlib.redirect_stdout(io.StringIO()) as output:  # Piccolo talks; our stdout may be one JSON document
                result = await run_forwards(app_name="saas")
            if not result.success:
                raise RuntimeError(f"migration failed: {result.message}\n{output.getvalue()}")
        return MigrationReport(tuple(waiting), tuple(await extend_months("record_event")))


def _versions() -> list[Path]:
    import migrations

    folder = Path(next(iter(migrations.__path__))) / "versions"
    return sorted(folder.glob("saas_*.py"))


def _migration_id(path: Path) -> Any:
    return importlib.import_module(f"migrations.versions.{path.stem}").ID
