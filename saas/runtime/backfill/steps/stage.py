"""A pipeline that is new to its entity: records without one of its stages enter the first, or the one their field already names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.runtime.backfill.model import Order, Shift, Step, is_stored, step_kinds
from saas.runtime.backfill.running import RecordStep, Run
from saas.runtime.backfill.values import Side, at_place, converted, owns, rows_of
from saas.runtime.records import Rewrite, follow_configuration
from saas.runtime.sql import RecordScope


@step_kinds.register
class Stage(RecordStep):
    key = "stage"
    label = lazy("Records enter the pipeline")
    order = Order.STAGE
    seconds = 0.4
    sweeps = True

    def derive(self, shift: Shift) -> Iterable[Step]:
        for old, new in shift.entities():
            if new.pipeline is None:
                continue
            earlier = old.pipeline if old else None
            if earlier is None or (earlier.key, earlier.field) != (new.pipeline.key, new.pipeline.field):
                yield self._step(shift, old, new)

    def _step(self, shift: Shift, old: Any, new: Any) -> Step:
        declared = new.declared[new.pipeline.field]
        pair = next((p for p in shift.pairs(old, new) if p.new.key == declared.key), None)
        places = pair.places() if pair and pair.old.type != "pipeline" and is_stored(pair.old, shift.old) else {}
        return shift.step(self.key, new, declared, **places)

    async def is_void(self, run: Run, conn: Any) -> str | None:
        entity = run.entity
        return None if entity is not None and entity.pipeline is not None and entity.pipeline.field == run.step.field else "gone"

    def condition(self, run: Run, scope: RecordScope) -> str:
        stages = [stage.key for stage in run.entity.pipeline.stages]
        return f"t.state IS NULL OR t.state <> ALL({scope.param(stages, 'text[]')})"

    async def work(self, run: Run, conn: Any, ids: Sequence[UUID]) -> None:
        entity, key = run.entity, run.step.field or ""
        named = await self._named(run, conn, ids)
        rows = await rows_of(conn, run.ctx, entity, ids, [key])
        rewrites = [Rewrite(row, {key: named.get(i) or entity.pipeline.initial}) for i, row in rows.items()]
        run.count("changed", len(rewrites))
        run.collided(await follow_configuration(conn, run.ctx, entity, rewrites))

    async def _named(self, run: Run, conn: Any, ids: Sequence[UUID]) -> dict[UUID, Any]:
        """The stage that the field's earlier values mean, where it was another type before."""
        places = run.step.options
        if "was" not in places or not await owns(run, conn, places["was"], places["was_shape"]):
            return {}
        names = (run.step.entity, run.step.field or "")
        if "source" not in run.cache:
            run.cache["source"] = at_place(run.campaign.before, *names, places["was"])
        source, target = Side.of(run.ctx, run.cache["source"], *names), Side.of(run.ctx, run.ctx.config, *names)
        rows = await source.rows(conn, ids)
        texts = await source.texts(conn, rows)
        return {i: converted(target, source, row.get(names[1]), texts[i]) for i, row in rows.items()}
