"""Ten thousand tenants with different configurations in one web process: memory, latency under random access, compiling.

Each tenant's configuration starts from a shipped pack and goes its own way: fields added and renamed, views, roles and labels
changed, so no two are alike (`--apart 100` shares nothing at all: every definition differs). The rows that provisioning makes
are written in bulk, for provisioning ten thousand tenants one by one would take longer than the benchmark.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from saas.db import close_database, open_database
from saas.db.migrate import migrate
from saas.metadata.build import build_bundle
from saas.metadata.config import Config
from saas.metadata.packs import list_packs, load_pack
from saas.metadata.parse import parse_bundle
from saas.metadata.slots import allocate
from saas.metadata.store import content_hash, publish, revision
from saas.provision import admin_role
from saas.runtime import load_kinds
from saas.settings import Settings
from saas.tenants import find_tenant, find_user, new_id, open_session
from saas.tenants.sessions import hash_token
from tests.benchmarks.client import Client, Login, get
from tests.benchmarks.measure import Report, quantile
from tests.benchmarks.place import Process, place, product

Say = Callable[[str], None]
COLUMNS = {"title": "lists of 20 records", "requests": "requests", "p50": "p50, ms", "p95": "p95, ms", "p99": "p99, ms", "memory_mb": "memory, MB"}
WORDS_EN = ["north", "river", "stone", "field", "harbor", "bright", "copper", "maple", "orchard", "signal", "summit", "valley", "lantern", "meadow", "anchor", "crystal", "ember", "falcon", "granite", "horizon"]
WORDS_ZH = "云山江海明远新安华瑞泰和信达恒通宏利德盛"
PEOPLE, RECORDS = 3, 20  # of each tenant


# ---- different configurations -------------------------------------------------------------------------------------------


def vary(raw: Mapping[str, Any], seed: int, apart: int) -> dict[str, Any]:
    """A company's own version of a pack. `apart`: per cent of the definitions that are its own."""
    chance = random.Random(seed)
    bundle = json.loads(json.dumps(raw))
    for entity in bundle["entities"]:
        if chance.randrange(100) >= max(apart, 12):
            continue
        for label in (entity["label"], entity["plural"]):
            _rename(label, chance)
        for field in entity["fields"]:
            if chance.randrange(100) < max(apart, 20):
                _rename(field["label"], chance)
        for number in range(chance.randrange(1, 6)):
            entity["fields"].append({"key": f"own_{number}", "type": chance.choice(("text", "int", "date", "bool")), "label": _rename({"en": "Own", "zh_CN": "自定"}, chance)})
    for kind in ("views", "roles", "pipelines", "option_sets", "reports", "dashboards", "layouts"):
        for definition in bundle.get(kind, ()):
            if chance.randrange(100) < max(apart, 8) and "label" in definition:
                _rename(definition["label"], chance)
    if apart >= 100:
        _rename_all({k: v for k, v in bundle.items() if k != "pack"}, chance)
    return bundle


def _rename(label: dict[str, str], chance: random.Random) -> dict[str, str]:
    word = chance.choice(WORDS_EN)
    label["en"] = f"{label.get('en', '')} {word} {chance.randrange(1000)}".strip()
    label["zh_CN"] = f"{label.get('zh_CN', '')}{chance.choice(WORDS_ZH)}{chance.randrange(1000)}"
    return label


def _rename_all(node: Any, chance: random.Random) -> None:
    if isinstance(node, dict):
        if set(node) == {"en", "zh_CN"}:
            _rename(node, chance)
        else:
            for below in node.values():
                _rename_all(below, chance)
    elif isinstance(node, list):
        for below in node:
            _rename_all(below, chance)


# ---- rows ---------------------------------------------------------------------------------------------------------------


def token_of(number: int) -> str:
    return f"benchmark-session-{number:06d}-of-a-database-nobody-else-uses"


def slug_of(number: int) -> str:
    return f"many{number:05d}"


async def prepare(url: str, count: int, apart: int, say: Say) -> None:
    """Tenants 0 … count-1, those that are not there yet. `url` is the administrator's."""
    load_kinds()
    packs = [load_pack(p.key) for p in list_packs()]
    conn = await asyncpg.connect(url)
    try:
        there = await conn.fetchval("SELECT count(*) FROM tenant WHERE slug LIKE 'many%'")
        for start in range(there, count, 100):
            async with conn.transaction():
                await _insert(conn, packs, range(start, min(start + 100, count)), apart)
            if start % 1000 == 0:
                say(f"{start} of {count} tenants")
        await conn.execute("ANALYZE")
    finally:
        await conn.close()


