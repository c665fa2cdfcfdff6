"""Merging records: side by side, field by field; what was merged, and undoing it.

Who: somebody who sees that two customers are one. What next: the record that stays, or back, when it was a mistake.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import AppError, Conflict, InvalidInput, PermissionDenied, PlanLimitReached
from saas.i18n import gettext as _
from saas.i18n import ngettext, pick, sentences
from saas.metadata.config import Entity
from saas.runtime import execute, permissions
from saas.runtime import operations as ops
from saas.runtime.merge_later import merge_or_later
from saas.runtime.merging import ALL, MOST_RECORDS, PastMerge
from saas.runtime.records import entity_of
from saas.ui import formats
from saas.ui.guards import Ask, local_path, signed_in
from saas.ui.listing import is_uuid
from saas.ui.views import Toast

OTHERS = "choice."  # prefix of the radio buttons' names


@dataclass(frozen=True, slots=True)
class RecordColumn:
    """One of the records. `keep_url` shows the page anew with this one as the survivor."""

    id: str
    title: str
    url: str
    version: int
    owner: str
    changed: str
    children: str
    stays: bool
    keep_url: str


@dataclass(frozen=True, slots=True)
class FieldRow:
    """A field: (record's id, text, chosen) for each record; `all_chosen` where it holds several and everything may be kept."""

    key: str
    label: str
    cells: tuple[tuple[str, str, bool], ...]
    several: bool
    all_chosen: bool
    may_choose: bool


@dataclass(frozen=True, slots=True)
class MergeView:
    entity_label: str
    entity_plural: str
    list_url: str
    action: str
    next: str
    columns: tuple[RecordColumn, ...]
    differing: tuple[FieldRow, ...]
    equal: tuple[FieldRow, ...]
    undo_text: str
    error: str = ""


def merge_url(entity: str, ids: list[str], survivor: str, next_: str = "") -> str:
    return f"/r/{entity}/merge?{urlencode([*(('ids', i) for i in ids), ('survivor', survivor), *((('next', next_),) if next_ else ())])}"


def _ids(values: Any) -> list[str]:
    return list(dict.fromkeys(str(v) for v in values if is_uuid(str(v))))[: MOST_RECORDS + 1]


@get("/r/{entity:str}/merge")
async def ask_merge(request: Request, entity: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    query = request.query_params
    ids = _ids(query.getall("ids", []))
    survivor = query.get("survivor") if query.get("survivor") in ids else ids[0] if ids else ""
    next_ = local_path(query.get("next") or "", f"/r/{found.key}")
    if not 2 <= len(ids) <= MOST_RECORDS:
        return ask.redirect(next_, Toast(_("Tick two to %(most)s records to merge them.", most=MOST_RECORDS), "warn"))
    async with ask.work():
        view = await _view(ask, found, ids, str(survivor), next_, {})
    return ask.page("records/merge.html", merge=view)


async def _view(ask: Ask, entity: Entity, ids: list[str], survivor: str, next_: str, choices: Mapping[str, Any], error: str = "") -> MergeView:
    ctx = ask.ctx
    losers = [UUID(i) for i in ids if i != survivor]
    sheet = await execute(ctx, ops.CompareForMerge(entity=entity.key, survivor=UUID(survivor), losers=losers, choices=choices))
    by_id = {str(r.id): r for r in sheet.records}
    columns = []
    for i in ids:
        record = by_id[i]
        children = ", ".join(f"{label} {count}" for label, count in sheet.children.get(record.id, ()))
        changed = formats.day(ctx, record.updated_at.astimezone(ctx.zone).date()) if record.updated_at else ""
        columns.append(RecordColumn(i, record.title, f"/r/{entity.key}/{i}", record.version, record.display.get("owner", ""), changed, children, i == survivor, merge_url(entity.key, ids, i, next_)))
    rows = []
    for f in sheet.fields:
        cells = tuple((i, f.texts.get(UUID(i), ""), f.chosen == i) for i in ids)
        rows.append((f.differs, FieldRow(f.key, f.label, cells, f.holds_several, f.chosen == ALL, f.may_choose)))
    undo = ngettext("It can be undone for %(count)s day.", "It can be undone for %(count)s days.", sheet.undo_days) if sheet.undo_days else _("It cannot be undone.")
    return MergeView(
        pick(entity.defn.label, ctx.locale), pick(entity.defn.plural, ctx.locale), f"/r/{entity.key}", f"/r/{entity.key}/merge", next_, tuple(columns),
        tuple(row for differs, row in rows if differs), tuple(row for differs, row in rows if not differs), undo, error,
    )  # fmt: skip


@post("/r/{entity:str}/merge", status_code=200)
async def do_merge(request: Request, entity: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    found, form = entity_of(ask.ctx, entity), await ask.form()
    ids, survivor = _ids(form.getall("ids", [])), str(form.get("survivor") or "")
    next_ = local_path(str(form.get("next") or ""), f"/r/{found.key}")
    if survivor not in ids or not 2 <= len(ids) <= MOST_RECORDS:
        return ask.redirect(next_, Toast(_("Tick two to %(most)s records to merge them.", most=MOST_RECORDS), "warn"))
    choices: dict[str, Any] = {}
    for name, value in form.multi_items():
        if name.startswith(OTHERS) and (value == ALL or is_uuid(str(value))):
            choices[name.removeprefix(OTHERS)] = ALL if value == ALL else UUID(str(value))
    versions = {UUID(i): int(v) for i in ids if (v := str(form.get(f"version.{i}") or "")).isdigit() and len(v) < 10}
    async with ask.work():
        try:
            losers = [UUID(i) for i in ids if i != survivor]
            change = await merge_or_later(ask.ctx, ops.Merge(entity=found.key, survivor=UUID(survivor), losers=losers, choices=choices, versions=versions))
        except (InvalidInput, Conflict, PlanLimitReached) as error:
            view = await _view(ask, found, ids, survivor, next_, choices if not isinstance(error, InvalidInput) else {}, _words(found, error, ask.ctx.locale))
            return ask.page("records/merge.html", status=error.status, merge=view)
    if isinstance(change, UUID):
        return ask.redirect(f"/jobs/{change}", _in_background())
    toasts = [Toast(_("The records were merged. The history tells how to undo it.")), *(Toast(str(w), "warn") for w in change.warnings)]
    return ask.redirect(f"/r/{found.key}/{survivor}", *toasts)


def _in_background() -> Toast:
    return Toast(_("So much belongs to these records that it is done in the background."))


def _words(entity: Entity, error: AppError, locale: str) -> str:
    named = [f"{pick(entity.fields[p.field].label, locale)}: {p.message}" if getattr(p, "field", "") in entity.fields else str(p.message) for p in error.problems]
    return sentences(named) or str(error.message)


# ---- afterwards ---------------------------------------------------------------------------------------------------------


@get("/r/{entity:str}/merges/{merge_id:uuid}")
async def show_merge(request: Request, entity: FromPath[str], merge_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    return await _past(ask, entity_of(ask.ctx, entity), merge_id)


async def _past(ask: Ask, entity: Entity, merge_id: UUID, error: str = "", status: int = 200) -> Response[Any]:
    ctx = ask.ctx
    async with ask.work():
        past: PastMerge = await execute(ctx, ops.GetMerge(entity=entity.key, merge=merge_id))
    return ask.page(
        "records/merged.html", status=status, entity_plural=pick(entity.defn.plural, ctx.locale), list_url=f"/r/{entity.key}", record_url=f"/r/{entity.key}/{past.survivor}",
        titles=past.titles, who=past.by, when=formats.full(ctx, past.at), fields=[pick(entity.fields[k].label, ctx.locale) for k in past.changed if k in entity.fields],
        moved=past.moved, undone=past.undone_at is not None, until=formats.full(ctx, past.undo_until), error=error, action=f"/r/{entity.key}/merges/{merge_id}/undo",
        may_undo=past.may_be_undone(ctx.now) and permissions.may(ctx, "merge", entity.key) and permissions.is_open(ctx),
    )  # fmt: skip


@post("/r/{entity:str}/merges/{merge_id:uuid}/undo", status_code=200)
async def undo_merge(request: Request, entity: FromPath[str], merge_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    try:
        async with ask.work():
            change = await merge_or_later(ask.ctx, ops.UndoMerge(entity=found.key, merge=merge_id))
    except (InvalidInput, Conflict, PlanLimitReached, PermissionDenied) as error:
        if isinstance(error, PermissionDenied) and error.data.get("right") == "merge":
            raise
        return await _past(ask, found, merge_id, _words(found, error, ask.ctx.locale), error.status)
    if isinstance(change, UUID):
        return ask.redirect(f"/jobs/{change}", _in_background())
    toasts = [Toast(change.message), *(Toast(str(w), "warn") for w in change.warnings)]
    return ask.redirect(f"/r/{found.key}/{change.record.id}" if change.record else f"/r/{found.key}", *toasts)


router = Router("", route_handlers=[ask_merge, do_merge, show_merge, undo_merge])
