"""The benchmark's database: one large tenant and many small ones in the product's own tables, written in bulk.

Rows are made by the engine's own functions (encoding, search tokens, unique keys, places of fields), so they are what its door
writes; tests/integration/test_benchmark_data.py holds that. COPY as the administrator goes past row security, which refuses it.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from saas.db import close_database, open_database, tenant_transaction
from saas.db.migrate import migrate
from saas.metadata.config import Entity
from saas.runtime import configuration, load_kinds, rollups, search, twins, uniques
from saas.runtime.context import Context
from saas.runtime.contexts import system_context
from saas.runtime.rows import Row, encode
from saas.runtime.worker import drain
from saas.settings import Settings
from saas.tenants import create_tenant, create_user, find_tenant, new_id
from tests.benchmarks.material import KINDS, Item, Material, Size

BUNDLE = Path(__file__).with_name("bundle.json")
LARGE = "bench"
PASSWORD = "benchmark password 2026"
EMAIL = "person0@bench.example"
PEOPLE = 24
DEPARTMENTS = ("north", "south", "east")
CHUNK = 5_000
SMALL = Size(customers=300, deals=200, regions=8, products=12, campaigns=8)
Say = Callable[[str], None]

RECORD = ("tenant_id", "entity_id", "id", "version", "owner_id", "department_id", "state", "state_since", "created_at", "created_by", "updated_at", "updated_by", "doc")
EVENT = ("tenant_id", "entity_id", "record_id", "id", "at", "actor_id", "origin", "kind", "operation_id", "transition", "version", "changes")
STAGE = ("tenant_id", "entity_id", "record_id", "id", "stage", "entered_at", "left_at", "user_id")
TOKEN = ("tenant_id", "entity_id", "token", "record_id")
UNIQUE = ("tenant_id", "entity_id", "rule_key", "value", "record_id")


@dataclass(frozen=True, slots=True)
class Person:
    id: UUID
    department_id: UUID | None


# ---- rows of the product -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Rows:
    """What is to be copied, by table; `columns` of `record` depend on the entity."""

    columns: tuple[str, ...]
    record: list[tuple[Any, ...]]
    record_event: list[tuple[Any, ...]]
    stage_history: list[tuple[Any, ...]]
    search_token: list[tuple[Any, ...]]
    unique_value: list[tuple[Any, ...]]


def rows_of(ctx: Context, entity: Entity, items: Iterable[tuple[Item, dict[str, Any]]], people: Sequence[Person]) -> Rows:
    """The rows of records and of what stands around them; each item with its stored rollups."""
    out = Rows((), [], [], [], [], [])
    pipeline = entity.pipeline
    for item, stored in items:
        person = people[item.owner % len(people)] if item.owner is not None else None
        actor = person.id if person else people[0].id
        row = Row(id=item.id, entity=entity.key, version=max(len(item.stages), 1), created_at=item.at, updated_at=item.at, created_by=actor, updated_by=actor)
        row.values = {**dict.fromkeys(entity.declared), **{k: v for k, v in item.values.items() if v is not None}, **rollups.of_nothing(ctx, entity), **stored}
        row.owner = person.id if person and entity.defn.owned else None
        row.department = (person or people[0]).department_id
        if pipeline is not None:
            row.state, row.state_since = item.stages[-1]
            row.updated_at = row.state_since
        encoded = encode(ctx.config, entity, row.values)
        out.columns = out.columns or (*RECORD, *encoded.columns)
        doc = json.dumps({k: v for k, v in encoded.doc.items() if v is not None}, ensure_ascii=False)
        out.record.append((
            ctx.tenant_id, entity.number, row.id, row.version, row.owner, row.department, row.state, row.state_since, row.created_at, actor, row.updated_at, actor, doc,
            *(value for value, _ in encoded.columns.values()),
        ))  # fmt: skip
        changes = {
            k: [None, v] for k, v in row.values.items()
            if v not in (None, "", []) and entity.fields[k].type not in ("formula", "rollup")
        }  # fmt: skip
        if pipeline is not None:
            changes[pipeline.field] = [None, pipeline.initial]
        if row.owner:
            changes["owner"] = [None, str(row.owner)]
        out.record_event.append((
            ctx.tenant_id, entity.number, row.id, new_id(item.at), item.at, actor, "import", "created", new_id(item.at), None, 1, json.dumps(changes, ensure_ascii=False),
        ))  # fmt: skip
        for place, (stage, entered) in enumerate(item.stages):
            left = item.stages[place + 1][1] if place + 1 < len(item.stages) else None
            out.stage_history.append((ctx.tenant_id, entity.number, row.id, new_id(entered), stage, entered, left, actor))
        tokens = search.tokens(search.searchable_text(ctx, entity, row)) | twins.tokens(ctx.config, entity, row)
        out.search_token.extend((ctx.tenant_id, entity.number, token, row.id) for token in tokens)
        for rule in entity.defn.unique:
            key = uniques.unique_key(row, rule.fields, loose=rule.loose)
            if key:
                out.unique_value.append((ctx.tenant_id, entity.number, rule.key, key, row.id))
    out.search_token.sort(key=lambda r: r[2])
    return out


async def copy_rows(conn: asyncpg.Connection, rows: Rows) -> None:
    async with conn.transaction():
        for table, columns in (("record", rows.columns), ("record_event", EVENT), ("stage_history", STAGE), ("search_token", TOKEN), ("unique_value", UNIQUE)):
            records = getattr(rows, table)
            if records:
                await conn.copy_records_to_table(table, records=records, columns=columns)


def items_of(material: Material, kind: str, numbers: Iterable[int]) -> Iterable[tuple[Item, dict[str, Any]]]:
    for number in numbers:
        if kind == "customer":
            yield material.customer(number), {"deal_amount": material.rollup(number)}
        elif kind == "deal":
            yield material.deal(number), {}
        else:
            yield material.small(kind, number), {}


async def load_tenant(conn: asyncpg.Connection, ctx: Context, material: Material, people: Sequence[Person]) -> None:
    """A small tenant's records, all at once."""
    material.add_up()
    for kind in KINDS:
        count = getattr(material.size, f"{kind}s")
        await copy_rows(conn, rows_of(ctx, ctx.config.entity(kind), items_of(material, kind, range(count)), people))


