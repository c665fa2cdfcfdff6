"""What the history of stages says about many records: how many ever stood in each, what they are worth, how long they stayed.

Reads through the same conditions as every list (rights, filters); nothing is counted that the reader may not see.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from saas.db import plan_by_values
from saas.errors import BadRequest
from saas.i18n import lazy
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.runtime import permissions
from saas.runtime.context import Context
from saas.runtime.query import Query

# Up to so many records can be named one by one in a link.
MAX_IDS = 150


@dataclass(frozen=True, slots=True)
class StageFigures:
    """`days`: how long a record stands in the stage on average, still counting for those that stand there now."""

    count: int
    total: Any = None
    days: float | None = None
    ids: list[str] = field(default_factory=list)


async def stage_figures(
    conn: Any, ctx: Context, entity: Entity, *, within: Any = None, filter_: Any = None, sum_field: str | None = None
) -> dict[str, StageFigures]:
    """{stage key: figures} of the records the reader may read. `within` is the configuration's filter, `filter_` the reader's.
    Errors: PermissionDenied, BadRequest."""
    permissions.require(ctx, "read", entity.key)
    query = Query(ctx, entity)
    query.filter(within, trusted=True)
    query.filter(filter_)
    summed, unit = _summed(query, sum_field)
    tenant, now = query.statement.param(ctx.tenant_id, "uuid"), query.statement.param(ctx.now, "timestamptz")
    stays = (
        f"FROM stage_history h JOIN (SELECT t.id, {summed} AS value {query.sql}) r ON r.id = h.record_id "
        f"WHERE h.tenant_id = {tenant} AND h.entity_id = {entity.number}"
    )
    sql = (  # whole numbers and intervals inside, numeric only for what comes out
        f"SELECT s.stage, count(*), sum(s.value)::numeric / {unit}, extract(epoch FROM avg(s.stay)) FROM (SELECT h.stage, h.record_id, min(r.value) AS value, "
        f"sum(coalesce(h.left_at, greatest({now}, h.entered_at)) - h.entered_at) AS stay {stays} GROUP BY 1, 2) s GROUP BY 1"
    )
    await plan_by_values(conn)
    rows = await conn.fetch(*query.statement.finish(sql))
    few = [r[0] for r in rows if r[1] <= MAX_IDS]
    ids: dict[str, list[Any]] = {}
    if few:
        named = f"SELECT h.stage, array_agg(DISTINCT h.record_id ORDER BY h.record_id) {stays} AND h.stage = ANY({query.statement.param(few, 'text[]')}) GROUP BY 1"
        ids = dict(await conn.fetch(*query.statement.finish(named)))
    return {
        r[0]: StageFigures(
            count=r[1], total=_json(ctx, entity, sum_field, r[2]), days=round(float(r[3]) / 86400, 1) if r[3] is not None else None,
            ids=[str(i) for i in ids.get(r[0], ())],
        )
        for r in rows
    }  # fmt: skip


def _summed(query: Query, key: str | None) -> tuple[str, int]:
    """What is added up, and by what the sum is divided."""
    if not key:
        return "NULL::numeric", 1
    sql, kind = query.guarded.path((key,))
    if kind != "number":
        raise BadRequest(lazy("“%(field)s” is not a number.", field=key), field="sum")
    return query.guarded.whole_sql(query.entity.fields[key]) or (f"({sql})::numeric", 1)


def _json(ctx: Context, entity: Entity, key: str | None, found: Decimal | None) -> Any:
    if not key:
        return None
    declared = entity.fields[key]
    return field_types.get(declared.type).from_expr(declared, found if found is not None else Decimal(0), ctx.config)
