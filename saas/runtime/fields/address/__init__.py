"""Postal addresses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from saas.i18n import LazyString, lazy
from saas.metadata.config import Config
from saas.metadata.kinds import FieldType, Source, field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.texts import FORBIDDEN_CHARACTER, character_problems, clean_line

PARTS = ("country", "region", "city", "street", "postcode")


@field_types.register
class Address(FieldType):
    key = "address"
    label = lazy("Address")
    description = lazy("Where somebody or something is: country, region, city, street and postcode.")
    group = "special"
    icon = "home"
    storage = "doc"
    expr_type = "any"
    operators = ("contains", "is_empty")
    sortable = False
    grouped = True
    expects = lazy("Enter an address")
    EXAMPLES = (
        {"city": "上海"},
        {"country": "CN", "region": "上海", "city": "上海市", "street": "南京东路 1 号", "postcode": "200001"},
    )
    BAD_EXAMPLES = ({"planet": "Mars"}, {"city": 5}, {"street": "x" * 301}, {"city": "nul\x00"}, ["city"], 5, True)

    def value_schema(self, field: FieldDef, config: Config) -> dict[str, Any]:
        part = {"type": "string", "minLength": 1, "maxLength": 300}
        return {"type": "object", "properties": dict.fromkeys(PARTS, part), "additionalProperties": False, "minProperties": 1}

    def normalise(self, field: FieldDef, value: Any, config: Config) -> Any:
        """Empty parts go; a plain text is the street."""
        if isinstance(value, str):
            value = {"street": value}
        if not isinstance(value, dict):
            return value
        cleaned = {clean_line(key): clean_line(part) if isinstance(part, str) else part for key, part in value.items()}
        return {key: part for key, part in cleaned.items() if part not in ("", None)} or None

    def problems(self, field: FieldDef, value: Any, config: Config) -> list[tuple[str, LazyString]]:
        return [FORBIDDEN_CHARACTER] if any(character_problems(part) for part in value.values()) else []

    def from_form(self, field: FieldDef, raw: list[str], config: Config) -> Any:
        """The five controls share the field's name and are posted in the order of PARTS."""
        parts = dict(zip(PARTS, raw, strict=True)) if len(raw) == len(PARTS) else {"street": " ".join(raw)}
        return self.normalise(field, parts, config)

    def to_form(self, field: FieldDef, value: Any, config: Config) -> Any:
        return value if isinstance(value, dict) else {"street": value} if value else {}

    def from_expr(self, field: FieldDef, value: Any, config: Config) -> Any:
        return self.normalise(field, value, config)

    def readings(self, field: FieldDef, source: Source, config: Config) -> Iterator[Any]:
        yield source.value if isinstance(source.kind, Address) else source.written(config)

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        """From large to small in Chinese, from small to large in other languages."""
        if locale.startswith("zh"):
            return " ".join(value[part] for part in PARTS if part in value)
        place = " ".join(value[part] for part in ("region", "postcode") if part in value)
        return ", ".join(part for part in (value.get("street"), value.get("city"), place, value.get("country")) if part)
