"""Examples of a configuration, tried out: each situation is made, the one act is done through the one door by a made-up person,
and what happened is compared with what must. All of it in a trial, so nothing remains: no record, no number, no notification."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import asyncpg

from saas.db import tenant_transaction, write_together
from saas.errors import AppError, Conflict, NotFound
from saas.i18n import LOCALES, get_locale, lazy, pick, sentences, titled, use_locale
from saas.metadata import models as m
from saas.metadata.config import Entity
from saas.metadata.example_checks import GIVEN, ME, OTHER, ROLE, below, names_in
from saas.runtime import operations as ops
from saas.runtime import records, rollups, twins, uniques
from saas.runtime.approvals import store
from saas.runtime.context import Context, User
from saas.runtime.contexts import user_of
from saas.runtime.door import execute
from saas.runtime.env import prepare, read_row
from saas.runtime.examples_start import situation
from saas.runtime.rows import Row
from saas.runtime.sample import Sample
from saas.runtime.trial import trial
from saas.runtime.validate import lay
from saas.tenants import USUAL, load_user, new_id
from saas.tenants.users import insert_user

DECIDES = "decides:"


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """`message` says in plain words what went differently; empty when the example holds."""

    key: str
    label: m.Label
    passed: bool
    message: Any = ""


class _Undo(Exception):
    """Ends every example."""


@dataclass(slots=True)
class _Outcome:
    """What an act led to: whether it was allowed, the texts of a refusal, and which conditions did not hold afterwards."""

    allowed: bool
    said: str = ""
    broken: list[str] = field(default_factory=list)


class _NotSetUp(Exception):
    """The situation itself could not be made."""


async def run_examples(ctx: Context, raw: Mapping[str, Any] | m.Bundle, *, only: Collection[str] | None = None) -> list[ExampleResult]:
    """Try the examples of the bundle `raw` (those whose keys are in `only`), in their order.

    Errors: InvalidDefinition; RuntimeError inside a transaction.
    """
    if not (raw.examples if isinstance(raw, m.Bundle) else raw.get("examples")):
        return []
    # Nothing of it stays, so no limit of the plan matters.
    unlimited = replace(ctx.tenant, status="active", plan_key=USUAL, limit_overrides={}, paid_limits={})
    working = ctx.replace(viewer=None, elevated=False, origin="system", tenant=unlimited)
    async with trial(working, raw, write=True) as tried:
        stage = _Stage(tried.replace(user=None))
        return [await stage.result(e) for e in tried.config.bundle.examples if only is None or e.key in only]
    raise AssertionError("unreachable")


class _Stage:
    """One trial with its made-up people, whom all examples share."""

    def __init__(self, system: Context) -> None:
        self.system = system
        self.people: dict[str, User] = {}

    async def result(self, example: m.ExampleDef) -> ExampleResult:
        try:
            outcome = await self._tried(example, get_locale())
            return ExampleResult(example.key, example.label, *await self._judged(example, outcome))
        except _NotSetUp as error:
            return ExampleResult(example.key, example.label, False, lazy("The situation could not be made: %(why)s", why=str(error)))

    async def _judged(self, example: m.ExampleDef, outcome: _Outcome) -> tuple[bool, Any]:
        if outcome.allowed and example.expect == "refused":
            return False, lazy("It was allowed, but should be refused.")
        if not outcome.allowed and example.expect == "allowed":
            return False, lazy("It was refused, but should be allowed: %(why)s", why=outcome.said)
        if example.message and not await self._was_said(example, outcome):
            return False, lazy("It was refused as it should be, but for another reason: %(why)s", why=outcome.said)
        if outcome.broken:
            return False, lazy("Afterwards this does not hold: %(conditions)s", conditions=sentences(outcome.broken))
        return True, ""

    async def _was_said(self, example: m.ExampleDef, outcome: _Outcome) -> bool:
        """The text may be written in any of our languages, whichever the reader's."""
        wanted = (example.message or "").casefold()
        if wanted in outcome.said.casefold():
            return True
        for locale in LOCALES:
            if locale != get_locale() and wanted in (await self._tried(example, locale)).said.casefold():
                return True
        return False

    async def _tried(self, example: m.ExampleDef, locale: str) -> _Outcome:
        """Make the situation, act, look, and undo all of it."""
        outcome = _Outcome(False)
        with use_locale(locale):
            try:
                async with tenant_transaction(self.system.tenant_id) as conn:
                    people = await self._people(conn, example)
                    async with conn.transaction():
                        outcome = await _Run(conn, self.system.replace(locale=locale), example, people).outcome()
                        raise _Undo
            except _Undo:
                return outcome

    async def _people(self, conn: Any, example: m.ExampleDef) -> dict[str, User]:
        """Who acts, a colleague, and people of the roles that values name; made once, outside of the examples' savepoints."""
        role = () if example.role == m.SYSTEM else (example.role,)
        named = {ME: role, OTHER: role}
        for values in (example.given, example.values, *(r.values for r in example.records)):
            for name in (n for value in values.values() for n in names_in(value) if n.startswith(ROLE)):
                named[name] = (name.removeprefix(ROLE),)
        named |= {f"{DECIDES}{d.role}": (d.role,) for d in example.decisions}
        return {name: await self._person(conn, f"{name} {' '.join(keys)}", keys) for name, keys in named.items()}

    async def _person(self, conn: Any, name: str, role_keys: tuple[str, ...]) -> User:
        """Somebody who exists in this trial only, in the first department."""
        if name not in self.people:
            ctx = self.system
            email = f"example-{new_id().hex}@example.invalid"
            department = await conn.fetchval("SELECT key FROM department WHERE tenant_id = $1 ORDER BY parent_id NULLS FIRST, position LIMIT 1", ctx.tenant_id)
            labels = [pick(ctx.config.roles[k].label) for k in role_keys]
            user_id = await insert_user(conn, ctx.tenant_id, email, "", name=(labels or ["-"])[0], role_keys=role_keys, department_key=department, takes_seat=False)
            found = await load_user(ctx.tenant_id, user_id)
            assert found is not None
            self.people[name] = user_of(found[0])
        return self.people[name]


