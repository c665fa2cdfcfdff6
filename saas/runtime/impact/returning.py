"""Fields and entities that come back with what was hidden when they went."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from saas.i18n import LazyLabel, lazy_plural
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.impact._shared.model import Check, Impact, ImpactKind, impact_kinds
from saas.runtime.impact._shared.survey import Survey


@impact_kinds.register
class Returning(ImpactKind):
    key = "returning"
    first = True

    def checks(self, survey: Survey) -> Iterator[Check]:
        for old, new in survey.entities():
            for declared in new.declared.values():
                if declared.key not in old.declared and not field_types.get(declared.type).computed and declared.type != "pipeline":
                    yield _values(new, declared)

    async def measure(self, survey: Survey) -> Iterable[Impact]:
        found = []
        for key, entity in survey.after.entities.items():
            if key not in survey.before.entities and entity.number > 0 and (count := await survey.total(entity)):
                found.append(_records(entity, count))
        return found


def returned(count: int, field: FieldDef) -> Any:
    return lazy_plural(
        "%(count)s earlier value of “%(field)s” is shown again.", "%(count)s earlier values of “%(field)s” are shown again.", count, field=LazyLabel(field.label)
    )


def _values(entity: Entity, field: FieldDef) -> Check:
    return Check(
        code="values_return", path=f"entities[{entity.key}].fields[{field.key}]", entity=entity.key, field=field.key, message=lambda count: returned(count, field),
        where=lambda lens: lens.is_filled(field.key), severity="info",
    )  # fmt: skip


def _records(entity: Entity, count: int) -> Impact:
    text: Any = lazy_plural(
        "%(count)s earlier record of “%(name)s” is shown again.", "%(count)s earlier records of “%(name)s” are shown again.", count, name=LazyLabel(entity.defn.plural)
    )
    return Impact("records_return", f"entities[{entity.key}]", entity.key, None, text, count, looked_at=count, total=count, severity="info")
