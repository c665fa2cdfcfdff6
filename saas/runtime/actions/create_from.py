"""Make a record from this one: what both have under the same name is taken over, lists of lines are copied as they stand, and both know
each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.errors import Conflict
from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.config import Entity
from saas.metadata.kinds import ActionType, action_types, field_types
from saas.runtime.actions.set import VALUES
from saas.runtime.acts import ActionRun
from saas.runtime.env import read_row
from saas.runtime.records import children_of, create, update
from saas.runtime.rows import Row

MOST = 500


@action_types.register
class CreateFrom(ActionType):
    key = "create_from"
    label = lazy("Make a record from this one")
    icon = "copy"
    makes_record = True
    foretold = True
    formulas = {"values": None}
    options_schema = {
        "type": "object",
        "description": N_("Fields of the same name are taken over, with prices as they are now; others as said below. What a rule would compute anew stays as it was."),
        "properties": {
            "entity": {"type": "string", "maxLength": 48, "title": N_("Kind of record"), "x-control": "entity"},
            "values": {**VALUES, "minProperties": 0, "title": N_("Other values"), "description": N_("Fields that get other values than those of the same name.")},
            "lists": {"type": "array", "items": {"type": "string", "maxLength": 100}, "maxItems": 10, "title": N_("Lists to copy"), "description": N_("Both kinds of records must have a list of this name."), "x-control": "relations"},
            "back": {"type": "string", "maxLength": 48, "title": N_("Field that then names the new record"), "description": N_("With it a record is turned into another one once."), "x-control": "field"},
        },
        "required": ["entity"],
        "additionalProperties": False,
    }  # fmt: skip

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        back = options.get("back")
        if back and run.row.get(back):
            raise Conflict(lazy("This was done already: the other record is there."), reason="made_already")
        target = run.ctx.config.entity(options["entity"])
        values = same_values(run.entity, target, run.row) | await run.values(options.get("values") or {}, target)
        row = await create(run.act, target, {k: v for k, v in values.items() if v is not None}, confirm_duplicates=True)
        for name in options.get("lists") or ():
            await _copy_list(run, name, target, row)
        if back:
            run.row = await update(run.act, run.entity, run.row.id, {back: str(row.id)})
        run.remember(options.get("as"), target, row)


async def _copy_list(run: ActionRun, name: str, target: Entity, row: Row) -> None:
    ours, theirs = (run.ctx.config.relation(e.key, name) for e in (run.entity, target))
    if ours is None or theirs is None or theirs.many:
        raise Conflict(lazy("“%(list)s” is not a list of both.", list=name), reason="no_list")
    source, into = run.ctx.config.entity(ours.child), run.ctx.config.entity(theirs.child)
    for record_id in await children_of(run.act.conn, run.ctx, ours, run.row, f"LIMIT {MOST}"):
        line = await read_row(run.act.conn, run.ctx, source, record_id)
        if line is not None:
            values = {**same_values(source, into, line), theirs.field: str(row.id)}
            await create(run.act, into, {k: v for k, v in values.items() if v is not None}, confirm_duplicates=True)


def same_values(source: Entity, target: Entity, row: Row) -> dict[str, Any]:
    """Values of fields of the same name and sort that can be written, and the owner."""
    alone = {key for rule in target.defn.unique for key in rule.fields if len(rule.fields) == 1}
    found: dict[str, Any] = {"owner": row.get("owner")} if source.defn.owned and target.defn.owned else {}
    for key, declared in target.declared.items():
        own, kind = source.declared.get(key), field_types.get(declared.type)
        if own is None or own.type != declared.type or kind.computed or declared.type in ("auto", "pipeline", "file", "image") or key in alone:
            continue
        if own.options.get("to") == declared.options.get("to"):
            found[key] = row.get(key)
    return found
