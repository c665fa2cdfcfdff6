"""Several lines of plain text."""

from __future__ import annotations

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import field_types
from saas.runtime.fields._shared.schemas import options, prop
from saas.runtime.fields._shared.texts import TextType, clean_block


@field_types.register
class LongText(TextType):
    key = "longtext"
    label = lazy("Long text")
    description = lazy("Notes of several lines, without formatting.")
    group = "text"
    icon = "align-left"
    storage = "doc"
    operators = ("contains", "is_empty")
    sortable = False
    max_length = 20_000
    options_schema = options(
        {"max_length": prop(N_("Longest"), N_("Most characters"), 20_000, type="integer", minimum=1, maximum=200_000)}
    )
    EXAMPLE_OPTIONS = {"max_length": 5000}
    EXAMPLES = ("One line", "Two\nlines", "第一行\n\n第二行\t带制表符", "<b>not markup</b>", "x" * 5000)
    BAD_EXAMPLES = ("x" * 5001, "nul\x00", 5, True, ["a"], "\udfff")

    def clean(self, value: str) -> str:
        return clean_block(value)
