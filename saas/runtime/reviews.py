"""Review queues: records that wait until somebody has compared them with what is there, and decided what they are.

What may be decided are transitions of the waiting record's pipeline, so who may, what they must fill in and what follows is said there; a
decision is one transaction. The record names its match in the review's field `target`; others that wait and were ticked name it in `source`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.errors import BadRequest, Conflict, NotFound, PermissionDenied
from saas.i18n import lazy, pick
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.models import ReviewDef, TransitionDef
from saas.runtime import operations as ops
from saas.runtime import permissions, records
from saas.runtime.acts import Act
from saas.runtime.context import Context
from saas.runtime.pipelines import move_record
from saas.runtime.present import can_flags, present
from saas.runtime.rows import Projection, Row
from saas.runtime.sql import RecordScope, Statement
from saas.runtime.twins import found_twins, review_matchers
from saas.tenants import new_id

CASES = ("both", "target_only", "sources_only", "nothing")
MOST_WAITING = 200  # shown of one queue
MOST_SOURCES = 50


@dataclass(frozen=True, slots=True)
class Queue:
    """A review that the person may work on, and how many records wait that they may see."""

    review: ReviewDef
    entity: Entity
    waiting: int


@dataclass(frozen=True, slots=True)
class Waiting:
    id: UUID
    record: ops.Record
    since: datetime


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record it may be matched to, or another that waits. `why`: the fields that agree and how much, exact ones first."""

    record: ops.Record
    why: tuple[tuple[str, int], ...]
    item: UUID | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """Everything a reviewer looks at. `cases`: {case: its transition} of what may be decided; `compared`: the fields side by side."""

    item: UUID
    record: ops.Record
    targets: list[Candidate]
    sources: list[Candidate]
    cases: Mapping[str, TransitionDef]
    compared: tuple[str, ...]
    there: Mapping[str, str]
    target_entity: Entity | None
    ask: tuple[str, ...] = field(default=())


def review_of(ctx: Context, key: str) -> tuple[ReviewDef, Entity]:
    """A review whose queue the person may work on. Errors: NotFound, also for those who may not."""
    review = next((r for r in ctx.config.bundle.reviews if r.key == key), None)
    if review is None or review.entity not in ctx.config.entities or not may_review(ctx, review):
        raise NotFound(lazy("There is no such review here."))
    return review, ctx.config.entity(review.entity)


def may_review(ctx: Context, review: ReviewDef) -> bool:
    """Whoever may read such records and, by their roles, do one of the transitions."""
    entity = ctx.config.entity(review.entity)
    return permissions.may(ctx, "read", entity.key) and bool(_cases(ctx, review, entity))


def _cases(ctx: Context, review: ReviewDef, entity: Entity) -> dict[str, TransitionDef]:
    found: dict[str, TransitionDef] = {}
    for case in CASES:
        transition = entity.pipeline.transition(getattr(review, case) or "") if entity.pipeline else None
        if transition is None:
            continue
        verdict = permissions.transition_roles(ctx, entity.pipeline, transition)  # type: ignore[arg-type]
        if verdict or (verdict is None and permissions.may_change(ctx, entity.key)):
            found[case] = transition
    return found


# ---- getting into the queue ----------------------------------------------------------------------------------------------


async def enqueue(act: Act, review: ReviewDef, record_id: UUID) -> None:
    """Let a record wait, or match it at once where the review says so and one is exactly equal. One that waits already, or that is in
    another stage, is left alone."""
    ctx, entity = act.ctx, act.ctx.config.entity(review.entity)
    inner = act.under(elevated=True)
    row = await records.find(act.conn, inner.ctx, entity, record_id, lock=True)
    if row is None or row.state != review.stage:
        return
    item_id = await act.conn.fetchval(
        "INSERT INTO review_item (tenant_id, id, review_key, entity_id, record_id, enqueued_at) VALUES ($1, $2, $3, $4, $5, $6) "
        "ON CONFLICT (tenant_id, review_key, record_id) WHERE decided_at IS NULL DO NOTHING RETURNING id",
        ctx.tenant_id, new_id(ctx.now), review.key, entity.number, record_id, ctx.now,
    )  # fmt: skip
    if item_id is None or not review.exact_found:
        return
    target = await _exact(inner, review, row)
    if target is not None:
        await _match(inner, review, entity, record_id, target)
        await move_record(inner, entity, record_id, review.exact_found, {})
        await _decided(act, item_id, "exact_found", target, ())


