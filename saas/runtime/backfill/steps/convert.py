"""Values of a field whose type changed: each is written anew in the way of the new type.

A place that the field had before comes back with its old values. Such a value stays where nothing changed since, which is so when
it still converts to what stands there now; so publishing and taking it back restores everything, also what the other type
could not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.metadata import slots
from saas.runtime.backfill.model import Order, Shift, Step, is_stored, location, step_kinds
from saas.runtime.backfill.running import RecordStep, Run
from saas.runtime.backfill.values import Side, at_place, converted, owns
from saas.runtime.events import Touch, last_touches
from saas.runtime.records import Rewrite, follow_configuration, write_quietly
from saas.runtime.rows import Row
from saas.runtime.validate import EMPTY, same


@step_kinds.register
class Convert(RecordStep):
    key = "convert"
    label = lazy("Values are converted to the new type")
    order = Order.CONVERT
    seconds = 0.3
    sweeps = True

    def derive(self, shift: Shift) -> Iterable[Step]:
        for old, new in shift.entities():
            for pair in shift.pairs(old, new):
                if pair.is_rewritten and not pair.is_moved and pair.new.type != "pipeline" and is_stored(pair.new, shift.new):
                    yield shift.step(self.key, new, pair.new, **pair.places())

    async def is_void(self, run: Run, conn: Any) -> str | None:
        """Taken back: the values are where they were. A field that is gone or changed again meanwhile gets its values all the
        same, for whoever comes back to it or goes on from here."""
        if _lives(run, "was"):
            return "reverted"
        places = run.step.options
        return None if await owns(run, conn, places["was"], places["was_shape"]) and await owns(run, conn, places["now"], places["now_shape"]) else "purged"

    async def choose(self, run: Run, conn: Any, ids: Sequence[UUID]) -> list[UUID]:
        return list(ids)

    async def work(self, run: Run, conn: Any, ids: Sequence[UUID]) -> None:
        source, target, planned = self._sides(run)
        key = target.field.key
        sources, targets = await source.rows(conn, ids), await target.rows(conn, ids)
        source_texts, target_texts = await source.texts(conn, sources), await planned.texts(conn, targets)
        recent = [i for i, row in targets.items() if row.updated_at >= run.campaign.since]
        touched = await last_touches(conn, run.ctx, target.entity, key, recent, run.campaign.since) if recent else {}
        rewrites, doubtful, lost = [], [], []
        begun = await self._begun(run, conn, source, sources)
        for record_id, row in targets.items():
            before, now = sources[record_id].get(key), row.get(key)
            told = touched.get(record_id)
            if told is not None and not told.by_configuration and same(told.value, now):
                continue  # somebody gave it this value under the new configuration
            if record_id in begun or same(before, converted(source, planned, now, target_texts[record_id])):
                continue  # nothing changed since it stood here, or it is what the other type could not hold; a later revision may name it otherwise
            if before in EMPTY:
                doubtful.append(record_id)
                continue
            value = converted(target, source, before, source_texts[record_id])
            if value is None and before not in EMPTY:
                lost.append(record_id)
            rewrites.append(Rewrite(row, {key: value}, told={key: before}))
        rewrites += await self._cleared(run, conn, target, targets, doubtful)
        if "again" not in run.cache:  # those are told of already
            run.name("lost", lost)
        await self._write(run, conn, target, rewrites)

    async def _begun(self, run: Run, conn: Any, source: Side, rows: dict[UUID, Row]) -> set[UUID]:
        """Records that stand where the pipeline put them, because their value was none of its stages."""
        pipeline = source.entity.pipeline
        if pipeline is None or pipeline.field != source.field.key:
            return set()
        ids = [i for i, row in rows.items() if row.state == pipeline.initial]
        last = await last_touches(conn, run.ctx, source.entity, source.field.key, ids)
        return {i for i, touch in last.items() if touch.by_configuration and touch.value == pipeline.initial}

    async def _cleared(self, run: Run, conn: Any, target: Side, rows: dict[UUID, Row], ids: Sequence[UUID]) -> list[Rewrite]:
        """An old value of the place that came back, where there was none lately: somebody emptied it, or it was never converted."""
        if not ids:
            return []
        key = target.field.key
        last: dict[UUID, Touch] = await last_touches(conn, run.ctx, target.entity, key, ids)
        return [Rewrite(rows[i], {key: None}) for i in ids if i in last and last[i].value in EMPTY and not last[i].by_configuration]

    async def _write(self, run: Run, conn: Any, target: Side, rewrites: Sequence[Rewrite]) -> None:
        changed = [r for r in rewrites if not same(r.row.get(target.field.key), r.values[target.field.key])]
        run.count("changed", len(changed))
        if _lives(run, "now"):
            run.collided(await follow_configuration(conn, run.ctx, target.entity, changed))
        else:
            await write_quietly(conn, target.ctx, target.entity, changed)

    def _sides(self, run: Run) -> tuple[Side, Side, Side]:
        """The field before and after (by the live configuration where it is still the one of this step), and as this step planned it."""
        places, campaign, names = run.step.options, run.campaign, (run.step.entity, run.step.field or "")
        if "source" not in run.cache:
            run.cache["source"] = at_place(campaign.before, *names, places["was"])
            run.cache["target"] = at_place(campaign.planned, *names, places["now"])
        config = run.ctx.config if _lives(run, "now") else run.cache["target"]
        return Side.of(run.ctx, run.cache["source"], *names), Side.of(run.ctx, config, *names), Side.of(run.ctx, run.cache["target"], *names)


def _lives(run: Run, side: str) -> bool:
    """Whether the field is now what it was before the change ("was"), or what the change made of it ("now")."""
    entity, key, places = run.entity, run.step.field or "", run.step.options
    if entity is None or key not in entity.declared:
        return False
    return location(run.ctx.config, entity.key, key) == places[side] and slots.shape_of(entity.declared[key]) == places[f"{side}_shape"]
