"""How the cost of each operation grows with the records of a tenant, and with the number of tenants.

One database holds tenants of several sizes; each operation is measured in all of them in turn. Then small tenants are added and one
tenant of the smallest size is measured again. The exponent is the slope on logarithmic axes: 0 is flat, 1 in proportion.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any

import asyncpg

from saas.db import close_database, open_database
from saas.db.migrate import migrate
from saas.runtime import load_kinds
from saas.settings import Settings
from tests.benchmarks import data
from tests.benchmarks.asks import Asks, deep_cursors
from tests.benchmarks.chart import exponent, logarithmic
from tests.benchmarks.client import Client
from tests.benchmarks.material import Material, Size
from tests.benchmarks.measure import Report, Timing
from tests.benchmarks.pair import sign_in
from tests.benchmarks.place import place, product

# What must not grow with the records, and what reads all of them.
FLAT = ("list", "list_newest", "list_deep", "list_links", "filter", "count_capped", "get", "search_chinese", "search_two_words", "create", "create_child", "update", "transition", "page_list", "page_record")
GROWING = ("report", "page_board")
ALLOWED = 0.15  # an exponent: twice the records may cost a tenth more
TEMPLATE = "template"
TINY = Size(customers=30, deals=20, regions=3, products=4, campaigns=3)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", default="10000,31623,100000,316228,1000000", help="Customers of each tenant; half as many deals.")
    parser.add_argument("--tenants", default="10,100,1000,10000", help="Small tenants beside them, one step after the other.")
    parser.add_argument("--rounds", type=int, default=30, help="Rounds of each operation (default 30).")


async def run(options: argparse.Namespace, say: data.Say) -> Report:
    sizes, tenants = _numbers(options.sizes), _numbers(options.tenants)
    report = Report("growth", {"sizes": options.sizes, "tenants": options.tenants, "rounds": options.rounds}, {"title": "operation", "axis": "grows with"})
    async with place(options.data_dir, say) as settings:
        conn = await _prepare(settings, sizes, say)
        try:
            async with product(settings) as process:
                people = [await Person.of(settings, conn, process.port, slug_of(size), _size(size)) for size in sizes]
                by_size = await asyncio.to_thread(_measure, people, sizes, (*FLAT, *GROWING), options.rounds, say)
                _rows(report, "records", sizes, by_size)
                small = people[0]
                by_tenants: dict[str, list[float]] = {}
                report.detail["disk_bytes_per_1000_records"] = await _disk_of_records(conn)
                for count in tenants:
                    added, size = await _add_tenants(settings, conn, count, say)
                    if added >= 1000:
                        report.detail["disk_bytes_per_small_tenant"] = size // added
                    measured = await asyncio.to_thread(_measure, [small], [count], (*FLAT, *GROWING), options.rounds, say)
                    for key, [found] in measured.items():
                        by_tenants.setdefault(key, []).append(found)
                _rows(report, "tenants", tenants, by_tenants)
        finally:
            await conn.close()
    report.notes += [f"{name.replace('_', ' ')}: {value:,}" for name, value in report.detail.items()]
    report.charts["growth-records.svg"] = _chart(report, "records", "records of the tenant")
    report.charts["growth-tenants.svg"] = _chart(report, "tenants", f"tenants beside one of {sizes[0]:,} records")
    return report


def _numbers(text: str) -> list[int]:
    return sorted(int(part) for part in text.split(","))


def slug_of(size: int) -> str:
    return f"size{size}"


def _size(customers: int) -> Size:
    return Size(customers, customers // 2)


# ---- loading -----------------------------------------------------------------------------------------------------------------


async def _prepare(settings: Settings, sizes: list[int], say: data.Say) -> asyncpg.Connection:
    """A tenant of each size, unless it is there; the administrator's connection."""
    load_kinds()
    await migrate(settings)
    conn = await data.connect(settings.database_url or "")
    await open_database(settings)
    try:
        there = {r[0] for r in await conn.fetch("SELECT slug FROM tenant")}
        for size in sizes:
            if slug_of(size) not in there:
                began = time.monotonic()
                await data.load_large(settings, slug_of(size), _size(size), say)
                await data.publish_indexes(say, slug_of(size))
                say(f"A tenant of {size:,} customers in {time.monotonic() - began:.0f} s")
        if TEMPLATE not in there:
            ctx = await data.make_tenant(TEMPLATE, people=3)
            await data.load_tenant(conn, ctx, Material(TINY, salt=999), await data.people_of(ctx.tenant_id))
    finally:
        await close_database()
    say("Vacuum and statistics")
    await conn.execute("VACUUM (ANALYZE)", timeout=3600)
    return conn


_DISK = "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"


async def _disk_of_records(conn: asyncpg.Connection) -> int:
    """Of 1,000 records with their history, tokens and indexes, over all tenants there are."""
    records = await conn.fetchval("SELECT count(*) FROM record", timeout=600)
    return await conn.fetchval(_DISK) * 1000 // records


