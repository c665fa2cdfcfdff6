"""What a tenant at full load does to another one: the other's waiting times alone and beside it.

Tenant A is asked by many people at once who never pause: lists, searches, reports, boards, writes, and imports one after the other. Tenant B
has a few people who look at what they got before they ask again. B is measured in turns, alone and while A is loaded, so that what
else the machine does hits both. The target: B's 95th percentile grows by less than half (ratio below 1.5). A's client runs in a
process of its own with low priority, because in life it runs elsewhere. `--concurrency 0` is the product without shares.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import random
import time
from typing import Any

import asyncpg

from saas.db import close_database, open_database
from saas.settings import Settings
from tests.benchmarks import data
from tests.benchmarks.asks import Asks, deep_cursors
from tests.benchmarks.client import Ask, Client, Login, upload
from tests.benchmarks.load import MIX, _answer
from tests.benchmarks.material import Material, Size
from tests.benchmarks.measure import Report, quantile
from tests.benchmarks.pair import sign_in
from tests.benchmarks.place import place, product

TARGET = 1.5
BESIDE = "beside"
OWN = Size(customers=5_000, deals=2_500)
LOADED = {**MIX, "report": 4}
CALM = {"page_list": 28, "page_record": 20, "list": 10, "list_links": 4, "get": 14, "filter": 4, "search_chinese": 6, "update": 9, "create": 5}
PAUSE = (0.05, 0.15)  # seconds between an answer and the next request of B's people
IMPORTED = 500  # rows of each import
COLUMNS = {
    "operation": "B's requests", "count": "number", "alone_p50": "alone p50, ms", "alone_p95": "alone p95, ms", "beside_p50": "beside p50, ms", "beside_p95": "beside p95, ms", "ratio": "p95 ratio",
}  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--records", type=int, default=100_000, help="Customers of A (default 100,000).")
    parser.add_argument("--deals", type=int, default=50_000, help="Its deals (default 50,000).")
    parser.add_argument("--people", type=int, default=16, help="People of A who ask at once (default 16).")
    parser.add_argument("--calm", type=int, default=3, help="People of B (default 3).")
    parser.add_argument("--seconds", type=float, default=15, help="Length of each turn (default 15).")
    parser.add_argument("--turns", type=int, default=4, help="Turns alone and beside (default 4).")
    parser.add_argument("--workers", type=int, default=1, help="Web processes (default 1; with several, jobs run in one of their own).")
    parser.add_argument("--concurrency", type=int, help="SAAS_TENANT_CONCURRENCY; 0 is without shares.")


async def run(options: argparse.Namespace, say: data.Say) -> Report:
    size = Size(options.records, options.deals)
    told = {name: getattr(options, name) for name in ("records", "deals", "people", "calm", "seconds", "turns", "workers", "concurrency")}
    report = Report("neighbours", told, COLUMNS)
    if options.concurrency is not None:
        os.environ["SAAS_TENANT_CONCURRENCY"] = str(options.concurrency)
    async with place(options.data_dir, say) as settings:
        await data.prepare(settings, size, 0, say)
        conn = await data.connect(settings.database_url or "")
        await _make_other(conn, settings, say)
        await conn.execute("VACUUM (ANALYZE)", timeout=3600)
        loaded_id, _, login = await sign_in(settings)
        _, _, calm_login = await sign_in(settings, BESIDE, f"person0@{BESIDE}.example")
        deep = await deep_cursors(conn, loaded_id)
        await conn.close()
        calm = Asks(Material(OWN, salt=77), deep=[], run=f"{int(time.time()) % 100_000_000:x}")
        alone: dict[str, list[float]] = {}
        beside: dict[str, list[float]] = {}
        errors: list[str] = []
        loads: list[dict[str, Any]] = []
        async with product(settings, workers=options.workers) as process:
            await _calm(process.port, calm_login, calm, options.calm, min(5.0, options.seconds), {}, errors)  # warms up
            await _beside(process.port, login, size, deep, options, 4.0, None)
            for turn in range(options.turns):
                await _calm(process.port, calm_login, calm, options.calm, options.seconds, alone, errors)
                found = await _beside(
                    process.port, login, size, deep, options, options.seconds, lambda: _calm(process.port, calm_login, calm, options.calm, options.seconds, beside, errors)
                )
                loads.append(found)
                say(f"turn {turn + 1}: alone p95 {_p95(alone):.1f} ms, beside {_p95(beside):.1f} ms; A had {found['throughput']:.0f} requests/s, {found['refused']} refused, {found['imported']} rows imported")
            found = await _beside(process.port, login, size, deep, options, options.seconds, None)
    for name in ("all", *CALM):
        before, after = (_of(times, name) for times in (alone, beside))
        if before and after:
            report.rows.append({
                "operation": name, "count": len(after), "alone_p50": _ms(before, 0.5), "alone_p95": _ms(before, 0.95), "beside_p50": _ms(after, 0.5), "beside_p95": _ms(after, 0.95),
                "ratio": round(quantile(after, 0.95) / quantile(before, 0.95), 2),
            })  # fmt: skip
    ratio = report.rows[0]["ratio"]
    mean = sum(load["throughput"] for load in loads) / len(loads)
    report.detail = {"ratio": ratio, "target": TARGET, "beside": loads, "alone_load": found, "errors": errors[:20]}
    report.notes.append(f"B's p95 beside a loaded tenant is {ratio:.2f} times what it is alone (target below {TARGET}): {'held' if ratio < TARGET else 'MISSED'}.")
    report.notes.append(f"A answered {found['throughput']:,.0f} requests/s alone and {mean:,.0f} beside B; B had {len(errors)} errors.")
    return report


def _of(times: dict[str, list[float]], name: str) -> list[float]:
    return [s for found in times.values() for s in found] if name == "all" else times.get(name, [])


def _ms(seconds: list[float], share: float) -> float:
    return round(quantile(seconds, share) * 1000, 1)


def _p95(times: dict[str, list[float]]) -> float:
    return _ms(_of(times, "all") or [0.0], 0.95)


async def _make_other(conn: asyncpg.Connection, settings: Settings, say: data.Say) -> None:
    """Tenant B, once."""
    if await conn.fetchval("SELECT 1 FROM benchmark.state WHERE part = $1", BESIDE):
        return
    await open_database(settings)
    try:
        ctx = await data.make_tenant(BESIDE)
        await data.load_tenant(conn, ctx, Material(OWN, salt=77), await data.people_of(ctx.tenant_id))
    finally:
        await close_database()
    await conn.execute("INSERT INTO benchmark.state (part, detail) VALUES ($1, '')", BESIDE)
    say(f"Tenant B with {OWN.customers:,} customers is there")


# ---- B -----------------------------------------------------------------------------------------------------------------------


async def _calm(port: int, login: Login, asks: Asks, people: int, seconds: float, found: dict[str, list[float]], errors: list[str]) -> None:
    until = time.perf_counter() + seconds
    await asyncio.gather(*(_calm_person(port, login, asks, until, found, errors, random.Random(number)) for number in range(people)))


async def _calm_person(port: int, login: Login, asks: Asks, until: float, found: dict[str, list[float]], errors: list[str], draw: random.Random) -> None:
    client = Client(port, f"{BESIDE}.localhost:{port}", login)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while time.perf_counter() < until:
            await asyncio.sleep(draw.uniform(*PAUSE))
            [key] = draw.choices(list(CALM), list(CALM.values()))
            try:
                raw = client.raw(asks.make(key))
            except StopIteration:
                continue
            began = time.perf_counter()
            writer.write(raw)
            status, body = await _answer(reader)
            found.setdefault(key, []).append(time.perf_counter() - began)
            if not 200 <= status < 300:
                errors.append(f"{key}: {status} {body[:200]!r}")
    finally:
        writer.close()


# ---- A, in a process of its own ------------------------------------------------------------------------------------------------


async def _beside(port: int, login: Login, size: Size, deep: list[str], options: argparse.Namespace, seconds: float, meanwhile: Any) -> dict[str, Any]:
    """Load A for some seconds more than `meanwhile` takes; says what A had."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_load, args=(theirs, port, login, size, deep, options.people, seconds + (1.0 if meanwhile else 0.0)))
    process.start()
    await asyncio.to_thread(mine.recv)  # it asks from now on
    if meanwhile is not None:
        await asyncio.sleep(0.5)
        await meanwhile()
    found = await asyncio.to_thread(mine.recv)
    await asyncio.to_thread(process.join)
    return found


