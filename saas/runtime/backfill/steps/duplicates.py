"""Rules that look for similar records changed: the marks by which they find them are made anew, together with the search index."""

from __future__ import annotations

from collections.abc import Iterable

from saas.i18n import lazy
from saas.metadata.config import Entity
from saas.runtime import twins
from saas.runtime.backfill.model import Shift, Step, step_kinds
from saas.runtime.backfill.steps.reindex import Reindex, is_searched_anew


@step_kinds.register
class Duplicates(Reindex):
    key = "duplicates"
    label = lazy("Similar records are looked for anew")

    def derive(self, shift: Shift) -> Iterable[Step]:
        for old, new in shift.entities():
            if old is not None and not is_searched_anew(shift, old, new) and _changed(shift, old, new):
                yield shift.step(self.key, new)


def _changed(shift: Shift, old: Entity, new: Entity) -> bool:
    if twins.signature(shift.old, old) != twins.signature(shift.new, new):
        return True
    return bool(shift.rewritten(old, new) & twins.fields_looked_at(shift.new, new))
