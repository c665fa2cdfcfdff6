"""Find one record that fits, so that later steps can use it: the rule that holds, the card with this number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.errors import FieldProblem, InvalidInput
from saas.i18n import lazy, pick
from saas.i18n import noop as N_
from saas.metadata import expressions as ex
from saas.metadata.kinds import ActionType, action_types
from saas.runtime.actions.block import MESSAGE
from saas.runtime.acts import ActionRun
from saas.runtime.rows import Projection
from saas.runtime.sql import RecordScope, Statement


@action_types.register
class Find(ActionType):
    key = "find"
    label = lazy("Find a record")
    icon = "search"
    makes_record = True
    looks_among = True
    before_save = True
    can_retry = False
    options_schema = {
        "type": "object",
        "description": N_("Looks for the first record that fits; later steps use it by its name. If there is none, what they take from it is empty."),
        "properties": {
            "entity": {"type": "string", "maxLength": 48, "title": N_("Kind of record"), "x-control": "entity"},
            "where": {"type": "string", "maxLength": 2000, "title": N_("Which one"), "description": N_("A condition on the records looked at; new.… is this record, e.g. number == new.card_number.")},
            "order": {"type": "array", "items": {"type": "string", "maxLength": 60}, "maxItems": 3, "title": N_("The first in the order of"), "description": N_("Fields of those records, with a minus for the highest first. Then the oldest first.")},
            "missing": {**MESSAGE, "title": N_("What people read where there is none"), "description": N_("Then nothing is changed. Without a text the step is passed over.")},
        },
        "required": ["entity", "where"],
        "additionalProperties": False,
    }  # fmt: skip

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        entity = run.ctx.config.entity(options["entity"])
        statement = Statement(run.ctx)
        scope = RecordScope(statement, entity, "t", new={"entity": run.entity, "values": run.row.values, "id": run.row.id})
        which = ex.to_where(ex.parse(options["where"]), scope)
        projection = Projection(scope)
        order = [f"{scope.path((key.lstrip('-'),))[0]}{' DESC' if key.startswith('-') else ''} NULLS LAST" for key in options.get("order") or ()]
        sql = f"SELECT {projection.sql} FROM record t WHERE t.entity_id = {entity.number} AND t.deleted_at IS NULL AND {which} ORDER BY {', '.join([*order, 't.created_at', 't.id'])} LIMIT 1"
        found = await run.act.conn.fetchrow(*statement.finish(sql))
        run.note(found=str(found["id"]) if found else None)
        if found:
            run.remember(options.get("as"), entity, projection.row(found))
        elif options.get("missing"):
            text = pick(options["missing"], run.ctx.locale)
            raise InvalidInput([FieldProblem("", "missing", text)], text)
