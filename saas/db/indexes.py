"""Indexes of single fields: made on the one partition that holds the entity, beside people's work, as the owner of the tables.

An index is partial: it holds one entity's records and no empty values, so it costs others nothing and serves lists that are
sorted or filtered by this column. Which there are stands in `field_index`, per tenant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from uuid import UUID

import asyncpg

from saas.db.roles import OWNER
from saas.db.scope import direct_connection
from saas.settings import HOME

TABLE = "record"
PREFIX = "record_e"  # record_e<entity number>_<column>
_NAME = re.compile(r"record_e\d{1,10}_[a-z]\d{1,3}\Z")
_COLUMN = re.compile(r"[a-z]\d{1,3}\Z")
# Making one waits for transactions that are older; none of ours lasts longer than its timeouts.
_LOCK_TIMEOUT = "180s"


def index_name(number: int, column: str) -> str:
    return f"{PREFIX}{number}_{column}"


async def build(number: int, column: str, *, of: UUID | None = None, cell: str = HOME) -> None:
    """Make the index of an entity's column, in the database of the tenant `of`, else of `cell`, unless it is there and whole; what is left of an interrupted attempt is made anew.
    Takes as long as it takes; records can be read and written meanwhile. Errors: asyncpg.PostgresError."""
    if not _COLUMN.match(column):
        raise ValueError(f"not a column of values: {column!r}")
    name = index_name(number, column)
    async with direct_connection(OWNER, of=of, cell=cell) as owner:
        await owner.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
        valid = await owner.fetchval(_VALID, name)
        if valid:
            return
        if valid is False:
            await owner.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        partition = await owner.fetchval(_PARTITION, TABLE, number)
        await owner.execute(
            f"CREATE INDEX CONCURRENTLY {name} ON {partition} ({column}, id) INCLUDE (tenant_id) WHERE entity_id = {int(number)} AND {column} IS NOT NULL"
        )


async def drop(names: Iterable[str], *, of: UUID | None = None, cell: str = HOME) -> None:
    """Remove indexes by name there; one that is gone already is fine."""
    wanted = [name for name in names if _NAME.match(name)]
    if not wanted:
        return
    async with direct_connection(OWNER, of=of, cell=cell) as owner:
        await owner.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
        for name in wanted:
            await owner.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


async def existing(connection: asyncpg.Connection) -> dict[str, bool]:
    """All indexes of single fields by name, and whether they are whole."""
    rows = await connection.fetch(
        "SELECT c.relname AS name, i.indisvalid AS valid FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid "
        "WHERE c.relnamespace = 'public'::regnamespace AND c.relname LIKE 'record\\_e%'"
    )
    return {row["name"]: row["valid"] for row in rows if _NAME.match(row["name"])}


_VALID = (
    "SELECT i.indisvalid FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid WHERE c.relname = $1 AND c.relnamespace = 'public'::regnamespace"
)
_PARTITION = """
SELECT c.relname FROM pg_inherits p JOIN pg_class c ON c.oid = p.inhrelid
CROSS JOIN LATERAL (SELECT regexp_match(pg_get_expr(c.relpartbound, c.oid), 'modulus (\\d+), remainder (\\d+)') AS m) b
WHERE p.inhparent = $1::regclass AND satisfies_hash_partition($1::regclass, m[1]::int, m[2]::int, $2::int)
"""
