"""The product's own HTTP stack against a hand-written CRM with typed tables, at a million records.

Both systems hold the same records on the same PostgreSQL server, are asked the same over HTTP in turn, and must give the same
answer; what is reported is the ratio of the medians. docs/performance.md says how to read it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks import data
from tests.benchmarks.client import Client, get, send, upload
from tests.benchmarks.material import Material, Size
from tests.benchmarks.measure import Report, Timing, interleaved, ratio_of
from tests.benchmarks.operations import Operation, operations
from tests.benchmarks.pair import Pair, Side, make_alike, pair
from tests.benchmarks.place import place

COLUMNS = {"title": "operation", "baseline_ms": "by hand, ms", "product_ms": "engine, ms", "ratio": "ratio", "low": "5 %", "high": "95 %", "target": "target", "held": "held", "equal": "equal"}
POLL_SECONDS = 0.05


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--records", type=int, default=1_000_000, help="Customers of the large tenant (default 1,000,000).")
    parser.add_argument("--deals", type=int, default=500_000, help="Its deals (default 500,000).")
    parser.add_argument("--tenants", type=int, default=1_000, help="Small tenants of 500 records beside it (default 1,000).")
    parser.add_argument("--rounds", type=int, default=60, help="Rounds of each operation (default 60).")
    parser.add_argument("--seconds", type=float, default=30, help="An operation ends after so long, with at least 5 rounds (default 30).")
    parser.add_argument("--rows", type=int, default=100_000, help="Rows imported and exported (default 100,000; 0 leaves that out).")
    parser.add_argument("--only", help="Keys of operations, with commas between.")
    parser.add_argument("--load-only", action="store_true", help="Load the database and leave.")


async def run(options: argparse.Namespace, say: data.Say) -> Report:
    size = Size(options.records, options.deals)
    report = Report("engine", {"records": size.customers, "deals": size.deals, "tenants": options.tenants, "rounds": options.rounds, "rows": options.rows}, COLUMNS)
    async with place(options.data_dir, say) as settings:
        began = time.monotonic()
        await data.prepare(settings, size, options.tenants, say)
        await make_alike(settings, say)
        report.detail["loading_seconds"] = round(time.monotonic() - began, 1)
        if options.load_only:
            return report
        async with pair(settings) as both:
            report.detail["postgres"] = await both.conn.fetchval("SHOW server_version")
            report.detail["megabytes"] = await _sizes(both)
            run_key = f"{int(time.time()) % 100_000_000:x}"
            wanted = set(options.only.split(",")) if options.only else None
            for operation in await operations(both, options.rounds, run_key):
                if wanted is None or operation.key in wanted:
                    report.rows.append(await asyncio.to_thread(_measured, both, operation, options))
                    _tell(say, report.rows[-1])
            if options.rows and (wanted is None or wanted & {"import", "export"}):
                await _transfers(both, options.rows, run_key, report, say)
            report.detail["memory_mb"] = {side.name: round(side.process.memory_mb(), 1) for side in both.sides}
    unequal = [row["key"] for row in report.rows if row["equal"] is False]
    if unequal:
        report.notes.append(f"The two answered differently: {', '.join(unequal)}. Their figures cannot be compared; begin with an empty --data-dir.")
    return report


def _tell(say: data.Say, row: dict[str, Any]) -> None:
    different = "" if row["equal"] else f"  DIFFERENT {row.get('difference', '')}"
    say(f"{row['title']:<45} {row['baseline_ms']:>10,.2f} ms {row['product_ms']:>10,.2f} ms  x {row['ratio']:.2f}{different}")


# ---- requests --------------------------------------------------------------------------------------------------------------


def _measured(both: Pair, operation: Operation, options: argparse.Namespace) -> dict[str, Any]:
    """One operation on both. Writes send each request once; the others begin again from the first."""
    asks = operation.asks
    sizes: dict[str, int] = {}
    seen: dict[int, Any] = {}
    differences: list[str] = []

    def one(side: Side, number: int) -> float:
        answer = side.client.ok(asks[number % len(asks)])
        sizes[side.name] = len(answer.body)
        found = operation.seen(answer)
        if number not in seen:
            seen[number] = found
        elif not differences and (where := difference(seen.pop(number), found)):
            differences.append(f"{asks[number % len(asks)].path}: {where}")
        return answer.seconds

    warm_up = 3
    rounds = min(options.rounds, len(asks) - warm_up) if operation.writes else options.rounds
    if rounds < 1:
        raise RuntimeError(f"{operation.key}: there are not enough records left to ask for")
    product, baseline = interleaved(
        lambda number: one(both.product, number), lambda number: one(both.baseline, number), rounds=rounds, warm_up=warm_up, seconds=options.seconds
    )
    return _row(operation.key, operation.title, operation.target, product, baseline, not differences, bytes=sizes, **({"difference": differences[0]} if differences else {}))


def difference(one: Any, other: Any, path: str = "") -> str | None:
    """Where two answers first differ, and in what; None when they say the same."""
    if isinstance(one, dict) and isinstance(other, dict):
        if set(one) != set(other):
            return f"{path}: {sorted(set(one) ^ set(other))} on one side only"
        return next((found for key in one if (found := difference(one[key], other[key], f"{path}/{key}"))), None)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            return f"{path}: {len(one)} and {len(other)}"
        return next((found for i, (a, b) in enumerate(zip(one, other, strict=True)) if (found := difference(a, b, f"{path}/{i}"))), None)
    if isinstance(one, float) and isinstance(other, float) and abs(one - other) <= 0.11:  # ages, rounded a moment apart
        return None
    return None if one == other else f"{path}: {one!r} and {other!r}"[:500]


def _row(key: str, title: str, target: float | None, product: list[float], baseline: list[float], equal: bool | None, **more: Any) -> dict[str, Any]:
    ratio, low, high = ratio_of(product, baseline)
    one, other = Timing.of(product), Timing.of(baseline)
    return {
        "key": key, "title": title, "target": target, "held": None if target is None else ratio <= target, "ratio": ratio, "low": low, "high": high, "equal": equal,
        "product_ms": one.median, "baseline_ms": other.median, "product": _plain(one), "baseline": _plain(other), **more,
    }  # fmt: skip


def _plain(timing: Timing) -> dict[str, Any]:
    return {name: getattr(timing, name) for name in ("median", "p95", "mad", "least", "rounds")}


async def _sizes(both: Pair) -> dict[str, Any]:
    """Megabytes of the tables with their indexes."""
    rows = await both.conn.fetch(
        "SELECT CASE WHEN n.nspname = 'baseline' THEN 'baseline' ELSE 'product' END AS side, round(sum(pg_table_size(c.oid)) / 1048576.0)::int AS tables, "
        "round(sum(pg_indexes_size(c.oid)) / 1048576.0)::int AS indexes FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = 'r' AND n.nspname IN ('public', 'baseline') GROUP BY 1"
    )
    return {row["side"]: {"tables": row["tables"], "indexes": row["indexes"]} for row in rows}


# ---- imports and exports -----------------------------------------------------------------------------------------------------


async def _transfers(both: Pair, rows: int, run_key: str, report: Report, say: data.Say) -> None:
    """A table in and a table out, from the first byte sent to the last received, with the highest memory meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        content = await asyncio.to_thread(_sheet, Path(folder) / "customers.xlsx", rows, run_key)
    try:
        found = {side.name: await asyncio.to_thread(_import, side, content) for side in both.sides}
        counts = {name: (f["result"].get("created"), f["result"].get("failed")) for name, f in found.items()}
        equal = counts["product"] == counts["baseline"] == (rows, 0)
        report.rows.append(_transfer_row("import", f"import of {rows:,} rows from xlsx", found, equal, counts=counts))
        _tell(say, report.rows[-1])
    finally:
        await _take_back(both, run_key)
    out = {side.name: await asyncio.to_thread(_export, side, rows) for side in both.sides}
    counts = {name: _rows_of(f["body"]) for name, f in out.items()}
    report.rows.append(_transfer_row("export", f"export of {counts['baseline'][0]:,} rows to xlsx", out, counts["product"] == counts["baseline"], counts={k: v[0] for k, v in counts.items()}))
    _tell(say, report.rows[-1])