def _load(pipe: Any, port: int, login: Login, size: Size, deep: list[str], people: int, seconds: float) -> None:
    os.nice(10)
    asks = Asks(Material(size), deep=deep, run=f"a{time.time_ns() % 1_000_000_000:x}")
    pipe.send("ready")
    pipe.send(asyncio.run(_all_of_a(port, login, asks, people, seconds)))


async def _all_of_a(port: int, login: Login, asks: Asks, people: int, seconds: float) -> dict[str, Any]:
    counted = {"requests": 0, "refused": 0, "failed": 0, "imported": 0, "first_failure": ""}
    until = time.perf_counter() + seconds
    await asyncio.gather(_importer(port, login, asks, until, counted), *(_person(port, login, asks, until, counted, random.Random(number)) for number in range(people)))
    return {**counted, "throughput": round(counted["requests"] / seconds, 1)}


async def _person(port: int, login: Login, asks: Asks, until: float, counted: dict[str, Any], draw: random.Random) -> None:
    client = Client(port, f"{data.LARGE}.localhost:{port}", login)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while time.perf_counter() < until:
            [key] = draw.choices(list(LOADED), list(LOADED.values()))
            try:
                status = await _ask(reader, writer, client, asks.make(key), counted)
            except StopIteration:
                continue
            if status == 429:
                await asyncio.sleep(0.1)
    finally:
        writer.close()


async def _importer(port: int, login: Login, asks: Asks, until: float, counted: dict[str, Any]) -> None:
    """Tables of new customers, one after the other; each is a job in the background."""
    client = Client(port, f"{data.LARGE}.localhost:{port}", login)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    number = 0
    try:
        while time.perf_counter() < until:
            number += 1
            table = "name,city\n" + "".join(f"Import {asks.run} {number} {row},City {row % 50}\n" for row in range(IMPORTED))
            if await _ask(reader, writer, client, upload("/api/v1/imports", {"entity": "customer"}, "table.csv", table.encode()), counted) < 300:
                counted["imported"] += IMPORTED
            await asyncio.sleep(0.5)
    finally:
        writer.close()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: Client, ask: Ask, counted: dict[str, Any]) -> int:
    writer.write(client.raw(ask))
    status, body = await _answer(reader)
    counted["requests"] += 200 <= status < 300
    counted["refused"] += status == 429
    if not 200 <= status < 300 and status != 429:
        counted["failed"] += 1
        counted["first_failure"] = counted["first_failure"] or f"{ask.method} {ask.path[:80]}: {status} {body[:200]!r}"
    return status