# ---- many, in processes of their own -------------------------------------------------------------------------------------


class _Loader:
    """What one loading process keeps between chunks."""

    def __init__(self, settings: Settings, slug: str, size: Size) -> None:
        load_kinds()
        self.runner = asyncio.Runner()
        self.material = Material(size)
        self.material.add_up()
        self.runner.run(self._open(settings, slug))

    async def _open(self, settings: Settings, slug: str) -> None:
        await open_database(settings)
        self.conn = await connect(settings.database_url or "")
        tenant = await find_tenant(slug)
        self.ctx = await system_context(tenant.id)
        self.people = await people_of(tenant.id)

    def load(self, kind: str, start: int, end: int) -> int:
        rows = rows_of(self.ctx, self.ctx.config.entity(kind), items_of(self.material, kind, range(start, end)), self.people)
        self.runner.run(copy_rows(self.conn, rows))
        return end - start


_loader: _Loader | None = None


def _start_loader(settings: Settings, slug: str, size: Size) -> None:
    global _loader
    _loader = _Loader(settings, slug, size)


def _load_chunk(kind: str, start: int, end: int) -> int:
    assert _loader is not None
    return _loader.load(kind, start, end)


async def connect(url: str) -> asyncpg.Connection:
    """As the administrator, for loading: a lost second of it is loaded again."""
    conn = await asyncpg.connect(url)
    await conn.execute("SET synchronous_commit = off")
    return conn


async def people_of(tenant_id: UUID) -> list[Person]:
    async with tenant_transaction(tenant_id) as conn:
        rows = await conn.fetch(
            "SELECT u.id, d.department_id FROM app_user u LEFT JOIN user_department d ON d.tenant_id = u.tenant_id AND d.user_id = u.id "
            "WHERE u.tenant_id = $1 AND u.email LIKE 'person%' ORDER BY length(u.email), u.email", tenant_id
        )
    return [Person(*row) for row in rows]


# ---- tenants -------------------------------------------------------------------------------------------------------------


def read_bundle(*, indexed: bool) -> dict[str, Any]:
    """bundle.json; small tenants need no indexes of their own, and the large one gets them when its records are there."""
    bundle = json.loads(BUNDLE.read_text(encoding="utf-8"))
    if not indexed:
        for entity in bundle["entities"]:
            for declared in entity["fields"]:
                declared.pop("indexed", None)
    return bundle


