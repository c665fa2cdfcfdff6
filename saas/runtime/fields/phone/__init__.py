"""Telephone numbers: E.164 where they parse, else as typed."""

from __future__ import annotations

import functools
import re
from typing import Any

import phonenumbers
from markupsafe import Markup

from saas.i18n import LazyString, lazy
from saas.i18n import noop as N_
from saas.metadata.config import Config
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.schemas import options, prop
from saas.runtime.fields._shared.texts import TextType, clean_line, narrow

_LOOKS_LIKE_PHONE = re.compile(r"\+?[0-9()\-–./#*,; ]+(?:(?:ext\.?|x|转|分机)\s*[0-9]{1,8})?\Z", re.IGNORECASE | re.ASCII)


@functools.lru_cache(maxsize=8192)
def _shown(value: str, country: str) -> str:
    """National form at home, international form abroad."""
    try:
        number = phonenumbers.parse(value, None)
    except phonenumbers.NumberParseException:
        return value
    home = phonenumbers.country_code_for_region(country)
    style = (
        phonenumbers.PhoneNumberFormat.NATIONAL if number.country_code == home else phonenumbers.PhoneNumberFormat.INTERNATIONAL
    )
    return phonenumbers.format_number(number, style)


@field_types.register
class Phone(TextType):
    key = "phone"
    label = lazy("Phone")
    description = lazy("A telephone number that can be clicked to call.")
    group = "text"
    icon = "phone"
    max_length = 40
    expects = lazy("Enter a phone number")
    options_schema = options(
        {
            "country": prop(
                N_("Country"), N_("Two letters; numbers typed without a country code belong to it (default: the company's)"), None,
                type=["string", "null"], pattern="^[A-Z]{2}$",
            ),
        }
    )  # fmt: skip
    EXAMPLE_OPTIONS = {"country": "CN"}
    EXAMPLES = ("+8613800138000", "+14155552671", "95588", "010-12345678 转 12")
    BAD_EXAMPLES = ("call me", "1", "+", "<b>13800138000</b>", "1" * 41, 13800138000.5, True, "138\x00", ["138"])

    def normalise(self, field: FieldDef, value: Any, config: Config) -> Any:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**20:
            value = str(value)  # spreadsheets keep numbers as numbers
        if not isinstance(value, str):
            return value
        text = clean_line(narrow(value))
        if len(text) > self.max_length or not _LOOKS_LIKE_PHONE.match(text):
            return text or None
        try:
            number = phonenumbers.parse(text, field.options.get("country") or config.country)
        except phonenumbers.NumberParseException:
            return text
        if number.extension or not phonenumbers.is_valid_number(number):
            return text
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)

    def problems(self, field: FieldDef, value: Any, config: Config) -> list[tuple[str, LazyString]]:
        if not _LOOKS_LIKE_PHONE.match(value) or sum(c.isdigit() for c in value) < 3:
            return [("phone", lazy("This is not a phone number."))]
        return []

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        return _shown(value, field.options.get("country") or config.country) if value.startswith("+") else value

    def cell(self, field: FieldDef, value: Any, text: str, config: Config, locale: str) -> Markup | None:
        if not isinstance(value, str) or not value.startswith("+") or not value[1:].isdecimal():
            return None  # masked, or not a number one can dial
        return Markup('<a class="link" href="tel:%s">%s</a>') % (value, text)
