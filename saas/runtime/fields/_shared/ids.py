"""Ids of other rows: users, departments, records, files."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.metadata.config import Config
from saas.metadata.kinds import FieldType, Source
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.texts import encodable

ID_PATTERN = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
ID_SCHEMA = {"type": "string", "format": "uuid", "pattern": ID_PATTERN}
EXAMPLE_IDS = ("0196f3c2-7d1a-7b3e-9c4d-2a5b6c7d8e9f", "0196f3c2-7d1a-7b3e-9c4d-2a5b6c7d8ea0")

_ANY_ID = re.compile(r"\{?([0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12})\}?\Z", re.ASCII)
_CANONICAL = re.compile(ID_PATTERN[:-1] + r"\Z", re.ASCII)


def read_id(value: Any) -> Any:
    """The canonical text of an id; anything else as it is, encodable."""
    if isinstance(value, UUID):
        return str(value)
    if not isinstance(value, str) or _CANONICAL.match(value):
        return value
    found = _ANY_ID.match(value.strip())
    return str(UUID(found[1])) if found else encodable(value).strip()


def read_ids(value: Any) -> Any:
    """A list of ids without repetitions; a single id becomes a list; an empty list None."""
    if isinstance(value, str):
        value = [value] if value.strip() else []
    if not isinstance(value, (list, tuple)):
        return value
    return unique([read_id(item) for item in value if item != ""]) or None


def unique(items: list[Any]) -> list[Any]:
    """Without repetitions, in order; items need not be hashable."""
    try:
        return list(dict.fromkeys(items))
    except TypeError:
        return items


@functools.lru_cache(maxsize=4096)
def _uuid(text: str) -> UUID:
    """Many records link to the same few."""
    return UUID(text)


class IdType(FieldType):
    """Base of the types whose value is the id of one other row."""

    storage = "uuid"
    operators = ("eq", "ne", "in", "not_in", "is_empty")
    groupable = True
    expects = lazy("Choose from the list")
    EXAMPLES = EXAMPLE_IDS
    BAD_EXAMPLES = ("not-an-id", 5, True, {}, [EXAMPLE_IDS[0]], "0196f3c2-7d1a-7b3e-9c4d")

    def value_schema(self, field: FieldDef, config: Config) -> dict[str, Any]:
        return ID_SCHEMA

    def normalise(self, field: FieldDef, value: Any, config: Config) -> Any:
        return read_id(value) if value != "" else None

    def from_form(self, field: FieldDef, raw: list[str], config: Config) -> Any:
        return (read_id(raw[-1]) or None) if raw else None

    def to_column(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return value if isinstance(value, UUID) else _uuid(value)

    def from_column(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return str(value)

    def from_expr(self, field: FieldDef, value: Any, config: Config) -> Any:
        return read_id(value)

    def readings(self, field: FieldDef, source: Source, config: Config) -> Iterator[Any]:
        """Only ids of the same things are taken over, of several the first: names could mean anybody."""
        if source.points_like(self, field):
            yield source.value[0] if isinstance(source.value, list) else source.value


class IdListType(FieldType):
    """Base of the types whose value is a list of ids."""

    expr_type = "list"
    many = True
    sortable = False
    expects = lazy("Choose from the list")
    EXAMPLES = ([EXAMPLE_IDS[0]], list(EXAMPLE_IDS))
    BAD_EXAMPLES = (["not-an-id"], [5], {"id": EXAMPLE_IDS[0]}, 7, True)
    most = 1000

    def most_of(self, field: FieldDef) -> int:
        return self.most

    def value_schema(self, field: FieldDef, config: Config) -> dict[str, Any]:
        return {"type": "array", "items": ID_SCHEMA, "minItems": 1, "maxItems": self.most_of(field), "uniqueItems": True}

    def normalise(self, field: FieldDef, value: Any, config: Config) -> Any:
        return read_ids(value)

    def from_form(self, field: FieldDef, raw: list[str], config: Config) -> Any:
        return read_ids([item.strip() for item in raw])

    def to_form(self, field: FieldDef, value: Any, config: Config) -> Any:
        return value if isinstance(value, list) else [value] if value else []

    def to_expr(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return list(value)

    def from_expr(self, field: FieldDef, value: Any, config: Config) -> Any:
        return read_ids([str(item) for item in value if item is not None] if isinstance(value, (list, tuple)) else value)

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        return ", ".join(value)

    def readings(self, field: FieldDef, source: Source, config: Config) -> Iterator[Any]:
        """Only ids of the same things are taken over: names could mean anybody."""
        if source.points_like(self, field):
            yield source.value