async def _add_tenants(settings: Settings, conn: asyncpg.Connection, wanted: int, say: data.Say) -> tuple[int, int]:
    """Copies of the small tenant, rows and all, until there are so many. (How many were added, what they take on disk in bytes.)"""
    before = await conn.fetchval(_DISK)
    there = await conn.fetchval("SELECT count(*) FROM tenant WHERE slug LIKE 'copy%'")
    for start in range(there, wanted, 500):
        await _copy_tenant(conn, start, min(start + 500, wanted))
    if wanted > there:
        await conn.execute("VACUUM (ANALYZE)", timeout=3600)
    say(f"{max(there, wanted):,} small tenants")
    return max(wanted - there, 0), await conn.fetchval(_DISK) - before


# Tables of a tenant in the order of their references; what is left out belongs to nobody else's work.
COPIED = (
    "config_revision", "department", "app_user", "user_role", "user_department", "entity", "field_column", "record", "record_event", "stage_history", "search_token", "unique_value",
)  # fmt: skip


async def _copy_tenant(conn: asyncpg.Connection, start: int, end: int) -> None:
    async with conn.transaction():
        await conn.execute("CREATE TEMP TABLE fresh ON COMMIT DROP AS SELECT gen_random_uuid() AS id, 'copy' || n AS slug FROM generate_series($1::int, $2::int) n", start, end - 1)
        await _copied(conn, "tenant", {"id": "f.id", "slug": "f.slug"}, "t.slug = 'template'")
        for table in COPIED:
            same = "t.tenant_id = (SELECT id FROM tenant WHERE slug = 'template')"
            await _copied(conn, table, {"tenant_id": "f.id"}, same)


async def _copied(conn: asyncpg.Connection, table: str, own: dict[str, str], where: str) -> None:
    columns = [
        r[0] for r in await conn.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1 AND is_identity = 'NO' AND is_generated = 'NEVER'", table
        )
    ]  # fmt: skip
    join = ""
    if "entity_id" in columns:
        own = {**own, "entity_id": "e2.id"}
        join = " JOIN entity e1 ON e1.tenant_id = t.tenant_id AND e1.id = t.entity_id JOIN entity e2 ON e2.tenant_id = f.id AND e2.key = e1.key"
    values = ", ".join(own.get(column, f"t.{column}") for column in columns)
    await conn.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} t CROSS JOIN fresh f{join} WHERE {where}", timeout=600)  # noqa: S608  names of the catalog


# ---- measuring ---------------------------------------------------------------------------------------------------------------


class Person:
    """Somebody of one tenant, signed in, with what they may ask."""

    def __init__(self, client: Client, asks: Asks) -> None:
        self.client, self.asks = client, asks

    @classmethod
    async def of(cls, settings: Settings, conn: asyncpg.Connection, port: int, slug: str, size: Size) -> Person:
        tenant_id, _, login = await sign_in(settings, slug, f"person0@{slug}.example")
        asks = Asks(Material(size), deep=await deep_cursors(conn, tenant_id), run=f"{int(time.time()) % 100_000_000:x}")
        return cls(Client(port, f"{slug}.localhost:{port}", login), asks)


def _measure(people: list[Person], names: list[int], keys: tuple[str, ...], rounds: int, say: data.Say) -> dict[str, list[float]]:
    """Median milliseconds of each operation by person, all of them in turn."""
    found: dict[str, list[float]] = {}
    for key in keys:
        seconds: list[list[float]] = [[] for _ in people]
        began = time.monotonic()
        for number in range(rounds + 3):
            if number > 8 and time.monotonic() - began > 60:
                break
            for position, person in enumerate(people):
                try:
                    answer = person.client.ok(person.asks.make(key))
                except StopIteration:
                    continue
                if key == "create_child":
                    person.asks.new_deals.append(answer.json()["id"])
                if number >= 3:
                    seconds[position].append(answer.seconds)
        found[key] = [Timing.of(s).median for s in seconds]
        say(f"{key:<18} " + "  ".join(f"{name:,}: {ms:,.2f} ms" for name, ms in zip(names, found[key], strict=True)))
    return found


def _rows(report: Report, axis: str, steps: list[int], found: dict[str, list[float]]) -> None:
    report.columns |= {f"{axis}_{step}": f"{step:,} {axis}" for step in steps}
    for old in ("exponent", "held"):
        report.columns.pop(old, None)
    report.columns |= {"exponent": "exponent", "held": "held"}
    for key, milliseconds in found.items():
        line = list(zip(map(float, steps), milliseconds, strict=True))
        slope = exponent(line)
        row: dict[str, Any] = {"key": key, "title": key.replace("_", " "), "axis": axis, "points": line, "exponent": slope, "held": slope <= ALLOWED if key in FLAT else None}
        report.rows.append(row | {f"{axis}_{step}": ms for step, ms in zip(steps, milliseconds, strict=True)})


def _chart(report: Report, axis: str, across: str) -> str:
    rows = [row for row in report.rows if row["axis"] == axis]
    return logarithmic(f"Milliseconds of an operation by {axis}", across, "milliseconds (median)", {f"{row['title']}  (exponent {row['exponent']:+.2f})": row["points"] for row in rows})
