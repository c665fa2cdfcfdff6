"""Base of the types that hold uploaded files."""

from __future__ import annotations

from typing import Any

from saas.i18n import lazy, ngettext, use_locale
from saas.i18n import noop as N_
from saas.metadata.config import Config
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.ids import EXAMPLE_IDS, IdListType
from saas.runtime.fields._shared.schemas import control, options, prop

MULTIPLE = prop(N_("Several"), N_("More than one file"), False, type="boolean")
MAX_MB = prop(N_("Largest size"), N_("Megabytes per file"), 20, type="integer", minimum=1, maximum=500)


def accept(default: list[str]) -> dict[str, Any]:
    return prop(
        N_("Kinds of file"), N_("Endings such as pdf or png; empty: any"), default,
        type="array", items={"type": "string", "pattern": "^[a-z0-9]{1,10}$"}, maxItems=50, uniqueItems=True, **control("lines"),
    )  # fmt: skip


class FilesType(IdListType):
    """The value is the ids of uploaded files; names and types are looked up by the caller."""

    storage = "doc"
    holds = "file"
    operators = ("is_empty",)
    expects = lazy("Choose a file")
    options_schema = options({"multiple": MULTIPLE, "max_mb": MAX_MB, "accept": accept([])})
    EXAMPLE_OPTIONS = {"multiple": True}
    EXAMPLES = ([EXAMPLE_IDS[0]], list(EXAMPLE_IDS))

    def most_of(self, field: FieldDef) -> int:
        return 50 if field.options.get("multiple") else 1

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        with use_locale(locale):
            return ngettext("%(count)s file", "%(count)s files", len(value))

    def to_text(self, field: FieldDef, value: Any, text: str, config: Config) -> str:
        """That there are two files says nothing of them."""
        return ""
