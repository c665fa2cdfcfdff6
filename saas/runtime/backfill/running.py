"""One step under way: its transactions, what it remembers between attempts, and walking over the records of an entity."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.metadata.config import Config, Entity
from saas.runtime.backfill.model import Step, StepKind
from saas.runtime.context import Context
from saas.runtime.jobs import JobRun
from saas.runtime.records import lock_many
from saas.runtime.sql import RecordScope, Statement
from saas.runtime.uniques import Collision

BATCH = 500
KEPT = 100  # records named in the result of a step
LATE_SECONDS = 60  # how long requests may go on under the configuration they began with; longer work of the old one is waited for
REST = 0.25  # of the time of each batch is left to others


class Outdated(Exception):
    """Somebody published: the step goes on under the configuration that is live now."""


@dataclass(slots=True)
class Campaign:
    """All steps of one change, by one attempt of one job. `state` is what the checkpoints keep; `before` and `planned` are the
    configurations the change led from and to, `ctx` has the one that is live."""

    job: JobRun
    ctx: Context
    before: Config
    planned: Config
    since: datetime
    state: dict[str, Any]

    @property
    def horizon(self) -> datetime:
        """Records changed since then may be of requests that began under the earlier configuration."""
        return self.since - timedelta(seconds=LATE_SECONDS)

    @property
    def done(self) -> int:
        return sum(memory.get("seen", 0) for memory in self.state["steps"])


@dataclass(slots=True)
class Run:
    """`memory` lives as long as the job: what is put there inside a batch is kept with the work of the batch, or not at all."""

    campaign: Campaign
    step: Step
    place: int
    cache: dict[str, Any] = field(default_factory=dict)

    @property
    def memory(self) -> dict[str, Any]:
        return self.campaign.state["steps"][self.place]

    @property
    def ctx(self) -> Context:
        return self.campaign.ctx

    @property
    def entity(self) -> Entity | None:
        """The entity as it is configured now, if there still is one."""
        found = self.ctx.config.entities.get(self.step.entity)
        return found if found is not None and found.number == self.step.number else None

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[Any]:
        """A transaction that keeps what it did together with the memory. Nobody publishes meanwhile. Raises Outdated."""
        campaign, begun = self.campaign, time.monotonic()
        before = copy.deepcopy(campaign.state)
        try:
            async with tenant_transaction(self.ctx.tenant_id) as conn:
                live = await conn.fetchval("SELECT config_revision FROM tenant WHERE id = $1 FOR SHARE", self.ctx.tenant_id)
                if live != self.ctx.config.revision:
                    raise Outdated
                yield conn
                await campaign.job.checkpoint(conn, done=campaign.done, state=campaign.state)
        except BaseException:
            campaign.state = before
            raise
        await asyncio.sleep((time.monotonic() - begun) * REST)

    # ---- what is told afterwards ----------------------------------------------------------------------------------------------

    def count(self, what: str, number: int = 1) -> None:
        self.memory[what] = self.memory.get(what, 0) + number

    def name(self, what: str, ids: Sequence[UUID]) -> None:
        """Count records and remember the first of them; when looked at again, each only once."""
        kept = self.memory.get(f"{what}_ids", [])
        if "again" in self.cache:
            ids = [i for i in ids if str(i) not in kept] if len(kept) < KEPT else []
        if ids:
            self.count(what, len(ids))
            self.memory[f"{what}_ids"] = kept + [str(i) for i in ids[: KEPT - len(kept)]]

    def collided(self, collisions: Sequence[Collision]) -> None:
        """Records without a claim, but for rules that a step of their own goes over: it tells of them all."""
        found = [c for c in collisions if self.step.kind == "unique" or c.rule not in self._ruled()]
        if found:
            self.count("collisions", len(found))
            kept = self.memory.setdefault("collided", [])
            kept += [{"rule": c.rule, "id": str(c.record_id), "holder": str(c.holder_id) if c.holder_id else None} for c in found[: KEPT - len(kept)]]

    def _ruled(self) -> set[str]:
        steps = self.campaign.job.payload["steps"]
        return {raw["options"]["rule"] for raw in steps if raw["kind"] == "unique" and raw["entity"] == self.step.entity}

    def set_aside(self, why: str) -> None:
        """The step has nothing to do any more."""
        self.memory["void"] = why


class RecordStep(StepKind):
    """A step that goes over all records of its entity in the order of their ids, deleted ones too, each exactly once."""

    size = BATCH

    async def is_void(self, run: Run, conn: Any) -> str | None:
        """Why the step no longer applies to what is configured now; asked in every batch."""
        return None if run.entity is not None else "gone"

    def condition(self, run: Run, scope: RecordScope) -> str:
        """SQL: the records of the scope that may have to change."""
        return "true"

    async def work(self, run: Run, conn: Any, ids: Sequence[UUID]) -> None:
        """Change these records, which are locked."""
        raise NotImplementedError

    async def run(self, run: Run) -> None:
        while not run.memory.get("finished"):
            async with run.batch() as conn:
                if why := await self.is_void(run, conn):
                    run.set_aside(why)
                    run.memory["finished"] = True
                else:
                    await self._next(run, conn)

    async def _next(self, run: Run, conn: Any) -> None:
        rows = await conn.fetch(
            f"SELECT t.id FROM record t WHERE t.tenant_id = $1 AND t.entity_id = {run.step.number} AND ($2::uuid IS NULL OR t.id > $2) ORDER BY t.id LIMIT {self.size}",
            run.ctx.tenant_id, run.memory.get("after"),
        )  # fmt: skip
        if not rows:
            run.memory["finished"] = True
            await self.finish(run, conn)
            return
        await self._change(run, conn, [row[0] for row in rows])
        run.memory["after"] = str(rows[-1][0])
        run.count("seen", len(rows))

    async def _change(self, run: Run, conn: Any, ids: Sequence[UUID]) -> None:
        if wanted := await self.choose(run, conn, ids):
            await lock_many(conn, run.step.number, wanted)
            await self.work(run, conn, wanted)

    async def choose(self, run: Run, conn: Any, ids: Sequence[UUID]) -> list[UUID]:
        """Those that may have to change, in the order of their ids."""
        scope = RecordScope(Statement(run.ctx), run.entity, "t")
        sql = (
            f"SELECT t.id FROM record t WHERE t.entity_id = {run.step.number} AND t.id = ANY({scope.param(list(ids), 'uuid[]')}) "
            f"AND ({self.condition(run, scope)}) ORDER BY t.id"
        )
        return [row[0] for row in await conn.fetch(*scope.statement.finish(sql))]

    async def finish(self, run: Run, conn: Any) -> None:
        """After the last record, in a transaction of its own."""

    async def sweep(self, run: Run) -> None:
        """By the time of their last change, which this does not touch."""
        run.cache["again"] = True
        after: tuple[datetime, UUID] | None = None
        more = not run.memory.get("void")
        while more:
            async with run.batch() as conn:
                if await self.is_void(run, conn):
                    return
                rows = await conn.fetch(
                    f"SELECT t.updated_at, t.id FROM record t WHERE t.entity_id = {run.step.number} AND t.updated_at >= $1 "
                    f"AND ($2::timestamptz IS NULL OR (t.updated_at, t.id) > ($2, $3)) ORDER BY t.updated_at, t.id LIMIT {self.size}",
                    run.campaign.horizon, *(after or (None, None)),
                )  # fmt: skip
                if more := bool(rows):
                    await self._change(run, conn, sorted(row[1] for row in rows))
                    after = tuple(rows[-1])
