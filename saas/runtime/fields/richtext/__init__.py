"""Formatted text: HTML that nh3 has cleaned."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import nh3
from markupsafe import Markup

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.config import Config
from saas.metadata.kinds import Source, field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.schemas import options, prop
from saas.runtime.fields._shared.texts import TextType, clean_block

TAGS = {
    "p",
    "br",
    "hr",
    "div",
    "span",
    "b",
    "strong",
    "i",
    "em",
    "u",
    "s",
    "del",
    "h2",
    "h3",
    "h4",
    "ul",
    "ol",
    "li",
    "blockquote",
}
TAGS |= {"pre", "code", "a", "table", "thead", "tbody", "tr", "th", "td"}
ATTRIBUTES = {"a": {"href", "title"}, "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}}
_BLOCK_END = re.compile(r"(?i)<br>|</(?:p|div|h[2-4]|li|tr|blockquote|pre)>")
_TAG = re.compile(r"<[^>]*>")


def clean_html(value: str) -> str:
    """Only harmless formatting; links are http, https or mailto and tell their target nothing."""
    return nh3.clean(
        value,
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )


def plain_text(value: str) -> str:
    """What remains without markup, a line per block."""
    return html.unescape(_TAG.sub("", _BLOCK_END.sub("\n", value))).strip()


@field_types.register
class RichText(TextType):
    key = "richtext"
    label = lazy("Formatted text")
    description = lazy("Text with headings, lists and emphasis, such as meeting notes or descriptions.")
    group = "text"
    icon = "align-left"
    storage = "doc"
    operators = ("contains", "is_empty")
    sortable = False
    max_length = 50_000
    options_schema = options(
        {
            "max_length": prop(
                N_("Longest"), N_("Most characters, markup included"), 50_000, type="integer", minimum=1, maximum=200_000
            )
        }
    )
    EXAMPLE_OPTIONS = {"max_length": 5000}
    EXAMPLES = ("<p>Hello <strong>world</strong></p>", "plain", "<ul><li>一</li><li>二</li></ul>")
    BAD_EXAMPLES = ("x" * 5001, 5, True, ["a"], {"html": "x"})

    def normalise(self, field: FieldDef, value: Any, config: Config) -> Any:
        if not isinstance(value, str) or len(value) > self.length_of(field):
            return value.replace("\x00", "") if isinstance(value, str) else value
        cleaned = clean_html(clean_block(value)).strip()
        return cleaned if plain_text(cleaned) else None

    def from_column(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        """Cleaned once more: what is shown unescaped must not rely on what was written long ago."""
        return clean_html(value) if isinstance(value, str) and "<" in value else value

    def to_expr(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return plain_text(value)

    def from_expr(self, field: FieldDef, value: Any, config: Config) -> Any:
        return self.normalise(field, html.escape(str(value), quote=False), config)

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        return plain_text(value)

    def readings(self, field: FieldDef, source: Source, config: Config) -> Iterator[Any]:
        """Formatted text as it is; plain text with its lines and paragraphs."""
        if isinstance(source.kind, RichText):
            yield source.value
        else:
            paragraphs = re.split(r"\n{2,}", html.escape(clean_block(source.written(config)), quote=False))
            yield "".join(f"<p>{paragraph.replace(chr(10), '<br>')}</p>" for paragraph in paragraphs)

    def to_text(self, field: FieldDef, value: Any, text: str, config: Config) -> str:
        return plain_text(value)

    def cell(self, field: FieldDef, value: Any, text: str, config: Config, locale: str) -> Markup | None:
        return None
