"""One record: its page, create and edit forms, delete and restore, candidates of pickers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath
from litestar.response import Stream

from saas.errors import (
    AppError,
    Conflict,
    DuplicateFound,
    FieldProblem,
    InvalidInput,
    NotFound,
    PermissionDenied,
    PlanLimitReached,
    StaleVersion,
)
from saas.i18n import gettext as _
from saas.i18n import ngettext, pick, sentences
from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.runtime import Context, execute, permissions, purging
from saas.runtime import operations as ops
from saas.runtime.alike import look_up
from saas.runtime.files import open_file, open_thumbnail
from saas.runtime.forms import choices, form_state
from saas.runtime.portal import roles_of
from saas.runtime.portal_accounts import may_give
from saas.runtime.records import entity_of
from saas.tenants.ids import uuid_of
from saas.ui.forms import alike_view, build_form, form_values, has_uploads, inherited_values, version_of
from saas.ui.guards import Ask, local_path, signed_in, whole_number
from saas.ui.panel import beside
from saas.ui.record_page import RecordPage
from saas.ui.uploads import store_uploads
from saas.ui.views import DeleteView, FormView, Toast

FORM_BYTES = 32 * 1024 * 1024  # forms may carry files


def toasts(change: ops.Change) -> list[Toast]:
    return [Toast(change.message), *(Toast(str(w), "warn") for w in change.warnings)]


@get("/r/{entity:str}/{record_id:uuid}")
async def show(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    async with ask.work() as conn:
        record = await execute(ask.ctx, ops.Get(entity=found.key, id=record_id, deleted=request.query_params.get("deleted") == "1"))
        origin = f"{request.url.scheme}://{request.headers.get('host', '')}"
        view = await RecordPage(ask.ctx, found, record, dict(request.query_params), origin).view(conn)
    if ask.target == "timeline":
        return ask.fragment("records/_timeline.html", record=view)
    return ask.page("records/show.html", record=view)


# ---- create ------------------------------------------------------------------------------------------------------------


@get("/r/{entity:str}/new")
async def new(request: Request, entity: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    permissions.require(ask.ctx, "create", found.key)
    query = request.query_params
    typed = {**inherited_values(ask.ctx, found, query), **form_values(ask.ctx, found, query)}  # type: ignore[arg-type]  # prefilled by links
    async with ask.work() as conn:
        # Said before somebody types, not after.
        shut = None if permissions.is_open(ask.ctx) else permissions.closed(ask.ctx.tenant)
        view = await _new_form(ask, conn, found, typed, next_=request.query_params.get("next"), inline=request.query_params.get("inline") == "1", error=shut)
    return _form_page(ask, view)


@post("/r/{entity:str}/new", status_code=200, request_max_body_size=FORM_BYTES)
async def create(request: Request, entity: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    ctx, found, form = ask.ctx, entity_of(ask.ctx, entity), await ask.form()
    next_, inline, panel = str(form.get("next") or ""), form.get("inline") == "1", local_path(str(form.get("panel") or ""), "")
    typed: dict[str, Any] = {}
    if form.get("use_existing"):
        return await _use_existing(ask, found, str(form["use_existing"]), next_, inline=inline)
    reason = str(form.get("duplicate_reason") or "")[:500]
    async with ask.work() as conn:
        typed = form_values(ctx, found, form)
        try:
            if has_uploads(form):
                typed = form_values(ctx, found, await store_uploads(ctx, found.key, form))
            if form.get("to_pool"):
                typed["owner"] = None
            change = await execute(ctx, ops.Create(entity=found.key, values=typed, confirm_duplicates=form.get("confirm_duplicates") == "1", reason=reason))
        except (InvalidInput, DuplicateFound, Conflict, PermissionDenied, PlanLimitReached) as error:
            if isinstance(error, PermissionDenied) and not permissions.may(ctx, "create", found.key):
                raise
            asks = isinstance(error, PermissionDenied) and "reason" not in error.data
            shown = await _missing(ctx, found, typed) or error if asks else error
            view = await _new_form(ask, conn, found, typed, next_=next_, inline=inline, error=shown, reason=reason, panel=panel)
            return _form_page(ask, view, status=shown.status)
    if inline and ask.is_fragment and change.record is not None:
        return _chosen(ask, change.record)
    url = f"/r/{found.key}/{change.record.id}" if change.record else f"/r/{found.key}"
    said = [*toasts(change), *_sent_later(ctx, change)]
    if panel:
        return ask.redirect(beside(panel, change.record.id) if change.record else panel, *said)
    if change.record is not None and any(role.portal and role.portal.login and not change.record.values.get(role.portal.link) for role in roles_of(ctx.config, found.key)) and may_give(ctx, found):
        url += "/account"  # whoever enters somebody from outside gives them name and password next
    return ask.redirect(local_path(next_, url), *said)


def _sent_later(ctx: Context, change: ops.Change) -> list[Toast]:
    """Who has filled in what must be agreed to should not think that somebody was asked already."""
    record = change.record
    if record is None or record.can is None:
        return []
    starts = {key for approval in ctx.config.approvals(record.entity) for key in approval.start.transitions}
    offered = next((t.label for t in record.can.transitions if t.key in starts), None)
    return [Toast(_("Nobody has been asked yet: press “%(button)s” when it is complete.", button=offered), "warn")] if offered else []


def _chosen(ask: Ask, record: ops.Record) -> Response[Any]:
    """A dialog's answer: the record it made or found stands in the field that asked for one."""
    made = {"value": str(record.id), "text": record.title}
    return ask.fragment("records/_made.html", title=record.title, headers={"X-Created": quote(json.dumps(made))})