def _transfer_row(key: str, title: str, found: dict[str, dict[str, Any]], equal: bool, **more: Any) -> dict[str, Any]:
    memory = {name: {"before": round(f["before"], 1), "peak": round(f["peak"], 1)} for name, f in found.items()}
    return _row(key, title, 1.5, [found["product"]["seconds"]], [found["baseline"]["seconds"]], equal, memory_mb=memory, **more)


def _sheet(path: Path, rows: int, run_key: str) -> bytes:
    """Customers as a spreadsheet, in the words people use."""
    import rustpy_xlsxwriter

    bundle = json.loads(data.BUNDLE.read_text(encoding="utf-8"))
    fields = {f["key"]: f for f in bundle["entities"][0]["fields"] if f["type"] != "rollup"}
    labels = {key: f["label"]["zh_CN"] for key, f in fields.items()}
    words = {key: {o["key"]: o["label"]["zh_CN"] for o in f["options"]} for key, f in fields.items() if f["type"] == "option"}
    material = Material(Size(max(rows, 1), 0), salt=0)
    linked = {kind: {str(material.id_of(kind, n)): material.small(kind, n).values["name"] for n in range(getattr(material.size, f"{kind}s"))} for kind in ("region", "product", "campaign")}

    def cell(key: str, value: Any) -> Any:
        if value is None or key in ("last_contact_at", "note"):
            return None
        if key in words:
            return words[key][value]
        if key in linked:
            return linked[key][value]
        if key == "revenue":
            return float(value["amount"])
        return ("是" if value else "否") if key == "vip" else value

    def records() -> Any:
        for number in range(rows):
            values = {**material.customer(number).values, "code": f"I{run_key}-{number}"}
            yield {labels[key]: cell(key, values.get(key)) for key in labels if key not in ("last_contact_at", "note")}

    rustpy_xlsxwriter.write_worksheet(records(), str(path))
    return path.read_bytes()


