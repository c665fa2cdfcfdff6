"""Other fields are searched, or their words changed: the search index is made anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.metadata.config import Config, Entity
from saas.runtime import records
from saas.runtime.backfill.model import Order, Shift, Step, step_kinds
from saas.runtime.backfill.ordered import choices_of
from saas.runtime.backfill.running import RecordStep, Run
from saas.runtime.search import searched


@step_kinds.register
class Reindex(RecordStep):
    key = "reindex"
    label = lazy("The search index is made anew")
    order = Order.SEARCH
    seconds = 0.15
    sweeps = True

    def derive(self, shift: Shift) -> Iterable[Step]:
        yield from (shift.step(self.key, new) for old, new in shift.entities() if is_searched_anew(shift, old, new))

    async def work(self, run: Run, conn: Any, ids: Sequence[UUID]) -> None:
        await records.reindex(conn, run.ctx, run.entity, ids)


def is_searched_anew(shift: Shift, old: Entity | None, new: Entity) -> bool:
    if old is None:
        return True
    fields = searched(new)
    if searched(old) != fields or shift.rewritten(old, new) & set(fields):
        return True
    return any(_labels(shift.old, old, key) != _labels(shift.new, new, key) for key in fields)


def _labels(config: Config, entity: Entity, key: str) -> Any:
    """The words by which choices are found."""
    declared = entity.declared.get(key)
    if declared is None or declared.type == "pipeline" or not choices_of(config, entity, declared):
        return None
    return {o.key: dict(o.label) for o in config.options(entity.key, key)}
