"""Values computed from the record's other fields when it is read."""

from __future__ import annotations

from dataclasses import replace

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.config import Config
from saas.metadata.kinds import FieldType, field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.results import ResultType
from saas.runtime.fields._shared.schemas import choice, control, options, prop

RETURNS = {
    "text": N_("Text"), "int": N_("Whole number"), "number": N_("Number"), "percent": N_("Percent"), "money": N_("Money"), "bool": N_("Yes or no"), "date": N_("Date"),
    "datetime": N_("Date and time"), "phone": N_("Phone"),
}  # fmt: skip
# Results are not limited as typed values are: a share may be 120 %, a joined text long.
_RESULT_OPTIONS = {"percent": {"min": -(10**12), "max": 10**12, "scale": 2}, "text": {"max_length": 20_000}}


@field_types.register
class Formula(ResultType):
    key = "formula"
    label = lazy("Formula")
    description = lazy("Computed from the other fields of the record, always up to date.")
    group = "computed"
    storage = "none"
    options_schema = options(
        {
            "returns": choice(N_("Result"), N_("Kind of the result"), "number", RETURNS),
            "expr": prop(
                N_("Formula"),
                N_("Expression over the record, e.g. price * quantity"),
                "",
                type="string",
                minLength=1,
                maxLength=2000,
                **control("expression", result_from="returns"),
            ),
        },
        required=("returns", "expr"),
    )
    EXAMPLE_OPTIONS = {"returns": "number", "expr": "1 + 1"}
    EXAMPLES = (2, 12.5)
    BAD_EXAMPLES = ("two", float("nan"), [2], True)

    def make_result(self, field: FieldDef, config: Config | None) -> tuple[FieldType, FieldDef]:
        returns = field.options.get("returns") or "number"
        return field_types.get(returns), replace(field, type=returns, options=_RESULT_OPTIONS.get(returns, {}))
