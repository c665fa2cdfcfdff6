"""Reading an archive that may come from anybody: everything is examined before anything is written.

No name in it becomes a path; sizes are bounded before and while unpacking; every part is compared with its checksum; a row may have
only keys the catalogue knows.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from saas.errors import BadRequest
from saas.i18n import LOCALES, LazyString, lazy
from saas.metadata.slots import IN_DOCUMENT, IN_LINKS, RETIRED, SLOTS
from saas.runtime.archive import catalogue as c
from saas.runtime.archive import format as f
from saas.runtime.archive.ids import Ids
from saas.tenants import brand as looks

MAX_MANIFEST = 16 * 1024 * 1024
MAX_LINE = 64 * 1024 * 1024
MAX_ENTRIES = 2_000_000
MAX_RATIO = 250  # unpacked to packed; rows of real tenants stay below 60
MAX_BYTES = 200 * 1024**3  # unpacked, altogether
MAX_PLACES = 5_000
Row = dict[str, msgspec.Raw]
_rows = msgspec.json.Decoder(Row)
_COLUMNS: dict[str, frozenset[str]] = {**{name: kept.known for name, kept in c.KEPT.items()}, "entity": frozenset({"key", "created_at", "places"})}
RECORD_KEYS = frozenset((*c.RECORD_META, "doc", "values"))


@dataclass(frozen=True, slots=True)
class Place:
    """A field of the archive, with the words of saas.metadata.slots. `place` is None where a column is to be chosen."""

    field: str
    storage: str
    shape: str
    place: str | None
    created_at: str
    retired_at: str | None


@dataclass(frozen=True, slots=True)
class Entity:
    key: str
    created_at: str
    places: tuple[Place, ...]


@dataclass(slots=True)
class Archive:
    """An archive whose frame holds. `check` examines the rest; only then may it be restored."""

    path: Path
    zip: zipfile.ZipFile
    manifest: dict[str, Any]
    parts: dict[str, dict[str, Any]]
    files: dict[str, int]  # checksum -> bytes
    entities: dict[str, Entity] = field(default_factory=dict)

    @property
    def tenant(self) -> dict[str, Any]:
        return self.manifest["tenant"]

    @property
    def rows(self) -> int:
        return sum(part["rows"] for part in self.parts.values())

    def close(self) -> None:
        self.zip.close()

    # ---- rows ------------------------------------------------------------------------------------------------------------

    def batches(self, name: str, size: int = f.BATCH) -> Iterator[list[Row]]:
        """The rows of a part. Errors: BadRequest for what cannot be read."""
        if name not in self.parts:
            return
        batch: list[Row] = []
        with self._open(name) as stream:
            for line in _lines(stream, name):
                batch.append(_row(line, name))
                if len(batch) >= size:
                    yield batch
                    batch = []
        if batch:
            yield batch

    def _open(self, name: str) -> IO[bytes]:
        return self.zip.open(name)

    # ---- examining -------------------------------------------------------------------------------------------------------

    def check(self, ids: Ids, report: Callable[[int], None] = lambda _done: None) -> None:
        """Compare everything with the manifest and learn all ids. Errors: BadRequest."""
        done = 0
        self._check_part("tables/entity.jsonl", "entity", ids)
        for name in self.parts:
            if name == "tables/entity.jsonl":
                continue
            table = f.TABLE.match(name)
            done += self._check_part(name, table[1] if table else None, ids)
            report(done)
        for sha, size in self.files.items():
            if _measure(self._open(f"files/{sha}"), f"files/{sha}") != (sha, size):
                raise refused(lazy("%(name)s is not what its checksum says.", name=f"files/{sha}"))
        missing = set(self.manifest["files"]["missing"])
        for rows in self.batches("tables/file.jsonl"):
            for row in rows:
                sha = _value(row, "sha256", "tables/file.jsonl")
                if sha not in missing and self.files.get(sha) != _value(row, "size_bytes", "tables/file.jsonl"):
                    raise refused(lazy("%(name)s is missing or of another size.", name=f"files/{sha}"))

    def _check_part(self, name: str, table: str | None, ids: Ids) -> int:
        part, digest, size, count = self.parts[name], hashlib.sha256(), 0, 0
        learned: list[UUID] = []
        try:
            with self._open(name) as stream:
                for line in _lines(stream, name):
                    digest.update(line)
                    size, count = size + len(line), count + 1
                    learned += self._examine(_row(line, name), name, table)
                    if len(learned) >= 2000:
                        ids.learn(learned)
                        learned.clear()
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            raise refused(lazy("%(name)s cannot be read.", name=name)) from error
        ids.learn(learned)
        if (size, count, digest.hexdigest()) != (part["bytes"], part["rows"], part["sha256"]):
            raise refused(lazy("%(name)s is not what its checksum says.", name=name))
        return count

    def _examine(self, row: Row, name: str, table: str | None) -> list[UUID]:
        known = _COLUMNS[table] if table else RECORD_KEYS
        if table == "app_user" and self.manifest["with_passwords"]:
            known |= {"password_hash"}
        if unknown := sorted(set(row) - known):
            raise refused(lazy("%(name)s has “%(key)s”, which this version does not know.", name=name, key=unknown[0][:80]))
        if table == "entity":
            self._learn_entity(row)
            return []
        if table:
            kept = c.KEPT[table]
            if kept.of_entity and (key := msgspec.json.decode(row.get(c.ENTITY, b"null"))) is not None and key not in self.entities:
                raise refused(lazy("%(name)s speaks of an entity that is not in the archive.", name=name))
            return [found for key in kept.ids if (found := as_id(row.get(key), name)) is not None]
        return self._examine_record(row, name)

    def _examine_record(self, row: Row, name: str) -> list[UUID]:
        entity = self.entities[f.RECORDS.match(name)[1]]  # type: ignore[index]  the frame holds
        storages = {p.field: p.storage for p in entity.places}
        if "id" not in row:
            raise refused(lazy("%(name)s has a row without an id.", name=name))
        found = [one for key in c.RECORD_IDS if (one := as_id(row.get(key), name)) is not None]
        for key, raw in _object(row.get("values"), name).items():
            storage = storages.get(key)
            if storage not in SLOTS:
                raise refused(lazy("%(name)s has “%(key)s”, which this version does not know.", name=name, key=key[:80]))
            try:
                value = f.inward(storage, msgspec.json.decode(raw))
            except ValueError as error:
                raise refused(lazy("%(name)s has a value that does not fit its field.", name=name)) from error
            if storage == "uuid":
                found.append(UUID(value))
        _object(row.get("doc"), name)
        return found

    def _learn_entity(self, row: Row) -> None:
        name = "tables/entity.jsonl"
        try:
            raw = msgspec.json.decode(msgspec.json.encode(row), type=Entity)
        except msgspec.MsgspecError as error:
            raise refused(lazy("%(name)s cannot be read.", name=name)) from error
        names = [p.field for p in raw.places]
        places = [p.place for p in raw.places if p.place is not None]
        if f.RECORDS.match(f"records/{raw.key}.jsonl") is None or raw.key in self.entities or len(self.entities) > MAX_PLACES or len(names) > MAX_PLACES:
            raise refused(lazy("%(name)s cannot be read.", name=name))
        fits = all((p.storage in SLOTS and p.place is None) or (p.place or "").startswith({"doc": IN_DOCUMENT, "links": IN_LINKS}.get(p.storage, "?")) for p in raw.places)
        if len(set(names)) != len(names) or len(set(places)) != len(places) or not fits or any(not n.partition(RETIRED)[0] for n in names):
            raise refused(lazy("%(name)s cannot be read.", name=name))
        self.entities[raw.key] = raw


def refused(message: LazyString) -> BadRequest:
    """Not an archive that can be restored, and why."""
    return BadRequest(lazy("The archive cannot be restored: %(why)s", why=message), reason="archive")


def open_archive(path: Path) -> Archive:
    """Open a file and examine its frame: names, sizes, manifest. Nothing is unpacked yet. Errors: BadRequest."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise refused(lazy("this is no archive.")) from error
    try:
        return _framed(path, archive)
    except BaseException:
        archive.close()
        raise


