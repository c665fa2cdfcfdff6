"""Add to a number of the record, within bounds: points for what somebody did."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types, field_types
from saas.runtime.actions.set import TARGET
from saas.runtime.acts import ActionRun
from saas.runtime.records import find, update


@action_types.register
class Score(ActionType):
    key = "score"
    label = lazy("Add to a score")
    icon = "gauge"
    formulas = {"by": "number"}
    options_schema = {
        "type": "object",
        "description": N_("Adds to a number, or subtracts from it, and never goes beyond the bounds. Two at the same time are both counted."),
        "properties": {
            "target": TARGET,
            "field": {"type": "string", "maxLength": 48, "title": N_("Field with the score"), "x-control": "target_field", "x-types": ["score", "int", "number", "rating", "percent", "progress"]},
            "by": {"type": "string", "maxLength": 2000, "title": N_("Add"), "description": N_("A number or a formula; a negative one subtracts."), "x-control": "expression"},
            "min": {"type": "number", "title": N_("Never less than")},
            "max": {"type": "number", "title": N_("Never more than")},
        },
        "required": ["field", "by"],
        "additionalProperties": False,
    }  # fmt: skip

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        found = await run.target(options.get("target"))
        by = (await run.env(options["by"])).evaluate(options["by"])
        if found is None or by is None:
            return
        entity, record_id = found[0], UUID(str(found[1]))
        row = await find(run.act.conn, run.ctx, entity, record_id, lock=True)  # under lock: what another one adds is not lost
        if row is None:
            return
        declared = entity.fields[options["field"]]
        kind = field_types.get(declared.type)
        value = row.get(declared.key)
        score = (Decimal(0) if value is None else kind.to_expr(declared, value, run.ctx.config)) + Decimal(by)
        for bound, choose in ((_bound(options, declared, "min"), max), (_bound(options, declared, "max"), min)):
            score = score if bound is None else choose(score, bound)
        after = kind.from_expr(declared, score, run.ctx.config)
        run.note(**{declared.key: after, "by": str(by)})
        if after != value:
            changed = await update(run.act, entity, record_id, {declared.key: after})
            if not options.get("target"):
                run.row = changed


def _bound(options: Mapping[str, Any], declared: Any, name: str) -> Decimal | None:
    found = options.get(name, declared.options.get(name))
    return Decimal(str(found)) if isinstance(found, (int, float)) and not isinstance(found, bool) else None
