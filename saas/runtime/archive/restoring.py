"""Restoring an archive as a new tenant. One transaction of the app's role under the new tenant's id: row security keeps everything of
the archive inside it, and if anything fails, or this process is killed, nothing of it was ever there.

Contents of files cannot be part of a transaction. They are put under the new tenant's id before it, beside a note that is locked as long as
this process lives; a note that nobody holds and whose tenant does not exist tells what may be removed.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from saas.db import current_database, system_transaction, tenant_transaction
from saas.errors import Conflict, InvalidInput, NotFound
from saas.i18n import lazy
from saas.metadata import slots
from saas.metadata.config import Config
from saas.metadata.parse import parse_bundle
from saas.metadata.store import content_hash
from saas.runtime import load_kinds, records, rollups, uniques
from saas.runtime.archive import catalogue as c
from saas.runtime.archive import format as f
from saas.runtime.archive.ids import Ids
from saas.runtime.archive.reading import Archive, Row, as_id, open_archive, refused
from saas.runtime.contexts import system_context
from saas.runtime.files import content_path
from saas.tenants import USUAL, check_slug, forget_host, new_id, passwords, record_audit
from saas.tenants import brand as looks

STATEMENT_SECONDS = 900.0
NOTE = ".importing"
WHOLE = 1_000_000  # rows of a table that is written in one statement
_NOTE = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.importing\Z")
_encode = msgspec.json.Encoder(decimal_format="number").encode
Report = Callable[[str, int, int], None]


@dataclass(slots=True)
class Restored:
    """What became of an archive. `rows` by table; `collisions` are records whose unique values others held already."""

    tenant_id: UUID
    slug: str
    rows: dict[str, int] = field(default_factory=dict)
    files: int = 0
    collisions: int = 0


async def restore_archive(path: Path, *, slug: str | None = None, name: str | None = None, plan_key: str = USUAL, needs: str | None = None, report: Report | None = None) -> Restored:
    """Make a tenant of an archive: under its own address, or another. All or nothing; `report(step, done, total)` is called on the way.
    `needs`: the e-mail address of somebody who must be in it.

    Errors: BadRequest (not an archive, or not a whole one), InvalidInput (address), Conflict (address taken), NotFound (`needs`),
    InvalidDefinition.
    """
    load_kinds()
    say = report or (lambda _step, _done, _total: None)
    await sweep_attempts()
    archive = await asyncio.to_thread(open_archive, path)
    try:
        check_slug(slug or archive.tenant["slug"])
        with tempfile.TemporaryDirectory(prefix="saas-import-") as folder:
            ids = Ids(Path(folder))
            try:
                await asyncio.to_thread(archive.check, ids, lambda done: say("check", done, archive.rows))
                return await _Restorer(archive, ids, slug or archive.tenant["slug"], name, plan_key, needs, say).restore()
            finally:
                ids.close()
    finally:
        archive.close()


async def sweep_attempts() -> int:
    """Remove what imports left that were killed; returns how many. Those still going on are left alone."""
    swept = 0
    root = current_database().settings.data_dir / "files"
    for note in await asyncio.to_thread(lambda: sorted(root.glob(f"*{NOTE}"))):
        match = _NOTE.match(note.name)
        with _locked(note) as is_ours:
            if match is None or not is_ours:
                continue
            async with system_transaction("housekeeping") as conn:
                exists = await conn.fetchval("SELECT true FROM tenant WHERE id = $1", UUID(match[1]))
            if not exists:
                await asyncio.to_thread(shutil.rmtree, root / match[1], ignore_errors=True)
                swept += 1
            await asyncio.to_thread(note.unlink, missing_ok=True)
    return swept


@contextmanager
def _locked(note: Path, *, make: bool = False) -> Iterator[bool]:
    """True if nobody else held the note; it is then held until the end, also by its process dying."""
    handle = os.open(note, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if make else 0), 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield note.exists() and os.fstat(handle).st_ino == note.stat().st_ino  # ASYNC: local, and of no size
    except BlockingIOError:
        yield False
    finally:
        os.close(handle)


class _Restorer:
    def __init__(self, archive: Archive, ids: Ids, slug: str, name: str | None, plan_key: str, needs: str | None, say: Report) -> None:
        self.archive, self.ids, self.slug, self.name, self.plan_key, self.needs, self.say = archive, ids, slug, name, plan_key, needs, say
        self.tenant_id = new_id()
        self.result = Restored(self.tenant_id, slug)
        self.numbers: dict[str, int] = {}
        self.places: dict[str, dict[str, slots.Assignment]] = {}
        self.done = 0

    async def restore(self) -> Restored:
        root = current_database().settings.data_dir / "files"
        await asyncio.to_thread(root.mkdir, parents=True, exist_ok=True)
        note, folder = root / f"{self.tenant_id}{NOTE}", root / str(self.tenant_id)
        with _locked(note, make=True):
            try:
                await self._write_files()
                await self._write_rows()
            except BaseException:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
                raise
            finally:
                await asyncio.to_thread(note.unlink, missing_ok=True)
        forget_host(self.slug)
        return self.result

    async def _write_files(self) -> None:
        for sha in self.archive.files:
            await asyncio.to_thread(self._write_file, sha)
            self.result.files += 1
            self.say("files", self.result.files, len(self.archive.files))

    def _write_file(self, sha: str) -> None:
        target = content_path(self.tenant_id, sha)
        target.parent.mkdir(parents=True, exist_ok=True)
        with self.archive.zip.open(f"files/{sha}") as source, target.open("wb") as stream:
            shutil.copyfileobj(source, stream, f.FILE_CHUNK)
            stream.flush()
            os.fsync(stream.fileno())
        target.chmod(0o640)

    # ---- rows ------------------------------------------------------------------------------------------------------------

    async def _write_rows(self) -> None:
        try:
            async with tenant_transaction(self.tenant_id, timeout_seconds=STATEMENT_SECONDS) as conn:
                await self._write_tenant(conn)
                for kept in c.BEFORE_RECORDS:
                    await self._write_table(conn, kept)
                if self.needs and not await conn.fetchval("SELECT true FROM app_user WHERE tenant_id = $1 AND email = lower($2)", self.tenant_id, self.needs.strip()):
                    raise NotFound(lazy("%(email)s is not in the archive.", email=self.needs))
                await self._write_entities(conn)
                for key in self.archive.entities:
                    await self._write_records(conn, key)
                for kept in c.AFTER_RECORDS:
                    await self._write_table(conn, kept)
                await self._make_anew(conn)
                data = {"from": self.archive.tenant["slug"], "made_at": self.archive.manifest["made_at"], "version": self.archive.manifest["version"]}
                await record_audit(conn, self.tenant_id, "tenant.imported", target=self.slug, data=data)
        except asyncpg.UniqueViolationError as error:
            if error.table_name == "tenant":
                raise Conflict(lazy("The address %(slug)s is taken", slug=self.slug)) from error
            raise refused(lazy("it has a row twice (%(table)s).", table=error.table_name or "")) from error
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            raise refused(lazy("a row does not fit: %(error)s", error=str(error)[:200])) from error

    async def _write_tenant(self, conn: Any) -> None:
        tenant = self.archive.tenant
        row = {**tenant, "id": str(self.tenant_id), "slug": self.slug, "name": (self.name or tenant["name"]).strip(), "plan_key": self.plan_key}
        await conn.execute(
            "INSERT INTO tenant (id, slug, name, locale, time_zone, currency, country, plan_key, pack_key, brand, clock_offset_seconds, config_revision, created_at, security) "
            "SELECT id, slug, name, locale, time_zone, currency, country, plan_key, pack_key, brand, clock_offset_seconds, config_revision, created_at, security "
            "FROM json_populate_record(NULL::public.tenant, $1::json)", json.dumps(row),
        )  # fmt: skip

    async def _write_table(self, conn: Any, kept: c.Kept) -> None:
        name = f"tables/{kept.table}.jsonl"
        columns = [*kept.columns, *(["entity_id"] if kept.of_entity else []), *(["password_hash"] if kept.table == "app_user" else [])]
        for rows in self.archive.batches(name, WHOLE if kept.whole else f.BATCH):
            found = await asyncio.to_thread(lambda rows=rows: [self._row(kept, row, name) for row in rows])
            # A column that a row does not have gets its default, so rows of an older version fit.
            given = [column for column in columns if any(column in row for row in found)]
            await self._insert(conn, kept.table, given, found)

    def _row(self, kept: c.Kept, row: Row, name: str) -> Row:
        for column in kept.ids:
            if (old := as_id(row.get(column), name)) is not None:
                row[column] = _raw(str(self.ids.new(old)))
        if kept.of_entity:
            key = msgspec.json.decode(row.pop(c.ENTITY, msgspec.Raw(b"null")))
            row["entity_id"] = _raw(self.numbers[key] if key is not None else None)
        if change := _CHANGED.get(kept.table):
            change(row, self.ids)
        return row

    async def _insert(self, conn: Any, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        if not rows or not columns:
            return
        text = self.ids.replace(_encode(rows))
        names = ", ".join(columns)
        await conn.execute(f"INSERT INTO {table} (tenant_id, {names}) SELECT $1, {names} FROM json_populate_recordset(NULL::public.{table}, $2::json)", self.tenant_id, text.decode())
        self.result.rows[table] = self.result.rows.get(table, 0) + len(rows)
        self.done += len(rows)
        self.say("rows", self.done, self.archive.rows)

    # ---- entities and records ----------------------------------------------------------------------------------------------

    async def _write_entities(self, conn: Any) -> None:
        """Numbers and places of this installation's own choosing."""
        text = await conn.fetchval("SELECT bundle::text FROM config_revision WHERE tenant_id = $1 AND number = $2", self.tenant_id, self.archive.tenant["config_revision"])
        if text is None and self.archive.tenant["config_revision"]:
            raise refused(lazy("its configuration is missing."))
        config = Config(await asyncio.to_thread(parse_bundle, json.loads(text))) if text else None
        for entity in self.archive.entities.values():
            number = await conn.fetchval("INSERT INTO entity (tenant_id, key, created_at) VALUES ($1, $2, $3::text::timestamptz) RETURNING id", self.tenant_id, entity.key, entity.created_at)
            self.numbers[entity.key] = number
            wanted = [slots.Assignment(p.field, p.place or "", p.storage, p.retired_at is not None, p.shape) for p in entity.places]
            placed = slots.place_anew(config, entity.key, wanted)
            self.places[entity.key] = {p.field: a for p, a in zip(entity.places, placed, strict=True)}
            await conn.executemany(
                "INSERT INTO field_column (tenant_id, entity_id, field_key, column_name, storage, shape, created_at, retired_at) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7::text::timestamptz, $8::text::timestamptz)",
                [(self.tenant_id, number, a.field_key, a.column, a.storage, a.shape, p.created_at, p.retired_at) for p, a in zip(entity.places, placed, strict=True)],
            )  # fmt: skip

    async def _write_records(self, conn: Any, key: str) -> None:
        name, places = f"records/{key}.jsonl", self.places[key]
        columns = [*c.RECORD_META, "entity_id", "doc", *sorted({a.column for a in places.values() if ":" not in a.column})]
        for rows in self.archive.batches(name):
            found = await asyncio.to_thread(lambda rows=rows: [self._record(key, row, name) for row in rows])
            given = [column for column in columns if any(column in row for row in found)]
            await self._insert(conn, "record", given, found)

    def _record(self, key: str, row: Row, name: str) -> Row:
        values: Row = msgspec.json.decode(row.pop("values"), type=Row)
        for column in c.RECORD_IDS:
            if (old := as_id(row.get(column), name)) is not None:
                row[column] = _raw(str(self.ids.new(old)))
        row["entity_id"] = _raw(self.numbers[key])
        doc: Row | None = None
        for name_, raw in values.items():
            place = self.places[key][name_]
            value = f.inward(place.storage, msgspec.json.decode(raw))
            if place.storage == "uuid":
                value = str(self.ids.new(UUID(value)))
            if place.column.startswith(slots.IN_DOCUMENT):
                doc = doc if doc is not None else msgspec.json.decode(row["doc"], type=Row)
                doc[place.column.removeprefix(slots.IN_DOCUMENT)] = _raw(f.in_document(place.storage, value))
            else:
                row[place.column] = _raw(value)
        if doc is not None:
            row["doc"] = msgspec.Raw(_encode(doc))
        return row

    # ---- what follows from records -------------------------------------------------------------------------------------------

    async def _make_anew(self, conn: Any) -> None:
        """Search tokens, unique values and rollups, under the configuration that is live. What the archive says of them is not believed."""
        ctx = await system_context(self.tenant_id)
        done, total = 0, self.result.rows.get("record", 0)
        for entity in ctx.config.entities.values():
            kept = [declared for declared in entity.declared.values() if declared.type == "rollup"]
            after: UUID | None = None
            while rows := await conn.fetch(
                f"SELECT id FROM record t WHERE t.tenant_id = $1 AND t.entity_id = {entity.number} AND ($2::uuid IS NULL OR t.id > $2) ORDER BY t.id LIMIT {f.BATCH}", self.tenant_id, after
            ):
                found = [row[0] for row in rows]
                await records.reindex(conn, ctx, entity, found)
                self.result.collisions += len(await uniques.sync(conn, ctx, entity, found, entity.defn.unique))
                await rollups.refresh_many(conn, ctx, entity, found, kept)
                after, done = found[-1], done + len(found)
                self.say("index", done, total)


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(_encode(value))