async def make_tenant(slug: str, *, password: str = "", people: int = PEOPLE) -> Context:
    """A tenant with the benchmark's configuration and people, as provisioning makes one."""
    load_kinds()
    tenant_id = new_id()
    async with tenant_transaction(tenant_id):
        await create_tenant(slug, slug.title(), "benchmark", "zh_CN", f"admin@{slug}.example", "", role_keys=["admin"], tenant_id=tenant_id)
        await configuration.install(await system_context(tenant_id), read_bundle(indexed=False))
        for number in range(people):
            await create_user(
                tenant_id, f"person{number}@{slug}.example", password if number == 0 else "", f"Person {number}", ["sales"], DEPARTMENTS[number % len(DEPARTMENTS)]
            )
    return await system_context(tenant_id)


async def prepare(settings: Settings, size: Size, tenants: int, say: Say, *, processes: int = 2) -> None:
    """Migrate and load what is not there yet. Interrupted in the middle of the large tenant, it must begin with an empty
    database again. Errors: RuntimeError when other sizes are loaded."""
    load_kinds()
    await migrate(settings)
    conn = await connect(settings.database_url or "")
    try:
        await conn.execute("CREATE SCHEMA IF NOT EXISTS benchmark")
        await conn.execute("CREATE TABLE IF NOT EXISTS benchmark.state (part text PRIMARY KEY, detail text NOT NULL, at timestamptz NOT NULL DEFAULT now())")
        done = dict(await conn.fetch("SELECT part, detail FROM benchmark.state"))
        wanted = f"{size.customers} {size.deals}"
        if done.get("large", wanted) != wanted or ("begun" in done and "large" not in done):
            raise RuntimeError(f"this data directory holds something else ({done.get('large', 'an unfinished load')}); use another one or remove it")
        await open_database(settings)
        try:
            if "large" not in done:
                await _note(conn, "begun", wanted)
                await load_large(settings, LARGE, size, say, processes=processes)
                await _note(conn, "large", wanted)
            if "indexes" not in done:
                seconds = await publish_indexes(say)
                await _note(conn, "indexes", f"{seconds:.1f} s")
            await _small(conn, int(done.get("small", 0)), tenants, say)
        finally:
            await close_database()
    finally:
        await conn.close()


async def _note(conn: asyncpg.Connection, part: str, detail: str) -> None:
    await conn.execute("INSERT INTO benchmark.state VALUES ($1, $2) ON CONFLICT (part) DO UPDATE SET detail = $2, at = now()", part, detail)


async def load_large(settings: Settings, slug: str, size: Size, say: Say, *, processes: int = 2) -> None:
    """A tenant with its records, written by several processes; without indexes of its own so far."""
    await make_tenant(slug, password=PASSWORD)
    chunks = [
        (kind, start, min(start + CHUNK, getattr(size, f"{kind}s"))) for kind in KINDS for start in range(0, getattr(size, f"{kind}s"), CHUNK)
    ]  # fmt: skip
    total, done, began, said = sum(end - start for _, start, end in chunks), 0, time.monotonic(), 0.0
    if total <= 4 * CHUNK:
        processes = 1
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _start_loader, (settings, slug, size)) as pool:
        loop = asyncio.get_running_loop()
        for future in asyncio.as_completed([loop.run_in_executor(pool, _load_chunk, *chunk) for chunk in chunks]):
            done += await future
            if time.monotonic() - said > 10:
                said = time.monotonic()
                say(f"{done:,} of {total:,} records, {done / (said - began):,.0f} a second")
    say(f"{total:,} records in {time.monotonic() - began:.0f} s")


async def publish_indexes(say: Say, slug: str = LARGE) -> float:
    """Make the fields of a large tenant sortable as an administrator would, and wait for the work; returns its seconds."""
    tenant = await find_tenant(slug)
    ctx = await system_context(tenant.id)
    began = time.monotonic()
    await configuration.publish(ctx, raw=read_bundle(indexed=True), message="Indexes")
    await drain()
    seconds = time.monotonic() - began
    say(f"Indexes published and built in {seconds:.1f} s")
    return seconds


async def _small(conn: asyncpg.Connection, there: int, wanted: int, say: Say) -> None:
    began = time.monotonic()
    for number in range(there, wanted):
        ctx = await make_tenant(f"small{number}", people=4)
        await load_tenant(conn, ctx, Material(SMALL, salt=number + 1), await people_of(ctx.tenant_id))
        await _note(conn, "small", str(number + 1))
        if number % 100 == 99:
            say(f"{number + 1:,} of {wanted:,} small tenants in {time.monotonic() - began:.0f} s")

