"""Values that must be unique from now on and are not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from saas.i18n import LazyLabel, lazy, lazy_plural
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.models import UniqueDef
from saas.runtime.impact._shared.groups import equal_records
from saas.runtime.impact._shared.model import Impact, ImpactKind, impact_kinds
from saas.runtime.impact._shared.survey import Survey


@impact_kinds.register
class Unique(ImpactKind):
    """Equal records stay: the rule holds for what is written from now on, as other rules do. They are listed, to be tidied up."""

    key = "unique"

    async def measure(self, survey: Survey) -> Iterable[Impact]:
        found = []
        for old, new in survey.entities():
            known = {u.key: u for u in old.defn.unique}
            for rule in new.defn.unique:
                if _is_new(survey, new, rule, known.get(rule.key)) and (impact := await _impact(survey, new, rule)):
                    found.append(impact)
        return found


def _is_new(survey: Survey, entity: Entity, rule: UniqueDef, before: UniqueDef | None) -> bool:
    if before is None or (before.fields, before.when, before.loose, before.with_deleted) != (rule.fields, rule.when, rule.loose, rule.with_deleted):
        return all(f in entity.fields for f in rule.fields)
    nodes = [ex.Path((key,)) for key in rule.fields] + ([ex.parse(rule.when)] if rule.when else [])
    return bool(set(rule.fields) & survey.touched(entity.key)) or any(survey.means_another(entity.key, node, node) for node in nodes)


async def _impact(survey: Survey, entity: Entity, rule: UniqueDef) -> Impact | None:
    groups = await equal_records(survey, entity, rule.fields, rule.when)
    if not groups.records and groups.done:
        return None
    names: Any = LazyLabel(entity.fields[rule.fields[0]].label)
    for key in rule.fields[1:]:
        names = lazy("%(first)s and %(second)s", first=names, second=LazyLabel(entity.fields[key].label))
    message = lazy_plural(
        "%(count)s record has the same “%(fields)s” as others (groups: %(groups)s). It stays as it is; from now on no further one can be saved.",
        "%(count)s records have the same “%(fields)s” as others (groups: %(groups)s). They stay as they are; from now on no further one can be saved.",
        groups.records, fields=names, groups=groups.groups,
    )  # fmt: skip
    field = entity.fields[rule.fields[0]]
    path = f"entities[{entity.key}].unique[{rule.key}]"
    samples = await survey.samples_in_time(survey.before.entity(entity.key), groups.ids, field.key)
    return Impact(
        "not_unique", path, entity.key, field.key, message, groups.records, groups.done and groups.exact and not (rule.loose or rule.with_deleted), groups.looked_at, groups.total, tuple(samples)
    )  # fmt: skip
