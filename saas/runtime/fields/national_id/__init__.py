"""Numbers of identity cards, with their check digit."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any

from saas.i18n import LazyString, lazy
from saas.i18n import noop as N_
from saas.metadata.config import Config
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.schemas import options, prop
from saas.runtime.fields._shared.texts import TextType, clean_line, narrow

_REGION_STARTS = {
    str(n)
    for n in (*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66), 71, 81, 82, 83)
}


def is_chinese_id(text: str) -> bool:
    """GB 11643: region, birthday, sequence, and a check digit by ISO 7064 MOD 11-2."""
    if not re.fullmatch("[1-9][0-9]{16}[0-9X]", text) or text[:2] not in _REGION_STARTS:
        return False
    try:
        date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    weighted = sum(int(digit) * 2 ** (17 - index) for index, digit in enumerate(text[:17]))
    return "10X98765432"[weighted % 11] == text[17]


def is_hong_kong_id(text: str) -> bool:
    found = re.fullmatch(r"([A-Z]{1,2})([0-9]{6})\(?([0-9A])\)?", text)
    if not found:
        return False
    letters, digits, check = found.groups()
    values = [36, *(ord(c) - 55 for c in letters)][-2:] + [int(c) for c in digits] + [int(check, 16)]
    return sum(value * weight for value, weight in zip(values, range(9, 0, -1), strict=True)) % 11 == 0


def is_taiwan_id(text: str) -> bool:
    if not re.fullmatch("[A-Z][1289][0-9]{8}", text):
        return False
    number = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(text[0]) + 10
    values = [number // 10, number % 10, *(int(c) for c in text[1:])]
    weights = (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) % 10 == 0


def is_plausible_id(text: str) -> bool:
    """Countries whose check digit is not known here."""
    return re.fullmatch("[A-Z0-9][A-Z0-9./-]{3,31}", text) is not None


CHECKS: dict[str, Callable[[str], bool]] = {"CN": is_chinese_id, "HK": is_hong_kong_id, "TW": is_taiwan_id}


@field_types.register
class NationalId(TextType):
    key = "national_id"
    label = lazy("Identity number")
    description = lazy("The number of an identity card; its check digit is verified.")
    group = "special"
    icon = "id-card"
    max_length = 32
    operators = ("eq", "ne", "starts_with", "is_empty")
    expects = lazy("Enter an identity number")
    options_schema = options(
        {
            "country": prop(
                N_("Country"),
                N_("Two letters; the check digit is verified for CN, HK and TW"),
                "CN",
                type="string",
                pattern="^[A-Z]{2}$",
            )
        }
    )
    EXAMPLES = ("11010519491231002X", "440308199901101512")
    BAD_EXAMPLES = (
        "110105194912310021",
        "11010519491331002X",
        "123",
        "0" * 18,
        "11010519491231002X\x00",
        110105194912310029,
        True,
    )

    def clean(self, value: str) -> str:
        return re.sub(r"\s", "", clean_line(narrow(value))).upper()

    def problems(self, field: FieldDef, value: Any, config: Config) -> list[tuple[str, LazyString]]:
        check = CHECKS.get(field.options.get("country") or "CN", is_plausible_id)
        return [] if check(value) else [("national_id", lazy("This identity number is not valid."))]
