"""Importing and exporting customers as Excel tables, as jobs in the background."""

from __future__ import annotations

import asyncio
import io
import json
import os
import queue
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import python_calamine
import rustpy_xlsxwriter

from tests.benchmarks.baseline.database import Refused, Who, new_id, work
from tests.benchmarks.baseline.reading import listed, tokens
from tests.benchmarks.baseline.shapes import INDUSTRY, LEVEL, SHAPES, STATUS, ZONE
from tests.benchmarks.baseline.writing import DEFAULTS, checked

BATCH = 1_000
FILES = Path(os.environ.get("BASELINE_FILES", tempfile.gettempdir()))
LABELS = {
    "name": "名称", "name_en": "英文名称", "code": "编号", "level": "等级", "industry": "行业", "status": "状态", "region": "区域", "product": "主要产品", "campaign": "来源活动",
    "city": "城市", "phone": "电话", "mail": "邮箱", "employees": "员工数", "score": "评分", "revenue": "年营收", "founded_on": "成立日期", "last_contact_at": "最近联系",
    "next_contact_on": "下次联系", "vip": "重点客户", "note": "备注", "deal_amount": "商机总额",
}  # fmt: skip
WORDS = {key: {text: word for word, text in words.items()} for key, words in (("level", LEVEL), ("industry", INDUSTRY), ("status", STATUS))}
_running: set[asyncio.Task[None]] = set()


async def start(conn: Any, who: Who, kind: str, total: int | None) -> UUID:
    job_id = new_id()
    await conn.execute("INSERT INTO job (tenant_id, id, kind, status, total, created_by) VALUES ($1, $2, $3, 'queued', $4, $5)", who.tenant_id, job_id, kind, total, who.user_id)
    return job_id


def run(who: Who, job_id: UUID, work_: Any) -> None:
    async def guarded() -> None:
        try:
            await work_
        except Exception as error:
            async with work(who.tenant_id) as conn:
                await _told(conn, who, job_id, "failed", 0, {"error": str(error)})

    task = asyncio.create_task(guarded())
    _running.add(task)
    task.add_done_callback(_running.discard)


async def _told(conn: Any, who: Who, job_id: UUID, status: str, progress: int, result: Any) -> None:
    await conn.execute("UPDATE job SET status = $3, progress = $4, result = $5::jsonb WHERE tenant_id = $1 AND id = $2", who.tenant_id, job_id, status, progress, json.dumps(result))


async def job(conn: Any, who: Who, job_id: UUID) -> dict[str, Any]:
    row = await conn.fetchrow("SELECT id, kind, status, progress, total, result FROM job WHERE tenant_id = $1 AND id = $2", who.tenant_id, job_id)
    if row is None:
        raise Refused(404, "not_found", "There is no such job.")
    return {**dict(row), "id": str(row["id"]), "result": json.loads(row["result"]) if row["result"] else None}


# ---- import ------------------------------------------------------------------------------------------------------------------


async def import_customers(who: Who, job_id: UUID, content: bytes) -> None:
    rows = await asyncio.to_thread(_read, content)
    headers = {text: key for key, text in LABELS.items()}
    keys = [headers.get(str(cell).strip(), str(cell).strip()) for cell in rows[0]]
    tally: dict[str, Any] = {"created": 0, "failed": 0, "errors": []}
    async with work(who.tenant_id) as conn:
        names = {table: {r[1]: r[0] for r in await conn.fetch(f"SELECT id, name FROM {table} WHERE tenant_id = $1", who.tenant_id)} for table in ("region", "product", "campaign")}
    for start_ in range(1, len(rows), BATCH):
        batch = []
        for number, row in enumerate(rows[start_ : start_ + BATCH], start_ + 1):
            try:
                batch.append((number, _values(keys, row, names)))
            except (Refused, ValueError, KeyError) as error:
                _failed(tally, number, str(error))
        async with work(who.tenant_id) as conn:
            await _insert(conn, who, batch, tally)
            await _told(conn, who, job_id, "running", min(start_ + BATCH, len(rows)) - 1, tally)
        await asyncio.sleep(0)
    async with work(who.tenant_id) as conn:
        await _told(conn, who, job_id, "done", len(rows) - 1, tally)


def _read(content: bytes) -> list[list[Any]]:
    return python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python(skip_empty_area=True)


def _failed(tally: dict[str, Any], number: int, message: str) -> None:
    tally["failed"] += 1
    if len(tally["errors"]) < 1000:
        tally["errors"].append({"row": number, "message": message})


def _values(keys: list[str], row: list[Any], names: dict[str, dict[str, UUID]]) -> dict[str, Any]:
    """One row of the table as checked values."""
    found: dict[str, Any] = dict(DEFAULTS["customer"])
    for key, cell in zip(keys, row, strict=False):
        if isinstance(cell, str):
            cell = cell.strip()
        if cell in (None, "") or key == "deal_amount":
            continue
        if key in WORDS:
            cell = WORDS[key].get(cell, cell)
        elif key in names:
            cell = str(names[key][cell])
        elif key in ("founded_on", "next_contact_on"):
            cell = (cell.date() if isinstance(cell, datetime) else cell).isoformat() if isinstance(cell, date) else cell
        elif key == "last_contact_at" and isinstance(cell, datetime):
            cell = cell.replace(tzinfo=ZONE).astimezone(UTC).isoformat()
        elif key == "vip":
            cell = cell in ("是", True, "true")
        elif key == "employees":
            cell = int(cell)
        elif key in ("phone", "code") and isinstance(cell, float):
            cell = str(int(cell))
        elif key == "revenue":
            cell = f"{cell:.2f}" if isinstance(cell, float) else str(cell)
        found[key] = cell
    if not found.get("name"):
        raise ValueError("name is required")
    return checked("customer", found)


