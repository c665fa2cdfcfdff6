"""Records that belong to this one are given to another: the survivor of two customers, the person's new account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from saas.errors import Conflict
from saas.i18n import lazy, pick
from saas.i18n import noop as N_
from saas.metadata.config import Entity, Relation
from saas.metadata.kinds import ActionType, action_types
from saas.runtime.actions.set import TARGET
from saas.runtime.acts import ActionRun
from saas.runtime.env import read_row
from saas.runtime.query import Query
from saas.runtime.records import update_if_there
from saas.runtime.sql import children_sql

MOST = 1000
OF = {"type": "string", "maxLength": 100, "title": N_("Of which list"), "x-control": "relation"}
WHERE = {"type": "string", "maxLength": 2000, "title": N_("Only those for which"), "x-control": "condition"}


@action_types.register
class Relink(ActionType):
    key = "relink"
    label = lazy("Give to another record")
    icon = "exchange"
    formulas = {"where": "bool"}
    options_schema = {
        "type": "object",
        "description": N_("The records in a list of this record move to the same list of another one."),
        "properties": {"of": OF, "where": WHERE, "target": {**TARGET, "title": N_("To which record")}},
        "required": ["of", "target"],
        "additionalProperties": False,
    }

    def relation(self, options: Mapping[str, Any]) -> str | None:
        return str(options.get("of") or "")

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        found = await run.target(options["target"])
        if found is None:
            return
        target, to = found
        relation, child, ids = await children(run, options)
        if target.key != run.ctx.config.entity(relation.parent).key:
            raise Conflict(lazy("The records of this list cannot belong to “%(label)s”.", label=pick(target.defn.label)))
        if str(to) == str(run.row.id):
            return
        for record_id in ids:
            await update_if_there(run.act, child, record_id, {relation.field: await _linked(run, child, relation, record_id, to)})
        run.note(records=len(ids), to=str(to))


async def _linked(run: ActionRun, child: Entity, relation: Relation, record_id: UUID, to: Any) -> Any:
    """The new value of the field that links: of several links only the one to this record is changed."""
    if not relation.many:
        return str(to)
    row = await read_row(run.act.conn, run.ctx, child, record_id)
    before = [str(v) for v in (row.get(relation.field) if row else None) or ()]
    return list(dict.fromkeys(str(to) if v == str(run.row.id) else v for v in before))


async def children(run: ActionRun, options: Mapping[str, Any], most: int = MOST) -> tuple[Relation, Entity, list[UUID]]:
    """The records in the list `of` of the record, those for which `where` holds, in the order in which they were made. Errors: Conflict
    for more than `most`."""
    ctx = run.ctx
    relation = ctx.config.relation(run.entity.key, str(options.get("of") or ""))
    if relation is None:
        raise Conflict(lazy("There are no such records any more."))
    child = ctx.config.entity(relation.child)
    query = Query(ctx, child)
    query.where.append(children_sql(ctx.config, relation, child, "t", query.statement.param(run.row.id, "uuid")))
    query.filter(options.get("where"), trusted=True)
    ids = [r[0] for r in await run.act.conn.fetch(*query.statement.finish(f"SELECT t.id {query.sql} ORDER BY t.created_at, t.id LIMIT {most + 1}"))]
    if len(ids) > most:
        raise Conflict(lazy("These are more than %(count)s records in “%(label)s”: too many for one run.", count=most, label=pick(child.defn.plural)))
    return relation, child, ids
