"""The same act on many records, each through the one door; what cannot be done is reported, the rest is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import AppError, BadRequest, FieldProblem, InvalidInput, PermissionDenied
from saas.i18n import lazy, pick, titled
from saas.runtime import jobs, permissions, ranks
from saas.runtime import operations as ops
from saas.runtime.context import Context
from saas.runtime.door import execute
from saas.runtime.query import MAX_LIMIT
from saas.runtime.records import entity_of

INLINE = 500
MOST = 20_000
BATCH = 50
MAX_REPORTED = 500
ACTIONS = ("update", "delete", "restore", "transition", "assign", "claim", "release")


@dataclass(frozen=True, slots=True)
class BulkPlan:
    """`action`: update (values), delete, restore, transition (key, values), assign (values {"owner": id}), claim, release."""

    entity: str
    action: str
    values: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"entity": self.entity, "action": self.action, "values": dict(self.values), "key": self.key}


async def bulk(
    ctx: Context, entity_key: str, action: str, *, ids: Iterable[UUID] | None = None, filter: Any = None, view: str | None = None,
    q: str | None = None, values: Mapping[str, Any] | None = None, key: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Do it for `ids`, or for all records of a list (filter, view, q): {"done": n, "failed": [{id, title, message}], "failed_count"};
    for more than INLINE records {"job": JobInfo}, whose result will be that. Errors: PermissionDenied, BadRequest."""
    plan = _plan(ctx, entity_key, action, values or {}, key)
    chosen = list(dict.fromkeys(ids)) if ids is not None else await _all_ids(ctx, plan, filter=filter, view=view, q=q)
    if len(chosen) > MOST:
        raise BadRequest(lazy("At most %(count)s records at once; narrow the list down.", count=MOST))
    if len(chosen) <= INLINE:
        return await _run(ctx, plan, chosen)
    async with tenant_transaction(ctx.tenant_id) as conn:
        payload = {"plan": plan.to_json(), "ids": [str(i) for i in chosen], "locale": ctx.locale}
        job_id = await jobs.enqueue(conn, ctx, "bulk_edit", payload, total=len(chosen))
    jobs.ring()
    return {"job": await jobs.get_job(ctx, job_id)}


def _plan(ctx: Context, entity_key: str, action: str, values: Mapping[str, Any], key: str | None) -> BulkPlan:
    entity = entity_of(ctx, entity_key)
    if action not in ACTIONS:
        raise BadRequest(lazy("“%(action)s” cannot be done with many records.", action=action), field="action")
    # Claiming and giving back have limits of their own, and are a person's daily work.
    if action not in ("claim", "release") and not any(r.bulk for r in permissions.entity_rights(ctx, entity_key)):
        raise PermissionDenied(lazy("Your role does not allow this."), right="bulk", entity=entity_key)
    if action == "transition" and (entity.pipeline is None or entity.pipeline.transition(key or "") is None):
        raise BadRequest(lazy("There is no transition “%(key)s” here.", key=key), field="key")
    if action in ("claim", "release") and not entity.defn.pools:
        raise BadRequest(lazy("These records come from no pool."), field="action")
    if action == "assign" and (not entity.defn.owned or "owner" not in values):
        raise BadRequest(lazy("Say who shall be responsible."), field="owner")
    if action == "update" and not values:
        raise BadRequest(lazy("Choose at least one field to change."), field="values")
    return BulkPlan(entity_key, action, {"owner": values["owner"]} if action == "assign" else dict(values), key)


async def _all_ids(ctx: Context, plan: BulkPlan, **asked: Any) -> list[UUID]:
    return await list_ids(ctx, plan.entity, deleted=plan.action == "restore", **asked)


