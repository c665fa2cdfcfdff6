"""E-mail addresses, in lower case."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from saas.i18n import LazyString, lazy
from saas.metadata.config import Config
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.texts import TextType, clean_line, narrow

# The rule of HTML's <input type=email>, with letters of any language in the domain.
_EMAIL = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W_][\w-]{0,61}[^\W_]\Z")


@field_types.register
class Email(TextType):
    key = "email"
    label = lazy("E-mail")
    description = lazy("An e-mail address that can be clicked to write to.")
    group = "text"
    icon = "mail"
    max_length = 254
    expects = lazy("Enter an e-mail address such as name@example.com")
    EXAMPLES = ("ada@example.com", "a.b+c@mail.example.co.uk", "li@例子.中国")
    BAD_EXAMPLES = (
        "ada",
        "ada@",
        "@example.com",
        "a b@example.com",
        "ada@example",
        "<a@b.com>",
        "a@b.com\x00",
        5,
        "a" * 250 + "@example.com",
    )

    def clean(self, value: str) -> str:
        return clean_line(narrow(value)).lower().removeprefix("mailto:")

    def problems(self, field: FieldDef, value: Any, config: Config) -> list[tuple[str, LazyString]]:
        return [] if _EMAIL.match(value) else [("email", lazy("This is not an e-mail address."))]

    def cell(self, field: FieldDef, value: Any, text: str, config: Config, locale: str) -> Markup | None:
        if not isinstance(value, str) or not _EMAIL.match(value):
            return None
        return Markup('<a class="link" href="mailto:%s">%s</a>') % (quote(value, safe="@+"), text)
