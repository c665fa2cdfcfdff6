"""How long records take to follow a change of the configuration: seconds for 1,000 records of each kind of step.

    python tools/measure_backfill.py [records]      # default 20,000; starts a server of its own in a temporary folder

The numbers stand as `seconds` in saas/runtime/backfill/steps/ and in docs/configuration.md.
"""

from __future__ import annotations

import asyncio
import copy
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

from saas.db import close_database, open_database, tenant_transaction
from saas.db.migrate import migrate
from saas.metadata import store
from saas.runtime import load_kinds
from saas.runtime.backfill import derive, enqueue_steps
from saas.runtime.contexts import context_for_user
from saas.runtime.worker import run_now
from saas.settings import Settings
from saas.tenants import create_tenant, find_user, new_id


def label(text: str) -> dict[str, str]:
    return {"en": text, "zh_CN": text}


def fld(key: str, type_: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "type": type_, "label": label(key), **more}


BUNDLE: dict[str, Any] = {
    "format": 1, "pack": {"key": "measure", "version": "1.0.0", "label": label("Measure")},
    "entities": [
        {"key": "parent", "label": label("Parent"), "plural": label("Parents"), "title": "name", "search": ["name"],
         "fields": [fld("name", "text"), fld("sum", "rollup", of="items", fn="sum", field="amount")]},
        {"key": "item", "label": label("Item"), "plural": label("Items"), "title": "name", "search": ["name"],
         "fields": [fld("name", "text"), fld("text", "text"), fld("other", "text"), fld("amount", "number"), *(fld(f"n{i}", "int") for i in range(5)), fld("rank", "int"),
                    fld("kind", "option", options=[{"key": k, "label": label(k)} for k in ("a", "b", "c")]),
                    fld("parent", "ref", to="parent", inverse={"key": "items", "label": label("Items")})]},
    ],
    "roles": [{"key": "admin", "label": label("Admin"), "admin": True}],
}  # fmt: skip


class Bench:
    def __init__(self, tenant_id: UUID, admin: UUID, count: int) -> None:
        self.tenant_id, self.admin, self.count, self.raw = tenant_id, admin, count, copy.deepcopy(BUNDLE)

    def put(self, definition: dict[str, Any], entity: int = 1) -> None:
        fields = self.raw["entities"][entity]["fields"]
        found = next((i for i, f in enumerate(fields) if f["key"] == definition["key"]), len(fields))
        fields[found : found + 1] = [definition]

    async def publish(self, name: str, data: Sequence[dict[str, Any]] = ()) -> None:
        """Publish what is in `raw` and time the job."""
        ctx = await context_for_user(self.tenant_id, self.admin)
        async with tenant_transaction(self.tenant_id) as conn:
            made = await store.publish(self.tenant_id, self.raw, base_revision=ctx.config.revision, author_id=self.admin)
            steps = derive(ctx.config, await store.current(self.tenant_id, made.number, **_money(ctx)), data) if ctx.config.revision else []
            job = await enqueue_steps(conn, ctx, steps, made.number)
        if job is None:
            return
        begun = time.perf_counter()
        info = await run_now(ctx, job)
        seconds = time.perf_counter() - begun
        assert info.status == "done", info.error
        kinds = ", ".join(step.kind for step in steps)
        print(f"{name:32} {seconds:7.2f} s  {seconds * 1000 / self.count:6.3f} s per 1,000   ({kinds})")

    async def fill_tables(self) -> None:
        ctx = await context_for_user(self.tenant_id, self.admin)
        parent, item = ctx.config.entity("parent"), ctx.config.entity("item")
        async with tenant_transaction(self.tenant_id, timeout_seconds=300) as conn:
            rows = await conn.fetch(
                f"INSERT INTO record (tenant_id, entity_id, id, {parent.columns['name']}, updated_at) SELECT $1, $2, gen_random_uuid(), 'p' || n, now() - interval '1 day' "  # noqa: S608
                "FROM generate_series(1, $3::int) n RETURNING id", self.tenant_id, parent.number, self.count // 10,
            )  # fmt: skip
            c = item.columns
            await conn.execute(
                f"INSERT INTO record (tenant_id, entity_id, id, created_at, updated_at, {c['name']}, {c['text']}, {c['other']}, {c['amount']}, {c['rank']}, {c['kind']}, {c['parent']}) "  # noqa: S608
                "SELECT $1, $2, gen_random_uuid(), now() - interval '1 day', now() - interval '1 day', 'Item number ' || n, n::text, 'word ' || n, n, n, 'a', ($4::uuid[])[1 + n % cardinality($4::uuid[])] "
                "FROM generate_series(1, $3::int) n", self.tenant_id, item.number, self.count, [r["id"] for r in rows],
            )  # fmt: skip


def _money(ctx: Any) -> dict[str, str]:
    return {"currency": ctx.tenant.currency, "country": ctx.tenant.country, "time_zone": ctx.tenant.time_zone}


async def main(count: int, folder: Path) -> None:
    load_kinds()
    settings = replace(Settings(secret_key="measure" * 8), data_dir=folder)
    await migrate(settings)
    await open_database(settings)
    try:
        await measure(count)
    finally:
        await close_database()


async def measure(count: int) -> None:
    tenant_id = new_id()
    await create_tenant("measure", "Measure", "", "en", "a@measure.example", "correct horse battery", role_keys=["admin"], tenant_id=tenant_id)
    bench = Bench(tenant_id, (await find_user(tenant_id, email="a@measure.example"))["id"], count)
    await bench.publish("first")
    await bench.fill_tables()
    bench.raw["entities"][1]["search"] = ["name", "other"]
    await bench.publish("search two fields")
    bench.put(fld("text", "int"))
    await bench.publish("text -> int")
    bench.put(fld("text", "text"))
    await bench.publish("int -> text (back)")
    bench.put(fld("amount", "money"))
    await bench.publish("number -> money, rolled up")
    bench.put(fld("fresh", "text"))
    await bench.publish("fill with a value", [{"do": "fill", "entity": "item", "field": "fresh", "value": "x"}])
    bench.put(fld("fresh2", "int"))
    await bench.publish("fill with an expression", [{"do": "fill", "entity": "item", "field": "fresh2", "expr": "rank * 2 + len(parent.name)"}])
    rules = [{"if": "rank > 10", "to": "b"}]
    await bench.publish("replace an option", [{"do": "replace", "entity": "item", "field": "kind", "from": "a", "rules": rules, "to": "c"}])
    bench.put(fld("other", "text", unique=True))
    await bench.publish("unique")
    bench.put(fld("other", "text"))
    await bench.publish("no longer unique")
    bench.raw["entities"][1]["duplicates"] = [{"key": "same", "match": ["name", "other"], "action": "warn"}]
    await bench.publish("duplicates")
    bench.put(fld("number", "auto", pattern="N-{yyyy}-{seq:6}"))
    await bench.publish("number")
    bench.put(fld("stage", "pipeline", pipeline="item"))
    stages = [{"key": "open", "label": label("Open")}, {"key": "done", "label": label("Done"), "kind": "done"}]
    bench.raw["pipelines"] = [{"key": "item", "entity": "item", "field": "stage", "label": label("Item"), "stages": stages}]
    await bench.publish("stage")
    bench.put(fld("rank", "int", indexed=True))
    await bench.publish("index")
    bench.put(fld("count", "rollup", of="items", fn="count", where="rank > 5"), 0)
    await bench.publish(f"rollup of {count // 10} parents")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)  # the server runs as nobody where we are root
        asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000, Path(name)))
