"""Whole numbers."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import field_types
from saas.runtime.fields._shared.numbers import INT8_MAX, INT8_MIN, IntegerType
from saas.runtime.fields._shared.schemas import label_map, options, prop


@field_types.register
class Integer(IntegerType):
    key = "int"
    label = lazy("Whole number")
    description = lazy("A number without decimals, such as pieces or people.")
    group = "number"
    groupable = True
    options_schema = options(
        {
            "min": prop(
                N_("Lowest"), N_("Smallest value allowed"), None, type=["integer", "null"], minimum=INT8_MIN, maximum=INT8_MAX
            ),
            "max": prop(
                N_("Highest"), N_("Largest value allowed"), None, type=["integer", "null"], minimum=INT8_MIN, maximum=INT8_MAX
            ),
            "unit": label_map(N_("Unit"), N_("Shown after the number, e.g. pieces")),
        }
    )
    EXAMPLE_OPTIONS = {"unit": {"en": "pieces", "zh_CN": "件"}}
    EXAMPLES = (0, 1, -5, 1234567, INT8_MAX, INT8_MIN)
    BAD_EXAMPLES = (1.5, INT8_MAX + 1, INT8_MIN - 1, 10**400, "abc", True, float("nan"), float("inf"), [1], "1;2", "1\x00")
