"""What a request may carry: one JSON object of bounded depth, and text that the database can keep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar import Request

from saas.errors import AppError, BadRequest, FieldProblem, InvalidInput
from saas.i18n import lazy
from saas.metadata.parse import read_json

MAX_DEPTH = 64
MAX_DIGITS = 60
JSON_TYPES = ("application/json", "text/json", "application/merge-patch+json")


class UnsupportedMediaType(AppError):
    code, status, title = "unsupported_media_type", 415, lazy("This kind of content is not accepted here")


async def json_object(request: Request, *, once: bool = False) -> dict[str, Any]:
    """The JSON object of a request, {} without a body. `once`: no key may stand twice in an object, as where definitions are read from
    files. Errors: BadRequest, InvalidInput, UnsupportedMediaType, PayloadTooLarge; InvalidDefinition for a key that stands twice."""
    raw = await request.body()
    if not raw.strip():
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and kind not in JSON_TYPES:
        raise UnsupportedMediaType(lazy("Send JSON with “Content-Type: application/json”."), field="Content-Type")
    found = checked_object(raw)
    if once:
        read_json(raw.decode("utf-8"))
    return found


def checked_object(raw: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(raw)
    except UnicodeDecodeError as error:
        raise BadRequest(lazy("The body is not valid UTF-8.")) from error
    except RecursionError as error:
        raise _too_deep() from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadRequest(lazy("The body is not valid JSON.")) from error
    if not isinstance(found, dict):
        raise BadRequest(lazy("Send a JSON object."))
    problems = list(_unusable(found))
    if problems:
        raise InvalidInput(problems)
    return found


def _unusable(found: Any) -> Iterator[FieldProblem]:
    """Characters and numbers no column can hold, wherever they stand; not recursive, so that depth costs nothing."""
    waiting: list[tuple[Any, tuple[Any, ...]]] = [(found, ())]
    while waiting:
        value, path = waiting.pop()
        if len(path) > MAX_DEPTH:
            raise _too_deep()
        if isinstance(value, dict):
            for key, inner in value.items():
                if "\x00" in key:
                    yield _problem((*path, key.replace("\x00", "\ufffd")), "invalid_characters")
                waiting.append((inner, (*path, key)))
        elif isinstance(value, list):
            waiting.extend((inner, (*path, index)) for index, inner in enumerate(value))
        elif isinstance(value, str):
            if "\x00" in value:
                yield _problem(path, "invalid_characters")
        elif isinstance(value, int) and abs(value) >= 10**MAX_DIGITS:
            yield _problem(path, "out_of_range")


def _problem(path: tuple[Any, ...], code: str) -> FieldProblem:
    field = next((str(part) for part in path if part != "values"), "")
    message = lazy("This number has too many digits.") if code == "out_of_range" else lazy("This text contains characters that cannot be stored.")
    return FieldProblem(field, code, message, "".join(f"/{part}" for part in path))


def _too_deep() -> BadRequest:
    return BadRequest(lazy("The body is nested too deeply."))


def check_address(request: Request) -> None:
    """Refuse NUL characters in path and query: PostgreSQL has no place for them. Errors: BadRequest."""
    if "\x00" in request.scope["path"]:
        raise BadRequest(lazy("The address contains characters that are not allowed."))
    query = request.scope.get("query_string", b"")
    if b"%00" not in query and b"\x00" not in query:
        return
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if "\x00" in name or "\x00" in value:
            raise BadRequest(lazy("“%(name)s” contains characters that are not allowed.", name=name.replace("\x00", "")), field=name.replace("\x00", ""))
