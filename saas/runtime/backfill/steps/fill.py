"""Empty values of a field are filled, with a value or with what an expression gives for each record: as the admin ordered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.metadata.kinds import field_types
from saas.runtime.backfill.model import Order, Shift, Step, step_kinds
from saas.runtime.backfill.ordered import field_of, ordered, touched_since
from saas.runtime.backfill.running import RecordStep, Run
from saas.runtime.backfill.values import empty_sql, evaluate, rows_of
from saas.runtime.records import Rewrite, follow_configuration
from saas.runtime.sql import RecordScope
from saas.runtime.validate import EMPTY

# Requests that began before the change was known may still make records for so long; who leaves the field empty later means it.
IN_FLIGHT = timedelta(seconds=10)


@step_kinds.register
class Fill(RecordStep):
    key = "fill"
    label = lazy("Empty values are filled")
    order = Order.ORDERED
    seconds = 0.35
    sweeps = True

    def derive(self, shift: Shift) -> Iterable[Step]:
        yield from ordered(shift, "fill", lambda data: {name: data[name] for name in ("value", "expr") if name in data})

    async def is_void(self, run: Run, conn: Any) -> str | None:
        return None if field_of(run) is not None else "gone"

    def condition(self, run: Run, scope: RecordScope) -> str:
        made = scope.param(run.campaign.since + IN_FLIGHT, "timestamptz")
        return f"{empty_sql(scope, run.step.field or '')} AND t.created_at < {made}"

    async def work(self, run: Run, conn: Any, ids: Sequence[UUID]) -> None:
        entity, key = run.entity, run.step.field or ""
        rows = {i: row for i, row in (await rows_of(conn, run.ctx, entity, ids, [key])).items() if row.get(key) in EMPTY}
        touched = await touched_since(run, conn, key, rows)
        values, failed = await self._values(run, conn, [i for i in rows if i not in touched])  # who emptied it meanwhile meant it
        run.name("failed", failed)
        rewrites = [Rewrite(rows[i], {key: value}) for i, value in values.items() if value not in EMPTY]
        run.count("changed", len(rewrites))
        run.collided(await follow_configuration(conn, run.ctx, entity, rewrites))

    async def _values(self, run: Run, conn: Any, ids: Sequence[UUID]) -> tuple[dict[UUID, Any], list[UUID]]:
        declared, options = field_of(run), run.step.options
        kind = field_types.get(declared.type)
        if "expr" not in options:
            value = kind.normalise(declared, options.get("value"), run.ctx.config)
            return dict.fromkeys(ids, value), []
        computed, failed = await evaluate(conn, run.ctx, run.entity, ids, [options["expr"]])
        found = {i: None if value is None else kind.from_expr(declared, value, run.ctx.config) for i, [value] in computed.items()}
        broken = [i for i, value in found.items() if value is not None and kind.taken(declared, value, run.ctx.config) is None]
        return {i: value for i, value in found.items() if i not in set(broken)}, [*failed, *broken]