async def _exact(act: Act, review: ReviewDef, row: Row) -> UUID | None:
    """The oldest record that is equal in an exact field, the fields in their order."""
    for looked in review_matchers(act.ctx.config, review):
        if looked.exact and looked.with_target:
            hits = await found_twins(act.conn, act.ctx, looked.matcher, row, also=review.target_if)
            if hits:
                return min(hit.row.id for hit in hits)
    return None


async def _match(act: Act, review: ReviewDef, entity: Entity, record_id: UUID, target: UUID) -> None:
    await records.update(act, entity, record_id, {str(review.target): str(target)}, confirm_duplicates=True)


# ---- looking ---------------------------------------------------------------------------------------------------------------


async def queues(conn: Any, ctx: Context) -> list[Queue]:
    """The reviews the person may work on, with how many records wait."""
    found = []
    for review in ctx.config.bundle.reviews:
        if review.entity in ctx.config.entities and may_review(ctx, review):
            entity = ctx.config.entity(review.entity)
            statement, where = _waiting_sql(ctx, review, entity)
            count = await conn.fetchval(*statement.finish(f"SELECT count(*) FROM review_item i JOIN record t ON t.id = i.record_id WHERE {where}"))
            found.append(Queue(review, entity, count))
    return found


def _waiting_sql(ctx: Context, review: ReviewDef, entity: Entity, more: Any = None) -> tuple[Statement, str]:
    """Of items `i` with their records `t`: those that wait and that the person may see."""
    statement = Statement(ctx)
    scope = RecordScope(statement, entity, "t")
    parts = [
        f"i.tenant_id = {scope.param(ctx.tenant_id, 'uuid')}", f"i.review_key = {scope.param(review.key, 'text')}", "i.decided_at IS NULL", f"i.entity_id = {entity.number}",
        f"t.entity_id = {entity.number}", "t.deleted_at IS NULL", f"t.state = {scope.param(review.stage, 'text')}", permissions.right_sql("read", scope),
    ]  # fmt: skip
    if more is not None:
        parts.append(more(scope))
    return statement, " AND ".join(f"({p})" for p in parts)


async def waiting(conn: Any, ctx: Context, review: ReviewDef, entity: Entity) -> list[Waiting]:
    """What waits, the longest first."""
    statement, where = _waiting_sql(ctx, review, entity)
    rows = await conn.fetch(*statement.finish(f"SELECT i.id, i.record_id, i.enqueued_at FROM review_item i JOIN record t ON t.id = i.record_id WHERE {where} ORDER BY i.enqueued_at, i.id LIMIT {MOST_WAITING}"))
    shown = await _shown(conn, ctx, entity, [r[1] for r in rows])
    return [Waiting(r[0], shown[r[1]], r[2]) for r in rows if r[1] in shown]


async def _shown(conn: Any, ctx: Context, entity: Entity, ids: Sequence[UUID]) -> dict[UUID, ops.Record]:
    statement = Statement(ctx)
    scope = RecordScope(statement, entity, "t")
    projection = Projection(scope)
    readable = permissions.right_sql("read", scope)
    can_flags(ctx, scope, projection.flag)
    sql = f"SELECT {projection.sql} FROM record t WHERE t.entity_id = {entity.number} AND t.deleted_at IS NULL AND {readable} AND t.id = ANY({scope.param(list(ids), 'uuid[]')})"
    return {record.id: record for record in await present(conn, ctx, entity, projection.rows(await conn.fetch(*statement.finish(sql))))}