async def _insert(conn: asyncpg.Connection, packs: list[dict[str, Any]], numbers: range, apart: int) -> None:
    tenants, revisions, people, roles, sessions, entities, columns, records = [], [], [], [], [], [], [], []
    expires = datetime.now(UTC) + timedelta(days=10)
    for number in numbers:
        tenant, raw = new_id(), packs[number % len(packs)]
        bundle = vary(raw, number, apart)
        if number % 500 == 0:
            parse_bundle(bundle)  # the variations must stay valid configurations
        config = Config(build_bundle(bundle))
        tenants.append((tenant, slug_of(number), f"Company {number}", raw["pack"]["key"], ("en", "zh_CN")[number % 2]))
        revisions.append((tenant, content_hash(bundle), json.dumps(bundle, ensure_ascii=False)))
        users = [new_id() for _ in range(PEOPLE)]
        for position, user in enumerate(users):
            people.append((tenant, user, f"person{position}@many{number}.example", f"Person {position}"))
            roles.append((tenant, user, admin_role(bundle) if not position else bundle["roles"][position]["key"]))
        sessions.append((tenant, new_id(), hash_token(token_of(number)), users[0], expires))
        for entity in config.entities.values():
            entities.append((tenant, entity.key))
            for row in allocate(config, entity.key, ()).added:
                columns.append((tenant, entity.key, row.field_key, row.column, row.storage, row.shape))
        first = next(iter(config.entities.values()))
        place = next((r.column for r in allocate(config, first.key, ()).added if r.field_key == first.defn.title), "t1")
        records.extend((tenant, first.key, place, new_id(), users[i % PEOPLE], f"{WORDS_EN[i]} {number}") for i in range(RECORDS))
    await conn.executemany("INSERT INTO tenant (id, slug, name, pack_key, locale, config_revision) VALUES ($1, $2, $3, $4, $5, 1)", tenants)
    await conn.executemany("INSERT INTO config_revision (tenant_id, number, hash, bundle) VALUES ($1, 1, $2, $3::jsonb)", revisions)
    await conn.executemany("INSERT INTO app_user (tenant_id, id, email, name) VALUES ($1, $2, $3, $4)", people)
    await conn.executemany("INSERT INTO user_role (tenant_id, user_id, role_key) VALUES ($1, $2, $3)", roles)
    await conn.executemany(
        "INSERT INTO session (tenant_id, id, token_hash, user_id, kind, csrf_secret, expires_at) VALUES ($1, $2, $3, $4, 'web', 'none', $5)", sessions
    )
    await conn.executemany("INSERT INTO entity (tenant_id, key) VALUES ($1, $2)", entities)
    await conn.executemany(
        "INSERT INTO field_column (tenant_id, entity_id, field_key, column_name, storage, shape) "
        "SELECT $1, e.id, $3, $4, $5, $6 FROM entity e WHERE e.tenant_id = $1 AND e.key = $2", columns
    )  # fmt: skip
    for place in {r[2] for r in records}:
        await conn.executemany(
            f"INSERT INTO record (tenant_id, entity_id, id, owner_id, {place}) SELECT $1, e.id, $3, $4, $5 FROM entity e WHERE e.tenant_id = $1 AND e.key = $2",  # noqa: S608  a column of the slots
            [(t, key, id_, owner, title) for t, key, p, id_, owner, title in records if p == place],
        )


# ---- measuring -----------------------------------------------------------------------------------------------------------


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tenants", type=int, default=10_000, help="How many (default 10,000).")
    parser.add_argument("--apart", type=int, default=12, help="Per cent of the definitions that are a tenant's own; 100 shares nothing (default 12).")
    parser.add_argument("--requests", type=int, default=20_000, help="Lists asked for under random access (default 20,000).")
    parser.add_argument("--publishes", type=int, default=20, help="Changes published and waited for (default 20).")


