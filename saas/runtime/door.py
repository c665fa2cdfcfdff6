"""`execute`: the one door to records. Opens the tenant's transaction (or joins the one open), runs the operation, and answers
with what the person may see."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from saas.db import in_transaction, limits, tenant_transaction
from saas.errors import AppError, BadRequest, Conflict, NotFound, RecordMerged, TooSlow
from saas.i18n import gettext as _
from saas.i18n import lazy, pick
from saas.metadata import expressions as ex
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import OptionDef, ViewDef
from saas.runtime import (
    aggregates,
    buttons,
    composing,
    costs,
    creating,
    events,
    merging,
    permissions,
    pipelines,
    postings,
    records,
    reviews,
    runs,
    search,
    upserts,
)
from saas.runtime import operations as ops
from saas.runtime.acts import Act
from saas.runtime.approvals import flows
from saas.runtime.context import Context
from saas.runtime.pools import moves
from saas.runtime.pools.rights import name_of
from saas.runtime.present import Names, can, can_flags, present
from saas.runtime.query import EXPORT_LIMIT, MAX_LIMIT, Query, count, parse_sort, read_rows, view_of
from saas.runtime.rows import Projection, Row
from saas.runtime.views import ALL_KEY, configured_views, everything, saved_views
from saas.tenants import new_id

ATTEMPTS = 4  # of a write that met another one


async def execute(ctx: Context, operation: Any) -> Any:
    """Run one operation (saas.runtime.operations) for `ctx`.

    CreateMany -> [id or AppError]; UpsertMany -> [Loaded or AppError]; Create, Update, Delete, Restore, Transition, Press, Claim, Assign, Release, Reverse, Compose, Merge, UndoMerge -> Change; Get -> Record; List -> Page;
    Board -> [BoardColumn]; Aggregate -> [AggregateRow]; History -> [HistoryEntry]; CompareForMerge -> MergeSheet; GetMerge -> PastMerge; Decide -> Change.
    Errors: NotFound, RecordMerged (with where it leads), PermissionDenied, InvalidInput, StaleVersion, Conflict, DuplicateFound, BadRequest, TooSlow, Unavailable.
    A write that fails leaves nothing behind, also inside a larger transaction.
    """
    handler, writes = _HANDLERS[type(operation)]
    entity = records.entity_of(ctx, operation.entity)
    now = ctx.now  # one moment for the whole act: what belongs together is found again by it
    if writes:
        permissions.require_active(ctx)
        ctx = ctx.replace(fixed_now=now, operation_id=ctx.operation_id or new_id(now))
    else:
        ctx = ctx.replace(fixed_now=now)
    try:
        return await _execute(ctx, handler, entity, operation, writes=writes)
    except AppError as error:
        if writes:
            await runs.keep_undone(ctx, error)
        raise


async def _execute(ctx: Context, handler: Callable[..., Awaitable[Any]], entity: Entity, operation: Any, *, writes: bool) -> Any:
    for attempt in range(ATTEMPTS):
        try:
            async with _transaction(ctx, writes) as conn:
                try:
                    return await handler(conn, ctx, entity, operation)
                except NotFound as error:
                    await _lead_on(conn, ctx, entity, operation, error)
                    raise
        except Conflict as error:
            # Two acts waited for each other and the database ended one of them: nothing of it is left, so it is done again.
            if error.data.get("reason") != "deadlock" or in_transaction() or attempt == ATTEMPTS - 1:
                raise
        except (asyncpg.QueryCanceledError, TooSlow) as error:
            if isinstance(error, TooSlow) and error.data:
                raise
            raise costs.too_slow(ctx, entity, operation, limits.statement_seconds()) from error
        except asyncpg.DataError as error:
            raise BadRequest(lazy("A value is outside of what can be computed or stored.")) from error
    raise AssertionError("unreachable")


async def _lead_on(conn: Any, ctx: Context, entity: Entity, operation: Any, error: NotFound) -> None:
    """An id that was merged away leads to the record it lives on in, for those who may see that one. Raises RecordMerged, or nothing."""
    record_id = getattr(operation, "id", None)
    if isinstance(error, RecordMerged) or not isinstance(record_id, UUID):
        return
    survivor = await merging.survivor_of(conn, ctx, entity, record_id)
    if survivor is not None and await records.find(conn, ctx, entity, survivor) is not None:
        raise RecordMerged(entity=entity.key, merged_into=str(survivor)) from error


@asynccontextmanager
async def _transaction(ctx: Context, writes: bool):
    nested = in_transaction()
    async with tenant_transaction(ctx.tenant_id, only_reads=not writes) as conn:
        if nested and writes:
            async with conn.transaction():
                yield conn
        else:
            yield conn


# ---- writes ------------------------------------------------------------------------------------------------------------


def _said(ctx: Context, entity: Entity, key: str, standard: str) -> str:
    return pick(entity.defn.messages.get(key), ctx.locale) or standard


async def _change(act: Act, entity: Entity, record_id: UUID, message: str, *, brief: bool = False) -> ops.Change:
    """The result of a write: the record as it stands after all effects, as far as the person may still see it."""
    record = None
    if not brief and permissions.may(act.ctx, "read", entity.key):
        record = await _shown(act.conn, act.ctx, entity, record_id)
    effects = [e for e in act.effects if e["id"] != str(record_id) or e["action"] == "create"]
    return ops.Change(record, effects, act.warnings, message)


async def _shown(conn: Any, ctx: Context, entity: Entity, record_id: UUID, *, deleted: bool = False) -> ops.Record | None:
    names = Names()
    row = await records.find(conn, ctx, entity, record_id, deleted=deleted, names=names)
    if row is None:
        return None
    [record] = await present(conn, ctx, entity, [row], names=names)
    record.can = can(ctx, entity, row)
    if not deleted and buttons.buttons_of(ctx, entity):
        record.can.buttons = await buttons.offers(conn, ctx, entity, record)
    return record


async def _press(conn: Any, ctx: Context, entity: Entity, op: ops.Press) -> ops.Change:
    act = Act(conn, ctx)
    await buttons.press(act, entity, op.id, op.key)
    return await _change(act, entity, op.id, _("Done"))


async def _create(conn: Any, ctx: Context, entity: Entity, op: ops.Create) -> ops.Change:
    act = Act(conn, ctx)
    row = await records.create(act, entity, op.values, confirm_duplicates=op.confirm_duplicates, reason=op.reason, record_id=op.id)
    return await _change(act, entity, row.id, _said(ctx, entity, "created", _("Saved")), brief=op.brief)


async def _create_many(conn: Any, ctx: Context, entity: Entity, op: ops.CreateMany) -> list[UUID | AppError]:
    """Together as far as that changes nothing; the others each in a savepoint of its own."""

    async def alone(values: ops.Values, moment: datetime) -> UUID:
        record_id = new_id(moment)
        own = ctx.replace(fixed_now=moment, operation_id=None)
        await execute(own, ops.Create(entity=entity.key, values=values, confirm_duplicates=op.confirm_duplicates, id=record_id, brief=True))
        return record_id

    return await creating.create_many(Act(conn, ctx), entity, op.rows, alone, confirm_duplicates=op.confirm_duplicates)


async def _update(conn: Any, ctx: Context, entity: Entity, op: ops.Update) -> ops.Change:
    act = Act(conn, ctx)
    await records.update(act, entity, op.id, op.values, version=op.version, confirm_duplicates=op.confirm_duplicates, reason=op.reason)
    return await _change(act, entity, op.id, _said(ctx, entity, "updated", _("Saved")), brief=op.brief)


async def _delete(conn: Any, ctx: Context, entity: Entity, op: ops.Delete) -> ops.Change:
    act = Act(conn, ctx)
    await records.delete(act, entity, op.id, version=op.version, along=op.along and ctx.unrestricted)
    return ops.Change(None, act.effects, act.warnings, _said(ctx, entity, "deleted", _("Deleted")))


async def _restore(conn: Any, ctx: Context, entity: Entity, op: ops.Restore) -> ops.Change:
    act = Act(conn, ctx)
    await merging.refuse_traced(conn, ctx, entity, op.id)
    await records.restore(act, entity, op.id)
    return await _change(act, entity, op.id, _("Restored"))


async def _merge(conn: Any, ctx: Context, entity: Entity, op: ops.Merge) -> ops.Change:
    act = Act(conn, ctx)
    merged = await merging.merge(act, entity, op.survivor, op.losers, op.choices, winner=op.winner, versions=op.versions, patient=op.patient)
    change = await _change(act, entity, merged.survivor, _("Merged"))
    return dataclasses.replace(change, merge=merged.id)


async def _undo_merge(conn: Any, ctx: Context, entity: Entity, op: ops.UndoMerge) -> ops.Change:
    act = Act(conn, ctx)
    survivor = await merging.undo(act, entity, op.merge, patient=op.patient)
    return dataclasses.replace(await _change(act, entity, survivor, _("The merge was undone")), merge=op.merge)


async def _compare_for_merge(conn: Any, ctx: Context, entity: Entity, op: ops.CompareForMerge) -> ops.MergeSheet:
    return await merging.sheet(Act(conn, ctx), entity, op.survivor, op.losers, op.choices, op.winner)


async def _decide(conn: Any, ctx: Context, entity: Entity, op: ops.Decide) -> ops.Change:
    act = Act(conn, ctx)
    review, about = reviews.review_of(ctx, op.review)
    if about.key != entity.key:
        raise NotFound(lazy("There is no such review here."))
    case = await reviews.decide(act, review, op.item, op.target, op.sources, op.values)
    return ops.Change(None, act.effects, act.warnings, _("Decided"), case=case)


async def _get_merge(conn: Any, ctx: Context, entity: Entity, op: ops.GetMerge) -> merging.PastMerge:
    return await merging.past_merge(conn, ctx, entity, op.merge)


async def _transition(conn: Any, ctx: Context, entity: Entity, op: ops.Transition) -> ops.Change:
    act = Act(conn, ctx)
    _row, transition = await pipelines.move_record(act, entity, op.id, op.key, op.values, version=op.version)
    return await _change(act, entity, op.id, pick(transition.done, ctx.locale) or _("Done"), brief=op.brief)


async def _upsert_many(conn: Any, ctx: Context, entity: Entity, op: ops.UpsertMany) -> list[upserts.Loaded | AppError]:
    return await upserts.upsert_many(conn, ctx, entity, op.by, op.rows)


async def _compose(conn: Any, ctx: Context, entity: Entity, op: ops.Compose) -> ops.Change:
    act = Act(conn, ctx)
    form = composing.form_called(ctx, op.form)
    row = await composing.compose(act, form, op.main.id, op.main, op.parts, confirm_duplicates=op.confirm_duplicates)
    return await _change(act, entity, row.id, _said(ctx, entity, "updated" if op.main.id else "created", _("Saved")))


async def _start_approval(conn: Any, ctx: Context, entity: Entity, op: ops.StartApproval) -> ops.Change:
    act = Act(conn, ctx)
    await flows.start(act, entity, op.id, op.approval, way=op.way, people=op.people, together=op.together, comment=op.comment)
    return await _change(act, entity, op.id, _("The approval has been started"))


async def _act_on_approval(conn: Any, ctx: Context, entity: Entity, op: ops.ActOnApproval) -> ops.Change:
    act = Act(conn, ctx)
    message = await flows.act_on(act, entity, op.id, op.flow, op.act, task_id=op.task, comment=op.comment, to=op.to, person=op.person)
    return await _change(act, entity, op.id, message)


async def _claim(conn: Any, ctx: Context, entity: Entity, op: ops.Claim) -> ops.Change:
    act = Act(conn, ctx)
    row = await (moves.claim(act, entity, op.id) if op.id is not None else moves.claim_next(act, entity, op.pool))
    return await _change(act, entity, row.id, _("It is yours now"), brief=op.brief)


async def _assign(conn: Any, ctx: Context, entity: Entity, op: ops.Assign) -> ops.Change:
    act = Act(conn, ctx)
    row = await moves.assign(act, entity, op.id, op.to)
    return await _change(act, entity, row.id, _("Assigned"), brief=op.brief)


async def _release(conn: Any, ctx: Context, entity: Entity, op: ops.Release) -> ops.Change:
    act = Act(conn, ctx)
    row, pool = await moves.release(act, entity, op.id, values=op.values)
    return await _change(act, entity, row.id, _("Back in “%(pool)s”", pool=name_of(pool, ctx.locale)), brief=op.brief)


async def _reverse(conn: Any, ctx: Context, entity: Entity, op: ops.Reverse) -> ops.Change:
    act = Act(conn, ctx)
    row = await postings.reverse(act, entity, op.id, op.reason)
    return await _change(act, entity, row.id, _("Reversed"))


# ---- reads -------------------------------------------------------------------------------------------------------------


def _may_look(ctx: Context, entity: Entity, *, deleted: bool) -> None:
    """What was deleted is for those who could delete it, and bring it back."""
    if deleted:
        permissions.require(ctx, "delete", entity.key)
        if ctx.viewer is not None and not permissions.is_admin(ctx.viewer):
            permissions.require(ctx.viewer, "delete", entity.key)


async def _get(conn: Any, ctx: Context, entity: Entity, op: ops.Get) -> ops.Record:
    _may_look(ctx, entity, deleted=op.deleted)
    merged = op.deleted and await merging.survivor_of(conn, ctx, entity, op.id) is not None
    record = None if merged else await _shown(conn, ctx, entity, op.id, deleted=op.deleted)
    if record is None:
        raise NotFound(lazy("This record does not exist, or you may not see it."))
    return record


async def _view(conn: Any, ctx: Context, entity: Entity, key: str | None) -> ViewDef | None:
    if key is None:
        return None
    for view in configured_views(ctx, entity):
        if view.key == key:
            return view
    if key == ALL_KEY:
        return everything(entity)
    return view_of(ctx, entity, key, await saved_views(conn, ctx, entity))


async def _list(conn: Any, ctx: Context, entity: Entity, op: ops.List) -> ops.Page:
    permissions.require(ctx, op.right if op.right == "export" else "read", entity.key)
    _may_look(ctx, entity, deleted=op.deleted)
    view = await _view(conn, ctx, entity, op.view)
    query = Query(ctx, entity, right=op.right, deleted=op.deleted)
    if op.deleted:  # what was merged comes back by undoing the merge
        query.where.append(merging.untraced_sql(entity, query.scope.param(ctx.tenant_id, "uuid")))
    if op.right == "export":  # what may leave is never more than what may be seen
        query.where.append(permissions.right_sql("read", query.scope))
    within, filter_ = _filters(view, op.filter)
    for part in (within, op.within):
        query.filter(part, trusted=True)
    query.filter(filter_)
    await query.search(conn, op.q)
    sorts = parse_sort(ctx, entity, op.sort) if op.sort else parse_sort(ctx, entity, view.sort if view else None, trusted=True)
    total = await count(conn, query, op.count)
    fields = _readable_fields(ctx, entity, op.fields)
    projection = Projection(query.scope, None if fields is None else {*fields, entity.defn.title, *(_required(entity) if op.can else ())})
    if op.can:
        can_flags(ctx, query.scope, projection.flag)
    else:
        for condition in permissions.conditions(ctx, entity):
            projection.flag(condition, _condition_sql(query, condition))
    rows, following = await read_rows(conn, query, projection, sorts, min(max(op.limit, 1), EXPORT_LIMIT if op.right == "export" else MAX_LIMIT), op.after)
    found = await present(conn, ctx, entity, rows, fields, op.spoken)
    if op.can:
        for record, row in zip(found, rows, strict=True):
            record.can = can(ctx, entity, row)
    return ops.Page(found, following, total)


def _condition_sql(query: Query, text: str) -> str:
    return ex.to_where(ex.parse(text), query.scope)


def _readable_fields(ctx: Context, entity: Entity, asked: Any) -> list[str] | None:
    if asked is None:
        return None
    access = permissions.static_access(ctx, entity)
    for key in asked:
        if access.get(key, "hidden") == "hidden" and key != "id":
            raise BadRequest(lazy("There is no field “%(key)s” here.", key=key), field="fields")
    return [k for k in asked if k != "id"]


async def _board(conn: Any, ctx: Context, entity: Entity, op: ops.Board) -> list[ops.BoardColumn]:
    permissions.require(ctx, "read", entity.key)
    view = await _view(conn, ctx, entity, op.view)
    board = dict(view.board or {}) if view else {}
    by = op.by or board.get("by") or (entity.pipeline.field if entity.pipeline else None)
    if by is None or by not in entity.fields or entity.fields[by].type not in ("pipeline", "option"):
        raise BadRequest(lazy("A board needs a stage or an option field to make its columns of."), field="by")
    within, filter_ = _filters(view, op.filter)
    sum_field = board.get("sum")
    if sum_field and permissions.static_access(ctx, entity).get(sum_field, "hidden") in ("hidden", "masked"):
        sum_field = None
    measures = [ops.Measure(fn="count"), *([ops.Measure(fn="sum", field=sum_field)] if sum_field else [])]
    wanted = ops.Aggregate(entity=entity.key, measures=measures, dimensions=[ops.Dimension(field=by)], filter=filter_, within=within)
    figures = {row.keys[0]: row.values for row in await aggregates.aggregate(conn, ctx, entity, wanted, q=op.q)}
    card_fields = [k for k in board.get("card") or _card_fields(entity) if k in entity.fields]
    sorts = parse_sort(ctx, entity, (view.sort if view else None) or ("-updated_at",), trusted=True)
    limit = min(max(op.limit, 1), MAX_LIMIT)
    rare = await search.rarest(conn, ctx, entity, op.q)
    columns: list[tuple[OptionDef, list[Any], list[Row]]] = []
    for option in ctx.config.options(entity.key, by):
        figure = figures.get(option.key, [0, None])
        rows: list[Row] = []
        if figure[0]:
            query = Query(ctx, entity)
            query.filter(within, trusted=True)
            query.filter(filter_)
            query.filter({"field": by, "op": "eq", "value": option.key}, trusted=True)
            query.search_as(op.q, rare)
            projection = Projection(query.scope, {*card_fields, entity.defn.title, by, *_required(entity)})
            can_flags(ctx, query.scope, projection.flag)
            rows, _next = await read_rows(conn, query, projection, sorts, limit, None)
        if option.active or figure[0]:
            columns.append((option, figure, rows))
    # The cards of all columns at once: names of people and records are looked up once.
    every = [row for _, _, rows in columns for row in rows]
    cards = dict(zip((row.id for row in every), await present(conn, ctx, entity, every, [*card_fields, entity.defn.title]), strict=True))
    for row in every:
        cards[row.id].can = can(ctx, entity, row)
    return [
        ops.BoardColumn(
            option.key, pick(option.label, ctx.locale), option.color, figure[0], figure[1] if sum_field else None,
            [cards[row.id] for row in rows], figure[0] > len(rows),
        )
        for option, figure, rows in columns
    ]  # fmt: skip


def _filters(view: ViewDef | None, asked: Any) -> tuple[Any, Any]:
    """(what the configuration states, what people ask); a view that somebody saved belongs to the latter."""
    if view is None or not view.filter:
        return None, asked
    if not view.key.startswith("u_"):
        return view.filter, asked
    return None, {"and": [f if isinstance(f, dict) else {"expr": f} for f in (view.filter, asked) if f]}


def _required(entity: Entity) -> set[str]:
    """Fields that say whether a transition still lacks something."""
    return {key for t in entity.pipeline.transitions for key in t.require} if entity.pipeline else set()


def _card_fields(entity: Entity) -> list[str]:
    return [f.key for f in entity.defn.fields if field_types.get(f.type).sortable and f.key != entity.defn.title and f.type != "pipeline"][:3]


async def _aggregate(conn: Any, ctx: Context, entity: Entity, op: ops.Aggregate) -> list[ops.AggregateRow]:
    permissions.require(ctx, "read", entity.key)
    return await aggregates.aggregate(conn, ctx, entity, op)


async def _history(conn: Any, ctx: Context, entity: Entity, op: ops.History) -> list[ops.HistoryEntry]:
    row = await records.load(conn, ctx, entity, op.id)
    return await events.history(conn, ctx, entity, row, op.limit, op.before)


_HANDLERS: dict[type, tuple[Callable[..., Awaitable[Any]], bool]] = {
    ops.Create: (_create, True),
    ops.CreateMany: (_create_many, True),
    ops.Update: (_update, True),
    ops.Delete: (_delete, True),
    ops.Restore: (_restore, True),
    ops.Transition: (_transition, True),
    ops.Compose: (_compose, True),
    ops.UpsertMany: (_upsert_many, True),
    ops.StartApproval: (_start_approval, True),
    ops.ActOnApproval: (_act_on_approval, True),
    ops.Press: (_press, True),
    ops.Merge: (_merge, True),
    ops.UndoMerge: (_undo_merge, True),
    ops.CompareForMerge: (_compare_for_merge, False),
    ops.GetMerge: (_get_merge, False),
    ops.Decide: (_decide, True),
    ops.Claim: (_claim, True),
    ops.Assign: (_assign, True),
    ops.Release: (_release, True),
    ops.Reverse: (_reverse, True),
    ops.Get: (_get, False),
    ops.List: (_list, False),
    ops.Board: (_board, False),
    ops.Aggregate: (_aggregate, False),
    ops.History: (_history, False),
}