async def list_ids(ctx: Context, entity_key: str, *, deleted: bool = False, **asked: Any) -> list[UUID]:
    """Every record of the list (filter, view, q) as it is now, and a few more than MOST at most: read first, so that changes do not move
    records in or out of it meanwhile."""
    found: list[UUID] = []
    after: str | None = None
    async with tenant_transaction(ctx.tenant_id):
        while True:
            page = await execute(
                ctx,
                ops.List(entity=entity_key, fields=["id"], sort=["-created_at"], limit=MAX_LIMIT, after=after, deleted=deleted, **asked),
            )
            found += [r.id for r in page.records]
            after = page.next
            if after is None or len(found) > MOST:
                return found


async def _run(ctx: Context, plan: BulkPlan, ids: Sequence[UUID]) -> dict[str, Any]:
    report = empty_report()
    for start in range(0, len(ids), BATCH):
        async with tenant_transaction(ctx.tenant_id):
            await run_batch(ctx, plan, ids[start : start + BATCH], report)
    return report


def empty_report() -> dict[str, Any]:
    return {"done": 0, "failed_count": 0, "failed": []}


async def run_batch(ctx: Context, plan: BulkPlan, ids: Sequence[UUID], report: dict[str, Any]) -> None:
    """Some records in the transaction that is open; each stands or falls alone."""
    ctx = ctx.replace(origin="bulk")
    failed: list[tuple[UUID, str]] = []
    with ranks.batch(entity_of(ctx, plan.entity), ids):
        for record_id in sorted(ids) if plan.action in ("claim", "release", "assign") else ids:  # in one order, so that two people do not wait for each other
            try:
                await execute(ctx, _operation(plan, record_id))
                report["done"] += 1
            except AppError as error:
                failed.append((record_id, _message(ctx, plan, error)))
    report["failed_count"] += len(failed)
    room = MAX_REPORTED - len(report["failed"])
    if failed and room > 0:
        titles = await _titles(ctx, plan, [i for i, _message in failed[:room]])
        report["failed"] += [{"id": str(i), "title": titles.get(i, ""), "message": message} for i, message in failed[:room]]


def _operation(plan: BulkPlan, record_id: UUID) -> Any:
    if plan.action == "delete":
        return ops.Delete(entity=plan.entity, id=record_id)
    if plan.action == "restore":
        return ops.Restore(entity=plan.entity, id=record_id)
    if plan.action == "transition":
        return ops.Transition(entity=plan.entity, id=record_id, key=plan.key or "", values=plan.values, brief=True)
    if plan.action == "claim":
        return ops.Claim(entity=plan.entity, id=record_id, brief=True)
    if plan.action == "release":
        return ops.Release(entity=plan.entity, id=record_id, brief=True)
    if plan.action == "assign" and plan.values["owner"]:
        return ops.Assign(entity=plan.entity, id=record_id, to=person_of(plan.values["owner"]), brief=True)
    return ops.Update(entity=plan.entity, id=record_id, values=plan.values, brief=True)


def person_of(value: Any) -> UUID:
    """The id of a person as somebody gave it. Errors: InvalidInput."""
    try:
        return UUID(str(value))
    except ValueError as error:
        raise InvalidInput([FieldProblem("owner", "unknown_user", lazy("Choose one of the people offered."), "/owner")]) from error


def _message(ctx: Context, plan: BulkPlan, error: AppError) -> str:
    if not isinstance(error, InvalidInput) or not error.problems:
        return str(error.message)
    entity = ctx.config.entity(plan.entity)
    parts = []
    for problem in error.problems:
        f = entity.fields.get(problem.field)
        parts.append(titled(pick(f.label, ctx.locale) if f else "", problem.message))
    return " ".join(parts)


async def _titles(ctx: Context, plan: BulkPlan, ids: Sequence[UUID]) -> dict[UUID, str]:
    """Names of records the person may read; the others stay nameless."""
    if not permissions.may(ctx, "read", plan.entity):
        return {}
    filter_ = {"field": "id", "op": "in", "value": [str(i) for i in ids]}
    page = await execute(ctx, ops.List(entity=plan.entity, filter=filter_, fields=[], limit=MAX_LIMIT))
    return {r.id: r.title for r in page.records}

