"""A rule of uniqueness that is new or means something else: each record takes its value, the first of several with the same one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.metadata import expressions as ex
from saas.metadata.config import Config, Entity
from saas.metadata.models import UniqueDef
from saas.runtime import uniques
from saas.runtime.backfill.meaning import meaning
from saas.runtime.backfill.model import Order, Shift, Step, step_kinds
from saas.runtime.backfill.running import RecordStep, Run
from saas.runtime.context import Context
from saas.runtime.sql import RecordScope


@step_kinds.register
class Unique(RecordStep):
    key = "unique"
    label = lazy("Values are checked for being unique")
    order = Order.UNIQUE
    seconds = 0.15
    sweeps = True

    def derive(self, shift: Shift) -> Iterable[Step]:
        for old, new in shift.entities():
            before = {rule.key: _meaning(shift.old, old, rule) for rule in old.defn.unique} if old else {}
            for rule in new.defn.unique:
                if before.get(rule.key) != _meaning(shift.new, new, rule):
                    field = new.fields.get(rule.fields[0])
                    yield shift.step(self.key, new, field, rule=rule.key)

    async def begin(self, conn: Any, ctx: Context, step: Step) -> None:
        """Claims under the rule's earlier meaning would refuse what is fine now."""
        await conn.execute("DELETE FROM unique_value WHERE tenant_id = $1 AND entity_id = $2 AND rule_key = $3", ctx.tenant_id, step.number, step.options["rule"])

    async def is_void(self, run: Run, conn: Any) -> str | None:
        return None if _rule(run) is not None else "gone"

    def condition(self, run: Run, scope: RecordScope) -> str:
        rule = _rule(run)
        return "true" if rule is not None and rule.with_deleted else "t.deleted_at IS NULL"

    async def work(self, run: Run, conn: Any, ids: Sequence[UUID]) -> None:
        collisions = await uniques.sync(conn, run.ctx, run.entity, ids, [_rule(run)])
        if "again" not in run.cache:  # those are told of already
            run.collided(collisions)


def _rule(run: Run) -> UniqueDef | None:
    rules = run.entity.defn.unique if run.entity else ()
    return next((rule for rule in rules if rule.key == run.step.options["rule"]), None)


def _meaning(config: Config, entity: Entity, rule: UniqueDef) -> Any:
    nodes = [ex.Path((key,)) for key in rule.fields] + ([ex.parse(rule.when)] if rule.when else [])
    return rule.fields, rule.when, rule.loose, rule.with_deleted, frozenset().union(*(meaning(config, entity.key, node) for node in nodes))
