"""A tenant's own look: colours checked for contrast, logo and icon made harmless before they are stored.

Pictures are decoded and written anew, so nothing hidden in them survives. Drawings (SVG) may hold shapes only: whatever could run,
load or track is refused by name.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as etree

from PIL import Image, UnidentifiedImageError

from saas.db import tenant_transaction
from saas.errors import FieldProblem, InvalidInput
from saas.i18n import LazyString, lazy

KINDS = ("logo", "icon")
MAX_BYTES = 1_000_000
MAX_SIDE = {"logo": 512, "icon": 256}
MAX_PIXELS = 16_000_000
COLOUR = re.compile(r"#[0-9a-f]{6}")
READABLE, VISIBLE = 4.5, 3.0  # WCAG 2.2: text; large text, icons and controls


# ---- colours ------------------------------------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb", 0 to 1 (WCAG 2.2)."""
    channels = [int(colour.lstrip("#")[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """1 (the same) to 21 (black on white)."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def ink_on(colour: str) -> str:
    """Black or white, whichever is read better on the colour."""
    return max(("#ffffff", "#16161a"), key=lambda ink: contrast(ink, colour))


def readable_on(colour: str, ground: str) -> str:
    """The colour itself if lines and icons in it are seen on `ground`, else the nearest darker or lighter one that is."""
    if contrast(colour, ground) >= VISIBLE:
        return colour
    target = 0 if luminance(ground) > 0.5 else 255
    channels = [int(colour.lstrip("#")[i : i + 2], 16) for i in (0, 2, 4)]
    for step in range(1, 101):
        mixed = "#" + "".join(f"{round(c + (target - c) * step / 100):02x}" for c in channels)
        if contrast(mixed, ground) >= VISIBLE:
            return mixed
    return "#000000" if target == 0 else "#ffffff"


# ---- pictures -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BrandFile:
    content: bytes
    content_type: str
    hash: str


def clean(kind: str, content: bytes) -> BrandFile:
    """A harmless picture from what was uploaded. Errors: InvalidInput at `kind` with what is wrong and what to do."""
    if len(content) > MAX_BYTES:
        raise _refused(kind, "too_large", lazy("This file is larger than 1 MB. Please choose a smaller picture."))
    if not content.strip():
        raise _refused(kind, "empty", lazy("This file is empty."))
    head = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<svg", b"<?xml", b"<!--", b"<!doctype")):
        made, type_ = _drawing(kind, content), "image/svg+xml"
    else:
        made, type_ = _picture(kind, content), "image/png"
    return BrandFile(made, type_, hashlib.sha256(made).hexdigest()[:16])


def _refused(kind: str, code: str, message: LazyString) -> InvalidInput:
    return InvalidInput([FieldProblem(field=kind, code=code, message=message, path=f"/{kind}")])


def _picture(kind: str, content: bytes) -> bytes:
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "WEBP", "GIF")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _refused(kind, "too_many_pixels", lazy("This picture has too many pixels. Please make it smaller."))
            image.load()
            made = image.convert("RGBA")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _refused(kind, "not_a_picture", lazy("This is not a picture that can be used. Please choose a PNG, JPEG, WebP or SVG file.")) from error
    made.thumbnail((MAX_SIDE[kind], MAX_SIDE[kind]))
    out = io.BytesIO()
    made.save(out, "PNG", optimize=True)
    return out.getvalue()


SVG = "{http://www.w3.org/2000/svg}"
_SHAPES = frozenset(
    (
        "svg", "g", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "defs", "lineargradient", "radialgradient", "stop", "title", "desc",
        "clippath", "mask", "symbol", "use", "text", "tspan", "metadata",
    )
)  # fmt: skip
_ATTRIBUTES = frozenset(
    (
        "id", "class", "d", "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "fx", "fy", "dx", "dy", "width", "height", "viewbox", "points", "transform", "fill",
        "fill-rule", "fill-opacity", "clip-rule", "clip-path", "mask", "stroke", "stroke-width", "stroke-linecap", "stroke-linejoin", "stroke-miterlimit", "stroke-dasharray",
        "stroke-dashoffset", "stroke-opacity", "opacity", "offset", "stop-color", "stop-opacity", "gradientunits", "gradienttransform", "spreadmethod", "clippathunits",
        "maskunits", "preserveaspectratio", "version", "font-family", "font-size", "font-weight", "text-anchor", "letter-spacing", "href",
    )
)  # fmt: skip
_DROPPED = frozenset(("metadata", "style", "namedview"))  # what drawing programs leave behind and nobody sees


def _drawing(kind: str, content: bytes) -> bytes:
    lowered = content.lower()
    if b"<!doctype" in lowered or b"<!entity" in lowered:
        raise _refused(kind, "doctype", lazy("This drawing declares a document type, which can hide harmful content. Please export it as a plain SVG or as a PNG."))
    try:
        root = etree.fromstring(content)
    except (etree.ParseError, ValueError, LookupError) as error:
        raise _refused(kind, "not_a_picture", lazy("This is not a picture that can be used. Please choose a PNG, JPEG, WebP or SVG file.")) from error
    if root.tag not in ("svg", f"{SVG}svg"):
        raise _refused(kind, "not_a_picture", lazy("This is not a picture that can be used. Please choose a PNG, JPEG, WebP or SVG file."))
    _tidy(kind, root, 0)
    etree.register_namespace("", SVG[1:-1])
    return etree.tostring(root, encoding="utf-8")


def _tidy(kind: str, node: Any, depth: int) -> None:
    """Refuse what can act, drop what is only clutter."""
    if depth > 60:
        raise _refused(kind, "too_deep", lazy("This drawing is nested too deeply. Please export it as a PNG."))
    for name in list(node.attrib):
        local = name.rpartition("}")[2].lower()
        value = re.sub(r"\s", "", node.attrib[name]).lower()
        if local.startswith("on") or "javascript:" in value:
            raise _refused(kind, "script", lazy("This drawing contains a script (%(name)s). Please export it without scripts, or as a PNG.", name=local))
        if (local == "href" and not value.startswith("#")) or re.search(r"url\((?![\"']?#)", value):
            raise _refused(kind, "link", lazy("This drawing loads something from elsewhere (%(name)s). Please embed it, or export it as a PNG.", name=local))
        if local not in _ATTRIBUTES or (name.startswith("{") and local != "href"):
            del node.attrib[name]
    for child in list(node):
        local = str(child.tag).rpartition("}")[2].lower() if isinstance(child.tag, str) else "comment"
        foreign = isinstance(child.tag, str) and child.tag.startswith("{") and not child.tag.startswith(SVG)
        if local in _DROPPED or local == "comment" or foreign:
            node.remove(child)
        elif local not in _SHAPES:
            raise _refused(kind, "element", lazy("This drawing contains “%(name)s”, which a logo may not hold. Please export it as a PNG.", name=local[:40]))
        else:
            _tidy(kind, child, depth + 1)


# ---- stored -------------------------------------------------------------------------------------------------------------


async def brand_file(tenant_id: UUID, kind: str) -> BrandFile | None:
    async with tenant_transaction(tenant_id) as conn:
        row = await conn.fetchrow("SELECT content, content_type, hash FROM brand_file WHERE tenant_id = $1 AND kind = $2", tenant_id, kind)
    return BrandFile(*row) if row else None


TEXTS = {"login_en": 1000, "login_zh_CN": 1000, "sender_name": 60, "reply_to": 200}  # characters at most
PROPERTIES = ("name", "color", "color_dark", *TEXTS)


async def change_brand(
    conn: Any, tenant_id: UUID, values: Mapping[str, str], files: Mapping[str, BrandFile | None], *, shown: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Write what differs from what was `shown` (all `values` without it), with the tenant's row locked, inside the caller's transaction.

    Returns what somebody else changed meanwhile, differently, as it is now; then nothing is written. {} when it is saved.
    """
    row = await conn.fetchrow("SELECT name, brand FROM tenant WHERE id = $1 FOR NO KEY UPDATE", tenant_id)
    brand = json.loads(row["brand"] or "{}")
    colour = f"#{str(brand['color']).lstrip('#')}" if brand.get("color") else (shown or {}).get("color", "")  # none was chosen yet: what is shown then
    there = {"name": row["name"], "color": colour, "color_dark": str(brand.get("color_dark") or ""), **{key: str(brand.get(key) or "") for key in TEXTS}}
    changed = {k: values[k] for k in PROPERTIES if k in values and (shown is None or values[k] != shown.get(k, ""))}
    taken = {k: there[k] for k in changed if shown is not None and there[k] not in (shown.get(k, ""), changed[k])}
    if taken:
        return taken
    for kind, file in files.items():
        await store_brand_file(conn, tenant_id, kind, file)
    name = changed.pop("name", row["name"])
    brand |= {**changed, **{kind: file.hash if file else None for kind, file in files.items()}}
    await conn.execute("UPDATE tenant SET name = $2, brand = $3::jsonb WHERE id = $1", tenant_id, name, json.dumps({k: v for k, v in brand.items() if v}))
    return {}


async def store_brand_file(conn: Any, tenant_id: UUID, kind: str, file: BrandFile | None) -> None:
    """Keep it, or remove it (None), inside the caller's transaction."""
    await conn.execute("DELETE FROM brand_file WHERE tenant_id = $1 AND kind = $2", tenant_id, kind)
    if file is not None:
        await conn.execute(
            "INSERT INTO brand_file (tenant_id, kind, content, content_type, hash) VALUES ($1, $2, $3, $4, $5)",
            tenant_id, kind, file.content, file.content_type, file.hash,
        )  # fmt: skip
