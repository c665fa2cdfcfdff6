"""Numbers with decimals."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import field_types
from saas.runtime.fields._shared.numbers import FLOAT_LIMIT, NumberType
from saas.runtime.fields._shared.schemas import label_map, options, prop

_BOUND = {"type": ["number", "null"], "minimum": -FLOAT_LIMIT, "maximum": FLOAT_LIMIT}


@field_types.register
class Number(NumberType):
    key = "number"
    label = lazy("Number")
    description = lazy("A number with decimals, such as a weight or a length.")
    group = "number"
    storage = "float"
    options_schema = options(
        {
            "scale": prop(N_("Decimals"), N_("How many decimals are kept and shown"), 2, type="integer", minimum=0, maximum=8),
            "min": prop(N_("Lowest"), N_("Smallest value allowed"), None, **_BOUND),
            "max": prop(N_("Highest"), N_("Largest value allowed"), None, **_BOUND),
            "unit": label_map(N_("Unit"), N_("Shown after the number, e.g. kg")),
        }
    )
    EXAMPLES = (0, 12.5, -0.25, 1234567.89, 3)
    BAD_EXAMPLES = (12.345, 1e16, float("nan"), float("inf"), float("-inf"), 10**400, "abc", True, [1.5], "1e5\x00")
