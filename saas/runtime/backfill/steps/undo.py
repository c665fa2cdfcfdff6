"""A choice that goes again takes along what the configuration itself had put in its place: records get back the choice they had,
where nobody chose another since and it is one of the choices again. So a revision that is taken back takes its replacements back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.runtime.backfill.model import Order, Shift, Step, step_kinds
from saas.runtime.backfill.ordered import choices_of, field_of, holds_sql
from saas.runtime.backfill.running import RecordStep, Run
from saas.runtime.backfill.values import rows_of, same
from saas.runtime.events import last_touches
from saas.runtime.records import Rewrite, follow_configuration
from saas.runtime.sql import RecordScope


@step_kinds.register
class Undo(RecordStep):
    key = "undo"
    label = lazy("Choices that were replaced come back")
    order = Order.UNDO
    seconds = 0.05

    def derive(self, shift: Shift) -> Iterable[Step]:
        for old, new in shift.entities():
            for pair in shift.pairs(old, new):
                if pair.is_rewritten:
                    continue
                before, after = choices_of(shift.old, old, pair.old), choices_of(shift.new, new, pair.new)
                if not before or not after:
                    continue
                orders = [d for d in shift.data if (d.get("do"), d.get("entity"), d.get("field")) == ("replace", new.key, pair.new.key)]
                ordered = {d.get("from") for d in orders if not d.get("rest")}
                lost, back = [key for key in before if key not in after and key not in ordered], set(after) - set(before)
                if lost and back:
                    yield shift.step(self.key, new, pair.new, lost=lost)

    async def is_void(self, run: Run, conn: Any) -> str | None:
        return None if field_of(run) is not None else "gone"

    def condition(self, run: Run, scope: RecordScope) -> str:
        return holds_sql(scope, run.step.field or "", run.step.options["lost"])

    async def work(self, run: Run, conn: Any, ids: Sequence[UUID]) -> None:
        entity, key = run.entity, run.step.field or ""
        known = set(choices_of(run.ctx.config, entity, field_of(run)) or ())
        rows, last = await rows_of(conn, run.ctx, entity, ids, [key]), await last_touches(conn, run.ctx, entity, key, ids)
        rewrites = []
        for i, row in rows.items():
            touch = last.get(i)
            if touch is None or not touch.by_configuration or not same(touch.value, row.get(key)):
                continue
            held = touch.before if isinstance(touch.before, list) else [touch.before]
            if touch.before and set(map(str, held)) <= known:
                rewrites.append(Rewrite(row, {key: touch.before}))
        run.count("changed", len(rewrites))
        run.collided(await follow_configuration(conn, run.ctx, entity, rewrites))
