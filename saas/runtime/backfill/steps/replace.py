"""A choice or stage that records hold gives way to others, by conditions: as the admin ordered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.runtime.backfill.model import Order, Shift, Step, step_kinds
from saas.runtime.backfill.ordered import choices_of, field_of, holds_sql, ordered, touched_since, with_choice
from saas.runtime.backfill.running import RecordStep, Run
from saas.runtime.backfill.values import evaluate, rows_of
from saas.runtime.records import Rewrite, follow_configuration
from saas.runtime.sql import RecordScope


@step_kinds.register
class Replace(RecordStep):
    key = "replace"
    label = lazy("A choice is replaced")
    order = Order.ORDERED
    seconds = 0.35
    sweeps = True

    def derive(self, shift: Shift) -> Iterable[Step]:
        yield from ordered(shift, "replace", lambda data: {"from": data.get("from"), "rules": list(data.get("rules") or ()), "to": data.get("to")})

    async def is_void(self, run: Run, conn: Any) -> str | None:
        return None if field_of(run) is not None else "gone"

    def condition(self, run: Run, scope: RecordScope) -> str:
        return holds_sql(scope, run.step.field or "", [run.step.options["from"]])

    async def work(self, run: Run, conn: Any, ids: Sequence[UUID]) -> None:
        entity, key, options = run.entity, run.step.field or "", run.step.options
        rows = await rows_of(conn, run.ctx, entity, ids, [key])
        if options["from"] in (choices_of(run.ctx.config, entity, field_of(run)) or ()):
            # It can still be chosen: who chose it meanwhile meant it.
            touched = await touched_since(run, conn, key, rows)
            rows = {i: row for i, row in rows.items() if i not in touched}
        rules = options["rules"]
        computed, failed = await evaluate(conn, run.ctx, entity, list(rows), [rule["if"] for rule in rules]) if rules and rows else ({}, [])
        run.name("failed", failed)
        rewrites = []
        for i, row in rows.items():
            if i in failed:
                continue
            to = next((rule["to"] for rule, holds in zip(rules, computed.get(i, ()), strict=False) if holds), options["to"])
            rewrites.append(Rewrite(row, {key: with_choice(row.get(key), options["from"], to)}))
        run.count("changed", len(rewrites))
        run.collided(await follow_configuration(conn, run.ctx, entity, rewrites))
