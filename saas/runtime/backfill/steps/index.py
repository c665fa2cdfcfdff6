"""A field gets an index of its own: lists sorted or filtered by it stay fast however many records there are."""

from __future__ import annotations

from collections.abc import Iterable

from saas.db import indexes
from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.config import Entity
from saas.metadata.slots import SLOTS
from saas.runtime.backfill.model import Order, Shift, Step, StepKind, location, step_kinds
from saas.runtime.backfill.running import Run

NO_COLUMN = N_("The field has no column of its own, because this entity has more fields than columns; there can be no index for it.")
GENERAL = N_("Its column has an index already.")


@step_kinds.register
class Index(StepKind):
    key = "index"
    label = lazy("An index makes sorting and filtering fast")
    order = Order.INDEX
    seconds = 0.009
    without_records = True

    def derive(self, shift: Shift) -> Iterable[Step]:
        for old, new in shift.entities():
            for key, declared in new.declared.items():
                if not declared.indexed:
                    continue
                earlier = old.declared.get(key) if old else None
                if earlier is None or not earlier.indexed or location(shift.old, new.key, key) != location(shift.new, new.key, key):
                    yield shift.step(self.key, new, declared)

    async def run(self, run: Run) -> None:
        column = await self._ordered(run)
        if column is None:
            return
        await indexes.build(run.step.number, column, of=run.ctx.tenant_id)
        async with run.batch() as conn:
            await conn.execute(
                "UPDATE field_index SET status = 'ready' WHERE tenant_id = $1 AND entity_id = $2 AND column_name = $3 AND status = 'building'",
                run.ctx.tenant_id, run.step.number, column,
            )  # fmt: skip
            run.memory["finished"] = True

    async def _ordered(self, run: Run) -> str | None:
        """The column to make an index for, noted down before anything is made."""
        if run.memory.get("finished"):
            return None
        async with run.batch() as conn:
            column = indexed_columns(run.entity).get(run.step.field or "") if run.entity else None
            if column is not None and not is_general(column):
                await conn.execute(
                    "INSERT INTO field_index (tenant_id, entity_id, column_name, index_name) VALUES ($1, $2, $3, $4) "
                    "ON CONFLICT (tenant_id, entity_id, column_name) DO UPDATE SET status = 'building'",
                    run.ctx.tenant_id, run.step.number, column, indexes.index_name(run.step.number, column),
                )  # fmt: skip
                return column
            declared = run.entity.declared.get(run.step.field or "") if run.entity else None
            if declared is None or not declared.indexed:
                run.set_aside("gone")
            elif column is None and location(run.ctx.config, run.step.entity, declared.key) != "state":
                run.memory["note"] = NO_COLUMN
            else:
                run.memory["note"] = GENERAL
            run.memory["finished"] = True
        return None


def indexed_columns(entity: Entity) -> dict[str, str]:
    """Columns of the fields that shall have an index."""
    return {key: entity.columns[key] for key, declared in entity.declared.items() if declared.indexed and key in entity.columns}


def is_general(column: str) -> bool:
    """Whether every entity's values in this column are in an index anyway."""
    return any(letter == column[0] and int(column[1:]) <= low for letter, _, low in SLOTS.values())
