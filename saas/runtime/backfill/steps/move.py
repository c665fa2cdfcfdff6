"""Values that lie in another place from now on, written as before: a column has become free for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.metadata import slots
from saas.runtime.backfill.model import Order, Shift, Step, is_stored, step_kinds
from saas.runtime.backfill.running import Run
from saas.runtime.backfill.steps.convert import Convert
from saas.runtime.backfill.values import Side
from saas.runtime.records import Rewrite, write_quietly
from saas.runtime.validate import same


@step_kinds.register
class Move(Convert):
    key = "move"
    label = lazy("Values move to a column of their own")
    order = Order.MOVE
    seconds = 0.3

    def derive(self, shift: Shift) -> Iterable[Step]:
        for old, new in shift.entities():
            for pair in shift.pairs(old, new):
                if pair.is_moved and is_stored(pair.new, shift.new):
                    yield shift.step(self.key, new, pair.new, **pair.places())

    async def work(self, run: Run, conn: Any, ids: Sequence[UUID]) -> None:
        await super().work(run, conn, ids)
        sql = f"UPDATE record SET doc = doc - $2::text WHERE entity_id = {run.step.number} AND id = ANY($1::uuid[])"
        await conn.execute(sql, list(ids), run.step.options["was"].partition(":")[2])

    async def _write(self, run: Run, conn: Any, target: Side, rewrites: Sequence[Rewrite]) -> None:
        """The values are what they were, so the history has nothing to tell; open forms, which may have shown none, notice."""
        changed = [r for r in rewrites if not same(r.row.get(target.field.key), r.values[target.field.key])]
        run.count("changed", len(changed))
        for rewrite in changed:
            rewrite.row.version += 1
        await write_quietly(conn, target.ctx, target.entity, changed)

    async def finish(self, run: Run, conn: Any) -> None:
        """Nothing is left there: the place is free."""
        was = run.step.options["was"]
        await conn.execute(
            "DELETE FROM field_column WHERE tenant_id = $1 AND entity_id = $2 AND field_key = $3 AND retired_at IS NOT NULL",
            run.ctx.tenant_id, run.step.number, f"{run.step.field}{slots.RETIRED}{was}",
        )  # fmt: skip