async def panel(conn: Any, ctx: Context, review: ReviewDef, entity: Entity, item_id: UUID) -> Panel:
    """One record with what it may be. Only records that the person may see are shown. Errors: NotFound."""
    record_id = await _waits(conn, ctx, review, entity, item_id)
    row = await records.load(conn, ctx, entity, record_id)
    why: dict[bool, dict[UUID, list[tuple[bool, str, int]]]] = {True: {}, False: {}}
    access = permissions.access(ctx, entity, row.holds)
    for looked in review_matchers(ctx.config, review):
        if access.get(looked.field) not in ("read", "write"):
            continue  # what they may not see is not told by what resembles it
        for hit in await found_twins(conn, ctx, looked.matcher, row, only_readable=True, also=review.target_if if looked.with_target else None):
            why[looked.with_target].setdefault(hit.row.id, []).append((looked.exact, looked.field, hit.score))
    target = ctx.config.entities.get(str(entity.fields[review.target].options.get("to"))) if review.target else None
    targets = await _candidates(conn, ctx, target, why[True]) if target is not None else []
    items = await _items(conn, ctx, review, entity, why[False])
    sources = [Candidate(c.record, c.why, items[c.record.id]) for c in await _candidates(conn, ctx, entity, {i: w for i, w in why[False].items() if i in items})]
    cases = _cases(ctx, review, entity)
    compared = tuple(k for k in dict.fromkeys((*review.exact, *review.similar)) if access.get(k, "hidden") != "hidden")
    ask = tuple(dict.fromkeys(k for t in cases.values() for k in (*t.require, *t.ask) if k != review.target))
    [record] = (await _shown(conn, ctx, entity, [record_id])).values()
    return Panel(item_id, record, targets, sources, cases, compared, _there(review), target, ask)


def _there(review: ReviewDef) -> dict[str, str]:
    """{field: the one of the target it is compared with}."""
    pairs = [*zip(review.exact, review.exact_there or review.exact, strict=False), *zip(review.similar, review.similar_there or review.similar, strict=False)]
    return dict(pairs)


async def _candidates(conn: Any, ctx: Context, entity: Entity, why: Mapping[UUID, list[tuple[bool, str, int]]]) -> list[Candidate]:
    shown = await _shown(conn, ctx, entity, list(why))
    order = sorted((i for i in why if i in shown), key=lambda i: (not any(exact for exact, _, _ in why[i]), -len(why[i]), -max(s for _, _, s in why[i]), i))
    return [Candidate(shown[i], tuple((key, score) for _, key, score in sorted(why[i], key=lambda w: (not w[0], -w[2])))) for i in order]


async def _items(conn: Any, ctx: Context, review: ReviewDef, entity: Entity, ids: Mapping[UUID, Any]) -> dict[UUID, UUID]:
    """{record: its waiting item}."""
    statement, where = _waiting_sql(ctx, review, entity, lambda scope: f"i.record_id = ANY({scope.param(list(ids), 'uuid[]')})")
    return {r[1]: r[0] for r in await conn.fetch(*statement.finish(f"SELECT i.id, i.record_id FROM review_item i JOIN record t ON t.id = i.record_id WHERE {where}"))}


async def _waits(conn: Any, ctx: Context, review: ReviewDef, entity: Entity, item_id: UUID) -> UUID:
    statement, where = _waiting_sql(ctx, review, entity, lambda scope: f"i.id = {scope.param(item_id, 'uuid')}")
    record_id = await conn.fetchval(*statement.finish(f"SELECT i.record_id FROM review_item i JOIN record t ON t.id = i.record_id WHERE {where}"))
    if record_id is None:
        raise NotFound(lazy("This does not wait any more, or you may not see it."))
    return record_id


