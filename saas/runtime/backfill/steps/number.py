"""Automatic numbers for records that were there before their field: in the order in which they were created."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from saas.i18n import lazy
from saas.metadata import slots
from saas.runtime import numbers
from saas.runtime.backfill.model import Order, Shift, Step, StepKind, is_stored, location, step_kinds
from saas.runtime.backfill.ordered import field_of
from saas.runtime.backfill.running import BATCH, Run
from saas.runtime.backfill.values import empty_sql, rows_of
from saas.runtime.context import Context
from saas.runtime.records import Rewrite, follow_configuration, lock_many
from saas.runtime.sql import RecordScope, Statement
from saas.runtime.validate import EMPTY

READ = 5_000
_PERIODS = {"year": "YYYY", "month": "YYYY-MM", "day": "YYYY-MM-DD"}


@step_kinds.register
class Number(StepKind):
    key = "number"
    label = lazy("Records are numbered")
    order = Order.NUMBER
    seconds = 0.3
    sweeps = True

    def derive(self, shift: Shift) -> Iterable[Step]:
        for old, new in shift.entities():
            for key, declared in new.declared.items():
                earlier = old.declared.get(key) if old else None
                if declared.type == "auto" and not declared.options.get("later") and (earlier is None or earlier.type != "auto"):
                    held = {"held": location(shift.old, new.key, key)} if earlier and is_stored(earlier, shift.old) else {}
                    yield shift.step(self.key, new, declared, type="auto", pattern=declared.options["pattern"], reset=declared.options.get("reset", "never"), **held)

    async def begin(self, conn: Any, ctx: Context, step: Step) -> None:
        """Whoever adds a record from now on gets none of the numbers that were typed before."""
        place, options = step.options.get("held", ""), step.options
        if place in ("", "state") or place.startswith(slots.IN_LINKS):
            return
        text = "doc ->> $3" if ":" in place else f"coalesce({place}::text, $3)"
        period = "''" if options["reset"] == "never" else f"to_char(created_at AT TIME ZONE $2, '{_PERIODS[options['reset']]}')"
        rows = await conn.fetch(
            f"SELECT period, max(seq::bigint) FROM (SELECT {period} AS period, substring({text} FROM $1) AS seq FROM record WHERE entity_id = {step.number}) r "
            "WHERE seq IS NOT NULL AND $2 <> '' GROUP BY period",
            numbers.sequence_sql(options["pattern"]), ctx.tenant.time_zone, place.partition(":")[2],
        )  # fmt: skip
        await numbers.reserve_at(conn, ctx, step.number, step.field or "", dict(rows))

    async def run(self, run: Run) -> None:
        while not run.memory.get("finished"):
            async with run.batch() as conn:
                if field_of(run) is None:
                    run.set_aside("gone")
                    run.memory["finished"] = True
                elif not run.memory.get("reserved"):
                    await self._reserve(run, conn)
                else:
                    await self._number(run, conn)

    async def sweep(self, run: Run) -> None:
        """Records of requests that did not know of the number: after all others."""
        if run.memory.get("void"):
            return
        run.memory.pop("after", None)
        run.memory["finished"] = False
        await self.run(run)

    async def _reserve(self, run: Run, conn: Any) -> None:
        """Values that look like such a number count as given, so that none is given twice."""
        declared = field_of(run)
        scope = RecordScope(Statement(run.ctx), run.entity, "t")
        value = scope.value_sql(declared)
        rows = await conn.fetch(
            *scope.statement.finish(
                f"SELECT t.id, {value}, t.created_at FROM record t WHERE t.entity_id = {run.step.number} AND {value} IS NOT NULL "
                f"AND t.id > {scope.param(run.memory.get('read', '00000000-0000-0000-0000-000000000000'), 'uuid')} ORDER BY t.id LIMIT {READ}"
            )
        )
        used: dict[str, int] = run.memory.setdefault("used", {})
        for _, text, created in rows:
            sequence = numbers.sequence_in(declared.options["pattern"], text)
            if sequence is not None:
                period = numbers.period_of(declared, created.astimezone(run.ctx.zone).date())
                used[period] = max(used.get(period, 0), sequence)
        if rows:
            run.memory["read"] = str(rows[-1][0])
        if len(rows) < READ:
            await numbers.reserve(conn, run.ctx, run.entity, declared, used)
            run.memory["reserved"] = True

    async def _number(self, run: Run, conn: Any) -> None:
        entity, declared = run.entity, field_of(run)
        scope = RecordScope(Statement(run.ctx), entity, "t")
        after = json.loads(run.memory["after"]) if run.memory.get("after") else None
        where = f"AND (t.created_at, t.id) > ({scope.param(datetime.fromisoformat(after[0]), 'timestamptz')}, {scope.param(after[1], 'uuid')})" if after else ""
        rows = await conn.fetch(
            *scope.statement.finish(
                f"SELECT t.id, t.created_at FROM record t WHERE t.entity_id = {run.step.number} AND {empty_sql(scope, declared.key)} {where} "
                f"ORDER BY t.created_at, t.id LIMIT {BATCH}"
            )
        )
        if not rows:
            run.memory["finished"] = True
            return
        ids = [row[0] for row in rows]
        await lock_many(conn, run.step.number, ids)
        found = await rows_of(conn, run.ctx, entity, ids, [declared.key])
        empty = [found[i] for i in ids if found[i].get(declared.key) in EMPTY]
        given = await numbers.give(conn, run.ctx, entity, declared, [row.created_at.astimezone(run.ctx.zone).date() for row in empty])
        run.count("changed", len(empty))
        run.collided(await follow_configuration(conn, run.ctx, entity, [Rewrite(row, {declared.key: text}) for row, text in zip(empty, given, strict=True)]))
        run.memory["after"] = json.dumps([rows[-1][1].isoformat(), str(ids[-1])])
        run.count("seen", len(ids))