# ---- what is not taken as it is --------------------------------------------------------------------------------------------


def _revision(row: Row, ids: Ids) -> None:
    """Compiled configurations are shared by their hash, also with other tenants: the hash must be that of this very bundle."""
    row["bundle"] = msgspec.Raw(ids.replace(bytes(row["bundle"])))
    row["hash"] = _raw(content_hash(json.loads(bytes(row["bundle"]))))


def _person(row: Row, ids: Ids) -> None:
    """A hash made elsewhere could ask for any amount of memory when somebody signs in."""
    given = msgspec.json.decode(row.get("password_hash", msgspec.Raw(b'""')))
    row["password_hash"] = _raw(given if isinstance(given, str) and passwords.is_ours(given) else "")


def _picture(row: Row, ids: Ids) -> None:
    kind, text = (msgspec.json.decode(row[key]) for key in ("kind", "content"))
    try:
        content = bytes.fromhex(text.removeprefix("\\x"))
        clean = looks.clean(kind, content)
    except (ValueError, TypeError, KeyError, AttributeError, InvalidInput) as error:
        raise refused(lazy("a logo in it is no picture.")) from error
    if clean.content_type == "image/svg+xml" or not content.startswith(b"\x89PNG"):  # a drawing can act; a PNG is shown as it is
        row["content"] = _raw("\\x" + clean.content.hex())
    row["content_type"] = _raw(clean.content_type)


def _run(row: Row, ids: Ids) -> None:
    """Jobs are not in an archive: what was about to go on there is due at once here."""
    if msgspec.json.decode(row["status"]) == "queued":
        row["status"], row["due_at"] = _raw("waiting"), row["at"]


_CHANGED: dict[str, Callable[[Row, Ids], None]] = {"config_revision": _revision, "app_user": _person, "brand_file": _picture, "automation_log": _run}