async def _use_existing(ask: Ask, entity: Entity, text: str, next_: str, *, inline: bool) -> Response[Any]:
    """Instead of making a second one: the field that asked for a record takes this one, or its page is shown."""
    try:
        wanted = UUID(text)
    except ValueError as error:
        raise NotFound() from error
    async with ask.work():
        record = await execute(ask.ctx, ops.Get(entity=entity.key, id=wanted))
    if inline and ask.is_fragment:
        return _chosen(ask, record)
    return ask.redirect(local_path(next_, f"/r/{entity.key}/{record.id}"), Toast(_("You are on the record that was there already; nothing was saved.")))


async def _missing(ctx: Context, entity: Entity, typed: dict[str, Any]) -> InvalidInput | None:
    """Whether one may create this here is often asked of a field that was forgotten: then say that, not that it is forbidden."""
    state = await form_state(ctx, entity.key, typed=typed)
    empty = [k for k, s in state.fields.items() if s.required and s.visible and s.access == "write" and state.values.get(k) in (None, "", [])]
    problems = [FieldProblem(k, "required", pick(entity.fields[k].message, ctx.locale) or _("This field is required.")) for k in empty]
    return InvalidInput(problems) if problems else None


async def _new_form(ask: Ask, conn: Any, entity: Entity, typed: dict[str, Any], *, next_: str | None, inline: bool, error: AppError | None = None, reason: str = "", panel: str = "") -> FormView:
    state = await form_state(ask.ctx, entity.key, typed=typed)
    cancel = local_path(next_, f"/r/{entity.key}")
    inline = inline and ask.target == "dialog"
    return await build_form(
        conn, ask.ctx, entity, state, new=True, error=error, typed=typed if error else None, prefix="n" if inline else "p" if panel else "f",
        title=_("New %(name)s", name=pick(entity.defn.label, ask.ctx.locale)), action=f"/r/{entity.key}/new", submit=_("Create"), cancel_url=panel or cancel,
        refresh_url=f"/r/{entity.key}/form", guard=not inline, dialog=inline, reason=reason, panel=bool(panel),
        hidden=(("next", next_ or ""), *((("inline", "1"),) if inline else ()), *((("panel", panel),) if panel else ())),
    )  # fmt: skip


def _form_page(ask: Ask, view: FormView, *, status: int = 200) -> Response[Any]:
    if ask.target == "panel-form":
        return ask.fragment("records/_form.html", status=status, form=view, headers={"X-Shown": "form"})
    if ask.target == "dialog":
        return ask.fragment("records/dialog_form.html", status=status, form=view)
    return ask.page("records/edit.html", status=status, form=view)


# ---- edit --------------------------------------------------------------------------------------------------------------


