"""List queries: filter, search, sort and page over one entity's records, under the reader's rights.

Keyset paging on up to three sort keys and the id, nulls last. The first key is read in two segments (set, then null), so
that the partial indexes of the slot columns serve the page (docs/adr/0002-typed-slots.md).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from saas.db import plan_by_values
from saas.errors import BadRequest
from saas.i18n import lazy
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import ViewDef
from saas.runtime import operations as ops
from saas.runtime.context import Context
from saas.runtime.permissions import guard, right_sql
from saas.runtime.rows import Projection, Row
from saas.runtime.search import rarest, search_condition, visible_condition
from saas.runtime.sql import PG_TYPES, RecordScope, Statement, column_of, storage_of

MAX_LIMIT = 200
EXPORT_LIMIT = 1000  # records a batch of an export
COUNT_CAP = 1000
MAX_SORTS = 3


@dataclass(frozen=True, slots=True)
class Sort:
    field: str
    descending: bool


def parse_sort(ctx: Context, entity: Entity, texts: Sequence[str] | None, *, trusted: bool = False) -> list[Sort]:
    """`trusted`: the configuration's own order; keys that the reader may not see are passed over."""
    sorts = []
    for text in texts or ():
        key = text.strip().removeprefix("-")
        if not key:
            continue
        field = entity.fields.get(key)
        if field is None or ((g := guard(ctx)) is not None and not g.visible(entity, field)):
            if trusted:
                continue
            raise BadRequest(lazy("There is no field “%(key)s” to sort by.", key=key), field="sort")
        if not field_types.get(field.type).sortable:
            raise BadRequest(lazy("The list cannot be sorted by “%(key)s”.", key=key), field="sort")
        sorts.append(Sort(key, text.strip().startswith("-")))
    if len(sorts) > MAX_SORTS:
        raise BadRequest(lazy("Sort by at most %(count)s fields.", count=MAX_SORTS), field="sort")
    return sorts or [Sort("created_at", True)]


class Query:
    """FROM and WHERE of a list, board, count or report over one entity; all parts share one Statement."""

    def __init__(self, ctx: Context, entity: Entity, *, right: str = "read", deleted: bool = False) -> None:
        self.ctx, self.entity = ctx, entity
        self.statement = Statement(ctx)
        self.guarded = RecordScope(self.statement, entity, "t", guard=guard(ctx))  # what people write
        self.scope = RecordScope(self.statement, entity, "t")  # what the configuration says
        # The tenant again, beside the policy: only what the planner sees written out tells it how many rows there are.
        self.where = [f"t.tenant_id = '{ctx.tenant_id}'::uuid", f"t.entity_id = {entity.number}", f"t.deleted_at IS {'NOT ' if deleted else ''}NULL"]
        self._given = len(self.where)
        rights = right_sql(right, self.scope)
        if rights != "true":
            self.where.append(rights)

    def filter(self, filter_: Any, *, trusted: bool = False) -> None:
        """Add a filter (JSON, expression text or None). A trusted one is part of the configuration."""
        node = filter_node(self.ctx, self.entity, filter_)
        if node is not None:
            self.where.append(ex.to_where(node, self.scope if trusted else self.guarded))

    async def search(self, conn: Any, text: str | None) -> None:
        self.search_as(text, await rarest(conn, self.ctx, self.entity, text))

    def search_as(self, text: str | None, rare: int | None) -> None:
        """`rare`: what saas.runtime.search.rarest says of the text."""
        condition = search_condition(self.scope, text, rare)
        if condition:
            self.where.append(condition)
        if condition and condition != "false" and (visible := visible_condition(self.guarded, text)):
            self.where.append(visible)

    @property
    def sql(self) -> str:
        return f"FROM record t WHERE {' AND '.join(self.where)}"

    async def plan(self, conn: Any) -> None:
        """Before its statement is sent: what filters is planned with its values, for one may match half of all and another
        nothing (up to 79 times slower otherwise, docs/adr/0002-typed-slots.md)."""
        if len(self.where) > self._given:
            await plan_by_values(conn)


