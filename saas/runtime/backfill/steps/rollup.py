"""A rollup that is new or computes something else: computed for all records, and for what rolls it up in turn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.runtime import rollups
from saas.runtime.backfill.meaning import meaning
from saas.runtime.backfill.model import Order, Shift, Step, step_kinds
from saas.runtime.backfill.ordered import field_of
from saas.runtime.backfill.running import RecordStep, Run


@step_kinds.register
class Rollup(RecordStep):
    key = "rollup"
    label = lazy("Values are computed from the records below")
    order = Order.ROLLUP
    seconds = 0.25
    sweeps = True

    def derive(self, shift: Shift) -> Iterable[Step]:
        for old, new in shift.entities():
            for key, declared in new.declared.items():
                if declared.type != "rollup":
                    continue
                earlier = old.declared.get(key) if old else None
                if earlier is None or earlier.type != "rollup" or self._means_another(shift, new.key, earlier, declared):
                    yield shift.step(self.key, new, declared, type="rollup")

    def _means_another(self, shift: Shift, entity: str, earlier: Any, declared: Any) -> bool:
        pair = next(p for p in shift.pairs(shift.old.entities[entity], shift.new.entities[entity]) if p.new is declared)
        if pair.was != pair.now or earlier.options != declared.options:
            return True
        return meaning(shift.old, entity, rollups.rollup_node(earlier)) != meaning(shift.new, entity, rollups.rollup_node(declared))

    async def is_void(self, run: Run, conn: Any) -> str | None:
        return None if field_of(run) is not None else "gone"

    async def work(self, run: Run, conn: Any, ids: Sequence[UUID]) -> None:
        run.count("changed", await rollups.refresh_many(conn, run.ctx, run.entity, ids, [field_of(run)]))
