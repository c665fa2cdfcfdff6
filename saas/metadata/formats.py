"""What the JSON Schema formats mean here: one Python test each, given to both validators so that they cannot differ."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import jsonschema_rs
from jsonschema import Draft202012Validator, ValidationError, validators

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?\Z")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f.]+(\.[^@\s\x00-\x1f.]+)+\Z")


def _text(test: Callable[[str], object]) -> Callable[[Any], bool]:
    """Formats speak about texts only; other values pass, as the standard says."""

    def check(value: Any) -> bool:
        if not isinstance(value, str):
            return True
        try:
            return bool(test(value))
        except (ValueError, OverflowError):
            return False

    return check


def _date_time(value: str) -> bool:
    day, separator, clock = value[:10], value[10:11], value[11:]
    return bool(separator in "Tt" and separator and _DATE.match(day) and _TIME.match(clock) and datetime.fromisoformat(value))


FORMATS: dict[str, Callable[[Any], bool]] = {
    "date": _text(lambda v: _DATE.match(v) and date.fromisoformat(v)),
    "date-time": _text(_date_time),
    "time": _text(lambda v: _TIME.match(v) and time.fromisoformat(v) is not None),
    "uuid": _text(lambda v: _UUID.match(v) and UUID(v)),
    "email": _text(lambda v: _EMAIL.match(v)),
    "uri": _text(lambda v: urlsplit(v).scheme and not re.search(r"[\s\x00-\x1f]", v)),
}


LONG = 10**9


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Any:
    """`$` is the end of the text, as in every other validator; in Python it also stands before a last line break."""
    if not isinstance(instance, str) or len(instance) > schema.get("maxLength", LONG):  # too long is another error, and dear to match
        return
    if not re.search(pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern, instance):
        yield ValidationError("pattern")


# The `jsonschema` package: slower than the fast one, and its errors can be taken apart.
Reference = validators.extend(Draft202012Validator, {"pattern": _pattern})


def _refuse(uri: str) -> Any:
    """A schema points to nothing outside itself."""
    raise ValueError(f"external schema {uri} is not allowed")


def fast_validator(schema: Mapping[str, Any]) -> Any:
    """jsonschema-rs: the hot path. Linear-time patterns, nothing is ever fetched."""
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True, formats=FORMATS, retriever=_refuse)