def filter_node(ctx: Context, entity: Entity, filter_: Any) -> Any:
    """The tree of a filter, checked against the entity. Raises BadRequest with the path of what is wrong."""
    if filter_ in (None, "", {}, []):
        return None
    try:
        return ex.filter_to_node(filter_, ctx.config, entity.key)
    except ex.FilterError as error:
        raise BadRequest(error.message, field="filter", path=error.path) from error
    except ex.ExpressionError as error:
        raise BadRequest(error.message, field="filter", position=error.position) from error


async def read_rows(
    conn: Any, query: Query, projection: Projection, sorts: list[Sort], limit: int, after: str | None
) -> tuple[list[Row], str | None]:
    """At most `limit` rows after the cursor, and the next cursor. Appends the sort keys to the projection's select list."""
    plan = _Keyset(query, projection, sorts)
    cursor = _decode_cursor(after, [pg for _, pg in plan.keys])
    found: list[Any] = []
    await query.plan(conn)
    segments = (False, True) if plan.nullable else (None,)
    for null_segment in segments:
        if cursor is not None and null_segment is False and cursor.values[0] is None:
            continue
        found.extend(await conn.fetch(*plan.statement(cursor, null_segment, limit + 1 - len(found))))
        if len(found) > limit:
            break
    rows = projection.rows(found[:limit])
    following = plan.cursor(found[limit - 1]) if len(found) > limit else None
    return rows, following


@dataclass(frozen=True, slots=True)
class _Cursor:
    values: list[Any]
    id: UUID


