"""A rule that no longer holds: what records held under it is forgotten, so that it cannot block anything should it come back."""

from __future__ import annotations

from collections.abc import Iterable

from saas.i18n import lazy
from saas.runtime.backfill.model import Order, Shift, Step, StepKind, step_kinds
from saas.runtime.backfill.running import Run

MANY = 5_000


@step_kinds.register
class Forget(StepKind):
    key = "forget"
    label = lazy("Values need no longer be unique")
    order = Order.FORGET
    seconds = 0.012

    def derive(self, shift: Shift) -> Iterable[Step]:
        for old, new in shift.entities():
            kept = {rule.key for rule in new.defn.unique}
            for rule in old.defn.unique if old else ():
                if rule.key not in kept:
                    yield shift.step(self.key, new, rule=rule.key)

    async def run(self, run: Run) -> None:
        while not run.memory.get("finished"):
            async with run.batch() as conn:
                if run.entity is not None and any(rule.key == run.step.options["rule"] for rule in run.entity.defn.unique):
                    run.set_aside("back")
                    run.memory["finished"] = True
                    continue
                args = (run.ctx.tenant_id, run.step.number, run.step.options["rule"])
                where = "WHERE tenant_id = $1 AND entity_id = $2 AND rule_key = $3"
                rows = await conn.fetch(f"SELECT value FROM unique_value {where} ORDER BY value LIMIT {MANY}", *args)
                await conn.execute(f"DELETE FROM unique_value {where} AND value = ANY($4::text[])", *args, [row[0] for row in rows])
                run.memory["finished"] = len(rows) < MANY
