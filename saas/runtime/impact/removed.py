"""Fields and entities that go: their values are hidden, and shown again if they come back before somebody purges them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from saas.i18n import LazyLabel, lazy_plural
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.impact._shared.model import Check, ImpactKind, impact_kinds
from saas.runtime.impact._shared.survey import Survey


@impact_kinds.register
class Removed(ImpactKind):
    key = "removed"

    def checks(self, survey: Survey) -> Iterator[Check]:
        for key, entity in survey.before.entities.items():
            if key not in survey.after.entities and entity.number > 0 and survey.is_gone(f"entities[{key}]"):
                yield _records(entity)
        for old, new in survey.entities():
            for declared in old.declared.values():
                path = f"entities[{old.key}].fields[{declared.key}]"
                if declared.key not in new.declared and not field_types.get(declared.type).computed and survey.is_gone(path):
                    yield _values(old, declared, path)
            if old.defn.owned and not new.defn.owned:
                yield _values(old, old.fields["owner"], f"entities[{old.key}].owned")


def _records(entity: Entity) -> Check:
    def message(count: int) -> Any:
        return lazy_plural(
            "%(count)s record is no longer shown. It comes back with the entity “%(name)s”.", "%(count)s records are no longer shown. They come back with the entity “%(name)s”.",
            count, name=LazyLabel(entity.defn.label),
        )  # fmt: skip

    return Check(code="records_hidden", path=f"entities[{entity.key}]", entity=entity.key, message=message, where=lambda lens: "true")


def _values(entity: Entity, field: FieldDef, path: str) -> Check:
    def message(count: int) -> Any:
        return lazy_plural(
            "%(count)s value of “%(field)s” is no longer shown. It comes back with the field.", "%(count)s values of “%(field)s” are no longer shown. They come back with the field.",
            count, field=LazyLabel(field.label),
        )  # fmt: skip

    return Check(
        code="values_hidden", path=path, entity=entity.key, field=field.key, message=message, where=lambda lens: lens.is_filled(field.key, before=True), show=field.key
    )
