"""What a file really is: by its first bytes, not by its name."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

HEAD = 4096
BINARY = "application/octet-stream"
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
# What a browser may show in place; everything else is downloaded. Nothing here can carry script (SVG and HTML can).
INLINE = (*IMAGES, "application/pdf", "text/plain")

_MAGIC: tuple[tuple[bytes, int, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF87a", 0, "image/gif"),
    (b"GIF89a", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
    (b"WAVE", 8, "audio/wav"),
    (b"AVI ", 8, "video/x-msvideo"),
    (b"%PDF-", 0, "application/pdf"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0, "application/x-ole-storage"),
    (b"PK\x03\x04", 0, "application/zip"),
    (b"PK\x05\x06", 0, "application/zip"),
    (b"Rar!\x1a\x07", 0, "application/vnd.rar"),
    (b"7z\xbc\xaf\x27\x1c", 0, "application/x-7z-compressed"),
    (b"\x1f\x8b", 0, "application/gzip"),
    (b"ID3", 0, "audio/mpeg"),
    (b"\xff\xfb", 0, "audio/mpeg"),
    (b"OggS", 0, "audio/ogg"),
    (b"ftyp", 4, "video/mp4"),
    (b"II*\x00", 0, "image/tiff"),
    (b"MM\x00*", 0, "image/tiff"),
    (b"BM", 0, "image/bmp"),
    (b"{\\rtf", 0, "application/rtf"),
)
_OFFICE = "application/vnd.openxmlformats-officedocument."
_IN_ZIP = {
    "xl/workbook.xml": _OFFICE + "spreadsheetml.sheet",
    "word/document.xml": _OFFICE + "wordprocessingml.document",
    "ppt/presentation.xml": _OFFICE + "presentationml.presentation",
}
# Endings and what their files must turn out to be.
_ENDINGS: dict[str, tuple[str, ...]] = {
    "png": ("image/png",),
    "jpg": ("image/jpeg",),
    "jpeg": ("image/jpeg",),
    "gif": ("image/gif",),
    "webp": ("image/webp",),
    "pdf": ("application/pdf",),
    "xlsx": (_OFFICE + "spreadsheetml.sheet",),
    "docx": (_OFFICE + "wordprocessingml.document",),
    "pptx": (_OFFICE + "presentationml.presentation",),
    "xls": ("application/x-ole-storage",),
    "doc": ("application/x-ole-storage",),
    "ppt": ("application/x-ole-storage",),
    "zip": ("application/zip",),
    "rar": ("application/vnd.rar",),
    "7z": ("application/x-7z-compressed",),
    "gz": ("application/gzip",),
    "mp3": ("audio/mpeg",),
    "wav": ("audio/wav",),
    "mp4": ("video/mp4",),
    "mov": ("video/mp4",),
    "m4a": ("video/mp4",),
    "tif": ("image/tiff",),
    "tiff": ("image/tiff",),
    "bmp": ("image/bmp",),
    "rtf": ("application/rtf",),
    "txt": ("text/plain",),
    "csv": ("text/plain", "text/csv"),
    "md": ("text/plain",),
    "json": ("text/plain",),
    "log": ("text/plain",),
}


def ending(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""


def sniff(path: Path, name: str = "") -> str:
    """The content type by what the file holds. Markup (SVG, HTML, XML) counts as binary: it must never be shown in place."""
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    for magic, offset, found in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return _inside(path) if found == "application/zip" else found
    if _is_text(head):
        if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<" or any(word in head.lower() for word in (b"<svg", b"<html", b"<script", b"<!doctype")):
            return BINARY
        return "text/csv" if ending(name) == "csv" else "text/plain"
    return BINARY


def _inside(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist()[:2000])
    except (zipfile.BadZipFile, OSError, ValueError):
        return BINARY
    return next((found for marker, found in _IN_ZIP.items() if marker in names), "application/zip")


def _is_text(head: bytes) -> bool:
    if b"\x00" in head:
        return False
    try:
        head.decode("utf-8")
        return True
    except UnicodeDecodeError as error:
        if error.start > len(head) - 4:  # a character cut at the end
            return True
    try:
        head.decode("gb18030")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4
    return True


def suits(name: str, content_type: str, accept: Sequence[str]) -> bool:
    """Is the ending one of `accept`, and the content what that ending promises? Unknown endings are taken by their name."""
    end = ending(name)
    wanted = {a.lower().lstrip(".") for a in accept}
    if end not in wanted:
        return False
    return end not in _ENDINGS or content_type in _ENDINGS[end]
