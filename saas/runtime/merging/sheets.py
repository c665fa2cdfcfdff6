"""What a person looks at before they merge: the records side by side, field by field, and what belongs to each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from saas.i18n import pick
from saas.metadata.config import Entity
from saas.runtime import operations as ops
from saas.runtime import permissions
from saas.runtime.acts import Act
from saas.runtime.merging.choosing import Choice, compare
from saas.runtime.merging.doing import read_for_merge
from saas.runtime.present import can, present
from saas.runtime.sql import RecordScope, Statement, children_sql

COUNTED = 1000


async def sheet(act: Act, entity: Entity, survivor_id: UUID, loser_ids: Sequence[UUID], choices: Mapping[str, Choice], winner: str | None) -> ops.MergeSheet:
    """Errors: as `merge`, but that nothing is written."""
    ctx = act.ctx
    permissions.require(ctx, "merge", entity.key)
    survivor, losers = await read_for_merge(act, entity, survivor_id, list(dict.fromkeys(loser_ids)))
    rows = [survivor, *losers]
    shown = await present(act.conn, ctx, entity, rows)
    for record, row in zip(shown, rows, strict=True):
        record.can = can(ctx, entity, row)
    fields = []
    for item in compare(ctx, entity, survivor, losers, choices, winner):
        key = item.field.key
        texts = {record.id: record.display[key] for record in shown if key in record.display}
        if texts:  # what they may not see is not there for them
            label = pick(item.field.label, ctx.locale)
            fields.append(ops.MergeField(key, label, texts, str(item.chosen), item.holds_several, item.may_choose, item.differs and len(set(texts.values())) > 1))
    return ops.MergeSheet(survivor_id, shown, fields, await _children(act, entity, [row.id for row in rows]), entity.defn.merge.undo_days)


async def _children(act: Act, entity: Entity, ids: Sequence[UUID]) -> dict[UUID, list[tuple[str, int]]]:
    """How many records belong to each, as far as the person may see them; counted up to COUNTED."""
    found: dict[UUID, list[tuple[str, int]]] = {record_id: [] for record_id in ids}
    ctx = act.ctx
    for relation in entity.children.values():
        child = ctx.config.entity(relation.child)
        if not permissions.may(ctx, "read", child.key) or permissions.static_access(ctx, child).get(relation.field) not in ("read", "write"):
            continue
        statement = Statement(ctx)
        scope = RecordScope(statement, child, "t")
        readable = permissions.right_sql("read", scope)
        counts: list[Any] = [
            f"(SELECT count(*) FROM (SELECT 1 FROM record t WHERE t.entity_id = {child.number} AND t.deleted_at IS NULL AND {readable} "
            f"AND {children_sql(ctx.config, relation, child, 't', scope.param(record_id, 'uuid'))} LIMIT {COUNTED}) c)"
            for record_id in ids
        ]
        for record_id, count in zip(ids, await act.conn.fetchrow(*statement.finish(f"SELECT {', '.join(counts)}")), strict=True):
            if count:
                found[record_id].append((pick(relation.label, ctx.locale), count))
    return found
