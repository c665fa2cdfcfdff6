"""Uploaded files: kept once by content under the data directory, one folder a tenant; opened with the rights of their record."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
import time
import unicodedata
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

from saas.db import current_database, tenant_transaction
from saas.errors import AppError, FieldProblem, InvalidInput, NotFound, PayloadTooLarge
from saas.i18n import lazy
from saas.metadata.models import FieldDef
from saas.runtime import operations as ops
from saas.runtime import permissions, quota
from saas.runtime.context import Context
from saas.runtime.door import execute
from saas.runtime.filetypes import IMAGES, INLINE, sniff, suits
from saas.tenants import new_id

MEGABYTE = 1024 * 1024
CHUNK = 256 * 1024
DEFAULT_MAX_MB = 20
UNATTACHED_HOURS = 24
_SHA = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class FileInfo:
    id: UUID
    name: str
    size_bytes: int
    content_type: str
    sha256: str

    @property
    def is_image(self) -> bool:
        return self.content_type in IMAGES

    def to_json(self) -> dict[str, Any]:
        return {"id": str(self.id), "name": self.name, "size_bytes": self.size_bytes, "content_type": self.content_type, "is_image": self.is_image}


@dataclass(frozen=True, slots=True)
class Download:
    """What to send. `headers` keep a browser from running anything inside the file."""

    info: FileInfo
    path: Path
    inline: bool

    @property
    def content_type(self) -> str:
        return self.info.content_type if self.inline else "application/octet-stream"

    @property
    def headers(self) -> dict[str, str]:
        plain = re.sub(r"[^A-Za-z0-9._ -]", "_", self.info.name)
        disposition = f"{'inline' if self.inline else 'attachment'}; filename=\"{plain}\"; filename*=UTF-8''{quote(self.info.name, safe='')}"
        return {
            "Content-Disposition": disposition, "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "private, max-age=3600",
        }  # fmt: skip

    async def chunks(self) -> AsyncIterator[bytes]:
        stream = await asyncio.to_thread(self.path.open, "rb")
        try:
            while part := await asyncio.to_thread(stream.read, CHUNK):
                yield part
        finally:
            await asyncio.to_thread(stream.close)


# ---- keeping -----------------------------------------------------------------------------------------------------------


async def store_upload(ctx: Context, entity_key: str, field_key: str, name: str, stream: AsyncIterable[bytes]) -> FileInfo:
    """Keep a file for a field the person may write; it belongs to its uploader until a record with it is saved.
    Errors: NotFound, PayloadTooLarge, InvalidInput."""
    return await _store_in(ctx, _field(ctx, entity_key, field_key), name, stream)


async def store_for(ctx: Context, field: FieldDef, name: str, data: bytes) -> FileInfo:
    """Keep a file that came from outside for a field, as far as the field takes it. Errors: PayloadTooLarge, InvalidInput, PlanLimitReached."""

    async def once() -> AsyncIterator[bytes]:
        yield data

    return await _store_in(ctx, field, name, once())


async def _store_in(ctx: Context, field: FieldDef, name: str, stream: AsyncIterable[bytes]) -> FileInfo:
    accept = list(field.options.get("accept") or ()) or (["png", "jpg", "jpeg", "gif", "webp"] if field.type == "image" else [])
    return await store(ctx, name, stream, max_bytes=field.options.get("max_mb", DEFAULT_MAX_MB) * MEGABYTE, accept=accept, field_key=field.key)


def _field(ctx: Context, entity_key: str, field_key: str) -> FieldDef:
    entity = ctx.config.entities.get(entity_key)
    field = entity.declared.get(field_key) if entity else None
    if field is None or field.type not in ("file", "image") or not permissions.may(ctx, "read", entity_key):
        raise NotFound(lazy("There is no such field for files."))
    if permissions.static_access(ctx, entity)[field_key] in ("hidden", "masked"):
        raise NotFound(lazy("There is no such field for files."))
    return field


async def store(
    ctx: Context, name: str, stream: AsyncIterable[bytes], *, max_bytes: int = DEFAULT_MAX_MB * MEGABYTE, accept: Sequence[str] = (), field_key: str = "",
    enforce: bool = True,
) -> FileInfo:
    """Keep a file that no record has yet; only who made it can read it. `accept`: endings, empty for any. `enforce=False`: also where the
    plan's storage is full. Errors: InvalidInput, PayloadTooLarge, PlanLimitReached."""
    clean = clean_name(name)
    if enforce:
        permissions.require_active(ctx)
        quota.refuse_full(ctx, "storage")
    temporary, size, sha = await _receive(ctx, stream, max_bytes)
    try:
        if size == 0:
            raise _refused(field_key, "empty_file", lazy("This file is empty."))
        content_type = await asyncio.to_thread(sniff, temporary, clean)
        if accept and not suits(clean, content_type, accept):
            raise _refused(field_key, "wrong_kind", lazy("Only these kinds of file are possible here: %(kinds)s", kinds=", ".join(accept)))
        await asyncio.to_thread(_settle, temporary, _path(ctx.tenant_id, sha))
    finally:
        await asyncio.to_thread(temporary.unlink, missing_ok=True)
    info = FileInfo(new_id(), clean, size, content_type, sha)
    async with tenant_transaction(ctx.tenant_id) as conn:
        made = (
            "INSERT INTO file (tenant_id, id, name, size_bytes, content_type, sha256, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            (ctx.tenant_id, info.id, info.name, info.size_bytes, info.content_type, info.sha256, ctx.user_id),
        )
        await quota.write(conn, ctx, "storage", size, [made], enforce=enforce)
    return info


