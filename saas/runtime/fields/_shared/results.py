"""Base of the computed types: everything is answered by the type and definition of the result."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from saas.i18n import LazyString
from saas.metadata.config import Config
from saas.metadata.kinds import ExprType, FieldType, Storage
from saas.metadata.models import FieldDef


class ResultType(FieldType):
    """Subclasses say what the result is in `make_result`."""

    computed = True
    icon = "function"
    expr_type: ExprType = "any"
    operators = ("eq", "ne", "lt", "lte", "gt", "gte", "between", "is_empty")

    def make_result(self, field: FieldDef, config: Config | None) -> tuple[FieldType, FieldDef]:
        raise NotImplementedError

    def result_of(self, field: FieldDef, config: Config | None) -> tuple[FieldType, FieldDef]:
        if config is None:
            return self.make_result(field, None)
        # The entry keeps the field, so its id is never reused within this configuration.
        return config.cached(("fields.result", id(field)), lambda: (field, self.make_result(field, config)))[1]

    def storage_of(self, field: FieldDef, config: Config) -> Storage:
        return self.storage

    def expr_type_of(self, field: FieldDef, config: Config) -> ExprType:
        kind, result = self.result_of(field, config)
        return kind.expr_type_of(result, config)

    def value_schema(self, field: FieldDef, config: Config) -> dict[str, Any]:
        kind, result = self.result_of(field, config)
        return kind.value_schema(result, config)

    def normalise(self, field: FieldDef, value: Any, config: Config) -> Any:
        kind, result = self.result_of(field, config)
        return kind.normalise(result, value, config)

    def problems(self, field: FieldDef, value: Any, config: Config) -> list[tuple[str, LazyString]]:
        kind, result = self.result_of(field, config)
        return kind.problems(result, value, config)

    def from_form(self, field: FieldDef, raw: list[str], config: Config) -> Any:
        kind, result = self.result_of(field, config)
        return kind.from_form(result, raw, config)

    def to_form(self, field: FieldDef, value: Any, config: Config) -> Any:
        """Nobody types a result; the control shows its text."""
        if value is None or isinstance(value, str):
            return value or ""
        kind, result = self.result_of(field, config)
        form = kind.to_form(result, value, config)
        return form.get("amount", "") if isinstance(form, dict) else form

    def to_column(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        kind, result = self.result_of(field, config)
        return kind.to_column(result, value, config)

    def from_column(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        kind, result = self.result_of(field, config)
        return kind.from_column(result, value, config)

    def to_expr(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        kind, result = self.result_of(field, config)
        return kind.to_expr(result, value, config)

    def from_expr(self, field: FieldDef, value: Any, config: Config) -> Any:
        kind, result = self.result_of(field, config)
        return kind.from_expr(result, value, config)

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        kind, result = self.result_of(field, config)
        return kind.display(result, value, config, locale)

    def convert(self, field: FieldDef, old_field: FieldDef, value: Any, text: str, config: Config) -> Any:
        """Nothing else becomes a result: it is computed."""
        return super().convert(field, old_field, value, text, config) if old_field.type == self.key else None

    def cell(self, field: FieldDef, value: Any, text: str, config: Config, locale: str) -> Markup | None:
        kind, result = self.result_of(field, config)
        return kind.cell(result, value, text, config, locale)
