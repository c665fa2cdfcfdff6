"""One line of text."""

from __future__ import annotations

from typing import Any

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.config import Config
from saas.metadata.kinds import Storage, field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.schemas import control, options, prop
from saas.runtime.fields._shared.texts import SLOT_CHARACTERS, TextType

NAMED_PATTERNS = {
    "letters": "^[A-Za-z]+$",
    "digits": "^[0-9]+$",
    "letters_digits": "^[A-Za-z0-9]+$",
    "code": "^[A-Za-z0-9][A-Za-z0-9._/-]*$",
    "hex": "^[0-9A-Fa-f]+$",
}
# What a tenant may write as a pattern: characters, classes and counts, no groups, alternatives or look-arounds. Matching is
# done by a linear-time engine (jsonschema-rs), never by `re`.
_ATOM = r"(?:\[\^?(?:[^\[\]\\&~]|\\[dws.\-\[\]\\/])+\]|\\[dws.\-+*?()\[\]{}^$|\\/]|[^\\\[\]{}()*+?.|^$])"
SAFE_PATTERN = rf"^(?:{'|'.join(NAMED_PATTERNS)}|\^?(?:{_ATOM}(?:\{{[0-9]{{1,3}}(?:,[0-9]{{0,3}})?\}}|[+*?])?)+\$?)$"


def whole_pattern(pattern: str) -> str:
    """A named or written pattern as one of JSON Schema that the whole text must match."""
    return NAMED_PATTERNS.get(pattern) or f"^{pattern.removeprefix('^').removesuffix('$')}$"


@field_types.register
class Text(TextType):
    key = "text"
    label = lazy("Text")
    description = lazy("One line of text, such as a name or a subject.")
    group = "text"
    groupable = True
    options_schema = options(
        {
            "max_length": prop(N_("Longest"), N_("Most characters"), 255, type="integer", minimum=1, maximum=1000),
            "min_length": prop(N_("Shortest"), N_("Fewest characters"), 0, type="integer", minimum=0, maximum=1000),
            "pattern": prop(
                N_("Pattern"), N_("letters, digits, letters_digits, code, hex, or character classes such as [A-Z]{2}[0-9]{4}"), None,
                type=["string", "null"], maxLength=100, pattern=SAFE_PATTERN, **control("pattern"),
            ),
        }
    )  # fmt: skip
    EXAMPLE_OPTIONS = {"max_length": 40}
    EXAMPLES = ("Ada", "王建国", "a & b <c>", "😀 emoji", "O'Brien; DROP TABLE x", "שלום")
    BAD_EXAMPLES = ("x" * 41, "nul\x00", "bell\x07", 5, True, ["a"], {"a": 1}, "\ud800")

    def storage_of(self, field: FieldDef, config: Config) -> Storage:
        """Long texts would not fit into an index row, so they go to the document."""
        return "text" if self.length_of(field) <= SLOT_CHARACTERS else "doc"

    def value_schema(self, field: FieldDef, config: Config) -> dict[str, Any]:
        schema = super().value_schema(field, config) | {"minLength": max(1, field.options.get("min_length") or 0)}
        pattern = field.options.get("pattern")
        if pattern:
            schema["pattern"] = whole_pattern(pattern)
        return schema