# ---- deciding ---------------------------------------------------------------------------------------------------------------


async def decide(act: Act, review: ReviewDef, item_id: UUID, target: UUID | None, sources: Sequence[UUID], values: Mapping[str, Any]) -> str:
    """Decide what a waiting record is: `target` it is matched to, `sources` are items of others that wait, `values` what the reviewer
    fills in. Returns the case. Errors: NotFound, BadRequest, Conflict, PermissionDenied, InvalidInput."""
    ctx, entity = act.ctx, act.ctx.config.entity(review.entity)
    wanted = list(dict.fromkeys(sources))
    if item_id in wanted or len(wanted) > MOST_SOURCES:
        raise BadRequest(lazy("Tick others that wait, not the record itself."), field="sources")
    case = ("both" if wanted else "target_only") if target else ("sources_only" if wanted else "nothing")
    # One after the other, in one order: two reviewers never decide the same record.
    await act.conn.execute("SELECT 1 FROM review_item WHERE tenant_id = $1 AND id = ANY($2::uuid[]) ORDER BY id FOR UPDATE", ctx.tenant_id, [item_id, *wanted])
    record_id = await _waits(act.conn, ctx, review, entity, item_id)
    transition = _cases(ctx, review, entity).get(case)
    if transition is None:
        raise PermissionDenied(lazy("This cannot be decided here: tick something else."), reason="case", case=case)
    others = [await _waits(act.conn, ctx, review, entity, i) for i in wanted]
    if target is not None:
        await _refuse_target(act, review, entity, target)
    inner = act.under(elevated=True)
    if target is not None:
        await _match(inner, review, entity, record_id, target)
    await move_record(act, entity, record_id, transition.key, values)
    for other, other_item in zip(others, wanted, strict=True):
        changes = {str(review.source): str(record_id)} if review.source else {}
        if target is not None:
            changes[str(review.target)] = str(target)
        if changes:
            await records.update(inner, entity, other, changes, confirm_duplicates=True)
        await move_record(inner, entity, other, str(review.each_source), {})
        await _decided(act, other_item, "source", target, ())
    await _decided(act, item_id, case, target, others)
    act.effect("review", entity.key, record_id)
    return case


async def _refuse_target(act: Act, review: ReviewDef, entity: Entity, target: UUID) -> None:
    """It must be one that the person may see and that may be matched."""
    other = act.ctx.config.entity(entity.fields[str(review.target)].options["to"])
    await records.load(act.conn, act.ctx, other, target, lock=True)
    if review.target_if:
        statement = Statement(act.ctx)
        scope = RecordScope(statement, other, "t")
        holds = ex.to_where(ex.parse(review.target_if), scope)
        if not await act.conn.fetchval(*statement.finish(f"SELECT coalesce({holds}, false) FROM record t WHERE t.entity_id = {other.number} AND t.id = {scope.param(target, 'uuid')}")):
            raise Conflict(lazy("Nothing can be matched to this record."), reason="target")


async def _decided(act: Act, item_id: UUID, outcome: str, target: UUID | None, sources: Sequence[UUID]) -> None:
    done = await act.conn.fetchval(
        "UPDATE review_item SET decided_at = $3, decided_by = $4, outcome = $5, target_id = $6, sources = $7::jsonb WHERE tenant_id = $1 AND id = $2 AND decided_at IS NULL RETURNING true",
        act.ctx.tenant_id, item_id, act.ctx.now, act.ctx.user_id, outcome, target, json.dumps([str(i) for i in sources]),
    )  # fmt: skip
    if not done:
        raise Conflict(lazy("Somebody decided this meanwhile."), reason="decided")


def case_words(ctx: Context, panel_: Panel) -> dict[str, str]:
    """{case: what its transition is called}."""
    return {case: pick(t.label, ctx.locale) for case, t in panel_.cases.items()}
