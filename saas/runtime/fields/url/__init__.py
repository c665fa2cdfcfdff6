"""Web addresses. Only http, https and mailto ever become links."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup

from saas.i18n import LazyString, lazy
from saas.metadata.config import Config
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.texts import SLOT_BYTES, TextType, character_problems, clean_line

SCHEMES = ("http", "https", "mailto")
_BARE_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_]{2,63}(?::\d{1,5})?(?:[/?#]\S*)?\Z")


def safe_url(value: str) -> bool:
    """Whether it may become a link."""
    if re.search(r"[\s<>\"\\\x00-\x1f\x7f]", value):
        return False
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return False
    if parts.scheme == "mailto":
        return "@" in parts.path
    return parts.scheme in SCHEMES and bool(parts.hostname)


@field_types.register
class Url(TextType):
    key = "url"
    label = lazy("Web address")
    description = lazy("A web address that can be clicked to open.")
    group = "text"
    icon = "link"
    max_length = 2000
    expects = lazy("Enter a web address such as https://example.com")
    operators = ("contains", "eq", "ne", "starts_with", "is_empty")
    EXAMPLES = (
        "https://example.com",
        "http://example.com:8080/a?b=c&d=%20#e",
        "mailto:ada@example.com",
        "https://例子.中国/路径",
    )
    BAD_EXAMPLES = (
        "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,<b>", "ftp://example.com", "//example.com", "http://", "nonsense",
        "https://exa mple.com", 'https://example.com/"onclick', "https://example.com/\x00", "https://example.com:port", 5,
        "https://example.com/" + "x" * 2000, "https://example.com/" + "长" * 1500,
    )  # fmt: skip

    def clean(self, value: str) -> str:
        text = clean_line(value)
        if _BARE_DOMAIN.match(text):
            return "https://" + text
        scheme, separator, rest = text.partition(":")
        return scheme.lower() + separator + rest

    def problems(self, field: FieldDef, value: Any, config: Config) -> list[tuple[str, LazyString]]:
        if len(value.encode()) > SLOT_BYTES:
            return [("too_long", lazy("This web address is too long."))]
        if not safe_url(value):
            return [("url", lazy("This is not a web address that starts with http:// or https://."))]
        return character_problems(value)

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        return value.removeprefix("https://").removeprefix("http://").removeprefix("mailto:").removesuffix("/")

    def cell(self, field: FieldDef, value: Any, text: str, config: Config, locale: str) -> Markup | None:
        if not isinstance(value, str) or not safe_url(value):
            return None
        return Markup('<a class="link" href="%s" target="_blank" rel="noopener noreferrer nofollow">%s</a>') % (value, text)
