"""Walking through the steps of an automation, effect or schedule: actions one after the other, branches, loops over children, waits.

A walk can stop at a step and go on from there later (`Pause`). Where it stands is a list such as [2, "then", 0]: the third step, in its
"then" the first. Steps are never skipped or done twice by that: the place is kept in the transaction of what was done before it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from saas.errors import AppError, Conflict, Unavailable
from saas.i18n import lazy, pick
from saas.metadata.kinds import ActionType, action_types
from saas.metadata.models import ActionDef
from saas.runtime.acts import ActionRun
from saas.runtime.env import read_row
from saas.runtime.query import Query
from saas.runtime.sql import children_sql

MOST_STEPS = 2000  # done by one run in one go: what has more is a circle, or belongs into a job
MOST_TOLD = 200  # steps that the log tells of one by one
EACH_LIMIT, EACH_MOST = 200, 1000  # children of one loop
Place = Sequence[int | str]


@dataclass(frozen=True, slots=True)
class Wait:
    """What a waiting step says: `due` is when to look again (None: go on now); `watches`: a change of the record may end it earlier;
    `ends`: the run is over here."""

    due: datetime | None = None
    watches: bool = False
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """A walk that stopped before the step at `place`. `due` None: it can go on at once, in a transaction of its own. `began`: since when
    the step there waits. `attempt`: how often it has failed."""

    place: tuple[int | str, ...]
    due: datetime | None = None
    began: datetime | None = None
    watches: bool = False
    attempt: int = 0
    ends: bool = False


@dataclass(slots=True)
class Walk:
    """`start`, `began`, `attempt`: those of the pause it goes on from. `one`: stop after one action, because each has a transaction of
    its own. `may_pause`: whether there is somebody who goes on later. `passes`: waits are only told of (rehearsals)."""

    start: Place = ()
    began: datetime | None = None
    attempt: int = 0
    one: bool = False
    may_pause: bool = False
    passes: bool = False
    told: list[dict[str, Any]] = field(default_factory=list)  # what the log says of each step
    done: int = 0
    acted: bool = False

    async def through(self, run: ActionRun, steps: Sequence[ActionDef]) -> Pause | None:
        """None when all is done. Raises what a step raises; the last entry of `told` names it."""
        return await self._list(run, steps, (), tuple(self.start))

    async def _list(self, run: ActionRun, steps: Sequence[ActionDef], at: tuple[int | str, ...], start: tuple[int | str, ...]) -> Pause | None:
        first = int(start[0]) if start else 0
        for number in range(first, len(steps)):
            resumed = bool(start) and number == first
            pause = await self._step(run, steps[number], (*at, number), start[1:] if resumed else (), resumed=resumed and len(start) == 1)
            if pause is not None:
                return pause
        return None

    async def _step(self, run: ActionRun, step: ActionDef, at: tuple[int | str, ...], start: tuple[int | str, ...], *, resumed: bool) -> Pause | None:
        if self.one and self.acted:
            return Pause(at)
        kind = action_types.get(step.action)
        if "then" in kind.nests:
            return await self._branch(run, step, at, start)
        if not (resumed and self.began) and not await run.holds(step.condition):
            self._tell(at, step, skipped=True)
            return None
        if kind.waits:
            return await self._wait(run, step, kind, at, self.began if resumed else None)
        self.done += 1
        if self.done > MOST_STEPS:
            raise Conflict(lazy("The automation was stopped after %(count)s steps.", count=MOST_STEPS))
        if "do" in kind.nests:
            await self._each(run, step, kind, at)
            self.acted = True
            return None
        pause = await self._action(run, step, kind, at, self.attempt if resumed else 0)
        self.acted = True
        return pause

    async def _branch(self, run: ActionRun, step: ActionDef, at: tuple[int | str, ...], start: tuple[int | str, ...]) -> Pause | None:
        way = str(start[0]) if start else "then" if await run.holds(step.condition) else "else"
        if not start:
            self._tell(at, step, way=way)
        return await self._list(run, step.then if way == "then" else step.otherwise, (*at, way), start[1:])

    async def _wait(self, run: ActionRun, step: ActionDef, kind: ActionType, at: tuple[int | str, ...], began: datetime | None) -> Pause | None:
        if not self.may_pause:
            raise Conflict(lazy("Nothing can wait here."))
        since = began or run.ctx.now
        found: Wait = await kind.wait(run, step.options, since)
        if self.passes and (found.ends or found.due is not None):
            self._tell(at, step, until=found.due.isoformat() if found.due else None, waits=True)
            return None
        if found.ends:
            self._tell(at, step, ended=True, since=since.isoformat())
            return Pause(at, ends=True)
        if found.due is None:
            self._tell(at, step, since=since.isoformat())
            return None
        return Pause(at, found.due, since, found.watches)

    async def _action(self, run: ActionRun, step: ActionDef, kind: ActionType, at: tuple[int | str, ...], attempt: int) -> Pause | None:
        run.path, run.noted = at, {}
        begun, effects = time.perf_counter(), len(run.act.effects)
        options = {**step.options, "as": step.alias}
        try:
            if step.retry and self.may_pause and not self.one:  # what it did is undone, what was done before it is not
                await _apart(run, kind, options)
            else:
                await kind.run(run, options)
        except AppError as error:
            self._tell(at, step, error=words(error), inputs=run.noted, ms=_ms(begun))
            if self.passes or isinstance(error, Unavailable) or not (step.retry and self.may_pause and kind.can_retry) or self.one or attempt >= step.retry["times"]:
                raise
            return Pause(at, run.ctx.now + pause_before(step, attempt), attempt=attempt + 1)
        except Exception:
            self._tell(at, step, error="crashed", inputs=run.noted, ms=_ms(begun))
            raise
        self._tell(at, step, inputs=run.noted, effects=run.act.effects[effects:][:20], ms=_ms(begun))
        return None

    async def _each(self, run: ActionRun, step: ActionDef, kind: ActionType, at: tuple[int | str, ...]) -> None:
        ctx = run.ctx
        relation = ctx.config.relation(run.entity.key, kind.relation(step.options) or "")
        if relation is None:
            raise Conflict(lazy("There are no such records any more."))
        child, most = ctx.config.entity(relation.child), min(int(step.options.get("limit") or EACH_LIMIT), EACH_MOST)
        query = Query(ctx, child)
        query.where.append(children_sql(ctx.config, relation, child, "t", query.statement.param(run.row.id, "uuid")))
        query.filter(step.options.get("where"), trusted=True)
        ids = [r[0] for r in await run.act.conn.fetch(*query.statement.finish(f"SELECT t.id {query.sql} ORDER BY t.created_at, t.id LIMIT {most + 1}"))]
        if len(ids) > most:
            raise Conflict(lazy("These are more than %(count)s records in “%(label)s”: too many for one run.", count=most, label=pick(child.defn.plural)))
        self._tell(at, step, records=len(ids))
        for record_id in ids:
            row = await read_row(run.act.conn, ctx, child, record_id, lock=True)
            if row is None or row.deleted_at is not None:  # the steps for another one took it along
                continue
            inner = Walk(told=self.told, done=self.done, passes=self.passes)
            await inner._list(run.over(child, row), step.do, (*at, str(record_id)), ())
            self.done = inner.done

    def _tell(self, at: tuple[int | str, ...], step: ActionDef, **more: Any) -> None:
        if len(self.told) < MOST_TOLD or "error" in more:
            self.told.append({"at": list(at), "action": step.action, **{k: v for k, v in more.items() if v not in (None, [], {})}})


async def _apart(run: ActionRun, kind: ActionType, options: Mapping[str, Any]) -> None:
    """In a savepoint; what the act remembers is taken back with it."""
    act = run.act
    before = (len(act.effects), len(act.warnings), set(act.held), dict(run.results), run.row)
    try:
        async with act.conn.transaction():
            await kind.run(run, options)
    except BaseException:
        del act.effects[before[0] :], act.warnings[before[1] :]
        act.held.clear()
        act.held.update(before[2])
        run.results.clear()
        run.results.update(before[3])
        run.row = before[4]
        raise


def pause_before(step: ActionDef, attempt: int) -> timedelta:
    """How long a step that failed `attempt` + 1 times waits: three times as long each time, at most a day."""
    return min(timedelta(minutes=float((step.retry or {}).get("minutes", 1)) * 3**attempt), timedelta(days=1))


def step_at(steps: Sequence[ActionDef], place: Place) -> ActionDef | None:
    """The step at a place."""
    found: ActionDef | None = None
    for part in place:
        if isinstance(part, int):
            if part >= len(steps):
                return None
            found = steps[part]
        elif found is not None:
            steps = dict(found.inside).get(part, ())
    return found


def words(error: AppError) -> str:
    """What the log says of an error: its message, and that of its fields."""
    details = [str(p.message) for p in error.problems][:3]
    message = str(error.message)
    return " ".join([message, *(d for d in details if d != message)])[:1000]


def _ms(begun: float) -> float:
    return round((time.perf_counter() - begun) * 1000, 1)
