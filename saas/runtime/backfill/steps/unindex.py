"""A field no longer needs its index, or is gone: the index goes, too."""

from __future__ import annotations

from collections.abc import Iterable

from saas.db import indexes
from saas.i18n import lazy
from saas.metadata.config import Entity
from saas.runtime.backfill.model import Order, Shift, Step, StepKind, step_kinds
from saas.runtime.backfill.running import Run
from saas.runtime.backfill.steps.index import indexed_columns, is_general


@step_kinds.register
class Unindex(StepKind):
    key = "unindex"
    label = lazy("An index is removed")
    order = Order.INDEX
    without_records = True

    def derive(self, shift: Shift) -> Iterable[Step]:
        for key, old in shift.old.entities.items():
            kept = set(indexed_columns(shift.new.entities[key]).values()) if key in shift.new.entities else set[str]()
            for field, column in indexed_columns(old).items():
                if column not in kept and not is_general(column):
                    yield shift.step(self.key, old, old.declared[field], column=column)

    async def run(self, run: Run) -> None:
        column = run.step.options["column"]
        args = (run.ctx.tenant_id, run.step.number, column)
        async with run.batch() as conn:
            if run.entity is not None and _is_wanted(run.entity, column):
                run.set_aside("back")
                run.memory["finished"] = True
                return
            await conn.execute("UPDATE field_index SET status = 'dropping' WHERE tenant_id = $1 AND entity_id = $2 AND column_name = $3", *args)
        await indexes.drop([indexes.index_name(run.step.number, column)], of=run.ctx.tenant_id)
        async with run.batch() as conn:
            await conn.execute("DELETE FROM field_index WHERE tenant_id = $1 AND entity_id = $2 AND column_name = $3 AND status = 'dropping'", *args)
            run.memory["finished"] = True


def _is_wanted(entity: Entity, column: str) -> bool:
    return column in indexed_columns(entity).values()
