"""Free words, or words of a set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from saas.i18n import LazyString, lazy
from saas.i18n import noop as N_
from saas.metadata.config import Config
from saas.metadata.kinds import Source, field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.choices import SEPARATORS, ChoiceListType, find_option, names_of, option_map
from saas.runtime.fields._shared.schemas import KEY_PATTERN, control, options, prop
from saas.runtime.fields._shared.texts import FORBIDDEN_CHARACTER, character_problems, clean_line, encodable


@field_types.register
class Tags(ChoiceListType):
    key = "tags"
    label = lazy("Tags")
    description = lazy("Short words people add freely, for finding records again.")
    group = "choice"
    expects = lazy("Enter words separated by commas")
    options_schema = options(
        {
            "set": prop(
                N_("Option set"), N_("Key of a set of allowed tags; without one any word is a tag"), None,
                type=["string", "null"], pattern=KEY_PATTERN, **control("option_set"),
            ),
        }
    )  # fmt: skip
    EXAMPLES = (["vip"], ["vip", "重要客户", "a b"])
    BAD_EXAMPLES = (["x" * 51], [5], {"vip": 1}, 5, True, ["nul\x00"], ["a,b"], ["\ud800"], [f"t{n}" for n in range(101)])
    most = 100

    def value_schema(self, field: FieldDef, config: Config) -> dict[str, Any]:
        items: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 50}
        if field.options.get("set"):
            items = {"enum": list(option_map(field, config))}
        return {"type": "array", "items": items, "minItems": 1, "maxItems": self.most, "uniqueItems": True}

    def clean_item(self, item: Any) -> Any:
        return clean_line(item) if isinstance(item, str) else item

    def problems(self, field: FieldDef, value: Any, config: Config) -> list[tuple[str, LazyString]]:
        if any(character_problems(item) for item in value):
            return [FORBIDDEN_CHARACTER]
        if any(SEPARATORS.search(item) for item in value):
            return [("separator", lazy("A tag cannot contain a comma or semicolon."))]
        return []

    def from_form(self, field: FieldDef, raw: list[str], config: Config) -> Any:
        words = [word for text in raw for word in SEPARATORS.split(encodable(text))]
        if field.options.get("set"):
            words = [find_option(field, word, config) for word in words]
        return self.normalise(field, words, config)

    def readings(self, field: FieldDef, source: Source, config: Config) -> Iterator[Any]:
        """Free tags are the words people saw; tags of a set are found by key or label."""
        if field.options.get("set"):
            yield from super().readings(field, source, config)
        elif isinstance(source.value, list):
            yield [next((name for name in reversed(names) if name), None) for names in names_of(source, config)]
        else:
            yield self.from_form(field, [source.written(config)], config)