async def run(options: argparse.Namespace, say: Say) -> Report:
    report = Report("tenants", {"tenants": options.tenants, "apart": options.apart, "requests": options.requests}, COLUMNS)
    async with place(options.data_dir, say) as settings:
        await migrate(settings)
        began = time.monotonic()
        await prepare(settings.database_url or "", options.tenants, options.apart, say)
        report.detail["preparing_seconds"] = round(time.monotonic() - began, 1)
        report.detail["compile"] = _compile_times(options)
        async with product(settings) as process:
            visits = _Visits(process)
            report.rows.append(visits.row("started", [visits.ask(0)]))
            say("Every tenant once")
            report.rows.append(visits.row("first visits, one tenant after the other", [visits.ask(n) for n in range(options.tenants)]))
            say("Random access")
            chance = random.Random(5)
            report.rows.append(visits.row("random access", [visits.ask(chance.randrange(options.tenants)) for _ in range(options.requests)]))
            few = min(200, options.tenants)
            report.rows.append(visits.row(f"random access to {few} tenants", [visits.ask(chance.randrange(few)) for _ in range(min(2000, options.requests))]))
        report.detail["publish"] = await _publishes(settings, options)
    report.notes.append(f"Compiling a configuration that is not in memory: {report.detail['compile']}.")
    report.notes.append(f"From publishing until another process answers under the new revision: {report.detail['publish']}.")
    return report


class _Visits:
    """Lists of different tenants over one connection."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.firsts = [load_pack(p.key)["entities"][0]["key"] for p in list_packs()]

    def ask(self, number: int) -> float:
        return self.client(number).ok(get(f"/r/{self.firsts[number % len(self.firsts)]}", page=True)).seconds

    def client(self, number: int) -> Client:
        made = getattr(self, "_client", None)
        if made is None:
            made = self._client = Client(self.process.port, "", Login("", ""))
        made.host, made.login = f"{slug_of(number)}.localhost:{self.process.port}", Login("", token_of(number))
        return made

    def row(self, title: str, seconds: list[float]) -> dict[str, Any]:
        found = [s * 1000 for s in seconds]
        return {"title": title, "requests": len(found), **{f"p{round(q * 100)}": round(quantile(found, q), 1) for q in (0.5, 0.95, 0.99)}, "memory_mb": round(self.process.memory_mb(), 1)}


def _compile_times(options: argparse.Namespace) -> dict[str, float]:
    """Milliseconds from the JSON text to a compiled configuration: of the first of a pack, and of one more where others share most."""
    load_kinds()
    raw = load_pack(list_packs()[0].key)
    texts = [json.dumps(vary(raw, seed, options.apart)) for seed in range(41)]
    kept, taken = [], []
    for text in texts:
        began = time.perf_counter()
        kept.append(Config(build_bundle(json.loads(text))))
        taken.append((time.perf_counter() - began) * 1000)
    return {"json_kb": round(len(texts[0]) / 1024), "first_ms": round(taken[0], 1), "further_ms": round(statistics.median(taken[1:]), 1)}


async def _publishes(settings: Settings, options: argparse.Namespace) -> dict[str, float]:
    """Publish in this process, ask another until it answers under the new revision. Milliseconds after the publication was committed."""
    waits = []
    await open_database(settings)
    try:
        async with product(settings) as process:
            tenant = await find_tenant(slug_of(0))
            token, _, _ = await open_session(tenant.id, (await find_user(tenant.id, email="person0@many0.example"))["id"], "api")
            client = Client(process.port, f"{slug_of(0)}.localhost:{process.port}", Login(token, ""))
            ask = get("/api/v1/config")
            client.ok(ask)
            for number in range(options.publishes):
                base = await revision(tenant.id)
                raw = dict(base.bundle or {})
                raw["entities"] = [{**raw["entities"][0], "label": {"en": f"Customer {number}", "zh_CN": f"客户{number}"}}, *raw["entities"][1:]]
                made = await publish(tenant.id, raw, base_revision=base.number)
                began = time.perf_counter()
                while client.ok(ask).json()["revision"] < made.number:
                    time.sleep(0.001)  # noqa: ASYNC251  nothing else runs here
                waits.append((time.perf_counter() - began) * 1000)
    finally:
        await close_database()
    return {"median_ms": round(statistics.median(waits), 1), "worst_ms": round(max(waits), 1)} if waits else {}
