"""A PDF from a `Sheet`. What it says travels as JSON, pictures as files beside it: nothing that somebody typed is ever part of the program
that Typst runs. Nothing is fetched from anywhere; the font comes with the product."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import typst
from PIL import Image, UnidentifiedImageError

from saas.log import get_logger
from saas.runtime.documents import Line, Part, Sheet

HERE = Path(__file__).parent
FONTS = HERE / "fonts"
PAPERS = {"a4": "a4", "a5": "a5", "letter": "us-letter"}
AT_ONCE = 2  # each takes one processor for some hundredths of a second
MAX_SIDE = 1600  # pixels of a picture on paper

log = get_logger(__name__)
_workers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="print")


async def pdf(sheet: Sheet) -> bytes:
    return await asyncio.get_running_loop().run_in_executor(_workers, _compile, sheet)


def _compile(sheet: Sheet) -> bytes:
    with tempfile.TemporaryDirectory(prefix="saas-print-") as name:
        folder = Path(name)
        shutil.copy(HERE / "page.typ", folder / "page.typ")
        (folder / "data.json").write_text(json.dumps(_data(sheet, folder), ensure_ascii=False), "utf-8")
        return typst.compile(folder / "page.typ", root=folder, font_paths=[FONTS], ignore_system_fonts=False)


def _data(sheet: Sheet, folder: Path) -> dict[str, Any]:
    return {
        "title": sheet.title, "subtitle": sheet.subtitle, "company": sheet.company, "lang": sheet.locale.partition("_")[0], "paper": PAPERS[sheet.paper], "landscape": sheet.landscape,
        "page_numbers": sheet.page_numbers, "foot": sheet.foot, "signatures": list(sheet.signatures), "logo": _logo(sheet, folder), "parts": [_part(p, n, folder) for n, p in enumerate(sheet.parts)],
    }  # fmt: skip


def _part(part: Part, number: int, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": part.kind, "label": part.label, "columns": part.columns, "text": part.text.replace("\r\n", "\n"), "note": part.note, "totals": list(part.totals)}
    if part.kind == "table":
        found |= {"heads": [{"label": h.label, "num": h.num, "narrow": h.narrow} for h in part.heads], "rows": [list(r) for r in part.rows]}
    elif part.kind == "images":
        found["files"] = [name for i, p in enumerate(part.pictures) if (name := _picture(p.path.read_bytes(), folder, f"picture-{number}-{i}.png"))]
    else:
        found["rows"] = [{"label": x.label, "text": x.text.replace("\r\n", "\n"), "wide": x.wide} for x in _in_rows(part)]
    return found


def _in_rows(part: Part) -> list[Line]:
    """With empty places before a wide line, which begins a row of its own."""
    found: list[Line] = []
    taken = 0
    for line in part.lines:
        if line.wide and taken % part.columns:
            found += [Line("", "")] * (part.columns - taken % part.columns)
            taken = 0
        found.append(line)
        taken = 0 if line.wide else taken + 1
    return found


def _logo(sheet: Sheet, folder: Path) -> str | None:
    if sheet.logo is None:
        return None
    if sheet.logo.content_type == "image/svg+xml":
        (folder / "logo.svg").write_bytes(sheet.logo.content)
        return "logo.svg"
    return _picture(sheet.logo.content, folder, "logo.png")


def _picture(content: bytes, folder: Path, name: str) -> str | None:
    """Decoded and written anew, so that one that is broken does not spoil the page."""
    try:
        with Image.open(io.BytesIO(content)) as opened:
            opened.thumbnail((MAX_SIDE, MAX_SIDE))
            opened.convert("RGBA").save(folder / name, "PNG")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        log.info("picture_left_out", error=str(error))
        return None
    return name
