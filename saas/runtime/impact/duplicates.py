"""Rules against similar records that only warned and refuse from now on."""

from __future__ import annotations

from collections.abc import Iterable

from saas.i18n import LazyLabel, lazy_plural
from saas.metadata.config import Entity
from saas.metadata.models import DuplicateDef
from saas.runtime.impact._shared.groups import equal_records
from saas.runtime.impact._shared.model import Impact, ImpactKind, impact_kinds
from saas.runtime.impact._shared.survey import Survey


@impact_kinds.register
class Duplicates(ImpactKind):
    key = "duplicates"

    async def measure(self, survey: Survey) -> Iterable[Impact]:
        found = []
        for old, new in survey.entities():
            known = {d.key: d for d in old.defn.duplicates}
            for rule in new.defn.duplicates:
                before = known.get(rule.key)
                refused = before is not None and before.action == "block" and before.match == rule.match
                countable = not rule.similar and rule.against is None
                if rule.action == "block" and countable and not refused and all(k in new.fields for k in rule.match) and (impact := await _impact(survey, new, rule)):
                    found.append(impact)
        return found


async def _impact(survey: Survey, entity: Entity, rule: DuplicateDef) -> Impact | None:
    groups = await equal_records(survey, entity, rule.match)
    if not groups.records and groups.done:
        return None
    field = entity.fields[rule.match[0]]
    message = lazy_plural(
        "%(count)s record is similar to another by “%(field)s”. It stays as it is, but this can no longer be confirmed and saved.",
        "%(count)s records are similar to others by “%(field)s”. They stay as they are, but this can no longer be confirmed and saved.",
        groups.records, field=LazyLabel(field.label),
    )  # fmt: skip
    path = f"entities[{entity.key}].duplicates[{rule.key}]"
    samples = await survey.samples_in_time(survey.before.entity(entity.key), groups.ids, field.key)
    return Impact(
        "duplicates_refused", path, entity.key, field.key, message, groups.records, groups.done and groups.exact and not (rule.names or rule.where), groups.looked_at, groups.total, tuple(samples)
    )  # fmt: skip
