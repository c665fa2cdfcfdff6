"""Partitions: made by migrations, and the months ahead by housekeeping. Each is closed to everybody but through its parent."""

from __future__ import annotations

from datetime import UTC, date, datetime

from saas.db.engine import DB
from saas.db.rls import close_partition


async def make_hash_partitions(table: str, count: int) -> None:
    for number in range(count):
        name = f"{table}_p{number:02d}"
        await DB.run_script(
            f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table} FOR VALUES WITH (MODULUS {count}, REMAINDER {number})",
            *close_partition(name),
        )


async def make_month_partitions(table: str, first: str, last: str) -> None:
    """One partition a month from `first` to `last` ("2025-01"), and a default for everything else."""
    month = _month(first)
    while month <= _month(last):
        await _make_month(table, month)
        month = _next(month)
    await DB.run_script(
        f"CREATE TABLE IF NOT EXISTS {table}_default PARTITION OF {table} DEFAULT", *close_partition(f"{table}_default")
    )


async def extend_months(table: str, months_ahead: int = 12) -> list[str]:
    """Make the missing partitions of the coming months; returns their names. Run as the owner (`saas migrate` does).

    Rows that already fell into the default partition move along: PostgreSQL refuses a partition whose rows lie there.
    """
    made = []
    month = datetime.now(UTC).date().replace(day=1)
    for _ in range(months_ahead + 1):
        exists = await DB.run_ddl(f"SELECT to_regclass('{_name(table, month)}') IS NOT NULL AS found")
        if not exists[0]["found"]:
            await _make_month(table, month, from_default=True)
            made.append(_name(table, month))
        month = _next(month)
    return made


async def _make_month(table: str, month: date, *, from_default: bool = False) -> None:
    name, bounds = _name(table, month), f"FOR VALUES FROM ('{month}T00:00:00Z') TO ('{_next(month)}T00:00:00Z')"
    if not from_default:
        await DB.run_script(f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table} {bounds}", *close_partition(name))
        return
    inside = f"at >= '{month}T00:00:00Z' AND at < '{_next(month)}T00:00:00Z'"
    async with DB.transaction():
        await DB.run_script(
            f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)",
            # The owner is subject to forced row security as well, so the default partition opens for this statement only.
            f"ALTER TABLE {table}_default NO FORCE ROW LEVEL SECURITY",
            f"WITH moved AS (DELETE FROM {table}_default WHERE {inside} RETURNING *) INSERT INTO {name} SELECT * FROM moved",  # noqa: S608  names are ours
            f"ALTER TABLE {table}_default FORCE ROW LEVEL SECURITY",
            f"ALTER TABLE {table} ATTACH PARTITION {name} {bounds}",
            *close_partition(name),
        )


def _name(table: str, month: date) -> str:
    return f"{table}_{month:%Y_%m}"


def _month(text: str) -> date:
    return date.fromisoformat(f"{text}-01")


def _next(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)
