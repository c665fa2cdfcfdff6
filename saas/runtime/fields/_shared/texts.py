"""Text: what may stand in it, how typed text is cleaned, and the base of the types stored as text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from saas.i18n import LazyString, lazy
from saas.metadata.config import Config
from saas.metadata.kinds import FieldType, Source, Storage
from saas.metadata.models import FieldDef

# An index row of PostgreSQL holds about 2,700 bytes and several text slots are indexed, so more than this goes to the document.
SLOT_BYTES = 2400
SLOT_CHARACTERS = SLOT_BYTES // 4

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_BREAKS = re.compile(r"\r\n|[\r\n\t\v\f\u0085\u2028\u2029]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20, 0x3002: 0x2E, 0x2212: 0x2D}

FORBIDDEN_CHARACTER = ("characters", lazy("This contains characters that cannot be stored."))


def narrow(text: str) -> str:
    """Full-width letters, digits and signs, as Chinese input methods type them, as ordinary ones."""
    return text if text.isascii() else text.translate(_NARROW)


def clean_line(value: str) -> str:
    """One line: breaks and tabs become blanks, surrounding blanks go."""
    return _BREAKS.sub(" ", encodable(value)).strip()


def clean_block(value: str) -> str:
    """Several lines: line ends become \\n, surrounding blank space goes."""
    return encodable(value).replace("\r\n", "\n").replace("\r", "\n").strip()


def encodable(value: str) -> str:
    """Half a surrogate pair cannot be encoded at all; it becomes NUL, which validation refuses with words."""
    return value if value.isascii() else _SURROGATE.sub("\x00", value)


def character_problems(value: str) -> list[tuple[str, LazyString]]:
    return [FORBIDDEN_CHARACTER] if _CONTROL.search(value) else []


class TextType(FieldType):
    """Base of the types whose value is one line of text."""

    icon = "text"
    storage: Storage = "text"
    expr_type = "text"
    operators = ("contains", "eq", "ne", "starts_with", "in", "not_in", "is_empty")
    max_length = 255
    expects = lazy("Enter a text")

    def length_of(self, field: FieldDef) -> int:
        return field.options.get("max_length") or self.max_length

    def value_schema(self, field: FieldDef, config: Config) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "maxLength": self.length_of(field)}

    def normalise(self, field: FieldDef, value: Any, config: Config) -> Any:
        return (self.clean(value) or None) if isinstance(value, str) else value

    def clean(self, value: str) -> str:
        return clean_line(value)

    def problems(self, field: FieldDef, value: Any, config: Config) -> list[tuple[str, LazyString]]:
        return character_problems(value)

    def from_form(self, field: FieldDef, raw: list[str], config: Config) -> Any:
        return self.normalise(field, raw[-1], config) if raw else None

    def from_expr(self, field: FieldDef, value: Any, config: Config) -> Any:
        return self.normalise(field, value if isinstance(value, str) else expr_text(value), config)

    def readings(self, field: FieldDef, source: Source, config: Config) -> Iterator[Any]:
        """What people saw: the label of an option, the title of a record, the name of a person. Numbers, days and moments are
        written without grouping, units and months' names, so that they mean the same in every language and can be read back. A
        text that is too long here is lost rather than cut."""
        yield source.written(config)

    def to_text(self, field: FieldDef, value: Any, text: str, config: Config) -> str:
        return value


def expr_text(value: Any) -> str:
    """A result of an expression put into a text field."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ", ".join(expr_text(item) for item in value)
    return str(value)
