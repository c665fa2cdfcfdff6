"""Yes or no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from saas.i18n import LazyString, get_locale, lazy, use_locale
from saas.metadata.config import Config
from saas.metadata.kinds import FieldType, Source, field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.texts import encodable, narrow

_YES, _NO = lazy("Yes"), lazy("No")
_TRUE = {"true", "1", "yes", "y", "on", "是", "对", "√", "✓", "✔", "真"}
_FALSE = {"false", "0", "no", "n", "off", "否", "错", "×", "✗", "✘", "假"}


@field_types.register
class Bool(FieldType):
    key = "bool"
    label = lazy("Yes or no")
    description = lazy("A question that is answered with yes or no.")
    group = "choice"
    icon = "check-square"
    storage = "int"
    expr_type = "bool"
    groupable = True
    expects = lazy("Answer yes or no")
    EXAMPLES = (True, False)
    BAD_EXAMPLES = (2, "maybe", [True], 0.5, {})

    def value_schema(self, field: FieldDef, config: Config) -> dict[str, Any]:
        return {"type": "boolean"}

    def normalise(self, field: FieldDef, value: Any, config: Config) -> Any:
        if isinstance(value, int) and not isinstance(value, bool) and value in (0, 1):
            return bool(value)
        if isinstance(value, str):
            text = narrow(encodable(value)).strip().lower()
            return None if not text else True if text in _TRUE else False if text in _FALSE else text
        return value

    def from_form(self, field: FieldDef, raw: list[str], config: Config) -> Any:
        """A check box posts nothing when empty, so input.html puts a hidden "false" before it; the last one counts."""
        return self.normalise(field, raw[-1], config) if raw else None

    def to_column(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return int(value)

    def from_column(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return bool(value)

    def from_expr(self, field: FieldDef, value: Any, config: Config) -> Any:
        return value if isinstance(value, (bool, str)) else bool(value)

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        return _words(_YES if value else _NO, locale)

    def readings(self, field: FieldDef, source: Source, config: Config) -> Iterator[Any]:
        """Yes and no in the words that people and spreadsheets use, the keys and labels of options too; 1 and 0."""
        yield source.value
        yield source.written(config)

    def cell(self, field: FieldDef, value: Any, text: str, config: Config, locale: str) -> Markup | None:
        if not isinstance(value, bool):
            return None
        return Markup('<span class="bool bool-%s">%s</span>') % ("yes" if value else "no", text)


def _words(message: LazyString, locale: str) -> str:
    if get_locale() == locale:
        return str(message)
    with use_locale(locale):
        return str(message)
