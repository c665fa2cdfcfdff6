"""What the configuration itself had put in the place of a choice gives way to that choice, when it is one again: by going back to a
revision that had it, or because what took its place goes. Records get back what they held, where nobody chose another since.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.runtime.backfill.model import Order, Shift, Step, step_kinds
from saas.runtime.backfill.ordered import choices_of, field_of
from saas.runtime.backfill.running import RecordStep, Run
from saas.runtime.backfill.values import rows_of
from saas.runtime.context import Context
from saas.runtime.events import last_touches
from saas.runtime.records import Rewrite, follow_configuration
from saas.runtime.validate import same


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
                lost, back = [key for key in before if key not in after and key not in ordered], sorted(set(after) - set(before))
                if back:
                    yield shift.step(self.key, new, pair.new, lost=lost, back=back)

    async def is_needed(self, conn: Any, ctx: Context, step: Step) -> bool:
        """Whether one of the choices that are back was ever replaced."""
        return await conn.fetchval(
            "SELECT EXISTS (SELECT 1 FROM job j CROSS JOIN jsonb_array_elements(j.payload -> 'steps') s WHERE j.tenant_id = $1 AND j.kind = 'backfill' "
            "AND s ->> 'kind' = 'replace' AND s -> 'number' = to_jsonb($2::int) AND s ->> 'field' = $3 AND s -> 'options' ->> 'from' = ANY($4::text[]))",
            ctx.tenant_id, step.number, step.field, list(step.options["back"]),
        )  # fmt: skip

    async def is_void(self, run: Run, conn: Any) -> str | None:
        return None if field_of(run) is not None else "gone"

    async def work(self, run: Run, conn: Any, ids: Sequence[UUID]) -> None:
        entity, key, options = run.entity, run.step.field or "", run.step.options
        known, lost = set(choices_of(run.ctx.config, entity, field_of(run)) or ()), set(options["lost"])
        rows, last = await rows_of(conn, run.ctx, entity, ids, [key]), await last_touches(conn, run.ctx, entity, key, ids)
        undone = await self._undone(run, conn)
        rewrites = []
        for i, row in rows.items():
            touch = last.get(i)
            if touch is None or not touch.by_configuration or not same(touch.value, row.get(key)):
                continue
            held = _all(touch.before)
            if held and held <= known and (touch.operation_id in undone or _all(row.get(key)) & lost):
                rewrites.append(Rewrite(row, {key: touch.before}))
        run.count("changed", len(rewrites))
        run.collided(await follow_configuration(conn, run.ctx, entity, rewrites))

    async def _undone(self, run: Run, conn: Any) -> set[UUID]:
        """The work of the publications that this one takes back: all since the revision it is equal to, else the one before it."""
        if "undone" not in run.cache:
            planned = run.campaign.planned
            equal = await conn.fetchval(
                "SELECT max(number) FROM config_revision WHERE tenant_id = $1 AND hash = $2 AND number < $3", run.ctx.tenant_id, planned.hash, planned.revision
            )
            rows = await conn.fetch(
                "SELECT id FROM job WHERE tenant_id = $1 AND kind = 'backfill' AND (payload -> 'revision')::int > $2 AND (payload -> 'revision')::int < $3",
                run.ctx.tenant_id, equal or planned.revision - 2, planned.revision,
            )  # fmt: skip
            run.cache["undone"] = {row["id"] for row in rows}
        return run.cache["undone"]


def _all(value: Any) -> set[str]:
    return set(map(str, value if isinstance(value, list) else [value] if value else []))
