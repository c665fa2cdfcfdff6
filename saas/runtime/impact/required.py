"""Fields that become required, and records that have no value in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from saas.i18n import LazyLabel, lazy_plural
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.impact._shared.conditions import question
from saas.runtime.impact._shared.model import Check, ImpactKind, impact_kinds
from saas.runtime.impact._shared.survey import Lens, Survey
from saas.runtime.permissions import all_of
from saas.runtime.validate import EMPTY


@impact_kinds.register
class Required(ImpactKind):
    key = "required"

    def checks(self, survey: Survey) -> Iterator[Check]:
        for old, new in survey.entities():
            for declared in new.declared.values():
                if field_types.get(declared.type).computed:
                    continue
                before = old.declared.get(declared.key)
                path = f"entities[{new.key}].fields[{declared.key}]"
                if declared.required and not (before and before.required):
                    yield from _checks(survey, new, declared, f"{path}.required" if before else path, None)
                if declared.required_if and (before is None or before.required_if != declared.required_if):
                    yield from _checks(survey, new, declared, f"{path}.required_if", declared.required_if)


def _checks(survey: Survey, entity: Entity, field: FieldDef, path: str, condition: str | None) -> Iterator[Check]:
    """Those left without a value, and those that a data step gives one."""
    name, fills = LazyLabel(field.label), survey.steps("fill", entity.key, field.key)
    asked = question(survey, entity.key, (condition, field.visible_if), (field.key,))

    def concerned(lens: Lens) -> str:
        return all_of(*(lens.holds(text) for text in (condition, field.visible_if) if text))

    def empty_now(lens: Lens) -> str:
        return all_of(lens.is_empty(field.key), concerned(lens))

    async def stays_empty(seen: Any) -> bool:
        return seen.get(field.key) in EMPTY and await seen.holds(condition) and await seen.holds(field.visible_if)

    async def is_filled(seen: Any) -> bool:
        return field.key in seen.filled

    def missing(count: int) -> Any:
        return lazy_plural(
            "%(count)s record has no value in “%(field)s”, which becomes required. It stays as it is until somebody edits it.",
            "%(count)s records have no value in “%(field)s”, which becomes required. They stay as they are until somebody edits them.",
            count, field=name,
        )  # fmt: skip

    def filled(count: int) -> Any:
        return lazy_plural(
            "%(count)s record gets a value in “%(field)s”.", "%(count)s records get a value in “%(field)s”.", count, field=name
        )

    common = {"path": path, "entity": entity.key, "field": field.key, "exact": asked.exact}
    if not asked.judged:
        yield Check(code="required_missing", message=missing, where=empty_now, remedies=tuple(_remedies(entity, field)), **common)
        return
    yield Check(code="required_missing", message=missing, judge=stays_empty, reads=asked.reads, remedies=tuple(_remedies(entity, field)), **common)
    if fills:
        yield Check(code="required_filled", message=filled, judge=is_filled, reads=asked.reads, severity="info", **common)


def _remedies(entity: Entity, field: FieldDef) -> Iterator[Mapping[str, Any]]:
    step = {"do": "fill", "entity": entity.key, "field": field.key}
    if isinstance(field.default, Mapping) and set(field.default) == {"expr"}:
        yield {**step, "expr": field.default["expr"]}
    elif field.default is not None:
        yield {**step, "value": field.default}
    yield {**step, "value": None}
    yield {**step, "expr": None}
