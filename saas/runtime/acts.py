"""`Act`: one operation under way: its connection, its context, what it caused. And the run of actions inside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.runtime.context import Context
from saas.runtime.env import RecordEnv, fill, prepare
from saas.runtime.rows import Row
from saas.runtime.validate import Draft


@dataclass(slots=True)
class Act:
    conn: Any
    ctx: Context
    effects: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    held: set[tuple[str, UUID]] = field(default_factory=set)  # records it made or locked, by entity: alive until it ends, or until it deletes them
    deed: str = ""  # what the history calls the next change, and only that: claimed assigned released recycled
    heads: list[tuple[Entity, Row, Row, frozenset[str]]] | None = None  # whoever writes their lines next lets them be priced after that
    quiet: bool = False  # who changes hands many records tells people once, not record by record

    def under(self, **changes: Any) -> Act:
        """The same act under a changed context; effects, warnings and what it holds stay shared."""
        return Act(self.conn, self.ctx.replace(**changes), self.effects, self.warnings, self.held, heads=self.heads, quiet=self.quiet)

    def effect(self, action: str, entity: str, record_id: Any) -> None:
        self.effects.append({"action": action, "entity": entity, "id": str(record_id)})


@dataclass(slots=True)
class Happening:
    """What triggers look at. kind: create update before_save transition delete restore; child_change, with what happened to the child;
    button; login; ledger_posted (of the record whose balance changed); message, with the message, its way and its state as `source`."""

    kind: str
    entity: Entity
    row: Row
    old: Row | None = None
    changed: frozenset[str] = frozenset()
    transition: str | None = None
    child: Happening | None = None
    source: str | None = None  # of what came from outside: "form:contact"
    ledger: str | None = None


@dataclass(slots=True)
class ActionRun:
    """A list of actions being run for one record. `results` are records made by earlier steps, by alias; `draft` is set while the
    record is not written yet (before_save). `run_id` is the automation's run, `path` the step being done, `noted` what it worked with."""

    act: Act
    entity: Entity
    row: Row
    old: Row | None = None
    draft: Draft | None = None
    results: dict[str, Any] = field(default_factory=dict)
    run_id: UUID | None = None
    automation: str | None = None
    path: tuple[int | str, ...] = ()
    noted: dict[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """A name for the effect of the step being done: the same whenever this run does it, and no other's."""
        of = self.run_id or f"{self.ctx.operation_id}.{self.row.id}"
        return f"{of}/{'.'.join(str(part) for part in self.path)}"

    @property
    def origin(self) -> dict[str, Any]:
        """What caused an effect, for people."""
        found = {"automation": self.automation, "run": self.run_id, "entity": self.entity.key, "record": self.row.id}
        return {name: str(value) for name, value in found.items() if value}

    def note(self, **inputs: Any) -> None:
        """What the step worked with, for the log."""
        self.noted.update(inputs)

    def over(self, entity: Entity, row: Row) -> ActionRun:
        """The same run for another record: steps inside a loop. What they make is not known outside."""
        return ActionRun(self.act, entity, row, None, None, dict(self.results), self.run_id, self.automation, self.path)

    @property
    def ctx(self) -> Context:
        return self.act.ctx

    async def env(self, *texts: str | None) -> RecordEnv:
        # What a step that was passed over would have made is empty; an entity may have a field of that name.
        extra = {"result": self.results} if self.results or "result" not in self.entity.fields else {}
        env = await prepare(self.act.conn, self.ctx, self.entity, self.row, texts, old=self.old, extra=extra)
        await self._fill_results(texts)
        return env

    async def _fill_results(self, texts: tuple[str | None, ...]) -> None:
        """Paths over records of earlier steps (`result.order.customer.name`) need their parents read, too."""
        for text in texts:
            for path in ex.needs(ex.parse(text)).paths if text else ():
                made = self.results.get(path[1]) if len(path) > 3 and path[0] == "result" else None
                if isinstance(made, RecordEnv):
                    await fill(self.act.conn, made, [ex.Path(path[2:])])

    async def holds(self, text: str | None) -> bool:
        return True if not text else (await self.env(text)).holds(text)

    async def values(self, mapping: Mapping[str, str], target: Entity) -> dict[str, Any]:
        """{field of `target`: JSON value} of a map of expressions."""
        env = await self.env(*mapping.values())
        found: dict[str, Any] = {}
        for key, text in mapping.items():
            value = env.evaluate(text)
            declared = target.fields[key]
            found[key] = None if value is None else field_types.get(declared.type).from_expr(declared, value, self.ctx.config)
        self.note(**{f"values.{target.key}": found})
        return found

    def remember(self, alias: str | None, entity: Entity, row: Row) -> None:
        if alias:
            self.results[alias] = RecordEnv(self.ctx, entity, row)

    async def target(self, path: str | None, *, unseen: bool = False) -> tuple[Entity, Any] | None:
        """(entity, id) that a `target` path names; the record itself without a path; None when the ref is empty or its record deleted,
        which an `unseen` one may be."""
        if not path:
            return self.entity, self.row.id
        value = (await self.env(path)).evaluate(path)
        if not value:
            return None
        entity, record_id = entity_at(self, tuple(path.split("."))), UUID(str(value))
        if unseen:
            return entity, record_id
        sql = f"SELECT deleted_at IS NULL FROM record WHERE entity_id = {entity.number} AND id = $1"
        return (entity, record_id) if await self.act.conn.fetchval(sql, record_id) else None


def entity_at(run: ActionRun, parts: tuple[str, ...]) -> Entity:
    """The entity a path of refs ends at."""
    entity = run.entity
    if parts[0] == "result":
        entity, parts = run.results[parts[1]].entity, parts[2:]
    for part in parts:
        entity = run.ctx.config.entity(entity.fields[part].options["to"])
    return entity