class _Run:
    """One example in one language, inside a savepoint."""

    def __init__(self, conn: Any, system: Context, example: m.ExampleDef, people: Mapping[str, User]) -> None:
        self.conn, self.system, self.example, self.people = conn, system, example, people
        self.entity = system.config.entity(example.entity)
        self.sample = Sample(system, people)  # which knows what "@name" and "@date:+7d" mean
        self.beside: dict[str, UUID] = {}  # records that the example does not speak of, but others need

    async def outcome(self) -> _Outcome:
        example = self.example
        actor = self.system if example.role == m.SYSTEM else self.system.replace(user=self.people[ME], origin="page")
        # Whoever acts has made the situation: records without a stated owner are theirs.
        maker = actor.replace(elevated=True)
        try:
            await self._make_room()
            later = below(example)
            await self._make_others(maker, (r for r in example.records if r.key not in later))
            record_id = new_id() if example.act == "create" else await self._make(maker, self.entity, example.given)
            self.sample.ids[GIVEN] = record_id
            await self._make_others(maker, (r for r in example.records if r.key in later))
            if example.state:
                await self._place(maker, record_id, example.state)
        except (AppError, asyncpg.PostgresError) as error:
            raise _NotSetUp(self._words(error)) from error
        before = await read_row(self.conn, self.system, self.entity, record_id)
        outcome = await self._act(actor, record_id)
        return await self._look(actor, record_id, before, outcome)

    # ---- the situation

    async def _make_room(self) -> None:
        """Real records with the same unique values, or found as duplicates, must not decide an example: they step aside."""
        act = {**self.example.given, **self.example.values}
        for entity, values in ((self.entity, self.example.given), (self.entity, act), *((self.system.config.entity(r.entity), r.values) for r in self.example.records)):
            row = Row(id=new_id(), entity=entity.key, version=0)
            lay(self.system, entity, row, {k: self.sample.value(v) if _is_moment(v) else v for k, v in values.items()})
            for rule in entity.defn.unique:
                if key := uniques.unique_key(row, rule.fields, loose=rule.loose):
                    await self.conn.execute(
                        "DELETE FROM unique_value WHERE tenant_id = $1 AND entity_id = $2 AND rule_key = $3 AND value = $4",
                        self.system.tenant_id, entity.number, rule.key, key,
                    )  # fmt: skip
            for _, matcher in twins.own_rules(self.system.config, entity):
                for hit in await twins.found_twins(self.conn, self.system, matcher, row):
                    await self.conn.execute(
                        "DELETE FROM search_token WHERE tenant_id = $1 AND entity_id = $2 AND record_id = $3 AND left(token, 1) = ANY($4::text[])",
                        self.system.tenant_id, self.system.config.entity(matcher.target).number, hit.row.id, [twins.MARK, twins.GRAM],
                    )  # fmt: skip

    def _values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {k: self.sample.value(v) for k, v in values.items()}

    async def _make(self, maker: Context, entity: Entity, values: Mapping[str, Any]) -> UUID:
        record_id = new_id()
        values = {**await self._required(maker, entity, values), **self._values(values)}
        await execute(maker, ops.Create(entity=entity.key, values=values, id=record_id, confirm_duplicates=True, brief=True))
        return record_id

    async def _required(self, maker: Context, entity: Entity, values: Mapping[str, Any]) -> dict[str, Any]:
        """Plausible values for what the entity requires and the example does not speak of: a field that becomes required must not
        spoil examples of something else."""
        guessed, beside = situation(self.system.config, entity.key)
        found, kinds = {}, {r["key"]: r["entity"] for r in beside}
        for key, value in guessed.items():
            if key in values or not entity.declared[key].required:
                continue
            for name in names_in(value):
                if name in kinds and name not in self.beside:
                    self.beside[name] = await self._make(maker, self.system.config.entity(kinds[name]), {})
            found[key] = [self._guessed(v) for v in value] if isinstance(value, list) else self._guessed(value)
        return found

    def _guessed(self, value: Any) -> Any:
        """A record that stands beside it; whoever acts, in the place of anybody else."""
        name = next(iter(names_in(value)), None)
        if name in self.beside:
            return str(self.beside[name])
        return self.sample.value(f"@{ME}" if name is not None and name.startswith(ROLE) and name not in self.people else value)

    async def _make_others(self, maker: Context, others: Iterable[m.ExampleRecord]) -> None:
        for other in others:
            self.sample.ids[other.key] = await self._make(maker, self.system.config.entity(other.entity), other.values)

    async def _place(self, maker: Context, record_id: UUID, stage: str) -> None:
        """Put the record into a stage without a transition, as if it had come there."""
        row = await read_row(self.conn, self.system, self.entity, record_id)
        pipeline = self.entity.pipeline
        if row is None or pipeline is None or row.state == stage:
            return
        old = row.copy()
        row.state = row.values[pipeline.field] = stage
        move = (f"UPDATE record SET state = $2 WHERE entity_id = {self.entity.number} AND id = $1", (record_id, stage))
        await write_together(self.conn, [move, *records.changed_stage(maker, self.entity, row)])
        await rollups.refresh_parents(self.conn, maker, self.entity, row, old, {pipeline.field})

    # ---- the act, and what came of it

    async def _act(self, actor: Context, record_id: UUID) -> _Outcome:
        try:
            await execute(actor, self._operation(record_id))
            for decision in self.example.decisions:
                await self._decide(record_id, decision)
        except AppError as error:
            return _Outcome(False, self._words(error))
        return _Outcome(True)

    async def _decide(self, record_id: UUID, decision: m.ExampleDecision) -> None:
        """What one of those who were asked says; somebody who was not asked is refused like anybody. Errors: Conflict where no approval is under way."""
        decider = self.system.replace(user=self.people[f"{DECIDES}{decision.role}"], origin="page")
        flow = await store.flow_under_way(self.conn, self.system, self.entity, record_id)
        if flow is None:
            raise Conflict(lazy("There is no approval under way that could be decided."), reason="over")
        waiting = [t for t in await store.tasks_of(self.conn, self.system, [flow.id]) if t.status == "open"]
        asked = await store.people_of(self.conn, self.system, [t.id for t in waiting])
        task = next((t.id for t in waiting if decider.user_id in asked.get(t.id, ())), waiting[0].id if waiting else None)
        await execute(decider, ops.ActOnApproval(entity=self.entity.key, id=record_id, flow=flow.id, act=decision.act, task=task, comment=pick(self.example.label)))

    def _operation(self, record_id: UUID) -> Any:
        example, key = self.example, self.entity.key
        if example.act == "create":
            return ops.Create(entity=key, values=self._values({**example.given, **example.values}), id=record_id, brief=True)
        if example.act == "update":
            return ops.Update(entity=key, id=record_id, values=self._values(example.values), brief=True)
        if example.act == "transition":
            return ops.Transition(entity=key, id=record_id, key=example.transition or "", values=self._values(example.values), brief=True)
        return ops.Delete(entity=key, id=record_id) if example.act == "delete" else ops.Get(entity=key, id=record_id)

    async def _look(self, actor: Context, record_id: UUID, before: Row | None, outcome: _Outcome) -> _Outcome:
        expected = outcome.allowed == (self.example.expect == "allowed")
        row = await read_row(self.conn, self.system, self.entity, record_id) if self.example.then and expected else None
        if row is not None:
            env = await prepare(self.conn, actor, self.entity, row, self.example.then, old=before)
            outcome.broken = [text for text in self.example.then if not env.holds(text)]
        return outcome

    def _words(self, error: Exception) -> str:
        """All an error says, fields by their labels."""
        if not isinstance(error, AppError):
            return str(lazy("A value is outside of what can be computed or stored."))
        if isinstance(error, NotFound):
            return str(error.message)
        fields = self.entity.fields
        parts = [titled(pick(fields[p.field].label) if p.field in fields else "", p.message) for p in error.problems if hasattr(p, "field")]
        return sentences(dict.fromkeys(parts)) or str(error.message)


def _is_moment(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("@date:", "@datetime:"))
