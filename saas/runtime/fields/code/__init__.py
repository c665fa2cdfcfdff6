"""Codes with rules: characters, and a check digit that catches typing mistakes."""

from __future__ import annotations

import re
from typing import Any

from saas.i18n import LazyString, lazy
from saas.i18n import noop as N_
from saas.metadata.config import Config
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.schemas import choice, control, options, prop
from saas.runtime.fields._shared.texts import TextType, clean_line, narrow
from saas.runtime.fields.code.checks import CHECKS
from saas.runtime.fields.text import SAFE_PATTERN, whole_pattern

_SEPARATORS = re.compile(r"[\s\-‐-―.·/]")


@field_types.register
class Code(TextType):
    key = "code"
    label = lazy("Checked code")
    description = lazy("A number or code with rules and a check digit, such as an IBAN, a barcode or a company's registration number.")
    group = "text"
    icon = "barcode"
    max_length = 64
    operators = ("eq", "starts_with", "contains", "ne", "in", "not_in", "is_empty")
    expects = lazy("Enter a code")
    options_schema = options(
        {
            "check": choice(
                N_("Check digit"), N_("How the code proves that it was typed correctly"), "none",
                {"none": N_("None"), **{key: check.title for key, check in CHECKS.items()}},
            ),
            "pattern": prop(
                N_("Pattern"), N_("letters, digits, letters_digits, code, hex, or character classes such as [A-Z]{2}[0-9]{4}"), None,
                type=["string", "null"], maxLength=100, pattern=SAFE_PATTERN, **control("pattern"),
            ),
            "case": choice(
                N_("Capitals"), N_("What becomes of small letters"), "upper",
                {"upper": N_("Become capitals"), "lower": N_("All become small"), "keep": N_("Stay as typed")},
            ),
            "separators": choice(
                N_("Spaces and hyphens"), N_("What becomes of spaces, hyphens, dots and slashes"), "remove", {"remove": N_("Are removed"), "keep": N_("Stay as typed")},
            ),
            "group": prop(N_("Show in groups of"), N_("How many signs stand together when the code is shown; 0: no groups"), 0, type="integer", minimum=0, maximum=10),
        }
    )  # fmt: skip
    EXAMPLE_OPTIONS = {"check": "uscc"}
    EXAMPLES = ("91350100M000100Y43", "914403001922038216")
    BAD_EXAMPLES = ("91350100M000100Y44", "91350100M000100Y4", "91350100I000100Y43", "code", 914403001922038216, True, ["x"], "91350100M000100Y43\x00")

    def value_schema(self, field: FieldDef, config: Config) -> dict[str, Any]:
        pattern = field.options.get("pattern")
        return super().value_schema(field, config) | ({"pattern": whole_pattern(pattern)} if pattern else {})

    def normalise(self, field: FieldDef, value: Any, config: Config) -> Any:
        if not isinstance(value, str):
            return value
        text = clean_line(narrow(value))
        if field.options.get("separators", "remove") == "remove":
            text = _SEPARATORS.sub("", text)
        case = field.options.get("case") or "upper"
        return (text.upper() if case == "upper" else text.lower() if case == "lower" else text) or None

    def problems(self, field: FieldDef, value: Any, config: Config) -> list[tuple[str, LazyString]]:
        check = CHECKS.get(str(field.options.get("check")))
        if check is None:
            return super().problems(field, value, config)
        bare = _SEPARATORS.sub("", value).upper()
        if not re.fullmatch(check.pattern.strip("^$"), bare, re.ASCII):
            return [("code_form", check.form)]
        if not check.agrees(bare):
            return [("check_digit", lazy("The check digit does not match: look for a typing mistake."))]
        return super().problems(field, value, config)

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        size = field.options.get("group") or 0
        return " ".join(value[start : start + size] for start in range(0, len(value), size)) if size else value
