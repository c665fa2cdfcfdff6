"""One look at a tenant's data under two configurations, the live one and the planned one: in one snapshot, with a limit of time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from saas.i18n import LazyLabel
from saas.metadata import edits, slots
from saas.metadata import expressions as ex
from saas.metadata.config import Config, Entity
from saas.metadata.models import FieldDef
from saas.runtime import permissions
from saas.runtime.backfill.meaning import meaning
from saas.runtime.context import Context
from saas.runtime.present import present
from saas.runtime.rows import Projection
from saas.runtime.sql import PG_TYPES, RecordScope, Statement, field_sql, formula_node, storage_of

T = TypeVar("T")
FIRST_RUN = 1_000  # records in the first run over an entity; runs grow while they are quick
QUICK_SECONDS = 0.4
GRACE_SECONDS = 0.5


class OutOfTime(Exception):
    """The time for looking at data is used up."""


@dataclass(frozen=True, slots=True)
class Pair:
    """An entity in both configurations, one of its fields in both, and the field's path."""

    path: str
    entity: Entity
    new_entity: Entity
    old: FieldDef
    new: FieldDef

    @property
    def key(self) -> str:
        return self.new.key

    @property
    def name(self) -> LazyLabel:
        return LazyLabel(self.new.label)


class Survey:
    """`ctx` is the asking admin under the live configuration, `trial` under the planned one; `raw` is the planned bundle as written and
    may have problems; `data` are the data steps ordered with it."""

    def __init__(
        self, ctx: Context, conn: Any, after: Config, *, raw: Mapping[str, Any], data: Sequence[Mapping[str, Any]] = (), seconds: float = 10.0
    ) -> None:
        self.ctx, self.conn, self.raw, self.data = ctx, conn, raw, tuple(data)
        self.before, self.after, self.trial = ctx.config, after, ctx.replace(config=after)
        self.deadline = time.monotonic() + seconds
        self._totals: dict[str, int] = {}

    # ---- the two configurations ---------------------------------------------------------------------------------------------

    def entities(self) -> Iterator[tuple[Entity, Entity]]:
        """Those in both configurations that can have records."""
        for key, new in self.after.entities.items():
            old = self.before.entities.get(key)
            if old is not None and old.number > 0:
                yield old, new

    def fields(self) -> Iterator[Pair]:
        """The declared fields that are in both."""
        for old, new in self.entities():
            for key, declared in new.declared.items():
                if key in old.declared:
                    yield Pair(f"entities[{new.key}].fields[{key}]", old, new, old.declared[key], declared)

    def is_gone(self, path: str) -> bool:
        """Whether a definition is really no longer in the bundle, not just set aside because it is broken."""
        return edits.find(self.raw, path) is None

    def steps(self, do: str, entity: str, field: str | None = None) -> list[Mapping[str, Any]]:
        """The ordered data steps of a kind."""
        return [s for s in self.data if s.get("do") == do and s.get("entity") == entity and (field is None or s.get("field") == field)]

    def is_converted(self, pair: Pair) -> bool:
        """Whether values must be written anew, because they are written differently from now on."""
        if slots.shape_of(pair.old) == slots.shape_of(pair.new) or pair.new.type in ("pipeline", "rollup"):
            return False
        return storage_of(self.after, pair.new) not in ("none", "state")

    def touched(self, entity_key: str) -> frozenset[str]:
        """Fields of the entity whose stored values will be others than now."""

        def make() -> frozenset[str]:
            found = {s["field"] for s in self.data if s.get("entity") == entity_key and s.get("do") in ("fill", "replace")}
            return frozenset(found | {p.key for p in self.fields() if p.entity.key == entity_key and self.is_converted(p)})

        return self.after.cached(("impact.touched", entity_key), make)

    def looks_at(self, config: Config, entity_key: str, text: str) -> frozenset[tuple[str, str]]:
        """(entity, field) of everything the expression depends on, formulas, parents and children included; settings as ("", key)."""
        found: set[tuple[str, str]] = set()
        self._collect(config, entity_key, ex.parse(text), found)
        return frozenset(found)

    def _collect(self, config: Config, entity_key: str, node: Any, found: set[tuple[str, str]]) -> None:
        entity = config.entities.get(entity_key)
        if entity is None:
            return
        for call in ex.walk(node):
            if isinstance(call, ex.Call) and call.name == "setting" and isinstance(call.args[0], ex.Literal):
                found.add(("", str(call.args[0].value)))
        needs = ex.needs(node)
        for parts in needs.paths:
            self._collect_path(config, entity, parts, found)
        for child in needs.children:
            relation = config.relation(entity_key, child.relation)
            if relation is None:
                continue
            found.add((relation.child, relation.field))
            below = [n for n in (child.where, ex.Path((child.field,)) if child.field else None) if n is not None]
            for inner in below:
                self._collect(config, relation.child, inner, found)

    def _collect_path(self, config: Config, entity: Entity, parts: tuple[str, ...], found: set[tuple[str, str]]) -> None:
        declared = entity.fields.get(parts[0])
        if declared is None or (entity.key, declared.key) in found:
            return
        found.add((entity.key, declared.key))
        if declared.type == "formula":
            self._collect(config, entity.key, formula_node(config, entity, declared), found)
        if len(parts) > 1 and declared.options.get("to") in config.entities:
            self._collect_path(config, config.entities[declared.options["to"]], parts[1:], found)

    def means_another(self, entity_key: str, old: Any, new: Any) -> bool:
        """Whether two expressions (trees) give other results, be it because a formula, setting or type behind them changes."""
        return meaning(self.before, entity_key, old) != meaning(self.after, entity_key, new)

    # ---- asking, in time ------------------------------------------------------------------------------------------------------

    @property
    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()

    async def within(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Run `work(conn)`, stopped when the time is up. Errors: OutOfTime."""
        left = self.seconds_left
        if left <= 0:
            raise OutOfTime
        try:
            async with self.conn.transaction():  # a savepoint: what is stopped must not end the snapshot
                await self.conn.execute(f"SET LOCAL statement_timeout = {max(1, int(left * 1000))}")
                return await work(self.conn)
        except asyncpg.QueryCanceledError:
            raise OutOfTime from None

    async def rows(self, sql: str, *args: Any) -> list[Any]:
        return await self.within(lambda conn: conn.fetch(sql, *args))

    async def value(self, sql: str, *args: Any) -> Any:
        return await self.within(lambda conn: conn.fetchval(sql, *args))

    async def total(self, entity: Entity) -> int:
        """How many live records the entity has."""
        if entity.key not in self._totals:
            self._totals[entity.key] = await self.value(f"SELECT count(*) FROM record t WHERE {live(entity)}")
        return self._totals[entity.key]

    async def runs(self, entity: Entity, *, most: int) -> AsyncIterator[tuple[UUID | None, UUID | None, int]]:
        """(after, up to, how many) of the entity's live records, run by run in the order of their ids."""
        total, seen, low, size = await self.total(entity), 0, None, FIRST_RUN
        while seen < total:
            begun = time.monotonic()
            high = await self.value(f"SELECT t.id FROM record t WHERE {live(entity)} AND ($1::uuid IS NULL OR t.id > $1) ORDER BY t.id OFFSET {size - 1} LIMIT 1", low)
            number = min(size, total - seen)
            yield low, high, number
            seen, low = seen + number, high
            if high is None:
                return
            if time.monotonic() - begun < QUICK_SECONDS:
                size = min(most, size * 3)

    # ---- samples --------------------------------------------------------------------------------------------------------------

    async def samples(self, entity: Entity, ids: Sequence[UUID], show: str | None) -> list[dict[str, str]]:
        """These records as the admin may see them, in the order of `ids`; `show` is the field whose value stands beside the title."""
        if not ids:
            return []
        statement = Statement(self.ctx)
        scope = RecordScope(statement, entity, "t")
        shown = [k for k in (show,) if k in entity.fields]
        projection = Projection(scope, [k for k in (entity.defn.title, *shown) if k in entity.declared])
        for condition in permissions.conditions(self.ctx, entity):
            projection.flag(condition, ex.to_where(ex.parse(condition), scope))
        where = f"{live(entity)} AND t.id = ANY({scope.param(list(ids), 'uuid[]')}) AND {permissions.right_sql('read', scope)}"
        found = await self.rows(*statement.finish(f"SELECT {projection.sql} FROM record t WHERE {where}"))
        rows = [projection.row(item) for item in found]
        records = {r.id: r for r in await self.within(lambda conn: present(conn, self.ctx, entity, rows, [entity.defn.title, *shown]))}
        return [
            {"id": str(r.id), "title": r.title, "url": f"/r/{entity.key}/{r.id}", "value": r.display.get(show or "", "")}
            for i in ids if (r := records.get(i))
        ]  # fmt: skip


    async def samples_in_time(self, entity: Entity, ids: Sequence[UUID], show: str | None) -> list[dict[str, str]]:
        """Also after the time is up: there are few, found by their ids, and without them a figure says little."""
        self.deadline = max(self.deadline, time.monotonic() + GRACE_SECONDS)
        try:
            return await self.samples(entity, ids, show)
        except OutOfTime:
            return []


class Lens:
    """The names of one record `t` in one statement, as they are now (`before`) and as they will be (`after`, in the same statement)."""

    def __init__(self, survey: Survey, entity_key: str) -> None:
        self.survey, self.statement = survey, Statement(survey.ctx)
        self.before = RecordScope(self.statement, survey.before.entity(entity_key), "t")
        entity = survey.after.entities.get(entity_key)
        self.after = RecordScope(self.statement.under(survey.trial), entity, "t") if entity is not None else None

    def readable(self) -> str:
        return permissions.right_sql("read", self.before)

    def holds(self, text: str, *, before: bool = False) -> str:
        """The condition on the record as it stands, null standing for false."""
        return f"coalesce({ex.to_where(at_rest(ex.parse(text)), self.before if before else self.after)}, false)"

    def fails(self, text: str, *, before: bool = False) -> str:
        return f"(NOT {self.holds(text, before=before)})"

    def is_empty(self, key: str, *, before: bool = False) -> str:
        return empty_sql(self.before if before else self.after, key)

    def is_filled(self, key: str, *, before: bool = False) -> str:
        return f"(NOT {self.is_empty(key, before=before)})"


def at_rest(node: Any) -> Any:
    """The expression for a record that nobody is changing: old() gives what is there, is_changed() is false."""
    if isinstance(node, tuple):
        return tuple(map(at_rest, node))
    if not isinstance(node, ex.Node):
        return node
    if isinstance(node, ex.Call) and node.name == "is_changed":
        return ex.Literal(False, "bool")
    if isinstance(node, ex.Call) and node.name == "old":
        return ex.Path((str(node.args[0].value),))
    return replace(node, **{f.name: at_rest(getattr(node, f.name)) for f in fields(node) if f.name != "pos"})


def live(entity: Entity) -> str:
    return f"t.entity_id = {entity.number} AND t.deleted_at IS NULL"


def empty_sql(scope: RecordScope, key: str) -> str:
    """The stored value is none, an empty text or an empty list; never null itself."""
    declared = scope.entity.fields[key]
    if declared.type == "formula":
        return f"({scope.path((key,))[0]} IS NULL)"
    sql, storage = field_sql(scope.config, scope.entity, declared, scope.alias), "uuid" if declared.system else storage_of(scope.config, declared)
    if storage in PG_TYPES or storage == "links":
        return f"({sql} IS NULL)"
    return f"(coalesce({sql}, 'null') IN ('null', '\"\"', '[]'))"