def _refused(field_key: str, code: str, message: Any) -> InvalidInput:
    return InvalidInput([FieldProblem(field=field_key, code=code, message=message, path=f"/{field_key}" if field_key else "")], message)


async def store_bytes(ctx: Context, name: str, data: bytes, *, max_bytes: int = 200 * MEGABYTE) -> FileInfo:
    async def once() -> AsyncIterator[bytes]:
        yield data

    return await store(ctx, name, once(), max_bytes=max_bytes)


async def store_file(ctx: Context, name: str, path: Path) -> FileInfo:
    """Keep a file made here, such as an export."""

    async def parts() -> AsyncIterator[bytes]:
        stream = await asyncio.to_thread(path.open, "rb")
        try:
            while part := await asyncio.to_thread(stream.read, CHUNK):
                yield part
        finally:
            await asyncio.to_thread(stream.close)

    return await store(ctx, name, parts(), max_bytes=2048 * MEGABYTE, enforce=False)  # leaving with one's data is always possible


async def _receive(ctx: Context, stream: AsyncIterable[bytes], max_bytes: int) -> tuple[Path, int, str]:
    """Write the stream to a temporary file beside its final place; stops at the limit, so memory and disk stay small."""
    folder = _root(ctx.tenant_id)
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    handle, text = await asyncio.to_thread(tempfile.mkstemp, dir=folder, prefix="upload-")
    temporary, size, digest = Path(text), 0, hashlib.sha256()
    try:
        with os.fdopen(handle, "wb") as target:
            async for part in stream:
                size += len(part)
                if size > max_bytes:
                    raise PayloadTooLarge(lazy("A file may have at most %(size)s MB.", size=max_bytes // MEGABYTE))
                digest.update(part)
                await asyncio.to_thread(target.write, part)
            await asyncio.to_thread(_sync, target)
    except BaseException:
        await asyncio.to_thread(temporary.unlink, missing_ok=True)
        raise
    return temporary, size, digest.hexdigest()


def _sync(target: Any) -> None:
    target.flush()
    os.fsync(target.fileno())


def _settle(temporary: Path, final: Path) -> None:
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary.chmod(0o640)
    temporary.replace(final)  # the same content twice is one file


def tenant_folder(tenant_id: UUID) -> Path:
    """Where everything of a tenant that is no row lies."""
    return _root(tenant_id)


def _root(tenant_id: UUID) -> Path:
    return current_database().settings.data_dir / "files" / str(tenant_id)


def content_path(tenant_id: UUID, sha: str) -> Path:
    """Where the contents with this checksum lie, or would. Errors: NotFound for what is no checksum."""
    return _path(tenant_id, sha)


def _path(tenant_id: UUID, sha: str) -> Path:
    if not _SHA.match(sha):
        raise NotFound()
    return _root(tenant_id) / sha[:2] / sha


def clean_name(name: str) -> str:
    """A file name that is only that: no folders, no control or direction characters, at most 150 characters with its ending."""
    name = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    name = "".join(c for c in name if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") and c not in '<>:"|?*')
    name = re.sub(r"\s+", " ", name).strip(" .")
    stem, dot, ending = name.rpartition(".")
    if dot and stem and len(ending) <= 10:
        return f"{stem[: 149 - len(ending)]}.{ending}"
    return name[:150] or "file"


# ---- opening -----------------------------------------------------------------------------------------------------------


async def open_file(ctx: Context, file_id: UUID, *, download: bool = False) -> Download:
    """A file the person may read: of a record through a field they may read, or one of their own not yet in a record.
    Raises NotFound for anything else."""
    info = await _readable(ctx, file_id)
    path = _path(ctx.tenant_id, info.sha256)
    if not await asyncio.to_thread(path.is_file):
        raise NotFound(lazy("This file is not there any more."))
    return Download(info, path, inline=not download and info.content_type in INLINE)


async def _readable(ctx: Context, file_id: UUID) -> FileInfo:
    async with tenant_transaction(ctx.tenant_id) as conn:
        row = await conn.fetchrow(
            "SELECT id, name, size_bytes, content_type, sha256, entity_key, record_id, field_key, created_by FROM file "
            "WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL",
            ctx.tenant_id, file_id,
        )  # fmt: skip
        if row is None or not await _may_read(ctx, row):
            raise NotFound(lazy("This file does not exist, or you may not see it."))
    return FileInfo(row["id"], row["name"], row["size_bytes"], row["content_type"], row["sha256"])


async def _may_read(ctx: Context, row: Any) -> bool:
    if row["record_id"] is None:
        return ctx.user is None or (row["created_by"] == ctx.user_id and ctx.viewer is None)
    if row["entity_key"] not in ctx.config.entities:
        return False
    try:
        record = await execute(ctx, ops.Get(entity=row["entity_key"], id=row["record_id"]))
    except AppError:
        return False
    held = record.values.get(row["field_key"])  # absent where hidden, a text where masked
    return isinstance(held, list) and str(row["id"]) in held


async def describe(ctx: Context, ids: Sequence[str]) -> dict[str, FileInfo]:
    """Names and types of files whose ids the person has already been shown in a record's field; unknown ids are left out."""
    wanted = [UUID(i) for i in ids]
    async with tenant_transaction(ctx.tenant_id) as conn:
        rows = await conn.fetch(
            "SELECT id, name, size_bytes, content_type, sha256 FROM file WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND deleted_at IS NULL",
            ctx.tenant_id, wanted,
        )  # fmt: skip
    return {str(r["id"]): FileInfo(**dict(r)) for r in rows}


async def unlike(conn: Any, ctx: Context, known: Sequence[str], new: Sequence[str]) -> list[str]:
    """The new files whose content none of those before has: the same logo hangs on every letter."""
    rows = await conn.fetch("SELECT id, sha256 FROM file WHERE tenant_id = $1 AND id = ANY($2::uuid[])", ctx.tenant_id, [UUID(i) for i in (*known, *new)])
    contents = {str(row["id"]): row["sha256"] for row in rows}
    seen, found = {contents.get(i) for i in known}, []
    for file_id in new:
        if (content := contents.get(file_id)) not in seen:
            seen.add(content)
            found.append(file_id)
    return found


# ---- thumbnails --------------------------------------------------------------------------------------------------------

THUMBNAILS = (64, 160, 320, 640)
MAX_PIXELS = 40_000_000


async def open_thumbnail(ctx: Context, file_id: UUID, size: int = 160) -> Download:
    """A small WebP of an image the person may read; `size` is rounded up to one of THUMBNAILS. Raises NotFound."""
    info = await _readable(ctx, file_id)
    if not info.is_image:
        raise NotFound(lazy("There is no preview of this file."))
    edge = next((s for s in THUMBNAILS if s >= size), THUMBNAILS[-1])
    path = _root(ctx.tenant_id) / "thumbnails" / f"{info.sha256}-{edge}.webp"
    if not await asyncio.to_thread(path.is_file):
        made = await asyncio.to_thread(_make_thumbnail, _path(ctx.tenant_id, info.sha256), path, edge)
        if not made:
            raise NotFound(lazy("There is no preview of this file."))
    return Download(FileInfo(info.id, f"{edge}.webp", path.stat().st_size, "image/webp", info.sha256), path, inline=True)


def _make_thumbnail(source: Path, target: Path, edge: int) -> bool:
    """The header is read first: a picture that would unpack to too many pixels is not unpacked."""
    from PIL import Image, ImageOps

    try:
        with Image.open(source, formats=("PNG", "JPEG", "GIF", "WEBP")) as image:
            if image.width * image.height > MAX_PIXELS:
                return False
            image.draft("RGB", (edge * 2, edge * 2))
            small = ImageOps.exif_transpose(image)
            small.thumbnail((edge, edge))
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, text = tempfile.mkstemp(dir=target.parent)
            with os.fdopen(handle, "wb") as stream:
                small.convert("RGBA" if "A" in small.getbands() or "transparency" in small.info else "RGB").save(stream, "WEBP", quality=82)
            Path(text).replace(target)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
    return True


# ---- tidying up --------------------------------------------------------------------------------------------------------


async def tidy(ctx: Context, *, keep_hours: int = UNATTACHED_HOURS) -> int:
    """Forget uploads that no record ever took, and remove contents that no file row names. Returns how many rows went."""
    async with tenant_transaction(ctx.tenant_id) as conn:
        gone = await conn.fetch(
            "DELETE FROM file WHERE tenant_id = $1 AND record_id IS NULL AND created_at < now() - $2::interval RETURNING sha256, size_bytes, deleted_at",
            ctx.tenant_id, timedelta(hours=keep_hours),
        )  # fmt: skip
        if freed := sum(r["size_bytes"] for r in gone if r["deleted_at"] is None):  # else it was taken off when it was deleted
            await quota.write(conn, ctx, "storage", -freed, [])
        shas = {r["sha256"] for r in gone}
        left = await conn.fetch("SELECT DISTINCT sha256 FROM file WHERE tenant_id = $1 AND sha256 = ANY($2)", ctx.tenant_id, list(shas))
    for sha in shas - {r["sha256"] for r in left}:
        await asyncio.to_thread(_remove_old, _path(ctx.tenant_id, sha))
    return len(gone)


def _remove_old(path: Path) -> None:
    """A content written just now may belong to an upload whose row is still coming."""
    try:
        if time.time() - path.stat().st_mtime > 3600:
            path.unlink()
    except FileNotFoundError:
        pass
