"""Copies the records of a list into a list of another record: the lines of a quotation into the contract made from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas.errors import Conflict
from saas.i18n import lazy
from saas.i18n import noop as N_
from saas.metadata.config import Entity
from saas.metadata.kinds import ActionType, action_types, field_types
from saas.runtime.actions.relink import OF, WHERE, children
from saas.runtime.actions.set import TARGET
from saas.runtime.acts import ActionRun
from saas.runtime.env import read_row
from saas.runtime.records import create
from saas.runtime.rows import Row

MOST = 500


@action_types.register
class CopyChildren(ActionType):
    key = "copy_children"
    label = lazy("Copy a list to another record")
    icon = "copy"
    formulas = {"where": "bool", "map": None}
    options_schema = {
        "type": "object",
        "description": N_("Makes a copy of each record in a list, belonging to another record. Fields of the same name are taken over; others as said below."),
        "properties": {
            "of": OF,
            "where": WHERE,
            "target": {**TARGET, "title": N_("To which record")},
            "into": {"type": "string", "maxLength": 100, "title": N_("Into which of its lists"), "description": N_("Empty: the list of the same name."), "x-control": "target_relation"},
            "map": {
                "type": "object", "title": N_("Field values"), "description": N_("Fields of the copy that get other values than those of the same name."), "x-control": "copied_values",
                "additionalProperties": {"type": "string", "maxLength": 2000}, "maxProperties": 100,
            },
        },
        "required": ["of", "target"],
        "additionalProperties": False,
    }  # fmt: skip

    def relation(self, options: Mapping[str, Any]) -> str | None:
        return str(options.get("of") or "")

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        found = await run.target(options["target"])
        if found is None:
            return
        parent, parent_id = found
        _, source, ids = await children(run, options, MOST)
        into = run.ctx.config.relation(parent.key, str(options.get("into") or options["of"]))
        if into is None:
            raise Conflict(lazy("There are no such records any more."))
        target = run.ctx.config.entity(into.child)
        link = [str(parent_id)] if into.many else str(parent_id)
        for record_id in ids:
            row = await read_row(run.act.conn, run.ctx, source, record_id)
            if row is None:
                continue
            values = _same(run, source, target, row) | await run.over(source, row).values(options.get("map") or {}, target)
            values[into.field] = link
            await create(run.act, target, {k: v for k, v in values.items() if v is not None}, confirm_duplicates=True)
        run.note(records=len(ids), to=str(UUID(str(parent_id))))


def _same(run: ActionRun, source: Entity, target: Entity, row: Row) -> dict[str, Any]:
    """Values of fields of the same name and type that can be written."""
    found: dict[str, Any] = {}
    for key, declared in target.declared.items():
        own = source.declared.get(key)
        if own is None or own.type != declared.type or field_types.get(declared.type).computed or declared.type in ("auto", "pipeline", "file", "image"):
            continue
        found[key] = row.get(key)
    return found
