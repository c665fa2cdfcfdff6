"""Writing a tenant's archive: one snapshot of its rows, streamed; then the contents of its files, which never change."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import json
import zipfile
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from saas.db import tenant_transaction
from saas.errors import Conflict, NotFound
from saas.i18n import lazy
from saas.metadata.slots import IN_DOCUMENT, RETIRED, SLOTS
from saas.runtime.archive import catalogue as c
from saas.runtime.archive import format as f
from saas.runtime.files import content_path

STATEMENT_SECONDS = 900.0
REWRITING = ("backfill", "backfill_sweep", "purge", "purge_records", "bulk_edit")  # jobs that leave records half old and half new while they run
Report = Callable[[int, int], None]
_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(slots=True)
class Written:
    """An archive that is complete. `missing` are files whose contents are gone from the disk."""

    path: Path
    manifest: dict[str, Any]
    bytes: int
    missing: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return sum(part["rows"] for part in self.manifest["parts"])


async def write_archive(tenant_id: UUID, target: Path, *, with_passwords: bool = False, report: Report | None = None) -> Written:
    """Write everything the tenant has to `target`, which appears when it is complete; people go on working. `report(done, total)` is called
    inside the snapshot, so it must not touch the database.

    Memory stays that of some hundred rows. Errors: Conflict while records are being rewritten; NotFound.
    """
    partial = target.with_name(target.name + ".part")  # an attempt that was killed is written over
    try:
        written = await _Writer(tenant_id, partial, with_passwords, report or (lambda _done, _total: None)).write()
        await asyncio.to_thread(partial.replace, target)
    except BaseException:
        await asyncio.to_thread(partial.unlink, missing_ok=True)
        raise
    written.path = target
    return written


@dataclass(slots=True)
class _Place:
    field: str  # in the archive: the key, and a number after it for what the field was before its type changed
    storage: str
    shape: str
    column: str
    created_at: datetime
    retired_at: datetime | None

    @property
    def is_slot(self) -> bool:
        return self.storage in SLOTS


class _Writer:
    def __init__(self, tenant_id: UUID, path: Path, with_passwords: bool, report: Report) -> None:
        self.tenant_id, self.path, self.with_passwords, self.report = tenant_id, path, with_passwords, report
        self.parts: list[dict[str, Any]] = []
        self.files: dict[str, int] = {}
        self.done = self.total = 0

    async def write(self) -> Written:
        await asyncio.to_thread(self.path.parent.mkdir, parents=True, exist_ok=True)
        archive = await asyncio.to_thread(zipfile.ZipFile, self.path, "w", zipfile.ZIP_DEFLATED, allowZip64=True, compresslevel=5)
        try:
            async with tenant_transaction(self.tenant_id, snapshot=True, timeout_seconds=STATEMENT_SECONDS) as conn:
                await conn.execute("SET LOCAL timezone = 'UTC'")
                tenant = await self._read_tenant(conn)
                entities = await self._read_entities(conn)
                await self._count(conn)
                for kept in c.BEFORE_RECORDS:
                    await self._write_table(archive, conn, kept)
                await self._part(archive, "tables/entity.jsonl", _once([self._entity_line(key, row, places) for key, (row, places) in entities.items()]))
                for key, (row, places) in entities.items():
                    await self._part(archive, f"records/{key}.jsonl", self._records(conn, row["id"], places))
                for kept in c.AFTER_RECORDS:
                    await self._write_table(archive, conn, kept)
                shas = await conn.fetch("SELECT DISTINCT sha256, size_bytes FROM file t WHERE tenant_id = $1 AND record_id IS NOT NULL ORDER BY sha256", self.tenant_id)
            missing = [row["sha256"] for row in shas if not await self._write_file(archive, row["sha256"])]
            manifest = self._manifest(tenant, missing)
            await asyncio.to_thread(archive.writestr, f.MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1))
        finally:
            await asyncio.to_thread(archive.close)
        return Written(self.path, manifest, (await asyncio.to_thread(self.path.stat)).st_size, missing)

    # ---- reading ---------------------------------------------------------------------------------------------------------

    async def _read_tenant(self, conn: Any) -> dict[str, Any]:
        row = await conn.fetchval(f"SELECT to_json(x)::text FROM (SELECT {', '.join(c.TENANT)} FROM tenant WHERE id = $1) x", self.tenant_id)
        if row is None:
            raise NotFound()
        if await conn.fetchval("SELECT EXISTS (SELECT 1 FROM job WHERE tenant_id = $1 AND kind = ANY($2::text[]) AND status IN ('queued', 'running', 'paused'))", self.tenant_id, list(REWRITING)):
            raise Conflict(lazy("Records are being changed in the background. Export when that is done; it stands under Settings → Changes to records."), reason="rewriting")
        return json.loads(row)

    async def _read_entities(self, conn: Any) -> dict[str, tuple[Any, list[_Place]]]:
        entities: dict[str, tuple[Any, list[_Place]]] = {
            row["key"]: (row, []) for row in await conn.fetch("SELECT id, key, created_at FROM entity WHERE tenant_id = $1 ORDER BY id", self.tenant_id)
        }
        rows = await conn.fetch(
            "SELECT e.key, f.* FROM field_column f JOIN entity e ON e.tenant_id = f.tenant_id AND e.id = f.entity_id WHERE f.tenant_id = $1 "
            "ORDER BY e.id, f.created_at, f.field_key", self.tenant_id,
        )  # fmt: skip
        numbers: dict[tuple[str, str], int] = {}
        for row in rows:
            base, earlier, _ = row["field_key"].partition(RETIRED)
            name = base
            if earlier:
                numbers[row["key"], base] = number = numbers.get((row["key"], base), 0) + 1
                name = f"{base}{RETIRED}{number}"
            entities[row["key"]][1].append(_Place(name, row["storage"], row["shape"], row["column_name"], row["created_at"], row["retired_at"]))
        return entities

    def _entity_line(self, key: str, row: Any, places: Sequence[_Place]) -> bytes:
        found = [
            {"field": p.field, "storage": p.storage, "shape": p.shape, "place": None if p.is_slot else p.column, "created_at": p.created_at, "retired_at": p.retired_at}
            for p in places
        ]  # fmt: skip
        return _encode({"key": key, "created_at": row["created_at"], "places": found})

    async def _count(self, conn: Any) -> None:
        for table in ("record", "record_event", "audit_event", "record_link", "stage_history"):
            self.total += await conn.fetchval(f"SELECT count(*) FROM {table} WHERE tenant_id = $1", self.tenant_id)

    async def _records(self, conn: Any, number: int, places: Sequence[_Place]) -> AsyncIterator[list[bytes]]:
        columns = [p for p in places if p.is_slot and not p.column.startswith(IN_DOCUMENT)]
        overflow = [p for p in places if p.is_slot and p.column.startswith(IN_DOCUMENT)]
        items = ", ".join([*c.RECORD_META, "doc", *(p.column for p in columns)])
        sql = f"SELECT {items} FROM record WHERE tenant_id = $1 AND entity_id = $2 ORDER BY id"
        size = len(c.RECORD_META)
        async for rows in _batches(conn, sql, self.tenant_id, number):
            lines = []
            for row in rows:
                line: dict[str, Any] = {key: value for key, value in zip(c.RECORD_META, row[:size], strict=True) if value is not None}
                values = {p.field: value for p, value in zip(columns, row[size + 1 :], strict=True) if value is not None}
                if overflow:
                    doc = msgspec.json.decode(row[size], type=dict[str, msgspec.Raw])
                    for p in overflow:
                        held = doc.pop(p.column.removeprefix(IN_DOCUMENT), None)
                        if held is not None and (value := msgspec.json.decode(held)) is not None:
                            values[p.field] = f.outward(p.storage, value)
                    line["doc"] = doc
                else:
                    line["doc"] = msgspec.Raw(row[size].encode())
                lines.append(_encode({**line, "values": values}))
            yield lines

    # ---- writing ---------------------------------------------------------------------------------------------------------

    async def _write_table(self, archive: zipfile.ZipFile, conn: Any, kept: c.Kept) -> None:
        columns = [f"t.{name}" for name in kept.columns]
        if kept.table == "app_user" and self.with_passwords:
            columns.append("t.password_hash")
        join = ""
        if kept.of_entity:
            columns.append(f"e.key AS {c.ENTITY}")
            join = "LEFT JOIN entity e ON e.tenant_id = t.tenant_id AND e.id = t.entity_id "
        only = f" AND {kept.only}" if kept.only else ""
        order = ", ".join(f"t.{name}" for name in kept.order)
        sql = f"SELECT to_json(x)::text FROM (SELECT {', '.join(columns)} FROM {kept.table} t {join}WHERE t.tenant_id = $1{only} ORDER BY {order}) x"

        async def lines() -> AsyncIterator[list[bytes]]:
            async for rows in _batches(conn, sql, self.tenant_id):
                yield [row[0].encode() for row in rows]

        await self._part(archive, f"tables/{kept.table}.jsonl", lines())

    async def _part(self, archive: zipfile.ZipFile, name: str, batches: AsyncIterator[list[bytes]]) -> None:
        digest, rows, size = hashlib.sha256(), 0, 0
        target = await asyncio.to_thread(archive.open, name, "w", force_zip64=True)
        try:
            async for lines in batches:
                text = b"".join(line + b"\n" for line in lines)
                digest.update(text)
                await asyncio.to_thread(target.write, text)
                rows, size = rows + len(lines), size + len(text)
                self.done = min(self.done + len(lines), self.total)
                self.report(self.done, self.total)
        finally:
            await asyncio.to_thread(target.close)
        self.parts.append({"name": name, "rows": rows, "bytes": size, "sha256": digest.hexdigest()})

    async def _write_file(self, archive: zipfile.ZipFile, sha: str) -> bool:
        """False if the contents are not there: somebody purged the field meanwhile, or the disk lost them."""
        path = content_path(self.tenant_id, sha)
        try:
            size = await asyncio.to_thread(_copy, archive, path, f"files/{sha}")
        except FileNotFoundError:
            return False
        self.files[sha] = size
        return True

    def _manifest(self, tenant: dict[str, Any], missing: list[str]) -> dict[str, Any]:
        left_out = dict(c.LEFT_OUT) | {f"{kept.table}.{name}": why for kept in c.KEPT.values() for name, why in kept.without.items()}
        if self.with_passwords:
            del left_out["app_user.password_hash"]
        return {
            "product": f.PRODUCT, "format": f.FORMAT, "version": importlib.metadata.version("saas"), "made_at": datetime.now(UTC).isoformat(), "tenant": tenant,
            "with_passwords": self.with_passwords, "parts": self.parts, "files": {"count": len(self.files), "bytes": sum(self.files.values()), "missing": missing},
            "left_out": left_out, "secrets": f.SECRETS,
        }  # fmt: skip


def _copy(archive: zipfile.ZipFile, path: Path, name: str) -> int:
    with path.open("rb") as source:
        entry = zipfile.ZipInfo(name)  # stored: pictures and office files are compressed already
        size = 0
        with archive.open(entry, "w", force_zip64=True) as target:
            while part := source.read(f.FILE_CHUNK):
                target.write(part)
                size += len(part)
    return size


async def _batches(conn: Any, sql: str, *args: Any) -> AsyncIterator[list[Any]]:
    cursor = await conn.cursor(sql, *args)
    while rows := await cursor.fetch(f.BATCH):
        yield rows


async def _once(lines: Iterable[bytes]) -> AsyncIterator[list[bytes]]:
    yield list(lines)