class _Keyset:
    def __init__(self, query: Query, projection: Projection, sorts: list[Sort]) -> None:
        self.query, self.projection, self.sorts = query, projection, sorts
        self.keys = [self._key(s) for s in sorts]
        first = query.entity.fields[sorts[0].field]
        self.nullable = not (first.system and first.type == "datetime")

    def _key(self, sort: Sort) -> tuple[str, str]:
        """(SQL, pg type) of a sort key: the bare column where there is one."""
        field = self.query.entity.fields[sort.field]
        return sort_key(self.query.guarded, field)

    def statement(self, cursor: _Cursor | None, null_segment: bool | None, limit: int) -> list[Any]:
        base = self.query.statement
        kept = len(base.params)
        where = list(self.query.where)
        key = self.keys[0][0]
        if null_segment is not None:
            where.append(f"{key} IS {'' if null_segment else 'NOT '}NULL")
        if cursor is not None and not (null_segment and cursor.values[0] is not None):
            where.append(self._after(cursor))
        down = self.sorts[0].descending
        order = [
            f"{k} {'DESC' if s.descending else 'ASC'} NULLS LAST" if i else f"{k}{' DESC' if down else ''}"
            for i, ((k, _), s) in enumerate(zip(self.keys, self.sorts, strict=True))
        ]
        order.append(f"t.id{' DESC' if down else ''}")
        if null_segment:
            order = order[1:]
        extra = ", ".join(f"{k}" for k, _ in self.keys)
        limit_sql = base.param(limit, "int8")
        sql = f"SELECT {self.projection.sql}, {extra} FROM record t WHERE {' AND '.join(where)} ORDER BY {', '.join(order)} LIMIT {limit_sql}"
        finished = base.finish(sql)
        del base.params[kept:]
        return finished

    def _after(self, cursor: _Cursor) -> str:
        base = self.query.statement
        down = self.sorts[0].descending
        record_id = base.param(cursor.id, "uuid")
        after_id = f"t.id {'<' if down else '>'} {record_id}"
        if len(self.keys) == 1 and cursor.values[0] is not None:
            key, pg = self.keys[0]
            return f"({key}, t.id) {'<' if down else '>'} ({base.param(cursor.values[0], pg)}, {record_id})"
        branches, equal = [], []
        bound = ""
        for (key, pg), sort, value in zip(self.keys, self.sorts, cursor.values, strict=True):
            if value is None:
                equal.append(f"{key} IS NULL")
                continue
            placeholder = base.param(value, pg)
            beyond = f"({key} {'<' if sort.descending else '>'} {placeholder}" + (
                ")" if key == self.keys[0][0] else f" OR {key} IS NULL)"
            )
            branches.append(" AND ".join([*equal, beyond]))
            if not equal and not bound:
                bound = f"{key} {'<=' if sort.descending else '>='} {placeholder} AND "
            equal.append(f"{key} = {placeholder}")
        branches.append(" AND ".join([*equal, after_id]))
        return f"{bound}({' OR '.join(f'({b})' for b in branches)})"

    def cursor(self, found: Any) -> str:
        values = [_to_json(found[len(found) - len(self.keys) + i]) for i in range(len(self.keys))]
        text = json.dumps([str(found[0]), values], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def sort_key(scope: RecordScope, field: Any) -> tuple[str, str]:
    column = column_of(scope.config, scope.entity, field)
    if column:
        if field.system:
            return f"{scope.alias}.{column}", {"datetime": "timestamptz"}.get(field.type, "uuid")
        return f"{scope.alias}.{column}", PG_TYPES[storage_of(scope.config, field)]
    sql, kind = scope.path((field.key,))
    return sql, {
        "number": "numeric",
        "bool": "bool",
        "date": "timestamptz",
        "datetime": "timestamptz",
        "ref": "uuid",
        "user": "uuid",
        "dept": "uuid",
    }.get(kind, "text")


def _to_json(value: Any) -> Any:
    if isinstance(value, datetime):
        # The first moment there is comes without a zone: to asyncpg it is minus infinity.
        return {"t": (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()}
    if isinstance(value, UUID):
        return {"u": str(value)}
    if isinstance(value, Decimal):
        return {"n": str(value)}
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        [(kind, text)] = value.items()
        return {"t": datetime.fromisoformat, "u": UUID, "n": Decimal}[kind](text)
    return value


def _decode_cursor(text: str | None, kinds: Sequence[str]) -> _Cursor | None:
    """A cursor made for these sort keys (by their pg types); one of another list is refused before the database sees it."""
    if not text:
        return None
    try:
        record_id, values = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        cursor = _Cursor([_from_json(v) for v in values], UUID(record_id))
        if len(cursor.values) != len(kinds) or not all(v is None or _fits(v, pg) for v, pg in zip(cursor.values, kinds, strict=True)):
            raise ValueError(text)
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError, binascii.Error, UnicodeDecodeError) as error:
        raise BadRequest(lazy("This page link is broken; start again from the first page."), field="after") from error
    return cursor


_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,), "int8": (int,), "int4": (int,), "float8": (int, float), "numeric": (int, float, Decimal), "timestamptz": (datetime,), "uuid": (UUID,), "bool": (bool,),
}  # fmt: skip


def _fits(value: Any, pg: str) -> bool:
    if not isinstance(value, _PYTHON_TYPES[pg]) or (isinstance(value, bool) and pg != "bool"):
        return False
    if isinstance(value, str):
        return "\x00" not in value
    if isinstance(value, datetime):
        return value.tzinfo is not None
    return not isinstance(value, int) or abs(value) < 2**63


async def count(conn: Any, query: Query, mode: str) -> ops.Count | None:
    """mode: none, capped (to 1,000) or exact."""
    if mode == "none":
        return None
    await query.plan(conn)
    if mode == "capped":
        value = await conn.fetchval(
            *query.statement.finish(f"SELECT count(*) FROM (SELECT 1 {query.sql} LIMIT {COUNT_CAP + 1}) c")
        )
        return ops.Count(min(value, COUNT_CAP), value <= COUNT_CAP)
    if mode == "exact":
        return ops.Count(await conn.fetchval(*query.statement.finish(f"SELECT count(*) {query.sql}")), True)  # compiled
    raise BadRequest(lazy("“count” is none, capped or exact."), field="count")


def view_of(ctx: Context, entity: Entity, key: str | None, saved: Sequence[ViewDef] = ()) -> ViewDef | None:
    if key is None:
        return None
    for view in (*ctx.config.views(entity.key), *saved):
        if view.key == key:
            return view
    raise BadRequest(lazy("There is no view “%(key)s” here.", key=key), field="view")
