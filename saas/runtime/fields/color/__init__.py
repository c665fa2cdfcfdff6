"""Colours: #3b5bdb, drawn as a swatch."""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup

from saas.i18n import LazyString, lazy
from saas.i18n import noop as N_
from saas.metadata.config import Config
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.schemas import control, options, prop
from saas.runtime.fields._shared.texts import TextType, clean_line, narrow

PATTERN = "^#[0-9a-f]{6}$"
_HEX = re.compile(r"#?([0-9a-f]{3}|[0-9a-f]{6})\Z")


@field_types.register
class Color(TextType):
    key = "color"
    label = lazy("Colour")
    description = lazy("A colour for a brand, a material or a label, chosen freely or from a palette of yours.")
    group = "special"
    icon = "color-swatch"
    operators = ("eq", "ne", "in", "not_in", "is_empty")
    groupable = True
    expects = lazy("Enter a colour such as #3b5bdb")
    options_schema = options(
        {
            "palette": prop(
                N_("Palette"), N_("Colours that are offered, such as #3b5bdb, one on each line"), [],
                type="array", items={"type": "string", "pattern": PATTERN}, maxItems=60, uniqueItems=True, **control("lines"),
            ),
            "only_palette": prop(N_("Only these"), N_("Other colours than those of the palette are refused"), False, type="boolean"),
        }
    )  # fmt: skip
    EXAMPLE_OPTIONS = {"palette": ["#e5484d", "#2f9e58"]}
    EXAMPLES = ("#3b5bdb", "#000000", "#ffffff")
    BAD_EXAMPLES = ("red", "#12", "#12345g", "#3b5bdb80", "rgb(1,2,3)", 5, True, ["#3b5bdb"], "#3b5bdb\x00", "url(x)")

    def value_schema(self, field: FieldDef, config: Config) -> dict[str, Any]:
        return {"type": "string", "pattern": PATTERN}

    def clean(self, value: str) -> str:
        """#ABC, abcdef and full-width signs are understood."""
        text = clean_line(narrow(value)).lower()
        found = _HEX.match(text)
        if not found:
            return text
        digits = found[1] if len(found[1]) == 6 else "".join(digit * 2 for digit in found[1])
        return f"#{digits}"

    def problems(self, field: FieldDef, value: Any, config: Config) -> list[tuple[str, LazyString]]:
        palette = field.options.get("palette") or ()
        if field.options.get("only_palette") and palette and value not in palette:
            return [("palette", lazy("Choose one of the colours of the palette."))]
        return []

    def cell(self, field: FieldDef, value: Any, text: str, config: Config, locale: str) -> Markup | None:
        """The browser's own colour control draws the swatch: styles inside the page are not allowed."""
        if not isinstance(value, str) or not re.fullmatch(PATTERN, value):
            return None
        return Markup('<span class="color-cell"><input class="swatch" type="color" value="%s" disabled tabindex="-1" aria-hidden="true"><span class="num">%s</span></span>') % (value, text)