def _framed(path: Path, archive: zipfile.ZipFile) -> Archive:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if len(entries) > MAX_ENTRIES or len(set(names)) != len(names):
        raise refused(lazy("it has too many parts, or one twice."))
    if sum(entry.file_size for entry in entries) > MAX_BYTES:
        raise refused(lazy("it is too large."))
    for entry in entries:
        _check_entry(entry)
    manifest = _manifest(archive)
    parts = {part["name"]: part for part in manifest["parts"]}
    rows = {name for name in names if not name.startswith("files/") and name != f.MANIFEST}
    if rows != set(parts) or len(parts) != len(manifest["parts"]) or "tables/entity.jsonl" not in parts:
        raise refused(lazy("its parts are not those of its manifest."))
    if any((found := f.TABLE.match(name)) and found[1] not in _COLUMNS for name in parts):
        raise refused(lazy("it has a table that this version does not know."))
    files = {entry.filename.removeprefix("files/"): entry.file_size for entry in entries if entry.filename.startswith("files/")}
    if (len(files), sum(files.values())) != (manifest["files"]["count"], manifest["files"]["bytes"]):
        raise refused(lazy("its files are not those of its manifest."))
    found = Archive(path, archive, manifest, parts, files)
    listed = {_value(row, "key", "tables/entity.jsonl") for batch in found.batches("tables/entity.jsonl") for row in batch}
    if any((match := f.RECORDS.match(name)) and match[1] not in listed for name in parts):
        raise refused(lazy("it has records of an entity that is not in it."))
    return found


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    if not (name == f.MANIFEST or f.TABLE.match(name) or f.RECORDS.match(name) or f.FILE.match(name)):
        raise refused(lazy("it has a part that does not belong there: %(name)s", name=name[:100]))
    if entry.flag_bits & 0x1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise refused(lazy("it is encrypted or packed in another way."))
    if entry.file_size > MAX_RATIO * max(entry.compress_size, 4096):
        raise refused(lazy("a part of it would unpack to more than any real one."))


