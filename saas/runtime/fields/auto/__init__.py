"""Numbers the engine gives: INV-2025-0001."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import field_types
from saas.runtime.fields._shared.schemas import choice, control, options, prop
from saas.runtime.fields._shared.texts import TextType

DEFAULT_PATTERN = "{seq:4}"
_LITERAL = r"[^{}\x00-\x1f]"


@field_types.register
class Auto(TextType):
    key = "auto"
    label = lazy("Automatic number")
    description = lazy("A number the system gives to each new record, such as INV-2025-0001, without gaps.")
    group = "computed"
    icon = "hash"
    computed = True
    operators = ("eq", "contains", "starts_with", "ne", "in", "is_empty")
    max_length = 120
    options_schema = options(
        {
            "pattern": prop(
                N_("Pattern"), N_("Text with {yyyy} {yy} {mm} {dd} and {seq:4}, e.g. INV-{yyyy}-{seq:4}"), DEFAULT_PATTERN,
                type="string", maxLength=80, **control("auto_pattern"),
                pattern=rf"^(?:{_LITERAL}|\{{(?:yyyy|yy|mm|dd)\}})*\{{seq(?::(?:[1-9]|1[0-2]))?\}}(?:{_LITERAL}|\{{(?:yyyy|yy|mm|dd)\}})*$",
            ),
            "reset": choice(
                N_("Start again"), N_("When counting starts at 1 again"), "never",
                {"never": N_("Never"), "year": N_("Every year"), "month": N_("Every month"), "day": N_("Every day")},
            ),
            "later": prop(N_("Only when a step gives it"), N_("New records have none until the step “Give a number” runs, e.g. when a contract is signed"), False, type="boolean"),
        }
    )  # fmt: skip
    EXAMPLE_OPTIONS = {"pattern": "INV-{yyyy}{mm}-{seq:4}", "reset": "month"}
    EXAMPLES = ("INV-202503-0001", "7")
    BAD_EXAMPLES = (7, True, ["INV"], "x\x00", "x" * 121)
