"""The text a company shows on its sign-in page: plain, with paragraphs, **bold**, and [links](https://…). It is taken apart here and
put together by a template, which escapes every piece: nothing that is typed becomes markup."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_PIECE = re.compile(r"\*\*([^*\n]{1,500})\*\*|\[([^\[\]\n]{1,200})\]\(([^()\s]{1,500})\)")
_ODD = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029\u202a-\u202e\u2066-\u2069\\]")
MOST_PARAGRAPHS = 20


@dataclass(frozen=True, slots=True)
class Piece:
    """`kind`: text, bold or link."""

    kind: str
    text: str
    url: str = ""


def paragraphs(text: str) -> list[list[list[Piece]]]:
    """Paragraphs of lines of pieces."""
    found = [part for part in re.split(r"\n\s*\n", text.replace("\r\n", "\n").replace("\r", "\n")) if part.strip()]
    return [[_line(line) for line in part.strip().split("\n")] for part in found[:MOST_PARAGRAPHS]]


def _line(line: str) -> list[Piece]:
    pieces, at = [], 0
    for match in _PIECE.finditer(line):
        if match[1] is None and not is_safe(match[3]):
            continue
        if match.start() > at:
            pieces.append(Piece("text", line[at : match.start()]))
        pieces.append(Piece("bold", match[1]) if match[1] is not None else Piece("link", match[2], match[3]))
        at = match.end()
    return [*pieces, Piece("text", line[at:])] if line[at:] else pieces


def is_safe(url: str) -> bool:
    """A web page or an e-mail address, and nothing that runs or deceives."""
    if _ODD.search(url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if parts.scheme == "mailto":
        return "@" in parts.path and not parts.query
    return parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc
