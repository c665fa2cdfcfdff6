"""Evaluating expressions in Python over a record that may not be stored yet: what they need of parents and children is
read beforehand, in one batch per parent and one statement for all children."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.context import Context
from saas.runtime.ranks import place_of
from saas.runtime.rows import Projection, Row, expr_value
from saas.runtime.sql import Constants, RecordScope, Statement, expr_type, formula_node


class RecordEnv(Constants, ex.Env):
    """The names of one record for Python evaluation. `extra` gives further roots such as `result`: {name: RecordEnv | value | dict}."""

    def __init__(
        self, ctx: Context, entity: Entity, row: Row, *, old: Row | None = None, extra: Mapping[str, Any] | None = None
    ) -> None:
        self.ctx, self.entity, self.row, self.before, self.extra = ctx, entity, row, old, dict(extra or {})
        self.parents: dict[str, RecordEnv] = {}
        self.children: dict[Any, Any] = {}
        self.ranks: dict[tuple[str, str | None], tuple[int, int] | None] = {}

    def value(self, path: tuple[str, ...]) -> Any:
        head = path[0]
        # A record may have a field called `result`: alone it means the field, with a step behind it an earlier action's record.
        if head in self.extra and (len(path) > 1 or head not in self.entity.fields):
            return _descend(self.extra[head], path[1:])
        if head == "id":
            return str(self.row.id)
        field = self.entity.fields[head]
        if len(path) > 1:
            parent = self.parents.get(head)
            return parent.value(path[1:]) if parent else None
        if field.type == "formula":
            return ex.to_python(formula_node(self.ctx.config, self.entity, field))(self)
        return self._to_expr(field, self.row)

    def _to_expr(self, field: FieldDef, row: Row) -> Any:
        value = row.get(field.key)
        return None if value is None else field_types.get(field.type).to_expr(field, value, self.ctx.config)

    def child(self, node: ex.Child) -> Any:
        if node in self.children:
            return self.children[node]
        return {"exists": False, "all": True}[node.fn] if node.fn in ("exists", "all") else ex.aggregate(node.fn, [])

    def rank(self, field: str, among: str | None) -> tuple[int, int] | None:
        return self.ranks.get((field, among))

    def old(self, field: str) -> Any:
        return self._to_expr(self.entity.fields[field], self.before) if self.before else None

    def is_changed(self, field: str) -> bool:
        if self.before is None:
            return self.row.get(field) is not None
        return self.row.get(field) != self.before.get(field)

    @property
    def zone(self) -> Any:
        return self.ctx.zone

    def evaluate(self, text: str) -> Any:
        return ex.to_python(ex.parse(text))(self)

    def holds(self, text: str | None) -> bool:
        return True if not text else bool(self.evaluate(text))


def _descend(value: Any, path: tuple[str, ...]) -> Any:
    if isinstance(value, RecordEnv):
        return value.value(path) if path else str(value.row.id)
    if isinstance(value, Mapping) and path:
        return _descend(value.get(path[0]), path[1:])
    return value


async def prepare(
    conn: Any,
    ctx: Context,
    entity: Entity,
    row: Row,
    texts: Iterable[str | None],
    *,
    old: Row | None = None,
    extra: Mapping[str, Any] | None = None,
) -> RecordEnv:
    """An env in which all `texts` can be evaluated: their parents and children have been read."""
    env = RecordEnv(ctx, entity, row, old=old, extra=extra)
    wanted = tuple(text for text in texts if text)
    if wanted:
        needs = ctx.config.cached(("env.requirements", entity.key, wanted), lambda: requirements(env, map(ex.parse, wanted)))
        await _read(conn, env, *needs)
    return env


async def fill(conn: Any, env: RecordEnv, nodes: Iterable[Any]) -> None:
    """Read into `env` what `nodes` need beyond the record itself."""
    await _read(conn, env, *requirements(env, nodes))


async def _read(conn: Any, env: RecordEnv, paths: Iterable[tuple[str, ...]], children: Iterable[Any], ranks: Iterable[tuple[str, str | None]]) -> None:
    for wanted in ranks:
        if wanted not in env.ranks and env.row.version:
            env.ranks[wanted] = await _read_rank(conn, env, *wanted)
    missing = [c for c in children if c not in env.children]
    if missing and env.row.version:
        await _read_children(conn, env, missing)
    heads: dict[str, set[tuple[str, ...]]] = {}
    for path in paths:
        if len(path) > 1 and path[0] in env.entity.fields:
            heads.setdefault(path[0], set()).add(path[1:])
    for head, tails in heads.items():
        parent = env.parents.get(head) or await _read_parent(conn, env, head)
        if parent:
            env.parents[head] = parent
            await fill(conn, parent, [ex.Path(tail) for tail in tails])


def requirements(env: RecordEnv, nodes: Iterable[Any]) -> tuple[set[tuple[str, ...]], list[Any], set[tuple[str, str | None]]]:
    """Paths, child aggregates and places among all that nodes need, formulas of the record followed."""
    paths: set[tuple[str, ...]] = set()
    children: list[Any] = []
    ranks: set[tuple[str, str | None]] = set()
    queue, seen = list(nodes), set()
    while queue:
        needs = ex.needs(queue.pop())
        children.extend(c for c in needs.children if c not in children)
        ranks |= needs.ranks
        for path in needs.paths:
            paths.add(path)
            field = env.entity.fields.get(path[0])
            if field and field.type == "formula" and len(path) == 1 and field.key not in seen:
                seen.add(field.key)
                queue.append(formula_node(env.ctx.config, env.entity, field))
    return paths, children, ranks


async def _read_rank(conn: Any, env: RecordEnv, key: str, among: str | None) -> tuple[int, int] | None:
    def looks_at() -> frozenset[str] | None:
        paths, children, _ranks = requirements(env, [ex.Path((name,)) for name in (key, among) if name])
        return None if children or any(len(path) > 1 for path in paths) else frozenset(f.key for path in paths if (f := env.entity.fields.get(path[0])) and f.type != "formula")

    stored = env.ctx.config.cached(("env.rank", env.entity.key, key, among), looks_at)
    return await place_of(conn, env.ctx, env.entity, env.row.id, (key, among), stored)


async def _read_children(conn: Any, env: RecordEnv, nodes: list[Any]) -> None:
    statement = Statement(env.ctx)
    scope = RecordScope(statement, env.entity, "t")
    parts = [ex.to_sql(node, scope) for node in nodes]
    found = await conn.fetchrow(
        *statement.finish(
            f"SELECT {', '.join(parts)} FROM record t WHERE t.entity_id = {env.entity.number} AND t.id = {scope.param(env.row.id, 'uuid')}"
        )
    )
    for node, value in zip(nodes, found or (), strict=False):
        env.children[node] = expr_value(_child_type(env, node), value)


def _child_type(env: RecordEnv, node: Any) -> str:
    if node.fn in ("exists", "all"):
        return "bool"
    if node.fn in ("count", "sum", "avg"):
        return "number"
    target = env.ctx.config.entity(env.ctx.config.relation(env.entity.key, node.relation).child)
    return expr_type(env.ctx.config, target.fields[node.field])


async def _read_parent(conn: Any, env: RecordEnv, head: str) -> RecordEnv | None:
    field = env.entity.fields[head]
    target = env.ctx.config.entities.get(field.options.get("to", ""))
    ref = env.row.get(head)
    if target is None or not ref:
        return None
    row = await read_row(conn, env.ctx, target, UUID(ref))
    return RecordEnv(env.ctx, target, row) if row else None


async def read_row(conn: Any, ctx: Context, entity: Entity, record_id: UUID, *, lock: bool = False) -> Row | None:
    """A whole record by id, whoever asks (deleted ones too); for the engine's own use."""
    statement = Statement(ctx)
    scope = RecordScope(statement, entity, "t")
    projection = Projection(scope)
    found = await conn.fetchrow(
        *statement.finish(
            f"SELECT {projection.sql} FROM record t WHERE t.entity_id = {entity.number} AND t.id = {scope.param(record_id, 'uuid')}"
            + (" FOR UPDATE OF t" if lock else "")
        )
    )
    return projection.row(found) if found else None