KINDS = {"region": "uuid", "product": "uuid", "campaign": "uuid", "employees": "int", "score": "float8", "revenue": "bigint", "founded_on": "date", "next_contact_on": "date", "last_contact_at": "timestamptz", "vip": "bool"}


async def _insert(conn: Any, who: Who, batch: list[tuple[int, dict[str, Any]]], tally: dict[str, Any]) -> None:
    """Rows, history and tokens of a batch, three statements; a code that is taken fails alone."""
    if not batch:
        return
    now = datetime.now(UTC)
    fields = [k for k in LABELS if k != "deal_amount"]
    ids = [new_id() for _ in batch]
    columns = ", ".join(SHAPES["customer"][k][0] for k in fields)
    arrays = ", ".join(f"${n}::{KINDS.get(k, 'text')}[]" for n, k in enumerate(fields, 6))
    made = await conn.fetch(
        f"INSERT INTO customer (tenant_id, owner_id, department_id, created_at, created_by, updated_at, updated_by, id, {columns}) "
        f"SELECT $1, $2, $3, $4, $2, $4, $2, * FROM unnest($5::uuid[], {arrays}) ON CONFLICT (tenant_id, code) WHERE deleted_at IS NULL DO NOTHING RETURNING id",
        who.tenant_id, who.user_id, who.department_id, now, ids, *([values.get(k) for _, values in batch] for k in fields),
    )  # fmt: skip
    there = {r[0] for r in made}
    kept = [(record_id, values) for record_id, (_, values) in zip(ids, batch, strict=True) if record_id in there]
    for record_id, (number, _) in zip(ids, batch, strict=True):
        if record_id not in there:
            _failed(tally, number, "Another record already has this code.")
    tally["created"] += len(kept)
    owner = str(who.user_id)
    changes = [json.dumps({**{k: [None, v.isoformat() if isinstance(v, date | datetime) else str(v) if isinstance(v, UUID) else v] for k, v in values.items() if v is not None}, "owner": [None, owner]}, ensure_ascii=False) for _, values in kept]
    await conn.execute(
        "INSERT INTO history (tenant_id, entity, record_id, id, at, actor_id, kind, version, changes) "
        "SELECT $1, 'customer', r, i, $2, $3, 'created', 1, c::jsonb FROM unnest($4::uuid[], $5::uuid[], $6::text[]) AS n (r, i, c)",
        who.tenant_id, now, who.user_id, [r for r, _ in kept], [new_id() for _ in kept], changes,
    )  # fmt: skip
    found = sorted((token, record_id) for record_id, values in kept for token in tokens(f"{values['name']} {values.get('name_en') or ''}"))
    await conn.execute(
        "INSERT INTO search_token (tenant_id, entity, token, record_id) SELECT $1, 'customer', t, r FROM unnest($2::text[], $3::uuid[]) AS n (t, r) ON CONFLICT DO NOTHING",
        who.tenant_id, [t for t, _ in found], [r for _, r in found],
    )  # fmt: skip


# ---- export ------------------------------------------------------------------------------------------------------------------


async def export_customers(who: Who, job_id: UUID, asked: dict[str, Any]) -> None:
    """Pages by keyset, each in a transaction of its own, handed to a writer in a thread."""
    path, pipe = FILES / f"{job_id}.xlsx", queue.Queue[Any](maxsize=4)
    columns = asked.get("columns") or list(LABELS)
    writer = asyncio.create_task(asyncio.to_thread(_write, path, columns, pipe))
    after, count = None, 0
    while True:
        async with work(who.tenant_id, planned=True) as conn:
            rows, after, _ = await listed(conn, who, "customer", filter_=asked.get("filter"), sort=asked.get("sort") or "-created_at", fields=columns, limit=BATCH, after=after)
            count += len(rows)
            await _told(conn, who, job_id, "running", count, None)
        await asyncio.to_thread(pipe.put, [[_cell(row, key) for key in columns] for row in rows])
        if after is None:
            break
    await asyncio.to_thread(pipe.put, None)
    await writer
    async with work(who.tenant_id) as conn:
        await _told(conn, who, job_id, "done", count, {"file": path.name, "rows": count})


def _cell(row: Any, key: str) -> Any:
    column, _, text_of, table = SHAPES["customer"][key]
    value = row[column]
    if value is None:
        return None
    if table:
        return row[f"{column}_name"]
    if key in ("revenue", "deal_amount"):
        return value / 100
    if isinstance(value, datetime):
        return value.astimezone(ZONE).replace(tzinfo=None)
    return value if isinstance(value, int | float | date) and not isinstance(value, bool) else text_of(value)


def _write(path: Path, columns: list[str], pipe: queue.Queue[Any]) -> None:
    names = [LABELS[key] for key in columns]

    def records() -> Iterator[dict[str, Any]]:
        while (batch := pipe.get()) is not None:
            for row in batch:
                yield dict(zip(names, row, strict=True))

    rustpy_xlsxwriter.write_worksheet(records(), str(path), sheet_name="客户", freeze_row=1, bold_headers=True, autofilter=True, datetime_format="yyyy-mm-dd hh:mm")
