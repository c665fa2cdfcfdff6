"""Finding records that may be the same among a million, and the plans PostgreSQL makes for it.

One tenant of companies whose names repeat like real ones do (few cities, few words, many legal forms). Each duplicate rule is asked for names that
are there, that are mistyped, and that nobody has; then a record is created under all rules, and the lookup while somebody types is asked. The plans
are those of the statements that ran, as the app's role, under row security.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import time
from typing import Any

import asyncpg

from saas.db import close_database, open_database, tenant_transaction
from saas.db.migrate import migrate
from saas.errors import DuplicateFound
from saas.metadata.config import Entity
from saas.runtime import alike, configuration, execute, load_kinds, twins
from saas.runtime import operations as ops
from saas.runtime.context import Context
from saas.runtime.contexts import context_for_user, system_context
from saas.runtime.rows import Row
from saas.settings import Settings
from saas.tenants import create_tenant, create_user, find_tenant, new_id
from tests.benchmarks import data
from tests.benchmarks.material import Item, Material, Size
from tests.benchmarks.measure import Report, Timing
from tests.benchmarks.place import place

SLUG = "similar"
COLUMNS = {"title": "asked", "median": "median, ms", "p95": "95 %, ms", "found": "found", "statements": "statements", "database": "of it in the database, ms", "rows": "rows read", "scan": "a scan of a table"}
CHUNK = 20_000


def _label(text: str) -> dict[str, str]:
    return {"en": text, "zh_CN": text}


def bundle() -> dict[str, Any]:
    fields = [{"key": key, "type": kind, "label": _label(key)} for key, kind in (("name", "text"), ("city", "text"), ("phone", "phone"))]
    rules = [
        {"key": "phone", "match": ["phone"], "action": "warn"},
        {"key": "name", "match": ["name"], "similar": ["name"], "threshold": 85, "action": "warn"},
        {"key": "place", "match": ["name", "city"], "similar": ["name"], "threshold": 85, "action": "warn"},
    ]
    customer = {"key": "customer", "label": _label("Customer"), "plural": _label("Customers"), "title": "name", "search": ["name"], "fields": fields, "duplicates": rules}
    return {
        "format": 1, "pack": {"key": "similar", "version": "1.0.0", "label": _label("Similar")}, "departments": json.loads(data.BUNDLE.read_text(encoding="utf-8"))["departments"],
        "entities": [customer],
        "roles": [
            {"key": "admin", "label": _label("Admin"), "admin": True},
            {"key": "sales", "label": _label("Sales"), "entities": {"*": {"create": True, "read": "own", "update": "own", "delete": "own"}}},
        ],
    }  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--records", type=int, default=1_000_000, help="Companies (default 1,000,000).")
    parser.add_argument("--rounds", type=int, default=40, help="Names asked of each kind (default 40).")


async def run(options: argparse.Namespace, say: data.Say) -> Report:
    report = Report("similar", {"records": options.records, "rounds": options.rounds}, COLUMNS)
    async with place(options.data_dir, say) as settings:
        load_kinds()
        await migrate(settings)
        conn = await data.connect(settings.database_url or "")
        await open_database(settings)
        try:
            await _prepare(settings, conn, options.records, say)
            await _measure(report, Material(Size(options.records, 0)), options.rounds, say)
            report.detail["tokens"] = await conn.fetchval("SELECT count(*) FROM search_token", timeout=600)
        finally:
            await close_database()
            await conn.close()
    report.notes += [f"{name.replace('_', ' ')}: {value:,}" for name, value in report.detail.items()]
    return report


async def _prepare(settings: Settings, conn: asyncpg.Connection, records: int, say: data.Say) -> None:
    """The tenant with so many companies; goes on where it was interrupted."""
    if not await conn.fetchval("SELECT true FROM tenant WHERE slug = $1", SLUG):
        tenant_id = new_id()
        async with tenant_transaction(tenant_id):
            await create_tenant(SLUG, "Similar", "benchmark", "zh_CN", "admin@similar.example", "", role_keys=["admin"], tenant_id=tenant_id)
            await configuration.install(await system_context(tenant_id), bundle())
            for number in range(4):
                await create_user(tenant_id, f"person{number}@{SLUG}.example", "", f"Person {number}", ["sales"], "north")
    tenant = await find_tenant(SLUG)
    ctx, people, material = await system_context(tenant.id), await data.people_of(tenant.id), Material(Size(records, 0))
    entity = ctx.config.entity("customer")
    there, began = await conn.fetchval("SELECT count(*) FROM record WHERE tenant_id = $1", tenant.id), time.monotonic()
    for start in range(there, records, CHUNK):
        found = ((_company(material, n), {}) for n in range(start, min(start + CHUNK, records)))
        rows = data.rows_of(ctx, entity, found, people)
        rows.record_event.clear()  # a history is not looked into
        await data.copy_rows(conn, rows)
        say(f"{min(start + CHUNK, records):,} of {records:,} companies after {time.monotonic() - began:.0f} s")
    if there < records:
        await conn.execute("VACUUM (ANALYZE)", timeout=3600)


def _company(material: Material, number: int) -> Item:
    item = material.customer(number)
    item.values = {key: item.values[key] for key in ("name", "city", "phone")}
    return item


# ---- measuring -----------------------------------------------------------------------------------------------------------------


async def _measure(report: Report, material: Material, rounds: int, say: data.Say) -> None:
    tenant = await find_tenant(SLUG)
    system = await system_context(tenant.id)
    person = await data.people_of(tenant.id)
    ctx = await context_for_user(system.tenant_id, person[0].id)
    entity = system.config.entity("customer")
    draw = random.Random(7)
    there = [_company(material, draw.randrange(material.size.customers)).values for _ in range(rounds)]
    asked = {
        "a name that is there": there,
        "one sign mistyped": [{**v, "name": _mistyped(v["name"], draw)} for v in there],
        "a name nobody has": [{"name": f"{draw.choice('鲸鹿鹤雁')}{draw.choice('栖眠语隐')}{n}号工坊", "city": "昆明", "phone": f"17{n:09d}"} for n in range(rounds)],
        "the most frequent pieces": [{"name": "北京智恒机械有限公司", "city": "北京", "phone": "130"}] * rounds,
    }
    for rule, matcher in twins.own_rules(system.config, entity):
        for title, values in asked.items():
            await _row(report, f"rule {rule.key}: {title}", values, lambda conn, row, m=matcher: twins.found_twins(conn, ctx, m, row), say)
    for title, values in asked.items():
        await _row(report, f"while typing: {title}", values, lambda conn, row: _looked_up(conn, ctx, entity, row.values), say)
    seconds = []
    for values in asked["one sign mistyped"]:
        began = time.perf_counter()
        with contextlib.suppress(DuplicateFound):
            await execute(ctx, ops.Create(entity="customer", values=values, brief=True))
        seconds.append(time.perf_counter() - began)
    timing = Timing.of(seconds)
    report.rows.append({"title": "creating under all rules", "median": timing.median, "p95": timing.p95})


async def _looked_up(conn: Any, ctx: Context, entity: Entity, values: dict[str, Any]) -> list[dict[str, Any]]:
    return (await alike.look_up(conn, ctx, entity, values)).matches


async def _row(report: Report, title: str, asked: list[dict[str, Any]], look: Any, say: data.Say) -> None:
    tenant = await find_tenant(SLUG)
    seconds, found, statements, plans = [], 0, 0, []
    for number, values in enumerate(asked):
        row = Row(id=new_id(), entity="customer", version=0, values=dict(values))
        async with tenant_transaction(tenant.id, only_reads=True) as conn:
            ran: list[Any] = []
            if number == len(asked) - 1:
                with conn.query_logger(ran.append):
                    await look(conn, row)
                plans = [await _plan(conn, one) for one in ran if one.query.lstrip().upper().startswith(("SELECT", "WITH"))]
                statements = len(ran)
                continue
            began = time.perf_counter()
            hits = await look(conn, row)
            seconds.append(time.perf_counter() - began)
            found += len(hits)
    timing = Timing.of(seconds)
    scans = sorted({name for plan in plans for name in _scans(plan)})
    report.rows.append({
        "title": title, "median": timing.median, "p95": timing.p95, "found": round(found / len(seconds), 1), "statements": statements, "database": round(sum(p["ms"] for p in plans), 1), "rows": int(sum(_read(p) for p in plans)), "scan": ", ".join(scans) or "none",
    })  # fmt: skip
    say(f"{title}: {timing.median} ms")


async def _plan(conn: Any, ran: Any) -> dict[str, Any]:
    text = await conn.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {ran.query}", *ran.args)
    found = (json.loads(text) if isinstance(text, str) else text)[0]
    return {**found["Plan"], "ms": found["Execution Time"]}


def _nodes(plan: dict[str, Any]) -> Any:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


def _scans(plan: dict[str, Any]) -> list[str]:
    """Tables of records or tokens that are read from end to end, or an index of them without a condition."""
    return [
        n["Relation Name"] for n in _nodes(plan)
        if n.get("Relation Name", "").startswith(("record", "search_token")) and (n["Node Type"] == "Seq Scan" or ("Index" in n["Node Type"] and "Bitmap" not in n["Node Type"] and not n.get("Index Cond")))
    ]  # fmt: skip


def _read(plan: dict[str, Any]) -> float:
    return sum((n["Actual Rows"] + n.get("Rows Removed by Filter", 0)) * n["Actual Loops"] for n in _nodes(plan) if n.get("Relation Name"))


def _mistyped(name: str, draw: random.Random) -> str:
    place_ = draw.randrange(2, max(3, len(name) - 4))
    return name[:place_] + ("某" if name[place_] > "\u2e80" else "x") + name[place_ + 1 :]
