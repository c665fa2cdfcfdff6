"""Static files: our CSS and scripts joined into one file each, vendored libraries, icons; names carry a hash of the content, answers
are compressed once and cached for ever. Read from disk at first use, never at import."""

from __future__ import annotations

import asyncio
import functools
import gzip
import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

import brotli

from saas.runtime.kinds import TEMPLATE_DIRECTORY

DIRECTORY = Path(__file__).parent / "static"
KINDS = TEMPLATE_DIRECTORY  # a field type or widget may bring a style.css and a script.js in its folder
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".woff2": "font/woff2", ".webp": "image/webp"}
PACKED_ALREADY = ("font/woff2", "image/webp")
_REFERENCE = re.compile(r'url\("/static/([a-z0-9.-]+)"\)')


@dataclass(slots=True)
class Asset:
    name: str
    url: str
    media_type: str
    body: bytes
    packed: dict[str, bytes] = field(default_factory=dict)

    async def encoded(self, accept: str) -> tuple[bytes, str]:
        """The body in the best encoding the browser takes, and its name ("" for plain)."""
        if self.media_type in PACKED_ALREADY:
            return self.body, ""
        encoding = next((name for name in ("br", "gzip") if name in accept), "")
        if not encoding:
            return self.body, ""
        if encoding not in self.packed:
            self.packed[encoding] = await asyncio.to_thread(_PACKERS[encoding], self.body)
        return self.packed[encoding], encoding


def _brotli(body: bytes) -> bytes:
    """The best quality takes seconds for the chart library and saves little there."""
    return brotli.compress(body, quality=11 if len(body) < 200_000 else 5)


_PACKERS = {"br": _brotli, "gzip": lambda body: gzip.compress(body, 9)}


_COMMENT_LINE = re.compile(r"^[ \t]*//.*\n", re.MULTILINE)


@functools.cache
def assets() -> dict[str, Asset]:
    """All static files by their plain name ("app.css")."""
    found: dict[str, Asset] = {}
    for path in sorted([*(DIRECTORY / "vendor").iterdir(), *(DIRECTORY / "packs").glob("*.webp")]):
        if path.suffix in TYPES:
            _add(found, path.name, path.read_bytes())
    styles = "\n".join(path.read_text("utf-8") for path in (*sorted((DIRECTORY / "css").glob("*.css")), *sorted(KINDS.glob("*/*/style.css"))))
    _add(found, "app.css", squeeze(_REFERENCE.sub(lambda m: f'url("{found[m[1]].url}")', styles)).encode())
    scripts = "\n".join(path.read_text("utf-8") for path in (*sorted((DIRECTORY / "js").glob("[0-9]*.js")), *sorted(KINDS.glob("*/*/script.js"))))
    _add(found, "app.js", f'"use strict";\n(() => {{\n{_COMMENT_LINE.sub("", scripts)}\n}})();\n'.encode())
    _add(found, "charts.js", b'"use strict";\n' + (DIRECTORY / "js" / "charts.js").read_bytes())
    return found


def _add(found: dict[str, Asset], name: str, body: bytes) -> None:
    digest = hashlib.sha256(body).hexdigest()[:12]
    stem, dot, suffix = name.rpartition(".")
    found[name] = Asset(name, f"/static/{stem}.{digest}{dot}{suffix}", TYPES["." + suffix], body)


def squeeze(css: str) -> str:
    """Without comments and indentation; strings are left alone as long as they hold no comment signs."""
    return re.sub(r"\n\s*", "\n", re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)).strip()


def asset_url(name: str) -> str:
    return assets()[name].url


@functools.cache
def by_url() -> dict[str, Asset]:
    return {asset.url: asset for asset in assets().values()}
