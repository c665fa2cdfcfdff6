"""An e-mail as a mail server has it (RFC 5322), read as the same kind of content that other systems send as JSON:

    {"id", "date", "from": {"name", "address"}, "to": [{"name", "address"}], "cc": […], "reply_to": {…}, "subject", "text", "in_reply_to", "files": [name],
     "automatic": whether a program wrote it by itself, such as the notice that somebody is away}
"""

from __future__ import annotations

import html
import mimetypes
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from typing import Any

import nh3

from saas.errors import BadRequest
from saas.i18n import lazy
from saas.runtime.words import clean

CONTENT_TYPE = "message/rfc822"
MOST_BYTES = 5_000_000  # with what hangs on it
MOST_TEXT = 100_000
MOST_PEOPLE = 50
MOST_FILES = 20
MOST_HEAD = 32_000  # bytes of its headers
MOST_LEVELS, MOST_PARTS = 20, 500
_BREAKS = re.compile(r"(?i)<(?:br|/p|/div|/tr|/li|/h\d)\b[^<>]*>")
_HIDDEN = {"script", "style", "title", "head"}
_AS_IT_CAME = policy.SMTP.clone(refold_source="none")


def is_mail(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").partition(";")[0].strip().lower() == CONTENT_TYPE


@dataclass(frozen=True, slots=True)
class Mail:
    """`content`: its texts, as above; `files`: what hangs on it, (name, content) each."""

    content: dict[str, Any]
    files: tuple[tuple[str, bytes], ...]


def read_mail(body: bytes) -> Mail:
    """Errors: BadRequest."""
    try:
        _look_at(body)
        message = message_from_bytes(body, policy=policy.default)
        assert isinstance(message, EmailMessage)
        files = _files(message)
        return Mail(_read(message, [name for name, _content in files]), files)
    except BadRequest:
        raise
    except Exception as error:  # the parser of the standard library trips over many a header that nobody should have written
        raise BadRequest(lazy("This is not an e-mail that can be read.")) from error


def _look_at(body: bytes) -> None:
    """What takes the parser long is refused before. Errors: BadRequest."""
    head = body.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    if len(head) > MOST_HEAD or body.lower().count(b"boundary=") > MOST_LEVELS or body.count(b"\n--") > MOST_PARTS * MOST_LEVELS:
        raise BadRequest(lazy("This is not an e-mail that can be read."))


def _files(message: EmailMessage) -> tuple[tuple[str, bytes], ...]:
    """What is attached comes before pictures that stand in the text, so that a field for one file gets the file."""
    texts = set(_texts(message))
    parts = sorted((p for p in _leaves(message) if p not in texts and _is_file(p)), key=lambda p: not p.is_attachment())
    return tuple((name, content) for name, content in map(_file, parts) if content)[:MOST_FILES]


def _leaves(part: EmailMessage) -> Iterator[EmailMessage]:
    """The parts that hold something themselves, however deep. A forwarded e-mail is one, with all that hangs on it."""
    if part.is_multipart() and part.get_content_type() != CONTENT_TYPE:
        for inner in part.iter_parts():
            yield from _leaves(inner)
    else:
        yield part


def _is_file(part: EmailMessage) -> bool:
    """Texts that are not called anything are the letter, or the same in another form."""
    return part.is_attachment() or part.get_content_maintype() not in ("text", "multipart") or bool(part.get_filename())


def _texts(message: EmailMessage) -> list[EmailMessage]:
    """The parts that are the letter itself, in their order: its text may go on behind a picture, or end with a line that a mailing list adds."""
    body = message.get_body(("plain", "html"))
    return list(_inline(message)) or ([body] if body is not None else [])


def _inline(part: EmailMessage) -> Iterator[EmailMessage]:
    kind = part.get_content_type()
    if kind == "multipart/alternative":  # one thing in several forms
        forms = [form for inner in part.iter_parts() if (form := list(_inline(inner)))]
        yield from next((f for f in forms if f[0].get_content_subtype() == "plain"), forms[0] if forms else ())
    elif part.get_content_maintype() == "multipart":
        for inner in part.iter_parts():
            yield from _inline(inner)
    elif kind in ("text/plain", "text/html") and not _is_file(part):
        yield part


def _file(part: EmailMessage) -> tuple[str, bytes]:
    name = _said(str(part.get_filename() or ""))
    if part.get_content_type() == CONTENT_TYPE and part.is_multipart():
        letter = part.get_payload(0)
        assert isinstance(letter, EmailMessage)
        return f"{name.removesuffix('.eml') or _line(letter, 'subject') or 'message'}.eml", letter.as_bytes(policy=_AS_IT_CAME)
    content = part.get_payload(decode=True)
    return name or f"attachment{mimetypes.guess_extension(part.get_content_type()) or ''}", content if isinstance(content, bytes) else b""


def _read(message: EmailMessage, names: list[str]) -> dict[str, Any]:
    sender = _people(message, "from") or _people(message, "sender")
    if not sender:
        raise BadRequest(lazy("The e-mail does not say who sent it."))
    return {
        "id": _line(message, "message-id").strip("<>"), "date": _date(message), "from": sender[0], "to": _people(message, "to"), "cc": _people(message, "cc"), "reply_to": (_people(message, "reply-to") or sender)[0],
        "subject": _line(message, "subject"), "text": _text(message), "in_reply_to": _line(message, "in-reply-to").strip("<>"), "files": names,
        "automatic": _line(message, "auto-submitted").lower() not in ("", "no") or _line(message, "precedence").lower() in ("bulk", "junk", "auto_reply"),
    }  # fmt: skip


def _line(message: EmailMessage, name: str) -> str:
    return " ".join(clean(str(message.get(name) or "")).split())


def _people(message: EmailMessage, name: str) -> list[dict[str, str]]:
    header: Any = message.get(name)
    found = header.addresses if header is not None else ()
    return [{"name": _said(a.display_name or a.addr_spec), "address": _said(a.addr_spec.lower())} for a in found[:MOST_PEOPLE] if "@" in a.addr_spec]


def _said(text: str) -> str:
    """Bytes that a header holds without saying their alphabet are read as what they mostly are."""
    raw = text.encode("utf-8", "surrogateescape")
    try:
        return clean(raw.decode())
    except UnicodeDecodeError:
        return clean(raw.decode("gb18030", "replace"))


def _date(message: EmailMessage) -> str | None:
    try:
        said = parsedate_to_datetime(_line(message, "date"))
    except (ValueError, TypeError):
        return None
    return (said if said.tzinfo else said.replace(tzinfo=UTC)).astimezone(UTC).isoformat().replace("+00:00", "Z")


def _text(message: EmailMessage) -> str:
    found: list[str] = []
    room = 5 * MOST_TEXT
    for part in _texts(message):
        content = _content(part)[:room]
        room -= len(content)
        if part.get_content_subtype() == "html":
            content = html.unescape(nh3.clean(_BREAKS.sub("\n", content), tags=set(), clean_content_tags=_HIDDEN))
        found.append(content)
    lines = [line.rstrip() for line in "\n".join(found).replace("\x00", "").replace("\r\n", "\n").split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()[:MOST_TEXT]


def _content(part: EmailMessage) -> str:
    try:
        return str(part.get_content())
    except (LookupError, ValueError):  # written in an alphabet nobody knows
        return (part.get_payload(decode=True) or b"").decode("utf-8", "replace")
