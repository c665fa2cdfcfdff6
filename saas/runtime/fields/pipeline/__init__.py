"""The stage of a record; changes only through transitions."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import field_types
from saas.runtime.fields._shared.choices import ChoiceType
from saas.runtime.fields._shared.schemas import KEY_PATTERN, choice, control, options, prop


@field_types.register
class Pipeline(ChoiceType):
    key = "pipeline"
    label = lazy("Stage")
    description = lazy("The stage of the record on its way; it changes only by the steps of a pipeline.")
    group = "choice"
    icon = "flag"
    storage = "state"
    computed = True
    options_schema = options(
        {
            "pipeline": prop(
                N_("Pipeline"), N_("Key of the pipeline whose stages are the values"), "", type="string", pattern=KEY_PATTERN,
                **control("pipeline"),
            ),
            "widget": choice(
                N_("Shown as"), N_("A three-state box is grey while the record is open, ticked when it succeeded and blank when it failed; it needs three such stages"), "badge",
                {"badge": N_("Badge"), "tristate": N_("Three-state box")},
            ),
        },
        required=("pipeline",),
    )
    EXAMPLE_OPTIONS = {"pipeline": "flow"}
    EXAMPLES = ("new", "won")
    BAD_EXAMPLES = ("elsewhere", 5, True, ["new"], "\ud800")
