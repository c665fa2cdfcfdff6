"""The job that carries out the steps of one publication: put in with it, run batch by batch, and looked after once more at the end."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import Conflict
from saas.i18n import use_locale
from saas.metadata.store import current
from saas.runtime import jobs, worker
from saas.runtime.backfill.model import Step, step_kinds
from saas.runtime.backfill.running import LATE_SECONDS, Campaign, Outdated, Run
from saas.runtime.backfill.unfinished import Unfinished, chain
from saas.runtime.context import Context
from saas.runtime.contexts import system_context, user_of
from saas.runtime.jobs import JobInfo, JobRun, JobWaits
from saas.tenants import load_user

KIND, SWEEP = "backfill", "backfill_sweep"
TURN_SECONDS = 2.0
SKEW_SECONDS = 1.0  # so far apart the clocks of our machines may be
ATTEMPTS = 8  # of a batch that met others
MANY_CLAIMS = 200_000


async def enqueue_steps(conn: Any, ctx: Context, steps: Sequence[Step], revision: int) -> UUID | None:
    """Put in the job for the steps that lead to `revision`, in the transaction that publishes it; None when there is nothing to do."""
    known = [await _settled(conn, ctx, step) for step in steps]
    kept = [step for step in known if await _is_needed(conn, ctx, step)]
    if not kept:
        return None
    for step in kept:
        await step_kinds.get(step.kind).begin(conn, ctx, step)
    since = ctx.replace(fixed_now=None).now - timedelta(seconds=SKEW_SECONDS)
    payload = {"revision": revision, "since": since.isoformat(), "steps": [step.to_json() for step in kept], "locale": ctx.locale}
    job_id = await jobs.enqueue(conn, ctx, KIND, payload)
    before = [one for step in kept for one in await chain(conn, ctx.tenant_id, step)]
    for place, one in enumerate(before):
        await _take_up(conn, ctx, one, job_id, len(before) - place)
    return job_id


async def _take_up(conn: Any, ctx: Context, one: Unfinished, job_id: UUID, ahead: int) -> None:
    """A conversion that was stopped goes on after all, from where it was, by a job of its own before the one that builds on it."""
    payload = {**one.payload, "steps": [one.step.to_json()], "before": str(job_id)}
    earlier = await jobs.enqueue(conn, ctx, KIND, payload)
    await conn.execute(
        "UPDATE job SET created_at = created_at - $3 * interval '1 microsecond', result = $4::jsonb WHERE tenant_id = $1 AND id = $2",
        ctx.tenant_id, earlier, ahead, json.dumps({"steps": [{"kind": one.step.kind, **one.memory}]}),
    )  # fmt: skip


async def _forget_claims(conn: Any, ctx: Context, step: Step) -> None:
    """Claims under the rule's earlier meaning would refuse what is fine now. Very many of them are left to the step itself, which goes
    over all records: publishing must not take long."""
    where, args = "WHERE tenant_id = $1 AND entity_id = $2 AND rule_key = $3", (ctx.tenant_id, step.number, step.options["rule"])
    if await conn.fetchval(f"SELECT count(*) FROM (SELECT 1 FROM unique_value {where} LIMIT {MANY_CLAIMS}) c", *args) < MANY_CLAIMS:
        await conn.execute(f"DELETE FROM unique_value {where}", *args)


async def _settled(conn: Any, ctx: Context, step: Step) -> Step:
    """The step with what is known only now: the number of a new entity, and the place its field was given."""
    number, options = step.number, dict(step.options)
    if number <= 0:
        number = await conn.fetchval("SELECT id FROM entity WHERE tenant_id = $1 AND key = $2", ctx.tenant_id, step.entity)
    if options.get("now", "state") not in ("state", "none"):
        options["now"] = await conn.fetchval(
            "SELECT column_name FROM field_column WHERE tenant_id = $1 AND entity_id = $2 AND field_key = $3", ctx.tenant_id, number, step.field
        )
    return dataclasses.replace(step, number=number, options=options)


async def _is_needed(conn: Any, ctx: Context, step: Step) -> bool:
    kind = step_kinds.get(step.kind)
    if not kind.without_records and not await conn.fetchval(f"SELECT EXISTS (SELECT 1 FROM record WHERE entity_id = {step.number})"):
        return False
    return await kind.is_needed(conn, ctx, step)


async def follow(ctx: Context, job_id: UUID, budget_seconds: float) -> JobInfo:
    """Carry the job out here and now, after the commit, with those that go before it, for at most so long; the rest goes on in the
    background."""
    until = time.monotonic() + budget_seconds
    async with tenant_transaction(ctx.tenant_id) as conn:
        earlier = await conn.fetch(
            "SELECT id FROM job WHERE tenant_id = $1 AND kind = $2 AND payload ->> 'before' = $3 ORDER BY created_at, id", ctx.tenant_id, KIND, str(job_id)
        )
    for row in earlier:
        await worker.run_for(ctx, row["id"], max(0.0, until - time.monotonic()))
    return await worker.run_for(ctx, job_id, max(0.0, until - time.monotonic()))


# ---- running -------------------------------------------------------------------------------------------------------------


async def run_steps(job: JobRun) -> Mapping[str, Any]:
    """All steps, one after the other, each from where it stopped."""
    await _wait_for_turn(job)
    campaign = await _campaign(job)
    with use_locale(campaign.ctx.locale):
        await _count(campaign)
        for run in _runs(campaign):
            await _insist(run, run_kind=step_kinds.get(run.step.kind).run)
        await _sweep(campaign)
    await _look_again_later(campaign)
    return campaign.state


async def sweep_steps(job: JobRun) -> Mapping[str, Any]:
    """Once more over what was written since, when nothing works under the old configuration any more."""
    async with tenant_transaction(job.ctx.tenant_id) as conn:
        if await _older_work(conn, job.ctx, UUID(job.payload["of"])):
            raise JobWaits(LATE_SECONDS)
    campaign = await _campaign(job)
    with use_locale(campaign.ctx.locale):
        await _sweep(campaign)
    return campaign.state


async def _campaign(job: JobRun) -> Campaign:
    """The job as its publisher, with all rights: the configuration orders it, they stand in the history."""
    payload, tenant = job.payload, job.ctx.tenant
    money = {"currency": tenant.currency, "country": tenant.country, "time_zone": tenant.time_zone}
    steps = [Step.from_json(raw) for raw in payload["steps"]]
    before = await current(tenant.id, payload["revision"] - 1, **money)
    planned = await current(tenant.id, payload["revision"], **money)
    async with tenant_transaction(tenant.id) as conn:
        author = await conn.fetchval("SELECT created_by FROM job WHERE tenant_id = $1 AND id = $2", tenant.id, job.id)
    found = await load_user(tenant.id, author) if author else None
    ctx = job.ctx.replace(
        user=user_of(found[0]) if found else None, elevated=True, origin="configuration", operation_id=job.id, locale=payload.get("locale", tenant.locale)
    )
    state = dict(job.state) if job.state.get("steps") else {"steps": [{"kind": step.kind} for step in steps]}
    return Campaign(job, ctx, before, planned, datetime.fromisoformat(payload["since"]), state)


def _runs(campaign: Campaign) -> list[Run]:
    return [Run(campaign, Step.from_json(raw), place) for place, raw in enumerate(campaign.job.payload["steps"])]


async def _insist(run: Run, run_kind: Any) -> None:
    """Until it is done: under what is published meanwhile, and again where it met others at their work."""
    met = 0
    while True:
        try:
            return await run_kind(run)
        except Outdated:
            fresh = await system_context(run.ctx.tenant_id)
            run.campaign.ctx = run.ctx.replace(config=fresh.config, tenant=fresh.tenant)
        except Conflict as error:
            met += 1
            if not error.is_contention or met >= ATTEMPTS:
                raise
            await asyncio.sleep(0.05 * 2**met)


async def _count(campaign: Campaign) -> None:
    """How much there is to do, once."""
    if "total" in campaign.state:
        return
    numbers = [step["number"] for step in campaign.job.payload["steps"] if step_kinds.get(step["kind"]).seconds]
    async with tenant_transaction(campaign.ctx.tenant_id) as conn:
        rows = await conn.fetch("SELECT entity_id, count(*) FROM record WHERE entity_id = ANY($1::int[]) GROUP BY entity_id", sorted(set(numbers)))
        counts = {row[0]: row[1] for row in rows}
        campaign.state["total"] = sum(counts.get(number, 0) for number in numbers)
        await campaign.job.checkpoint(conn, done=0, total=campaign.state["total"], state=campaign.state)


async def _sweep(campaign: Campaign) -> None:
    for run in _runs(campaign):
        kind = step_kinds.get(run.step.kind)
        if kind.sweeps:
            await _insist(run, run_kind=kind.sweep)


async def _wait_for_turn(job: JobRun) -> None:
    """Changes are carried out in the order in which they were published."""
    async with tenant_transaction(job.ctx.tenant_id) as conn:
        earlier = await conn.fetchval(
            "SELECT EXISTS (SELECT 1 FROM job e JOIN job j ON j.tenant_id = e.tenant_id AND j.id = $2 WHERE e.tenant_id = $1 AND e.kind = $3 "
            "AND e.status IN ('queued', 'running', 'paused') AND (e.created_at, e.id) < (j.created_at, j.id))",
            job.ctx.tenant_id, job.id, KIND,
        )  # fmt: skip
    if earlier:
        raise JobWaits(TURN_SECONDS)


async def _older_work(conn: Any, ctx: Context, job_id: UUID) -> bool:
    """Whether another job that began before the change was published is still running, under the configuration of then."""
    return await conn.fetchval(
        "SELECT EXISTS (SELECT 1 FROM job o JOIN job j ON j.tenant_id = o.tenant_id AND j.id = $2 WHERE o.tenant_id = $1 AND o.kind <> ALL($3::text[]) "
        "AND o.status = 'running' AND o.created_at < j.created_at)",
        ctx.tenant_id, job_id, [KIND, SWEEP],
    )  # fmt: skip


async def _look_again_later(campaign: Campaign) -> None:
    """Put in the last look, unless everybody has long known of the change."""
    job, ctx = campaign.job, campaign.ctx
    if not any(step_kinds.get(raw["kind"]).sweeps for raw in job.payload["steps"]):
        return
    async with tenant_transaction(ctx.tenant_id) as conn:
        published, now = await conn.fetchrow("SELECT created_at, now() FROM job WHERE tenant_id = $1 AND id = $2", ctx.tenant_id, job.id)
        due = published + timedelta(seconds=LATE_SECONDS)
        waiting = await conn.fetchval("SELECT EXISTS (SELECT 1 FROM job WHERE tenant_id = $1 AND kind = $2 AND payload->>'of' = $3)", ctx.tenant_id, SWEEP, str(job.id))
        if not waiting and (due > now or await _older_work(conn, ctx, job.id)):
            await jobs.enqueue(conn, ctx, SWEEP, {**job.payload, "of": str(job.id)}, run_at=due)
