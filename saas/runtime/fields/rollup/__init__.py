"""Values computed over a record's children and stored with it, so that lists can sort and filter by them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.config import Config, Entity, Relation
from saas.metadata.kinds import FieldType, Storage, field_types
from saas.metadata.models import FieldDef
from saas.runtime.fields._shared.numbers import json_number
from saas.runtime.fields._shared.results import ResultType
from saas.runtime.fields._shared.schemas import KEY_PATTERN, choice, control, options, prop

FUNCTIONS = {
    "count": N_("How many"), "sum": N_("Total"), "min": N_("Lowest or earliest"), "max": N_("Highest or latest"), "avg": N_("Average"), "latest": N_("Of the newest"),
}  # fmt: skip


@field_types.register
class Rollup(ResultType):
    key = "rollup"
    label = lazy("Rollup")
    description = lazy("Counts or adds up the records linked to this one, always up to date.")
    group = "computed"
    storage = "float"
    icon = "chart-bar"
    summable = True
    options_schema = options(
        {
            "of": prop(N_("List"), N_("Key of the list of children"), "", type="string", pattern=KEY_PATTERN, **control("relation")),
            "fn": choice(N_("Function"), N_("What is computed"), "count", FUNCTIONS),
            "field": prop(
                N_("Field"),
                N_("Field of the children; not needed for count"),
                None,
                type=["string", "null"],
                pattern=KEY_PATTERN,
                **control("child_field"),
            ),
            "where": prop(
                N_("Only children where"), N_("Expression over a child"), None, type=["string", "null"], maxLength=2000, **control("condition")
            ),
        },
        required=("of", "fn"),
    )
    EXAMPLE_OPTIONS = {"of": "things", "fn": "sum", "field": "number"}
    EXAMPLES = (0, 3, 12.5)
    BAD_EXAMPLES = ("many", True, float("nan"), [1])

    def make_result(self, field: FieldDef, config: Config | None) -> tuple[FieldType, FieldDef]:
        """count and avg are numbers, but the average of amounts is one; the others are like the field they look at, without its bounds."""
        fn = field.options.get("fn") or "count"
        source = _source(field, config) if fn != "count" else None
        if source is None:
            return _plain(field, "int" if fn == "count" else "number")
        kind, child = (
            field_types.get(source.type).result_of(source, config) if config else (field_types.get(source.type), source)
        )
        keep = {name: value for name, value in child.options.items() if name not in ("min", "max")}
        if kind.additive or fn in ("min", "max", "latest"):
            return kind, replace(child, key=field.key, label=field.label, options=keep)
        unit = {"unit": keep["unit"]} if keep.get("unit") else {}
        if fn == "sum" and kind.storage == "int":
            return field_types.get("int"), replace(field, type="int", options=unit)
        scale = keep.get("scale", 2) if fn == "sum" else max(2, keep.get("scale") or 0)
        return field_types.get("number"), replace(field, type="number", options={**unit, "scale": scale})

    def storage_of(self, field: FieldDef, config: Config) -> Storage:
        if self._is_plain_number(field, config):
            return "float"
        kind, result = self.result_of(field, config)
        return kind.storage_of(result, config)

    def _is_plain_number(self, field: FieldDef, config: Config | None) -> bool:
        """Counts, sums and averages of numbers may grow beyond what their field holds, so they are floats."""
        kind, _ = self.result_of(field, config)
        return not kind.additive and (field.options.get("fn") or "count") in ("count", "sum", "avg")

    def to_column(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return float(value) if self._is_plain_number(field, config) else super().to_column(field, value, config)

    def from_column(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return json_number(value) if self._is_plain_number(field, config) else super().from_column(field, value, config)


def _plain(field: FieldDef, kind: str) -> tuple[FieldType, FieldDef]:
    return field_types.get(kind), replace(field, type=kind, options={})


def _source(field: FieldDef, config: Config | None) -> FieldDef | None:
    """The field of the children that is looked at, or None where the definition is incomplete."""
    if config is None:
        raise TypeError("a rollup is read and written with the configuration: to_column(field, value, config)")
    relation = _relation(field, config)
    child = config.entities.get(relation.child) if relation else None
    return child.fields.get(field.options.get("field") or "") if child else None


def _relation(field: FieldDef, config: Config) -> Relation | None:
    of = field.options.get("of") or ""
    owners = [entity for entity in config.entities.values() if of in entity.children]
    owners.sort(key=lambda entity: not _declares(entity, field))
    return owners[0].children[of] if owners else None


def _declares(entity: Entity, field: FieldDef) -> bool:
    return entity.declared.get(field.key) == field
