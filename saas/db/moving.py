"""Move one live tenant from one database to another by logical replication.

    copy        a publication of the tenant's rows, a subscription to it: people go on working
    follow      until the target is nearly as far as the source
    freeze      the tenant's lock, taken alone: transactions on their way end, later ones are read-only (saas.db.places)
    prove       a last entry in the audit log arrives at the target, so everything before it has; counts and checksums are equal
    flip        the directory names the target; the source's row fences whoever has not noticed
    clear       subscription, publication and the old rows go; what is left is counted

If this process dies at any moment, its locks end with its connections and the tenant is where the directory says; moving again
begins with removing what is left of the attempt. Everything here works as the administrator of both servers, over direct
connections.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from saas.db import indexes, places
from saas.db.migrate import pending_migrations
from saas.db.pools import GONE, Database, application_name
from saas.db.roles import APP, SYSTEM
from saas.errors import Conflict, Unavailable
from saas.i18n import lazy
from saas.settings import HOME

Say = Callable[[str], None]
FREEZE_SECONDS = 1.0  # how long transactions on their way are waited for, before everybody may write again for a while
FREEZE_ATTEMPTS = 20
ARRIVE_SECONDS = 1.5  # for the last entry to arrive
PROVE_SECONDS = 1.5  # what has not been compared by then is compared after the flip, before anything is deleted
NEAR_BYTES = 1_000_000
OLD_SNAPSHOT_SECONDS = 60.0
_LAST = ("app_user", "department")  # others refer to them
# Rows as text must read alike on both sides.
_SESSION = ("SET timezone = 'UTC'", "SET datestyle = 'ISO, YMD'", "SET bytea_output = 'hex'", "SET extra_float_digits = 1", "SET statement_timeout = 0")
_TABLES = """
SELECT c.relname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE a.attname = 'tenant_id' AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND NOT c.relispartition
AND c.relnamespace = 'public'::regnamespace ORDER BY c.relname
"""


@dataclass(slots=True)
class Moved:
    """What a move did; times in seconds. `rows` per table are those compared; `left` is what the source still has."""

    source: str
    target: str
    rows: dict[str, int] = field(default_factory=dict)
    copy_seconds: float = 0.0
    read_only_seconds: float = 0.0
    total_seconds: float = 0.0
    attempts: int = 0  # at making the tenant read-only
    compared: str = "before the switch"
    left: dict[str, int] = field(default_factory=dict)


async def move(database: Database, tenant_id: UUID, target: str, *, keep: bool, say: Say) -> Moved:
    """Move it, whoever works in it. With `keep` the old rows stay, out of everybody's sight.

    Errors: Conflict (it lives there already, somebody else moves it, a server is not prepared); Unavailable (a server is away, or
    the tenant could not be made read-only). After an error the tenant lives where it did, unless its words say otherwise: what was
    too much to compare while nobody could write is compared afterwards, and a difference keeps the old rows from being deleted.
    """
    source = await places.place_of(database, tenant_id, fresh=True)
    if source == target:
        raise Conflict(lazy("The workspace lives in %(cell)s already.", cell=target))
    try:
        async with AsyncExitStack() as stack:

            async def connect(cell: str) -> asyncpg.Connection:
                connection = await asyncpg.connect(database.cells[cell].url, timeout=10, server_settings={"application_name": application_name(database.settings)})
                stack.push_async_callback(_close, connection)
                for statement in _SESSION:
                    await connection.execute(statement)
                return connection

            mover = Mover(database, tenant_id, source, target, await connect(source), await connect(target), await connect(HOME), connect, say)
            return await mover.run(keep=keep)
    except GONE as error:
        raise Unavailable(lazy("A server went away while moving: %(error)s", error=str(error))) from error


async def clear(connection: Any, tenant_id: UUID) -> dict[str, int]:
    """Delete the tenant's rows in one database, except its own row; returns what is left, by table."""
    tables = await tenant_tables(connection)
    for table in tables:
        await connection.execute(f'DELETE FROM "{table}" WHERE tenant_id = $1', tenant_id)  # noqa: S608  from the catalogue
    counts = {table: await connection.fetchval(f'SELECT count(*) FROM "{table}" WHERE tenant_id = $1', tenant_id) for table in tables}  # noqa: S608
    return {table: count for table, count in counts.items() if count}