def _watched(side: Side, work: Any) -> dict[str, Any]:
    side.process.forget_peak()
    before, began = side.process.memory_mb(), time.perf_counter()
    result = work()
    return {**result, "seconds": time.perf_counter() - began, "before": before, "peak": side.process.memory_mb(peak=True)}


def _import(side: Side, content: bytes) -> dict[str, Any]:
    def work() -> dict[str, Any]:
        job = side.client.ok(upload("/api/v1/imports", {"entity": "customer", "duplicates": "create", "confirm": "1"}, "customers.xlsx", content)).json()
        return {"result": _finished(side.client, job["id"])["result"]}

    return _watched(side, work)


def _export(side: Side, rows: int) -> dict[str, Any]:
    """About so many customers by revenue: those above the one that stands at this place."""

    def work() -> dict[str, Any]:
        filter_ = {"field": "code", "op": "lt", "value": f"C{rows + 1:07d}"}
        filter_ = {"and": [{"field": "code", "op": "gte", "value": "C0000000"}, filter_]}
        job = side.client.ok(send("POST", "/api/v1/exports", {"entity": "customer", "format": "xlsx", "filter": filter_, "columns": [*["name", "name_en", "code", "level", "industry", "status", "region", "product", "campaign", "city", "phone", "mail", "employees", "score", "revenue", "founded_on", "last_contact_at", "vip"]]})).json()
        _finished(side.client, job["id"])
        return {"body": side.client.ok(get(f"/api/v1/jobs/{job['id']}/result")).body}

    return _watched(side, work)


def _finished(client: Client, job_id: str) -> dict[str, Any]:
    while True:
        job = client.ok(get(f"/api/v1/jobs/{job_id}")).json()
        if job["status"] == "done":
            return job
        if job["status"] in ("failed", "cancelled"):
            raise RuntimeError(f"the job failed: {job}")
        time.sleep(POLL_SECONDS)


def _rows_of(body: bytes) -> tuple[int, list[str]]:
    """How many rows a spreadsheet has, and its codes in order of size."""
    import python_calamine

    with tempfile.NamedTemporaryFile(suffix=".xlsx") as file:
        file.write(body)
        file.flush()
        rows = python_calamine.CalamineWorkbook.from_path(file.name).get_sheet_by_index(0).to_python(skip_empty_area=True)
    code = rows[0].index("编号")
    return len(rows) - 1, sorted(str(row[code]) for row in rows[1:])


async def _take_back(both: Pair, run_key: str) -> None:
    """Remove what was imported, so that the next run finds the same."""
    imported = "SELECT id FROM baseline.customer WHERE tenant_id = $1 AND code LIKE $2"
    like = f"I{run_key}-%"
    async with both.conn.transaction():
        for table in ("history", "search_token"):
            await both.conn.execute(f"DELETE FROM baseline.{table} WHERE tenant_id = $1 AND record_id IN ({imported})", both.tenant_id, like, timeout=600)  # noqa: S608
        await both.conn.execute("DELETE FROM baseline.customer WHERE tenant_id = $1 AND code LIKE $2", both.tenant_id, like, timeout=600)
    number = both.numbers["customer"]
    column = await both.conn.fetchval("SELECT column_name FROM public.field_column WHERE tenant_id = $1 AND entity_id = $2 AND field_key = 'code'", both.tenant_id, number)
    ids = [r[0] for r in await both.conn.fetch(f"SELECT id FROM public.record WHERE entity_id = $1 AND {column} LIKE $2", number, like)]  # noqa: S608  a column of the slots
    async with both.conn.transaction():
        for table, key in (("record_event", "record_id"), ("search_token", "record_id"), ("unique_value", "record_id"), ("record", "id")):
            await both.conn.execute(
                f"DELETE FROM public.{table} WHERE tenant_id = $1 AND entity_id = $2 AND {key} = ANY($3::uuid[])", both.tenant_id, number, ids, timeout=600  # noqa: S608
            )
    await both.conn.execute("VACUUM (ANALYZE) public.record, public.search_token, baseline.customer, baseline.search_token", timeout=3600)