def _manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    try:
        if archive.getinfo(f.MANIFEST).file_size > MAX_MANIFEST:
            raise ValueError
        raw = msgspec.json.decode(archive.read(f.MANIFEST), type=_Manifest)
    except (KeyError, ValueError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise refused(lazy("its manifest is missing or cannot be read.")) from error
    if raw.product != f.PRODUCT or raw.format != f.FORMAT:
        raise refused(lazy("it was made by another version (format %(format)s; this one reads %(known)s).", format=raw.format, known=f.FORMAT))
    _check_tenant(raw.tenant)
    return msgspec.to_builtins(raw)


class _Part(msgspec.Struct):
    name: str
    rows: int
    bytes: int
    sha256: str


class _Files(msgspec.Struct):
    count: int
    bytes: int
    missing: list[str]


class _Tenant(msgspec.Struct):
    slug: str
    name: str
    locale: str
    time_zone: str
    currency: str
    country: str
    pack_key: str
    brand: dict[str, Any]
    clock_offset_seconds: int
    config_revision: int
    created_at: str
    security: dict[str, Any] = {}  # msgspec copies it


class _Manifest(msgspec.Struct):
    product: str
    format: int
    version: str
    made_at: str
    tenant: _Tenant
    with_passwords: bool
    parts: list[_Part]
    files: _Files


def _check_tenant(tenant: _Tenant) -> None:
    """What becomes part of pages and styles may be nothing else than what our own forms take."""
    colours = [value for key in ("color", "color_dark") if (value := tenant.brand.get(key))]
    try:
        ZoneInfo(tenant.time_zone)
        fits = tenant.locale in LOCALES and 0 < len(tenant.name.strip()) <= 100 and len(tenant.currency) == 3 and len(tenant.country) == 2
    except (ValueError, KeyError, OSError):  # also a zone that nobody knows
        fits = False
    if not fits or tenant.config_revision < 0 or any(not looks.COLOUR.fullmatch(f"#{str(value).lstrip('#')}") for value in colours):
        raise refused(lazy("what it says of the workspace cannot be right."))


def _measure(stream: IO[bytes], name: str) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    try:
        with stream:
            while part := stream.read(f.FILE_CHUNK):
                digest.update(part)
                size += len(part)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise refused(lazy("%(name)s cannot be read.", name=name)) from error
    return digest.hexdigest(), size


def _lines(stream: IO[bytes], name: str) -> Iterator[bytes]:
    while line := stream.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise refused(lazy("%(name)s has a line that is too long.", name=name))
        yield line


def _row(line: bytes, name: str) -> Row:
    try:
        return _rows.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise refused(lazy("%(name)s cannot be read.", name=name)) from error


def _object(raw: msgspec.Raw | None, name: str) -> Row:
    if raw is None:
        raise refused(lazy("%(name)s cannot be read.", name=name))
    return _row(bytes(raw), name)


def _value(row: Row, key: str, name: str) -> Any:
    try:
        return json.loads(bytes(row[key]))
    except (KeyError, ValueError) as error:
        raise refused(lazy("%(name)s cannot be read.", name=name)) from error


def as_id(raw: msgspec.Raw | None, name: str) -> UUID | None:
    """A column for ids: one, or nothing. Errors: BadRequest."""
    if raw is None or bytes(raw) == b"null":
        return None
    try:
        return UUID(msgspec.json.decode(raw, type=str))
    except (ValueError, UnicodeDecodeError) as error:
        raise refused(lazy("%(name)s has an id that is none.", name=name)) from error