async def tenant_tables(connection: Any) -> list[str]:
    """Every table with tenants' rows, those that others refer to last."""
    names = [row["name"] for row in await connection.fetch(_TABLES)]
    return sorted(names, key=lambda name: (name in _LAST and _LAST.index(name) + 1, name))


async def _close(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=5)
    except (TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        connection.terminate()


class Mover:
    """One move; `a` is the source's administrator, `b` the target's, `home` the directory's."""

    def __init__(
        self, database: Database, tenant_id: UUID, source: str, target: str,
        a: asyncpg.Connection, b: asyncpg.Connection, home: asyncpg.Connection, connect: Callable[[str], Awaitable[asyncpg.Connection]], say: Say,
    ) -> None:  # fmt: skip
        self.database, self.tenant_id, self.source, self.target = database, tenant_id, source, target
        self.a, self.b, self.home, self.connect, self.say = a, b, home, connect, say
        self.name = f"saas_move_{tenant_id.hex}"
        self.lock = places.lock_key(tenant_id)
        self.tables: list[str] = []
        self.result = Moved(source, target)

    async def run(self, *, keep: bool) -> Moved:
        begun = time.monotonic()
        if not await self.home.fetchval("SELECT pg_try_advisory_lock($1)", self.lock ^ 1):
            raise Conflict(lazy("Somebody else is moving this workspace."))
        await self._check()
        flipped = False
        try:
            await self._clear_attempt()
            await self._copy()
            await self._follow()
            proof = await self._switch()
            flipped = True
            await self._finish_proof(proof)
        finally:
            await self._drop_replication()
            if not flipped:
                await self._forget_copy()
        await self._end_old_snapshots()
        await self._clear_source(keep=keep)
        self.result.total_seconds = time.monotonic() - begun
        return self.result

    # ---- before ------------------------------------------------------------------------------------------------------------

    async def _check(self) -> None:
        for cell, connection in ((self.source, self.a), (self.target, self.b)):
            if not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
                raise Conflict(lazy("%(cell)s: moving needs a superuser as the administrator's login", cell=cell))
            if waiting := await pending_migrations(connection):
                raise Conflict(lazy("%(cell)s: run `saas migrate` first (migrations that have not run: %(count)s)", cell=cell, count=len(waiting)))
        if await self.a.fetchval("SHOW wal_level") != "logical":
            raise Conflict(lazy("%(cell)s: set wal_level = logical and restart the server", cell=self.source))
        strangers = await self.a.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = ANY($1::text[]) AND application_name <> $2",
            [APP, SYSTEM], application_name(self.database.settings),
        )  # fmt: skip
        if strangers:
            raise Conflict(lazy("%(cell)s: connections of processes without SAAS_CELLS, which would not notice the move: %(count)s. Restart those processes first.", cell=self.source, count=strangers))
        self.tables = await tenant_tables(self.a)
        if self.tables != await tenant_tables(self.b):
            raise Conflict(lazy("The two databases do not have the same tables."))
        numbers = [row["id"] for row in await self.a.fetch("SELECT id FROM entity WHERE tenant_id = $1", self.tenant_id)]
        if await self.b.fetchval("SELECT EXISTS (SELECT 1 FROM entity WHERE id = ANY($1::int[]) AND tenant_id <> $2)", numbers, self.tenant_id):
            raise Conflict(lazy("%(cell)s: another tenant has the same entity numbers: its cell's number was changed", cell=self.target))

    async def _clear_attempt(self) -> None:
        """What an attempt left that was killed, and old rows kept there: the directory says that the tenant does not live here."""
        await self._drop_replication()
        row = await self.a.fetchrow("SELECT * FROM tenant WHERE id = $1", self.tenant_id)
        await self._put_tenant(row, cell=self.source)
        await clear(self.b, self.tenant_id)

    async def _put_tenant(self, row: asyncpg.Record, *, cell: str) -> None:
        columns = [name for name in row.keys() if name != "cell"]  # noqa: SIM118  a record iterates over its values
        names, values = ", ".join(columns), ", ".join(f"${n}" for n in range(2, len(columns) + 2))
        changes = ", ".join(f"{name} = excluded.{name}" for name in [*columns, "cell"])
        await self.b.execute(
            f"INSERT INTO tenant (cell, {names}) VALUES ($1, {values}) ON CONFLICT (id) DO UPDATE SET {changes}",  # noqa: S608  columns of the catalogue
            cell, *[row[name] for name in columns],
        )  # fmt: skip

    # ---- copying -----------------------------------------------------------------------------------------------------------

    async def _copy(self) -> None:
        begun = time.monotonic()
        parts = ", ".join(f"TABLE \"{table}\" WHERE (tenant_id = '{self.tenant_id}')" for table in self.tables)
        await self.a.execute(f"CREATE PUBLICATION {self.name} FOR {parts} WITH (publish_via_partition_root = true)")
        # Made beforehand: a subscription to a database of the same server would wait for itself.
        await self.a.fetchval("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", self.name)
        address = self.database.cells[self.source].url.replace("'", "''")
        owner = ", run_as_owner = true" if self.b.get_server_version().major >= 16 else ""  # the tables' owner is subject to row security
        await self.b.execute(
            f"CREATE SUBSCRIPTION {self.name} CONNECTION '{address}' PUBLICATION {self.name} WITH (create_slot = false, copy_data = true, synchronous_commit = 'off'{owner})"
        )
        self.say(f"Copying {len(self.tables)} tables to {self.target} …")
        while True:
            waiting = await self.b.fetchval(
                "SELECT count(*) FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid WHERE s.subname = $1 AND r.srsubstate <> 'r'", self.name
            )
            if not waiting:
                break
            await self._raise_errors()
            await asyncio.sleep(0.1)
        for row in await self.a.fetch("SELECT entity_id, column_name FROM field_index WHERE tenant_id = $1 AND status = 'ready'", self.tenant_id):
            await indexes.build(row["entity_id"], row["column_name"], cell=self.target)
        self.result.copy_seconds = time.monotonic() - begun

    async def _raise_errors(self) -> None:
        row = await self.b.fetchrow(
            "SELECT apply_error_count + sync_error_count AS errors FROM pg_stat_subscription_stats WHERE subname = $1", self.name
        )
        if row and row["errors"] > 3:
            raise Conflict(lazy("%(cell)s: copying fails; the log of that server says why", cell=self.target))

    async def _follow(self) -> None:
        """Until what is missing is little."""
        while True:
            behind = await self.a.fetchval(
                "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) FROM pg_replication_slots WHERE slot_name = $1", self.name
            )
            if behind is not None and behind < NEAR_BYTES:
                return
            await self._raise_errors()
            await asyncio.sleep(0.1)

    # ---- the switch --------------------------------------------------------------------------------------------------------

    async def _switch(self) -> asyncio.Task[dict[str, int]]:
        """Read-only from here to the flip. Returns the comparison, which may still be going on."""
        for attempt in range(1, FREEZE_ATTEMPTS + 1):
            self.result.attempts = attempt
            begun = time.monotonic()
            if await self._freeze():
                try:
                    if await self._arrived():
                        proof = await self._prove()
                        await self._flip()
                        self.result.read_only_seconds = time.monotonic() - begun
                        return proof
                except BaseException:
                    await self._thaw()
                    raise
                await self._thaw()
            self.say("People are in the middle of something; trying again …")
            await asyncio.sleep(1.0)
        raise Unavailable(lazy("The workspace could not be made read-only: long transactions go on in it. Try again later."))

    async def _freeze(self) -> bool:
        await self.a.execute(f"SET lock_timeout = {int(FREEZE_SECONDS * 1000)}")
        try:
            await self.a.execute("SELECT pg_advisory_lock($1)", self.lock)
            return True
        except asyncpg.LockNotAvailableError:
            return False
        finally:
            await self.a.execute("SET lock_timeout = 0")

    async def _thaw(self) -> None:
        if not self.a.is_closed():
            await self.a.execute("SELECT pg_advisory_unlock($1)", self.lock)

    async def _arrived(self) -> bool:
        """Changes are applied in the order of their commits, so when the last one is there, all are."""
        mark = uuid4()
        await self.a.execute(
            "INSERT INTO audit_event (tenant_id, id, kind, target) VALUES ($1, $2, 'tenant.moving', $3)", self.tenant_id, mark, self.target
        )
        deadline = time.monotonic() + ARRIVE_SECONDS
        while time.monotonic() < deadline:
            if await self.b.fetchval("SELECT 1 FROM audit_event WHERE tenant_id = $1 AND id = $2", self.tenant_id, mark):
                return True
            await asyncio.sleep(0.01)
        return False

    async def _prove(self) -> asyncio.Task[dict[str, int]]:
        """Compare both sides as they stand at this moment."""
        sides = []
        for cell in (self.source, self.target):
            connection = await self.connect(cell)
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            await connection.fetchval("SELECT 1 FROM tenant LIMIT 1")  # this is the moment
            sides.append(connection)
        proof = asyncio.create_task(self._compare(*sides))
        done, _ = await asyncio.wait({proof}, timeout=PROVE_SECONDS)
        if done:
            proof.result()  # raises what does not fit
        else:
            self.result.compared = "after the switch"
        return proof

    async def _compare(self, one: asyncpg.Connection, other: asyncpg.Connection) -> dict[str, int]:
        rows: dict[str, int] = {}
        for table in self.tables:
            sql = f'SELECT count(*) AS rows, coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) AS hash FROM "{table}" t WHERE tenant_id = $1'  # noqa: S608
            left, right = await asyncio.gather(one.fetchrow(sql, self.tenant_id), other.fetchrow(sql, self.tenant_id))
            if tuple(left) != tuple(right):
                raise Conflict(lazy(
                    "%(table)s: %(left)s rows in %(source)s, %(right)s in %(target)s, or their contents differ. Nothing was deleted.",
                    table=table, left=left["rows"], source=self.source, right=right["rows"], target=self.target,
                ))
            rows[table] = left["rows"]
        return rows

    async def _finish_proof(self, proof: asyncio.Task[dict[str, int]]) -> None:
        try:
            self.result.rows = await proof
        except Conflict as error:
            raise Conflict(lazy("The workspace lives in %(target)s now and works, but compared after the switch: %(error)s The old rows are still in %(source)s.", target=self.target, error=str(error), source=self.source)) from error

    async def _flip(self) -> None:
        """Nobody can write while this goes on, so its steps need not be one. Until the last of them the directory or the source's
        row send people on, who look again."""
        async with self.a.transaction():
            row = await self.a.fetchrow("SELECT * FROM tenant WHERE id = $1 FOR UPDATE", self.tenant_id)
            await self._put_tenant(row, cell="")
            await self.a.execute("UPDATE tenant SET cell = $2 WHERE id = $1", self.tenant_id, self.target)
        if HOME not in (self.source, self.target):
            await self.home.execute("UPDATE tenant SET cell = $2 WHERE id = $1", self.tenant_id, self.target)
        places.forget_place(self.tenant_id)

    # ---- after -------------------------------------------------------------------------------------------------------------

    async def _end_old_snapshots(self) -> None:
        """Somebody may have looked at the source's row just before the flip and ask for the lock only now: it stays taken until
        every transaction that old is over."""
        now = await self.a.fetchval("SELECT clock_timestamp()")
        deadline = time.monotonic() + OLD_SNAPSHOT_SECONDS
        while time.monotonic() < deadline:
            older = await self.a.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = ANY($1::text[]) AND xact_start < $2", [APP, SYSTEM], now
            )
            if not older:
                break
            await asyncio.sleep(0.1)
        await self._thaw()

    async def _drop_replication(self) -> None:
        if not self.b.is_closed() and await self.b.fetchval("SELECT 1 FROM pg_subscription WHERE subname = $1", self.name):
            await self.b.execute(f"ALTER SUBSCRIPTION {self.name} DISABLE")
            await self.b.execute(f"ALTER SUBSCRIPTION {self.name} SET (slot_name = NONE)")
            await self.b.execute(f"DROP SUBSCRIPTION {self.name}")
        if self.a.is_closed():
            return
        for _ in range(100):  # until the worker at the other end has let go of it
            try:
                await self.a.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1", self.name)
                break
            except asyncpg.ObjectInUseError:
                await asyncio.sleep(0.1)
        await self.a.execute(f"DROP PUBLICATION IF EXISTS {self.name}")

    async def _forget_copy(self) -> None:
        """The move failed: the target is as it was."""
        if self.b.is_closed():
            return
        await clear(self.b, self.tenant_id)
        if self.target != HOME:
            await self.b.execute("DELETE FROM tenant WHERE id = $1 AND cell <> ''", self.tenant_id)

    async def _clear_source(self, *, keep: bool) -> None:
        if keep:
            return
        names = [row["index_name"] for row in await self.a.fetch("SELECT index_name FROM field_index WHERE tenant_id = $1", self.tenant_id)]
        self.result.left = await clear(self.a, self.tenant_id)
        if self.source != HOME:
            await self.a.execute("DELETE FROM tenant WHERE id = $1 AND cell <> ''", self.tenant_id)
        await indexes.drop(names, cell=self.source)