@get("/r/{entity:str}/{record_id:uuid}/edit")
async def edit(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    async with ask.work() as conn:
        record = await execute(ask.ctx, ops.Get(entity=found.key, id=record_id))
        if not (record.can and record.can.update):
            raise PermissionDenied() if permissions.is_open(ask.ctx) else permissions.closed(ask.ctx.tenant)
        view = await _edit_form(ask, conn, found, record, {})
    return _form_page(ask, view)


@post("/r/{entity:str}/{record_id:uuid}/edit", status_code=200, request_max_body_size=FORM_BYTES)
async def update(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    ctx, found, form = ask.ctx, entity_of(ask.ctx, entity), await ask.form()
    if form.get("use_existing"):
        return await _use_existing(ask, found, str(form["use_existing"]), "", inline=False)
    reason, panel = str(form.get("duplicate_reason") or "")[:500], local_path(str(form.get("panel") or ""), "")
    async with ask.work() as conn:
        typed = form_values(ctx, found, form)
        try:
            if has_uploads(form):
                typed = form_values(ctx, found, await store_uploads(ctx, found.key, form))
            confirmed = form.get("confirm_duplicates") == "1"
            change = await execute(ctx, ops.Update(entity=found.key, id=record_id, values=typed, version=version_of(form), confirm_duplicates=confirmed, reason=reason))
        except (InvalidInput, DuplicateFound, Conflict, PlanLimitReached, PermissionDenied) as error:
            if isinstance(error, PermissionDenied) and "reason" not in error.data:
                raise
            record = await execute(ctx, ops.Get(entity=found.key, id=record_id))
            version = record.version if isinstance(error, StaleVersion) else version_of(form)
            view = await _edit_form(ask, conn, found, record, typed, error=error, version=version, reason=reason, panel=panel)
            return _form_page(ask, view, status=error.status)
    if panel:
        return ask.redirect(beside(panel, record_id) if change.record else panel, *toasts(change))
    return ask.redirect(f"/r/{found.key}/{record_id}" if change.record else f"/r/{found.key}", *toasts(change))


async def _edit_form(ask: Ask, conn: Any, entity: Entity, record: ops.Record, typed: dict[str, Any], *, error: AppError | None = None, version: int | None = None, reason: str = "", panel: str = "") -> FormView:
    state = await form_state(ask.ctx, entity.key, record_id=record.id, typed=typed)
    url = f"/r/{entity.key}/{record.id}"
    return await build_form(
        conn, ask.ctx, entity, state, new=False, error=error, typed=typed if error else None, current=record, version=version if version is not None else record.version,
        title=_("Edit"), action=f"{url}/edit", submit=_("Save"), cancel_url=panel or url, record_url=url, record_title=record.title,
        refresh_url=f"/r/{entity.key}/form?id={record.id}", guard=True, reason=reason, prefix="p" if panel else "f", panel=bool(panel), hidden=(("panel", panel),) if panel else (),
    )  # fmt: skip


@post("/r/{entity:str}/form", status_code=200, request_max_body_size=FORM_BYTES)
async def refresh(request: Request, entity: FromPath[str]) -> Response[Any]:
    """The sections of a form again, after a field that others depend on has changed. Nothing is written."""
    ask = await signed_in(request)
    ctx, found, form = ask.ctx, entity_of(ask.ctx, entity), await ask.form()
    typed = form_values(ctx, found, form)
    text = request.query_params.get("id")
    try:
        record_id = UUID(text) if text else None
    except ValueError as error:
        raise NotFound() from error
    async with ask.work() as conn:
        state = await form_state(ctx, found.key, record_id=record_id, typed=typed)
        inline, panel = form.get("inline") == "1", bool(form.get("panel"))
        url = f"/r/{found.key}/form" + (f"?id={record_id}" if record_id else "")
        view = await build_form(conn, ctx, found, state, new=record_id is None, typed=typed, prefix="n" if inline else "p" if panel else "f", title="", action="", submit="", cancel_url="", refresh_url=url)
    return ask.fragment("records/_sections.html", form=view)


@post("/r/{entity:str}/alike", status_code=200, request_max_body_size=FORM_BYTES)
async def alike_ones(request: Request, entity: FromPath[str]) -> Response[Any]:
    """What there may be already of what somebody is typing into the form of a new record. Nothing is written."""
    ask = await signed_in(request)
    found, form = entity_of(ask.ctx, entity), await ask.form()
    async with ask.work() as conn:
        alike = await look_up(conn, ask.ctx, found, form_values(ask.ctx, found, form))
    return ask.fragment("records/_alike.html", alike=alike_view(found, alike))


@get("/lookup/{entity:str}/{field:str}")
async def lookup(request: Request, entity: FromPath[str], field: FromPath[str]) -> Response[Any]:
    """Candidates of a picker as JSON. `pick.<key>`: what the filters of its window are set to; the other query parameters are the form's values that a
    candidate filter looks at."""
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    query = request.query_params
    typed = form_values(ask.ctx, found, query)  # type: ignore[arg-type]
    record_id = uuid_of(query.get("id"))  # of the record on the form, if it is there already
    narrow = {name.removeprefix("pick."): value for name, value in query.items() if name.startswith("pick.")}
    items = await choices(ask.ctx, found.key, field, q=query.get("q", "")[:100], values=typed, record_id=record_id, limit=50 if "pick" in query else 20, narrow=narrow)
    offered = [{"value": c.id, "text": c.label, "note": c.detail} for c in items]
    declared = found.fields.get(field)
    if query.get("filter") and not query.get("q") and declared is not None and field_types.get(declared.type).holds == "user":
        offered.insert(0, {"value": "me()", "text": _("me"), "note": ""})
    return Response({"items": offered}, headers={"cache-control": "no-store"})


# ---- delete, restore ---------------------------------------------------------------------------------------------------


@get("/r/{entity:str}/{record_id:uuid}/delete")
async def confirm_delete(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    async with ask.work():
        record = await execute(ask.ctx, ops.Get(entity=found.key, id=record_id))
        if not (record.can and record.can.delete):
            raise PermissionDenied()
        below = await purging.below_one(ask.ctx, found.key, record_id)
    return _delete_page(ask, _delete_view(ask, found, record, next_=local_path(request.query_params.get("next"), ""), below=below))


def _delete_view(ask: Ask, entity: Entity, record: ops.Record, error: str = "", next_: str = "", *, below: Sequence[purging.Below] = ()) -> DeleteView:
    url = f"/r/{entity.key}/{record.id}"
    own = pick(entity.defn.messages.get("confirm_delete"), ask.ctx.locale)
    text = own or _("Delete “%(title)s”?", title=record.title)
    hint = "" if own else _("It can be restored from the recycle bin.")
    title = _("Delete %(name)s", name=pick(entity.defn.label, ask.ctx.locale))
    along = tuple(ngettext("%(count)s record in “%(label)s” is deleted with it.", "%(count)s records in “%(label)s” are deleted with it.", b.count, label=b.label) for b in below)
    return DeleteView(title, text, f"{url}/delete", next_ or url, record.version, hint, error, next_, along)


def _delete_page(ask: Ask, view: DeleteView, *, status: int = 200) -> Response[Any]:
    if ask.target == "dialog":
        return ask.fragment("records/_delete.html", status=status, delete=view)
    return ask.page("records/delete.html", status=status, delete=view)


@post("/r/{entity:str}/{record_id:uuid}/delete", status_code=200)
async def delete(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    ctx, found, form = ask.ctx, entity_of(ask.ctx, entity), await ask.form()
    next_ = local_path(str(form.get("next") or ""), "")
    async with ask.work():
        try:
            change = await execute(ctx, ops.Delete(entity=found.key, id=record_id, version=version_of(form)))
        except (Conflict, InvalidInput) as error:
            record = await execute(ctx, ops.Get(entity=found.key, id=record_id))
            text = sentences(p.message for p in error.problems) or str(error.message)
            return _delete_page(ask, _delete_view(ask, found, record, text, next_), status=error.status)
    return ask.redirect(next_ or f"/r/{found.key}", *toasts(change))


@post("/r/{entity:str}/{record_id:uuid}/restore", status_code=200)
async def restore(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    found = entity_of(ask.ctx, entity)
    async with ask.work():
        change = await execute(ask.ctx, ops.Restore(entity=found.key, id=record_id))
    return ask.redirect(f"/r/{found.key}/{record_id}" if change.record else f"/r/{found.key}/bin", *toasts(change))


@get("/files/{file_id:uuid}")
async def download(request: Request, file_id: FromPath[UUID]) -> Stream:
    """A file the person may see: their own upload, or one that hangs on a record they may read. `?size=` asks for a thumbnail."""
    ask = await signed_in(request)
    size = whole_number(request.query_params.get("size", ""))
    if size is not None:
        found = await open_thumbnail(ask.ctx, file_id, min(size, 2000))
    else:
        found = await open_file(ask.ctx, file_id, download=request.query_params.get("download") == "1")
    return Stream(found.chunks(), media_type=found.content_type, headers=found.headers)


router = Router("", route_handlers=[show, new, create, edit, update, refresh, alike_ones, lookup, confirm_delete, delete, restore, download])
