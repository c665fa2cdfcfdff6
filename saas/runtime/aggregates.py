"""Group and measure: the figures behind reports, boards and widgets, under the reader's rights like every list."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from saas.db import plan_by_values
from saas.errors import BadRequest
from saas.i18n import gettext as _
from saas.i18n import lazy
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime import operations as ops
from saas.runtime.context import Context
from saas.runtime.present import display_text, names_for
from saas.runtime.query import Query
from saas.runtime.rows import expr_value
from saas.runtime.sql import expr_type, is_money

MAX_ROWS = 5000
FUNCTIONS = ("count", "count_distinct", "sum", "avg", "min", "max")
ORDERED = ("number", "date", "datetime", "text", "option")  # kinds that have a least and a greatest value
BUCKETS = ("day", "week", "month", "quarter", "year")


async def aggregate(
    conn: Any, ctx: Context, entity: Entity, op: ops.Aggregate, *, q: str | None = None
) -> list[ops.AggregateRow]:
    """Rows of {dimension values, labels, measures}; `q` searches as in lists."""
    query = Query(ctx, entity)
    query.filter(op.filter)
    query.filter(op.within, trusted=True)
    await query.search(conn, q)
    dimensions = [_Dimension(query, d) for d in op.dimensions]
    measures = [_Measure(query, m) for m in op.measures]
    if not measures:
        raise BadRequest(lazy("A report needs at least one measure."), field="measures")
    limit = min(max(op.limit, 1), MAX_ROWS)
    groups = ", ".join(str(i + 1) for i in range(len(dimensions)))
    grouped = f" GROUP BY {groups}" if groups else ""
    if any(d.day for d in dimensions) and all(m.parts for m in measures):
        # First by day: how many days there are the planner knows, how many months only we. It then groups while it reads.
        inner = ", ".join([*(f"{d.day or d.sql} AS d{i}" for i, d in enumerate(dimensions)), *(f"{m.parts[0]} AS m{i}" for i, m in enumerate(measures) if m.parts)])
        selected = [*(d.bucketed(f"g.d{i}") for i, d in enumerate(dimensions)), *(m.parts[1].format(f"g.m{i}") for i, m in enumerate(measures) if m.parts)]
        source = f"FROM (SELECT {inner} {query.sql}{grouped}) g"
    else:
        selected, source = [*(d.sql for d in dimensions), *(m.sql for m in measures)], query.sql
    order = _order(op.sort, dimensions)
    sql = f"SELECT {', '.join(selected)} {source}{grouped}{f' ORDER BY {order}' if order else ''} LIMIT {query.statement.param(limit, 'int8')}"
    await plan_by_values(conn)
    found = await conn.fetch(*query.statement.finish(sql))
    keys = [[d.key(item[i]) for i, d in enumerate(dimensions)] for item in found]
    names = await names_for(conn, ctx, ((d.field, key[i]) for key in keys for i, d in enumerate(dimensions)))
    rows = [
        ops.AggregateRow(
            keys=key,
            labels=[d.label(key[i], names) for i, d in enumerate(dimensions)],
            values=[m.value(item[len(dimensions) + i]) for i, m in enumerate(measures)],
        )
        for key, item in zip(keys, found, strict=True)
    ]
    if op.sort in (None, "label") and dimensions and not dimensions[0].bucket:
        _by_option_order(ctx, rows, dimensions[0], by_label=op.sort == "label")
    return rows


def _order(sort: str | None, dimensions: list[_Dimension]) -> str:
    value = len(dimensions) + 1
    if not dimensions:
        return ""
    if sort in ("value", "-value"):
        return f"{value} {'DESC' if sort[0] == '-' else 'ASC'} NULLS LAST, 1"
    if sort in (None, "label"):
        return ", ".join(str(i + 1) for i in range(len(dimensions)))
    raise BadRequest(lazy("“sort” is value, -value or label."), field="sort")


def _by_option_order(ctx: Context, rows: list[ops.AggregateRow], dimension: _Dimension, *, by_label: bool) -> None:
    if by_label:
        rows.sort(key=lambda r: r.labels[0])
    elif dimension.field.type in ("option", "pipeline"):
        order = {o.key: i for i, o in enumerate(ctx.config.options(dimension.entity.key, dimension.field.key))}
        rows.sort(key=lambda r: order.get(r.keys[0], len(order)))


class _Dimension:
    """One GROUP BY column: an own field or one step over a ref, dates by bucket in the tenant's time zone."""

    def __init__(self, query: Query, asked: ops.Dimension) -> None:
        self.ctx, self.bucket = query.ctx, asked.bucket
        self.day = ""  # SQL of the day before it is put into its bucket
        parts = tuple(asked.field.split("."))
        if len(parts) > 2:
            raise BadRequest(lazy("“%(field)s” is too many steps away.", field=asked.field), field="dimensions")
        entity = query.entity
        try:
            if len(parts) == 2:
                entity = query.ctx.config.entity(entity.fields[parts[0]].options["to"])
            self.field: FieldDef = entity.fields[parts[-1]]
        except KeyError as error:
            raise BadRequest(lazy("There is no field “%(key)s” here.", key=asked.field), field="dimensions") from error
        self.entity = entity
        self.kind = expr_type(query.ctx.config, self.field)
        sql, _kind = query.guarded.path(parts)
        if self.kind == "any":
            raise BadRequest(lazy("“%(field)s” cannot be grouped by.", field=asked.field), field="dimensions")
        if self.bucket is not None:
            if self.bucket not in BUCKETS or self.kind not in ("date", "datetime"):
                raise BadRequest(
                    lazy("“%(field)s” cannot be grouped by “%(bucket)s”.", field=asked.field, bucket=self.bucket),
                    field="dimensions",
                )
            if self.kind == "date":
                self.day = sql
            self._zone = query.statement.param("UTC" if self.kind == "date" else query.ctx.tenant.time_zone, "text")
            sql = self.bucketed(sql)
        elif self.kind == "list":
            sql = f"(SELECT v FROM jsonb_array_elements_text({sql}) v LIMIT 1)"
        self.sql = sql

    def bucketed(self, sql: str) -> str:
        return f"date_trunc('{self.bucket}', {sql}, {self._zone})" if self.bucket else sql

    def key(self, value: Any) -> Any:
        if value is None:
            return None
        if self.bucket:
            zone = UTC if self.kind == "date" else self.ctx.zone
            try:  # the first moment there is comes without a zone: to asyncpg it is minus infinity
                return (value.astimezone(zone) if value.tzinfo else value).date().isoformat()
            except OverflowError:
                return value.date().isoformat()
        if isinstance(value, UUID):
            return str(value)
        if isinstance(value, datetime):
            return value.date().isoformat() if self.kind == "date" else value.isoformat().replace("+00:00", "Z")
        if isinstance(value, Decimal):
            return float(value)
        return value

    def label(self, key: Any, names: Any) -> str:
        if key in (None, ""):
            return _("None")
        if self.bucket:
            return bucket_label(date.fromisoformat(key), self.bucket)
        if self.field.type == "money" or self.kind == "number":
            return f"{key:g}" if isinstance(key, float) else str(key)
        return display_text(self.ctx, self.entity, self.field, key, names) or str(key)


