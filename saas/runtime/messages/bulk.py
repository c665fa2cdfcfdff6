"""The same message to many: what would be sent, and sending it as a job, so many a minute."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import BadRequest
from saas.i18n import lazy, pick
from saas.metadata.models import TemplateDef
from saas.runtime import jobs, permissions
from saas.runtime import operations as ops
from saas.runtime.acts import Act, ActionRun
from saas.runtime.context import Context
from saas.runtime.door import execute
from saas.runtime.env import read_row
from saas.runtime.messages.opt_outs import is_out
from saas.runtime.messages.sending import PER_MINUTE, Receiver, Sent, receivers, send, template_of
from saas.runtime.query import MAX_LIMIT
from saas.runtime.records import entity_of, find
from saas.runtime.templates import render
from saas.tenants import new_id

MOST = 20_000
INLINE = 50
SHOWN = 500  # receivers are looked at one by one for so many records; beyond that they are estimated when sent


@dataclass(frozen=True, slots=True)
class Preview:
    """What sending would do, and the text of the first message."""

    records: int
    receivers: int
    left_out: int
    unusable: int
    subject: str = ""
    body: str = ""
    counted: int = 0  # of how many records the receivers were counted


def check_request(ctx: Context, entity_key: str, template_key: str, channel: str, *, many: bool) -> TemplateDef:
    """Who may change a record may write to whom it names; to many at once, who may change many. Errors: PermissionDenied, BadRequest."""
    entity_of(ctx, entity_key)
    permissions.require(ctx, "bulk" if many else "update", entity_key)
    permissions.require_active(ctx)
    template = template_of(ctx, template_key)
    if template.entity != entity_key or channel not in template.channels:
        raise BadRequest(lazy("This message cannot be sent to these records that way."), field="template")
    return template


async def chosen(ctx: Context, entity_key: str, *, ids: Iterable[UUID] | None = None, filter: Any = None, view: str | None = None, q: str | None = None) -> list[UUID]:
    """The records of a list, or those of `ids`, that the person may read. Errors: BadRequest for too many."""
    wanted = list(dict.fromkeys(ids)) if ids is not None else None
    if wanted is not None:
        filter = {"field": "id", "op": "in", "value": [str(i) for i in wanted[:MAX_LIMIT]]}
    found: list[UUID] = []
    after: str | None = None
    async with tenant_transaction(ctx.tenant_id):
        while True:
            page = await execute(ctx, ops.List(entity=entity_key, fields=["id"], sort=["-created_at"], limit=MAX_LIMIT, after=after, filter=filter, view=view, q=q))
            found += [r.id for r in page.records]
            after = page.next
            if after is None or len(found) > MOST:
                break
    if len(found) > MOST:
        raise BadRequest(lazy("At most %(count)s records at once; narrow the list down.", count=MOST))
    return found


async def preview(ctx: Context, entity_key: str, template_key: str, channel: str, ids: Sequence[UUID]) -> Preview:
    """Nothing is sent. Errors: as sending."""
    template = check_request(ctx, entity_key, template_key, channel, many=len(ids) > 1)
    entity = entity_of(ctx, entity_key)
    people, unusable, first = 0, 0, ("", "")
    left_out: set[str] = set()
    async with tenant_transaction(ctx.tenant_id, only_reads=True) as conn:
        for record_id in ids[:SHOWN]:
            row = await find(conn, ctx, entity, record_id)
            if row is None:
                continue
            run = ActionRun(Act(conn, ctx.replace(elevated=True)), entity, row)
            found, bad = await receivers(run, template.to, channel)
            people, unusable = people + len(found), unusable + bad
            if not template.essential:
                left_out |= await _out(conn, ctx, channel, found)
            if found and not first[1]:
                subject, body = [await render(_seen(run, ctx), pick(label, ctx.locale) if label else "", ctx.locale, {"company": ctx.tenant.name}) for label in (template.subject, template.body)]
                first = (subject, body)
    return Preview(len(ids), people, len(left_out), unusable, *first, counted=min(len(ids), SHOWN))


def _seen(run: ActionRun, ctx: Context) -> ActionRun:
    """With the values that the person may see: a preview is no way around rights on fields."""
    row, access = run.row.copy(), permissions.access(ctx, run.entity, run.row.holds)
    for key, level in access.items():
        if level in ("hidden", "masked"):
            row.values[key] = None
    return ActionRun(run.act, run.entity, row)


async def _out(conn: Any, ctx: Context, channel: str, found: Sequence[Receiver]) -> set[str]:
    addresses, people = await is_out(conn, ctx, channel, [r.address for r in found if channel != "in_app"], [r.user_id for r in found if r.user_id])
    return addresses | {str(p) for p in people}


async def send_to_many(ctx: Context, entity_key: str, template_key: str, channel: str, ids: Sequence[UUID]) -> Sent | jobs.JobInfo:
    """Send it to each of the records that the person may read; for more than INLINE of them by a job. Errors: PermissionDenied, BadRequest,
    PlanLimitReached."""
    check_request(ctx, entity_key, template_key, channel, many=len(ids) > 1)
    batch_id = new_id()
    if len(ids) <= INLINE:
        async with tenant_transaction(ctx.tenant_id) as conn:
            return await send_some(conn, ctx, entity_key, template_key, channel, ids, batch_id, 0)
    async with tenant_transaction(ctx.tenant_id) as conn:
        payload = {"entity": entity_key, "template": template_key, "channel": channel, "ids": [str(i) for i in ids], "batch": str(batch_id)}
        job_id = await jobs.enqueue(conn, ctx, "send_messages", payload, total=len(ids))
    jobs.ring()
    return await jobs.get_job(ctx, job_id)


async def send_some(conn: Any, ctx: Context, entity_key: str, template_key: str, channel: str, ids: Sequence[UUID], batch_id: UUID, before: int) -> Sent:
    """Some of many, in the transaction that is open. `before`: how many went before them, which they wait for."""
    entity, template, done = entity_of(ctx, entity_key), template_of(ctx, template_key), Sent()
    for number, record_id in enumerate(ids):
        if await find(conn, ctx, entity, record_id) is None:  # deleted meanwhile, or not theirs to see
            continue
        row = await read_row(conn, ctx, entity, record_id)
        assert row is not None
        run = ActionRun(Act(conn, ctx.replace(elevated=True)), entity, row)
        wait = (before + number) * 60 / PER_MINUTE if channel != "in_app" and before + number >= INLINE else 0
        done.add(await send(run, template, channel, batch_id=batch_id, after_seconds=wait))
    return done
