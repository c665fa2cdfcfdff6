"""Numbers the engine gives: INV-2025-0001."""

from __future__ import annotations

import re
from datetime import date

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.schemas import options, prop
from saas.runtime.fields._shared.texts import TextType

DEFAULT_PATTERN = "{seq:4}"
_LITERAL = r"[^{}\x00-\x1f]"
_PLACE = re.compile(r"\{(yyyy|yy|mm|dd|seq)(?::([1-9]|1[0-2]))?\}")


@field_types.register
class Auto(TextType):
    key = "auto"
    label = lazy("Automatic number")
    icon = "hash"
    computed = True
    operators = ("eq", "contains", "starts_with", "ne", "in", "is_empty")
    max_length = 120
    options_schema = options(
        {
            "pattern": prop(
                N_("Pattern"), N_("Text with {yyyy} {yy} {mm} {dd} and {seq:4}, e.g. INV-{yyyy}-{seq:4}"), DEFAULT_PATTERN,
                type="string", maxLength=80,
                pattern=rf"^(?:{_LITERAL}|\{{(?:yyyy|yy|mm|dd)\}})*\{{seq(?::(?:[1-9]|1[0-2]))?\}}(?:{_LITERAL}|\{{(?:yyyy|yy|mm|dd)\}})*$",
            ),
            "reset": prop(
                N_("Start again"), N_("When counting starts at 1 again"), "never", type="string", enum=["never", "year", "month", "day"]
            ),
        }
    )  # fmt: skip
    EXAMPLE_OPTIONS = {"pattern": "INV-{yyyy}{mm}-{seq:4}", "reset": "month"}
    EXAMPLES = ("INV-202503-0001", "7")
    BAD_EXAMPLES = (7, True, ["INV"], "x\x00", "x" * 121)

    def period(self, field: FieldDef, day: date) -> str:
        """The period `day` counts in; the key of the counter beside the field."""
        name = field.options.get("reset") or "never"
        year = f"{day.year:04d}"
        return {"never": "", "year": year, "month": f"{year}-{day.month:02d}", "day": f"{year}-{day.month:02d}-{day.day:02d}"}[
            name
        ]

    def render(self, field: FieldDef, day: date, number: int) -> str:
        """The text of the `number`-th record of its period."""
        parts = {"yyyy": f"{day.year:04d}", "yy": f"{day.year % 100:02d}", "mm": f"{day.month:02d}", "dd": f"{day.day:02d}"}

        def fill(found: re.Match[str]) -> str:
            return str(number).rjust(int(found[2] or 1), "0") if found[1] == "seq" else parts[found[1]]

        return _PLACE.sub(fill, field.options.get("pattern") or DEFAULT_PATTERN)