def bucket_label(day: date, bucket: str) -> str:
    if bucket == "year":
        return str(day.year)
    if bucket == "quarter":
        return f"{day.year} Q{(day.month - 1) // 3 + 1}"
    return day.strftime("%Y-%m") if bucket == "month" else day.isoformat()


def bucket_end(day: date, bucket: str) -> date:
    """The first day after the bucket that begins on `day`."""
    if bucket == "day":
        return day + timedelta(days=1)
    if bucket == "week":
        return day + timedelta(days=7)
    months = {"month": 1, "quarter": 3, "year": 12}[bucket] + day.month - 1
    return date(day.year + months // 12, months % 12 + 1, 1)


class _Measure:
    def __init__(self, query: Query, asked: ops.Measure) -> None:
        self.ctx, self.fn = query.ctx, asked.fn
        self.parts: tuple[str, str] | None = None  # SQL of the measure of a part, and of the whole from its parts ({}), where that can be done
        if asked.fn not in FUNCTIONS:
            raise BadRequest(lazy("“%(fn)s” is not a way to measure.", fn=asked.fn), field="measures")
        self.field: FieldDef | None = None
        if asked.fn == "count" and not asked.field:
            self.sql = "count(*)"
            self.parts = self.sql, "sum({})::int8"
            return
        self.field = query.entity.fields.get(asked.field or "")
        if self.field is None:
            raise BadRequest(lazy("There is no field “%(key)s” here.", key=asked.field), field="measures")
        sql, kind = query.guarded.path((self.field.key,))
        if (asked.fn in ("sum", "avg") and kind != "number") or (asked.fn in ("min", "max") and kind not in ORDERED):
            raise BadRequest(lazy("“%(field)s” is not a number.", field=self.field.key), field="measures")
        if asked.fn == "count":
            self.sql = f"count({sql})"
            self.parts = self.sql, "sum({})::int8"
        elif asked.fn == "count_distinct":
            self.sql = f"count(DISTINCT {sql})"
        elif kind == "number" and (whole := query.guarded.whole_sql(self.field)):
            column, unit = whole  # added up as integers, divided once
            divided = f" / {unit}" if unit > 1 else ""
            self.sql = f"({asked.fn}({column})::numeric{divided})"
            if asked.fn != "avg":
                self.parts = f"{asked.fn}({column})", f"({asked.fn}({{}})::numeric{divided})"
        else:
            self.sql = f"{asked.fn}({sql}{'::numeric' if kind == 'number' else ''})"

    def value(self, found: Any) -> Any:
        if self.field is None or self.fn in ("count", "count_distinct"):
            return found or 0
        if found is None:
            return (
                0
                if self.fn == "sum" and not is_money(self.ctx.config, self.field)
                else self._json(Decimal(0))
                if self.fn == "sum"
                else None
            )
        return self._json(found)

    def _json(self, found: Any) -> Any:
        kind = expr_type(self.ctx.config, self.field)
        value = expr_value(kind, found)
        if self.fn == "avg" and isinstance(value, Decimal):
            value = round(value, 2)
        if is_money(self.ctx.config, self.field):
            return field_types.get(self.field.type).from_expr(self.field, value, self.ctx.config)
        if isinstance(value, Decimal):
            return int(value) if value == value.to_integral_value() else float(value)
        return value.isoformat() if isinstance(value, date | datetime) else value
